//! Where frames and continuations live: one interface over the two stores.
//!
//! A suspended continuation is a *stack*: a chain of frames from the innermost outwards, and among them, in a chain of their own, *markers*, which
//! are the frames of functions that were suspended inside a `resume` that did not handle the tag. Both ends of both chains are kept, so that
//! capturing, splicing and forwarding take constant time. A marker also knows the tail of the frames inside it, where a capture cuts.
//!
//! | | memory | gc |
//! |---|---|---|
//! | frame | address of {next, function, class, [marker fields], slots} | a struct, a subtype of {next, function} |
//! | stack | address of a record {continuation, head, [tail, first marker, last marker, masks,] entry frame, spare} | a struct of the four ends and masks |
//! | continuation | i64: generation above the record's address; 0 is null | a struct around the stack, emptied when it is consumed |
//!
//! A record of the memory store holds the one continuation that is not stale. Where the runtime's memory begins at address 0, there is something
//! else than 0 there, so that null is stale as well.
//!
//! The record of the memory store embeds the frame of a continuation's entry function, so that `cont.new` allocates nothing else. A record is never
//! used for anything but records, and its generation only grows: a stale handle never reaches newer state.

use super::builder::{Builder, memory_argument};
use wasmfx_ir::func::{Handler, Value};
use wasmfx_ir::operator::default_operator;
use wasmfx_ir::signature::concrete;
use wasmfx_ir::wasmparser::{AbstractHeapType, HeapType, Operator, RefType, UnpackedIndex, ValType};

/// The slot of a resumption point that raises the pending exception, relative to the point's first slot; there only where exceptions cross
/// continuations.
pub(super) const THROW_ENTRY: u32 = 1;
/// Marks a status that only the driver can deal with: the chain of new markers is not empty.
pub(super) const SPECIAL: u32 = 1 << 31;
/// Marks the status of a resumed frame that was suspended by its own instruction: the frame is where it was, and nothing was appended.
pub(super) const IN_PLACE: u32 = 1 << 30;
/// The status "start the pending continuation from here": always special, never in place.
pub(super) const START_STATUS: u32 = SPECIAL | (IN_PLACE - 2);

/// Offsets in the reserved first kilobyte of the memory store.
pub(super) mod cells {
    /// Heads of the free lists of frames: four bytes for each size class. No frame in a list has class 0, so the first four are used otherwise.
    pub(in super::super) const FREE_FRAMES: u32 = 0;
    /// Head of the free list of records.
    pub(in super::super) const FREE_RECORDS: u32 = 712;
    /// A frame that is in no stack: a suspension's new frames are appended to it.
    pub(in super::super) const SENTINEL: u32 = 720;
    /// Where allocation starts.
    pub(in super::super) const HEAP: u32 = 1024;
}

/// How the memory store lays out its frames.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct MemoryStore {
    /// The memory.
    pub(super) memory: u32,
    /// Where the reserved kilobyte is.
    pub(super) base: u32,
    /// Whether the memory is the runtime's alone.
    pub(super) own: bool,
    /// Whether function numbers need more than 16 bits.
    pub(super) wide: bool,
    /// Whether records have room for markers.
    pub(super) markers: bool,
    /// The global with the next address to allocate from.
    pub(super) bump: u32,
    /// The global with the address where the memory that may be allocated from ends.
    pub(super) bump_end: u32,
}

/// The types of the gc store.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct GcStore {
    pub(super) frame: u32,
    pub(super) marker: u32,
    pub(super) stack: u32,
    pub(super) continuation: u32,
    /// The global that holds the sentinel.
    pub(super) sentinel: u32,
}

/// Which store, and its particulars.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Memory(MemoryStore),
    Gc(GcStore),
}

/// A field of a stack.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum StackField {
    Head,
    Tail,
    FirstMarker,
    LastMarker,
    /// At least the bits of its markers' masks, where it has markers.
    Masks,
}

