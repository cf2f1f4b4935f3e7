//! The optimiser, the linker and the lowering of the WasmFX toolchain, all on [`wasmfx_ir`].
#![warn(missing_docs)]

mod debug_sections;
pub mod declarations;
mod encoded_length;
pub mod environment;
pub mod function;
mod inline_body;
pub mod lower;
pub mod merge;
pub mod module;
pub mod optimizer;
pub mod options;
pub mod order;
pub mod parallel;
pub mod pass_arguments;
pub mod pass_table;
pub mod pattern;
pub mod pipeline;
pub mod progress;
mod target_features;
