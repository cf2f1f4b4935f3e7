;;! transform = "opt:O2"
;;! also = "everything"
;;! run = "go() -> 42"
;; A `switch` leaves several values though no function returns several: within a `try_table` they are what the block leaves.
(module
  (rec (type $ft (func (param i32 i64 (ref null $ct)))) (type $ct (cont $ft)))
  (type $f0 (func)) (type $c0 (cont $f0))
  (tag $t) (tag $e)
  (global $r (mut i32) (i32.const 0))
  (func $first
    (local $a i32) (local $b i64) (local $k (ref null $ct))
    (block $caught
      (try_table (catch $e $caught)
        (switch $ct $t (i32.const 20) (i64.const 1) (cont.new $ct (ref.func $second)))
        (local.set $k) (local.set $b) (local.set $a)
        (global.set $r (i32.add (local.get $a) (i32.wrap_i64 (local.get $b))))
        (throw $e)))
    (global.set $r (i32.add (global.get $r) (i32.const 1))))
  (func $second (type $ft)
    (switch $ct $t (i32.add (local.get 0) (i32.const 20)) (local.get 1) (local.get 2))
    (unreachable))
  (elem declare func $first $second)
  (func (export "go") (result i32)
    (resume $c0 (on $t switch) (cont.new $c0 (ref.func $first)))
    (global.get $r)))

;;! output
;; opt:O2
;; (module
;;   (rec
;;     (type $ft (;0;) (func (param i32 i64 (ref null $ct))))
;;     (type $ct (;1;) (cont $ft))
;;   )
;;   (type $f0 (;2;) (func))
;;   (type $c0 (;3;) (cont $f0))
;;   (type (;4;) (func (result i32)))
;;   (type (;5;) (func (result i32 i64 (ref null $ct))))
;;   (tag $t (;0;) (type $f0))
;;   (tag $e (;1;) (type $f0))
;;   (global $r (;0;) (mut i32) i32.const 0)
;;   (export "go" (func 2))
;;   (elem (;0;) declare func $first $second)
;;   (func $first (;0;) (type $f0)
;;     (local $b i64)
;;     block ;; label = @1
;;       try_table (type 5) (result i32 i64 (ref null $ct)) (catch $e 0 (;@1;)) ;; label = @2
;;         i32.const 20
;;         i64.const 1
;;         ref.func $second
;;         cont.new $ct
;;         switch $ct $t
;;       end
;;       drop
;;       local.tee $b
;;       i32.wrap_i64
;;       i32.add
;;       global.set $r
;;     end
;;     global.get $r
;;     i32.const 1
;;     i32.add
;;     global.set $r
;;   )
;;   (func $second (;1;) (type $ft) (param i32 i64 (ref null $ct))
;;     local.get 0
;;     i32.const 20
;;     i32.add
;;     local.get 1
;;     local.get 2
;;     switch $ct $t
;;     unreachable
;;   )
;;   (func (;2;) (type 4) (result i32)
;;     ref.func $first
;;     cont.new $c0
;;     resume $c0 (on $t switch)
;;     global.get $r
;;   )
;; )
