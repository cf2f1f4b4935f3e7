;;! passes = "similar-blocks, dead-code"
;;! also = "opt:Oz, lower:memory:Oz, lower:gc:Oz"
;;! run = "f(1) -> 1203"
;;! run = "f(2) -> 2205"
;;! run = "caught(1) -> 101"
;;! run = "caught(2) -> 202"
;; Suspensions are folded like calls; what throws to a handler of its own is not.
(module
  (type $f (func (param i32) (result i32)))
  (type $c (cont $f))
  (tag $s (param i32) (result i32))
  (tag $e (param i32))
  (memory 1)
  (elem declare func $body)
  (func $body (type $f)
    (if (i32.eq (local.get 0) (i32.const 1))
      (then
        (i32.store (i32.const 0) (suspend $s (i32.const 100)))
        (i32.store (i32.const 4) (i32.add (suspend $s (i32.const 101)) (i32.const 1000)))
        (return (i32.add (i32.load (i32.const 0)) (i32.load (i32.const 4))))))
    (i32.store (i32.const 0) (suspend $s (i32.const 101)))
    (i32.store (i32.const 4) (i32.add (suspend $s (i32.const 102)) (i32.const 2000)))
    (i32.add (i32.load (i32.const 0)) (i32.load (i32.const 4))))
  (func (export "f") (type $f)
    (local $k (ref null $c))
    (local.set $k (cont.new $c (ref.func $body)))
    (loop $again (result i32)
      (block $on (result i32 (ref $c))
        (return (resume $c (on $s $on) (local.get 0) (local.get $k))))
      (local.set $k)
      (local.set 0 (i32.add (i32.const 1)))
      (br $again)))
  (func $throws (param i32) (throw $e (local.get 0)))
  (func (export "caught") (type $f)
    (block $outer (result i32)
      (if (i32.eq (local.get 0) (i32.const 1))
        (then
          (block $h (result i32)
            (try_table (catch $e $h) (call $throws (i32.const 1)))
            (unreachable))
          (return (i32.add (i32.const 100)))))
      (block $h (result i32)
        (try_table (catch $e $h) (call $throws (i32.const 2)))
        (unreachable))
      (i32.add (i32.const 200)))))

;;! output
;; passes:similar-blocks, dead-code
;; (module
;;   (type $f (;0;) (func (param i32) (result i32)))
;;   (type $c (;1;) (cont $f))
;;   (type (;2;) (func (param i32)))
;;   (type (;3;) (func (result i32 (ref $c))))
;;   (memory (;0;) 1)
;;   (tag $s (;0;) (type $f) (param i32) (result i32))
;;   (tag $e (;1;) (type 2) (param i32))
;;   (export "f" (func 1))
;;   (export "caught" (func 3))
;;   (elem (;0;) declare func $body)
;;   (func $body (;0;) (type $f) (param i32) (result i32)
;;     (local i32)
;;     i32.const 4
;;     local.get 0
;;     i32.const 1
;;     i32.eq
;;     if (result i32) ;; label = @1
;;       i32.const 100
;;       local.set 0
;;       i32.const 1000
;;       local.set 1
;;       i32.const 101
;;     else
;;       i32.const 101
;;       local.set 0
;;       i32.const 2000
;;       local.set 1
;;       i32.const 102
;;     end
;;     i32.const 0
;;     local.get 0
;;     suspend $s
;;     i32.store
;;     suspend $s
;;     local.get 1
;;     i32.add
;;     i32.store
;;     i32.const 0
;;     i32.load
;;     i32.const 4
;;     i32.load
;;     i32.add
;;   )
;;   (func (;1;) (type $f) (param i32) (result i32)
;;     (local $k (ref null $c))
;;     ref.func $body
;;     cont.new $c
;;     local.set $k
;;     loop $again (result i32)
;;       block $on (type 3) (result i32 (ref $c))
;;         local.get 0
;;         local.get $k
;;         resume $c (on $s $on)
;;         return
;;       end
;;       local.set $k
;;       i32.const 1
;;       i32.add
;;       local.set 0
;;       br $again
;;     end
;;   )
;;   (func $throws (;2;) (type 2) (param i32)
;;     local.get 0
;;     throw $e
;;   )
;;   (func (;3;) (type $f) (param i32) (result i32)
;;     local.get 0
;;     i32.const 1
;;     i32.eq
;;     if (result i32) ;; label = @1
;;       block (result i32) ;; label = @2
;;         try_table (catch $e 0 (;@2;)) ;; label = @3
;;           i32.const 1
;;           call $throws
;;         end
;;         unreachable
;;       end
;;       i32.const 100
;;       i32.add
;;     else
;;       block (result i32) ;; label = @2
;;         try_table (catch $e 0 (;@2;)) ;; label = @3
;;           i32.const 2
;;           call $throws
;;         end
;;         unreachable
;;       end
;;       i32.const 200
;;       i32.add
;;     end
;;   )
;; )
