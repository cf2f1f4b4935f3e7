//! The symbolic execution of emitted code along with the function.

use super::CheckError;
use super::expressions::{Expression, Expressions, InstEffects, Known, needed_insts};
use super::frames::{FrameId, FrameKind, Frames, label_of};
use crate::analysis::{ControlFlowGraph, DominatorTree};
use crate::effects::{EffectFlags, EffectsEnvironment, effects};
use crate::emit::{CodeItem, EmittedBody};
use crate::entity::SecondaryMap;
use crate::func::{Block, BlockCall, Func, Handler, Inst, OperatorId, Terminator, Value};
use crate::opcode::Opcode;
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;
use wasmparser::{Catch, Handle, HeapType, Operator, ValType};

/// A point of the function.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Position {
    block: Block,
    /// The instructions before this one are accounted for: executed, pending, or in no need of it.
    next: usize,
    /// Instructions with effects that are still to be executed, in order.
    pending: SmallVec<[Inst; 2]>,
    /// The edge out of the block that is being taken: a number among those of [`Terminator::for_each_block_call`].
    edge: Option<u32>,
}

impl Position {
    fn is_start(&self) -> bool {
        self.next == 0 && self.pending.is_empty() && self.edge.is_none()
    }
    fn start_of(block: Block) -> Self {
        Self { block, next: 0, pending: SmallVec::new(), edge: None }
    }
}

/// What locals and the operand stack hold.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    locals: Vec<Known>,
    stack: Vec<Known>,
}

/// Where the execution of emitted code stands.
struct Thread {
    at: usize,
    frame: FrameId,
    position: Position,
    state: State,
}

/// How control comes to a label.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Arrival {
    /// Along an edge of the function, which the label completes.
    Edge,
    /// By an instruction that defines the parameters of the block that it leads to.
    Defined,
    /// By a branch of emission's own, to the entry that is meant of a loop with several; the edge was completed before.
    Dispatched,
}

/// Where a two-way branch leads.
struct Sides {
    if_true: Option<Position>,
    if_false: Option<Position>,
    arrival: Arrival,
}

pub(super) struct Simulation<'a> {
    func: &'a Func,
    body: &'a EmittedBody,
    cfg: ControlFlowGraph,
    dominators: DominatorTree,
    expressions: Expressions,
    effects: InstEffects,
    /// Whether an operator of the pool has no effects at all.
    is_pure_operator: Vec<bool>,
    needed: SecondaryMap<Inst, bool>,
    frames: Frames,
    /// The height of the operand stack below each frame's parameters, once it was entered.
    heights: Vec<usize>,
    /// The states at labels, by frame and position.
    labels: IndexMap<(FrameId, Position), State, FxBuildHasher>,
    /// Entries of `labels` that are to be executed from.
    work: Vec<usize>,
}

type Checked<T> = Result<T, CheckError>;

impl<'a> Simulation<'a> {
    pub(super) fn new(func: &'a Func, body: &'a EmittedBody, environment: &impl EffectsEnvironment) -> Checked<Self> {
        let cfg = ControlFlowGraph::new(func);
        let dominators = DominatorTree::new(func, &cfg);
        let (expressions, inst_effects) = Expressions::new(func, &cfg, &dominators, environment);
        let needed = needed_insts(func, &cfg, &inst_effects);
        let is_pure_operator = func.operators.iter().map(|(_, operator)| effects(operator, environment).is_pure());
        let frames = Frames::new(body, func.results.len()).map_err(|(position, message)| CheckError {
            position,
            block: None,
            message,
        })?;
        Ok(Self {
            is_pure_operator: is_pure_operator.collect(),
            heights: vec![0; frames.frames.len()],
            func,
            body,
            cfg,
            dominators,
            expressions,
            effects: inst_effects,
            needed,
            frames,
            labels: IndexMap::default(),
            work: Vec::new(),
        })
    }

    pub(super) fn run(mut self) -> Checked<()> {
        let mut locals: Vec<Known> = Vec::new();
        for &param in &self.func.blocks[self.func.entry].params {
            locals.push([self.expressions.of(self.func, param)].into_iter().collect());
        }
        for &(count, ty) in &self.body.locals {
            // Locals start as zero or null, which the function has as a constant.
            let initial: Known = match initial_value(ty) {
                Some(operator) => [self.expressions.constant(operator, &self.dominators)].into_iter().collect(),
                None => Known::new(),
            };
            locals.extend((0..count).map(|_| initial.clone()));
        }
        let state = State { locals, stack: Vec::new() };
        let mut threads = vec![Thread { at: 0, frame: 0, position: Position::start_of(self.func.entry), state }];
        loop {
            while let Some(thread) = threads.pop() {
                self.execute(thread, &mut threads)?;
            }
            let Some(label) = self.work.pop() else { return Ok(()) };
            let ((frame, position), state) = self.labels.get_index(label).expect("labels are never removed");
            let data = &self.frames.frames[*frame];
            // A loop's label is its start; every other label is an end, whose code runs in the frame around it.
            let (at, inside) =
                if data.kind == FrameKind::Loop { (data.start + 1, *frame) } else { (data.end + 1, data.parent) };
            threads.push(Thread { at, frame: inside, position: position.clone(), state: state.clone() });
        }
    }

