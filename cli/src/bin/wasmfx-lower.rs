//! `wasmfx-lower IN -o OUT`: continuations become plain WebAssembly.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::json;
use wasmfx::arguments::{Positionals, UsageError, run_tool};
use wasmfx::input_output::{Input, Output};
use wasmfx::lowering::{LoweringArguments, lower_binary, runtime_binary};
use wasmfx_passes::lower::Report;

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
    /// Say which functions may suspend, on which tags and why, and what their copies cost: text, or JSON where FILE ends in .json; '-' is standard output
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write the runtime that modules lowered with `--runtime shared` import from the module `wasmfx`
    #[arg(long, conflicts_with_all = ["input", "report"], requires = "output")]
    emit_runtime: bool,
}

fn main() -> ExitCode {
    run_tool(Positionals::Mixed, run)
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    if arguments.output.is_none() && arguments.report.is_none() {
        bail!(UsageError("nothing to do: give an output with -o, or --report".into()));
    }
    if arguments.emit_runtime {
        write(&arguments, &runtime_binary(arguments.lowering.frames)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let input = Input::read(arguments.input.as_deref().expect("clap requires the input"))?;
    let binary = input.to_binary()?;
    let (lowered, report) = lower_binary(&binary, &arguments.lowering.options()).with_context(|| input.name.clone())?;
    if let Some(path) = &arguments.report {
        let text = if is_json(path) { json_report(&report).to_string() + "\n" } else { text_report(&report) };
        Output::from_argument(path).write(text.as_bytes())?;
    }
    write(&arguments, &lowered)?;
    Ok(ExitCode::SUCCESS)
}

fn write(arguments: &Arguments, module: &[u8]) -> Result<()> {
    let Some(path) = &arguments.output else { return Ok(()) };
    let output = Output::from_argument(path);
    if arguments.emit_text {
        output.write(wasmprinter::print_bytes(module).context("cannot print the output")?.as_bytes())
    } else {
        output.write(module)
    }
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

fn text_report(report: &Report) -> String {
    let mut text = format!("{} of {} functions may suspend\n", report.functions.len(), report.function_count);
    for function in &report.functions {
        text += &format!("{}\n", function.name);
        let tags: Vec<String> = function
            .suspends
            .iter()
            .map(|tag| format!("suspends to {tag}"))
            .chain(function.switches.iter().map(|tag| format!("switches under {tag}")))
            .chain(function.starts.then(|| "lets an outer resume start its continuations".to_owned()))
            .collect();
        text += &format!("    {}\n", tags.join(", "));
        if function.reason.len() > 1 {
            text += &format!("    because {}\n", function.reason.join(" calls "));
        }
        match function.copy {
            Some(copy) => text += &format!("    resumable copy: {copy}, frame of {}\n", function.frame_size),
            None => text += "    no copy: nothing is left to do after a suspension\n",
        }
    }
    text
}

fn json_report(report: &Report) -> serde_json::Value {
    let functions: Vec<_> = report
        .functions
        .iter()
        .map(|function| {
            json!({
                "function": function.function.as_u32(),
                "name": function.name,
                "suspends": function.suspends,
                "switches": function.switches,
                "starts": function.starts,
                "reason": function.reason,
                "copy": function.copy.map(|copy| copy.as_u32()),
                "frame_size": function.frame_size,
            })
        })
        .collect();
    json!({ "function_count": report.function_count, "functions": functions })
}
