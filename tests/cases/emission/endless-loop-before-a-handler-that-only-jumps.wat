;;! transform = "opt:O0"
;;! run = "f(0, 2) -> 107"
;;! run = "f(1, 2) -> 0"
;;! run = "f(2, 1) -> 0"
;;! run = "f(2, 0) -> 107"
;; The way out of the inner loop's end is the handler of `$t`, which only passes its value on: the branch there is dropped with all else that nothing
;; reaches, and the loop must not claim to leave that value.
(module
  (tag $t (param i32))
  (tag $u (param i32 i32))
  (func $may_throw (param $which i32)
    (if (i32.eqz (local.get $which)) (then (throw $t (i32.const 7))))
    (if (i32.eq (local.get $which) (i32.const 2)) (then (throw $u (i32.const 1) (i32.const 2)))))
  (func (export "f") (param $which i32) (param $rounds i32) (result i32)
    (local $outer i32)
    (local $inner i32)
    (local.set $outer (i32.const 2))
    (block $end
      (block $caught (result i32)
        (try_table (catch $t $caught)
          (loop $again
            (if (i32.eq (local.get $outer) (i32.const -5)) (then (return (i32.const -1))))
            (block $done
              (block $other (result i32 i32)
                (try_table (catch $u $other) (call $may_throw (local.get $which)))
                (br $done))
              (drop)
              (drop)
              (local.set $inner (i32.const 3))
              (loop $repeat
                (if (i32.eq (local.get $inner) (i32.const -5)) (then (return (i32.const -2))))
                (call $may_throw (local.get $rounds))
                (br_if $repeat (local.tee $inner (i32.sub (local.get $inner) (i32.const 1))))))
            (br_if $again (local.tee $outer (i32.sub (local.get $outer) (i32.const 1))))))
        (br $end))
      (i32.add (i32.const 100))
      (return))
    (i32.const 0)))
