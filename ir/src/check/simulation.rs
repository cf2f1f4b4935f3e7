//! The symbolic execution of emitted code along with the function.

use super::expressions::{Expression, Expressions};
use super::frames::{FrameId, FrameKind, Frames};
use super::function::{Facts, Function, Position};
use super::state::{Known, State, only};
use super::{Assumptions, CheckError};
use crate::effects::EffectsEnvironment;
use crate::emit::{CodeItem, EmittedBody};
use crate::entity::SecondaryMap;
use crate::func::{Block, BlockCall, Func, Value};
use crate::operator::default_operator;
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};
use wasmparser::Operator;

/// Where the execution of emitted code stands.
#[derive(Clone)]
pub(super) struct Thread {
    pub at: usize,
    pub frame: FrameId,
    pub position: Position,
    pub state: State,
    /// The label that it began at.
    origin: Option<usize>,
    /// Whether the function has moved since then.
    has_moved: bool,
    /// How many of the instructions that the next operator may be are to be passed over, because taking it for them failed.
    pub passed_over: usize,
    /// The conditions of choices that the function passed by itself, since they make no difference, while the code may still make them. Known until
    /// the function moves along with the code, or a label if they are assumed not to stay.
    pub passed_choices: SmallVec<[Expression; 2]>,
}

/// A label, a position that the function may be in when control arrives there, and what keeps apart states that must not be merged.
#[derive(Clone, PartialEq, Eq, Hash)]
struct LabelKey {
    frame: FrameId,
    position: Position,
    selectors: SmallVec<[Option<i32>; 2]>,
}

/// What is known at a label.
struct Label {
    state: State,
    /// The choices that the function passed before on all ways here, and that the code may still make.
    passed_choices: SmallVec<[Expression; 2]>,
    /// The labels that control comes from without a move of the function.
    idle_origins: SmallVec<[usize; 2]>,
}

/// Which of several instructions an operator is taken for, by its position in the code: how many of them are passed over.
pub(super) type Readings = BTreeMap<usize, usize>;

/// The symbolic execution.
pub(super) struct Simulation<'a> {
    pub function: Function<'a>,
    pub body: &'a EmittedBody,
    pub expressions: Expressions,
    pub frames: Frames,
    /// The height of the operand stack below each frame's parameters, once it was entered.
    heights: Vec<usize>,
    labels: IndexMap<LabelKey, Label, FxBuildHasher>,
    /// Labels that are to be executed from, those first that come first in the code.
    work: BTreeSet<(usize, usize)>,
    /// Locals whose constant values tell ways apart: the labels by which emission enters loops with several entries, and states that the function
    /// switches on.
    selectors: &'a [u32],
    /// Locals that the code branched on without the function, and whose value was not known: perhaps they are such labels.
    pub suspects: BTreeSet<u32>,
    /// Locals that the function's own tables were indexed with, and whose value was not known: perhaps it was on each of the ways that met.
    pub switch_locals: BTreeSet<u32>,
    assumptions: Assumptions,
    /// Whether a thread came to a label with choices that the function had passed, and they did not stay.
    pub choices_were_forgotten: bool,
    /// How many of the instructions that an operator may be are passed over from the start, by its position in the code.
    pub readings: &'a Readings,
    /// How many instructions an operator could be, by its position, where that was more than one.
    pub reading_counts: BTreeMap<usize, usize>,
    /// Where an operator could have been another instruction, since the last label.
    pub choices: Vec<Thread>,
    /// How many more of these may be tried.
    pub attempts: usize,
    /// Threads in which the function took other edges where the code did not choose.
    pub forked: Vec<Thread>,
    /// How many more of these may be made.
    pub forks: usize,
    /// The last round of [`Self::settle`] that came to a block.
    visited_in: SecondaryMap<Block, u64>,
    round: u64,
}

pub(super) type Checked<T> = Result<T, CheckError>;

/// How often a choice of the function is followed on all ways because the code does not make it, in one function.
const MAX_FORKS: usize = 500;
/// How often an operator is taken for another instruction than before, in one function.
const MAX_ATTEMPTS: usize = 2000;

