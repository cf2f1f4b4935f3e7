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
