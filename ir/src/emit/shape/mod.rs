//! Stages 10 and 11: the final forms of branches, the peephole, and the numbering of labels.
//!
//! | step | file |
//! |---|---|
//! | locals for values, copies between equal ones | `locals` |
//! | branches to where control goes anyway, what nothing reaches | `jumps` |
//! | `if`, `br_if`, blocks and loops in their smallest form | `frames` |
//! | one `try_table` for several invocations | `tries` |
//! | label numbers, block types, clauses | `write` |
//! | conditions and their inverses | `inversions` |
//!
//! The code is a doubly linked list while it is being rewritten, so every rule is local.

mod frames;
mod inversions;
mod jumps;
mod locals;
mod tries;
mod write;
mod zeros;

pub(super) use inversions::Inversions;

use super::body::EmittedBody;
use super::graph::{EdgeId, Exit, Graph, NONE, NodeId, index_u32};
use super::locals::Locals;
use super::schedule::{Code, Schedule};
use super::structure::{FrameId, FrameKind, RUN_ON, Structure};
use crate::entity::Entity;
use crate::func::{Func, OperatorId, Terminator};
use crate::signature::fixed_arity;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::cell::OnceCell;
use wasmparser::{Operator, ValType};

/// Where control goes if there is nothing but jumps.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Target {
    /// To some instruction.
    Here,
    /// To the end of a block, or to the start of a loop.
    Label(FrameId),
    Return,
}

struct Shaper<'a> {
    func: &'a Func,
    graph: &'a Graph,
    structure: &'a Structure,
    schedule: &'a Schedule,
    inversions: &'a Inversions,
    /// The code, after a sentinel; locals are numbers wrapped as [`Value`]s.
    code: Vec<Code>,
    next: Vec<u32>,
    previous: Vec<u32>,
    /// Positions of each frame's parts.
    open: Vec<u32>,
    or_else: Vec<u32>,
    end: Vec<u32>,
    /// Frames that leave nothing on the stack whatever follows them.
    leaves_nothing: Vec<bool>,
    /// Where a branch to each frame leads in the end.
    label: Vec<Target>,
    /// How many branches lead to a frame's label.
    references: Vec<u32>,
    /// For each frame, the `if` that became the latest `br_if` to its label.
    branched_from: Vec<FrameId>,
    /// The frame around each.
    parent: Vec<FrameId>,
    /// Frames that are no longer there, as their code is part of the frame around them.
    is_dissolved: Vec<bool>,
    /// Blocks that are an `if` now.
    became_if: Vec<bool>,
    /// Branch hints by position.
    hints: FxHashMap<u32, bool>,
    /// How many operands and results the operators of instructions have, once somebody asks.
    arity: OnceCell<Vec<Option<(u32, u32)>>>,
}

/// Gives scheduled code its final form.
pub(super) fn shape(
    func: &Func,
    graph: &Graph,
    structure: &Structure,
    schedule: &Schedule,
    locals: &Locals,
    inversions: &Inversions,
) -> EmittedBody {
    let frames = structure.frames.len();
    let mut shaper = Shaper {
        func,
        graph,
        structure,
        schedule,
        inversions,
        code: Vec::with_capacity(schedule.code.len() + 1),
        next: Vec::new(),
        previous: Vec::new(),
        open: vec![NONE; frames],
        or_else: vec![NONE; frames],
        end: vec![NONE; frames],
        leaves_nothing: vec![false; frames],
        label: (0..index_u32(frames)).map(Target::Label).collect(),
        references: vec![0; frames],
        branched_from: vec![NONE; frames],
        parent: vec![NONE; frames],
        is_dissolved: vec![false; frames],
        became_if: vec![false; frames],
        hints: FxHashMap::default(),
        arity: OnceCell::new(),
    };
    shaper.assign_locals(locals);
    shaper.link();
    shaper.drop_needless_branches();
    shaper.count_references();
    shaper.drop_unreachable();
    // Where a handler only jumps, what is dropped is what a branch led past.
    shaper.drop_needless_branches();
    shaper.count_references();
    shaper.shape_frames();
    shaper.unite_tries();
    shaper.finish(locals)
}

