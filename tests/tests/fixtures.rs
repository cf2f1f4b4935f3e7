//! The fixtures do what they are said to do, in the engine: as they are, optimised, and lowered.

use std::path::Path;

use anyhow::{Context, Result};
use wasmfx_ir::encode::encode_module;
use wasmfx_ir::parse::{ParseOptions, parse_module};
use wasmfx_passes::merge::{Input, MergeOptions, merge};
use wasmfx_tests::calls::{Call, Session};
use wasmfx_tests::differential::run::{EngineOptions, engine};
use wasmfx_tests::differential::transforms::{self, EVERYTHING};

/// A fixture, the modules that it is linked with (by the names that it imports them under), and what its exports give.
struct Case {
    fixture: &'static str,
    linked: &'static [(&'static str, &'static str)],
    calls: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        fixture: "generator.wat",
        linked: &[],
        calls: &[
            "sum() -> 500500",
            "count_until(0) -> 1",
            "count_until(5000) -> 6",
            "count_until(1000000) -> 1000",
            "resume_twice() -> trap continuation already consumed",
            "unhandled() -> trap unhandled tag",
            // The traps have disturbed nothing.
            "sum() -> 500500",
        ],
    },
    Case {
        fixture: "scheduler.wat",
        linked: &[],
        calls: &["round_robin() -> 1219313", "await() -> 63, 4657", "round_robin() -> 1219313"],
    },
    Case {
        fixture: "consumer.wat",
        linked: &[("producer", "producer.wat")],
        calls: &[
            "sum_squares(1, 11, 100) -> 385",
            "sum_squares(1, 11, 3) -> 14",
            "sum_squares(5, 5, 3) -> 0",
            "sum_squares(-3, 4, 100) -> 28",
        ],
    },
    Case {
        fixture: "switch_ring.wat",
        linked: &[],
        calls: &["run(3, 2) -> 0, 63", "run(2, 3) -> 0, 350", "no_prompt() -> trap unhandled tag"],
    },
    Case {
        fixture: "cont_bind.wat",
        linked: &[],
        calls: &[
            "none() -> 4.0",
            "one() -> 4.0",
            "all() -> 4.0",
            "step_by_step() -> 4.0",
            "suspended() -> 10.0",
            "consumes() -> trap continuation already consumed",
            "null() -> trap null reference",
        ],
    },
    Case {
        fixture: "resume_throw.wat",
        linked: &[],
        calls: &[
            "finish(0) -> 7",
            "finish(5) -> 7",
            "cancel(0, 42) -> 42, 1",
            "cancel(4, 42) -> 42, 12345",
            "cancel_ref(2) -> 123",
            "recover(99) -> 99",
            "cancel_fresh(5) -> 5, 0",
            "null_exception() -> trap null reference",
            "finish(3) -> 7",
        ],
    },
    Case {
        fixture: "gc.wat",
        linked: &[],
        calls: &[
            "areas() -> 239",
            "primes(100) -> 25",
            "primes(1000) -> 168",
            "identity() -> 101",
            "bad_cast() -> trap cast failure",
            "null_field() -> trap null reference",
            "out_of_bounds() -> trap out of bounds array access",
        ],
    },
    Case {
        fixture: "exceptions.wat",
        linked: &[],
        calls: &[
            "catch(0) -> 1000",
            "catch(1) -> 111",
            "catch(2) -> 55",
            "catch(3) -> 400",
            "nested(0) -> 1000",
            "nested(1) -> 12",
            "nested(2) -> -11",
            "nested(3) -> 300",
            "retry(7) -> 7",
            "continuation(0) -> 1000",
            "continuation(1) -> 5011",
            "continuation(3) -> throws",
            "uncaught() -> throws",
            "throw_null() -> trap null reference",
        ],
    },
];

#[test]
fn fixtures_give_what_they_should() {
    let mut failures = vec![];
    for case in CASES {
        if let Err(error) = linked_by_the_engine(case) {
            failures.push(format!("{}, linked: {error:#}", case.fixture));
        }
        for transform in ["identity", "text"].iter().chain(EVERYTHING) {
            if let Err(error) = merged_and_transformed(case, transform) {
                failures.push(format!("{}, {transform}: {error:#}", case.fixture));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn linked_by_the_engine(case: &Case) -> Result<()> {
    let linked: Vec<(&str, Vec<u8>)> = case.linked.iter().map(|(name, file)| (*name, fixture(file))).collect();
    let linked: Vec<(&str, &[u8])> = linked.iter().map(|(name, wasm)| (*name, wasm.as_slice())).collect();
    let mut session = Session::new(&engine(EngineOptions::default())?, &linked, &fixture(case.fixture))?;
    case.calls.iter().try_for_each(|call| session.check(&Call::parse(call)?))
}

fn merged_and_transformed(case: &Case, transform: &str) -> Result<()> {
    let transform = transforms::find(transform).context("no such transformation")?;
    let module = transform.apply(&merged(case)?)?;
    let stack_switching = transform.stack_switching;
    let engine = engine(EngineOptions { stack_switching, ..EngineOptions::default() })?;
    let mut session = Session::new(&engine, &[], &module)?;
    case.calls.iter().try_for_each(|call| {
        let call = Call::parse(call)?;
        session.check(&if stack_switching { call } else { call.of_lowered() })
    })
}

/// The fixture and what it is linked with as one module.
fn merged(case: &Case) -> Result<Vec<u8>> {
    if case.linked.is_empty() {
        return Ok(fixture(case.fixture));
    }
    let files = case.linked.iter().copied().chain([("main", case.fixture)]);
    let inputs = files.map(|(name, file)| {
        let module = parse_module(fixture(file), &ParseOptions::default())?;
        Ok(Input { name: name.to_string(), module })
    });
    Ok(encode_module(&merge(inputs.collect::<Result<_>>()?, &MergeOptions::default())?.module)?)
}

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name);
    wat::parse_file(path).unwrap_or_else(|error| panic!("{error}"))
}
