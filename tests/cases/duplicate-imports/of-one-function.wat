;;! passes = "duplicate-imports"
;;! also = "everything"
;;! link = "host (module (global $n (mut i32) (i32.const 0)) (func (export "next") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)) (func (export "double") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2))))"
;;! run = "both() -> 1, 2"
;;! run = "both() -> 3, 4"
;;! run = "through_the_table() -> 5"
;;! run = "double(4) -> 8"
;; Calls of and references to the second and third import of `next` become the first one's; what has another name stays.
(module
  (import "host" "next" (func $first (result i32)))
  (import "host" "double" (func $double (param i32) (result i32)))
  (import "host" "next" (func $second (result i32)))
  (import "host" "next" (func $third (result i32)))
  (type $next (func (result i32)))
  (table 1 funcref)
  (elem (i32.const 0) $third)
  (func (export "both") (result i32 i32) (call $first) (call $second))
  (func (export "through_the_table") (result i32) (call_indirect (type $next) (i32.const 0)))
  (func (export "double") (param i32) (result i32) (call $double (local.get 0))))

;;! output
;; passes:duplicate-imports
;; (module
;;   (type $next (;0;) (func (result i32)))
;;   (type (;1;) (func (param i32) (result i32)))
;;   (type (;2;) (func (result i32 i32)))
;;   (import "host" "next" (func $first (;0;) (type $next) (result i32)))
;;   (import "host" "double" (func $double (;1;) (type 1) (param i32) (result i32)))
;;   (table (;0;) 1 funcref)
;;   (export "both" (func 2))
;;   (export "through_the_table" (func 3))
;;   (export "double" (func 4))
;;   (elem (;0;) (i32.const 0) func $first)
;;   (func (;2;) (type 2) (result i32 i32)
;;     call $first
;;     call $first
;;   )
;;   (func (;3;) (type $next) (result i32)
;;     i32.const 0
;;     call_indirect (type $next)
;;   )
;;   (func (;4;) (type 1) (param i32) (result i32)
;;     local.get 0
;;     call $double
;;   )
;; )
