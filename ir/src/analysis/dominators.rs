//! The dominator tree of a body.

use super::ControlFlowGraph;
use super::depth_first::DepthFirstTree;
use crate::entity::SecondaryMap;
use crate::func::{Block, Func};

/// The dominator tree of the reachable blocks.
#[derive(Clone, Debug)]
pub struct DominatorTree {
    /// Each block's parent; the entry's is itself. Unreachable blocks have none.
    immediate_dominator: SecondaryMap<Block, Option<Block>>,
    /// When a walk over the tree enters and leaves the block: `a` dominates `b` if `b`'s interval is within `a`'s.
    interval: SecondaryMap<Block, (u32, u32)>,
    /// The blocks in the order in which that walk enters them.
    preorder: Vec<Block>,
    /// How deep in the tree a block is; the entry is 0.
    depth: SecondaryMap<Block, u32>,
}

impl DominatorTree {
    /// Computes the tree.
    pub fn new(func: &Func, cfg: &ControlFlowGraph) -> Self {
        let block_count = func.blocks.len();
        let tree = DepthFirstTree::new(block_count, func.entry.as_u32(), |block, successors| {
            let terminator = &func.blocks[Block::from_u32(block)].terminator;
            terminator.for_each_successor(|successor| successors.push(successor.as_u32()));
        });
        let dominators = tree.immediate_dominators(|block| {
            cfg.predecessors(Block::from_u32(block)).iter().map(|predecessor| predecessor.as_u32())
        });
        let mut immediate_dominator = SecondaryMap::with_default_and_len(None, block_count);
        for (&block, &dominator) in tree.preorder.iter().zip(&dominators) {
            let dominator = Block::from_u32(tree.preorder[dominator as usize]);
            immediate_dominator[Block::from_u32(block)] = Some(dominator);
        }
        Self::number(func, cfg, immediate_dominator)
    }

    fn number(func: &Func, cfg: &ControlFlowGraph, immediate_dominator: SecondaryMap<Block, Option<Block>>) -> Self {
        let block_count = func.blocks.len();
        // Children as linked lists. Built from the last block in reverse postorder, so that each list is in reverse postorder.
        let mut first_child = SecondaryMap::with_default_and_len(None, block_count);
        let mut next_sibling = SecondaryMap::with_default_and_len(None, block_count);
        for &block in cfg.reverse_postorder()[1..].iter().rev() {
            let parent = immediate_dominator[block].expect("a reachable block has a dominator");
            next_sibling[block] = first_child[parent];
            first_child[parent] = Some(block);
        }
        let mut interval = SecondaryMap::with_default_and_len((u32::MAX, 0), block_count);
        let mut depth = SecondaryMap::with_default_and_len(0, block_count);
        let mut preorder = Vec::with_capacity(cfg.reverse_postorder().len());
        let mut clock = 0;
        // A block to enter, or (second) one to leave.
        let mut stack = vec![(func.entry, false)];
        while let Some((block, leave)) = stack.pop() {
            if leave {
                interval[block].1 = clock;
                continue;
            }
            interval[block].0 = clock;
            clock += 1;
            preorder.push(block);
            if block != func.entry {
                let parent: Block = immediate_dominator[block].expect("a reachable block has a dominator");
                depth[block] = depth[parent] + 1;
            }
            stack.push((block, true));
            let at = stack.len();
            let mut child = first_child[block];
            while let Some(block) = child {
                stack.push((block, false));
                child = next_sibling[block];
            }
            stack[at..].reverse();
        }
        Self { immediate_dominator, interval, preorder, depth }
    }

    /// The closest block that every path to this one goes through; `None` for the entry and for unreachable blocks.
    #[inline]
    pub fn immediate_dominator(&self, block: Block) -> Option<Block> {
        self.immediate_dominator[block].filter(|&dominator| dominator != block)
    }

    /// Whether every path from the entry to `below` goes through `above`. A block dominates itself; unreachable blocks take no part.
    #[inline]
    pub fn dominates(&self, above: Block, below: Block) -> bool {
        let ((enter, leave), (at, _)) = (self.interval[above], self.interval[below]);
        at != u32::MAX && enter <= at && at < leave
    }

    /// Reachable blocks such that each comes after its dominators, subtrees in one piece and siblings in reverse postorder.
    pub fn preorder(&self) -> &[Block] {
        &self.preorder
    }

    /// How many blocks dominate this one, itself not counted.
    #[inline]
    pub fn depth(&self, block: Block) -> u32 {
        self.depth[block]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::test_graphs::{func_of_graph, random_graph};

    /// By definition: `above` dominates `below` if `below` cannot be reached around `above`.
    fn reachable_without(graph: &[Vec<usize>], without: Option<usize>) -> Vec<bool> {
        let mut seen = vec![false; graph.len()];
        let mut stack = vec![0];
        while let Some(node) = stack.pop() {
            if Some(node) != without && !std::mem::replace(&mut seen[node], true) {
                stack.extend(&graph[node]);
            }
        }
        seen
    }

    #[test]
    fn dominance_is_what_its_definition_says() {
        for seed in 0..600 {
            let graph = random_graph(seed);
            let func = func_of_graph(&graph);
            let cfg = ControlFlowGraph::new(&func);
            let tree = DominatorTree::new(&func, &cfg);
            let reachable = reachable_without(&graph, None);
            for above in 0..graph.len() {
                let around = reachable_without(&graph, Some(above));
                for below in 0..graph.len() {
                    let expected = reachable[above] && reachable[below] && !around[below];
                    let (a, b) = (Block::from_u32(above as u32), Block::from_u32(below as u32));
                    assert_eq!(tree.dominates(a, b), expected, "seed {seed}: {a} over {b} in {graph:?}");
                }
            }
            for &block in tree.preorder().iter().skip(1) {
                let parent = tree.immediate_dominator(block).unwrap();
                assert_eq!(tree.depth(block), tree.depth(parent) + 1);
                let strict = |other: Block| other != block && tree.dominates(other, block);
                assert!(strict(parent));
                assert!(func.blocks.keys().filter(|&other| strict(other)).all(|other| tree.dominates(other, parent)));
            }
        }
    }

    #[test]
    fn a_branch_out_of_each_of_a_hundred_thousand_nested_blocks_takes_linear_time() {
        let depth = 100_000;
        let mut graph: Vec<Vec<usize>> = (0..depth).map(|node| vec![node + 1, depth]).collect();
        graph.push(Vec::new());
        let func = func_of_graph(&graph);
        let cfg = ControlFlowGraph::new(&func);
        let tree = DominatorTree::new(&func, &cfg);
        assert_eq!(
            tree.immediate_dominator(Block::from_u32(depth as u32)),
            Some(Block::from_u32(depth as u32 - 1).min(func.entry))
        );
        assert_eq!(tree.depth(Block::from_u32(depth as u32 - 1)), depth as u32 - 1);
    }

    #[test]
    fn what_two_tables_at_the_ends_of_a_long_chain_lead_to_is_dominated_by_the_first() {
        let count = 100_000;
        let targets = count + 1..2 * count + 1;
        let mut graph: Vec<Vec<usize>> = (0..count).map(|node| vec![node + 1]).collect();
        graph[1].extend(targets.clone());
        graph.push(targets.clone().collect());
        graph.resize(2 * count + 1, Vec::new());
        let func = func_of_graph(&graph);
        let cfg = ControlFlowGraph::new(&func);
        let tree = DominatorTree::new(&func, &cfg);
        for target in targets {
            assert_eq!(tree.immediate_dominator(Block::from_u32(target as u32)), Some(Block::from_u32(1)));
        }
    }
}
