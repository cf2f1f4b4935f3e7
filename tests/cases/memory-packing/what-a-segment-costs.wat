;;! passes = "memory-packing"
;;! run = "f() -> 1, 1, 1"
;; Six zeros take one byte more than a segment of the first memory with a short offset. With a longer offset, or of another memory, it takes as many.
(module
  (memory $first 1)
  (memory $second 1)
  (data (memory $first) (i32.const 0) "\01\00\00\00\00\00\00\01")
  (data (memory $first) (i32.const 64) "\01\00\00\00\00\00\00\01")
  (data (memory $second) (i32.const 0) "\01\00\00\00\00\00\00\01")
  (func (export "f") (result i32 i32 i32)
    (i32.load8_u $first (i32.const 7)) (i32.load8_u $first (i32.const 71)) (i32.load8_u $second (i32.const 7))))

;;! output
;; passes:memory-packing
;; (module
;;   (type (;0;) (func (result i32 i32 i32)))
;;   (memory $first (;0;) 1)
;;   (memory $second (;1;) 1)
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (result i32 i32 i32)
;;     i32.const 7
;;     i32.load8_u
;;     i32.const 71
;;     i32.load8_u
;;     i32.const 7
;;     i32.load8_u $second
;;   )
;;   (data (;0;) (i32.const 0) "\01")
;;   (data (;1;) (i32.const 7) "\01")
;;   (data (;2;) (memory $second) (i32.const 0) "\01\00\00\00\00\00\00\01")
;;   (data (;3;) (i32.const 64) "\01\00\00\00\00\00\00\01")
;; )
