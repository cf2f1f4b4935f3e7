;;! passes = "jump-threading"
;;! run = "f(0) -> 21"
;;! run = "f(1) -> 11"
;; The block of the second branch writes a global before it branches: no edge goes around it.
(module
  (global $g (mut i32) (i32.const 0))
  (func (export "f") (param $x i32) (result i32)
    (local $flag i32)
    (if (local.get $x) (then (local.set $flag (i32.const 1))) (else (local.set $flag (i32.const 0))))
    (global.set $g (i32.const 1))
    (i32.add (global.get $g)
      (if (result i32) (local.get $flag) (then (i32.const 10)) (else (i32.const 20))))))

;;! output
;; passes:jump-threading
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (global $g (;0;) (mut i32) i32.const 0)
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (param $x i32) (result i32)
;;     local.get $x
;;     if ;; label = @1
;;       i32.const 1
;;       local.set $x
;;     else
;;       i32.const 0
;;       local.set $x
;;     end
;;     i32.const 1
;;     global.set $g
;;     global.get $g
;;     local.get $x
;;     if (result i32) ;; label = @1
;;       i32.const 10
;;     else
;;       i32.const 20
;;     end
;;     i32.add
;;   )
;; )
