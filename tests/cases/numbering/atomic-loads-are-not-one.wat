;;! passes = "numbering, dead-code"
;;! run = "f() -> 6"
;; Atomic accesses are ordered with those of other threads: none is left out.
(module
  (memory 1)
  (func (export "f") (result i32)
    (i32.store (i32.const 8) (i32.const 3))
    (i32.add (i32.atomic.load (i32.const 8)) (i32.atomic.load (i32.const 8)))))

;;! output
;; passes:numbering, dead-code
;; (module
;;   (type (;0;) (func (result i32)))
;;   (memory (;0;) 1)
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (result i32)
;;     i32.const 8
;;     i32.const 3
;;     i32.store
;;     i32.const 8
;;     i32.atomic.load
;;     i32.const 8
;;     i32.atomic.load
;;     i32.add
;;   )
;; )