/// A field of a frame that every frame has.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum FrameField {
    Next,
    Function,
}

/// A field of a marker.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum MarkerField {
    NextMarker,
    /// A bit for each status, modulo 32, that one of its clauses handles. Of the sentinel, those of all markers that the current suspension has.
    Mask,
    /// Its clauses, as a function in the table of matchers.
    Matcher,
    InnerTail,
}

/// The numbers of the runtime's items in the module that is lowered.
#[derive(Copy, Clone, Debug)]
pub(super) struct Items {
    /// `(func (param frame) (result i32))`
    pub(super) resume_type: u32,
    pub(super) resume_table: u32,
    /// `(func (param i32) (result i32))`
    pub(super) matcher_type: u32,
    pub(super) matcher_table: u32,
    /// The status of the suspension for which the native stack is being unwound, or 0.
    pub(super) unwinding: u32,
    /// The last frame that the current suspension appended.
    pub(super) last: u32,
    /// The last marker that the current suspension appended.
    pub(super) last_marker: u32,
    /// The stack that is to be switched to, or started.
    pub(super) pending: u32,
    /// How many resume sites are nested on the engine's stack.
    pub(super) depth: u32,
    /// The exception that a frame is entered to raise; there only where exceptions cross continuations.
    pub(super) exception: Option<u32>,
    /// Added to numbers of resume functions and matchers: the part of the shared tables that is this module's.
    pub(super) resume_base: Option<u32>,
    pub(super) matcher_base: Option<u32>,
    /// Whether a resume site may be suspended itself, and so become a marker.
    pub(super) markers: bool,
    pub(super) drive: u32,
    pub(super) forward: u32,
    pub(super) thrown: u32,
    pub(super) identity: u32,
    /// Memory store only.
    pub(super) allocate: u32,
    pub(super) allocate_record: u32,
    pub(super) retire: u32,
}

/// A stack that is running: the stack, and in the memory store the handle that it will have when it is captured.
#[derive(Copy, Clone, Debug)]
pub(super) struct Running {
    pub(super) stack: Value,
    pub(super) handle: Option<Value>,
}

/// The store, and the runtime's items.
#[derive(Copy, Clone, Debug)]
pub(super) struct Store {
    pub(super) kind: Kind,
    pub(super) items: Items,
}

fn abstract_type(nullable: bool, ty: AbstractHeapType) -> ValType {
    let heap = HeapType::Abstract { shared: false, ty };
    ValType::Ref(RefType::new(nullable, heap).expect("abstract types are always representable"))
}

impl super::Store {
    /// What a reference to a continuation becomes.
    pub(super) fn continuation_type(self, nullable: bool) -> ValType {
        match self {
            Self::Memory | Self::Auto => ValType::I64,
            Self::Gc => abstract_type(nullable, AbstractHeapType::Struct),
        }
    }
}

impl Kind {
    /// Whether the frames' field for it can tell so many functions apart.
    pub(super) fn can_name(self, functions: usize) -> bool {
        !matches!(self, Kind::Memory(memory) if !memory.wide && functions > 1 << 16)
    }

    /// What a reference to a continuation becomes.
    pub(super) fn continuation_type(&self, nullable: bool) -> ValType {
        let store = match self {
            Self::Memory(_) => super::Store::Memory,
            Self::Gc(_) => super::Store::Gc,
        };
        store.continuation_type(nullable)
    }

    /// The type of frames.
    pub(super) fn frame_type(&self) -> ValType {
        match self {
            Self::Memory(_) => ValType::I32,
            Self::Gc(gc) => concrete(true, gc.frame),
        }
    }

    /// The type of markers.
    pub(super) fn marker_type(&self) -> ValType {
        match self {
            Self::Memory(_) => ValType::I32,
            Self::Gc(gc) => concrete(true, gc.marker),
        }
    }

