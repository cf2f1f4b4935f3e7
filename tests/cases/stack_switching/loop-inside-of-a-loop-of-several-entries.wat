;;! also = "everything"
;;! shape = "no"
;;! run = "go(4) -> 30824"
;; A loop that a resumption enters in the middle, since a reference that is never null lives across it, has a loop inside whose last block is outside
;; of all cycles but for the edge that closes it: the inner loop still has one entry, and what was computed in front of it is there.
(module
 (type $ft (func (param i32) (result i32))) (type $ct (cont $ft))
 (tag $y (param i32) (result i32))
 (table funcref (elem $leaf $sus))
 (func $leaf (type $ft) (i32.add (local.get 0) (i32.const 1)))
 (func $sus (type $ft) (suspend $y (local.get 0)))
 (global $g (mut i32) (i32.const 0))
 (func $pure (type $ft) (global.set $g (local.get 0)) (i32.add (local.get 0) (i32.const 1)))
 (func $f0 (type $ft) (local $v i32) (local $n i32) (local $n0 (ref $ft))
  (local.set $n0 (ref.func $sus))
  (if (local.get 0) (then (local.set $n0 (ref.func $leaf))))
  (local.set $n (i32.const 10))
  (loop $l1
    (if (i32.gt_s (local.get $n) (i32.const 0)) (then
      (drop (call_indirect (type $ft) (i32.const 0) (i32.const 1)))
      (local.set $v (call $pure (i32.const 255)))
      (loop $l3
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br_if $l1 (i32.eqz (i32.and (local.get $n) (i32.const 3))))
        (global.set $g (i32.const 5))
        (br $l3)))))
  (i32.add (local.get $v) (call_ref $ft (i32.const 567) (local.get $n0))))
 (elem declare func $f0 $sus $leaf)
 (func (export "go") (param $x i32) (result i32) (local $k (ref null $ct)) (local $s i32)
   (local.set $k (cont.new $ct (ref.func $f0)))
   (loop $l (result i32)
     (block $on (result i32 (ref $ct))
       (return (i32.add (local.get $s) (resume $ct (on $y $on) (local.get $x) (local.get $k)))))
     (local.set $k) (drop) (local.set $s (i32.add (local.get $s) (i32.const 10000)))
     (br $l))))
