//! One `try_table` for several invocations with the same handlers.
//!
//! Each invocation has a `try_table` of its own first. Code is looked at in [`Part`]s: an instruction, or a frame with all that is in it. From a part
//! with `try_table`s to another one with the same clauses one can do for both, if nothing in between can throw, and if all that is in it takes nothing
//! from the operand stack that was there before. Inner code comes first, so that a part has few of them left.

use super::{Shaper, Target};
use crate::effects::EffectFlags;
use crate::emit::graph::{Exit, NONE, index_u32};
use crate::emit::schedule::Code;
use crate::emit::structure::{FrameId, FrameKind};
use crate::func::{Handler, OperatorId, Terminator};
use rustc_hash::FxHashMap;

/// What is caught, and where that leads.
type Clauses = Vec<(Handler, FrameId)>;

/// How code throws.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Throws {
    Not,
    /// Into the handlers of these clauses, by number.
    Into(u32),
    /// Otherwise.
    Otherwise,
}

impl Throws {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Not, same) | (same, Self::Not) => same,
            (one, other) if one == other => one,
            _ => Self::Otherwise,
        }
    }
}

/// `try_table`s, linked through [`Uniting::next_try`].
#[derive(Copy, Clone)]
struct Tries {
    first: FrameId,
    last: FrameId,
    count: u32,
}

impl Tries {
    const NONE: Self = Self { first: NONE, last: NONE, count: 0 };
}

/// An instruction, or a frame with what is in it.
#[derive(Copy, Clone)]
struct Part {
    /// The positions of its first and of its last code.
    first: u32,
    last: u32,
    throws: Throws,
    /// How many values it takes from the operand stack, how many more must be there, and how many it leaves.
    taken: u32,
    needed: u32,
    left: u32,
    /// The `try_table` that it is, if it is one.
    is_try: Option<FrameId>,
    tries: Tries,
}

/// A frame that was not closed yet.
struct OpenFrame {
    frame: FrameId,
    position: u32,
    /// Where its parts begin.
    parts: usize,
    /// Of its first arm, where it has two.
    throws: Throws,
    tries: Tries,
}

struct Uniting<'a, 's> {
    shaper: &'a mut Shaper<'s>,
    clauses: Vec<Clauses>,
    numbers: FxHashMap<Clauses, u32>,
    next_try: Vec<FrameId>,
    parts: Vec<Part>,
}

/// No more parts than these are looked at for one `try_table`.
const LONGEST: usize = 2000;

impl Shaper<'_> {
    /// The clauses of a `try_table`: what each catches, and where it leads.
    fn catches(&self, frame: FrameId) -> Clauses {
        let node = self.structure.frames[frame as usize].node;
        let Terminator::Invoke(invoke) = self.terminator(node) else { unreachable!("a try_table holds an invocation") };
        let Exit::Invoke { handlers, .. } = &self.graph.nodes[node as usize].exit else {
            unreachable!("an invocation is the exit of its node")
        };
        let clauses = invoke.handlers.iter().filter(|handler| handler.block().is_some()).zip(handlers);
        let clauses = clauses.filter(|(handler, _)| handler.is_exception_handler());
        // Only the label says where a clause leads.
        let plain = |mut handler: Handler| {
            if let Some(block) = handler.block_mut() {
                *block = self.func.entry;
            }
            handler
        };
        clauses.map(|(&handler, &edge)| (plain(handler), self.edge_frame(edge))).collect()
    }

    /// Makes one `try_table` of several with the same clauses.
    pub(super) fn unite_tries(&mut self) {
        let is_try = |frame: FrameId| self.structure.frames[frame as usize].kind == FrameKind::Try;
        if !(0..index_u32(self.structure.frames.len())).any(is_try) {
            return;
        }
        let next_try = vec![NONE; self.structure.frames.len()];
        let mut uniting =
            Uniting { shaper: self, clauses: Vec::new(), numbers: FxHashMap::default(), next_try, parts: Vec::new() };
        uniting.run();
    }

    fn height(&self, frame: FrameId) -> u32 {
        index_u32(self.results(frame).len())
    }
}

