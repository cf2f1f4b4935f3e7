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

pub use options::{Collector, CompileEffort, EngineOptions, WasmEngine};

/// Compiles a valid module. The engine does not take everything that is valid, and its compiler has been seen to panic on what it
/// does not know: that is an error like any other here.
pub fn compile(engine: &WasmEngine, binary: &[u8]) -> anyhow::Result<wasmtime::Module> {
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

/// wasmtime's errors are a type of their own; this keeps their chain of causes as text.
pub(crate) fn engine_error(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}