    /// Executes straight on until control leaves for labels.
    fn execute(&mut self, mut thread: Thread, threads: &mut Vec<Thread>) -> Checked<()> {
        loop {
            let Some(&item) = self.body.code.get(thread.at) else {
                return self.return_values(&mut thread);
            };
            match item {
                CodeItem::LocalGet(local) => {
                    let known = self.local(&thread, local)?.clone();
                    thread.state.stack.push(known);
                }
                CodeItem::LocalSet(local) => {
                    let known = self.pop(&mut thread)?;
                    self.local(&thread, local)?;
                    thread.state.locals[local as usize] = known;
                }
                CodeItem::LocalTee(local) => {
                    let known = self.pop(&mut thread)?;
                    self.local(&thread, local)?;
                    thread.state.locals[local as usize] = known.clone();
                    thread.state.stack.push(known);
                }
                CodeItem::Drop => {
                    self.pop(&mut thread)?;
                }
                CodeItem::I32Const(value) => {
                    let expression = self.expressions.constant(Operator::I32Const { value }, &self.dominators);
                    thread.state.stack.push([expression].into_iter().collect());
                }
                CodeItem::I32Eqz => {
                    let operand = self.pop(&mut thread)?;
                    let known =
                        operand.iter().map(|&operand| self.expressions.negation(operand, &self.dominators)).collect();
                    thread.state.stack.push(known);
                }
                CodeItem::RefAsNonNull => {
                    // Emission adds it where a value that cannot be null was kept in a local that can be.
                    let known = self.pop(&mut thread)?;
                    if !known.iter().any(|&expression| self.expressions.is_non_null(expression)) {
                        return self.error(&thread, "ref.as_non_null of a value that is not known to be no null");
                    }
                    thread.state.stack.push(known);
                }
                CodeItem::Operator(operator) => {
                    if !self.operator(&mut thread, operator)? {
                        return Ok(());
                    }
                }
                CodeItem::Labelled(number) => {
                    if !self.labelled(&mut thread, number)? {
                        return Ok(());
                    }
                }
                CodeItem::Block(_) | CodeItem::TryTable(_) => {
                    let frame = self.frames.at(thread.at);
                    self.enter(&thread, frame)?;
                    thread.frame = frame;
                }
                CodeItem::Loop(_) => {
                    let frame = self.frames.at(thread.at);
                    self.enter(&thread, frame)?;
                    if self.frames.frames[frame].is_target {
                        return self.arrive(thread, frame, Arrival::Edge);
                    }
                    thread.frame = frame;
                }
                CodeItem::If(_) => {
                    let condition = self.pop(&mut thread)?;
                    let frame = self.frames.at(thread.at);
                    self.enter(&thread, frame)?;
                    let Sides { if_true: then, if_false: or_else, arrival } = self.branch(&mut thread, &condition)?;
                    if let Some(position) = or_else {
                        let state = thread.state.clone();
                        match self.frames.frames[frame].or_else {
                            Some(at) => threads.push(Thread { at: at + 1, frame, position, state }),
                            None => {
                                let thread = Thread { at: thread.at, frame, position, state };
                                self.arrive(thread, frame, arrival)?;
                            }
                        }
                    }
                    let Some(position) = then else { return Ok(()) };
                    thread.position = position;
                    thread.frame = frame;
                }
                CodeItem::Else => {
                    // The arm before falls through to the end.
                    let frame = self.frames.at(thread.at);
                    return self.arrive(thread, frame, Arrival::Edge);
                }
                CodeItem::End => {
                    let frame = self.frames.at(thread.at);
                    let data = &self.frames.frames[frame];
                    if data.kind != FrameKind::Loop && (data.is_target || data.kind == FrameKind::If) {
                        return self.arrive(thread, frame, Arrival::Edge);
                    }
                    thread.frame = data.parent;
                }
                CodeItem::Br(depth) => {
                    let frame = self.frames.label(thread.frame, depth);
                    return self.arrive(thread, frame, Arrival::Edge);
                }
                CodeItem::BrIf(depth) => {
                    let condition = self.pop(&mut thread)?;
                    let Sides { if_true, if_false, arrival } = self.branch(&mut thread, &condition)?;
                    let frame = self.frames.label(thread.frame, depth);
                    if let Some(position) = if_true {
                        let state = thread.state.clone();
                        self.arrive(Thread { at: thread.at, frame: thread.frame, position, state }, frame, arrival)?;
                    }
                    let Some(position) = if_false else { return Ok(()) };
                    thread.position = position;
                }
                CodeItem::BrTable(number) => return self.branch_table(thread, number),
                CodeItem::Return => return self.return_values(&mut thread),
                CodeItem::Unreachable => return self.unreachable(&mut thread),
            }
            thread.at += 1;
        }
    }

    fn error<T>(&self, thread: &Thread, message: impl Into<String>) -> Checked<T> {
        Err(CheckError { position: thread.at, block: Some(thread.position.block), message: message.into() })
    }

