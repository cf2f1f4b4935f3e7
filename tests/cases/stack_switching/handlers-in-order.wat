;;! transform = "opt:O0"
;;! transform = "opt:O2"
;;! transform = "opt:Oz"
;;! run = "f() -> 1"
;; Two clauses for one tag: the first is taken, however alike the blocks are that they lead to.
(module
  (type $f (func))
  (type $c (cont $f))
  (tag $t)
  (elem declare func $body)
  (func $body (suspend $t))
  (func (export "f") (result i32)
    (block $second (result (ref $c))
      (block $first (result (ref $c))
        (resume $c (on $t $first) (on $t $second) (cont.new $c (ref.func $body)))
        (return (i32.const 0)))
      (drop)
      (return (i32.const 1)))
    (drop)
    (i32.const 2)))

;;! output
;; opt:O0
;; (module
;;   (type $f (;0;) (func))
;;   (type $c (;1;) (cont $f))
;;   (type (;2;) (func (result i32)))
;;   (tag $t (;0;) (type $f))
;;   (export "f" (func 1))
;;   (elem (;0;) declare func $body)
;;   (func $body (;0;) (type $f)
;;     suspend $t
;;   )
;;   (func (;1;) (type 2) (result i32)
;;     block (result (ref $c)) ;; label = @1
;;       block (result (ref $c)) ;; label = @2
;;         ref.func $body
;;         cont.new $c
;;         resume $c (on $t 0 (;@2;)) (on $t 1 (;@1;))
;;         i32.const 0
;;         return
;;       end
;;       drop
;;       i32.const 1
;;       return
;;     end
;;     drop
;;     i32.const 2
;;   )
;; )

;; opt:O2
;; (module
;;   (type $f (;0;) (func))
;;   (type $c (;1;) (cont $f))
;;   (type (;2;) (func (result i32)))
;;   (tag $t (;0;) (type $f))
;;   (export "f" (func 1))
;;   (elem (;0;) declare func $body)
;;   (func $body (;0;) (type $f)
;;     suspend $t
;;   )
;;   (func (;1;) (type 2) (result i32)
;;     block $second (result (ref $c))
;;       block $first (result (ref $c))
;;         ref.func $body
;;         cont.new $c
;;         resume $c (on $t $first) (on $t $second)
;;         i32.const 0
;;         return
;;       end
;;       drop
;;       i32.const 1
;;       return
;;     end
;;     drop
;;     i32.const 2
;;   )
;; )

;; opt:Oz
;; (module
;;   (type $f (;0;) (func))
;;   (type $c (;1;) (cont $f))
;;   (type (;2;) (func (result i32)))
;;   (tag $t (;0;) (type $f))
;;   (export "f" (func 1))
;;   (elem (;0;) declare func $body)
;;   (func $body (;0;) (type $f)
;;     suspend $t
;;   )
;;   (func (;1;) (type 2) (result i32)
;;     block $second (result (ref $c))
;;       block $first (result (ref $c))
;;         ref.func $body
;;         cont.new $c
;;         resume $c (on $t $first) (on $t $second)
;;         i32.const 0
;;         return
;;       end
;;       drop
;;       i32.const 1
;;       return
;;     end
;;     drop
;;     i32.const 2
;;   )
;; )
