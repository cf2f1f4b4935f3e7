//! What the function in SSA form says, prepared for following it.

use super::expressions::{Expression, Expressions};
use crate::analysis::{ControlFlowGraph, Incoming, Needed};
use crate::effects::{Effects, EffectsEnvironment, OperatorEffects};
use crate::entity::SecondaryMap;
use crate::func::{Block, BlockCall, Func, Inst, OperatorId, Terminator, Value};
use smallvec::SmallVec;

/// A point of the function: how far it has been executed.
///
/// Pure instructions have no place; they are not counted. A position is *settled* where the function can go no further by itself: an instruction
/// with effects comes next, or a terminator with a choice or an end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Position {
    pub block: Block,
    /// The instructions before this one were executed, are pending, or need not be executed.
    pub next: usize,
    /// Instructions before `next` that are still to be executed, in order.
    pub pending: SmallVec<[Inst; 2]>,
}

impl Position {
    pub(super) fn start_of(block: Block) -> Self {
        Self { block, next: 0, pending: SmallVec::new() }
    }
}

/// Facts about the function that do not depend on expressions.
pub(super) struct Facts {
    pub cfg: ControlFlowGraph,
    /// The effects of each instruction.
    pub effects: SecondaryMap<Inst, Effects>,
    /// Whether the instruction has an effect, or something that has one depends on it: what emission is expected to keep. Worked out here again, so
    /// that emission's own idea of it is not trusted.
    needed: Needed,
    /// Whether a block may be executed more than once; maybe for more blocks than necessary.
    pub may_be_entered_again: SecondaryMap<Block, bool>,
    /// The effects of each operator of the pool.
    pub operator_effects: OperatorEffects,
    incoming: Incoming,
}

impl Facts {
    pub(super) fn new(func: &Func, environment: &impl EffectsEnvironment) -> Self {
        let cfg = ControlFlowGraph::new(func);
        let operator_effects = OperatorEffects::new(func, environment);
        let mut effects = SecondaryMap::with_default_and_len(Effects::NONE, func.inst_count());
        for &block in cfg.reverse_postorder() {
            for &inst in &func.blocks[block].insts {
                effects[inst] = operator_effects.of(func, inst);
            }
        }
        let incoming = Incoming::new(func, &cfg);
        let needed = Needed::new(func, &cfg, &incoming, |inst| {
            !operator_effects[func.operator_id(inst)].is_removable_if_unused()
        });
        Self { may_be_entered_again: blocks_in_cycles(func, &cfg), cfg, effects, needed, operator_effects, incoming }
    }

    /// Whether the instruction has to be waited for.
    pub(super) fn is_awaited(&self, inst: Inst) -> bool {
        self.needed.insts[inst] && !self.effects[inst].is_pure()
    }

    /// Whether leaving the instruction out could be noticed.
    pub(super) fn must_execute(&self, inst: Inst) -> bool {
        !self.effects[inst].is_removable_if_unused()
    }

    /// Whether the parameter is used by something with an effect.
    pub(super) fn is_needed_value(&self, value: Value) -> bool {
        self.needed.values[value]
    }
}

/// The blocks between a retreating edge's ends in reverse postorder. Every cycle has a retreating edge, and a block of the cycle lies between the ends
/// of one of them: else the way back from the blocks behind it to those in front of it would have to lead through it twice.
fn blocks_in_cycles(func: &Func, cfg: &ControlFlowGraph) -> SecondaryMap<Block, bool> {
    let order = cfg.reverse_postorder();
    let mut depth_change = vec![0i64; order.len() + 1];
    for (from, &block) in order.iter().enumerate() {
        func.blocks[block].terminator.for_each_successor(|successor| {
            let to = cfg.position(successor).expect("a successor is reached") as usize;
            if to <= from {
                depth_change[to] += 1;
                depth_change[from + 1] -= 1;
            }
        });
    }
    let mut in_cycle = SecondaryMap::with_default_and_len(false, func.blocks.len());
    let mut depth = 0;
    for (&block, change) in order.iter().zip(depth_change) {
        depth += change;
        in_cycle[block] = depth > 0;
    }
    in_cycle
}

/// Where a block leads if there is no choice.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum OnlyWay {
    /// It ends the function, or there is a choice, or an instruction that defines values.
    None,
    /// The edge of this number, among those of [`Terminator::for_each_block_call`].
    Edge(u32),
}

/// What an edge gives the parameters of its block; `None` where that is not known.
type Arguments = SmallVec<[Option<Expression>; 4]>;

/// The function with all that is known of it.
pub(super) struct Function<'a> {
    pub func: &'a Func,
    pub facts: Facts,
    only_way: SecondaryMap<Block, OnlyWay>,
    /// Whether the code may make a branch that the function passes: if that makes no difference only because different values turn out equal, which
    /// emission need not have noticed, or if its condition is a constant.
    may_be_made: SecondaryMap<Block, bool>,
}

