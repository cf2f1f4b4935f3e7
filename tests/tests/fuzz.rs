//! The fuzz targets, for a second each, on inputs that depend on nothing but the code: bytes from a generator, and modules damaged by it.

use std::time::{Duration, Instant};
use wasmfx_ir::features;
use wasmfx_tests::generate::random::Random;
use wasmfx_tests::{fuzz, modules};

const DURATION: Duration = Duration::from_secs(1);

/// Calls `target` with one input after the other, for a second and at least once.
fn for_a_second(mut input: impl FnMut(&mut Random) -> Option<Vec<u8>>, target: impl Fn(&[u8])) -> usize {
    let start = Instant::now();
    let mut count = 0;
    for seed in 0.. {
        let mut random = Random::new(seed);
        let Some(bytes) = input(&mut random) else { continue };
        // A panic shows the seed through this line.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| target(&bytes)));
        assert!(outcome.is_ok(), "with seed {seed}");
        count += 1;
        if start.elapsed() > DURATION {
            break;
        }
    }
    count
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
            let mut bytes = random.pick(&modules).bytes.clone();
            for _ in 0..random.between(1, 4) {
                let place = random.below(bytes.len());
                match random.below(4) {
                    0 => bytes[place] = random.bits() as u8,
                    1 => bytes[place] ^= 1 << random.below(8),
                    2 => bytes.truncate(place.max(8)),
                    _ => bytes.insert(place, random.bits() as u8),
                }
            }
            Some(bytes)
        },
        fuzz::parse,
    );
}

#[test]
fn parse_stands_modules_of_all_kinds() {
    let count = for_a_second(smith, fuzz::parse);
    assert!(count >= 5, "only {count} modules in a second");
}

#[test]
fn round_trips_keep_modules_of_all_kinds() {
    for_a_second(smith, fuzz::round_trip);
}

#[test]
fn the_optimiser_stands_modules_of_all_kinds() {
    for_a_second(smith, fuzz::optimise);
}
