;;! transform = "opt:O0"
;;! transform = "opt:O2"
;;! transform = "opt:Oz"
;;! run = "f() -> 10"
;; Before it suspends the body stores 1 and reads it; its resumer sees that, and stores 9, which the body has not read.
(module
  (type $f (func (result i32)))
  (type $c (cont $f))
  (tag $pause)
  (memory 1)
  (elem declare func $body)
  (func $body (result i32)
    (local $before i32)
    (i32.store (i32.const 0) (i32.const 1))
    (local.set $before (i32.load (i32.const 0)))
    (suspend $pause)
    (i32.add (local.get $before) (i32.load (i32.const 0))))
  (func (export "f") (result i32)
    (local $k (ref null $c))
    (block $paused (result (ref $c))
      (return (resume $c (on $pause $paused) (cont.new $c (ref.func $body)))))
    (local.set $k)
    (i32.store (i32.const 0) (i32.mul (i32.load (i32.const 0)) (i32.const 9)))
    (resume $c (local.get $k))))

;;! output
;; opt:O0
;; (module
;;   (type $f (;0;) (func (result i32)))
;;   (type $c (;1;) (cont $f))
;;   (type (;2;) (func))
;;   (memory (;0;) 1)
;;   (tag $pause (;0;) (type 2))
;;   (export "f" (func 1))
;;   (elem (;0;) declare func $body)
;;   (func $body (;0;) (type $f) (result i32)
;;     i32.const 0
;;     i32.const 1
;;     i32.store
;;     i32.const 0
;;     i32.load
;;     suspend $pause
;;     i32.const 0
;;     i32.load
;;     i32.add
;;   )
;;   (func (;1;) (type $f) (result i32)
;;     (local $k (ref null $c))
;;     block (result (ref $c)) ;; label = @1
;;       ref.func $body
;;       cont.new $c
;;       resume $c (on $pause 0 (;@1;))
;;       return
;;     end
;;     local.set $k
;;     i32.const 0
;;     i32.const 0
;;     i32.load
;;     i32.const 9
;;     i32.mul
;;     i32.store
;;     local.get $k
;;     resume $c
;;   )
;; )

;; opt:O2
;; (module
;;   (type $f (;0;) (func (result i32)))
;;   (type $c (;1;) (cont $f))
;;   (type (;2;) (func))
;;   (memory (;0;) 1)
;;   (tag $pause (;0;) (type 2))
;;   (export "f" (func 1))
;;   (elem (;0;) declare func $body)
;;   (func $body (;0;) (type $f) (result i32)
;;     i32.const 0
;;     i32.const 1
;;     i32.store
;;     suspend $pause
;;     i32.const 0
;;     i32.load
;;     i32.const 1
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
;;     i32.const 0
;;     i32.const 0
;;     i32.load
;;     i32.const 9
;;     i32.mul
;;     i32.store
;;     local.get $k
;;     resume $c
;;   )
;; )

;; opt:Oz
;; (module
;;   (type $f (;0;) (func (result i32)))
;;   (type $c (;1;) (cont $f))
;;   (type (;2;) (func))
;;   (memory (;0;) 1)
;;   (tag $pause (;0;) (type 2))
;;   (export "f" (func 1))
;;   (elem (;0;) declare func $body)
;;   (func $body (;0;) (type $f) (result i32)
;;     i32.const 0
;;     i32.const 1
;;     i32.store
;;     suspend $pause
;;     i32.const 0
;;     i32.load
;;     i32.const 1
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
;;     i32.const 0
;;     i32.const 0
;;     i32.load
;;     i32.const 9
;;     i32.mul
;;     i32.store
;;     local.get $k
;;     resume $c
;;   )
;; )
