//! The fixtures do what they are said to do, in the engine.

use std::path::Path;

use wasmfx_tests::calls::{Call, Session};
use wasmfx_tests::differential::run::{EngineOptions, engine};

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
    let engine = engine(EngineOptions::default()).unwrap();
    let mut failures = vec![];
    for case in CASES {
        let linked: Vec<(&str, Vec<u8>)> = case.linked.iter().map(|(name, file)| (*name, fixture(file))).collect();
        let linked: Vec<(&str, &[u8])> = linked.iter().map(|(name, wasm)| (*name, wasm.as_slice())).collect();
        let mut session = Session::new(&engine, &linked, &fixture(case.fixture))
            .unwrap_or_else(|error| panic!("{}: {error:#}", case.fixture));
        for call in case.calls {
            let call = Call::parse(call).unwrap();
            if let Err(error) = session.check(&call) {
                failures.push(format!("{}: {error:#}", case.fixture));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name);
    wat::parse_file(path).unwrap_or_else(|error| panic!("{error}"))
}
