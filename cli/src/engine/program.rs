//! Running one module: a WASI command, or one of its exports.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use wasmtime::{ExternType, Instance, Linker, Module, Store, Val};
use wasmtime_wasi::p1::{WasiP1Ctx, add_to_linker_sync};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use super::clock::{CallTime, timed};
use super::failure::{CallFailure, FailureKind};
use super::values::{counted, display_value, parse_value, refuse_impassable};
use super::{WasmEngine, compile, engine_error, spectest};

const WASI_MODULE: &str = "wasi_snapshot_preview1";
/// The export that a WASI command starts with.
const COMMAND_START: &str = "_start";
/// The export that a WASI reactor wants called before any other.
const REACTOR_START: &str = "_initialize";
/// What a captured stream may hold; more makes the write fail.
const CAPTURE_LIMIT: usize = 256 << 20;

/// What to call.
#[derive(Clone, Debug, Default)]
pub enum Entry {
    /// `_start` of a WASI command.
    #[default]
    Command,
    /// An export, with its arguments as text.
    Export {
        /// The export's name.
        name: String,
        /// One argument for each parameter, as [`parse_value`] reads them.
        arguments: Vec<String>,
    },
}

/// Where standard input comes from and where output goes.
#[derive(Clone, Debug, Default)]
pub enum Streams {
    /// This process's own.
    #[default]
    Inherited,
    /// Input from memory, output kept in memory.
    Captured {
        /// All of standard input.
        stdin: Vec<u8>,
    },
}

/// Everything about one run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// What to call.
    pub entry: Entry,
    /// The program's arguments, its name first.
    pub arguments: Vec<String>,
    /// Its environment.
    pub environment: Vec<(String, String)>,
    /// Directories that it may use: on the host, and as it sees them.
    pub directories: Vec<(PathBuf, String)>,
    /// Its standard streams.
    pub streams: Streams,
    /// Stop it after this time; needs an interruptible engine.
    pub timeout: Option<Duration>,
    /// Stop it after about as many instructions; needs an engine that counts.
    pub fuel: Option<u64>,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The export returned these results, as [`display_value`] shows them; a command returns none.
    Returned(Vec<String>),
    /// The program ended itself with an exit code.
    Exited(i32),
    /// It trapped, threw, or was stopped.
    Failed(CallFailure),
}

/// What a run did.
#[derive(Clone, Debug)]
pub struct Completion {
    /// How it ended.
    pub outcome: Outcome,
    /// How long the call took, without compilation and instantiation.
    pub call_time: CallTime,
    /// Captured standard output, with what `spectest` printed.
    pub stdout: Vec<u8>,
    /// Captured standard error.
    pub stderr: Vec<u8>,
}

struct Host {
    wasi: WasiP1Ctx,
    printed: Option<MemoryOutputPipe>,
}

impl spectest::Printer for Host {
    fn print(&mut self, line: &str) {
        match &self.printed {
            Some(pipe) => {
                use wasmtime_wasi::p2::OutputStream;
                // A full pipe loses the line; the program's own writes fail then, which is what gets reported.
                let _ = pipe.clone().write(format!("{line}\n").into_bytes().into());
            }
            // So does a standard output that is full.
            None => drop(crate::input_output::print(&format!("{line}\n"))),
        }
    }
}

/// Compiles a module and runs it to its end, see [`Program::run`].
///
/// # Errors
/// As [`Program::compile`] and [`Program::run`].
pub fn run(engine: &WasmEngine, binary: &[u8], run: &Run) -> Result<Completion> {
    Program::compile(engine, binary)?.run(run)
}

/// A module that the engine has compiled, to be run any number of times.
pub struct Program<'b> {
    engine: WasmEngine,
    module: Module,
    binary: &'b [u8],
}

impl<'b> Program<'b> {
    /// Compiles a binary module.
    ///
    /// # Errors
    /// If the module is invalid, or the engine does not take it.
    pub fn compile(engine: &WasmEngine, binary: &'b [u8]) -> Result<Self> {
        let module = compile(engine, binary).map_err(|error| {
            let is_switched_off =
                !engine.options().stack_switching && format!("{error:#}").contains("stack switching is disabled");
            let error = error.context("the engine does not take this module");
            match is_switched_off {
                true => error.context(
                    "the module uses stack switching, which is off: lower it first (wasmfx-lower, or wasmfx-run --lower)",
                ),
                false => error,
            }
        })?;
        Ok(Program { engine: engine.clone(), module, binary })
    }

    /// Runs it in a fresh instance, to its end. How the program ended is in the completion.
    ///
    /// # Errors
    /// If it cannot be run at all.
    pub fn run(&self, run: &Run) -> Result<Completion> {
        self.engine.on_wasm_thread(|| self.run_on_this_thread(run))?
    }

    fn run_on_this_thread(&self, run: &Run) -> Result<Completion> {
        let Program { engine, module, binary } = self;
        let (host, pipes) = host(run)?;
        let mut store = Store::new(engine, host);
        engine.set_timeout(&mut store, run.timeout);
        if engine.options().fuel {
            store.set_fuel(run.fuel.unwrap_or(u64::MAX)).map_err(engine_error)?;
        }
        let mut linker = Linker::new(engine);
        add_to_linker_sync(&mut linker, |host: &mut Host| &mut host.wasi).map_err(engine_error)?;
        if module.imports().any(|import| import.module() == spectest::MODULE) {
            spectest::define(&mut linker, &mut store)?;
        }
        refuse_missing_imports(&linker, &mut store, module)?;

        let (outcome, call_time) = match linker.instantiate(&mut store, module) {
            Ok(instance) => call(&mut store, &instance, module, binary, &run.entry)?,
            Err(error) => (failed(&error, &mut store, binary), CallTime::default()),
        };
        // The store holds the other ends of the pipes.
        drop(store);
        let (stdout, stderr) = pipes.map(|(stdout, stderr)| (stdout.contents(), stderr.contents())).unwrap_or_default();
        Ok(Completion { outcome, call_time, stdout: stdout.to_vec(), stderr: stderr.to_vec() })
    }
}

