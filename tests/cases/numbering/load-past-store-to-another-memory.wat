;;! passes = "numbering, dead-code"
;;! run = "f() -> 0"
(module
  (memory $a 1)
  (memory $b 1)
  (func (export "f") (result i32)
    (local $x i32)
    (local.set $x (i32.load $a (i32.const 0)))
    (i32.store $b (i32.const 0) (i32.const 9))
    (i32.add (local.get $x) (i32.load $a (i32.const 0)))))

;;! output
;; passes:numbering, dead-code
;; (module
;;   (type (;0;) (func (result i32)))
;;   (memory $a (;0;) 1)
;;   (memory $b (;1;) 1)
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (result i32)
;;     (local $x i32)
;;     i32.const 0
;;     i32.load
;;     local.tee $x
;;     i32.const 0
;;     i32.const 9
;;     i32.store $b
;;     local.get $x
;;     i32.add
;;   )
;; )
