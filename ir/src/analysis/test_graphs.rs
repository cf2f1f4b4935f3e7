//! Random control-flow graphs for comparing analyses with their definitions.

use crate::func::{Block, BlockCall, Func, Terminator};
use crate::module::TypeId;
use wasmparser::{Operator, ValType};

/// A small deterministic generator (xorshift64*), so that a seed names a graph for good.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }
}

/// Successor lists of a random graph of 1 to 24 nodes; node 0 is the entry, and nothing leads to it.
pub fn random_graph(seed: u64) -> Vec<Vec<usize>> {
    let mut random = Random::new(seed + 1);
    let count = 1 + random.below(24);
    (0..count)
        .map(|_| {
            let successors = if count == 1 { 0 } else { random.below(4) };
            (0..successors).map(|_| 1 + random.below(count - 1)).collect()
        })
        .collect()
}

/// A function with this graph. No block has parameters.
pub fn func_of_graph(graph: &[Vec<usize>]) -> Func {
    let mut func = Func::new(TypeId::from_u32(0), &[], &[]);
    while func.blocks.len() < graph.len() {
        func.add_block();
    }
    for (index, successors) in graph.iter().enumerate() {
        let block = Block::from_u32(index as u32);
        let calls: Vec<_> = successors.iter().map(|&to| BlockCall::new(Block::from_u32(to as u32))).collect();
        func.blocks[block].terminator = match calls.split_last() {
            None => Terminator::Unreachable,
            Some((only, [])) => Terminator::Jump(only.clone()),
            Some((default, targets)) => {
                let index = func.append_value(block, Operator::I32Const { value: 0 }, &[], ValType::I32);
                Terminator::Switch { index, targets: targets.to_vec(), default: default.clone() }
            }
        };
    }
    func
}
