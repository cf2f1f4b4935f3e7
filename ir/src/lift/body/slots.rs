//! Locals: their types, and what is known of those that the body uses.

use super::Builder;
use crate::func::{Func, Inst, SourceLocal, Value};
use crate::lift::graph::{Assignment, PendingRead, Slot};
use crate::operator::default_operator;
use wasmparser::ValType;

/// What is known of a wasm local that the body uses.
#[derive(Debug)]
pub(in crate::lift) struct LocalSlot {
    pub local: SourceLocal,
    pub ty: ValType,
    /// The value at the function's entry: the parameter, or a constant once somebody needs it.
    pub initial: Option<Value>,
    /// The value in the current straight run of code, if `since` is in it.
    current: Option<Value>,
    since: u32,
}

impl LocalSlot {
    /// The value at the function's entry. A constant is made where there is none yet, and is pushed to `defaults`.
    pub fn initial_value(&mut self, func: &mut Func, defaults: &mut Vec<Inst>) -> Value {
        if let Some(value) = self.initial {
            return value;
        }
        let operator = default_operator(self.ty)
            .unwrap_or_else(|| panic!("validation keeps {} from being read before it is set", self.local));
        let operator = func.operators.intern(operator);
        let inst = func.create_inst(operator, &[], &[self.ty]);
        let value = func.first_result(inst);
        func.source_locals[value] = Some(self.local);
        defaults.push(inst);
        *self.initial.insert(value)
    }
}

pub(super) const NO_SLOT: u32 = u32::MAX;

/// The types of locals, in runs as they are declared.
#[derive(Debug, Default)]
pub(super) struct LocalTypes {
    /// The end of each run, and the type of its locals.
    runs: Vec<(u32, ValType)>,
}

impl LocalTypes {
    pub fn push(&mut self, count: u32, ty: ValType) {
        self.runs.push((self.len() + count, ty));
    }
    pub fn len(&self) -> u32 {
        self.runs.last().map_or(0, |run| run.0)
    }
    pub fn get(&self, local: u32) -> ValType {
        self.runs[self.runs.partition_point(|run| run.0 <= local)].1
    }
}

impl Builder<'_> {
    fn slot(&mut self, local: u32) -> Slot {
        let entry = &mut self.slot_of_local[local as usize];
        if *entry == NO_SLOT {
            // A parameter's value is known from the start of the function.
            let initial = self.func.blocks[self.func.entry].params.get(local as usize).copied();
            let ty = self.locals.get(local);
            let local = SourceLocal::from_u32(local);
            let slot = self.slots.push(LocalSlot { local, ty, initial, current: initial, since: 0 });
            *entry = slot.as_u32();
        }
        Slot::from_u32(*entry)
    }

    #[inline]
    pub(super) fn read_local(&mut self, local: u32) -> Value {
        let slot = self.slot(local);
        let data = &mut self.slots[slot];
        match data.current {
            Some(value) if data.since >= self.run_start => value,
            _ => {
                let stand_in = self.func.create_detached_value(data.ty);
                data.current = Some(stand_in);
                data.since = self.position;
                let enclosing_loop = self.frames.last().expect("the function is open").innermost_loop;
                self.graph.pending_reads.push(PendingRead { stand_in, slot, position: self.position, enclosing_loop });
                stand_in
            }
        }
    }

    #[inline]
    pub(super) fn write_local(&mut self, local: u32, value: Value) {
        let slot = self.slot(local);
        let data = &mut self.slots[slot];
        data.current = Some(value);
        data.since = self.position;
        let hint = &mut self.func.source_locals[value];
        if hint.is_none() {
            *hint = Some(SourceLocal::from_u32(local));
        }
        let construct = self.frames.last().expect("the function is open").assignments_in;
        self.graph.assignments.push(Assignment { slot, position: self.position, construct, value });
    }
}
