//! The fuzz targets, for a second each and on some inputs at least, on inputs that depend on nothing but the code: bytes from a generator, and modules damaged by it.

use std::sync::LazyLock;
use std::time::{Duration, Instant};
use wasmfx_ir::features;
use wasmfx_tests::fuzz::mutate;
use wasmfx_tests::generate::random::Random;
use wasmfx_tests::{fuzz, modules};

/// How long each target runs: `WASMFX_FUZZ_SECONDS`, or a second.
static DURATION: LazyLock<Duration> = LazyLock::new(|| {
    let seconds = std::env::var("WASMFX_FUZZ_SECONDS").ok();
    Duration::from_secs(
        seconds.map_or(1, |seconds| seconds.parse().expect("WASMFX_FUZZ_SECONDS is a number of seconds")),
    )
});
/// Where the seeds begin: another one for each long run.
static FIRST_SEED: LazyLock<u64> = LazyLock::new(|| {
    let seed = std::env::var("WASMFX_FUZZ_SEED").ok();
    seed.map_or(0, |seed| seed.parse().expect("WASMFX_FUZZ_SEED is a number"))
});

/// On a machine that is busy a second is enough for next to nothing.
const FEWEST_INPUTS: usize = 5;
/// Of a generator that gives so few modules, something is broken.
const MOST_SEEDS_FOR_THE_FEWEST_INPUTS: u64 = 200;

/// Calls `target` with one input after the other: with a few in any case, and with more until a second is over.
fn for_a_second(mut input: impl FnMut(&mut Random) -> Option<Vec<u8>>, target: impl Fn(&[u8])) {
    let start = Instant::now();
    let mut count = 0;
    for seed in *FIRST_SEED.. {
        let tried = seed - *FIRST_SEED;
        assert!(
            count >= FEWEST_INPUTS || tried < MOST_SEEDS_FOR_THE_FEWEST_INPUTS,
            "{tried} seeds gave only {count} inputs"
        );
        let mut random = Random::new(seed);
        let Some(bytes) = input(&mut random) else { continue };
        // A panic shows the seed through this line.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| target(&bytes)));
        assert!(outcome.is_ok(), "with seed {seed}");
        count += 1;
        if count >= FEWEST_INPUTS && start.elapsed() > *DURATION {
            break;
        }
    }
}

fn bytes(random: &mut Random, len: usize) -> Vec<u8> {
    (0..len.div_ceil(8)).flat_map(|_| random.bits().to_le_bytes()).collect()
}

/// A valid module, of wasm-smith's making.
fn smith(random: &mut Random) -> Option<Vec<u8>> {
    let len = random.between(100, 4000);
    fuzz::smith_module(&bytes(random, len))
}

#[test]
fn parse_stands_damaged_modules() {
    let modules = modules::valid_modules(features::supported());
    for_a_second(
        |random| {
            let module = random.pick(&modules).bytes.clone();
            Some(mutate::bytes(random, &module))
        },
        fuzz::parse,
    );
}

#[test]
fn parse_stands_modules_of_all_kinds() {
    for_a_second(smith, fuzz::parse);
}

#[test]
fn round_trips_keep_modules_of_all_kinds() {
    for_a_second(smith, fuzz::round_trip);
}

#[test]
fn the_optimiser_stands_modules_of_all_kinds() {
    for_a_second(smith, fuzz::optimize);
}

/// Modules of the scripts, the fixtures, and what the generator makes; in a few of them something is wrong afterwards, in most a little is different.
#[test]
fn all_programs_stand_mutated_modules() {
    let modules = modules::valid_modules(features::supported());
    for_a_second(
        |random| {
            let module = random.pick(&modules).bytes.clone();
            if random.percent(20) { Some(mutate::bytes(random, &module)) } else { mutate::operators(random, &module) }
        },
        fuzz::all_programs,
    );
}

#[test]
fn all_programs_stand_mutated_fixtures() {
    let texts = modules::fixtures();
    assert!(texts.len() > 10, "{} fixtures", texts.len());
    for_a_second(
        |random| {
            let (_, text) = random.pick(&texts);
            if random.percent(50) {
                return Some(mutate::tokens(random, text).into_bytes());
            }
            mutate::operators(random, &wat::parse_str(text).expect("a fixture is well-formed"))
        },
        fuzz::all_programs,
    );
}
