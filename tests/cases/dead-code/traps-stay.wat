;;! passes = "dead-code"
;;! run = "load(-1) -> trap out of bounds memory access"
;;! run = "divide(0) -> trap integer divide by zero"
;;! run = "truncate() -> trap invalid conversion to integer"
;;! run = "table(9) -> trap out of bounds table access"
;;! run = "nothing(1) -> 1"
(module
  (memory 1)
  (table 1 funcref)
  (func (export "load") (param $p i32) (drop (i32.load (local.get $p))))
  (func (export "divide") (param $x i32) (drop (i32.div_s (i32.const 1) (local.get $x))))
  (func (export "truncate") (drop (i32.trunc_f32_s (f32.const nan))))
  (func (export "table") (param $i i32) (drop (table.get 0 (local.get $i))))
  (func (export "nothing") (param $x i32) (result i32)
    (drop (f32.div (f32.const 1) (f32.const 0)))
    (drop (memory.size))
    (local.get $x)))

;;! output
;; passes:dead-code
;; (module
;;   (type (;0;) (func (param i32)))
;;   (type (;1;) (func))
;;   (type (;2;) (func (param i32) (result i32)))
;;   (table (;0;) 1 funcref)
;;   (memory (;0;) 1)
;;   (export "load" (func 0))
;;   (export "divide" (func 1))
;;   (export "truncate" (func 2))
;;   (export "table" (func 3))
;;   (export "nothing" (func 4))
;;   (func (;0;) (type 0) (param $p i32)
;;     local.get $p
;;     i32.load
;;     drop
;;   )
;;   (func (;1;) (type 0) (param $x i32)
;;     i32.const 1
;;     local.get $x
;;     i32.div_s
;;     drop
;;   )
;;   (func (;2;) (type 1)
;;     f32.const nan (;=NaN;)
;;     i32.trunc_f32_s
;;     drop
;;   )
;;   (func (;3;) (type 0) (param $i i32)
;;     local.get $i
;;     table.get 0
;;     drop
;;   )
;;   (func (;4;) (type 2) (param $x i32) (result i32)
;;     local.get $x
;;   )
;; )
