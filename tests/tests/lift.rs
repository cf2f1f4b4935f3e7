//! Lifting: every body of every module becomes SSA form that the verifier accepts and that does the same, or says why not.

use std::fmt::Write;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use wasmfx_ir::features;
use wasmfx_ir::lift::{Error, Lifter};
use wasmfx_ir::module::{Body, Module, OpaqueReason};
use wasmfx_ir::parse::{ParseOptions, parse_module};
use wasmfx_ir::subtype::Subtyping;
use wasmfx_ir::verify::verify_func;
use wasmfx_tests::abstract_run;
use wasmfx_tests::modules::{self, TestModule};

/// How many bodies were lifted, and how many stayed bytes.
#[derive(Debug, Default)]
struct Counts {
    lifted: usize,
    opaque: usize,
}

fn lift_and_verify(test: &TestModule, counts: &mut Counts) {
    let module = parse_module(&test.bytes[..], &ParseOptions::default()).unwrap();
    let subtyping = Subtyping::new(&module.types);
    let mut lifter = Lifter::new();
    for (id, function) in module.functions.iter() {
        let Body::Lazy(body) = &function.body else { continue };
        match lifter.lift(body, function.ty, &function.local_names) {
            Ok(func) => {
                if let Err(error) = verify_func(&module, &subtyping, &func) {
                    panic!("{}: {id}: {error}\n{func}", test.name);
                }
                abstract_run::assert_same(body, &func, 3);
                counts.lifted += 1;
            }
            Err(Error::Opaque(reason)) => {
                assert_eq!(reason, OpaqueReason::LegacyExceptions, "{}: {id}", test.name);
                counts.opaque += 1;
            }
            Err(Error::Invalid(error)) => panic!("{}: {id}: {error}", test.name),
        }
    }
}

#[test]
fn every_body_of_the_test_suites_lifts_verifies_and_does_the_same() {
    let mut counts = Counts::default();
    for module in modules::valid_modules(features::supported()) {
        lift_and_verify(&module, &mut counts);
    }
    println!("{counts:?}");
    assert!(counts.lifted > 15_000, "{counts:?}");
    // None of the scripts uses legacy exception handling.
    assert_eq!(counts.opaque, 0);
}

#[test]
fn every_body_of_the_corpus_lifts_verifies_and_does_the_same() {
    for module in modules::corpus() {
        let mut counts = Counts::default();
        lift_and_verify(&module, &mut counts);
        println!("{}: {counts:?}", module.name);
        assert_eq!(counts.opaque, 0);
    }
}

