;;! transform = "opt:O0"
;;! transform = "opt:O2"
;;! run = "f() -> 12"
;; What is switched to writes the global that is read again afterwards.
(module
  (rec
    (type $f (func (param (ref null $c)) (result i32)))
    (type $c (cont $f)))
  (type $start (func (result i32)))
  (type $s (cont $start))
  (tag $swap (result i32))
  (global $g (mut i32) (i32.const 5))
  (elem declare func $main $other)
  (func $other (type $f)
    (global.set $g (i32.const 7))
    (switch $c $swap (local.get 0))
    (drop)
    (i32.const 100))
  (func $main (result i32)
    (local $before i32)
    (local.set $before (global.get $g))
    (switch $c $swap (cont.new $c (ref.func $other)))
    (drop)
    (i32.add (local.get $before) (global.get $g)))
  (func (export "f") (result i32)
    (resume $s (on $swap switch) (cont.new $s (ref.func $main)))))

;;! output
;; opt:O0
;; (module
;;   (rec
;;     (type $f (;0;) (func (param (ref null $c)) (result i32)))
;;     (type $c (;1;) (cont $f))
;;   )
;;   (type $start (;2;) (func (result i32)))
;;   (type $s (;3;) (cont $start))
;;   (tag $swap (;0;) (type $start) (result i32))
;;   (global $g (;0;) (mut i32) i32.const 5)
;;   (export "f" (func 2))
;;   (elem (;0;) declare func $main $other)
;;   (func $other (;0;) (type $f) (param (ref null $c)) (result i32)
;;     i32.const 7
;;     global.set $g
;;     local.get 0
;;     switch $c $swap
;;     drop
;;     i32.const 100
;;   )
;;   (func $main (;1;) (type $start) (result i32)
;;     global.get $g
;;     ref.func $other
;;     cont.new $c
;;     switch $c $swap
;;     drop
;;     global.get $g
;;     i32.add
;;   )
;;   (func (;2;) (type $start) (result i32)
;;     ref.func $main
;;     cont.new $s
;;     resume $s (on $swap switch)
;;   )
;; )

;; opt:O2
;; (module
;;   (rec
;;     (type $f (;0;) (func (param (ref null $c)) (result i32)))
;;     (type $c (;1;) (cont $f))
;;   )
;;   (type $start (;2;) (func (result i32)))
;;   (type $s (;3;) (cont $start))
;;   (tag $swap (;0;) (type $start) (result i32))
;;   (global $g (;0;) (mut i32) i32.const 5)
;;   (export "f" (func 2))
;;   (elem (;0;) declare func $main $other)
;;   (func $other (;0;) (type $f) (param (ref null $c)) (result i32)
;;     i32.const 7
;;     global.set $g
;;     local.get 0
;;     switch $c $swap
;;     drop
;;     i32.const 100
;;   )
;;   (func $main (;1;) (type $start) (result i32)
;;     global.get $g
;;     ref.func $other
;;     cont.new $c
;;     switch $c $swap
;;     drop
;;     global.get $g
;;     i32.add
;;   )
;;   (func (;2;) (type $start) (result i32)
;;     ref.func $main
;;     cont.new $s
;;     resume $s (on $swap switch)
;;   )
;; )
