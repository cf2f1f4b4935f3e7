;;! passes = "inlining, remove-unused-module-elements"
;;! run = "f(3) -> 107"
(module
  (func $other (export "other") (param $x i32) (result i32)
    (if (result i32) (local.get $x) (then (i32.add (local.get $x) (i32.const 4))) (else (i32.const 1))))
  (func $once (param $x i32) (result i32)
    (if (i32.eqz (local.get $x)) (then (return (i32.const 1))))
    (return_call $other (local.get $x)))
  (func (export "f") (param $x i32) (result i32)
    (i32.add (call $once (local.get $x)) (i32.const 100))))

;;! output
;; passes:inlining, remove-unused-module-elements
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (export "other" (func $other))
;;   (export "f" (func 1))
;;   (func $other (;0;) (type 0) (param $x i32) (result i32)
;;     local.get $x
;;     if (result i32) ;; label = @1
;;       local.get $x
;;       i32.const 4
;;       i32.add
;;     else
;;       i32.const 1
;;     end
;;   )
;;   (func (;1;) (type 0) (param $x i32) (result i32)
;;     local.get $x
;;     if (result i32) ;; label = @1
;;       local.get $x
;;       call $other
;;     else
;;       i32.const 1
;;     end
;;     i32.const 100
;;     i32.add
;;   )
;; )
