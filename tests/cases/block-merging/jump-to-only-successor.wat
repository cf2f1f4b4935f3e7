;;! passes = "block-merging"
;;! run = "f(3) -> 7"
;; A block that is entered by one jump alone is part of the block that jumps.
(module
  (func (export "f") (param $x i32) (result i32)
    (block $out
      (local.set $x (i32.mul (local.get $x) (i32.const 2)))
      (br $out))
    (i32.add (local.get $x) (i32.const 1))))

;;! output
;; passes:block-merging
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (param $x i32) (result i32)
;;     local.get $x
;;     i32.const 2
;;     i32.mul
;;     i32.const 1
;;     i32.add
;;   )
;; )
