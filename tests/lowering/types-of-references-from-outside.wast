;; A function of the host is not taken for one that gets a continuation, or a reference to a function that does.
;; not shared: modules that are lowered separately could not agree on what tells the types apart
(module
    (type $number (func (param i64)))
    (type $struct (func (param structref)))
    (table (export "functions") 4 4 funcref)
    (elem (i32.const 0) $number $struct $number_function $struct_function)
    (func $number (type $number))
    (func $struct (type $struct))
    (func $number_function (param (ref null $number)))
    (func $struct_function (param (ref null $struct))))
(register "host")
(module
    (type $f (func)) (type $c (cont $f)) (type $takes (func (param (ref null $c))))
    (type $takes_function (func (param (ref null $takes))))
    (import "host" "functions" (table $functions 4 4 funcref))
    (func (export "test") (param i32) (result i32) (ref.test (ref $takes) (table.get $functions (local.get 0))))
    (func (export "call") (param i32) (call_indirect $functions (type $takes) (ref.null $c) (local.get 0))))
(assert_return (invoke "test" (i32.const 0)) (i32.const 0))
(assert_return (invoke "test" (i32.const 1)) (i32.const 0))
(assert_trap (invoke "call" (i32.const 0)) "indirect call type mismatch")
(assert_trap (invoke "call" (i32.const 1)) "indirect call type mismatch")
;; Here only the type that speaks of the other is asked for.
(module
    (type $f (func)) (type $c (cont $f)) (type $takes (func (param (ref null $c))))
    (type $takes_function (func (param (ref null $takes))))
    (import "host" "functions" (table $functions 4 4 funcref))
    (func (export "test") (param i32) (result i32)
        (ref.test (ref $takes_function) (table.get $functions (local.get 0)))))
(assert_return (invoke "test" (i32.const 2)) (i32.const 0))
(assert_return (invoke "test" (i32.const 3)) (i32.const 0))
