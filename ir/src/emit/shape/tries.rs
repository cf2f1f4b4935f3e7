//! One `try_table` for several invocations with the same handlers.

use super::Shaper;
use crate::effects::EffectFlags;
use crate::emit::graph::{Exit, NONE, index_u32};
use crate::emit::schedule::Code;
use crate::emit::structure::{FrameId, FrameKind};
use crate::entity::Entity;
use crate::func::{Handler, Terminator};

impl Shaper<'_> {
    /// The clauses of a `try_table`: what each catches, and where it leads.
    fn catches(&self, frame: FrameId) -> Vec<(Handler, FrameId)> {
        let node = self.structure.frames[frame as usize].node;
        let Terminator::Invoke(invoke) = self.terminator(node) else { unreachable!("a try_table holds an invocation") };
        let Exit::Invoke { handlers, .. } = &self.graph.nodes[node as usize].exit else {
            unreachable!("an invocation is the exit of its node")
        };
        let clauses = invoke.handlers.iter().filter(|handler| handler.block().is_some()).zip(handlers);
        let clauses = clauses.filter(|(handler, _)| handler.is_exception_handler());
        // Only the label says where a clause leads.
        let plain = |mut handler: Handler| {
            if let Some(block) = handler.block_mut() {
                *block = self.func.entry;
            }
            handler
        };
        clauses.map(|(&handler, &edge)| (plain(handler), self.edge_frame(edge))).collect()
    }

    /// Makes one `try_table` of those that follow one another with equal clauses, if nothing between them can throw, branch, or take values from
    /// the stack that were there before.
    pub(super) fn unite_tries(&mut self) {
        let is_try = |this: &Self, frame: FrameId| this.structure.frames[frame as usize].kind == FrameKind::Try;
        if !(0..index_u32(self.structure.frames.len())).any(|frame| is_try(self, frame)) {
            return;
        }
        let mut arity: Vec<Option<(u32, u32)>> = vec![None; self.func.operators.len()];
        for block in self.func.blocks.values() {
            for &inst in &block.insts {
                let results = index_u32(self.func.inst_results(inst).len());
                arity[self.func.operator_id(inst).index()] = Some((index_u32(self.func.operands(inst).len()), results));
            }
        }
        let mut position = self.next[0];
        while position != NONE {
            let next = self.next[position as usize];
            if let Code::End(frame) = self.code[position as usize]
                && is_try(self, frame)
                && let Some(other) = self.try_after(position, index_u32(self.results(frame).len()), &arity)
                && self.catches(frame) == self.catches(other)
            {
                // The second one begins where the first one did; its end is looked at in turn.
                let open = self.open[frame as usize];
                self.code[open as usize] = Code::Open(other);
                let inner = std::mem::replace(&mut self.open[other as usize], open);
                self.remove(position);
                position = if inner == next { self.next[inner as usize] } else { next };
                self.remove(inner);
            } else {
                position = next;
            }
        }
    }

    /// The `try_table` that begins after a position, with the operand stack as high as it was before what ends there, which left `height` values.
    fn try_after(&self, position: u32, mut height: u32, arity: &[Option<(u32, u32)>]) -> Option<FrameId> {
        let mut position = self.next[position as usize];
        while position != NONE {
            let (taken, left) = match self.code[position as usize] {
                Code::Open(frame) if self.structure.frames[frame as usize].kind == FrameKind::Try => {
                    return (height == 0).then_some(frame);
                }
                Code::Operator(id) => {
                    // Operators that have no effects entry or arity were added by emission itself.
                    let effects = self.graph.effects.get(id.index())?;
                    if effects.flags.intersects(EffectFlags::THROWS.union(EffectFlags::CONTROL)) {
                        return None;
                    }
                    arity[id.index()]?
                }
                Code::Get(_) | Code::I32Const(_) => (0, 1),
                Code::Set(_) | Code::Drop => (1, 0),
                Code::Tee(_) | Code::I32Eqz => (1, 1),
                Code::Nothing => (0, 0),
                _ => return None,
            };
            height = height.checked_sub(taken)? + left;
            position = self.next[position as usize];
        }
        None
    }
}
