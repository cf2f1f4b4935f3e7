;;! passes = "code-folding, dead-code"
;;! run = "f(1) -> 2"
;;! run = "f(0) -> 1"
;; The same stores, the other way round.
(module
  (memory 1)
  (func (export "f") (param $x i32) (result i32)
    (if (local.get $x)
      (then
        (i32.store (i32.const 0) (i32.const 1))
        (i32.store8 (i32.const 0) (i32.const 2))
        (return (i32.load (i32.const 0))))
      (else
        (i32.store8 (i32.const 0) (i32.const 2))
        (i32.store (i32.const 0) (i32.const 1))
        (return (i32.load (i32.const 0)))))
    (unreachable)))

;;! output
;; passes:code-folding, dead-code
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (memory (;0;) 1)
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (param $x i32) (result i32)
;;     local.get $x
;;     if (result i32) ;; label = @1
;;       i32.const 0
;;       i32.const 1
;;       i32.store
;;       i32.const 0
;;       i32.const 2
;;       i32.store8
;;       i32.const 0
;;       i32.load
;;     else
;;       i32.const 0
;;       i32.const 2
;;       i32.store8
;;       i32.const 0
;;       i32.const 1
;;       i32.store
;;       i32.const 0
;;       i32.load
;;     end
;;   )
;; )
