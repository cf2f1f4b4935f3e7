;;! transform = "opt:O2:closed-world"
;;! run = "f() -> trap null"
;; The only reference to the function of this type went with a global that nothing reads.
(module
  (rec (type $t (func)) (type $other (struct)))
  (global $unused (ref $t) (ref.func $a))
  (global $g (mut (ref null $t)) (ref.null $t))
  (func $a (type $t))
  (func (export "f") (call_ref $t (global.get $g))))

;;! output
;; opt:O2:closed-world
;; (module
;;   (rec
;;     (type $t (;0;) (func))
;;     (type $other (;1;) (struct))
;;   )
;;   (type (;2;) (func))
;;   (global $g (;0;) (ref null $t) ref.null $t)
;;   (export "f" (func 0))
;;   (func (;0;) (type 2)
;;     global.get $g
;;     call_ref $t
;;   )
;; )
