;;! passes = "numbering, simplify, branches, dead-code"
;;! also = "everything"
;;! run = "first() -> 7, 1"
;;! run = "nested() -> 12"
;; A `resume` with a label stands in the middle of expressions, its operands computed by others around it; flattening it must keep the types of the
;; label's block.
(module
  (type $f (func (param i32) (result i32)))
  (type $k (cont $f))
  (type $r (func (result i32)))
  (type $rk (cont $r))
  (tag $yield (param i32))
  (func $yields (type $f)
    (suspend $yield (i32.add (local.get 0) (i32.const 2)))
    (i32.const 10))
  (elem declare func $yields)
  (func (export "first") (result i32 i32)
    (block $on_yield (result i32 (ref $rk))
      (return
        (i32.add
          (resume $k (on $yield $on_yield) (i32.add (i32.const 2) (i32.const 3)) (cont.new $k (ref.func $yields)))
          (i32.const 100))
        (i32.const 0)))
    (drop)
    (i32.const 1))
  (func (export "nested") (result i32)
    (local $n i32)
    (block $outer (result i32 (ref $rk))
      (block $inner (result i32 (ref $rk))
        (return (i32.mul (i32.const 1000) (resume $k (on $yield $inner) (i32.const 0) (cont.new $k (ref.func $yields))))))
      (local.set $n (resume $rk (on $yield $outer)))
      (return (i32.add (local.get $n))))
    (unreachable))
)

;;! output
;; passes:numbering, simplify, branches, dead-code
;; (module
;;   (type $f (;0;) (func (param i32) (result i32)))
;;   (type $k (;1;) (cont $f))
;;   (type $r (;2;) (func (result i32)))
;;   (type $rk (;3;) (cont $r))
;;   (type (;4;) (func (param i32)))
;;   (type (;5;) (func (result i32 i32)))
;;   (type (;6;) (func (result i32 (ref $rk))))
;;   (tag $yield (;0;) (type 4) (param i32))
;;   (export "first" (func 1))
;;   (export "nested" (func 2))
;;   (elem (;0;) declare func $yields)
;;   (func $yields (;0;) (type $f) (param i32) (result i32)
;;     local.get 0
;;     i32.const 2
;;     i32.add
;;     suspend $yield
;;     i32.const 10
;;   )
;;   (func (;1;) (type 5) (result i32 i32)
;;     block (type 6) (result i32 (ref $rk)) ;; label = @1
;;       i32.const 5
;;       ref.func $yields
;;       cont.new $k
;;       resume $k (on $yield 0 (;@1;))
;;       i32.const 100
;;       i32.add
;;       i32.const 0
;;       return
;;     end
;;     drop
;;     i32.const 1
;;   )
;;   (func (;2;) (type $r) (result i32)
;;     (local $n i32)
;;     block $outer (type 6) (result i32 (ref $rk))
;;       block $inner (type 6) (result i32 (ref $rk))
;;         i32.const 1000
;;         i32.const 0
;;         ref.func $yields
;;         cont.new $k
;;         resume $k (on $yield $inner)
;;         i32.mul
;;         return
;;       end
;;       resume $rk (on $yield $outer)
;;       local.set $n
;;       local.get $n
;;       i32.add
;;       return
;;     end
;;     unreachable
;;   )
;; )
