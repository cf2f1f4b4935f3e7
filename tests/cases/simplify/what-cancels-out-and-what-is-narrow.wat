;;! passes = "simplify, dead-code"
;;! also = "opt:O2"
;;! run = "xor(12, 10) -> 12"
;;! run = "extend(255) -> -1"
;;! run = "extend(127) -> 127"
;;! run = "extend64(32768) -> -32768"
;;! run = "sum(-1, 5) -> 4"
;;! run = "scaled(2147483647) -> 2147483645"
;;! run = "other(-1, 5) -> 0"
;; The module has sign-extension operators of its own, so more may be used. A quotient's low half does not follow from low halves.
(module
  (func (export "xor") (param i32 i32) (result i32)
    (i32.xor (local.get 1) (i32.xor (local.get 0) (local.get 1))))
  (func (export "extend") (param i32) (result i32)
    (i32.shr_s (i32.shl (local.get 0) (i32.const 24)) (i32.const 24)))
  (func (export "extend64") (param i64) (result i64)
    (i64.shr_s (i64.shl (local.get 0) (i64.const 48)) (i64.const 48)))
  (func (export "own") (param i32) (result i32) (i32.extend8_s (local.get 0)))
  (func (export "sum") (param i32 i32) (result i32)
    (i32.wrap_i64 (i64.add (i64.extend_i32_u (local.get 0)) (i64.extend_i32_s (local.get 1)))))
  (func (export "scaled") (param i32) (result i32)
    (i32.wrap_i64 (i64.mul (i64.extend_i32_s (local.get 0)) (i64.const 0x100000003))))
  (func (export "other") (param i32 i32) (result i32)
    (i32.wrap_i64 (i64.div_s (i64.extend_i32_s (local.get 0)) (i64.extend_i32_s (local.get 1))))))

;;! output
;; passes:simplify, dead-code
;; (module
;;   (type (;0;) (func (param i32 i32) (result i32)))
;;   (type (;1;) (func (param i32) (result i32)))
;;   (type (;2;) (func (param i64) (result i64)))
;;   (export "xor" (func 0))
;;   (export "extend" (func 1))
;;   (export "extend64" (func 2))
;;   (export "own" (func 3))
;;   (export "sum" (func 4))
;;   (export "scaled" (func 5))
;;   (export "other" (func 6))
;;   (func (;0;) (type 0) (param i32 i32) (result i32)
;;     local.get 0
;;   )
;;   (func (;1;) (type 1) (param i32) (result i32)
;;     local.get 0
;;     i32.extend8_s
;;   )
;;   (func (;2;) (type 2) (param i64) (result i64)
;;     local.get 0
;;     i64.extend16_s
;;   )
;;   (func (;3;) (type 1) (param i32) (result i32)
;;     local.get 0
;;     i32.extend8_s
;;   )
;;   (func (;4;) (type 0) (param i32 i32) (result i32)
;;     local.get 0
;;     local.get 1
;;     i32.add
;;   )
;;   (func (;5;) (type 1) (param i32) (result i32)
;;     local.get 0
;;     i32.const 3
;;     i32.mul
;;   )
;;   (func (;6;) (type 0) (param i32 i32) (result i32)
;;     local.get 0
;;     i64.extend_i32_s
;;     local.get 1
;;     i64.extend_i32_s
;;     i64.div_s
;;     i32.wrap_i64
;;   )
;; )
