;; Switch passes the current continuation along, under an outer prompt as well.
(module
    (rec (type $ft (func (param i32 (ref null $ct)) (result i32))) (type $ct (cont $ft)))
    (tag $swap (result i32))
    (func $ping (type $ft)
        (if (i32.ge_u (local.get 0) (i32.const 10)) (then (return (local.get 0))))
        (switch $ct $swap (i32.add (local.get 0) (i32.const 1)) (local.get 1))
        (local.set 1) (local.set 0)
        (return_call $ping (local.get 0) (local.get 1)))
    (elem declare func $ping)
    (func (export "run") (result i32)
        (resume $ct (on $swap switch) (i32.const 1) (cont.new $ct (ref.func $ping)) (cont.new $ct (ref.func $ping)))))
(assert_return (invoke "run") (i32.const 10))

;; A switch that nobody handles has consumed its target, also outside of all continuations.
(module
    (rec (type $f (func (param (ref null $c)) (result i32))) (type $c (cont $f)))
    (tag $sw (result i32))
    (global $k (mut (ref null $c)) (ref.null $c))
    (func $b (type $f) (i32.const 55))
    (elem declare func $b)
    (func (export "new") (global.set $k (cont.new $c (ref.func $b))))
    (func (export "switch") (drop (switch $c $sw (global.get $k))))
    (func (export "resume") (result i32) (resume $c (ref.null $c) (global.get $k))))
(assert_return (invoke "new"))
(assert_trap (invoke "switch") "unhandled tag")
(assert_trap (invoke "resume") "continuation already consumed")
(assert_return (invoke "new"))
(assert_return (invoke "resume") (i32.const 55))
