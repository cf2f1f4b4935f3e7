//! Passes over one function.

pub mod block_merging;
mod block_shape;
pub mod branches;
pub mod code_folding;
pub mod dead_code;
pub mod jump_threading;
pub mod numbering;
mod private_values;
pub mod select_formation;
pub mod similar_blocks;
pub mod simplify;
#[cfg(test)]
mod testing;
