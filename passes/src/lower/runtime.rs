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
fn is_in_mask(b: &mut Builder<'_>, mask: Value, status: Value) -> Value {
    let shifted = b.i32_op(Operator::I32ShrU, &[mask, status]);
    let one = b.i32(1);
    b.i32_op(Operator::I32And, &[shifted, one])
}

impl Store {
    /// A handler of all exceptions, where they cross continuations; its new landing block gets the exception.
    pub(super) fn catch_all(&self, b: &mut Builder<'_>) -> Vec<Handler> {
        match self.items.exception {
            Some(_) => vec![Handler::CatchAllRef { block: b.new_block(&[exception_type(false)]) }],
            None => Vec::new(),
        }
    }

    /// Puts another stack (with at least one frame) in front of `marker`, which then is the stack's first marker behind those of the other.
    /// Returns the innermost frame.
    fn splice(&self, b: &mut Builder<'_>, stack: Value, other: Value, marker: Value) -> Value {
        let tail = self.stack_field(b, other, StackField::Tail);
        self.set_marker_field(b, marker, MarkerField::InnerTail, tail);
        self.set_frame_field(b, tail, FrameField::Next, marker);
        let first = self.stack_field(b, other, StackField::FirstMarker);
        let is_null = self.is_null(b, first);
        let (without, with) = b.fork(is_null);
        let rest = b.new_block(&[]);
        b.switch_to(without);
        self.set_stack_field(b, stack, StackField::FirstMarker, marker);
        b.jump(rest, &[]);
        b.switch_to(with);
        let last = self.stack_field(b, other, StackField::LastMarker);
        self.set_marker_field(b, last, MarkerField::NextMarker, marker);
        self.set_stack_field(b, stack, StackField::FirstMarker, first);
        let (own, others) =
            (self.stack_field(b, stack, StackField::Masks), self.stack_field(b, other, StackField::Masks));
        let masks = b.i32_op(Operator::I32Or, &[own, others]);
        self.set_stack_field(b, stack, StackField::Masks, masks);
        let null = self.null(b, self.kind.marker_type());
        self.set_stack_field(b, other, StackField::FirstMarker, null);
        b.jump(rest, &[]);
        b.switch_to(rest);
        let head = self.stack_field(b, other, StackField::Head);
        self.set_stack_field(b, stack, StackField::Head, head);
        self.free_stack(b, other);
        head
    }

    /// Branches to two new blocks: the frame that was run is where it was, or frames were appended.
    pub(super) fn fork_in_place(&self, b: &mut Builder<'_>, status: Value) -> (Block, Block) {
        let bit = b.i32(IN_PLACE);
        let in_place = b.i32_op(Operator::I32And, &[status, bit]);
        b.fork(in_place)
    }

    /// An in-place status without its mark.
    pub(super) fn plain_status(&self, b: &mut Builder<'_>, status: Value) -> Value {
        let bit = b.i32(IN_PLACE);
        b.i32_op(Operator::I32Xor, &[status, bit])
    }

    /// `drive(stack, frame, status) -> status`: everything but the most frequent case of a resume.
    ///
    /// With status 0, runs `frame` (null: nothing is left to run) and then the frames behind it, each with the results of the one before. Otherwise deals
    /// with a suspension that is already recorded in the stack. Returns 0 when the stack is empty (and recycled), or the status of a suspension that
    /// no marker in the stack handles. An exception that no frame catches leaves the driver.
    pub(super) fn build_drive(&self, ty: TypeId, passed: u32) -> Func {
        let (frame_type, stack_type) = (self.kind.frame_type(), self.kind.stack_type());
        let mut func = Func::new(ty, &[stack_type, frame_type, ValType::I32], &[ValType::I32]);
        let b = &mut Builder::new(&mut func);
        let [stack, frame, status] = b.params()[..] else { unreachable!("drive has three parameters") };
        let run = b.new_block(&[frame_type]);
        let suspended = b.new_block(&[ValType::I32]);
        b.branch(status, suspended, &[status], run, &[frame]);

        self.build_run(b, stack, run, suspended);
        b.switch_to(suspended);
        let status = b.block_params(suspended)[0];
        if self.items.markers {
            let search = self.build_special(b, stack, status, run);
            self.build_search(b, stack, search, run, passed);
        } else {
            b.ret(&[status]);
        }
        func
    }

