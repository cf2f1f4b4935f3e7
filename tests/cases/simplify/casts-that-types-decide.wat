;;! passes = "simplify, dead-code"
;;! also = "opt:O2, opt:Oz, opt:O3"
;;! run = "up(0) -> trap"
;;! run = "up(1) -> 1"
;;! run = "test(0) -> 0"
;;! run = "test(1) -> 1"
;;! run = "test_null(0) -> 1"
;;! run = "disjoint(0) -> 1"
;;! run = "disjoint(1) -> trap cast failure"
;;! run = "disjoint_test(0) -> 1"
;;! run = "disjoint_test(1) -> 0"
;;! run = "chain(0) -> trap"
;;! run = "chain(1) -> 2"
;;! run = "effect_between(1) -> trap cast failure"
;;! run = "effect() -> 1"
;; A cast to a type above is none, one to a type beside succeeds for null only, and of a chain of casts the strictest is left; but not over what can be
;; seen after a trap.
(module
  (type $T (sub (struct (field $x (mut i32)))))
  (type $U (sub $T (struct (field $x (mut i32)) (field $y i32))))
  (type $V (sub (struct (field i64))))
  (global $g (mut i32) (i32.const 0))
  (func $make (param i32) (result (ref null $U))
    (if (result (ref null $U)) (local.get 0)
      (then (struct.new $U (i32.const 1) (i32.const 2)))
      (else (ref.null $U))))
  (func $make_any (param i32) (result anyref) (call $make (local.get 0)))
  (func (export "up") (param i32) (result i32) (struct.get $T $x (ref.cast (ref $T) (call $make (local.get 0)))))
  (func (export "test") (param i32) (result i32) (ref.test (ref $T) (call $make (local.get 0))))
  (func (export "test_null") (param i32) (result i32) (ref.test (ref null $T) (call $make (local.get 0))))
  (func (export "disjoint") (param i32) (result i32) (ref.is_null (ref.cast (ref null $V) (call $make_any (local.get 0)))))
  (func (export "disjoint_test") (param i32) (result i32)
    (ref.test (ref null $V) (ref.cast (ref null $T) (call $make_any (local.get 0)))))
  (func (export "chain") (param i32) (result i32)
    (struct.get $U $y (ref.cast (ref $U) (ref.cast (ref null $T) (ref.cast (ref null struct) (call $make_any (local.get 0)))))))
  (func (export "effect_between") (param i32) (result i32) (local (ref null struct))
    (local.set 1 (ref.cast (ref null struct) (call $make_any (local.get 0))))
    (global.set $g (i32.const 1))
    (ref.is_null (ref.cast (ref null $V) (local.get 1))))
  (func (export "effect") (result i32) (global.get $g)))

;;! output
;; passes:simplify, dead-code
;; (module
;;   (type $T (;0;) (sub (struct (field $x (mut i32)))))
;;   (type $U (;1;) (sub $T (struct (field $x (mut i32)) (field $y i32))))
;;   (type $V (;2;) (sub (struct (field i64))))
;;   (type (;3;) (func (param i32) (result (ref null $U))))
;;   (type (;4;) (func (param i32) (result anyref)))
;;   (type (;5;) (func (param i32) (result i32)))
;;   (type (;6;) (func (result i32)))
;;   (global $g (;0;) (mut i32) i32.const 0)
;;   (export "up" (func 2))
;;   (export "test" (func 3))
;;   (export "test_null" (func 4))
;;   (export "disjoint" (func 5))
;;   (export "disjoint_test" (func 6))
;;   (export "chain" (func 7))
;;   (export "effect_between" (func 8))
;;   (export "effect" (func 9))
;;   (func $make (;0;) (type 3) (param i32) (result (ref null $U))
;;     local.get 0
;;     if (result (ref null $U)) ;; label = @1
;;       i32.const 1
;;       i32.const 2
;;       struct.new $U
;;     else
;;       ref.null $U
;;     end
;;   )
;;   (func $make_any (;1;) (type 4) (param i32) (result anyref)
;;     local.get 0
;;     call $make
;;   )
;;   (func (;2;) (type 5) (param i32) (result i32)
;;     local.get 0
;;     call $make
;;     struct.get $T $x
;;   )
;;   (func (;3;) (type 5) (param i32) (result i32)
;;     local.get 0
;;     call $make
;;     ref.is_null
;;     i32.eqz
;;   )
;;   (func (;4;) (type 5) (param i32) (result i32)
;;     local.get 0
;;     call $make
;;     ref.test (ref null $T)
;;   )
;;   (func (;5;) (type 5) (param i32) (result i32)
;;     local.get 0
;;     call $make_any
;;     ref.cast (ref null $V)
;;     ref.is_null
;;   )
;;   (func (;6;) (type 5) (param i32) (result i32)
;;     local.get 0
;;     call $make_any
;;     ref.cast (ref null $T)
;;     ref.is_null
;;   )
;;   (func (;7;) (type 5) (param i32) (result i32)
;;     local.get 0
;;     call $make_any
;;     ref.cast (ref $U)
;;     struct.get $U $y
;;   )
;;   (func (;8;) (type 5) (param i32) (result i32)
;;     local.get 0
;;     call $make_any
;;     ref.cast structref
;;     i32.const 1
;;     global.set $g
;;     ref.cast (ref null $V)
;;     ref.is_null
;;   )
;;   (func (;9;) (type 6) (result i32)
;;     global.get $g
;;   )
;; )
