//! The engine that runs modules: wasmtime 48, with stack switching.
//!
//! * [`EngineOptions`] configures it and says what it supports.
//! * [`program`] runs a WASI command or calls one export; [`failure`] says how a call failed, with a backtrace through all continuations.
//! * [`script`] runs the `.wast` scripts of the conformance suites, applying any transformation to their modules on the way.
//! * [`compare`] runs two versions of a module side by side and reports the first difference.

//pub mod compare;
pub mod failure;
pub mod options;
pub mod program;
pub mod script;
pub mod spectest;
pub mod values;

pub use options::{Collector, CompileEffort, EngineOptions, WasmEngine};

/// wasmtime's errors are a type of their own; this keeps their chain of causes as text.
pub(crate) fn engine_error(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}
