;;! transform = "opt:O0"
;;! transform = "opt:O1"
;;! transform = "opt:O2"
;;! transform = "opt:O3"
;;! transform = "opt:Oz"
;;! transform = "lower:memory"
;;! transform = "lower:gc"
;;! transform = "lower:memory:O2"
;;! transform = "lower:gc:O2"
;;! run = "sum(0) -> 0"
;;! run = "sum(10) -> 55"
;;! run = "sum(1000) -> 500500"
;;! shape = "no"
(module
  (type $f (func (param i32)))
  (type $fresh (cont $f))
  (type $g (func))
  (type $rest (cont $g))
  (tag $yield (param i32))
  (func $generator (param $i i32)
    (loop $next
      (if (i32.eqz (local.get $i)) (then (return)))
      (suspend $yield (local.get $i))
      (local.set $i (i32.sub (local.get $i) (i32.const 1)))
      (br $next)))
  (elem declare func $generator)
  (func (export "sum") (param $from i32) (result i32)
    (local $sum i32)
    (local $k (ref null $rest))
    (local.set $k (cont.bind $fresh $rest (local.get $from) (cont.new $fresh (ref.func $generator))))
    (loop $next
      (block $on_yield (result i32 (ref $rest))
        (resume $rest (on $yield $on_yield) (local.get $k))
        (return (local.get $sum)))
      (local.set $k)
      (local.set $sum (i32.add (local.get $sum)))
      (br $next))
    (unreachable))
)
