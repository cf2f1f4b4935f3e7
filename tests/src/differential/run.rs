//! Running a module on wasmtime and recording everything about it that a program can observe.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use wasmtime::{
    Collector, Config, Engine, Extern, ExternRef, Instance, Linker, Module, OptLevel, RegallocAlgorithm, Rooted, Store,
    ThrownException, Trap, V128, Val,
};

use crate::generate::coverage::{Coverage, Event};
use crate::generate::program::{Argument, Invocation, Program};

/// A value, compared bit by bit.
#[derive(Copy, Clone, PartialEq, Eq)]
pub enum Value {
    I32(i32),
    I64(i64),
    F32(u32),
    F64(u64),
    V128(u128),
    /// An external reference, by the number that the host gave it; nothing for null.
    Extern(Option<i32>),
    /// A reference, of which no more than its kind and whether it is null can be told.
    Reference(&'static str, bool),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::I32(value) => write!(f, "i32 {value}"),
            Value::I64(value) => write!(f, "i64 {value}"),
            Value::F32(bits) => write!(f, "f32 {} ({bits:#x})", f32::from_bits(*bits)),
            Value::F64(bits) => write!(f, "f64 {} ({bits:#x})", f64::from_bits(*bits)),
            Value::V128(bits) => write!(f, "v128 {bits:#034x}"),
            Value::Extern(Some(number)) => write!(f, "extern {number}"),
            Value::Extern(None) => write!(f, "extern null"),
            Value::Reference(kind, null) => write!(f, "{kind} {}", if *null { "null" } else { "reference" }),
        }
    }
}

/// How a call ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    Returned(Vec<Value>),
    Trapped(TrapKind),
    /// An exception left the module.
    Threw,
}

/// Kinds of traps, as far as two engines or two translations agree on them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TrapKind {
    NullReference,
    Consumed,
    UnhandledTag,
    Unreachable,
    StackOverflow,
    /// An indirect call found nothing in the table.
    MissingFunction,
    /// An indirect call found a function of another type.
    WrongFunction,
    CastFailure,
    /// Any other, by the engine's name for it.
    Other(String),
}

impl TrapKind {
    fn of(trap: Trap) -> TrapKind {
        match trap {
            Trap::NullReference => TrapKind::NullReference,
            Trap::ContinuationAlreadyConsumed => TrapKind::Consumed,
            Trap::UnhandledTag => TrapKind::UnhandledTag,
            Trap::UnreachableCodeReached => TrapKind::Unreachable,
            Trap::StackOverflow => TrapKind::StackOverflow,
            Trap::IndirectCallToNull => TrapKind::MissingFunction,
            Trap::BadSignature => TrapKind::WrongFunction,
            Trap::CastFailure => TrapKind::CastFailure,
            other => TrapKind::Other(other.to_string()),
        }
    }

    /// Whether it is one of those that are one check: of a type that every value but null has, and of null before a cast.
    pub fn checks_reference(&self) -> bool {
        matches!(self, TrapKind::NullReference | TrapKind::CastFailure)
    }

    /// Whether a translation without stack switching may show this trap as that one.
    pub fn may_become(&self, lowered: &TrapKind) -> bool {
        match self {
            // It has to make its own.
            TrapKind::NullReference | TrapKind::Consumed | TrapKind::UnhandledTag => true,
            // Where references cross the module's boundary, an indirect call is a call of a reference from the table, which is cast first.
            TrapKind::MissingFunction | TrapKind::WrongFunction => {
                matches!(lowered, TrapKind::CastFailure | TrapKind::NullReference)
            }
            _ => false,
        }
    }
}

/// What the exported memory holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Contents(pub Vec<u8>);

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// All that a run shows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Observations {
    /// Of the instantiation, if it failed, and then of each invocation.
    pub outcomes: Vec<(String, Outcome)>,
    pub trace: Vec<Value>,
    pub memory: Option<Contents>,
    pub globals: Vec<(String, Value)>,
}

/// How engines are set up for comparisons.
#[derive(Copy, Clone, Debug)]
pub struct EngineOptions {
    /// Off for modules that must not need it.
    pub stack_switching: bool,
    /// Cranelift's own optimiser. Programs are small and run once, so it rarely pays.
    pub optimize: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions { stack_switching: true, optimize: false }
    }
}

/// The stack for calls from the host. Recursion is bounded by fuel, but the frames of unoptimised code are large.
const WASM_STACK: usize = 1 << 20;

