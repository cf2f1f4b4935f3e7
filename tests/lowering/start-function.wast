;; A suspension never crosses the host, and a start function may resume.
(module
    (type $ft (func)) (type $ct (cont $ft)) (tag $yield)
    (global $ran (mut i32) (i32.const 0))
    (func $body (suspend $yield) (global.set $ran (i32.const 5)))
    (elem declare func $body)
    (func $start (block $on (result (ref $ct)) (resume $ct (on $yield $on) (cont.new $ct (ref.func $body))) (return))
        (resume $ct))
    (start $start)
    (func (export "ran") (result i32) (global.get $ran)))
(assert_return (invoke "ran") (i32.const 5))
(assert_trap (module (tag $yield) (func $start (suspend $yield)) (start $start)) "unhandled tag")
