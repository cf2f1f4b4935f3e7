//! Functions of one copy: where the two of [`function`](super::function) would cost more than they bring.
//!
//! Such a function is its own resumable copy. Its entry asks whether something is being unwound, which never is when a function is called: then it is
//! *entered again*, with the frame where the last frame of a suspension would be, and goes on behind the point that the flag says. What is in the
//! table of resume functions is a small function that does this. It costs a test whenever the function is called, dispatching headers of loops with
//! points inside, and that no frame is used again in place.
//!
//! It is done to functions whose points would save very much, and to those that may suspend only as far as the types of indirect calls say. Where any
//! callback suspends, those are most functions of a large program, and most of them never do. Those with loops of very many points keep two copies,
//! unless those would be enormous: see [`groups`](super::groups).

use super::builder::Builder;
use super::dispatch::{Order, dispatch_at_headers};
use super::function::{Copy, Resumable, Saved, in_groups};
use super::groups::{Sharing, shared_frame};
use super::layout::{Layout, Slot, of_type};
use super::scan::{Callee, Summary};
use super::split::Point;
use super::ssa::{Definition, repair};
use super::store::FrameField;
use super::thunks::MAX_HELPER_VALUES;
use super::{Copies, Error, Lowering};
use indexmap::IndexMap;
use rustc_hash::{FxHashMap, FxHashSet};
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{Block, BlockCall, Func, Terminator, Value};
use wasmfx_ir::module::FunctionId;
use wasmfx_ir::wasmparser::{Operator, ValType};

/// From how many loads on a helper function does them, and returns the values.
const MANY_LOADS: usize = 2;

/// What the flag of unwinding is while a function is entered again is the number of the entry, counted from this.
const FIRST_ENTRY: u32 = 1;

/// An edge that is there while loops are looked for: it makes a block belong to the loop that it leads to.
struct Tie {
    from: Block,
    /// Has what ended `from`.
    rest: Block,
}

impl Tie {
    fn new(func: &mut Func, order: &mut Order, from: Block, to: Block) -> Self {
        let rest = func.add_block();
        func.blocks[rest].terminator = std::mem::take(&mut func.blocks[from].terminator);
        let builder = &mut Builder::at(func, from);
        let anything = builder.i32(0);
        builder.branch(anything, to, &[], rest, &[]);
        order.place_at(rest, from);
        order.place_at(to, from);
        Self { from, rest }
    }

    fn remove(self, func: &mut Func) {
        func.blocks[self.from].terminator = Terminator::Jump(BlockCall::new(self.rest));
    }
}

