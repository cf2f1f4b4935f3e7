//! Random WasmFX programs: typed, valid, terminating, and a function of their seed.
//!
//! ```
//! use wasmfx_tests::generate::{Config, encode, generate, text};
//! let program = generate(7, &Config::default());
//! let wasm = encode(&program).unwrap();
//! let wat = text(&wasm).unwrap();
//! # assert!(wat.contains("(module"));
//! ```
//!
//! | module | |
//! |---|---|
//! | [`program`] | the tree that is generated, and that the shrinker edits |
//! | `plan` | declarations, and the effects by which suspensions find a handler |
//! | `builder`, `expression`, `statement`, `control` | bodies |
//! | [`encode()`] | the tree as a module, with fuel |
//! | [`coverage`] | what a run exercised |

mod builder;
mod control;
pub mod coverage;
mod encode;
mod expression;
mod plan;
pub mod program;
pub mod random;
mod statement;

use anyhow::Result;

pub use encode::{encode, encode_instrumented};
use plan::Plan;
use program::{Argument, Invocation, Program, ValueType};
use random::Random;

/// What programs may contain.
#[derive(Clone, Debug)]
pub struct Config {
    /// Scales the number of functions (0 … 3).
    pub size: usize,
    /// How many protocols of continuations at most: see `plan`.
    pub protocols: usize,
    /// Scales the number of statements in a function.
    pub statements: usize,
    /// How many function entries and loop iterations run before every function returns at once.
    pub fuel: i32,
    /// Out of a thousand statements, how many trap on purpose.
    pub traps: usize,
    /// `v128` values.
    pub simd: bool,
    /// Structs, arrays, `i31`.
    pub gc: bool,
    /// `throw`, `try_table`, `resume_throw`.
    pub exceptions: bool,
    /// Fields of continuation types. wasmtime 48 refuses such modules.
    pub continuations_in_gc: bool,
    /// `cont.bind` of references to the garbage-collected heap. wasmtime 48 refuses such modules.
    pub bind_gc: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            size: 1,
            protocols: 2,
            statements: 4,
            fuel: 150,
            traps: 14,
            simd: true,
            gc: true,
            exceptions: true,
            continuations_in_gc: false,
            bind_gc: false,
        }
    }
}

impl Config {
    /// The default configuration at one of several sizes, mostly a small one: many small programs find more in a given time
    /// than few large ones, and what they find is easier to understand, but some things take size.
    pub fn for_seed(seed: u64) -> Config {
        let (size, protocols, statements, fuel) = match seed % 20 {
            0 => (3, 3, 9, 400),
            1..=4 => (2, 3, 5, 200),
            5..=10 => (1, 2, 4, 150),
            _ => (0, 2, 3, 100),
        };
        Config { size, protocols, statements, fuel, ..Config::default() }
    }
}

/// The program of a seed.
pub fn generate(seed: u64, config: &Config) -> Program {
    let mut random = Random::new(seed);
    let mut plan = Plan::new(seed, config, &mut random);
    for function in 0..plan.program.functions.len() {
        let (locals, body) = builder::Builder::new(&mut plan, config, &mut random, function as u32).function();
        plan.program.functions[function].locals = locals;
        plan.program.functions[function].body = body;
    }
    builder::add_observer(&mut plan);
    let observer = plan.program.functions.len() as u32 - 1;
    for _ in 0..random.between(2, 3) {
        let function = *random.pick(&plan.entries);
        let arguments = plan
            .program
            .signature(plan.program.functions[function as usize].ty)
            .params
            .iter()
            .map(|ty| argument(*ty, &mut random))
            .collect();
        plan.program.invocations.push(Invocation { function, arguments });
    }
    plan.program.invocations.push(Invocation { function: observer, arguments: vec![] });
    if random.percent(8) {
        let starts: Vec<u32> = plan
            .entries
            .iter()
            .copied()
            .filter(|entry| {
                let signature = plan.program.signature(plan.program.functions[*entry as usize].ty);
                signature.params.is_empty() && signature.results.is_empty()
            })
            .collect();
        plan.program.start = random.pick_any(&starts).copied();
    }
    plan.program
}

fn argument(ty: ValueType, random: &mut Random) -> Argument {
    match ty {
        ValueType::I32 => {
            Argument::I32(if random.percent(70) { random.below(10) as i32 } else { random.bits() as i32 })
        }
        ValueType::I64 => {
            Argument::I64(if random.percent(70) { random.below(10) as i64 } else { random.bits() as i64 })
        }
        ValueType::F32 => Argument::F32(random.below(1000) as f32 / 4.0),
        ValueType::F64 => Argument::F64(random.below(1000) as f64 / 4.0),
        other => panic!("entries take numbers only, not {other:?}"),
    }
}

/// The text form of a module.
///
/// # Errors
/// If it is not a well-formed binary.
pub fn text(wasm: &[u8]) -> Result<String> {
    wasmprinter::print_bytes(wasm)
}
