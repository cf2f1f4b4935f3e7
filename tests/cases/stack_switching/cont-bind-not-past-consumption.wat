;;! passes = "numbering, simplify, dead-code"
;;! transform = "opt:O2"
;;! run = "f() -> trap continuation already consumed"
;; `cont.bind` consumes: the second one of the same continuation traps, equal as the two are.
(module
  (type $f (func (param i32) (result i32)))
  (type $c (cont $f))
  (type $g (func (result i32)))
  (type $d (cont $g))
  (elem declare func $same)
  (func $same (param i32) (result i32) (local.get 0))
  (func (export "f") (result i32)
    (local $k (ref $c))
    (local.set $k (cont.new $c (ref.func $same)))
    (i32.add
      (resume $d (cont.bind $c $d (i32.const 1) (local.get $k)))
      (resume $d (cont.bind $c $d (i32.const 1) (local.get $k))))))

;;! output
;; passes:numbering, simplify, dead-code
;; (module
;;   (type $f (;0;) (func (param i32) (result i32)))
;;   (type $c (;1;) (cont $f))
;;   (type $g (;2;) (func (result i32)))
;;   (type $d (;3;) (cont $g))
;;   (export "f" (func 1))
;;   (elem (;0;) declare func $same)
;;   (func $same (;0;) (type $f) (param i32) (result i32)
;;     local.get 0
;;   )
;;   (func (;1;) (type $g) (result i32)
;;     (local $k (ref $c))
;;     i32.const 1
;;     ref.func $same
;;     cont.new $c
;;     local.tee $k
;;     cont.bind $c $d
;;     resume $d
;;     i32.const 1
;;     local.get $k
;;     cont.bind $c $d
;;     resume $d
;;     i32.add
;;   )
;; )

;; opt:O2
;; (module
;;   (type $f (;0;) (func (param i32) (result i32)))
;;   (type $c (;1;) (cont $f))
;;   (type $g (;2;) (func (result i32)))
;;   (type $d (;3;) (cont $g))
;;   (export "f" (func 1))
;;   (elem (;0;) declare func $same)
;;   (func $same (;0;) (type $f) (param i32) (result i32)
;;     local.get 0
;;   )
;;   (func (;1;) (type $g) (result i32)
;;     (local $k (ref $c))
;;     i32.const 1
;;     ref.func $same
;;     cont.new $c
;;     local.tee $k
;;     cont.bind $c $d
;;     resume $d
;;     i32.const 1
;;     local.get $k
;;     cont.bind $c $d
;;     resume $d
;;     i32.add
;;   )
;; )
