;;! passes = "numbering, simplify, branches, dead-code"
;;! also = "everything"
;;! run = "in_three_steps(1, 2, 3, 4) -> 1234"
;;! run = "of_a_suspended_one(5) -> 57"
;; Arguments are bound a few at a time, to fresh continuations and to suspended ones.
(module
  (type $f0 (func (result i32))) (type $k0 (cont $f0))
  (type $f1 (func (param i32) (result i32))) (type $k1 (cont $f1))
  (type $f2 (func (param i32 i32) (result i32))) (type $k2 (cont $f2))
  (type $f4 (func (param i32 i32 i32 i32) (result i32))) (type $k4 (cont $f4))
  (tag $ask (result i32 i32))
  (func $digits (type $f4)
    (i32.add (i32.mul (i32.add (i32.mul (i32.add (i32.mul
      (local.get 0) (i32.const 10)) (local.get 1)) (i32.const 10)) (local.get 2)) (i32.const 10)) (local.get 3)))
  (func $asks (type $f0)
    (local $second i32)
    (suspend $ask)
    (local.set $second)
    (i32.add (i32.mul (i32.const 10)) (local.get $second)))
  (elem declare func $digits $asks)
  (func (export "in_three_steps") (param i32 i32 i32 i32) (result i32)
    (resume $k0
      (cont.bind $k1 $k0 (local.get 3)
        (cont.bind $k2 $k1 (local.get 2)
          (cont.bind $k4 $k2 (local.get 0) (local.get 1) (cont.new $k4 (ref.func $digits)))))))
  (func (export "of_a_suspended_one") (param i32) (result i32)
    (local $c (ref null $k2))
    (block $on_ask (result (ref $k2))
      (return (resume $k0 (on $ask $on_ask) (cont.new $k0 (ref.func $asks)))))
    (local.set $c)
    (resume $k1 (i32.const 7) (cont.bind $k2 $k1 (local.get 0) (local.get $c))))
)

;;! output
;; passes:numbering, simplify, branches, dead-code
;; (module
;;   (type $f0 (;0;) (func (result i32)))
;;   (type $k0 (;1;) (cont $f0))
;;   (type $f1 (;2;) (func (param i32) (result i32)))
;;   (type $k1 (;3;) (cont $f1))
;;   (type $f2 (;4;) (func (param i32 i32) (result i32)))
;;   (type $k2 (;5;) (cont $f2))
;;   (type $f4 (;6;) (func (param i32 i32 i32 i32) (result i32)))
;;   (type $k4 (;7;) (cont $f4))
;;   (type (;8;) (func (result i32 i32)))
;;   (tag $ask (;0;) (type 8) (result i32 i32))
;;   (export "in_three_steps" (func 2))
;;   (export "of_a_suspended_one" (func 3))
;;   (elem (;0;) declare func $digits $asks)
;;   (func $digits (;0;) (type $f4) (param i32 i32 i32 i32) (result i32)
;;     local.get 0
;;     i32.const 10
;;     i32.mul
;;     local.get 1
;;     i32.add
;;     i32.const 10
;;     i32.mul
;;     local.get 2
;;     i32.add
;;     i32.const 10
;;     i32.mul
;;     local.get 3
;;     i32.add
;;   )
;;   (func $asks (;1;) (type $f0) (result i32)
;;     (local $second i32)
;;     suspend $ask
;;     local.set $second
;;     i32.const 10
;;     i32.mul
;;     local.get $second
;;     i32.add
;;   )
;;   (func (;2;) (type $f4) (param i32 i32 i32 i32) (result i32)
;;     local.get 3
;;     local.get 2
;;     local.get 0
;;     local.get 1
;;     ref.func $digits
;;     cont.new $k4
;;     cont.bind $k4 $k2
;;     cont.bind $k2 $k1
;;     cont.bind $k1 $k0
;;     resume $k0
;;   )
;;   (func (;3;) (type $f1) (param i32) (result i32)
;;     (local $c (ref null $k2))
;;     block $on_ask (result (ref $k2))
;;       ref.func $asks
;;       cont.new $k0
;;       resume $k0 (on $ask $on_ask)
;;       return
;;     end
;;     local.set $c
;;     i32.const 7
;;     local.get 0
;;     local.get $c
;;     cont.bind $k2 $k1
;;     resume $k1
;;   )
;; )
