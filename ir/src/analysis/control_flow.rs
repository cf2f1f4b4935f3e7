//! Predecessors, and the order in which blocks are visited.

use super::lists::{EntityLists, ListLengths};
use crate::entity::{Entity, SecondaryMap};
use crate::func::{Block, Func};
use std::sync::Arc;

/// The reachable part of a function's control-flow graph.
#[derive(Clone, Debug)]
pub struct ControlFlowGraph {
    /// All edges of the function, those of a block adjacent and in the terminator's order. Nothing else of the function is in the graph.
    successors: Vec<Block>,
    /// Where the edges of each block start in `successors`; one entry more than there are blocks.
    successors_start: Vec<u32>,
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
        // Terminators are looked at once.
        let mut successors: Vec<Block> = Vec::with_capacity(2 * block_count);
        let mut successors_start: Vec<u32> = Vec::with_capacity(block_count + 1);
        for data in func.blocks.values() {
            successors_start.push(successors.len() as u32);
            data.terminator.for_each_successor(|successor| successors.push(successor));
        }
        successors_start.push(successors.len() as u32);
        let edges = |block: Block| successors_start[block.index()]..successors_start[block.index() + 1];

        // Until the walk is over, the position only says whether it has come to the block.
        let mut position = SecondaryMap::with_default_and_len(UNREACHABLE, block_count);
        let mut reverse_postorder = Vec::with_capacity(block_count);
        // Each entry: a block and its edges that are not yet followed. Last one first, so that reverse postorder lists the first successor first.
        let mut stack = Vec::with_capacity(block_count);
        stack.push((func.entry, edges(func.entry)));
        position[func.entry] = 0;
        while let Some((block, rest)) = stack.last_mut() {
            match rest.next_back() {
                Some(edge) => {
                    let next = successors[edge as usize];
                    if std::mem::replace(&mut position[next], 0) == UNREACHABLE {
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
        let predecessors = predecessors.finish();
        Self { successors, successors_start, reverse_postorder, position, predecessors }
    }

    /// Whether the function has exactly the edges that this graph was computed from, so that the graph is the function's.
    fn is_of(&self, func: &Func) -> bool {
        if self.successors_start.len() != func.blocks.len() + 1 || self.reverse_postorder[0] != func.entry {
            return false;
        }
        let mut rest = &self.successors[..];
        func.blocks.values().zip(&self.successors_start[1..]).all(|(data, &end)| {
            let mut same = true;
            data.terminator.for_each_successor(|successor| match rest.split_first() {
                Some((&known, after)) if known == successor => rest = after,
                _ => same = false,
            });
            same && self.successors.len() - rest.len() == end as usize
        })
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

impl Func {
    /// The control-flow graph. It is kept, and computed anew only if the function has other edges than the one that was kept.
    pub fn control_flow(&mut self) -> Arc<ControlFlowGraph> {
        if let Some(kept) = &self.kept_control_flow
            && kept.is_of(self)
        {
            return kept.clone();
        }
        let graph = Arc::new(ControlFlowGraph::new(self));
        self.kept_control_flow = Some(graph.clone());
        graph
    }

    /// Frees the memory of a control-flow graph that was kept.
    pub fn forget_control_flow(&mut self) {
        self.kept_control_flow = None;
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
    #[test]
    fn the_graph_that_is_kept_is_always_the_functions() {
        for seed in 0..200 {
            let mut func = func_of_graph(&random_graph(seed));
            let other = func_of_graph(&random_graph(seed + 1));
            let kept = func.control_flow();
            assert!(Arc::ptr_eq(&kept, &func.control_flow()), "seed {seed}");
            for block in func.blocks.keys() {
                let terminator = match other.blocks.get(block) {
                    Some(data) => data.terminator.clone(),
                    None => continue,
                };
                let mut is_within = true;
                terminator.for_each_successor(|successor| is_within &= func.blocks.get(successor).is_some());
                if is_within {
                    func.blocks[block].terminator = terminator;
                    let expected = ControlFlowGraph::new(&func);
                    let found = func.control_flow();
                    assert_eq!(found.reverse_postorder(), expected.reverse_postorder(), "seed {seed}");
                    for block in func.blocks.keys() {
                        assert_eq!(found.predecessors(block), expected.predecessors(block), "seed {seed}");
                    }
                }
            }
            func.add_block();
            assert!(!func.control_flow().is_reachable(func.blocks.keys().next_back().unwrap()));
        }
    }
}
