//! Constructs: what opening and closing them does to blocks, the operand stack and the graph.

use super::branches::ActiveCatch;
use super::{Builder, func_type};
use crate::func::{Block, BlockCall, Func, Terminator, ValueVec};
use crate::lift::graph::{Construct, ConstructId, ConstructKind, Graph, JoinId, Parameter, ParameterSource};
use smallvec::SmallVec;
use wasmparser::{BlockType, Catch, TryTable, ValType};

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    Function,
    Block,
    Loop,
    If,
    Else,
    TryTable,
}

/// An open construct.
#[derive(Debug)]
pub(super) struct Frame {
    pub kind: FrameKind,
    pub ty: BlockType,
    /// Whether its first operator is not reached: then nothing in it is.
    pub dead: bool,
    /// The height of the operand stack below its parameters.
    pub height: usize,
    pub param_count: u32,
    pub result_count: u32,
    pub construct: ConstructId,
    /// Where assignments are noted: the construct, or the first arm of an `if`.
    pub assignments_in: ConstructId,
    /// The innermost loop at its operators.
    pub innermost_loop: Option<ConstructId>,
    /// Where its label leads.
    pub join: Option<JoinId>,
    /// For an `if`: the block that ends with it, and the values that the second arm begins with.
    pub branch: Option<(Block, ValueVec)>,
    /// How many groups of catch clauses are active outside.
    pub catch_groups_outside: usize,
}

