;;! passes = "inlining, remove-unused-module-elements"
;;! run = "f(3) -> 3"
;; The callee's local is zero at the start of each call, also in a loop.
(module
  (func $once (result i32)
    (local $x i32)
    (local.set $x (i32.add (local.get $x) (i32.const 1)))
    (local.get $x))
  (func (export "f") (param $n i32) (result i32)
    (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (call $once)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))

;;! output
;; passes:inlining, remove-unused-module-elements
;; (module
;;   (type (;0;) (func (result i32)))
;;   (type (;1;) (func (param i32) (result i32)))
;;   (export "f" (func 0))
;;   (func (;0;) (type 1) (param $n i32) (result i32)
;;     (local $sum i32)
;;     loop (result i32) ;; label = @1
;;       local.get $sum
;;       i32.const 0
;;       i32.const 1
;;       i32.add
;;       i32.add
;;       local.set $sum
;;       local.get $n
;;       i32.const 1
;;       i32.sub
;;       local.tee $n
;;       br_if 0 (;@1;)
;;       local.get $sum
;;     end
;;   )
;; )
