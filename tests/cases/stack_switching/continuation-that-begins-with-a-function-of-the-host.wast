;;! also = "everything"

;; It throws, and the exception is caught around the resume, outside of continuations and inside; a suspension that nobody handles traps as before.
(module $host
  (tag $he (export "e"))
  (type $ft (func (param i32) (result i32)))
  (func $thrower (type $ft) (throw $he))
  (global (export "g") (ref $ft) (ref.func $thrower)))
(register "host" $host)
(module
  (type $ft (func (param i32) (result i32))) (type $ct (cont $ft))
  (import "host" "e" (tag $he))
  (import "host" "g" (global $g (ref $ft)))
  (tag $y (param i32) (result i32))
  (func $s (export "s") (type $ft) (i32.add (i32.const 1) (suspend $y (local.get 0))))
  (func $catching (type $ft)
    (block $caught
      (try_table (catch $he $caught) (drop (resume $ct (i32.const 1) (cont.new $ct (global.get $g)))))
      (return (i32.const -1)))
    (i32.const 55))
  (elem declare func $catching)
  (func (export "outside") (result i32) (call $catching (i32.const 1)))
  (func (export "inside") (result i32) (resume $ct (i32.const 1) (cont.new $ct (ref.func $catching)))))
(assert_trap (invoke "s" (i32.const 5)) "unhandled tag")
(assert_return (invoke "outside") (i32.const 55))
(assert_trap (invoke "s" (i32.const 5)) "unhandled tag")
(assert_return (invoke "inside") (i32.const 55))
(assert_trap (invoke "s" (i32.const 5)) "unhandled tag")
