//! The engine that runs modules: wasmtime 48, with stack switching.
//!
//! * [`EngineOptions`] configures it and says what it supports.
//! * [`program`] runs a WASI command or calls one export; [`failure`] says how a call failed, with a backtrace through all continuations.
//! * [`script`] runs the `.wast` scripts of the conformance suites, applying any transformation to their modules on the way.
//! * [`compare`] runs two versions of a module side by side and reports the first difference.

pub mod clock;
pub mod compare;
pub mod failure;
pub mod options;
pub mod program;
pub mod script;
pub mod spectest;
pub mod values;

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use options::{Collector, CompileEffort, EngineOptions, WasmEngine};

/// Compiles a valid module.
///
/// # Errors
/// If the engine does not take the module, which may be valid nevertheless. Its compiler has been seen to panic on what it does not know; that is
/// such an error too.
pub fn compile(engine: &WasmEngine, binary: &[u8]) -> anyhow::Result<wasmtime::Module> {
    hush_the_compiler();
    // Nothing that the engine shares between modules is touched before a module is compiled as a whole.
    let compiled = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let _compilation = Compilation::begin();
        wasmtime::Module::new(engine, binary)
    }));
    match compiled {
        Ok(compiled) => compiled.map_err(engine_error),
        Err(panic) => {
            let message = panic.downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            anyhow::bail!("the engine's compiler panicked: {message}")
        }
    }
}

/// The compilations that are going on, on all threads.
static COMPILATIONS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static IS_COMPILING: Cell<bool> = const { Cell::new(false) };
}

/// A compilation that this thread waits for; it ends where this is dropped.
struct Compilation;

impl Compilation {
    fn begin() -> Compilation {
        COMPILATIONS.fetch_add(1, Ordering::Relaxed);
        IS_COMPILING.set(true);
        Compilation
    }
}

impl Drop for Compilation {
    fn drop(&mut self) {
        COMPILATIONS.fetch_sub(1, Ordering::Relaxed);
        IS_COMPILING.set(false);
    }
}

/// Whether a panic at this place of the source is one of the engine's compiler. It works on threads that it shares with everybody else, so
/// what other threads panic with while something is compiled is told by the crate that does.
fn is_of_the_compiler(file: &str) -> bool {
    let is_of_the_engine = ["/wasmtime-", "/cranelift-", "/regalloc2-"].iter().any(|crates| file.contains(crates));
    IS_COMPILING.get() || is_of_the_engine && COMPILATIONS.load(Ordering::Relaxed) > 0
}

/// What the engine's compiler panics with becomes an error, and is not printed as well.
fn hush_the_compiler() {
    static HUSHED: Once = Once::new();
    HUSHED.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !panic.location().is_some_and(|place| is_of_the_compiler(place.file())) {
                report(panic);
            }
        }));
    });
}

/// wasmtime's errors are a type of their own; this keeps their chain of causes as text.
pub(crate) fn engine_error(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}
