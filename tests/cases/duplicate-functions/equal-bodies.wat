;;! passes = "duplicate-functions"
;;! run = "f(3) -> 4"
;;! run = "g(3) -> 4"
;;! run = "h(3) -> 2"
(module
  (func $a (param $x i32) (result i32) (i32.add (local.get $x) (i32.const 1)))
  (func $b (param $y i32) (result i32) (i32.add (local.get $y) (i32.const 1)))
  (func $c (param $y i32) (result i32) (i32.sub (local.get $y) (i32.const 1)))
  (func (export "f") (param i32) (result i32) (call $a (local.get 0)))
  (func (export "g") (param i32) (result i32) (call $b (local.get 0)))
  (func (export "h") (param i32) (result i32) (call $c (local.get 0))))

;;! output
;; passes:duplicate-functions
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (export "f" (func 2))
;;   (export "g" (func 2))
;;   (export "h" (func 3))
;;   (func $a (;0;) (type 0) (param $x i32) (result i32)
;;     local.get $x
;;     i32.const 1
;;     i32.add
;;   )
;;   (func $c (;1;) (type 0) (param $y i32) (result i32)
;;     local.get $y
;;     i32.const 1
;;     i32.sub
;;   )
;;   (func (;2;) (type 0) (param i32) (result i32)
;;     local.get 0
;;     call $a
;;   )
;;   (func (;3;) (type 0) (param i32) (result i32)
;;     local.get 0
;;     call $c
;;   )
;; )