    /// The type of stacks.
    pub(super) fn stack_type(&self) -> ValType {
        match self {
            Self::Memory(_) => ValType::I32,
            Self::Gc(gc) => concrete(true, gc.stack),
        }
    }

    /// The type of what takes the place of a continuation that is consumed.
    pub(super) fn taken_type(&self) -> ValType {
        match self {
            Self::Memory(_) => ValType::I64,
            Self::Gc(_) => self.stack_type(),
        }
    }

    /// The types of the parts of a [`Running`].
    pub(super) fn running_types(&self) -> Vec<ValType> {
        match self {
            Self::Memory(_) => vec![ValType::I32, ValType::I64],
            Self::Gc(_) => vec![self.stack_type()],
        }
    }
}

impl Running {
    pub(super) fn parts(self) -> Vec<Value> {
        std::iter::once(self.stack).chain(self.handle).collect()
    }

    pub(super) fn from_parts(parts: &[Value]) -> Self {
        Self { stack: parts[0], handle: parts.get(1).copied() }
    }
}

impl MemoryStore {
    fn function_bytes(self) -> u32 {
        if self.wide { 4 } else { 2 }
    }

    /// Offset of the size class in a frame.
    fn class_offset(self) -> u32 {
        if self.wide { 8 } else { 6 }
    }

    fn marker_offset(self) -> u32 {
        if self.wide { 12 } else { 8 }
    }

    /// Where the slots of a frame begin.
    pub(super) fn slots_offset(self, marker: bool) -> u32 {
        self.marker_offset() + if marker { 16 } else { 0 }
    }

    /// Where a record's entry frame is.
    pub(super) fn entry_offset(self) -> u32 {
        if self.markers { 28 } else { 12 }
    }

    /// From a record's entry frame to the word that the record has to spare.
    pub(super) fn spare_offset(self) -> u32 {
        if self.wide { 12 } else { 8 }
    }

    /// The size of a record.
    pub(super) fn record_bytes(self) -> u32 {
        (self.entry_offset() + self.spare_offset() + 4).next_multiple_of(8)
    }

    /// The free list that a frame of this many bytes is kept in, and the bytes that frames of this list have.
    pub(super) fn size_class(bytes: u32) -> (u32, u32) {
        let granules = bytes.div_ceil(16).max(1);
        if granules < 128 {
            return (granules, granules * 16);
        }
        let rounded = granules.next_power_of_two();
        (128 + rounded.trailing_zeros() - 7, rounded * 16)
    }

    pub(super) fn load(self, builder: &mut Builder<'_>, address: Value, offset: u32) -> Value {
        builder.value(Operator::I32Load { memarg: memory_argument(self.memory, offset, 2) }, &[address], ValType::I32)
    }

    pub(super) fn store(self, builder: &mut Builder<'_>, address: Value, offset: u32, value: Value) {
        builder.run(Operator::I32Store { memarg: memory_argument(self.memory, offset, 2) }, &[address, value]);
    }

    /// The continuation of a record that is not stale.
    pub(super) fn load_continuation(self, builder: &mut Builder<'_>, record: Value) -> Value {
        builder.value(Operator::I64Load { memarg: memory_argument(self.memory, 0, 3) }, &[record], ValType::I64)
    }

    pub(super) fn store_continuation(self, builder: &mut Builder<'_>, record: Value, continuation: Value) {
        builder.run(Operator::I64Store { memarg: memory_argument(self.memory, 0, 3) }, &[record, continuation]);
    }

    /// The address of the reserved kilobyte, to which cells are offsets.
    fn cells(self, builder: &mut Builder<'_>) -> Value {
        builder.i32(self.base)
    }

    pub(super) fn load_cell(self, builder: &mut Builder<'_>, cell: u32) -> Value {
        let address = self.cells(builder);
        self.load(builder, address, cell)
    }

    pub(super) fn store_cell(self, builder: &mut Builder<'_>, cell: u32, value: Value) {
        let address = self.cells(builder);
        self.store(builder, address, cell, value);
    }

