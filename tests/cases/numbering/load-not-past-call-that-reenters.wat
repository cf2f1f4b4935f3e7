;;! passes = "numbering, dead-code"
;;! run = "f() -> 5"
;; The callee writes the global through an export's function: a call writes everything.
(module
  (global $g (mut i32) (i32.const 1))
  (table 1 funcref)
  (elem (i32.const 0) $write)
  (func $write (global.set $g (i32.const 4)))
  (func (export "f") (result i32)
    (local $before i32)
    (global.set $g (i32.const 1))
    (local.set $before (global.get $g))
    (call_indirect (i32.const 0))
    (i32.add (local.get $before) (global.get $g))))

;;! output
;; passes:numbering, dead-code
;; (module
;;   (type (;0;) (func))
;;   (type (;1;) (func (result i32)))
;;   (table (;0;) 1 funcref)
;;   (global $g (;0;) (mut i32) i32.const 1)
;;   (export "f" (func 1))
;;   (elem (;0;) (i32.const 0) func $write)
;;   (func $write (;0;) (type 0)
;;     i32.const 4
;;     global.set $g
;;   )
;;   (func (;1;) (type 1) (result i32)
;;     i32.const 1
;;     global.set $g
;;     i32.const 0
;;     call_indirect (type 0)
;;     i32.const 1
;;     global.get $g
;;     i32.add
;;   )
;; )
