//! The generator keeps its promises: valid, deterministic, terminating, and varied.

use std::collections::BTreeMap;

use wasmfx_tests::differential::run::{EngineOptions, Outcome, Runner, TrapKind};
use wasmfx_tests::generate::{Config, encode, encode_instrumented, generate, text};
use wasmparser::{Validator, WasmFeatures};

#[test]
fn programs_validate_and_are_a_function_of_their_seed() {
    for seed in 0..1000 {
        let program = generate(seed, &Config::for_seed(seed));
        let wasm = encode(&program).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
        if let Err(error) = Validator::new_with_features(WasmFeatures::all()).validate_all(&wasm) {
            panic!("seed {seed}: {error}\n{}", text(&wasm).unwrap_or_default());
        }
        assert_eq!(wasm, encode(&generate(seed, &Config::for_seed(seed))).unwrap(), "seed {seed}");
    }
}

/// What the engine does not take yet is generated all the same, for those that do.
#[test]
fn programs_with_every_option_validate() {
    for seed in 0..200 {
        let config = Config { continuations_in_gc: true, bind_gc: true, ..Config::for_seed(seed) };
        let wasm = encode(&generate(seed, &config)).unwrap();
        if let Err(error) = Validator::new_with_features(WasmFeatures::all()).validate_all(&wasm) {
            panic!("seed {seed}: {error}\n{}", text(&wasm).unwrap_or_default());
        }
        let config = Config { gc: false, simd: false, exceptions: false, ..Config::for_seed(seed) };
        let wasm = encode(&generate(seed, &config)).unwrap();
        if let Err(error) = Validator::new_with_features(WasmFeatures::all()).validate_all(&wasm) {
            panic!("seed {seed}: {error}\n{}", text(&wasm).unwrap_or_default());
        }
    }
}

/// The least share of programs, in a thousand, in which each thing must happen while the program runs.
const SHARES: &[(&str, usize)] = &[
    ("a suspension is handled", 450),
    ("three suspensions are handled", 300),
    ("a suspension is forwarded through a prompt", 30),
    ("a prompt is entered inside a continuation", 120),
    ("a continuation finishes", 350),
    ("a switch", 80),
    ("a switch comes back", 30),
    ("cont.bind of a fresh continuation", 60),
    ("cont.bind of a suspended continuation", 15),
    ("resume_throw", 60),
    ("resume_throw that the continuation survives", 5),
    ("a throw inside a continuation", 40),
    ("a catch inside a continuation", 20),
    ("an exception leaves a continuation", 15),
    ("a tail call inside a continuation", 30),
    ("an indirect call inside a continuation", 60),
    ("table.get of a continuation", 500),
    ("table.set of a continuation", 50),
    ("table.grow of continuations", 20),
    ("table.fill of continuations", 30),
    ("table.copy of continuations", 20),
    ("table.init of continuations", 10),
    ("a trap: null", 3),
    ("a trap: consumed", 2),
    ("a trap: unhandled", 2),
    ("an exception leaves the program", 20),
];

#[test]
fn programs_exercise_all_of_stack_switching_and_seldom_trap() {
    let count = 2000;
    let runner = Runner::new(EngineOptions::default()).unwrap();
    let mut happened = BTreeMap::<&str, usize>::new();
    let (mut trapped, mut overflowed, mut out_of_fuel) = (0, 0, 0);
    for seed in 0..count {
        let program = generate(seed, &Config::for_seed(seed));
        let wasm = encode_instrumented(&program).unwrap();
        let (observations, coverage) =
            runner.run_covered(&program, &wasm).unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
        let mut note = |name: &'static str, yes: bool| *happened.entry(name).or_default() += usize::from(yes);
        note("a suspension is handled", coverage.handled > 0);
        note("three suspensions are handled", coverage.handled >= 3);
        note("a suspension is forwarded through a prompt", coverage.forwarded > 0);
        note("a prompt is entered inside a continuation", coverage.nested > 0);
        note("a continuation finishes", coverage.finished > 0);
        note("a switch", coverage.switched > 0);
        note("a switch comes back", coverage.switched_back > 0);
        note("cont.bind of a fresh continuation", coverage.bound_fresh > 0);
        note("cont.bind of a suspended continuation", coverage.bound_suspended > 0);
        note("resume_throw", coverage.resume_thrown > 0);
        note("resume_throw that the continuation survives", coverage.resume_throw_finished > 0);
        note("a throw inside a continuation", coverage.thrown_inside > 0);
        note("a catch inside a continuation", coverage.caught_inside > 0);
        note("an exception leaves a continuation", coverage.exception_crossed > 0);
        note("a tail call inside a continuation", coverage.tail_called_inside > 0);
        note("an indirect call inside a continuation", coverage.called_indirectly_inside > 0);
        let operations = [
            "table.get of a continuation",
            "table.set of a continuation",
            "table.grow of continuations",
            "table.fill of continuations",
            "table.copy of continuations",
            "table.init of continuations",
        ];
        for (name, times) in operations.into_iter().zip(coverage.table_operations) {
            note(name, times > 0);
        }
        let trap = |kind: &TrapKind| {
            observations.outcomes.iter().any(|(_, outcome)| *outcome == Outcome::Trapped(kind.clone()))
        };
        note("a trap: null", trap(&TrapKind::NullReference));
        note("a trap: consumed", trap(&TrapKind::Consumed));
        note("a trap: unhandled", trap(&TrapKind::UnhandledTag));
        note(
            "an exception leaves the program",
            observations.outcomes.iter().any(|(_, outcome)| *outcome == Outcome::Threw),
        );
        trapped += usize::from(observations.outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Trapped(_))));
        overflowed += usize::from(trap(&TrapKind::StackOverflow));
        out_of_fuel += usize::from(coverage.out_of_fuel > 0);
    }
    for (name, times) in &happened {
        println!("{:5.1} % {name}", *times as f64 * 100.0 / count as f64);
    }
    println!("of {count} programs {trapped} trap, {overflowed} overflow the stack, {out_of_fuel} run out of fuel");
    for (name, share) in SHARES {
        assert!(happened[name] * 1000 >= share * count as usize, "only {} of {count} programs: {name}", happened[name]);
    }
    assert!(trapped * 4 <= count as usize, "{trapped} of {count} programs trap");
    assert!(overflowed * 50 <= count as usize, "{overflowed} of {count} programs overflow the stack");
    assert!(out_of_fuel * 3 <= count as usize, "{out_of_fuel} of {count} programs run out of fuel");
}
