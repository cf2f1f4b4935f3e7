//! Global value numbering: an instruction that computes what a dominating one has computed takes its results.
//!
//! The dominator tree is walked with a table that forgets at the end of each subtree (Briggs, Cooper and Simpson, "Value Numbering", 1997).
//! What reads memory, globals, tables or fields is in the table too, with the time at which it was read: it counts as long as nothing that
//! it depends on may have been written since, on any path. A store or `global.set` enters the value that it wrote.
//!
//! What is generative (allocations, `cont.new`) is never in the table, nor is what consumes (`cont.bind`). Whatever runs other code (calls,
//! `suspend`, `switch`, `resume*`) writes every place, so nothing that can change is known afterwards, on handler edges neither.
//!
//! A branch also tells what its condition was: in the block on either side a comparison with a small constant makes its operand that constant.

use crate::environment::ModuleEnvironment;
use crate::function::simplify::Constant;
use crate::pass_table::Changed;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use wasmfx_ir::analysis::{ControlFlowGraph, DominatorTree};
use wasmfx_ir::effects::{Effects, LocationSet, effects, inst_effects};
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{OperatorId, Terminator};
use wasmfx_ir::module::{MemoryId, TypeId};
use wasmfx_ir::opcode::Opcode;
use wasmfx_ir::references::{IndexSpace, visit_operator};
use wasmfx_ir::wasmparser::{CompositeInnerType, Operator, StorageType};
use wasmfx_ir::{Block, Func, Inst, Value};

/// Runs the pass.
pub fn run(func: &mut Func, environment: &ModuleEnvironment<'_>) -> Changed {
    func.resolve_aliases();
    let cfg = ControlFlowGraph::new(func);
    let dominators = DominatorTree::new(func, &cfg);
    let writes = block_writes(func, environment, &cfg);
    let mut numbering = Numbering {
        environment,
        cfg: &cfg,
        dominators: &dominators,
        writes,
        visits: Visits {
            blocks: Vec::new(),
            search: SecondaryMap::with_default_and_len(0, func.blocks.len()),
            searches: 0,
        },
        table: FxHashMap::default(),
        written: Written::default(),
        facts: FxHashMap::default(),
        undo: Vec::new(),
        changed: false,
        func,
    };
    numbering.walk();
    let changed = numbering.changed;
    if changed {
        func.resolve_aliases();
    }
    Changed::from_flag(changed)
}

/// All that each block writes, its terminator included.
fn block_writes(
    func: &Func,
    environment: &ModuleEnvironment<'_>,
    cfg: &ControlFlowGraph,
) -> SecondaryMap<Block, LocationSet> {
    let mut writes = SecondaryMap::with_default_and_len(LocationSet::NONE, func.blocks.len());
    for &block in cfg.reverse_postorder() {
        let data = &func.blocks[block];
        let mut all = terminator_effects(func, block, environment).writes;
        for &inst in &data.insts {
            all = all.union(effects(func.operator(inst), environment.module()).writes);
        }
        writes[block] = all;
    }
    writes
}

fn terminator_effects(func: &Func, block: Block, environment: &ModuleEnvironment<'_>) -> Effects {
    match &func.blocks[block].terminator {
        Terminator::Invoke(invoke) => effects(&func.operators[invoke.operator], environment.module()),
        // Nothing in this function comes after a tail call; reference branches and the rest write nothing.
        _ => Effects::NONE,
    }
}

/// An operator and its operands.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Expression {
    operator: OperatorId,
    operands: SmallVec<[Value; 3]>,
}

/// The results of an expression, and when they were computed.
#[derive(Copy, Clone)]
struct Known {
    results: Results,
    reads: LocationSet,
    time: u32,
}

#[derive(Copy, Clone)]
enum Results {
    Of(Inst),
    Value(Value),
}

/// When places were last written. Time advances with each write, and is not turned back when the walk leaves a subtree: what was entered
/// there is gone from the table, so nothing compares with those times.
#[derive(Default)]
struct Written {
    clock: u32,
    /// When everything was last written.
    everything: u32,
    /// The writes of single places since: at most one entry a set.
    places: Vec<(LocationSet, u32)>,
}