/// How long this thread has been running, not counting when others were (on Linux; elsewhere the time of day has to do).
fn thread_time() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = statistics.and_then(|line| line.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

/// Lifts the last function of a module, and says how long that took.
fn lift_last(module: &Module) -> (Result<wasmfx_ir::Func, Error>, Duration) {
    let function = module.functions.values().last().unwrap();
    let Body::Lazy(body) = &function.body else { panic!("the last function is imported") };
    let start = thread_time();
    let result = Lifter::new().lift(body, function.ty, &[]);
    (result, thread_time() - start)
}

fn parse(wat: &str) -> Module {
    parse_module(wat::parse_str(wat).unwrap(), &ParseOptions::default()).unwrap()
}

/// Lifts and verifies a function in the text format, which must not take long.
fn lift_quickly(wat: &str) -> wasmfx_ir::Func {
    let module = parse(wat);
    let (func, duration) = lift_last(&module);
    let func = func.unwrap();
    assert!(duration < Duration::from_secs(1), "{duration:?}");
    println!("{duration:?}, {} blocks, {} values", func.blocks.len(), func.value_count());
    let start = thread_time();
    verify_func(&module, &Subtyping::new(&module.types), &func).unwrap();
    let duration = thread_time() - start;
    assert!(duration < Duration::from_secs(2), "verification took {duration:?}");
    func
}

#[test]
fn a_hundred_thousand_nested_blocks_lift_quickly() {
    let depth = 100_000;
    for opening in ["block", "loop", "block br_if 0 (i32.const 1)", "i32.const 0 if"] {
        let body = format!("{}{}", format!("{opening}\n").repeat(depth), "end\n".repeat(depth));
        let body = body.replace("block br_if 0 (i32.const 1)", "block i32.const 1 br_if 0");
        lift_quickly(&format!("(module (func {body}))"));
    }
}

#[test]
fn a_local_through_a_hundred_thousand_nested_blocks_lifts_quickly() {
    let depth = 100_000;
    let mut body = "block local.get 0 br_if 0\n".repeat(depth);
    body.push_str("i32.const 1 local.set 1\n");
    body.push_str(&"end\n".repeat(depth));
    let func = lift_quickly(&format!("(module (func (param i32) (result i32) (local i32) {body} local.get 1))"));
    // Each block may have been left before the assignment.
    assert!(func.blocks.values().filter(|block| block.params.len() == 1).count() >= depth);
}

#[test]
fn fifty_thousand_locals_lift_quickly() {
    // All set at the start and read at the end, with thousands of joins between, none of which needs a parameter.
    let locals = 49_000;
    let mut body = String::new();
    for local in 0..locals {
        writeln!(body, "local.get 0 local.set {}", local + 1).unwrap();
    }
    body.push_str(&"block local.get 0 br_if 0 local.get 0 drop end\n".repeat(20_000));
    for local in 0..locals {
        writeln!(body, "local.get {} drop", local + 1).unwrap();
    }
    let func = lift_quickly(&format!("(module (func (param i32) (local {}) {body}))", "i32 ".repeat(locals)));
    assert!(func.blocks.values().skip(1).all(|block| block.params.is_empty()));
}

#[test]
fn a_thousand_locals_through_loops_lift_quickly() {
    let locals = 1000;
    let mut body = "loop\n".repeat(500);
    for local in 0..locals {
        writeln!(body, "local.get {local} i32.const 1 i32.add local.set {local}").unwrap();
    }
    body.push_str(&"local.get 0 br_if 0 end\n".repeat(500));
    let func = lift_quickly(&format!("(module (func (local {}) {body}))", "i32 ".repeat(locals)));
    let params: usize = func.blocks.values().map(|block| block.params.len()).sum();
    assert_eq!(params, 500 * locals);
}

#[test]
fn a_br_table_of_sixty_thousand_entries_lifts_quickly() {
    let entries = 60_000;
    // To one label with an argument, and to as many labels as there are entries.
    let same = format!(
        "(module (func (param i32) (result i32)
            (block $l (result i32) (br_table {} (i32.const 7) (local.get 0)))))",
        "$l ".repeat(entries)
    );
    lift_quickly(&same);
    let mut different = String::from("(module (func (param i32) (local i32)\n");
    different.push_str(&"block\n".repeat(entries));
    different.push_str("local.get 0 br_table ");
    (0..entries).for_each(|label| write!(different, "{label} ").unwrap());
    different.push_str(&"end local.get 1 i32.const 1 i32.add local.set 1\n".repeat(entries));
    different.push_str("))");
    lift_quickly(&different);
}

#[test]
fn a_function_of_a_megabyte_lifts_quickly() {
    let piece = "local.get 0 local.get 1 i32.add local.tee 2 if local.get 2 local.set 0 else local.get 0 i32.const 3 i32.mul local.set 1 end\n";
    let body = piece.repeat(50_000);
    let module = format!("(module (func (param i32 i32) (local i32) {body}))");
    assert!(wat::parse_str(&module).unwrap().len() > 1_000_000);
    lift_quickly(&module);
}

#[test]
fn what_grows_beyond_all_measure_stays_bytes() {
    // Each loop needs a parameter for each local: a thousand million from a megabyte.
    let (locals, loops) = (40_000, 30_000);
    let mut body = "loop\n".repeat(loops);
    for local in 0..locals {
        writeln!(body, "local.get {local} i32.const 1 i32.add local.set {local}").unwrap();
    }
    body.push_str(&"local.get 0 br_if 0 end\n".repeat(loops));
    let module = parse(&format!("(module (func (local {}) {body}))", "i32 ".repeat(locals)));
    let (result, duration) = lift_last(&module);
    assert!(matches!(result, Err(Error::Opaque(OpaqueReason::TooLarge))));
    assert!(duration < Duration::from_secs(3), "{duration:?}");
}
