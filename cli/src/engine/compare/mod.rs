//! Differential execution: two versions of a module, the same imports, the same calls; the first difference is reported.
//!
//! Both versions get imports that are functions of nothing but names, arguments and a seed. Every export that the host can call
//! is called in rounds with seeded arguments. After each call these have to agree: results, or the kind of trap, or the exception's
//! payload; the calls made to imports and their arguments; exported globals, tables and memories.
//!
//! What a module may do differently without being wrong does not count: the payload of a NaN where WebAssembly leaves it open, and
//! the amount of fuel, stack or heap needed. A call that runs into such a limit on either side is inconclusive: both sides start
//! afresh and the comparison goes on.

mod host;
mod observe;
mod random;

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use wasmtime::{Extern, Instance, Linker, Module, Store, Trap, Val};

use self::host::Host;
use self::observe::{Observed, State};
use self::random::Random;
use super::failure::{CallFailure, FailureKind};
use super::values::refuse_impassable;
use super::{Collector, EngineOptions, WasmEngine, compile, engine_error};

/// How thoroughly to compare, and within which bounds.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// Makes arguments and imports; another seed tests other calls.
    pub seed: u64,
    /// How often each export is called.
    pub rounds: u32,
    /// Fuel for each call, about one unit for each instruction.
    pub fuel: u64,
    /// Time for each call, where fuel does not bound it.
    pub call_timeout: Duration,
    /// Time for the whole comparison; calls that do not fit are not made.
    pub timeout: Duration,
    /// Bytes that a memory may grow to.
    pub memory_limit: usize,
    /// Whether traps must be of the same kind. A lowered module traps where it should, but on other instructions, and of two traps the optimiser may
    /// take either first.
    pub compare_trap_kinds: bool,
    /// Whether a call that traps may do anything at all in the second version.
    pub traps_never_happen: bool,
}

impl Default for CompareOptions {
    fn default() -> Self {
        CompareOptions {
            seed: 0,
            rounds: 4,
            fuel: 20_000_000,
            call_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(120),
            memory_limit: 512 << 20,
            compare_trap_kinds: true,
            traps_never_happen: false,
        }
    }
}

/// After what two versions were looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Occasion {
    /// Instantiation, before any call.
    Instantiation,
    /// A call.
    Call {
        /// The export that was called.
        function: String,
        /// Its arguments as text.
        arguments: Vec<String>,
    },
    /// A round of calls, one of each export.
    Round,
}

/// Where and how two versions differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// After what they do.
    pub occasion: Occasion,
    /// What was compared, such as `result` or `memory 'memory' at 0x400`.
    pub what: String,
    /// What the first version did.
    pub before: String,
    /// What the second version did.
    pub after: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.occasion {
            Occasion::Instantiation => write!(formatter, "on instantiation: ")?,
            Occasion::Call { function, arguments } => write!(formatter, "'{function}'({}): ", arguments.join(", "))?,
            Occasion::Round => write!(formatter, "after a round of calls: ")?,
        }
        write!(formatter, "{}: before: {}; after: {}", self.what, self.before, self.after)
    }
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The first difference, if there is any.
    pub difference: Option<Difference>,
    /// Calls that both versions answered, and answered the same.
    pub calls: usize,
    /// Calls that ran into a limit on at least one side.
    pub inconclusive: usize,
    /// Exports, or the whole module, that could not be tried, and why.
    pub not_tried: Vec<String>,
}

impl Comparison {
    /// Whether no difference was found.
    pub fn is_equal(&self) -> bool {
        self.difference.is_none()
    }
}

/// Compares versions of modules; makes its engines once.
pub struct Comparer {
    engine: WasmEngine,
    /// For modules with continuations, see [`EngineOptions::for_module`].
    without_collector: WasmEngine,
    options: CompareOptions,
}

impl Comparer {
    /// A comparer with an engine of its own.
    ///
    /// # Errors
    /// If the engine does not take its options.
    pub fn new(options: CompareOptions) -> Result<Comparer> {
        let engine_options = EngineOptions { fuel: true, ..EngineOptions::for_tests() };
        let without_collector = EngineOptions { collector: Collector::Null, ..engine_options.clone() }.build()?;
        Ok(Comparer { engine: engine_options.build()?, without_collector, options })
    }

