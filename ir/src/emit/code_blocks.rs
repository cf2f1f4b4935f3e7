//! Control flow of scheduled code: runs of positions without branches and labels.

use super::graph::{Exit, Graph, NONE, index_u32};
use super::schedule::Code;
use super::structure::{FrameKind, Structure};
use std::ops::Range;

/// Control flow of scheduled code. Blocks are numbered in the order of the code.
pub(super) struct CodeBlocks {
    /// The positions of each block.
    spans: Vec<Range<u32>>,
    /// The block of each position.
    of: Vec<u32>,
    predecessor_starts: Vec<u32>,
    predecessors: Vec<u32>,
    /// How many loops each block is in.
    depth: Vec<u32>,
}

pub(super) fn code_blocks(graph: &Graph, structure: &Structure, code: &[Code]) -> CodeBlocks {
    let frame_count = structure.frames.len();
    let mut end = vec![NONE; frame_count];
    let mut or_else = vec![NONE; frame_count];
    let mut of = Vec::with_capacity(code.len() + 1);
    let mut blocks: Vec<Range<u32>> = Vec::new();
    blocks.push(0..0);
    let mut depth = vec![0];
    let mut loops = 0;
    let mut start_of_loop = vec![NONE; frame_count];
    for (position, item) in code.iter().enumerate() {
        let position = index_u32(position);
        of.push(index_u32(blocks.len() - 1));
        let ends_block = match *item {
            Code::Open(frame) => match structure.frames[frame as usize].kind {
                FrameKind::Loop => {
                    loops += 1;
                    start_of_loop[frame as usize] = position + 1;
                    true
                }
                FrameKind::If { .. } => true,
                FrameKind::Block | FrameKind::Try => false,
            },
            Code::Else(frame) => {
                or_else[frame as usize] = position + 1;
                true
            }
            Code::End(frame) => {
                if structure.frames[frame as usize].kind == FrameKind::Loop {
                    loops -= 1;
                }
                end[frame as usize] = position + 1;
                true
            }
            Code::Br(_) | Code::BrIf(_) | Code::Table(_) | Code::Invoke(_) | Code::BranchOnReference(_) => true,
            Code::Return | Code::Unreachable => true,
            _ => false,
        };
        if ends_block {
            blocks.last_mut().expect("there is a first block").end = position + 1;
            blocks.push(position + 1..position + 1);
            depth.push(loops);
        }
    }
    blocks.last_mut().expect("there is a first block").end = index_u32(code.len());
    of.push(index_u32(blocks.len() - 1));
    let mut edges: Vec<(u32, u32)> = Vec::with_capacity(blocks.len() * 2);
    let at = |position: u32| of[position as usize];
    let label = |frame: u32| match structure.frames[frame as usize].kind {
        FrameKind::Loop => at(start_of_loop[frame as usize]),
        _ => at(end[frame as usize]),
    };
    let node_label = |from: u32, edge: u32| {
        let data = &graph.edges[edge as usize];
        debug_assert_eq!(data.from, from);
        if structure.dominance.is_back_edge(graph, edge) {
            label(structure.loop_frame[data.to as usize])
        } else {
            label(structure.block_frame[data.to as usize])
        }
    };
    for (number, block) in blocks.iter().enumerate() {
        let from = index_u32(number);
        if block.end == block.start {
            // The empty block at the end of the code.
            continue;
        }
        let next = from + 1;
        match code[block.end as usize - 1] {
            Code::Br(frame) => edges.push((from, label(frame))),
            Code::BrIf(frame) => edges.extend([(from, label(frame)), (from, next)]),
            Code::Open(frame) => {
                edges.push((from, next));
                if let FrameKind::If { .. } = structure.frames[frame as usize].kind {
                    let other = match or_else[frame as usize] {
                        NONE => end[frame as usize],
                        position => position,
                    };
                    edges.push((from, at(other)));
                }
            }
            Code::Else(frame) => edges.push((from, at(end[frame as usize]))),
            Code::Table(node) => graph.for_each_out_edge(node, |edge| edges.push((from, node_label(node, edge)))),
            Code::Invoke(node) => {
                let Exit::Invoke { normal, ref handlers } = graph.nodes[node as usize].exit else {
                    unreachable!("an invocation is the exit of its node")
                };
                edges.extend(normal.map(|_| (from, next)));
                edges.extend(handlers.iter().map(|&edge| (from, node_label(node, edge))));
            }
            Code::BranchOnReference(node) => {
                let Exit::BranchOnReference { taken, .. } = graph.nodes[node as usize].exit else {
                    unreachable!("a branch on a reference is the exit of its node")
                };
                edges.extend([(from, next), (from, node_label(node, taken))]);
            }
            Code::Return | Code::Unreachable => {}
            _ if next < index_u32(blocks.len()) => edges.push((from, next)),
            _ => {}
        }
    }
    CodeBlocks::new(blocks, of, depth, &edges)
}

impl CodeBlocks {
    /// Blocks with edges between them.
    pub(super) fn new(spans: Vec<Range<u32>>, of: Vec<u32>, depth: Vec<u32>, edges: &[(u32, u32)]) -> Self {
        let mut predecessor_starts = vec![0u32; spans.len() + 1];
        edges.iter().for_each(|&(_, to)| predecessor_starts[to as usize + 1] += 1);
        for index in 1..predecessor_starts.len() {
            predecessor_starts[index] += predecessor_starts[index - 1];
        }
        let mut cursor = predecessor_starts.clone();
        let mut predecessors = vec![0; edges.len()];
        for &(from, to) in edges {
            predecessors[cursor[to as usize] as usize] = from;
            cursor[to as usize] += 1;
        }
        Self { spans, of, predecessor_starts, predecessors, depth }
    }

    pub(super) fn count(&self) -> usize {
        self.spans.len()
    }

    /// The block of a position.
    pub(super) fn at(&self, position: u32) -> u32 {
        self.of[position as usize]
    }

    pub(super) fn span(&self, block: u32) -> Range<u32> {
        self.spans[block as usize].clone()
    }

    /// How many loops a position is in.
    pub(super) fn depth_at(&self, position: u32) -> u32 {
        self.depth[self.at(position) as usize]
    }

    pub(super) fn predecessors_of(&self, block: u32) -> &[u32] {
        &self.predecessors
            [self.predecessor_starts[block as usize] as usize..self.predecessor_starts[block as usize + 1] as usize]
    }
}
