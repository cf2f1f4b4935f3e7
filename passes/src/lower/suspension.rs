//! How a copy of a function is suspended: what it saves, in which frame, and how it is left.

use super::builder::Builder;
use super::function::{Copy, Flavour};
use super::groups::shared_frame;
use super::layout::Layout;
use super::split::Point;
use super::store::{FrameField, IN_PLACE};
use super::{Error, Lowering};
use wasmfx_ir::func::{Block, Func, Value};
use wasmfx_ir::wasmparser::{Operator, ValType};

/// Which frame of a suspension a copy saves its values in.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum SavedFrame<Argument> {
    /// The innermost one, with which the suspension begins.
    First,
    /// One that follows those of callees.
    Next,
    /// Such a one that is a marker as well.
    Marker {
        /// Its mask.
        mask: Argument,
        /// Its matcher.
        matcher: Argument,
    },
}

impl SavedFrame<Value> {
    /// Which frame it is, whatever its mask and matcher are.
    fn kind(self) -> SavedFrame<()> {
        match self {
            Self::First => SavedFrame::First,
            Self::Next => SavedFrame::Next,
            Self::Marker { .. } => SavedFrame::Marker { mask: (), matcher: () },
        }
    }
}

impl Lowering<'_> {
    /// Suspends at an instruction that does nothing else. A resumed frame is then used again where it is, so that no link changes, or
    /// is left out of the stack.
    pub(super) fn suspend_itself(
        &mut self,
        copy: &mut Copy<'_>,
        point: &Point,
        block: Block,
        status: Value,
    ) -> Result<(), Error> {
        let builder = &mut Builder::at(&mut copy.func, block);
        let frame = match copy.flavour {
            Flavour::Resumed(frame) if !point.tail => {
                self.save_again(builder, copy.layout, point, frame, copy.slots);
                let mark = builder.i32(IN_PLACE);
                let status = builder.i32_op(Operator::I32Or, &[status, mark]);
                builder.ret(&[status]);
                return Ok(());
            }
            Flavour::Resumed(frame) if !self.store.items.markers => frame,
            Flavour::Resumed(_) | Flavour::Fast => {
                if point.tail {
                    self.store.begin_suspension(builder);
                }
                return self.suspend_here(copy, point, block, status, SavedFrame::First);
            }
        };
        let store = self.store;
        let next = store.frame_field(builder, frame, FrameField::Next);
        self.free_frame(builder, copy.layout, frame);
        let is_bottom = store.is_null(builder, next);
        let (bottom, inside) = builder.fork(is_bottom);
        builder.switch_to(inside);
        let sentinel = store.sentinel(builder);
        store.set_frame_field(builder, sentinel, FrameField::Next, next);
        builder.ret(&[status]);
        builder.switch_to(bottom);
        store.begin_suspension(builder);
        self.append_identity(builder);
        // A frame that is used again still says what was behind it.
        store.link_last(builder, next);
        builder.ret(&[status]);
        Ok(())
    }

    /// Appends a frame that hands on what it gets.
    fn append_identity(&self, builder: &mut Builder<'_>) {
        // The runtime's own slots are the first of the table, shared or not.
        let number = builder.i32(self.identity_number);
        self.store.call(builder, self.store.items.identity, &[number], &[]);
    }

    /// Saves what the point needs into the frame that the resumable copy was given.
    fn save_again(&mut self, builder: &mut Builder<'_>, layout: &Layout, point: &Point, frame: Value, slots: u32) {
        for &(value, slot) in &layout.points[point.index] {
            self.save(builder, layout, frame, slot, value);
        }
        // Where there is but one way to go on, the frame says so already.
        if slots > 1 {
            self.set_resume_function(builder, frame, point.first_slot);
        }
    }

    /// Suspends with a status that is not yet announced.
    pub(super) fn suspend_here(
        &mut self,
        copy: &mut Copy<'_>,
        point: &Point,
        block: Block,
        status: Value,
        saved: SavedFrame<Value>,
    ) -> Result<(), Error> {
        if matches!(copy.flavour, Flavour::Fast) {
            let builder = &mut Builder::at(&mut copy.func, block);
            builder.set_global(self.store.items.unwinding, status);
        }
        self.save_and_leave(copy, point, block, status, saved)
    }

    /// Saves what the point needs and leaves the function: the fast copy to its caller, which finds the flag set, the resumed one to the driver with
    /// the status.
    pub(super) fn save_and_leave(
        &mut self,
        copy: &mut Copy<'_>,
        point: &Point,
        block: Block,
        status: Value,
        saved: SavedFrame<Value>,
    ) -> Result<(), Error> {
        let layout = copy.layout;
        match copy.flavour {
            Flavour::Fast if point.tail => self.leave_fast_copy(copy, block)?,
            Flavour::Fast if copy.is_only && shared_frame(point) == Some(saved.kind()) => {
                self.save_in_group(copy, point, block)?;
            }
            Flavour::Fast => self.save_in_new_frame(copy, point, block, saved)?,
            Flavour::Resumed(frame) => {
                let builder = &mut Builder::at(&mut copy.func, block);
                if point.tail {
                    self.leave_without_frame(builder, layout, frame, status);
                    return Ok(());
                }
                self.save_again(builder, layout, point, frame, copy.slots);
                if let SavedFrame::Marker { mask, matcher } = saved {
                    self.store.append_marker(builder, frame, mask, matcher);
                }
                self.store.append(builder, frame);
                builder.ret(&[status]);
            }
        }
        Ok(())
    }

    /// Saves what the point needs into a new frame, and leaves the fast copy.
    fn save_in_new_frame(
        &mut self,
        copy: &mut Copy<'_>,
        point: &Point,
        block: Block,
        frame: SavedFrame<Value>,
    ) -> Result<(), Error> {
        let builder = &mut Builder::at(&mut copy.func, block);
        let mut args = vec![self.store.resume_function(builder, point.first_slot)];
        if let SavedFrame::Marker { mask, matcher } = frame {
            args.extend([mask, matcher]);
        }
        self.save_new(builder, copy.layout, &copy.layout.points[point.index], frame.kind(), args, copy.is_only)?;
        self.leave_fast_copy(copy, block)
    }

    /// Returns to a caller that does not look at the results.
    pub(super) fn leave_fast_copy(&mut self, copy: &mut Copy<'_>, block: Block) -> Result<(), Error> {
        let values = self.dummies(&mut copy.func, block, &copy.lowered_results)?;
        Builder::at(&mut copy.func, block).ret(&values);
        Ok(())
    }

    /// Values of these types that nobody looks at.
    pub(super) fn dummies(&mut self, func: &mut Func, block: Block, types: &[ValType]) -> Result<Vec<Value>, Error> {
        let mut values = Vec::new();
        for &ty in types {
            let operator = self.dummy_operator(ty)?;
            values.push(func.append_value(block, operator, &[], ty));
        }
        Ok(values)
    }

    /// Ends a resumed function that has nothing left to do, while its callee is being unwound: what is behind it follows what was appended.
    pub(super) fn leave_without_frame(
        &mut self,
        builder: &mut Builder<'_>,
        layout: &Layout,
        frame: Value,
        status: Value,
    ) {
        self.link_rest(builder, frame);
        self.free_frame(builder, layout, frame);
        builder.ret(&[status]);
    }

    /// Appends what is behind `frame` to the suspension; an identity frame stands for an empty one.
    pub(super) fn link_rest(&mut self, builder: &mut Builder<'_>, frame: Value) {
        let next = self.store.frame_field(builder, frame, FrameField::Next);
        self.link_frames(builder, next);
    }

    /// Appends a chain of frames to the suspension. No stack, and no part of one inside a marker, is without frames: an identity frame stands for
    /// an empty one.
    pub(super) fn link_frames(&mut self, builder: &mut Builder<'_>, next: Value) {
        let store = self.store;
        let last = builder.global(store.items.last, store.kind.frame_type());
        let sentinel = store.sentinel(builder);
        let mut nothing = store.is_same(builder, last, sentinel);
        if !store.items.markers {
            let is_bottom = store.is_null(builder, next);
            nothing = builder.i32_op(Operator::I32And, &[nothing, is_bottom]);
        }
        builder.when(nothing, |builder| self.append_identity(builder));
        store.link_last(builder, next);
    }
}
