//! `wasmfx-lower IN -o OUT`: continuations become plain WebAssembly.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use wasmfx::arguments::{Positionals, UsageError, run_tool};
use wasmfx::common_arguments::CommonArguments;
use wasmfx::input_output::{Input, Output, tell, warn_of_relocations};
use wasmfx::lowering::report::write_report;
use wasmfx::lowering::{Lowering, LoweringArguments, runtime_binary};
use wasmfx::optimize::sequence::LevelArgument;
use wasmfx::progress::Bar;
use wasmfx::validate::blame;
use wasmfx_passes::optimizer::Stripping;
use wasmfx_passes::options::OptimizeLevel;

/// Turn a module that uses stack switching into one that any engine runs.
///
/// The output behaves as the input does, and validates with stack switching switched off. Frames of suspended functions are kept in
/// linear memory or in GC structs. A module is lowered as a closed world: link modules that share continuations first (wasmfx-merge).
#[derive(Parser)]
#[command(name = "wasmfx-lower", version)]
struct Arguments {
    /// The module to lower, in the binary or the text format; '-' is standard input
    #[arg(value_name = "IN", required_unless_present = "emit_runtime")]
    input: Option<PathBuf>,
    /// Where to write the result; '-' is standard output
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Write the text format
    #[arg(short = 'S', long)]
    emit_text: bool,
    #[command(flatten)]
    lowering: LoweringArguments,
    /// Before lowering, while continuations are visible, and after
    #[command(flatten)]
    optimize: LevelArgument,
    /// Keep names of functions and locals (they are kept in any case if no -O option is given)
    #[arg(short = 'g', long)]
    debuginfo: bool,
    /// Write the runtime that modules lowered with `--runtime shared` import from the module `wasmfx`
    #[arg(long, conflicts_with_all = ["input", "report"], requires = "output")]
    emit_runtime: bool,
    #[command(flatten)]
    common: CommonArguments,
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run_tool(Positionals::Mixed, run)
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    let details = &arguments.lowering.details;
    if arguments.output.is_none() && details.report.is_none() {
        bail!(UsageError("nothing to do: give an output with -o, or --report".into()));
    }
    if [&arguments.output, &details.report]
        .iter()
        .all(|path| path.as_deref().is_some_and(|path| path == Path::new("-")))
    {
        bail!(UsageError("'-o -' and '--report -' both write to standard output".into()));
    }
    arguments.common.start_threads()?;
    let level = arguments.optimize.level;
    let names_go = level.is_some_and(|level| level.optimize != OptimizeLevel::O0) && !arguments.debuginfo;
    if arguments.emit_runtime {
        write(&arguments, &runtime_binary(arguments.lowering.frames, level, names_go)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let input = Input::read(arguments.input.as_deref().expect("clap requires the input"))?;
    if !arguments.common.quiet {
        warn_of_relocations("wasmfx-lower", &input);
    }
    let binary = input.to_binary()?;
    let lowering = Lowering {
        options: arguments.lowering.options(),
        level,
        // As in wasmfx-opt. What DWARF says of offsets in the input's code is not true of any lowered module.
        stripping: Stripping { names: names_go, debug: true, ..Stripping::default() },
        features: arguments.common.features.features,
    };
    let (lowered, report) = {
        let bar = Bar::new(!arguments.common.quiet);
        let lowered = lowering.run_with(&binary, &bar);
        lowered.map_err(|error| blame(std::slice::from_ref(&input), lowering.features, error))?
    };
    if let Some(path) = &details.report {
        write_report(&report, path)?;
    }
    write(&arguments, &lowered)?;
    if arguments.common.verbose {
        tell(format_args!("wasmfx-lower: {} bytes -> {} bytes", binary.len(), lowered.len()));
    }
    Ok(ExitCode::SUCCESS)
}

fn write(arguments: &Arguments, module: &[u8]) -> Result<()> {
    let Some(path) = &arguments.output else { return Ok(()) };
    Output::from_argument(path).write_module(module, arguments.emit_text)
}
