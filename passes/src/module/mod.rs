//! Module passes: each sees the whole module.

pub mod direct_calls;
pub mod duplicate_functions;
pub mod duplicate_imports;
pub mod globals;
pub mod inlining;
pub mod memory_packing;
pub mod types;
pub mod unused_elements;