impl Lowering<'_> {
    /// Whether the points of each function share, and so whether it has one copy.
    pub(super) fn sharing(
        &mut self,
        summaries: &SecondaryMap<FunctionId, Summary>,
    ) -> SecondaryMap<FunctionId, Sharing> {
        let mut sharing = SecondaryMap::with_default_and_len(Sharing::Never, self.module.functions.len());
        let (wanted, two) = match self.options.copies {
            Copies::Two => (Sharing::IfEnormous, FxHashSet::default()),
            Copies::One => (Sharing::Always, FxHashSet::default()),
            Copies::Auto => (Sharing::UnlessCrowded, self.analysis.definitely_suspending(self.module, summaries)),
        };
        for function in self.module.functions.keys() {
            if self.analysis.may_suspend(Callee::Direct(function)) && self.can_be_entered_again(function) {
                sharing[function] = match two.contains(&function) {
                    true => Sharing::IfMuchIsSaved,
                    false => wanted,
                };
            }
        }
        sharing
    }

    /// Whether a function can be entered again, when its arguments are of no concern and a frame is handed on beside the results.
    fn can_be_entered_again(&mut self, function: FunctionId) -> bool {
        let params = self.lowered_types(&self.original_params(self.module.functions[function].ty));
        let results = self.original_results(self.module.functions[function].ty);
        results.len() <= MAX_HELPER_VALUES && params.into_iter().all(|ty| self.has_stand_in(ty))
    }

    /// Gives a fast copy the entries of a resumable one.
    ///
    /// What was saved is loaded inside of the loop that is entered, behind its dispatching header: if it were loaded outside, the header would have a
    /// parameter for each value, and with it every way around the loop.
    pub(super) fn add_reentry(
        &mut self,
        copy: &mut Copy<'_>,
        points: &[Point],
        mut order: Order,
        resumable: Resumable,
    ) -> Result<(), Error> {
        let called = copy.func.entry;
        let entry = copy.func.add_block();
        for param in std::mem::take(&mut copy.func.blocks[called].params) {
            copy.func.move_param(param, entry);
        }
        copy.func.entry = entry;
        let store = self.store;
        let builder = &mut Builder::at(&mut copy.func, entry);
        let unwinding = builder.global(store.items.unwinding, ValType::I32);
        let again = builder.new_block(&[]);
        builder.branch(unwinding, again, &[], called, &[]);
        builder.switch_to(again);
        let zero = builder.i32(0);
        builder.set_global(store.items.unwinding, zero);

        self.hoist_constants(copy, points);
        let mut definitions = Vec::new();
        let mut targets = Vec::new();
        let mut ties = Vec::new();
        let in_groups: Vec<&Point> = in_groups(points).into_iter().map(|index| &points[index]).collect();
        for group in in_groups.chunk_by(|one, other| (one.group, one.home) == (other.group, other.home)) {
            let (loading, loaded) = self.load_group(copy, group, &mut definitions);
            let mut stubs = Vec::new();
            for point in group {
                self.add_stubs(copy, point, Saved::Loaded(&loaded), &mut stubs, &mut definitions)?;
            }
            targets.extend(stubs.iter().map(|_| loading));
            Builder::at(&mut copy.func, loading).switch(stubs, |builder| {
                let first = builder.i32(group[0].first_slot - resumable.first_slot + FIRST_ENTRY);
                builder.i32_op(Operator::I32Sub, &[unwinding, first])
            });
            if group[0].home.is_some() {
                ties.push(Tie::new(&mut copy.func, &mut order, group[0].block, loading));
            }
        }
        let loading: FxHashSet<Block> = targets.iter().copied().collect();
        // A table entry that is never used takes fewer bytes than a subtraction.
        targets.splice(0..0, [targets[0]; FIRST_ENTRY as usize]);
        Builder::at(&mut copy.func, again).switch(targets, |_| unwinding);
        let undefining =
            dispatch_at_headers(&mut copy.func, order, &mut definitions, &loading, |ty| self.has_stand_in(ty));
        ties.into_iter().for_each(|tie| tie.remove(&mut copy.func));
        repair(&mut copy.func, &definitions, &undefining, |ty| self.dummy_operator(ty).ok());
        Ok(())
    }

    /// Makes a block that loads what the points of a group, and of one loop, have saved. Also says what comes out of which slot; references are defined
    /// there, unless what comes out is null for some of these points and must not be for others.
    pub(super) fn load_group(
        &mut self,
        copy: &mut Copy<'_>,
        group: &[&Point],
        definitions: &mut Vec<Definition>,
    ) -> (Block, FxHashMap<Slot, Value>) {
        let block = copy.func.add_block();
        let mut variables: IndexMap<Slot, Vec<Value>> = IndexMap::new();
        for &(variable, slot) in group.iter().flat_map(|point| &copy.layout.points[point.index]) {
            variables.entry(slot).or_default().push(variable);
        }
        let of_group = copy.layout.groups.get(&group[0].group);
        let slots: Vec<Slot> = match of_group {
            // A reference is loaded even if none of these points has it: its place in the store's table has to be freed.
            Some(all) => {
                let is_loaded = |slot: &Slot| slot.is_reference() || variables.contains_key(slot);
                all.iter().map(|&(slot, _)| slot).filter(is_loaded).collect()
            }
            None => variables.keys().copied().collect(),
        };
        let values = if slots.len() < MANY_LOADS || slots.len() > MAX_HELPER_VALUES {
            self.load_last(&mut Builder::at(&mut copy.func, block), copy.layout, &slots)
        } else {
            let helper = self.load_helper(copy.layout, &slots);
            let types: Vec<ValType> = slots.iter().map(|slot| slot.ty).collect();
            self.store.call(&mut Builder::at(&mut copy.func, block), helper, &[], &types)
        };
        let mut loaded: FxHashMap<Slot, Value> = slots.into_iter().zip(values).collect();
        let builder = &mut Builder::at(&mut copy.func, block);
        let saved_as: FxHashMap<Slot, ValType> = of_group.into_iter().flatten().copied().collect();
        for (slot, variables) in variables.iter_mut().filter(|(slot, _)| slot.is_reference()) {
            let ty = builder.func.value_type(variables[0]);
            if *saved_as.get(slot).unwrap_or(&ty) == ty {
                let value = loaded.remove(slot).expect("what points have saved is loaded");
                let value = of_type(builder, value, ty);
                variables.sort_unstable();
                variables.dedup();
                definitions.extend(variables.iter().map(|&variable| Definition { variable, block, value }));
            }
        }
        (block, loaded)
    }

    /// Loads what the frame holds with which a function is entered again. References leave their tables.
    pub(super) fn load_last(&mut self, builder: &mut Builder<'_>, layout: &Layout, slots: &[Slot]) -> Vec<Value> {
        let frame = builder.global(self.store.items.last, self.store.kind.frame_type());
        let frame = self.frame_of_layout(builder, layout, frame);
        slots.iter().map(|&slot| self.load(builder, layout, frame, slot, slot.ty)).collect()
    }

    /// Saves what a point of a group needs, where the group does, and leaves.
    pub(super) fn save_in_group(&mut self, copy: &mut Copy<'_>, point: &Point, block: Block) -> Result<(), Error> {
        let slots = &copy.layout.groups[&point.group];
        let saving = match copy.saving.get(&point.group) {
            Some(&saving) => saving,
            None => {
                let mut types = vec![ValType::I32];
                types.extend(slots.iter().map(|&(_, ty)| ty));
                let builder = &mut Builder::at(&mut copy.func, block);
                let saving = builder.new_block(&types);
                builder.switch_to(saving);
                let params = builder.block_params(saving).to_vec();
                let saved: Vec<(Value, Slot)> =
                    params[1..].iter().copied().zip(slots.iter().map(|&(slot, _)| slot)).collect();
                let frame = shared_frame(point).expect("a point of a group saves in a frame that others save in");
                self.save_new(builder, copy.layout, &saved, frame, vec![params[0]], true)?;
                self.leave_fast_copy(copy, saving)?;
                copy.saving.insert(point.group, saving);
                saving
            }
        };
        let own: FxHashMap<Slot, Value> =
            copy.layout.points[point.index].iter().map(|&(value, slot)| (slot, value)).collect();
        let saving_params = copy.func.blocks[saving].params.clone();
        let mut args = vec![self.store.resume_function(&mut Builder::at(&mut copy.func, block), point.first_slot)];
        for (&(slot, ty), &param) in slots.iter().zip(&saving_params[1..]) {
            args.push(match own.get(&slot) {
                Some(&value) => {
                    copy.func.source_locals[param] = copy.func.source_locals[value];
                    value
                }
                None if slot.is_reference() => self.dummies(&mut copy.func, block, &[ty])?[0],
                None => copy.func.undefined(slot.ty),
            });
        }
        Builder::at(&mut copy.func, block).jump(saving, &args);
        Ok(())
    }

    /// `(frame) -> status`: enters a function of one copy again.
    pub(super) fn reentering(&mut self, function: FunctionId, layout: &Layout, first_slot: u32) -> Result<Func, Error> {
        let ty = self.module.functions[function].ty;
        let params = self.lowered_types(&self.original_params(ty));
        let original_results = self.original_results(ty);
        let results = self.lowered_types(&original_results);
        let leave = self.leaving(&original_results, layout)?;
        let announce = self.announcing();
        let mut func = self.resume_func();
        let entry = func.entry;
        let frame = func.blocks[entry].params[0];
        let args = self.dummies(&mut func, entry, &params)?;
        let builder = &mut Builder::new(&mut func);
        let first = self.store.resume_function(builder, first_slot);
        self.store.call(builder, announce, &[frame, first], &[]);
        let mut values = builder.values(Operator::Call { function_index: function.as_u32() }, &args, &results);
        values.push(frame);
        let status = self.store.call(builder, leave, &values, &[ValType::I32]);
        builder.ret(&status);
        Ok(func)
    }

    /// `(frame, first) -> ()`: says that the function is entered again whose resume functions begin at `first`, with its frame.
    fn announcing(&mut self) -> u32 {
        if let Some(function) = self.generated.announce {
            return function;
        }
        let store = self.store;
        let params = [store.kind.frame_type(), ValType::I32];
        let mut func = Func::new(self.function_type(&params, &[]), &params, &[]);
        let builder = &mut Builder::new(&mut func);
        let [frame, first] = builder.params()[..] else { unreachable!("there are two parameters") };
        builder.set_global(store.items.last, frame);
        let resume = store.frame_field(builder, frame, FrameField::Function);
        let entry = builder.i32_op(Operator::I32Sub, &[resume, first]);
        let entry = builder.add(entry, FIRST_ENTRY);
        builder.set_global(store.items.unwinding, entry);
        builder.ret(&[]);
        let function = self.add_function(func, "wasmfx.enter_again".to_owned()).as_u32();
        *self.generated.announce.insert(function)
    }

    /// `(results…, frame) -> status`: what is done when a function that was entered again with a frame has returned.
    fn leaving(&mut self, original_results: &[ValType], layout: &Layout) -> Result<u32, Error> {
        let key = (original_results.to_vec(), layout.bytes, layout.struct_type);
        if let Some(&function) = self.generated.leaving_helpers.get(&key) {
            return Ok(function);
        }
        let store = self.store;
        let mut params = self.lowered_types(original_results);
        params.push(store.kind.frame_type());
        let ty = self.function_type(&params, &[ValType::I32]);
        let mut func = Func::new(ty, &params, &[ValType::I32]);
        let args = func.blocks[func.entry].params.clone();
        let builder = &mut Builder::new(&mut func);
        let (&frame, values) = args.split_last().expect("the frame is the last parameter");
        let next = store.frame_field(builder, frame, FrameField::Next);
        self.free_frame(builder, layout, frame);
        let status = builder.global(store.items.unwinding, ValType::I32);
        let (unwinding, returned) = builder.fork(status);
        builder.switch_to(unwinding);
        let zero = builder.i32(0);
        builder.set_global(store.items.unwinding, zero);
        self.link_frames(builder, next);
        builder.ret(&[status]);
        builder.switch_to(returned);
        self.values.write(self.module, &self.original_types, builder, original_results, values, false)?;
        let zero = builder.i32(0);
        builder.ret(&[zero]);
        let function =
            self.add_function(func, format!("wasmfx.leave.{}", self.generated.leaving_helpers.len())).as_u32();
        self.generated.leaving_helpers.insert(key, function);
        Ok(function)
    }
}
