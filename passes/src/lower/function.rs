//! The two copies of a function that may suspend: the fast one, which is the function, and the resumable one, which is entered with a frame. (Or
//! one: see [`one_copy`](super::one_copy).)

use super::builder::Builder;
use super::dispatch::{Order, dispatch_at_headers};
use super::dying_operands::compute_before_suspensions;
use super::groups::Sharing;
use super::layout::{Layout, Slot, of_type};
use super::runtime::exception_type;
use super::scan::{Callee, ResumeSite};
use super::split::{Point, Treatment, is_rematerialised, split};
use super::ssa::{Definition, repair};
use super::store::FrameField;
use super::suspension::SavedFrame;
use super::thunks::MAX_HELPER_VALUES;
use super::{Error, Lowering};
use crate::inline_body::call_of_tail_call;
use indexmap::IndexMap;
use rustc_hash::{FxHashMap, FxHashSet};
use wasmfx_ir::analysis::{ControlFlowGraph, Liveness};
use wasmfx_ir::emit::local_assignment;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{Block, Func, Handler, Inst, Terminator, Value, ValueVec};
use wasmfx_ir::module::{Body, FunctionId, TagId, TypeId};
use wasmfx_ir::wasmparser::{Operator, ValType};

/// Which copy is being made.
#[derive(Clone, Debug)]
pub(super) enum Flavour {
    /// The original, which allocates a frame when it must unwind.
    Fast,
    /// The copy that continues from this frame, and saves itself into it again.
    Resumed(Value),
}

/// One copy of a function in the making.
pub(super) struct Copy<'c> {
    /// The function that it is made of.
    pub(super) function: FunctionId,
    pub(super) func: Func,
    pub(super) flavour: Flavour,
    pub(super) layout: &'c Layout,
    pub(super) liveness: &'c Liveness,
    /// The original types of the function's results.
    pub(super) result_types: Vec<ValType>,
    /// Their lowered types.
    pub(super) lowered_results: Vec<ValType>,
    pub(super) nests: bool,
    /// How many resume slots the function has.
    pub(super) slots: u32,
    /// Whether the function may be suspended at all.
    pub(super) may_suspend: bool,
    /// Whether values are saved again by a function, since there are many places to do it.
    saves_out_of_line: bool,
    /// Whether it is the only copy, and made for size.
    pub(super) is_only: bool,
    /// Where the only copy saves what the points of a group save.
    pub(super) saving: FxHashMap<usize, Block>,
    /// Where a resumable copy leaves its results and ends.
    exit: Option<Block>,
    /// Where the pending exception is raised that nothing around a point catches.
    raising: Option<Block>,
    /// What a resumable copy loads as soon as it is entered, whichever point it goes on from.
    common: FxHashSet<(Value, Slot)>,
}

/// From how many points on a resumable copy is made for size: code that points share is out of line, and values that most of them need are loaded
/// first.
const MANY_POINTS: usize = 5;

/// A resumable copy: the function, and its slots in the table of resume functions.
#[derive(Copy, Clone, Debug)]
pub(super) struct Resumable {
    pub(super) copy: FunctionId,
    pub(super) first_slot: u32,
    pub(super) slots: u32,
}

/// Where the entries of a point find what was saved.
#[derive(Copy, Clone)]
pub(super) enum Saved<'v> {
    /// In this frame.
    InFrame(Value),
    /// What the slots hold was loaded before; what has no value here is defined already.
    Loaded(&'v FxHashMap<Slot, Value>),
}

/// A function whose body is translated and cut at its points, before they are expanded.
pub(super) struct Prepared {
    pub(super) function: FunctionId,
    pub(super) func: Func,
    pub(super) points: Vec<Point>,
    liveness: Liveness,
    order: Order,
    layout: Layout,
    /// Whether it has one copy.
    is_only: bool,
    /// Where it needs one.
    pub(super) resumable: Option<Resumable>,
}

/// The points that need frames, by position, those that save and load together next to one another.
pub(super) fn in_groups(points: &[Point]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).filter(|&index| points[index].needs_frame()).collect();
    order.sort_by_key(|&index| (points[index].group, points[index].home, index));
    order
}

