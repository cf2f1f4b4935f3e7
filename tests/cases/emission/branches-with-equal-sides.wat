;;! transform = "opt:O0"
;;! also = "everything"
;;! run = "f() -> 5"
;;! run = "f() -> 5"
;;! run = "clear() ->"
;;! run = "f() -> 0"
;; Reading a global that only a branch without difference looks at need not be proved.
(module
  (global $h (mut i32) (i32.const 1))
  (func (export "clear") (global.set $h (i32.const 0)))
  (func (export "f") (result i32)
    (if (global.get $h) (then))
    (if (global.get $h) (then (global.set $h (i32.const 5))))
    (global.get $h)))

;;! output
;; opt:O0
;; (module
;;   (type (;0;) (func))
;;   (type (;1;) (func (result i32)))
;;   (global $h (;0;) (mut i32) i32.const 1)
;;   (export "clear" (func 0))
;;   (export "f" (func 1))
;;   (func (;0;) (type 0)
;;     i32.const 0
;;     global.set $h
;;   )
;;   (func (;1;) (type 1) (result i32)
;;     global.get $h
;;     if ;; label = @1
;;       i32.const 5
;;       global.set $h
;;     end
;;     global.get $h
;;   )
;; )
