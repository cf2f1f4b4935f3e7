//! `wasmfx-run MODULE [ARGS…]`: runs a program, an export, or a conformance script.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use wasmfx::arguments::{EXIT_ERROR, Positionals, UsageError, run_tool};
use wasmfx::engine::failure::FailureKind;
use wasmfx::engine::options::{DEFAULT_CONTINUATION_STACK, DEFAULT_MAX_WASM_STACK};
use wasmfx::engine::program::{self, Entry, Outcome, Run, Streams};
use wasmfx::engine::script::{ScriptOptions, is_script, run_script};
use wasmfx::engine::{Collector, CompileEffort, EngineOptions};
use wasmfx::features;
use wasmfx::input_output::{Input, print, tell};
use wasmfx::lowering::report::write_report;
use wasmfx::lowering::{Frames, Lowering, LoweringArguments, LoweringDetails, lower_script_at};
use wasmfx::optimize::optimize_binary;
use wasmfx::optimize::sequence::LevelArgument;
use wasmfx::validate::diagnose;
use wasmfx_passes::options::Level;
use wasmtime::Trap;

/// What a shell reports for an aborted process (128 + SIGABRT): the program trapped or threw.
const EXIT_TRAP: u8 = 134;
/// What timeout(1) exits with: the program was stopped at its limit.
const EXIT_STOPPED: u8 = 124;

/// Run a WebAssembly module on wasmtime, with stack switching.
///
/// MODULE is a WASI command in the binary or the text format, or, with --invoke, any module; or a conformance script (.wast),
/// whose assertions are checked. What follows MODULE belongs to the program.
///
/// Exit code: the program's own; 134 if it traps or throws; 124 if it is stopped at its limit; 1 if it cannot be run, or
/// assertions of a script fail; 2 for a usage error.
#[derive(Parser)]
#[command(name = "wasmfx-run", version)]
struct Arguments {
    /// The module or script to run; '-' is standard input
    module: PathBuf,
    /// Arguments of the program, or of the export to invoke
    #[arg(allow_hyphen_values = true)]
    arguments: Vec<String>,
    /// Call this export (the option may follow MODULE too) and print its results as TYPE:VALUE. Arguments are written as in the text format: -1, 0xff, 1.5, inf,
    /// 'i32x4 1 2 3 4', null
    #[arg(long, value_name = "NAME")]
    invoke: Option<String>,
    /// A directory that the program may use, and what it is called there
    #[arg(long = "dir", value_name = "HOST[::NAME]", help_heading = "WASI")]
    directories: Vec<String>,
    /// A variable of the program's environment; without a value, the one that it has here
    #[arg(long = "env", value_name = "NAME[=VALUE]", help_heading = "WASI")]
    environment: Vec<String>,
    /// Stop the program after so many seconds (each action, for a script)
    #[arg(long, value_name = "SECONDS", help_heading = "Limits")]
    timeout: Option<f64>,
    /// Stop the program after about so many instructions
    #[arg(long, value_name = "COUNT", help_heading = "Limits")]
    fuel: Option<u64>,
    /// Bytes of stack that a call may use, the module's own as well as each continuation's; more is a trap
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MAX_WASM_STACK, help_heading = "Limits")]
    max_wasm_stack: usize,
    /// Bytes of address space for each continuation's stack, the host's functions included; at least the limit above. The engine
    /// keeps every stack until the program ends, so a program's continuations together are limited by the address space
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_CONTINUATION_STACK, help_heading = "Limits")]
    continuation_stack: usize,
    /// The garbage collector
    #[arg(long, value_name = "NAME", value_enum, default_value_t, help_heading = "Engine")]
    collector: Collector,
    /// How much the engine's compiler tries
    #[arg(long, value_name = "EFFORT", value_enum, default_value_t, help_heading = "Engine")]
    compile: CompileEffort,
    /// Run without native stack switching, as an engine without the proposal would
    #[arg(long, help_heading = "Engine")]
    no_stack_switching: bool,
    /// Tell Linux's `perf` the names of compiled functions: perf record -e cpu-clock wasmfx-run --perf-map …
    #[arg(long, help_heading = "Engine")]
    perf_map: bool,
    /// Lower continuations to plain WebAssembly before running, with frames in this store, and run without native stack switching. Modules of a script
    /// share one runtime
    #[arg(long, value_name = "STORE", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "auto", help_heading = "Engine")]
    lower: Option<Frames>,
    #[command(flatten)]
    lowering: LoweringDetails,
    #[command(flatten)]
    optimize: LevelArgument,
}

