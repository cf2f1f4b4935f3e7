;;! passes = "globals, dead-code"
;;! run = "f() -> 12"
;; The host may write an exported global.
(module
  (global $g (export "g") (mut i32) (i32.const 12))
  (func (export "f") (result i32) (global.get $g)))

;;! output
;; passes:globals, dead-code
;; (module
;;   (type (;0;) (func (result i32)))
;;   (global $g (;0;) (mut i32) i32.const 12)
;;   (export "g" (global $g))
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (result i32)
;;     global.get $g
;;   )
;; )
