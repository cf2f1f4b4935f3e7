//! `resume`, `resume_throw` and `resume_throw_ref`: the innermost frame is run by the site itself, or by a function for all of many sites; everything
//! else by the shared driver.

use super::builder::Builder;
use super::function::Copy;
use super::runtime::exception_type;
use super::scan::ResumeSite;
use super::split::Point;
use super::store::{FrameField, Running, SPECIAL, START_STATUS, StackField};
use super::suspension::SavedFrame;
use super::{Error, Lowering};
use wasmfx_ir::func::{Block, Func, Handler, Terminator, Value};
use wasmfx_ir::module::TypeId;
use wasmfx_ir::wasmparser::{Operator, ValType};

/// How many resume sites may be nested on the engine's stack before a site leaves it to an outer driver to start its continuation. A longer chain
/// pays for being unwound; but the fewer, the more of the stack (half a megabyte in wasmtime) is left for the calls of each.
const DEPTH_LIMIT: u32 = 400;

/// A resume instruction while it is expanded, and the blocks between its parts.
struct Site<'p> {
    /// Where exceptions go.
    catches: &'p [Handler],
    running: Running,
    /// Runs a continuation, which its parameters are.
    run: Block,
    /// Looks at what the runtime said: 0, or the status of a suspension.
    after: Block,
    /// Looks for the clause of a status.
    check: Block,
    /// The continuation has returned.
    done: Block,
}

