;;! passes = "similar-blocks, block-merging, dead-code"
;;! also = "opt:Oz, lower:memory:Oz"
;;! run = "f(1, 5) -> 6005"
;;! run = "f(1, 50) -> 1051"
;;! run = "f(2, 5) -> 6010"
;;! run = "f(2, 50) -> 1056"
;;! run = "f(3, 5) -> 7"
;; From the ends on: the joins are similar, then what leads to them, then the branches.
(module
  (memory 1)
  (func (export "f") (param $x i32) (param $y i32) (result i32)
    (local $z i32)
    (local.set $z (i32.add (local.get $y) (i32.const 5)))
    (if (i32.eq (local.get $x) (i32.const 1))
      (then
        (if (i32.gt_u (local.get $y) (i32.const 20))
          (then (i32.store (i32.const 8) (i32.add (local.get $y) (i32.const 1))) (i32.store offset=4 (i32.const 8) (i32.const 1)))
          (else (i32.store (i32.const 8) (i32.mul (local.get $y) (i32.const 1))) (i32.store offset=4 (i32.const 8) (i32.const 6))))
        (return (i32.add (i32.load (i32.const 8)) (i32.mul (i32.load offset=4 (i32.const 8)) (i32.const 1000))))))
    (if (i32.eq (local.get $x) (i32.const 2))
      (then
        (if (i32.gt_u (local.get $z) (i32.const 20))
          (then (i32.store (i32.const 8) (i32.add (local.get $z) (i32.const 1))) (i32.store offset=4 (i32.const 8) (i32.const 1)))
          (else (i32.store (i32.const 8) (i32.mul (local.get $z) (i32.const 1))) (i32.store offset=4 (i32.const 8) (i32.const 6))))
        (return (i32.add (i32.load (i32.const 8)) (i32.mul (i32.load offset=4 (i32.const 8)) (i32.const 1000))))))
    (i32.const 7)))

;;! output
;; passes:similar-blocks, block-merging, dead-code
;; (module
;;   (type (;0;) (func (param i32 i32) (result i32)))
;;   (memory (;0;) 1)
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (param $x i32) (param $y i32) (result i32)
;;     local.get $x
;;     i32.const 1
;;     i32.ne
;;     if ;; label = @1
;;       local.get $x
;;       i32.const 2
;;       i32.ne
;;       if ;; label = @2
;;         i32.const 7
;;         return
;;       end
;;       local.get $y
;;       i32.const 5
;;       i32.add
;;       local.set $y
;;     end
;;     i32.const 8
;;     local.get $y
;;     i32.const 20
;;     i32.gt_u
;;     if (result i32) ;; label = @1
;;       local.get $y
;;       i32.const 1
;;       i32.add
;;       local.set $x
;;       i32.const 1
;;     else
;;       local.get $y
;;       i32.const 1
;;       i32.mul
;;       local.set $x
;;       i32.const 6
;;     end
;;     i32.const 8
;;     local.get $x
;;     i32.store
;;     i32.store offset=4
;;     i32.const 8
;;     i32.load
;;     i32.const 8
;;     i32.load offset=4
;;     i32.const 1000
;;     i32.mul
;;     i32.add
;;   )
;; )
