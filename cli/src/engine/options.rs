//! Configuration of the engine.

use std::ops::Deref;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use wasmtime::{Config, Engine, OptLevel, ProfilingStrategy, Store};
use wast::WastDirective;
use wast::lexer::Lexer;
use wast::parser::ParseBuffer;

use super::{engine_error, panics};

/// The engine's own default limit on the stack of one call into a module.
pub const DEFAULT_MAX_WASM_STACK: usize = 512 << 10;
/// The engine's own default size of the stack that each continuation gets.
pub const DEFAULT_CONTINUATION_STACK: usize = 2 << 20;

/// How often the epoch advances, and so the grain of timeouts.
const EPOCH_TICK: Duration = Duration::from_millis(10);

/// Stack for the host's own functions, below what the module may use.
const HOST_STACK: usize = 4 << 20;

/// Frames kept of a backtrace; a runaway recursion has thousands that say the same.
const MAX_BACKTRACE_FRAMES: usize = 256;

/// Whether the engine has stack switching on this machine.
pub const STACK_SWITCHING_SUPPORTED: bool = cfg!(all(target_arch = "x86_64", target_os = "linux"));

/// Which garbage collector manages structs, arrays and exceptions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Collector {
    /// Copying; none for a program with native continuations, whose references the engine's collectors do not find.
    #[default]
    Auto,
    /// A copying collector: fast allocation, reclaims cycles.
    Copying,
    /// Deferred reference counting: short pauses, cycles leak.
    Drc,
    /// None: memory is never reclaimed.
    Null,
}

/// How much the engine's compiler tries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CompileEffort {
    /// Compile quickly.
    None,
    /// Compile for speed.
    #[default]
    Speed,
}

/// What can be chosen about the engine. The default is what a user's program should run on.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Continuations natively. Off for modules that have been lowered.
    pub stack_switching: bool,
    /// The garbage collector.
    pub collector: Collector,
    /// Bytes of stack that a call into a module may use; more is a trap.
    pub max_wasm_stack: usize,
    /// Bytes of stack for each continuation, of which `max_wasm_stack` at most are for the module. The engine reserves them
    /// as address space when the continuation is created, and gives them back only when the whole program ends.
    pub continuation_stack: usize,
    /// How much the compiler tries.
    pub compile_effort: CompileEffort,
    /// Make calls stoppable by [`WasmEngine::set_timeout`]. Costs a check at each loop and function.
    pub interruptible: bool,
    /// Count instructions, so that calls can be bounded deterministically. The engine loses count across a switch of stacks,
    /// so this bounds loops, but two runs through continuations need not use the same amount.
    pub fuel: bool,
    /// Make every NaN that arithmetic produces the canonical one, so that results are a function of the module alone.
    pub canonical_nans: bool,
    /// Tell Linux's `perf` the names of compiled functions, by the file where it looks for them.
    pub perf_map: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            stack_switching: STACK_SWITCHING_SUPPORTED,
            collector: Collector::default(),
            max_wasm_stack: DEFAULT_MAX_WASM_STACK,
            continuation_stack: DEFAULT_CONTINUATION_STACK,
            compile_effort: CompileEffort::default(),
            interruptible: false,
            fuel: false,
            canonical_nans: false,
            perf_map: false,
        }
    }
}

impl EngineOptions {
    /// For tests and verification: compiles quickly, can be stopped, and computes the same NaNs everywhere.
    pub fn for_tests() -> Self {
        EngineOptions {
            compile_effort: CompileEffort::None,
            interruptible: true,
            canonical_nans: true,
            ..EngineOptions::default()
        }
    }

    /// With the collector that suits a module, where none was chosen. wasmtime 48 does not trace what the frames of a suspended continuation refer to,
    /// nor those of its parent while one runs: what is alive there is lost. So a program with native continuations runs without a collector.
    pub fn for_module(self, binary: &[u8]) -> Self {
        let has_continuations = self.stack_switching && defines_continuations(binary);
        self.with_collector_for(has_continuations)
    }

    /// The same for the text of a script.
    pub fn for_script(self, text: &str) -> Self {
        let has_continuations =
            self.stack_switching && (text.contains("(cont") || has_binary_module_with_continuations(text));
        self.with_collector_for(has_continuations)
    }

