;;! passes = "similar-functions"
;;! run = "f(3) -> 10"
;;! run = "g(3) -> 11"
;; What would be shared is shorter than handing the constants on.
(module
  (func $a (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 7)))
  (func $b (export "g") (param i32) (result i32) (i32.add (local.get 0) (i32.const 8))))

;;! output
;; passes:similar-functions
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (export "f" (func $a))
;;   (export "g" (func $b))
;;   (func $a (;0;) (type 0) (param i32) (result i32)
;;     local.get 0
;;     i32.const 7
;;     i32.add
;;   )
;;   (func $b (;1;) (type 0) (param i32) (result i32)
;;     local.get 0
;;     i32.const 8
;;     i32.add
;;   )
;; )
