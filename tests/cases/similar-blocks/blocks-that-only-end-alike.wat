;;! passes = "similar-blocks, dead-code"
;;! also = "opt:Oz, lower:memory:Oz"
;;! run = "f(1) -> 17"
;;! run = "f(2) -> 24"
;;! run = "f(3) -> 3"
;; The result of the first call is used in the block alone, in both; what comes before the tails differs.
(module
  (memory 1)
  (func $count (export "count") (param $x i32) (result i32)
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (local.get $x)))
    (i32.load (i32.const 0)))
  (func (export "f") (param $x i32) (result i32)
    (i32.store (i32.const 0) (i32.const 0))
    (if (i32.eq (local.get $x) (i32.const 1))
      (then
        (drop (call $count (i32.const 10)))
        (i32.store (i32.const 4) (call $count (i32.const 3)))
        (i32.store (i32.const 8) (i32.add (i32.load (i32.const 4)) (i32.const 4)))
        (return (i32.load (i32.const 8)))))
    (if (i32.eq (local.get $x) (i32.const 2))
      (then
        (i32.store (i32.const 0) (i32.const 17))
        (i32.store (i32.const 4) (call $count (i32.const 3)))
        (i32.store (i32.const 8) (i32.add (i32.load (i32.const 4)) (i32.const 4)))
        (return (i32.load (i32.const 8)))))
    (local.get $x)))

;;! output
;; passes:similar-blocks, dead-code
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (memory (;0;) 1)
;;   (export "count" (func $count))
;;   (export "f" (func 1))
;;   (func $count (;0;) (type 0) (param $x i32) (result i32)
;;     i32.const 0
;;     i32.const 0
;;     i32.load
;;     local.get $x
;;     i32.add
;;     i32.store
;;     i32.const 0
;;     i32.load
;;   )
;;   (func (;1;) (type 0) (param $x i32) (result i32)
;;     i32.const 0
;;     i32.const 0
;;     i32.store
;;     local.get $x
;;     i32.const 1
;;     i32.eq
;;     if ;; label = @1
;;       i32.const 10
;;       call $count
;;       drop
;;     else
;;       local.get $x
;;       i32.const 2
;;       i32.ne
;;       if ;; label = @2
;;         local.get $x
;;         return
;;       end
;;       i32.const 0
;;       i32.const 17
;;       i32.store
;;     end
;;     i32.const 4
;;     i32.const 3
;;     call $count
;;     i32.store
;;     i32.const 8
;;     i32.const 4
;;     i32.load
;;     i32.const 4
;;     i32.add
;;     i32.store
;;     i32.const 8
;;     i32.load
;;   )
;; )
