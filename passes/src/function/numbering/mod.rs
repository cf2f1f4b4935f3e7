//! Global value numbering: an instruction that computes what a dominating one has computed takes its results.
//!
//! The dominator tree is walked with a table that forgets at the end of each subtree (Briggs, Cooper and Simpson, "Value Numbering", 1997).
//! What reads memory, globals, tables or fields is in the table too, with the time at which it was read: it counts as long as nothing that
//! it depends on may have been written since, on any path. A store or `global.set` enters the value that it wrote.
//!
//! What is generative (allocations, `cont.new`) is never in the table, nor is what consumes (`cont.bind`). Whatever runs other code (calls,
//! `suspend`, `switch`, `resume*`) writes every place, so nothing that can change is known afterwards, not even on handler edges.
//!
//! A branch also tells what its condition was: in the block on either side a comparison with a small constant makes its operand that constant.

mod scoped_table;
mod written;

use crate::environment::ModuleEnvironment;
use crate::function::simplify::Constant;
use crate::pass_table::Changed;
use rustc_hash::FxHashMap;
use scoped_table::ScopedTable;
use smallvec::SmallVec;
use wasmfx_ir::analysis::{ControlFlowGraph, DominatorTree};
use wasmfx_ir::effects::{LocationSet, OperatorEffects};
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{OperatorId, Terminator};
use wasmfx_ir::module::{MemoryId, TypeId};
use wasmfx_ir::opcode::Opcode;
use wasmfx_ir::references::{IndexSpace, visit_operator};
use wasmfx_ir::wasmparser::{CompositeInnerType, Operator, StorageType};
use wasmfx_ir::{Block, Func, Inst, Value};
use written::Written;

