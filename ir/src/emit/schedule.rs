//! Stages 4 and 5: operands onto the operand stack.
//!
//! Code is made from its end to its beginning. Whatever has been made so far comes later, so the use of a value that is met when no other is left
//! is the first one in the finished code, and the place for its definition (with a `tee` where there are later uses). Operands of an instruction
//! are made right to left. A definition may be used from the stack in two ways:
//!
//! * it *moves* to its use past everything that was not made yet and lies between, if that does not conflict;
//! * it stays *in place*: what lies between is made first, and finds the value below it on the stack. This works in one region only, and only if
//!   the operands to the left, which must be pushed before, are known there already.
//!
//! A parameter of a node behind a block may be in place as well: it is then the block's result.
//!
//! There is no recursion: work that remains is on an explicit stack.

use super::far_uses::far_uses;
use super::graph::{EdgeId, Exit, Graph, NONE, NodeId, Origin, index_u32};
use super::options::Options;
use super::structure::{FrameId, FrameKind, Item, Structure};
use crate::effects::EffectFlags;
use crate::entity::Entity;
use crate::func::{Func, Inst, OperatorId, Terminator, Value};
use wasmparser::Operator;

/// An instruction; locals are values still, labels are frames.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Operator(OperatorId),
    Get(Value),
    Set(Value),
    Tee(Value),
    /// A cast of what was read out of a local that may be null, and is not.
    AsNonNull,
    /// A block, loop, `try_table` or `if`.
    Open(FrameId),
    Else(FrameId),
    End(FrameId),
    Br(FrameId),
    BrIf(FrameId),
    /// The `br_table` of a node.
    Table(NodeId),
    /// The operator of an invocation.
    Invoke(NodeId),
    /// The `br_on_*` of a node.
    BranchOnReference(NodeId),
    Return,
    Unreachable,
    Drop,
    I32Const(i32),
    I32Eqz,
    /// From here on the value may be anything. Becomes no instruction.
    Undefine(Value),
    /// Was removed.
    Nothing,
}

/// A `get` or `tee` whose value is what a `set` stores: if the two locals are one, the copy is not needed.
#[derive(Copy, Clone, Debug)]
pub(super) struct CopyPair {
    pub source: u32,
    pub set: u32,
}

/// Scheduled code.
pub(super) struct Schedule {
    pub code: Vec<Code>,
    pub copies: Vec<CopyPair>,
    /// Which values are in locals.
    pub has_local: Vec<bool>,
    /// The parameter of each node that is a block's result.
    pub stack_param: Vec<Option<Value>>,
    /// Whether there are values on the operand stack below the condition of an `if`, by frame.
    pub has_values_below: Vec<bool>,
}

enum Task {
    Operand {
        value: Value,
        /// The latest definition among the operands to the left, which have to be pushed before.
        left: u32,
        copy: u32,
    },
    /// Make all items from this position on.
    Flush {
        to: u32,
    },
    Code(Code),
    /// A copy's `set`.
    Set {
        value: Value,
        copy: u32,
    },
    /// An instruction, where it stands.
    Place {
        inst: Inst,
        left: u32,
    },
    /// A node's parameters that an instruction left on the stack; the first `keep` stay there.
    Definitions {
        node: NodeId,
        keep: usize,
    },
    StackParam {
        node: NodeId,
        value: Value,
    },
    Tee {
        value: Value,
        copy: u32,
    },
    /// The blocks opened at these positions.
    Opens {
        from: u32,
        to: u32,
    },
    Barrier(u32),
}

struct Scheduler<'a> {
    func: &'a Func,
    graph: &'a Graph,
    structure: &'a Structure,
    options: &'a Options,
    /// Items from here on are made.
    cursor: u32,
    /// Definitions before this position may not be used in place.
    barrier: u32,
    tasks: Vec<Task>,
    /// The code, last instruction first.
    code: Vec<Code>,
    copies: Vec<CopyPair>,
    /// Uses that were not made yet.
    remaining: Vec<u32>,
    has_local: Vec<bool>,
    /// Values that are kept in a local from their definition on, if there are any.
    is_far: Vec<bool>,
    /// Instructions that were made.
    is_made: Vec<bool>,
    /// Nodes whose parameters on the stack were taken from there.
    is_start_made: Vec<bool>,
    stack_param: Vec<Option<Value>>,
    has_values_below: Vec<bool>,
    position: Vec<u32>,
}

