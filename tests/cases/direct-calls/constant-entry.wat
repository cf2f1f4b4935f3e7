;;! passes = "direct-calls, dead-code"
;;! run = "f() -> 6"
;;! run = "null() -> trap uninitialized element"
;;! run = "beyond() -> trap undefined element"
;;! run = "wrong_type() -> trap indirect call type mismatch"
(module
  (type $t (func (result i32)))
  (table 3 funcref)
  (elem (i32.const 0) $six)
  (func $six (result i32) (i32.const 6))
  (func (export "f") (result i32) (call_indirect (type $t) (i32.const 0)))
  (func (export "null") (result i32) (call_indirect (type $t) (i32.const 1)))
  (func (export "beyond") (result i32) (call_indirect (type $t) (i32.const 3)))
  (func (export "wrong_type") (call_indirect (i32.const 0))))

;;! output
;; passes:direct-calls, dead-code
;; (module
;;   (type $t (;0;) (func (result i32)))
;;   (type (;1;) (func))
;;   (table (;0;) 3 funcref)
;;   (export "f" (func 1))
;;   (export "null" (func 2))
;;   (export "beyond" (func 3))
;;   (export "wrong_type" (func 4))
;;   (elem (;0;) (i32.const 0) func $six)
;;   (func $six (;0;) (type $t) (result i32)
;;     i32.const 6
;;   )
;;   (func (;1;) (type $t) (result i32)
;;     call $six
;;   )
;;   (func (;2;) (type $t) (result i32)
;;     i32.const 1
;;     call_indirect (type $t)
;;   )
;;   (func (;3;) (type $t) (result i32)
;;     i32.const 3
;;     call_indirect (type $t)
;;   )
;;   (func (;4;) (type 1)
;;     i32.const 0
;;     call_indirect (type 1)
;;   )
;; )