    fn load_class(self, builder: &mut Builder<'_>, frame: Value) -> Value {
        let memarg = memory_argument(self.memory, self.class_offset(), 1);
        if self.wide {
            return self.load(builder, frame, self.class_offset());
        }
        builder.value(Operator::I32Load16U { memarg }, &[frame], ValType::I32)
    }

    pub(super) fn store_class(self, builder: &mut Builder<'_>, frame: Value, class: Value) {
        if self.wide {
            return self.store(builder, frame, self.class_offset(), class);
        }
        let memarg = memory_argument(self.memory, self.class_offset(), 1);
        builder.run(Operator::I32Store16 { memarg }, &[frame, class]);
    }

    /// Frees a frame of a known size class.
    pub(super) fn free(self, builder: &mut Builder<'_>, frame: Value, class: u32) {
        let cell = cells::FREE_FRAMES + 4 * class;
        let next = self.load_cell(builder, cell);
        self.store(builder, frame, 0, next);
        self.store_cell(builder, cell, frame);
    }

    fn stack_offset(field: StackField) -> u32 {
        match field {
            StackField::Head => 8,
            StackField::Tail => 12,
            StackField::FirstMarker => 16,
            StackField::LastMarker => 20,
            StackField::Masks => 24,
        }
    }

    fn marker_field_offset(self, field: MarkerField) -> u32 {
        self.marker_offset()
            + match field {
                MarkerField::NextMarker => 0,
                MarkerField::Mask => 4,
                MarkerField::Matcher => 8,
                MarkerField::InnerTail => 12,
            }
    }
}

impl GcStore {
    fn marker_field_index(field: MarkerField) -> u32 {
        match field {
            MarkerField::NextMarker => 2,
            MarkerField::Mask => 3,
            MarkerField::Matcher => 4,
            MarkerField::InnerTail => 5,
        }
    }

    /// How many fields come before the slots of a frame.
    pub(super) fn header_fields(marker: bool) -> u32 {
        if marker { 6 } else { 2 }
    }
}

impl Store {
    /// The null frame, marker or stack.
    pub(super) fn null(&self, builder: &mut Builder<'_>, ty: ValType) -> Value {
        let operator = default_operator(ty).expect("runtime structures are nullable");
        builder.value(operator, &[], ty)
    }

    /// Whether a frame, marker or stack is null.
    pub(super) fn is_null(&self, builder: &mut Builder<'_>, reference: Value) -> Value {
        match self.kind {
            Kind::Memory(_) => builder.is_zero(reference),
            Kind::Gc(_) => builder.value(Operator::RefIsNull, &[reference], ValType::I32),
        }
    }

    /// Whether two frames are one.
    pub(super) fn is_same(&self, builder: &mut Builder<'_>, one: Value, other: Value) -> Value {
        match self.kind {
            Kind::Memory(_) => builder.is_equal(one, other),
            Kind::Gc(_) => builder.value(Operator::RefEq, &[one, other], ValType::I32),
        }
    }

    fn get(&self, builder: &mut Builder<'_>, ty: u32, field: u32, of: Value, result: ValType) -> Value {
        builder.value(Operator::StructGet { struct_type_index: ty, field_index: field }, &[of], result)
    }

    fn set(&self, builder: &mut Builder<'_>, ty: u32, field: u32, of: Value, value: Value) {
        builder.run(Operator::StructSet { struct_type_index: ty, field_index: field }, &[of, value]);
    }