    fn local<'b>(&self, thread: &'b Thread, local: u32) -> Checked<&'b Known> {
        match thread.state.locals.get(local as usize) {
            Some(known) => Ok(known),
            None => self.error(thread, format!("there is no local {local}")),
        }
    }

    fn pop(&self, thread: &mut Thread) -> Checked<Known> {
        match thread.state.stack.pop() {
            Some(known) => Ok(known),
            None => self.error(thread, "the operand stack is empty"),
        }
    }

    fn enter(&mut self, thread: &Thread, frame: FrameId) -> Checked<()> {
        match thread.state.stack.len().checked_sub(self.frames.frames[frame].params) {
            Some(height) => {
                self.heights[frame] = height;
                Ok(())
            }
            None => self.error(thread, "the operand stack lacks the parameters of a block"),
        }
    }

    // ---- positions ----

    /// The edge that is being taken, or that the block ends with if nothing else can come.
    fn pending_edge(&self, position: &Position) -> Option<&'a BlockCall> {
        let terminator = &self.func.blocks[position.block].terminator;
        if let Some(edge) = position.edge {
            return nth_edge(terminator, edge);
        }
        let rest = &self.func.blocks[position.block].insts[position.next..];
        if rest.iter().any(|&inst| self.must_execute(inst)) {
            return None;
        }
        match terminator {
            Terminator::Jump(call) => Some(call),
            // Both ways lead to the same place with the same arguments.
            Terminator::Branch { then_target, else_target, .. } if self.is_same_edge(then_target, else_target) => {
                Some(then_target)
            }
            Terminator::Switch { targets, default, .. }
                if targets.iter().all(|target| self.is_same_edge(target, default)) =>
            {
                Some(default)
            }
            _ => None,
        }
    }

    fn is_same_edge(&self, a: &BlockCall, b: &BlockCall) -> bool {
        let expression = |value: &Value| self.expressions.of(self.func, *value);
        let (a, b) = (self.through_empty_blocks(a), self.through_empty_blocks(b));
        a.block == b.block && a.args.iter().map(expression).eq(b.args.iter().map(expression))
    }

    /// Where an edge without arguments leads after blocks that only jump on.
    fn through_empty_blocks<'b>(&'b self, mut call: &'b BlockCall) -> &'b BlockCall {
        for _ in 0..self.func.blocks.len() {
            let data = &self.func.blocks[call.block];
            match &data.terminator {
                Terminator::Jump(next)
                    if data.params.is_empty() && data.insts.iter().all(|&inst| !self.needed[inst]) =>
                {
                    call = next;
                }
                _ => break,
            }
        }
        call
    }

    /// Whether the instruction cannot be left out.
    fn must_execute(&self, inst: Inst) -> bool {
        !self.effects.0[inst].is_removable_if_unused()
    }

    /// Completes the edge that is being taken. The values are renamed: what was an argument is the parameter now.
    fn complete_edge(&mut self, thread: &mut Thread) -> Checked<()> {
        let Some(call) = self.pending_edge(&thread.position) else {
            return self
                .error(thread, "control goes on where the block's instructions and terminator are still to come");
        };
        if let Some(&inst) = thread.position.pending.iter().find(|&&inst| self.must_execute(inst)) {
            let name = Opcode::of(self.func.operator(inst)).name();
            return self.error(thread, format!("{inst} ({name}) was not executed"));
        }
        let to = call.block;
        let one_way = self.cfg.predecessors(to).len() == 1;
        // What may be left out may also be executed later, where no other way leads to.
        let mut pending = std::mem::take(&mut thread.position.pending);
        if one_way {
            let rest = &self.func.blocks[thread.position.block].insts[thread.position.next..];
            pending.extend(rest.iter().copied().filter(|&inst| !self.effects.0[inst].is_pure()));
        } else {
            pending.clear();
            let params: SmallVec<[(Expression, Expression); 4]> = self.func.blocks[to]
                .params
                .iter()
                .zip(&call.args)
                .map(|(&param, &argument)| {
                    (self.expressions.of(self.func, argument), self.expressions.of(self.func, param))
                })
                .collect();
            let State { locals, stack } = &mut thread.state;
            for known in locals.iter_mut().chain(stack) {
                if known.is_empty() {
                    continue;
                }
                let mut renamed = Known::new();
                for &expression in known.iter() {
                    renamed.extend(params.iter().filter(|(old, _)| *old == expression).map(|&(_, new)| new));
                    if self.expressions.survives_entering(expression, to, &self.dominators) {
                        renamed.push(expression);
                    }
                }
                renamed.sort_unstable();
                renamed.dedup();
                *known = renamed;
            }
        }
        thread.position = Position { block: to, next: 0, pending, edge: None };
        Ok(())
    }

    /// Arrives at the label of a frame.
    fn arrive(&mut self, mut thread: Thread, frame: FrameId, arrival: Arrival) -> Checked<()> {
        let data = &self.frames.frames[frame];
        let (arity, kind, is_back) = (data.label_arity(), data.kind, thread.at != data.start);
        let Some(carried) = thread.state.stack.len().checked_sub(arity).filter(|&at| at >= self.heights[frame]) else {
            return self.error(&thread, "the operand stack lacks the values that the label takes");
        };
        let values = thread.state.stack.split_off(carried);
        thread.state.stack.truncate(self.heights[frame]);
        thread.state.stack.extend(values);
        if kind == FrameKind::Function {
            return self.return_values(&mut thread);
        }
        let completes = arrival == Arrival::Edge && self.pending_edge(&thread.position).is_some();
        if kind == FrameKind::Loop && is_back && !completes && arrival != Arrival::Defined {
            // Else code could go around for ever while the function stands still.
            return self.error(&thread, "a branch back to a loop takes no edge of the function");
        }
        if completes {
            self.complete_edge(&mut thread)?;
            // Blocks that only jump on have no code, so control does not stop there.
            for _ in 0..self.func.blocks.len() {
                let data = &self.func.blocks[thread.position.block];
                let only_jumps =
                    matches!(data.terminator, Terminator::Jump(_)) && data.insts.iter().all(|&inst| !self.needed[inst]);
                if !only_jumps {
                    break;
                }
                self.complete_edge(&mut thread)?;
            }
        }
        match self.labels.entry((frame, thread.position)) {
            indexmap::map::Entry::Vacant(entry) => {
                self.work.push(entry.index());
                entry.insert(thread.state);
            }
            indexmap::map::Entry::Occupied(mut entry) => {
                let index = entry.index();
                let (known, new) = (entry.get().stack.len(), thread.state.stack.len());
                if known != new {
                    let message = format!("the operand stack has {new} values where it had {known} on another way");
                    return Err(CheckError { position: thread.at, block: None, message });
                }
                if intersect(entry.get_mut(), &thread.state) && !self.work.contains(&index) {
                    self.work.push(index);
                }
            }
        }
        Ok(())
    }

    // ---- operators ----

    /// Whether one of the known expressions is that of the value.
    fn is_value(&self, known: &Known, value: Value) -> bool {
        known.contains(&self.expressions.of(self.func, value))
    }

    /// Whether the values on top of the stack are these.
    fn are_values(&self, thread: &Thread, values: &[Value]) -> bool {
        let Some(start) = thread.state.stack.len().checked_sub(values.len()) else { return false };
        thread.state.stack[start..].iter().zip(values).all(|(known, &value)| self.is_value(known, value))
    }

    /// Executes an operator without labels. Says whether control goes on.
    fn operator(&mut self, thread: &mut Thread, operator: OperatorId) -> Checked<bool> {
        let opcode = Opcode::of(&self.func.operators[operator]);
        if let Some((operand_count, result_count)) = self.pure_arity(operator)
            && self.try_pure(thread, operator, operand_count, result_count)
        {
            return Ok(true);
        }
        if self.try_instruction(thread, operator)? {
            return Ok(true);
        }
        // Not an instruction of the block, so it must be its terminator.
        self.reach_terminator(thread, opcode.name())?;
        let func = self.func;
        match &func.blocks[thread.position.block].terminator {
            Terminator::TailCall { operator: expected, args } => {
                if !self.is_same_operator(*expected, operator) || !self.are_values(thread, args) {
                    return self.error(
                        thread,
                        format!("{} is not the block's tail call, or has other operands", opcode.name()),
                    );
                }
                Ok(false)
            }
            Terminator::Invoke(_) => self.invoke(thread, operator, &[], &[]),
            _ => self.error(
                thread,
                format!("{} with these operands is no instruction of the block that may come here", opcode.name()),
            ),
        }
    }

    fn is_same_operator(&self, a: OperatorId, b: OperatorId) -> bool {
        a == b || self.func.operators[a] == self.func.operators[b]
    }

    /// How many operands and results an operator has, where that does not depend on its immediates.
    fn pure_arity(&self, operator: OperatorId) -> Option<(usize, usize)> {
        Opcode::of(&self.func.operators[operator]).fixed_arity()
    }

    /// Executes an operator as a pure one, if it is one or if the function computes the same as a pure one.
    fn try_pure(&mut self, thread: &mut Thread, operator: OperatorId, operands: usize, results: usize) -> bool {
        const MAX_COMBINATIONS: usize = 16;
        let Some(start) = thread.state.stack.len().checked_sub(operands) else { return false };
        let mut combinations: Vec<SmallVec<[Expression; 3]>> = vec![SmallVec::new()];
        for known in &thread.state.stack[start..] {
            let mut longer = Vec::new();
            for combination in &combinations {
                for &expression in known {
                    if longer.len() < MAX_COMBINATIONS {
                        let mut combination = combination.clone();
                        combination.push(expression);
                        longer.push(combination);
                    }
                }
            }
            combinations = longer;
        }
        let mut known: SmallVec<[Known; 2]> = SmallVec::from_elem(Known::new(), results);
        let mut computed = false;
        for combination in &combinations {
            for (result, known) in known.iter_mut().enumerate() {
                let expression = self.expressions.pure(operator, result, combination, &self.dominators);
                computed |= self.expressions.is_computed_by_function(expression);
                known.push(expression);
            }
        }
        if !computed && !self.is_pure_operator[crate::entity::Entity::index(operator)] {
            return false;
        }
        thread.state.stack.truncate(start);
        for mut known in known {
            known.sort_unstable();
            known.dedup();
            thread.state.stack.push(known);
        }
        true
    }

    /// Executes an operator with effects, if it is an instruction of the block that may come now.
    fn try_instruction(&mut self, thread: &mut Thread, operator: OperatorId) -> Checked<bool> {
        for _ in 0..=self.func.blocks.len() {
            if thread.position.edge.is_none() {
                for at in 0..thread.position.pending.len() {
                    let inst = thread.position.pending[at];
                    if self.is_instruction(thread, inst, operator)
                        && !self.conflicts_with_any(&thread.position.pending[..at], inst)
                    {
                        thread.position.pending.remove(at);
                        self.forget_conflicting(thread, at, inst);
                        self.execute_instruction(thread, inst)?;
                        return Ok(true);
                    }
                }
                let insts = &self.func.blocks[thread.position.block].insts;
                let mut at = thread.position.next;
                let mut skipped: SmallVec<[Inst; 8]> = SmallVec::new();
                while at < insts.len() {
                    let inst = insts[at];
                    at += 1;
                    if self.effects.0[inst].is_pure() {
                        continue;
                    }
                    if self.is_instruction(thread, inst, operator)
                        && !self.conflicts_with_any(&thread.position.pending, inst)
                        && !self.conflicts_with_any(&skipped, inst)
                    {
                        thread.position.next = at;
                        thread.position.pending.extend(skipped);
                        self.forget_conflicting(thread, usize::MAX, inst);
                        self.execute_instruction(thread, inst)?;
                        return Ok(true);
                    }
                    skipped.push(inst);
                }
            }
            // The next block of a chain, if nothing is left to do here.
            match self.pending_edge(&thread.position) {
                Some(call) if self.cfg.predecessors(call.block).len() == 1 || thread.position.edge.is_some() => {
                    if thread.position.pending.iter().any(|&inst| self.must_execute(inst)) {
                        return Ok(false);
                    }
                    self.complete_edge(thread)?;
                }
                _ => return Ok(false),
            }
        }
        Ok(false)
    }

    fn is_instruction(&self, thread: &Thread, inst: Inst, operator: OperatorId) -> bool {
        self.is_same_operator(self.func.operator_id(inst), operator)
            && self.are_values(thread, self.func.operands(inst))
    }

    /// Whether an instruction that must still be executed conflicts with `inst`.
    fn conflicts_with_any(&self, earlier: &[Inst], inst: Inst) -> bool {
        earlier
            .iter()
            .any(|&earlier| self.needed[earlier] && self.effects.0[earlier].conflicts_with(&self.effects.0[inst]))
    }

    /// What was to come before `inst` (the first `earlier` of what is pending) and conflicts with it cannot be executed any more. None of it had to be.
    fn forget_conflicting(&self, thread: &mut Thread, earlier: usize, inst: Inst) {
        let effects = &self.effects.0;
        let mut at = 0;
        thread.position.pending.retain(|pending| {
            at += 1;
            at > earlier || !effects[*pending].conflicts_with(&effects[inst])
        });
    }

    fn execute_instruction(&mut self, thread: &mut Thread, inst: Inst) -> Checked<()> {
        if self.effects.0[inst].flags.intersects(EffectFlags::THROWS) && !self.active_clauses(thread.frame).is_empty() {
            return self.error(thread, "what may throw is within a try_table that the function does not have here");
        }
        let rest = thread.state.stack.len() - self.func.operands(inst).len();
        thread.state.stack.truncate(rest);
        for result in self.func.inst_results(inst) {
            thread.state.stack.push([self.expressions.of(self.func, result)].into_iter().collect());
        }
        Ok(())
    }

    // ---- terminators ----

    /// Goes on to the end of the current block, along edges that are being taken.
    fn reach_terminator(&mut self, thread: &mut Thread, what: &str) -> Checked<()> {
        for _ in 0..=self.func.blocks.len() {
            if self.pending_edge(&thread.position).is_none() {
                break;
            }
            self.complete_edge(thread)?;
        }
        let data = &self.func.blocks[thread.position.block];
        let rest = data.insts[thread.position.next..].iter();
        let mut missing = thread.position.pending.iter().chain(rest).filter(|&&inst| self.must_execute(inst));
        match missing.next() {
            None => Ok(()),
            Some(&inst) => {
                let name = Opcode::of(self.func.operator(inst)).name();
                self.error(thread, format!("{what} comes before {inst} ({name}), which was not executed"))
            }
        }
    }

    fn edge_position(&self, position: &Position, edge: u32) -> Position {
        let mut pending = position.pending.clone();
        let rest = &self.func.blocks[position.block].insts[position.next..];
        pending.extend(rest.iter().copied().filter(|&inst| !self.effects.0[inst].is_pure()));
        let next = self.func.blocks[position.block].insts.len();
        Position { block: position.block, next, pending, edge: Some(edge) }
    }

    /// A two-way branch: where it leads if the condition is not zero, and if it is.
    fn branch(&mut self, thread: &mut Thread, condition: &Known) -> Checked<Sides> {
        let constant = condition.iter().find_map(|&expression| self.expressions.as_i32(expression));
        // Operands that are on the stack stay known while edges are completed.
        let depth = thread.state.stack.len();
        thread.state.stack.push(condition.clone());
        let before = (constant.is_some()).then(|| (thread.position.clone(), thread.state.clone()));
        let reached = self.reach_terminator(thread, "a branch");
        let condition = thread.state.stack.get(depth).cloned().unwrap_or_default();
        thread.state.stack.truncate(depth);
        if reached.is_ok()
            && let Terminator::Branch { condition: expected, .. } = &self.func.blocks[thread.position.block].terminator
        {
            let expected = self.expressions.truth(self.expressions.of(self.func, *expected));
            for &expression in &condition {
                let (decides, inverted) = self.expressions.truth(expression);
                if decides == expected.0 {
                    let sides = (self.edge_position(&thread.position, 0), self.edge_position(&thread.position, 1));
                    let (if_true, if_false) = if inverted == expected.1 { sides } else { (sides.1, sides.0) };
                    return Ok(Sides { if_true: Some(if_true), if_false: Some(if_false), arrival: Arrival::Edge });
                }
            }
        }
        match (constant, before) {
            // Emission's own branch on a label of a loop with several entries.
            (Some(constant), Some((position, mut state))) if position.is_start() => {
                state.stack.truncate(depth);
                thread.state = state;
                let (if_true, if_false) = if constant != 0 { (Some(position), None) } else { (None, Some(position)) };
                Ok(Sides { if_true, if_false, arrival: Arrival::Dispatched })
            }
            _ => {
                reached?;
                self.error(thread, "the condition is not that of the block's branch")
            }
        }
    }

    fn branch_table(&mut self, mut thread: Thread, number: u32) -> Checked<()> {
        let func = self.func;
        let labels = &self.body.branch_tables[number as usize];
        let (default_label, entries) = labels.split_last().expect("a br_table has a default");
        let label_of_entry = |index: usize| *entries.get(index).unwrap_or(default_label);
        let index = self.pop(&mut thread)?;
        let depth = thread.state.stack.len();
        if let Some(constant) = index.iter().find_map(|&expression| self.expressions.as_i32(expression))
            && !matches!(func.blocks[thread.position.block].terminator, Terminator::Switch { .. })
            && thread.position.is_start()
        {
            // Emission's own: the edge was completed where the loop with several entries is entered.
            let frame = self.frames.label(thread.frame, label_of_entry(constant as u32 as usize));
            return self.arrive(thread, frame, Arrival::Dispatched);
        }
        thread.state.stack.push(index);
        self.reach_terminator(&mut thread, "br_table")?;
        let index = thread.state.stack.pop().unwrap_or_default();
        thread.state.stack.truncate(depth);
        match &func.blocks[thread.position.block].terminator {
            Terminator::Switch { index: expected, targets, .. } => {
                if !self.is_value(&index, *expected) {
                    return self.error(&thread, "the index is not that of the block's table");
                }
                let mut seen: SmallVec<[(u32, u32); 16]> = SmallVec::new();
                for entry in 0..entries.len().max(targets.len()) + 1 {
                    let edge = entry.min(targets.len()) as u32;
                    let label = label_of_entry(entry);
                    // Large tables have few distinct targets.
                    if seen.last() == Some(&(label, edge)) {
                        continue;
                    }
                    seen.push((label, edge));
                }
                seen.sort_unstable();
                seen.dedup();
                for (label, edge) in seen {
                    let frame = self.frames.label(thread.frame, label);
                    let position = self.edge_position(&thread.position, edge);
                    let state = thread.state.clone();
                    self.arrive(Thread { at: thread.at, frame: thread.frame, position, state }, frame, Arrival::Edge)?;
                }
                Ok(())
            }
            _ => self.error(&thread, "the block does not end with a table"),
        }
    }

    fn return_values(&mut self, thread: &mut Thread) -> Checked<()> {
        self.reach_terminator(thread, "return")?;
        match &self.func.blocks[thread.position.block].terminator {
            Terminator::Return(values) if self.are_values(thread, values) => Ok(()),
            Terminator::Return(_) => self.error(thread, "the results are not those of the block's return"),
            _ => self.error(thread, "the block does not end with a return"),
        }
    }

    fn unreachable(&mut self, thread: &mut Thread) -> Checked<()> {
        self.reach_terminator(thread, "unreachable")?;
        match &self.func.blocks[thread.position.block].terminator {
            Terminator::Unreachable => Ok(()),
            _ => self.error(thread, "the block does not end with unreachable"),
        }
    }

    /// `br_on_*` and `resume*`. Says whether control goes on.
    fn labelled(&mut self, thread: &mut Thread, number: u32) -> Checked<bool> {
        let func = self.func;
        let labelled = &self.body.labelled[number as usize];
        let opcode = Opcode::of(&func.operators[labelled.operator]);
        if matches!(opcode, Opcode::Resume | Opcode::ResumeThrow | Opcode::ResumeThrowRef) {
            self.reach_terminator(thread, opcode.name())?;
            return self.invoke(thread, labelled.operator, &labelled.labels, &labelled.clauses);
        }
        self.reach_terminator(thread, opcode.name())?;
        let reference = self.pop(thread)?;
        let Terminator::BranchOnReference { operator, reference: expected, taken, not_taken } =
            &func.blocks[thread.position.block].terminator
        else {
            return self.error(thread, "the block does not end with a branch on a reference");
        };
        if !self.is_value(&reference, *expected) {
            return self.error(thread, "the reference is not that of the block's branch");
        }
        let (expected, found) = (&func.operators[*operator], &func.operators[labelled.operator]);
        let inverted = match reference_branch_sense(expected, found) {
            Some(inverted) => inverted,
            None => return self.error(thread, "the test is not that of the block's branch"),
        };
        let (to_label, on) = if inverted { (*not_taken, *taken) } else { (*taken, *not_taken) };
        let names = |block: Block| -> SmallVec<[Known; 1]> {
            let params = func.blocks[block].params.iter();
            params.map(|&param| [self.expressions.of(func, param)].into_iter().collect()).collect()
        };
        let (at_label, here) = (names(to_label), names(on));
        let mut state = thread.state.clone();
        state.stack.extend(at_label);
        let frame = self.frames.label(thread.frame, labelled.labels[0]);
        let position = Position::start_of(to_label);
        self.arrive(Thread { at: thread.at, frame: thread.frame, position, state }, frame, Arrival::Defined)?;
        thread.state.stack.extend(here);
        thread.position = Position::start_of(on);
        Ok(true)
    }

    /// The clauses of the `try_table`s around, innermost first, with the frames that they lead to.
    fn active_clauses(&self, mut frame: FrameId) -> Vec<(Catch, FrameId)> {
        let mut clauses = Vec::new();
        while frame != 0 {
            let data = &self.frames.frames[frame];
            if let FrameKind::Try(number) = data.kind {
                for catch in &self.body.try_tables[number as usize].catches {
                    clauses.push((*catch, self.frames.label(data.parent, label_of(catch))));
                }
            }
            frame = data.parent;
        }
        clauses
    }

    /// The block's invocation, with the labels of a resume table.
    fn invoke(
        &mut self,
        thread: &mut Thread,
        operator: OperatorId,
        labels: &[u32],
        clauses: &[Handle],
    ) -> Checked<bool> {
        let func = self.func;
        let Terminator::Invoke(invoke) = &func.blocks[thread.position.block].terminator else {
            return self.error(thread, "the block does not end with an invocation");
        };
        let name = Opcode::of(&func.operators[operator]).name();
        if !is_same_invocation(&func.operators[invoke.operator], &func.operators[operator])
            || !self.are_values(thread, &invoke.args)
        {
            return self.error(thread, format!("{name} is not the block's invocation, or has other operands"));
        }
        let rest = thread.state.stack.len() - invoke.args.len();
        thread.state.stack.truncate(rest);

        // The clauses as they are searched, both ways of writing them.
        let mut expected = reachable_clauses(invoke.handlers.iter().map(|&handler| Clause::of(handler)));
        expected.sort_by_key(|(clause, _)| matches!(clause, Clause::Catch(_) | Clause::CatchAll(_)));
        let mut found: Vec<(Clause, Option<FrameId>)> = Vec::new();
        let mut labels = labels.iter();
        for clause in clauses {
            found.push(match *clause {
                Handle::OnLabel { tag, .. } => {
                    let Some(&label) = labels.next() else {
                        return self.error(thread, "a clause of the resume table has no label");
                    };
                    (Clause::Suspension(tag), Some(self.frames.label(thread.frame, label)))
                }
                Handle::OnSwitch { tag } => (Clause::Switch(tag), None),
            });
        }
        for (catch, frame) in self.active_clauses(thread.frame) {
            let clause = match catch {
                Catch::One { tag, .. } => Clause::Catch((tag, false)),
                Catch::OneRef { tag, .. } => Clause::Catch((tag, true)),
                Catch::All { .. } => Clause::CatchAll(false),
                Catch::AllRef { .. } => Clause::CatchAll(true),
            };
            found.push((clause, Some(frame)));
        }
        let found = reachable_clauses(found.into_iter());
        if found.len() != expected.len() || found.iter().zip(&expected).any(|(found, expected)| found.0 != expected.0) {
            return self.error(thread, format!("the handlers of {name} are not the function's"));
        }
        for ((_, frame), (_, block)) in found.into_iter().zip(expected) {
            if let (Some(frame), Some(block)) = (frame, block) {
                let mut state = thread.state.clone();
                for &param in &func.blocks[block].params {
                    state.stack.push([self.expressions.of(func, param)].into_iter().collect());
                }
                let position = Position::start_of(block);
                // What is on the operand stack above the label's height is dropped; the payload is what the label takes.
                self.arrive(Thread { at: thread.at, frame: thread.frame, position, state }, frame, Arrival::Defined)?;
            }
        }
        let Some(normal) = invoke.normal else { return Ok(false) };
        for &param in &func.blocks[normal].params {
            thread.state.stack.push([self.expressions.of(func, param)].into_iter().collect());
        }
        thread.position = Position::start_of(normal);
        Ok(true)
    }
}