impl<'a> Simulation<'a> {
    pub(super) fn new(
        func: &'a Func,
        body: &'a EmittedBody,
        environment: &impl EffectsEnvironment,
        selectors: &'a [u32],
        readings: &'a Readings,
        assumptions: Assumptions,
    ) -> Checked<Self> {
        let facts = Facts::new(func, environment);
        let expressions = Expressions::new(func, &facts);
        let frames = Frames::new(body, func.results.len()).map_err(|(position, message)| CheckError {
            position,
            block: None,
            message,
        })?;
        Ok(Self {
            function: Function::new(func, facts, &expressions, assumptions.choices_are_left_out),
            heights: vec![0; frames.frames.len()],
            body,
            expressions,
            frames,
            labels: IndexMap::default(),
            work: BTreeSet::new(),
            selectors,
            suspects: BTreeSet::new(),
            switch_locals: BTreeSet::new(),
            assumptions,
            choices_were_forgotten: false,
            readings,
            reading_counts: BTreeMap::new(),
            choices: Vec::new(),
            attempts: MAX_ATTEMPTS,
            forked: Vec::new(),
            forks: MAX_FORKS,
            visited_in: SecondaryMap::with_default_and_len(0, func.blocks.len()),
            round: 0,
        })
    }

    pub(super) fn run(&mut self) -> Checked<()> {
        let func = self.function.func;
        let mut locals: Vec<Known> = Vec::new();
        for &param in &func.blocks[func.entry].params {
            locals.push(self.expressions.known(func, param));
        }
        for &(count, ty) in &self.body.locals {
            // Locals start as zero or null, which the function has as a constant.
            let initial = default_operator(ty).map_or_else(Known::new, |value| only(self.expressions.constant(value)));
            locals.extend((0..count).map(|_| initial.clone()));
        }
        let undefined = func.undefined_values().map(|value| self.expressions.of(func, value));
        let mut thread = Thread {
            at: 0,
            frame: 0,
            position: Position::start_of(func.entry),
            state: State::new(&locals, undefined),
            origin: None,
            has_moved: false,
            passed_over: 0,
            passed_choices: SmallVec::new(),
        };
        self.settle(&mut thread);
        let mut threads = vec![thread];
        loop {
            while let Some(thread) = threads.pop().or_else(|| self.forked.pop()) {
                self.execute_or_try_again(thread, &mut threads)?;
            }
            let Some((at, label)) = self.work.pop_first() else { break };
            let (LabelKey { frame, position, .. }, Label { state, passed_choices, .. }) =
                self.labels.get_index(label).expect("labels are never removed");
            let data = &self.frames.frames[*frame];
            // A loop's label is its start; every other label is an end, whose code runs in the frame around it.
            let inside = if data.kind == FrameKind::Loop { *frame } else { data.parent };
            threads.push(Thread {
                at: at + 1,
                frame: inside,
                position: position.clone(),
                state: state.clone(),
                origin: Some(label),
                has_moved: false,
                passed_over: 0,
                passed_choices: passed_choices.clone(),
            });
        }
        self.check_progress()
    }

