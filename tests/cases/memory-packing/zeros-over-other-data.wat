;;! passes = "memory-packing"
;;! run = "f() -> 0"
;; The zeros of the second segment are written over the first one's data.
(module
  (memory 1)
  (data (i32.const 0) "\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01")
  (data (i32.const 0) "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (func (export "f") (result i32) (i32.load8_u (i32.const 3))))

;;! output
;; passes:memory-packing
;; (module
;;   (type (;0;) (func (result i32)))
;;   (memory (;0;) 1)
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (result i32)
;;     i32.const 3
;;     i32.load8_u
;;   )
;;   (data (;0;) (i32.const 0) "\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01\01")
;;   (data (;1;) (i32.const 0) "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
;; )
