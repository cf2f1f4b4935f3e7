//! A merged module behaves like its inputs linked by the engine: the same calls give the same results, traps and output.

use wasmfx::engine::values::display_value;
use wasmfx::engine::{EngineOptions, WasmEngine, compile};
use wasmfx_ir::encode::encode_module;
use wasmfx_ir::parse::ParseOptions;
use wasmfx_ir::text::read_module;
use wasmfx_passes::merge::{Input, MergeOptions, merge};
use wasmfx_tests::differential::transforms::optimize_at_level;
use wasmtime::{Caller, Extern, Instance, Linker, Store, Val};

/// What the host's `env.log` was called with.
type Log = Vec<i32>;

/// Modules in the order in which an engine can instantiate them, and exports to call afterwards with one i32 each.
struct Case {
    modules: &'static [(&'static str, &'static str)],
    calls: &'static [(&'static str, i32)],
}

fn check(case: &Case) -> Vec<String> {
    let engine = EngineOptions::for_tests().build().unwrap();
    let linked = engine.on_wasm_thread(|| run_linked(&engine, case)).unwrap();
    for level in [None, Some("2"), Some("z")] {
        let merged = engine.on_wasm_thread(|| run_merged(&engine, case, level)).unwrap();
        assert_eq!(merged, linked, "merged, optimised at {level:?}, and linked");
    }
    linked
}

fn new_store(engine: &WasmEngine) -> (Store<Log>, Linker<Log>) {
    let mut store = Store::new(engine, Log::new());
    engine.set_timeout(&mut store, None);
    let mut linker = Linker::new(engine);
    linker.func_wrap("env", "log", |mut caller: Caller<'_, Log>, value: i32| caller.data_mut().push(value)).unwrap();
    (store, linker)
}

fn run_linked(engine: &WasmEngine, case: &Case) -> Vec<String> {
    let (mut store, mut linker) = new_store(engine);
    let mut instances = Vec::new();
    let mut events = Vec::new();
    for (name, text) in case.modules {
        let module = compile(engine, &wat::parse_str(text).unwrap()).unwrap();
        match linker.instantiate(&mut store, &module) {
            Ok(instance) => {
                linker.instance(&mut store, name, instance).unwrap();
                instances.push(instance);
            }
            Err(error) => events.push(format!("instantiation: {}", error.root_cause())),
        }
    }
    events.extend(call_all(&mut store, &instances, case.calls));
    events
}

fn run_merged(engine: &WasmEngine, case: &Case, level: Option<&str>) -> Vec<String> {
    let inputs = case.modules.iter().map(|(name, text)| {
        let module = read_module(text.as_bytes(), name, &ParseOptions::default()).unwrap();
        Input { name: (*name).into(), module }
    });
    let merged = merge(inputs.collect(), &MergeOptions::default()).unwrap();
    let mut binary = encode_module(&merged.module).unwrap();
    if let Some(level) = level {
        binary = optimize_at_level(&binary, level).unwrap();
    }
    let module = compile(engine, &binary).unwrap();
    let (mut store, linker) = new_store(engine);
    match linker.instantiate(&mut store, &module) {
        Ok(instance) => call_all(&mut store, &[instance], case.calls),
        Err(error) => vec![format!("instantiation: {}", error.root_cause())],
    }
}

fn call_all(store: &mut Store<Log>, instances: &[Instance], calls: &[(&str, i32)]) -> Vec<String> {
    let mut events = vec![format!("start: {:?}", std::mem::take(store.data_mut()))];
    for (export, argument) in calls {
        let found = instances.iter().find_map(|instance| instance.get_func(&mut *store, export));
        let function = found.unwrap_or_else(|| panic!("nobody exports {export}"));
        let mut results = vec![Val::I32(0); function.ty(&*store).results().len()];
        let outcome = match function.call(&mut *store, &[Val::I32(*argument)], &mut results) {
            Ok(()) => results.iter().map(|value| display_value(store, value)).collect::<Vec<_>>().join(" "),
            Err(error) => format!("{}", error.root_cause()),
        };
        events.push(format!("{export}({argument}) = {outcome}, log {:?}", std::mem::take(store.data_mut())));
    }
    // What is exported and can be read afterwards is part of the behaviour too.
    for instance in instances {
        let exports: Vec<Extern> = instance.exports(&mut *store).map(|export| export.into_extern()).collect();
        for export in exports {
            match export {
                Extern::Global(global) => {
                    let value = global.get(&mut *store);
                    events.push(format!("global {}", display_value(store, &value)));
                }
                Extern::Memory(memory) => {
                    let sum = memory
                        .data(&*store)
                        .iter()
                        .fold(0_u64, |sum, &byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
                    events.push(format!("memory {} pages, {sum:x}", memory.size(&*store)));
                }
                _ => {}
            }
        }
    }
    events
}

#[test]
fn functions_tables_memories_and_globals_are_shared() {
    let events = check(&Case {
        modules: &[
            (
                "library",
                r#"(module
                    (import "env" "log" (func $log (param i32)))
                    (memory (export "memory") 1) (table (export "table") 4 funcref) (global (export "counter") (mut i32) (i32.const 5))
                    (global (export "base") i32 (i32.const 2))
                    (type $f (func (param i32) (result i32)))
                    (func $double (type $f) (i32.mul (local.get 0) (i32.const 2)))
                    (elem (i32.const 0) $double)
                    (data (i32.const 0) "\07\08\09\0a")
                    (func (export "call") (param i32 i32) (result i32)
                        (call $log (local.get 0))
                        (call_indirect (type $f) (local.get 1) (local.get 0))))"#,
            ),
            (
                "main",
                r#"(module
                    (import "library" "memory" (memory 1)) (import "library" "table" (table 1 funcref))
                    (import "library" "counter" (global $counter (mut i32))) (import "library" "base" (global $base i32))
                    (import "library" "call" (func $call (param i32 i32) (result i32)))
                    (func $square (param i32) (result i32) (i32.mul (local.get 0) (local.get 0)))
                    (elem (global.get $base) $square)
                    (data (offset (global.get $base)) "\2a")
                    (func (export "run") (param i32) (result i32)
                        (global.set $counter (i32.add (global.get $counter) (i32.const 1)))
                        (i32.store8 offset=100 (i32.const 0) (global.get $counter))
                        (i32.add (call $call (local.get 0) (i32.const 9)) (i32.load8_u (i32.const 2)))))"#,
            ),
        ],
        calls: &[("run", 0), ("run", 2), ("run", 1), ("run", 99)],
    });
    assert!(events[1].starts_with("run(0) = i32:60"), "{events:?}");
    assert!(events[2].starts_with("run(2) = i32:123"), "{events:?}");
}

