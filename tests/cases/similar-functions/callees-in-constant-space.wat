;;! passes = "similar-functions"
;;! also = "opt:Oz, lower:memory:Oz"
;;! run = "odd(1000001) -> 1"
;;! run = "odd(1000000) -> 0"
;;! run = "even(1000000) -> 1"
;;! run = "thrown(7) -> 107"
;;! run = "thrown(8) -> 208"
;; The two call one another in tail position a million times, so what stands between them must take no space; and a callee's exceptions come to the
;; handler around the call.
(module
  (tag $t (param i32))
  (func $even (param $x i32) (result i32)
    (local $y i32)
    (local.set $y (i32.add (i32.mul (local.get $x) (local.get $x)) (i32.xor (local.get $x) (i32.const 77))))
    (local.set $y (i32.rotl (i32.sub (local.get $y) (i32.const 5)) (i32.and (local.get $y) (i32.const 3))))
    (local.set $y (i32.add (i32.rotr (local.get $y) (local.get $x)) (i32.or (local.get $y) (i32.shr_u (local.get $x) (i32.const 9)))))
    (local.set $y (i32.xor (i32.popcnt (local.get $y)) (i32.mul (local.get $y) (i32.clz (local.get $x)))))
    (if (i32.eqz (local.get $x)) (then (return (i32.const 1))))
    (if (i32.eq (local.get $y) (i32.const 123456789)) (then (return (i32.const 7))))
    (return_call $odd (i32.sub (local.get $x) (i32.const 1))))
  (func $odd (param $x i32) (result i32)
    (local $y i32)
    (local.set $y (i32.add (i32.mul (local.get $x) (local.get $x)) (i32.xor (local.get $x) (i32.const 77))))
    (local.set $y (i32.rotl (i32.sub (local.get $y) (i32.const 5)) (i32.and (local.get $y) (i32.const 3))))
    (local.set $y (i32.add (i32.rotr (local.get $y) (local.get $x)) (i32.or (local.get $y) (i32.shr_u (local.get $x) (i32.const 9)))))
    (local.set $y (i32.xor (i32.popcnt (local.get $y)) (i32.mul (local.get $y) (i32.clz (local.get $x)))))
    (if (i32.eqz (local.get $x)) (then (return (i32.const 0))))
    (if (i32.eq (local.get $y) (i32.const 123456789)) (then (return (i32.const 7))))
    (return_call $even (i32.sub (local.get $x) (i32.const 1))))
  (func $throws_100 (param i32) (result i32) (throw $t (i32.add (local.get 0) (i32.const 100))))
  (func $throws_200 (param i32) (result i32) (throw $t (i32.add (local.get 0) (i32.const 200))))
  (func $catches_100 (param $x i32) (result i32)
    (local $y i32)
    (local.set $y (i32.add (i32.mul (local.get $x) (local.get $x)) (i32.xor (local.get $x) (i32.const 77))))
    (local.set $y (i32.rotl (i32.sub (local.get $y) (i32.const 5)) (i32.and (local.get $y) (i32.const 3))))
    (if (i32.eq (local.get $y) (i32.const 123456789)) (then (return (i32.const 7))))
    (block $caught (result i32)
      (try_table (result i32) (catch $t $caught) (call $throws_100 (local.get $x)))))
  (func $catches_200 (param $x i32) (result i32)
    (local $y i32)
    (local.set $y (i32.add (i32.mul (local.get $x) (local.get $x)) (i32.xor (local.get $x) (i32.const 77))))
    (local.set $y (i32.rotl (i32.sub (local.get $y) (i32.const 5)) (i32.and (local.get $y) (i32.const 3))))
    (if (i32.eq (local.get $y) (i32.const 123456789)) (then (return (i32.const 7))))
    (block $caught (result i32)
      (try_table (result i32) (catch $t $caught) (call $throws_200 (local.get $x)))))
  (func (export "even") (param i32) (result i32) (call $even (local.get 0)))
  (func (export "odd") (param i32) (result i32) (call $odd (local.get 0)))
  (func (export "thrown") (param i32) (result i32)
    (if (result i32) (i32.and (local.get 0) (i32.const 1))
      (then (call $catches_100 (local.get 0)))
      (else (call $catches_200 (local.get 0))))))

