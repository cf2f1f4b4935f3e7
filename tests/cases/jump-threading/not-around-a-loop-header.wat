;;! passes = "jump-threading"
;;! run = "f(4) -> 4"
;; The first way into the loop decides its condition, but going around the header would give the loop a second entry.
(module
  (func (export "f") (param $n i32) (result i32)
    (local $more i32) (local $count i32)
    (local.set $more (i32.const 1))
    (block $done
      (loop $again
        (br_if $done (i32.eqz (local.get $more)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (local.set $more (i32.lt_u (local.get $count) (local.get $n)))
        (br $again)))
    (local.get $count)))

;;! output
;; passes:jump-threading
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (param $n i32) (result i32)
;;     (local $count i32) (local $more i32)
;;     i32.const 1
;;     local.set $more
;;     loop (result i32) ;; label = @1
;;       local.get $more
;;       if ;; label = @2
;;         local.get $count
;;         i32.const 1
;;         i32.add
;;         local.tee $count
;;         local.get $n
;;         i32.lt_u
;;         local.set $more
;;         br 1 (;@1;)
;;       end
;;       local.get $count
;;     end
;;   )
;; )
