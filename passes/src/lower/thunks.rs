//! Functions made for the module: how a continuation begins, bound arguments, the save helpers of fast copies, entries from the host.

use super::builder::Builder;
use super::layout::{Layout, Slot, slot_type};
use super::scan::Callee;
use super::store::{FrameField, Kind, MemoryStore, StackField, THROW_ENTRY};
use super::suspension::SavedFrame;
use super::{Error, Lowering};
use wasmfx_ir::func::{Func, Terminator, Value};
use wasmfx_ir::module::{FunctionId, TypeId};
use wasmfx_ir::wasmparser::{Operator, RefType, ValType};

/// The parameters and results of functions are limited to 1,000, of which helpers need a few for themselves.
pub(super) const MAX_HELPER_VALUES: usize = 990;
/// The slots of a frame that begins a continuation: call the function, or throw.
pub(super) const ENTRY_SLOTS: u32 = 2;

/// The functions that keep references of one type in a table for the memory store.
#[derive(Copy, Clone, Debug)]
pub(super) struct ReferenceTable {
    /// `(reference) -> number`
    pub(super) put: u32,
    /// `(number) -> reference`, which leaves the table.
    pub(super) take: u32,
}

/// The items of such a table.
struct ReferenceItems {
    element: RefType,
    table: u32,
    /// The global with the number of free entries.
    count: u32,
    /// The global with the address of the list of their numbers.
    base: u32,
    /// What the names of all of these begin with.
    name: String,
}

/// What a save helper is for: the layout's size (or struct type), which frame it makes, whether another function does that, and the slots.
pub(super) type SaveKey = (u32, u32, SavedFrame<()>, bool, Vec<Slot>);

/// What functions that make frames differ by: the layout's size (or struct type), and which frame it is.
pub(super) type NewFrameKey = (u32, u32, SavedFrame<()>);

/// The parameters of functions that make frames: the resume function, and what a marker has besides.
fn new_frame_params(kind: SavedFrame<()>) -> Vec<ValType> {
    match kind {
        SavedFrame::First | SavedFrame::Next => vec![ValType::I32],
        SavedFrame::Marker { .. } => vec![ValType::I32; 3],
    }
}

/// What functions that save again, or load, differ by: struct type and slots.
pub(super) type SlotsKey = (u32, Vec<Slot>);