    fn with_collector_for(mut self, has_continuations: bool) -> Self {
        if self.collector == Collector::Auto && has_continuations {
            self.collector = Collector::Null;
        }
        self
    }

    /// Makes the engine.
    ///
    /// # Errors
    /// If the engine does not take the options, as stack switching where it is not supported.
    pub fn build(&self) -> Result<WasmEngine> {
        if self.stack_switching && !STACK_SWITCHING_SUPPORTED {
            bail!(
                "the engine has stack switching on x86-64 Linux only, and this is {} {}: lower the module with wasmfx-lower first, or run it there",
                std::env::consts::ARCH,
                std::env::consts::OS
            );
        }
        if self.max_wasm_stack == 0 {
            bail!("the stack limit of modules must be positive");
        }
        if self.stack_switching && self.max_wasm_stack > self.continuation_stack {
            bail!(
                "the stack limit of modules ({} bytes) must be at most the size of a continuation's stack ({} bytes)",
                self.max_wasm_stack,
                self.continuation_stack
            );
        }
        let mut config = Config::new();
        config
            .wasm_stack_switching(self.stack_switching)
            .wasm_reference_types(true)
            .wasm_function_references(true)
            .wasm_gc(true)
            .wasm_exceptions(true)
            .wasm_tail_call(true)
            .wasm_simd(true)
            .wasm_relaxed_simd(true)
            .relaxed_simd_deterministic(self.canonical_nans)
            .wasm_multi_memory(true)
            .wasm_memory64(true)
            .wasm_extended_const(true)
            .wasm_threads(true)
            .shared_memory(true)
            .wasm_wide_arithmetic(true)
            .wasm_custom_page_sizes(true)
            .collector(match self.collector {
                Collector::Auto | Collector::Copying => wasmtime::Collector::Copying,
                Collector::Drc => wasmtime::Collector::DeferredReferenceCounting,
                Collector::Null => wasmtime::Collector::Null,
            })
            .max_wasm_stack(self.max_wasm_stack)
            // Without continuations nothing is run on such a stack, but the engine compares the two.
            .async_stack_size(self.continuation_stack.max(self.max_wasm_stack))
            .cranelift_opt_level(match self.compile_effort {
                CompileEffort::None => OptLevel::None,
                CompileEffort::Speed => OptLevel::Speed,
            })
            .cranelift_nan_canonicalization(self.canonical_nans)
            .epoch_interruption(self.interruptible)
            .consume_fuel(self.fuel)
            .profiler(if self.perf_map { ProfilingStrategy::PerfMap } else { ProfilingStrategy::None })
            .wasm_backtrace_max_frames(MAX_BACKTRACE_FRAMES.try_into().ok());
        let engine = Engine::new(&config).map_err(engine_error)?;
        if self.interruptible {
            advance_epoch_of(&engine);
        }
        Ok(WasmEngine { engine, options: self.clone() })
    }
}

/// Advances the engine's epoch as long as the engine exists.
fn advance_epoch_of(engine: &Engine) {
    let engine = engine.weak();
    std::thread::spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(EPOCH_TICK);
        }
    });
}

/// wasmtime's engine and the options that it was made with.
#[derive(Clone)]
pub struct WasmEngine {
    engine: Engine,
    options: EngineOptions,
}

impl WasmEngine {
    /// The options that it was made with.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// From now on, calls in `store` trap with [`wasmtime::Trap::Interrupt`] after `timeout`; `None` is no limit.
    /// Has an effect only if the engine is interruptible, and must be called in that case: a fresh store stops at once.
    pub fn set_timeout<T>(&self, store: &mut Store<T>, timeout: Option<Duration>) {
        if !self.options.interruptible {
            return;
        }
        let ticks = timeout.map_or(u64::from(u32::MAX), |timeout| {
            u64::try_from(timeout.as_nanos() / EPOCH_TICK.as_nanos()).unwrap_or(u64::MAX / 2).max(1)
        });
        store.set_epoch_deadline(ticks);
    }
}