/// Schedules structured code.
pub(super) fn schedule(func: &Func, graph: &Graph, structure: &Structure, options: &Options) -> Schedule {
    let mut position = vec![NONE; func.inst_count()];
    for (at, item) in structure.items.iter().enumerate() {
        if let Item::Inst(inst) = item {
            position[inst.index()] = index_u32(at);
        }
    }
    let end = index_u32(structure.items.len());
    let is_far = far_uses(func, graph, &structure.dominance);
    let has_local = if is_far.is_empty() { vec![false; graph.value_count()] } else { is_far.clone() };
    let mut scheduler = Scheduler {
        func,
        graph,
        structure,
        options,
        cursor: end,
        barrier: 0,
        tasks: vec![Task::Flush { to: 0 }],
        code: Vec::with_capacity(structure.items.len() * 2),
        copies: Vec::new(),
        remaining: graph.uses.clone(),
        has_local,
        is_far,
        is_made: vec![false; func.inst_count()],
        is_start_made: vec![false; graph.nodes.len()],
        stack_param: vec![None; graph.nodes.len()],
        has_values_below: vec![false; structure.frames.len()],
        position,
    };
    scheduler.run();
    let Scheduler { mut code, mut copies, has_local, stack_param, has_values_below, .. } = scheduler;
    code.reverse();
    let last = index_u32(code.len()).wrapping_sub(1);
    copies.retain_mut(|pair| {
        let is_copy = pair.source != NONE;
        pair.source = last.wrapping_sub(pair.source);
        pair.set = last.wrapping_sub(pair.set);
        is_copy
    });
    Schedule { code, copies, has_local, stack_param, has_values_below }
}

