;; Functions whose parameters cannot be null suspend in loops, with values alive that are defined in one of the loops only and cannot be null either:
;; where a function is its own resumable copy, it is entered again without its arguments, and its loops in the middle.
(module
    (type $box (struct (field (mut i32))))
    (type $step (func (param i32) (result i32)))
    (type $walk (func (param (ref $box) (ref $step) (ref eq) i32) (result (ref $box))))
    (type $ft (func (param i32) (result i32))) (type $ct (cont $ft))
    (tag $ask (param i32) (result i32))
    (elem declare func $ask $double $walk $body)
    (func $ask (type $step) (suspend $ask (local.get 0)))
    (func $double (type $step) (i32.mul (local.get 0) (i32.const 2)))
    (func $walk (type $walk) (param $from (ref $box)) (param $step (ref $step)) (param $by (ref eq)) (param $times i32) (result (ref $box))
        (local $i i32) (local $j i32) (local $sum (ref $box)) (local $own (ref $box))
        (local.set $sum (local.get $from))
        (loop $outer
            (local.set $own (struct.new $box (local.get $i)))
            (local.set $j (i32.const 0))
            (loop $inner
                (struct.set $box 0 (local.get $own)
                    (i32.add (struct.get $box 0 (local.get $own))
                        (call_ref $step
                            (i32.add (local.get $j) (i31.get_s (ref.cast (ref i31) (local.get $by))))
                            (local.get $step))))
                (local.set $j (i32.add (local.get $j) (i32.const 1)))
                (br_if $inner (i32.le_u (local.get $j) (local.get $i))))
            (local.set $sum
                (struct.new $box
                    (i32.add (struct.get $box 0 (local.get $sum))
                        (call_ref $step (struct.get $box 0 (local.get $own)) (local.get $step)))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $outer (i32.lt_u (local.get $i) (local.get $times))))
        (local.get $sum))
    (func $body (type $ft)
        (local $walk (ref $walk)) (local $sum (ref $box))
        (local.set $walk (ref.func $walk))
        (local.set $sum
            (call_ref $walk (struct.new $box (i32.const 1000)) (ref.func $ask) (ref.i31 (i32.const 3)) (local.get 0)
                (local.get $walk)))
        (local.set $sum
            (call_ref $walk (local.get $sum) (ref.func $double) (ref.i31 (i32.const 5)) (local.get 0) (local.get $walk)))
        (struct.get $box 0 (call $walk (local.get $sum) (ref.func $ask) (ref.i31 (i32.const -2)) (i32.const 1))))
    ;; Answers are three times what was asked, and one more.
    (func (export "run") (param i32) (result i32) (local $k (ref null $ct))
        (local.set $k (cont.new $ct (ref.func $body)))
        (loop $again
            (block $asked (result i32 (ref $ct))
                (return (resume $ct (on $ask $asked) (local.get 0) (local.get $k))))
            (local.set $k)
            (local.set 0 (i32.add (i32.mul (i32.const 3)) (i32.const 1)))
            (br $again))
        (unreachable)))
(assert_return (invoke "run" (i32.const 1)) (i32.const 1037))
(assert_return (invoke "run" (i32.const 4)) (i32.const 1650))
