;;! transform = "opt:O0"
;;! transform = "opt:O2"
;;! run = "f() -> 1"
(module
  (memory 1 3)
  (func (export "f") (result i32)
    (local $before i32)
    (local.set $before (memory.size))
    (drop (memory.grow (i32.const 1)))
    (local.get $before)))

;;! output
;; opt:O0
;; (module
;;   (type (;0;) (func (result i32)))
;;   (memory (;0;) 1 3)
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (result i32)
;;     memory.size
;;     i32.const 1
;;     memory.grow
;;     drop
;;   )
;; )

;; opt:O2
;; (module
;;   (type (;0;) (func (result i32)))
;;   (memory (;0;) 1 3)
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (result i32)
;;     memory.size
;;     i32.const 1
;;     memory.grow
;;     drop
;;   )
;; )
