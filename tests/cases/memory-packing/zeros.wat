;;! passes = "memory-packing"
;;! run = "f() -> 1, 0, 2"
(module
  (memory 1)
  (data (i32.const 0) "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\02\00\00\00\00")
  (func (export "f") (result i32 i32 i32)
    (i32.load8_u (i32.const 0)) (i32.load8_u (i32.const 16)) (i32.load8_u (i32.const 32))))

;;! output
;; passes:memory-packing
;; (module
;;   (type (;0;) (func (result i32 i32 i32)))
;;   (memory (;0;) 1)
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (result i32 i32 i32)
;;     i32.const 0
;;     i32.load8_u
;;     i32.const 16
;;     i32.load8_u
;;     i32.const 32
;;     i32.load8_u
;;   )
;;   (data (;0;) (i32.const 0) "\01")
;;   (data (;1;) (i32.const 32) "\02")
;; )
