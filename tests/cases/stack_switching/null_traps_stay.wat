;;! passes = "numbering, simplify, branches, dead-code"
;;! also = "everything"
;;! run = "resume_null() -> trap null"
;;! run = "resume_throw_null() -> trap null"
;;! run = "switch_null() -> trap null"
;;! run = "new_null() -> trap null"
;;! run = "bind_null() -> trap null"
;;! run = "throw_ref_null() -> trap null"
;;! run = "resume_throw_ref_null_exception() -> trap null"
;;! run = "null_before_unhandled() -> trap null"
;;! run = "unhandled() -> trap unhandled tag"
;; Null continuations, null functions and null exceptions trap, each before anything else is looked at, and whether or not the result is used.
(module
  (type $f (func))
  (type $k (cont $f))
  (type $g (func (param i32)))
  (type $gk (cont $g))
  (rec (type $sf (func (param (ref null $sk)))) (type $sk (cont $sf)))
  (tag $e)
  (tag $t)
  (func $nothing)
  (elem declare func $nothing)
  (func (export "resume_null") (resume $k (ref.null $k)))
  (func (export "resume_throw_null") (resume_throw $k $e (ref.null $k)))
  (func (export "switch_null") (drop (switch $sk $t (ref.null $sk))))
  (func (export "new_null") (drop (cont.new $k (ref.null $f))))
  (func (export "bind_null") (drop (cont.bind $gk $k (i32.const 1) (ref.null $gk))))
  (func (export "throw_ref_null") (throw_ref (ref.null exn)))
  (func (export "resume_throw_ref_null_exception")
    (resume_throw_ref $k (ref.null exn) (cont.new $k (ref.func $nothing))))
  ;; There is no prompt for $t either, but null comes first.
  (func (export "null_before_unhandled") (drop (switch $sk $t (ref.null $sk))))
  (func (export "unhandled") (suspend $t))
)

;;! output
;; passes:numbering, simplify, branches, dead-code
;; (module
;;   (type $f (;0;) (func))
;;   (type $k (;1;) (cont $f))
;;   (type $g (;2;) (func (param i32)))
;;   (type $gk (;3;) (cont $g))
;;   (rec
;;     (type $sf (;4;) (func (param (ref null $sk))))
;;     (type $sk (;5;) (cont $sf))
;;   )
;;   (tag $e (;0;) (type $f))
;;   (tag $t (;1;) (type $f))
;;   (export "resume_null" (func 1))
;;   (export "resume_throw_null" (func 2))
;;   (export "switch_null" (func 3))
;;   (export "new_null" (func 4))
;;   (export "bind_null" (func 5))
;;   (export "throw_ref_null" (func 6))
;;   (export "resume_throw_ref_null_exception" (func 7))
;;   (export "null_before_unhandled" (func 8))
;;   (export "unhandled" (func 9))
;;   (elem (;0;) declare func $nothing)
;;   (func $nothing (;0;) (type $f))
;;   (func (;1;) (type $f)
;;     ref.null $k
;;     resume $k
;;   )
;;   (func (;2;) (type $f)
;;     ref.null $k
;;     resume_throw $k $e
;;   )
;;   (func (;3;) (type $f)
;;     ref.null $sk
;;     switch $sk $t
;;     drop
;;   )
;;   (func (;4;) (type $f)
;;     ref.null $f
;;     cont.new $k
;;     drop
;;   )
;;   (func (;5;) (type $f)
;;     i32.const 1
;;     ref.null $gk
;;     cont.bind $gk $k
;;     drop
;;   )
;;   (func (;6;) (type $f)
;;     ref.null exn
;;     throw_ref
;;   )
;;   (func (;7;) (type $f)
;;     ref.null exn
;;     ref.func $nothing
;;     cont.new $k
;;     resume_throw_ref $k
;;   )
;;   (func (;8;) (type $f)
;;     ref.null $sk
;;     switch $sk $t
;;     drop
;;   )
;;   (func (;9;) (type $f)
;;     suspend $t
;;   )
;; )
