;;! transform = "opt:O0"
;;! also = "everything"
;;! run = "arms(0) -> 10"
;;! run = "arms(1) -> 8"
;;! run = "after(0) -> 0"
;;! run = "after(5) -> 5"
;;! run = "again(3) -> 2"
;;! run = "seen() -> 226405"
;; A local that is made zero is zero already where nothing that can run before has written it: in the other arm of an `if`, and behind a branch
;; that leaves. It is not behind an arm that wrote it, and not where a loop comes again.
(module
  (global $seen (mut i32) (i32.const 0))
  (func $print (param i32) (global.set $seen (i32.add (i32.mul (global.get $seen) (i32.const 3)) (local.get 0))))
  (func (export "seen") (result i32) (global.get $seen))
  (func (export "arms") (param $a i32) (result i32) (local $x i32) (local $y i32)
    (if (local.get $a)
      (then (local.set $x (i32.const 3)) (local.set $y (i32.const 4)))
      (else (local.set $x (i32.const 0)) (local.set $y (i32.const 10))))
    (call $print (local.get $x))
    (call $print (local.get $y))
    (i32.add (i32.add (local.get $x) (local.get $y)) (local.get $a)))
  (func (export "after") (param $a i32) (result i32) (local $x i32)
    (block $out
      (block $other
        (br_if $other (i32.eqz (local.get $a)))
        (local.set $x (local.get $a))
        (call $print (local.get $x))
        (local.set $x (i32.const 0))
        (br $out))
      (local.set $x (i32.const 0))
      (call $print (i32.const 1)))
    (call $print (local.get $x))
    (i32.add (local.get $x) (local.get $a)))
  (func (export "again") (param $a i32) (result i32) (local $x i32) (local $last i32)
    (loop $l
      (local.set $x (i32.const 0))
      (if (i32.and (local.get $a) (i32.const 1)) (then (local.set $x (i32.const 1))))
      (call $print (local.get $x))
      (local.set $last (i32.add (local.get $last) (local.get $x)))
      (br_if $l (local.tee $a (i32.sub (local.get $a) (i32.const 1)))))
    (local.get $last)))

;;! output
;; opt:O0
;; (module
;;   (type (;0;) (func (param i32)))
;;   (type (;1;) (func (result i32)))
;;   (type (;2;) (func (param i32) (result i32)))
;;   (global $seen (;0;) (mut i32) i32.const 0)
;;   (export "seen" (func 1))
;;   (export "arms" (func 2))
;;   (export "after" (func 3))
;;   (export "again" (func 4))
;;   (func $print (;0;) (type 0) (param i32)
;;     global.get $seen
;;     i32.const 3
;;     i32.mul
;;     local.get 0
;;     i32.add
;;     global.set $seen
;;   )
;;   (func (;1;) (type 1) (result i32)
;;     global.get $seen
;;   )
;;   (func (;2;) (type 2) (param $a i32) (result i32)
;;     (local $x i32) (local $y i32)
;;     local.get $a
;;     if (result i32) ;; label = @1
;;       i32.const 3
;;       local.set $x
;;       i32.const 4
;;     else
;;       i32.const 10
;;     end
;;     local.tee $y
;;     local.get $x
;;     call $print
;;     call $print
;;     local.get $x
;;     local.get $y
;;     i32.add
;;     local.get $a
;;     i32.add
;;   )
;;   (func (;3;) (type 2) (param $a i32) (result i32)
;;     (local $x i32)
;;     local.get $a
;;     if (result i32) ;; label = @1
;;       local.get $a
;;       call $print
;;       i32.const 0
;;     else
;;       i32.const 1
;;       call $print
;;       i32.const 0
;;     end
;;     local.tee $x
;;     call $print
;;     local.get $x
;;     local.get $a
;;     i32.add
;;   )
;;   (func (;4;) (type 2) (param $a i32) (result i32)
;;     (local $last i32) (local $x i32)
;;     loop (result i32) ;; label = @1
;;       local.get $a
;;       i32.const 1
;;       i32.and
;;       if (result i32) ;; label = @2
;;         i32.const 1
;;       else
;;         i32.const 0
;;       end
;;       local.tee $x
;;       call $print
;;       local.get $last
;;       local.get $x
;;       i32.add
;;       local.set $last
;;       local.get $a
;;       i32.const 1
;;       i32.sub
;;       local.tee $a
;;       br_if 0 (;@1;)
;;       local.get $last
;;     end
;;   )
;; )
