//! The functions of the runtime: the driver, and the slow paths of the stores.

use super::builder::Builder;
use super::store::{
    FrameField, IN_PLACE, Kind, MarkerField, MemoryStore, Running, SPECIAL, START_STATUS, StackField, Store,
    THROW_ENTRY,
};
use wasmfx_ir::func::{Block, Func, Handler, Terminator, Value};
use wasmfx_ir::module::TypeId;
use wasmfx_ir::wasmparser::{AbstractHeapType, HeapType, Operator, RefType, ValType};

/// `(ref exn)`
pub(super) fn exception_type(nullable: bool) -> ValType {
    let heap = HeapType::Abstract { shared: false, ty: AbstractHeapType::Exn };
    ValType::Ref(RefType::new(nullable, heap).expect("abstract types are always representable"))
}

/// Whether the bit of a status, modulo 32, is in a mask.
fn is_in_mask(builder: &mut Builder<'_>, mask: Value, status: Value) -> Value {
    let shifted = builder.i32_op(Operator::I32ShrU, &[mask, status]);
    let one = builder.i32(1);
    builder.i32_op(Operator::I32And, &[shifted, one])
}

impl Store {
    /// A handler of all exceptions, where they cross continuations; its new landing block gets the exception.
    pub(super) fn catch_all(&self, builder: &mut Builder<'_>) -> Vec<Handler> {
        match self.items.exception {
            Some(_) => vec![Handler::CatchAllRef { block: builder.new_block(&[exception_type(false)]) }],
            None => Vec::new(),
        }
    }

    /// Puts another stack (with at least one frame) in front of `marker`, which then is the stack's first marker behind those of the other.
    /// Returns the innermost frame.
    fn splice(&self, builder: &mut Builder<'_>, stack: Value, other: Value, marker: Value) -> Value {
        let tail = self.stack_field(builder, other, StackField::Tail);
        self.set_marker_field(builder, marker, MarkerField::InnerTail, tail);
        self.set_frame_field(builder, tail, FrameField::Next, marker);
        let first = self.stack_field(builder, other, StackField::FirstMarker);
        let is_null = self.is_null(builder, first);
        let (without, with) = builder.fork(is_null);
        let rest = builder.new_block(&[]);
        builder.switch_to(without);
        self.set_stack_field(builder, stack, StackField::FirstMarker, marker);
        builder.jump(rest, &[]);
        builder.switch_to(with);
        let last = self.stack_field(builder, other, StackField::LastMarker);
        self.set_marker_field(builder, last, MarkerField::NextMarker, marker);
        self.set_stack_field(builder, stack, StackField::FirstMarker, first);
        let (own, others) =
            (self.stack_field(builder, stack, StackField::Masks), self.stack_field(builder, other, StackField::Masks));
        let masks = builder.i32_op(Operator::I32Or, &[own, others]);
        self.set_stack_field(builder, stack, StackField::Masks, masks);
        let null = self.null(builder, self.kind.marker_type());
        self.set_stack_field(builder, other, StackField::FirstMarker, null);
        builder.jump(rest, &[]);
        builder.switch_to(rest);
        let head = self.stack_field(builder, other, StackField::Head);
        self.set_stack_field(builder, stack, StackField::Head, head);
        self.free_stack(builder, other);
        head
    }

    /// Branches to two new blocks: the frame that was run is where it was, or frames were appended.
    pub(super) fn fork_in_place(&self, builder: &mut Builder<'_>, status: Value) -> (Block, Block) {
        let bit = builder.i32(IN_PLACE);
        let in_place = builder.i32_op(Operator::I32And, &[status, bit]);
        builder.fork(in_place)
    }

    /// An in-place status without its mark.
    pub(super) fn plain_status(&self, builder: &mut Builder<'_>, status: Value) -> Value {
        let bit = builder.i32(IN_PLACE);
        builder.i32_op(Operator::I32Xor, &[status, bit])
    }

