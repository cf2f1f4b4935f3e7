;;! passes = "constant-pool"
;;! also = "opt:Oz, lower:memory"
;;! run = "addresses(3) -> 3000026"
;;! run = "wide(1) -> 20000000000001"
;;! run = "halves(1.5) -> 4.75"
;; Read as globals: the address and the wide number. Not the short constant, however often it is used, nor the one that is used twice only.
(module
  (func (export "addresses") (param $x i32) (result i32)
    (i32.add
      (i32.add (i32.add (local.get $x) (i32.const 1000001)) (i32.const 7))
      (i32.add
        (i32.add (i32.const 1000001) (i32.const 7))
        (i32.add (i32.const 1000001) (i32.const 6)))))
  (func (export "wide") (param $x i64) (result i64)
    (if (i64.eq (local.get $x) (i64.const 5000000000000)) (then (return (i64.const 5000000000000))))
    (i64.add (local.get $x)
      (i64.add
        (i64.add (i64.const 5000000000000) (i64.const 5000000000000))
        (i64.add (i64.const 5000000000000) (i64.const 5000000000000)))))
  (func (export "halves") (param $x f32) (result f32)
    (f32.add (f32.add (local.get $x) (f32.const 3.25)) (f32.const 0))))

;;! output
;; passes:constant-pool
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (type (;1;) (func (param i64) (result i64)))
;;   (type (;2;) (func (param f32) (result f32)))
;;   (global (;0;) i64 i64.const 5000000000000)
;;   (export "addresses" (func 0))
;;   (export "wide" (func 1))
;;   (export "halves" (func 2))
;;   (func (;0;) (type 0) (param $x i32) (result i32)
;;     local.get $x
;;     i32.const 1000001
;;     i32.add
;;     i32.const 7
;;     i32.add
;;     i32.const 1000001
;;     i32.const 7
;;     i32.add
;;     i32.const 1000001
;;     i32.const 6
;;     i32.add
;;     i32.add
;;     i32.add
;;   )
;;   (func (;1;) (type 1) (param $x i64) (result i64)
;;     local.get $x
;;     global.get 0
;;     i64.eq
;;     if (result i64) ;; label = @1
;;       global.get 0
;;     else
;;       local.get $x
;;       global.get 0
;;       global.get 0
;;       i64.add
;;       global.get 0
;;       global.get 0
;;       i64.add
;;       i64.add
;;       i64.add
;;     end
;;   )
;;   (func (;2;) (type 2) (param $x f32) (result f32)
;;     local.get $x
;;     f32.const 0x1.ap+1 (;=3.25;)
;;     f32.add
;;     f32.const 0x0p+0 (;=0;)
;;     f32.add
;;   )
;; )