/// A clause, without where it leads. Exceptions: the tag, and whether the reference is wanted.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Clause {
    Suspension(u32),
    Switch(u32),
    Catch((u32, bool)),
    CatchAll(bool),
}

impl Clause {
    fn of(handler: Handler) -> (Self, Option<Block>) {
        let clause = match handler {
            Handler::Suspension { tag, .. } => Self::Suspension(tag.as_u32()),
            Handler::Switch { tag } => Self::Switch(tag.as_u32()),
            Handler::Catch { tag, .. } => Self::Catch((tag.as_u32(), false)),
            Handler::CatchRef { tag, .. } => Self::Catch((tag.as_u32(), true)),
            Handler::CatchAll { .. } => Self::CatchAll(false),
            Handler::CatchAllRef { .. } => Self::CatchAll(true),
        };
        (clause, handler.block())
    }
}

/// The clauses that a search can end at: a clause of a tag that an earlier clause of its kind has takes nothing. (An imported tag may be another
/// import's equal, so clauses of different tags stay in order.)
fn reachable_clauses<T>(clauses: impl Iterator<Item = (Clause, T)>) -> Vec<(Clause, T)> {
    let mut kept: Vec<(Clause, T)> = Vec::new();
    for (clause, to) in clauses {
        let is_exception = matches!(clause, Clause::Catch(_) | Clause::CatchAll(_));
        let is_shadowed = kept.iter().any(|(earlier, _)| match (*earlier, clause) {
            (Clause::CatchAll(_), _) => is_exception,
            (Clause::Catch((earlier, _)), Clause::Catch((tag, _))) => earlier == tag,
            (Clause::Suspension(earlier), Clause::Suspension(tag)) | (Clause::Switch(earlier), Clause::Switch(tag)) => {
                earlier == tag
            }
            _ => false,
        });
        if !is_shadowed {
            kept.push((clause, to));
        }
    }
    kept
}

