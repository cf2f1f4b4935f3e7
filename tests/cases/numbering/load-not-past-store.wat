;;! passes = "numbering, dead-code"
;;! run = "f(0, 0) -> 9"
;;! run = "f(8, 4) -> 0"
;; The store may be to the same place.
(module
  (memory 1)
  (func (export "f") (param $p i32) (param $q i32) (result i32)
    (drop (i32.load (local.get $p)))
    (i32.store (local.get $q) (i32.const 9))
    (i32.load (local.get $p))))

;;! output
;; passes:numbering, dead-code
;; (module
;;   (type (;0;) (func (param i32 i32) (result i32)))
;;   (memory (;0;) 1)
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (param $p i32) (param $q i32) (result i32)
;;     local.get $p
;;     i32.load
;;     drop
;;     local.get $q
;;     i32.const 9
;;     i32.store
;;     local.get $p
;;     i32.load
;;   )
;; )
