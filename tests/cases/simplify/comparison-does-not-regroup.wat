;;! passes = "simplify, dead-code"
;;! run = "less(2147483647) -> 1"
;;! run = "less(5) -> 0"
;;! run = "equal(2147483647) -> 1"
;; `x + 1 < 5` is not `x < 4` where the sum wraps; `x + 1 == c` is `x == c - 1` whatever wraps.
(module
  (func (export "less") (param $x i32) (result i32)
    (i32.lt_s (i32.add (local.get $x) (i32.const 1)) (i32.const 5)))
  (func (export "equal") (param $x i32) (result i32)
    (i32.eq (i32.add (local.get $x) (i32.const 1)) (i32.const 0x80000000))))

;;! output
;; passes:simplify, dead-code
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (export "less" (func 0))
;;   (export "equal" (func 1))
;;   (func (;0;) (type 0) (param $x i32) (result i32)
;;     local.get $x
;;     i32.const 1
;;     i32.add
;;     i32.const 5
;;     i32.lt_s
;;   )
;;   (func (;1;) (type 0) (param $x i32) (result i32)
;;     local.get $x
;;     i32.const 2147483647
;;     i32.eq
;;   )
;; )