/// What happens to a module between reading and running.
#[derive(Clone)]
struct Preparation {
    optimize: Option<Level>,
    lower: Option<Frames>,
    details: LoweringDetails,
}

fn main() -> ExitCode {
    run_tool(Positionals::EndOptions { except: "invoke" }, run)
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    let timeout = arguments.timeout.map(Duration::try_from_secs_f64).transpose();
    let timeout = timeout.map_err(|error| UsageError(format!("--timeout: {error}")))?;
    let mut options = EngineOptions {
        collector: arguments.collector,
        max_wasm_stack: arguments.max_wasm_stack,
        continuation_stack: arguments.continuation_stack,
        compile_effort: arguments.compile,
        interruptible: timeout.is_some(),
        fuel: arguments.fuel.is_some(),
        perf_map: arguments.perf_map,
        ..EngineOptions::default()
    };
    if arguments.no_stack_switching || arguments.lower.is_some() {
        options.stack_switching = false;
    }
    let given = arguments.lowering.given();
    if arguments.lower.is_none() && !given.is_empty() {
        let say = if given.len() == 1 { "says" } else { "say" };
        bail!(UsageError(format!("{} {say} how to lower: give --lower too", given.join(", "))));
    }
    let input = Input::read(&arguments.module)?;
    match input.text() {
        Some(text) if is_script(text) => {
            refuse_program_options(&arguments)?;
            script(&input.name, text, &options, timeout, &preparation(&arguments))
        }
        _ => program(&input, arguments, &options, timeout),
    }
}

fn refuse_program_options(arguments: &Arguments) -> Result<()> {
    let given = [
        ("arguments", !arguments.arguments.is_empty()),
        ("--invoke", arguments.invoke.is_some()),
        ("--dir", !arguments.directories.is_empty()),
        ("--env", !arguments.environment.is_empty()),
        ("--fuel", arguments.fuel.is_some()),
        ("--report", arguments.lowering.report.is_some()),
        ("--no-multi-memory", arguments.lowering.no_multi_memory),
        ("--suspend-through", !arguments.lowering.suspend_through.is_empty()),
        ("--never-suspend", !arguments.lowering.never_suspend.is_empty()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((option, _)) => bail!(UsageError(format!("{option}: a script takes none"))),
        None => Ok(()),
    }
}

fn preparation(arguments: &Arguments) -> Preparation {
    Preparation { optimize: arguments.optimize.level, lower: arguments.lower, details: arguments.lowering.clone() }
}

/// The only place where a program's module changes between reading and running.
fn transform_module(binary: Vec<u8>, preparation: &Preparation) -> Result<Vec<u8>> {
    let Some(frames) = preparation.lower else {
        return match preparation.optimize {
            Some(level) => optimize_binary(&binary, level),
            None => Ok(binary),
        };
    };
    let details = preparation.details.clone();
    let arguments = LoweringArguments { frames, details, ..LoweringArguments::default() };
    let lowering = Lowering { options: arguments.options(), level: preparation.optimize, ..Lowering::default() };
    let (lowered, report) = lowering.run(&binary)?;
    if let Some(path) = &preparation.details.report {
        write_report(&report, path)?;
    }
    Ok(lowered)
}

fn script(
    name: &str,
    text: &str,
    options: &EngineOptions,
    timeout: Option<Duration>,
    preparation: &Preparation,
) -> Result<ExitCode> {
    // A script of many assertions must not hang on one.
    let engine = EngineOptions { interruptible: true, ..options.clone() }.for_script(text).build()?;
    let mut script_options = ScriptOptions::default();
    if let Some(timeout) = timeout {
        script_options.timeout = timeout;
    }
    // Transformed code traps where the script says, on other instructions.
    script_options.check_trap_messages &= preparation.lower.is_none();
    let (text, lower) = match preparation.lower {
        None => (text.to_string(), None),
        Some(frames) => lower_script_at(text, frames, &preparation.details, preparation.optimize)
            .map(|(text, transform)| (text, Some(transform)))?,
    };
    let transform = move |name: &str, binary: &[u8]| match (&lower, preparation.optimize) {
        (Some(lower), _) => lower(name, binary),
        (None, Some(level)) => optimize_binary(binary, level),
        (None, None) => Ok(binary.to_vec()),
    };
    let report = run_script(&engine, name, &text, &ScriptOptions { transform: Some(&transform), ..script_options })?;
    for shortcoming in report.shortcomings() {
        tell(format_args!("{shortcoming}"));
    }
    print(&format!("{name}: {}\n", report.summary()))?;
    Ok(if report.is_success() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_ERROR) })
}

