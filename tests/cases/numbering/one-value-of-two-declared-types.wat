;;! transform = "pass:numbering"
;;! also = "everything"
;;! run = "subtypes(1) -> 3"
;;! run = "subtypes(0) -> trap null reference"
;;! run = "conversions() -> 1, 1"
(module
  (type $A (sub (struct (field $x i32))))
  (type $B (sub $A (struct (field i32) (field $y i32))))
  ;; `ref.as_non_null` of one value gives an $A where the local is one of $A, and a $B where it is one of $B.
  (func (export "subtypes") (param $i i32) (result i32)
    (local $a (ref null $A)) (local $b (ref null $B))
    (local.set $b
      (if (result (ref null $B)) (local.get $i)
        (then (struct.new $B (i32.const 1) (i32.const 2)))
        (else (ref.null $B))))
    (local.set $a (local.get $b))
    (i32.add
      (struct.get $A $x (ref.as_non_null (local.get $a)))
      (struct.get $B $y (ref.as_non_null (local.get $b)))))
  ;; The conversion of what is never null is never null.
  (func $null_of (param (ref extern)) (result i32) (ref.is_null (local.get 0)))
  (func (export "conversions") (result i32 i32)
    (local $nullable anyref) (local $known (ref any))
    (local.set $known (ref.i31 (i32.const 5)))
    (local.set $nullable (local.get $known))
    (i32.eqz (ref.is_null (extern.convert_any (local.get $nullable))))
    (i32.eqz (call $null_of (extern.convert_any (local.get $known))))))

;;! output
;; pass:numbering
;; (module
;;   (type $A (;0;) (sub (struct (field $x i32))))
;;   (type $B (;1;) (sub $A (struct (field i32) (field $y i32))))
;;   (type (;2;) (func (param i32) (result i32)))
;;   (type (;3;) (func (param (ref extern)) (result i32)))
;;   (type (;4;) (func (result i32 i32)))
;;   (export "subtypes" (func 0))
;;   (export "conversions" (func 2))
;;   (func (;0;) (type 2) (param $i i32) (result i32)
;;     (local $b (ref null $B))
;;     local.get $i
;;     if (result (ref null $B)) ;; label = @1
;;       i32.const 1
;;       i32.const 2
;;       struct.new $B
;;     else
;;       ref.null $B
;;     end
;;     local.tee $b
;;     ref.as_non_null
;;     struct.get $A $x
;;     local.get $b
;;     ref.as_non_null
;;     struct.get $B $y
;;     i32.add
;;   )
;;   (func $null_of (;1;) (type 3) (param (ref extern)) (result i32)
;;     local.get 0
;;     ref.is_null
;;   )
;;   (func (;2;) (type 4) (result i32 i32)
;;     (local $known (ref i31))
;;     i32.const 5
;;     ref.i31
;;     local.tee $known
;;     extern.convert_any
;;     ref.is_null
;;     i32.eqz
;;     local.get $known
;;     extern.convert_any
;;     call $null_of
;;     i32.eqz
;;   )
;; )