/// An engine for many small modules: quick to compile for, quick to instantiate in, and deterministic about NaN.
///
/// # Errors
/// If wasmtime does not take the options.
pub fn engine(options: EngineOptions) -> Result<Engine> {
    let mut config = Config::new();
    config
        .wasm_tail_call(true)
        .wasm_function_references(true)
        .wasm_gc(true)
        .wasm_exceptions(true)
        .wasm_multi_memory(true)
        .wasm_memory64(true)
        .wasm_wide_arithmetic(true)
        .wasm_stack_switching(options.stack_switching)
        // No other collector traces the references in a suspended continuation's frames: see `[profile.dev]` in Cargo.toml.
        .collector(Collector::Null)
        .parallel_compilation(false)
        .epoch_interruption(true)
        .cranelift_opt_level(if options.optimize { OptLevel::Speed } else { OptLevel::None })
        .cranelift_nan_canonicalization(true)
        .wasm_backtrace_max_frames(None)
        .max_wasm_stack(WASM_STACK)
        .memory_reservation(1 << 20)
        .memory_guard_size(0)
        .memory_reservation_for_growth(0)
        .gc_heap_reservation(1 << 20)
        .gc_heap_guard_size(0)
        .gc_heap_reservation_for_growth(1 << 20);
    if !options.optimize {
        config.cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
    }
    Engine::new(&config).map_err(|error| anyhow!("cannot make an engine: {error:?}"))
}

/// What the host functions write to.
#[derive(Default)]
struct Host {
    trace: Vec<Value>,
    coverage: Coverage,
}

/// Runs modules on one engine. The host functions are linked once.
pub struct Runner {
    engine: Engine,
    linker: Linker<Host>,
}

/// Programs end by themselves; what a wrong transformation makes of them may not, and is stopped after so many ticks.
const PATIENCE: u64 = 30;
const TICK: Duration = Duration::from_secs(1);

/// A trace longer than this is cut: a program that logs more than this is stopped by its fuel soon.
const TRACE_LIMIT: usize = 1 << 20;

fn log(host: &mut Host, value: Value) {
    if host.trace.len() < TRACE_LIMIT {
        host.trace.push(value);
    }
}

/// Links what [`HostFunction`](crate::generate::program::HostFunction) lists.
fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap("host", "log_i32", |mut caller: wasmtime::Caller<'_, Host>, value: i32| {
        log(caller.data_mut(), Value::I32(value));
    })?;
    linker.func_wrap("host", "log_i64", |mut caller: wasmtime::Caller<'_, Host>, value: i64| {
        log(caller.data_mut(), Value::I64(value));
    })?;
    linker.func_wrap("host", "log_f32", |mut caller: wasmtime::Caller<'_, Host>, value: f32| {
        log(caller.data_mut(), Value::F32(value.to_bits()));
    })?;
    linker.func_wrap("host", "log_f64", |mut caller: wasmtime::Caller<'_, Host>, value: f64| {
        log(caller.data_mut(), Value::F64(value.to_bits()));
    })?;
    linker.func_wrap("host", "log_v128", |mut caller: wasmtime::Caller<'_, Host>, value: V128| {
        log(caller.data_mut(), Value::V128(value.as_u128()));
    })?;
    linker.func_wrap(
        "host",
        "log_extern",
        |mut caller: wasmtime::Caller<'_, Host>, value: Option<Rooted<ExternRef>>| -> wasmtime::Result<()> {
            let value = match value {
                Some(value) => external(&caller, value)?,
                None => Value::Extern(None),
            };
            log(caller.data_mut(), value);
            Ok(())
        },
    )?;
    linker.func_wrap(
        "host",
        "make_extern",
        |mut caller: wasmtime::Caller<'_, Host>, value: i32| -> wasmtime::Result<Option<Rooted<ExternRef>>> {
            Ok(Some(ExternRef::new(&mut caller, value)?))
        },
    )?;
    linker.func_wrap("host", "cover", |mut caller: wasmtime::Caller<'_, Host>, event: i32, argument: i32| -> i32 {
        match Event::from_number(event) {
            Some(event) => caller.data_mut().coverage.record(event, argument),
            None => 0,
        }
    })?;
    Ok(())
}

impl Runner {
    /// A runner on a new engine.
    ///
    /// # Errors
    /// If wasmtime does not take the options.
    pub fn new(options: EngineOptions) -> Result<Runner> {
        let engine = engine(options)?;
        let ticking = engine.weak();
        std::thread::spawn(move || {
            while let Some(engine) = ticking.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        });
        let mut linker: Linker<Host> = Linker::new(&engine);
        link(&mut linker).map_err(|error| anyhow!("cannot link the host functions: {error:?}"))?;
        Ok(Runner { engine, linker })
    }

