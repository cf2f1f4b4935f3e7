;;! passes = "block-merging"
;;! run = "f(5) -> 15"
;; A loop's header has a second way in, and stays a block of its own.
(module
  (func (export "f") (param $n i32) (result i32)
    (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (local.get $n)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))

;;! output
;; passes:block-merging
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (param $n i32) (result i32)
;;     (local $sum i32)
;;     loop $again
;;       local.get $sum
;;       local.get $n
;;       i32.add
;;       local.set $sum
;;       local.get $n
;;       i32.const 1
;;       i32.sub
;;       local.tee $n
;;       br_if $again
;;     end
;;     local.get $sum
;;   )
;; )
