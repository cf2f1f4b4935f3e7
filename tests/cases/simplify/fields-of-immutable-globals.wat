;;! passes = "simplify, dead-code"
;;! also = "opt:O2, opt:Oz"
;;! run = "virtual(5) -> 6"
;;! run = "number() -> 7"
;;! run = "other() -> 1"
;;! run = "changes() -> 9"
;;! run = "changes() -> 9"
;;! run = "of_mutable() -> 3"
;; A table of methods that is a global: what it holds is known, but not what is written to its mutable fields, nor what a mutable global is.
(module
  (type $f (func (param i32) (result i32)))
  (type $vtable (struct (field $method (ref $f)) (field $number i32) (field $other eqref) (field $state (mut i32))))
  (global $nothing eqref (ref.null none))
  (global $vt (ref $vtable)
    (struct.new $vtable (ref.func $method) (i32.const 7) (global.get $nothing) (i32.const 8)))
  (global $current (mut (ref $vtable))
    (struct.new $vtable (ref.func $method) (i32.const 2) (ref.null none) (i32.const 2)))
  (func $method (type $f) (i32.add (local.get 0) (i32.const 1)))
  (func (export "virtual") (param i32) (result i32)
    (call_ref $f (local.get 0) (struct.get $vtable $method (global.get $vt))))
  (func (export "number") (result i32) (struct.get $vtable $number (global.get $vt)))
  (func (export "other") (result i32) (ref.is_null (struct.get $vtable $other (global.get $vt))))
  (func (export "changes") (result i32)
    (struct.set $vtable $state (global.get $vt) (i32.const 9))
    (struct.get $vtable $state (global.get $vt)))
  (func (export "of_mutable") (result i32)
    (global.set $current (struct.new $vtable (ref.func $method) (i32.const 3) (ref.null none) (i32.const 3)))
    (struct.get $vtable $number (global.get $current))))

;;! output
;; passes:simplify, dead-code
;; (module
;;   (type $f (;0;) (func (param i32) (result i32)))
;;   (type $vtable (;1;) (struct (field $method (ref $f)) (field $number i32) (field $other eqref) (field $state (mut i32))))
;;   (type (;2;) (func (result i32)))
;;   (global $nothing (;0;) eqref ref.null none)
;;   (global $vt (;1;) (ref $vtable) ref.func $method i32.const 7 global.get $nothing i32.const 8 struct.new $vtable)
;;   (global $current (;2;) (mut (ref $vtable)) ref.func $method i32.const 2 ref.null none i32.const 2 struct.new $vtable)
;;   (export "virtual" (func 1))
;;   (export "number" (func 2))
;;   (export "other" (func 3))
;;   (export "changes" (func 4))
;;   (export "of_mutable" (func 5))
;;   (func $method (;0;) (type $f) (param i32) (result i32)
;;     local.get 0
;;     i32.const 1
;;     i32.add
;;   )
;;   (func (;1;) (type $f) (param i32) (result i32)
;;     local.get 0
;;     ref.func $method
;;     call_ref $f
;;   )
;;   (func (;2;) (type 2) (result i32)
;;     i32.const 7
;;   )
;;   (func (;3;) (type 2) (result i32)
;;     global.get $nothing
;;     ref.is_null
;;   )
;;   (func (;4;) (type 2) (result i32)
;;     global.get $vt
;;     i32.const 9
;;     struct.set $vtable $state
;;     global.get $vt
;;     struct.get $vtable $state
;;   )
;;   (func (;5;) (type 2) (result i32)
;;     ref.func $method
;;     i32.const 3
;;     ref.null none
;;     i32.const 3
;;     struct.new $vtable
;;     global.set $current
;;     global.get $current
;;     struct.get $vtable $number
;;   )
;; )