    /// Reads a field of a frame.
    pub(super) fn frame_field(&self, builder: &mut Builder<'_>, frame: Value, field: FrameField) -> Value {
        match (self.kind, field) {
            (Kind::Memory(memory), FrameField::Next) => memory.load(builder, frame, 0),
            (Kind::Memory(memory), FrameField::Function) if memory.function_bytes() == 2 => {
                let memarg = memory_argument(memory.memory, 4, 1);
                builder.value(Operator::I32Load16U { memarg }, &[frame], ValType::I32)
            }
            (Kind::Memory(memory), FrameField::Function) => memory.load(builder, frame, 4),
            (Kind::Gc(gc), FrameField::Next) => self.get(builder, gc.frame, 0, frame, self.kind.frame_type()),
            (Kind::Gc(gc), FrameField::Function) => self.get(builder, gc.frame, 1, frame, ValType::I32),
        }
    }

    /// Writes a field of a frame.
    pub(super) fn set_frame_field(&self, builder: &mut Builder<'_>, frame: Value, field: FrameField, value: Value) {
        match (self.kind, field) {
            (Kind::Memory(memory), FrameField::Next) => memory.store(builder, frame, 0, value),
            (Kind::Memory(memory), FrameField::Function) if memory.function_bytes() == 2 => {
                builder.run(Operator::I32Store16 { memarg: memory_argument(memory.memory, 4, 1) }, &[frame, value]);
            }
            (Kind::Memory(memory), FrameField::Function) => memory.store(builder, frame, 4, value),
            (Kind::Gc(gc), FrameField::Next) => self.set(builder, gc.frame, 0, frame, value),
            (Kind::Gc(gc), FrameField::Function) => self.set(builder, gc.frame, 1, frame, value),
        }
    }

    /// Reads a field of a marker.
    pub(super) fn marker_field(&self, builder: &mut Builder<'_>, marker: Value, field: MarkerField) -> Value {
        match self.kind {
            Kind::Memory(memory) => memory.load(builder, marker, memory.marker_field_offset(field)),
            Kind::Gc(gc) => {
                let ty = match field {
                    MarkerField::NextMarker => self.kind.marker_type(),
                    MarkerField::InnerTail => self.kind.frame_type(),
                    MarkerField::Mask | MarkerField::Matcher => ValType::I32,
                };
                self.get(builder, gc.marker, GcStore::marker_field_index(field), marker, ty)
            }
        }
    }

    /// Writes a field of a marker.
    pub(super) fn set_marker_field(&self, builder: &mut Builder<'_>, marker: Value, field: MarkerField, value: Value) {
        match self.kind {
            Kind::Memory(memory) => memory.store(builder, marker, memory.marker_field_offset(field), value),
            Kind::Gc(gc) => self.set(builder, gc.marker, GcStore::marker_field_index(field), marker, value),
        }
    }

    /// Reads a field of a stack.
    pub(super) fn stack_field(&self, builder: &mut Builder<'_>, stack: Value, field: StackField) -> Value {
        match self.kind {
            Kind::Memory(memory) => memory.load(builder, stack, MemoryStore::stack_offset(field)),
            Kind::Gc(gc) => {
                let ty = match field {
                    StackField::Head | StackField::Tail => self.kind.frame_type(),
                    StackField::FirstMarker | StackField::LastMarker => self.kind.marker_type(),
                    StackField::Masks => ValType::I32,
                };
                self.get(builder, gc.stack, field as u32, stack, ty)
            }
        }
    }

    /// Writes a field of a stack.
    pub(super) fn set_stack_field(&self, builder: &mut Builder<'_>, stack: Value, field: StackField, value: Value) {
        match self.kind {
            Kind::Memory(memory) => memory.store(builder, stack, MemoryStore::stack_offset(field), value),
            Kind::Gc(gc) => self.set(builder, gc.stack, field as u32, stack, value),
        }
    }

    /// The frame that new frames are appended to; it is a marker as well.
    pub(super) fn sentinel(&self, builder: &mut Builder<'_>) -> Value {
        match self.kind {
            Kind::Memory(memory) => builder.i32(memory.base + cells::SENTINEL),
            Kind::Gc(gc) => builder.global(gc.sentinel, self.kind.marker_type()),
        }
    }

