;;! transform = "opt:O2"
;;! run = "third(6) -> 9.141592653589793"
;;! run = "half(6) -> 1.909859317102744"
;;! run = "early() -> 3.141592653589793"
;;! run = "count() -> 5"
;; The bytes of `early` that came write a global that is not written any more, and cannot be taken. Those of the others can, and are shorter than
;; with the constant in them.
(module
  (global $count (mut i32) (i32.const 5))
  (global $pi (export "pi") f64 (f64.const 3.141592653589793))
  (func (export "count") (result i32) (global.get $count))
  (func (export "early") (result f64) (return (global.get $pi)) (global.set $count (i32.const 1)))
  (func (export "third") (param f64) (result f64) (f64.add (local.get 0) (global.get $pi)))
  (func (export "half") (param f64) (result f64) (f64.div (local.get 0) (global.get $pi))))

;;! output
;; opt:O2
;; (module
;;   (type (;0;) (func (param f64) (result f64)))
;;   (type (;1;) (func (result i32)))
;;   (type (;2;) (func (result f64)))
;;   (global $pi (;0;) f64 f64.const 0x1.921fb54442d18p+1 (;=3.141592653589793;))
;;   (export "pi" (global $pi))
;;   (export "count" (func 0))
;;   (export "early" (func 1))
;;   (export "third" (func 2))
;;   (export "half" (func 3))
;;   (func (;0;) (type 1) (result i32)
;;     i32.const 5
;;   )
;;   (func (;1;) (type 2) (result f64)
;;     f64.const 0x1.921fb54442d18p+1 (;=3.141592653589793;)
;;   )
;;   (func (;2;) (type 0) (param f64) (result f64)
;;     local.get 0
;;     global.get $pi
;;     f64.add
;;   )
;;   (func (;3;) (type 0) (param f64) (result f64)
;;     local.get 0
;;     global.get $pi
;;     f64.div
;;   )
;; )
