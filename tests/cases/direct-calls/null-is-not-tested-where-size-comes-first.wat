;;! transform = "opt:Os:closed-world"
;;! also = "opt:O2:closed-world"
;;! run = "call(1) -> trap null"
;;! run = "set() ->"
;;! run = "call(1) -> 9"
;; One function has the type, but to call it instead takes two bytes more for each call, as its reference may be null.
(module
  (type $t (func (param i32) (result i64)))
  (global $g (mut (ref null $t)) (ref.null $t))
  (elem declare func $f)
  (func $f (type $t)
    (if (result i64) (i32.and (local.get 0) (i32.const 1))
      (then (i64.const 4))
      (else (i64.extend_i32_u (i32.mul (local.get 0) (local.get 0))))))
  (func (export "set") (global.set $g (ref.func $f)))
  (func (export "call") (param i32) (result i32)
    (i32.wrap_i64 (i64.add
      (call_ref $t (local.get 0) (global.get $g))
      (i64.or (call_ref $t (i32.add (local.get 0) (i32.const 2)) (global.get $g)) (i64.const 1))))))

;;! output
;; opt:Os:closed-world
;; (module
;;   (type $t (;0;) (func (param i32) (result i64)))
;;   (type (;1;) (func))
;;   (type (;2;) (func (param i32) (result i32)))
;;   (global $g (;0;) (mut (ref null $t)) ref.null $t)
;;   (export "set" (func 1))
;;   (export "call" (func 2))
;;   (elem (;0;) declare func $f)
;;   (func $f (;0;) (type $t) (param i32) (result i64)
;;     local.get 0
;;     i32.const 1
;;     i32.and
;;     if (result i64) ;; label = @1
;;       i64.const 4
;;     else
;;       local.get 0
;;       local.get 0
;;       i32.mul
;;       i64.extend_i32_u
;;     end
;;   )
;;   (func (;1;) (type 1)
;;     ref.func $f
;;     global.set $g
;;   )
;;   (func (;2;) (type 2) (param i32) (result i32)
;;     local.get 0
;;     global.get $g
;;     call_ref $t
;;     local.get 0
;;     i32.const 2
;;     i32.add
;;     global.get $g
;;     call_ref $t
;;     i64.const 1
;;     i64.or
;;     i64.add
;;     i32.wrap_i64
;;   )
;; )
