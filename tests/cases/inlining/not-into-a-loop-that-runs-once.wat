;;! passes = "inlining"
;;! also = "everything"
;;! run = "sum() -> 0"
;;! run = "_start() ->"
;;! run = "sum() -> 65304"
(module
  (global $sum (mut i32) (i32.const 0))
  ;; Called once and in the program's loop: it can be compiled well while the loop runs, if it stays a function.
  (func $step (param i32)
    (local $square i32)
    (local.set $square (i32.mul (local.get 0) (local.get 0)))
    (if (i32.and (local.get 0) (i32.const 1))
      (then (local.set $square (i32.sub (i32.const 0) (local.get $square)))))
    (if (i32.gt_s (local.get $square) (i32.const 100))
      (then (local.set $square (i32.add (i32.const 100) (i32.rem_s (local.get $square) (i32.const 77))))))
    (if (i32.eqz (i32.rem_u (local.get 0) (i32.const 10)))
      (then (local.set $square (i32.add (i32.const 1000) (i32.div_s (local.get $square) (i32.const 7))))))
    (global.set $sum (i32.add (global.get $sum) (local.get $square))))
  ;; Called once outside of loops: what it is in runs once, and so does its loop.
  (func $main
    (local $i i32)
    (loop $again
      (call $step (local.get $i))
      (call $small)
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 30)))))
  (func $small
    (global.set $sum (i32.add (global.get $sum) (i32.const 1)))
    (global.set $sum (i32.xor (global.get $sum) (i32.const 5)))
    (global.set $sum (i32.and (global.get $sum) (i32.const 0xffff))))
  (func (export "_start") (call $main))
  (func (export "sum") (result i32) (global.get $sum)))

;;! output
;; passes:inlining
;; (module
;;   (type (;0;) (func (param i32)))
;;   (type (;1;) (func))
;;   (type (;2;) (func (result i32)))
;;   (global $sum (;0;) (mut i32) i32.const 0)
;;   (export "_start" (func 3))
;;   (export "sum" (func 4))
;;   (func $step (;0;) (type 0) (param i32)
;;     (local $square i32)
;;     local.get 0
;;     local.get 0
;;     i32.mul
;;     local.set $square
;;     local.get 0
;;     i32.const 1
;;     i32.and
;;     if ;; label = @1
;;       i32.const 0
;;       local.get $square
;;       i32.sub
;;       local.set $square
;;     end
;;     local.get $square
;;     i32.const 100
;;     i32.gt_s
;;     if ;; label = @1
;;       i32.const 100
;;       local.get $square
;;       i32.const 77
;;       i32.rem_s
;;       i32.add
;;       local.set $square
;;     end
;;     local.get 0
;;     i32.const 10
;;     i32.rem_u
;;     i32.eqz
;;     if ;; label = @1
;;       i32.const 1000
;;       local.get $square
;;       i32.const 7
;;       i32.div_s
;;       i32.add
;;       local.set $square
;;     end
;;     global.get $sum
;;     local.get $square
;;     i32.add
;;     global.set $sum
;;   )
;;   (func $main (;1;) (type 1)
;;     unreachable
;;   )
;;   (func $small (;2;) (type 1)
;;     unreachable
;;   )
;;   (func (;3;) (type 1)
;;     (local $i i32)
;;     loop ;; label = @1
;;       local.get $i
;;       call $step
;;       global.get $sum
;;       i32.const 1
;;       i32.add
;;       global.set $sum
;;       global.get $sum
;;       i32.const 5
;;       i32.xor
;;       global.set $sum
;;       global.get $sum
;;       i32.const 65535
;;       i32.and
;;       global.set $sum
;;       local.get $i
;;       i32.const 1
;;       i32.add
;;       local.tee $i
;;       i32.const 30
;;       i32.lt_u
;;       br_if 0 (;@1;)
;;     end
;;   )
;;   (func (;4;) (type 2) (result i32)
;;     global.get $sum
;;   )
;; )
