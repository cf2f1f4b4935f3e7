;;! passes = "duplicate-functions"
;;! run = "first() -> 1"
;;! run = "second() -> trap unhandled tag"
;; Two bodies that differ in the tag that is handled only.
(module
  (type $f (func))
  (type $c (cont $f))
  (tag $a)
  (tag $b)
  (elem declare func $suspends)
  (func $suspends (suspend $a))
  (func $handles_a (result i32)
    (block $on (result (ref $c))
      (resume $c (on $a $on) (cont.new $c (ref.func $suspends)))
      (return (i32.const 0)))
    (drop) (i32.const 1))
  (func $handles_b (result i32)
    (block $on (result (ref $c))
      (resume $c (on $b $on) (cont.new $c (ref.func $suspends)))
      (return (i32.const 0)))
    (drop) (i32.const 1))
  (func (export "first") (result i32) (call $handles_a))
  (func (export "second") (result i32) (call $handles_b)))

;;! output
;; passes:duplicate-functions
;; (module
;;   (type $f (;0;) (func))
;;   (type $c (;1;) (cont $f))
;;   (type (;2;) (func (result i32)))
;;   (tag $a (;0;) (type $f))
;;   (tag $b (;1;) (type $f))
;;   (export "first" (func 3))
;;   (export "second" (func 4))
;;   (elem (;0;) declare func $suspends)
;;   (func $suspends (;0;) (type $f)
;;     suspend $a
;;   )
;;   (func $handles_a (;1;) (type 2) (result i32)
;;     block $on (result (ref $c))
;;       ref.func $suspends
;;       cont.new $c
;;       resume $c (on $a $on)
;;       i32.const 0
;;       return
;;     end
;;     drop
;;     i32.const 1
;;   )
;;   (func $handles_b (;2;) (type 2) (result i32)
;;     block $on (result (ref $c))
;;       ref.func $suspends
;;       cont.new $c
;;       resume $c (on $b $on)
;;       i32.const 0
;;       return
;;     end
;;     drop
;;     i32.const 1
;;   )
;;   (func (;3;) (type 2) (result i32)
;;     call $handles_a
;;   )
;;   (func (;4;) (type 2) (result i32)
;;     call $handles_b
;;   )
;; )
