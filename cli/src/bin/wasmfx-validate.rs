//! `wasmfx-validate FILE…`: are these modules valid?

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use wasmfx::arguments::{EXIT_ERROR, Positionals, run_tool};
use wasmfx::features::FeatureArguments;
use wasmfx::input_output::{Input, print, tell};
use wasmfx::validate::diagnose;

/// Check WebAssembly modules, in the binary or the text format.
///
/// Prints nothing and exits with 0 if all files are valid; otherwise prints every error with its place, and exits with 1.
/// Every standardised feature and stack switching are accepted unless disabled.
#[derive(Parser)]
#[command(name = "wasmfx-validate", version)]
struct Arguments {
    /// The modules to check; '-' is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Say of each valid file that it is
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    features: FeatureArguments,
}

fn main() -> ExitCode {
    run_tool(Positionals::Mixed, run)
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    let mut valid = true;
    for file in &arguments.files {
        // A file that cannot be read does not keep the others from being checked.
        let diagnostics = match Input::read(file) {
            Ok(input) => diagnose(&input, arguments.features.features),
            Err(error) => {
                tell(format_args!("wasmfx-validate: error: {error:#}"));
                valid = false;
                continue;
            }
        };
        valid &= diagnostics.is_empty();
        for diagnostic in &diagnostics {
            tell(format_args!("{diagnostic}"));
        }
        if diagnostics.is_empty() && arguments.verbose {
            print(&format!("{}: valid\n", file.display()))?;
        }
    }
    Ok(if valid { ExitCode::SUCCESS } else { ExitCode::from(EXIT_ERROR) })
}
