;;! passes = "numbering, simplify, branches, dead-code"
;;! also = "everything"
;;! run = "cancel(33) -> 33, 1"
;;! run = "fresh(33) -> 33, 0"
;;! run = "again(33) -> 34, 1"
;;! run = "consumed() -> trap continuation already consumed"
;; The operands of `resume_throw` are the payload of an exception that is thrown where the continuation waits: they are no answer to the tag that it
;; suspended with, whose results have other types.
(module
  (type $f (func (result i32)))
  (type $k (cont $f))
  (type $g (func (param f64) (result i32)))
  (type $gk (cont $g))
  (tag $ask (param i32) (result f64))
  (tag $cancel (param i32))
  (global $cleaned (mut i32) (i32.const 0))
  (func $asks (type $f)
    (local $got i32)
    (block $cancelled (result i32)
      (try_table (catch $cancel $cancelled)
        (return (i32.trunc_f64_s (suspend $ask (i32.const 1)))))
      (unreachable))
    (local.set $got)
    (global.set $cleaned (i32.const 1))
    (throw $cancel (local.get $got)))
  (func $asks_twice (type $f)
    (local $got i32)
    (block $cancelled (result i32)
      (try_table (catch $cancel $cancelled)
        (return (i32.trunc_f64_s (suspend $ask (i32.const 1)))))
      (unreachable))
    (local.set $got)
    (i32.add (local.get $got) (i32.trunc_f64_s (suspend $ask (i32.const 2)))))
  (elem declare func $asks $asks_twice)
  (func $to_ask (param $c (ref $k)) (result (ref $gk))
    (block $on_ask (result i32 (ref $gk))
      (drop (resume $k (on $ask $on_ask) (local.get $c)))
      (unreachable))
    (return))
  (func (export "cancel") (param $payload i32) (result i32 i32)
    (global.set $cleaned (i32.const 0))
    (block $out (result i32)
      (try_table (catch $cancel $out)
        (drop (resume_throw $gk $cancel (local.get $payload) (call $to_ask (cont.new $k (ref.func $asks))))))
      (i32.const -1))
    (global.get $cleaned))
  (func (export "fresh") (param $payload i32) (result i32 i32)
    (global.set $cleaned (i32.const 0))
    (block $out (result i32)
      (try_table (catch $cancel $out)
        (drop (resume_throw $k $cancel (local.get $payload) (cont.new $k (ref.func $asks)))))
      (i32.const -1))
    (global.get $cleaned))
  (func (export "again") (param $payload i32) (result i32 i32)
    (local $c (ref null $gk))
    (block $on_ask (result i32 (ref $gk))
      (drop (resume_throw $gk $cancel (on $ask $on_ask) (local.get $payload)
        (call $to_ask (cont.new $k (ref.func $asks_twice)))))
      (unreachable))
    (local.set $c)
    (drop)
    (resume $gk (f64.const 1) (local.get $c))
    (i32.const 1))
  (func (export "consumed")
    (local $c (ref null $gk))
    (local.set $c (call $to_ask (cont.new $k (ref.func $asks_twice))))
    (drop (resume $gk (f64.const 0) (local.get $c)))
    (drop (resume_throw $gk $cancel (i32.const 1) (local.get $c))))
)

;;! output
;; passes:numbering, simplify, branches, dead-code
;; (module
;;   (type $f (;0;) (func (result i32)))
;;   (type $k (;1;) (cont $f))
;;   (type $g (;2;) (func (param f64) (result i32)))
;;   (type $gk (;3;) (cont $g))
;;   (type (;4;) (func (param i32) (result f64)))
;;   (type (;5;) (func (param i32)))
;;   (type (;6;) (func (param (ref $k)) (result (ref $gk))))
;;   (type (;7;) (func (result i32 (ref $gk))))
;;   (type (;8;) (func (param i32) (result i32 i32)))
;;   (type (;9;) (func))
;;   (tag $ask (;0;) (type 4) (param i32) (result f64))
;;   (tag $cancel (;1;) (type 5) (param i32))
;;   (global $cleaned (;0;) (mut i32) i32.const 0)
;;   (export "cancel" (func 3))
;;   (export "fresh" (func 4))
;;   (export "again" (func 5))
;;   (export "consumed" (func 6))
;;   (elem (;0;) declare func $asks $asks_twice)
;;   (func $asks (;0;) (type $f) (result i32)
;;     block (result i32) ;; label = @1
;;       try_table (result f64) (catch $cancel 0 (;@1;)) ;; label = @2
;;         i32.const 1
;;         suspend $ask
;;       end
;;       i32.trunc_f64_s
;;       return
;;     end
;;     i32.const 1
;;     global.set $cleaned
;;     throw $cancel
;;   )
;;   (func $asks_twice (;1;) (type $f) (result i32)
;;     block (result i32) ;; label = @1
;;       try_table (result f64) (catch $cancel 0 (;@1;)) ;; label = @2
;;         i32.const 1
;;         suspend $ask
;;       end
;;       i32.trunc_f64_s
;;       return
;;     end
;;     i32.const 2
;;     suspend $ask
;;     i32.trunc_f64_s
;;     i32.add
;;   )
;;   (func $to_ask (;2;) (type 6) (param $c (ref $k)) (result (ref $gk))
;;     block $on_ask (type 7) (result i32 (ref $gk))
;;       local.get $c
;;       resume $k (on $ask $on_ask)
;;       drop
;;       unreachable
;;     end
;;     return
;;   )
;;   (func (;3;) (type 8) (param $payload i32) (result i32 i32)
;;     i32.const 0
;;     global.set $cleaned
;;     block $out (result i32)
;;       try_table (catch $cancel $out) ;; label = @2
;;         local.get $payload
;;         ref.func $asks
;;         cont.new $k
;;         call $to_ask
;;         resume_throw $gk $cancel
;;         drop
;;       end
;;       i32.const -1
;;     end
;;     global.get $cleaned
;;   )
;;   (func (;4;) (type 8) (param $payload i32) (result i32 i32)
;;     i32.const 0
;;     global.set $cleaned
;;     block $out (result i32)
;;       try_table (catch $cancel $out) ;; label = @2
;;         local.get $payload
;;         ref.func $asks
;;         cont.new $k
;;         resume_throw $k $cancel
;;         drop
;;       end
;;       i32.const -1
;;     end
;;     global.get $cleaned
;;   )
;;   (func (;5;) (type 8) (param $payload i32) (result i32 i32)
;;     (local $c (ref null $gk))
;;     block $on_ask (type 7) (result i32 (ref $gk))
;;       local.get $payload
;;       ref.func $asks_twice
;;       cont.new $k
;;       call $to_ask
;;       resume_throw $gk $cancel (on $ask $on_ask)
;;       drop
;;       unreachable
;;     end
;;     local.set $c
;;     drop
;;     f64.const 0x1p+0 (;=1;)
;;     local.get $c
;;     resume $gk
;;     i32.const 1
;;   )
;;   (func (;6;) (type 9)
;;     (local $c (ref $gk))
;;     f64.const 0x0p+0 (;=0;)
;;     ref.func $asks_twice
;;     cont.new $k
;;     call $to_ask
;;     local.tee $c
;;     resume $gk
;;     drop
;;     i32.const 1
;;     local.get $c
;;     resume_throw $gk $cancel
;;     drop
;;   )
;; )
