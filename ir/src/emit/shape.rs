//! Stages 10 and 11: the final forms of branches, the peephole, and the numbering of labels.
//!
//! The code is a doubly linked list while it is being rewritten, so every rule is local.

use super::body::{BlockTypeId, CodeItem, EmittedBlockType, EmittedBody, EmittedTryTable, LabelledOperator};
use super::graph::{EdgeId, Exit, Graph, NONE, NodeId, index_u32};
use super::locals::Locals;
use super::schedule::{Code, Schedule};
use super::structure::{FrameId, FrameKind, RUN_ON, Structure};
use crate::effects::EffectFlags;
use crate::entity::Entity;
use crate::func::{Func, Handler, OperatorId, Terminator, Value};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use wasmparser::{Catch, Handle, Operator, ValType};

/// What the conditions of branches are inverted by.
pub(super) struct Inversions {
    /// The comparison that is true when this one is false, by operator.
    inverse: Vec<Option<OperatorId>>,
    is_eqz: Vec<bool>,
}

impl Inversions {
    /// Finds the inverses of the comparisons in a function; they are interned there.
    pub fn new(func: &mut Func) -> Self {
        let inverses: Vec<(OperatorId, Operator<'static>)> =
            func.operators.iter().filter_map(|(id, operator)| Some((id, inverse_of(operator)?))).collect();
        let inverses: Vec<(OperatorId, OperatorId)> =
            inverses.into_iter().map(|(id, inverse)| (id, func.operators.intern(inverse))).collect();
        let mut inverse = vec![None; func.operators.len()];
        for (id, other) in inverses {
            inverse[id.index()] = Some(other);
            inverse[other.index()] = Some(id);
        }
        let is_eqz = func.operators.iter().map(|(_, operator)| matches!(operator, Operator::I32Eqz)).collect();
        Self { inverse, is_eqz }
    }
}

fn inverse_of(operator: &Operator<'_>) -> Option<Operator<'static>> {
    use Operator as O;
    Some(match operator {
        O::I32Eq => O::I32Ne,
        O::I32Ne => O::I32Eq,
        O::I32LtS => O::I32GeS,
        O::I32GeS => O::I32LtS,
        O::I32LtU => O::I32GeU,
        O::I32GeU => O::I32LtU,
        O::I32GtS => O::I32LeS,
        O::I32LeS => O::I32GtS,
        O::I32GtU => O::I32LeU,
        O::I32LeU => O::I32GtU,
        O::I64Eq => O::I64Ne,
        O::I64Ne => O::I64Eq,
        O::I64LtS => O::I64GeS,
        O::I64GeS => O::I64LtS,
        O::I64LtU => O::I64GeU,
        O::I64GeU => O::I64LtU,
        O::I64GtS => O::I64LeS,
        O::I64LeS => O::I64GtS,
        O::I64GtU => O::I64LeU,
        O::I64LeU => O::I64GtU,
        // Of floats only these, as an ordered comparison and its opposite are both false on a NaN.
        O::F32Eq => O::F32Ne,
        O::F32Ne => O::F32Eq,
        O::F64Eq => O::F64Ne,
        O::F64Ne => O::F64Eq,
        _ => return None,
    })
}

/// Where control goes if there is nothing but jumps.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Target {
    /// To some instruction.
    Here,
    /// To the end of a block, or to the start of a loop.
    Label(FrameId),
    Return,
}

struct Shaper<'a> {
    func: &'a Func,
    graph: &'a Graph,
    structure: &'a Structure,
    schedule: &'a Schedule,
    inversions: &'a Inversions,
    /// The code, after a sentinel; locals are numbers wrapped as [`Value`]s.
    code: Vec<Code>,
    next: Vec<u32>,
    previous: Vec<u32>,
    /// Positions of each frame's parts.
    open: Vec<u32>,
    or_else: Vec<u32>,
    end: Vec<u32>,
    /// Frames that leave nothing on the stack whatever follows them.
    leaves_nothing: Vec<bool>,
    /// Where a branch to each frame leads in the end.
    label: Vec<Target>,
    /// How many branches lead to a frame's label.
    references: Vec<u32>,
    /// The `if` that a branch to a frame was made of that is a `br_if` now.
    branched_from: Vec<FrameId>,
    /// The frame around each.
    parent: Vec<FrameId>,
    /// Frames that are no longer there, as their code is part of the frame around them.
    is_dissolved: Vec<bool>,
    /// Blocks that are an `if` now.
    became_if: Vec<bool>,
    /// Branch hints by position.
    hints: FxHashMap<u32, bool>,
}