impl Lowering<'_> {
    /// Expands a resume instruction in either copy.
    pub(super) fn expand_resume(&mut self, copy: &mut Copy<'_>, point: &Point) -> Result<(), Error> {
        let store = self.store;
        let builder = &mut Builder::at(&mut copy.func, point.block);
        if !copy.may_suspend {
            // A trap may have come in the middle of unwinding. Here nothing is being unwound.
            let zero = builder.i32(0);
            builder.set_global(store.items.unwinding, zero);
        }
        let running = self.begin_resume(builder, point)?;
        let mut at = builder.block;
        let mut depth = None;
        if copy.nests {
            let value = builder.global(store.items.depth, ValType::I32);
            let limit = builder.i32(DEPTH_LIMIT);
            let too_deep = builder.i32_op(Operator::I32GeU, &[value, limit]);
            let (start, go_on) = builder.fork(too_deep);
            builder.switch_to(go_on);
            if !self.has_many_sites {
                let deeper = builder.add(value, 1);
                builder.set_global(store.items.depth, deeper);
            }
            at = builder.block;
            depth = Some(value);
            self.leave_to_start(copy, point, start, running)?;
        }
        self.drive_here(copy, point, at, running, depth)
    }

    /// Takes the continuation and leaves what it is resumed with.
    fn begin_resume(&mut self, builder: &mut Builder<'_>, point: &Point) -> Result<Running, Error> {
        let store = self.store;
        let (&continuation, args) = point.args.split_last().expect("a resume has a continuation");
        let exception = match point.operator {
            Operator::Resume { cont_type_index, .. } => {
                let running = self.consume(builder, continuation);
                let types = self.original_params(self.original_continuation(TypeId::from_u32(cont_type_index)));
                self.values.write(self.module, &self.original_types, builder, &types, args, false)?;
                return Ok(running);
            }
            Operator::ResumeThrow { tag_index, .. } => {
                let caught = builder.new_block(&[exception_type(false)]);
                builder.invoke(Operator::Throw { tag_index }, args, None, &[Handler::CatchAllRef { block: caught }]);
                builder.switch_to(caught);
                builder.block_params(caught)[0]
            }
            Operator::ResumeThrowRef { .. } => {
                let exception = args[0];
                let is_null = builder.value(Operator::RefIsNull, &[exception], ValType::I32);
                builder.trap_if(is_null);
                exception
            }
            ref other => unreachable!("{other:?} does not resume"),
        };
        let running = self.consume(builder, continuation);
        let global =
            store.items.exception.expect("a module that raises exceptions in continuations has a place for them");
        builder.set_global(global, exception);
        let head = store.stack_field(builder, running.stack, StackField::Head);
        store.enter_to_throw(builder, head);
        Ok(running)
    }

    /// Too many resume sites are on the engine's stack: this one becomes a marker, and an outer driver starts the continuation from there.
    fn leave_to_start(
        &mut self,
        copy: &mut Copy<'_>,
        point: &Point,
        block: Block,
        running: Running,
    ) -> Result<(), Error> {
        let store = self.store;
        let builder = &mut Builder::at(&mut copy.func, block);
        builder.set_global(store.items.pending, running.stack);
        store.begin_suspension(builder);
        let sentinel = store.sentinel(builder);
        let null = store.null(builder, store.kind.marker_type());
        let no_masks = builder.i32(0);
        store.begin_markers(builder, null, sentinel, no_masks);
        let status = builder.i32(START_STATUS);
        let (mask, matcher) = self.prompt(builder, &point.clauses);
        let block = builder.block;
        self.suspend_here(copy, point, block, status, SavedFrame::Marker { mask, matcher })
    }

    /// Takes a continuation's stack: traps if the continuation is null or was used before.
    pub(super) fn consume(&mut self, builder: &mut Builder<'_>, continuation: Value) -> Running {
        let store = self.store;
        if !self.has_many_sites {
            let taken = store.take_continuation(builder, continuation);
            return store.taken(builder, taken);
        }
        let ty = store.kind.taken_type();
        let helper = match self.generated.consume {
            Some(helper) => helper,
            None => {
                let params = [store.kind.continuation_type(true)];
                let mut func = Func::new(self.function_type(&params, &[ty]), &params, &[ty]);
                let builder = &mut Builder::new(&mut func);
                let continuation = builder.params()[0];
                let taken = store.take_continuation(builder, continuation);
                builder.ret(&[taken]);
                let helper = self.add_function(func, "wasmfx.consume".to_owned()).as_u32();
                *self.generated.consume.insert(helper)
            }
        };
        let taken = store.call(builder, helper, &[continuation], &[ty])[0];
        store.taken(builder, taken)
    }

    /// Runs the continuation until it returns or a clause takes its suspension. `depth` is how many resume sites are around this one, where that is
    /// counted.
    fn drive_here(
        &mut self,
        copy: &mut Copy<'_>,
        point: &Point,
        block: Block,
        running: Running,
        depth: Option<Value>,
    ) -> Result<(), Error> {
        let store = self.store;
        let builder = &mut Builder::at(&mut copy.func, block);
        let catches = match depth {
            Some(depth) => builder.setting_global(&point.catches, store.items.depth, depth),
            None => point.catches.clone(),
        };
        let catches = self.catches_from_inside(builder, catches);
        let run = builder.new_block(&store.kind.running_types());
        let after = builder.new_block(&[ValType::I32]);
        let check = builder.new_block(&[ValType::I32]);
        let done = builder.new_block(&[]);
        builder.jump(run, &running.parts());

        builder.switch_to(run);
        let running = Running::from_parts(&builder.block_params(run));
        let stack = running.stack;
        let site = Site { catches: &catches, running, run, after, check, done };
        let is_special_elsewhere = self.has_many_sites || self.drives_out_of_line.contains(&copy.function);
        if self.has_many_sites {
            let enter = self.enter_function(depth.is_some());
            self.call_runtime(builder, &site, enter, &[stack]);
        } else if is_special_elsewhere {
            let head = store.stack_field(builder, stack, StackField::Head);
            let zero = builder.i32(0);
            self.call_driver(builder, &site, head, zero);
        } else {
            self.drive_innermost(builder, &site);
        }
        // The function that the sites share counts for itself.
        let depth = depth.filter(|_| !self.has_many_sites);
        builder.switch_to(after);
        let status = builder.block_params(after)[0];
        builder.branch(status, check, &[status], done, &[]);

        builder.switch_to(check);
        let status = builder.block_params(check)[0];
        if let Some(depth) = depth {
            builder.set_global(store.items.depth, depth);
        }
        let mut at = builder.block;
        for clause in &point.clauses {
            at = self.try_clause(copy, clause, at, status, running, run, depth)?;
        }
        if store.items.markers && !is_special_elsewhere {
            let builder = &mut Builder::at(&mut copy.func, at);
            let zero = builder.i32(0);
            let is_special = builder.i32_op(Operator::I32LtS, &[status, zero]);
            let (special, unhandled) = builder.fork(is_special);
            builder.switch_to(special);
            self.drive_special(builder, site, status, depth);
            at = unhandled;
        }
        self.forward(copy, point, at, stack, status)?;

        let builder = &mut Builder::at(&mut copy.func, done);
        if let Some(depth) = depth {
            builder.set_global(store.items.depth, depth);
        }
        let types = self.resumption_types(&point.operator);
        let values = self.read_values(builder, &types, false)?;
        builder.jump(point.normal, &values);
        Ok(())
    }

    /// Lets the driver deal with what only it can: the status says what that is.
    fn drive_special(&self, builder: &mut Builder<'_>, site: Site<'_>, status: Value, depth: Option<Value>) {
        let store = self.store;
        if let Some(depth) = depth {
            let deeper = builder.add(depth, 1);
            builder.set_global(store.items.depth, deeper);
        }
        let null = store.null(builder, store.kind.frame_type());
        // With a test of its own, so that the loop through here is entered at `check` only.
        let after = builder.new_block(&[ValType::I32]);
        self.call_driver(builder, &Site { after, ..site }, null, status);
        builder.switch_to(after);
        let status = builder.block_params(after)[0];
        builder.branch(status, site.check, &[status], site.done, &[]);
    }

    /// No clause takes the suspension: it goes on to the sites around, where it can.
    fn forward(
        &mut self,
        copy: &mut Copy<'_>,
        point: &Point,
        block: Block,
        stack: Value,
        status: Value,
    ) -> Result<(), Error> {
        let builder = &mut Builder::at(&mut copy.func, block);
        // A site that is only suspended to be started from further out never forwards.
        let site = ResumeSite::of_handlers(&point.clauses);
        if self.analysis.site_escapes(copy.function, &site, false).is_empty() {
            builder.end(Terminator::Unreachable);
            return Ok(());
        }
        let store = self.store;
        store.call(builder, store.items.forward, &[stack], &[]);
        let (mask, matcher) = self.prompt(builder, &point.clauses);
        let special = builder.i32(SPECIAL);
        let status = builder.i32_op(Operator::I32Or, &[status, special]);
        let block = builder.block;
        self.suspend_here(copy, point, block, status, SavedFrame::Marker { mask, matcher })
    }

    /// Calls the driver with a frame to run, or with the status of a suspension that is recorded in the stack.
    fn call_driver(&self, builder: &mut Builder<'_>, site: &Site<'_>, frame: Value, status: Value) {
        self.call_runtime(builder, site, self.store.items.drive, &[site.running.stack, frame, status]);
    }

    /// Calls a function of the runtime that runs frames; its result is the site's new status.
    fn call_runtime(&self, builder: &mut Builder<'_>, site: &Site<'_>, function_index: u32, args: &[Value]) {
        let operator = Operator::Call { function_index };
        let status = builder.call(operator, args, &[ValType::I32], site.catches)[0];
        builder.jump(site.after, &[status]);
    }

    /// `enter(stack) -> status`: runs a continuation for all sites, until it returns or is suspended so that a clause may apply. With `counts`, it is
    /// one resume site deeper meanwhile.
    fn enter_function(&mut self, counts: bool) -> u32 {
        if let Some(&function) = self.generated.enter_functions.get(&counts) {
            return function;
        }
        let store = self.store;
        let params = [store.kind.stack_type()];
        let mut func = Func::new(self.function_type(&params, &[ValType::I32]), &params, &[ValType::I32]);
        let builder = &mut Builder::new(&mut func);
        let stack = builder.params()[0];
        let outer = counts.then(|| builder.global(store.items.depth, ValType::I32));
        if let Some(outer) = outer {
            let deeper = builder.add(outer, 1);
            builder.set_global(store.items.depth, deeper);
        }
        let run = builder.new_block(&params);
        let after = builder.new_block(&[ValType::I32]);
        let check = builder.new_block(&[ValType::I32]);
        let done = builder.new_block(&[]);
        builder.jump(run, &[stack]);
        builder.switch_to(run);
        let running = Running { stack: builder.block_params(run)[0], handle: None };
        let site = Site { catches: &[], running, run, after, check, done };
        if self.options.size_first {
            let head = store.stack_field(builder, running.stack, StackField::Head);
            let zero = builder.i32(0);
            self.call_driver(builder, &site, head, zero);
        } else {
            self.drive_innermost(builder, &site);
        }
        builder.switch_to(after);
        let status = builder.block_params(after)[0];
        builder.branch(status, check, &[status], done, &[]);
        builder.switch_to(check);
        let mut status = builder.block_params(check)[0];
        if store.items.markers && !self.options.size_first {
            let zero = builder.i32(0);
            let is_special = builder.i32_op(Operator::I32LtS, &[status, zero]);
            let drive = Operator::Call { function_index: store.items.drive };
            let frame = store.null(builder, store.kind.frame_type());
            let args = [stack, frame, status];
            let plain = status;
            status = builder.choose(
                is_special,
                ValType::I32,
                |builder| builder.value(drive, &args, ValType::I32),
                |_| plain,
            );
        }
        // Where an exception comes instead, whoever catches it does this.
        outer.into_iter().for_each(|outer| builder.set_global(store.items.depth, outer));
        builder.ret(&[status]);
        builder.switch_to(done);
        outer.into_iter().for_each(|outer| builder.set_global(store.items.depth, outer));
        let zero = builder.i32(0);
        builder.ret(&[zero]);
        let name = if counts { "wasmfx.enter_deeper" } else { "wasmfx.enter" };
        let function = self.add_function(func, name.to_owned()).as_u32();
        self.generated.enter_functions.insert(counts, function);
        function
    }

    /// Runs the innermost frames, one after the other, until one of them is suspended; the driver deals with stacks that have markers.
    fn drive_innermost(&self, builder: &mut Builder<'_>, site: &Site<'_>) {
        let store = self.store;
        let stack = site.running.stack;
        if store.items.markers {
            let first_marker = store.stack_field(builder, stack, StackField::FirstMarker);
            let no_markers = store.is_null(builder, first_marker);
            let (hot, with_markers) = builder.fork(no_markers);
            builder.switch_to(with_markers);
            let head = store.stack_field(builder, stack, StackField::Head);
            let zero = builder.i32(0);
            self.call_driver(builder, site, head, zero);
            builder.switch_to(hot);
        }
        let frame = store.stack_field(builder, stack, StackField::Head);
        let next = store.frame_field(builder, frame, FrameField::Next);
        let catches = store.catch_all(builder);
        let status = self.run_innermost(builder, frame, &catches);
        let (suspended, returned) = builder.fork(status);
        builder.switch_to(returned);
        let is_bottom = store.is_null(builder, next);
        let (finished, more) = builder.fork(is_bottom);
        builder.switch_to(finished);
        store.free_stack(builder, stack);
        builder.jump(site.done, &[]);
        builder.switch_to(more);
        store.set_stack_field(builder, stack, StackField::Head, next);
        builder.jump(site.run, &site.running.parts());
        builder.switch_to(suspended);
        let (in_place, appended) = store.fork_in_place(builder, status);
        builder.switch_to(in_place);
        let plain = store.plain_status(builder, status);
        builder.jump(site.check, &[plain]);
        builder.switch_to(appended);
        let sentinel = store.sentinel(builder);
        let head = store.frame_field(builder, sentinel, FrameField::Next);
        store.set_stack_field(builder, stack, StackField::Head, head);
        if store.items.markers {
            let is_bottom = store.is_null(builder, next);
            builder.when(is_bottom, |builder| {
                let last = builder.global(store.items.last, store.kind.frame_type());
                store.set_stack_field(builder, stack, StackField::Tail, last);
            });
        }
        builder.jump(site.check, &[status]);
        if let Some(Handler::CatchAllRef { block }) = catches.first() {
            builder.switch_to(*block);
            let exception = builder.block_params(*block)[0];
            self.call_runtime(builder, site, store.items.thrown, &[stack, frame, next, exception]);
        }
    }

    /// Runs the innermost frame: directly where it is one of the likely ones, else through the table.
    fn run_innermost(&self, builder: &mut Builder<'_>, frame: Value, catches: &[Handler]) -> Value {
        let store = self.store;
        if self.innermost.is_empty() {
            return store.run_frame(builder, frame, catches);
        }
        let ran = builder.new_block(&[ValType::I32]);
        let function = store.frame_field(builder, frame, FrameField::Function);
        for likely in &self.innermost {
            let first = builder.i32(likely.first_slot);
            let is_likely = if likely.slots == 1 {
                builder.is_equal(function, first)
            } else {
                let position = builder.i32_op(Operator::I32Sub, &[function, first]);
                let slots = builder.i32(likely.slots);
                builder.i32_op(Operator::I32LtU, &[position, slots])
            };
            let (direct, other) = builder.fork(is_likely);
            builder.switch_to(direct);
            let call = Operator::Call { function_index: likely.copy.as_u32() };
            let status = builder.call(call, &[frame], &[ValType::I32], catches)[0];
            builder.jump(ran, &[status]);
            builder.switch_to(other);
        }
        let status = store.run_frame(builder, frame, catches);
        builder.jump(ran, &[status]);
        builder.switch_to(ran);
        builder.block_params(ran)[0]
    }

    /// Tests one clause of the site; returns the block to go on in where it does not apply.
    #[expect(clippy::too_many_arguments, reason = "one step of drive_here, with its state")]
    fn try_clause(
        &mut self,
        copy: &mut Copy<'_>,
        clause: &Handler,
        at: Block,
        status: Value,
        running: Running,
        run: Block,
        depth: Option<Value>,
    ) -> Result<Block, Error> {
        let store = self.store;
        let builder = &mut Builder::at(&mut copy.func, at);
        let expected = match *clause {
            Handler::Suspension { tag, .. } => self.suspension_status(builder, tag),
            Handler::Switch { tag } => self.switch_status(builder, tag),
            ref other => unreachable!("{other:?} is not a clause of a resume table"),
        };
        let applies = builder.is_equal(status, expected);
        let (handle, rest) = builder.fork(applies);
        builder.switch_to(handle);
        match *clause {
            Handler::Suspension { tag, block } => {
                let types = self.original_params(self.original_tag_type(tag));
                let mut values = self.read_values(builder, &types, true)?;
                values.push(store.capture(builder, running));
                builder.jump(block, &values);
            }
            _ => {
                let continuation = store.capture(builder, running);
                builder.set_global(self.passed_continuation, continuation);
                let pending = builder.global(store.items.pending, store.kind.stack_type());
                let running = store.running(builder, pending);
                if let Some(depth) = depth {
                    let deeper = builder.add(depth, 1);
                    builder.set_global(store.items.depth, deeper);
                }
                builder.jump(run, &running.parts());
            }
        }
        Ok(rest)
    }
}
