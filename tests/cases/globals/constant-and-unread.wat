;;! passes = "globals, dead-code"
;;! run = "f() -> 12"
;;! run = "g() -> 0"
;;! run = "g() -> 1"
(module
  (global $never_written (mut i32) (i32.const 12))
  (global $never_read (mut i32) (i32.const 0))
  (global $both (mut i32) (i32.const 0))
  (func (export "f") (result i32)
    (global.set $never_read (i32.const 3))
    (global.get $never_written))
  (func (export "g") (result i32)
    (global.get $both)
    (global.set $both (i32.add (global.get $both) (i32.const 1)))))

;;! output
;; passes:globals, dead-code
;; (module
;;   (type (;0;) (func (result i32)))
;;   (global $never_written (;0;) i32 i32.const 12)
;;   (global $never_read (;1;) (mut i32) i32.const 0)
;;   (global $both (;2;) (mut i32) i32.const 0)
;;   (export "f" (func 0))
;;   (export "g" (func 1))
;;   (func (;0;) (type 0) (result i32)
;;     i32.const 12
;;   )
;;   (func (;1;) (type 0) (result i32)
;;     global.get $both
;;     global.get $both
;;     i32.const 1
;;     i32.add
;;     global.set $both
;;   )
;; )