    /// The part of the driver that runs a frame, or finds that there is none.
    fn build_run(&self, b: &mut Builder<'_>, stack: Value, run: Block, suspended: Block) {
        b.switch_to(run);
        let frame = b.block_params(run)[0];
        let done = self.is_null(b, frame);
        let (finish, go) = b.fork(done);
        b.switch_to(finish);
        self.free_stack(b, stack);
        let zero = b.i32(0);
        b.ret(&[zero]);
        b.switch_to(go);
        if self.items.markers {
            let first = self.stack_field(b, stack, StackField::FirstMarker);
            let is_marker = self.is_same(b, frame, first);
            b.when(is_marker, |b| {
                let next = self.marker_field(b, first, MarkerField::NextMarker);
                self.set_stack_field(b, stack, StackField::FirstMarker, next);
            });
        }
        let next = self.frame_field(b, frame, FrameField::Next);
        let catches = self.catch_all(b);
        let status = self.run_frame(b, frame, &catches);
        let record = b.new_block(&[]);
        b.branch(status, record, &[], run, &[next]);
        b.switch_to(record);
        self.record_suspension(b, stack, frame, next, status, suspended);
        // Exceptions go on into the next frame.
        if let (Some(exception_global), Some(Handler::CatchAllRef { block })) = (self.items.exception, catches.first())
        {
            b.switch_to(*block);
            let exception = b.block_params(*block)[0];
            self.raise_in_next(b, stack, frame, next, exception, exception_global);
            b.jump(run, &[next]);
        }
    }

    /// A frame was suspended: the new frames, or the frame itself, are linked to those behind it already.
    fn record_suspension(
        &self,
        b: &mut Builder<'_>,
        stack: Value,
        frame: Value,
        next: Value,
        status: Value,
        suspended: Block,
    ) {
        let frame_type = self.kind.frame_type();
        let linked = b.new_block(&[frame_type, frame_type, ValType::I32]);
        let (in_place, appended) = self.fork_in_place(b, status);
        b.switch_to(in_place);
        let plain = self.plain_status(b, status);
        b.jump(linked, &[frame, frame, plain]);
        b.switch_to(appended);
        let sentinel = self.sentinel(b);
        let head = self.frame_field(b, sentinel, FrameField::Next);
        let last = b.global(self.items.last, frame_type);
        b.jump(linked, &[head, last, status]);
        b.switch_to(linked);
        let [head, last, status] = b.block_params(linked)[..] else { unreachable!("three parameters were given") };
        self.set_stack_field(b, stack, StackField::Head, head);
        if self.items.markers {
            let is_bottom = self.is_null(b, next);
            let (bottom, inside) = b.fork(is_bottom);
            b.switch_to(bottom);
            self.set_stack_field(b, stack, StackField::Tail, last);
            b.jump(suspended, &[status]);
            b.switch_to(inside);
            let first = self.stack_field(b, stack, StackField::FirstMarker);
            let is_marker = self.is_same(b, next, first);
            b.when(is_marker, |b| self.set_marker_field(b, first, MarkerField::InnerTail, last));
        }
        b.jump(suspended, &[status]);
    }

