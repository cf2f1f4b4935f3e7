;;! also = "everything"

;; What was about to be called from inside a continuation is forgotten with the exception: what the host calls next and nobody handles traps.
(module $host
  (tag $he (export "e"))
  (type $ft (func (param i32) (result i32)))
  (func $thrower (type $ft) (throw $he))
  (table (export "t") 2 funcref) (elem (i32.const 0) func $thrower))
(register "host" $host)
(module
  (type $ft (func (param i32) (result i32))) (type $ct (cont $ft))
  (import "host" "e" (tag $he))
  (import "host" "t" (table $t 2 funcref))
  (tag $y (param i32) (result i32))
  (func $s (export "s") (type $ft) (i32.add (i32.const 1) (suspend $y (local.get 0))))
  (func $calls (type $ft) (i32.add (i32.const 10) (call_indirect $t (type $ft) (local.get 0) (i32.const 0))))
  (func $catches (type $ft)
    (block $caught
      (try_table (catch $he $caught) (drop (call $calls (local.get 0))))
      (return (i32.const -1)))
    (i32.const 55))
  (elem declare func $catches $s)
  (func (export "go") (result i32) (resume $ct (i32.const 1) (cont.new $ct (ref.func $catches))))
  (elem (table $t) (i32.const 1) func $s))
(assert_trap (invoke "s" (i32.const 5)) "unhandled tag")
(assert_return (invoke "go") (i32.const 55))
(assert_trap (invoke "s" (i32.const 5)) "unhandled tag")
(assert_return (invoke "go") (i32.const 55))
