;;! passes = "branches, dead-code"
;;! run = "f(5) -> 5"
;;! run = "never_reached() -> 1"
;; A branch whose way is known is a jump; the other way goes, traps and all, as it is never taken.
(module
  (func (export "f") (param $x i32) (result i32)
    (if (result i32) (i32.const 1) (then (local.get $x)) (else (i32.const 9))))
  (func (export "never_reached") (result i32)
    (if (i32.const 0) (then (unreachable)))
    (i32.const 1)))

;;! output
;; passes:branches, dead-code
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (type (;1;) (func (result i32)))
;;   (export "f" (func 0))
;;   (export "never_reached" (func 1))
;;   (func (;0;) (type 0) (param $x i32) (result i32)
;;     local.get $x
;;   )
;;   (func (;1;) (type 1) (result i32)
;;     i32.const 1
;;   )
;; )
