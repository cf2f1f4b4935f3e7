;;! transform = "opt:O0"
;;! transform = "opt:O2"
;;! run = "f() -> 3"
;; The load's only use stands behind the store; it is not moved there.
(module
  (memory 1)
  (func (export "f") (result i32)
    (local $x i32)
    (i32.store (i32.const 0) (i32.const 3))
    (local.set $x (i32.load (i32.const 0)))
    (i32.store (i32.const 0) (i32.const 4))
    (local.get $x)))

;;! output
;; opt:O0
;; (module
;;   (type (;0;) (func (result i32)))
;;   (memory (;0;) 1)
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (result i32)
;;     i32.const 0
;;     i32.const 3
;;     i32.store
;;     i32.const 0
;;     i32.load
;;     i32.const 0
;;     i32.const 4
;;     i32.store
;;   )
;; )

;; opt:O2
;; (module
;;   (type (;0;) (func (result i32)))
;;   (memory (;0;) 1)
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (result i32)
;;     i32.const 0
;;     i32.const 3
;;     i32.store
;;     i32.const 0
;;     i32.const 4
;;     i32.store
;;     i32.const 3
;;   )
;; )
