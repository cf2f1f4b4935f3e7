;; A function of the host is not taken for one that gets a continuation.
;; not shared: modules that are lowered separately could not agree on what tells the types apart
(module
    (table (export "functions") 2 2 funcref)
    (elem (i32.const 0) $number $struct)
    (func $number (param i64))
    (func $struct (param structref)))
(register "host")
(module
    (type $f (func)) (type $c (cont $f)) (type $takes (func (param (ref null $c))))
    (import "host" "functions" (table $functions 2 2 funcref))
    (func (export "test") (param i32) (result i32) (ref.test (ref $takes) (table.get $functions (local.get 0))))
    (func (export "call") (param i32) (call_indirect $functions (type $takes) (ref.null $c) (local.get 0))))
(assert_return (invoke "test" (i32.const 0)) (i32.const 0))
(assert_return (invoke "test" (i32.const 1)) (i32.const 0))
(assert_trap (invoke "call" (i32.const 0)) "indirect call type mismatch")
(assert_trap (invoke "call" (i32.const 1)) "indirect call type mismatch")
