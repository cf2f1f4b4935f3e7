;;! transform = "opt:O0"
;;! also = "everything"
;;! run = "f(0) -> 7"
;;! run = "f(1) -> 12"
;;! run = "f(5) -> 64"
;; Each way makes a node that is never null, uses it, and hands it on as the list, which may be null: the node is in the list's local at once, and read
;; out of it as never null where an instruction demands that.
(module
  (type $node (struct (field $value (mut i32)) (field $next (ref null $node))))
  (func $touch (param (ref $node)) (struct.set $node $value (local.get 0) (i32.mul (struct.get $node $value (local.get 0)) (i32.const 2))))
  (func (export "f") (param $n i32) (result i32)
    (local $list (ref null $node)) (local $new (ref $node)) (local $sum i32)
    (block $end
      (loop $again
        (br_if $end (i32.eqz (local.get $n)))
        (if (i32.and (local.get $n) (i32.const 1))
          (then
            (local.set $new (struct.new $node (local.get $n) (local.get $list)))
            (call $touch (local.get $new))
            (local.set $list (local.get $new)))
          (else
            (local.set $new (struct.new $node (i32.const 9) (local.get $list)))
            (call $touch (local.get $new))
            (local.set $list (local.get $new))))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $again)))
    (loop $add
      (if (ref.is_null (local.get $list)) (then (return (i32.add (local.get $sum) (i32.const 7)))))
      (local.set $sum (i32.add (local.get $sum) (struct.get $node $value (local.get $list))))
      (local.set $list (struct.get $node $next (local.get $list)))
      (if (i32.eq (local.get $sum) (i32.const 2)) (then (local.set $sum (i32.const 5))))
      (br $add))
    (unreachable)))

;;! output
;; opt:O0
;; (module
;;   (type $node (;0;) (struct (field $value (mut i32)) (field $next (ref null $node))))
;;   (type (;1;) (func (param (ref $node))))
;;   (type (;2;) (func (param i32) (result i32)))
;;   (export "f" (func 1))
;;   (func $touch (;0;) (type 1) (param (ref $node))
;;     local.get 0
;;     local.get 0
;;     struct.get $node $value
;;     i32.const 2
;;     i32.mul
;;     struct.set $node $value
;;   )
;;   (func (;1;) (type 2) (param $n i32) (result i32)
;;     (local $list (ref null $node))
;;     loop (result i32) ;; label = @1
;;       local.get $n
;;       if ;; label = @2
;;         local.get $n
;;         i32.const 1
;;         i32.and
;;         if ;; label = @3
;;           local.get $n
;;           local.get $list
;;           struct.new $node
;;           local.tee $list
;;           ref.as_non_null
;;           call $touch
;;         else
;;           i32.const 9
;;           local.get $list
;;           struct.new $node
;;           local.tee $list
;;           ref.as_non_null
;;           call $touch
;;         end
;;         local.get $n
;;         i32.const 1
;;         i32.sub
;;         local.set $n
;;         br 1 (;@1;)
;;       end
;;       i32.const 0
;;       local.set $n
;;       loop (result i32) ;; label = @2
;;         local.get $list
;;         ref.is_null
;;         i32.eqz
;;         if ;; label = @3
;;           local.get $list
;;           struct.get $node $next
;;           local.get $n
;;           local.get $list
;;           struct.get $node $value
;;           i32.add
;;           local.tee $n
;;           i32.const 2
;;           i32.eq
;;           if (result i32) ;; label = @4
;;             i32.const 5
;;           else
;;             local.get $n
;;           end
;;           local.set $n
;;           local.set $list
;;           br 1 (;@2;)
;;         end
;;         local.get $n
;;         i32.const 7
;;         i32.add
;;       end
;;     end
;;   )
;; )
