//! Running what came out of the optimiser beside what went in.

use super::{optimized, smith_program};
use std::cell::OnceCell;
use std::time::Duration;
use wasmfx::engine::compare::{CompareOptions, Comparer};

/// Optimises a module of wasm-smith's making at several levels, and compares what all versions do in the engine. Returns how many calls were compared.
///
/// # Panics
/// If a version does something else than the module.
pub fn compare(data: &[u8]) -> usize {
    thread_local! {
        static COMPARER: OnceCell<Comparer> = const { OnceCell::new() };
    }
    let Some(program) = smith_program(data) else { return 0 };
    let mut calls = 0;
    let mut seen: Vec<Vec<u8>> = Vec::new();
    for level in ["0", "1", "2", "3", "z"] {
        let output = optimized(&program, level).unwrap_or_else(|error| panic!("-O{level}: {error}"));
        // Levels often agree on small modules.
        if seen.contains(&output) {
            continue;
        }
        seen.push(output.clone());
        let comparison = COMPARER.with(|comparer| {
            let options = CompareOptions {
                rounds: 2,
                fuel: 1_000_000,
                timeout: Duration::from_secs(10),
                memory_limit: 64 << 20,
                ..CompareOptions::default()
            };
            comparer
                .get_or_init(|| Comparer::new(options).expect("the engine can be configured"))
                .compare(&program, &output)
        });
        // The engine does not take everything that is valid.
        let Ok(comparison) = comparison else { continue };
        if let Some(difference) = comparison.difference {
            panic!("-O{level}: {difference}");
        }
        calls += comparison.calls;
    }
    calls
}
