//! Predecessors, and the order in which blocks are visited.

use super::lists::{EntityLists, ListLengths};
use crate::entity::{Entity, SecondaryMap};
use crate::func::{Block, Func};
use smallvec::SmallVec;

/// The reachable part of a function's control-flow graph.
#[derive(Clone, Debug)]
pub struct ControlFlowGraph {
    /// Reachable blocks in reverse postorder.
    reverse_postorder: Vec<Block>,
    /// The position of a block in `reverse_postorder`; `UNREACHABLE` for all others.
    position: SecondaryMap<Block, u32>,
    /// Predecessors of all blocks, one entry an edge.
    predecessors: EntityLists<Block, Block>,
}

const UNREACHABLE: u32 = u32::MAX;

impl ControlFlowGraph {
    /// Computes the graph.
    pub fn new(func: &Func) -> Self {
        let block_count = func.blocks.len();
        let mut seen = vec![false; block_count];
        let mut postorder = Vec::with_capacity(block_count);
        // Each entry: a block and its successors that are not yet visited, last one first.
        let mut stack: Vec<(Block, SmallVec<[Block; 4]>)> = Vec::new();
        let successors = |block: Block| {
            let mut list = SmallVec::new();
            func.blocks[block].terminator.for_each_successor(|successor| list.push(successor));
            list
        };
        seen[func.entry.index()] = true;
        stack.push((func.entry, successors(func.entry)));
        while let Some((block, rest)) = stack.last_mut() {
            // Last successor first, so that reverse postorder lists the first successor first.
            match rest.pop() {
                Some(next) if !seen[next.index()] => {
                    seen[next.index()] = true;
                    stack.push((next, successors(next)));
                }
                Some(_) => {}
                None => {
                    postorder.push(*block);
                    stack.pop();
                }
            }
        }
        postorder.reverse();
        let reverse_postorder = postorder;
        let mut position = SecondaryMap::with_default_and_len(UNREACHABLE, block_count);
        for (index, &block) in reverse_postorder.iter().enumerate() {
            position[block] = index as u32;
        }

        let mut edge_counts = ListLengths::new(block_count);
        for &block in &reverse_postorder {
            func.blocks[block].terminator.for_each_successor(|successor| edge_counts.count(successor));
        }
        let mut predecessors = edge_counts.allocate(func.entry);
        for &block in &reverse_postorder {
            func.blocks[block].terminator.for_each_successor(|successor| predecessors.push(successor, block));
        }
        Self { reverse_postorder, position, predecessors: predecessors.finish() }
    }

    /// Reachable blocks in reverse postorder: but for back edges, each block comes after its predecessors.
    pub fn reverse_postorder(&self) -> &[Block] {
        &self.reverse_postorder
    }

    /// Whether the block can be reached from the entry.
    #[inline]
    pub fn is_reachable(&self, block: Block) -> bool {
        self.position[block] != UNREACHABLE
    }

    /// The position of a block in reverse postorder; `None` if it is unreachable.
    #[inline]
    pub fn position(&self, block: Block) -> Option<u32> {
        let position = self.position[block];
        (position != UNREACHABLE).then_some(position)
    }

    /// The reachable predecessors of a block, once for each edge.
    #[inline]
    pub fn predecessors(&self, block: Block) -> &[Block] {
        self.predecessors.of(block)
    }

    /// The only predecessor, if there is exactly one edge to the block.
    #[inline]
    pub fn single_predecessor(&self, block: Block) -> Option<Block> {
        match self.predecessors(block) {
            &[predecessor] => Some(predecessor),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::test_graphs::{func_of_graph, random_graph};

    #[test]
    fn predecessors_are_the_reverse_of_successors() {
        for seed in 0..200 {
            let func = func_of_graph(&random_graph(seed));
            let cfg = ControlFlowGraph::new(&func);
            let mut expected: Vec<(Block, Block)> = Vec::new();
            for &block in cfg.reverse_postorder() {
                func.blocks[block].terminator.for_each_successor(|successor| expected.push((successor, block)));
            }
            let mut found: Vec<(Block, Block)> = Vec::new();
            for block in func.blocks.keys() {
                found.extend(cfg.predecessors(block).iter().map(|&predecessor| (block, predecessor)));
            }
            expected.sort();
            found.sort();
            assert_eq!(found, expected, "seed {seed}");
        }
    }

    #[test]
    fn reverse_postorder_lists_exactly_what_is_reachable_and_starts_with_the_entry() {
        for seed in 0..200 {
            let func = func_of_graph(&random_graph(seed));
            let cfg = ControlFlowGraph::new(&func);
            assert_eq!(cfg.reverse_postorder()[0], func.entry);
            let mut reachable = vec![func.entry];
            let mut at = 0;
            while at < reachable.len() {
                func.blocks[reachable[at]].terminator.for_each_successor(|successor| {
                    if !reachable.contains(&successor) {
                        reachable.push(successor);
                    }
                });
                at += 1;
            }
            let mut listed = cfg.reverse_postorder().to_vec();
            listed.sort();
            reachable.sort();
            assert_eq!(listed, reachable, "seed {seed}");
        }
    }
}
