;;! passes = "code-folding, dead-code"
;;! run = "f(1) -> 15"
;;! run = "f(0) -> 25"
;; Each side adds to what it has loaded itself, from its own address.
(module
  (memory 1)
  (data (i32.const 0) "\05\00\00\00\0a\00\00\00\14\00\00\00")
  (func (export "f") (param $x i32) (result i32)
    (local $y i32)
    (if (local.get $x)
      (then
        (i32.store (i32.const 32) (i32.load (i32.const 4)))
        (i32.store (i32.const 36) (i32.load (i32.const 0)))
        (return (i32.add (i32.load (i32.const 32)) (i32.load (i32.const 36)))))
      (else
        (i32.store (i32.const 32) (i32.load (i32.const 8)))
        (i32.store (i32.const 36) (i32.load (i32.const 0)))
        (return (i32.add (i32.load (i32.const 32)) (i32.load (i32.const 36))))))
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
;;       i32.const 32
;;       i32.const 4
;;       i32.load
;;       i32.store
;;       i32.const 36
;;       i32.const 0
;;       i32.load
;;       i32.store
;;       i32.const 32
;;       i32.load
;;       i32.const 36
;;       i32.load
;;       i32.add
;;     else
;;       i32.const 32
;;       i32.const 8
;;       i32.load
;;       i32.store
;;       i32.const 36
;;       i32.const 0
;;       i32.load
;;       i32.store
;;       i32.const 32
;;       i32.load
;;       i32.const 36
;;       i32.load
;;       i32.add
;;     end
;;   )
;;   (data (;0;) (i32.const 0) "\05\00\00\00\0a\00\00\00\14\00\00\00")
;; )
