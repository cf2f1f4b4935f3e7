;;! also = "everything"
;;! shape = "no"
;;! run = "test_a() -> 0"
;;! run = "test_b() -> 1"
;;! run = "call_a() -> trap indirect call type mismatch"
;;! run = "group_like_a_brand(0) -> 1"
;;! run = "group_like_a_brand(1) -> 0"
;;! run = "group_like_a_brand(2) -> 0"
;;! run = "group_like_a_brand(3) -> 0"
;; What is asked for has no function of its own, but one of a subtype of the other type has; and recursion groups of the module look like what lowering
;; tells types apart by.
(module
  (type $f (func)) (type $c1 (cont $f))
  (type $g (func (param i32))) (type $c2 (cont $g))
  (type $a (sub (func (param (ref null $c1)))))
  (type $b (sub (func (param (ref null $c2)))))
  (type $sub_of_b (sub $b (func (param (ref null $c2)))))
  (type $d (func (param (ref null $c1))))
  (type $e (func (param (ref null $c2))))
  (rec (type $x (func (param i64))) (type (func)))
  (rec (type $y (func (param i64))) (type (func (param f64))))
  (rec (type $z (func (param i64))) (type (func (param f32 f64))))
  (func $of_sub_of_b (type $sub_of_b))
  (func $of_d (type $d)) (func $of_e (type $e)) (func $of_x (type $x)) (func $of_y (type $y)) (func $of_z (type $z))
  (table $subs 1 funcref)
  (table $groups 5 funcref)
  (elem (table $subs) (i32.const 0) func $of_sub_of_b)
  (elem (table $groups) (i32.const 0) func $of_d $of_x $of_y $of_z $of_e)
  (func (export "test_a") (result i32) (ref.test (ref $a) (table.get $subs (i32.const 0))))
  (func (export "test_b") (result i32) (ref.test (ref $b) (table.get $subs (i32.const 0))))
  (func (export "call_a") (call_indirect $subs (type $a) (ref.null $c1) (i32.const 0)))
  (func (export "group_like_a_brand") (param i32) (result i32)
    (i32.or
      (ref.test (ref $d) (table.get $groups (local.get 0)))
      (ref.test (ref $e) (table.get $groups (local.get 0))))))
