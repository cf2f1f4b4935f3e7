;;! passes = "dead-arguments, dead-code"
;;! run = "f(3) -> 6"
;;! run = "g(5) -> 1"
;; A parameter that is only passed on to the function itself is unused; results of tail calls are the caller's own.
(module
  (func $sum (param $n i32) (param $passed_on i64) (result i32)
    (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
    (i32.add (local.get $n) (call $sum (i32.sub (local.get $n) (i32.const 1)) (local.get $passed_on))))
  (func (export "f") (param $n i32) (result i32) (call $sum (local.get $n) (i64.const 9)))
  (func $odd (param $n i32) (result i32)
    (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
    (return_call $even (i32.sub (local.get $n) (i32.const 1))))
  (func $even (param $n i32) (result i32)
    (if (i32.eqz (local.get $n)) (then (return (i32.const 1))))
    (return_call $odd (i32.sub (local.get $n) (i32.const 1))))
  (func (export "g") (param $n i32) (result i32)
    (drop (call $odd (local.get $n)))
    (call $odd (local.get $n))))

;;! output
;; passes:dead-arguments, dead-code
;; (module
;;   (type (;0;) (func (param i32 i64) (result i32)))
;;   (type (;1;) (func (param i32) (result i32)))
;;   (export "f" (func 1))
;;   (export "g" (func 4))
;;   (func $sum (;0;) (type 1) (param $n i32) (result i32)
;;     local.get $n
;;     if (result i32) ;; label = @1
;;       local.get $n
;;       local.get $n
;;       i32.const 1
;;       i32.sub
;;       call $sum
;;       i32.add
;;     else
;;       i32.const 0
;;     end
;;   )
;;   (func (;1;) (type 1) (param $n i32) (result i32)
;;     local.get $n
;;     call $sum
;;   )
;;   (func $odd (;2;) (type 1) (param $n i32) (result i32)
;;     local.get $n
;;     if ;; label = @1
;;       local.get $n
;;       i32.const 1
;;       i32.sub
;;       return_call $even
;;     end
;;     i32.const 0
;;   )
;;   (func $even (;3;) (type 1) (param $n i32) (result i32)
;;     local.get $n
;;     if ;; label = @1
;;       local.get $n
;;       i32.const 1
;;       i32.sub
;;       return_call $odd
;;     end
;;     i32.const 1
;;   )
;;   (func (;4;) (type 1) (param $n i32) (result i32)
;;     local.get $n
;;     call $odd
;;     drop
;;     local.get $n
;;     call $odd
;;   )
;; )
