;;! passes = "inlining, remove-unused-module-elements"
;;! run = "f() -> 42"
;; A suspension leaves the inlined body as it left the callee.
(module
  (type $f (func (result i32)))
  (type $c (cont $f))
  (type $r (func (param i32) (result i32)))
  (type $k (cont $r))
  (tag $ask (result i32))
  (elem declare func $body)
  (func $once (result i32) (i32.add (suspend $ask) (i32.const 1)))
  (func $body (result i32) (i32.mul (call $once) (i32.const 2)))
  (func (export "f") (result i32)
    (local $k (ref null $k))
    (block $asked (result (ref $k))
      (return (resume $c (on $ask $asked) (cont.new $c (ref.func $body)))))
    (local.set $k)
    (resume $k (i32.const 20) (local.get $k))))

;;! output
;; passes:inlining, remove-unused-module-elements
;; (module
;;   (type $f (;0;) (func (result i32)))
;;   (type $c (;1;) (cont $f))
;;   (type $r (;2;) (func (param i32) (result i32)))
;;   (type $k (;3;) (cont $r))
;;   (tag $ask (;0;) (type $f) (result i32))
;;   (export "f" (func 1))
;;   (elem (;0;) declare func $body)
;;   (func $body (;0;) (type $f) (result i32)
;;     suspend $ask
;;     i32.const 1
;;     i32.add
;;     i32.const 2
;;     i32.mul
;;   )
;;   (func (;1;) (type $f) (result i32)
;;     (local $k (ref null $k))
;;     block $asked (result (ref $k))
;;       ref.func $body
;;       cont.new $c
;;       resume $c (on $ask $asked)
;;       return
;;     end
;;     local.set $k
;;     i32.const 20
;;     local.get $k
;;     resume $k
;;   )
;; )
