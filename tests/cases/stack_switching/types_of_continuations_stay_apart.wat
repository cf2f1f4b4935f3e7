;;! passes = "remove-unused-module-elements, duplicate-functions, types"
;;! also = "everything"
;;! run = "run() -> 42"
;;! run = "tell_apart(0) -> 1"
;;! run = "tell_apart(1) -> 2"
;; Types that only continuation types or tags refer to are used; equal groups may become one, but function types that differ only in the continuation
;; that they speak of, and subtypes, stay what casts and calls can tell apart.
(module
  (type $a (sub (func (param i32) (result i32))))
  (type $b (sub $a (func (param i32) (result i32))))
  (type $ka (sub (cont $a)))
  (type $kb (sub $ka (cont $b)))
  (tag $t (param i32) (result i32))
  (func $fa (type $a) (suspend $t (local.get 0)))
  (func $fb (type $b) (i32.mul (local.get 0) (i32.const 2)))
  (elem declare func $fa $fb)
  (type $rest (func (param i32) (result i32)))
  (type $kr (cont $rest))
  (func (export "run") (result i32)
    (block $on (result i32 (ref $kr))
      (return (resume $ka (on $t $on) (i32.const 21) (cont.new $ka (ref.func $fa)))))
    (resume $kr)
    (drop)
    ;; A continuation of the subtype where one of the supertype is wanted.
    (call $resume (i32.const 21) (cont.new $kb (ref.func $fb))))
  (func $resume (param i32) (param (ref $ka)) (result i32)
    (resume $ka (local.get 0) (local.get 1)))
  (func (export "tell_apart") (param i32) (result i32)
    (local $f funcref)
    (local.set $f (if (result funcref) (local.get 0) (then (ref.func $fb)) (else (ref.func $fa))))
    (i32.add (i32.const 1) (ref.test (ref $b) (local.get $f))))
)

;;! output
;; passes:remove-unused-module-elements, duplicate-functions, types
;; (module
;;   (type $a (;0;) (sub (func (param i32) (result i32))))
;;   (type $ka (;1;) (sub (cont $a)))
;;   (type $b (;2;) (sub $a (func (param i32) (result i32))))
;;   (type $kb (;3;) (sub $ka (cont $b)))
;;   (type (;4;) (func (result i32)))
;;   (type (;5;) (func (param i32 (ref $ka)) (result i32)))
;;   (type $rest (;6;) (func (param i32) (result i32)))
;;   (type $kr (;7;) (cont $rest))
;;   (type (;8;) (func (result i32 (ref $kr))))
;;   (tag $t (;0;) (type $a) (param i32) (result i32))
;;   (export "run" (func 2))
;;   (export "tell_apart" (func 4))
;;   (elem (;0;) declare func $fa $fb)
;;   (func $fa (;0;) (type $a) (param i32) (result i32)
;;     local.get 0
;;     suspend $t
;;   )
;;   (func $fb (;1;) (type $b) (param i32) (result i32)
;;     local.get 0
;;     i32.const 2
;;     i32.mul
;;   )
;;   (func (;2;) (type 4) (result i32)
;;     block $on (type 8) (result i32 (ref $kr))
;;       i32.const 21
;;       ref.func $fa
;;       cont.new $ka
;;       resume $ka (on $t $on)
;;       return
;;     end
;;     resume $kr
;;     drop
;;     i32.const 21
;;     ref.func $fb
;;     cont.new $kb
;;     call $resume
;;   )
;;   (func $resume (;3;) (type 5) (param i32 (ref $ka)) (result i32)
;;     local.get 0
;;     local.get 1
;;     resume $ka
;;   )
;;   (func (;4;) (type $a) (param i32) (result i32)
;;     i32.const 1
;;     local.get 0
;;     if (result funcref) ;; label = @1
;;       ref.func $fb
;;     else
;;       ref.func $fa
;;     end
;;     ref.test (ref $b)
;;     i32.add
;;   )
;; )
