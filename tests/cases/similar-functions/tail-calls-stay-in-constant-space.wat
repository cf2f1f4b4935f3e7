;;! passes = "similar-functions"
;;! also = "opt:Oz, lower:memory, lower:gc"
;;! run = "even(1000000) -> 1"
;;! run = "odd(1000000) -> 0"
;; The two call each other a million times, through what is left of them: those calls are tail calls too.
(module
  (type $f (func (param i32) (result i32)))
  (memory 1)
  (table funcref (elem $even $odd))
  (func $even (export "even") (type $f)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
    (i32.store (i32.const 16) (i32.add (i32.load (i32.const 16)) (i32.mul (local.get 0) (local.get 0))))
    (i32.store (i32.const 20) (i32.add (i32.load (i32.const 20)) (i32.rotl (local.get 0) (local.get 0))))
    (return_call_indirect (type $f) (i32.sub (local.get 0) (i32.const 1)) (i32.const 1)))
  (func $odd (export "odd") (type $f)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
    (i32.store (i32.const 16) (i32.add (i32.load (i32.const 16)) (i32.mul (local.get 0) (local.get 0))))
    (i32.store (i32.const 20) (i32.add (i32.load (i32.const 20)) (i32.rotl (local.get 0) (local.get 0))))
    (return_call_indirect (type $f) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))))

;;! output
;; passes:similar-functions
;; (module
;;   (type $f (;0;) (func (param i32) (result i32)))
;;   (type (;1;) (func (param i32 i32) (result i32)))
;;   (table (;0;) 2 2 funcref)
;;   (memory (;0;) 1)
;;   (export "even" (func $even))
;;   (export "odd" (func $odd))
;;   (elem (;0;) (i32.const 0) func $even $odd)
;;   (func $even (;0;) (type $f) (param i32) (result i32)
;;     local.get 0
;;     i32.const 1
;;     return_call $even.similar
;;   )
;;   (func $odd (;1;) (type $f) (param i32) (result i32)
;;     local.get 0
;;     i32.const 0
;;     return_call $even.similar
;;   )
;;   (func $even.similar (;2;) (type 1) (param i32 i32) (result i32)
;;     local.get 0
;;     if ;; label = @1
;;       i32.const 16
;;       i32.const 16
;;       i32.load
;;       local.get 0
;;       local.get 0
;;       i32.mul
;;       i32.add
;;       i32.store
;;       i32.const 20
;;       i32.const 20
;;       i32.load
;;       local.get 0
;;       local.get 0
;;       i32.rotl
;;       i32.add
;;       i32.store
;;       local.get 0
;;       i32.const 1
;;       i32.sub
;;       local.get 1
;;       return_call_indirect (type $f)
;;     end
;;     local.get 1
;;   )
;; )
