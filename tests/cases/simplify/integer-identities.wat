;;! passes = "simplify, dead-code"
;;! run = "f(7) -> 7"
;;! run = "wraps(-1) -> 0"
;;! run = "shift_modulo(1) -> 2"
;;! run = "power(5) -> 40"
(module
  (func (export "f") (param $x i32) (result i32)
    (i32.xor (i32.or (i32.mul (i32.add (local.get $x) (i32.const 0)) (i32.const 1)) (i32.const 0)) (i32.const 0)))
  ;; Sums regroup modulo 2^32.
  (func (export "wraps") (param $x i32) (result i32)
    (i32.add (i32.add (local.get $x) (i32.const 0x7fffffff)) (i32.const 0x80000002)))
  ;; The count is taken modulo 32.
  (func (export "shift_modulo") (param $x i32) (result i32)
    (i32.shl (local.get $x) (i32.const 33)))
  (func (export "power") (param $x i32) (result i32)
    (i32.mul (local.get $x) (i32.const 8))))

;;! output
;; passes:simplify, dead-code
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (export "f" (func 0))
;;   (export "wraps" (func 1))
;;   (export "shift_modulo" (func 2))
;;   (export "power" (func 3))
;;   (func (;0;) (type 0) (param $x i32) (result i32)
;;     local.get $x
;;   )
;;   (func (;1;) (type 0) (param $x i32) (result i32)
;;     local.get $x
;;     i32.const 1
;;     i32.add
;;   )
;;   (func (;2;) (type 0) (param $x i32) (result i32)
;;     local.get $x
;;     i32.const 33
;;     i32.shl
;;   )
;;   (func (;3;) (type 0) (param $x i32) (result i32)
;;     local.get $x
;;     i32.const 8
;;     i32.mul
;;   )
;; )
