;;! passes = "similar-blocks, dead-code"
;;! also = "opt:Oz"
;;! run = "f(1, 2, 3, 4, 5) -> 15"
;;! run = "f(2, 2, 3, 4, 5) -> 31"
;; Everything differs, and all of it is needed in other places afterwards.
(module
  (func (export "f") (param i32 i32 i32 i32 i32) (result i32)
    (if (i32.eq (local.get 0) (i32.const 1))
      (then
        (return (i32.add (i32.add (i32.add (local.get 1) (local.get 2)) (local.get 3)) (i32.add (local.get 4) (local.get 0))))))
    (i32.add (i32.add (i32.add (local.get 4) (local.get 1)) (i32.const 6)) (i32.add (i32.const 9) (i32.const 9)))))

;;! output
;; passes:similar-blocks, dead-code
;; (module
;;   (type (;0;) (func (param i32 i32 i32 i32 i32) (result i32)))
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (param i32 i32 i32 i32 i32) (result i32)
;;     local.get 0
;;     i32.const 1
;;     i32.eq
;;     if ;; label = @1
;;       local.get 1
;;       local.get 2
;;       i32.add
;;       local.get 3
;;       i32.add
;;       local.get 4
;;       local.get 0
;;       i32.add
;;       i32.add
;;       return
;;     end
;;     local.get 4
;;     local.get 1
;;     i32.add
;;     i32.const 6
;;     i32.add
;;     i32.const 9
;;     i32.const 9
;;     i32.add
;;     i32.add
;;   )
;; )