impl<'a> Function<'a> {
    pub(super) fn new(func: &'a Func, facts: Facts, expressions: &Expressions, choices_are_left_out: bool) -> Self {
        let only_way = SecondaryMap::with_default_and_len(OnlyWay::None, func.blocks.len());
        let may_be_made = SecondaryMap::with_default_and_len(false, func.blocks.len());
        let mut this = Self { func, facts, only_way, may_be_made };
        this.find_ways(expressions);
        // The operand of a branch that decides nothing is not needed, so that further branches may turn out to decide nothing. One round is nearly
        // always enough.
        const MAX_ROUNDS: usize = 4;
        let rounds = if choices_are_left_out { MAX_ROUNDS } else { 0 };
        for _ in 0..rounds {
            let facts = &this.facts;
            let must_execute = |inst: Inst| !facts.operator_effects[func.operator_id(inst)].is_removable_if_unused();
            let chooses = |block: Block| this.only_way[block] == OnlyWay::None;
            let needed = Needed::with_choices(func, &facts.cfg, &facts.incoming, must_execute, chooses);
            this.facts.needed = needed;
            if !this.find_ways(expressions) {
                break;
            }
        }
        this
    }

    /// Finds where each block leads. Returns whether anything new was found.
    fn find_ways(&mut self, expressions: &Expressions) -> bool {
        let mut is_news = false;
        // What follows a block is known before the block, except around loops.
        for index in (0..self.facts.cfg.reverse_postorder().len()).rev() {
            let block = self.facts.cfg.reverse_postorder()[index];
            if self.only_way[block] != OnlyWay::None {
                continue;
            }
            let mut may_be_made = false;
            let way = self.find_only_way(block, expressions, &mut may_be_made);
            is_news |= self.only_way[block] != way;
            (self.only_way[block], self.may_be_made[block]) = (way, may_be_made);
        }
        is_news
    }

    /// The blocks that an edge leads to, one after the other, as long as they do nothing but go on; each with its arguments as far as they are known.
    fn way(&self, call: &BlockCall, expressions: &Expressions) -> Vec<(Block, Arguments)> {
        const MAX_BLOCKS: usize = 64;
        let of = |value: &Value| expressions.of(self.func, *value);
        let mut way: Vec<(Block, Arguments)> = vec![(call.block, call.args.iter().map(|arg| Some(of(arg))).collect())];
        // Parameters that were given arguments on the way, with these arguments; the last one given counts.
        let mut given: Vec<(Expression, Option<Expression>)> = Vec::new();
        while way.len() < MAX_BLOCKS {
            let (block, arguments) = way.last().expect("it begins somewhere");
            let data = &self.func.blocks[*block];
            let OnlyWay::Edge(edge) = self.only_way[*block] else { break };
            if data.insts.iter().any(|&inst| self.facts.is_awaited(inst)) {
                break;
            }
            if self.facts.cfg.single_predecessor(*block).is_none() {
                given.extend(data.params.iter().map(of).zip(arguments.iter().copied()));
            }
            let next = nth_edge(&data.terminator, edge).expect("the only way is an edge");
            let argument = |value: &Value| {
                let expression = of(value);
                match given.iter().rev().find(|(param, _)| *param == expression) {
                    Some(&(_, argument)) => argument,
                    None if given.is_empty() || expressions.is_leaf(expression) => Some(expression),
                    // It may be made of a parameter.
                    None => None,
                }
            };
            let arguments = next.args.iter().map(argument).collect();
            way.push((next.block, arguments));
        }
        way
    }

    /// Whether two edges come together, and give equal arguments there, before anything happens. Parameters that are given arguments before they meet
    /// are not in scope afterwards. `computed` is set where arguments are equal that may be different values, and where
    /// the code has something to do on the way.
    fn come_together(&self, a: &BlockCall, b: &BlockCall, expressions: &Expressions, computed: &mut bool) -> bool {
        if a == b {
            return true;
        }
        let (a, b) = (self.way(a, expressions), self.way(b, expressions));
        let meeting = a.iter().find_map(|(block, arguments)| {
            let (_, others) = b.iter().find(|(other, _)| other == block)?;
            Some((*block, arguments, others))
        });
        let Some((block, arguments, others)) = meeting else { return false };
        // Of an operator that may trap the code knows no better than that it must be there, whatever is known of its operands here.
        let before_meeting = a.iter().take_while(|(other, _)| *other != block);
        let before_meeting = before_meeting.chain(b.iter().take_while(|(other, _)| *other != block));
        let mut insts = before_meeting.flat_map(|(block, _)| &self.func.blocks[*block].insts);
        let is_kept = |inst: &Inst| !self.facts.operator_effects[self.func.operator_id(*inst)].is_removable_if_unused();
        let is_kept_apart = insts.any(is_kept);
        let params = self.func.blocks[block].params.iter().zip(arguments.iter().zip(others));
        *computed |= is_kept_apart;
        params.into_iter().all(|(&param, (a, b))| {
            let is_needed = self.facts.is_needed_value(param);
            let is_same = a.is_some() && a == b;
            *computed |= is_needed && is_same && a.is_some_and(|a| expressions.is_computed(a));
            is_same || !is_needed
        })
    }

