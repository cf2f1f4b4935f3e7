;;! transform = "opt:Os"
;;! also = "everything"
;;! run = "twice(8, 5, 1) -> 5"
;;! run = "sum(24, 1, 0) -> 6"
;; The calls would save four bytes, and a type without the last parameter takes six, as the exports keep the one with it.
(module
  (memory 1)
  (func $store (param i32 i64 i32) (result i64)
    (i64.store (local.get 0) (local.get 1))
    (i64.store offset=8 (local.get 0) (local.get 1))
    (i64.store offset=16 (local.get 0) (local.get 1))
    (local.get 1))
  (func (export "twice") (param i32 i64 i32) (result i64)
    (drop (call $store (local.get 0) (i64.const 100) (local.get 2)))
    (call $store (local.get 0) (local.get 1) (local.get 2)))
  (func (export "sum") (param i32 i64 i32) (result i64) (i64.add (i64.load (local.get 0)) (local.get 1))))

;;! output
;; opt:Os
;; (module
;;   (type (;0;) (func (param i32 i64 i32) (result i64)))
;;   (memory (;0;) 1)
;;   (export "twice" (func 1))
;;   (export "sum" (func 2))
;;   (func $store (;0;) (type 0) (param i32 i64 i32) (result i64)
;;     local.get 0
;;     local.get 1
;;     i64.store
;;     local.get 0
;;     local.get 1
;;     i64.store offset=8
;;     local.get 0
;;     local.get 1
;;     i64.store offset=16
;;     local.get 1
;;   )
;;   (func (;1;) (type 0) (param i32 i64 i32) (result i64)
;;     local.get 0
;;     i64.const 100
;;     local.get 2
;;     call $store
;;     drop
;;     local.get 0
;;     local.get 1
;;     local.get 2
;;     call $store
;;   )
;;   (func (;2;) (type 0) (param i32 i64 i32) (result i64)
;;     local.get 0
;;     i64.load
;;     local.get 1
;;     i64.add
;;   )
;; )