    /// Runs a program's invocations on an encoding of it.
    ///
    /// # Errors
    /// If the module is refused; a trap is an outcome.
    pub fn run(&self, program: &Program, wasm: &[u8]) -> Result<Observations> {
        self.run_covered(program, wasm).map(|(observations, _)| observations)
    }

    /// The same, with what an instrumented encoding reported.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_covered(&self, program: &Program, wasm: &[u8]) -> Result<(Observations, Coverage)> {
        let module = Module::new(&self.engine, wasm)
            .map_err(|error| anyhow!("{error:?}"))
            .context("wasmtime refuses the module")?;
        let mut store = Store::new(&self.engine, Host::default());
        store.set_epoch_deadline(PATIENCE);
        let mut observations = Observations::default();
        match self.linker.instantiate(&mut store, &module) {
            Err(error) => observations.outcomes.push(("instantiation".to_string(), failure(&mut store, error)?)),
            Ok(instance) => {
                for invocation in &program.invocations {
                    store.data_mut().coverage.start_invocation();
                    let name = &program.functions[invocation.function as usize].name;
                    let outcome = invoke(&mut store, &instance, name, invocation)?;
                    observations.outcomes.push((name.clone(), outcome));
                }
                observe(&mut store, &instance, &mut observations);
            }
        }
        let host = store.into_data();
        observations.trace = host.trace;
        Ok((observations, host.coverage))
    }
}

fn external(store: impl wasmtime::AsContext, value: Rooted<ExternRef>) -> wasmtime::Result<Value> {
    let data = value.data(&store)?;
    Ok(match data.and_then(|data| data.downcast_ref::<i32>().copied()) {
        Some(number) => Value::Extern(Some(number)),
        None => Value::Reference("extern", false),
    })
}

fn invoke(store: &mut Store<Host>, instance: &Instance, name: &str, invocation: &Invocation) -> Result<Outcome> {
    let function =
        instance.get_func(&mut *store, name).with_context(|| format!("the module exports no function {name}"))?;
    let arguments: Vec<Val> = invocation
        .arguments
        .iter()
        .map(|argument| match *argument {
            Argument::I32(value) => Val::I32(value),
            Argument::I64(value) => Val::I64(value),
            Argument::F32(value) => Val::F32(value.to_bits()),
            Argument::F64(value) => Val::F64(value.to_bits()),
        })
        .collect();
    let mut results = vec![Val::I32(0); function.ty(&*store).results().len()];
    match function.call(&mut *store, &arguments, &mut results) {
        Ok(()) => Ok(Outcome::Returned(results.iter().map(|value| self::value(store, value)).collect())),
        Err(error) => failure(store, error),
    }
}

/// What an error of the engine says about the program; an error that says nothing about it is passed on.
fn failure(store: &mut Store<Host>, error: wasmtime::Error) -> Result<Outcome> {
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return Ok(Outcome::Trapped(TrapKind::of(*trap)));
    }
    if error.is::<ThrownException>() {
        let _ = store.take_pending_exception();
        return Ok(Outcome::Threw);
    }
    Err(anyhow!("the engine failed: {error:?}"))
}

fn value(store: &Store<Host>, value: &Val) -> Value {
    match value {
        Val::I32(value) => Value::I32(*value),
        Val::I64(value) => Value::I64(*value),
        Val::F32(bits) => Value::F32(*bits),
        Val::F64(bits) => Value::F64(*bits),
        Val::V128(value) => Value::V128(value.as_u128()),
        Val::ExternRef(None) => Value::Extern(None),
        Val::ExternRef(Some(reference)) => external(store, *reference).unwrap_or(Value::Reference("extern", false)),
        Val::FuncRef(reference) => Value::Reference("func", reference.is_none()),
        Val::AnyRef(reference) => Value::Reference("any", reference.is_none()),
        Val::ExnRef(reference) => Value::Reference("exn", reference.is_none()),
        Val::ContRef(reference) => Value::Reference("cont", reference.is_none()),
    }
}

fn observe(store: &mut Store<Host>, instance: &Instance, observations: &mut Observations) {
    let exports: Vec<(String, Extern)> =
        instance.exports(&mut *store).map(|export| (export.name().to_string(), export.into_extern())).collect();
    for (name, export) in exports {
        match export {
            Extern::Global(global) => {
                let value = global.get(&mut *store);
                let value = self::value(store, &value);
                observations.globals.push((name, value));
            }
            Extern::Memory(memory) => {
                observations.memory = Some(Contents(memory.data(&*store).to_vec()));
            }
            _ => {}
        }
    }
    observations.globals.sort_by(|left, right| left.0.cmp(&right.0));
}
