;;! passes = "direct-calls, inlining, simplify, dead-code, types"
;;! also = "everything"
;;! run = "run(4) -> 9"
;;! run = "direct(4) -> 9"
;; $body ignores its first parameter and always gives a struct of the same type. Its type is also its continuation's: no parameter may be removed and
;; no result refined behind the continuation type's back.
(module
  (type $s (struct (field i32)))
  (type $f (func (param i32 i32) (result (ref null struct))))
  (type $k (cont $f))
  (func $body (type $f) (struct.new $s (i32.add (local.get 1) (i32.const 5))))
  (elem declare func $body)
  (func (export "run") (param $n i32) (result i32)
    (struct.get $s 0
      (ref.cast (ref $s) (resume $k (i32.const 1) (local.get $n) (cont.new $k (ref.func $body))))))
  (func (export "direct") (param $n i32) (result i32)
    (struct.get $s 0 (ref.cast (ref $s) (call $body (i32.const 2) (local.get $n)))))
)

;;! output
;; passes:direct-calls, inlining, simplify, dead-code, types
;; (module
;;   (type $s (;0;) (struct (field i32)))
;;   (type $f (;1;) (func (param i32 i32) (result structref)))
;;   (type $k (;2;) (cont $f))
;;   (type (;3;) (func (param i32) (result i32)))
;;   (export "run" (func 1))
;;   (export "direct" (func 2))
;;   (elem (;0;) declare func $body)
;;   (func $body (;0;) (type $f) (param i32 i32) (result structref)
;;     local.get 1
;;     i32.const 5
;;     i32.add
;;     struct.new $s
;;   )
;;   (func (;1;) (type 3) (param $n i32) (result i32)
;;     i32.const 1
;;     local.get $n
;;     ref.func $body
;;     cont.new $k
;;     resume $k
;;     ref.cast (ref $s)
;;     struct.get $s 0
;;   )
;;   (func (;2;) (type 3) (param $n i32) (result i32)
;;     i32.const 2
;;     local.get $n
;;     call $body
;;     ref.cast (ref $s)
;;     struct.get $s 0
;;   )
;; )