    /// Appends a frame (or a rest of a chain, or null) to what the current suspension appended.
    pub(super) fn link_last(&self, builder: &mut Builder<'_>, next: Value) {
        let last = builder.global(self.items.last, self.kind.frame_type());
        self.set_frame_field(builder, last, FrameField::Next, next);
    }

    /// Appends a frame to what the current suspension appended, and makes it the last one.
    pub(super) fn append(&self, builder: &mut Builder<'_>, frame: Value) {
        self.link_last(builder, frame);
        builder.set_global(self.items.last, frame);
    }

    /// Begins a suspension: nothing is appended yet.
    pub(super) fn begin_suspension(&self, builder: &mut Builder<'_>) {
        let sentinel = self.sentinel(builder);
        builder.set_global(self.items.last, sentinel);
    }

    /// Makes a frame a marker at the end of the current suspension's markers. It must not have been appended as a frame yet, since it
    /// remembers the last frame inside it.
    pub(super) fn append_marker(&self, builder: &mut Builder<'_>, marker: Value, mask: Value, matcher: Value) {
        let inner = builder.global(self.items.last, self.kind.frame_type());
        self.set_marker_field(builder, marker, MarkerField::InnerTail, inner);
        self.set_marker_field(builder, marker, MarkerField::Mask, mask);
        self.set_marker_field(builder, marker, MarkerField::Matcher, matcher);
        let null = self.null(builder, self.kind.marker_type());
        self.set_marker_field(builder, marker, MarkerField::NextMarker, null);
        let last = builder.global(self.items.last_marker, self.kind.marker_type());
        self.set_marker_field(builder, last, MarkerField::NextMarker, marker);
        builder.set_global(self.items.last_marker, marker);
        let sentinel = self.sentinel(builder);
        let masks = self.marker_field(builder, sentinel, MarkerField::Mask);
        let masks = builder.i32_op(Operator::I32Or, &[masks, mask]);
        self.set_marker_field(builder, sentinel, MarkerField::Mask, masks);
    }

    /// Begins the markers of the current suspension with those of a stack, or none, that have these masks.
    pub(super) fn begin_markers(&self, builder: &mut Builder<'_>, first: Value, last: Value, masks: Value) {
        let sentinel = self.sentinel(builder);
        self.set_marker_field(builder, sentinel, MarkerField::NextMarker, first);
        self.set_marker_field(builder, sentinel, MarkerField::Mask, masks);
        builder.set_global(self.items.last_marker, last);
    }

    /// Takes a continuation, which traps if it is null or was used before. Returns the handle of its stack, or the stack where it has none.
    pub(super) fn take_continuation(&self, builder: &mut Builder<'_>, continuation: Value) -> Value {
        match self.kind {
            Kind::Memory(memory) => {
                let record = builder.i32_op(Operator::I32WrapI64, &[continuation]);
                if memory.base != 0 {
                    let is_null = builder.is_zero(record);
                    builder.trap_if(is_null);
                }
                let current = memory.load_continuation(builder, record);
                let is_stale = builder.value(Operator::I64Ne, &[continuation, current], ValType::I32);
                builder.trap_if(is_stale);
                let one = builder.i64(1 << 32);
                let next = builder.value(Operator::I64Add, &[continuation, one], ValType::I64);
                memory.store_continuation(builder, record, next);
                let shift = builder.i64(32);
                let generation = builder.value(Operator::I64ShrU, &[next, shift], ValType::I64);
                let wrapped = builder.value(Operator::I64Eqz, &[generation], ValType::I32);
                builder.choose(
                    wrapped,
                    ValType::I64,
                    |builder| {
                        builder.value(Operator::Call { function_index: self.items.retire }, &[record], ValType::I64)
                    },
                    |_| next,
                )
            }
            Kind::Gc(gc) => {
                let hty = HeapType::Concrete(UnpackedIndex::Module(gc.continuation));
                let continuation =
                    builder.value(Operator::RefCastNonNull { hty }, &[continuation], concrete(false, gc.continuation));
                let stack = self.get(builder, gc.continuation, 0, continuation, self.kind.stack_type());
                let stack = builder.value(Operator::RefAsNonNull, &[stack], concrete(false, gc.stack));
                let null = self.null(builder, self.kind.stack_type());
                self.set(builder, gc.continuation, 0, continuation, null);
                stack
            }
        }
    }

