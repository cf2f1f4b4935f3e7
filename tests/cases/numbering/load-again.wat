;;! passes = "numbering, dead-code"
;;! run = "twice(0) -> 14"
(module
  (memory 1)
  (data (i32.const 0) "\07")
  (func (export "twice") (param $p i32) (result i32)
    (i32.add (i32.load (local.get $p)) (i32.load (local.get $p)))))

;;! output
;; passes:numbering, dead-code
;; (module
;;   (type (;0;) (func (param i32) (result i32)))
;;   (memory (;0;) 1)
;;   (export "twice" (func 0))
;;   (func (;0;) (type 0) (param $p i32) (result i32)
;;     local.get $p
;;     i32.load
;;     local.tee $p
;;     local.get $p
;;     i32.add
;;   )
;;   (data (;0;) (i32.const 0) "\07")
;; )
