//! What the tests of the toolchain share: modules to test with, conformance scripts, a generator of WasmFX programs and their
//! differential execution.

pub mod abstract_run;
pub mod calls;
pub mod conformance;
pub mod differential;
pub mod fuzz;
pub mod generate;
pub mod lowered;
pub mod modules;
pub mod node;
pub mod reemit;
