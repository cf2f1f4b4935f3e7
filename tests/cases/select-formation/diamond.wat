;;! passes = "jump-threading, select-formation, block-merging, dead-code"
;;! run = "f(1, 5, 6) -> 5"
;;! run = "f(0, 5, 6) -> 6"
;; A branch that only chooses one of two values that are there anyway.
(module
  (func (export "f") (param $c i32) (param $a i32) (param $b i32) (result i32)
    (if (result i32) (local.get $c) (then (local.get $a)) (else (local.get $b)))))

;;! output
;; passes:jump-threading, select-formation, block-merging, dead-code
;; (module
;;   (type (;0;) (func (param i32 i32 i32) (result i32)))
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (param $c i32) (param $a i32) (param $b i32) (result i32)
;;     local.get $a
;;     local.get $b
;;     local.get $c
;;     select
;;   )
;; )
