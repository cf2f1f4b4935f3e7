;;! passes = "numbering, simplify, branches, dead-code"
;;! also = "everything"
;;! run = "sum(5, 100) -> 115"
;;! run = "sum(0, 7) -> 7"
;; The handler's block is reached only through an edge of the `resume`. Locals that it reads are alive across the resume, and share no slot with
;; what the resume's own way out writes.
(module
  (type $f (func))
  (type $k (cont $f))
  (tag $yield (param i32))
  (global $n (mut i32) (i32.const 0))
  (func $down
    (loop $next
      (if (global.get $n)
        (then
          (suspend $yield (global.get $n))
          (global.set $n (i32.sub (global.get $n) (i32.const 1)))
          (br $next)))))
  (elem declare func $down)
  (func (export "sum") (param $n i32) (param $start i32) (result i32)
    (local $sum i32) (local $bonus i32) (local $c (ref null $k)) (local $value i32)
    (global.set $n (local.get $n))
    (local.set $sum (local.get $start))
    (local.set $bonus (i32.mul (local.get $start) (i32.const 3)))
    (local.set $c (cont.new $k (ref.func $down)))
    (loop $next
      (block $on_yield (result i32 (ref $k))
        (resume $k (on $yield $on_yield) (local.get $c))
        ;; Not read by the handler, so a coalescing that forgets the handler's edge would give it the place of $sum.
        (local.set $bonus (i32.sub (local.get $bonus) (i32.mul (local.get $start) (i32.const 3))))
        (return (i32.add (local.get $sum) (local.get $bonus))))
      (local.set $c)
      (local.set $value)
      (local.set $sum (i32.add (local.get $sum) (local.get $value)))
      (br $next))
    (unreachable))
)

;;! output
;; passes:numbering, simplify, branches, dead-code
;; (module
;;   (type $f (;0;) (func))
;;   (type $k (;1;) (cont $f))
;;   (type (;2;) (func (param i32)))
;;   (type (;3;) (func (param i32 i32) (result i32)))
;;   (type (;4;) (func (result i32 (ref $k))))
;;   (tag $yield (;0;) (type 2) (param i32))
;;   (global $n (;0;) (mut i32) i32.const 0)
;;   (export "sum" (func 1))
;;   (elem (;0;) declare func $down)
;;   (func $down (;0;) (type $f)
;;     loop $next
;;       global.get $n
;;       if ;; label = @2
;;         global.get $n
;;         suspend $yield
;;         global.get $n
;;         i32.const 1
;;         i32.sub
;;         global.set $n
;;         br $next
;;       end
;;     end
;;   )
;;   (func (;1;) (type 3) (param $n i32) (param $start i32) (result i32)
;;     (local $c (ref null $k))
;;     local.get $n
;;     global.set $n
;;     ref.func $down
;;     cont.new $k
;;     local.set $c
;;     loop (result i32) ;; label = @1
;;       block (type 4) (result i32 (ref $k)) ;; label = @2
;;         local.get $c
;;         resume $k (on $yield 0 (;@2;))
;;         local.get $start
;;         return
;;       end
;;       local.set $c
;;       local.set $n
;;       local.get $start
;;       local.get $n
;;       i32.add
;;       local.set $start
;;       br 0 (;@1;)
;;     end
;;   )
;; )
