;;! passes = "numbering, dead-code"
;;! run = "f(1, 6, 0) -> trap integer divide by zero"
;;! run = "f(0, 6, 0) -> 0"
;; Neither side's division is computed before the other.
(module
  (func (export "f") (param $c i32) (param $a i32) (param $b i32) (result i32)
    (local $x i32)
    (if (local.get $c)
      (then (local.set $x (i32.div_u (local.get $a) (local.get $b))))
      (else (if (local.get $b) (then (local.set $x (i32.div_u (local.get $a) (local.get $b)))))))
    (local.get $x)))

;;! output
;; passes:numbering, dead-code
;; (module
;;   (type (;0;) (func (param i32 i32 i32) (result i32)))
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (param $c i32) (param $a i32) (param $b i32) (result i32)
;;     local.get $c
;;     if (result i32) ;; label = @1
;;       local.get $a
;;       local.get $b
;;       i32.div_u
;;     else
;;       local.get $b
;;       if (result i32) ;; label = @2
;;         local.get $a
;;         local.get $b
;;         i32.div_u
;;       else
;;         i32.const 0
;;       end
;;     end
;;   )
;; )