    /// The running form of what was taken.
    pub(super) fn taken(&self, builder: &mut Builder<'_>, taken: Value) -> Running {
        match self.kind {
            Kind::Memory(_) => {
                let stack = builder.i32_op(Operator::I32WrapI64, &[taken]);
                Running { stack, handle: Some(taken) }
            }
            Kind::Gc(_) => Running { stack: taken, handle: None },
        }
    }

    /// A frame of a size class of the memory store.
    pub(super) fn allocate_frame(
        &self,
        builder: &mut Builder<'_>,
        memory: MemoryStore,
        class: u32,
        bytes: u32,
    ) -> Value {
        let cell = cells::FREE_FRAMES + 4 * class;
        let free = memory.load_cell(builder, cell);
        builder.choose(
            free,
            ValType::I32,
            |builder| {
                let next = memory.load(builder, free, 0);
                memory.store_cell(builder, cell, next);
                free
            },
            |builder| {
                let bytes = builder.i32(bytes);
                let frame = self.call(builder, self.items.allocate, &[bytes], &[ValType::I32])[0];
                // Only where an exception leaves a frame is the frame recycled without knowledge of its function's layout.
                if self.items.exception.is_some() {
                    let class = builder.i32(class);
                    memory.store_class(builder, frame, class);
                }
                frame
            },
        )
    }

