//! Passes over one function.

pub mod branches;
pub mod dead_code;
pub mod numbering;
pub mod simplify;
#[cfg(test)]
mod testing;