    /// `drive(stack, frame, status) -> status`: everything but the most frequent case of a resume.
    ///
    /// With status 0, runs `frame` (null: nothing is left to run) and then the frames behind it, each with the results of the one before. Otherwise deals
    /// with a suspension that is already recorded in the stack. Returns 0 when the stack is empty (and recycled), or the status of a suspension that
    /// no marker in the stack handles. An exception that no frame catches leaves the driver.
    pub(super) fn build_drive(&self, ty: TypeId, passed: u32) -> Func {
        let (frame_type, stack_type) = (self.kind.frame_type(), self.kind.stack_type());
        let mut func = Func::new(ty, &[stack_type, frame_type, ValType::I32], &[ValType::I32]);
        let builder = &mut Builder::new(&mut func);
        let [stack, frame, status] = builder.params()[..] else { unreachable!("drive has three parameters") };
        let run = builder.new_block(&[frame_type]);
        let suspended = builder.new_block(&[ValType::I32]);
        builder.branch(status, suspended, &[status], run, &[frame]);

        self.build_run(builder, stack, run, suspended);
        builder.switch_to(suspended);
        let status = builder.block_params(suspended)[0];
        if self.items.markers {
            let search = self.build_special(builder, stack, status, run);
            self.build_search(builder, stack, search, run, passed);
        } else {
            builder.ret(&[status]);
        }
        func
    }

    /// The part of the driver that runs a frame, or finds that there is none.
    fn build_run(&self, builder: &mut Builder<'_>, stack: Value, run: Block, suspended: Block) {
        builder.switch_to(run);
        let frame = builder.block_params(run)[0];
        let done = self.is_null(builder, frame);
        let (finish, go) = builder.fork(done);
        builder.switch_to(finish);
        self.free_stack(builder, stack);
        let zero = builder.i32(0);
        builder.ret(&[zero]);
        builder.switch_to(go);
        if self.items.markers {
            let first = self.stack_field(builder, stack, StackField::FirstMarker);
            let is_marker = self.is_same(builder, frame, first);
            builder.when(is_marker, |builder| {
                let next = self.marker_field(builder, first, MarkerField::NextMarker);
                self.set_stack_field(builder, stack, StackField::FirstMarker, next);
            });
        }
        let next = self.frame_field(builder, frame, FrameField::Next);
        let catches = self.catch_all(builder);
        let status = self.run_frame(builder, frame, &catches);
        let record = builder.new_block(&[]);
        builder.branch(status, record, &[], run, &[next]);
        builder.switch_to(record);
        self.record_suspension(builder, stack, frame, next, status, suspended);
        // Exceptions go on into the next frame.
        if let (Some(exception_global), Some(Handler::CatchAllRef { block })) = (self.items.exception, catches.first())
        {
            builder.switch_to(*block);
            let exception = builder.block_params(*block)[0];
            self.raise_in_next(builder, stack, frame, next, exception, exception_global);
            builder.jump(run, &[next]);
        }
    }

    /// A frame was suspended: the new frames, or the frame itself, are linked to those behind it already.
    fn record_suspension(
        &self,
        builder: &mut Builder<'_>,
        stack: Value,
        frame: Value,
        next: Value,
        status: Value,
        suspended: Block,
    ) {
        let frame_type = self.kind.frame_type();
        let linked = builder.new_block(&[frame_type, frame_type, ValType::I32]);
        let (in_place, appended) = self.fork_in_place(builder, status);
        builder.switch_to(in_place);
        let plain = self.plain_status(builder, status);
        builder.jump(linked, &[frame, frame, plain]);
        builder.switch_to(appended);
        let sentinel = self.sentinel(builder);
        let head = self.frame_field(builder, sentinel, FrameField::Next);
        let last = builder.global(self.items.last, frame_type);
        builder.jump(linked, &[head, last, status]);
        builder.switch_to(linked);
        let [head, last, status] = builder.block_params(linked)[..] else {
            unreachable!("three parameters were given")
        };
        self.set_stack_field(builder, stack, StackField::Head, head);
        if self.items.markers {
            let is_bottom = self.is_null(builder, next);
            let (bottom, inside) = builder.fork(is_bottom);
            builder.switch_to(bottom);
            self.set_stack_field(builder, stack, StackField::Tail, last);
            builder.jump(suspended, &[status]);
            builder.switch_to(inside);
            let first = self.stack_field(builder, stack, StackField::FirstMarker);
            let is_marker = self.is_same(builder, next, first);
            builder.when(is_marker, |builder| self.set_marker_field(builder, first, MarkerField::InnerTail, last));
        }
        builder.jump(suspended, &[status]);
    }