impl WasmEngine {
    /// The stack that a thread needs to run modules: what they may use, and room for the host's functions. The engine's own
    /// limit protects only threads that have as much.
    pub fn thread_stack(&self) -> usize {
        self.options.max_wasm_stack.saturating_add(HOST_STACK)
    }

    /// Runs something on a thread with enough stack.
    ///
    /// # Errors
    /// If no thread can be started, or the engine panics on it.
    pub fn on_wasm_thread<R: Send>(&self, run: impl FnOnce() -> R + Send) -> Result<R> {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("wasm".to_string()).stack_size(self.thread_stack());
            let run = || panics::of_execution(run);
            let thread = thread.spawn_scoped(scope, run).context("cannot start a thread with enough stack")?;
            let outcome = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            outcome.map_err(|failure| {
                let advice = match self.options.stack_switching {
                    true => {
                        "\nwhere the module uses stack switching, lower it first (wasmfx-lower, or wasmfx-run --lower)"
                    }
                    false => "",
                };
                anyhow!("the engine failed: it panicked with '{}'{advice}", failure.0)
            })
        })
    }
}

impl Deref for WasmEngine {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

/// Whether a module has continuation types; what cannot be read has none.
fn defines_continuations(binary: &[u8]) -> bool {
    wasmparser::Parser::new(0).parse_all(binary).map_while(Result::ok).any(|payload| match payload {
        wasmparser::Payload::TypeSection(types) => types.into_iter().map_while(Result::ok).any(|group| {
            let is_continuation =
                |ty: &wasmparser::SubType| matches!(ty.composite_type.inner, wasmparser::CompositeInnerType::Cont(_));
            group.types().any(is_continuation)
        }),
        _ => false,
    })
}

/// Whether a script has a module in bytes that has continuation types; a script that cannot be read has none.
fn has_binary_module_with_continuations(text: &str) -> bool {
    if !text.contains("binary") {
        return false;
    }
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let Ok(buffer) = ParseBuffer::new_with_lexer(lexer) else { return false };
    let Ok(script) = wast::parser::parse::<wast::Wast<'_>>(&buffer) else { return false };
    script.directives.into_iter().any(|directive| match directive {
        WastDirective::Module(mut module) | WastDirective::ModuleDefinition(mut module) => {
            module.encode().is_ok_and(|binary| defines_continuations(&binary))
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_with_continuations_in_a_module_of_bytes_runs_without_a_collector() {
        let module = wat::parse_str("(module (type $f (func)) (type (cont $f)))").unwrap();
        let bytes: String = module.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let collector = |text: &str| EngineOptions::default().for_script(text).collector;
        assert_eq!(collector(&format!("(module binary \"{bytes}\")")), Collector::Null);
        assert_eq!(collector(&format!("(module definition $m binary \"{bytes}\")")), Collector::Null);
        assert_eq!(collector("(module binary \"\\00asm\\01\\00\\00\\00\")"), Collector::Auto);
    }

    #[test]
    fn without_continuations_their_stacks_limit_nothing() {
        let options = EngineOptions { max_wasm_stack: 6_000_000, stack_switching: false, ..EngineOptions::default() };
        options.build().unwrap();
    }

    #[test]
    fn limits_that_contradict_each_other_are_explained() {
        let options = EngineOptions { max_wasm_stack: 4 << 20, ..EngineOptions::default() };
        let error = options.build().err().unwrap().to_string();
        assert!(error.contains("4194304") && error.contains("2097152"), "{error}");
    }

    #[test]
    fn every_collector_can_be_chosen() {
        for collector in Collector::value_variants() {
            EngineOptions { collector: *collector, ..EngineOptions::default() }.build().unwrap();
        }
    }

    #[test]
    fn an_endless_loop_is_stopped() {
        let engine = EngineOptions::for_tests().build().unwrap();
        let module =
            wasmtime::Module::new(&engine, wat::parse_str("(module (func (export \"f\") (loop br 0)))").unwrap());
        let mut store = Store::new(&engine, ());
        engine.set_timeout(&mut store, Some(Duration::from_millis(50)));
        let instance = wasmtime::Instance::new(&mut store, &module.unwrap(), &[]).unwrap();
        let function = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
        let error = function.call(&mut store, ()).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&wasmtime::Trap::Interrupt));
    }
}
