;;! transform = "opt:O2"
;;! also = "everything"
;;! run = "branches(0) -> 111"
;;! run = "branches(1) -> 900"
;;! run = "branches(2) -> 901"
;;! run = "branches(3) -> 911"
;;! run = "looped(9) -> 6"
;;! run = "looped(2) -> 93"
;;! run = "payload(0) -> 33"
;;! run = "payload(1) -> 1"
;;! run = "payload(2) -> 2"
;;! run = "payload(4) -> 4"
;;! run = "inner_first(1) -> 30"
;;! run = "inner_first(2) -> 41"
;;! run = "inner_first(3) -> 51"
;;! run = "inner_first(0) -> 1"
;;! run = "outside(2) -> throws"
;;! run = "outside(1) -> 7"
;;! run = "outside(0) -> 8"
;; Each call in a function with handlers has clauses of its own in the intermediate representation. In the code those that lead to the same place are
;; clauses of one `try_table`, with branches, loops and other code in it, and nothing else that throws.
(module
  (tag $e (param i32))
  (global $count (mut i32) (i32.const 0))
  ;; Throws at its `at`th call from the last `reset` on, and returns its argument at the others.
  (global $at (mut i32) (i32.const 0))
  (func $reset (param i32) (global.set $count (i32.const 0)) (global.set $at (local.get 0)))
  (func $step (param i32) (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (if (i32.eq (global.get $count) (global.get $at)) (then (throw $e (global.get $count))))
    (local.get 0))
  (func (export "branches") (param i32) (result i32) (local $sum i32)
    (call $reset (local.get 0))
    (block $caught
      (try_table (catch_all $caught)
        (if (call $step (i32.const 1)) (then (local.set $sum (i32.add (local.get $sum) (i32.const 1)))))
        (if (call $step (local.get $sum)) (then (local.set $sum (i32.add (local.get $sum) (i32.const 10)))))
        (if (call $step (local.get $sum)) (then (local.set $sum (i32.add (local.get $sum) (i32.const 100))))))
      (return (local.get $sum)))
    (i32.add (local.get $sum) (i32.const 900)))
  (func (export "looped") (param i32) (result i32) (local $i i32) (local $sum i32)
    (call $reset (local.get 0))
    (local.set $i (i32.const 3))
    (block $caught
      (try_table (catch_all $caught)
        (loop $again
          (local.set $sum (i32.add (local.get $sum) (call $step (local.get $i))))
          (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1))))))
      (return (local.get $sum)))
    (i32.add (local.get $sum) (i32.const 90)))
  (func (export "payload") (param i32) (result i32)
    (call $reset (local.get 0))
    (block $caught (result i32)
      (try_table (result i32) (catch $e $caught)
        (drop (call $step (i32.const 5)))
        (if (i32.eq (call $step (i32.const 4)) (i32.const 4)) (then (drop (call $step (i32.const 2)))))
        (i32.add (call $step (i32.const 11)) (i32.const 22)))))
  ;; The inner handler is inside of what the outer one is around.
  (func (export "inner_first") (param i32) (result i32) (local $sum i32)
    (call $reset (local.get 0))
    (block $outer
      (try_table (catch_all $outer)
        (block $inner
          (try_table (catch_all $inner)
            (local.set $sum (call $step (i32.const 1)))
            (br_if $outer (i32.eqz (call $step (local.get $sum))))
            (br_if $outer (call $step (i32.const 0)))
            (br $outer)))
        (local.set $sum (i32.add (local.get $sum) (i32.const 10)))
        (local.set $sum (i32.mul (local.get $sum) (call $step (i32.const 1)))))
      (return (i32.add (local.get $sum) (i32.mul (global.get $count) (i32.const 10)))))
    (return (select (i32.add (local.get $sum) (i32.const 10)) (local.get $sum) (i32.const 0))))
  ;; The call in the middle has no handler, and must not get one.
  (func (export "outside") (param i32) (result i32)
    (call $reset (local.get 0))
    (block $caught
      (try_table (catch_all $caught) (drop (call $step (i32.const 1))))
      (drop (call $step (i32.const 1)))
      (try_table (catch_all $caught) (drop (call $step (i32.const 1))))
      (return (i32.const 8)))
    (i32.const 7)))

