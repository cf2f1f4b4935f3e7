;;! passes = "jump-threading, dead-code"
;;! run = "f(0) -> 20"
;;! run = "f(1) -> 10"
;; Both ways into the second branch decide it: it goes.
(module
  (global $g (mut i32) (i32.const 0))
  (func (export "f") (param $x i32) (result i32)
    (local $flag i32)
    (if (local.get $x)
      (then (local.set $flag (i32.const 1)))
      (else (global.set $g (i32.const 5)) (local.set $flag (i32.const 0))))
    (if (result i32) (local.get $flag) (then (i32.const 10)) (else (i32.const 20)))))

;;! output
;; passes:jump-threading, dead-code
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (global $g (;0;) (mut i32) i32.const 0)
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (param $x i32) (result i32)
;;     local.get $x
;;     if (result i32) ;; label = @1
;;       i32.const 10
;;     else
;;       i32.const 5
;;       global.set $g
;;       i32.const 20
;;     end
;;   )
;; )
