;;! passes = "inlining, remove-unused-module-elements"
;;! run = "f(3) -> 10"
(module
  (func $once (param $x i32) (result i32)
    (if (i32.gt_u (local.get $x) (i32.const 100)) (then (return (i32.const 0))))
    (i32.add (i32.mul (local.get $x) (i32.const 3)) (i32.const 1)))
  (func (export "f") (param $x i32) (result i32) (call $once (local.get $x))))

;;! output
;; passes:inlining, remove-unused-module-elements
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (param $x i32) (result i32)
;;     local.get $x
;;     i32.const 100
;;     i32.gt_u
;;     if (result i32) ;; label = @1
;;       i32.const 0
;;     else
;;       local.get $x
;;       i32.const 3
;;       i32.mul
;;       i32.const 1
;;       i32.add
;;     end
;;   )
;; )
