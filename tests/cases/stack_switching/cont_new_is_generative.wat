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
