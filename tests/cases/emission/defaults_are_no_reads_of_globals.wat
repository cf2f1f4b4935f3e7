;;! transform = "opt:O0"
;;! transform = "opt:O2"
;;! run = "f(1) -> 0"
;;! run = "f(2) -> 1"
;;! shape = "no"
;; Two reads of a global are the same operator and may be two values: neither is stored once for both, where the branches begin.
(module
  (global $g (mut i32) (i32.const 1))
  (func (export "f") (param $a i32) (result i32) (local $m i32)
    (block $out
      (br_if $out (i32.eq (local.get $a) (i32.const 1)))
      (local.set $m (global.get $g))
      (br_if $out (i32.eq (local.get $a) (i32.const 2)))
      (global.set $g (i32.const 7))
      (local.set $m (global.get $g))
      (br_if $out (i32.eq (local.get $a) (i32.const 3)))
      (br_if $out (i32.eq (local.get $a) (i32.const 4)))
      (global.set $g (i32.const 9))
      (local.set $m (global.get $g)))
    (local.get $m)))
