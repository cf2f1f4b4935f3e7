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
mod panics;
pub mod program;
pub mod script;
pub mod spectest;
pub mod values;

pub use options::{Collector, CompileEffort, EngineOptions, WasmEngine};

/// Compiles a valid module.
///
/// # Errors
/// If the engine does not take the module, which may be valid nevertheless. Its compiler has been seen to panic on what it does not know; that is
/// such an error too.
pub fn compile(engine: &WasmEngine, binary: &[u8]) -> anyhow::Result<wasmtime::Module> {
    match panics::of_the_compiler(|| wasmtime::Module::new(engine, binary)) {
        Ok(compiled) => compiled.map_err(engine_error),
        Err(message) => anyhow::bail!("the engine's compiler panicked: {message}"),
    }
}

/// wasmtime's errors are a type of their own; this keeps their chain of causes as text.
pub(crate) fn engine_error(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}
