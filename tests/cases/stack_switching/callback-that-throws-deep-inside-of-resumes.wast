;;! also = "everything"

;; A host function catches what a callback throws many nested resumes deep, and returns into a continuation that goes on to resume. How deep the
;; resumes were in the callback is forgotten by then.
(module $host
  (type $ft (func (param i32) (result i32)))
  (table $t (export "t") 1 funcref)
  (func (export "call") (param i32) (result i32)
    (block $caught
      (try_table (catch_all $caught) (return (call_indirect $t (type $ft) (local.get 0) (i32.const 0)))))
    (i32.const -1)))
(register "host" $host)
(module
  (import "host" "call" (func $call (param i32) (result i32)))
  (import "host" "t" (table $t 1 funcref))
  (type $ft (func (param i32) (result i32))) (type $ct (cont $ft)) (tag $e)
  (global $callback_depth (mut i32) (i32.const 0))
  (func $nest (type $ft)
    (if (i32.eqz (local.get 0)) (then (throw $e)))
    (if (i32.eq (local.get 0) (i32.const 1000000))
      (then (drop (call $call (global.get $callback_depth))) (local.set 0 (i32.const 1000003))))
    (if (i32.eq (local.get 0) (i32.const 1000001)) (then (return (i32.const 7))))
    (i32.add (i32.const 1)
      (resume $ct (i32.sub (local.get 0) (i32.const 1)) (cont.new $ct (ref.func $nest)))))
  (elem declare func $nest)
  (func $deep (type $ft) (resume $ct (local.get 0) (cont.new $ct (ref.func $nest))))
  (elem (table $t) (i32.const 0) func $deep)
  (func (export "go") (param i32) (result i32)
    (global.set $callback_depth (local.get 0))
    (i32.add (i32.const 1000) (call $nest (i32.const 1000000)))))
(assert_return (invoke "go" (i32.const 10)) (i32.const 1009))
(assert_return (invoke "go" (i32.const 390)) (i32.const 1009))
(assert_return (invoke "go" (i32.const 400)) (i32.const 1009))
(assert_return (invoke "go" (i32.const 600)) (i32.const 1009))