    /// The part of the driver that takes in new markers, and starts the pending continuation where a status asks for that. Returns the block in which
    /// markers are searched, whose parameter is the status.
    fn build_special(&self, builder: &mut Builder<'_>, stack: Value, status: Value, run: Block) -> Block {
        let (marker_type, stack_type) = (self.kind.marker_type(), self.kind.stack_type());
        let search = builder.new_block(&[ValType::I32]);
        let zero = builder.i32(0);
        let is_special = builder.i32_op(Operator::I32LtS, &[status, zero]);
        let special = builder.new_block(&[]);
        builder.branch(is_special, special, &[], search, &[status]);
        builder.switch_to(special);
        let sentinel = self.sentinel(builder);
        let new_first = self.marker_field(builder, sentinel, MarkerField::NextMarker);
        let new_last = builder.global(self.items.last_marker, marker_type);
        let old_first = self.stack_field(builder, stack, StackField::FirstMarker);
        self.set_marker_field(builder, new_last, MarkerField::NextMarker, old_first);
        let none = self.is_null(builder, old_first);
        let new_masks = self.marker_field(builder, sentinel, MarkerField::Mask);
        let masks = builder.choose(
            none,
            ValType::I32,
            |builder| {
                self.set_stack_field(builder, stack, StackField::LastMarker, new_last);
                new_masks
            },
            |builder| {
                let old_masks = self.stack_field(builder, stack, StackField::Masks);
                builder.i32_op(Operator::I32Or, &[old_masks, new_masks])
            },
        );
        self.set_stack_field(builder, stack, StackField::Masks, masks);
        self.set_stack_field(builder, stack, StackField::FirstMarker, new_first);
        let start_status = builder.i32(START_STATUS);
        let is_start = builder.is_equal(status, start_status);
        let (start, other) = builder.fork(is_start);
        builder.switch_to(other);
        let mask = builder.i32(!SPECIAL);
        let plain = builder.i32_op(Operator::I32And, &[status, mask]);
        builder.jump(search, &[plain]);
        builder.switch_to(start);
        let pending = builder.global(self.items.pending, stack_type);
        let head = self.splice(builder, stack, pending, new_first);
        builder.jump(run, &[head]);
        search
    }

