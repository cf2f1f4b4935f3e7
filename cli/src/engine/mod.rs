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

use std::panic::AssertUnwindSafe;
use std::sync::Once;

pub use options::{Collector, CompileEffort, EngineOptions, WasmEngine};

/// Compiles a valid module. The engine does not take everything that is valid, and its compiler has been seen to panic on what it
/// does not know: that is an error like any other here.
pub fn compile(engine: &WasmEngine, binary: &[u8]) -> anyhow::Result<wasmtime::Module> {
    hush_the_compiler();
    // Nothing that the engine shares between modules is touched before a module is compiled as a whole.
    let compiled = std::panic::catch_unwind(AssertUnwindSafe(|| wasmtime::Module::new(engine, binary)));
    match compiled {
        Ok(compiled) => compiled.map_err(engine_error),
        Err(panic) => {
            let message = panic.downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            anyhow::bail!("the engine's compiler panicked: {message}")
        }
    }
}

/// What the engine's compiler panics with becomes an error, and is not printed as well.
fn hush_the_compiler() {
    static HUSHED: Once = Once::new();
    HUSHED.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !panic.location().is_some_and(|place| place.file().contains("wasmtime-internal-cranelift")) {
                report(panic);
            }
        }));
    });
}

/// wasmtime's errors are a type of their own; this keeps their chain of causes as text.
pub(crate) fn engine_error(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}