    /// Compares two versions of a module.
    ///
    /// # Errors
    /// If they cannot be compared: the engine refuses one of them.
    pub fn compare(&self, before: &[u8], after: &[u8]) -> Result<Comparison> {
        let suited = EngineOptions::for_tests().for_module(before).collector;
        let engine = if suited == Collector::Null { &self.without_collector } else { &self.engine };
        let before = compile(engine, before).context("the engine does not take the module before")?;
        let after = compile(engine, after).context("the engine does not take the module after")?;
        engine.on_wasm_thread(|| {
            let comparison = self.run(engine, [&before, &after], MemoryChecks::EachRound)?;
            match &comparison.difference {
                // Big memories are compared after each round only; once they differ, do it again to find out after which call.
                Some(Difference { occasion: Occasion::Round, .. }) => {
                    self.run(engine, [&before, &after], MemoryChecks::EachCall)
                }
                _ => Ok(comparison),
            }
        })?
    }

    fn run<'c>(
        &'c self,
        engine: &'c WasmEngine,
        modules: [&'c Module; 2],
        memory_checks: MemoryChecks,
    ) -> Result<Comparison> {
        let mut run = Comparing {
            comparer: self,
            engine,
            modules,
            comparison: Comparison::default(),
            hopeless: BTreeSet::new(),
            started: Instant::now(),
            memory_checks,
        };
        run.compare_all()?;
        Ok(run.comparison)
    }
}

