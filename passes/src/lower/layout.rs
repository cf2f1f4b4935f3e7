//! Frames: which slots a function's frame has, and how they are written and read.

use super::builder::Builder;
use super::groups::GroupSlots;
use super::split::Point;
use super::store::{FrameField, GcStore, Kind, MemoryStore};
use super::values::nullable;
use super::{Error, Lowering};
use indexmap::IndexMap;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use wasmfx_ir::func::{Func, Value};
use wasmfx_ir::signature::concrete;
use wasmfx_ir::wasmparser::{Operator, ValType};

/// Of wasm's implementation limits.
const MAX_STRUCT_FIELDS: usize = 10_000;

/// A place in a frame: the type it holds (references nullable), and a byte offset (memory store) or field number (gc store).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    pub(super) ty: ValType,
    pub(super) at: u32,
}

impl Slot {
    pub(super) fn is_reference(&self) -> bool {
        matches!(self.ty, ValType::Ref(_))
    }
}

/// The shape of the frames of one function.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// Whether frames have the fields of markers.
    pub(super) marker: bool,
    /// Size class and bytes (memory store).
    pub(super) class: u32,
    pub(super) bytes: u32,
    /// The struct type (gc store).
    pub(super) struct_type: u32,
    /// The types of the slots, in order.
    pub(super) fields: Vec<ValType>,
    /// For each point, by position: its saved values and where they are.
    pub(super) points: Vec<Vec<(Value, Slot)>>,
    /// For each group of points: what all of them save, and the type of the values before they are. It is that of the slot where one of the points has
    /// no value, and nothing can stand in for one.
    pub(super) groups: FxHashMap<usize, Vec<(Slot, ValType)>>,
}

/// The type of the slot for a value.
pub(super) fn slot_type(ty: ValType) -> ValType {
    match ty {
        ValType::Ref(reference) => nullable(reference.heap_type()),
        _ => ty,
    }
}

/// How many bytes a slot takes in memory. A reference is a number in a table.
fn slot_bytes(ty: ValType) -> u32 {
    match ty {
        ValType::V128 => 16,
        ValType::I64 | ValType::F64 => 8,
        ValType::I32 | ValType::F32 | ValType::Ref(_) => 4,
    }
}

/// What comes out of a slot, as a value of type `ty`.
pub(super) fn of_type(builder: &mut Builder<'_>, value: Value, ty: ValType) -> Value {
    match ty {
        ValType::Ref(reference) if !reference.is_nullable() => builder.value(Operator::RefAsNonNull, &[value], ty),
        _ => value,
    }
}

impl Layout {
    /// The layout for a function whose points save these values; slots are shared between points, and some points in groups. Where there are such
    /// there are few sizes of frames.
    pub(super) fn new(lowering: &mut Lowering<'_>, func: &Func, points: &[Point], groups: Option<&GroupSlots>) -> Self {
        let marker = points.iter().filter(|point| point.needs_frame()).any(|point| super::is_resume(&point.operator));
        // The k-th value of a type has the k-th slot of that type, at any point. Values that many points save come first, so that they are in the
        // same slot most of the time.
        let mut frequency: FxHashMap<Value, usize> = FxHashMap::default();
        for &value in points.iter().flat_map(|point| &point.saved) {
            *frequency.entry(value).or_insert(0) += 1;
        }
        let mut counts: IndexMap<ValType, u32> = IndexMap::new();
        let mut numbered: Vec<Vec<(Value, ValType, u32)>> = Vec::new();
        let mut count = |types: &mut dyn Iterator<Item = ValType>| -> Vec<(ValType, u32)> {
            let mut here: IndexMap<ValType, u32> = IndexMap::new();
            let mut numbers = Vec::new();
            for ty in types {
                let number = here.entry(ty).or_insert(0);
                numbers.push((ty, *number));
                *number += 1;
            }
            for (ty, count) in here {
                let most = counts.entry(ty).or_insert(0);
                *most = (*most).max(count);
            }
            numbers
        };
        let mut of_groups: IndexMap<usize, Vec<(ValType, u32)>> = IndexMap::new();
        for point in points {
            if let Some(slots) = groups.and_then(|groups| groups.get(&point.group)) {
                let numbers = of_groups
                    .entry(point.group)
                    .or_insert_with(|| count(&mut slots.iter().map(|slot| slot_type(slot.ty))));
                let place = |(&value, &slot): (&Value, &usize)| (value, numbers[slot].0, numbers[slot].1);
                numbered.push(point.saved.iter().zip(&point.slots).map(place).collect());
                continue;
            }
            let mut saved = point.saved.clone();
            saved.sort_by_key(|value| (Reverse(frequency[value]), *value));
            let numbers = count(&mut saved.iter().map(|&value| slot_type(func.value_type(value))));
            numbered.push(saved.into_iter().zip(numbers).map(|(value, (ty, number))| (value, ty, number)).collect());
        }
        // The most frequent type first, so that most frames begin alike.
        let mut runs: Vec<(ValType, u32)> = counts.into_iter().collect();
        runs.sort_by_key(|&(ty, _)| (ty != ValType::I32, slot_bytes(ty)));
        let fields: Vec<ValType> =
            runs.iter().flat_map(|&(ty, count)| std::iter::repeat_n(ty, count as usize)).collect();
        let mut layout = Self::of_fields(marker, fields);
        let places = layout.place(lowering, groups.is_some());
        let mut first: IndexMap<ValType, usize> = IndexMap::new();
        let mut index = 0;
        for &(ty, count) in &runs {
            first.insert(ty, index);
            index += count as usize;
        }
        let slot = |ty: ValType, number: u32| Slot { ty, at: places[first[&ty] + number as usize] };
        let with_slots = |values: Vec<(Value, ValType, u32)>| {
            values.into_iter().map(|(value, ty, number)| (value, slot(ty, number))).collect()
        };
        layout.points = numbered.into_iter().map(with_slots).collect();
        for (group, numbers) in of_groups {
            let shared = &groups.expect("a point is in one of them")[&group];
            let typed = numbers.into_iter().zip(shared).map(|((ty, number), shared)| {
                let is_exact = shared.is_common || lowering.has_stand_in(shared.ty);
                (slot(ty, number), if is_exact { shared.ty } else { ty })
            });
            layout.groups.insert(group, typed.collect());
        }
        layout
    }

