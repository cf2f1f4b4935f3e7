;;! passes = "dead-arguments, dead-code"
;;! run = "direct() -> 1"
;;! run = "indirect() -> 1"
;;! run = "continuation() -> 1"
;; Functions in tables and functions that continuations are made of keep their types.
(module
  (type $f (func (param i32) (result i32)))
  (type $c (cont $f))
  (table 1 funcref)
  (elem (i32.const 0) $in_table)
  (elem declare func $in_continuation)
  (func $in_table (param $unused i32) (result i32) (i32.const 1))
  (func $in_continuation (param $unused i32) (result i32) (i32.const 1))
  (func (export "direct") (result i32) (call $in_table (i32.const 0)))
  (func (export "indirect") (result i32) (call_indirect (type $f) (i32.const 0) (i32.const 0)))
  (func (export "continuation") (result i32)
    (drop (call $in_continuation (i32.const 0)))
    (resume $c (i32.const 0) (cont.new $c (ref.func $in_continuation)))))

;;! output
;; passes:dead-arguments, dead-code
;; (module
;;   (type $f (;0;) (func (param i32) (result i32)))
;;   (type $c (;1;) (cont $f))
;;   (type (;2;) (func (result i32)))
;;   (table (;0;) 1 funcref)
;;   (export "direct" (func 2))
;;   (export "indirect" (func 3))
;;   (export "continuation" (func 4))
;;   (elem (;0;) (i32.const 0) func $in_table)
;;   (elem (;1;) declare func $in_continuation)
;;   (func $in_table (;0;) (type $f) (param $unused i32) (result i32)
;;     i32.const 1
;;   )
;;   (func $in_continuation (;1;) (type $f) (param $unused i32) (result i32)
;;     i32.const 1
;;   )
;;   (func (;2;) (type 2) (result i32)
;;     i32.const 0
;;     call $in_table
;;   )
;;   (func (;3;) (type 2) (result i32)
;;     i32.const 0
;;     i32.const 0
;;     call_indirect (type $f)
;;   )
;;   (func (;4;) (type 2) (result i32)
;;     i32.const 0
;;     call $in_continuation
;;     drop
;;     i32.const 0
;;     ref.func $in_continuation
;;     cont.new $c
;;     resume $c
;;   )
;; )