impl Scheduler<'_> {
    fn run(&mut self) {
        while let Some(task) = self.tasks.pop() {
            match task {
                Task::Operand { value, left, copy } => self.operand(value, left, copy),
                Task::Flush { to } => {
                    if self.cursor > to {
                        self.tasks.push(Task::Flush { to });
                        self.cursor -= 1;
                        self.item(self.structure.items[self.cursor as usize]);
                    }
                }
                Task::Code(code) => self.code.push(code),
                Task::Set { value, copy } => {
                    self.copies[copy as usize].set = index_u32(self.code.len());
                    self.code.push(Code::Set(value));
                    self.has_local[value.index()] = true;
                }
                Task::Place { inst, left } => {
                    // Definitions are placed where they stand, which is just before the cursor, or moved to it.
                    self.instruction(inst, left);
                }
                Task::Definitions { node, keep } => self.definitions(node, keep),
                Task::StackParam { node, value } => self.stack_param[node as usize] = Some(value),
                Task::Tee { value, copy } => self.tee(value, copy),
                Task::Opens { from, to } => {
                    for position in (from..to).rev() {
                        let Item::Open(frame) = self.structure.items[position as usize] else {
                            unreachable!("only blocks are opened here")
                        };
                        self.code.push(Code::Open(frame));
                    }
                }
                Task::Barrier(barrier) => self.barrier = barrier,
            }
        }
    }

    /// The blocks that are opened between a node's instructions and its exit are opened before the operands of the exit are pushed,
    /// wherever those come to stand.
    fn defer_opens(&mut self) {
        let places = &self.structure.places;
        let node = places.node[self.cursor as usize];
        if places.tail[node as usize] != self.cursor {
            return;
        }
        let to = self.cursor;
        while self.cursor > self.barrier
            && let Item::Open(frame) = self.structure.items[self.cursor as usize - 1]
            && self.structure.frames[frame as usize].kind == FrameKind::Block
            && places.node[self.cursor as usize - 1] == node
            && places.start[node as usize] < self.cursor
        {
            self.cursor -= 1;
        }
        if self.cursor < to {
            self.tasks.push(Task::Opens { from: self.cursor, to });
        }
    }

    /// Makes one item as a statement: the operand stack is as high after it as before.
    fn item(&mut self, item: Item) {
        if let Item::If(_) | Item::Copies(_) | Item::Exit(_) = item {
            self.defer_opens();
        }
        match item {
            Item::Start(node) => {
                if self.graph.nodes[node as usize].params_on_stack && !self.is_start_made[node as usize] {
                    self.definitions(node, 0);
                }
            }
            Item::Inst(inst) => {
                if !self.is_made[inst.index()] {
                    self.statement(inst);
                }
            }
            Item::Open(frame) => self.code.push(Code::Open(frame)),
            Item::End(frame) => self.code.push(Code::End(frame)),
            Item::Else(frame) => self.code.push(Code::Else(frame)),
            Item::Br(frame) => self.code.push(Code::Br(frame)),
            Item::If(frame) => {
                self.code.push(Code::Open(frame));
                // While something is in place, it and the operands to its left are on the stack, here or outside of frames that may vanish yet.
                self.has_values_below[frame as usize] = self.barrier > 0;
                let node = self.structure.frames[frame as usize].node;
                let Exit::Branch { condition, .. } = self.graph.nodes[node as usize].exit else {
                    unreachable!("an if is made of a two-way branch")
                };
                self.push_operands(&[condition], 0);
            }
            Item::Copies(edge) => self.edge_copies(edge),
            Item::Exit(node) => self.exit(node),
        }
    }

    fn exit(&mut self, node: NodeId) {
        let data = &self.graph.nodes[node as usize];
        let terminator = data.block.map(|block| &self.func.blocks[block].terminator);
        match (&data.exit, terminator) {
            (Exit::Unreachable, _) => self.code.push(Code::Unreachable),
            (Exit::Switch { index, .. }, _) => {
                self.code.push(Code::Table(node));
                self.push_operands(&[*index], 0);
            }
            (Exit::Return, Some(Terminator::Return(values))) => {
                self.code.push(Code::Return);
                self.push_operands(values, 0);
            }
            (Exit::TailCall, Some(Terminator::TailCall { operator, args })) => {
                self.code.push(Code::Operator(*operator));
                self.push_operands(args, 0);
            }
            (Exit::Invoke { .. }, Some(Terminator::Invoke(invoke))) => {
                self.code.push(Code::Invoke(node));
                self.push_operands(&invoke.args, 0);
            }
            (Exit::BranchOnReference { .. }, Some(Terminator::BranchOnReference { reference, .. })) => {
                self.code.push(Code::BranchOnReference(node));
                self.push_operands(&[*reference], 0);
            }
            (exit, _) => unreachable!("{exit:?} is not an exit of its own"),
        }
    }

    /// Where a value is defined.
    fn definition_position(&self, value: Value) -> u32 {
        match self.graph.origin(self.func, value) {
            Origin::I32Const(_) | Origin::Undefined => 0,
            Origin::Param => self.param_node(value).map_or(0, |node| self.structure.places.start[node as usize]),
            Origin::Result(inst) => {
                if self.repeats(value, inst) {
                    0
                } else {
                    self.position[inst.index()]
                }
            }
        }
    }

    /// The node that a parameter is of; [`None`] for one that emission added.
    fn param_node(&self, value: Value) -> Option<NodeId> {
        if value.index() >= self.func.value_count() {
            return None;
        }
        match self.func.definition(value) {
            crate::func::ValueDefinition::Parameter(block) => Some(block.as_u32()),
            _ => None,
        }
    }

    fn push_operands(&mut self, operands: &[Value], left: u32) {
        let mut left = left;
        for &operand in operands {
            let value = self.graph.name(operand);
            self.tasks.push(Task::Operand { value, left, copy: NONE });
            left = left.max(self.definition_position(value));
        }
    }

    fn statement(&mut self, inst: Inst) {
        let results = self.func.inst_results(inst);
        let is_stored = |value: Value| self.has_local[value.index()];
        let effects = &self.graph.effects[self.func.operator_id(inst)];
        if effects.is_removable_if_unused() && !results.clone().any(is_stored) {
            return;
        }
        self.store_or_drop(results);
        self.instruction(inst, 0);
    }

    /// Takes values off the stack, the last first: into locals where they have one.
    fn store_or_drop(&mut self, values: impl Iterator<Item = Value>) {
        for value in values {
            self.code.push(if self.has_local[value.index()] { Code::Set(value) } else { Code::Drop });
        }
    }

    /// The instruction and its operands.
    fn instruction(&mut self, inst: Inst, left: u32) {
        self.is_made[inst.index()] = true;
        self.code.push(Code::Operator(self.func.operator_id(inst)));
        self.push_operands(self.func.operands(inst), left);
    }

    fn definitions(&mut self, node: NodeId, keep: usize) {
        self.is_start_made[node as usize] = true;
        let graph = self.graph;
        self.store_or_drop(graph.nodes[node as usize].params[keep..].iter().copied());
    }

    /// The copies of an edge: all sources are pushed before anything is stored, as they are made all at once.
    fn edge_copies(&mut self, edge: EdgeId) {
        let data = &self.graph.edges[edge as usize];
        self.code.extend(data.undefined.iter().map(|&param| Code::Undefine(param)));
        // Defaults are stored in locals, whatever they are for.
        let is_default = self.graph.nodes[data.from as usize].defaults == edge;
        let on_stack = self.stack_param[data.to as usize].filter(|_| !is_default);
        let mut copies: smallvec::SmallVec<[(u32, Value, Value); 8]> = smallvec::SmallVec::new();
        let mut constants: smallvec::SmallVec<[(Value, Value); 8]> = smallvec::SmallVec::new();
        for &(param, arg) in data.copies.iter().filter(|&&(param, _)| Some(param) != on_stack) {
            let arg = self.graph.name(arg);
            if self.is_repeated(arg) {
                constants.push((param, arg));
            } else {
                copies.push((self.definition_position(arg), param, arg));
            }
        }
        // Later definitions are on top, so that each can be in place.
        copies.sort_by_key(|&(position, ..)| position);
        let first = index_u32(self.copies.len());
        self.copies.extend(copies.iter().map(|_| CopyPair { source: NONE, set: NONE }));
        let stack_argument = data.copies.iter().find(|&&(param, _)| Some(param) == on_stack);
        let stack_argument = stack_argument.map(|&(_, arg)| self.graph.name(arg));
        // What an instruction left on the stack stays below the copies, as they could only be made before that instruction otherwise.
        // So does what is computed behind all that is copied: copied before it, something would be alive twice while it is computed, and constants
        // would be stored before other edges part from this one, which may store theirs there too.
        let is_below = stack_argument.is_some_and(|value| {
            let at = self.definition_position(value);
            self.is_left_on_stack(value) || (at > 0 && copies.last().is_none_or(|&(position, ..)| position < at))
        });
        let mut left = 0;
        if let Some(value) = stack_argument.filter(|_| is_below) {
            self.tasks.push(Task::Operand { value, left, copy: NONE });
            left = self.definition_position(value);
        }
        for (number, &(position, _, value)) in (first..).zip(&copies) {
            self.tasks.push(Task::Operand { value, left, copy: number });
            left = left.max(position);
        }
        for (number, &(_, value, _)) in (first..first + index_u32(copies.len())).zip(&copies).rev() {
            self.tasks.push(Task::Set { value, copy: number });
        }
        // Constants are stored one by one, last, so that each is next to its `set`.
        for &(param, arg) in &constants {
            self.has_local[param.index()] = true;
            self.tasks.push(Task::Operand { value: arg, left: 0, copy: NONE });
            self.tasks.push(Task::Code(Code::Set(param)));
        }
        if let Some(value) = stack_argument.filter(|_| !is_below) {
            self.tasks.push(Task::Operand { value, left, copy: NONE });
        }
    }

    fn operand(&mut self, value: Value, left: u32, copy: u32) {
        let remaining = &mut self.remaining[value.index()];
        *remaining = remaining.checked_sub(1).expect("emission: a value is used more often than was counted");
        let is_first = *remaining == 0 && !self.is_far.get(value.index()).is_some_and(|&is_far| is_far);
        let is_used_from_stack = match self.graph.origin(self.func, value) {
            Origin::I32Const(constant) => {
                self.code.push(Code::I32Const(constant));
                true
            }
            Origin::Undefined => {
                let zero = super::zero_operator(self.func.value_type(value));
                let zero = self.func.operators.find(&zero).expect("zeros of undefined values are interned at first");
                self.code.push(Code::Operator(zero));
                true
            }
            Origin::Result(inst) => {
                if self.repeats(value, inst) {
                    self.code.push(Code::Operator(self.func.operator_id(inst)));
                    true
                } else {
                    is_first && self.use_definition(value, inst, left, copy)
                }
            }
            Origin::Param => is_first && self.use_param(value, left, copy),
        };
        if !is_used_from_stack {
            self.has_local[value.index()] = true;
            self.note_source(copy);
            self.code.push(Code::Get(value));
        }
    }

    fn note_source(&mut self, copy: u32) {
        if copy != NONE {
            self.copies[copy as usize].source = index_u32(self.code.len());
        }
    }

    /// A `tee` if the value is in a local too.
    fn tee(&mut self, value: Value, copy: u32) {
        if self.has_local[value.index()] {
            self.note_source(copy);
            self.code.push(Code::Tee(value));
        }
    }

    /// Whether a value is computed anew at each use: a constant that is cheaper than a local.
    fn repeats(&self, value: Value, inst: Inst) -> bool {
        let is_pure = self.graph.effects[self.func.operator_id(inst)].is_pure();
        is_pure && is_repeated(self.func, inst, self.graph.uses[value.index()])
    }

    /// Uses the result of an instruction from the stack, if it may be.
    fn use_definition(&mut self, value: Value, inst: Inst, left: u32, copy: u32) -> bool {
        let results = self.func.inst_results(inst);
        if self.is_made[inst.index()] {
            return false;
        }
        let has_local = self.has_local[value.index()];
        if has_local && !self.options.tee {
            return false;
        }
        let Some(keep) = self.results_wanted_next(results.clone(), value) else { return false };
        let position = self.position[inst.index()];
        if self.may_move(inst, position, has_local || results.len() > 1) {
            self.take_operands_below(keep);
            self.tee(value, copy);
            self.store_or_drop(results.skip(keep + 1));
            self.instruction(inst, left);
            return true;
        }
        let places = &self.structure.places;
        // A copy costs no more where its source is in a local that they share.
        let is_worth_it = copy == NONE
            || (position + 1..self.cursor).all(|between| match self.structure.items[between as usize] {
                Item::Inst(other) => self.is_made[other.index()],
                _ => false,
            });
        let in_place = self.options.keep_on_stack
            && is_worth_it
            && position >= self.barrier
            && left < position
            && places.region[position as usize]
                == places.region[self.cursor.min(index_u32(places.region.len()) - 1) as usize];
        if in_place {
            self.take_operands_below(keep);
            // It counts as made only once it is placed: nothing that conflicts with it may move past it meanwhile.
            self.tasks.push(Task::Place { inst, left });
            let mut tasks: smallvec::SmallVec<[Code; 4]> = smallvec::SmallVec::new();
            // Later results are stored first; which of them have a local is known by now, as this is the first use of any.
            for result in results.skip(keep + 1) {
                tasks.push(if self.has_local[result.index()] { Code::Set(result) } else { Code::Drop });
            }
            while let Some(code) = tasks.pop() {
                self.tasks.push(Task::Code(code));
            }
            self.tasks.push(Task::Tee { value, copy });
            self.tasks.push(Task::Barrier(self.barrier));
            self.tasks.push(Task::Flush { to: position + 1 });
            self.barrier = position + 1;
        }
        in_place
    }

    /// How many of several results lie below `value` on the stack, if the operands wanted next are exactly those, and no result is used before.
    fn results_wanted_next(
        &self,
        results: impl ExactSizeIterator<Item = Value> + DoubleEndedIterator + Clone,
        value: Value,
    ) -> Option<usize> {
        if results.len() == 1 {
            return Some(0);
        }
        let below = results.clone().position(|result| result == value).expect("the value is a result");
        let mut pending = self.tasks.iter().rev();
        for result in results.clone().take(below).rev() {
            let is_next =
                matches!(pending.next(), Some(&Task::Operand { value: wanted, copy: NONE, .. }) if wanted == result);
            if !is_next || self.remaining[result.index()] != 1 || self.has_local[result.index()] {
                return None;
            }
        }
        results.skip(below + 1).all(|result| self.remaining[result.index()] == 0).then_some(below)
    }

    /// The operands wanted next are on the stack already.
    fn take_operands_below(&mut self, count: usize) {
        for _ in 0..count {
            let Some(Task::Operand { value, .. }) = self.tasks.pop() else {
                unreachable!("results_wanted_next saw them")
            };
            self.remaining[value.index()] -= 1;
        }
    }

    /// Whether an instruction may be made at the cursor instead of where it stands. With `stays_near`, only within its own node, where it still
    /// precedes all other uses of its results.
    fn may_move(&self, inst: Inst, position: u32, stays_near: bool) -> bool {
        /// Looking further costs more time than it saves bytes.
        const REACH: u32 = 64;
        let places = &self.structure.places;
        let node = places.node[position as usize];
        let tail = places.tail[node as usize];
        let effects = &self.graph.effects[self.func.operator_id(inst)];
        let enters_try = self.cursor == tail + 1
            && matches!(self.structure.items[tail as usize], Item::Open(frame) if self.structure.frames[frame as usize].kind == FrameKind::Try)
            && !effects.flags.intersects(EffectFlags::THROWS);
        let is_near = self.cursor <= tail || enters_try;
        if effects.is_pure() {
            return is_near || (!stays_near && self.options.sink && self.is_outside_other_loops(node));
        }
        // What stands behind the cursor is not moved up over what lies between.
        if self.cursor <= position {
            return false;
        }
        if !is_near || !self.options.move_effects || self.cursor - position > REACH {
            return is_near && self.cursor == position + 1;
        }
        (position + 1..self.cursor).all(|between| match self.structure.items[between as usize] {
            Item::Inst(other) => {
                self.is_made[other.index()]
                    || !effects.conflicts_with(&self.graph.effects[self.func.operator_id(other)])
            }
            // Blocks that are opened in front of the node's exit.
            _ => true,
        })
    }

    /// Whether the cursor is in no loop that the node is not in.
    fn is_outside_other_loops(&self, node: NodeId) -> bool {
        let loops = &self.structure.loops;
        let Some(&here) = self.structure.places.node.get(self.cursor as usize) else { return true };
        loops.contains(loops.header[here as usize], node)
    }

    /// Uses a parameter from the stack, as the result of a block or of the instruction that ends the preceding node.
    fn use_param(&mut self, value: Value, left: u32, copy: u32) -> bool {
        let Some(node) = self.param_node(value) else { return false };
        let places = &self.structure.places;
        let start = places.start[node as usize];
        if start == NONE || node == self.graph.entry || !self.options.block_results {
            return false;
        }
        let has_local = self.has_local[value.index()];
        let cursor_region = places.region[(self.cursor as usize).min(places.region.len() - 1)];
        if start < self.barrier || places.region[start as usize] != cursor_region || (has_local && !self.options.tee) {
            return false;
        }
        let data = &self.graph.nodes[node as usize];
        let producer = match places.open[node as usize] {
            NONE if data.params_on_stack => self.start_of_producer(start),
            NONE => return false,
            open => open,
        };
        if left >= producer || producer < self.barrier {
            return false;
        }
        if data.params_on_stack {
            if self.is_start_made[node as usize] {
                return false;
            }
            let results = data.params.iter().copied();
            let Some(keep) = self.results_wanted_next(results, value) else { return false };
            self.take_operands_below(keep);
            self.is_start_made[node as usize] = true;
            self.tasks.push(Task::Barrier(self.barrier));
            self.tasks.push(Task::Flush { to: producer });
            self.tasks.push(Task::Barrier(producer));
            self.tasks.push(Task::Definitions { node, keep: keep + 1 });
        } else {
            if !self.is_good_result(node, value) {
                return false;
            }
            self.tasks.push(Task::Barrier(self.barrier));
            self.tasks.push(Task::Flush { to: producer });
            self.tasks.push(Task::Barrier(producer));
            self.tasks.push(Task::StackParam { node, value });
        }
        self.tasks.push(Task::Tee { value, copy });
        self.tasks.push(Task::Flush { to: start + 1 });
        self.barrier = start + 1;
        true
    }

    /// Where the code begins that leaves a node's parameters on the stack, given where the node starts.
    fn start_of_producer(&self, start: u32) -> u32 {
        match self.structure.items[start as usize - 1] {
            // A `try_table` holds nothing but its invocation.
            Item::End(_) => start - 3,
            _ => start - 1,
        }
    }

    /// Whether passing a parameter as a block's result is possible, and smaller than a local.
    ///
    /// A local is assumed to be shared with arguments that are in locals anyway, which then cost nothing.
    fn is_good_result(&self, node: NodeId, param: Value) -> bool {
        if self.stack_param[node as usize].is_some() || self.structure.loops.is_header(node) {
            return false;
        }
        // The `get` of the only use.
        let mut gain = if self.has_local[param.index()] { 0 } else { 2 };
        for &edge in self.structure.dominance.in_edges.of(node) {
            let data = &self.graph.edges[edge as usize];
            if !self.structure.dominance.is_reachable(data.from) {
                continue;
            }
            let Some(&(_, arg)) = data.copies.iter().find(|&&(copied, _)| copied == param) else { return false };
            if !matches!(self.graph.nodes[data.from as usize].exit, Exit::Jump(_) | Exit::Branch { .. }) {
                return false;
            }
            let arg = self.graph.name(arg);
            let is_conditional = self.structure.conditional[edge as usize];
            let is_only_use = self.graph.uses[arg.index()] == 1
                && (matches!(self.graph.origin(self.func, arg), Origin::Result(_)) || self.is_left_on_stack(arg));
            gain += match (self.is_repeated(arg), is_only_use, is_conditional) {
                // The `set`.
                (true, ..) | (false, true, false) => 2,
                // A `get`.
                (false, false, false) => -2,
                // The value is carried past a `br_if`: a `get` and a `drop`.
                (false, false, true) => -3,
                // A `br_if` becomes an `if`.
                (false, true, true) => -7,
            };
        }
        gain > 0
    }

    /// Whether an instruction leaves the value on the stack, as a parameter of the node that follows.
    fn is_left_on_stack(&self, value: Value) -> bool {
        matches!(self.graph.origin(self.func, value), Origin::Param)
            && self.param_node(value).is_some_and(|node| self.graph.nodes[node as usize].params_on_stack)
    }

    fn is_repeated(&self, value: Value) -> bool {
        match self.graph.origin(self.func, value) {
            Origin::I32Const(_) | Origin::Undefined => true,
            Origin::Result(inst) => self.repeats(value, inst),
            Origin::Param => false,
        }
    }
}

