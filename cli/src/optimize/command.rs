//! The program `wasmfx-opt`.

use super::binaryen;
use super::metrics::{self, Metrics};
use super::sequence::PassSequence;
use super::verification;
use crate::arguments::UsageError;
use crate::common_arguments::CommonArguments;
use crate::input_output::{Input, Output, print, tell, warn_of_relocations};
use crate::progress::Bar;
use crate::suggestions::did_you_mean;
use crate::validate::blame;
use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use wasmfx_passes::optimizer::{Optimizer, Remark, Stripping};
use wasmfx_passes::options::Options;
use wasmfx_passes::pass_arguments::{self, PASS_ARGUMENTS, PassArgument, PassArguments};
use wasmfx_passes::pass_table::{self, PASSES, PassKind};
use wasmfx_passes::pattern::Pattern;
use wasmfx_passes::pipeline::Timings;

/// Optimise a WebAssembly module, in the binary or the text format.
///
/// Levels and passes run in the order given. Every standardised feature and stack switching are accepted unless disabled, and the output
/// uses no feature that the input did not.
#[derive(Parser)]
#[command(name = "wasmfx-opt", version)]
pub struct Arguments {
    /// The module to optimise; '-' is standard input, and so is nothing where that is no terminal
    #[arg(value_name = "IN")]
    input: Option<PathBuf>,
    /// Where to write the result; '-' is standard output
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Write the text format
    #[arg(short = 'S', long)]
    emit_text: bool,
    /// Print the result as text on standard output
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    sequence: PassSequence,
    /// Leave this pass out wherever it would run
    #[arg(long, value_name = "PASS", alias = "sp")]
    skip_pass: Vec<String>,
    /// Set an argument of a pass; --list-passes prints them too
    #[arg(long, value_name = "NAME@VALUE", aliases = ["pass-argument", "pa"])]
    pass_arg: Vec<String>,
    /// Run everything again until the module gets no smaller
    #[arg(long, short_alias = 'c')]
    converge: bool,
    /// Assume that no code outside the module makes or inspects values of its types: a reference of a private function type is to one of the module's functions
    #[arg(long, alias = "cw")]
    closed_world: bool,
    /// Assume that no instruction traps
    #[arg(long, alias = "tnh")]
    traps_never_happen: bool,
    /// Assume that the program does not use the first 1024 bytes of memory
    #[arg(long, alias = "lmu")]
    low_memory_unused: bool,
    /// Keep names of functions and locals (they are kept in any case if no -O option is given)
    #[arg(short = 'g', long)]
    debuginfo: bool,
    /// Do not inline functions with such names (`*` stands for any characters, `?` for one; a function without a name is called by its number)
    #[arg(long, alias = "no-full-inline", value_name = "PATTERN")]
    no_inline: Vec<Pattern>,
    /// Remove names and DWARF sections
    #[arg(long, alias = "strip")]
    strip_debug: bool,
    /// Remove DWARF sections, but keep names
    #[arg(long)]
    strip_dwarf: bool,
    /// Remove the producers section
    #[arg(long)]
    strip_producers: bool,
    /// Remove the section that lists the features of the target
    #[arg(long)]
    strip_target_features: bool,
    /// Run input and output beside each other on the same calls, and write nothing if they differ
    #[arg(long)]
    verify: bool,
    /// Choose the calls of --verify
    #[arg(long, value_name = "N", default_value_t = 0)]
    verify_seed: u64,
    /// Check the invariants of the intermediate representation after every pass
    #[arg(long)]
    verify_passes: bool,
    /// Prove of each function that its code does what the intermediate representation says
    #[arg(long)]
    verify_emission: bool,
    /// Print counts of sections, functions and operators before and after
    #[arg(long)]
    metrics: bool,
    /// Print how long each pass took
    #[arg(long)]
    time_passes: bool,
    /// Print --metrics and --time-passes as JSON
    #[arg(long)]
    json: bool,
    /// Print the names of all passes and of their arguments, and exit
    #[arg(long)]
    list_passes: bool,
    #[command(flatten)]
    common: CommonArguments,
}

