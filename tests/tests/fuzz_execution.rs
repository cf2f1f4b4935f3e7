//! Modules of wasm-smith's making do the same before and after the optimiser. For a few seconds; `WASMFX_FUZZ_SECONDS` says how many.

use std::time::{Duration, Instant};
use wasmfx_tests::fuzz::execution;
use wasmfx_tests::generate::random::Random;

#[test]
fn optimised_modules_do_what_they_did() {
    let seconds = std::env::var("WASMFX_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(5);
    let first = std::env::var("WASMFX_FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let start = Instant::now();
    let mut calls = 0;
    let mut modules = 0;
    for seed in first.. {
        let mut random = Random::new(seed);
        let len = random.between(200, 6000);
        let bytes: Vec<u8> = (0..len).map(|_| random.bits() as u8).collect();
        let outcome = std::panic::catch_unwind(|| execution::compare(&bytes));
        let compared = outcome.unwrap_or_else(|_| panic!("with seed {seed}: WASMFX_FUZZ_SEED={seed} does it again"));
        calls += compared;
        modules += usize::from(compared > 0);
        if start.elapsed() > Duration::from_secs(seconds) {
            break;
        }
    }
    println!("{calls} calls of {modules} modules compared");
}