;;! output
;; passes:similar-functions
;; (module
;;   (type (;0;) (func (param i32)))
;;   (type (;1;) (func (param i32) (result i32)))
;;   (type (;2;) (func (param i32 i32 i32) (result i32)))
;;   (type (;3;) (func (param i32 i32) (result i32)))
;;   (tag $t (;0;) (type 0) (param i32))
;;   (export "even" (func 0))
;;   (export "odd" (func 1))
;;   (export "thrown" (func 2))
;;   (func (;0;) (type 1) (param i32) (result i32)
;;     local.get 0
;;     i32.const 1
;;     i32.const 0
;;     call $even.similar
;;   )
;;   (func (;1;) (type 1) (param i32) (result i32)
;;     local.get 0
;;     i32.const 0
;;     i32.const 1
;;     call $even.similar
;;   )
;;   (func (;2;) (type 1) (param i32) (result i32)
;;     local.get 0
;;     i32.const 1
;;     i32.and
;;     if (result i32) ;; label = @1
;;       local.get 0
;;       i32.const 0
;;       call $catches_100.similar
;;     else
;;       local.get 0
;;       i32.const 1
;;       call $catches_100.similar
;;     end
;;   )
;;   (func $odd.or.another (;3;) (type 3) (param i32 i32) (result i32)
;;     local.get 1
;;     if ;; label = @1
;;       local.get 0
;;       i32.const 1
;;       i32.const 0
;;       return_call $even.similar
;;     end
;;     local.get 0
;;     i32.const 0
;;     i32.const 1
;;     return_call $even.similar
;;   )
;;   (func $even.similar (;4;) (type 2) (param $x i32) (param i32 i32) (result i32)
;;     (local $y i32)
;;     local.get $x
;;     local.get $x
;;     i32.mul
;;     local.get $x
;;     i32.const 77
;;     i32.xor
;;     i32.add
;;     local.tee $y
;;     i32.const 5
;;     i32.sub
;;     local.get $y
;;     i32.const 3
;;     i32.and
;;     i32.rotl
;;     local.tee $y
;;     local.get $x
;;     i32.rotr
;;     local.get $y
;;     local.get $x
;;     i32.const 9
;;     i32.shr_u
;;     i32.or
;;     i32.add
;;     local.set $y
;;     local.get $x
;;     if (result i32) ;; label = @1
;;       local.get $y
;;       i32.popcnt
;;       local.get $y
;;       local.get $x
;;       i32.clz
;;       i32.mul
;;       i32.xor
;;       i32.const 123456789
;;       i32.ne
;;       if ;; label = @2
;;         local.get $x
;;         i32.const 1
;;         i32.sub
;;         local.get 2
;;         return_call $odd.or.another
;;       end
;;       i32.const 7
;;     else
;;       local.get 1
;;     end
;;   )
;;   (func $throws_100.similar (;5;) (type 3) (param i32 i32) (result i32)
;;     local.get 0
;;     local.get 1
;;     i32.add
;;     throw $t
;;   )
;;   (func $throws_100.or.another (;6;) (type 3) (param i32 i32) (result i32)
;;     local.get 1
;;     if ;; label = @1
;;       local.get 0
;;       i32.const 200
;;       return_call $throws_100.similar
;;     end
;;     local.get 0
;;     i32.const 100
;;     return_call $throws_100.similar
;;   )
;;   (func $catches_100.similar (;7;) (type 3) (param $x i32) (param i32) (result i32)
;;     (local $y i32)
;;     local.get $x
;;     local.get $x
;;     i32.mul
;;     local.get $x
;;     i32.const 77
;;     i32.xor
;;     i32.add
;;     local.tee $y
;;     i32.const 5
;;     i32.sub
;;     local.get $y
;;     i32.const 3
;;     i32.and
;;     i32.rotl
;;     i32.const 123456789
;;     i32.eq
;;     if (result i32) ;; label = @1
;;       i32.const 7
;;     else
;;       block (result i32) ;; label = @2
;;         try_table (result i32) (catch $t 0 (;@2;)) ;; label = @3
;;           local.get $x
;;           local.get 1
;;           call $throws_100.or.another
;;         end
;;       end
;;     end
;;   )
;; )
