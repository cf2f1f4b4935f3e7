//! The dominator tree: Lengauer and Tarjan, "A Fast Algorithm for Finding Dominators in a Flowgraph" (TOPLAS 1979), the variant with
//! path compression alone. The simpler iterative algorithm of Cooper, Harvey and Kennedy is quadratic on what wasm allows (a hundred
//! thousand nested blocks with a branch out of each).

use super::ControlFlowGraph;
use crate::entity::{Entity, SecondaryMap};
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

/// The work arrays, all indexed by number in depth-first order.
struct Forest {
    ancestor: Vec<u32>,
    label: Vec<u32>,
    semidominator: Vec<u32>,
    path: Vec<u32>,
}

const NONE: u32 = u32::MAX;

impl Forest {
    /// The node with the smallest semidominator on the path from `node` to the root of its tree, the root excluded.
    fn evaluate(&mut self, node: u32) -> u32 {
        if self.ancestor[node as usize] == NONE {
            return node;
        }
        // Path compression, from the top down.
        let mut at = node;
        while self.ancestor[self.ancestor[at as usize] as usize] != NONE {
            self.path.push(at);
            at = self.ancestor[at as usize];
        }
        while let Some(below) = self.path.pop() {
            let above = self.ancestor[below as usize] as usize;
            if self.semidominator[self.label[above] as usize] < self.semidominator[self.label[below as usize] as usize]
            {
                self.label[below as usize] = self.label[above];
            }
            self.ancestor[below as usize] = self.ancestor[above];
        }
        self.label[node as usize]
    }
}

impl DominatorTree {
    /// Computes the tree.
    pub fn new(func: &Func, cfg: &ControlFlowGraph) -> Self {
        let block_count = func.blocks.len();
        // Depth-first preorder numbers with parents.
        let mut number = vec![NONE; block_count];
        let mut blocks: Vec<Block> = Vec::with_capacity(cfg.reverse_postorder().len());
        let mut parent: Vec<u32> = Vec::new();
        let mut stack = vec![(func.entry, NONE)];
        while let Some((block, from)) = stack.pop() {
            if number[block.index()] != NONE {
                continue;
            }
            let this = blocks.len() as u32;
            number[block.index()] = this;
            blocks.push(block);
            parent.push(from);
            func.blocks[block].terminator.for_each_successor(|successor| {
                if number[successor.index()] == NONE {
                    stack.push((successor, this));
                }
            });
        }

        let count = blocks.len() as u32;
        let mut forest = Forest {
            ancestor: vec![NONE; blocks.len()],
            label: (0..count).collect(),
            semidominator: (0..count).collect(),
            path: Vec::new(),
        };
        let mut dominator = vec![NONE; blocks.len()];
        // Nodes whose semidominator is the index, as linked lists.
        let mut bucket_head = vec![NONE; blocks.len()];
        let mut bucket_next = vec![NONE; blocks.len()];
        for node in (1..count).rev() {
            for &predecessor in cfg.predecessors(blocks[node as usize]) {
                let best = forest.evaluate(number[predecessor.index()]);
                let semidominator = forest.semidominator[best as usize];
                if semidominator < forest.semidominator[node as usize] {
                    forest.semidominator[node as usize] = semidominator;
                }
            }
            let semidominator = forest.semidominator[node as usize] as usize;
            bucket_next[node as usize] = bucket_head[semidominator];
            bucket_head[semidominator] = node;
            let above = parent[node as usize];
            forest.ancestor[node as usize] = above;
            let mut member = std::mem::replace(&mut bucket_head[above as usize], NONE);
            while member != NONE {
                let best = forest.evaluate(member);
                dominator[member as usize] =
                    if forest.semidominator[best as usize] < forest.semidominator[member as usize] {
                        best
                    } else {
                        above
                    };
                member = bucket_next[member as usize];
            }
        }
        for node in 1..count {
            if dominator[node as usize] != forest.semidominator[node as usize] {
                dominator[node as usize] = dominator[dominator[node as usize] as usize];
            }
        }

        let mut immediate_dominator = SecondaryMap::with_default_and_len(None, block_count);
        immediate_dominator[func.entry] = Some(func.entry);
        for node in 1..blocks.len() {
            immediate_dominator[blocks[node]] = Some(blocks[dominator[node] as usize]);
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
}
