//! Passes over one function.

pub mod dead_code;
pub mod simplify;