/// Whether two operators are the same invocation; labels and clauses of resume tables are compared elsewhere.
fn is_same_invocation(expected: &Operator<'_>, found: &Operator<'_>) -> bool {
    use Operator as O;
    match (expected, found) {
        (O::Resume { cont_type_index: a, .. }, O::Resume { cont_type_index: b, .. })
        | (O::ResumeThrowRef { cont_type_index: a, .. }, O::ResumeThrowRef { cont_type_index: b, .. }) => a == b,
        (
            O::ResumeThrow { cont_type_index: a, tag_index: tag_a, .. },
            O::ResumeThrow { cont_type_index: b, tag_index: tag_b, .. },
        ) => a == b && tag_a == tag_b,
        _ => expected == found,
    }
}

/// Whether a branch on a reference is another one: `Some(false)` the same, `Some(true)` with its sides exchanged.
fn reference_branch_sense(expected: &Operator<'_>, found: &Operator<'_>) -> Option<bool> {
    use Operator as O;
    match (expected, found) {
        (O::BrOnNull { .. }, O::BrOnNull { .. }) | (O::BrOnNonNull { .. }, O::BrOnNonNull { .. }) => Some(false),
        (O::BrOnNull { .. }, O::BrOnNonNull { .. }) | (O::BrOnNonNull { .. }, O::BrOnNull { .. }) => Some(true),
        (
            O::BrOnCast { from_ref_type: from_a, to_ref_type: to_a, .. },
            O::BrOnCast { from_ref_type: from_b, to_ref_type: to_b, .. },
        )
        | (
            O::BrOnCastFail { from_ref_type: from_a, to_ref_type: to_a, .. },
            O::BrOnCastFail { from_ref_type: from_b, to_ref_type: to_b, .. },
        ) if (from_a, to_a) == (from_b, to_b) => Some(false),
        (
            O::BrOnCast { from_ref_type: from_a, to_ref_type: to_a, .. },
            O::BrOnCastFail { from_ref_type: from_b, to_ref_type: to_b, .. },
        )
        | (
            O::BrOnCastFail { from_ref_type: from_a, to_ref_type: to_a, .. },
            O::BrOnCast { from_ref_type: from_b, to_ref_type: to_b, .. },
        ) if (from_a, to_a) == (from_b, to_b) => Some(true),
        _ => None,
    }
}