fn program(
    input: &Input,
    arguments: Arguments,
    options: &EngineOptions,
    timeout: Option<Duration>,
) -> Result<ExitCode> {
    let diagnostics = diagnose(input, features::all());
    if !diagnostics.is_empty() {
        for diagnostic in &diagnostics {
            tell(format_args!("{diagnostic}"));
        }
        bail!("'{}' is not a valid module", input.name);
    }
    let binary = transform_module(input.to_binary()?.into_owned(), &preparation(&arguments))?;
    let engine = options.clone().for_module(&binary).build()?;
    let directories = arguments.directories.iter().map(|directory| parse_directory(directory)).collect();
    let environment = arguments.environment.iter().map(|variable| parse_variable(variable)).collect::<Result<_>>()?;
    let (entry, program_arguments) = match arguments.invoke {
        Some(name) => (Entry::Export { name, arguments: arguments.arguments }, Vec::new()),
        None => (Entry::Command, arguments.arguments),
    };
    let run = Run {
        entry,
        arguments: std::iter::once(input.name.clone()).chain(program_arguments).collect(),
        environment,
        directories,
        streams: Streams::Inherited,
        timeout,
        fuel: arguments.fuel,
    };
    match program::run(&engine, &binary, &run)?.outcome {
        Outcome::Returned(results) => {
            results.iter().try_for_each(|result| print(&format!("{result}\n")))?;
            Ok(ExitCode::SUCCESS)
        }
        // A process's exit code has eight bits.
        Outcome::Exited(code) => Ok(ExitCode::from(code.to_le_bytes()[0])),
        Outcome::Failed(failure) => {
            tell(format_args!("wasmfx-run: {failure}"));
            Ok(ExitCode::from(match failure.kind {
                FailureKind::Trap(Trap::Interrupt | Trap::OutOfFuel) => EXIT_STOPPED,
                FailureKind::Host(_) => EXIT_ERROR,
                FailureKind::Trap(_) | FailureKind::Exception(_) | FailureKind::Exit(_) => EXIT_TRAP,
            }))
        }
    }
}

fn parse_directory(argument: &str) -> (PathBuf, String) {
    let (host, name) = argument.split_once("::").unwrap_or((argument, argument));
    (PathBuf::from(host), name.to_string())
}

fn parse_variable(argument: &str) -> Result<(String, String)> {
    if let Some((name, value)) = argument.split_once('=') {
        return Ok((name.to_string(), value.to_string()));
    }
    let value = std::env::var_os(argument).ok_or_else(|| anyhow!("--env: '{argument}' is not set here"))?;
    let value =
        value.into_string().map_err(|_| anyhow!("not UTF-8")).with_context(|| format!("--env: '{argument}'"))?;
    Ok((argument.to_string(), value))
}
