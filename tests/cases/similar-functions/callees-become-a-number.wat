;;! passes = "similar-functions"
;;! also = "opt:Oz, lower:memory:Oz"
;;! run = "a(3) -> 1050"
;;! run = "b(3) -> 2050"
;;! run = "c(3) -> 3050"
;; Each calls another function, once it and once what it is given.
(module
  (global $log (mut i32) (i32.const 0))
  (func $p (param i32 i32) (result i32) (global.set $log (i32.add (global.get $log) (i32.const 1))) (i32.mul (local.get 0) (i32.const 1000)))
  (func $q (param i32 i32) (result i32) (global.set $log (i32.add (global.get $log) (i32.const 2))) (i32.mul (local.get 1) (i32.const 2000)))
  (func $r (param i32 i32) (result i32) (global.set $log (i32.add (global.get $log) (i32.const 3))) (i32.mul (local.get 0) (i32.const 3000)))
  (func $one (param $x i32) (result i32)
    (local $y i32)
    (local.set $y (i32.add (i32.mul (local.get $x) (local.get $x)) (i32.xor (local.get $x) (i32.const 77))))
    (local.set $y (i32.rotl (i32.sub (local.get $y) (i32.const 5)) (i32.and (local.get $y) (i32.const 3))))
    (drop (call $p (local.get $y) (local.get $x)))
    (local.set $y (i32.add (i32.mul (local.get $y) (i32.const 0)) (i32.div_u (local.get $x) (local.get $x))))
    (i32.add (call $p (local.get $y) (local.get $y)) (i32.const 50)))
  (func $two (param $x i32) (result i32)
    (local $y i32)
    (local.set $y (i32.add (i32.mul (local.get $x) (local.get $x)) (i32.xor (local.get $x) (i32.const 77))))
    (local.set $y (i32.rotl (i32.sub (local.get $y) (i32.const 5)) (i32.and (local.get $y) (i32.const 3))))
    (drop (call $q (local.get $y) (local.get $x)))
    (local.set $y (i32.add (i32.mul (local.get $y) (i32.const 0)) (i32.div_u (local.get $x) (local.get $x))))
    (i32.add (call $q (local.get $y) (local.get $y)) (i32.const 50)))
  (func $three (param $x i32) (result i32)
    (local $y i32)
    (local.set $y (i32.add (i32.mul (local.get $x) (local.get $x)) (i32.xor (local.get $x) (i32.const 77))))
    (local.set $y (i32.rotl (i32.sub (local.get $y) (i32.const 5)) (i32.and (local.get $y) (i32.const 3))))
    (drop (call $r (local.get $y) (local.get $x)))
    (local.set $y (i32.add (i32.mul (local.get $y) (i32.const 0)) (i32.div_u (local.get $x) (local.get $x))))
    (i32.add (call $r (local.get $y) (local.get $y)) (i32.const 50)))
  (func (export "a") (param i32) (result i32) (call $one (local.get 0)))
  (func (export "b") (param i32) (result i32) (call $two (local.get 0)))
  (func (export "c") (param i32) (result i32) (call $three (local.get 0))))

;;! output
;; passes:similar-functions
;; (module
;;   (type (;0;) (func (param i32 i32) (result i32)))
;;   (type (;1;) (func (param i32) (result i32)))
;;   (type (;2;) (func (param i32 i32 i32) (result i32)))
;;   (global $log (;0;) (mut i32) i32.const 0)
;;   (export "a" (func 3))
;;   (export "b" (func 4))
;;   (export "c" (func 5))
;;   (func $p (;0;) (type 0) (param i32 i32) (result i32)
;;     global.get $log
;;     i32.const 1
;;     i32.add
;;     global.set $log
;;     local.get 0
;;     i32.const 1000
;;     i32.mul
;;   )
;;   (func $q (;1;) (type 0) (param i32 i32) (result i32)
;;     global.get $log
;;     i32.const 2
;;     i32.add
;;     global.set $log
;;     local.get 1
;;     i32.const 2000
;;     i32.mul
;;   )
;;   (func $r (;2;) (type 0) (param i32 i32) (result i32)
;;     global.get $log
;;     i32.const 3
;;     i32.add
;;     global.set $log
;;     local.get 0
;;     i32.const 3000
;;     i32.mul
;;   )
;;   (func (;3;) (type 1) (param i32) (result i32)
;;     local.get 0
;;     i32.const 0
;;     call $one.similar
;;   )
;;   (func (;4;) (type 1) (param i32) (result i32)
;;     local.get 0
;;     i32.const 1
;;     call $one.similar
;;   )
;;   (func (;5;) (type 1) (param i32) (result i32)
;;     local.get 0
;;     i32.const 2
;;     call $one.similar
;;   )
;;   (func $p.or.another (;6;) (type 2) (param i32 i32 i32) (result i32)
;;     block ;; label = @1
;;       block ;; label = @2
;;         block ;; label = @3
;;           local.get 2
;;           br_table 0 (;@3;) 1 (;@2;) 2 (;@1;)
;;         end
;;         local.get 0
;;         local.get 1
;;         call $p
;;         return
;;       end
;;       local.get 0
;;       local.get 1
;;       call $q
;;       return
;;     end
;;     local.get 0
;;     local.get 1
;;     call $r
;;   )
;;   (func $one.similar (;7;) (type 0) (param $x i32) (param i32) (result i32)
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
;;     local.get 1
;;     call $p.or.another
;;     drop
;;     local.get $y
;;     i32.const 0
;;     i32.mul
;;     local.get $x
;;     local.get $x
;;     i32.div_u
;;     i32.add
;;     local.tee $x
;;     local.get $x
;;     local.get 1
;;     call $p.or.another
;;     i32.const 50
;;     i32.add
;;   )
;; )
