;;! transform = "opt:O0"
;;! transform = "opt:O2"
;;! run = "f(0) -> trap integer divide by zero"
;;! run = "stored() -> 1"
;; What was stored before the trap is there after it.
(module
  (memory 1)
  (func (export "f") (param $x i32) (result i32)
    (i32.store (i32.const 0) (i32.const 1))
    (i32.div_u (i32.const 8) (local.get $x)))
  (func (export "stored") (result i32) (i32.load (i32.const 0))))

;;! output
;; opt:O0
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (type (;1;) (func (result i32)))
;;   (memory (;0;) 1)
;;   (export "f" (func 0))
;;   (export "stored" (func 1))
;;   (func (;0;) (type 0) (param $x i32) (result i32)
;;     i32.const 0
;;     i32.const 1
;;     i32.store
;;     i32.const 8
;;     local.get $x
;;     i32.div_u
;;   )
;;   (func (;1;) (type 1) (result i32)
;;     i32.const 0
;;     i32.load
;;   )
;; )

;; opt:O2
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (type (;1;) (func (result i32)))
;;   (memory (;0;) 1)
;;   (export "f" (func 0))
;;   (export "stored" (func 1))
;;   (func (;0;) (type 0) (param $x i32) (result i32)
;;     i32.const 0
;;     i32.const 1
;;     i32.store
;;     i32.const 8
;;     local.get $x
;;     i32.div_u
;;   )
;;   (func (;1;) (type 1) (result i32)
;;     i32.const 0
;;     i32.load
;;   )
;; )
