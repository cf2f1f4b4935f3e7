;;! passes = "numbering, dead-code"
;;! run = "f() -> 1, 0"
(module
  (table $t 1 funcref)
  (elem declare func $f)
  (func $f (export "f") (result i32 i32)
    (ref.is_null (table.get $t (i32.const 0)))
    (table.set $t (i32.const 0) (ref.func $f))
    (ref.is_null (table.get $t (i32.const 0)))))

;;! output
;; passes:numbering, dead-code
;; (module
;;   (type (;0;) (func (result i32 i32)))
;;   (table $t (;0;) 1 funcref)
;;   (export "f" (func $f))
;;   (elem (;0;) declare func $f)
;;   (func $f (;0;) (type 0) (result i32 i32)
;;     i32.const 0
;;     table.get $t
;;     i32.const 0
;;     ref.func $f
;;     table.set $t
;;     ref.is_null
;;     ref.func $f
;;     ref.is_null
;;   )
;; )