    /// A layout with one slot for each of these types, in order, and the slots.
    pub(super) fn of_types(lowering: &mut Lowering<'_>, types: &[ValType]) -> (Self, Vec<Slot>) {
        let fields: Vec<ValType> = types.iter().map(|&ty| slot_type(ty)).collect();
        let mut layout = Self::of_fields(false, fields);
        let places = layout.place(lowering, false);
        let slots = layout.fields.iter().zip(places).map(|(&ty, at)| Slot { ty, at }).collect();
        (layout, slots)
    }

    /// A layout of fields that are nowhere yet, and of no points.
    pub(super) fn of_fields(marker: bool, fields: Vec<ValType>) -> Self {
        let (points, groups) = (Vec::new(), FxHashMap::default());
        Self { marker, class: 0, bytes: 0, struct_type: 0, fields, points, groups }
    }

    /// Decides where each field is.
    fn place(&mut self, lowering: &mut Lowering<'_>, few_kinds: bool) -> Vec<u32> {
        match lowering.store.kind {
            Kind::Memory(memory) => {
                let mut at = memory.slots_offset(self.marker);
                let places = self
                    .fields
                    .iter()
                    .map(|&ty| {
                        let place = at.next_multiple_of(slot_bytes(ty).min(8));
                        at = place + slot_bytes(ty);
                        place
                    })
                    .collect();
                (self.class, self.bytes) = MemoryStore::size_class(if few_kinds { at.next_power_of_two() } else { at });
                places
            }
            Kind::Gc(_) => {
                self.struct_type = lowering.frame_struct(self.marker, &self.fields);
                let first = GcStore::header_fields(self.marker);
                (0..self.fields.len()).map(|index| first + u32::try_from(index).expect("fields are few")).collect()
            }
        }
    }
}

