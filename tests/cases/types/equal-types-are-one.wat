;;! passes = "types"
;;! run = "f() -> 1"
;; The two types are equal, so the call through the one meets the function of the other.
(module
  (type $unused (func (param f64)))
  (type $a (func (result i32)))
  (type $b (func (result i32)))
  (table 1 funcref)
  (elem (i32.const 0) $one)
  (func $one (type $a) (i32.const 1))
  (func (export "f") (result i32) (call_indirect (type $b) (i32.const 0))))

;;! output
;; passes:types
;; (module
;;   (type $a (;0;) (func (result i32)))
;;   (table (;0;) 1 funcref)
;;   (export "f" (func 1))
;;   (elem (;0;) (i32.const 0) func $one)
;;   (func $one (;0;) (type $a) (result i32)
;;     i32.const 1
;;   )
;;   (func (;1;) (type $a) (result i32)
;;     i32.const 0
;;     call_indirect (type $a)
;;   )
;; )