    /// The part of the driver that takes in new markers, and starts the pending continuation where a status asks for that. Returns the block in which
    /// markers are searched, whose parameter is the status.
    fn build_special(&self, b: &mut Builder<'_>, stack: Value, status: Value, run: Block) -> Block {
        let (marker_type, stack_type) = (self.kind.marker_type(), self.kind.stack_type());
        let search = b.new_block(&[ValType::I32]);
        let zero = b.i32(0);
        let is_special = b.i32_op(Operator::I32LtS, &[status, zero]);
        let special = b.new_block(&[]);
        b.branch(is_special, special, &[], search, &[status]);
        b.switch_to(special);
        let sentinel = self.sentinel(b);
        let new_first = self.marker_field(b, sentinel, MarkerField::NextMarker);
        let new_last = b.global(self.items.last_marker, marker_type);
        let old_first = self.stack_field(b, stack, StackField::FirstMarker);
        self.set_marker_field(b, new_last, MarkerField::NextMarker, old_first);
        let none = self.is_null(b, old_first);
        let new_masks = self.marker_field(b, sentinel, MarkerField::Mask);
        let masks = b.choose(
            none,
            ValType::I32,
            |b| {
                self.set_stack_field(b, stack, StackField::LastMarker, new_last);
                new_masks
            },
            |b| {
                let old_masks = self.stack_field(b, stack, StackField::Masks);
                b.i32_op(Operator::I32Or, &[old_masks, new_masks])
            },
        );
        self.set_stack_field(b, stack, StackField::Masks, masks);
        self.set_stack_field(b, stack, StackField::FirstMarker, new_first);
        let start_status = b.i32(START_STATUS);
        let is_start = b.is_equal(status, start_status);
        let (start, other) = b.fork(is_start);
        b.switch_to(other);
        let mask = b.i32(!SPECIAL);
        let plain = b.i32_op(Operator::I32And, &[status, mask]);
        b.jump(search, &[plain]);
        b.switch_to(start);
        let pending = b.global(self.items.pending, stack_type);
        let head = self.splice(b, stack, pending, new_first);
        b.jump(run, &[head]);
        search
    }

    /// The part of the driver that looks for a marker that handles a status.
    fn build_search(&self, b: &mut Builder<'_>, stack: Value, search: Block, run: Block, passed: u32) {
        let (marker_type, stack_type) = (self.kind.marker_type(), self.kind.stack_type());
        b.switch_to(search);
        let status = b.block_params(search)[0];
        let look = b.new_block(&[marker_type, marker_type]);
        let unhandled = b.new_block(&[]);
        let masks = self.stack_field(b, stack, StackField::Masks);
        let some = is_in_mask(b, masks, status);
        let begin = b.new_block(&[]);
        b.branch(some, begin, &[], unhandled, &[]);
        b.switch_to(begin);
        let first = self.stack_field(b, stack, StackField::FirstMarker);
        let null = self.null(b, marker_type);
        b.jump(look, &[first, null]);
        b.switch_to(look);
        let [marker, before] = b.block_params(look)[..] else { unreachable!("two parameters were given") };
        let none = self.is_null(b, marker);
        let try_marker = b.new_block(&[]);
        b.branch(none, unhandled, &[], try_marker, &[]);
        b.switch_to(unhandled);
        b.ret(&[status]);
        b.switch_to(try_marker);
        let mask = self.marker_field(b, marker, MarkerField::Mask);
        let maybe = is_in_mask(b, mask, status);
        let (ask, next) = b.fork(maybe);
        b.switch_to(ask);
        let matcher = self.marker_field(b, marker, MarkerField::Matcher);
        let operator =
            Operator::CallIndirect { type_index: self.items.matcher_type, table_index: self.items.matcher_table };
        let clause = b.value(operator, &[status, matcher], ValType::I32);
        let found = b.new_block(&[]);
        b.branch(clause, found, &[], next, &[]);
        b.switch_to(next);
        let following = self.marker_field(b, marker, MarkerField::NextMarker);
        b.jump(look, &[following, marker]);

        // What is inside the marker becomes a continuation.
        b.switch_to(found);
        let captured = self.new_stack(b);
        let head = self.stack_field(b, stack, StackField::Head);
        self.set_stack_field(b, captured.stack, StackField::Head, head);
        let tail = self.marker_field(b, marker, MarkerField::InnerTail);
        self.set_stack_field(b, captured.stack, StackField::Tail, tail);
        let no_frame = self.null(b, self.kind.frame_type());
        self.set_frame_field(b, tail, FrameField::Next, no_frame);
        let is_first = self.is_null(b, before);
        let (without, with) = b.fork(is_first);
        let cut = b.new_block(&[]);
        b.switch_to(without);
        b.jump(cut, &[]);
        b.switch_to(with);
        let first = self.stack_field(b, stack, StackField::FirstMarker);
        self.set_stack_field(b, captured.stack, StackField::FirstMarker, first);
        self.set_stack_field(b, captured.stack, StackField::LastMarker, before);
        let masks = self.stack_field(b, stack, StackField::Masks);
        self.set_stack_field(b, captured.stack, StackField::Masks, masks);
        let null = self.null(b, marker_type);
        self.set_marker_field(b, before, MarkerField::NextMarker, null);
        b.jump(cut, &[]);
        b.switch_to(cut);
        let continuation = self.capture(b, captured);
        b.set_global(passed, continuation);
        let one = b.i32(1);
        let is_switch = b.i32_op(Operator::I32And, &[status, one]);
        let (switching, suspending) = b.fork(is_switch);
        b.switch_to(suspending);
        self.set_stack_field(b, stack, StackField::FirstMarker, marker);
        let function = self.frame_field(b, marker, FrameField::Function);
        let entry = b.i32_op(Operator::I32Add, &[function, clause]);
        let entry = b.add(entry, self.first_clause_entry() - 1);
        self.set_frame_field(b, marker, FrameField::Function, entry);
        b.jump(run, &[marker]);
        b.switch_to(switching);
        let pending = b.global(self.items.pending, stack_type);
        let head = self.splice(b, stack, pending, marker);
        b.jump(run, &[head]);
    }

