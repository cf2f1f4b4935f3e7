//! The generator keeps its promises: valid, deterministic, terminating, and varied.

use wasmfx_tests::differential::run::{EngineOptions, Outcome, Runner};
use wasmfx_tests::generate::{Config, encode, encode_instrumented, generate, text};

#[test]
fn programs_validate() {
    for seed in 0..400 {
        let program = generate(seed, &Config::default());
        let wasm = encode(&program).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
        if let Err(error) =
            wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all()).validate_all(&wasm)
        {
            panic!("seed {seed}: {error}\n{}", text(&wasm).unwrap_or_default());
        }
    }
}

#[test]
fn programs_exercise_stack_switching() {
    let runner = Runner::new(EngineOptions::default()).unwrap();
    let mut kinds = std::collections::BTreeMap::<String, u32>::new();
    let count = 300;
    for seed in 0..count {
        let program = generate(seed, &Config::default());
        let wasm = encode_instrumented(&program).unwrap();
        let (observations, coverage) = match runner.run_covered(&program, &wasm) {
            Ok(run) => run,
            Err(error) => panic!("seed {seed}: {error:?}"),
        };
        let mut count = |name: &str, yes: bool| *kinds.entry(name.to_string()).or_default() += u32::from(yes);
        for (_, outcome) in &observations.outcomes {
            match outcome {
                Outcome::Returned(_) => count("outcome returned", true),
                Outcome::Threw => count("outcome threw", true),
                Outcome::Trapped(kind) => count(&format!("trap {kind:?}"), true),
            }
        }
        count("program with trap", observations.outcomes.iter().any(|(_, o)| matches!(o, Outcome::Trapped(_))));
        count("handled", coverage.handled > 0);
        count("forwarded", coverage.forwarded > 0);
        count("nested", coverage.nested > 0);
        count("finished", coverage.finished > 0);
        count("switched", coverage.switched > 0);
        count("switched back", coverage.switched_back > 0);
        count("bound fresh", coverage.bound_fresh > 0);
        count("bound suspended", coverage.bound_suspended > 0);
        count("resume_thrown", coverage.resume_thrown > 0);
        count("resume_throw finished", coverage.resume_throw_finished > 0);
        count("exception crossed", coverage.exception_crossed > 0);
        count("tail call inside", coverage.tail_called_inside > 0);
        count("indirect inside", coverage.called_indirectly_inside > 0);
        for (i, op) in ["get", "set", "grow", "fill", "copy", "init"].iter().enumerate() {
            count(&format!("table {op}"), coverage.table_operations[i] > 0);
        }
        count("out of fuel", coverage.out_of_fuel > 0);
        count("suspends >= 3", coverage.handled >= 3);
        count("long trace", observations.trace.len() > 20);
    }
    assert!(kinds["handled"] * 2 > count as u32, "{kinds:?}");
    assert!(kinds["program with trap"] * 4 < count as u32, "{kinds:?}");
    for (name, times) in kinds {
        eprintln!("{:5.1}% {name}", f64::from(times) * 100.0 / count as f64);
    }
}
