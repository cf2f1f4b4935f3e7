;;! passes = "similar-functions"
;;! also = "opt:Oz"
;;! run = "f(3) -> 1124"
;;! run = "g(3) -> 2093"
;;! run = "h(3) -> 3094"
;;! run = "once(3) -> 4127"
;; Three are exported, so each is still there; one is only called, and its caller calls what it became. The two uses of what is the same constant
;; in each function are one parameter; 7 is the same in all and stays.
(module
  (memory 1)
  (func $work (param i32 i32) (result i32)
    (i32.store (i32.const 1000) (local.get 0))
    (i32.store offset=4 (i32.const 1000) (local.get 1))
    (i32.add (i32.load (i32.const 1000)) (i32.mul (local.get 1) (i32.load offset=4 (i32.const 1000)))))
  (func $a (export "f") (param i32) (result i32)
    (i32.store offset=8 (i32.const 1000) (i32.xor (i32.mul (local.get 0) (i32.const 7)) (i32.const 1000)))
    (i32.add (i32.load offset=8 (i32.const 1000)) (i32.rotl (i32.add (call $work (local.get 0) (i32.const 10)) (i32.const 0)) (i32.const 0))))
  (func $b (export "g") (param i32) (result i32)
    (i32.store offset=8 (i32.const 2000) (i32.xor (i32.mul (local.get 0) (i32.const 7)) (i32.const 2000)))
    (i32.add (i32.load offset=8 (i32.const 2000)) (i32.rotl (i32.add (call $work (local.get 0) (i32.const 10)) (i32.const 1)) (i32.const 0))))
  (func $c (export "h") (param i32) (result i32)
    (i32.store offset=8 (i32.const 3000) (i32.xor (i32.mul (local.get 0) (i32.const 7)) (i32.const 3000)))
    (i32.add (i32.load offset=8 (i32.const 3000)) (i32.rotl (i32.add (call $work (local.get 0) (i32.const 10)) (i32.const 2)) (i32.const 0))))
  (func $d (param i32) (result i32)
    (i32.store offset=8 (i32.const 4000) (i32.xor (i32.mul (local.get 0) (i32.const 7)) (i32.const 4000)))
    (i32.add (i32.load offset=8 (i32.const 4000)) (i32.rotl (i32.add (call $work (local.get 0) (i32.const 10)) (i32.const 3)) (i32.const 0))))
  (func (export "once") (param i32) (result i32) (call $d (local.get 0))))

;;! output
;; passes:similar-functions
;; (module
;;   (type (;0;) (func (param i32 i32) (result i32)))
;;   (type (;1;) (func (param i32) (result i32)))
;;   (type (;2;) (func (param i32 i32 i32) (result i32)))
;;   (memory (;0;) 1)
;;   (export "f" (func $a))
;;   (export "g" (func $b))
;;   (export "h" (func $c))
;;   (export "once" (func 4))
;;   (func $work (;0;) (type 0) (param i32 i32) (result i32)
;;     i32.const 1000
;;     local.get 0
;;     i32.store
;;     i32.const 1000
;;     local.get 1
;;     i32.store offset=4
;;     i32.const 1000
;;     i32.load
;;     local.get 1
;;     i32.const 1000
;;     i32.load offset=4
;;     i32.mul
;;     i32.add
;;   )
;;   (func $a (;1;) (type 1) (param i32) (result i32)
;;     local.get 0
;;     i32.const 1000
;;     i32.const 0
;;     call $a.similar
;;   )
;;   (func $b (;2;) (type 1) (param i32) (result i32)
;;     local.get 0
;;     i32.const 2000
;;     i32.const 1
;;     call $a.similar
;;   )
;;   (func $c (;3;) (type 1) (param i32) (result i32)
;;     local.get 0
;;     i32.const 3000
;;     i32.const 2
;;     call $a.similar
;;   )
;;   (func (;4;) (type 1) (param i32) (result i32)
;;     local.get 0
;;     i32.const 4000
;;     i32.const 3
;;     call $a.similar
;;   )
;;   (func $a.similar (;5;) (type 2) (param i32 i32 i32) (result i32)
;;     local.get 1
;;     local.get 0
;;     i32.const 7
;;     i32.mul
;;     local.get 1
;;     i32.xor
;;     i32.store offset=8
;;     local.get 1
;;     i32.load offset=8
;;     local.get 0
;;     i32.const 10
;;     call $work
;;     local.get 2
;;     i32.add
;;     i32.const 0
;;     i32.rotl
;;     i32.add
;;   )
;; )
