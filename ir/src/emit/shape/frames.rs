//! The smallest forms of frames: `if`, `br_if`, or nothing at all.

use super::{Shaper, Target};
use crate::emit::graph::{NONE, index_u32};
use crate::emit::schedule::{Code, constant_length};
use crate::emit::structure::{FrameId, FrameKind};
use crate::func::OperatorId;
use wasmparser::Operator;

impl Shaper<'_> {
    /// Rewrites frames, inner ones first.
    pub(super) fn shape_frames(&mut self) {
        let mut by_end: Vec<FrameId> = (0..index_u32(self.structure.frames.len())).collect();
        by_end.sort_unstable_by_key(|&frame| self.end[frame as usize]);
        for frame in by_end {
            match self.structure.frames[frame as usize].kind {
                FrameKind::If { .. } => self.shape_if(frame),
                FrameKind::Block => self.shape_block(frame),
                FrameKind::Loop => {
                    if self.references[frame as usize] == 0 {
                        self.dissolve(frame);
                    }
                }
                FrameKind::Try => {}
            }
        }
    }

    fn dissolve(&mut self, frame: FrameId) {
        self.remove(self.open[frame as usize]);
        self.remove(self.end[frame as usize]);
        self.is_dissolved[frame as usize] = true;
    }

    /// Makes a `br_if` of the beginning of an `if`, whose code then is part of the frame around it.
    fn become_branch(&mut self, frame: FrameId, target: FrameId) {
        self.code[self.open[frame as usize] as usize] = Code::BrIf(target);
        self.remove(self.end[frame as usize]);
        self.is_dissolved[frame as usize] = true;
        self.branched_from[target as usize] = frame;
    }

    fn shape_if(&mut self, frame: FrameId) {
        let open = self.open[frame as usize];
        let or_else = self.or_else[frame as usize];
        if or_else != NONE {
            let end = self.end[frame as usize];
            let first_else = self.next_of(or_else);
            if first_else == end {
                self.remove(or_else);
            } else if self.next_of(open) == or_else {
                self.invert_before(open);
                self.remove(or_else);
            } else if let Code::Br(target) = self.code[first_else as usize]
                && self.next_of(first_else) == end
            {
                // `if A else br` is `br_if`, inverted, and A.
                self.invert_before(open);
                self.remove(or_else);
                self.remove(first_else);
                self.become_branch(frame, target);
                return;
            } else if self.leaves(self.previous[or_else as usize]) {
                // The else-part goes behind the `end`.
                self.remove(end);
                self.code[or_else as usize] = Code::End(frame);
                self.end[frame as usize] = or_else;
                self.leaves_nothing[frame as usize] = true;
            } else {
                return;
            }
            self.or_else[frame as usize] = NONE;
        }
        let end = self.end[frame as usize];
        let first = self.next_of(open);
        if first == end {
            self.code[open as usize] = Code::Drop;
            self.hints.remove(&open);
            self.remove(end);
            self.is_dissolved[frame as usize] = true;
            return;
        }
        if let Code::Br(target) = self.code[first as usize]
            && self.next_of(first) == end
        {
            self.remove(first);
            self.become_branch(frame, target);
            return;
        }
        if self.carry_value(frame) {
            return;
        }
        // A `br_if` is a byte smaller where the block that the `if` ends at has a label anyway.
        let after = self.next_of(end);
        if after != NONE
            && let Code::End(outer) = self.code[after as usize]
            && self.structure.frames[outer as usize].kind == FrameKind::Block
            && self.references[outer as usize] > 0
            && self.results(outer).is_empty()
            && self.inverts_freely(open)
        {
            self.invert_before(open);
            self.references[outer as usize] += 1;
            self.become_branch(frame, outer);
        }
    }

    /// `condition if value br end` is smaller as `value condition br_if drop`, where the value can come before the condition.
    fn carry_value(&mut self, frame: FrameId) -> bool {
        let (open, end) = (self.open[frame as usize], self.end[frame as usize]);
        let value = self.next_of(open);
        let branch = self.next_of(value);
        let Some(&Code::Br(target)) = self.code.get(branch as usize) else { return false };
        if self.next_of(branch) != end || self.target_types(Target::Label(target)).len() != 1 {
            return false;
        }
        let carried = self.code[value as usize];
        let is_simple = match carried {
            Code::Get(_) | Code::I32Const(_) => true,
            Code::Operator(id) => self.is_constant(id),
            _ => false,
        };
        if !is_simple {
            return false;
        }
        let Some(start) = self.start_of_condition(open, carried) else { return false };
        self.remove(value);
        self.insert_before(start, carried);
        self.code[branch as usize] = Code::Drop;
        self.become_branch(frame, target);
        true
    }

    fn is_constant(&self, id: OperatorId) -> bool {
        let operator = &self.func.operators[id];
        constant_length(operator).is_some() && !matches!(operator, Operator::GlobalGet { .. })
    }

    /// Where the code of an `if`'s condition begins, if it is short and does not write the local that `carried` reads. (Nothing that is called does.)
    fn start_of_condition(&self, open: u32, carried: Code) -> Option<u32> {
        const LONGEST: usize = 16;
        let mut wanted = 1;
        let mut at = open;
        for _ in 0..LONGEST {
            at = self.previous[at as usize];
            let (operands, results) = match self.code[at as usize] {
                Code::Get(_) | Code::I32Const(_) => (0, 1),
                Code::Tee(local) if carried != Code::Get(local) => (1, 1),
                Code::AsNonNull | Code::I32Eqz => (1, 1),
                Code::Operator(id) => self.arity(id)?,
                _ => return None,
            };
            wanted = u32::checked_sub(wanted, results)? + operands;
            if wanted == 0 {
                return Some(at);
            }
        }
        None
    }

    fn shape_block(&mut self, frame: FrameId) {
        if self.references[frame as usize] == 0 {
            self.dissolve(frame);
            return;
        }
        let origin = self.branched_from[frame as usize];
        if self.references[frame as usize] > 1 || origin == NONE || !self.results(frame).is_empty() {
            return;
        }
        let mut around = self.parent[origin as usize];
        while around != frame && self.is_dissolved[around as usize] {
            around = self.parent[around as usize];
        }
        if around != frame || self.schedule.has_values_below[origin as usize] {
            return;
        }
        // A block with one branch to its end, a `br_if` on its own level, is an `if`; its `end` is in place.
        let branch = self.open[origin as usize];
        self.invert_before(branch);
        self.remove(self.open[frame as usize]);
        self.code[branch as usize] = Code::Open(frame);
        self.open[frame as usize] = branch;
        self.became_if[frame as usize] = true;
        self.shape_if(frame);
    }
}