impl Lowering<'_> {
    /// Refuses frames that are too large for their store.
    pub(super) fn check_frame(&self, layout: &Layout) -> Result<(), Error> {
        let fields = layout.fields.len() + GcStore::header_fields(layout.marker) as usize;
        if matches!(self.store.kind, Kind::Gc(_)) && fields > MAX_STRUCT_FIELDS {
            return Err(Error::input(format!(
                "{} values are live where it may suspend, and a GC struct has {MAX_STRUCT_FIELDS} fields at most",
                layout.fields.len()
            ))
            .with_help("keep frames in linear memory: `--frames memory`"));
        }
        Ok(())
    }

    /// Writes a slot. In the memory store a reference goes to a table, and its number into the slot.
    pub(super) fn save(&mut self, builder: &mut Builder<'_>, layout: &Layout, frame: Value, slot: Slot, value: Value) {
        match self.store.kind {
            Kind::Memory(memory) => {
                let argument = |log2| super::builder::memory_argument(memory.memory, slot.at, log2);
                match slot.ty {
                    ValType::I32 => builder.run(Operator::I32Store { memarg: argument(2) }, &[frame, value]),
                    ValType::I64 => builder.run(Operator::I64Store { memarg: argument(3) }, &[frame, value]),
                    ValType::F32 => builder.run(Operator::F32Store { memarg: argument(2) }, &[frame, value]),
                    ValType::F64 => builder.run(Operator::F64Store { memarg: argument(3) }, &[frame, value]),
                    ValType::V128 => builder.run(Operator::V128Store { memarg: argument(4) }, &[frame, value]),
                    ValType::Ref(_) => {
                        let put = self.reference_table(slot.ty).put;
                        let number = builder.value(Operator::Call { function_index: put }, &[value], ValType::I32);
                        memory.store(builder, frame, slot.at, number);
                    }
                }
            }
            Kind::Gc(_) => {
                let operator = Operator::StructSet { struct_type_index: layout.struct_type, field_index: slot.at };
                builder.run(operator, &[frame, value]);
            }
        }
    }

    /// Reads a slot as a value of type `ty`. In the memory store a reference leaves its table.
    pub(super) fn load(
        &mut self,
        builder: &mut Builder<'_>,
        layout: &Layout,
        frame: Value,
        slot: Slot,
        ty: ValType,
    ) -> Value {
        let value = match self.store.kind {
            Kind::Memory(memory) => {
                let argument = |log2| super::builder::memory_argument(memory.memory, slot.at, log2);
                match slot.ty {
                    ValType::I32 => builder.value(Operator::I32Load { memarg: argument(2) }, &[frame], ty),
                    ValType::I64 => builder.value(Operator::I64Load { memarg: argument(3) }, &[frame], ty),
                    ValType::F32 => builder.value(Operator::F32Load { memarg: argument(2) }, &[frame], ty),
                    ValType::F64 => builder.value(Operator::F64Load { memarg: argument(3) }, &[frame], ty),
                    ValType::V128 => builder.value(Operator::V128Load { memarg: argument(4) }, &[frame], ty),
                    ValType::Ref(_) => {
                        let take = self.reference_table(slot.ty).take;
                        let number = memory.load(builder, frame, slot.at);
                        builder.value(Operator::Call { function_index: take }, &[number], slot.ty)
                    }
                }
            }
            Kind::Gc(_) => {
                let operator = Operator::StructGet { struct_type_index: layout.struct_type, field_index: slot.at };
                builder.value(operator, &[frame], slot.ty)
            }
        };
        of_type(builder, value, ty)
    }

    /// Forgets a slot that is not read: a reference leaves its table.
    pub(super) fn forget(&mut self, builder: &mut Builder<'_>, layout: &Layout, frame: Value, slot: Slot) {
        if matches!((self.store.kind, slot.ty), (Kind::Memory(_), ValType::Ref(_))) {
            self.load(builder, layout, frame, slot, slot.ty);
        }
    }

    /// The type of references to frames of this layout.
    pub(super) fn frame_type_of(&self, layout: &Layout) -> ValType {
        match self.store.kind {
            Kind::Memory(_) => ValType::I32,
            Kind::Gc(_) => concrete(false, layout.struct_type),
        }
    }

    /// A new frame of this layout. Its slots hold anything.
    pub(super) fn new_frame(&mut self, builder: &mut Builder<'_>, layout: &Layout) -> Value {
        match self.store.kind {
            Kind::Memory(memory) => self.store.allocate_frame(builder, memory, layout.class, layout.bytes),
            Kind::Gc(_) => {
                let operator = Operator::StructNewDefault { struct_type_index: layout.struct_type };
                builder.value(operator, &[], self.frame_type_of(layout))
            }
        }
    }

    /// Recycles a frame of this layout.
    pub(super) fn free_frame(&mut self, builder: &mut Builder<'_>, layout: &Layout, frame: Value) {
        if let Kind::Memory(memory) = self.store.kind {
            memory.free(builder, frame, layout.class);
        }
    }

    /// The frame that a resume function was given, as one of this layout.
    pub(super) fn frame_of_layout(&mut self, builder: &mut Builder<'_>, layout: &Layout, frame: Value) -> Value {
        match self.store.kind {
            Kind::Memory(_) => frame,
            Kind::Gc(_) => {
                let hty = super::values::concrete_heap(wasmfx_ir::module::TypeId::from_u32(layout.struct_type));
                builder.value(Operator::RefCastNonNull { hty }, &[frame], self.frame_type_of(layout))
            }
        }
    }

    /// Sets a frame's resume function.
    pub(super) fn set_resume_function(&mut self, builder: &mut Builder<'_>, frame: Value, number: u32) {
        let number = self.store.resume_function(builder, number);
        self.store.set_frame_field(builder, frame, FrameField::Function, number);
    }
}
