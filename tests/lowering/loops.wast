;; Loops and nested loops go on where they were.
(module
    (type $ft (func (param i32) (result i32))) (type $ct (cont $ft)) (tag $yield (param i32))
    (type $fk (func (result i32))) (type $ck (cont $fk))
    (func $maybe (param i32) (if (i32.and (local.get 0) (i32.const 1)) (then (suspend $yield (local.get 0)))))
    (func $loops (type $ft) (local $i i32) (local $j i32) (local $s i32)
        (loop $outer
            (local.set $j (i32.const 0))
            (loop $inner
                (call $maybe (i32.add (local.get $i) (local.get $j)))
                (local.set $s (i32.add (i32.mul (local.get $s) (i32.const 3)) (i32.xor (local.get $i) (local.get $j))))
                (br_if $inner (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get 0))))
            (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get 0))))
        (local.get $s))
    (elem declare func $loops)
    (func (export "run") (param i32) (result i32) (local $k (ref null $ck)) (local $n i32)
        (block $on (result i32 (ref $ck)) (return (resume $ct (on $yield $on) (local.get 0) (cont.new $ct (ref.func $loops)))))
        (local.set $k) (drop)
        (loop $l
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (block $on (result i32 (ref $ck))
                (return (i32.add (i32.mul (local.get $n) (i32.const 1000000)) (resume $ck (on $yield $on) (local.get $k)))))
            (local.set $k) (drop) (br $l))
        (unreachable)))
(assert_return (invoke "run" (i32.const 3)) (i32.const 4003996))
