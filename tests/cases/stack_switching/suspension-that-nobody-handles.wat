;;! also = "everything"
;;! run = "handled(1) -> 42"
;;! run = "unhandled(1) -> trap unhandled tag"
;;! run = "handled(2) -> 43"
;;! run = "by_reference(0, 3) -> 103"
;;! run = "by_reference(1, 3) -> trap unhandled tag"
;;! run = "last(5) -> trap unhandled tag"
;;! run = "handled(3) -> 44"
;;! run = "alone() -> trap unhandled tag"
;;! run = "forwarded(1) -> trap unhandled tag"
;;! run = "handled(4) -> 45"
;; What runs outside of all continuations cannot be suspended: a suspension that gets there traps, however it got there, and what is called afterwards
;; knows nothing of it.
(module
  (type $f (func (param i32) (result i32)))
  (type $k (cont $f))
  (tag $asked (param i32) (result i32))
  (tag $other)
  (table funcref (elem $plain $ask))
  (elem declare func $ask $both)
  (func $plain (param i32) (result i32) (i32.add (local.get 0) (i32.const 100)))
  (func $ask (param $x i32) (result i32) (suspend $asked (local.get $x)))
  (func $both (param $x i32) (result i32) (suspend $other) (local.get $x))
  (func (export "handled") (param $x i32) (result i32)
    (local $k (ref null $k))
    (block $on (result i32 (ref $k))
      (return (resume $k (on $asked $on) (local.get $x) (cont.new $k (ref.func $ask)))))
    (local.set $k)
    (i32.add (i32.const 41))
    (return (resume $k (local.get $k))))
  (func (export "unhandled") (param $x i32) (result i32)
    (i32.add (call $ask (local.get $x)) (i32.const 1)))
  (func (export "by_reference") (param $which i32) (param $x i32) (result i32)
    (call_indirect (type $f) (local.get $x) (local.get $which)))
  (func (export "last") (param $x i32) (result i32)
    (return_call $ask (local.get $x)))
  (func (export "alone") (suspend $other))
  (func (export "forwarded") (param $x i32) (result i32)
    (block $on (result i32 (ref $k))
      (return (resume $k (on $asked $on) (local.get $x) (cont.new $k (ref.func $both)))))
    (drop)))
