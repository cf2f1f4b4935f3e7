;;! passes = "dead-arguments, dead-code"
;;! run = "f(0) -> trap integer divide by zero"
;;! run = "f(1) -> 3"
;;! run = "g() -> 4"
;; The argument is computed in any case, and to drop it takes more than to pass it on.
(module
  (func $callee (param $unused i32) (result i32) (i32.const 3))
  (func (export "f") (param $x i32) (result i32)
    (call $callee (i32.div_u (i32.const 1) (local.get $x))))
  (func (export "g") (result i32) (i32.const 4)))

;;! output
;; passes:dead-arguments, dead-code
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (type (;1;) (func (result i32)))
;;   (export "f" (func 1))
;;   (export "g" (func 2))
;;   (func $callee (;0;) (type 0) (param $unused i32) (result i32)
;;     i32.const 3
;;   )
;;   (func (;1;) (type 0) (param $x i32) (result i32)
;;     i32.const 1
;;     local.get $x
;;     i32.div_u
;;     call $callee
;;   )
;;   (func (;2;) (type 1) (result i32)
;;     i32.const 4
;;   )
;; )
