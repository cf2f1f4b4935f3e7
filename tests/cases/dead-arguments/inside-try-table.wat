;;! passes = "dead-arguments, dead-code"
;;! run = "f(0) -> 1"
;;! run = "f(1) -> 2"
;; The call has an edge of its own; its result and argument go there too.
(module
  (tag $e)
  (func $callee (param $unused i32) (param $throw i32) (result i32)
    (if (local.get $throw) (then (throw $e)))
    (i32.const 5))
  (func (export "f") (param $x i32) (result i32)
    (block $caught
      (drop (try_table (result i32) (catch $e $caught) (call $callee (i32.const 3) (local.get $x))))
      (return (i32.const 1)))
    (i32.const 2)))

;;! output
;; passes:dead-arguments, dead-code
;; (module
;;   (type (;0;) (func))
;;   (type (;1;) (func (param i32 i32) (result i32)))
;;   (type (;2;) (func (param i32) (result i32)))
;;   (type (;3;) (func (param i32)))
;;   (tag $e (;0;) (type 0))
;;   (export "f" (func 1))
;;   (func $callee (;0;) (type 3) (param $throw i32)
;;     local.get $throw
;;     if ;; label = @1
;;       throw $e
;;     end
;;   )
;;   (func (;1;) (type 2) (param $x i32) (result i32)
;;     block ;; label = @1
;;       try_table (catch $e 0 (;@1;)) ;; label = @2
;;         local.get $x
;;         call $callee
;;       end
;;       i32.const 1
;;       return
;;     end
;;     i32.const 2
;;   )
;; )
