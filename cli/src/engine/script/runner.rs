//! Executes the directives of a script.

use std::thread::{Scope, ScopedJoinHandle};

use anyhow::{Result, bail};
use rustc_hash::FxHashMap;
use wasmtime::{Extern, Linker, Module, Store, Val};
use wast::core::WastArgCore;
use wast::token::{Id, Span};
use wast::{QuoteWat, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, WastThread, Wat};

use super::{DirectiveOutcome, DirectiveReport, ScriptOptions, expectation, trap_message};
use crate::engine::failure::{CallFailure, FailureKind};
use crate::engine::values::{
    counted, display_value, host_reference, is_impassable, null_of, number_from, refuse_impassable,
};
use crate::engine::{self, WasmEngine, engine_error, panics, spectest};
use crate::validate;

/// Values as a list in a message.
fn list(values: &[String]) -> String {
    format!("[{}]", values.join(", "))
}

/// Runs all directives.
///
/// # Errors
/// If the engine cannot be set up.
pub fn run(
    engine: &WasmEngine,
    name: &str,
    text: &str,
    script: Wast<'_>,
    options: &ScriptOptions<'_>,
) -> Result<Vec<DirectiveReport>> {
    let lines = Lines::of(text);
    std::thread::scope(|scope| {
        let shared = Shared { engine, script: name, lines: &lines, options };
        let mut runner = Runner::new(scope, shared)?;
        runner.run_all(script.directives);
        Ok(runner.finish())
    })
}

/// What all threads of a script share.
#[derive(Clone, Copy)]
struct Shared<'env> {
    engine: &'env WasmEngine,
    script: &'env str,
    lines: &'env Lines,
    options: &'env ScriptOptions<'env>,
}

/// What the store of a script holds: scripts print, but nobody looks.
struct Host;

impl spectest::Printer for Host {
    fn print(&mut self, _: &str) {}
}

type Exports = FxHashMap<String, Extern>;

/// What became of a module, for directives that refer to it.
#[derive(Clone)]
enum Instantiated {
    Exports(Exports),
    /// It is not there, and why.
    Absent(String),
}

struct Runner<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    shared: Shared<'env>,
    store: Store<Host>,
    linker: Linker<Host>,
    current: Instantiated,
    named: FxHashMap<String, Instantiated>,
    /// Names that scripts registered for modules which are not there, and why.
    absent: FxHashMap<String, String>,
    last_definition: Option<Result<Module, String>>,
    named_definitions: FxHashMap<String, Result<Module, String>>,
    threads: FxHashMap<String, ScopedJoinHandle<'scope, Vec<DirectiveReport>>>,
    reports: Vec<DirectiveReport>,
}

/// Why a module is not there to be called.
enum Unavailable {
    Failed(String),
    Refused(String),
    Skipped(String),
}

impl From<Unavailable> for DirectiveOutcome {
    fn from(unavailable: Unavailable) -> Self {
        match unavailable {
            Unavailable::Failed(reason) => DirectiveOutcome::Failed(reason),
            Unavailable::Refused(reason) => DirectiveOutcome::EngineRefused(reason),
            Unavailable::Skipped(reason) => DirectiveOutcome::Skipped(reason),
        }
    }
}

impl Unavailable {
    /// For what depends on the module.
    fn consequence(&self) -> String {
        match self {
            Unavailable::Failed(reason) => format!("its module failed: {reason}"),
            Unavailable::Refused(reason) => format!("the engine refused its module: {reason}"),
            Unavailable::Skipped(reason) => reason.clone(),
        }
    }
}

/// What an action of a script did.
enum Action {
    Returned(Vec<Val>),
    Failed(CallFailure),
}

impl<'scope, 'env> Runner<'scope, 'env> {
    fn new(scope: &'scope Scope<'scope, 'env>, shared: Shared<'env>) -> Result<Self> {
        let mut store = Store::new(shared.engine, Host);
        let mut linker = Linker::new(shared.engine);
        linker.allow_shadowing(true);
        spectest::define(&mut linker, &mut store)?;
        Ok(Runner {
            scope,
            shared,
            store,
            linker,
            current: Instantiated::Absent("no module has been instantiated".to_string()),
            named: FxHashMap::default(),
            absent: FxHashMap::default(),
            last_definition: None,
            named_definitions: FxHashMap::default(),
            threads: FxHashMap::default(),
            reports: Vec::new(),
        })
    }

