;;! passes = "simplify, dead-code"
;;! run = "extend(255) -> -1"
;; A program without sign-extension operators gets none.
(module
  (func (export "extend") (param i32) (result i32)
    (i32.shr_s (i32.shl (local.get 0) (i32.const 24)) (i32.const 24))))

;;! output
;; passes:simplify, dead-code
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (export "extend" (func 0))
;;   (func (;0;) (type 0) (param i32) (result i32)
;;     local.get 0
;;     i32.const 24
;;     i32.shl
;;     i32.const 24
;;     i32.shr_s
;;   )
;; )