/// What a call operator calls.
pub(super) fn callee(operator: &Operator<'_>) -> Option<Callee> {
    Some(match *operator {
        Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
            Callee::Direct(FunctionId::from_u32(function_index))
        }
        Operator::CallIndirect { type_index, .. }
        | Operator::ReturnCallIndirect { type_index, .. }
        | Operator::CallRef { type_index }
        | Operator::ReturnCallRef { type_index } => Callee::Typed(TypeId::from_u32(type_index)),
        _ => return None,
    })
}

impl Lowering<'_> {
    fn treatment(&self, function: FunctionId, operator: &Operator<'static>, handlers: &[Handler]) -> Treatment {
        match operator {
            Operator::Suspend { .. } | Operator::Switch { .. } if !self.analysis.is_inside(function) => {
                Treatment::Expand
            }
            Operator::Suspend { .. } | Operator::Switch { .. } => Treatment::Suspend,
            operator if super::is_resume(operator) => {
                let site = ResumeSite::of_handlers(handlers);
                let escapes = self.analysis.site_escapes(function, &site, self.analysis.nests[function]);
                if escapes.is_empty() { Treatment::Expand } else { Treatment::Suspend }
            }
            Operator::Call { .. } | Operator::CallIndirect { .. } | Operator::CallRef { .. } => {
                let callee = callee(operator).expect("a call has a callee");
                match self.analysis.ends_unwinding(function, callee) {
                    true => Treatment::Expand,
                    false if self.analysis.call_suspends(function, callee) => Treatment::Suspend,
                    false => Treatment::Keep,
                }
            }
            _ => Treatment::Keep,
        }
    }

    /// The original types of the values that execution goes on with behind a point.
    pub(super) fn resumption_types(&self, operator: &Operator<'static>) -> Vec<ValType> {
        match *operator {
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                self.original_results(self.module.functions[FunctionId::from_u32(function_index)].ty)
            }
            Operator::CallIndirect { type_index, .. }
            | Operator::ReturnCallIndirect { type_index, .. }
            | Operator::CallRef { type_index }
            | Operator::ReturnCallRef { type_index } => self.original_results(TypeId::from_u32(type_index)),
            Operator::Suspend { tag_index } => {
                self.original_results(self.original_tag_type(TagId::from_u32(tag_index)))
            }
            Operator::Resume { cont_type_index, .. }
            | Operator::ResumeThrow { cont_type_index, .. }
            | Operator::ResumeThrowRef { cont_type_index, .. } => {
                self.original_results(self.original_continuation(TypeId::from_u32(cont_type_index)))
            }
            Operator::Switch { cont_type_index, .. } => {
                // The last parameter of the target is the continuation of the current one, whose parameters come back.
                let target = self.original_continuation(TypeId::from_u32(cont_type_index));
                let last = self.original_params(target).last().copied();
                let current = match last {
                    Some(ValType::Ref(reference)) => reference.type_index().and_then(|index| index.as_module_index()),
                    _ => None,
                };
                let current = current.expect("validation has checked that a switch passes a continuation");
                self.original_params(self.original_continuation(TypeId::from_u32(current)))
            }
            ref other => unreachable!("{other:?} is no suspension point"),
        }
    }

    /// Cuts a body at its points, and reserves what its copies will be called by. A function whose points share has one copy.
    pub(super) fn prepare_function(&mut self, function: FunctionId, sharing: Sharing) -> Result<Prepared, Error> {
        let mut func = self.take_body(function)?;
        self.translate_body(&mut func)?;
        self.call_where_unwinding_ends(function, &mut func);
        compute_before_suspensions(&mut func, &*self.module, |operator| {
            matches!(self.treatment(function, operator, &[]), Treatment::Suspend)
        });
        let locals = match sharing {
            Sharing::Never => SecondaryMap::new(),
            Sharing::IfEnormous | Sharing::IfMuchIsSaved | Sharing::UnlessCrowded | Sharing::Always => {
                local_assignment(&mut func, &*self.module)
            }
        };
        let (mut points, liveness, order, groups) =
            split(&*self.module, &mut func, sharing, &locals, &mut |operator, handlers| {
                self.treatment(function, operator, handlers)
            });
        let layout = Layout::new(self, &func, &points, groups.as_ref());
        self.check_frame(&layout)?;
        let first_clause = self.store.first_clause_entry();
        let mut slots = 0;
        for index in in_groups(&points) {
            let point = &mut points[index];
            point.first_slot = slots;
            slots += first_clause + u32::try_from(point.clauses.len()).expect("clauses are few");
        }
        let first_slot = self.reserve_resume_slots(slots);
        points.iter_mut().for_each(|point| point.first_slot += first_slot);
        let resumable = (slots > 0).then(|| {
            let name = format!("{}.resume", self.name_of(function));
            let copy = super::setup::declare_function(self.module, self.store.items.resume_type, &name);
            let copy = FunctionId::from_u32(copy);
            self.fill_resume_slots(first_slot, slots, copy);
            self.report.copied(function, copy, &layout);
            Resumable { copy, first_slot, slots }
        });
        let is_only = groups.is_some();
        Ok(Prepared { function, func, points, liveness, order, layout, is_only, resumable })
    }

    /// A tail call at which unwinding ends becomes a call, since no caller behind it would notice. Outside of continuations space
    /// stays constant, as there is no way back from what may suspend to what calls it; functions that the user promised not to suspend use the stack.
    fn call_where_unwinding_ends(&self, function: FunctionId, func: &mut Func) {
        for block in func.blocks.keys() {
            let Terminator::TailCall { operator, .. } = func.blocks[block].terminator else { continue };
            let operator = func.operators[operator].clone();
            let ends = |callee| self.analysis.ends_unwinding(function, callee) && self.analysis.may_suspend(callee);
            if !callee(&operator).is_some_and(ends) {
                continue;
            }
            let call = call_of_tail_call(&operator);
            let types = self.lowered_types(&self.resumption_types(&call));
            let Terminator::TailCall { args, .. } = std::mem::take(&mut func.blocks[block].terminator) else {
                unreachable!("it was one above")
            };
            let builder = &mut Builder::at(func, block);
            let results = builder.values(call, &args, &types);
            builder.ret(&results);
        }
    }

    /// Makes the fast copy of a function in place, and its resumable copy where it needs one.
    pub(super) fn expand_function(&mut self, prepared: Prepared) -> Result<(), Error> {
        let Prepared { function, func, points, liveness, order, layout, is_only, resumable } = prepared;
        let result_types = self.original_results(self.module.functions[function].ty);
        let lowered_results = self.lowered_types(&result_types);
        let may_suspend = !self.analysis.escapes[function].is_empty();
        let nests = self.analysis.nests[function];
        let copy = |func: Func, flavour: Flavour| Copy {
            function,
            func,
            flavour,
            layout: &layout,
            liveness: &liveness,
            result_types: result_types.clone(),
            lowered_results: lowered_results.clone(),
            nests,
            slots: resumable.map_or(0, |resumable| resumable.slots),
            may_suspend,
            saves_out_of_line: points.iter().filter(|point| point.needs_frame()).count() >= MANY_POINTS,
            is_only,
            saving: FxHashMap::default(),
            exit: None,
            raising: None,
            common: FxHashSet::default(),
        };
        if let Some(resumable) = resumable {
            let body = if is_only {
                self.reentering(function, &layout, resumable.first_slot)?
            } else {
                self.resumable_copy(copy(func.clone(), Flavour::Fast), &points, order.clone(), resumable)?
            };
            self.module.functions[resumable.copy].body = Body::Lifted(Box::new(body));
        }
        let mut fast = copy(func, Flavour::Fast);
        self.tail_call_from_inside(&mut fast.func);
        for point in &points {
            self.expand_point(&mut fast, point)?;
        }
        if let (true, Some(resumable)) = (is_only, resumable) {
            self.add_reentry(&mut fast, &points, order, resumable)?;
        }
        let mut func = fast.func;
        self.begin_anew_at_tail_calls(function, &mut func);
        finish(&mut func);
        self.module.functions[function].body = Body::Lifted(Box::new(func));
        Ok(())
    }

    /// Outside of all continuations, where nothing is left to restore behind a tail call, and nothing is being unwound.
    fn begin_anew_at_tail_calls(&self, function: FunctionId, func: &mut Func) {
        for block in func.blocks.keys() {
            let Terminator::TailCall { operator, .. } = func.blocks[block].terminator else { continue };
            let callee = callee(&func.operators[operator]);
            if callee.is_some_and(|callee| self.analysis.ends_unwinding(function, callee)) {
                let builder = &mut Builder::at(func, block);
                let zero = builder.i32(0);
                builder.set_global(self.store.items.depth, zero);
                builder.set_global(self.store.items.unwinding, zero);
            }
        }
    }

    fn resumable_copy(
        &mut self,
        mut copy: Copy<'_>,
        points: &[Point],
        order: Order,
        resumable: Resumable,
    ) -> Result<Func, Error> {
        let original_blocks: Vec<Block> = copy.func.blocks.keys().collect();
        let entry = copy.func.add_block();
        let frame = copy.func.add_block_param(entry, self.store.kind.frame_type());
        let frame = {
            let builder = &mut Builder::at(&mut copy.func, entry);
            self.frame_of_layout(builder, copy.layout, frame)
        };
        copy.flavour = Flavour::Resumed(frame);
        for block in original_blocks {
            self.rewrite_exit(&mut copy, block)?;
        }
        for point in points {
            self.expand_point(&mut copy, point)?;
        }
        copy.func.entry = entry;
        copy.func.ty = TypeId::from_u32(self.store.items.resume_type);
        copy.func.results = Box::new([ValType::I32]);
        self.hoist_constants(&mut copy, points);
        let mut definitions = self.load_common_values(&mut copy, entry, frame);
        let mut targets = Vec::new();
        for point in points.iter().filter(|point| point.needs_frame()) {
            self.add_stubs(&mut copy, point, Saved::InFrame(frame), &mut targets, &mut definitions)?;
        }
        self.switch_between(&mut Builder::at(&mut copy.func, entry), frame, resumable.first_slot, targets);
        let no_loads = FxHashSet::default();
        let undefining =
            dispatch_at_headers(&mut copy.func, order, &mut definitions, &no_loads, |ty| self.has_stand_in(ty));
        repair(&mut copy.func, &definitions, &undefining, |ty| self.dummy_operator(ty).ok());
        finish(&mut copy.func);
        Ok(copy.func)
    }

    /// In a resumable copy results are left for the next frame, and tail calls are calls.
    fn rewrite_exit(&mut self, copy: &mut Copy<'_>, block: Block) -> Result<(), Error> {
        let Flavour::Resumed(frame) = copy.flavour else { return Ok(()) };
        match std::mem::take(&mut copy.func.blocks[block].terminator) {
            Terminator::Return(values) => {
                let exit = match copy.exit {
                    Some(exit) => exit,
                    None => self.resumed_exit(copy, frame)?,
                };
                Builder::at(&mut copy.func, block).jump(exit, &values);
            }
            Terminator::TailCall { operator, args } => {
                let call = call_of_tail_call(&copy.func.operators[operator]);
                let types = self.resumption_types(&call);
                let lowered = self.lowered_types(&types);
                let suspends = callee(&call).is_some_and(|callee| self.analysis.call_suspends(copy.function, callee));
                let builder = &mut Builder::at(&mut copy.func, block);
                let layout = copy.layout;
                let results = self.call_or_leave(builder, call, &args, &lowered, suspends, |this, builder, status| {
                    this.leave_without_frame(builder, layout, frame, status);
                });
                self.values.write(self.module, &self.original_types, builder, &types, &results, false)?;
                self.free_frame(builder, copy.layout, frame);
                let zero = builder.i32(0);
                builder.ret(&[zero]);
            }
            other => copy.func.blocks[block].terminator = other,
        }
        Ok(())
    }

    /// Makes the block that takes a resumable copy's results.
    fn resumed_exit(&mut self, copy: &mut Copy<'_>, frame: Value) -> Result<Block, Error> {
        let entry = copy.func.entry;
        let builder = &mut Builder::at(&mut copy.func, entry);
        let exit = builder.new_block(&copy.lowered_results);
        builder.switch_to(exit);
        let values = builder.block_params(exit);
        self.values.write(self.module, &self.original_types, builder, &copy.result_types, &values, false)?;
        self.free_frame(builder, copy.layout, frame);
        let zero = builder.i32(0);
        builder.ret(&[zero]);
        copy.exit = Some(exit);
        Ok(exit)
    }

    /// Calls something from a resume function, and ends with `leave`, which gets the status, where what is called unwinds.
    pub(super) fn call_or_leave(
        &mut self,
        builder: &mut Builder<'_>,
        call: Operator<'static>,
        args: &[Value],
        results: &[ValType],
        suspends: bool,
        leave: impl FnOnce(&mut Self, &mut Builder<'_>, Value),
    ) -> ValueVec {
        if !suspends {
            return builder.values(call, args, results);
        }
        let (call, args) = self.call_from_inside(builder, call, args);
        let values = builder.values(call.clone(), &args, results);
        self.called_from_inside(builder, &call);
        let status = builder.global(self.store.items.unwinding, ValType::I32);
        let (unwind, go_on) = builder.fork(status);
        builder.switch_to(unwind);
        let zero = builder.i32(0);
        builder.set_global(self.store.items.unwinding, zero);
        leave(self, builder, status);
        builder.switch_to(go_on);
        values
    }

    /// Constants that a stub would have to make again are made once, in the entry.
    pub(super) fn hoist_constants(&mut self, copy: &mut Copy<'_>, points: &[Point]) {
        let entry = copy.func.entry;
        let mut hoisted: FxHashSet<Inst> = FxHashSet::default();
        let mut order: Vec<Value> = Vec::new();
        for point in points.iter().filter(|point| point.needs_frame()) {
            let landings = point.clauses.iter().chain(&point.catches).filter_map(Handler::block);
            for block in std::iter::once(point.normal).chain(landings) {
                for &value in copy.liveness.live_in(block) {
                    if is_rematerialised(self.module, &copy.func, value)
                        && let Some(inst) = copy.func.defining_inst(value)
                        && hoisted.insert(inst)
                    {
                        order.push(value);
                    }
                }
            }
        }
        if order.is_empty() {
            return;
        }
        for value in order {
            let inst = copy.func.defining_inst(value).expect("a constant is made by an instruction");
            let (operator, ty) = (copy.func.operator(inst).clone(), copy.func.value_type(value));
            let again = copy.func.append_value(entry, operator, &[], ty);
            copy.func.make_alias(value, again);
        }
        for block in copy.func.blocks.values_mut() {
            block.insts.retain(|inst| !hoisted.contains(inst));
        }
        copy.func.resolve_aliases();
    }

    /// Loads, before it is known where a copy of many points goes on, what most of them need. Where a value is not saved in this slot, nothing uses
    /// what is loaded.
    fn load_common_values(&mut self, copy: &mut Copy<'_>, entry: Block, frame: Value) -> Vec<Definition> {
        let mut definitions = Vec::new();
        let points = copy.layout.points.iter().filter(|saved| !saved.is_empty()).count();
        if !copy.saves_out_of_line {
            return definitions;
        }
        let mut counts: IndexMap<(Value, Slot), usize> = IndexMap::new();
        for &pair in copy.layout.points.iter().flatten() {
            *counts.entry(pair).or_insert(0) += 1;
        }
        for ((variable, slot), count) in counts {
            if count * 2 <= points || slot.is_reference() {
                continue;
            }
            copy.common.insert((variable, slot));
            let builder = &mut Builder::at(&mut copy.func, entry);
            let value = self.load(builder, copy.layout, frame, slot, slot.ty);
            definitions.push(Definition { variable, block: entry, value });
        }
        definitions
    }

    /// Ends a block by leading on to the target that a frame's resume function stands for, counted from `first_slot`.
    fn switch_between(&self, builder: &mut Builder<'_>, frame: Value, first_slot: u32, targets: Vec<Block>) {
        builder.switch(targets, |builder| {
            let function = self.store.frame_field(builder, frame, FrameField::Function);
            let first = self.store.resume_function(builder, first_slot);
            builder.i32_op(Operator::I32Sub, &[function, first])
        });
    }

    /// The entries of a point: go on, throw, and one for each clause.
    pub(super) fn add_stubs(
        &mut self,
        copy: &mut Copy<'_>,
        point: &Point,
        saved: Saved<'_>,
        targets: &mut Vec<Block>,
        definitions: &mut Vec<Definition>,
    ) -> Result<(), Error> {
        let stub = copy.func.add_block();
        targets.push(stub);
        let live = copy.liveness.live_in(point.normal).to_vec();
        self.load_frame(copy, stub, point, saved, &live, definitions);
        let types = self.resumption_types(&point.operator);
        let builder = &mut Builder::at(&mut copy.func, stub);
        let values = self.read_values(builder, &types, false)?;
        builder.jump(point.normal, &values);

        if let Some(exception) = self.store.items.exception {
            targets.push(self.raising_stub(copy, point, saved, exception, definitions));
        }

        for clause in &point.clauses {
            let stub = copy.func.add_block();
            targets.push(stub);
            let Handler::Suspension { tag, block } = *clause else {
                copy.func.blocks[stub].terminator = Terminator::Unreachable;
                continue;
            };
            let live = copy.liveness.live_in(block).to_vec();
            self.load_frame(copy, stub, point, saved, &live, definitions);
            let mut types = self.original_params(self.original_tag_type(tag));
            types.push(super::types::continuation_reference());
            let builder = &mut Builder::at(&mut copy.func, stub);
            let values = self.read_values(builder, &types, false)?;
            builder.jump(block, &values);
        }
        Ok(())
    }

    /// The entry of a point that raises the pending exception. Points share it where nothing around them catches.
    fn raising_stub(
        &mut self,
        copy: &mut Copy<'_>,
        point: &Point,
        saved: Saved<'_>,
        exception: u32,
        definitions: &mut Vec<Definition>,
    ) -> Block {
        let is_shared = point.catches.is_empty()
            && match saved {
                Saved::Loaded(_) => true,
                // What is not loaded has to be forgotten.
                Saved::InFrame(_) => !copy.layout.points[point.index].iter().any(|(_, slot)| slot.is_reference()),
            };
        if let Some(raising) = copy.raising.filter(|_| is_shared) {
            return raising;
        }
        let stub = copy.func.add_block();
        let mut live: Vec<Value> = point
            .catches
            .iter()
            .filter_map(Handler::block)
            .flat_map(|block| copy.liveness.live_in(block))
            .copied()
            .collect();
        live.sort_unstable();
        live.dedup();
        self.load_frame(copy, stub, point, saved, &live, definitions);
        self.store.raise_pending(&mut Builder::at(&mut copy.func, stub), exception, &point.catches);
        if is_shared {
            copy.raising = Some(stub);
        }
        stub
    }

    /// Gives what is live in an entry what was saved. What is loaded here and not live is forgotten.
    fn load_frame(
        &mut self,
        copy: &mut Copy<'_>,
        stub: Block,
        point: &Point,
        saved: Saved<'_>,
        live: &[Value],
        definitions: &mut Vec<Definition>,
    ) {
        let layout = copy.layout;
        for &(variable, slot) in layout.points[point.index].iter().filter(|pair| !copy.common.contains(pair)) {
            let is_live = live.binary_search(&variable).is_ok();
            match saved {
                Saved::Loaded(values) => {
                    if let (true, Some(&value)) = (is_live, values.get(&slot)) {
                        copy.func.source_locals[value] = copy.func.source_locals[variable];
                        let ty = copy.func.value_type(variable);
                        let value = of_type(&mut Builder::at(&mut copy.func, stub), value, ty);
                        definitions.push(Definition { variable, block: stub, value });
                    }
                }
                Saved::InFrame(frame) => {
                    let ty = copy.func.value_type(variable);
                    let builder = &mut Builder::at(&mut copy.func, stub);
                    if is_live {
                        let value = self.load(builder, layout, frame, slot, ty);
                        definitions.push(Definition { variable, block: stub, value });
                    } else {
                        self.forget(builder, layout, frame, slot);
                    }
                }
            }
        }
    }

    /// Expands one point.
    pub(super) fn expand_point(&mut self, copy: &mut Copy<'_>, point: &Point) -> Result<(), Error> {
        match point.operator {
            Operator::Suspend { .. } | Operator::Switch { .. } if !point.suspends => {
                let builder = &mut Builder::at(&mut copy.func, point.block);
                if let (Operator::Switch { .. }, Some(&continuation)) = (&point.operator, point.args.last()) {
                    self.consume(builder, continuation);
                }
                // Outside of all continuations nobody handles it.
                builder.end(Terminator::Unreachable);
                Ok(())
            }
            Operator::Suspend { tag_index } => {
                let tag = TagId::from_u32(tag_index);
                let types = self.original_params(self.original_tag_type(tag));
                let builder = &mut Builder::at(&mut copy.func, point.block);
                self.values.write(self.module, &self.original_types, builder, &types, &point.args, true)?;
                let status = self.suspension_status(builder, tag);
                let block = builder.block;
                self.suspend_itself(copy, point, block, status)
            }
            Operator::Switch { cont_type_index, tag_index } => {
                let tag = TagId::from_u32(tag_index);
                let target = self.original_continuation(TypeId::from_u32(cont_type_index));
                let mut types = self.original_params(target);
                types.pop();
                let builder = &mut Builder::at(&mut copy.func, point.block);
                let (&continuation, args) = point.args.split_last().expect("a switch has a target");
                let running = self.consume(builder, continuation);
                self.values.write(self.module, &self.original_types, builder, &types, args, true)?;
                builder.set_global(self.store.items.pending, running.stack);
                let status = self.switch_status(builder, tag);
                let block = builder.block;
                self.suspend_itself(copy, point, block, status)
            }
            Operator::Call { .. } | Operator::CallIndirect { .. } | Operator::CallRef { .. } => {
                self.expand_call(copy, point)
            }
            _ => self.expand_resume(copy, point),
        }
    }

    fn expand_call(&mut self, copy: &mut Copy<'_>, point: &Point) -> Result<(), Error> {
        if !point.suspends {
            self.expand_ending_call(copy, point);
            return Ok(());
        }
        let types = result_types(&copy.func, point);
        let builder = &mut Builder::at(&mut copy.func, point.block);
        let mut catches = point.catches.clone();
        if !catches.is_empty() && callee(&point.operator).is_some_and(|callee| self.analysis.may_ask_for_start(callee))
        {
            let depth = builder.global(self.store.items.depth, ValType::I32);
            catches = builder.setting_global(&catches, self.store.items.depth, depth);
        }
        catches = self.catches_from_inside(builder, catches);
        let (operator, args) = self.call_from_inside(builder, point.operator.clone(), &point.args);
        let results = builder.call(operator.clone(), &args, &types, &catches);
        self.called_from_inside(builder, &operator);
        if point.tail && matches!(copy.flavour, Flavour::Fast) {
            // The caller sees that unwinding goes on; this function has nothing to save.
            builder.jump(point.normal, &results);
            return Ok(());
        }
        let status = builder.global(self.store.items.unwinding, ValType::I32);
        let (unwind, go_on) = builder.fork(status);
        builder.switch_to(go_on);
        builder.jump(point.normal, &results);
        builder.switch_to(unwind);
        if let Flavour::Resumed(frame) = copy.flavour {
            let saved = &copy.layout.points[point.index];
            if copy.saves_out_of_line && !point.tail && saved.len() <= MAX_HELPER_VALUES {
                let helper = self.save_again_helper(copy.layout, saved)?;
                let builder = &mut Builder::at(&mut copy.func, unwind);
                let mut args = vec![frame, self.store.resume_function(builder, point.first_slot)];
                args.extend(saved.iter().map(|&(value, _)| value));
                let status = self.store.call(builder, helper, &args, &[ValType::I32])[0];
                builder.ret(&[status]);
                return Ok(());
            }
            let zero = builder.i32(0);
            builder.set_global(self.store.items.unwinding, zero);
        }
        self.save_and_leave(copy, point, unwind, status, SavedFrame::Next)
    }
    /// Expands a call at which unwinding ends.
    fn expand_ending_call(&self, copy: &mut Copy<'_>, point: &Point) {
        let types = result_types(&copy.func, point);
        let builder = &mut Builder::at(&mut copy.func, point.block);
        let depth = self.store.items.depth;
        let callee = callee(&point.operator).expect("a call has a callee");
        let outer = self.analysis.may_ask_for_start(callee).then(|| builder.global(depth, ValType::I32));
        let mut catches = point.catches.clone();
        if let Some(outer) = outer {
            let zero = builder.i32(0);
            builder.set_global(depth, zero);
            catches = self.restoring_depth(copy.function, builder, outer, &catches);
        }
        catches = self.catches_from_inside(builder, catches);
        let may_suspend = self.analysis.may_suspend(callee);
        // A trap may have come in the middle of unwinding. Here nothing is being unwound.
        let zero = builder.i32(0);
        builder.set_global(self.store.items.unwinding, zero);
        let results = builder.call(point.operator.clone(), &point.args, &types, &catches);
        if let Some(outer) = outer {
            builder.set_global(depth, outer);
        }
        if may_suspend {
            let status = builder.global(self.store.items.unwinding, ValType::I32);
            let (unhandled, returned) = builder.fork(status);
            builder.switch_to(unhandled);
            // Who called the host that called this may go on.
            let zero = builder.i32(0);
            builder.set_global(self.store.items.unwinding, zero);
            builder.end(Terminator::Unreachable);
            builder.switch_to(returned);
        }
        builder.jump(point.normal, &results);
    }

    /// These handlers of a call from which on the depth is counted anew, with the depth set back to `outer` where they catch an exception. Where one
    /// could pass them and be caught further out, another handler sets it back and throws again.
    fn restoring_depth(
        &self,
        function: FunctionId,
        builder: &mut Builder<'_>,
        outer: Value,
        catches: &[Handler],
    ) -> Vec<Handler> {
        let depth = self.store.items.depth;
        let mut catches = builder.setting_global(catches, depth, outer);
        let catches_all = |catch: &Handler| matches!(catch, Handler::CatchAll { .. } | Handler::CatchAllRef { .. });
        // Whoever catches it further out does not know that the depth was another one.
        let passes = self.store.items.exception.is_some() && !catches.iter().any(catches_all);
        if passes && self.analysis.is_inside(function) {
            let passing = builder.new_block(&[exception_type(false)]);
            let call = builder.block;
            builder.switch_to(passing);
            let exception = builder.block_params(passing)[0];
            builder.set_global(depth, outer);
            builder.invoke(Operator::ThrowRef, &[exception], None, &[]);
            builder.switch_to(call);
            catches.push(Handler::CatchAllRef { block: passing });
        }
        catches
    }
}

/// The types of the values that execution goes on with behind a point.
fn result_types(func: &Func, point: &Point) -> Vec<ValType> {
    func.blocks[point.normal].params.iter().map(|&param| func.value_type(param)).collect()
}

/// Leaves a body tidy: no aliases, nothing in blocks that cannot be reached.
pub(super) fn finish(func: &mut Func) {
    func.resolve_aliases();
    let cfg = ControlFlowGraph::new(func);
    empty_unreachable_blocks(func, &cfg);
}

/// Takes instructions and edges out of blocks that cannot be reached.
pub(super) fn empty_unreachable_blocks(func: &mut Func, cfg: &ControlFlowGraph) {
    for (block, data) in func.blocks.iter_mut() {
        if !cfg.is_reachable(block) {
            data.insts.clear();
            data.terminator = Terminator::Unreachable;
        }
    }
}
