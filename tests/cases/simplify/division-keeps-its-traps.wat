;;! passes = "simplify, dead-code"
;;! run = "zero() -> trap integer divide by zero"
;;! run = "overflow() -> trap integer overflow"
;;! run = "by_zero(3) -> trap integer divide by zero"
;;! run = "itself(0) -> trap integer divide by zero"
;;! run = "itself(7) -> 1"
(module
  (func (export "zero") (result i32) (i32.div_s (i32.const 1) (i32.const 0)))
  (func (export "overflow") (result i32) (i32.div_s (i32.const 0x80000000) (i32.const -1)))
  (func (export "by_zero") (param $x i32) (result i32) (i32.rem_u (local.get $x) (i32.const 0)))
  (func (export "itself") (param $x i32) (result i32) (i32.div_u (local.get $x) (local.get $x))))

;;! output
;; passes:simplify, dead-code
;; (module
;;   (type (;0;) (func (result i32)))
;;   (type (;1;) (func (param i32) (result i32)))
;;   (export "zero" (func 0))
;;   (export "overflow" (func 1))
;;   (export "by_zero" (func 2))
;;   (export "itself" (func 3))
;;   (func (;0;) (type 0) (result i32)
;;     i32.const 1
;;     i32.const 0
;;     i32.div_s
;;   )
;;   (func (;1;) (type 0) (result i32)
;;     i32.const -2147483648
;;     i32.const -1
;;     i32.div_s
;;   )
;;   (func (;2;) (type 1) (param $x i32) (result i32)
;;     local.get $x
;;     i32.const 0
;;     i32.rem_u
;;   )
;;   (func (;3;) (type 1) (param $x i32) (result i32)
;;     local.get $x
;;     local.get $x
;;     i32.div_u
;;   )
;; )