    fn run_all(&mut self, directives: Vec<WastDirective<'env>>) {
        for directive in directives {
            let (line, column) = self.shared.lines.position(directive.span());
            let keyword = keyword(&directive);
            let outcome = self.run_directive(directive, line);
            self.reports.push(DirectiveReport { line, column, directive: keyword, outcome });
        }
    }

    fn finish(mut self) -> Vec<DirectiveReport> {
        // Threads that the script does not wait for have to end anyway, and what they did counts. In the order of their names.
        let mut threads: Vec<_> = self.threads.drain().collect();
        threads.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (_, thread) in threads {
            self.reports.extend(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        self.reports
    }

    fn run_directive(&mut self, directive: WastDirective<'env>, line: usize) -> DirectiveOutcome {
        match directive {
            WastDirective::Module(mut module) => {
                let name = module.name();
                let instance = self.compile(&mut module, line).and_then(|module| self.instantiate(&module));
                self.define_instance(name, instance)
            }
            WastDirective::ModuleDefinition(mut module) => {
                let name = module.name();
                let compiled = self.compile(&mut module, line);
                let definition = match &compiled {
                    Ok(module) => Ok(module.clone()),
                    Err(unavailable) => Err(unavailable.consequence()),
                };
                if let Some(name) = name {
                    self.named_definitions.insert(name.name().to_string(), definition.clone());
                }
                self.last_definition = Some(definition);
                compiled.map_or_else(DirectiveOutcome::from, |_| DirectiveOutcome::Passed)
            }
            WastDirective::ModuleInstance { instance, module, .. } => {
                let definition = match module {
                    Some(name) => self.named_definitions.get(name.name()).cloned(),
                    None => self.last_definition.clone(),
                };
                let instantiated = match definition {
                    Some(Ok(module)) => self.instantiate(&module),
                    Some(Err(reason)) => Err(Unavailable::Skipped(reason)),
                    None => Err(Unavailable::Failed("no such module definition".to_string())),
                };
                self.define_instance(instance, instantiated)
            }
            WastDirective::Register { name, module, .. } => self.register(name, module),
            WastDirective::AssertMalformed { module, message, .. }
            | WastDirective::AssertInvalid { module, message, .. }
            | WastDirective::AssertInvalidCustom { module, message, .. }
            | WastDirective::AssertMalformedCustom { module, message, .. } => self.assert_rejected(module, message),
            WastDirective::AssertUnlinkable { module, message, .. } => self.assert_unlinkable(module, message),
            WastDirective::Invoke(invoke) => match self.invoke(&invoke) {
                Ok(Action::Returned(_)) => DirectiveOutcome::Passed,
                Ok(Action::Failed(failure)) => DirectiveOutcome::Failed(failure.kind.to_string()),
                Err(unavailable) => unavailable.into(),
            },
            WastDirective::AssertReturn { exec, results, .. } => self.assert_return(exec, &results, line),
            WastDirective::AssertTrap { exec, message, .. } => {
                let check = self.shared.options.check_trap_messages;
                self.assert_failure(exec, line, &format!("a trap: {message}"), |kind| match kind {
                    FailureKind::Trap(trap) => !check || trap_message::describes(message, *trap),
                    _ => false,
                })
            }
            WastDirective::AssertExhaustion { call, .. } => {
                self.assert_failure(WastExecute::Invoke(call), line, "stack exhaustion", |kind| {
                    matches!(kind, FailureKind::Trap(wasmtime::Trap::StackOverflow))
                })
            }
            WastDirective::AssertException { exec, .. } => {
                self.assert_failure(exec, line, "an exception", |kind| matches!(kind, FailureKind::Exception(_)))
            }
            WastDirective::AssertSuspension { exec, .. } => {
                let check = self.shared.options.check_trap_messages;
                self.assert_failure(exec, line, "an unhandled suspension", |kind| match kind {
                    FailureKind::Trap(trap) => !check || *trap == wasmtime::Trap::UnhandledTag,
                    _ => false,
                })
            }
            WastDirective::Thread(thread) => self.start_thread(thread),
            WastDirective::Wait { thread, .. } => match self.threads.remove(thread.name()) {
                Some(handle) => {
                    let reports = handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                    self.reports.extend(reports);
                    DirectiveOutcome::Passed
                }
                None => DirectiveOutcome::Failed(format!("no thread ${} is running", thread.name())),
            },
        }
    }

    /// A script's module on its way to the engine: assembled, validated, transformed, validated again, compiled.
    fn compile(&mut self, module: &mut QuoteWat<'_>, line: usize) -> Result<Module, Unavailable> {
        let name = match module.name() {
            Some(name) => format!("{}:{line} (${})", self.shared.script, name.name()),
            None => format!("{}:{line}", self.shared.script),
        };
        let failed = |what: &str, error: &dyn std::fmt::Display| Unavailable::Failed(format!("{what}: {error}"));
        let features = self.shared.options.features;
        let binary = module.encode().map_err(|error| failed("cannot be assembled", &error.message()))?;
        validate::check(&binary, features).map_err(|error| failed("our validator rejects a valid module", &error))?;
        let binary = match self.shared.options.transform {
            None => binary,
            Some(transform) => {
                let transformed = transform(&name, &binary)
                    .map_err(|error| failed("the transformation failed", &format!("{error:#}")))?;
                validate::check(&transformed, features)
                    .map_err(|error| failed("the transformation gave an invalid module", &error))?;
                transformed
            }
        };
        engine::compile(self.shared.engine, &binary).map_err(|error| Unavailable::Refused(format!("{error:#}")))
    }

    fn instantiate(&mut self, module: &Module) -> Result<Exports, Unavailable> {
        match self.try_instantiate(module)? {
            Ok(exports) => Ok(exports),
            Err(failure) => Err(Unavailable::Failed(failure.kind.to_string())),
        }
    }

    fn try_instantiate(&mut self, module: &Module) -> Result<Result<Exports, CallFailure>, Unavailable> {
        if let Some(reason) = module.imports().find_map(|import| self.absent.get(import.module())) {
            return Err(Unavailable::Skipped(reason.clone()));
        }
        self.start_clock();
        match self.linker.instantiate(&mut self.store, module) {
            Ok(instance) => {
                let exports: Vec<_> = instance
                    .exports(&mut self.store)
                    .map(|export| (export.name().to_string(), export.into_extern()))
                    .collect();
                Ok(Ok(exports.into_iter().collect()))
            }
            Err(error) => Ok(Err(CallFailure::new(&error, &mut self.store, None))),
        }
    }

    fn start_clock(&mut self) {
        self.shared.engine.set_timeout(&mut self.store, Some(self.shared.options.timeout));
    }

    fn define_instance(&mut self, name: Option<Id<'_>>, instance: Result<Exports, Unavailable>) -> DirectiveOutcome {
        let (instantiated, outcome) = match instance {
            Ok(exports) => (Instantiated::Exports(exports), DirectiveOutcome::Passed),
            Err(unavailable) => (Instantiated::Absent(unavailable.consequence()), unavailable.into()),
        };
        if let Some(name) = name {
            self.named.insert(name.name().to_string(), instantiated.clone());
        }
        self.current = instantiated;
        outcome
    }

    fn module(&self, name: Option<Id<'_>>) -> Result<&Exports, Unavailable> {
        let instantiated = match name {
            None => &self.current,
            Some(name) => self
                .named
                .get(name.name())
                .ok_or_else(|| Unavailable::Failed(format!("there is no module ${}", name.name())))?,
        };
        match instantiated {
            Instantiated::Exports(exports) => Ok(exports),
            Instantiated::Absent(reason) => Err(Unavailable::Skipped(reason.clone())),
        }
    }

    fn register(&mut self, name: &str, module: Option<Id<'_>>) -> DirectiveOutcome {
        let exports = match self.module(module) {
            Ok(exports) => exports.clone(),
            Err(unavailable) => {
                self.absent.insert(name.to_string(), unavailable.consequence());
                return unavailable.into();
            }
        };
        self.absent.remove(name);
        for (export, definition) in exports {
            if let Err(error) = self.linker.define(&mut self.store, name, &export, definition) {
                return DirectiveOutcome::Failed(format!("{:#}", engine_error(error)));
            }
        }
        DirectiveOutcome::Passed
    }

    fn assert_rejected(&mut self, mut module: QuoteWat<'_>, message: &str) -> DirectiveOutcome {
        // The assembler may find the fault while parsing or resolving names; the messages are the reference interpreter's own.
        let Ok(binary) = module.encode() else { return DirectiveOutcome::Passed };
        match validate::check(&binary, self.shared.options.features) {
            Ok(()) => DirectiveOutcome::Failed(format!("accepted, but expected: {message}")),
            Err(_) => DirectiveOutcome::Passed,
        }
    }

    fn assert_unlinkable(&mut self, module: Wat<'_>, message: &str) -> DirectiveOutcome {
        let features = self.shared.options.features;
        let compiled = QuoteWat::Wat(module).encode().map_err(|error| Unavailable::Failed(error.message()));
        let compiled = compiled.and_then(|binary| {
            validate::check(&binary, features)
                .map_err(|error| Unavailable::Failed(format!("our validator rejects a valid module: {error}")))?;
            engine::compile(self.shared.engine, &binary).map_err(|error| Unavailable::Refused(format!("{error:#}")))
        });
        match compiled.and_then(|module| self.try_instantiate(&module)) {
            Ok(Ok(_)) => DirectiveOutcome::Failed(format!("linked, but expected: {message}")),
            Ok(Err(CallFailure { kind: FailureKind::Host(_), .. })) => DirectiveOutcome::Passed,
            Ok(Err(failure)) => DirectiveOutcome::Failed(format!("{}, but expected: {message}", failure.kind)),
            Err(unavailable) => unavailable.into(),
        }
    }

    fn execute(&mut self, action: WastExecute<'_>, line: usize) -> Result<Action, Unavailable> {
        match action {
            WastExecute::Invoke(invoke) => self.invoke(&invoke),
            WastExecute::Wat(module) => {
                let module = self.compile(&mut QuoteWat::Wat(module), line)?;
                Ok(match self.try_instantiate(&module)? {
                    Ok(_) => Action::Returned(Vec::new()),
                    Err(failure) => Action::Failed(failure),
                })
            }
            WastExecute::Get { module, global, .. } => match self.module(module)?.get(global) {
                Some(Extern::Global(found)) => {
                    let found = *found;
                    if is_impassable(found.ty(&self.store).content()) {
                        let reason = format!(
                            "the global '{global}' holds a continuation, which the engine cannot show its host"
                        );
                        return Err(Unavailable::Failed(reason));
                    }
                    Ok(Action::Returned(vec![found.get(&mut self.store)]))
                }
                _ => Err(Unavailable::Failed(format!("there is no exported global '{global}'"))),
            },
        }
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Result<Action, Unavailable> {
        let Some(Extern::Func(function)) = self.module(invoke.module)?.get(invoke.name) else {
            return Err(Unavailable::Failed(format!("there is no exported function '{}'", invoke.name)));
        };
        let function = *function;
        let ty = function.ty(&self.store);
        refuse_impassable(invoke.name, &ty).map_err(|error| Unavailable::Failed(error.to_string()))?;
        if ty.params().len() != invoke.args.len() {
            return Err(Unavailable::Failed(format!(
                "'{}' takes {}",
                invoke.name,
                counted(ty.params().len(), "argument")
            )));
        }
        let mut arguments = Vec::with_capacity(invoke.args.len());
        for (argument, ty) in invoke.args.iter().zip(ty.params()) {
            let value = self.argument(argument, &ty).map_err(|error| Unavailable::Failed(error.to_string()))?;
            arguments.push(value);
        }
        let mut results = vec![Val::null_any_ref(); ty.results().len()];
        self.start_clock();
        Ok(match function.call(&mut self.store, &arguments, &mut results) {
            Ok(()) => Action::Returned(results),
            Err(error) => Action::Failed(CallFailure::new(&error, &mut self.store, None)),
        })
    }

    fn argument(&mut self, argument: &WastArg<'_>, ty: &wasmtime::ValType) -> Result<Val> {
        let WastArg::Core(argument) = argument else { bail!("component values are not supported") };
        if let Some(number) = number_from(argument) {
            return Ok(number);
        }
        Ok(match argument {
            WastArgCore::RefExtern(number) => Val::ExternRef(Some(host_reference(&mut self.store, *number)?)),
            WastArgCore::RefHost(number) => {
                let external = host_reference(&mut self.store, *number)?;
                Val::AnyRef(Some(wasmtime::AnyRef::convert_extern(&mut self.store, external).map_err(engine_error)?))
            }
            _ => match ty {
                wasmtime::ValType::Ref(reference) => null_of(reference.heap_type()),
                _ => bail!("a null reference is given for a parameter of type {ty}"),
            },
        })
    }

    fn assert_return(&mut self, action: WastExecute<'_>, expected: &[WastRet<'_>], line: usize) -> DirectiveOutcome {
        let results = match self.execute(action, line) {
            Ok(Action::Returned(results)) => results,
            Ok(Action::Failed(failure)) => return DirectiveOutcome::Failed(failure.kind.to_string()),
            Err(unavailable) => return unavailable.into(),
        };
        let matched = results.len() == expected.len()
            && results.iter().zip(expected).all(|(result, expected)| match expected {
                WastRet::Core(expected) => expectation::matches(&mut self.store, result, expected),
                _ => false,
            });
        if matched {
            return DirectiveOutcome::Passed;
        }
        let expected: Vec<String> = expected.iter().map(expectation::describe).collect();
        DirectiveOutcome::Failed(format!("expected {}, found {}", list(&expected), self.describe(&results)))
    }

    fn describe(&mut self, results: &[Val]) -> String {
        let results: Vec<String> = results.iter().map(|result| display_value(&mut self.store, result)).collect();
        list(&results)
    }

    fn assert_failure(
        &mut self,
        action: WastExecute<'_>,
        line: usize,
        expected: &str,
        is_expected: impl Fn(&FailureKind) -> bool,
    ) -> DirectiveOutcome {
        match self.execute(action, line) {
            Ok(Action::Failed(failure)) if is_expected(&failure.kind) => DirectiveOutcome::Passed,
            Ok(Action::Failed(failure)) => {
                DirectiveOutcome::Failed(format!("expected {expected}, found {}", failure.kind))
            }
            Ok(Action::Returned(results)) => {
                DirectiveOutcome::Failed(format!("expected {expected}, but it returned {}", self.describe(&results)))
            }
            Err(unavailable) => unavailable.into(),
        }
    }

    fn start_thread(&mut self, thread: WastThread<'env>) -> DirectiveOutcome {
        let WastThread { name, shared_module, directives, .. } = thread;
        // Another thread has another store; shared memories are all that can be in both.
        let mut shared_exports = Exports::default();
        if let Some(module) = shared_module {
            match self.module(Some(module)) {
                Ok(exports) => shared_exports.extend(
                    exports
                        .iter()
                        .filter(|(_, export)| matches!(export, Extern::SharedMemory(_)))
                        .map(|(name, export)| (name.clone(), export.clone())),
                ),
                Err(unavailable) => return unavailable.into(),
            }
        }
        let (scope, shared) = (self.scope, self.shared);
        let handle = std::thread::Builder::new().name(name.name().to_string()).stack_size(shared.engine.thread_stack());
        let run = move || {
            let mut runner = match Runner::new(scope, shared) {
                Ok(runner) => runner,
                Err(error) => {
                    let outcome = DirectiveOutcome::Failed(format!("{error:#}"));
                    return vec![DirectiveReport { line: 1, column: 1, directive: "thread", outcome }];
                }
            };
            if let Some(module) = shared_module {
                runner.named.insert(module.name().to_string(), Instantiated::Exports(shared_exports));
            }
            runner.run_all(directives);
            runner.finish()
        };
        // Whoever waits for the thread fails as it does.
        let run = || panics::of_execution(run).unwrap_or_else(|failure| std::panic::resume_unwind(Box::new(failure)));
        match handle.spawn_scoped(scope, run) {
            Ok(handle) => {
                self.threads.insert(name.name().to_string(), handle);
                DirectiveOutcome::Passed
            }
            Err(error) => DirectiveOutcome::Failed(format!("cannot start a thread: {error}")),
        }
    }
}

fn keyword(directive: &WastDirective<'_>) -> &'static str {
    match directive {
        WastDirective::Module(_) => "module",
        WastDirective::ModuleDefinition(_) => "module definition",
        WastDirective::ModuleInstance { .. } => "module instance",
        WastDirective::AssertMalformed { .. } => "assert_malformed",
        WastDirective::AssertInvalid { .. } => "assert_invalid",
        WastDirective::AssertInvalidCustom { .. } => "assert_invalid_custom",
        WastDirective::AssertMalformedCustom { .. } => "assert_malformed_custom",
        WastDirective::Register { .. } => "register",
        WastDirective::Invoke(_) => "invoke",
        WastDirective::AssertTrap { .. } => "assert_trap",
        WastDirective::AssertReturn { .. } => "assert_return",
        WastDirective::AssertExhaustion { .. } => "assert_exhaustion",
        WastDirective::AssertUnlinkable { .. } => "assert_unlinkable",
        WastDirective::AssertException { .. } => "assert_exception",
        WastDirective::AssertSuspension { .. } => "assert_suspension",
        WastDirective::Thread(_) => "thread",
        WastDirective::Wait { .. } => "wait",
    }
}

/// Where the lines of a text begin.
struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    fn of(text: &str) -> Lines {
        let after_newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(index, _)| index + 1);
        Lines { starts: std::iter::once(0).chain(after_newlines).collect() }
    }

    /// Line and column, from one.
    fn position(&self, span: Span) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= span.offset());
        (line, span.offset() - self.starts[line - 1] + 1)
    }
}