    /// Makes the frame raise the pending exception when it is run.
    pub(super) fn enter_to_throw(&self, b: &mut Builder<'_>, frame: Value) {
        let function = self.frame_field(b, frame, FrameField::Function);
        let function = b.add(function, THROW_ENTRY);
        self.set_frame_field(b, frame, FrameField::Function, function);
    }

    /// An exception came out of a frame: if that was the last frame of the stack, the exception leaves the driver; otherwise the next frame is
    /// entered to raise it.
    fn raise_in_next(
        &self,
        b: &mut Builder<'_>,
        stack: Value,
        frame: Value,
        next: Value,
        exception: Value,
        exception_global: u32,
    ) {
        self.discard_frame(b, frame);
        let is_bottom = self.is_null(b, next);
        let (bottom, inside) = b.fork(is_bottom);
        b.switch_to(bottom);
        self.free_stack(b, stack);
        b.throw_ref(exception, &[]);
        b.switch_to(inside);
        b.set_global(exception_global, exception);
        self.enter_to_throw(b, next);
    }

    /// `thrown(stack, frame, next, exception) -> status`: what a resume site does when an exception comes out of the innermost frame.
    pub(super) fn build_thrown(&self, ty: TypeId, exception_global: u32) -> Func {
        let (frame_type, stack_type) = (self.kind.frame_type(), self.kind.stack_type());
        let params = [stack_type, frame_type, frame_type, exception_type(true)];
        let mut func = Func::new(ty, &params, &[ValType::I32]);
        let b = &mut Builder::new(&mut func);
        let [stack, frame, next, exception] = b.params()[..] else { unreachable!("thrown has four parameters") };
        self.raise_in_next(b, stack, frame, next, exception, exception_global);
        let zero = b.i32(0);
        let status = self.call(b, self.items.drive, &[stack, next, zero], &[ValType::I32]);
        b.ret(&status);
        func
    }

