//! Locals in place of values; copies between equal ones are left out.

use super::Shaper;
use crate::emit::graph::{Exit, index_u32};
use crate::emit::locals::Locals;
use crate::emit::schedule::Code;
use crate::emit::structure::FrameKind;
use crate::entity::Entity;
use crate::func::Value;

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
        let mut casts = locals.casts.iter().peekable();
        for (position, code) in source.into_iter().enumerate() {
            let is_cast = casts.next_if_eq(&&index_u32(position)).is_some();
            let code = match code {
                Code::Nothing | Code::Undefine(_) => continue,
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
            // A `tee` that became a `set` leaves nothing to cast.
            if is_cast && !matches!(code, Code::Set(_)) {
                self.code.push(Code::AsNonNull);
            }
        }
        self.drop_zeros(locals);
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
        (Some(Code::AsNonNull), Code::Drop) => {
            code.pop();
            push(code, item);
        }
        _ => code.push(item),
    }
}
