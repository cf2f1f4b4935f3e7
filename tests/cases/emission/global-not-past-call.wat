;;! transform = "opt:O0"
;;! transform = "opt:O2"
;;! run = "f() -> 1"
(module
  (global $g (mut i32) (i32.const 0))
  (func $write (export "write") (global.set $g (i32.add (global.get $g) (i32.const 1))))
  (func (export "f") (result i32)
    (local $before i32)
    (call $write)
    (local.set $before (global.get $g))
    (call $write)
    (local.get $before)))

;;! output
;; opt:O0
;; (module
;;   (type (;0;) (func))
;;   (type (;1;) (func (result i32)))
;;   (global $g (;0;) (mut i32) i32.const 0)
;;   (export "write" (func $write))
;;   (export "f" (func 1))
;;   (func $write (;0;) (type 0)
;;     global.get $g
;;     i32.const 1
;;     i32.add
;;     global.set $g
;;   )
;;   (func (;1;) (type 1) (result i32)
;;     call $write
;;     global.get $g
;;     call $write
;;   )
;; )

;; opt:O2
;; (module
;;   (type (;0;) (func))
;;   (type (;1;) (func (result i32)))
;;   (global $g (;0;) (mut i32) i32.const 0)
;;   (export "write" (func $write))
;;   (export "f" (func 1))
;;   (func $write (;0;) (type 0)
;;     global.get $g
;;     i32.const 1
;;     i32.add
;;     global.set $g
;;   )
;;   (func (;1;) (type 1) (result i32)
;;     call $write
;;     global.get $g
;;     call $write
;;   )
;; )
