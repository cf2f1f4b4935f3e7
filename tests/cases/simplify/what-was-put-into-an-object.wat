;;! passes = "simplify, numbering, dead-code"
;;! also = "opt:O2, opt:Oz, opt:O3"
;;! run = "small() -> -1"
;;! run = "unsigned() -> 2147483647"
;;! run = "boolean(0) -> 1"
;;! run = "length(7) -> 7"
;;! run = "fixed() -> 3"
;;! run = "immutable(5) -> 5"
;;! run = "mutable(5) -> 10"
;;! run = "written(5) -> 6"
;;! run = "packed(257) -> 1"
;;! run = "packed_field(65537) -> 1"
;;! run = "defaults() -> 0"
;;! run = "same() -> 7"
;;! run = "negative_zero() -> 1"
;; Numbers in references, lengths and fields come out as they were put in; -0.0 is no default.
(module
  (type $T (struct (field $x (mut i32)) (field $y i64)))
  (type $P (struct (field $h (mut i16))))
  (type $A (array (mut i8)))
  (type $F (array f64))
  (global $a (ref $A) (array.new_default $A (i32.const 4)))
  (global $p (ref $P) (struct.new $P (i32.const 0)))
  (func (export "small") (result i32) (i31.get_s (ref.i31 (i32.const 0x7fffffff))))
  (func (export "unsigned") (result i32) (i31.get_u (ref.i31 (i32.const -1))))
  (func (export "boolean") (param i32) (result i32) (i31.get_s (ref.i31 (i32.eqz (local.get 0)))))
  (func (export "length") (param i32) (result i32) (array.len (array.new_default $A (local.get 0))))
  (func (export "fixed") (result i32) (array.len (array.new_fixed $A 3 (i32.const 1) (i32.const 2) (i32.const 3))))
  (func (export "immutable") (param i64) (result i64) (struct.get $T $y (struct.new $T (i32.const 1) (local.get 0))))
  (func (export "mutable") (param i32) (result i32) (local $t (ref null $T))
    (local.set $t (struct.new $T (local.get 0) (i64.const 1)))
    (i32.add (struct.get $T $x (local.get $t)) (struct.get $T $x (local.get $t))))
  (func (export "written") (param i32) (result i32) (local $t (ref null $T))
    (local.set $t (struct.new $T (local.get 0) (i64.const 1)))
    (struct.set $T $x (local.get $t) (i32.add (local.get 0) (i32.const 1)))
    (struct.get $T $x (local.get $t)))
  (func (export "packed") (param i32) (result i32)
    (array.set $A (global.get $a) (i32.const 1) (i32.and (local.get 0) (i32.const 255)))
    (array.get_u $A (global.get $a) (i32.const 1)))
  (func (export "packed_field") (param i32) (result i32)
    (struct.set $P $h (global.get $p) (i32.extend16_s (local.get 0)))
    (struct.get_u $P $h (global.get $p)))
  (func (export "defaults") (result i64) (struct.get $T $y (struct.new $T (i32.const 0) (i64.const 0))))
  (func $sevens (result (ref $A)) (array.new_fixed $A 3 (i32.const 7) (i32.const 7) (i32.const 7)))
  (func (export "same") (result i32) (array.get_u $A (call $sevens) (i32.const 2)))
  (func $negative (result (ref $F)) (array.new_fixed $F 2 (f64.const -0) (f64.const -0)))
  (func (export "negative_zero") (result i32)
    (i64.lt_s (i64.reinterpret_f64 (array.get $F (call $negative) (i32.const 1))) (i64.const 0))))

;;! output
;; passes:simplify, numbering, dead-code
;; (module
;;   (type $T (;0;) (struct (field $x (mut i32)) (field $y i64)))
;;   (type $P (;1;) (struct (field $h (mut i16))))
;;   (type $A (;2;) (array (mut i8)))
;;   (type $F (;3;) (array f64))
;;   (type (;4;) (func (result i32)))
;;   (type (;5;) (func (param i32) (result i32)))
;;   (type (;6;) (func (param i64) (result i64)))
;;   (type (;7;) (func (result i64)))
;;   (type (;8;) (func (result (ref $A))))
;;   (type (;9;) (func (result (ref $F))))
;;   (global $a (;0;) (ref $A) i32.const 4 array.new_default $A)
;;   (global $p (;1;) (ref $P) i32.const 0 struct.new $P)
;;   (export "small" (func 0))
;;   (export "unsigned" (func 1))
;;   (export "boolean" (func 2))
;;   (export "length" (func 3))
;;   (export "fixed" (func 4))
;;   (export "immutable" (func 5))
;;   (export "mutable" (func 6))
;;   (export "written" (func 7))
;;   (export "packed" (func 8))
;;   (export "packed_field" (func 9))
;;   (export "defaults" (func 10))
;;   (export "same" (func 12))
;;   (export "negative_zero" (func 14))
;;   (func (;0;) (type 4) (result i32)
;;     i32.const -1
;;   )
;;   (func (;1;) (type 4) (result i32)
;;     i32.const -1
;;     ref.i31
;;     i31.get_u
;;   )
;;   (func (;2;) (type 5) (param i32) (result i32)
;;     local.get 0
;;     i32.eqz
;;   )
;;   (func (;3;) (type 5) (param i32) (result i32)
;;     local.get 0
;;   )
;;   (func (;4;) (type 4) (result i32)
;;     i32.const 3
;;   )
;;   (func (;5;) (type 6) (param i64) (result i64)
;;     local.get 0
;;   )
;;   (func (;6;) (type 5) (param i32) (result i32)
;;     local.get 0
;;     local.get 0
;;     i32.add
;;   )
;;   (func (;7;) (type 5) (param i32) (result i32)
;;     local.get 0
;;     i64.const 1
;;     struct.new $T
;;     local.get 0
;;     i32.const 1
;;     i32.add
;;     local.tee 0
;;     struct.set $T $x
;;     local.get 0
;;   )
;;   (func (;8;) (type 5) (param i32) (result i32)
;;     global.get $a
;;     i32.const 1
;;     local.get 0
;;     array.set $A
;;     global.get $a
;;     i32.const 1
;;     array.get_u $A
;;   )
;;   (func (;9;) (type 5) (param i32) (result i32)
;;     global.get $p
;;     local.get 0
;;     struct.set $P $h
;;     global.get $p
;;     struct.get_u $P $h
;;   )
;;   (func (;10;) (type 7) (result i64)
;;     i64.const 0
;;   )
;;   (func $sevens (;11;) (type 8) (result (ref $A))
;;     i32.const 7
;;     i32.const 3
;;     array.new $A
;;   )
;;   (func (;12;) (type 4) (result i32)
;;     call $sevens
;;     i32.const 2
;;     array.get_u $A
;;   )
;;   (func $negative (;13;) (type 9) (result (ref $F))
;;     f64.const -0x0p+0 (;=-0;)
;;     i32.const 2
;;     array.new $F
;;   )
;;   (func (;14;) (type 4) (result i32)
;;     call $negative
;;     i32.const 1
;;     array.get $F
;;     i64.reinterpret_f64
;;     i64.const 0
;;     i64.lt_s
;;   )
;; )
