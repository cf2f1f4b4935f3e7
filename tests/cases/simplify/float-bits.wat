;;! passes = "simplify, dead-code"
;;! run = "signalling(0x7fa00000) -> 1"
;;! run = "minus_zero() -> 0"
;;! run = "plus_zero(0x80000000) -> 0"
;;! run = "not_equal_to_itself(0x7fc00000) -> 1"
;;! run = "copied(0x7fa00000) -> 0x7fa00000"
;; `x + 0` changes -0, `x * 1` may quiet a NaN, `x == x` is false for a NaN; moving a float's bits about changes none of them.
(module
  (func (export "signalling") (param $bits i32) (result i32)
    (local $y f32)
    (local.set $y (f32.mul (f32.reinterpret_i32 (local.get $bits)) (f32.const 1)))
    (f32.ne (local.get $y) (local.get $y)))
  (func (export "minus_zero") (result i32)
    (i32.reinterpret_f32 (f32.add (f32.const -0) (f32.const 0))))
  (func (export "plus_zero") (param $bits i32) (result i32)
    (i32.reinterpret_f32 (f32.add (f32.reinterpret_i32 (local.get $bits)) (f32.const 0))))
  (func (export "not_equal_to_itself") (param $bits i32) (result i32)
    (f32.ne (f32.reinterpret_i32 (local.get $bits)) (f32.reinterpret_i32 (local.get $bits))))
  (func (export "copied") (param $bits i32) (result i32)
    (i32.reinterpret_f32 (f32.reinterpret_i32 (local.get $bits)))))

;;! output
;; passes:simplify, dead-code
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (type (;1;) (func (result i32)))
;;   (export "signalling" (func 0))
;;   (export "minus_zero" (func 1))
;;   (export "plus_zero" (func 2))
;;   (export "not_equal_to_itself" (func 3))
;;   (export "copied" (func 4))
;;   (func (;0;) (type 0) (param $bits i32) (result i32)
;;     (local $y f32)
;;     local.get $bits
;;     f32.reinterpret_i32
;;     f32.const 0x1p+0 (;=1;)
;;     f32.mul
;;     local.tee $y
;;     local.get $y
;;     f32.ne
;;   )
;;   (func (;1;) (type 1) (result i32)
;;     i32.const 0
;;   )
;;   (func (;2;) (type 0) (param $bits i32) (result i32)
;;     local.get $bits
;;     f32.reinterpret_i32
;;     f32.const 0x0p+0 (;=0;)
;;     f32.add
;;     i32.reinterpret_f32
;;   )
;;   (func (;3;) (type 0) (param $bits i32) (result i32)
;;     local.get $bits
;;     f32.reinterpret_i32
;;     local.get $bits
;;     f32.reinterpret_i32
;;     f32.ne
;;   )
;;   (func (;4;) (type 0) (param $bits i32) (result i32)
;;     local.get $bits
;;   )
;; )
