;;! passes = "similar-functions"
;;! also = "opt:Oz, lower:memory:Oz"
;;! run = "f(3) -> 149"
;;! run = "g(3) -> 150"
;;! run = "suspends(3) -> 149"
;; Calls in try_table, and functions that suspend and throw.
(module
  (type $f (func (param i32) (result i32)))
  (type $c (cont $f))
  (tag $t (param i32))
  (tag $s (param i32) (result i32))
  (elem declare func $one)
  (func $one (param i32) (result i32)
    (local.set 0 (suspend $s (i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.const 1))))
    (if (i32.gt_u (local.get 0) (i32.const 100)) (then (throw $t (i32.add (local.get 0) (i32.const 1000)))))
    (i32.add (i32.mul (local.get 0) (local.get 0)) (i32.const 5)))
  (func $two (param i32) (result i32)
    (local.set 0 (suspend $s (i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.const 2))))
    (if (i32.gt_u (local.get 0) (i32.const 100)) (then (throw $t (i32.add (local.get 0) (i32.const 2000)))))
    (i32.add (i32.mul (local.get 0) (local.get 0)) (i32.const 6)))
  (func $one_caught (type $f)
    (block $caught (result i32)
      (try_table (result i32) (catch $t $caught) (call $one (local.get 0)))))
  (func $two_caught (type $f)
    (block $caught (result i32)
      (try_table (result i32) (catch $t $caught) (call $two (local.get 0)))))
  (elem declare func $one_caught $two_caught)
  (func $drive (param (ref $c)) (param i32) (result i32)
    (block $on (result i32 (ref $c))
      (return (resume $c (on $s $on) (local.get 1) (local.get 0))))
    (local.set 0)
    (drop)
    (block $on (result i32 (ref $c))
      (return (resume $c (on $s $on) (i32.const 12) (local.get 0))))
    (unreachable))
  (func (export "f") (type $f) (call $drive (cont.new $c (ref.func $one_caught)) (local.get 0)))
  (func (export "g") (type $f) (call $drive (cont.new $c (ref.func $two_caught)) (local.get 0)))
  (func (export "suspends") (type $f) (call $drive (cont.new $c (ref.func $one)) (local.get 0))))

;;! output
;; passes:similar-functions
;; (module
;;   (type $f (;0;) (func (param i32) (result i32)))
;;   (type $c (;1;) (cont $f))
;;   (type (;2;) (func (param i32)))
;;   (type (;3;) (func (param (ref $c) i32) (result i32)))
;;   (type (;4;) (func (result i32 (ref $c))))
;;   (type (;5;) (func (param i32 i32 i32 i32) (result i32)))
;;   (tag $t (;0;) (type 2) (param i32))
;;   (tag $s (;1;) (type $f) (param i32) (result i32))
;;   (export "f" (func 4))
;;   (export "g" (func 5))
;;   (export "suspends" (func 6))
;;   (elem (;0;) declare func $one)
;;   (elem (;1;) declare func $one_caught $two_caught)
;;   (func $one (;0;) (type $f) (param i32) (result i32)
;;     local.get 0
;;     i32.const 1
;;     i32.const 1000
;;     i32.const 5
;;     call $one.similar
;;   )
;;   (func $one_caught (;1;) (type $f) (param i32) (result i32)
;;     block $caught (result i32)
;;       try_table (result i32) (catch $t $caught) ;; label = @2
;;         local.get 0
;;         call $one
;;       end
;;     end
;;   )
;;   (func $two_caught (;2;) (type $f) (param i32) (result i32)
;;     block (result i32) ;; label = @1
;;       try_table (result i32) (catch $t 0 (;@1;)) ;; label = @2
;;         local.get 0
;;         i32.const 2
;;         i32.const 2000
;;         i32.const 6
;;         call $one.similar
;;       end
;;     end
;;   )
;;   (func $drive (;3;) (type 3) (param (ref $c) i32) (result i32)
;;     block $on (type 4) (result i32 (ref $c))
;;       local.get 1
;;       local.get 0
;;       resume $c (on $s $on)
;;       return
;;     end
;;     local.set 0
;;     drop
;;     block $on (type 4) (result i32 (ref $c))
;;       i32.const 12
;;       local.get 0
;;       resume $c (on $s $on)
;;       return
;;     end
;;     unreachable
;;   )
;;   (func (;4;) (type $f) (param i32) (result i32)
;;     ref.func $one_caught
;;     cont.new $c
;;     local.get 0
;;     call $drive
;;   )
;;   (func (;5;) (type $f) (param i32) (result i32)
;;     ref.func $two_caught
;;     cont.new $c
;;     local.get 0
;;     call $drive
;;   )
;;   (func (;6;) (type $f) (param i32) (result i32)
;;     ref.func $one
;;     cont.new $c
;;     local.get 0
;;     call $drive
;;   )
;;   (func $one.similar (;7;) (type 5) (param i32 i32 i32 i32) (result i32)
;;     local.get 0
;;     i32.const 3
;;     i32.mul
;;     local.get 1
;;     i32.add
;;     suspend $s
;;     local.tee 0
;;     i32.const 100
;;     i32.gt_u
;;     if ;; label = @1
;;       local.get 0
;;       local.get 2
;;       i32.add
;;       throw $t
;;     end
;;     local.get 0
;;     local.get 0
;;     i32.mul
;;     local.get 3
;;     i32.add
;;   )
;; )
