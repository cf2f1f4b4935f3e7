;;! also = "everything"
;;! shape = "no"
;;! run = "test(0) -> 1"
;;! run = "test(1) -> 10"
;;! run = "test(2) -> 100"
;;! run = "test(3) -> 10"
;;! run = "call_a(0) -> 1"
;;! run = "call_a(1) -> trap indirect call type mismatch"
;;! run = "call_a(2) -> trap indirect call type mismatch"
;;! run = "call_plain(2) -> 3"
;;! run = "call_plain(0) -> trap indirect call type mismatch"
;;! run = "generate() -> 42"
;; Lowered, a continuation is a number or a struct, whichever type it had.
(module
  (type $f (func)) (type $c1 (cont $f))
  (type $g (func (param i32))) (type $c2 (cont $g))
  (type $a (func (param (ref null $c1)) (result i32)))
  (type $b (func (param (ref null $c2)) (result i32)))
  (type $b_again (func (param (ref null $c2)) (result i32)))
  (type $plain (func (param i64) (result i32)))
  (tag $yield (param i32))
  (global $sum (mut i32) (i32.const 0))
  (func $fa (type $a) (i32.const 1))
  (func $fb (type $b) (i32.const 2))
  (func $fp (type $plain) (i32.const 3))
  (func $fb_again (type $b_again) (i32.const 4))
  (table 4 funcref)
  (elem (i32.const 0) $fa $fb $fp $fb_again)
  (func (export "test") (param i32) (result i32)
    (i32.add (ref.test (ref $a) (table.get (local.get 0)))
      (i32.add (i32.mul (i32.const 10) (ref.test (ref $b) (table.get (local.get 0))))
        (i32.mul (i32.const 100) (ref.test (ref $plain) (table.get (local.get 0)))))))
  (func (export "call_a") (param i32) (result i32) (call_indirect (type $a) (ref.null $c1) (local.get 0)))
  (func (export "call_plain") (param i32) (result i32) (call_indirect (type $plain) (i64.const 0) (local.get 0)))
  ;; The types are used for what they are as well.
  (func $body (type $g) (suspend $yield (i32.add (local.get 0) (i32.const 1))))
  (elem declare func $body)
  (func $resume (type $b)
    (local $rest (ref null $c1))
    (block $on_yield (result i32 (ref $c1))
      (resume $c2 (on $yield $on_yield) (i32.const 41) (local.get 0))
      (return (i32.const 0)))
    (local.set $rest)
    (resume $c1 (local.get $rest)))
  (func (export "generate") (result i32) (call $resume (cont.new $c2 (ref.func $body)))))
