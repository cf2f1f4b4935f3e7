//! `wasmfx-bench [PROGRAM…]`: how fast, how big, how much memory?

use std::process::ExitCode;
use wasmfx::arguments::{Positionals, run_tool};
use wasmfx::bench::command::run;

fn main() -> ExitCode {
    run_tool(Positionals::Mixed, run)
}
