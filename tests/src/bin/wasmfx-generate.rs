//! `wasmfx-generate SEED`: prints the program of a seed as text.

use std::process::ExitCode;

use wasmfx_tests::generate::{Config, encode, generate, text};

fn main() -> ExitCode {
    let Some(seed) = std::env::args().nth(1).and_then(|seed| seed.parse().ok()) else {
        eprintln!("usage: wasmfx-generate SEED");
        return ExitCode::from(2);
    };
    let program = generate(seed, &Config::for_seed(seed));
    let printed = encode(&program).and_then(|wasm| text(&wasm));
    match printed {
        Ok(text) => {
            println!("{text}");
            for invocation in &program.invocations {
                let name = &program.functions[invocation.function as usize].name;
                println!(";; invoke {name} {:?}", invocation.arguments);
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: seed {seed}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