    /// The part of the driver that looks for a marker that handles a status.
    fn build_search(&self, builder: &mut Builder<'_>, stack: Value, search: Block, run: Block, passed: u32) {
        let (marker_type, stack_type) = (self.kind.marker_type(), self.kind.stack_type());
        builder.switch_to(search);
        let status = builder.block_params(search)[0];
        let look = builder.new_block(&[marker_type, marker_type]);
        let unhandled = builder.new_block(&[]);
        let masks = self.stack_field(builder, stack, StackField::Masks);
        let some = is_in_mask(builder, masks, status);
        let begin = builder.new_block(&[]);
        builder.branch(some, begin, &[], unhandled, &[]);
        builder.switch_to(begin);
        let first = self.stack_field(builder, stack, StackField::FirstMarker);
        let null = self.null(builder, marker_type);
        builder.jump(look, &[first, null]);
        builder.switch_to(look);
        let [marker, before] = builder.block_params(look)[..] else { unreachable!("two parameters were given") };
        let none = self.is_null(builder, marker);
        let try_marker = builder.new_block(&[]);
        builder.branch(none, unhandled, &[], try_marker, &[]);
        builder.switch_to(unhandled);
        builder.ret(&[status]);
        builder.switch_to(try_marker);
        let mask = self.marker_field(builder, marker, MarkerField::Mask);
        let maybe = is_in_mask(builder, mask, status);
        let (ask, next) = builder.fork(maybe);
        builder.switch_to(ask);
        let matcher = self.marker_field(builder, marker, MarkerField::Matcher);
        let operator =
            Operator::CallIndirect { type_index: self.items.matcher_type, table_index: self.items.matcher_table };
        let clause = builder.value(operator, &[status, matcher], ValType::I32);
        let found = builder.new_block(&[]);
        builder.branch(clause, found, &[], next, &[]);
        builder.switch_to(next);
        let following = self.marker_field(builder, marker, MarkerField::NextMarker);
        builder.jump(look, &[following, marker]);

        // What is inside the marker becomes a continuation.
        builder.switch_to(found);
        let captured = self.new_stack(builder);
        let head = self.stack_field(builder, stack, StackField::Head);
        self.set_stack_field(builder, captured.stack, StackField::Head, head);
        let tail = self.marker_field(builder, marker, MarkerField::InnerTail);
        self.set_stack_field(builder, captured.stack, StackField::Tail, tail);
        let no_frame = self.null(builder, self.kind.frame_type());
        self.set_frame_field(builder, tail, FrameField::Next, no_frame);
        let is_first = self.is_null(builder, before);
        let (without, with) = builder.fork(is_first);
        let cut = builder.new_block(&[]);
        builder.switch_to(without);
        builder.jump(cut, &[]);
        builder.switch_to(with);
        let first = self.stack_field(builder, stack, StackField::FirstMarker);
        self.set_stack_field(builder, captured.stack, StackField::FirstMarker, first);
        self.set_stack_field(builder, captured.stack, StackField::LastMarker, before);
        let masks = self.stack_field(builder, stack, StackField::Masks);
        self.set_stack_field(builder, captured.stack, StackField::Masks, masks);
        let null = self.null(builder, marker_type);
        self.set_marker_field(builder, before, MarkerField::NextMarker, null);
        builder.jump(cut, &[]);
        builder.switch_to(cut);
        let continuation = self.capture(builder, captured);
        builder.set_global(passed, continuation);
        let one = builder.i32(1);
        let is_switch = builder.i32_op(Operator::I32And, &[status, one]);
        let (switching, suspending) = builder.fork(is_switch);
        builder.switch_to(suspending);
        self.set_stack_field(builder, stack, StackField::FirstMarker, marker);
        let function = self.frame_field(builder, marker, FrameField::Function);
        let entry = builder.i32_op(Operator::I32Add, &[function, clause]);
        let entry = builder.add(entry, self.first_clause_entry() - 1);
        self.set_frame_field(builder, marker, FrameField::Function, entry);
        builder.jump(run, &[marker]);
        builder.switch_to(switching);
        let pending = builder.global(self.items.pending, stack_type);
        let head = self.splice(builder, stack, pending, marker);
        builder.jump(run, &[head]);
    }

    /// Makes the frame raise the pending exception when it is run.
    pub(super) fn enter_to_throw(&self, builder: &mut Builder<'_>, frame: Value) {
        let function = self.frame_field(builder, frame, FrameField::Function);
        let function = builder.add(function, THROW_ENTRY);
        self.set_frame_field(builder, frame, FrameField::Function, function);
    }

    /// An exception came out of a frame: if that was the last frame of the stack, the exception leaves the driver; otherwise the next frame is
    /// entered to raise it.
    fn raise_in_next(
        &self,
        builder: &mut Builder<'_>,
        stack: Value,
        frame: Value,
        next: Value,
        exception: Value,
        exception_global: u32,
    ) {
        self.discard_frame(builder, frame);
        let is_bottom = self.is_null(builder, next);
        let (bottom, inside) = builder.fork(is_bottom);
        builder.switch_to(bottom);
        self.free_stack(builder, stack);
        builder.throw_ref(exception, &[]);
        builder.switch_to(inside);
        builder.set_global(exception_global, exception);
        self.enter_to_throw(builder, next);
    }

    /// `thrown(stack, frame, next, exception) -> status`: what a resume site does when an exception comes out of the innermost frame.
    pub(super) fn build_thrown(&self, ty: TypeId, exception_global: u32) -> Func {
        let (frame_type, stack_type) = (self.kind.frame_type(), self.kind.stack_type());
        let params = [stack_type, frame_type, frame_type, exception_type(true)];
        let mut func = Func::new(ty, &params, &[ValType::I32]);
        let builder = &mut Builder::new(&mut func);
        let [stack, frame, next, exception] = builder.params()[..] else { unreachable!("thrown has four parameters") };
        self.raise_in_next(builder, stack, frame, next, exception, exception_global);
        let zero = builder.i32(0);
        let status = self.call(builder, self.items.drive, &[stack, next, zero], &[ValType::I32]);
        builder.ret(&status);
        func
    }

