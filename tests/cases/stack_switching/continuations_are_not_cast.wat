;;! passes = "numbering, simplify, branches, dead-code"
;;! also = "everything"
;;! run = "pick(0) -> 1"
;;! run = "pick(1) -> 2"
;;! run = "through_null(0) -> 5"
;;! run = "through_null(1) -> 0"
;; Continuations cannot be cast or compared. Where a type gets wider in a local or a block's parameter, only `ref.as_non_null` may bring it back.
(module
  (type $f (func (result i32)))
  (type $k (cont $f))
  (func $one (type $f) (i32.const 1))
  (func $two (type $f) (i32.const 2))
  (func $five (type $f) (i32.const 5))
  (elem declare func $one $two $five)
  (func (export "pick") (param $which i32) (result i32)
    (local $c (ref null $k))
    (if (local.get $which)
      (then (local.set $c (cont.new $k (ref.func $two))))
      (else (local.set $c (cont.new $k (ref.func $one)))))
    (resume $k (ref.as_non_null (local.get $c))))
  (func (export "through_null") (param $none i32) (result i32)
    (local $c (ref null $k))
    (if (i32.eqz (local.get $none)) (then (local.set $c (cont.new $k (ref.func $five)))))
    (block $null
      (return (resume $k (br_on_null $null (local.get $c)))))
    (i32.const 0))
)

;;! output
;; passes:numbering, simplify, branches, dead-code
;; (module
;;   (type $f (;0;) (func (result i32)))
;;   (type $k (;1;) (cont $f))
;;   (type (;2;) (func (param i32) (result i32)))
;;   (export "pick" (func 3))
;;   (export "through_null" (func 4))
;;   (elem (;0;) declare func $one $two $five)
;;   (func $one (;0;) (type $f) (result i32)
;;     i32.const 1
;;   )
;;   (func $two (;1;) (type $f) (result i32)
;;     i32.const 2
;;   )
;;   (func $five (;2;) (type $f) (result i32)
;;     i32.const 5
;;   )
;;   (func (;3;) (type 2) (param $which i32) (result i32)
;;     (local $c (ref null $k))
;;     local.get $which
;;     if ;; label = @1
;;       ref.func $two
;;       cont.new $k
;;       local.set $c
;;     else
;;       ref.func $one
;;       cont.new $k
;;       local.set $c
;;     end
;;     local.get $c
;;     ref.as_non_null
;;     resume $k
;;   )
;;   (func (;4;) (type 2) (param $none i32) (result i32)
;;     (local $c (ref null $k))
;;     local.get $none
;;     i32.eqz
;;     if ;; label = @1
;;       ref.func $five
;;       cont.new $k
;;       local.set $c
;;     end
;;     block $null
;;       local.get $c
;;       br_on_null $null
;;       resume $k
;;       return
;;     end
;;     i32.const 0
;;   )
;; )
