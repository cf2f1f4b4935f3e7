//! `resume`, `resume_throw` and `resume_throw_ref`: the innermost frame is run by the site itself, everything else by the shared driver.

use super::builder::Builder;
use super::function::Copy;
use super::runtime::exception_type;
use super::scan::ResumeSite;
use super::split::Point;
use super::store::{FrameField, Running, SPECIAL, START_STATUS, StackField};
use super::suspension::SavedFrame;
use super::{Error, Lowering};
use wasmfx_ir::func::{Block, Handler, Terminator, Value};
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
        let b = &mut Builder::at(&mut copy.func, point.block);
        if !copy.may_suspend {
            // A trap may have come in the middle of unwinding. Here nothing is being unwound.
            let zero = b.i32(0);
            b.set_global(store.items.unwinding, zero);
        }
        let running = self.begin_resume(b, point)?;
        let mut at = b.block;
        let mut depth = None;
        if copy.nests {
            let value = b.global(store.items.depth, ValType::I32);
            let limit = b.i32(DEPTH_LIMIT);
            let too_deep = b.i32_op(Operator::I32GeU, &[value, limit]);
            let (start, go_on) = b.fork(too_deep);
            b.switch_to(go_on);
            let deeper = b.add(value, 1);
            b.set_global(store.items.depth, deeper);
            at = b.block;
            depth = Some(value);
            self.leave_to_start(copy, point, start, running)?;
        }
        self.drive_here(copy, point, at, running, depth)
    }

    /// Takes the continuation and leaves what it is resumed with.
    fn begin_resume(&mut self, b: &mut Builder<'_>, point: &Point) -> Result<Running, Error> {
        let store = self.store;
        let (&continuation, args) = point.args.split_last().expect("a resume has a continuation");
        let exception = match point.operator {
            Operator::Resume { cont_type_index, .. } => {
                let running = store.consume(b, continuation);
                let types = self.original_params(self.original_continuation(TypeId::from_u32(cont_type_index)));
                self.values.write(self.module, &self.original_types, b, &types, args, false)?;
                return Ok(running);
            }
            Operator::ResumeThrow { tag_index, .. } => {
                let caught = b.new_block(&[exception_type(false)]);
                b.invoke(Operator::Throw { tag_index }, args, None, &[Handler::CatchAllRef { block: caught }]);
                b.switch_to(caught);
                b.block_params(caught)[0]
            }
            Operator::ResumeThrowRef { .. } => {
                let exception = args[0];
                let is_null = b.value(Operator::RefIsNull, &[exception], ValType::I32);
                b.trap_if(is_null);
                exception
            }
            ref other => unreachable!("{other:?} does not resume"),
        };
        let running = store.consume(b, continuation);
        let global =
            store.items.exception.expect("a module that raises exceptions in continuations has a place for them");
        b.set_global(global, exception);
        let head = store.stack_field(b, running.stack, StackField::Head);
        store.enter_to_throw(b, head);
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
        let b = &mut Builder::at(&mut copy.func, block);
        b.set_global(store.items.pending, running.stack);
        store.begin_suspension(b);
        let sentinel = store.sentinel(b);
        let null = store.null(b, store.kind.marker_type());
        let no_masks = b.i32(0);
        store.begin_markers(b, null, sentinel, no_masks);
        let status = b.i32(START_STATUS);
        let (mask, matcher) = self.prompt(b, &point.clauses);
        let block = b.block;
        self.suspend_here(copy, point, block, status, SavedFrame::Marker { mask, matcher })
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
        let b = &mut Builder::at(&mut copy.func, block);
        let catches = match depth {
            Some(depth) => b.setting_global(&point.catches, store.items.depth, depth),
            None => point.catches.clone(),
        };
        let catches = self.catches_from_inside(b, catches);
        let run = b.new_block(&store.kind.running_types());
        let after = b.new_block(&[ValType::I32]);
        let check = b.new_block(&[ValType::I32]);
        let done = b.new_block(&[]);
        b.jump(run, &running.parts());

        b.switch_to(run);
        let running = Running::from_parts(&b.block_params(run));
        let stack = running.stack;
        let site = Site { catches: &catches, running, run, after, check, done };
        if self.drives_out_of_line.contains(&copy.function) {
            let head = store.stack_field(b, stack, StackField::Head);
            let zero = b.i32(0);
            self.call_driver(b, &site, head, zero);
        } else {
            self.drive_innermost(b, &site);
        }
        b.switch_to(after);
        let status = b.block_params(after)[0];
        b.branch(status, check, &[status], done, &[]);

        b.switch_to(check);
        let status = b.block_params(check)[0];
        if let Some(depth) = depth {
            b.set_global(store.items.depth, depth);
        }
        let mut at = b.block;
        for clause in &point.clauses {
            at = self.try_clause(copy, clause, at, status, running, run, depth)?;
        }
        if store.items.markers {
            let b = &mut Builder::at(&mut copy.func, at);
            let zero = b.i32(0);
            let is_special = b.i32_op(Operator::I32LtS, &[status, zero]);
            let (special, unhandled) = b.fork(is_special);
            b.switch_to(special);
            self.drive_special(b, site, status, depth);
            at = unhandled;
        }
        self.forward(copy, point, at, stack, status)?;

        let b = &mut Builder::at(&mut copy.func, done);
        if let Some(depth) = depth {
            b.set_global(store.items.depth, depth);
        }
        let types = self.resumption_types(&point.operator);
        let values = self.values.read(self.module, &self.original_types, b, &types, false)?;
        b.jump(point.normal, &values);
        Ok(())
    }

    /// Lets the driver deal with what only it can: the status says what that is.
    fn drive_special(&self, b: &mut Builder<'_>, site: Site<'_>, status: Value, depth: Option<Value>) {
        let store = self.store;
        if let Some(depth) = depth {
            let deeper = b.add(depth, 1);
            b.set_global(store.items.depth, deeper);
        }
        let null = store.null(b, store.kind.frame_type());
        // With a test of its own, so that the loop through here is entered at `check` only.
        let after = b.new_block(&[ValType::I32]);
        self.call_driver(b, &Site { after, ..site }, null, status);
        b.switch_to(after);
        let status = b.block_params(after)[0];
        b.branch(status, site.check, &[status], site.done, &[]);
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
        let b = &mut Builder::at(&mut copy.func, block);
        // A site that is only suspended to be started from further out never forwards.
        let site = ResumeSite::of_handlers(&point.clauses);
        if self.analysis.site_escapes(copy.function, &site, false).is_empty() {
            b.end(Terminator::Unreachable);
            return Ok(());
        }
        let store = self.store;
        store.call(b, store.items.forward, &[stack], &[]);
        let (mask, matcher) = self.prompt(b, &point.clauses);
        let special = b.i32(SPECIAL);
        let status = b.i32_op(Operator::I32Or, &[status, special]);
        let block = b.block;
        self.suspend_here(copy, point, block, status, SavedFrame::Marker { mask, matcher })
    }

    /// Calls the driver with a frame to run, or with the status of a suspension that is recorded in the stack.
    fn call_driver(&self, b: &mut Builder<'_>, site: &Site<'_>, frame: Value, status: Value) {
        self.call_runtime(b, site, self.store.items.drive, &[site.running.stack, frame, status]);
    }

    /// Calls a function of the runtime that runs frames; its result is the site's new status.
    fn call_runtime(&self, b: &mut Builder<'_>, site: &Site<'_>, function_index: u32, args: &[Value]) {
        let operator = Operator::Call { function_index };
        let status = b.call(operator, args, &[ValType::I32], site.catches)[0];
        b.jump(site.after, &[status]);
    }

    /// Runs the innermost frames, one after the other, until one of them is suspended; the driver deals with stacks that have markers.
    fn drive_innermost(&self, b: &mut Builder<'_>, site: &Site<'_>) {
        let store = self.store;
        let stack = site.running.stack;
        if store.items.markers {
            let first_marker = store.stack_field(b, stack, StackField::FirstMarker);
            let no_markers = store.is_null(b, first_marker);
            let (hot, with_markers) = b.fork(no_markers);
            b.switch_to(with_markers);
            let head = store.stack_field(b, stack, StackField::Head);
            let zero = b.i32(0);
            self.call_driver(b, site, head, zero);
            b.switch_to(hot);
        }
        let frame = store.stack_field(b, stack, StackField::Head);
        let next = store.frame_field(b, frame, FrameField::Next);
        let catches = store.catch_all(b);
        let status = self.run_innermost(b, frame, &catches);
        let (suspended, returned) = b.fork(status);
        b.switch_to(returned);
        let is_bottom = store.is_null(b, next);
        let (finished, more) = b.fork(is_bottom);
        b.switch_to(finished);
        store.free_stack(b, stack);
        b.jump(site.done, &[]);
        b.switch_to(more);
        store.set_stack_field(b, stack, StackField::Head, next);
        b.jump(site.run, &site.running.parts());
        b.switch_to(suspended);
        let (in_place, appended) = store.fork_in_place(b, status);
        b.switch_to(in_place);
        let plain = store.plain_status(b, status);
        b.jump(site.check, &[plain]);
        b.switch_to(appended);
        let sentinel = store.sentinel(b);
        let head = store.frame_field(b, sentinel, FrameField::Next);
        store.set_stack_field(b, stack, StackField::Head, head);
        if store.items.markers {
            let is_bottom = store.is_null(b, next);
            b.when(is_bottom, |b| {
                let last = b.global(store.items.last, store.kind.frame_type());
                store.set_stack_field(b, stack, StackField::Tail, last);
            });
        }
        b.jump(site.check, &[status]);
        if let Some(Handler::CatchAllRef { block }) = catches.first() {
            b.switch_to(*block);
            let exception = b.block_params(*block)[0];
            self.call_runtime(b, site, store.items.thrown, &[stack, frame, next, exception]);
        }
    }

    /// Runs the innermost frame: directly where it is one of the likely ones, else through the table.
    fn run_innermost(&self, b: &mut Builder<'_>, frame: Value, catches: &[Handler]) -> Value {
        let store = self.store;
        if self.innermost.is_empty() {
            return store.run_frame(b, frame, catches);
        }
        let ran = b.new_block(&[ValType::I32]);
        let function = store.frame_field(b, frame, FrameField::Function);
        for likely in &self.innermost {
            let first = b.i32(likely.first_slot);
            let is_likely = if likely.slots == 1 {
                b.is_equal(function, first)
            } else {
                let position = b.i32_op(Operator::I32Sub, &[function, first]);
                let slots = b.i32(likely.slots);
                b.i32_op(Operator::I32LtU, &[position, slots])
            };
            let (direct, other) = b.fork(is_likely);
            b.switch_to(direct);
            let call = Operator::Call { function_index: likely.copy.as_u32() };
            let status = b.call(call, &[frame], &[ValType::I32], catches)[0];
            b.jump(ran, &[status]);
            b.switch_to(other);
        }
        let status = store.run_frame(b, frame, catches);
        b.jump(ran, &[status]);
        b.switch_to(ran);
        b.block_params(ran)[0]
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
        let b = &mut Builder::at(&mut copy.func, at);
        let expected = match *clause {
            Handler::Suspension { tag, .. } => self.suspension_status(b, tag),
            Handler::Switch { tag } => self.switch_status(b, tag),
            ref other => unreachable!("{other:?} is not a clause of a resume table"),
        };
        let applies = b.is_equal(status, expected);
        let (handle, rest) = b.fork(applies);
        b.switch_to(handle);
        match *clause {
            Handler::Suspension { tag, block } => {
                let types = self.original_params(self.original_tag_type(tag));
                let mut values = self.values.read(self.module, &self.original_types, b, &types, true)?;
                values.push(store.capture(b, running));
                b.jump(block, &values);
            }
            _ => {
                let continuation = store.capture(b, running);
                b.set_global(self.passed_continuation, continuation);
                let pending = b.global(store.items.pending, store.kind.stack_type());
                let running = store.running(b, pending);
                if let Some(depth) = depth {
                    let deeper = b.add(depth, 1);
                    b.set_global(store.items.depth, deeper);
                }
                b.jump(run, &running.parts());
            }
        }
        Ok(rest)
    }
}
