//! Large programs that suspend, as text.

/// A module of a function `$f` that a continuation begins with, `(param i32) (result i32)`, which suspends to `$t`.
fn continuation(items: &str) -> String {
    format!(
        "(module (type $f (func (param i32) (result i32))) (type $c (cont $f)) (tag $t (param i32) (result i32))
           (elem declare func $f) {items}
           (func (export \"run\")
             (block $on (result i32 (ref $c))
               (drop (resume $c (on $t $on) (i32.const 0) (cont.new $c (ref.func $f))))
               (return))
             (drop) (drop)))"
    )
}

/// What goes through every program.
pub fn large() -> Vec<(&'static str, String)> {
    vec![
        ("a suspension in each of many nested loops", {
            const LOOPS: usize = 1000;
            format!(
                "(module (type $f (func (param i32))) (type $c (cont $f)) (type $g (func)) (type $d (cont $g)) (tag $t)
                   (elem declare func $walk)
                   (func $wait (param i32) (if (local.get 0) (then (call $wait (i32.const 0)))) (suspend $t))
                   (func $walk (param i32) {} {})
                   (func (export \"run\")
                     (block $on (result (ref $d))
                       (resume $c (on $t $on) (i32.const 0) (cont.new $c (ref.func $walk)))
                       (return))
                     (drop)))",
                "(loop (call $wait (local.get 0)) ".repeat(LOOPS),
                "(call $wait (local.get 0)) (br_if 0 (local.get 0))) ".repeat(LOOPS)
            )
        }),
        ("many calls in a row that may suspend", {
            const CALLS: usize = 30_000;
            let call = "(local.set 1 (i32.add (local.get 1) (call_indirect (type $f) (local.get 1) (local.get 0))))";
            continuation(&format!(
                "(table funcref (elem $same $ask))
                 (func $same (type $f) (local.get 0))
                 (func $ask (type $f) (suspend $t (local.get 0)))
                 (func $f (type $f) (local i32) {} (local.get 1))",
                call.repeat(CALLS)
            ))
        }),
        ("a long chain of calls that may suspend", {
            const FUNCTIONS: usize = 8_000;
            let chain: String = (1..FUNCTIONS)
                .map(|n| format!("(func $g{n} (type $f) (i32.add (call $g{} (local.get 0)) (i32.const 1)))\n", n - 1))
                .collect();
            continuation(&format!(
                "(func $g0 (type $f) (suspend $t (local.get 0))) {chain}
                 (func $f (type $f) (i32.add (call $g{} (local.get 0)) (i32.const 1)))",
                FUNCTIONS - 1
            ))
        }),
        ("many functions that suspend to tags of their own", {
            const FUNCTIONS: usize = 10_000;
            let chain: String = (1..FUNCTIONS)
                .map(|n| {
                    let next = n - 1;
                    format!("(tag $t{n}) (func $g{n} (type $f) (suspend $t{n}) (call $g{next} (local.get 0)))\n")
                })
                .collect();
            continuation(&format!(
                "(func $g0 (type $f) (suspend $t (local.get 0))) {chain}
                 (func $f (type $f) (i32.add (call $g{} (local.get 0)) (i32.const 1)))",
                FUNCTIONS - 1
            ))
        }),
        ("many types that only continuations tell apart", {
            const TYPES: usize = 20_000;
            let types: String = (1..TYPES)
                .map(|n| format!("(type $f{n} (func (param (ref null $c{})))) (type $c{n} (cont $f{n}))\n", n - 1))
                .collect();
            format!(
                "(module (type $f0 (func)) (type $c0 (cont $f0)) {types} (table funcref (elem $a $b))
                   (func $a (type $f1)) (func $b (type $f2))
                   (func (export \"run\") (param i32) (call_indirect (type $f1) (ref.null $c0) (local.get 0))))"
            )
        }),
        ("many values that are live across a suspension", {
            const VALUES: usize = 3_000;
            let locals = "(local i32) ".repeat(VALUES);
            let each = |make: &dyn Fn(usize) -> String| (1..=VALUES).map(make).collect::<String>();
            continuation(&format!(
                "(memory 1) (func $f (type $f) {locals} {} (drop (suspend $t (local.get 0))) {} (local.get 0))",
                each(&|n| format!("(local.set {n} (i32.load8_u (i32.add (local.get 0) (i32.const {n})))) ")),
                each(&|n| format!("(local.set 0 (i32.xor (i32.mul (local.get 0) (i32.const 3)) (local.get {n})))")),
            ))
        }),
        ("structs of structs that a suspending function returns", {
            const DEPTH: usize = 60;
            let types: String = (1..DEPTH)
                .map(|n| format!("(type $s{n} (struct (field (ref $s{0})) (field (ref $s{0}))))\n", n - 1))
                .collect();
            let last = DEPTH - 1;
            continuation(&format!(
                "(type $s0 (struct)) {types} (global $g (mut (ref null $s{last})) (ref.null $s{last}))
                 (func $make (param i32) (result (ref $s{last}))
                   (drop (suspend $t (local.get 0))) (ref.as_non_null (global.get $g)))
                 (func $f (type $f) (drop (call $make (local.get 0))) (drop (call $make (local.get 0))) (local.get 0))"
            ))
        }),
        ("many indirect calls that may reach many functions", {
            const CALLS: usize = 20_000;
            const FUNCTIONS: usize = 20_000;
            let call = "(local.set 0 (call_indirect (type $f) (local.get 0) (local.get 0)))";
            let functions: String =
                (0..FUNCTIONS).map(|n| format!("(func $g{n} (type $f) (i32.const {n}))\n")).collect();
            let elements: String = (0..FUNCTIONS).map(|n| format!("$g{n} ")).collect();
            continuation(&format!(
                "(table funcref (elem {elements})) {functions}
                 (func $calls (type $f) {} (local.get 0))
                 (func $f (type $f) (i32.add (suspend $t (call $calls (local.get 0))) (i32.const 1)))",
                call.repeat(CALLS)
            ))
        }),
        ("a loop of many calls that certainly suspend", {
            const CALLS: usize = 10_000;
            let call = "(local.set 1 (i32.add (local.get 1) (call $ask (local.get 1))))";
            continuation(&format!(
                "(func $ask (param i32) (result i32) (if (result i32) (local.get 0)
                     (then (i32.add (call $ask (i32.const 0)) (i32.const 1))) (else (suspend $t (local.get 0)))))
                 (func $f (type $f) (local i32) (loop $l {} (br_if $l (local.get 1))) (local.get 1))",
                call.repeat(CALLS)
            ))
        }),
        ("a suspension inside of many nested loops", {
            const LOOPS: usize = 30_000;
            continuation(&format!(
                "(func $f (type $f) {} (local.set 0 (suspend $t (local.get 0))) {} (local.get 0))",
                "(loop ".repeat(LOOPS),
                "(br_if 0 (local.get 0)))".repeat(LOOPS)
            ))
        }),
        ("a long chain of tail calls that ends with a suspension", {
            const FUNCTIONS: usize = 8_000;
            let chain: String = (1..FUNCTIONS)
                .map(|n| {
                    format!("(func $g{n} (type $f) (return_call $g{} (i32.add (local.get 0) (i32.const 1))))\n", n - 1)
                })
                .collect();
            continuation(&format!(
                "(func $g0 (type $f) (suspend $t (local.get 0))) {chain}
                 (func $f (type $f) (i32.add (call $g{} (local.get 0)) (i32.const 1)))",
                FUNCTIONS - 1
            ))
        }),
        ("many types of references that pass between functions", {
            const TYPES: usize = 20_000;
            let types: String = (0..TYPES)
                .map(|n| format!("(type $s{n} (struct)) (type $f{n} (func (param (ref null $s{n}))))\n"))
                .collect();
            continuation(&format!("{types} (func $f (type $f) (suspend $t (local.get 0)))"))
        }),
    ]
}