impl Uniting<'_, '_> {
    fn run(&mut self) {
        let mut frames: Vec<OpenFrame> = Vec::new();
        let mut position = self.shaper.next[0];
        while position != NONE {
            // What is added or removed is in front of this.
            let next = self.shaper.next[position as usize];
            match self.shaper.code[position as usize] {
                Code::Open(frame) => frames.push(OpenFrame {
                    frame,
                    position,
                    parts: self.parts.len(),
                    throws: Throws::Not,
                    tries: Tries::NONE,
                }),
                Code::Else(_) => {
                    let arm = frames.pop().expect("an else is inside an if");
                    let (throws, tries) = self.close(arm.parts);
                    frames.push(OpenFrame { throws, tries, ..arm });
                }
                Code::End(frame) => {
                    let open = frames.pop().expect("an end has a beginning");
                    let (throws, tries) = self.close(open.parts);
                    let part = Part {
                        first: open.position,
                        last: position,
                        throws: throws.and(open.throws),
                        taken: 0,
                        needed: 0,
                        left: self.shaper.height(frame),
                        is_try: None,
                        tries: self.concatenate(open.tries, tries),
                    };
                    let part = self.frame(open.frame, part);
                    self.parts.push(part);
                }
                code => {
                    let part = self.instruction(position, code);
                    self.parts.push(part);
                }
            }
            position = next;
        }
        self.close(0);
    }

    /// A frame, given as a part with what is in it.
    fn frame(&mut self, frame: FrameId, mut part: Part) -> Part {
        match self.shaper.structure.frames[frame as usize].kind {
            FrameKind::Try => {
                let clauses = self.shaper.catches(frame);
                let count = index_u32(self.clauses.len());
                let number = *self.numbers.entry(clauses.clone()).or_insert(count);
                if number == count {
                    self.clauses.push(clauses);
                }
                part.throws = Throws::Into(number);
                part.is_try = Some(frame);
                part.tries = Tries { first: frame, last: frame, count: 1 };
            }
            FrameKind::If { .. } => part.taken = 1,
            FrameKind::Block if self.shaper.became_if[frame as usize] => part.taken = 1,
            FrameKind::Block | FrameKind::Loop => {}
        }
        // A clause that leads to the end of this frame means nothing outside of it.
        if let Throws::Into(number) = part.throws
            && self.clauses[number as usize].iter().any(|&(_, label)| label == frame)
        {
            let is_for_all =
                |handler: &Handler| matches!(handler, Handler::CatchAll { .. } | Handler::CatchAllRef { .. });
            let catches_all = self.clauses[number as usize].iter().any(|(handler, _)| is_for_all(handler));
            part.throws = if catches_all { Throws::Not } else { Throws::Otherwise };
            part.tries = Tries::NONE;
        }
        part
    }

    fn instruction(&self, position: u32, code: Code) -> Part {
        let carried = |frame: FrameId| index_u32(self.shaper.target_types(Target::Label(frame)).len());
        let otherwise = (Throws::Otherwise, 0, 0, 0);
        let (throws, taken, needed, left) = match code {
            Code::Operator(id) => match self.arity_of(id) {
                Some((taken, left)) => (Throws::Not, taken, 0, left),
                None => otherwise,
            },
            Code::Get(_) | Code::I32Const(_) => (Throws::Not, 0, 0, 1),
            Code::Set(_) | Code::Drop => (Throws::Not, 1, 0, 0),
            Code::Tee(_) | Code::AsNonNull | Code::I32Eqz => (Throws::Not, 1, 0, 1),
            Code::Nothing | Code::Undefine(_) | Code::Unreachable => (Throws::Not, 0, 0, 0),
            Code::BrIf(frame) => (Throws::Not, 1, carried(frame), 0),
            Code::Br(frame) => (Throws::Not, 0, carried(frame), 0),
            Code::Return => (Throws::Not, 0, index_u32(self.shaper.func.results.len()), 0),
            Code::Table(_) | Code::Invoke(_) | Code::BranchOnReference(_) => otherwise,
            Code::Open(_) | Code::Else(_) | Code::End(_) => unreachable!("frames are parts of their own"),
        };
        Part { first: position, last: position, throws, taken, needed, left, is_try: None, tries: Tries::NONE }
    }

