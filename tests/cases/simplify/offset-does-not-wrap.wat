;;! passes = "simplify, dead-code"
;;! run = "f(-8) -> 42"
;;! run = "g(-8) -> trap out of bounds memory access"
;; The sum wraps to an address in bounds; as an offset it would not wrap.
(module
  (memory 1)
  (data (i32.const 0) "\2a")
  (func (export "f") (param $p i32) (result i32)
    (i32.load8_u (i32.add (local.get $p) (i32.const 8))))
  (func (export "g") (param $p i32) (result i32)
    (i32.load8_u offset=8 (local.get $p))))

;;! output
;; passes:simplify, dead-code
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (memory (;0;) 1)
;;   (export "f" (func 0))
;;   (export "g" (func 1))
;;   (func (;0;) (type 0) (param $p i32) (result i32)
;;     local.get $p
;;     i32.const 8
;;     i32.add
;;     i32.load8_u
;;   )
;;   (func (;1;) (type 0) (param $p i32) (result i32)
;;     local.get $p
;;     i32.load8_u offset=8
;;   )
;;   (data (;0;) (i32.const 0) "*")
;; )
