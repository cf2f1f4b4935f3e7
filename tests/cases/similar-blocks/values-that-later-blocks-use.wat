;;! passes = "similar-blocks, dead-code"
;;! also = "opt:Oz, lower:memory:Oz"
;;! run = "f(1, 7) -> 1014"
;;! run = "f(2, 7) -> 1021"
;;! run = "f(9, 7) -> 0"
;; The products are used again in later blocks. Those are folded first, and take them as parameters: then they are private.
(module
  (memory 1)
  (func (export "f") (param $x i32) (param $y i32) (result i32)
    (local $p i32)
    (block $other
      (block $two
        (block $one
          (br_table $other $one $two $other (local.get $x)))
        (local.set $p (i32.mul (local.get $y) (i32.const 2)))
        (i32.store (i32.const 0) (local.get $p))
        (i32.store (i32.const 4) (i32.add (local.get $p) (i32.const 1)))
        (if (i32.load (i32.const 4)) (then (i32.store (i32.const 8) (i32.const 1000))))
        (return (i32.add (local.get $p) (i32.load (i32.const 8)))))
      (local.set $p (i32.mul (local.get $y) (i32.const 3)))
      (i32.store (i32.const 0) (local.get $p))
      (i32.store (i32.const 4) (i32.add (local.get $p) (i32.const 1)))
      (if (i32.load (i32.const 4)) (then (i32.store (i32.const 8) (i32.const 1000))))
      (return (i32.add (local.get $p) (i32.load (i32.const 8)))))
    (i32.const 0)))

;;! output
;; passes:similar-blocks, dead-code
;; (module
;;   (type (;0;) (func (param i32 i32) (result i32)))
;;   (memory (;0;) 1)
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (param $x i32) (param $y i32) (result i32)
;;     block ;; label = @1
;;       i32.const 0
;;       local.get $y
;;       block (result i32) ;; label = @2
;;         block ;; label = @3
;;           block ;; label = @4
;;             local.get $x
;;             br_table 3 (;@1;) 0 (;@4;) 1 (;@3;) 3 (;@1;)
;;           end
;;           i32.const 2
;;           br 1 (;@2;)
;;         end
;;         i32.const 3
;;       end
;;       i32.mul
;;       local.tee $x
;;       i32.store
;;       i32.const 4
;;       local.get $x
;;       i32.const 1
;;       i32.add
;;       i32.store
;;       i32.const 4
;;       i32.load
;;       if ;; label = @2
;;         i32.const 8
;;         i32.const 1000
;;         i32.store
;;       end
;;       local.get $x
;;       i32.const 8
;;       i32.load
;;       i32.add
;;       return
;;     end
;;     i32.const 0
;;   )
;; )
