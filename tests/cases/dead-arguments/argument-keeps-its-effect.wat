;;! passes = "dead-arguments, dead-code"
;;! run = "f(0) -> trap integer divide by zero"
;;! run = "f(1) -> 3"
;; The parameters go; that computing an argument traps stays.
(module
  (func $callee (param $unused i32) (param $too i64) (result i32) (i32.const 3))
  (func (export "f") (param $x i32) (result i32)
    (call $callee (i32.div_u (i32.const 1) (local.get $x)) (i64.const 1000))))

;;! output
;; passes:dead-arguments, dead-code
;; (module
;;   (type (;0;) (func (param i32 i64) (result i32)))
;;   (type (;1;) (func (param i32) (result i32)))
;;   (type (;2;) (func (result i32)))
;;   (export "f" (func 1))
;;   (func $callee (;0;) (type 2) (result i32)
;;     i32.const 3
;;   )
;;   (func (;1;) (type 1) (param $x i32) (result i32)
;;     i32.const 1
;;     local.get $x
;;     i32.div_u
;;     drop
;;     call $callee
;;   )
;; )
