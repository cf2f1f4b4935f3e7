;;! transform = "opt:Os"
;;! also = "everything"
;;! run = "f(1) -> 8"
;;! run = "lane(5) -> 8"
;; There are few functions, so a call takes two bytes.
(module
  ;; Three bytes in place of each call.
  (func $inc (export "inc") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  ;; The same, but nobody else needs the function, which takes more than the calls save.
  (func $double (param i32) (result i32) (i32.shl (local.get 0) (i32.const 1)))
  ;; Two operators of three bytes each.
  (func $negate (export "negate") (param v128) (result v128) (i32x4.abs (i64x2.neg (local.get 0))))
  (func (export "f") (param i32) (result i32)
    (call $double (call $inc (call $inc (i32.xor (call $double (call $inc (local.get 0))) (i32.const 6))))))
  (func (export "lane") (param i32) (result i32)
    (local.set 0 (i32x4.extract_lane 1 (call $negate (i32x4.splat (local.get 0)))))
    (local.set 0 (i32x4.extract_lane 1 (call $negate (i32x4.splat (local.get 0)))))
    (i32x4.extract_lane 1 (call $negate (i32x4.splat (local.get 0))))))

;;! output
;; opt:Os
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (type (;1;) (func (param v128) (result v128)))
;;   (export "inc" (func $inc))
;;   (export "negate" (func $negate))
;;   (export "f" (func 2))
;;   (export "lane" (func 3))
;;   (func $inc (;0;) (type 0) (param i32) (result i32)
;;     local.get 0
;;     i32.const 1
;;     i32.add
;;   )
;;   (func $negate (;1;) (type 1) (param v128) (result v128)
;;     local.get 0
;;     i64x2.neg
;;     i32x4.abs
;;   )
;;   (func (;2;) (type 0) (param i32) (result i32)
;;     local.get 0
;;     call $inc
;;     i32.const 1
;;     i32.shl
;;     i32.const 6
;;     i32.xor
;;     call $inc
;;     call $inc
;;     i32.const 1
;;     i32.shl
;;   )
;;   (func (;3;) (type 0) (param i32) (result i32)
;;     local.get 0
;;     i32x4.splat
;;     call $negate
;;     i32x4.extract_lane 1
;;     i32x4.splat
;;     call $negate
;;     i32x4.extract_lane 1
;;     i32x4.splat
;;     call $negate
;;     i32x4.extract_lane 1
;;   )
;; )