impl Lowering<'_> {
    /// An empty resume function.
    pub(super) fn resume_func(&self) -> Func {
        Func::new(TypeId::from_u32(self.store.items.resume_type), &[self.store.kind.frame_type()], &[ValType::I32])
    }

    /// Branches off the throw entry of a frame whose first slot is `number`. Goes on where the frame is entered normally.
    fn split_throw_entry(
        &mut self,
        builder: &mut Builder<'_>,
        frame: Value,
        number: u32,
    ) -> Option<wasmfx_ir::func::Block> {
        self.store.items.exception?;
        let function = self.store.frame_field(builder, frame, FrameField::Function);
        let throw_entry = self.store.resume_function(builder, number + THROW_ENTRY);
        let throws = builder.is_equal(function, throw_entry);
        let (throw, go_on) = builder.fork(throws);
        builder.switch_to(go_on);
        Some(throw)
    }

    /// Ends the throw entry.
    fn finish_throw_entry(&mut self, builder: &mut Builder<'_>, entry: Option<wasmfx_ir::func::Block>) {
        if let (Some(entry), Some(exception)) = (entry, self.store.items.exception) {
            builder.switch_to(entry);
            self.store.raise_pending(builder, exception, &[]);
        }
    }

    /// Calls the function that a continuation begins with, and hands on what comes back.
    #[expect(clippy::too_many_arguments, reason = "the two kinds of entry differ in nothing but these")]
    fn call_entry(
        &mut self,
        builder: &mut Builder<'_>,
        call: Operator<'static>,
        reference: Option<Value>,
        next: Value,
        signature: TypeId,
        result_signature: TypeId,
        suspends: bool,
    ) -> Result<(), Error> {
        let params = self.original_params(signature);
        let mut args = self.read_values(builder, &params, false)?;
        args.extend(reference);
        let results = self.original_results(result_signature);
        let lowered = self.lowered_types(&results);
        let values = self.call_or_leave(builder, call, &args, &lowered, suspends, |this, builder, status| {
            this.link_frames(builder, next);
            builder.ret(&[status]);
        });
        self.values.write(self.module, &self.original_types, builder, &results, &values, false)?;
        let zero = builder.i32(0);
        builder.ret(&[zero]);
        Ok(())
    }

    /// The slot of the thunk that begins a continuation of this function type with a known function.
    pub(super) fn entry_of_function(&mut self, function: FunctionId, signature: TypeId) -> Result<u32, Error> {
        if let Some(&number) = self.generated.entries.get(&(signature, Some(function))) {
            return Ok(number);
        }
        let number = self.reserve_resume_slots(ENTRY_SLOTS);
        self.generated.entries.insert((signature, Some(function)), number);
        let mut func = self.resume_func();
        let frame = func.blocks[func.entry].params[0];
        let builder = &mut Builder::new(&mut func);
        let throw = self.split_throw_entry(builder, frame, number);
        let next = self.store.frame_field(builder, frame, FrameField::Next);
        let suspends = self.analysis.may_unwind(Callee::Direct(function));
        let call = Operator::Call { function_index: function.as_u32() };
        let own = self.module.functions[function].ty;
        self.call_entry(builder, call, None, next, signature, own, suspends)?;
        self.finish_throw_entry(builder, throw);
        let name = format!("{}.start", self.name_of(function));
        let thunk = self.add_function(func, name);
        self.fill_resume_slots(number, ENTRY_SLOTS, thunk);
        Ok(number)
    }

    /// The slot of the thunk that begins a continuation of this function type with a function that is only known at run time.
    fn entry_of_reference(&mut self, signature: TypeId) -> Result<u32, Error> {
        if let Some(&number) = self.generated.entries.get(&(signature, None)) {
            return Ok(number);
        }
        let number = self.reserve_resume_slots(ENTRY_SLOTS);
        self.generated.entries.insert((signature, None), number);
        let reference_type = super::values::nullable(super::values::concrete_heap(signature));
        let (layout, slots) = self.entry_layout(reference_type);
        let mut func = self.resume_func();
        let frame = func.blocks[func.entry].params[0];
        let builder = &mut Builder::new(&mut func);
        let frame = self.frame_of_layout(builder, &layout, frame);
        let reference = self.load(builder, &layout, frame, slots[0], reference_type);
        let throw = self.split_throw_entry(builder, frame, number);
        let next = self.store.frame_field(builder, frame, FrameField::Next);
        let suspends = self.analysis.may_unwind(Callee::Typed(signature));
        let call = Operator::CallRef { type_index: signature.as_u32() };
        self.call_entry(builder, call, Some(reference), next, signature, signature, suspends)?;
        self.finish_throw_entry(builder, throw);
        let thunk = self.add_function(func, format!("wasmfx.start.{}", signature.as_u32()));
        self.fill_resume_slots(number, ENTRY_SLOTS, thunk);
        Ok(number)
    }

    /// The frame of a continuation that begins with a reference: in the memory store the reference's number is in the word that the record spares.
    fn entry_layout(&mut self, reference: ValType) -> (Layout, Vec<Slot>) {
        match self.store.kind {
            Kind::Memory(memory) => {
                let layout = Layout::of_fields(false, vec![reference]);
                (layout, vec![Slot { ty: reference, at: memory.spare_offset() }])
            }
            Kind::Gc(_) => Layout::of_types(self, &[reference]),
        }
    }

    /// `new_entry(resume function) -> continuation`
    pub(super) fn new_continuation(&mut self) -> u32 {
        if let Some(function) = self.generated.new_continuation_function {
            return function;
        }
        let ty = self.function_type(&[ValType::I32], &[self.store.kind.continuation_type(false)]);
        let mut func = Func::new(ty, &[ValType::I32], &[self.store.kind.continuation_type(false)]);
        let number = func.blocks[func.entry].params[0];
        let builder = &mut Builder::new(&mut func);
        let (running, _) = self.store.new_entry(builder, number);
        let continuation = self.store.capture(builder, running);
        builder.ret(&[continuation]);
        let function = self.add_function(func, "wasmfx.new".to_owned()).as_u32();
        self.generated.new_continuation_function = Some(function);
        function
    }

    /// `(reference) -> continuation`, which traps for null.
    pub(super) fn new_continuation_of_reference(&mut self, signature: TypeId) -> Result<u32, Error> {
        if let Some(&function) = self.generated.new_of_reference.get(&signature) {
            return Ok(function);
        }
        let number = self.entry_of_reference(signature)?;
        let reference_type = super::values::nullable(super::values::concrete_heap(signature));
        let (layout, slots) = self.entry_layout(reference_type);
        let result = self.store.kind.continuation_type(false);
        let ty = self.function_type(&[reference_type], &[result]);
        let mut func = Func::new(ty, &[reference_type], &[result]);
        let reference = func.blocks[func.entry].params[0];
        let builder = &mut Builder::new(&mut func);
        let is_null = builder.value(Operator::RefIsNull, &[reference], ValType::I32);
        builder.trap_if(is_null);
        let number = self.store.resume_function(builder, number);
        let running = match self.store.kind {
            Kind::Memory(_) => {
                let (running, frame) = self.store.new_entry(builder, number);
                self.save(builder, &layout, frame, slots[0], reference);
                running
            }
            Kind::Gc(_) => {
                let running = self.store.new_stack(builder);
                let frame = self.new_frame(builder, &layout);
                self.store.set_frame_field(builder, frame, FrameField::Function, number);
                self.save(builder, &layout, frame, slots[0], reference);
                self.store.set_only_frame(builder, running.stack, frame);
                running
            }
        };
        let continuation = self.store.capture(builder, running);
        builder.ret(&[continuation]);
        let function = self.add_function(func, format!("wasmfx.new.{}", signature.as_u32())).as_u32();
        self.generated.new_of_reference.insert(signature, function);
        Ok(function)
    }

    /// `(arguments…, continuation) -> continuation`: binds the first arguments of a continuation type.
    pub(super) fn bind(&mut self, from: TypeId, to: TypeId) -> Result<u32, Error> {
        if let Some(&function) = self.generated.binds.get(&(from, to)) {
            return Ok(function);
        }
        let all = self.original_params(self.original_continuation(from));
        let rest = self.original_params(self.original_continuation(to));
        let bound: Vec<ValType> = all[..all.len() - rest.len()].to_vec();
        if bound.len() > MAX_HELPER_VALUES {
            return Err(Error::input(format!(
                "`cont.bind` binds {} arguments at once, and the lowering takes {MAX_HELPER_VALUES} at most",
                bound.len()
            ))
            .with_help("bind them in two steps"));
        }
        let lowered = self.lowered_types(&bound);
        let (layout, slots) = Layout::of_types(self, &lowered);
        let number = self.reserve_resume_slots(ENTRY_SLOTS);

        let mut params = lowered.clone();
        params.push(self.store.kind.continuation_type(true));
        let result = self.store.kind.continuation_type(false);
        let ty = self.function_type(&params, &[result]);
        let mut func = Func::new(ty, &params, &[result]);
        let args = func.blocks[func.entry].params.clone();
        let builder = &mut Builder::new(&mut func);
        let (&continuation, args) = args.split_last().expect("the continuation is the last parameter");
        let running = self.consume(builder, continuation);
        if !bound.is_empty() {
            let frame = self.new_frame(builder, &layout);
            for (&slot, &value) in slots.iter().zip(args) {
                self.save(builder, &layout, frame, slot, value);
            }
            self.set_resume_function(builder, frame, number);
            let head = self.store.stack_field(builder, running.stack, StackField::Head);
            self.store.set_frame_field(builder, frame, FrameField::Next, head);
            self.store.set_stack_field(builder, running.stack, StackField::Head, frame);
        }
        let continuation = self.store.capture(builder, running);
        builder.ret(&[continuation]);
        let function = self.add_function(func, format!("wasmfx.bind.{}.{}", from.as_u32(), to.as_u32())).as_u32();
        self.generated.binds.insert((from, to), function);

        let mut func = self.resume_func();
        let frame = func.blocks[func.entry].params[0];
        let builder = &mut Builder::new(&mut func);
        let frame = self.frame_of_layout(builder, &layout, frame);
        let throw = self.split_throw_entry(builder, frame, number);
        let mut values = Vec::new();
        for (&slot, &ty) in slots.iter().zip(&lowered) {
            values.push(self.load(builder, &layout, frame, slot, ty));
        }
        values.extend(self.read_values(builder, &rest, false)?);
        self.values.write(self.module, &self.original_types, builder, &all, &values, false)?;
        self.free_frame(builder, &layout, frame);
        let zero = builder.i32(0);
        builder.ret(&[zero]);
        if let (Some(entry), Some(exception)) = (throw, self.store.items.exception) {
            builder.switch_to(entry);
            for &slot in &slots {
                self.forget(builder, &layout, frame, slot);
            }
            self.store.raise_pending(builder, exception, &[]);
        }
        let thunk = self.add_function(func, format!("wasmfx.bound.{}.{}", from.as_u32(), to.as_u32()));
        self.fill_resume_slots(number, ENTRY_SLOTS, thunk);
        Ok(function)
    }

    /// `(resume function, [mask, matcher,] values…)`: saves a fast copy's values into a new frame and appends it. What such functions share is one where
    /// there are many of them.
    pub(super) fn save_helper(
        &mut self,
        layout: &Layout,
        values: &[(Value, Slot)],
        kind: SavedFrame<()>,
        many: bool,
    ) -> Result<u32, Error> {
        let slots: Vec<Slot> = values.iter().map(|&(_, slot)| slot).collect();
        let key: SaveKey = (layout.bytes, layout.struct_type, kind, many, slots);
        if let Some(&function) = self.generated.save_helpers.get(&key) {
            return Ok(function);
        }
        let slots = &key.4;
        let mut params = new_frame_params(kind);
        let first = params.len();
        params.extend(slots.iter().map(|slot| slot_type(slot.ty)));
        let ty = self.function_type(&params, &[]);
        let mut func = Func::new(ty, &params, &[]);
        let args = func.blocks[func.entry].params.clone();
        let builder = &mut Builder::new(&mut func);
        let frame = if many {
            let helper = self.new_frame_helper(layout, kind);
            self.store.call(builder, helper, &args[..first], &[self.frame_type_of(layout)])[0]
        } else {
            self.append_new_frame(builder, layout, kind, &args[..first])
        };
        for (&slot, &value) in slots.iter().zip(&args[first..]) {
            self.save(builder, layout, frame, slot, value);
        }
        builder.ret(&[]);
        let function = self.add_function(func, format!("wasmfx.save.{}", self.generated.save_helpers.len())).as_u32();
        self.generated.save_helpers.insert(key, function);
        Ok(function)
    }

    /// Makes a frame and appends it; `args` are its resume function and what else a marker says.
    fn append_new_frame(
        &mut self,
        builder: &mut Builder<'_>,
        layout: &Layout,
        kind: SavedFrame<()>,
        args: &[Value],
    ) -> Value {
        let store = self.store;
        let frame = self.new_frame(builder, layout);
        store.set_frame_field(builder, frame, FrameField::Function, args[0]);
        match kind {
            SavedFrame::First => {
                let sentinel = store.sentinel(builder);
                store.set_frame_field(builder, sentinel, FrameField::Next, frame);
                builder.set_global(store.items.last, frame);
            }
            SavedFrame::Next => store.append(builder, frame),
            SavedFrame::Marker { .. } => {
                store.append_marker(builder, frame, args[1], args[2]);
                store.append(builder, frame);
            }
        }
        frame
    }

    /// `(resume function, [mask, matcher]) -> frame`: makes a frame and appends it.
    fn new_frame_helper(&mut self, layout: &Layout, kind: SavedFrame<()>) -> u32 {
        let key: NewFrameKey = (layout.bytes, layout.struct_type, kind);
        if let Some(&function) = self.generated.new_frame_helpers.get(&key) {
            return function;
        }
        let (params, result) = (new_frame_params(kind), self.frame_type_of(layout));
        let ty = self.function_type(&params, &[result]);
        let mut func = Func::new(ty, &params, &[result]);
        let args = func.blocks[func.entry].params.clone();
        let builder = &mut Builder::new(&mut func);
        let frame = self.append_new_frame(builder, layout, kind, &args);
        builder.ret(&[frame]);
        let function =
            self.add_function(func, format!("wasmfx.frame.{}", self.generated.new_frame_helpers.len())).as_u32();
        self.generated.new_frame_helpers.insert(key, function);
        function
    }

    /// Saves values in a new frame; `args` are its resume function and what else a marker says.
    pub(super) fn save_new(
        &mut self,
        builder: &mut Builder<'_>,
        layout: &Layout,
        saved: &[(Value, Slot)],
        kind: SavedFrame<()>,
        mut args: Vec<Value>,
        many: bool,
    ) -> Result<(), Error> {
        if saved.len() <= MAX_HELPER_VALUES {
            let helper = self.save_helper(layout, saved, kind, many)?;
            args.extend(saved.iter().map(|&(value, _)| value));
            self.store.call(builder, helper, &args, &[]);
        } else {
            let helper = self.new_frame_helper(layout, kind);
            let frame = self.store.call(builder, helper, &args, &[self.frame_type_of(layout)])[0];
            for &(value, slot) in saved {
                self.save(builder, layout, frame, slot, value);
            }
        }
        Ok(())
    }

    /// `() -> values…`: loads what the frame holds with which a function is entered again.
    pub(super) fn load_helper(&mut self, layout: &Layout, slots: &[Slot]) -> u32 {
        let key: SlotsKey = (layout.struct_type, slots.to_vec());
        if let Some(&function) = self.generated.load_helpers.get(&key) {
            return function;
        }
        let results: Vec<ValType> = slots.iter().map(|slot| slot.ty).collect();
        let mut func = Func::new(self.function_type(&[], &results), &[], &results);
        let builder = &mut Builder::new(&mut func);
        let values = self.load_last(builder, layout, slots);
        builder.ret(&values);
        let name = format!("wasmfx.load.{}", self.generated.load_helpers.len());
        let function = self.add_function(func, name).as_u32();
        self.generated.load_helpers.insert(key, function);
        function
    }

    /// `(frame, resume function, values…) → status`: saves a resumed copy's values into its frame, appends it, and ends the unwinding of what it had
    /// called.
    pub(super) fn save_again_helper(&mut self, layout: &Layout, values: &[(Value, Slot)]) -> Result<u32, Error> {
        let slots: Vec<Slot> = values.iter().map(|&(_, slot)| slot).collect();
        let key: SlotsKey = (layout.struct_type, slots);
        if let Some(&function) = self.generated.save_again_helpers.get(&key) {
            return Ok(function);
        }
        let slots = &key.1;
        let mut params = vec![self.frame_type_of(layout), ValType::I32];
        params.extend(slots.iter().map(|slot| slot_type(slot.ty)));
        let ty = self.function_type(&params, &[ValType::I32]);
        let mut func = Func::new(ty, &params, &[ValType::I32]);
        let args = func.blocks[func.entry].params.clone();
        let builder = &mut Builder::new(&mut func);
        let frame = args[0];
        let status = builder.global(self.store.items.unwinding, ValType::I32);
        let zero = builder.i32(0);
        builder.set_global(self.store.items.unwinding, zero);
        self.store.set_frame_field(builder, frame, FrameField::Function, args[1]);
        for (&slot, &value) in slots.iter().zip(&args[2..]) {
            self.save(builder, layout, frame, slot, value);
        }
        self.store.append(builder, frame);
        builder.ret(&[status]);
        let name = format!("wasmfx.save_again.{}", self.generated.save_again_helpers.len());
        let function = self.add_function(func, name).as_u32();
        self.generated.save_again_helpers.insert(key, function);
        Ok(function)
    }

    /// What the host calls instead of a function that may suspend: where a suspension gets here, nobody handles it.
    pub(super) fn host_entry(&mut self, function: FunctionId) -> Result<FunctionId, Error> {
        if let Some(&entry) = self.generated.host_entries.get(&function) {
            return Ok(entry);
        }
        let mut func = self.lowered_func(function);
        let (args, results) = (func.blocks[func.entry].params.clone(), func.results.clone());
        let store = self.store;
        let builder = &mut Builder::new(&mut func);
        let zero = builder.i32(0);
        builder.set_global(store.items.unwinding, zero);
        // Nested resumes are counted anew: what a trap left does not count.
        let outer = self.analysis.escapes[function].starts().then(|| builder.global(store.items.depth, ValType::I32));
        if outer.is_some() {
            builder.set_global(store.items.depth, zero);
        }
        let values = builder.values(Operator::Call { function_index: function.as_u32() }, &args, &results);
        if let Some(outer) = outer {
            builder.set_global(store.items.depth, outer);
        }
        self.back_to_host(builder);
        let status = builder.global(store.items.unwinding, ValType::I32);
        let (unwinding, returned) = builder.fork(status);
        builder.switch_to(returned);
        builder.ret(&values);
        builder.switch_to(unwinding);
        let zero = builder.i32(0);
        builder.set_global(store.items.unwinding, zero);
        if self.analysis.escapes[function].starts() || self.options.runtime == super::Runtime::Shared {
            // The frames may only have made room on the engine's stack: then the driver goes on with them from here.
            let null = store.null(builder, store.kind.frame_type());
            self.link_frames(builder, null);
            let running = store.new_stack(builder);
            let sentinel = store.sentinel(builder);
            let head = store.frame_field(builder, sentinel, FrameField::Next);
            store.set_stack_field(builder, running.stack, StackField::Head, head);
            let last = builder.global(store.items.last, store.kind.frame_type());
            store.set_stack_field(builder, running.stack, StackField::Tail, last);
            let status = store.call(builder, store.items.drive, &[running.stack, null, status], &[ValType::I32])[0];
            builder.trap_if(status);
            let original_results = self.original_results(self.module.functions[function].ty);
            let values = self.read_values(builder, &original_results, false)?;
            builder.ret(&values);
        } else {
            builder.end(Terminator::Unreachable);
        }
        let name = format!("{}.entry", self.name_of(function));
        let entry = self.add_function(func, name);
        self.generated.host_entries.insert(function, entry);
        Ok(entry)
    }

    /// The mask and the matcher of a list of clauses.
    pub(super) fn prompt(&mut self, builder: &mut Builder<'_>, clauses: &[wasmfx_ir::func::Handler]) -> (Value, Value) {
        use wasmfx_ir::func::Handler;
        let mut mask = builder.i32(0);
        let mut constant = 0u32;
        for clause in clauses {
            let status = match *clause {
                Handler::Suspension { tag, .. } => self.static_status(tag, false),
                Handler::Switch { tag } => self.static_status(tag, true),
                _ => unreachable!("a resume table has no exception handlers"),
            };
            match status {
                Some(status) => constant |= 1 << (status & 31),
                None => {
                    let status = match *clause {
                        Handler::Suspension { tag, .. } => self.suspension_status(builder, tag),
                        Handler::Switch { tag } => self.switch_status(builder, tag),
                        _ => unreachable!("a resume table has no exception handlers"),
                    };
                    let one = builder.i32(1);
                    let bit = builder.i32_op(Operator::I32Shl, &[one, status]);
                    mask = builder.i32_op(Operator::I32Or, &[mask, bit]);
                }
            }
        }
        if constant != 0 {
            let constant = builder.i32(constant);
            mask = builder.i32_op(Operator::I32Or, &[mask, constant]);
        }
        let number = self.matcher_number(clauses);
        let matcher = self.store.matcher(builder, number);
        (mask, matcher)
    }

    /// `(status) -> clause`, counted from 1; 0 where none applies.
    pub(super) fn build_matcher(&mut self, clauses: &[wasmfx_ir::func::Handler]) -> Func {
        use wasmfx_ir::func::Handler;
        let mut func = Func::new(TypeId::from_u32(self.store.items.matcher_type), &[ValType::I32], &[ValType::I32]);
        let status = func.blocks[func.entry].params[0];
        let builder = &mut Builder::new(&mut func);
        for (number, clause) in (1..).zip(clauses) {
            let expected = match *clause {
                Handler::Suspension { tag, .. } => self.suspension_status(builder, tag),
                Handler::Switch { tag } => self.switch_status(builder, tag),
                _ => unreachable!("a resume table has no exception handlers"),
            };
            let applies = builder.is_equal(status, expected);
            let (found, rest) = builder.fork(applies);
            builder.switch_to(found);
            let number = builder.i32(number);
            builder.ret(&[number]);
            builder.switch_to(rest);
        }
        let zero = builder.i32(0);
        builder.ret(&[zero]);
        func
    }

    /// The table that keeps references of a (nullable) type for the memory store.
    pub(super) fn reference_table(&mut self, ty: ValType) -> ReferenceTable {
        if let Some(&table) = self.generated.reference_tables.get(&ty) {
            return table;
        }
        let table = self.build_reference_table(ty);
        self.generated.reference_tables.insert(ty, table);
        table
    }

    fn build_reference_table(&mut self, ty: ValType) -> ReferenceTable {
        let (Kind::Memory(memory), ValType::Ref(element)) = (self.store.kind, ty) else {
            unreachable!("only the memory store keeps references in tables")
        };
        let name = format!("wasmfx.references.{}", self.generated.reference_tables.len());
        let items = ReferenceItems {
            element,
            table: self.add_table(element, 0, name.clone()),
            count: self.add_i32_global(format!("{name}.free")),
            base: self.add_i32_global(format!("{name}.list")),
            name,
        };
        let grow = self.grow_references(memory, &items);
        let put = self.put_reference(memory, &items, grow);
        let take = self.take_reference(memory, &items);
        ReferenceTable { put, take }
    }

    /// `()`: grows a table of references that is full, and with it the list of free numbers.
    fn grow_references(&mut self, memory: MemoryStore, items: &ReferenceItems) -> u32 {
        let &ReferenceItems { element, table, count, base, .. } = items;
        let grow_type = self.function_type(&[], &[]);
        let mut func = Func::new(grow_type, &[], &[]);
        let builder = &mut Builder::new(&mut func);
        let size = builder.i32_op(Operator::TableSize { table }, &[]);
        let least = builder.i32(64);
        let is_small = builder.i32_op(Operator::I32LtU, &[size, least]);
        let more = builder.value(Operator::Select, &[least, size, is_small], ValType::I32);
        let nothing = builder.value(Operator::RefNull { hty: element.heap_type() }, &[], ValType::Ref(element));
        let old = builder.i32_op(Operator::TableGrow { table }, &[nothing, more]);
        let minus_one = builder.i32(u32::MAX);
        let failed = builder.is_equal(old, minus_one);
        let (give_up, grown) = builder.fork(failed);
        builder.switch_to(give_up);
        let zero = builder.i32(0);
        builder.set_global(self.store.items.unwinding, zero);
        builder.end(Terminator::Unreachable);
        builder.switch_to(grown);
        // The list of free numbers has room for all of them. Its old place is given up: all of these together are as large as the last.
        let total = builder.i32_op(Operator::I32Add, &[size, more]);
        let two = builder.i32(2);
        let bytes = builder.i32_op(Operator::I32Shl, &[total, two]);
        let list = self.store.call(builder, self.store.items.allocate, &[bytes], &[ValType::I32])[0];
        builder.set_global(base, list);
        builder.set_global(count, more);
        let fill = builder.new_block(&[ValType::I32]);
        let zero = builder.i32(0);
        builder.jump(fill, &[zero]);
        builder.switch_to(fill);
        let index = builder.block_params(fill)[0];
        let offset = builder.i32_op(Operator::I32Shl, &[index, two]);
        let address = builder.i32_op(Operator::I32Add, &[list, offset]);
        // The lowest number is taken first.
        let from_end = builder.i32_op(Operator::I32Sub, &[total, index]);
        let free = builder.add(from_end, u32::MAX);
        memory.store(builder, address, 0, free);
        let next = builder.add(index, 1);
        let unfinished = builder.i32_op(Operator::I32LtU, &[next, more]);
        let done = builder.new_block(&[]);
        builder.branch(unfinished, fill, &[next], done, &[]);
        builder.switch_to(done);
        builder.ret(&[]);
        self.add_function(func, format!("{}.grow", items.name)).as_u32()
    }

    /// `(reference) -> number`
    fn put_reference(&mut self, memory: MemoryStore, items: &ReferenceItems, grow: u32) -> u32 {
        let &ReferenceItems { element, table, count, base, .. } = items;
        let ty = ValType::Ref(element);
        let put_type = self.function_type(&[ty], &[ValType::I32]);
        let mut func = Func::new(put_type, &[ty], &[ValType::I32]);
        let reference = func.blocks[func.entry].params[0];
        let builder = &mut Builder::new(&mut func);
        let left = builder.global(count, ValType::I32);
        let none = builder.is_zero(left);
        builder.when(none, |builder| builder.run(Operator::Call { function_index: grow }, &[]));
        let left = builder.global(count, ValType::I32);
        let left = builder.add(left, u32::MAX);
        builder.set_global(count, left);
        let list = builder.global(base, ValType::I32);
        let two = builder.i32(2);
        let offset = builder.i32_op(Operator::I32Shl, &[left, two]);
        let address = builder.i32_op(Operator::I32Add, &[list, offset]);
        let free = memory.load(builder, address, 0);
        builder.run(Operator::TableSet { table }, &[free, reference]);
        builder.ret(&[free]);
        self.add_function(func, format!("{}.put", items.name)).as_u32()
    }

    /// `(number) -> reference`
    fn take_reference(&mut self, memory: MemoryStore, items: &ReferenceItems) -> u32 {
        let &ReferenceItems { element, table, count, base, .. } = items;
        let ty = ValType::Ref(element);
        let take_type = self.function_type(&[ValType::I32], &[ty]);
        let mut func = Func::new(take_type, &[ValType::I32], &[ty]);
        let taken = func.blocks[func.entry].params[0];
        let builder = &mut Builder::new(&mut func);
        let reference = builder.value(Operator::TableGet { table }, &[taken], ty);
        let nothing = builder.value(Operator::RefNull { hty: element.heap_type() }, &[], ty);
        builder.run(Operator::TableSet { table }, &[taken, nothing]);
        let list = builder.global(base, ValType::I32);
        let left = builder.global(count, ValType::I32);
        let two = builder.i32(2);
        let offset = builder.i32_op(Operator::I32Shl, &[left, two]);
        let address = builder.i32_op(Operator::I32Add, &[list, offset]);
        memory.store(builder, address, 0, taken);
        let left = builder.add(left, 1);
        builder.set_global(count, left);
        builder.ret(&[reference]);
        self.add_function(func, format!("{}.take", items.name)).as_u32()
    }

    /// The matcher of a list of clauses; equal lists have one.
    fn matcher_number(&mut self, clauses: &[wasmfx_ir::func::Handler]) -> u32 {
        use wasmfx_ir::func::Handler;
        let key: Vec<(u32, bool)> = clauses
            .iter()
            .map(|clause| match *clause {
                Handler::Suspension { tag, .. } => (tag.as_u32(), false),
                Handler::Switch { tag } => (tag.as_u32(), true),
                _ => unreachable!("a resume table has no exception handlers"),
            })
            .collect();
        if let Some(position) = self.generated.matchers.get_index_of(&key) {
            return u32::try_from(position).expect("matchers are few");
        }
        let func = self.build_matcher(clauses);
        let number = self.generated.matchers.len();
        let function = self.add_function(func, format!("wasmfx.clauses.{number}"));
        self.generated.matchers.insert(key, function);
        u32::try_from(number).expect("matchers are few")
    }
}