/// Runs the program.
///
/// # Errors
/// If the input is invalid, the output cannot be written, or a check that was asked for fails.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    if arguments.list_passes {
        print(&list_passes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let prints = arguments.print || arguments.metrics || arguments.time_passes;
    if arguments.output.is_none() && !prints {
        bail!(UsageError("nothing to do: give an output with -o, or --print, --metrics or --time-passes".into()));
    }
    let to_standard_output = arguments.output.as_deref().is_some_and(|output| output == Path::new("-"));
    if to_standard_output && prints {
        bail!(UsageError(
            "'-o -' writes the module to standard output, where --print, --metrics and --time-passes write too".into()
        ));
    }
    if !arguments.common.quiet {
        for name in &arguments.sequence.harmless {
            binaryen::explain(name).iter().for_each(|note| tell(format_args!("wasmfx-opt: note: {note}")));
        }
    }
    arguments.common.start_threads()?;
    let input = Input::read_or_standard_input(arguments.input.as_deref())?;
    if !arguments.common.quiet {
        warn_of_relocations("wasmfx-opt", &input);
    }
    let options = options(&arguments)?;
    let before = input.to_binary()?;
    if arguments.sequence.harmless.contains(&INTRINSIC_LOWERING) {
        refuse_intrinsics(&input.name, &before)?;
    }
    let optimizer = Optimizer {
        pipeline: arguments.sequence.pipeline(&options),
        features: Some(arguments.common.features.features),
        stripping: stripping(&arguments),
        converge: arguments.converge,
        options,
    };
    let outcome = {
        let bar = Bar::new(!arguments.common.quiet);
        let outcome = optimizer.run_with(&before, &bar);
        outcome.map_err(|error| blame(std::slice::from_ref(&input), arguments.common.features.features, error))?
    };
    // Where nothing is optimised anyway, there is nothing to remark on.
    if !arguments.common.quiet && !optimizer.pipeline.is_empty() {
        outcome.remarks.iter().for_each(print_remark);
    }
    if !arguments.common.quiet && outcome.lost_debug_sections {
        tell(format_args!("wasmfx-opt: note: debug information is left out, as the code that it speaks of moved"));
    }
    if arguments.verify {
        let comparison = verification::verify(&before, &outcome.bytes, &optimizer.options, arguments.verify_seed)
            .with_context(|| input.name.clone())?;
        if !arguments.common.quiet {
            tell(format_args!("wasmfx-opt: {}: {}", input.name, verification::summary(&comparison)));
        }
    }
    report(&arguments, &before, &outcome.bytes, &outcome.timings)?;
    if arguments.print {
        Output::Stdout.write_module(&outcome.bytes, true)?;
    }
    if let Some(output) = &arguments.output {
        Output::from_argument(output).write_module(&outcome.bytes, arguments.emit_text)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn options(arguments: &Arguments) -> Result<Options> {
    let mut skip_passes = Vec::new();
    for name in &arguments.skip_pass {
        if pass_table::find(name).is_some() {
            skip_passes.push(name.clone());
        } else if let Some(ours) = binaryen::skipped(name) {
            skip_passes.extend(ours.map(str::to_owned));
        } else {
            let hint = did_you_mean(name, PASSES.iter().map(|pass| pass.name));
            bail!(UsageError(format!("--skip-pass: there is no pass '{name}'{hint} (--list-passes prints all)")));
        }
    }
    let mut pass_arguments = PassArguments::default();
    let means_something = |text: &&String| !binaryen::HARMLESS_PASS_ARGUMENTS.contains(&text.as_str());
    for text in arguments.pass_arg.iter().filter(means_something) {
        let Some((name, value)) = text.split_once('@') else {
            bail!(UsageError(format!("--pass-arg: '{text}' is not of the form NAME@VALUE")));
        };
        let Some(argument) = pass_arguments::find(name) else {
            let hint = did_you_mean(name, PASS_ARGUMENTS.iter().map(|argument| argument.name));
            bail!(UsageError(format!("--pass-arg: no pass has an argument '{name}'{hint} (--list-passes prints all)")));
        };
        let Ok(value) = value.parse() else {
            bail!(UsageError(format!("--pass-arg: '{value}' is not a number, which {name} is")));
        };
        pass_arguments.set(argument, value);
    }
    let defaults = Options::default();
    let options = Options {
        closed_world: arguments.closed_world,
        traps_never_happen: arguments.traps_never_happen,
        low_memory_unused: arguments.low_memory_unused,
        no_inline: arguments.no_inline.clone(),
        skip_passes,
        pass_arguments,
        verify_passes: arguments.verify_passes || defaults.verify_passes,
        verify_emission: arguments.verify_emission || defaults.verify_emission,
        ..defaults
    };
    Ok(match arguments.sequence.level_of_passes() {
        Some(level) => options.at_level(level),
        None => options,
    })
}

/// Binaryen drops names unless it is told `-g`. So do we when optimising; a plain round trip loses nothing. DWARF goes where it optimises, and where the code comes out different otherwise: it speaks of
/// offsets in the input's code, and what would speak of the output's is not made (yet).
fn stripping(arguments: &Arguments) -> Stripping {
    let optimizes = arguments
        .sequence
        .last_level()
        .is_some_and(|level| level.optimize != wasmfx_passes::options::OptimizeLevel::O0);
    Stripping {
        names: arguments.strip_debug || (optimizes && !arguments.debuginfo && !arguments.strip_dwarf),
        debug: arguments.strip_debug || arguments.strip_dwarf || optimizes,
        producers: arguments.strip_producers,
        target_features: arguments.strip_target_features,
    }
}

/// The pass of Binaryen's that has nothing to do in a module which imports none of its intrinsics.
const INTRINSIC_LOWERING: &str = "intrinsic-lowering";
/// What such imports are imported from.
const INTRINSICS: &str = "binaryen-intrinsics";

/// Refuses a module that would need what is left out.
fn refuse_intrinsics(name: &str, module: &[u8]) -> Result<()> {
    let is_imported = |payload: wasmparser::Payload<'_>| match payload {
        wasmparser::Payload::ImportSection(imports) => {
            imports.into_imports().map_while(std::result::Result::ok).any(|import| import.module == INTRINSICS)
        }
        _ => false,
    };
    if wasmparser::Parser::new(0).parse_all(module).map_while(std::result::Result::ok).any(is_imported) {
        bail!(
            "{name}: imports from '{INTRINSICS}', which --{INTRINSIC_LOWERING} would have to replace; there is no such pass here"
        );
    }
    Ok(())
}

fn list_passes() -> String {
    let mut list = String::new();
    for pass in PASSES {
        let kind = match pass.kind {
            PassKind::Function(_) => "function",
            PassKind::Module(_) => "module",
        };
        list += &format!("{:<30} {kind:<9} {}\n", pass.name, pass.help);
    }
    list += "\nArguments of passes, for --pass-arg NAME@VALUE:\n";
    for argument in PASS_ARGUMENTS {
        let PassArgument { name, pass, help, default } = argument;
        list += &format!("{name:<30} {pass:<9} {help} (default: {default})\n");
    }
    list
}

fn print_remark(remark: &Remark) {
    let name = remark
        .name
        .as_deref()
        .map_or_else(|| format!("function {}", remark.function.as_u32()), |name| format!("function '{name}'"));
    tell(format_args!("wasmfx-opt: remark: {name} is not optimised: {}", remark.reason));
}

fn report(arguments: &Arguments, before: &[u8], after: &[u8], timings: &Timings) -> Result<()> {
    if arguments.common.verbose {
        tell(format_args!("wasmfx-opt: {} bytes -> {} bytes", before.len(), after.len()));
    }
    if !arguments.metrics && !arguments.time_passes {
        return Ok(());
    }
    let metrics = if arguments.metrics { Some((Metrics::of(before)?, Metrics::of(after)?)) } else { None };
    if arguments.json {
        let passes = timings.passes.iter().map(|(pass, time)| json!({"pass": pass, "seconds": time.as_secs_f64()}));
        let mut value = json!({});
        if let Some((before, after)) = &metrics {
            value["metrics"] = json!({"before": before, "after": after});
        }
        if arguments.time_passes {
            value["passes"] = passes.collect();
        }
        return print(&format!("{value:#}\n"));
    }
    if let Some((before, after)) = &metrics {
        print(&metrics::table(before, after))?;
    }
    if arguments.time_passes {
        let total: Duration = timings.passes.values().sum();
        let mut table = String::new();
        for (pass, time) in &timings.passes {
            let share = time.as_secs_f64() * 100.0 / total.as_secs_f64().max(f64::MIN_POSITIVE);
            table += &format!("{pass:<32} {:>10.3} ms {share:>6.1} %\n", time.as_secs_f64() * 1e3);
        }
        table += &format!("{:<32} {:>10.3} ms\n", "total, all threads", total.as_secs_f64() * 1e3);
        print(&table)?;
    }
    Ok(())
}