    /// The fields of a stack that are used.
    pub(super) fn stack_fields(&self) -> &'static [StackField] {
        use StackField::{FirstMarker, Head, LastMarker, Masks, Tail};
        let all = &[Head, Tail, FirstMarker, LastMarker, Masks];
        if self.items.markers { all } else { &all[..1] }
    }

    /// Makes `frame` the only one of a stack without frames.
    pub(super) fn set_only_frame(&self, builder: &mut Builder<'_>, stack: Value, frame: Value) {
        self.set_stack_field(builder, stack, StackField::Head, frame);
        if self.items.markers {
            self.set_stack_field(builder, stack, StackField::Tail, frame);
        }
    }

    /// A continuation (not null) for a stack.
    pub(super) fn capture(&self, builder: &mut Builder<'_>, running: Running) -> Value {
        match (self.kind, running.handle) {
            (Kind::Memory(_), Some(handle)) => handle,
            (Kind::Memory(_), None) => unreachable!("a running stack of the memory store has its handle"),
            (Kind::Gc(gc), _) => {
                let ty = concrete(false, gc.continuation);
                builder.value(Operator::StructNew { struct_type_index: gc.continuation }, &[running.stack], ty)
            }
        }
    }

    /// The running form of a stack whose continuation was consumed elsewhere.
    pub(super) fn running(&self, builder: &mut Builder<'_>, stack: Value) -> Running {
        let Kind::Memory(memory) = self.kind else { return Running { stack, handle: None } };
        let handle = memory.load_continuation(builder, stack);
        Running { stack, handle: Some(handle) }
    }

    /// A new stack without frames.
    pub(super) fn new_stack(&self, builder: &mut Builder<'_>) -> Running {
        match self.kind {
            Kind::Memory(memory) => {
                let free = memory.load_cell(builder, cells::FREE_RECORDS);
                let record = builder.choose(
                    free,
                    ValType::I32,
                    |builder| {
                        let next = memory.load(builder, free, MemoryStore::stack_offset(StackField::Head));
                        memory.store_cell(builder, cells::FREE_RECORDS, next);
                        free
                    },
                    |builder| {
                        builder.value(Operator::Call { function_index: self.items.allocate_record }, &[], ValType::I32)
                    },
                );
                self.running(builder, record)
            }
            Kind::Gc(gc) => {
                let ty = concrete(false, gc.stack);
                let stack = builder.value(Operator::StructNewDefault { struct_type_index: gc.stack }, &[], ty);
                Running { stack, handle: None }
            }
        }
    }

    /// Recycles a stack. Its chain of markers must be empty.
    pub(super) fn free_stack(&self, builder: &mut Builder<'_>, stack: Value) {
        if let Kind::Memory(memory) = self.kind {
            let next = memory.load_cell(builder, cells::FREE_RECORDS);
            memory.store(builder, stack, MemoryStore::stack_offset(StackField::Head), next);
            memory.store_cell(builder, cells::FREE_RECORDS, stack);
        }
    }

    /// Recycles a frame out of which an exception came. Entry frames have class 0 and belong to their record.
    pub(super) fn discard_frame(&self, builder: &mut Builder<'_>, frame: Value) {
        if let Kind::Memory(memory) = self.kind {
            let class = memory.load_class(builder, frame);
            builder.when(class, |builder| {
                let shift = builder.i32(2);
                let offset = builder.i32_op(Operator::I32Shl, &[class, shift]);
                let cell = memory.base + cells::FREE_FRAMES;
                let next = memory.load(builder, offset, cell);
                memory.store(builder, frame, 0, next);
                memory.store(builder, offset, cell, frame);
            });
        }
    }

    /// A new stack that will call an entry function, and the frame that says so.
    pub(super) fn new_entry(&self, builder: &mut Builder<'_>, function: Value) -> (Running, Value) {
        let running = self.new_stack(builder);
        let frame = match self.kind {
            Kind::Memory(memory) => {
                let frame = builder.add(running.stack, memory.entry_offset());
                let null = builder.i32(0);
                memory.store(builder, frame, 0, null);
                self.set_frame_field(builder, frame, FrameField::Function, function);
                frame
            }
            Kind::Gc(gc) => {
                let null = self.null(builder, self.kind.frame_type());
                let operator = Operator::StructNew { struct_type_index: gc.frame };
                builder.value(operator, &[null, function], concrete(false, gc.frame))
            }
        };
        self.set_only_frame(builder, running.stack, frame);
        (running, frame)
    }

    /// The slot of a resumption point for the first handler clause, relative to the point's first slot.
    pub(super) fn first_clause_entry(&self) -> u32 {
        if self.items.exception.is_some() { THROW_ENTRY + 1 } else { THROW_ENTRY }
    }

    /// The number of a resume function, as a value.
    pub(super) fn resume_function(&self, builder: &mut Builder<'_>, number: u32) -> Value {
        let Some(base) = self.items.resume_base else { return builder.i32(number) };
        let base = builder.global(base, ValType::I32);
        builder.add(base, number)
    }

    /// The number of a matcher, as a value.
    pub(super) fn matcher(&self, builder: &mut Builder<'_>, number: u32) -> Value {
        let Some(base) = self.items.matcher_base else { return builder.i32(number) };
        let base = builder.global(base, ValType::I32);
        builder.add(base, number)
    }

    /// Runs a frame. Its exceptions go to `catches`.
    pub(super) fn run_frame(&self, builder: &mut Builder<'_>, frame: Value, catches: &[Handler]) -> Value {
        let function = self.frame_field(builder, frame, FrameField::Function);
        let operator =
            Operator::CallIndirect { type_index: self.items.resume_type, table_index: self.items.resume_table };
        builder.call(operator, &[frame, function], &[ValType::I32], catches)[0]
    }

    /// Calls a function of the runtime.
    pub(super) fn call(
        &self,
        builder: &mut Builder<'_>,
        function: u32,
        operands: &[Value],
        results: &[ValType],
    ) -> Vec<Value> {
        builder.values(Operator::Call { function_index: function }, operands, results).to_vec()
    }
}
