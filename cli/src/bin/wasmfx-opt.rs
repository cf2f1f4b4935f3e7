//! `wasmfx-opt IN -O2 -o OUT`: optimises any wasm module, and understands continuations.

use std::process::ExitCode;
use wasmfx::arguments::{Positionals, run_tool};
use wasmfx::optimize::command::run;

fn main() -> ExitCode {
    run_tool(Positionals::Mixed, run)
}
