;;! passes = "dead-arguments, dead-code"
;;! run = "f(4) -> 9"
;;! run = "g(4) -> 10"
(module
  (global $g (mut i32) (i32.const 0))
  (func $callee (param $used i32) (param $unused f64) (param $always i32) (result i32)
    (global.set $g (i32.add (local.get $used) (local.get $always)))
    (i32.const 77))
  (func (export "f") (param $x i32) (result i32)
    (drop (call $callee (local.get $x) (f64.const 1) (i32.const 5)))
    (global.get $g))
  (func (export "g") (param $x i32) (result i32)
    (drop (call $callee (i32.add (local.get $x) (i32.const 1)) (f64.const 2) (i32.const 5)))
    (global.get $g)))

;;! output
;; passes:dead-arguments, dead-code
;; (module
;;   (type (;0;) (func (param i32 f64 i32) (result i32)))
;;   (type (;1;) (func (param i32) (result i32)))
;;   (type (;2;) (func (param i32)))
;;   (global $g (;0;) (mut i32) i32.const 0)
;;   (export "f" (func 1))
;;   (export "g" (func 2))
;;   (func $callee (;0;) (type 2) (param $used i32)
;;     local.get $used
;;     i32.const 5
;;     i32.add
;;     global.set $g
;;   )
;;   (func (;1;) (type 1) (param $x i32) (result i32)
;;     local.get $x
;;     call $callee
;;     global.get $g
;;   )
;;   (func (;2;) (type 1) (param $x i32) (result i32)
;;     local.get $x
;;     i32.const 1
;;     i32.add
;;     call $callee
;;     global.get $g
;;   )
;; )
