;;! passes = "dead-code"
;;! run = "f(3) -> 3"
;; The parameter of the loop only feeds itself.
(module
  (func (export "f") (param $n i32) (result i32)
    (local $unused i32) (local $i i32)
    (loop $again
      (local.set $unused (i32.add (local.get $unused) (i32.const 2)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $i)))

;;! output
;; passes:dead-code
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (param $n i32) (result i32)
;;     (local $i i32)
;;     loop (result i32) ;; label = @1
;;       local.get $i
;;       i32.const 1
;;       i32.add
;;       local.tee $i
;;       local.get $n
;;       i32.lt_u
;;       br_if 0 (;@1;)
;;       local.get $i
;;     end
;;   )
;; )
