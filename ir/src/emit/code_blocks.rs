//! Control flow of scheduled code: runs of positions without branches and labels.

use super::graph::{EdgeId, Exit, Graph, NONE, index_u32};
use super::schedule::Code;
use super::structure::{FrameId, FrameKind, Structure};
use crate::analysis::EntityLists;
use std::ops::Range;

/// Control flow of scheduled code. Blocks are numbered in the order of the code.
pub(super) struct CodeBlocks {
    /// The positions of each block.
    spans: Vec<Range<u32>>,
    /// The block of each position.
    of: Vec<u32>,
    predecessors: EntityLists<u32, u32>,
    /// How many loops each block is in.
    depth: Vec<u32>,
}

/// Finds the blocks of scheduled code and the edges between them.
pub(super) fn code_blocks(graph: &Graph, structure: &Structure, code: &[Code]) -> CodeBlocks {
    let layout = Layout::new(structure, code);
    let mut edges: Vec<(u32, u32)> = Vec::with_capacity(layout.spans.len() * 2);
    for block in 0..index_u32(layout.spans.len()) {
        layout.for_each_successor(graph, structure, code, block, |successor| edges.push((block, successor)));
    }
    CodeBlocks::new(layout.spans, layout.of, layout.depth, &edges)
}

/// Where blocks and frames begin and end.
struct Layout {
    /// As in [`CodeBlocks`].
    spans: Vec<Range<u32>>,
    /// As in [`CodeBlocks`], with the position behind the code.
    of: Vec<u32>,
    /// As in [`CodeBlocks`].
    depth: Vec<u32>,
    /// The position in each frame that is a loop.
    start_of_loop: Vec<u32>,
    /// The position behind the `else` of each frame that has one; [`NONE`] for the others.
    behind_else: Vec<u32>,
    /// The position behind the end of each frame.
    behind_end: Vec<u32>,
}

impl Layout {
    fn new(structure: &Structure, code: &[Code]) -> Self {
        let of_frames = || vec![NONE; structure.frames.len()];
        let (mut start_of_loop, mut behind_else, mut behind_end) = (of_frames(), of_frames(), of_frames());
        let mut spans: Vec<Range<u32>> = Vec::with_capacity(2 * structure.frames.len());
        let mut of = Vec::with_capacity(code.len() + 1);
        let (mut depth, mut loops) = (vec![0], 0);
        let mut start = 0;
        for (position, item) in code.iter().enumerate() {
            let behind = index_u32(position + 1);
            of.push(index_u32(spans.len()));
            let ends_block = match *item {
                Code::Open(frame) => match structure.frames[frame as usize].kind {
                    FrameKind::Loop => {
                        loops += 1;
                        start_of_loop[frame as usize] = behind;
                        true
                    }
                    FrameKind::If { .. } => true,
                    FrameKind::Block | FrameKind::Try => false,
                },
                Code::Else(frame) => {
                    behind_else[frame as usize] = behind;
                    true
                }
                Code::End(frame) => {
                    loops -= u32::from(structure.frames[frame as usize].kind == FrameKind::Loop);
                    behind_end[frame as usize] = behind;
                    true
                }
                Code::Br(_) | Code::BrIf(_) | Code::Table(_) | Code::Invoke(_) | Code::BranchOnReference(_) => true,
                Code::Return | Code::Unreachable => true,
                _ => false,
            };
            if ends_block {
                spans.push(start..behind);
                depth.push(loops);
                start = behind;
            }
        }
        // Empty where the last of the code ends a block.
        spans.push(start..index_u32(code.len()));
        of.push(index_u32(spans.len() - 1));
        Self { spans, of, depth, start_of_loop, behind_else, behind_end }
    }

    /// The block that the label of a frame stands for.
    fn label(&self, structure: &Structure, frame: FrameId) -> u32 {
        let position = match structure.frames[frame as usize].kind {
            FrameKind::Loop => self.start_of_loop[frame as usize],
            FrameKind::Block | FrameKind::Try | FrameKind::If { .. } => self.behind_end[frame as usize],
        };
        self.of[position as usize]
    }

    /// The block that an edge of the graph leads to.
    fn target(&self, graph: &Graph, structure: &Structure, edge: EdgeId) -> u32 {
        let to = graph.edges[edge as usize].to as usize;
        let is_back_edge = structure.dominance.is_back_edge(graph, edge);
        self.label(structure, if is_back_edge { structure.loop_frame[to] } else { structure.block_frame[to] })
    }

    fn for_each_successor(
        &self,
        graph: &Graph,
        structure: &Structure,
        code: &[Code],
        block: u32,
        mut visit: impl FnMut(u32),
    ) {
        let span = &self.spans[block as usize];
        if span.is_empty() {
            // The empty block at the end of the code.
            return;
        }
        let next = block + 1;
        match code[span.end as usize - 1] {
            Code::Br(frame) => visit(self.label(structure, frame)),
            Code::BrIf(frame) => [self.label(structure, frame), next].into_iter().for_each(visit),
            Code::Open(frame) => {
                visit(next);
                if let FrameKind::If { .. } = structure.frames[frame as usize].kind {
                    let other = match self.behind_else[frame as usize] {
                        NONE => self.behind_end[frame as usize],
                        position => position,
                    };
                    visit(self.of[other as usize]);
                }
            }
            Code::Else(frame) => visit(self.of[self.behind_end[frame as usize] as usize]),
            Code::Table(node) => graph.for_each_out_edge(node, |edge| visit(self.target(graph, structure, edge))),
            Code::Invoke(node) => {
                let Exit::Invoke { normal, ref handlers } = graph.nodes[node as usize].exit else {
                    unreachable!("an invocation is the exit of its node")
                };
                let normal = normal.map(|_| next);
                let handlers = handlers.iter().map(|&edge| self.target(graph, structure, edge));
                normal.into_iter().chain(handlers).for_each(visit);
            }
            Code::BranchOnReference(node) => {
                let Exit::BranchOnReference { taken, .. } = graph.nodes[node as usize].exit else {
                    unreachable!("a branch on a reference is the exit of its node")
                };
                [next, self.target(graph, structure, taken)].into_iter().for_each(visit);
            }
            Code::Return | Code::Unreachable => {}
            _ if next < index_u32(self.spans.len()) => visit(next),
            _ => {}
        }
    }
}

impl CodeBlocks {
    /// Blocks with edges between them.
    pub(super) fn new(spans: Vec<Range<u32>>, of: Vec<u32>, depth: Vec<u32>, edges: &[(u32, u32)]) -> Self {
        let predecessors = EntityLists::of_pairs(spans.len(), || edges.iter().map(|&(from, to)| (to, from)));
        Self { spans, of, predecessors, depth }
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
        self.predecessors.of(block)
    }
}