/// Whether a constant with so many uses is cheaper than a local.
pub(super) fn is_repeated(func: &Func, inst: Inst, uses: u32) -> bool {
    let Some(length) = constant_length(func.operator(inst)) else { return false };
    let uses = u64::from(uses);
    uses * length <= length + 2 + 2 * uses
}

/// The length in bytes of an operator without operands or dependences, roughly where indices are not known.
pub(super) fn constant_length(operator: &Operator<'_>) -> Option<u64> {
    match *operator {
        Operator::I32Const { value } => Some(1 + signed_leb_length(i64::from(value))),
        Operator::I64Const { value } => Some(1 + signed_leb_length(value)),
        Operator::F32Const { .. } => Some(5),
        Operator::F64Const { .. } => Some(9),
        Operator::V128Const { .. } => Some(18),
        Operator::RefNull { .. } => Some(2),
        Operator::RefFunc { function_index } | Operator::GlobalGet { global_index: function_index } => {
            Some(if function_index < 128 { 2 } else { 3 })
        }
        _ => None,
    }
}

fn signed_leb_length(value: i64) -> u64 {
    let magnitude_bits = 64 - if value < 0 { (!value).leading_zeros() } else { value.leading_zeros() };
    u64::from(magnitude_bits / 7 + 1)
}
