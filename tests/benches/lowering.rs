//! `cargo bench -p wasmfx-tests --bench lowering`: every program of the benchmark in every variant on every engine, in one run, and how far the lowering
//! is from its goals. Takes wasmfx-bench's arguments: `-- --runs 3 --engines node generator`.

use std::process::ExitCode;

use wasmfx::arguments::{Positionals, run_tool};
use wasmfx::bench::command::{Arguments, run};

fn main() -> ExitCode {
    run_tool(Positionals::Mixed, |mut arguments: Arguments| {
        arguments.goals = true;
        run(arguments)
    })
}
