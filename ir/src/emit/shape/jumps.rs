//! Branches to where control goes anyway, and code that nothing reaches.

use super::{Shaper, Target};
use crate::emit::graph::NONE;
use crate::emit::schedule::Code;
use crate::emit::structure::{FrameId, FrameKind};
use smallvec::SmallVec;
use wasmparser::ValType;

impl Shaper<'_> {
    /// Drops branches to where control goes anyway.
    pub(super) fn drop_needless_branches(&mut self) {
        let mut after_frame: Vec<Target> = Vec::new();
        let mut state = Target::Return;
        let mut before = self.last();
        // Position 0 is the sentinel's.
        while before != 0 {
            let position = before;
            before = self.previous[position as usize];
            state = match self.code[position as usize] {
                Code::Nothing => continue,
                Code::Return if state == Target::Return => {
                    self.remove(position);
                    continue;
                }
                Code::Return => Target::Return,
                Code::Br(frame) => {
                    let target = self.label[frame as usize];
                    if target == state {
                        self.remove(position);
                        continue;
                    }
                    self.code[position as usize] = match target {
                        Target::Label(frame) => Code::Br(frame),
                        Target::Return => Code::Return,
                        Target::Here => unreachable!("a label is somewhere"),
                    };
                    target
                }
                Code::End(frame) => {
                    let kind = self.structure.frames[frame as usize].kind;
                    // What goes on without code in between must be the same on the operand stack too.
                    let passes = state != Target::Here && self.target_types(state) == self.results(frame);
                    let inside = match kind {
                        FrameKind::Block if passes => {
                            // What led on to another place before has lost the branch there, as nothing reaches it.
                            if self.label[frame as usize] == Target::Label(frame) {
                                self.label[frame as usize] = state;
                            }
                            state
                        }
                        FrameKind::Block => Target::Label(frame),
                        FrameKind::Loop | FrameKind::If { .. } if passes => state,
                        FrameKind::Loop | FrameKind::If { .. } | FrameKind::Try => Target::Here,
                    };
                    after_frame.push(inside);
                    inside
                }
                Code::Else(_) => *after_frame.last().expect("an else is inside an if"),
                Code::Open(frame) => {
                    after_frame.pop();
                    match self.structure.frames[frame as usize].kind {
                        // In front of the block its label does not exist.
                        FrameKind::Block if state != Target::Label(frame) => state,
                        _ => Target::Here,
                    }
                }
                _ => Target::Here,
            };
        }
    }

    pub(super) fn count_references(&mut self) {
        let mut references = std::mem::take(&mut self.references);
        references.fill(0);
        for &code in &self.code {
            self.for_each_label(code, |frame| references[frame as usize] += 1);
        }
        self.references = references;
    }

    /// Drops what follows a branch up to the next label that is used.
    ///
    /// Validation takes code after the `end` of a frame to be reachable, so the frame's results must be what that code expects. If only the dropped
    /// branch consumed them, the frame is made to leave nothing; if values are expected that only the branch made unnecessary, an `unreachable`
    /// takes its place.
    pub(super) fn drop_unreachable(&mut self) {
        let mut is_dead = false;
        // Whether validation knows it too.
        let mut is_known_dead = false;
        // Frames whose ends are not reached either, though validation believes that they leave their results here. Each ends where the one before
        // it does.
        let mut left_by: Vec<FrameId> = Vec::new();
        let mut reached: Vec<bool> = Vec::new();
        let mut position = self.next[0];
        while position != NONE {
            let next = self.next[position as usize];
            let code = self.code[position as usize];
            match code {
                Code::Open(_) => {
                    self.supplies(&mut left_by, &SmallVec::new());
                    left_by.clear();
                    reached.push(!is_dead);
                    is_known_dead = false;
                }
                // The arms of an `if` begin where it is reached; the end is reached as soon as one arm's end is.
                Code::Else(frame) => {
                    if is_dead && !is_known_dead && !self.supplies(&mut left_by, &self.results(frame)) {
                        self.insert_before(position, Code::Unreachable);
                    }
                    is_dead = !reached.last().expect("an else is inside an if");
                    is_known_dead = false;
                    left_by.clear();
                }
                Code::End(frame) => {
                    let kind = self.structure.frames[frame as usize].kind;
                    let will_vanish =
                        matches!(kind, FrameKind::Block | FrameKind::Loop) && self.references[frame as usize] == 0;
                    if is_dead && !is_known_dead && !will_vanish && !self.supplies(&mut left_by, &self.results(frame)) {
                        self.insert_before(position, Code::Unreachable);
                    }
                    let begins = reached.pop().expect("an end has a beginning");
                    is_dead = match kind {
                        FrameKind::Block => is_dead && self.references[frame as usize] == 0,
                        FrameKind::Loop => is_dead,
                        FrameKind::If { .. } | FrameKind::Try => !begins,
                    };
                    is_known_dead &= will_vanish;
                    if !is_dead {
                        left_by.clear();
                    } else if !will_vanish {
                        left_by.push(frame);
                    }
                }
                Code::Br(_) | Code::Return if is_dead => {
                    if let Code::Br(frame) = code {
                        self.references[frame as usize] -= 1;
                    }
                    self.remove(position);
                }
                _ => {
                    let leaves = self.leaves(position);
                    is_dead |= leaves;
                    is_known_dead |= leaves;
                }
            }
            position = next;
        }
        if is_dead && !is_known_dead && !self.supplies(&mut left_by, &self.func.results.iter().copied().collect()) {
            self.append(Code::Unreachable);
        }
    }

    /// Whether validation finds `expected` on the stack behind the ends of the frames `left_by`. If their results differ from it, those frames leave
    /// nothing from now on.
    fn supplies(&mut self, left_by: &mut Vec<FrameId>, expected: &SmallVec<[ValType; 2]>) -> bool {
        let supplied = left_by.last().map(|&frame| self.results(frame)).unwrap_or_default();
        if supplied == *expected {
            return true;
        }
        left_by.drain(..).for_each(|frame| self.leaves_nothing[frame as usize] = true);
        expected.is_empty()
    }
}
