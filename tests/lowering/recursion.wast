;; A frame for each level of recursion, resumed from the innermost outwards.
(module
    (type $fi (func (param i32) (result i32))) (type $ci (cont $fi))
    (tag $yield (param i32) (result i32))
    (func $walk (param $d i32) (result i32)
        (if (result i32) (i32.eqz (local.get $d))
            (then (suspend $yield (local.get $d)))
            (else (i32.add
                (i32.mul (call $walk (i32.sub (local.get $d) (i32.const 1))) (i32.const 3))
                (call $walk (i32.sub (local.get $d) (i32.const 1)))))))
    (elem declare func $walk)
    (func (export "run") (result i32) (local $s i32) (local $k (ref null $ci)) (local $v i32)
        (local.set $k (cont.new $ci (ref.func $walk)))
        (local.set $v (i32.const 2))
        (loop $l
            (block $on (result i32 (ref $ci))
                (resume $ci (on $yield $on) (local.get $v) (local.get $k))
                (return))
            (local.set $k) (drop)
            (local.set $v (local.tee $s (i32.add (local.get $s) (i32.const 1))))
            (br $l))
        (unreachable)))
(assert_return (invoke "run") (i32.const 28))
(assert_return (invoke "run") (i32.const 28))
