;;! passes = "numbering, dead-code"
;;! run = "f() -> 7"
;; While the function is suspended its resumer writes the global.
(module
  (type $f (func (result i32)))
  (type $c (cont $f))
  (tag $pause)
  (global $g (mut i32) (i32.const 1))
  (elem declare func $body)
  (func $body (result i32)
    (local $before i32)
    (local.set $before (global.get $g))
    (suspend $pause)
    (i32.add (local.get $before) (global.get $g)))
  (func (export "f") (result i32)
    (local $k (ref null $c))
    (block $paused (result (ref $c))
      (return (resume $c (on $pause $paused) (cont.new $c (ref.func $body)))))
    (local.set $k)
    (global.set $g (i32.const 6))
    (resume $c (local.get $k))))

;;! output
;; passes:numbering, dead-code
;; (module
;;   (type $f (;0;) (func (result i32)))
;;   (type $c (;1;) (cont $f))
;;   (type (;2;) (func))
;;   (tag $pause (;0;) (type 2))
;;   (global $g (;0;) (mut i32) i32.const 1)
;;   (export "f" (func 1))
;;   (elem (;0;) declare func $body)
;;   (func $body (;0;) (type $f) (result i32)
;;     global.get $g
;;     suspend $pause
;;     global.get $g
;;     i32.add
;;   )
;;   (func (;1;) (type $f) (result i32)
;;     (local $k (ref null $c))
;;     block $paused (result (ref $c))
;;       ref.func $body
;;       cont.new $c
;;       resume $c (on $pause $paused)
;;       return
;;     end
;;     local.set $k
;;     i32.const 6
;;     global.set $g
;;     local.get $k
;;     resume $c
;;   )
;; )
