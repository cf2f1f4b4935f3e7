;;! passes = "remove-unused-module-elements"
;;! run = "f() -> 3"
(module
  (type $f (func))
  (type $c (cont $f))
  (tag $unused)
  (tag $used)
  (global $unused i32 (i32.const 1))
  (memory $unused 1)
  (table $unused 1 funcref)
  (elem (table $unused) (i32.const 0) func $only_in_unused_table)
  (elem declare func $suspends)
  (func $unused)
  (func $only_in_unused_table)
  (func $suspends (suspend $used))
  (func (export "f") (result i32)
    (block $on (result (ref $c))
      (resume $c (on $used $on) (cont.new $c (ref.func $suspends)))
      (return (i32.const 0)))
    (drop)
    (i32.const 3)))

;;! output
;; passes:remove-unused-module-elements
;; (module
;;   (type $f (;0;) (func))
;;   (type $c (;1;) (cont $f))
;;   (type (;2;) (func (result i32)))
;;   (tag $used (;0;) (type $f))
;;   (export "f" (func 1))
;;   (elem (;0;) declare func $suspends)
;;   (func $suspends (;0;) (type $f)
;;     suspend $used
;;   )
;;   (func (;1;) (type 2) (result i32)
;;     block $on (result (ref $c))
;;       ref.func $suspends
;;       cont.new $c
;;       resume $c (on $used $on)
;;       i32.const 0
;;       return
;;     end
;;     drop
;;     i32.const 3
;;   )
;; )
