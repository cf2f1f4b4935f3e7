;;! passes = "numbering, dead-code"
;;! run = "f() -> 0"
(module
  (type $s (struct (field i32)))
  (func (export "f") (result i32)
    (ref.eq (struct.new $s (i32.const 1)) (struct.new $s (i32.const 1)))))

;;! output
;; passes:numbering, dead-code
;; (module
;;   (type $s (;0;) (struct (field i32)))
;;   (type (;1;) (func (result i32)))
;;   (export "f" (func 0))
;;   (func (;0;) (type 1) (result i32)
;;     i32.const 1
;;     struct.new $s
;;     i32.const 1
;;     struct.new $s
;;     ref.eq
;;   )
;; )
