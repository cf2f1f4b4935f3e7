;;! transform = "opt:O0"
;;! run = "f(0) -> 0"
;;! run = "f(4) -> 20"
;;! run = "f(3) -> 0"
;; The loop at the end of a block with a result never falls out of it, but for validation it does: what stood behind it was dropped.
(module
  (global $g (mut i32) (i32.const 0))
  (func $next (export "next") (result i32)
    (global.set $g (i32.sub (global.get $g) (i32.const 1)))
    (i32.gt_s (global.get $g) (i32.const 0)))
  (func (export "f") (param $a i32) (result i32)
    (local $r i32)
    (local $v i32)
    (global.set $g (i32.const 3))
    (block $out
      (block $m
        (if (i32.eq (local.get $a) (i32.const 1)) (then (local.set $r (i32.const 10)) (br $out)))
        (if (i32.eq (local.get $a) (i32.const 2)) (then (local.set $r (i32.const 10)) (br $out)))
        (if (i32.eq (local.get $a) (i32.const 11)) (then (local.set $r (i32.const 10)) (br $out)))
        (if (i32.eq (local.get $a) (i32.const 12)) (then (local.set $r (i32.const 10)) (br $out)))
        (if (i32.eq (local.get $a) (i32.const 13)) (then (local.set $r (i32.const 10)) (br $out)))
        (if (i32.eq (local.get $a) (i32.const 14)) (then (local.set $r (i32.const 10)) (br $out)))
        (if (i32.eq (local.get $a) (i32.const 15)) (then (local.set $r (i32.const 10)) (br $out)))
        (if (i32.eq (local.get $a) (i32.const 16)) (then (local.set $r (i32.const 10)) (br $out)))
        (block $rest
          (block $case
            (br_table $rest $rest $rest $case $rest (local.get $a)))
          (local.set $v (call $next))
          (br $m))
        (block $far
          (br_if $far (i32.eq (local.get $a) (i32.const 4)))
          (drop (call $next))
          (br_if $far (i32.eq (local.get $a) (i32.const 5)))
          (br_if $far (i32.eq (local.get $a) (i32.const 21)))
          (br_if $far (i32.eq (local.get $a) (i32.const 22)))
          (br_if $far (i32.eq (local.get $a) (i32.const 23)))
          (br_if $far (i32.eq (local.get $a) (i32.const 24)))
          (loop $again
            (br_if $again (call $next))
            (local.set $v (i32.sub (call $next) (i32.const 20)))
            (br $m)))
        (local.set $r (i32.const 10))
        (br $out))
      (global.set $g (local.get $v))
      (if (i32.eq (local.get $a) (i32.const 6)) (then (local.set $r (i32.const 10)) (br $out)))
      (local.set $r (call $next)))
    (i32.add (local.get $r) (local.get $r))))

;;! output
;; opt:O0
;; (module
;;   (type (;0;) (func (result i32)))
;;   (type (;1;) (func (param i32) (result i32)))
;;   (global $g (;0;) (mut i32) i32.const 0)
;;   (export "next" (func $next))
;;   (export "f" (func 1))
;;   (func $next (;0;) (type 0) (result i32)
;;     global.get $g
;;     i32.const 1
;;     i32.sub
;;     global.set $g
;;     global.get $g
;;     i32.const 0
;;     i32.gt_s
;;   )
;;   (func (;1;) (type 1) (param $a i32) (result i32)
;;     (local $r i32)
;;     i32.const 3
;;     global.set $g
;;     i32.const 10
;;     local.set $r
;;     block ;; label = @1
;;       local.get $a
;;       i32.const 1
;;       i32.eq
;;       br_if 0 (;@1;)
;;       local.get $a
;;       i32.const 2
;;       i32.ne
;;       if ;; label = @2
;;         local.get $a
;;         i32.const 11
;;         i32.ne
;;         if ;; label = @3
;;           local.get $a
;;           i32.const 12
;;           i32.ne
;;           if ;; label = @4
;;             local.get $a
;;             i32.const 13
;;             i32.ne
;;             if ;; label = @5
;;               local.get $a
;;               i32.const 14
;;               i32.ne
;;               if ;; label = @6
;;                 local.get $a
;;                 i32.const 15
;;                 i32.ne
;;                 if ;; label = @7
;;                   local.get $a
;;                   i32.const 16
;;                   i32.ne
;;                   if ;; label = @8
;;                     block (result i32) ;; label = @9
;;                       block ;; label = @10
;;                         block ;; label = @11
;;                           local.get $a
;;                           br_table 1 (;@10;) 1 (;@10;) 1 (;@10;) 0 (;@11;) 1 (;@10;)
;;                         end
;;                         call $next
;;                         br 1 (;@9;)
;;                       end
;;                       local.get $a
;;                       i32.const 4
;;                       i32.eq
;;                       br_if 8 (;@1;)
;;                       call $next
;;                       drop
;;                       local.get $a
;;                       i32.const 5
;;                       i32.eq
;;                       br_if 8 (;@1;)
;;                       local.get $a
;;                       i32.const 21
;;                       i32.eq
;;                       br_if 8 (;@1;)
;;                       local.get $a
;;                       i32.const 22
;;                       i32.eq
;;                       br_if 8 (;@1;)
;;                       local.get $a
;;                       i32.const 23
;;                       i32.eq
;;                       br_if 8 (;@1;)
;;                       local.get $a
;;                       i32.const 24
;;                       i32.eq
;;                       br_if 8 (;@1;)
;;                       loop ;; label = @10
;;                         call $next
;;                         br_if 0 (;@10;)
;;                         call $next
;;                         i32.const 20
;;                         i32.sub
;;                         br 1 (;@9;)
;;                       end
;;                       unreachable
;;                     end
;;                     global.set $g
;;                     local.get $a
;;                     i32.const 6
;;                     i32.ne
;;                     if ;; label = @9
;;                       call $next
;;                       local.set $r
;;                     end
;;                   end
;;                 end
;;               end
;;             end
;;           end
;;         end
;;       end
;;     end
;;     local.get $r
;;     local.get $r
;;     i32.add
;;   )
;; )
