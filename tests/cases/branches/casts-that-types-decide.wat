;;! passes = "branches, dead-code"
;;! also = "opt:O2, opt:Oz"
;;! run = "null_test(0) -> 5"
;;! run = "null_test(1) -> 1"
;;! run = "fails(0) -> 5"
;;! run = "fails(1) -> 1"
;;! run = "certain(1) -> 1"
;;! run = "never(1) -> 9"
;; A branch on a cast to a type above is one on null, or none.
(module
  (type $T (sub (struct (field $x (mut i32)))))
  (type $U (sub $T (struct (field $x (mut i32)) (field $y i32))))
  (type $V (sub (struct (field i64))))
  (func $make (param i32) (result (ref null $U))
    (if (result (ref null $U)) (local.get 0)
      (then (struct.new $U (i32.const 1) (i32.const 2)))
      (else (ref.null $U))))
  (func (export "null_test") (param i32) (result i32)
    (block $no (result (ref null struct))
      (return (struct.get $T $x
        (block $yes (result (ref $T))
          (br $no (br_on_cast $yes (ref null struct) (ref $T) (call $make (local.get 0))))))))
    (drop) (i32.const 5))
  (func (export "fails") (param i32) (result i32)
    (block $no (result (ref null struct))
      (return (struct.get $T $x (br_on_cast_fail $no (ref null struct) (ref $T) (call $make (local.get 0))))))
    (drop) (i32.const 5))
  (func (export "certain") (param i32) (result i32)
    (block $no (result (ref null struct))
      (return (struct.get $T $x
        (block $yes (result (ref $T))
          (br $no (br_on_cast $yes (ref null struct) (ref $T) (ref.as_non_null (call $make (local.get 0)))))))))
    (drop) (i32.const 5))
  (func (export "never") (param i32) (result i32)
    (block $yes (result (ref $V))
      (drop (br_on_cast $yes (ref null struct) (ref $V) (call $make (local.get 0))))
      (return (i32.const 9)))
    (drop) (i32.const 5)))

;;! output
;; passes:branches, dead-code
;; (module
;;   (type $T (;0;) (sub (struct (field $x (mut i32)))))
;;   (type $U (;1;) (sub $T (struct (field $x (mut i32)) (field $y i32))))
;;   (type $V (;2;) (sub (struct (field i64))))
;;   (type (;3;) (func (param i32) (result (ref null $U))))
;;   (type (;4;) (func (param i32) (result i32)))
;;   (export "null_test" (func 1))
;;   (export "fails" (func 2))
;;   (export "certain" (func 3))
;;   (export "never" (func 4))
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
;;   (func (;1;) (type 4) (param i32) (result i32)
;;     block (result (ref $U)) ;; label = @1
;;       local.get 0
;;       call $make
;;       br_on_non_null 0 (;@1;)
;;       i32.const 5
;;       return
;;     end
;;     struct.get $T $x
;;   )
;;   (func (;2;) (type 4) (param i32) (result i32)
;;     block ;; label = @1
;;       local.get 0
;;       call $make
;;       br_on_null 0 (;@1;)
;;       struct.get $T $x
;;       return
;;     end
;;     i32.const 5
;;   )
;;   (func (;3;) (type 4) (param i32) (result i32)
;;     local.get 0
;;     call $make
;;     ref.as_non_null
;;     struct.get $T $x
;;   )
;;   (func (;4;) (type 4) (param i32) (result i32)
;;     local.get 0
;;     call $make
;;     drop
;;     i32.const 9
;;   )
;; )