/// Compares two versions of a module with engines made for this comparison.
///
/// # Errors
/// As [`Comparer::new`] and [`Comparer::compare`].
pub fn compare(before: &[u8], after: &[u8], options: CompareOptions) -> Result<Comparison> {
    Comparer::new(options)?.compare(before, after)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MemoryChecks {
    /// Small memories after each call, big ones after each round.
    EachRound,
    /// All after each call.
    EachCall,
}

struct Comparing<'c> {
    comparer: &'c Comparer,
    engine: &'c WasmEngine,
    modules: [&'c Module; 2],
    comparison: Comparison,
    /// Exports that ran into a limit: they would again.
    hopeless: BTreeSet<String>,
    started: Instant,
    memory_checks: MemoryChecks,
}

/// One version, instantiated.
struct Side {
    store: Store<Host>,
    instance: Instance,
}

enum Ending {
    Returned(Vec<Observed>),
    Failed(FailureKind),
}

/// Both sides ready to be called, or why not.
enum Start {
    Ready(Box<[Side; 2]>),
    /// Nothing can be called, and there is no difference in that.
    Nothing,
}

impl Comparing<'_> {
    fn compare_all(&mut self) -> Result<()> {
        let Start::Ready(mut sides) = self.start()? else { return Ok(()) };
        if self.state_differs(&mut sides, Occasion::Instantiation, true)? {
            return Ok(());
        }
        let functions: Vec<String> = self.modules[0]
            .exports()
            .filter(|export| matches!(export.ty(), wasmtime::ExternType::Func(_)))
            .map(|export| export.name().to_string())
            .collect();
        let mut random = Random::new(self.options().seed);
        for _ in 0..self.options().rounds {
            for name in &functions {
                if self.started.elapsed() > self.options().timeout {
                    self.comparison.not_tried.push("the time for the comparison ran out".to_string());
                    return Ok(());
                }
                if self.hopeless.contains(name) {
                    continue;
                }
                match self.call_both(&mut sides, name, &mut random)? {
                    Verdict::Same => self.comparison.calls += 1,
                    Verdict::Different => return Ok(()),
                    Verdict::NotTried => {
                        self.hopeless.insert(name.clone());
                    }
                    Verdict::Inconclusive => {
                        self.comparison.inconclusive += 1;
                        self.hopeless.insert(name.clone());
                        let Start::Ready(fresh) = self.start()? else { return Ok(()) };
                        sides = fresh;
                    }
                }
            }
            if self.state_differs(&mut sides, Occasion::Round, true)? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn options(&self) -> &CompareOptions {
        &self.comparer.options
    }

    /// Instantiates both sides with fresh state.
    fn start(&mut self) -> Result<Start> {
        let [before, after] = self.modules;
        let failures = match (self.instantiate(before)?, self.instantiate(after)?) {
            (Ok(before), Ok(after)) => return Ok(Start::Ready(Box::new([before, after]))),
            (before, after) => [before.err(), after.err()],
        };
        if failures.iter().flatten().any(is_inconclusive) {
            let reasons: Vec<String> = failures.iter().flatten().map(ToString::to_string).collect();
            self.comparison.not_tried.push(format!("the module cannot be instantiated: {}", reasons.join("; ")));
            return Ok(Start::Nothing);
        }
        let [before, after] = failures.each_ref().map(Option::as_ref);
        let excused = self.options().traps_never_happen && before.is_some();
        if !excused && !before.zip(after).is_some_and(|(before, after)| self.same_failure(before, after)) {
            let describe =
                |failure: Option<&FailureKind>| failure.map_or("instantiated".to_string(), ToString::to_string);
            self.report(Occasion::Instantiation, "instantiation", describe(before), describe(after));
        }
        Ok(Start::Nothing)
    }

    fn instantiate(&self, module: &Module) -> Result<Result<Side, FailureKind>> {
        let engine = self.engine;
        let mut store = Store::new(engine, Host::new(self.options().memory_limit));
        store.limiter(|host| &mut host.limits);
        self.arm(&mut store)?;
        let mut linker = Linker::new(engine);
        if let Err(reason) = host::define_imports(&mut linker, &mut store, module, self.options().seed) {
            return Ok(Err(FailureKind::Host(format!("{reason:#}"))));
        }
        match linker.instantiate(&mut store, module) {
            Ok(instance) => Ok(Ok(Side { store, instance })),
            Err(error) => Ok(Err(CallFailure::new(&error, &mut store, None).kind)),
        }
    }

    /// Gives a store the bounds for one call.
    fn arm(&self, store: &mut Store<Host>) -> Result<()> {
        store.set_fuel(self.options().fuel).map_err(engine_error)?;
        self.engine.set_timeout(store, Some(self.options().call_timeout));
        Ok(())
    }

    fn call_both(&mut self, sides: &mut [Side; 2], name: &str, random: &mut Random) -> Result<Verdict> {
        let mut endings = Vec::with_capacity(2);
        let mut shown = Vec::new();
        let argument_seed = random.next();
        for (index, side) in sides.iter_mut().enumerate() {
            let Some(Extern::Func(function)) = side.instance.get_export(&mut side.store, name) else {
                let occasion = Occasion::Call { function: name.to_string(), arguments: Vec::new() };
                self.report(occasion, "export", "a function".to_string(), "missing".to_string());
                return Ok(Verdict::Different);
            };
            let ty = function.ty(&side.store);
            if let Err(reason) = refuse_impassable(name, &ty) {
                self.comparison.not_tried.push(reason.to_string());
                return Ok(Verdict::NotTried);
            }
            let mut argument_random = Random::new(argument_seed);
            let mut arguments = Vec::new();
            for parameter in ty.params() {
                match host::value(&mut side.store, &parameter, &mut argument_random)? {
                    Some(argument) => arguments.push(argument),
                    None => {
                        let reason =
                            format!("'{name}' has a parameter of type {parameter}, which the host cannot make");
                        self.comparison.not_tried.push(reason);
                        return Ok(Verdict::NotTried);
                    }
                }
            }
            if index == 0 {
                shown =
                    arguments.iter().map(|argument| super::values::display_value(&mut side.store, argument)).collect();
            }
            side.store.data_mut().trace.clear();
            self.arm(&mut side.store)?;
            let mut results = vec![Val::null_any_ref(); ty.results().len()];
            endings.push(match function.call(&mut side.store, &arguments, &mut results) {
                Ok(()) => {
                    Ending::Returned(results.iter().map(|result| Observed::of(&mut side.store, result)).collect())
                }
                Err(error) => Ending::Failed(CallFailure::new(&error, &mut side.store, None).kind),
            });
        }
        let [before, after] = <[Ending; 2]>::try_from(endings).ok().context("two sides have two endings")?;
        let occasion = Occasion::Call { function: name.to_string(), arguments: shown };
        self.judge(sides, occasion, &before, &after)
    }

    fn judge(&mut self, sides: &mut [Side; 2], occasion: Occasion, before: &Ending, after: &Ending) -> Result<Verdict> {
        let limited = |ending: &Ending| matches!(ending, Ending::Failed(kind) if is_inconclusive(kind));
        if limited(before) || limited(after) {
            return Ok(Verdict::Inconclusive);
        }
        if self.options().traps_never_happen && matches!(before, Ending::Failed(FailureKind::Trap(_))) {
            return Ok(Verdict::Inconclusive);
        }
        let (what, same) = match (before, after) {
            (Ending::Returned(before), Ending::Returned(after)) => ("result", observe::all_agree(before, after)),
            (Ending::Failed(before), Ending::Failed(after)) => ("failure", self.same_failure(before, after)),
            _ => ("ending", false),
        };
        if !same {
            self.report(occasion, what, before.to_string(), after.to_string());
            return Ok(Verdict::Different);
        }
        let [first, second] = sides;
        if let Some((index, before, after)) = first.store.data().trace.first_difference(&second.store.data().trace) {
            self.report(occasion, &format!("call {index} of an import"), before, after);
            return Ok(Verdict::Different);
        }
        let big_memories = self.memory_checks == MemoryChecks::EachCall;
        if self.state_differs(sides, occasion, big_memories)? {
            return Ok(Verdict::Different);
        }
        Ok(Verdict::Same)
    }

    fn same_failure(&self, before: &FailureKind, after: &FailureKind) -> bool {
        match (before, after) {
            (FailureKind::Trap(before), FailureKind::Trap(after)) => {
                // A cast to a type that every value but null has is a null check, and the null check before a cast is part of it.
                let checks_reference = |trap: &Trap| matches!(trap, Trap::NullReference | Trap::CastFailure);
                before == after
                    || checks_reference(before) && checks_reference(after)
                    || !self.options().compare_trap_kinds
            }
            (FailureKind::Exception(before), FailureKind::Exception(after)) => observe::payloads_agree(before, after),
            _ => before == after,
        }
    }

    /// Compares what both sides export besides functions, and reports a difference.
    fn state_differs(&mut self, sides: &mut [Side; 2], occasion: Occasion, big_memories: bool) -> Result<bool> {
        let [first, second] = sides;
        let before = State { store: &mut first.store, instance: first.instance };
        let after = State { store: &mut second.store, instance: second.instance };
        let Some((what, before, after)) =
            observe::first_difference_of_state(before, after, self.modules[0], big_memories)
        else {
            return Ok(false);
        };
        self.report(occasion, &what, before, after);
        Ok(true)
    }

    fn report(&mut self, occasion: Occasion, what: &str, before: String, after: String) {
        self.comparison.difference = Some(Difference { occasion, what: what.to_string(), before, after });
    }
}

enum Verdict {
    Same,
    Different,
    Inconclusive,
    NotTried,
}

impl fmt::Display for Ending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Returned(results) if results.is_empty() => formatter.write_str("returns"),
            Ending::Returned(results) => {
                let results: Vec<String> = results.iter().map(ToString::to_string).collect();
                formatter.write_str(&results.join(", "))
            }
            Ending::Failed(kind) => write!(formatter, "{kind}"),
        }
    }
}

/// Whether a failure says something about limits of the engine or the host and nothing about the module.
fn is_inconclusive(kind: &FailureKind) -> bool {
    match kind {
        FailureKind::Trap(trap) => {
            matches!(trap, Trap::StackOverflow | Trap::OutOfFuel | Trap::Interrupt | Trap::AllocationTooLarge)
        }
        FailureKind::Host(_) => true,
        FailureKind::Exception(_) | FailureKind::Exit(_) => false,
    }
}

#[cfg(test)]
mod tests;
