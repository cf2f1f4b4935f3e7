;;! passes = "numbering, simplify, branches, dead-code"
;;! also = "everything"
;;! run = "count(3) -> 6"
;;! run = "count(100000) -> 705082704"
;;! run = "body_is_a_tail_call(5) -> 15"
;; A `return_call` inside a continuation replaces a frame of it; what it calls still suspends to the continuation's handler, and ends the continuation
;; when it returns. It becomes no call that needs a frame.
(module
  (type $f (func (param i32)))
  (type $k (cont $f))
  (type $r (func))
  (type $rk (cont $r))
  (type $g (func (param i32) (result i32)))
  (type $gk (cont $g))
  (tag $yield (param i32))
  (func $down (type $f)
    (if (i32.eqz (local.get 0)) (then (return)))
    (suspend $yield (local.get 0))
    (return_call $down (i32.sub (local.get 0) (i32.const 1))))
  (func $triple (type $g) (i32.mul (local.get 0) (i32.const 3)))
  (func $entry (type $g) (return_call_ref $g (local.get 0) (ref.func $triple)))
  (elem declare func $down $triple $entry)
  (func (export "count") (param $n i32) (result i32)
    (local $sum i32) (local $value i32) (local $c (ref null $rk))
    (local.set $c (cont.bind $k $rk (local.get $n) (cont.new $k (ref.func $down))))
    (loop $next
      (block $on_yield (result i32 (ref $rk))
        (resume $rk (on $yield $on_yield) (local.get $c))
        (return (local.get $sum)))
      (local.set $c)
      (local.set $value)
      (local.set $sum (i32.add (local.get $sum) (local.get $value)))
      (br $next))
    (unreachable))
  (func (export "body_is_a_tail_call") (param $n i32) (result i32)
    (resume $gk (local.get $n) (cont.new $gk (ref.func $entry))))
)

;;! output
;; passes:numbering, simplify, branches, dead-code
;; (module
;;   (type $f (;0;) (func (param i32)))
;;   (type $k (;1;) (cont $f))
;;   (type $r (;2;) (func))
;;   (type $rk (;3;) (cont $r))
;;   (type $g (;4;) (func (param i32) (result i32)))
;;   (type $gk (;5;) (cont $g))
;;   (type (;6;) (func (result i32 (ref $rk))))
;;   (tag $yield (;0;) (type $f) (param i32))
;;   (export "count" (func 3))
;;   (export "body_is_a_tail_call" (func 4))
;;   (elem (;0;) declare func $down $triple $entry)
;;   (func $down (;0;) (type $f) (param i32)
;;     local.get 0
;;     if ;; label = @1
;;       local.get 0
;;       suspend $yield
;;       local.get 0
;;       i32.const -1
;;       i32.add
;;       return_call $down
;;     end
;;   )
;;   (func $triple (;1;) (type $g) (param i32) (result i32)
;;     local.get 0
;;     i32.const 3
;;     i32.mul
;;   )
;;   (func $entry (;2;) (type $g) (param i32) (result i32)
;;     local.get 0
;;     ref.func $triple
;;     return_call_ref $g
;;   )
;;   (func (;3;) (type $g) (param $n i32) (result i32)
;;     (local $sum i32) (local $value i32) (local $c (ref null $rk))
;;     local.get $n
;;     ref.func $down
;;     cont.new $k
;;     cont.bind $k $rk
;;     local.set $c
;;     loop $next
;;       block $on_yield (type 6) (result i32 (ref $rk))
;;         local.get $c
;;         resume $rk (on $yield $on_yield)
;;         local.get $sum
;;         return
;;       end
;;       local.set $c
;;       local.set $value
;;       local.get $sum
;;       local.get $value
;;       i32.add
;;       local.set $sum
;;       br $next
;;     end
;;     unreachable
;;   )
;;   (func (;4;) (type $g) (param $n i32) (result i32)
;;     local.get $n
;;     ref.func $entry
;;     cont.new $gk
;;     resume $gk
;;   )
;; )
