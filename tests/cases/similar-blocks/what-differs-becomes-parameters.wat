;;! passes = "similar-blocks, dead-code"
;;! also = "opt:Oz, lower:memory:Oz"
;;! run = "f(1, 10) -> 31"
;;! run = "f(2, 10) -> 52"
;;! run = "f(3, 10) -> 3"
;;! run = "load(0) -> 10"
;; A constant and a value; what is the same stays where it is.
(module
  (memory 1)
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "f") (param $x i32) (param $y i32) (result i32)
    (local $sum i32)
    (local.set $sum (i32.add (local.get $x) (local.get $y)))
    (if (i32.eq (local.get $x) (i32.const 1))
      (then
        (i32.store (i32.const 0) (local.get $y))
        (i32.store (i32.const 4) (i32.mul (local.get $y) (i32.const 3)))
        (return (i32.add (i32.load (i32.const 4)) (local.get $x)))))
    (if (i32.eq (local.get $x) (i32.const 2))
      (then
        (i32.store (i32.const 0) (local.get $y))
        (i32.store (i32.const 4) (i32.mul (local.get $y) (i32.const 4)))
        (return (i32.add (i32.load (i32.const 4)) (local.get $sum)))))
    (local.get $x)))

;;! output
;; passes:similar-blocks, dead-code
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (type (;1;) (func (param i32 i32) (result i32)))
;;   (memory (;0;) 1)
;;   (export "load" (func 0))
;;   (export "f" (func 1))
;;   (func (;0;) (type 0) (param i32) (result i32)
;;     local.get 0
;;     i32.load
;;   )
;;   (func (;1;) (type 1) (param $x i32) (param $y i32) (result i32)
;;     i32.const 4
;;     local.get $y
;;     local.get $x
;;     i32.const 1
;;     i32.ne
;;     if (result i32) ;; label = @1
;;       local.get $x
;;       i32.const 2
;;       i32.ne
;;       if ;; label = @2
;;         local.get $x
;;         return
;;       end
;;       local.get $x
;;       local.get $y
;;       i32.add
;;       local.set $x
;;       i32.const 4
;;     else
;;       i32.const 3
;;     end
;;     i32.const 0
;;     local.get $y
;;     i32.store
;;     i32.mul
;;     i32.store
;;     i32.const 4
;;     i32.load
;;     local.get $x
;;     i32.add
;;   )
;; )