    /// `forward(stack)`: the suspended stack becomes the beginning of a larger one, to which the resume site's own frames will be appended.
    pub(super) fn build_forward(&self, ty: TypeId) -> Func {
        let mut func = Func::new(ty, &[self.kind.stack_type()], &[]);
        let b = &mut Builder::new(&mut func);
        let stack = b.params()[0];
        let sentinel = self.sentinel(b);
        let head = self.stack_field(b, stack, StackField::Head);
        self.set_frame_field(b, sentinel, FrameField::Next, head);
        let tail = self.stack_field(b, stack, StackField::Tail);
        b.set_global(self.items.last, tail);
        let first = self.stack_field(b, stack, StackField::FirstMarker);
        let none = self.is_null(b, first);
        let begin = b.new_block(&[self.kind.marker_type(), ValType::I32]);
        let (without, with) = b.fork(none);
        b.switch_to(without);
        let no_masks = b.i32(0);
        b.jump(begin, &[sentinel, no_masks]);
        b.switch_to(with);
        let last = self.stack_field(b, stack, StackField::LastMarker);
        let masks = self.stack_field(b, stack, StackField::Masks);
        b.jump(begin, &[last, masks]);
        b.switch_to(begin);
        let [last, masks] = b.block_params(begin)[..] else { unreachable!("two parameters were given") };
        self.begin_markers(b, first, last, masks);
        let null = self.null(b, self.kind.marker_type());
        self.set_stack_field(b, stack, StackField::FirstMarker, null);
        self.free_stack(b, stack);
        b.ret(&[]);
        func
    }

    /// `identity(frame_function)`: appends a frame that hands on what it gets, so that no stack is without frames.
    pub(super) fn build_identity(&self, ty: TypeId) -> Func {
        let mut func = Func::new(ty, &[ValType::I32], &[]);
        let b = &mut Builder::new(&mut func);
        let function = b.params()[0];
        let frame = match self.kind {
            Kind::Memory(m) => {
                let (class, bytes) = MemoryStore::size_class(m.slots_offset(false));
                let frame = self.allocate_frame(b, m, class, bytes);
                self.set_frame_field(b, frame, FrameField::Function, function);
                frame
            }
            Kind::Gc(gc) => {
                let null = self.null(b, self.kind.frame_type());
                let operator = Operator::StructNew { struct_type_index: gc.frame };
                b.value(operator, &[null, function], self.kind.frame_type())
            }
        };
        self.append(b, frame);
        b.ret(&[]);
        func
    }

    /// The resume function of the identity frame, which has two entries: go on, and throw.
    pub(super) fn build_identity_resume(&self, ty: TypeId, number: u32) -> Func {
        let mut func = Func::new(ty, &[self.kind.frame_type()], &[ValType::I32]);
        let b = &mut Builder::new(&mut func);
        let frame = b.params()[0];
        if let Some(exception) = self.items.exception {
            let function = self.frame_field(b, frame, FrameField::Function);
            let throw_entry = self.resume_function(b, number + THROW_ENTRY);
            let throws = b.is_equal(function, throw_entry);
            let (throw, go_on) = b.fork(throws);
            b.switch_to(throw);
            self.raise_pending(b, exception, &[]);
            b.switch_to(go_on);
        }
        if let Kind::Memory(m) = self.kind {
            let (class, _) = MemoryStore::size_class(m.slots_offset(false));
            m.free(b, frame, class);
        }
        let zero = b.i32(0);
        b.ret(&[zero]);
        func
    }

    /// Raises the pending exception inside `catches`, and forgets it.
    pub(super) fn raise_pending(&self, b: &mut Builder<'_>, exception: u32, catches: &[Handler]) {
        let value = b.global(exception, exception_type(true));
        let null = self.null(b, exception_type(true));
        b.set_global(exception, null);
        b.throw_ref(value, catches);
    }