    /// Executes a thread. Where an operator could have been one of several instructions and what follows fits none of those tried so far, the next
    /// one is tried.
    fn execute_or_try_again(&mut self, thread: Thread, threads: &mut Vec<Thread>) -> Checked<()> {
        self.choices.clear();
        let (forked, pushed) = (self.forked.len(), threads.len());
        let mut outcome = self.execute(thread, threads);
        while outcome.is_err()
            && self.attempts > 0
            && let Some(choice) = self.choices.pop()
        {
            self.attempts -= 1;
            self.forked.truncate(forked);
            threads.truncate(pushed);
            match self.execute(choice, threads) {
                Ok(()) => outcome = Ok(()),
                // The first error is about the likeliest reading.
                Err(_) => continue,
            }
        }
        self.choices.clear();
        outcome
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
                    thread.state.set_local(local, known);
                }
                CodeItem::LocalTee(local) => {
                    let known = self.pop(&mut thread)?;
                    self.local(&thread, local)?;
                    thread.state.set_local(local, known.clone());
                    thread.state.stack.push(known);
                }
                CodeItem::Drop => {
                    self.pop(&mut thread)?;
                }
                CodeItem::I32Const(value) => {
                    let expression = self.expressions.constant(Operator::I32Const { value });
                    thread.state.push_computed(only(expression));
                }
                CodeItem::I32Eqz => {
                    let operand = self.pop(&mut thread)?;
                    let known = operand.iter().map(|&operand| self.expressions.negation(operand)).collect();
                    thread.state.push_computed(known);
                }
                CodeItem::RefAsNonNull => {
                    // Emission adds it where a value that cannot be null was kept in a local that can be.
                    let known = self.pop(&mut thread)?;
                    if !self.expressions.is_known_non_null(&known) {
                        return self.error(&thread, "ref.as_non_null of a value that is not known to be non-null");
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
                    self.enter_frame(&thread, frame)?;
                    thread.frame = frame;
                }
                CodeItem::Loop(_) => {
                    let frame = self.frames.at(thread.at);
                    self.enter_frame(&thread, frame)?;
                    if self.frames.frames[frame].is_target {
                        return self.arrive(thread, frame);
                    }
                    thread.frame = frame;
                }
                CodeItem::If(_) => {
                    let Some(if_true) = self.enter_if(thread, threads)? else { return Ok(()) };
                    thread = if_true;
                }
                CodeItem::Else => {
                    // The arm before falls through to the end.
                    let frame = self.frames.at(thread.at);
                    return self.arrive(thread, frame);
                }
                CodeItem::End => {
                    let frame = self.frames.at(thread.at);
                    let data = &self.frames.frames[frame];
                    if data.kind != FrameKind::Loop && (data.is_target || data.kind == FrameKind::If) {
                        return self.arrive(thread, frame);
                    }
                    thread.frame = data.parent;
                }
                CodeItem::Br(_) => {
                    let frame = self.frames.at(thread.at);
                    return self.arrive(thread, frame);
                }
                CodeItem::BrIf(_) => {
                    let Some(if_false) = self.branch_if(thread)? else { return Ok(()) };
                    thread = if_false;
                }
                CodeItem::BrTable(number) => return self.branch_table(thread, number),
                CodeItem::Return => return self.return_values(&mut thread),
                CodeItem::Unreachable => return self.unreachable(&mut thread),
            }
            thread.at += 1;
        }
    }

    /// Enters an `if`. The side of a false condition goes to `threads`, or to the end of the `if`. Returns the side of a true one, if it may be taken.
    fn enter_if(&mut self, mut thread: Thread, threads: &mut Vec<Thread>) -> Checked<Option<Thread>> {
        let condition = self.pop(&mut thread)?;
        let frame = self.frames.at(thread.at);
        self.enter_frame(&thread, frame)?;
        let (mut if_true, if_false) = self.branch(thread, &condition)?;
        if let Some(mut if_false) = if_false {
            match self.frames.frames[frame].or_else {
                Some(at) => {
                    (if_false.at, if_false.frame) = (at + 1, frame);
                    threads.push(if_false);
                }
                None => self.arrive(if_false, frame)?,
            }
        }
        if let Some(if_true) = &mut if_true {
            if_true.frame = frame;
        }
        Ok(if_true)
    }

    /// Takes a `br_if`. Returns the side that goes straight on, if it may be taken.
    fn branch_if(&mut self, mut thread: Thread) -> Checked<Option<Thread>> {
        let condition = self.pop(&mut thread)?;
        let frame = self.frames.at(thread.at);
        let (if_true, if_false) = self.branch(thread, &condition)?;
        if let Some(if_true) = if_true {
            self.arrive(if_true, frame)?;
        }
        Ok(if_false)
    }

    pub(super) fn error<T>(&self, thread: &Thread, message: impl Into<String>) -> Checked<T> {
        Err(CheckError { position: thread.at, block: Some(thread.position.block), message: message.into() })
    }

    fn local<'b>(&self, thread: &'b Thread, local: u32) -> Checked<&'b Known> {
        match thread.state.local(local) {
            Some(known) => Ok(known),
            None => self.error(thread, format!("there is no local {local}")),
        }
    }

    pub(super) fn pop(&self, thread: &mut Thread) -> Checked<Known> {
        match thread.state.stack.pop() {
            Some(known) => Ok(known),
            None => self.error(thread, "the operand stack is empty"),
        }
    }

    /// Whether one of the known expressions is that of the value, or the value is one that may be anything.
    pub(super) fn is_value(&self, thread: &Thread, known: &Known, value: Value) -> bool {
        let func = self.function.func;
        let expression = self.expressions.of(func, value);
        known.contains(&expression) || thread.state.is_undefined(expression)
    }

    /// Whether the values on top of the stack are these.
    pub(super) fn are_values(&self, thread: &Thread, values: &[Value]) -> bool {
        let Some(start) = thread.state.stack.len().checked_sub(values.len()) else { return false };
        thread.state.stack[start..].iter().zip(values).all(|(known, &value)| self.is_value(thread, known, value))
    }

    /// What is known of the values on top of the stack, for a message.
    pub(super) fn describe(&self, thread: &Thread, count: usize) -> String {
        const DEPTH: u32 = 3;
        const MAX_SHOWN: usize = 4;
        let start = thread.state.stack.len().saturating_sub(count);
        let describe = |known: &Known| {
            let texts: Vec<String> =
                known.iter().take(MAX_SHOWN).map(|&expression| self.expressions.describe(expression, DEPTH)).collect();
            if texts.is_empty() { "unknown".into() } else { texts.join(" = ") }
        };
        let texts: Vec<String> = thread.state.stack[start..].iter().map(describe).collect();
        texts.join(", ")
    }

    fn enter_frame(&mut self, thread: &Thread, frame: FrameId) -> Checked<()> {
        match thread.state.stack.len().checked_sub(self.frames.frames[frame].params) {
            Some(height) => {
                self.heights[frame] = height;
                Ok(())
            }
            None => self.error(thread, "the operand stack lacks the parameters of a block"),
        }
    }

    // ---- the function's side ----

    /// The function goes on as far as it can by itself.
    pub(super) fn settle(&mut self, thread: &mut Thread) {
        // In a cycle of blocks that do nothing it goes once around.
        self.round += 1;
        loop {
            self.function.skip_unneeded(&mut thread.position);
            let Some(call) = self.function.edge_onward(&thread.position) else { return };
            if std::mem::replace(&mut self.visited_in[call.block], self.round) == self.round {
                return;
            }
            if let Some(condition) = self.function.passed_choice(thread.position.block) {
                let condition = self.expressions.of(self.function.func, condition);
                thread.passed_choices.push(self.expressions.truth(condition).0);
            }
            self.take_edge(thread, call);
        }
    }

    /// The function takes an edge; it does not settle yet.
    fn take_edge(&mut self, thread: &mut Thread, call: &BlockCall) {
        let arguments = self.function.arguments(call, &self.expressions);
        let is_entered_again = self.function.facts.may_be_entered_again[call.block];
        thread.state.enter(call.block, is_entered_again, arguments, &mut self.expressions);
        thread.position = Position::start_of(call.block);
        thread.has_moved = true;
    }

    /// The function takes an edge that the emitted code chose.
    pub(super) fn take_chosen_edge(&mut self, thread: &mut Thread, call: &BlockCall) {
        thread.state.catch_up(&self.expressions);
        thread.passed_choices.clear();
        self.take_edge(thread, call);
        self.settle(thread);
    }

    /// The function enters a block whose parameters an instruction defines. They are pushed.
    pub(super) fn take_defining_edge(&mut self, thread: &mut Thread, block: Block) {
        let func = self.function.func;
        thread.state.catch_up(&self.expressions);
        let is_entered_again = self.function.facts.may_be_entered_again[block];
        thread.state.enter(block, is_entered_again, Vec::new(), &mut self.expressions);
        for &param in &func.blocks[block].params {
            thread.state.stack.push(self.expressions.known(func, param));
        }
        thread.position = Position::start_of(block);
        thread.has_moved = true;
        self.settle(thread);
    }

    /// The function has executed an instruction along with the emitted code.
    pub(super) fn moved(&mut self, thread: &mut Thread) {
        thread.state.catch_up(&self.expressions);
        thread.passed_choices.clear();
        thread.has_moved = true;
    }

    // ---- labels ----

    /// Arrives at the label of a frame.
    pub(super) fn arrive(&mut self, mut thread: Thread, frame: FrameId) -> Checked<()> {
        let data = &self.frames.frames[frame];
        let (arity, kind, start, end) = (data.label_arity(), data.kind, data.start, data.end);
        let Some(carried) = thread.state.stack.len().checked_sub(arity).filter(|&at| at >= self.heights[frame]) else {
            return self.error(&thread, "the operand stack lacks the values that the label takes");
        };
        let values = thread.state.stack.split_off(carried);
        thread.state.stack.truncate(self.heights[frame]);
        thread.state.stack.extend(values);
        if kind == FrameKind::Function {
            return self.return_values(&mut thread);
        }
        // What was guessed so far becomes part of what is known there.
        self.choices.clear();
        let selectors = self.selectors.iter().map(|&local| self.constant(thread.state.local(local)?)).collect();
        let Thread { at, position, state, origin, has_moved, mut passed_choices, .. } = thread;
        if !self.assumptions.passed_choices_stay {
            self.choices_were_forgotten |= !passed_choices.is_empty();
            passed_choices.clear();
        }
        let (index, is_new) = match self.labels.entry(LabelKey { frame, position, selectors }) {
            indexmap::map::Entry::Vacant(entry) => {
                let index = entry.index();
                entry.insert(Label { state, passed_choices, idle_origins: SmallVec::new() });
                (index, true)
            }
            indexmap::map::Entry::Occupied(mut entry) => {
                let (known, new) = (entry.get().state.stack.len(), state.stack.len());
                if known != new {
                    let message = format!("the operand stack has {new} values where it had {known} on another way");
                    return Err(CheckError { position: at, block: None, message });
                }
                let label = entry.get_mut();
                let before = label.passed_choices.len();
                label.passed_choices.retain(|choice| passed_choices.contains(choice));
                let is_news = label.state.intersect(&state) || label.passed_choices.len() < before;
                (entry.index(), is_news)
            }
        };
        if is_new {
            self.work.insert((if kind == FrameKind::Loop { start } else { end }, index));
        }
        if let Some(origin) = origin.filter(|_| !has_moved) {
            let origins = &mut self.labels[index].idle_origins;
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        }
        Ok(())
    }

    /// The constant that a value is known to be.
    pub(super) fn constant(&self, known: &Known) -> Option<i32> {
        known.iter().find_map(|&expression| self.expressions.as_i32(expression))
    }

    /// Code must not go round for ever where the function stands still.
    fn check_progress(&self) -> Checked<()> {
        #[derive(Copy, Clone, PartialEq)]
        enum Visit {
            New,
            Open,
            Done,
        }
        let mut visits = vec![Visit::New; self.labels.len()];
        let mut stack: Vec<(usize, usize)> = Vec::new();
        for root in 0..self.labels.len() {
            if visits[root] != Visit::New {
                continue;
            }
            visits[root] = Visit::Open;
            stack.push((root, 0));
            while let Some((label, next)) = stack.last_mut() {
                let (key, data) = self.labels.get_index(*label).expect("labels are never removed");
                let Some(&origin) = data.idle_origins.get(*next) else {
                    visits[*label] = Visit::Done;
                    stack.pop();
                    continue;
                };
                *next += 1;
                match visits[origin] {
                    Visit::Done => {}
                    Visit::New => {
                        visits[origin] = Visit::Open;
                        stack.push((origin, 0));
                    }
                    Visit::Open if self.function.goes_round(&key.position) => {}
                    Visit::Open => {
                        return Err(CheckError {
                            position: self.frames.frames[key.frame].start,
                            block: Some(key.position.block),
                            message: "the code goes round for ever where the function does not".into(),
                        });
                    }
                }
            }
        }
        Ok(())
    }
}
