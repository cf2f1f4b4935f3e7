;;! passes = "code-folding"
;;! also = "opt:O2, opt:Oz"
;;! run = "f(1, 0) -> trap unreachable"
;;! run = "f(0, 0) -> 7, 58"
;; Two blocks that begin alike; the one goes on with a write to a global and ends in a trap, where the other returns a constant and the same value.
;; In a list without lengths, the operator's number and its operands would be those of the return.
(module
  (memory (export "m") 1)
  (global $h (export "h") (mut i32) (i32.const 1))
  (global $h2 (export "h2") (mut i32) (i32.const 1))
  (global $h3 (export "h3") (mut i32) (i32.const 1))
  (global $g (export "g") (mut i32) (i32.const 1))
  (func (export "f") (param i32 i32) (result i32 i32) (local i32)
    (global.set $h (i32.const 7))
    (global.set $h2 (memory.grow (local.get 1)))
    (global.set $h3 (local.get 1))
    (drop (memory.grow (i32.clz (memory.grow (local.get 1)))))
    (if (local.get 0)
      (then
        (local.set 2 (memory.grow (local.get 1)))
        (global.set $h (local.get 2))
        (global.set $h2 (local.get 2))
        (global.set $h3 (local.get 2))
        (global.set $g (local.get 2))
        (unreachable)))
    (local.set 2 (memory.grow (local.get 1)))
    (global.set $h (local.get 2))
    (global.set $h2 (local.get 2))
    (global.set $h3 (local.get 2))
    (return (i32.const 7) (local.get 2))))

;;! output
;; passes:code-folding
;; (module
;;   (type (;0;) (func (param i32 i32) (result i32 i32)))
;;   (memory (;0;) 1)
;;   (global $h (;0;) (mut i32) i32.const 1)
;;   (global $h2 (;1;) (mut i32) i32.const 1)
;;   (global $h3 (;2;) (mut i32) i32.const 1)
;;   (global $g (;3;) (mut i32) i32.const 1)
;;   (export "m" (memory 0))
;;   (export "h" (global $h))
;;   (export "h2" (global $h2))
;;   (export "h3" (global $h3))
;;   (export "g" (global $g))
;;   (export "f" (func 0))
;;   (func (;0;) (type 0) (param i32 i32) (result i32 i32)
;;     i32.const 7
;;     global.set $h
;;     local.get 1
;;     memory.grow
;;     global.set $h2
;;     local.get 1
;;     global.set $h3
;;     local.get 1
;;     memory.grow
;;     i32.clz
;;     memory.grow
;;     drop
;;     local.get 0
;;     if ;; label = @1
;;       local.get 1
;;       memory.grow
;;       local.tee 0
;;       global.set $h
;;       local.get 0
;;       global.set $h2
;;       local.get 0
;;       global.set $h3
;;       local.get 0
;;       global.set $g
;;       unreachable
;;     end
;;     local.get 1
;;     memory.grow
;;     local.tee 0
;;     global.set $h
;;     local.get 0
;;     global.set $h2
;;     local.get 0
;;     global.set $h3
;;     i32.const 7
;;     local.get 0
;;   )
;; )
