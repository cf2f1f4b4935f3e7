//! `wasmfx-opt IN -O2 -o OUT`: optimises any wasm module, and understands continuations.

use std::process::ExitCode;
use wasmfx::arguments::{Positionals, run_tool_with_hints};
use wasmfx::optimize::binaryen;
use wasmfx::optimize::command::run;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run_tool_with_hints(Positionals::Mixed, binaryen::explain, run)
}