    fn find_only_way(&self, block: Block, expressions: &Expressions, may_be_made: &mut bool) -> OnlyWay {
        let constant = |value: Value| expressions.as_i32(expressions.of(self.func, value));
        let holds = |value: Value| expressions.as_condition(expressions.of(self.func, value));
        let (mut is_computed, mut is_made) = (false, false);
        let mut is_same = |a: &BlockCall, b: &BlockCall| self.come_together(a, b, expressions, &mut is_computed);
        let way = match &self.func.blocks[block].terminator {
            Terminator::Jump(_) => OnlyWay::Edge(0),
            Terminator::Branch { condition, then_target, else_target, .. } => match holds(*condition) {
                Some(holds) => {
                    is_made = !is_same(then_target, else_target);
                    OnlyWay::Edge(u32::from(!holds))
                }
                None if is_same(then_target, else_target) => OnlyWay::Edge(0),
                None => OnlyWay::None,
            },
            Terminator::Switch { index, targets, default } => match constant(*index) {
                Some(index) => OnlyWay::Edge((index.cast_unsigned() as usize).min(targets.len()) as u32),
                None if targets.iter().all(|target| is_same(target, default)) => OnlyWay::Edge(targets.len() as u32),
                None => OnlyWay::None,
            },
            Terminator::Missing
            | Terminator::Unreachable
            | Terminator::Return(_)
            | Terminator::TailCall { .. }
            | Terminator::Invoke(_)
            | Terminator::BranchOnReference { .. } => OnlyWay::None,
        };
        *may_be_made = is_computed || is_made;
        way
    }

    /// Moves over instructions that nobody waits for.
    pub(super) fn skip_unneeded(&self, position: &mut Position) {
        let insts = &self.func.blocks[position.block].insts;
        while let Some(&inst) = insts.get(position.next)
            && !self.facts.is_awaited(inst)
        {
            position.next += 1;
        }
    }

    /// The edge by which the function goes on by itself.
    pub(super) fn edge_onward(&self, position: &Position) -> Option<&'a BlockCall> {
        let is_done = position.pending.is_empty() && position.next == self.func.blocks[position.block].insts.len();
        match self.only_way[position.block] {
            OnlyWay::Edge(edge) if is_done => nth_edge(&self.func.blocks[position.block].terminator, edge),
            _ => None,
        }
    }

    /// The condition of a branch that the function passes by itself, although the code may still make it.
    pub(super) fn passed_choice(&self, block: Block) -> Option<Value> {
        match self.func.blocks[block].terminator {
            Terminator::Branch { condition, .. } if self.may_be_made[block] => Some(condition),
            _ => None,
        }
    }

    /// What is still to be executed in the position's block.
    pub(super) fn rest<'b>(&'b self, position: &'b Position) -> impl Iterator<Item = Inst> + 'b {
        let insts = &self.func.blocks[position.block].insts[position.next..];
        position.pending.iter().copied().chain(insts.iter().copied())
    }

    /// Whether the function goes round for ever from here without doing anything.
    pub(super) fn goes_round(&self, position: &Position) -> bool {
        let mut position = position.clone();
        for _ in 0..=self.func.blocks.len() {
            self.skip_unneeded(&mut position);
            match self.edge_onward(&position) {
                Some(call) => position = Position::start_of(call.block),
                None => return false,
            }
        }
        true
    }

    pub(super) fn is_same_operator(&self, a: OperatorId, b: OperatorId) -> bool {
        a == b || self.func.operators[a] == self.func.operators[b]
    }

    /// The names that the parameters of a block get on an edge, and the arguments that they are. None if the block has one predecessor: then they have no names.
    pub(super) fn arguments(&self, call: &BlockCall, expressions: &Expressions) -> Vec<(Expression, Expression)> {
        if self.facts.cfg.single_predecessor(call.block).is_some() {
            return Vec::new();
        }
        let params = self.func.blocks[call.block].params.iter().zip(&call.args);
        params
            .filter(|(param, _)| self.facts.is_needed_value(**param))
            .map(|(&param, &argument)| (expressions.of(self.func, argument), expressions.of(self.func, param)))
            .collect()
    }
}

/// An edge by its number among those of [`Terminator::for_each_block_call`].
pub(super) fn nth_edge(terminator: &Terminator, edge: u32) -> Option<&BlockCall> {
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
