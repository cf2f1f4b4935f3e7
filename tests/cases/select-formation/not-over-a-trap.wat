;;! passes = "jump-threading, select-formation, block-merging, dead-code"
;;! run = "f(0, 8, 0) -> 8"
;;! run = "f(1, 8, 0) -> trap integer divide by zero"
;;! run = "f(1, 8, 2) -> 4"
;; One side divides: it must not be computed where it was not.
(module
  (func (export "f") (param $c i32) (param $a i32) (param $b i32) (result i32)
    (if (result i32) (local.get $c)
      (then (i32.div_u (local.get $a) (local.get $b)))
      (else (local.get $a)))))

;;! output
;; passes:jump-threading, select-formation, block-merging, dead-code
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
;;       local.get $a
;;     end
;;   )
;; )