fn nth_edge(terminator: &Terminator, edge: u32) -> Option<&BlockCall> {
    match terminator {
        Terminator::Jump(call) => (edge == 0).then_some(call),
        Terminator::Branch { then_target, else_target, .. } => match edge {
            0 => Some(then_target),
            1 => Some(else_target),
            _ => None,
        },
        Terminator::Switch { targets, default, .. } => {
            if edge as usize == targets.len() {
                Some(default)
            } else {
                targets.get(edge as usize)
            }
        }
        _ => None,
    }
}

/// Keeps what is known in both states. Says whether that is less than before.
fn intersect(state: &mut State, other: &State) -> bool {
    let mut shrunk = false;
    let places = state.locals.iter_mut().zip(&other.locals).chain(state.stack.iter_mut().zip(&other.stack));
    for (known, other) in places {
        let before = known.len();
        known.retain(|expression| other.contains(expression));
        shrunk |= known.len() != before;
    }
    shrunk
}

/// The constant that a local of this type starts with, if it has one.
fn initial_value(ty: ValType) -> Option<Operator<'static>> {
    Some(match ty {
        ValType::I32 => Operator::I32Const { value: 0 },
        ValType::I64 => Operator::I64Const { value: 0 },
        ValType::F32 => Operator::F32Const { value: 0.0f32.into() },
        ValType::F64 => Operator::F64Const { value: 0.0f64.into() },
        ValType::V128 => Operator::V128Const { value: 0i128.into() },
        ValType::Ref(reference) if reference.is_nullable() => {
            // The null of a type and of its bottom type are one value, but the function says which type it wrote.
            let hty: HeapType = reference.heap_type();
            Operator::RefNull { hty }
        }
        ValType::Ref(_) => return None,
    })
}