    /// `allocate(bytes) -> address`: memory that nothing used before: zero but for what is written to it.
    pub(super) fn build_allocate(&self, m: MemoryStore, ty: TypeId) -> Func {
        let mut func = Func::new(ty, &[ValType::I32], &[ValType::I32]);
        let b = &mut Builder::new(&mut func);
        let bytes = b.params()[0];
        let address = b.global(m.bump, ValType::I32);
        let end = b.global(m.bump_end, ValType::I32);
        let left = b.i32_op(Operator::I32Sub, &[end, address]);
        let short = b.i32_op(Operator::I32LtU, &[left, bytes]);
        let address = b.choose(short, ValType::I32, |b| self.grow(b, m, bytes, address, end), |_| address);
        let next = b.i32_op(Operator::I32Add, &[address, bytes]);
        b.set_global(m.bump, next);
        b.ret(&[address]);
        func
    }

    /// Grows the memory by as many pages as the request needs and a sixteenth of what there is, so that growing is rare; by what is needed, if
    /// there is no more. Returns where to allocate from.
    fn grow(&self, b: &mut Builder<'_>, m: MemoryStore, bytes: Value, address: Value, end: Value) -> Value {
        let shift = b.i32(16);
        let ones = b.i32(65535);
        let needed = b.i32_op(Operator::I32Add, &[bytes, ones]);
        let needed = b.i32_op(Operator::I32ShrU, &[needed, shift]);
        let size = b.i32_op(Operator::MemorySize { mem: m.memory }, &[]);
        let four = b.i32(4);
        let share = b.i32_op(Operator::I32ShrU, &[size, four]);
        let more = b.i32_op(Operator::I32Add, &[needed, share]);
        let grow = Operator::MemoryGrow { mem: m.memory };
        let minus_one = b.i32(u32::MAX);
        let old = b.i32_op(grow.clone(), &[more]);
        let failed = b.is_equal(old, minus_one);
        b.when(failed, |b| {
            let old = b.i32_op(grow, &[needed]);
            let failed = b.is_equal(old, minus_one);
            let (give_up, rest) = b.fork(failed);
            b.switch_to(give_up);
            // A trap leaves nothing that the next call into the instance would stumble over.
            let zero = b.i32(0);
            b.set_global(self.items.unwinding, zero);
            b.end(Terminator::Unreachable);
            b.switch_to(rest);
        });
        let new_size = b.i32_op(Operator::MemorySize { mem: m.memory }, &[]);
        let new_end = b.i32_op(Operator::I32Shl, &[new_size, shift]);
        b.set_global(m.bump_end, new_end);
        if m.own {
            return address;
        }
        // Where somebody else grew the memory in between, what was left is given up.
        let start = b.i32_op(Operator::I32Shl, &[size, shift]);
        let adjacent = b.is_equal(start, end);
        b.value(Operator::Select, &[address, start, adjacent], ValType::I32)
    }

    /// `new_record() -> record`: from fresh memory, with generation 1.
    pub(super) fn build_allocate_record(&self, m: MemoryStore, ty: TypeId) -> Func {
        let mut func = Func::new(ty, &[], &[ValType::I32]);
        let b = &mut Builder::new(&mut func);
        let bytes = b.i32(m.record_bytes());
        let record = self.call(b, self.items.allocate, &[bytes], &[ValType::I32])[0];
        let address = b.value(Operator::I64ExtendI32U, &[record], ValType::I64);
        let first = b.i64(1 << 32);
        let continuation = b.value(Operator::I64Or, &[address, first], ValType::I64);
        m.store_continuation(b, record, continuation);
        b.ret(&[record]);
        func
    }

    /// `retire(record) -> handle`: moves a stack whose record has no generation left to another record. The old one is never used again.
    pub(super) fn build_retire(&self, ty: TypeId) -> Func {
        let mut func = Func::new(ty, &[ValType::I32], &[ValType::I64]);
        let b = &mut Builder::new(&mut func);
        let old = b.params()[0];
        let Running { stack: new, handle } = self.new_stack(b);
        // A frame of the entry function stays in the old record, whose memory is given up.
        for &field in self.stack_fields() {
            let value = self.stack_field(b, old, field);
            self.set_stack_field(b, new, field, value);
        }
        b.ret(&[handle.expect("a running stack of the memory store has its handle")]);
        func
    }
}
