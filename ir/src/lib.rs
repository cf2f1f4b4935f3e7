//! The intermediate representation of the WasmFX toolchain: a module model with lazily lifted function bodies in SSA form.
#![warn(missing_docs)]

pub mod analysis;
pub mod bits;
pub mod check;
pub mod code_annotations;
pub mod effects;
pub mod emit;
pub mod encode;
pub mod entity;
pub mod error;
pub mod features;
pub mod func;
pub mod lift;
pub mod module;
pub mod opcode;
pub mod operator;
mod operator_names;
mod packed_type;
pub mod parse;
pub mod print;
pub mod references;
pub mod renumber;
pub mod signature;
pub mod subtype;
pub mod text;
pub mod verify;

pub use error::Error;
pub use func::{Block, Func, Inst, Value};
pub use module::Module;

/// The parser's vocabulary of types and operators, which is ours too.
pub use wasmparser;