    /// What an operator takes and leaves, if it does not throw.
    fn arity_of(&self, id: OperatorId) -> Option<(u32, u32)> {
        let effects = self.shaper.graph.effects.get(id);
        let throws = EffectFlags::THROWS.union(EffectFlags::CONTROL);
        match effects {
            Some(effects) if effects.flags.intersects(throws) => None,
            _ => self.shaper.arity(id),
        }
    }

    /// Unites what there is to unite among the parts from one on, which are all of one arm of a frame, and forgets them; how they throw, and their
    /// `try_table`s.
    fn close(&mut self, from: usize) -> (Throws, Tries) {
        let mut throws = Throws::Not;
        let mut tries = Tries::NONE;
        let mut at = from;
        // The first part that no `try_table` of this level is around.
        let mut free = from;
        while at < self.parts.len() {
            let part = self.parts[at];
            throws = throws.and(part.throws);
            if let Throws::Into(number) = part.throws
                && let Some((first, last)) = self.longest_run(number, free, at)
            {
                let united = self.unite(first, last);
                tries = self.concatenate(tries, united);
                at = last + 1;
                free = at;
            } else {
                tries = self.concatenate(tries, part.tries);
                at += 1;
            }
        }
        self.parts.truncate(from);
        (throws, tries)
    }

    /// The first and the last of the parts that one `try_table` can be around, beginning with the one at `at` or with its operands, if it would do for
    /// two at least.
    fn longest_run(&self, number: u32, free: usize, at: usize) -> Option<(usize, usize)> {
        let mut first = at;
        let mut wanted = self.parts[at].taken;
        while wanted > 0 {
            first = first.checked_sub(1).filter(|&first| first >= free && at - first < LONGEST)?;
            let part = &self.parts[first];
            if part.throws != Throws::Not || part.needed > 0 {
                return None;
            }
            wanted = wanted.checked_sub(part.left)? + part.taken;
        }
        let mut height = 0;
        let mut count = 0;
        let mut run = None;
        for (index, part) in self.parts.iter().enumerate().skip(first).take(LONGEST) {
            if part.throws != Throws::Not && part.throws != Throws::Into(number) || height < part.taken + part.needed {
                break;
            }
            height -= part.taken;
            count += part.tries.count;
            // What it leaves is what the `try_table` leaves.
            let ends_well = height == 0 && (part.is_try.is_some() || part.left == 0);
            if part.throws != Throws::Not && ends_well && count > 1 {
                run = Some((first, index));
            }
            height += part.left;
        }
        run
    }

    /// Puts one `try_table` around parts instead of all those that are in them.
    fn unite(&mut self, first: usize, last: usize) -> Tries {
        let (begin, end) = (self.parts[first].first, self.parts[last].last);
        let is_try = self.parts[last].is_try;
        let mut frames = Vec::new();
        for part in &self.parts[first..=last] {
            let mut frame = part.tries.first;
            for _ in 0..part.tries.count {
                frames.push(frame);
                frame = self.next_try[frame as usize];
            }
        }
        let shaper = &mut *self.shaper;
        let around = match is_try {
            Some(frame) => frame,
            None => {
                let frame = frames[0];
                shaper.leaves_nothing[frame as usize] = true;
                frame
            }
        };
        // Before anything is removed: these may be the ends of what is.
        shaper.insert_before(begin, Code::Open(around));
        let opened = shaper.previous[begin as usize];
        let closed = shaper.insert_after(end, Code::End(around));
        for frame in frames {
            let (open, end) = (shaper.open[frame as usize], shaper.end[frame as usize]);
            shaper.remove(open);
            shaper.remove(end);
        }
        shaper.open[around as usize] = opened;
        shaper.end[around as usize] = closed;
        self.next_try[around as usize] = NONE;
        Tries { first: around, last: around, count: 1 }
    }

    fn concatenate(&mut self, one: Tries, other: Tries) -> Tries {
        if one.count == 0 || other.count == 0 {
            return if one.count == 0 { other } else { one };
        }
        self.next_try[one.last as usize] = other.first;
        Tries { first: one.first, last: other.last, count: one.count + other.count }
    }
}