    /// `forward(stack)`: the suspended stack becomes the beginning of a larger one, to which the resume site's own frames will be appended.
    pub(super) fn build_forward(&self, ty: TypeId) -> Func {
        let mut func = Func::new(ty, &[self.kind.stack_type()], &[]);
        let builder = &mut Builder::new(&mut func);
        let stack = builder.params()[0];
        let sentinel = self.sentinel(builder);
        let head = self.stack_field(builder, stack, StackField::Head);
        self.set_frame_field(builder, sentinel, FrameField::Next, head);
        let tail = self.stack_field(builder, stack, StackField::Tail);
        builder.set_global(self.items.last, tail);
        let first = self.stack_field(builder, stack, StackField::FirstMarker);
        let none = self.is_null(builder, first);
        let begin = builder.new_block(&[self.kind.marker_type(), ValType::I32]);
        let (without, with) = builder.fork(none);
        builder.switch_to(without);
        let no_masks = builder.i32(0);
        builder.jump(begin, &[sentinel, no_masks]);
        builder.switch_to(with);
        let last = self.stack_field(builder, stack, StackField::LastMarker);
        let masks = self.stack_field(builder, stack, StackField::Masks);
        builder.jump(begin, &[last, masks]);
        builder.switch_to(begin);
        let [last, masks] = builder.block_params(begin)[..] else { unreachable!("two parameters were given") };
        self.begin_markers(builder, first, last, masks);
        let null = self.null(builder, self.kind.marker_type());
        self.set_stack_field(builder, stack, StackField::FirstMarker, null);
        self.free_stack(builder, stack);
        builder.ret(&[]);
        func
    }

    /// `identity(frame_function)`: appends a frame that hands on what it gets, so that no stack is without frames.
    pub(super) fn build_identity(&self, ty: TypeId) -> Func {
        let mut func = Func::new(ty, &[ValType::I32], &[]);
        let builder = &mut Builder::new(&mut func);
        let function = builder.params()[0];
        let frame = match self.kind {
            Kind::Memory(memory) => {
                let (class, bytes) = MemoryStore::size_class(memory.slots_offset(false));
                let frame = self.allocate_frame(builder, memory, class, bytes);
                self.set_frame_field(builder, frame, FrameField::Function, function);
                frame
            }
            Kind::Gc(gc) => {
                let null = self.null(builder, self.kind.frame_type());
                let operator = Operator::StructNew { struct_type_index: gc.frame };
                builder.value(operator, &[null, function], self.kind.frame_type())
            }
        };
        self.append(builder, frame);
        builder.ret(&[]);
        func
    }

    /// The resume function of the identity frame, which has two entries: go on, and throw.
    pub(super) fn build_identity_resume(&self, ty: TypeId, number: u32) -> Func {
        let mut func = Func::new(ty, &[self.kind.frame_type()], &[ValType::I32]);
        let builder = &mut Builder::new(&mut func);
        let frame = builder.params()[0];
        if let Some(exception) = self.items.exception {
            let function = self.frame_field(builder, frame, FrameField::Function);
            let throw_entry = self.resume_function(builder, number + THROW_ENTRY);
            let throws = builder.is_equal(function, throw_entry);
            let (throw, go_on) = builder.fork(throws);
            builder.switch_to(throw);
            self.raise_pending(builder, exception, &[]);
            builder.switch_to(go_on);
        }
        if let Kind::Memory(memory) = self.kind {
            let (class, _) = MemoryStore::size_class(memory.slots_offset(false));
            memory.free(builder, frame, class);
        }
        let zero = builder.i32(0);
        builder.ret(&[zero]);
        func
    }

    /// Raises the pending exception inside `catches`, and forgets it.
    pub(super) fn raise_pending(&self, builder: &mut Builder<'_>, exception: u32, catches: &[Handler]) {
        let value = builder.global(exception, exception_type(true));
        let null = self.null(builder, exception_type(true));
        builder.set_global(exception, null);
        builder.throw_ref(value, catches);
    }