;;! output
;; opt:O2
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (type (;1;) (func (param i32)))
;;   (tag $e (;0;) (type 1) (param i32))
;;   (global $count (;0;) (mut i32) i32.const 0)
;;   (global $at (;1;) (mut i32) i32.const 0)
;;   (export "branches" (func 2))
;;   (export "looped" (func 3))
;;   (export "payload" (func 4))
;;   (export "inner_first" (func 5))
;;   (export "outside" (func 6))
;;   (func $reset (;0;) (type 1) (param i32)
;;     i32.const 0
;;     global.set $count
;;     local.get 0
;;     global.set $at
;;   )
;;   (func $step (;1;) (type 0) (param i32) (result i32)
;;     global.get $count
;;     i32.const 1
;;     i32.add
;;     global.set $count
;;     global.get $count
;;     global.get $at
;;     i32.eq
;;     if ;; label = @1
;;       global.get $count
;;       throw $e
;;     end
;;     local.get 0
;;   )
;;   (func (;2;) (type 0) (param i32) (result i32)
;;     (local i32)
;;     local.get 0
;;     call $reset
;;     i32.const 0
;;     local.set 0
;;     block ;; label = @1
;;       try_table (result i32) (catch_all 0 (;@1;)) ;; label = @2
;;         i32.const 1
;;         call $step
;;         local.tee 0
;;         i32.const 0
;;         i32.ne
;;         local.tee 0
;;         call $step
;;         if ;; label = @3
;;           local.get 0
;;           i32.const 10
;;           i32.add
;;           local.set 0
;;         end
;;         local.get 0
;;         call $step
;;       end
;;       if (result i32) ;; label = @2
;;         local.get 0
;;         i32.const 100
;;         i32.add
;;       else
;;         local.get 0
;;       end
;;       return
;;     end
;;     local.get 0
;;     i32.const 900
;;     i32.add
;;   )
;;   (func (;3;) (type 0) (param i32) (result i32)
;;     (local $i i32) (local $sum i32)
;;     local.get 0
;;     call $reset
;;     i32.const 3
;;     local.set $i
;;     block $caught
;;       try_table (catch_all $caught) ;; label = @2
;;         loop $again
;;           local.get $sum
;;           local.get $i
;;           call $step
;;           i32.add
;;           local.set $sum
;;           local.get $i
;;           i32.const 1
;;           i32.sub
;;           local.tee $i
;;           br_if $again
;;         end
;;       end
;;       local.get $sum
;;       return
;;     end
;;     local.get $sum
;;     i32.const 90
;;     i32.add
;;   )
;;   (func (;4;) (type 0) (param i32) (result i32)
;;     local.get 0
;;     call $reset
;;     block $caught (result i32)
;;       try_table (result i32) (catch $e $caught) ;; label = @2
;;         i32.const 5
;;         call $step
;;         drop
;;         i32.const 4
;;         call $step
;;         i32.const 4
;;         i32.eq
;;         if ;; label = @3
;;           i32.const 2
;;           call $step
;;           drop
;;         end
;;         i32.const 11
;;         call $step
;;         i32.const 22
;;         i32.add
;;       end
;;     end
;;   )
;;   (func (;5;) (type 0) (param i32) (result i32)
;;     local.get 0
;;     call $reset
;;     i32.const 0
;;     local.set 0
;;     block ;; label = @1
;;       block ;; label = @2
;;         try_table (catch_all 0 (;@2;)) ;; label = @3
;;           i32.const 1
;;           call $step
;;           local.tee 0
;;           call $step
;;           if ;; label = @4
;;             i32.const 0
;;             call $step
;;             drop
;;           end
;;         end
;;         br 1 (;@1;)
;;       end
;;       local.get 0
;;       i32.const 10
;;       i32.add
;;       local.tee 0
;;       try_table (result i32) (catch_all 0 (;@1;)) ;; label = @2
;;         i32.const 1
;;         call $step
;;       end
;;       i32.mul
;;       global.get $count
;;       i32.const 10
;;       i32.mul
;;       i32.add
;;       return
;;     end
;;     local.get 0
;;   )
;;   (func (;6;) (type 0) (param i32) (result i32)
;;     local.get 0
;;     call $reset
;;     block $caught
;;       try_table (catch_all $caught) ;; label = @2
;;         i32.const 1
;;         call $step
;;         drop
;;       end
;;       i32.const 1
;;       call $step
;;       drop
;;       try_table (catch_all $caught) ;; label = @2
;;         i32.const 1
;;         call $step
;;         drop
;;       end
;;       i32.const 8
;;       return
;;     end
;;     i32.const 7
;;   )
;; )
