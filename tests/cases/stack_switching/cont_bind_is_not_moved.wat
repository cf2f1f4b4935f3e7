;;! passes = "numbering, simplify, branches, dead-code"
;;! also = "everything"
;;! run = "before_effect(1) -> trap continuation already consumed"
;;! run = "seen() -> 0"
;;! run = "after_effect(1) -> trap continuation already consumed"
;;! run = "seen() -> 7"
;;! run = "only_on_one_path(0) -> 3"
;;! run = "only_on_one_path(1) -> 3"
;;! run = "not_twice_the_same() -> 30"
;; `cont.bind` consumes its operand and may trap: it stays where it is among effects, is not made earlier than the branch that guards it, and two of
;; them are not one.
(module
  (type $f (func (param i32) (result i32)))
  (type $k (cont $f))
  (type $g (func (result i32)))
  (type $b (cont $g))
  (global $seen (mut i32) (i32.const 0))
  (func $same (type $f) (local.get 0))
  (elem declare func $same)
  (func (export "seen") (result i32)
    (global.get $seen)
    (global.set $seen (i32.const 0)))
  (func (export "before_effect") (param $n i32) (result i32)
    (local $c (ref null $k)) (local $bound (ref null $b))
    (local.set $c (cont.new $k (ref.func $same)))
    (drop (cont.bind $k $b (i32.const 1) (local.get $c)))
    (local.set $bound (cont.bind $k $b (local.get $n) (local.get $c)))
    (global.set $seen (i32.const 7))
    (resume $b (local.get $bound)))
  (func (export "after_effect") (param $n i32) (result i32)
    (local $c (ref null $k))
    (local.set $c (cont.new $k (ref.func $same)))
    (drop (cont.bind $k $b (i32.const 1) (local.get $c)))
    (global.set $seen (i32.const 7))
    (resume $b (cont.bind $k $b (local.get $n) (local.get $c))))
  (func (export "only_on_one_path") (param $bind i32) (result i32)
    (local $c (ref null $k))
    (local.set $c (cont.new $k (ref.func $same)))
    (if (result i32) (local.get $bind)
      (then (resume $b (cont.bind $k $b (i32.const 3) (local.get $c))))
      (else (resume $k (i32.const 3) (local.get $c)))))
  (func (export "not_twice_the_same") (result i32)
    (local $one (ref null $b)) (local $other (ref null $b))
    (local.set $one (cont.bind $k $b (i32.const 15) (cont.new $k (ref.func $same))))
    (local.set $other (cont.bind $k $b (i32.const 15) (cont.new $k (ref.func $same))))
    (i32.add (resume $b (local.get $one)) (resume $b (local.get $other))))
)

;;! output
;; passes:numbering, simplify, branches, dead-code
;; (module
;;   (type $f (;0;) (func (param i32) (result i32)))
;;   (type $k (;1;) (cont $f))
;;   (type $g (;2;) (func (result i32)))
;;   (type $b (;3;) (cont $g))
;;   (global $seen (;0;) (mut i32) i32.const 0)
;;   (export "seen" (func 1))
;;   (export "before_effect" (func 2))
;;   (export "after_effect" (func 3))
;;   (export "only_on_one_path" (func 4))
;;   (export "not_twice_the_same" (func 5))
;;   (elem (;0;) declare func $same)
;;   (func $same (;0;) (type $f) (param i32) (result i32)
;;     local.get 0
;;   )
;;   (func (;1;) (type $g) (result i32)
;;     global.get $seen
;;     i32.const 0
;;     global.set $seen
;;   )
;;   (func (;2;) (type $f) (param $n i32) (result i32)
;;     (local $c (ref $k)) (local $bound (ref $b))
;;     i32.const 1
;;     ref.func $same
;;     cont.new $k
;;     local.tee $c
;;     cont.bind $k $b
;;     drop
;;     local.get $n
;;     local.get $c
;;     cont.bind $k $b
;;     local.set $bound
;;     i32.const 7
;;     global.set $seen
;;     local.get $bound
;;     resume $b
;;   )
;;   (func (;3;) (type $f) (param $n i32) (result i32)
;;     (local $c (ref $k))
;;     i32.const 1
;;     ref.func $same
;;     cont.new $k
;;     local.tee $c
;;     cont.bind $k $b
;;     drop
;;     i32.const 7
;;     global.set $seen
;;     local.get $n
;;     local.get $c
;;     cont.bind $k $b
;;     resume $b
;;   )
;;   (func (;4;) (type $f) (param $bind i32) (result i32)
;;     (local $c (ref null $k))
;;     ref.func $same
;;     cont.new $k
;;     local.set $c
;;     local.get $bind
;;     if (result i32) ;; label = @1
;;       i32.const 3
;;       local.get $c
;;       cont.bind $k $b
;;       resume $b
;;     else
;;       i32.const 3
;;       local.get $c
;;       resume $k
;;     end
;;   )
;;   (func (;5;) (type $g) (result i32)
;;     (local $one (ref null $b)) (local $other (ref null $b))
;;     i32.const 15
;;     ref.func $same
;;     cont.new $k
;;     cont.bind $k $b
;;     local.set $one
;;     i32.const 15
;;     ref.func $same
;;     cont.new $k
;;     cont.bind $k $b
;;     local.set $other
;;     local.get $one
;;     resume $b
;;     local.get $other
;;     resume $b
;;     i32.add
;;   )
;; )
