;;! passes = "numbering, dead-code"
;;! run = "f() -> 1, 3"
(module
  (memory 1 4)
  (func (export "f") (result i32 i32)
    (local $before i32)
    (local.set $before (memory.size))
    (drop (memory.grow (i32.const 2)))
    (local.get $before)
    (memory.size)))

;;! output
;; passes:numbering, dead-code
;; (module
;;   (type (;0;) (func (result i32 i32)))
;;   (memory (;0;) 1 4)
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (result i32 i32)
;;     memory.size
;;     i32.const 2
;;     memory.grow
;;     drop
;;     memory.size
;;   )
;; )
