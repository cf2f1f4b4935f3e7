;;! transform = "opt:O2:closed-world"
;;! also = "everything"
;;! run = "closure(5) -> 47"
;;! run = "missing() -> trap null"
;;! run = "tail(5) -> 47"
;;! run = "public(0, 4) -> 8"
;;! run = "public(1, 4) -> 16"
;;! run = "subtype() -> 3"
(module
  ;; One function has this type, so a call of a reference is of that.
  (rec (type $closure (sub (struct (field $code (ref null $code)))))
       (type $code (func (param (ref null $closure) i32) (result i32))))
  (type $adder (sub $closure (struct (field (ref null $code)) (field $addend i32))))
  ;; This one is an export's, which the host may have given to somebody.
  (type $public (func (param i32) (result i32)))
  ;; A function of a subtype is one of the supertype as well, so there are two of that.
  (type $super (sub (func (result i32))))
  (type $sub (sub $super (func (result i32))))
  (elem declare func $add)
  (global $maybe (mut (ref null $closure)) (ref.null $closure))
  (table $supers (ref null $super) (elem (item ref.func $one) (item ref.func $two)))
  (table $publics (ref null $public) (elem (item ref.func $double) (item ref.func $square)))

  (func $add (type $code)
    (i32.add (local.get 1) (struct.get $adder $addend (ref.cast (ref $adder) (local.get 0)))))
  (func $call (param $closure (ref null $closure)) (param i32) (result i32)
    (call_ref $code (local.get $closure) (local.get 1) (struct.get $closure $code (local.get $closure))))
  (func (export "closure") (param i32) (result i32)
    (global.set $maybe (struct.new $adder (ref.func $add) (i32.const 42)))
    (call $call (global.get $maybe) (local.get 0)))
  (func (export "missing") (result i32)
    (global.set $maybe (struct.new $closure (ref.null $code)))
    (call $call (global.get $maybe) (i32.const 1)))
  (func (export "tail") (param i32) (result i32)
    (global.set $maybe (struct.new $adder (ref.func $add) (i32.const 42)))
    (return_call_ref $code (global.get $maybe) (local.get 0) (struct.get $closure $code (global.get $maybe))))

  (func $double (export "double") (type $public) (i32.add (local.get 0) (local.get 0)))
  (func $square (type $public) (i32.mul (local.get 0) (local.get 0)))
  (func (export "public") (param i32 i32) (result i32)
    (call_ref $public (local.get 1) (table.get $publics (local.get 0))))

  (func $one (type $super) (i32.const 1))
  (func $two (type $sub) (i32.const 2))
  (func (export "subtype") (result i32)
    (i32.add
      (call_ref $super (table.get $supers (i32.const 0)))
      (call_ref $sub (ref.cast (ref $sub) (table.get $supers (i32.const 1)))))))

;;! output
;; opt:O2:closed-world
;; (module
;;   (rec
;;     (type $closure (;0;) (sub (struct (field $code (ref null $code)))))
;;     (type $code (;1;) (func (param (ref null $closure) i32) (result i32)))
;;   )
;;   (type $public (;2;) (func (param i32) (result i32)))
;;   (type $super (;3;) (sub (func (result i32))))
;;   (type $adder (;4;) (sub $closure (struct (field (ref null $code)) (field $addend i32))))
;;   (type $sub (;5;) (sub $super (func (result i32))))
;;   (type (;6;) (func (param (ref null $closure) i32) (result i32)))
;;   (type (;7;) (func (param i32 i32) (result i32)))
;;   (table $supers (;0;) 2 2 (ref null $super))
;;   (table $publics (;1;) 2 2 (ref null $public))
;;   (export "closure" (func 2))
;;   (export "missing" (func 3))
;;   (export "tail" (func 4))
;;   (export "double" (func $double))
;;   (export "public" (func 7))
;;   (export "subtype" (func 10))
;;   (elem (;0;) declare func $add)
;;   (elem (;1;) (table $supers) (i32.const 0) (ref null $super) (ref.func $one) (ref.func $two))
;;   (elem (;2;) (table $publics) (i32.const 0) (ref null $public) (ref.func $double) (ref.func $square))
;;   (func $add (;0;) (type $code) (param (ref null $closure) i32) (result i32)
;;     local.get 1
;;     local.get 0
;;     ref.cast (ref $adder)
;;     struct.get $adder $addend
;;     i32.add
;;   )
;;   (func $call (;1;) (type 6) (param $closure (ref null $closure)) (param i32) (result i32)
;;     local.get $closure
;;     struct.get $closure $code
;;     ref.as_non_null
;;     drop
;;     local.get $closure
;;     local.get 1
;;     call $add
;;   )
;;   (func (;2;) (type $public) (param i32) (result i32)
;;     ref.func $add
;;     i32.const 42
;;     struct.new $adder
;;     local.get 0
;;     call $call
;;   )
;;   (func (;3;) (type $super) (result i32)
;;     struct.new_default $closure
;;     i32.const 1
;;     call $call
;;   )
;;   (func (;4;) (type $public) (param i32) (result i32)
;;     ref.func $add
;;     i32.const 42
;;     struct.new $adder
;;     local.get 0
;;     return_call $add
;;   )
;;   (func $double (;5;) (type $public) (param i32) (result i32)
;;     local.get 0
;;     local.get 0
;;     i32.add
;;   )
;;   (func $square (;6;) (type $public) (param i32) (result i32)
;;     local.get 0
;;     local.get 0
;;     i32.mul
;;   )
;;   (func (;7;) (type 7) (param i32 i32) (result i32)
;;     local.get 1
;;     local.get 0
;;     table.get $publics
;;     call_ref $public
;;   )
;;   (func $one (;8;) (type $super) (result i32)
;;     i32.const 1
;;   )
;;   (func $two (;9;) (type $sub) (result i32)
;;     i32.const 2
;;   )
;;   (func (;10;) (type $super) (result i32)
;;     i32.const 0
;;     table.get $supers
;;     call_ref $super
;;     i32.const 1
;;     table.get $supers
;;     ref.cast (ref $sub)
;;     drop
;;     i32.const 2
;;     i32.add
;;   )
;; )
