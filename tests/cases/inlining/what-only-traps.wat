;;! passes = "inlining, dead-code, block-merging, remove-unused-module-elements"
;;! also = "everything"
;;! run = "f(3) -> 6"
;;! run = "f(200) -> trap unreachable"
;; What comes after a call of a function that only traps goes with the call.
(module
  (func $fail (param i32) (result i32) (unreachable))
  (func (export "f") (param $x i32) (result i32)
    (if (i32.gt_u (local.get $x) (i32.const 100))
      (then (return (i32.mul (call $fail (local.get $x)) (i32.const 12345)))))
    (i32.mul (local.get $x) (i32.const 2))))

;;! output
;; passes:inlining, dead-code, block-merging, remove-unused-module-elements
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (param $x i32) (result i32)
;;     local.get $x
;;     i32.const 100
;;     i32.gt_u
;;     if ;; label = @1
;;       unreachable
;;     end
;;     local.get $x
;;     i32.const 2
;;     i32.mul
;;   )
;; )