/// Runs the pass.
pub fn run(func: &mut Func, environment: &ModuleEnvironment<'_>) -> Changed {
    func.resolve_aliases();
    let cfg = func.control_flow();
    let dominators = DominatorTree::new(func, &cfg);
    let operator_effects = OperatorEffects::new(func, environment.module());
    let writes = block_writes(func, &operator_effects, &cfg);
    let mut numbering = Numbering {
        environment,
        cfg: &cfg,
        dominators: &dominators,
        operator_effects,
        writes,
        visits: Visits {
            blocks: Vec::new(),
            search: SecondaryMap::with_default_and_len(0, func.blocks.len()),
            searches: 0,
        },
        table: ScopedTable::with_capacity(func.inst_count()),
        written: Written::default(),
        facts: FxHashMap::default(),
        facts_before: Vec::new(),
        kept: Vec::with_capacity(func.inst_count()),
        aliases: false,
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
    operator_effects: &OperatorEffects,
    cfg: &ControlFlowGraph,
) -> SecondaryMap<Block, LocationSet> {
    let mut writes = SecondaryMap::with_default_and_len(LocationSet::NONE, func.blocks.len());
    for &block in cfg.reverse_postorder() {
        let mut all = terminator_writes(func, block, operator_effects);
        for &inst in &func.blocks[block].insts {
            all = all.union(operator_effects[func.operator_id(inst)].writes);
        }
        writes[block] = all;
    }
    writes
}

fn terminator_writes(func: &Func, block: Block, operator_effects: &OperatorEffects) -> LocationSet {
    match &func.blocks[block].terminator {
        Terminator::Invoke(invoke) => operator_effects[invoke.operator].writes,
        // Nothing in this function comes after a tail call; reference branches and the rest write nothing.
        _ => LocationSet::NONE,
    }
}

/// The operands of an expression.
type Operands = SmallVec<[Value; 4]>;

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

/// How a place that an instruction writes is read.
struct Reading {
    operator: OperatorId,
    place: Operands,
    /// What the instruction writes there.
    value: Value,
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
    operator_effects: OperatorEffects,
    writes: SecondaryMap<Block, LocationSet>,
    visits: Visits,
    table: ScopedTable,
    written: Written,
    /// Values that are known to be a constant in the subtree that is being walked.
    facts: FxHashMap<Value, Constant>,
    /// What was known of the value before each fact was learnt.
    facts_before: Vec<(Value, Option<Constant>)>,
    /// Room for the instructions of a block that stay.
    kept: Vec<Inst>,
    /// Whether a value has become another name of one: until then operands are what they were resolved to.
    aliases: bool,
    changed: bool,
}

/// A block whose subtree the walk is in, and what was there to be found before it.
struct Open {
    block: Block,
    table: usize,
    written: usize,
    facts: usize,
}

impl Numbering<'_> {
    /// Visits the blocks in preorder of the dominator tree.
    fn walk(&mut self) {
        let mut open: Vec<Open> = Vec::new();
        for &block in self.dominators.preorder() {
            while let Some(above) = open.last() {
                if self.dominators.dominates(above.block, block) {
                    break;
                }
                self.table.forget_since(above.table);
                self.written.restore_to(above.written);
                self.forget_facts_since(above.facts);
                open.pop();
            }
            open.push(Open {
                block,
                table: self.table.mark(),
                written: self.written.mark(),
                facts: self.facts_before.len(),
            });
            self.enter(block);
            self.number_block(block);
        }
    }

    fn forget_facts_since(&mut self, mark: usize) {
        for (value, before) in self.facts_before.drain(mark..).rev() {
            match before {
                Some(before) => self.facts.insert(value, before),
                None => self.facts.remove(&value),
            };
        }
    }

    /// What has happened between the end of the immediate dominator and the start of this block.
    fn enter(&mut self, block: Block) {
        let Some(dominator) = self.dominators.immediate_dominator(block) else { return };
        let after_dominator = terminator_writes(self.func, dominator, &self.operator_effects);
        let between = match self.cfg.predecessors(block) {
            [_] => LocationSet::NONE,
            _ => self.writes_between(dominator, block),
        };
        let writes = after_dominator.union(between);
        if !writes.is_empty() || !self.writes[block].is_empty() {
            // The dominator's other children must not see this block's writes.
            self.written.save();
        }
        if !writes.is_empty() {
            self.written.write(writes);
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
        let operands: SmallVec<[Value; 2]> = SmallVec::from_slice(self.func.operands(inst));
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
            self.facts_before.push((value, before));
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
        let operator = self.intern(constant.operator());
        if let Some(Known { results: Results::Of(inst), .. }) = self.table.find(operator, &[]) {
            return self.func.first_result(inst);
        }
        let inst = self.func.create_inst(operator, &[], &[constant.ty()]);
        kept.push(inst);
        self.enter_known(operator, &[], Results::Of(inst), LocationSet::NONE);
        self.func.first_result(inst)
    }

    fn number_block(&mut self, block: Block) {
        let mut insts = std::mem::take(&mut self.func.blocks[block].insts);
        let mut kept = std::mem::take(&mut self.kept);
        for &inst in &insts {
            if self.aliases || !self.facts.is_empty() {
                for index in 0..self.func.operands(inst).len() {
                    let operand = self.func.operands(inst)[index];
                    let operand = self.substitute(operand, &mut kept);
                    self.func.operands_mut(inst)[index] = operand;
                }
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
        insts.clear();
        insts.append(&mut kept);
        self.func.blocks[block].insts = insts;
        self.kept = kept;
    }

    /// Numbers an instruction, whose operands are not aliases. Returns whether it stays.
    fn number_inst(&mut self, inst: Inst) -> bool {
        let operator = self.func.operator_id(inst);
        let effects = self.operator_effects[operator];
        if !effects.is_idempotent() {
            let reading = self.reading_back(inst);
            if reading.as_ref().is_some_and(|reading| self.is_there(reading)) {
                return false;
            }
            if !effects.writes.is_empty() {
                self.written.write(effects.writes);
            }
            match reading {
                // Reading the same place gives what was written.
                Some(Reading { operator, place, value }) => {
                    let reads = self.operator_effects[operator].reads;
                    self.enter_known(operator, &place, Results::Value(value), reads);
                }
                None => self.remember_fields(inst),
            }
            return true;
        }
        if self.func.inst_results(inst).len() == 0 {
            return true;
        }
        let operands = self.in_order(operator, self.func.operands(inst));
        match self.table.find(operator, &operands) {
            Some(known) if !self.written.since(known.reads, known.time) && self.have_types_of(inst, known.results) => {
                self.aliases = true;
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
                self.enter_known(operator, &operands, Results::Of(inst), effects.reads);
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

    fn enter_known(&mut self, operator: OperatorId, operands: &[Value], results: Results, reads: LocationSet) {
        self.table.enter(operator, operands, Known { results, reads, time: self.written.now() });
    }

    /// The id of an operator, whose effects are known from then on.
    fn intern(&mut self, operator: Operator<'static>) -> OperatorId {
        let id = self.func.operators.intern(operator);
        self.operator_effects.extend(self.func, self.environment.module());
        id
    }

    /// The operands in the order that stands for every order that computes the same.
    fn in_order(&self, operator: OperatorId, operands: &[Value]) -> Operands {
        let mut operands = Operands::from_slice(operands);
        if let [a, b] = &mut operands[..]
            && *a > *b
            && Opcode::of(&self.func.operators[operator]).is_commutative()
        {
            std::mem::swap(a, b);
        }
        operands
    }

    /// Whether what a store writes is known to be there already. Such a store does not trap, as what read or wrote the place did not, and memories
    /// and tables never shrink.
    fn is_there(&self, reading: &Reading) -> bool {
        let Some(known) = self.table.find(reading.operator, &reading.place) else { return false };
        let there = match known.results {
            Results::Of(earlier) => self.func.first_result(earlier),
            Results::Value(value) => value,
        };
        self.func.resolve(there) == reading.value && !self.written.since(known.reads, known.time)
    }

    /// After an allocation, reading its fields gives what they were made with.
    fn remember_fields(&mut self, inst: Inst) {
        let Operator::StructNew { struct_type_index } = *self.func.operator(inst) else { return };
        let reference = self.func.first_result(inst);
        for index in 0..self.func.operands(inst).len() {
            let field_index = index as u32;
            if !self.is_unpacked_field(struct_type_index, field_index) {
                continue;
            }
            let value = self.func.operands(inst)[index];
            let read = self.intern(Operator::StructGet { struct_type_index, field_index });
            let reads = self.operator_effects[read].reads;
            self.enter_known(read, &[reference], Results::Value(value), reads);
        }
    }

    /// What reads back exactly what an instruction writes.
    fn reading_back(&mut self, inst: Inst) -> Option<Reading> {
        use Operator as O;
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
        if self.is_shared_access(inst) {
            return None;
        }
        let (&value, place) = self.func.operands(inst).split_last()?;
        let place = Operands::from_slice(place);
        // What is read has the type of the place; a value of a more precise type would do, one of a less precise type cannot be.
        Some(Reading { operator: self.intern(read), place, value })
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
