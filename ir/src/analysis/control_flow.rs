//! Predecessors, and the order in which blocks are visited.

use super::lists::{EntityLists, ListLengths};
use crate::entity::{Entity, SecondaryMap};
use crate::func::{Block, Func};

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
        // Successors of all blocks, those of a block adjacent: terminators are looked at once.
        let mut successors: Vec<Block> = Vec::with_capacity(2 * block_count);
        let mut successors_start: Vec<u32> = Vec::with_capacity(block_count + 1);
        for data in func.blocks.values() {
            successors_start.push(successors.len() as u32);
            data.terminator.for_each_successor(|successor| successors.push(successor));
        }
        successors_start.push(successors.len() as u32);
        let edges = |block: Block| successors_start[block.index()]..successors_start[block.index() + 1];

        let mut seen = vec![false; block_count];
        let mut reverse_postorder = Vec::with_capacity(block_count);
        // Each entry: a block and its edges that are not yet followed. Last one first, so that reverse postorder lists the first successor first.
        let mut stack = vec![(func.entry, edges(func.entry))];
        seen[func.entry.index()] = true;
        while let Some((block, rest)) = stack.last_mut() {
            match rest.next_back() {
                Some(edge) => {
                    let next = successors[edge as usize];
                    if !std::mem::replace(&mut seen[next.index()], true) {
                        stack.push((next, edges(next)));
                    }
                }
                None => {
                    reverse_postorder.push(*block);
                    stack.pop();
                }
            }
        }
        reverse_postorder.reverse();
        let mut position = SecondaryMap::with_default_and_len(UNREACHABLE, block_count);
        for (index, &block) in reverse_postorder.iter().enumerate() {
            position[block] = index as u32;
        }

        let successors_of = |block: Block| {
            let edges = edges(block);
            &successors[edges.start as usize..edges.end as usize]
        };
        let mut edge_counts = ListLengths::new(block_count);
        for &block in &reverse_postorder {
            successors_of(block).iter().for_each(|&successor| edge_counts.count(successor));
        }
        let mut predecessors = edge_counts.allocate(func.entry);
        for &block in &reverse_postorder {
            successors_of(block).iter().for_each(|&successor| predecessors.push(successor, block));
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
