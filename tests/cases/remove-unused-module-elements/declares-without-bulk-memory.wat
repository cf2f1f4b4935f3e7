;;! transform = "opt:O2"
;;! also = "everything"
;;! run = "is_null() -> 1"
;;! run = "set() ->"
;;! run = "is_null() -> 0"
;; The table that mentions $f goes, and something else must, which may not be a declarative segment: the module does without bulk memory.
(module
  (table 1 funcref)
  (elem (i32.const 0) func $f)
  (global $g (export "g") (mut funcref) (ref.null func))
  (func $f)
  (func (export "set") (global.set $g (ref.func $f)))
  (func (export "is_null") (result i32) (ref.is_null (global.get $g))))

;;! output
;; opt:O2
;; (module
;;   (type (;0;) (func))
;;   (type (;1;) (func (result i32)))
;;   (global $g (;0;) (mut funcref) ref.null func)
;;   (global (;1;) funcref ref.func $f)
;;   (export "g" (global $g))
;;   (export "set" (func 1))
;;   (export "is_null" (func 2))
;;   (func $f (;0;) (type 0))
;;   (func (;1;) (type 0)
;;     ref.func $f
;;     global.set $g
;;   )
;;   (func (;2;) (type 1) (result i32)
;;     global.get $g
;;     ref.is_null
;;   )
;; )
