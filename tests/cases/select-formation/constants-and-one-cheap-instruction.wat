;;! passes = "select-formation, jump-threading, simplify, block-merging, dead-code"
;;! also = "opt:O2, opt:Oz"
;;! run = "less(1, 2) -> 1"
;;! run = "less(2, 1) -> 0"
;;! run = "five(1, 2) -> 5"
;;! run = "five(2, 1) -> 6"
;;! run = "early(1, 2) -> 7"
;;! run = "early(2, 1) -> 8"
;;! run = "abs(-5) -> 5"
;;! run = "abs(5) -> 5"
;;! run = "two(-5) -> 27"
;;! run = "two(5) -> 5"
;; Two instructions are more than a branch, and a division is computed only where it is asked for.
(module
  (func (export "less") (param i32 i32) (result i32)
    (if (result i32) (i32.lt_s (local.get 0) (local.get 1)) (then (i32.const 1)) (else (i32.const 0))))
  (func (export "five") (param i32 i32) (result i32)
    (if (result i32) (i32.lt_s (local.get 0) (local.get 1)) (then (i32.const 5)) (else (i32.const 6))))
  (func (export "early") (param i32 i32) (result i32)
    (if (i32.lt_s (local.get 0) (local.get 1)) (then (return (i32.const 7))))
    (i32.const 8))
  (func (export "abs") (param i32) (result i32)
    (if (i32.lt_s (local.get 0) (i32.const 0)) (then (local.set 0 (i32.sub (i32.const 0) (local.get 0)))))
    (local.get 0))
  (func (export "two") (param i32) (result i32)
    (if (i32.lt_s (local.get 0) (i32.const 0))
      (then (local.set 0 (i32.add (i32.const 2) (i32.mul (i32.const -5) (local.get 0))))))
    (local.get 0))
  (func (export "quotient") (param i32 i32) (result i32)
    (if (local.get 1) (then (local.set 0 (i32.div_u (local.get 0) (local.get 1)))))
    (local.get 0)))

;;! output
;; passes:select-formation, jump-threading, simplify, block-merging, dead-code
;; (module
;;   (type (;0;) (func (param i32 i32) (result i32)))
;;   (type (;1;) (func (param i32) (result i32)))
;;   (export "less" (func 0))
;;   (export "five" (func 1))
;;   (export "early" (func 2))
;;   (export "abs" (func 3))
;;   (export "two" (func 4))
;;   (export "quotient" (func 5))
;;   (func (;0;) (type 0) (param i32 i32) (result i32)
;;     local.get 0
;;     local.get 1
;;     i32.lt_s
;;   )
;;   (func (;1;) (type 0) (param i32 i32) (result i32)
;;     i32.const 5
;;     i32.const 6
;;     local.get 0
;;     local.get 1
;;     i32.lt_s
;;     select
;;   )
;;   (func (;2;) (type 0) (param i32 i32) (result i32)
;;     i32.const 7
;;     i32.const 8
;;     local.get 0
;;     local.get 1
;;     i32.lt_s
;;     select
;;   )
;;   (func (;3;) (type 1) (param i32) (result i32)
;;     i32.const 0
;;     local.get 0
;;     i32.sub
;;     local.get 0
;;     local.get 0
;;     i32.const 0
;;     i32.lt_s
;;     select
;;   )
;;   (func (;4;) (type 1) (param i32) (result i32)
;;     local.get 0
;;     i32.const 0
;;     i32.lt_s
;;     if (result i32) ;; label = @1
;;       local.get 0
;;       i32.const -5
;;       i32.mul
;;       i32.const 2
;;       i32.add
;;     else
;;       local.get 0
;;     end
;;   )
;;   (func (;5;) (type 0) (param i32 i32) (result i32)
;;     local.get 1
;;     if (result i32) ;; label = @1
;;       local.get 0
;;       local.get 1
;;       i32.div_u
;;     else
;;       local.get 0
;;     end
;;   )
;; )
