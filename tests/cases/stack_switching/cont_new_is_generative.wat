;;! passes = "numbering, simplify, dead-code"
;;! run = "two() -> 3"
;; Two `cont.new` of one function are two continuations: merging them would consume one twice.
(module
  (type $f (func (param i32) (result i32)))
  (type $c (cont $f))
  (func $same (param i32) (result i32) (local.get 0))
  (elem declare func $same)
  (func (export "two") (result i32)
    (local $one (ref null $c))
    (local $other (ref null $c))
    (local.set $one (cont.new $c (ref.func $same)))
    (local.set $other (cont.new $c (ref.func $same)))
    (i32.add
      (resume $c (i32.const 1) (local.get $one))
      (resume $c (i32.const 2) (local.get $other))))
)

;;! output
;; passes:numbering, simplify, dead-code
;; (module
;;   (type $f (;0;) (func (param i32) (result i32)))
;;   (type $c (;1;) (cont $f))
;;   (type (;2;) (func (result i32)))
;;   (export "two" (func 1))
;;   (elem (;0;) declare func $same)
;;   (func $same (;0;) (type $f) (param i32) (result i32)
;;     local.get 0
;;   )
;;   (func (;1;) (type 2) (result i32)
;;     (local $other (ref $c))
;;     ref.func $same
;;     cont.new $c
;;     local.set $other
;;     i32.const 1
;;     ref.func $same
;;     cont.new $c
;;     resume $c
;;     i32.const 2
;;     local.get $other
;;     resume $c
;;     i32.add
;;   )
;; )
