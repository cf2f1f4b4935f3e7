;;! transform = "opt:O0"
;;! transform = "opt:O2"
;;! run = "f(5) -> 3"
;;! run = "f(10) -> 34"
;; Both variables of the loop change at the same time, each to what the other was.
(module
  (func (export "f") (param $n i32) (result i32)
    (local $a i32) (local $b i32) (local $t i32)
    (local.set $b (i32.const 1))
    (loop $again
      (local.set $t (i32.add (local.get $a) (local.get $b)))
      (local.set $a (local.get $b))
      (local.set $b (local.get $t))
      (br_if $again (i32.gt_s (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 1))))
    (if (result i32) (i32.gt_s (i32.const 6) (i32.const 5)) (then (local.get $a)) (else (local.get $b)))))

;;! output
;; opt:O0
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (param $n i32) (result i32)
;;     (local $a i32) (local $b i32) (local $t i32)
;;     i32.const 1
;;     local.set $b
;;     loop ;; label = @1
;;       local.get $a
;;       local.get $b
;;       i32.add
;;       local.set $t
;;       local.get $b
;;       local.set $a
;;       local.get $t
;;       local.set $b
;;       local.get $n
;;       i32.const 1
;;       i32.sub
;;       local.tee $n
;;       i32.const 1
;;       i32.gt_s
;;       br_if 0 (;@1;)
;;     end
;;     i32.const 6
;;     i32.const 5
;;     i32.gt_s
;;     if (result i32) ;; label = @1
;;       local.get $a
;;     else
;;       local.get $b
;;     end
;;   )
;; )

;; opt:O2
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (param $n i32) (result i32)
;;     (local $b i32) (local $a i32)
;;     i32.const 1
;;     local.set $b
;;     loop (result i32) ;; label = @1
;;       local.get $n
;;       i32.const -1
;;       i32.add
;;       local.tee $n
;;       i32.const 1
;;       i32.gt_s
;;       if ;; label = @2
;;         local.get $b
;;         local.get $a
;;         local.get $b
;;         i32.add
;;         local.set $b
;;         local.set $a
;;         br 1 (;@1;)
;;       end
;;       local.get $b
;;     end
;;   )
;; )
