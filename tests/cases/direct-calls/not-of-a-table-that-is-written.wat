;;! passes = "direct-calls, dead-code"
;;! run = "f() -> 6"
;;! run = "write() ->"
;;! run = "f() -> 7"
(module
  (type $t (func (result i32)))
  (table $table 1 funcref)
  (elem (table $table) (i32.const 0) func $six)
  (elem declare func $seven)
  (func $six (result i32) (i32.const 6))
  (func $seven (result i32) (i32.const 7))
  (func (export "write") (table.set $table (i32.const 0) (ref.func $seven)))
  (func (export "f") (result i32) (call_indirect (type $t) (i32.const 0))))

;;! output
;; passes:direct-calls, dead-code
;; (module
;;   (type $t (;0;) (func (result i32)))
;;   (type (;1;) (func))
;;   (table $table (;0;) 1 funcref)
;;   (export "write" (func 2))
;;   (export "f" (func 3))
;;   (elem (;0;) (i32.const 0) func $six)
;;   (elem (;1;) declare func $seven)
;;   (func $six (;0;) (type $t) (result i32)
;;     i32.const 6
;;   )
;;   (func $seven (;1;) (type $t) (result i32)
;;     i32.const 7
;;   )
;;   (func (;2;) (type 1)
;;     i32.const 0
;;     ref.func $seven
;;     table.set $table
;;   )
;;   (func (;3;) (type $t) (result i32)
;;     i32.const 0
;;     call_indirect (type $t)
;;   )
;; )
