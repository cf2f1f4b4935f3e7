;;! passes = "numbering, simplify, branches, dead-code"
;;! also = "everything"
;;! run = "ping_pong(4) -> 14321"
;;! run = "ping_pong(0) -> 1"
;;! run = "mixed() -> 25"
;; A clause `(on $tag switch)` has no label: nothing that walks over handlers may expect one, alone or beside clauses that have.
(module
  (rec
    (type $f (func (param (ref null $k))))
    (type $k (cont $f)))
  (type $g (func (param i32)))
  (tag $turn)
  (tag $yield (param i32))
  (global $left (mut i32) (i32.const 0))
  (global $log (mut i32) (i32.const 0))
  (func $player (type $f) (param $other (ref null $k))
    (loop $next
      (if (i32.eqz (global.get $left)) (then (return)))
      (global.set $log (i32.add (i32.mul (global.get $log) (i32.const 10)) (global.get $left)))
      (global.set $left (i32.sub (global.get $left) (i32.const 1)))
      (if (ref.is_null (local.get $other)) (then (local.set $other (cont.new $k (ref.func $player)))))
      (local.set $other (switch $k $turn (local.get $other)))
      (br $next)))
  (func $both (type $f) (param $other (ref null $k))
    (suspend $yield (i32.const 5))
    (drop (switch $k $turn (cont.new $k (ref.func $player)))))
  (elem declare func $player $both)
  (func (export "ping_pong") (param $turns i32) (result i32)
    (global.set $left (local.get $turns))
    (global.set $log (i32.const 1))
    (resume $k (on $turn switch) (ref.null $k) (cont.new $k (ref.func $player)))
    (global.get $log))
  (type $rest (func))
  (type $rk (cont $rest))
  (func (export "mixed") (result i32)
    (local $got i32)
    (global.set $left (i32.const 1))
    (global.set $log (i32.const 2))
    (block $done
      (block $on_yield (result i32 (ref $rk))
        (resume $k (on $turn switch) (on $yield $on_yield) (ref.null $k) (cont.new $k (ref.func $both)))
        (br $done))
      (drop)
      (local.set $got))
    (i32.add (i32.mul (global.get $log) (i32.const 10)) (local.get $got)))
)

;;! output
;; passes:numbering, simplify, branches, dead-code
;; (module
;;   (rec
;;     (type $f (;0;) (func (param (ref null $k))))
;;     (type $k (;1;) (cont $f))
;;   )
;;   (type $g (;2;) (func (param i32)))
;;   (type $rest (;3;) (func))
;;   (type $rk (;4;) (cont $rest))
;;   (type (;5;) (func (param i32) (result i32)))
;;   (type (;6;) (func (result i32)))
;;   (type (;7;) (func (result i32 (ref $rk))))
;;   (tag $turn (;0;) (type $rest))
;;   (tag $yield (;1;) (type $g) (param i32))
;;   (global $left (;0;) (mut i32) i32.const 0)
;;   (global $log (;1;) (mut i32) i32.const 0)
;;   (export "ping_pong" (func 2))
;;   (export "mixed" (func 3))
;;   (elem (;0;) declare func $player $both)
;;   (func $player (;0;) (type $f) (param $other (ref null $k))
;;     loop $next
;;       global.get $left
;;       i32.eqz
;;       if ;; label = @2
;;         return
;;       end
;;       global.get $log
;;       i32.const 10
;;       i32.mul
;;       global.get $left
;;       i32.add
;;       global.set $log
;;       global.get $left
;;       i32.const 1
;;       i32.sub
;;       global.set $left
;;       local.get $other
;;       ref.is_null
;;       if ;; label = @2
;;         ref.func $player
;;         cont.new $k
;;         local.set $other
;;       end
;;       local.get $other
;;       switch $k $turn
;;       local.set $other
;;       br $next
;;     end
;;   )
;;   (func $both (;1;) (type $f) (param $other (ref null $k))
;;     i32.const 5
;;     suspend $yield
;;     ref.func $player
;;     cont.new $k
;;     switch $k $turn
;;     drop
;;   )
;;   (func (;2;) (type 5) (param $turns i32) (result i32)
;;     local.get $turns
;;     global.set $left
;;     i32.const 1
;;     global.set $log
;;     ref.null $k
;;     ref.func $player
;;     cont.new $k
;;     resume $k (on $turn switch)
;;     global.get $log
;;   )
;;   (func (;3;) (type 6) (result i32)
;;     (local $got i32)
;;     i32.const 1
;;     global.set $left
;;     i32.const 2
;;     global.set $log
;;     block $done
;;       block $on_yield (type 7) (result i32 (ref $rk))
;;         ref.null $k
;;         ref.func $both
;;         cont.new $k
;;         resume $k (on $turn switch) (on $yield $on_yield)
;;         br $done
;;       end
;;       drop
;;       local.set $got
;;     end
;;     global.get $log
;;     i32.const 10
;;     i32.mul
;;     local.get $got
;;     i32.add
;;   )
;; )
