//! Reports to `host.cover`, in instrumented encodings.

use wasm_encoder::Instruction;

use super::Encoder;
use super::body::Body;
use crate::generate::coverage::Event;
use crate::generate::program::{Heap, HostFunction, TypeDefinition};

impl Encoder<'_> {
    /// Reports an event, if the encoding is instrumented.
    pub(super) fn cover(&mut self, body: &mut Body, event: Event) {
        self.report(body, event, Instruction::I32Const(0), Instruction::Drop);
    }

    /// Reports an event and keeps the depth that the host answers.
    pub(super) fn cover_depth(&mut self, body: &mut Body, event: Event) {
        self.report(body, event, Instruction::I32Const(0), Instruction::LocalSet(body.depth_local));
    }

    /// Reports an event together with the depth kept.
    pub(super) fn cover_at_depth(&mut self, body: &mut Body, event: Event) {
        self.report(body, event, Instruction::LocalGet(body.depth_local), Instruction::Drop);
    }

    /// Reports an event with a depth; `answered` takes the depth that the host answers.
    fn report(&mut self, body: &mut Body, event: Event, depth: Instruction<'static>, answered: Instruction<'static>) {
        if self.instrumented {
            let cover = self.host(HostFunction::Cover);
            body.out.extend([Instruction::I32Const(event as i32), depth, Instruction::Call(cover), answered]);
        }
    }

    pub(super) fn cover_table(&mut self, body: &mut Body, table: u32, event: Event) {
        if let Heap::Type(id) = self.program.tables[table as usize].element
            && matches!(self.program.types[id as usize], TypeDefinition::Continuation(_))
        {
            self.cover(body, event);
        }
    }
}