type Pipes = (MemoryOutputPipe, MemoryOutputPipe);

fn host(run: &Run) -> Result<(Host, Option<Pipes>)> {
    let mut wasi = WasiCtxBuilder::new();
    wasi.args(&run.arguments).envs(&run.environment).allow_blocking_current_thread(true);
    for (directory, name) in &run.directories {
        wasi.preopened_dir(directory, name, FsPerms::ReadWrite)
            .map_err(engine_error)
            .with_context(|| format!("cannot open the directory '{}'", directory.display()))?;
    }
    let pipes = match &run.streams {
        Streams::Inherited => {
            wasi.inherit_stdio();
            None
        }
        Streams::Captured { stdin } => {
            let pipes = (MemoryOutputPipe::new(CAPTURE_LIMIT), MemoryOutputPipe::new(CAPTURE_LIMIT));
            wasi.stdin(MemoryInputPipe::new(stdin.clone())).stdout(pipes.0.clone()).stderr(pipes.1.clone());
            Some(pipes)
        }
    };
    let printed = pipes.as_ref().map(|(stdout, _)| stdout.clone());
    Ok((Host { wasi: wasi.build_p1(), printed }, pipes))
}

fn refuse_missing_imports(linker: &Linker<Host>, store: &mut Store<Host>, module: &Module) -> Result<()> {
    let mut missing = Vec::new();
    for import in module.imports() {
        if linker.get_by_import(&mut *store, &import).is_none() {
            let kind = match import.ty() {
                ExternType::Func(ty) => ty.to_string(),
                ExternType::Global(_) => "global".to_string(),
                ExternType::Table(_) => "table".to_string(),
                ExternType::Memory(_) => "memory".to_string(),
                ExternType::Tag(_) => "tag".to_string(),
            };
            missing.push(format!("\n  {}.{}: {kind}", import.module(), import.name()));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "the module imports what nothing here provides:{}\nonly {WASI_MODULE} and {} are provided; link modules with wasmfx-merge first",
        missing.concat(),
        spectest::MODULE
    );
}

fn call(
    store: &mut Store<Host>,
    instance: &Instance,
    module: &Module,
    binary: &[u8],
    entry: &Entry,
) -> Result<(Outcome, CallTime)> {
    let (name, arguments) = match entry {
        Entry::Command => (COMMAND_START, &[][..]),
        Entry::Export { name, arguments } => (name.as_str(), arguments.as_slice()),
    };
    let Some(function) = instance.get_func(&mut *store, name) else {
        let functions: Vec<&str> = module
            .exports()
            .filter(|export| matches!(export.ty(), ExternType::Func(_)))
            .map(|export| export.name())
            .collect();
        return Err(no_such_function(name, entry, &functions));
    };
    let ty = function.ty(&*store);
    refuse_impassable(name, &ty)?;
    if ty.params().len() != arguments.len() {
        let (takes, given) = (counted(ty.params().len(), "argument"), arguments.len());
        let are = if given == 1 { "is" } else { "are" };
        // The engine shows a function's type as a definition.
        let ty = ty.to_string();
        let ty = ty.strip_prefix("(type ").and_then(|ty| ty.strip_suffix(')')).unwrap_or(&ty);
        bail!("'{name}' takes {takes} and {given} {are} given; its type is {ty}");
    }
    let mut parameters = Vec::with_capacity(arguments.len());
    for (index, (text, ty)) in arguments.iter().zip(ty.params()).enumerate() {
        parameters.push(parse_value(store, text, &ty).with_context(|| format!("argument {} of '{name}'", index + 1))?);
    }
    if matches!(entry, Entry::Export { .. })
        && let Ok(initialize) = instance.get_typed_func::<(), ()>(&mut *store, REACTOR_START)
        && name != REACTOR_START
        && let Err(error) = initialize.call(&mut *store, ())
    {
        return Ok((failed(&error, store, binary), CallTime::default()));
    }
    let mut results = vec![Val::null_any_ref(); ty.results().len()];
    let (ended, call_time) = timed(|| function.call(&mut *store, &parameters, &mut results));
    let outcome = match ended {
        Ok(()) => Outcome::Returned(results.iter().map(|result| display_value(store, result)).collect()),
        Err(error) => failed(&error, store, binary),
    };
    Ok((outcome, call_time))
}

fn no_such_function(name: &str, entry: &Entry, functions: &[&str]) -> anyhow::Error {
    let exported = if functions.is_empty() {
        "it exports no function".to_string()
    } else {
        format!("it exports {}", functions.join(", "))
    };
    match entry {
        Entry::Command => anyhow!(
            "the module is no WASI command: it has no '{COMMAND_START}'; call an export with --invoke ({exported})"
        ),
        Entry::Export { .. } => {
            let suggestion = crate::suggestions::did_you_mean(name, functions.iter().copied());
            anyhow!("the module exports no function '{name}'{suggestion} ({exported})")
        }
    }
}

fn failed(error: &wasmtime::Error, store: &mut Store<Host>, binary: &[u8]) -> Outcome {
    let failure = CallFailure::new(error, store, Some(binary));
    match failure.kind {
        FailureKind::Exit(code) => Outcome::Exited(code),
        _ => Outcome::Failed(failure),
    }
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