/// How many distinct sets of places are told apart before a write counts as one of everything.
const MAX_PLACES: usize = 24;

impl Written {
    fn since(&self, reads: LocationSet, time: u32) -> bool {
        !reads.is_empty()
            && (self.everything > time
                || self.places.iter().any(|&(places, written)| written > time && places.intersects(reads)))
    }
}

/// What is undone when the walk leaves a block's subtree.
enum Undo {
    Table(Expression, Option<Known>),
    Fact(Value, Option<Constant>),
    Places { everything: u32, places: Vec<(LocationSet, u32)> },
}

/// Blocks that a search came to; searches are many, so what they need is kept.
struct Visits {
    blocks: Vec<Block>,
    /// The last search that came to each block.
    search: SecondaryMap<Block, u32>,
    searches: u32,
}

impl Visits {
    fn begin(&mut self) {
        self.blocks.clear();
        self.searches += 1;
    }

    fn add(&mut self, block: Block) {
        if std::mem::replace(&mut self.search[block], self.searches) != self.searches {
            self.blocks.push(block);
        }
    }
}

struct Numbering<'a> {
    func: &'a mut Func,
    environment: &'a ModuleEnvironment<'a>,
    cfg: &'a ControlFlowGraph,
    dominators: &'a DominatorTree,
    writes: SecondaryMap<Block, LocationSet>,
    visits: Visits,
    table: FxHashMap<Expression, Known>,
    written: Written,
    /// Values that are known to be a constant in the subtree that is being walked.
    facts: FxHashMap<Value, Constant>,
    undo: Vec<Undo>,
    changed: bool,
}