    /// `allocate(bytes) -> address`: memory that nothing used before: zero but for what is written to it.
    pub(super) fn build_allocate(&self, memory: MemoryStore, ty: TypeId) -> Func {
        let mut func = Func::new(ty, &[ValType::I32], &[ValType::I32]);
        let builder = &mut Builder::new(&mut func);
        let bytes = builder.params()[0];
        let address = builder.global(memory.bump, ValType::I32);
        let end = builder.global(memory.bump_end, ValType::I32);
        let left = builder.i32_op(Operator::I32Sub, &[end, address]);
        let short = builder.i32_op(Operator::I32LtU, &[left, bytes]);
        let address =
            builder.choose(short, ValType::I32, |builder| self.grow(builder, memory, bytes, address, end), |_| address);
        let next = builder.i32_op(Operator::I32Add, &[address, bytes]);
        builder.set_global(memory.bump, next);
        builder.ret(&[address]);
        func
    }

    /// Grows the memory by as many pages as the request needs and a sixteenth of what there is, so that growing is rare; by what is needed, if
    /// there is no more. Returns where to allocate from.
    fn grow(&self, builder: &mut Builder<'_>, memory: MemoryStore, bytes: Value, address: Value, end: Value) -> Value {
        let shift = builder.i32(16);
        let ones = builder.i32(65535);
        let needed = builder.i32_op(Operator::I32Add, &[bytes, ones]);
        let needed = builder.i32_op(Operator::I32ShrU, &[needed, shift]);
        let size = builder.i32_op(Operator::MemorySize { mem: memory.memory }, &[]);
        let four = builder.i32(4);
        let share = builder.i32_op(Operator::I32ShrU, &[size, four]);
        let more = builder.i32_op(Operator::I32Add, &[needed, share]);
        let grow = Operator::MemoryGrow { mem: memory.memory };
        let minus_one = builder.i32(u32::MAX);
        let old = builder.i32_op(grow.clone(), &[more]);
        let failed = builder.is_equal(old, minus_one);
        builder.when(failed, |builder| {
            let old = builder.i32_op(grow, &[needed]);
            let failed = builder.is_equal(old, minus_one);
            let (give_up, rest) = builder.fork(failed);
            builder.switch_to(give_up);
            // A trap leaves nothing that the next call into the instance would stumble over.
            let zero = builder.i32(0);
            builder.set_global(self.items.unwinding, zero);
            builder.end(Terminator::Unreachable);
            builder.switch_to(rest);
        });
        let new_size = builder.i32_op(Operator::MemorySize { mem: memory.memory }, &[]);
        let new_end = builder.i32_op(Operator::I32Shl, &[new_size, shift]);
        builder.set_global(memory.bump_end, new_end);
        if memory.own {
            return address;
        }
        // Where somebody else grew the memory in between, what was left is given up.
        let start = builder.i32_op(Operator::I32Shl, &[size, shift]);
        let adjacent = builder.is_equal(start, end);
        builder.value(Operator::Select, &[address, start, adjacent], ValType::I32)
    }

    /// `new_record() -> record`: from fresh memory, with generation 1.
    pub(super) fn build_allocate_record(&self, memory: MemoryStore, ty: TypeId) -> Func {
        let mut func = Func::new(ty, &[], &[ValType::I32]);
        let builder = &mut Builder::new(&mut func);
        let bytes = builder.i32(memory.record_bytes());
        let record = self.call(builder, self.items.allocate, &[bytes], &[ValType::I32])[0];
        let address = builder.value(Operator::I64ExtendI32U, &[record], ValType::I64);
        let first = builder.i64(1 << 32);
        let continuation = builder.value(Operator::I64Or, &[address, first], ValType::I64);
        memory.store_continuation(builder, record, continuation);
        builder.ret(&[record]);
        func
    }

    /// `retire(record) -> handle`: moves a stack whose record has no generation left to another record. The old one is never used again.
    pub(super) fn build_retire(&self, ty: TypeId) -> Func {
        let mut func = Func::new(ty, &[ValType::I32], &[ValType::I64]);
        let builder = &mut Builder::new(&mut func);
        let old = builder.params()[0];
        let Running { stack: new, handle } = self.new_stack(builder);
        // A frame of the entry function stays in the old record, whose memory is given up.
        for &field in self.stack_fields() {
            let value = self.stack_field(builder, old, field);
            self.set_stack_field(builder, new, field, value);
        }
        builder.ret(&[handle.expect("a running stack of the memory store has its handle")]);
        func
    }
}
