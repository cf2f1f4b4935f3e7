;;! passes = "types"
;;! run = "f() -> 5"
(module
  (type $f (func (result i32)))
  (type $g (func (param i32) (result i32)))
  (type $c (cont $f))
  (type $d (cont $g))
  (type $e (cont $f))
  (elem declare func $five)
  (func $five (type $g) (local.get 0))
  (func (export "f") (result i32)
    (local $k (ref null $e))
    (local.set $k (cont.bind $d $c (i32.const 5) (cont.new $d (ref.func $five))))
    (resume $e (local.get $k))))

;;! output
;; passes:types
;; (module
;;   (type $g (;0;) (func (param i32) (result i32)))
;;   (type $d (;1;) (cont $g))
;;   (type $f (;2;) (func (result i32)))
;;   (type $c (;3;) (cont $f))
;;   (export "f" (func 1))
;;   (elem (;0;) declare func $five)
;;   (func $five (;0;) (type $g) (param i32) (result i32)
;;     local.get 0
;;   )
;;   (func (;1;) (type $f) (result i32)
;;     i32.const 5
;;     ref.func $five
;;     cont.new $d
;;     cont.bind $d $c
;;     resume $c
;;   )
;; )
