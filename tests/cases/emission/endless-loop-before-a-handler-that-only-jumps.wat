;;! transform = "opt:O0"
;;! run = "f(0, 2) -> 107"
;;! run = "f(1, 2) -> 0"
;;! run = "f(2, 1) -> 0"
;;! run = "f(2, 0) -> 107"
;; The way out of the inner loop's end is the handler of `$t`, which only passes its value on: the branch there is dropped with all else that nothing
;; reaches, and the loop must not claim to leave that value.
(module
  (tag $t (param i32))
  (tag $u (param i32 i32))
  (func $may_throw (param $which i32)
    (if (i32.eqz (local.get $which)) (then (throw $t (i32.const 7))))
    (if (i32.eq (local.get $which) (i32.const 2)) (then (throw $u (i32.const 1) (i32.const 2)))))
  (func (export "f") (param $which i32) (param $rounds i32) (result i32)
    (local $outer i32)
    (local $inner i32)
    (local.set $outer (i32.const 2))
    (block $end
      (block $caught (result i32)
        (try_table (catch $t $caught)
          (loop $again
            (if (i32.eq (local.get $outer) (i32.const -5)) (then (return (i32.const -1))))
            (block $done
              (block $other (result i32 i32)
                (try_table (catch $u $other) (call $may_throw (local.get $which)))
                (br $done))
              (drop)
              (drop)
              (local.set $inner (i32.const 3))
              (loop $repeat
                (if (i32.eq (local.get $inner) (i32.const -5)) (then (return (i32.const -2))))
                (call $may_throw (local.get $rounds))
                (br_if $repeat (local.tee $inner (i32.sub (local.get $inner) (i32.const 1))))))
            (br_if $again (local.tee $outer (i32.sub (local.get $outer) (i32.const 1))))))
        (br $end))
      (i32.add (i32.const 100))
      (return))
    (i32.const 0)))

;;! output
;; opt:O0
;; (module
;;   (type (;0;) (func (param i32)))
;;   (type (;1;) (func (param i32 i32)))
;;   (type (;2;) (func (param i32 i32) (result i32)))
;;   (type (;3;) (func (result i32 i32)))
;;   (tag $t (;0;) (type 0) (param i32))
;;   (tag $u (;1;) (type 1) (param i32 i32))
;;   (export "f" (func 1))
;;   (func $may_throw (;0;) (type 0) (param $which i32)
;;     local.get $which
;;     i32.eqz
;;     if ;; label = @1
;;       i32.const 7
;;       throw $t
;;     end
;;     local.get $which
;;     i32.const 2
;;     i32.eq
;;     if ;; label = @1
;;       i32.const 1
;;       i32.const 2
;;       throw $u
;;     end
;;   )
;;   (func (;1;) (type 2) (param $which i32) (param $rounds i32) (result i32)
;;     (local $outer i32) (local $inner i32)
;;     i32.const 2
;;     local.set $outer
;;     block ;; label = @1
;;       block (result i32) ;; label = @2
;;         try_table (catch $t 0 (;@2;)) ;; label = @3
;;           loop ;; label = @4
;;             local.get $outer
;;             i32.const -5
;;             i32.eq
;;             if ;; label = @5
;;               i32.const -1
;;               return
;;             end
;;             block ;; label = @5
;;               block (type 3) (result i32 i32) ;; label = @6
;;                 try_table (catch $u 0 (;@6;)) ;; label = @7
;;                   local.get $which
;;                   call $may_throw
;;                 end
;;                 br 1 (;@5;)
;;               end
;;               drop
;;               drop
;;               i32.const 3
;;               local.set $inner
;;               loop ;; label = @6
;;                 local.get $inner
;;                 i32.const -5
;;                 i32.eq
;;                 if ;; label = @7
;;                   i32.const -2
;;                   return
;;                 end
;;                 local.get $rounds
;;                 call $may_throw
;;                 local.get $inner
;;                 i32.const 1
;;                 i32.sub
;;                 local.tee $inner
;;                 br_if 0 (;@6;)
;;               end
;;             end
;;             local.get $outer
;;             i32.const 1
;;             i32.sub
;;             local.tee $outer
;;             br_if 0 (;@4;)
;;           end
;;         end
;;         br 1 (;@1;)
;;       end
;;       i32.const 100
;;       i32.add
;;       return
;;     end
;;     i32.const 0
;;   )
;; )
