//! Branches: where labels lead, and the edges to there.

use super::Builder;
use super::constructs::join_of;
use crate::func::{Block, BlockCall, Terminator, Value};
use crate::lift::graph::{ConstructId, JoinId};
use crate::module::OpaqueReason;
use wasmparser::{BrTable, Catch, Operator, RefType, ValType};

/// Where a label leads.
#[derive(Copy, Clone, Debug)]
pub(super) enum Target {
    Join(JoinId),
    Return,
}

/// A catch clause of an open `try_table`.
#[derive(Copy, Clone, Debug)]
pub(super) struct ActiveCatch {
    pub catch: Catch,
    pub target: Target,
}

impl Builder<'_> {
    pub(super) fn target(&mut self, relative_depth: u32) -> Target {
        let index = self.frames.len() - 1 - relative_depth as usize;
        if index == 0 {
            return Target::Return;
        }
        Target::Join(join_of(&mut self.frames[index], &mut self.func, &mut self.graph))
    }

    pub(super) fn innermost_loop(&self) -> Option<ConstructId> {
        self.frames.last().expect("the function is open").innermost_loop
    }

    /// A jump from `from`, here, to a join, with the topmost operands.
    pub(super) fn edge(&mut self, from: Block, join: JoinId) -> BlockCall {
        let values = self.stack.len() - self.graph.joins[join].stack_values as usize;
        self.graph.add_edge(from, join, self.position, self.innermost_loop(), &self.stack[values..]);
        BlockCall::new(self.graph.joins[join].block)
    }

    /// A block that returns from the function with the topmost operands.
    pub(super) fn return_block(&mut self) -> Block {
        let block = self.add_block();
        self.listed_values += self.func.results.len();
        self.func.blocks[block].terminator = Terminator::Return(self.top(self.func.results.len()));
        block
    }

    pub(super) fn branch(&mut self, relative_depth: u32) {
        let terminator = match self.target(relative_depth) {
            Target::Join(join) => Terminator::Jump(self.edge(self.current(), join)),
            Target::Return => Terminator::Return(self.top(self.func.results.len())),
        };
        self.terminate(terminator);
    }

    pub(super) fn branch_if(&mut self, relative_depth: u32, likely: Option<bool>) {
        let condition = self.pop();
        let then_target = match self.target(relative_depth) {
            Target::Join(join) => self.edge(self.current(), join),
            Target::Return => BlockCall::new(self.return_block()),
        };
        let next = self.func.add_block();
        let else_target = BlockCall::new(next);
        self.terminate(Terminator::Branch { condition, then_target, else_target, likely });
        self.start(next);
    }

    pub(super) fn branch_table(&mut self, table: &BrTable<'_>) -> Result<(), OpaqueReason> {
        let index = self.pop();
        let from = self.current();
        let mut return_block = None;
        let mut call = |builder: &mut Self, depth| match builder.target(depth) {
            Target::Join(join) => builder.edge(from, join),
            Target::Return => BlockCall::new(*return_block.get_or_insert_with(|| builder.return_block())),
        };
        let mut targets = Vec::with_capacity(table.len() as usize);
        for depth in table.targets() {
            targets.push(call(self, depth.expect("the reader has been over these bytes before")));
            if self.graph.edge_values.len() > self.size_limit.entries {
                return Err(OpaqueReason::TooLarge);
            }
        }
        let default = call(self, table.default());
        self.terminate(Terminator::Switch { index, targets, default });
        Ok(())
    }

    pub(super) fn branch_on_reference(&mut self, operator: Operator<'_>) {
        let reference = self.pop();
        // The label means nothing in the IR, so that equal tests are equal operators.
        let (depth, canonical, taken_type, not_taken_type) = match operator {
            Operator::BrOnNull { relative_depth } => {
                let non_null = ValType::Ref(self.reference_type(reference).as_non_null());
                (relative_depth, Operator::BrOnNull { relative_depth: 0 }, None, Some(non_null))
            }
            Operator::BrOnNonNull { relative_depth } => {
                let non_null = ValType::Ref(self.reference_type(reference).as_non_null());
                (relative_depth, Operator::BrOnNonNull { relative_depth: 0 }, Some(non_null), None)
            }
            Operator::BrOnCast { relative_depth, from_ref_type, to_ref_type } => (
                relative_depth,
                Operator::BrOnCast { relative_depth: 0, from_ref_type, to_ref_type },
                Some(ValType::Ref(to_ref_type)),
                Some(ValType::Ref(RefType::difference(from_ref_type, to_ref_type))),
            ),
            Operator::BrOnCastFail { relative_depth, from_ref_type, to_ref_type } => (
                relative_depth,
                Operator::BrOnCastFail { relative_depth: 0, from_ref_type, to_ref_type },
                Some(ValType::Ref(RefType::difference(from_ref_type, to_ref_type))),
                Some(ValType::Ref(to_ref_type)),
            ),
            _ => unreachable!("not a branch on a reference"),
        };
        let operator = self.func.operators.intern(canonical);
        let target = self.target(depth);
        let taken = self.add_block();
        if let Some(ty) = taken_type {
            let value = self.func.add_block_param(taken, ty);
            self.stack.push(value);
        }
        self.func.blocks[taken].terminator = match target {
            Target::Join(join) => Terminator::Jump(self.edge(taken, join)),
            Target::Return => Terminator::Return(self.top(self.func.results.len())),
        };
        if taken_type.is_some() {
            self.pop();
        }
        let not_taken = self.func.add_block();
        if let Some(ty) = not_taken_type {
            let value = self.func.add_block_param(not_taken, ty);
            self.stack.push(value);
        }
        self.terminate(Terminator::BranchOnReference { operator, reference, taken, not_taken });
        self.start(not_taken);
    }

    fn reference_type(&self, value: Value) -> RefType {
        match self.func.value_type(value) {
            ValType::Ref(reference) => reference,
            other => unreachable!("validation lets no {other} be a reference"),
        }
    }
}
