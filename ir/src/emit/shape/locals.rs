//! Locals in place of values; copies between equal ones, and first zeros, are left out.

use super::Shaper;
use crate::emit::graph::{Exit, index_u32};
use crate::emit::locals::Locals;
use crate::emit::schedule::Code;
use crate::emit::structure::FrameKind;
use crate::entity::Entity;
use crate::func::Value;
use wasmparser::Operator;

impl Shaper<'_> {
    /// Puts locals in place of values, and leaves out copies between equal ones.
    pub(super) fn assign_locals(&mut self, locals: &Locals) {
        self.code.push(Code::Nothing);
        let mut source = self.schedule.code.clone();
        for pair in &locals.elided {
            source[pair.source as usize] = match source[pair.source as usize] {
                Code::Tee(value) => Code::Set(value),
                _ => Code::Nothing,
            };
            source[pair.set as usize] = Code::Nothing;
        }
        let local = |value: Value| Value::from_u32(locals.of_value[value.index()]);
        for code in source {
            let code = match code {
                Code::Nothing => continue,
                Code::Get(value) => Code::Get(local(value)),
                Code::Set(value) => Code::Set(local(value)),
                Code::Tee(value) => Code::Tee(local(value)),
                Code::Open(frame) => {
                    let data = &self.structure.frames[frame as usize];
                    if let FrameKind::If { inverted } = data.kind {
                        let mut hint = match self.graph.nodes[data.node as usize].exit {
                            Exit::Branch { likely, .. } => likely,
                            _ => None,
                        };
                        if inverted {
                            self.invert_last();
                            hint = hint.map(|likely| !likely);
                        }
                        if let Some(likely) = hint {
                            self.hints.insert(index_u32(self.code.len()), likely);
                        }
                    }
                    Code::Open(frame)
                }
                other => other,
            };
            push(&mut self.code, code);
        }
        self.drop_zeros(locals);
    }

    /// Leaves out what makes a local zero that is zero since the function began.
    fn drop_zeros(&mut self, locals: &Locals) {
        let params = self.func.blocks[self.func.entry].params.len();
        let mut is_written = vec![false; params + locals.types.len()];
        let mut kept = 0;
        let mut loops = 0;
        for position in 0..self.code.len() {
            let code = self.code[position];
            match code {
                Code::Open(frame) if self.structure.frames[frame as usize].kind == FrameKind::Loop => loops += 1,
                Code::End(frame) if self.structure.frames[frame as usize].kind == FrameKind::Loop => loops -= 1,
                Code::Set(local) | Code::Tee(local) => {
                    let is_first = !std::mem::replace(&mut is_written[local.index()], true);
                    // All code that can run before stands before, outside of loops.
                    if is_first
                        && loops == 0
                        && local.index() >= params
                        && kept > 0
                        && self.is_zero(self.code[kept - 1])
                    {
                        if let Code::Set(_) = code {
                            kept -= 1;
                        }
                        // The constant stays where a `tee` leaves it on the stack.
                        is_written[local.index()] = false;
                        continue;
                    }
                }
                _ => {}
            }
            self.code[kept] = code;
            if !self.hints.is_empty()
                && let Some(likely) = self.hints.remove(&index_u32(position))
            {
                self.hints.insert(index_u32(kept), likely);
            }
            kept += 1;
        }
        self.code.truncate(kept);
    }

    fn is_zero(&self, code: Code) -> bool {
        match code {
            Code::I32Const(0) => true,
            Code::Operator(id) => match self.func.operators[id] {
                Operator::I32Const { value: 0 } | Operator::I64Const { value: 0 } => true,
                Operator::F32Const { value } => value.bits() == 0,
                Operator::F64Const { value } => value.bits() == 0,
                Operator::V128Const { value } => value.i128() == 0,
                // A local of this type is null at first, as it can only be set to null if it is nullable.
                Operator::RefNull { .. } => true,
                _ => false,
            },
            _ => false,
        }
    }
}

/// Adds an instruction, or makes one of it and its predecessor.
fn push(code: &mut Vec<Code>, item: Code) {
    match (code.last_mut(), item) {
        (Some(last @ Code::Set(_)), Code::Get(local)) if *last == Code::Set(local) => *last = Code::Tee(local),
        (Some(last @ Code::Tee(_)), Code::Set(local)) if *last == Code::Tee(local) => *last = Code::Set(local),
        (Some(&mut Code::Get(previous)), Code::Set(local)) if previous == local => {
            code.pop();
        }
        (Some(Code::Get(_) | Code::I32Const(_)), Code::Drop) => {
            code.pop();
        }
        (Some(last @ Code::Tee(_)), Code::Drop) => {
            let Code::Tee(local) = *last else { unreachable!("the pattern is a tee") };
            *last = Code::Set(local);
        }
        _ => code.push(item),
    }
}