/// Gives scheduled code its final form.
pub(super) fn shape(
    func: &Func,
    graph: &Graph,
    structure: &Structure,
    schedule: &Schedule,
    locals: &Locals,
    inversions: &Inversions,
) -> EmittedBody {
    let frames = structure.frames.len();
    let mut shaper = Shaper {
        func,
        graph,
        structure,
        schedule,
        inversions,
        code: Vec::with_capacity(schedule.code.len() + 1),
        next: Vec::new(),
        previous: Vec::new(),
        open: vec![NONE; frames],
        or_else: vec![NONE; frames],
        end: vec![NONE; frames],
        leaves_nothing: vec![false; frames],
        label: (0..index_u32(frames)).map(Target::Label).collect(),
        references: vec![0; frames],
        branched_from: vec![NONE; frames],
        parent: vec![NONE; frames],
        is_dissolved: vec![false; frames],
        became_if: vec![false; frames],
        hints: FxHashMap::default(),
    };
    shaper.assign_locals(locals);
    shaper.link();
    shaper.drop_needless_branches();
    shaper.count_references();
    shaper.drop_unreachable();
    shaper.shape_frames();
    shaper.unite_tries();
    shaper.finish(locals)
}

impl Shaper<'_> {
    /// Puts locals in place of values, and leaves out copies between equal ones.
    fn assign_locals(&mut self, locals: &Locals) {
        self.code.push(Code::Nothing);
        let mut source = self.schedule.code.clone();
        for pair in &locals.elided {
            source[pair.source as usize] = match source[pair.source as usize] {
                Code::Tee(value) => Code::Set(value),
                _ => Code::Nothing,
            };
            source[pair.set as usize] = Code::Nothing;
        }
        let local = |value: Value| Value::from_u32(locals.of_value[value.index()]);
        for code in source {
            let code = match code {
                Code::Nothing => continue,
                Code::Get(value) => Code::Get(local(value)),
                Code::Set(value) => Code::Set(local(value)),
                Code::Tee(value) => Code::Tee(local(value)),
                Code::Open(frame) => {
                    let data = &self.structure.frames[frame as usize];
                    if let FrameKind::If { inverted } = data.kind {
                        let mut hint = match self.graph.nodes[data.node as usize].exit {
                            Exit::Branch { likely, .. } => likely,
                            _ => None,
                        };
                        if inverted {
                            self.invert_last();
                            hint = hint.map(|likely| !likely);
                        }
                        if let Some(likely) = hint {
                            self.hints.insert(index_u32(self.code.len()), likely);
                        }
                    }
                    Code::Open(frame)
                }
                other => other,
            };
            push(&mut self.code, code);
        }
        self.drop_zeros(locals);
    }

    /// Leaves out what makes a local zero that is zero since the function began.
    fn drop_zeros(&mut self, locals: &Locals) {
        let params = self.func.blocks[self.func.entry].params.len();
        let mut is_written = vec![false; params + locals.types.len()];
        let mut kept = 0;
        let mut loops = 0;
        for position in 0..self.code.len() {
            let code = self.code[position];
            match code {
                Code::Open(frame) if self.structure.frames[frame as usize].kind == FrameKind::Loop => loops += 1,
                Code::End(frame) if self.structure.frames[frame as usize].kind == FrameKind::Loop => loops -= 1,
                Code::Set(local) | Code::Tee(local) => {
                    let is_first = !std::mem::replace(&mut is_written[local.index()], true);
                    // All code that can run before stands before, outside of loops.
                    if is_first
                        && loops == 0
                        && local.index() >= params
                        && kept > 0
                        && self.is_zero(self.code[kept - 1])
                    {
                        if let Code::Set(_) = code {
                            kept -= 1;
                        }
                        // The constant stays where a `tee` leaves it on the stack.
                        is_written[local.index()] = false;
                        continue;
                    }
                }
                _ => {}
            }
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

    fn is_zero(&self, code: Code) -> bool {
        match code {
            Code::I32Const(0) => true,
            Code::Operator(id) => match self.func.operators[id] {
                Operator::I32Const { value: 0 } | Operator::I64Const { value: 0 } => true,
                Operator::F32Const { value } => value.bits() == 0,
                Operator::F64Const { value } => value.bits() == 0,
                Operator::V128Const { value } => value.i128() == 0,
                // A local of this type is null at first, as it can only be set to null if it is nullable.
                Operator::RefNull { .. } => true,
                _ => false,
            },
            _ => false,
        }
    }

    /// Inverts the condition on top of the stack at the end of the code.
    fn invert_last(&mut self) {
        match self.code.last_mut() {
            Some(Code::I32Eqz) => {
                self.code.pop();
            }
            Some(Code::Operator(id)) if self.inversions.is_eqz[id.index()] => {
                self.code.pop();
            }
            Some(Code::Operator(id)) => match self.inversions.inverse[id.index()] {
                Some(inverse) => *id = inverse,
                None => self.code.push(Code::I32Eqz),
            },
            _ => self.code.push(Code::I32Eqz),
        }
    }

    fn link(&mut self) {
        let count = index_u32(self.code.len());
        self.next = (1..=count).collect();
        self.next[count as usize - 1] = NONE;
        self.previous = (0..count).map(|at| at.wrapping_sub(1)).collect();
        let mut nesting = Vec::new();
        for (position, &code) in self.code.iter().enumerate() {
            let position = index_u32(position);
            match code {
                Code::Open(frame) => {
                    self.open[frame as usize] = position;
                    self.parent[frame as usize] = nesting.last().copied().unwrap_or(NONE);
                    nesting.push(frame);
                }
                Code::Else(frame) => self.or_else[frame as usize] = position,
                Code::End(frame) => {
                    self.end[frame as usize] = position;
                    nesting.pop();
                }
                _ => {}
            }
        }
    }

    fn remove(&mut self, position: u32) {
        let (previous, next) = (self.previous[position as usize], self.next[position as usize]);
        self.next[previous as usize] = next;
        if next != NONE {
            self.previous[next as usize] = previous;
        }
        self.code[position as usize] = Code::Nothing;
        self.hints.remove(&position);
    }

    /// The types that a frame leaves on the stack.
    fn results(&self, frame: FrameId) -> SmallVec<[ValType; 2]> {
        if self.leaves_nothing[frame as usize] {
            return SmallVec::new();
        }
        self.types_at(self.structure.frames[frame as usize].follow)
    }

    fn types_at(&self, follow: NodeId) -> SmallVec<[ValType; 2]> {
        match follow {
            NONE => self.func.results.iter().copied().collect(),
            RUN_ON => SmallVec::new(),
            node => {
                let data = &self.graph.nodes[node as usize];
                if data.params_on_stack {
                    data.params.iter().map(|&param| self.graph.value_type(self.func, param)).collect()
                } else {
                    self.schedule.stack_param[node as usize]
                        .iter()
                        .map(|&param| self.graph.value_type(self.func, param))
                        .collect()
                }
            }
        }
    }

    /// The types that a jump to a target takes along.
    fn target_types(&self, target: Target) -> SmallVec<[ValType; 2]> {
        match target {
            Target::Here => SmallVec::new(),
            Target::Return => self.func.results.iter().copied().collect(),
            Target::Label(frame) if self.structure.frames[frame as usize].kind == FrameKind::Loop => SmallVec::new(),
            Target::Label(frame) => self.types_at(self.structure.frames[frame as usize].follow),
        }
    }

    /// Drops branches to where control goes anyway.
    fn drop_needless_branches(&mut self) {
        let mut after_frame: Vec<Target> = Vec::new();
        let mut state = Target::Return;
        // Position 0 is the sentinel's.
        for position in (1..index_u32(self.code.len())).rev() {
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
                            self.label[frame as usize] = state;
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

    fn edge_frame(&self, edge: EdgeId) -> FrameId {
        let to = self.graph.edges[edge as usize].to as usize;
        if self.structure.dominance.is_back_edge(self.graph, edge) {
            return self.structure.loop_frame[to];
        }
        let frame = self.structure.block_frame[to];
        // Without code at its end, the label is that of another frame.
        match self.label[frame as usize] {
            Target::Label(frame) => frame,
            Target::Return | Target::Here => frame,
        }
    }

    /// Calls `visit` with the frames that an instruction may branch to.
    fn for_each_label(&self, code: Code, mut visit: impl FnMut(FrameId)) {
        match code {
            Code::Br(frame) | Code::BrIf(frame) => visit(frame),
            Code::Table(node) => self.graph.for_each_out_edge(node, |edge| visit(self.edge_frame(edge))),
            Code::Invoke(node) => {
                if let Exit::Invoke { handlers, .. } = &self.graph.nodes[node as usize].exit {
                    handlers.iter().for_each(|&edge| visit(self.edge_frame(edge)));
                }
            }
            Code::BranchOnReference(node) => {
                if let Exit::BranchOnReference { taken, .. } = self.graph.nodes[node as usize].exit {
                    visit(self.edge_frame(taken));
                }
            }
            _ => {}
        }
    }

    fn count_references(&mut self) {
        let mut references = std::mem::take(&mut self.references);
        for &code in &self.code {
            self.for_each_label(code, |frame| references[frame as usize] += 1);
        }
        self.references = references;
    }

    /// Drops what follows a branch up to the next label that is used.
    fn drop_unreachable(&mut self) {
        let mut is_dead = false;
        let mut reached: Vec<bool> = Vec::new();
        let mut position = self.next[0];
        while position != NONE {
            let next = self.next[position as usize];
            let code = self.code[position as usize];
            match code {
                Code::Open(_) => reached.push(!is_dead),
                // The arms of an `if` begin where it is reached; the end is reached as soon as one arm's end is.
                Code::Else(_) => is_dead = !reached.last().expect("an else is inside an if"),
                Code::End(frame) => {
                    let begins = reached.pop().expect("an end has a beginning");
                    is_dead = match self.structure.frames[frame as usize].kind {
                        FrameKind::Block => is_dead && self.references[frame as usize] == 0,
                        // Validation takes the end of a loop for reached where its beginning is: what leaves there has to stay.
                        FrameKind::Loop => !begins,
                        FrameKind::If { .. } => !begins,
                        FrameKind::Try => !begins,
                    };
                }
                Code::Br(_) | Code::Return if is_dead => {
                    if let Code::Br(frame) = code {
                        self.references[frame as usize] -= 1;
                    }
                    self.remove(position);
                }
                _ => is_dead |= self.leaves(position),
            }
            position = next;
        }
    }

    /// Whether control does not reach what follows an instruction.
    fn leaves(&self, position: u32) -> bool {
        match self.code[position as usize] {
            Code::Br(_) | Code::Return | Code::Unreachable | Code::Table(_) => true,
            Code::Operator(id) => matches!(
                self.func.operators[id],
                Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } | Operator::ReturnCallRef { .. }
            ),
            _ => false,
        }
    }

    /// Inverts the condition that an instruction takes.
    fn invert_before(&mut self, position: u32) {
        let condition = self.previous[position as usize];
        match self.code[condition as usize] {
            Code::I32Eqz => self.remove(condition),
            Code::Operator(id) if self.inversions.is_eqz[id.index()] => self.remove(condition),
            Code::Operator(id) if self.inversions.inverse[id.index()].is_some() => {
                let inverse = self.inversions.inverse[id.index()].expect("the guard saw it");
                self.code[condition as usize] = Code::Operator(inverse);
            }
            _ => self.insert_before(position, Code::I32Eqz),
        }
        if let Some(likely) = self.hints.get_mut(&position) {
            *likely = !*likely;
        }
    }

    /// Whether inverting a condition costs nothing.
    fn inverts_freely(&self, position: u32) -> bool {
        match self.code[self.previous[position as usize] as usize] {
            Code::I32Eqz => true,
            Code::Operator(id) => self.inversions.is_eqz[id.index()] || self.inversions.inverse[id.index()].is_some(),
            _ => false,
        }
    }

    fn insert_before(&mut self, position: u32, code: Code) {
        let added = index_u32(self.code.len());
        self.code.push(code);
        let previous = self.previous[position as usize];
        self.next.push(position);
        self.previous.push(previous);
        self.next[previous as usize] = added;
        self.previous[position as usize] = added;
    }

    /// Rewrites frames, inner ones first.
    fn shape_frames(&mut self) {
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

    fn next_of(&self, position: u32) -> u32 {
        self.next[position as usize]
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

    /// The clauses of a `try_table`: what each catches, and where it leads.
    fn catches(&self, frame: FrameId) -> Vec<(Handler, FrameId)> {
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

    /// Makes one `try_table` of those that follow one another with equal clauses, if nothing between them can throw, branch, or take values from
    /// the stack that were there before.
    fn unite_tries(&mut self) {
        let is_try = |this: &Self, frame: FrameId| this.structure.frames[frame as usize].kind == FrameKind::Try;
        if !(0..index_u32(self.structure.frames.len())).any(|frame| is_try(self, frame)) {
            return;
        }
        let mut arity: Vec<Option<(u32, u32)>> = vec![None; self.func.operators.len()];
        for block in self.func.blocks.values() {
            for &inst in &block.insts {
                let results = index_u32(self.func.inst_results(inst).len());
                arity[self.func.operator_id(inst).index()] = Some((index_u32(self.func.operands(inst).len()), results));
            }
        }
        let mut position = self.next[0];
        while position != NONE {
            let next = self.next[position as usize];
            if let Code::End(frame) = self.code[position as usize]
                && is_try(self, frame)
                && let Some(other) = self.try_after(position, index_u32(self.results(frame).len()), &arity)
                && self.catches(frame) == self.catches(other)
            {
                // The second one begins where the first one did; its end is looked at in turn.
                let open = self.open[frame as usize];
                self.code[open as usize] = Code::Open(other);
                let inner = std::mem::replace(&mut self.open[other as usize], open);
                self.remove(position);
                position = if inner == next { self.next[inner as usize] } else { next };
                self.remove(inner);
            } else {
                position = next;
            }
        }
    }

    /// The `try_table` that begins after a position, with the operand stack as high as it was before what ends there, which left `height` values.
    fn try_after(&self, position: u32, mut height: u32, arity: &[Option<(u32, u32)>]) -> Option<FrameId> {
        let mut position = self.next[position as usize];
        while position != NONE {
            let (taken, left) = match self.code[position as usize] {
                Code::Open(frame) if self.structure.frames[frame as usize].kind == FrameKind::Try => {
                    return (height == 0).then_some(frame);
                }
                Code::Operator(id) => {
                    // Operators that have no effects entry or arity were added by emission itself.
                    let effects = self.graph.effects.get(id.index())?;
                    if effects.flags.intersects(EffectFlags::THROWS.union(EffectFlags::CONTROL)) {
                        return None;
                    }
                    arity[id.index()]?
                }
                Code::Get(_) | Code::I32Const(_) => (0, 1),
                Code::Set(_) | Code::Drop => (1, 0),
                Code::Tee(_) | Code::I32Eqz => (1, 1),
                Code::Nothing => (0, 0),
                _ => return None,
            };
            height = height.checked_sub(taken)? + left;
            position = self.next[position as usize];
        }
        None
    }

    /// Locals that may be read before they are written, as validation sees it: a write counts up to the end of the frame that it is in.
    fn unset_locals(&self, locals: &Locals, params: usize) -> Vec<bool> {
        let mut is_unset = vec![false; locals.types.len()];
        if locals.types.iter().all(|ty| ty.is_defaultable()) {
            return is_unset;
        }
        let mut is_set = vec![false; locals.types.len()];
        let mut written: Vec<usize> = Vec::new();
        let mut frames: Vec<usize> = Vec::new();
        let mut position = self.next[0];
        while position != NONE {
            match self.code[position as usize] {
                Code::Open(_) => frames.push(written.len()),
                Code::Else(_) => {
                    let height = *frames.last().expect("an else is inside an if");
                    written.drain(height..).for_each(|local| is_set[local] = false);
                }
                Code::End(_) => {
                    let height = frames.pop().expect("an end has a beginning");
                    written.drain(height..).for_each(|local| is_set[local] = false);
                }
                Code::Set(local) | Code::Tee(local) => {
                    if let Some(local) = local.index().checked_sub(params)
                        && !std::mem::replace(&mut is_set[local], true)
                    {
                        written.push(local);
                    }
                }
                Code::Get(local) => {
                    if let Some(local) = local.index().checked_sub(params) {
                        is_unset[local] |= !is_set[local];
                    }
                }
                _ => {}
            }
            position = self.next[position as usize];
        }
        for (is_unset, ty) in is_unset.iter_mut().zip(&locals.types) {
            *is_unset &= !ty.is_defaultable();
        }
        is_unset
    }

    /// Numbers labels and writes the result.
    fn finish(self, locals: &Locals) -> EmittedBody {
        let params = self.func.blocks[self.func.entry].params.len();
        let is_unset = self.unset_locals(locals, params);
        let mut body = EmittedBody::default();
        for (&ty, &is_unset) in locals.types.iter().zip(&is_unset) {
            let ty = match ty {
                ValType::Ref(reference) if is_unset => ValType::Ref(reference.nullable()),
                ty => ty,
            };
            match body.locals.last_mut() {
                Some((count, last)) if *last == ty => *count += 1,
                _ => body.locals.push((1, ty)),
            }
        }
        for (number, source) in locals.source_locals.iter().enumerate() {
            let name = source.and_then(|source| self.func.local_names.get(source.index())?.clone());
            body.local_names.extend(name.map(|name| (index_u32(number), name)));
        }
        let needs_cast = |local: Value| local.index().checked_sub(params).is_some_and(|local| is_unset[local]);
        let mut writer = Writer {
            shaper: &self,
            body,
            level: vec![0; self.structure.frames.len()],
            depth: 0,
            block_types: FxHashMap::default(),
        };
        let mut position = self.next[0];
        while position != NONE {
            if let Some(&likely) = self.hints.get(&position) {
                writer.body.branch_hints.push((index_u32(writer.body.code.len()), likely));
            }
            let code = self.code[position as usize];
            writer.write(code);
            if let Code::Get(local) | Code::Tee(local) = code
                && needs_cast(local)
            {
                writer.body.code.push(CodeItem::RefAsNonNull);
            }
            position = self.next[position as usize];
        }
        writer.body
    }
}

struct Writer<'a> {
    shaper: &'a Shaper<'a>,
    body: EmittedBody,
    level: Vec<u32>,
    depth: u32,
    block_types: FxHashMap<SmallVec<[ValType; 2]>, BlockTypeId>,
}

impl Writer<'_> {
    fn block_type(&mut self, results: SmallVec<[ValType; 2]>) -> BlockTypeId {
        if let Some(&id) = self.block_types.get(&results) {
            return id;
        }
        let id = BlockTypeId(index_u32(self.body.block_types.len()));
        self.body.block_types.push(EmittedBlockType { params: Box::new([]), results: results.as_slice().into() });
        self.block_types.insert(results, id);
        id
    }

    fn label(&self, frame: FrameId) -> u32 {
        self.depth - 1 - self.level[frame as usize]
    }

    fn edge_label(&self, edge: EdgeId) -> u32 {
        self.label(self.shaper.edge_frame(edge))
    }

    fn enter(&mut self, frame: FrameId) {
        self.level[frame as usize] = self.depth;
        self.depth += 1;
    }

    fn write(&mut self, code: Code) {
        let shaper = self.shaper;
        let item = match code {
            Code::Nothing => return,
            Code::Operator(id) => CodeItem::Operator(id),
            // Frames that vanished bring these together.
            Code::Get(local) if self.body.code.last() == Some(&CodeItem::LocalSet(local.as_u32())) => {
                self.body.code.pop();
                CodeItem::LocalTee(local.as_u32())
            }
            Code::Get(local) => CodeItem::LocalGet(local.as_u32()),
            Code::Set(local) => CodeItem::LocalSet(local.as_u32()),
            Code::Tee(local) => CodeItem::LocalTee(local.as_u32()),
            Code::Open(frame) => {
                let kind = shaper.structure.frames[frame as usize].kind;
                let results = shaper.results(frame);
                let ty = self.block_type(results);
                let item = match kind {
                    FrameKind::If { .. } => CodeItem::If(ty),
                    FrameKind::Block if shaper.became_if[frame as usize] => CodeItem::If(ty),
                    FrameKind::Block => CodeItem::Block(ty),
                    FrameKind::Loop => CodeItem::Loop(ty),
                    FrameKind::Try => self.try_table(shaper.structure.frames[frame as usize].node, ty),
                };
                self.enter(frame);
                item
            }
            Code::Else(_) => CodeItem::Else,
            Code::End(_) => {
                self.depth -= 1;
                CodeItem::End
            }
            Code::Br(frame) => CodeItem::Br(self.label(frame)),
            Code::BrIf(frame) => CodeItem::BrIf(self.label(frame)),
            Code::Table(node) => {
                let Exit::Switch { entries, .. } = &shaper.graph.nodes[node as usize].exit else {
                    unreachable!("a table is the exit of its node")
                };
                let table = entries.iter().map(|&edge| self.edge_label(edge)).collect();
                self.body.branch_tables.push(table);
                CodeItem::BrTable(index_u32(self.body.branch_tables.len() - 1))
            }
            Code::Invoke(node) => self.invoke(node),
            Code::BranchOnReference(node) => {
                let Exit::BranchOnReference { taken, .. } = shaper.graph.nodes[node as usize].exit else {
                    unreachable!("a branch on a reference is the exit of its node")
                };
                let operator = shaper.terminator(node).operator().expect("it has an operator");
                self.labelled(operator, vec![self.edge_label(taken)], Vec::new())
            }
            Code::Return => CodeItem::Return,
            Code::Unreachable => CodeItem::Unreachable,
            Code::Drop => CodeItem::Drop,
            Code::I32Const(value) => CodeItem::I32Const(value),
            Code::I32Eqz => CodeItem::I32Eqz,
        };
        self.body.code.push(item);
    }

    fn labelled(&mut self, operator: OperatorId, labels: Vec<u32>, clauses: Vec<Handle>) -> CodeItem {
        self.body.labelled.push(LabelledOperator { operator, labels, clauses });
        CodeItem::Labelled(index_u32(self.body.labelled.len() - 1))
    }

    fn invoke(&mut self, node: NodeId) -> CodeItem {
        let Terminator::Invoke(invoke) = self.shaper.terminator(node) else {
            unreachable!("an invocation is the exit of its node")
        };
        let Exit::Invoke { handlers, .. } = &self.shaper.graph.nodes[node as usize].exit else {
            unreachable!("an invocation is the exit of its node")
        };
        let is_resume = matches!(
            self.shaper.func.operators[invoke.operator],
            Operator::Resume { .. } | Operator::ResumeThrow { .. } | Operator::ResumeThrowRef { .. }
        );
        if !is_resume {
            return CodeItem::Operator(invoke.operator);
        }
        let mut edges = handlers.iter();
        let mut labels = Vec::new();
        for handler in invoke.handlers.iter().filter(|handler| handler.block().is_some()) {
            let &edge = edges.next().expect("one edge for each handler with a block");
            if let Handler::Suspension { .. } = handler {
                labels.push(self.edge_label(edge));
            }
        }
        let clauses = invoke.handlers.iter().filter_map(|handler| match *handler {
            Handler::Suspension { tag, .. } => Some(Handle::OnLabel { tag: tag.as_u32(), label: 0 }),
            Handler::Switch { tag } => Some(Handle::OnSwitch { tag: tag.as_u32() }),
            _ => None,
        });
        let clauses = clauses.collect();
        self.labelled(invoke.operator, labels, clauses)
    }

    fn try_table(&mut self, node: NodeId, ty: BlockTypeId) -> CodeItem {
        let Terminator::Invoke(invoke) = self.shaper.terminator(node) else {
            unreachable!("a try_table holds an invocation")
        };
        let Exit::Invoke { handlers, .. } = &self.shaper.graph.nodes[node as usize].exit else {
            unreachable!("an invocation is the exit of its node")
        };
        let mut edges = handlers.iter();
        let mut catches = Vec::new();
        for handler in invoke.handlers.iter().filter(|handler| handler.block().is_some()) {
            let &edge = edges.next().expect("one edge for each handler with a block");
            let label = self.edge_label(edge);
            catches.push(match *handler {
                Handler::Catch { tag, .. } => Catch::One { tag: tag.as_u32(), label },
                Handler::CatchRef { tag, .. } => Catch::OneRef { tag: tag.as_u32(), label },
                Handler::CatchAll { .. } => Catch::All { label },
                Handler::CatchAllRef { .. } => Catch::AllRef { label },
                Handler::Suspension { .. } | Handler::Switch { .. } => continue,
            });
        }
        self.body.try_tables.push(EmittedTryTable { ty, catches });
        CodeItem::TryTable(index_u32(self.body.try_tables.len() - 1))
    }
}

impl Shaper<'_> {
    fn terminator(&self, node: NodeId) -> &Terminator {
        let block = self.graph.nodes[node as usize].block.expect("only blocks of the function end so");
        &self.func.blocks[block].terminator
    }
}

/// Adds an instruction, or makes one of it and its predecessor.
fn push(code: &mut Vec<Code>, item: Code) {
    match (code.last_mut(), item) {
        (Some(last @ Code::Set(_)), Code::Get(local)) if *last == Code::Set(local) => *last = Code::Tee(local),
        (Some(last @ Code::Tee(_)), Code::Set(local)) if *last == Code::Tee(local) => *last = Code::Set(local),
        (Some(&mut Code::Get(previous)), Code::Set(local)) if previous == local => {
            code.pop();
        }
        (Some(Code::Get(_) | Code::I32Const(_)), Code::Drop) => {
            code.pop();
        }
        (Some(last @ Code::Tee(_)), Code::Drop) => {
            let Code::Tee(local) = *last else { unreachable!("the pattern is a tee") };
            *last = Code::Set(local);
        }
        _ => code.push(item),
    }
}
