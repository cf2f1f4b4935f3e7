;;! passes = "branches, dead-code"
;;! run = "f(0) -> trap integer divide by zero"
;;! run = "f(2) -> 1"
;; Both ways are one, so the condition does not matter; that computing it may trap does.
(module
  (func (export "f") (param $x i32) (result i32)
    (block $same
      (br_if $same (i32.div_u (i32.const 4) (local.get $x))))
    (i32.const 1)))

;;! output
;; passes:branches, dead-code
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (param $x i32) (result i32)
;;     i32.const 4
;;     local.get $x
;;     i32.div_u
;;     drop
;;     i32.const 1
;;   )
;; )
