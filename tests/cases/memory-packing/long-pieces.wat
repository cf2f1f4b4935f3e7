;;! passes = "memory-packing"
;;! run = "f() -> 0, 120"
;; The length of a segment takes two bytes from 128 on, once for both pieces and once more if they are apart.
(module
  (memory 1)
  (data (i32.const 0) "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\00\00\00\00\00\00\00xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
  (func (export "f") (result i32 i32) (i32.load8_u (i32.const 136)) (i32.load8_u (i32.const 137))))

;;! output
;; passes:memory-packing
;; (module
;;   (type (;0;) (func (result i32 i32)))
;;   (memory (;0;) 1)
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (result i32 i32)
;;     i32.const 136
;;     i32.load8_u
;;     i32.const 137
;;     i32.load8_u
;;   )
;;   (data (;0;) (i32.const 0) "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\00\00\00\00\00\00\00xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
;; )
