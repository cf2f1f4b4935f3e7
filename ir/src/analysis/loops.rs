//! Natural loops, how they nest, and whether the graph is reducible.

use super::{ControlFlowGraph, DisjointSets, DominatorTree};
use crate::entity::SecondaryMap;
use crate::func::{Block, Func};

/// A natural loop: the blocks that reach one of the back edges to its header without going through the header.
#[derive(Clone, Debug)]
pub struct Loop {
    /// The block that dominates the loop.
    pub header: Block,
    /// The next loop around this one: an index into [`LoopForest::loops`].
    pub parent: Option<usize>,
    /// How many loops this one is in, itself counted.
    pub depth: u32,
}

/// All natural loops of a function.
#[derive(Clone, Debug)]
pub struct LoopForest {
    /// The loops; one comes after those that are around it.
    pub loops: Vec<Loop>,
    innermost: SecondaryMap<Block, Option<u32>>,
    irreducible: bool,
}

impl LoopForest {
    /// Finds the loops.
    pub fn new(func: &Func, cfg: &ControlFlowGraph, dominators: &DominatorTree) -> Self {
        let mut irreducible = false;
        let mut headers: Vec<Block> = Vec::new();
        for &block in dominators.preorder() {
            let position = cfg.position(block);
            let mut is_header = false;
            for &predecessor in cfg.predecessors(block) {
                if dominators.dominates(block, predecessor) {
                    is_header = true;
                } else if cfg.position(predecessor) >= position {
                    // An edge that goes back but not to a dominator: a second entry to a cycle.
                    irreducible = true;
                }
            }
            if is_header {
                headers.push(block);
            }
        }

        let mut loops: Vec<Loop> = headers.iter().map(|&header| Loop { header, parent: None, depth: 0 }).collect();
        let mut innermost: SecondaryMap<Block, Option<u32>> =
            SecondaryMap::with_default_and_len(None, func.blocks.len());
        // Named by the outermost loop found so far around a loop.
        let mut outermost: DisjointSets<u32> = DisjointSets::new(loops.len());
        let mut work: Vec<Block> = Vec::new();
        // Inner headers come later in preorder; so each block goes to the innermost loop first.
        for (index, &header) in headers.iter().enumerate().rev() {
            work.extend(
                cfg.predecessors(header).iter().filter(|&&predecessor| dominators.dominates(header, predecessor)),
            );
            innermost[header] = innermost[header].or(Some(index as u32));
            while let Some(block) = work.pop() {
                let expand = match innermost[block] {
                    None => {
                        innermost[block] = Some(index as u32);
                        block
                    }
                    Some(inner) => {
                        let outer = outermost.find(inner);
                        if outer as usize == index {
                            continue;
                        }
                        outermost.unite(outer, index as u32);
                        loops[outer as usize].parent = Some(index);
                        loops[outer as usize].header
                    }
                };
                if expand != header {
                    work.extend(cfg.predecessors(expand));
                }
            }
        }
        for index in 0..loops.len() {
            loops[index].depth = 1 + loops[index].parent.map_or(0, |parent| loops[parent].depth);
        }
        Self { loops, innermost, irreducible }
    }

    /// The innermost loop that the block is in.
    #[inline]
    pub fn innermost(&self, block: Block) -> Option<usize> {
        self.innermost[block].map(|index| index as usize)
    }

    /// How many loops the block is in.
    #[inline]
    pub fn depth(&self, block: Block) -> u32 {
        self.innermost(block).map_or(0, |index| self.loops[index].depth)
    }

    /// Whether some cycle has more than one entry, so that it is no natural loop.
    pub fn is_irreducible(&self) -> bool {
        self.irreducible
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::test_graphs::{func_of_graph, random_graph};
    use std::collections::BTreeSet;

    /// The blocks of each loop by definition, by header.
    fn naive_loops(func: &Func, cfg: &ControlFlowGraph, dominators: &DominatorTree) -> Vec<(Block, BTreeSet<Block>)> {
        let mut loops = Vec::new();
        for &header in cfg.reverse_postorder() {
            let mut work: Vec<Block> = cfg
                .predecessors(header)
                .iter()
                .copied()
                .filter(|&predecessor| dominators.dominates(header, predecessor))
                .collect();
            if work.is_empty() {
                continue;
            }
            let mut body = BTreeSet::from([header]);
            while let Some(block) = work.pop() {
                if body.insert(block) {
                    work.extend(cfg.predecessors(block));
                }
            }
            assert!(func.blocks.get(header).is_some());
            loops.push((header, body));
        }
        loops
    }

    #[test]
    fn depths_and_nesting_are_those_of_the_definition() {
        for seed in 0..600 {
            let graph = random_graph(seed);
            let func = func_of_graph(&graph);
            let cfg = ControlFlowGraph::new(&func);
            let dominators = DominatorTree::new(&func, &cfg);
            let forest = LoopForest::new(&func, &cfg, &dominators);
            if forest.is_irreducible() {
                // Bodies of natural loops may overlap without nesting there; only the headers are certain.
                assert_eq!(forest.loops.len(), naive_loops(&func, &cfg, &dominators).len());
                continue;
            }
            let naive = naive_loops(&func, &cfg, &dominators);
            assert_eq!(forest.loops.len(), naive.len(), "seed {seed}");
            for &block in cfg.reverse_postorder() {
                let around: Vec<_> = naive.iter().filter(|(_, body)| body.contains(&block)).collect();
                assert_eq!(forest.depth(block) as usize, around.len(), "seed {seed} {block} {graph:?}");
                let smallest = around.iter().min_by_key(|(_, body)| body.len()).map(|(header, _)| *header);
                assert_eq!(forest.innermost(block).map(|index| forest.loops[index].header), smallest);
            }
        }
    }

    #[test]
    fn a_cycle_with_two_entries_is_irreducible() {
        let forest_of = |graph: &[Vec<usize>]| {
            let func = func_of_graph(graph);
            let cfg = ControlFlowGraph::new(&func);
            LoopForest::new(&func, &cfg, &DominatorTree::new(&func, &cfg))
        };
        assert!(forest_of(&[vec![1, 2], vec![2], vec![1]]).is_irreducible());
        assert!(!forest_of(&[vec![1], vec![2], vec![1]]).is_irreducible());
    }
}
