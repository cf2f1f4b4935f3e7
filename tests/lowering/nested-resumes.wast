;; Nested resumes are limited by memory.
(module
    (type $ft (func (param i32) (result i32))) (type $ct (cont $ft)) (tag $yield (result i32))
    (func $nest (type $ft)
        (if (i32.eqz (local.get 0)) (then (return (suspend $yield))))
        (i32.add (i32.const 1) (resume $ct (i32.sub (local.get 0) (i32.const 1)) (cont.new $ct (ref.func $nest)))))
    (elem declare func $nest)
    (func (export "deep") (param i32) (result i32) (local $k (ref null $ct))
        (block $on (result (ref $ct))
            (return (resume $ct (on $yield $on) (local.get 0) (cont.new $ct (ref.func $nest)))))
        (local.set $k) (resume $ct (i32.const 5) (local.get $k))))
(assert_return (invoke "deep" (i32.const 3000)) (i32.const 3005))
