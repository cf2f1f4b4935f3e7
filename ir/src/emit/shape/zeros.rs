//! Locals are zero when a function begins: what makes one zero that cannot have been anything else is left out.

use super::Shaper;
use crate::emit::graph::{EdgeId, Exit, index_u32};
use crate::emit::locals::Locals;
use crate::emit::schedule::Code;
use crate::emit::structure::{FrameId, FrameKind};
use crate::entity::Entity;
use wasmparser::Operator;

/// The most bits that the sets of all frames may have together: what bounds memory on hostile inputs.
const MAX_BITS: usize = 1 << 26;

/// A set of candidates: the locals that may have been written. Where code cannot be reached it is empty.
#[derive(Clone)]
struct Written(Vec<u64>);

impl Written {
    fn new(candidates: usize) -> Self {
        Self(vec![0; candidates.div_ceil(64)])
    }

    fn insert(&mut self, candidate: u32) {
        self.0[candidate as usize / 64] |= 1 << (candidate % 64);
    }

    fn contains(&self, candidate: u32) -> bool {
        self.0[candidate as usize / 64] & 1 << (candidate % 64) != 0
    }

    fn union(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, more)| *word |= more);
    }

    fn clear(&mut self) {
        self.0.fill(0);
    }
}

/// What is known about a frame while it is open.
struct OpenFrame {
    /// What may have been written by the time a branch leads to its end.
    at_end: Option<Written>,
    /// For an `if` whose `else` has not come yet: what may have been written before it.
    otherwise: Option<Written>,
}

/// A walk over the code in its order.
struct Walk {
    /// What may have been written where the walk is.
    written: Written,
    /// By frame, while it is open.
    open: Vec<Option<OpenFrame>>,
    /// How many loops are open.
    loops: u32,
}

impl Walk {
    fn new(frames: usize, candidates: usize) -> Self {
        Self { written: Written::new(candidates), open: (0..frames).map(|_| None).collect(), loops: 0 }
    }

    /// Goes over what is at a position, as far as control flow is concerned. `candidate` says what code writes.
    fn pass(&mut self, shaper: &Shaper<'_>, position: usize, candidate: impl Fn(Code) -> Option<u32>) {
        match shaper.code[position] {
            Code::Open(frame) => {
                let kind = shaper.structure.frames[frame as usize].kind;
                if kind == FrameKind::Loop {
                    if self.loops == 0 {
                        // What the loop writes may have been written when it is repeated.
                        let is_end = |code: &Code| *code == Code::End(frame);
                        let body = shaper.code[position..].iter().take_while(|code| !is_end(code));
                        body.filter_map(|&code| candidate(code)).for_each(|written| self.written.insert(written));
                    }
                    self.loops += 1;
                }
                let otherwise = matches!(kind, FrameKind::If { .. }).then(|| self.written.clone());
                self.open[frame as usize] = Some(OpenFrame { at_end: None, otherwise });
            }
            Code::Else(frame) => {
                self.leave_to(frame);
                let data = self.open[frame as usize].as_mut().expect("an `else` is in its frame");
                self.written = data.otherwise.take().expect("a frame has one `else`");
            }
            Code::End(frame) => {
                self.loops -= u32::from(shaper.structure.frames[frame as usize].kind == FrameKind::Loop);
                let data = self.open[frame as usize].take().expect("an end is in its frame");
                data.at_end.iter().chain(&data.otherwise).for_each(|more| self.written.union(more));
            }
            Code::Br(frame) => {
                self.leave_to(frame);
                self.written.clear();
            }
            Code::BrIf(frame) => self.leave_to(frame),
            Code::Table(node) => {
                shaper.graph.for_each_out_edge(node, |edge| self.leave_by(shaper, edge));
                self.written.clear();
            }
            Code::Invoke(node) => {
                if let Exit::Invoke { handlers, .. } = &shaper.graph.nodes[node as usize].exit {
                    handlers.iter().for_each(|&edge| self.leave_by(shaper, edge));
                }
            }
            Code::BranchOnReference(node) => {
                if let Exit::BranchOnReference { taken, .. } = shaper.graph.nodes[node as usize].exit {
                    self.leave_by(shaper, taken);
                }
            }
            Code::Return | Code::Unreachable => self.written.clear(),
            _ => {}
        }
    }