#[test]
fn start_functions_run_in_order() {
    let events = check(&Case {
        modules: &[
            (
                "a",
                r#"(module (import "env" "log" (func $log (param i32))) (global $g (export "g") (mut i32) (i32.const 1))
                    (func (call $log (global.get $g)) (global.set $g (i32.const 7))) (start 1))"#,
            ),
            (
                "b",
                r#"(module (import "env" "log" (func $log (param i32))) (func (call $log (i32.const 2))) (start 1))"#,
            ),
            (
                "c",
                r#"(module (import "env" "log" (func $log (param i32))) (import "a" "g" (global $g (mut i32)))
                    (func (call $log (global.get $g))) (start 1))"#,
            ),
        ],
        calls: &[],
    });
    assert_eq!(events[0], "start: [1, 2, 7]");
}

#[test]
fn a_generator_and_its_consumer_may_be_in_different_modules() {
    let types = "(type $task (func)) (type $k (cont $task))";
    let generator = format!(
        "(module {types} (tag $yield (export \"yield\") (param i32))
            (func $count (export \"count\") (local $n i32)
                (local.set $n (i32.const 10))
                (loop $next (suspend $yield (local.get $n))
                    (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
            (func (export \"fresh\") (result (ref $k)) (cont.new $k (ref.func $count))))"
    );
    let consumer = format!(
        "(module {types} (import \"generator\" \"yield\" (tag $yield (param i32)))
            (import \"generator\" \"fresh\" (func $fresh (result (ref $k))))
            (import \"env\" \"log\" (func $log (param i32)))
            (func (export \"sum\") (param $limit i32) (result i32) (local $sum i32) (local $k (ref null $k)) (local $value i32)
                (local.set $k (call $fresh))
                (loop $next
                    (block $on_yield (result i32 (ref $k))
                        (resume $k (on $yield $on_yield) (local.get $k))
                        (return (local.get $sum)))
                    (local.set $k) (local.set $value)
                    (call $log (local.get $value))
                    (local.set $sum (i32.add (local.get $sum) (local.get $value)))
                    (br_if $next (i32.lt_s (local.get $sum) (local.get $limit))))
                (local.get $sum)))"
    );
    let modules = [("generator", generator.leak() as &str), ("consumer", consumer.leak() as &str)];
    let events = check(&Case { modules: Vec::from(modules).leak(), calls: &[("sum", 1000), ("sum", 20)] });
    assert!(events[1].starts_with("sum(1000) = i32:55"), "{events:?}");
    assert!(events[2].starts_with("sum(20) = i32:27"), "{events:?}");
}

#[test]
fn exceptions_are_caught_across_modules_by_the_tag_that_is_shared_and_no_other() {
    let events = check(&Case {
        modules: &[
            (
                "thrower",
                r#"(module (tag $shared (export "shared") (param i32)) (tag $own (param i32))
                    (func (export "throw") (param i32)
                        (if (local.get 0) (then (throw $shared (local.get 0))) (else (throw $own (i32.const 0))))))"#,
            ),
            (
                "catcher",
                r#"(module (import "thrower" "shared" (tag $shared (param i32))) (import "thrower" "throw" (func $throw (param i32)))
                    (tag $own (param i32))
                    (func (export "catch") (param i32) (result i32)
                        (block $all
                            (return (block $caught (result i32)
                                (try_table (catch $own $caught) (catch $shared $caught) (catch_all $all)
                                    (call $throw (local.get 0)))
                                (i32.const -1))))
                        (i32.const -2)))"#,
            ),
        ],
        calls: &[("catch", 5), ("catch", 0)],
    });
    assert!(events[1].starts_with("catch(5) = i32:5") && events[2].starts_with("catch(0) = i32:-2"), "{events:?}");
}

#[test]
fn imports_that_are_exported_again_and_references_to_functions_of_others_work() {
    check(&Case {
        modules: &[
            (
                "a",
                r#"(module (func $f (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
                    (global (export "r") funcref (ref.func $f)))"#,
            ),
            ("b", r#"(module (import "a" "f" (func $f (param i32) (result i32))) (export "again" (func $f)))"#),
            (
                "c",
                r#"(module (type $t (func (param i32) (result i32)))
                    (import "b" "again" (func $f (type $t))) (import "a" "r" (global $r funcref))
                    (table 2 funcref) (elem (i32.const 0) funcref (ref.func $f) (global.get $r))
                    (func (export "twice") (param i32) (result i32)
                        (call_indirect (type $t) (call_indirect (type $t) (local.get 0) (i32.const 0)) (i32.const 1))))"#,
            ),
        ],
        calls: &[("twice", 40)],
    });
}

#[test]
fn imports_that_are_exported_again_may_be_imported_with_the_type_of_the_definition() {
    let types = "(type $s (sub (func (param i32) (result anyref))))
        (type $t (sub final $s (func (param i32) (result (ref i31)))))";
    let narrow = format!(
        "(module {types} (memory (export \"m\") 2 3) (table (export \"t\") 10 20 funcref)
            (func (export \"f\") (type $t) (ref.i31 (local.get 0)))
            (global (export \"g\") (ref i31) (ref.i31 (i32.const 7))))"
    );
    let wide = format!(
        "(module {types}
            (import \"c\" \"m\" (memory 1)) (import \"c\" \"t\" (table 1 funcref))
            (import \"c\" \"f\" (func $f (type $s))) (import \"c\" \"g\" (global $g anyref))
            (export \"m2\" (memory 0)) (export \"t2\" (table 0)) (export \"f2\" (func $f)) (export \"g2\" (global $g))
            (func (export \"is_null\") (param i32) (result i32) (ref.is_null (call $f (local.get 0)))))"
    );
    let user = format!(
        "(module {types}
            (import \"b\" \"m2\" (memory 2 3)) (import \"b\" \"t2\" (table 10 20 funcref))
            (import \"b\" \"f2\" (func $f (type $t))) (import \"b\" \"g2\" (global $g (ref i31)))
            (global $copy (ref i31) (global.get $g))
            (func (export \"run\") (param i32) (result i32)
                (i32.store (i32.const 0) (local.get 0))
                (i32.add (i31.get_u (call $f (local.get 0))) (i31.get_u (global.get $copy))))
            (func (export \"sizes\") (param i32) (result i32)
                (i32.add (i32.mul (table.size 0) (i32.const 100)) (memory.grow (local.get 0)))))"
    );
    let modules = [("c", narrow.leak() as &str), ("b", wide.leak() as &str), ("a", user.leak() as &str)];
    let calls = &[("run", 5), ("is_null", 0), ("sizes", 1), ("sizes", 1)];
    let events = check(&Case { modules: Vec::from(modules).leak(), calls });
    assert!(events[1].starts_with("run(5) = i32:12") && events[3].starts_with("sizes(1) = i32:1002"), "{events:?}");
}

#[test]
fn objects_keep_their_identity_across_modules() {
    let events = check(&Case {
        modules: &[
            (
                "a",
                r#"(module (type $s (struct (field (mut i32))))
                    (global (export "object") (ref $s) (struct.new $s (i32.const 3)))
                    (func (export "bump") (param i32)
                        (struct.set $s 0 (global.get 0) (i32.add (local.get 0) (struct.get $s 0 (global.get 0))))))"#,
            ),
            (
                "b",
                r#"(module (type $s (struct (field (mut i32)))) (import "a" "object" (global $o (ref $s)))
                    (global $copy (ref $s) (global.get $o))
                    (func (export "same") (param i32) (result i32 i32)
                        (ref.eq (global.get $o) (global.get $copy)) (struct.get $s 0 (global.get $copy))))"#,
            ),
        ],
        calls: &[("same", 0), ("bump", 4), ("same", 0)],
    });
    assert!(events[3].starts_with("same(0) = i32:1 i32:7"), "{events:?}");
}

#[test]
fn memories_and_tables_of_64_bits_are_shared() {
    let events = check(&Case {
        modules: &[
            (
                "store",
                r#"(module (memory (export "memory") i64 1 3) (table (export "table") i64 3 funcref)
                    (func $f (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
                    (elem (i64.const 1) $f)
                    (data (i64.const 65530) "\01\02\03\04\05\06"))"#,
            ),
            (
                "user",
                r#"(module (import "store" "memory" (memory i64 1)) (import "store" "table" (table $t i64 1 funcref)) (memory $own 1)
                    (type $f (func (param i32) (result i32)))
                    (func (export "grow") (param i32) (result i64) (memory.grow (i64.extend_i32_u (local.get 0))))
                    (func (export "last") (param i32) (result i32)
                        (i32.store8 $own (i32.const 9) (local.get 0))
                        (i32.add (i32.load8_u offset=5 (i64.const 65530)) (i32.load8_u $own (i32.const 9))))
                    (func (export "call") (param i32) (result i32)
                        (call_indirect $t (type $f) (local.get 0) (i64.extend_i32_u (local.get 0))))
                    (func (export "beyond") (param i32) (result i32) (i32.load (i64.const 0x1_0000_0000))))"#,
            ),
        ],
        calls: &[("last", 4), ("grow", 1), ("grow", 5), ("call", 1), ("call", 0), ("beyond", 0)],
    });
    assert!(events[1].starts_with("last(4) = i32:10"), "{events:?}");
}

#[test]
fn types_in_recursion_groups_are_the_same_across_modules() {
    let events = check(&Case {
        modules: &[
            (
                "a",
                r#"(module (rec (type $node (sub (struct (field i32) (field (ref null $node))))) (type $leaf (sub $node (struct (field i32) (field (ref null $node)) (field i64)))))
                    (rec (type $other (sub (struct (field i32) (field (ref null $other))))) (type $unrelated (struct)))
                    (func (export "make") (param i32) (result anyref)
                        (if (i32.eq (local.get 0) (i32.const 1)) (then (return (struct.new $node (i32.const 5) (ref.null $node)))))
                        (if (i32.eq (local.get 0) (i32.const 2)) (then (return (struct.new $leaf (i32.const 6) (struct.new_default $node) (i64.const 9)))))
                        (struct.new $other (i32.const 7) (ref.null $other))))"#,
            ),
            (
                "b",
                r#"(module (type $first (func))
                    (rec (type $node (sub (struct (field i32) (field (ref null $node))))) (type $leaf (sub $node (struct (field i32) (field (ref null $node)) (field i64)))))
                    (import "a" "make" (func $make (param i32) (result anyref)))
                    (func (export "kind") (param i32) (result i32) (local $x anyref)
                        (local.set $x (call $make (local.get 0)))
                        (i32.add (i32.mul (ref.test (ref $node) (local.get $x)) (i32.const 10)) (ref.test (ref $leaf) (local.get $x))))
                    (func (export "value") (param i32) (result i32)
                        (struct.get $node 0 (ref.cast (ref $node) (call $make (local.get 0))))))"#,
            ),
        ],
        calls: &[("kind", 1), ("kind", 2), ("kind", 3), ("value", 2), ("value", 3)],
    });
    let kinds: Vec<&str> = events[1..4].iter().map(|event| event.split(',').next().unwrap()).collect();
    assert_eq!(kinds, ["kind(1) = i32:10", "kind(2) = i32:11", "kind(3) = i32:0"]);
}

#[test]
fn continuations_switch_and_are_cancelled_across_modules() {
    let types =
        "(rec (type $f (func (param (ref null $k)))) (type $k (cont $f))) (type $g (func)) (type $gk (cont $g))";
    let tags = format!(
        "(module {types} (tag (export \"turn\")) (tag (export \"cancel\") (param i32)) (tag (export \"yield\")))"
    );
    let player = format!(
        "(module {types} (import \"tags\" \"turn\" (tag $turn)) (import \"env\" \"log\" (func $log (param i32)))
            (import \"tags\" \"cancel\" (tag $cancel (param i32))) (import \"tags\" \"yield\" (tag $yield))
            (func $second (type $f) (param $back (ref null $k))
                (call $log (i32.const 2))
                (drop (switch $k $turn (local.get $back))))
            (func (export \"second\") (result (ref $k)) (cont.new $k (ref.func $second)))
            (func $waits
                (block $cancelled (result i32)
                    (try_table (catch $cancel $cancelled) (suspend $yield))
                    (return))
                (call $log)
                (throw $cancel (i32.const 77)))
            (func (export \"waiting\") (result (ref $gk)) (cont.new $gk (ref.func $waits)))
            (elem declare func $second $waits))"
    );
    let main = format!(
        "(module {types} (import \"tags\" \"turn\" (tag $turn)) (import \"env\" \"log\" (func $log (param i32)))
            (import \"tags\" \"cancel\" (tag $cancel (param i32))) (import \"tags\" \"yield\" (tag $yield))
            (import \"player\" \"second\" (func $second (result (ref $k))))
            (import \"player\" \"waiting\" (func $waiting (result (ref $gk))))
            (func $first (type $f) (param $unused (ref null $k))
                (call $log (i32.const 1))
                (drop (switch $k $turn (call $second)))
                (call $log (i32.const 3)))
            (func (export \"play\") (param i32)
                (resume $k (on $turn switch) (ref.null $k) (cont.new $k (ref.func $first))))
            (func (export \"cancel_it\") (param i32) (result i32) (local $c (ref null $gk))
                (block $on_yield (result (ref $gk))
                    (resume $gk (on $yield $on_yield) (call $waiting))
                    (return (i32.const -1)))
                (local.set $c)
                (block $caught (result i32)
                    (try_table (catch $cancel $caught) (resume_throw $gk $cancel (local.get 0) (local.get $c)))
                    (i32.const -2)))
            (func (export \"unhandled\") (param i32) (resume $gk (call $waiting)))
            (elem declare func $first))"
    );
    let modules = [("tags", tags.leak() as &str), ("player", player.leak() as &str), ("main", main.leak() as &str)];
    let events = check(&Case {
        modules: Vec::from(modules).leak(),
        calls: &[("play", 0), ("cancel_it", 12), ("unhandled", 0), ("play", 0)],
    });
    assert_eq!(events[1], "play(0) = , log [1, 2, 3]");
    assert_eq!(events[2], "cancel_it(12) = i32:77, log [12]");
    assert!(events[3].contains("unhandled"), "{events:?}");
}

#[test]
fn exceptions_are_handed_on_across_modules_with_their_payload() {
    check(&Case {
        modules: &[
            (
                "a",
                r#"(module (tag $e (export "e") (param i32 i64))
                    (global $kept (export "kept") (mut exnref) (ref.null exn))
                    (func (export "throw") (param i32) (throw $e (local.get 0) (i64.const 6)))
                    (func (export "again") (param i32) (throw_ref (global.get $kept))))"#,
            ),
            (
                "b",
                r#"(module (import "a" "e" (tag $e (param i32 i64))) (import "a" "kept" (global $kept (mut exnref)))
                    (import "a" "throw" (func $throw (param i32))) (import "a" "again" (func $again (param i32)))
                    (func (export "keep") (param i32) (result i32) (local $x exnref)
                        (block $caught (result i32 i64 exnref)
                            (try_table (catch_ref $e $caught) (call $throw (local.get 0)))
                            (return (i32.const -1)))
                        (global.set $kept) (drop))
                    (func (export "catch_again") (param i32) (result i64)
                        (block $caught (result i32 i64)
                            (try_table (catch $e $caught) (call $again (i32.const 0)))
                            (return (i64.const -1)))
                        (return)))"#,
            ),
        ],
        calls: &[("again", 0), ("keep", 3), ("throw", 1), ("catch_again", 0), ("keep", 4), ("again", 0)],
    });
}

#[test]
fn passive_segments_and_what_is_dropped_stay_each_module_s_own() {
    let events = check(&Case {
        modules: &[
            (
                "a",
                r#"(module (memory (export "memory") 1) (data $d "ab") (table (export "table") 3 funcref) (elem $e func $one)
                    (func $one (param i32) (result i32) (i32.const 1))
                    (func (export "init_a") (param i32)
                        (memory.init $d (local.get 0) (i32.const 0) (i32.const 2)) (table.init $e (i32.const 0) (i32.const 0) (i32.const 1)))
                    (func (export "drop_a") (param i32) (data.drop $d) (elem.drop $e)))"#,
            ),
            (
                "b",
                r#"(module (import "a" "memory" (memory 1)) (data $d "cd") (import "a" "table" (table 3 funcref)) (elem $e func $two)
                    (type $f (func (param i32) (result i32)))
                    (func $two (type $f) (i32.const 2))
                    (func (export "init_b") (param i32)
                        (memory.init $d (local.get 0) (i32.const 0) (i32.const 2)) (table.init $e (i32.const 1) (i32.const 0) (i32.const 1)))
                    (func (export "call") (param i32) (result i32) (call_indirect (type $f) (i32.const 0) (local.get 0))))"#,
            ),
        ],
        calls: &[("init_a", 0), ("drop_a", 0), ("init_a", 4), ("init_b", 8), ("call", 0), ("call", 1), ("call", 2)],
    });
    assert!(events[3].contains("out of bounds") && events[6].starts_with("call(1) = i32:2"), "{events:?}");
}

#[test]
fn a_start_function_that_traps_and_a_segment_that_does_not_fit_stop_the_whole() {
    for second in [
        r#"(module (import "a" "memory" (memory 1)) (func $f unreachable) (start $f))"#,
        r#"(module (import "a" "memory" (memory 1)) (data (i32.const 65535) "ab"))"#,
    ] {
        let engine = EngineOptions::for_tests().build().unwrap();
        let modules = Vec::from([("a", r#"(module (memory (export "memory") 1))"#), ("b", second)]).leak();
        let case = Case { modules, calls: &[] };
        let (linked, merged) =
            engine.on_wasm_thread(|| (run_linked(&engine, &case), run_merged(&engine, &case, None))).unwrap();
        assert_eq!(merged.first(), linked.first());
        assert!(merged[0].starts_with("instantiation: "), "{merged:?}");
    }
}
