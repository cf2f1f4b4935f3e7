;;! passes = "code-folding, dead-code"
;;! run = "f(1) -> 12"
;;! run = "f(2) -> 12"
;;! run = "f(3) -> 3"
(module
  (memory 1)
  (func $effect (export "effect") (param $x i32) (result i32) (i32.store (i32.const 0) (local.get $x)) (local.get $x))
  (func (export "f") (param $x i32) (result i32)
    (if (i32.eq (local.get $x) (i32.const 1))
      (then
        (drop (call $effect (i32.const 5)))
        (i32.store (i32.const 4) (i32.const 7))
        (return (i32.add (call $effect (i32.const 5)) (i32.const 7)))))
    (if (i32.eq (local.get $x) (i32.const 2))
      (then
        (drop (call $effect (i32.const 5)))
        (i32.store (i32.const 4) (i32.const 7))
        (return (i32.add (call $effect (i32.const 5)) (i32.const 7)))))
    (local.get $x)))

;;! output
;; passes:code-folding, dead-code
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (memory (;0;) 1)
;;   (export "effect" (func $effect))
;;   (export "f" (func 1))
;;   (func $effect (;0;) (type 0) (param $x i32) (result i32)
;;     i32.const 0
;;     local.get $x
;;     i32.store
;;     local.get $x
;;   )
;;   (func (;1;) (type 0) (param $x i32) (result i32)
;;     local.get $x
;;     i32.const 1
;;     i32.ne
;;     if ;; label = @1
;;       local.get $x
;;       i32.const 2
;;       i32.ne
;;       if ;; label = @2
;;         local.get $x
;;         return
;;       end
;;     end
;;     i32.const 5
;;     call $effect
;;     drop
;;     i32.const 4
;;     i32.const 7
;;     i32.store
;;     i32.const 5
;;     call $effect
;;     i32.const 7
;;     i32.add
;;   )
;; )
