;;! also = "everything"
;; A start function is called by the host: a suspension in it finds no handler and traps, even where a module that has one instantiates it.
(module
  (type $f (func))
  (type $k (cont $f))
  (tag $yield (export "yield"))
  (func (export "run") (param (ref $k)) (result i32)
    (block $on_yield (result (ref $k))
      (resume $k (on $yield $on_yield) (local.get 0))
      (return (i32.const 0)))
    (drop)
    (i32.const 1)))
(register "prompt")

(assert_trap
  (module
    (import "prompt" "yield" (tag $yield))
    (func $start (suspend $yield))
    (start $start))
  "unhandled tag")

;; The start function's own prompt is one.
(module
  (type $f (func))
  (type $k (cont $f))
  (import "prompt" "yield" (tag $yield))
  (global $started (mut i32) (i32.const 0))
  (func $suspends (suspend $yield))
  (elem declare func $suspends)
  (func $start
    (block $on_yield (result (ref $k))
      (resume $k (on $yield $on_yield) (cont.new $k (ref.func $suspends)))
      (return))
    (drop)
    (global.set $started (i32.const 1)))
  (start $start)
  (func (export "started") (result i32) (global.get $started)))
(assert_return (invoke "started") (i32.const 1))