impl Shaper<'_> {
    fn link(&mut self) {
        let count = index_u32(self.code.len());
        self.next = (1..=count).collect();
        self.next[count as usize - 1] = NONE;
        self.previous = (0..count).map(|at| at.wrapping_sub(1)).collect();
        let mut nesting = Vec::new();
        for (position, &code) in self.code.iter().enumerate() {
            let position = index_u32(position);
            match code {
                Code::Open(frame) => {
                    self.open[frame as usize] = position;
                    self.parent[frame as usize] = nesting.last().copied().unwrap_or(NONE);
                    nesting.push(frame);
                }
                Code::Else(frame) => self.or_else[frame as usize] = position,
                Code::End(frame) => {
                    self.end[frame as usize] = position;
                    nesting.pop();
                }
                _ => {}
            }
        }
    }

    fn remove(&mut self, position: u32) {
        let (previous, next) = (self.previous[position as usize], self.next[position as usize]);
        self.next[previous as usize] = next;
        if next != NONE {
            self.previous[next as usize] = previous;
        }
        self.code[position as usize] = Code::Nothing;
        self.hints.remove(&position);
    }

    fn insert_before(&mut self, position: u32, code: Code) {
        self.insert_after(self.previous[position as usize], code);
    }

    /// Returns the position of what was inserted.
    fn insert_after(&mut self, position: u32, code: Code) -> u32 {
        let added = index_u32(self.code.len());
        self.code.push(code);
        let next = self.next[position as usize];
        self.next.push(next);
        self.previous.push(position);
        self.next[position as usize] = added;
        if next != NONE {
            self.previous[next as usize] = added;
        }
        added
    }

    /// The position of the last code.
    fn last(&self) -> u32 {
        let mut last = 0;
        while self.next[last as usize] != NONE {
            last = self.next[last as usize];
        }
        last
    }

    fn append(&mut self, code: Code) {
        self.insert_after(self.last(), code);
    }

    /// How many operands an operator takes and how many results it leaves, as far as that is known.
    fn arity(&self, id: OperatorId) -> Option<(u32, u32)> {
        if let Some((taken, left)) = fixed_arity(&self.func.operators[id]) {
            return Some((index_u32(taken), index_u32(left)));
        }
        let arity = self.arity.get_or_init(|| {
            let mut arity = vec![None; self.func.operators.len()];
            for &inst in self.func.blocks.values().flat_map(|block| &block.insts) {
                let results = index_u32(self.func.inst_results(inst).len());
                let operands = index_u32(self.func.operands(inst).len());
                arity[self.func.operator_id(inst).index()] = Some((operands, results));
            }
            arity
        });
        *arity.get(id.index())?
    }

    fn next_of(&self, position: u32) -> u32 {
        self.next[position as usize]
    }

    /// The types that a frame leaves on the stack.
    fn results(&self, frame: FrameId) -> SmallVec<[ValType; 2]> {
        if self.leaves_nothing[frame as usize] {
            return SmallVec::new();
        }
        self.types_at(self.structure.frames[frame as usize].follow)
    }

    fn types_at(&self, follow: NodeId) -> SmallVec<[ValType; 2]> {
        match follow {
            NONE => self.func.results.iter().copied().collect(),
            RUN_ON => SmallVec::new(),
            node => {
                let data = &self.graph.nodes[node as usize];
                if data.params_on_stack {
                    data.params.iter().map(|&param| self.graph.value_type(self.func, param)).collect()
                } else {
                    self.schedule.stack_param[node as usize]
                        .iter()
                        .map(|&param| self.graph.value_type(self.func, param))
                        .collect()
                }
            }
        }
    }

    /// The types that a jump to a target takes along.
    fn target_types(&self, target: Target) -> SmallVec<[ValType; 2]> {
        match target {
            Target::Here => SmallVec::new(),
            Target::Return => self.func.results.iter().copied().collect(),
            Target::Label(frame) if self.structure.frames[frame as usize].kind == FrameKind::Loop => SmallVec::new(),
            Target::Label(frame) => self.types_at(self.structure.frames[frame as usize].follow),
        }
    }

    fn edge_frame(&self, edge: EdgeId) -> FrameId {
        let to = self.graph.edges[edge as usize].to as usize;
        if self.structure.dominance.is_back_edge(self.graph, edge) {
            return self.structure.loop_frame[to];
        }
        let frame = self.structure.block_frame[to];
        // Without code at its end, the label is that of another frame.
        match self.label[frame as usize] {
            Target::Label(frame) => frame,
            Target::Return | Target::Here => frame,
        }
    }

    /// Calls `visit` with the frames that an instruction may branch to.
    fn for_each_label(&self, code: Code, mut visit: impl FnMut(FrameId)) {
        match code {
            Code::Br(frame) | Code::BrIf(frame) => visit(frame),
            Code::Table(node) => self.graph.for_each_out_edge(node, |edge| visit(self.edge_frame(edge))),
            Code::Invoke(node) => {
                if let Exit::Invoke { handlers, .. } = &self.graph.nodes[node as usize].exit {
                    handlers.iter().for_each(|&edge| visit(self.edge_frame(edge)));
                }
            }
            Code::BranchOnReference(node) => {
                if let Exit::BranchOnReference { taken, .. } = self.graph.nodes[node as usize].exit {
                    visit(self.edge_frame(taken));
                }
            }
            _ => {}
        }
    }

    /// Whether control does not reach what follows an instruction.
    fn leaves(&self, position: u32) -> bool {
        match self.code[position as usize] {
            Code::Br(_) | Code::Return | Code::Unreachable | Code::Table(_) => true,
            Code::Operator(id) => matches!(
                self.func.operators[id],
                Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } | Operator::ReturnCallRef { .. }
            ),
            _ => false,
        }
    }

    fn terminator(&self, node: NodeId) -> &Terminator {
        let block = self.graph.nodes[node as usize].block.expect("only blocks of the function end so");
        &self.func.blocks[block].terminator
    }
}