impl Builder<'_> {
    fn block_arity(&self, ty: BlockType) -> (u32, u32) {
        match ty {
            BlockType::Empty => (0, 0),
            BlockType::Type(_) => (0, 1),
            BlockType::FuncType(index) => {
                let ty = func_type(self.source, index);
                (ty.params().len() as u32, ty.results().len() as u32)
            }
        }
    }

    pub(super) fn param_types(&self, ty: BlockType) -> SmallVec<[ValType; 4]> {
        match ty {
            BlockType::Empty | BlockType::Type(_) => SmallVec::new(),
            BlockType::FuncType(index) => self.numbered_types(func_type(self.source, index).params()),
        }
    }

    pub(super) fn result_types(&self, ty: BlockType) -> SmallVec<[ValType; 4]> {
        match ty {
            BlockType::Empty => SmallVec::new(),
            BlockType::Type(ty) => SmallVec::from_slice(&[self.source.numbered_type(ty)]),
            BlockType::FuncType(index) => self.numbered_types(func_type(self.source, index).results()),
        }
    }

    fn numbered_types(&self, types: &[ValType]) -> SmallVec<[ValType; 4]> {
        types.iter().map(|&ty| self.source.numbered_type(ty)).collect()
    }

    pub(super) fn push_frame(
        &mut self,
        kind: FrameKind,
        ty: BlockType,
        dead: bool,
        param_count: u32,
        result_count: u32,
    ) {
        if let (false, BlockType::FuncType(number)) = (kind == FrameKind::Function, ty) {
            self.block_types.push(number);
        }
        let outside = self.frames.last();
        let enclosing_loop = outside.and_then(|frame| frame.innermost_loop);
        let construct = if dead {
            // Nothing in it is noted, so it needs no construct of its own.
            outside.expect("the function itself is reached").construct
        } else {
            self.graph.constructs.push(Construct {
                parent: outside.map(|frame| frame.assignments_in),
                kind: if kind == FrameKind::Function { ConstructKind::Function } else { ConstructKind::Block },
                start: self.position,
                end: u32::MAX,
                enclosing_loop,
                end_join: None,
            })
        };
        self.frames.push(Frame {
            kind,
            ty,
            dead,
            height: self.stack.len().saturating_sub(param_count as usize),
            param_count,
            result_count,
            construct,
            assignments_in: construct,
            innermost_loop: enclosing_loop,
            join: None,
            branch: None,
            catch_groups_outside: self.catch_groups.len(),
        });
    }

    pub(super) fn open(&mut self, kind: FrameKind, ty: BlockType) {
        let (params, results) = self.block_arity(ty);
        self.push_frame(kind, ty, self.current.is_none(), params, results);
    }

    pub(super) fn open_loop(&mut self, ty: BlockType) {
        self.open(FrameKind::Loop, ty);
        if self.current.is_none() {
            return;
        }
        let header = self.func.add_block();
        let frame = self.frames.last_mut().expect("just pushed");
        let (construct, height, outer_loop) = (frame.construct, frame.height, frame.innermost_loop);
        let join = self.graph.add_join(header, frame.param_count);
        frame.join = Some(join);
        frame.innermost_loop = Some(construct);
        self.graph.constructs[construct].kind = ConstructKind::Loop(join);
        self.graph.add_edge(self.current.expect("checked"), join, self.position, outer_loop, &self.stack[height..]);
        self.terminate(Terminator::Jump(BlockCall::new(header)));
        self.start(header);
        self.stack.truncate(height);
        self.push_parameters(join, &self.param_types(ty));
        self.run_start = self.position;
    }

    fn push_parameters(&mut self, join: JoinId, types: &[ValType]) {
        for (index, &ty) in types.iter().enumerate() {
            let value = self.func.create_detached_value(ty);
            self.stack.push(value);
            let source = ParameterSource::Stack(index as u32);
            self.graph.parameters.push(Parameter { value, join, source });
        }
    }

    pub(super) fn open_if(&mut self, ty: BlockType, likely: Option<bool>) {
        let reached = self.current.is_some();
        let condition = reached.then(|| self.pop());
        self.open(FrameKind::If, ty);
        let Some(condition) = condition else { return };
        let block = self.current();
        let frame = self.frames.last_mut().expect("just pushed");
        let enclosing_loop = frame.innermost_loop;
        frame.branch = Some((block, self.stack[frame.height..].iter().copied().collect()));
        frame.assignments_in = self.graph.constructs.push(Construct {
            parent: Some(frame.construct),
            kind: ConstructKind::Then,
            start: self.position,
            end: u32::MAX,
            enclosing_loop,
            end_join: None,
        });
        let then_block = self.func.add_block();
        // Where zero leads is known at the `else` or the `end`.
        let else_target = BlockCall::new(then_block);
        let then_target = BlockCall::new(then_block);
        self.terminate(Terminator::Branch { condition, then_target, else_target, likely });
        self.start(then_block);
    }

    pub(super) fn open_else(&mut self) {
        let mut frame = self.frames.pop().expect("validated");
        frame.kind = FrameKind::Else;
        if frame.dead {
            self.frames.push(frame);
            return;
        }
        let then_arm = &mut self.graph.constructs[frame.assignments_in];
        then_arm.kind = ConstructKind::ThenBeforeElse;
        then_arm.end = self.position;
        frame.assignments_in = frame.construct;
        if self.current.is_some() {
            self.jump_to_end(&mut frame);
        }
        self.stack.truncate(frame.height);
        let (branch, values) = frame.branch.take().expect("an if that is reached has a branch");
        self.stack.extend(values);
        let else_block = self.func.add_block();
        self.set_else_target(branch, else_block);
        self.start(else_block);
        self.run_start = self.position;
        self.frames.push(frame);
    }

    fn set_else_target(&mut self, branch: Block, target: Block) {
        match &mut self.func.blocks[branch].terminator {
            Terminator::Branch { else_target, .. } => else_target.block = target,
            other => unreachable!("an if ends its block with {other:?}"),
        }
    }

    /// Jumps from the current block to the end of `frame` with the results on the stack.
    fn jump_to_end(&mut self, frame: &mut Frame) {
        let join = join_of(frame, &mut self.func, &mut self.graph);
        let results = self.stack.len() - frame.result_count as usize;
        let (from, results) = (self.current(), &self.stack[results..]);
        self.graph.add_edge(from, join, self.position, frame.innermost_loop, results);
        let block = self.graph.joins[join].block;
        self.terminate(Terminator::Jump(BlockCall::new(block)));
    }

    pub(super) fn open_try_table(&mut self, table: TryTable) {
        // Labels of clauses count from outside of the `try_table`.
        let catches: Vec<ActiveCatch> = if self.current.is_some() {
            let target = |builder: &mut Self, catch: Catch| {
                let label = match catch {
                    Catch::One { label, .. }
                    | Catch::OneRef { label, .. }
                    | Catch::All { label }
                    | Catch::AllRef { label } => label,
                };
                ActiveCatch { catch, target: builder.target(label) }
            };
            table.catches.into_iter().map(|catch| target(self, catch)).collect()
        } else {
            Vec::new()
        };
        self.open(FrameKind::TryTable, table.ty);
        if !catches.is_empty() {
            self.catch_groups.push(self.catches.len());
            self.catches.extend(catches);
        }
    }

    pub(super) fn close(&mut self) {
        let mut frame = self.frames.pop().expect("validated");
        if frame.dead {
            return;
        }
        self.graph.constructs[frame.construct].end = self.position;
        if let Some(&start) = self.catch_groups.get(frame.catch_groups_outside) {
            self.catches.truncate(start);
            self.catch_groups.truncate(frame.catch_groups_outside);
        }
        match frame.kind {
            FrameKind::Function => {
                if self.current.is_some() {
                    let results = self.top(frame.result_count as usize);
                    self.terminate(Terminator::Return(results));
                }
                return;
            }
            FrameKind::Loop => {
                // A loop's label is at its start, so its end is reached from the code before it only.
                if self.current.is_none() {
                    self.stack.truncate(frame.height);
                }
                return;
            }
            FrameKind::If => {
                self.graph.constructs[frame.assignments_in].end = self.position;
                let start = self.graph.constructs[frame.construct].start;
                let (branch, values) = frame.branch.take().expect("an if that is reached has a branch");
                let join = join_of(&mut frame, &mut self.func, &mut self.graph);
                self.graph.add_edge(branch, join, start, frame.innermost_loop, &values);
                self.set_else_target(branch, self.graph.joins[join].block);
            }
            FrameKind::Block | FrameKind::Else | FrameKind::TryTable => {}
        }
        if frame.join.is_some() && self.current.is_some() {
            self.jump_to_end(&mut frame);
        }
        let Some(join) = frame.join else {
            if self.current.is_none() {
                self.stack.truncate(frame.height);
            }
            return;
        };
        let block = self.graph.joins[join].block;
        self.graph.constructs[frame.construct].end_join = Some(join);
        self.stack.truncate(frame.height);
        if frame.result_count > 0 {
            self.push_parameters(join, &self.result_types(frame.ty));
        }
        self.start(block);
        self.run_start = self.position;
    }
}

/// The join that the label of a frame leads to.
pub(super) fn join_of(frame: &mut Frame, func: &mut Func, graph: &mut Graph) -> JoinId {
    // The block gets its place in the order of the source when the construct ends. A loop has its join from the start.
    *frame.join.get_or_insert_with(|| graph.add_join(func.add_block(), frame.result_count))
}
