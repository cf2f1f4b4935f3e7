;;! passes = "numbering, simplify, branches, dead-code"
;;! also = "everything"
;;! run = "ask(20) -> 41"
;;! run = "both(1) -> 99"
;;! run = "both(0) -> 8"
;; A suspension is no exception: `try_table` with `catch_all` between it and its handler lets it pass, and what the handler answers comes back as the
;; results of the `suspend`.
(module
  (type $f (func (param i32) (result i32)))
  (type $k (cont $f))
  (type $g (func (param i64) (result i32)))
  (type $gk (cont $g))
  (tag $ask (param i32) (result i64))
  (tag $error (param i32))
  (func $asks (type $f)
    (block $caught
      (try_table (catch_all $caught)
        (return (i32.wrap_i64 (suspend $ask (local.get 0))))))
    (i32.const -1))
  (func $asks_and_throws (type $f)
    (block $caught (result i32)
      (try_table (catch $error $caught)
        (if (i64.eqz (suspend $ask (i32.const 1))) (then (throw $error (i32.const 99)))))
      (i32.const 8)))
  (elem declare func $asks $asks_and_throws)
  (func (export "ask") (param $n i32) (result i32)
    (local $question i32) (local $c (ref null $gk))
    (block $on_ask (result i32 (ref $gk))
      (return (resume $k (on $ask $on_ask) (local.get $n) (cont.new $k (ref.func $asks)))))
    (local.set $c)
    (local.set $question)
    (resume $gk (i64.extend_i32_s (i32.add (i32.mul (local.get $question) (i32.const 2)) (i32.const 1))) (local.get $c)))
  (func (export "both") (param $throw i32) (result i32)
    (local $c (ref null $gk))
    (block $on_ask (result i32 (ref $gk))
      (return (resume $k (on $ask $on_ask) (i32.const 0) (cont.new $k (ref.func $asks_and_throws)))))
    (local.set $c)
    (drop)
    (resume $gk (i64.extend_i32_u (i32.eqz (local.get $throw))) (local.get $c)))
)

;;! output
;; passes:numbering, simplify, branches, dead-code
;; (module
;;   (type $f (;0;) (func (param i32) (result i32)))
;;   (type $k (;1;) (cont $f))
;;   (type $g (;2;) (func (param i64) (result i32)))
;;   (type $gk (;3;) (cont $g))
;;   (type (;4;) (func (param i32) (result i64)))
;;   (type (;5;) (func (param i32)))
;;   (type (;6;) (func (result i32 (ref $gk))))
;;   (tag $ask (;0;) (type 4) (param i32) (result i64))
;;   (tag $error (;1;) (type 5) (param i32))
;;   (export "ask" (func 2))
;;   (export "both" (func 3))
;;   (elem (;0;) declare func $asks $asks_and_throws)
;;   (func $asks (;0;) (type $f) (param i32) (result i32)
;;     block $caught
;;       try_table (catch_all $caught) ;; label = @2
;;         local.get 0
;;         suspend $ask
;;         i32.wrap_i64
;;         return
;;       end
;;     end
;;     i32.const -1
;;   )
;;   (func $asks_and_throws (;1;) (type $f) (param i32) (result i32)
;;     block (result i32) ;; label = @1
;;       try_table (result i64) (catch $error 0 (;@1;)) ;; label = @2
;;         i32.const 1
;;         suspend $ask
;;       end
;;       i64.eqz
;;       if ;; label = @2
;;         i32.const 99
;;         return
;;       end
;;       i32.const 8
;;     end
;;   )
;;   (func (;2;) (type $f) (param $n i32) (result i32)
;;     (local (ref $gk))
;;     block (type 6) (result i32 (ref $gk)) ;; label = @1
;;       local.get $n
;;       ref.func $asks
;;       cont.new $k
;;       resume $k (on $ask 0 (;@1;))
;;       return
;;     end
;;     local.set 1
;;     local.tee $n
;;     i32.const 1
;;     i32.shl
;;     i32.const 1
;;     i32.add
;;     i64.extend_i32_s
;;     local.get 1
;;     resume $gk
;;   )
;;   (func (;3;) (type $f) (param $throw i32) (result i32)
;;     (local $c (ref null $gk))
;;     block $on_ask (type 6) (result i32 (ref $gk))
;;       i32.const 0
;;       ref.func $asks_and_throws
;;       cont.new $k
;;       resume $k (on $ask $on_ask)
;;       return
;;     end
;;     local.set $c
;;     drop
;;     local.get $throw
;;     i32.eqz
;;     i64.extend_i32_u
;;     local.get $c
;;     resume $gk
;;   )
;; )
