;;! passes = "branches, dead-code"
;;! run = "f() -> 20"
;;! run = "beyond() -> 30"
;; `br_table` of a constant; an index beyond the table, unsigned, is the default.
(module
  (func (export "f") (result i32)
    (block $default (block $one (block $zero
      (br_table $zero $one $default (i32.const 1)))
      (return (i32.const 10)))
      (return (i32.const 20)))
    (i32.const 30))
  (func (export "beyond") (result i32)
    (block $default (block $one (block $zero
      (br_table $zero $one $default (i32.const -1)))
      (return (i32.const 10)))
      (return (i32.const 20)))
    (i32.const 30)))

;;! output
;; passes:branches, dead-code
;; (module
;;   (type (;0;) (func (result i32)))
;;   (export "f" (func 0))
;;   (export "beyond" (func 1))
;;   (func (;0;) (type 0) (result i32)
;;     i32.const 20
;;   )
;;   (func (;1;) (type 0) (result i32)
;;     i32.const 30
;;   )
;; )
