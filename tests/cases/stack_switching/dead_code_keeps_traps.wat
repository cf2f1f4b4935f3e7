;;! passes = "dead-code"
;;! run = "fine() -> 1"
;;! run = "null_continuation() -> trap null"
;;! run = "consumed() -> trap continuation already consumed"
;;! run = "null_function() -> trap null"
;; `cont.new` whose result nobody wants may go if its function is there; `cont.bind` consumes, and both trap on null.
(module
  (type $f (func (param i32)))
  (type $c (cont $f))
  (type $g (func))
  (type $d (cont $g))
  (func $body (param i32))
  (elem declare func $body)
  (func (export "fine") (result i32)
    (drop (cont.new $c (ref.func $body)))
    (i32.const 1))
  (func (export "null_continuation")
    (drop (cont.bind $c $d (i32.const 1) (ref.null $c))))
  (func (export "consumed")
    (local $k (ref null $c))
    (local.set $k (cont.new $c (ref.func $body)))
    (drop (cont.bind $c $d (i32.const 1) (local.get $k)))
    (drop (cont.bind $c $d (i32.const 2) (local.get $k))))
  (func (export "null_function")
    (drop (cont.new $c (ref.null $f))))
)

;;! output
;; passes:dead-code
;; (module
;;   (type $f (;0;) (func (param i32)))
;;   (type $c (;1;) (cont $f))
;;   (type $g (;2;) (func))
;;   (type $d (;3;) (cont $g))
;;   (type (;4;) (func (result i32)))
;;   (export "fine" (func 1))
;;   (export "null_continuation" (func 2))
;;   (export "consumed" (func 3))
;;   (export "null_function" (func 4))
;;   (elem (;0;) declare func $body)
;;   (func $body (;0;) (type $f) (param i32))
;;   (func (;1;) (type 4) (result i32)
;;     i32.const 1
;;   )
;;   (func (;2;) (type $g)
;;     i32.const 1
;;     ref.null $c
;;     cont.bind $c $d
;;     drop
;;   )
;;   (func (;3;) (type $g)
;;     (local $k (ref $c))
;;     i32.const 1
;;     ref.func $body
;;     cont.new $c
;;     local.tee $k
;;     cont.bind $c $d
;;     drop
;;     i32.const 2
;;     local.get $k
;;     cont.bind $c $d
;;     drop
;;   )
;;   (func (;4;) (type $g)
;;     ref.null $f
;;     cont.new $c
;;     drop
;;   )
;; )
