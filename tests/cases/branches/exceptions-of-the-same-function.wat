;;! passes = "branches, dead-code"
;;! also = "opt:O2, opt:Oz, lower:memory"
;;! run = "known(0) -> 1"
;;! run = "known(1) -> 7"
;;! run = "outer(1) -> 8"
;;! run = "all(1) -> 3"
;;! run = "keeps_reference(1) -> throws"
;;! run = "unused_reference(1) -> 4"
;;! run = "unused_reference(0) -> 0"
;; What is thrown to a handler of the same function is a jump, also past handlers of other tags; a reference to an exception that nothing uses is not
;; taken, and one that is thrown on is.
(module
  (tag $e (param i32))
  (tag $f (param i32))
  (global $calls (mut i32) (i32.const 0))
  (func $throws (param i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (if (local.get 0) (then (throw $e (i32.const 9)))))
  (func (export "known") (param i32) (result i32)
    (block $h (result i32)
      (try_table (result i32) (catch $e $h)
        (if (local.get 0) (then (throw $e (i32.const 7))))
        (i32.const 1))))
  (func (export "outer") (param i32) (result i32)
    (block $h (result i32)
      (try_table (result i32) (catch $e $h)
        (block $g (result i32)
          (try_table (result i32) (catch $f $g)
            (if (local.get 0) (then (throw $e (i32.const 8))))
            (i32.const 1))))))
  (func (export "all") (param i32) (result i32)
    (block $h
      (try_table (catch_all $h)
        (if (local.get 0) (then (throw $e (i32.const 7)))))
      (return (i32.const 1)))
    (i32.const 3))
  (func (export "keeps_reference") (param i32) (result i32)
    (block $h (result exnref)
      (try_table (catch_all_ref $h) (call $throws (local.get 0)))
      (return (i32.const 0)))
    (throw_ref))
  (func (export "unused_reference") (param i32) (result i32)
    (block $h (result i32 exnref)
      (try_table (catch_ref $e $h) (call $throws (local.get 0)))
      (return (i32.const 0)))
    (drop) (drop) (i32.const 4)))

;;! output
;; passes:branches, dead-code
;; (module
;;   (type (;0;) (func (param i32)))
;;   (type (;1;) (func (param i32) (result i32)))
;;   (type (;2;) (func (result i32 exnref)))
;;   (tag $e (;0;) (type 0) (param i32))
;;   (tag $f (;1;) (type 0) (param i32))
;;   (global $calls (;0;) (mut i32) i32.const 0)
;;   (export "known" (func 1))
;;   (export "outer" (func 2))
;;   (export "all" (func 3))
;;   (export "keeps_reference" (func 4))
;;   (export "unused_reference" (func 5))
;;   (func $throws (;0;) (type 0) (param i32)
;;     global.get $calls
;;     i32.const 1
;;     i32.add
;;     global.set $calls
;;     local.get 0
;;     if ;; label = @1
;;       i32.const 9
;;       throw $e
;;     end
;;   )
;;   (func (;1;) (type 1) (param i32) (result i32)
;;     local.get 0
;;     if (result i32) ;; label = @1
;;       i32.const 7
;;     else
;;       i32.const 1
;;     end
;;   )
;;   (func (;2;) (type 1) (param i32) (result i32)
;;     local.get 0
;;     if (result i32) ;; label = @1
;;       i32.const 8
;;     else
;;       i32.const 1
;;     end
;;   )
;;   (func (;3;) (type 1) (param i32) (result i32)
;;     local.get 0
;;     if (result i32) ;; label = @1
;;       i32.const 3
;;     else
;;       i32.const 1
;;     end
;;   )
;;   (func (;4;) (type 1) (param i32) (result i32)
;;     block $h (result exnref)
;;       try_table (catch_all_ref $h) ;; label = @2
;;         local.get 0
;;         call $throws
;;       end
;;       i32.const 0
;;       return
;;     end
;;     throw_ref
;;   )
;;   (func (;5;) (type 1) (param i32) (result i32)
;;     block (result i32) ;; label = @1
;;       try_table (catch $e 0 (;@1;)) ;; label = @2
;;         local.get 0
;;         call $throws
;;       end
;;       i32.const 0
;;       return
;;     end
;;     drop
;;     i32.const 4
;;   )
;; )
