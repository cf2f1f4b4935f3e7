//! What the WasmFX toolchain's programs share: command-line conventions, reading and writing modules, the choice of
//! features, the validator, and the engine that runs modules.

pub mod arguments;
pub mod bench;
pub mod common_arguments;
pub mod engine;
pub mod features;
pub mod input_output;
pub mod lowering;
pub mod optimize;
pub mod progress;
pub mod suggestions;
pub mod validate;