impl Numbering<'_> {
    fn walk(&mut self) {
        // Preorder of the dominator tree; `open` are the blocks whose subtree the current one is in, with the length of `undo` before each.
        let mut open: Vec<(Block, usize)> = Vec::new();
        for &block in self.dominators.preorder() {
            while let Some(&(above, mark)) = open.last() {
                if self.dominators.dominates(above, block) {
                    break;
                }
                self.roll_back(mark);
                open.pop();
            }
            open.push((block, self.undo.len()));
            self.enter(block);
            self.number_block(block);
        }
    }

    fn roll_back(&mut self, mark: usize) {
        while self.undo.len() > mark {
            match self.undo.pop().expect("longer than the mark") {
                Undo::Table(expression, Some(known)) => {
                    self.table.insert(expression, known);
                }
                Undo::Table(expression, None) => {
                    self.table.remove(&expression);
                }
                Undo::Fact(value, Some(before)) => {
                    self.facts.insert(value, before);
                }
                Undo::Fact(value, None) => {
                    self.facts.remove(&value);
                }
                Undo::Places { everything, places } => {
                    self.written.everything = everything;
                    self.written.places = places;
                }
            }
        }
    }

    /// What has happened between the end of the immediate dominator and the start of this block.
    fn enter(&mut self, block: Block) {
        let Some(dominator) = self.dominators.immediate_dominator(block) else { return };
        let after_dominator = terminator_effects(self.func, dominator, self.environment).writes;
        let between = match self.cfg.predecessors(block) {
            [_] => LocationSet::NONE,
            _ => self.writes_between(dominator, block),
        };
        let writes = after_dominator.union(between);
        if !writes.is_empty() {
            // The dominator's other children must not see this block's writes.
            let (everything, places) = (self.written.everything, self.written.places.clone());
            self.undo.push(Undo::Places { everything, places });
            self.write(writes);
        } else if !self.writes[block].is_empty() {
            let (everything, places) = (self.written.everything, self.written.places.clone());
            self.undo.push(Undo::Places { everything, places });
        }
        if let [predecessor] = *self.cfg.predecessors(block) {
            self.learn_from_branch(predecessor, block);
        }
    }

    /// Everything that is written on paths from the end of `above` to the start of `block`, neither end included, unless a path leads through `block`.
    fn writes_between(&mut self, above: Block, block: Block) -> LocationSet {
        const MAX_BLOCKS: usize = 128;
        const MAX_EDGES: usize = 1024;
        let Self { cfg, writes, visits, .. } = self;
        visits.begin();
        let add = |visits: &mut Visits, list: &[Block]| {
            list.iter().filter(|&&predecessor| predecessor != above).for_each(|&predecessor| visits.add(predecessor));
        };
        add(visits, cfg.predecessors(block));
        let mut all = LocationSet::NONE;
        let (mut at, mut edges) = (0, 0);
        while at < visits.blocks.len() {
            let next = visits.blocks[at];
            at += 1;
            edges += cfg.predecessors(next).len();
            all = all.union(writes[next]);
            if all == LocationSet::ALL || visits.blocks.len() > MAX_BLOCKS || edges > MAX_EDGES {
                return LocationSet::ALL;
            }
            add(visits, cfg.predecessors(next));
        }
        all
    }

    fn write(&mut self, places: LocationSet) {
        self.written.clock += 1;
        let clock = self.written.clock;
        if places == LocationSet::ALL || self.written.places.len() >= MAX_PLACES {
            self.written.everything = clock;
            self.written.places.clear();
        } else if let Some(entry) = self.written.places.iter_mut().find(|(set, _)| *set == places) {
            entry.1 = clock;
        } else {
            self.written.places.push((places, clock));
        }
    }

    /// In the only block that one side of a branch leads to, the condition is known.
    fn learn_from_branch(&mut self, from: Block, to: Block) {
        let Terminator::Branch { condition, then_target, else_target, .. } = &self.func.blocks[from].terminator else {
            return;
        };
        let condition = *condition;
        let taken = then_target.block == to;
        if then_target.block == else_target.block {
            return;
        }
        let Some(inst) = self.func.defining_inst(condition) else {
            if !taken {
                self.learn(condition, Constant::I32(0));
            }
            return;
        };
        let operator = self.func.operator(inst);
        let operands: SmallVec<[Value; 2]> = self.func.operands(inst).into();
        let is_boolean = Opcode::of(operator).is_boolean();
        let equals = match (operator, taken) {
            (Operator::I32Eqz, true) => Some((operands[0], Constant::I32(0))),
            (Operator::I64Eqz, true) => Some((operands[0], Constant::I64(0))),
            (Operator::I32Eq | Operator::I64Eq, true) | (Operator::I32Ne | Operator::I64Ne, false) => {
                let constant = self.func.defining_operator(operands[1]).and_then(Constant::of);
                constant.map(|constant| (operands[0], constant))
            }
            _ => None,
        };
        if !taken {
            self.learn(condition, Constant::I32(0));
        } else if is_boolean {
            self.learn(condition, Constant::I32(1));
        }
        if let Some((value, constant)) = equals {
            self.learn(value, constant);
        }
    }

    /// Uses of the value in this subtree become the constant, where the constant costs no more than reading a local.
    fn learn(&mut self, value: Value, constant: Constant) {
        const ONE_BYTE: std::ops::Range<i64> = -64..64;
        let value = self.func.resolve(value);
        let is_constant = self.func.defining_operator(value).is_some_and(|operator| Constant::of(operator).is_some());
        if !is_constant && constant.integer().is_some_and(|integer| ONE_BYTE.contains(&integer)) {
            let before = self.facts.insert(value, constant);
            self.undo.push(Undo::Fact(value, before));
        }
    }

    /// What stands for the value here. A constant that is not at hand is added to `kept`.
    fn substitute(&mut self, value: Value, kept: &mut Vec<Inst>) -> Value {
        let value = self.func.resolve(value);
        if self.facts.is_empty() {
            return value;
        }
        let Some(&constant) = self.facts.get(&value) else { return value };
        self.changed = true;
        let operator = self.func.operators.intern(constant.operator());
        let expression = self.expression(operator, &[]);
        if let Some(Known { results: Results::Of(inst), .. }) = self.table.get(&expression) {
            return self.func.first_result(*inst);
        }
        let inst = self.func.create_inst(operator, &[], &[constant.ty()]);
        kept.push(inst);
        self.enter_known(expression, Results::Of(inst), LocationSet::NONE);
        self.func.first_result(inst)
    }

    fn number_block(&mut self, block: Block) {
        let insts = std::mem::take(&mut self.func.blocks[block].insts);
        let mut kept = Vec::with_capacity(insts.len());
        for inst in insts {
            for index in 0..self.func.operands(inst).len() {
                let operand = self.func.operands(inst)[index];
                let operand = self.substitute(operand, &mut kept);
                self.func.operands_mut(inst)[index] = operand;
            }
            if self.number_inst(inst) {
                kept.push(inst);
            } else {
                self.changed = true;
            }
        }
        // Arguments of edges stay: a constant there would be a new copy where the value itself may need none.
        let condition = match &self.func.blocks[block].terminator {
            Terminator::Branch { condition: value, .. } | Terminator::Switch { index: value, .. } => Some(*value),
            _ => None,
        };
        let known = condition.map(|condition| self.substitute(condition, &mut kept));
        if let (Some(known), Terminator::Branch { condition: value, .. } | Terminator::Switch { index: value, .. }) =
            (known, &mut self.func.blocks[block].terminator)
        {
            *value = known;
        }
        self.func.blocks[block].insts = kept;
    }

    /// Numbers an instruction. Says whether it stays.
    fn number_inst(&mut self, inst: Inst) -> bool {
        let effects = inst_effects(self.func, inst, self.environment.module());
        if !effects.is_idempotent() {
            if self.writes_what_is_there(inst) {
                return false;
            }
            if !effects.writes.is_empty() {
                self.write(effects.writes);
            }
            self.remember_written(inst);
            return true;
        }
        if self.func.inst_results(inst).len() == 0 {
            return true;
        }
        let expression = self.expression(self.func.operator_id(inst), self.func.operands(inst));
        match self.table.get(&expression) {
            Some(known) if !self.written.since(known.reads, known.time) && self.have_types_of(inst, known.results) => {
                match known.results {
                    Results::Of(earlier) => {
                        for (result, same) in self.func.inst_results(inst).zip(self.func.inst_results(earlier)) {
                            self.func.make_alias(result, same);
                        }
                    }
                    Results::Value(value) => {
                        let result = self.func.first_result(inst);
                        self.func.make_alias(result, value);
                    }
                }
                false
            }
            _ => {
                self.enter_known(expression, Results::Of(inst), effects.reads);
                true
            }
        }
    }

    /// Whether these values have the types of an instruction's results. `ref.as_non_null` and the conversions between `any` and `extern` give what their
    /// operand was declared as, so that one value may be computed as two types. A value that was written has the type of what is read there.
    fn have_types_of(&self, inst: Inst, results: Results) -> bool {
        let ty = |value: Value| self.func.value_type(value);
        match results {
            Results::Of(earlier) => self.func.inst_results(inst).map(ty).eq(self.func.inst_results(earlier).map(ty)),
            Results::Value(_) => true,
        }
    }

    fn enter_known(&mut self, expression: Expression, results: Results, reads: LocationSet) {
        let known = Known { results, reads, time: self.written.clock };
        let before = self.table.insert(expression.clone(), known);
        self.undo.push(Undo::Table(expression, before));
    }

    fn expression(&self, operator: OperatorId, operands: &[Value]) -> Expression {
        let mut operands: SmallVec<[Value; 3]> = operands.iter().map(|&operand| self.func.resolve(operand)).collect();
        if operands.len() == 2 && Opcode::of(&self.func.operators[operator]).is_commutative() {
            operands.sort_unstable();
        }
        Expression { operator, operands }
    }

    /// Whether a store writes the value that is known to be there already. It does not trap, as what read or wrote it did not, and memories
    /// and tables never shrink.
    fn writes_what_is_there(&mut self, inst: Inst) -> bool {
        let Some((read, operands, value)) = self.reading_back(inst) else { return false };
        let expression = self.expression(read, &operands);
        let Some(known) = self.table.get(&expression) else { return false };
        let there = match known.results {
            Results::Of(earlier) => self.func.first_result(earlier),
            Results::Value(value) => value,
        };
        self.func.resolve(there) == value && !self.written.since(known.reads, known.time)
    }

    /// After a write, reading the same place gives what was written; after an allocation, reading its fields gives what they were made with.
    fn remember_written(&mut self, inst: Inst) {
        if let Operator::StructNew { struct_type_index } = *self.func.operator(inst) {
            return self.remember_fields(inst, struct_type_index);
        }
        let Some((read, operands, value)) = self.reading_back(inst) else { return };
        let reads = effects(&self.func.operators[read], self.environment.module()).reads;
        let expression = self.expression(read, &operands);
        self.enter_known(expression, Results::Value(value), reads);
    }

    fn remember_fields(&mut self, inst: Inst, struct_type_index: u32) {
        let reference = self.func.first_result(inst);
        for index in 0..self.func.operands(inst).len() {
            let field_index = index as u32;
            if !self.is_unpacked_field(struct_type_index, field_index) {
                continue;
            }
            let value = self.func.resolve(self.func.operands(inst)[index]);
            let read = self.func.operators.intern(Operator::StructGet { struct_type_index, field_index });
            let reads = effects(&self.func.operators[read], self.environment.module()).reads;
            let expression = self.expression(read, &[reference]);
            self.enter_known(expression, Results::Value(value), reads);
        }
    }

    /// The operator and operands that read back exactly what an instruction writes, and the value that it writes.
    fn reading_back(&mut self, inst: Inst) -> Option<(OperatorId, SmallVec<[Value; 3]>, Value)> {
        use Operator as O;
        if self.is_shared_access(inst) {
            return None;
        }
        let read = match *self.func.operator(inst) {
            O::I32Store { memarg } => O::I32Load { memarg },
            O::I64Store { memarg } => O::I64Load { memarg },
            O::F32Store { memarg } => O::F32Load { memarg },
            O::F64Store { memarg } => O::F64Load { memarg },
            O::V128Store { memarg } => O::V128Load { memarg },
            O::GlobalSet { global_index } => O::GlobalGet { global_index },
            O::TableSet { table } => O::TableGet { table },
            O::StructSet { struct_type_index, field_index }
                if self.is_unpacked_field(struct_type_index, field_index) =>
            {
                O::StructGet { struct_type_index, field_index }
            }
            O::ArraySet { array_type_index } if self.is_unpacked_array(array_type_index) => {
                O::ArrayGet { array_type_index }
            }
            _ => return None,
        };
        let (&value, place) = self.func.operands(inst).split_last()?;
        let place: SmallVec<[Value; 3]> = place.into();
        let value = self.func.resolve(value);
        // What is read has the type of the place; a value of a more precise type would do, one of a less precise type cannot be.
        Some((self.func.operators.intern(read), place, value))
    }

    /// Another thread may have written meanwhile, and may be waiting for this write.
    fn is_shared_access(&self, inst: Inst) -> bool {
        let mut shared = false;
        visit_operator(self.func.operator(inst), &mut |space, number| {
            shared |= space == IndexSpace::Memory && self.environment.memory(MemoryId::from_u32(number)).ty.shared;
        });
        shared
    }

    fn is_unpacked_field(&self, struct_type: u32, field: u32) -> bool {
        let ty = self.environment.sub_type(TypeId::from_u32(struct_type));
        match &ty.composite_type.inner {
            CompositeInnerType::Struct(ty) => {
                ty.fields.get(field as usize).is_some_and(|field| matches!(field.element_type, StorageType::Val(_)))
            }
            _ => false,
        }
    }

    fn is_unpacked_array(&self, array_type: u32) -> bool {
        let ty = self.environment.sub_type(TypeId::from_u32(array_type));
        matches!(&ty.composite_type.inner, CompositeInnerType::Array(ty) if matches!(ty.0.element_type, StorageType::Val(_)))
    }
}

#[cfg(test)]
mod tests;
