;;! also = "everything"
;;! run = "f(3, 4) -> 5206856"
;;! run = "f(1, 1) -> 3038"
;;! run = "f(5, 7) -> 187034328"
;;! run = "f(5, 0) -> 21723"
;; A function of many suspension points, in two nested loops and around them: what it was doing when it was suspended is entered in the middle of
;; both loops, with other values alive at each point.
(module
  (type $back (func (param i32) (result i32)))
  (type $kr (cont $back))
  (type $start (func (param i32 i32) (result i32)))
  (type $ks (cont $start))
  (tag $yield (param i32) (result i32))
  (elem declare func $work)
  (func $ask (param $x i32) (result i32)
    (if (i32.and (local.get $x) (i32.const 1)) (then (return (suspend $yield (local.get $x)))))
    (i32.add (local.get $x) (i32.const 2)))
  (func $work (param $rounds i32) (param $steps i32) (result i32)
    (local $i i32)
    (local $j i32)
    (local $sum i32)
    (local $wide i64)
    (local.set $sum (call $ask (local.get $rounds)))
    (local.set $wide (i64.extend_i32_u (local.get $sum)))
    (block $done
      (loop $outer
        (br_if $done (i32.ge_u (local.get $i) (local.get $rounds)))
        (local.set $sum (i32.add (local.get $sum) (call $ask (i32.add (local.get $i) (local.get $sum)))))
        (local.set $j (i32.const 0))
        (block $end
          (loop $inner
            (br_if $end (i32.ge_u (local.get $j) (local.get $steps)))
            (if (i32.rem_u (local.get $j) (i32.const 3))
              (then (local.set $wide (i64.add (local.get $wide) (i64.extend_i32_u (call $ask (local.get $j))))))
              (else (local.set $sum (i32.xor (call $ask (i32.mul (local.get $i) (local.get $j))) (local.get $sum)))))
            (local.set $sum (i32.add (local.get $sum) (call $ask (local.get $sum))))
            (local.set $j (i32.add (local.get $j) (i32.const 1)))
            (br $inner)))
        (local.set $wide (i64.add (local.get $wide) (i64.extend_i32_u (call $ask (local.get $j)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $outer)))
    (i32.add (call $ask (local.get $sum)) (i32.wrap_i64 (local.get $wide))))
  (func (export "f") (param $rounds i32) (param $steps i32) (result i32)
    (local $k (ref null $kr))
    (local $asked i32)
    (local $count i32)
    (block $first (result i32 (ref $kr))
      (return
        (resume $ks (on $yield $first) (local.get $rounds) (local.get $steps) (cont.new $ks (ref.func $work)))))
    (local.set $k)
    (local.set $asked)
    (loop $again
      (local.set $count (i32.add (local.get $count) (i32.const 1)))
      (block $next (result i32 (ref $kr))
        (return
          (i32.add
            (i32.mul (local.get $count) (i32.const 1000))
            (resume $kr (on $yield $next)
              (i32.mul (local.get $asked) (i32.const 3)) (ref.as_non_null (local.get $k))))))
      (local.set $k)
      (local.set $asked)
      (br $again))
    (unreachable)))
