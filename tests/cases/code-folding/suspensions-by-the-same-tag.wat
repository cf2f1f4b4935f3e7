;;! passes = "code-folding, dead-code"
;;! run = "f(1) -> 30"
;;! run = "f(0) -> 21"
;; Two sides that suspend with one tag and the same value are one; the third suspends with another tag.
(module
  (type $f (func (param i32) (result i32)))
  (type $c (cont $f))
  (type $g (func (param i32) (result i32)))
  (type $k (cont $g))
  (tag $a (param i32) (result i32))
  (tag $b (param i32) (result i32))
  (elem declare func $body)
  (func $body (param $x i32) (result i32)
    (if (local.get $x)
      (then (return (i32.mul (suspend $a (i32.const 3)) (i32.const 3))))
      (else (return (i32.mul (suspend $b (i32.const 3)) (i32.const 3)))))
    (unreachable))
  (func (export "f") (param $x i32) (result i32)
    (local $k (ref null $k))
    (block $on_b (result i32 (ref $k))
      (block $on_a (result i32 (ref $k))
        (return (resume $c (on $a $on_a) (on $b $on_b) (local.get $x) (cont.new $c (ref.func $body)))))
      (local.set $k)
      (drop)
      (return (resume $k (i32.const 10) (local.get $k))))
    (local.set $k)
    (drop)
    (resume $k (i32.const 7) (local.get $k))))

;;! output
;; passes:code-folding, dead-code
;; (module
;;   (type $f (;0;) (func (param i32) (result i32)))
;;   (type $c (;1;) (cont $f))
;;   (type $g (;2;) (func (param i32) (result i32)))
;;   (type $k (;3;) (cont $g))
;;   (type (;4;) (func (result i32 (ref $k))))
;;   (tag $a (;0;) (type $f) (param i32) (result i32))
;;   (tag $b (;1;) (type $f) (param i32) (result i32))
;;   (export "f" (func 1))
;;   (elem (;0;) declare func $body)
;;   (func $body (;0;) (type $f) (param $x i32) (result i32)
;;     local.get $x
;;     if (result i32) ;; label = @1
;;       i32.const 3
;;       suspend $a
;;       i32.const 3
;;       i32.mul
;;     else
;;       i32.const 3
;;       suspend $b
;;       i32.const 3
;;       i32.mul
;;     end
;;   )
;;   (func (;1;) (type $f) (param $x i32) (result i32)
;;     (local $k (ref null $k))
;;     block $on_b (type 4) (result i32 (ref $k))
;;       block $on_a (type 4) (result i32 (ref $k))
;;         local.get $x
;;         ref.func $body
;;         cont.new $c
;;         resume $c (on $a $on_a) (on $b $on_b)
;;         return
;;       end
;;       local.set $k
;;       drop
;;       i32.const 10
;;       local.get $k
;;       resume $k
;;       return
;;     end
;;     local.set $k
;;     drop
;;     i32.const 7
;;     local.get $k
;;     resume $k
;;   )
;; )