    /// Takes an edge. One that repeats a loop leads to nothing that was not looked at when the loop began.
    fn leave_by(&mut self, shaper: &Shaper<'_>, edge: EdgeId) {
        let to = shaper.graph.edges[edge as usize].to as usize;
        if !shaper.structure.dominance.is_back_edge(shaper.graph, edge) {
            self.leave_to(shaper.structure.block_frame[to]);
        }
    }

    /// Branches to the label of a frame. That of a loop is its beginning, where what the loop writes was added.
    fn leave_to(&mut self, frame: FrameId) {
        let data = self.open[frame as usize].as_mut().expect("a branch leaves a frame that is open");
        match &mut data.at_end {
            Some(at_end) => at_end.union(&self.written),
            None => data.at_end = Some(self.written.clone()),
        }
    }
}

impl Shaper<'_> {
    /// Leaves out what makes a local zero that is zero since the function began, outside of loops.
    pub(super) fn drop_zeros(&mut self, locals: &Locals) {
        let params = self.func.blocks[self.func.entry].params.len();
        let candidates = self.zero_candidates(params, locals);
        let count = candidates.iter().flatten().count();
        if count == 0 {
            return;
        }
        let candidate = |code: Code| match code {
            Code::Set(local) | Code::Tee(local) => candidates[local.index()],
            _ => None,
        };
        let mut walk = Walk::new(self.structure.frames.len(), count);
        let mut kept = 0;
        for position in 0..self.code.len() {
            let code = self.code[position];
            if let Some(candidate) = candidate(code) {
                let is_unwritten = walk.loops == 0 && !walk.written.contains(candidate);
                if is_unwritten && kept > 0 && self.is_zero(self.code[kept - 1]) {
                    // The constant stays where a `tee` leaves it on the stack.
                    kept -= usize::from(matches!(code, Code::Set(_)));
                    continue;
                }
                walk.written.insert(candidate);
            }
            walk.pass(self, position, candidate);
            self.code[kept] = code;
            if !self.hints.is_empty()
                && let Some(likely) = self.hints.remove(&index_u32(position))
            {
                self.hints.insert(index_u32(kept), likely);
            }
            kept += 1;
        }
        self.code.truncate(kept);
    }

    /// Numbers the locals that are made zero outside of loops, as many as there is room for.
    fn zero_candidates(&self, params: usize, locals: &Locals) -> Vec<Option<u32>> {
        let mut candidates = vec![None; params + locals.types.len()];
        let most = MAX_BITS / self.structure.frames.len().max(1);
        let (mut count, mut loops) = (0, 0);
        for codes in self.code.windows(2) {
            match codes[1] {
                Code::Open(frame) if self.structure.frames[frame as usize].kind == FrameKind::Loop => loops += 1,
                Code::End(frame) if self.structure.frames[frame as usize].kind == FrameKind::Loop => loops -= 1,
                Code::Set(local) | Code::Tee(local) => {
                    let is_new = local.index() >= params && candidates[local.index()].is_none();
                    if is_new && loops == 0 && (count as usize) < most && self.is_zero(codes[0]) {
                        candidates[local.index()] = Some(count);
                        count += 1;
                    }
                }
                _ => {}
            }
        }
        candidates
    }

    fn is_zero(&self, code: Code) -> bool {
        match code {
            Code::I32Const(0) => true,
            Code::Operator(id) => match self.func.operators[id] {
                Operator::I32Const { value: 0 } | Operator::I64Const { value: 0 } => true,
                Operator::F32Const { value } => value.bits() == 0,
                Operator::F64Const { value } => value.bits() == 0,
                Operator::V128Const { value } => value.i128() == 0,
                // A local that null is written to has a nullable type, so it is null at first.
                Operator::RefNull { .. } => true,
                _ => false,
            },
            _ => false,
        }
    }
}
