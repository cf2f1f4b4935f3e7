//! What a body does, independent of how its values and operators are numbered: for finding functions that do the same.

use crate::function::simplify::Constant;
use crate::inline_body::direct_callee;
use indexmap::IndexMap;
use rayon::prelude::*;
use rustc_hash::{FxBuildHasher, FxHasher};
use std::hash::{Hash, Hasher};
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{BlockCall, Func, Handler, Inst, OperatorId, Terminator, Value};
use wasmfx_ir::module::{FunctionId, Module};
use wasmfx_ir::operator::hash_operator;
use wasmfx_ir::wasmparser::ValType;

/// How constants, and the functions that are called directly, count when two bodies are compared.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Details {
    /// Like all other operators.
    Compared,
    /// Only by their types; [which constants](Description::constants) and [which functions](Description::callees) they are is kept apart.
    Apart,
}

impl Details {
    /// Whether an instruction is part of the description.
    fn part_of_description(self) -> impl Fn(&Func, Inst) -> bool + Copy {
        move |func, inst| self == Self::Compared || Constant::of(func.operator(inst)).is_none()
    }
}

/// The constant that a value is.
pub(super) fn constant(func: &Func, value: Value) -> Option<Constant> {
    func.defining_operator(func.resolve(value)).and_then(Constant::of)
}

/// A body, described. Two bodies whose descriptions are equal do the same, but for what is kept apart.
pub(super) struct Description<'a> {
    module: &'a Module,
    func: &'a Func,
    details_are: Details,
    /// Control flow, and which values and operators (numbered in the order in which they come) are used where.
    words: Vec<u32>,
    /// The operators by those numbers.
    operators: Vec<OperatorId>,
    /// The constants that are apart, use by use, in the order of [`for_each_use_mut`].
    pub(super) constants: Vec<Constant>,
    /// The functions that are apart, call by call, block by block: instructions, then the terminator.
    pub(super) callees: Vec<FunctionId>,
}

impl<'a> Description<'a> {
    /// Describes the body of a function of the module.
    pub(super) fn new(module: &'a Module, func: &'a Func, details_are: Details) -> Self {
        let is_part = details_are.part_of_description();
        let mut description = Self {
            module,
            func,
            details_are,
            words: Vec::new(),
            operators: Vec::new(),
            constants: Vec::new(),
            callees: Vec::new(),
        };
        let mut numbering = Numbering {
            values: SecondaryMap::with_default_and_len(u32::MAX, func.value_count()),
            next_value: 0,
            operators: SecondaryMap::with_default_and_len(u32::MAX, func.operators.len()),
        };
        description.word(func.ty.as_u32());
        description.word(func.entry.as_u32());
        description.word(func.blocks.len() as u32);
        for block in func.blocks.values() {
            description.word(block.params.len() as u32);
            for &param in &block.params {
                numbering.define(param);
            }
            for &inst in block.insts.iter().filter(|&&inst| is_part(func, inst)) {
                func.inst_results(inst).for_each(|result| numbering.define(result));
            }
        }
        for block in func.blocks.values() {
            let insts = || block.insts.iter().filter(|&&inst| is_part(func, inst));
            description.word(insts().count() as u32);
            for &inst in insts() {
                let operands = func.operands(inst);
                description.operator(func.operator_id(inst), &mut numbering);
                description.word(operands.len() as u32);
                description.word(func.inst_results(inst).len() as u32);
                operands.iter().for_each(|&operand| description.value(operand, &numbering));
            }
            description.terminator(&block.terminator, &mut numbering);
        }
        description
    }

    /// Equal descriptions have equal hashes.
    pub(super) fn hash(&self) -> u64 {
        let mut hasher = FxHasher::default();
        self.words.hash(&mut hasher);
        self.operators.iter().for_each(|&operator| hash_operator(&self.func.operators[operator]).hash(&mut hasher));
        hasher.finish()
    }

    fn word(&mut self, word: u32) {
        self.words.push(word);
    }

    fn operator(&mut self, operator: OperatorId, numbering: &mut Numbering) {
        if let (Details::Apart, Some(callee)) = (self.details_are, direct_callee(&self.func.operators[operator])) {
            // No operator has such a number. Whether it is a tail call follows from where it stands.
            self.words.push(u32::MAX);
            self.words.push(self.module.functions[callee].ty.as_u32());
            self.callees.push(callee);
            return;
        }
        let number = &mut numbering.operators[operator];
        if *number == u32::MAX {
            *number = self.operators.len() as u32;
            self.operators.push(operator);
        }
        self.words.push(*number);
    }

    fn value(&mut self, value: Value, numbering: &Numbering) {
        let constant = match self.details_are {
            Details::Compared => None,
            Details::Apart => constant(self.func, value),
        };
        let Some(constant) = constant else {
            self.words.push(numbering.values[self.func.resolve(value)]);
            return;
        };
        // No value has such a number.
        self.words.push(match constant {
            Constant::I32(_) => u32::MAX - 1,
            Constant::I64(_) => u32::MAX - 2,
            Constant::F32(_) => u32::MAX - 3,
            Constant::F64(_) => u32::MAX - 4,
        });
        self.constants.push(constant);
    }

    /// The types of all block parameters and instruction results, in order.
    fn types(&self) -> impl Iterator<Item = ValType> {
        let is_part = self.details_are.part_of_description();
        self.func.blocks.values().flat_map(move |block| {
            let insts = block.insts.iter().filter(move |&&inst| is_part(self.func, inst));
            let results = insts.flat_map(|&inst| self.func.inst_results(inst));
            block.params.iter().copied().chain(results).map(|value| self.func.value_type(value))
        })
    }

    fn terminator(&mut self, terminator: &Terminator, numbering: &mut Numbering) {
        let kind = match terminator {
            Terminator::Missing => 0,
            Terminator::Unreachable => 1,
            Terminator::Jump(_) => 2,
            Terminator::Branch { .. } => 3,
            Terminator::Switch { .. } => 4,
            Terminator::Return(_) => 5,
            Terminator::TailCall { .. } => 6,
            Terminator::Invoke(_) => 7,
            Terminator::BranchOnReference { .. } => 8,
        };
        self.word(kind);
        if let Some(operator) = terminator.operator() {
            self.operator(operator, numbering);
        }
        if let Terminator::Branch { likely, .. } = terminator {
            self.word(match likely {
                None => 0,
                Some(false) => 1,
                Some(true) => 2,
            });
        }
        if let Terminator::Invoke(invoke) = terminator {
            self.word(u32::from(invoke.normal.is_some()));
            self.word(invoke.handlers.len() as u32);
            for handler in &invoke.handlers {
                let (kind, tag) = match *handler {
                    Handler::Suspension { tag, .. } => (0, tag.as_u32()),
                    Handler::Switch { tag } => (1, tag.as_u32()),
                    Handler::Catch { tag, .. } => (2, tag.as_u32()),
                    Handler::CatchRef { tag, .. } => (3, tag.as_u32()),
                    Handler::CatchAll { .. } => (4, 0),
                    Handler::CatchAllRef { .. } => (5, 0),
                };
                self.word(kind);
                self.word(tag);
            }
        }
        let (mut successors, mut values) = (0, 0);
        terminator.for_each_successor(|_| successors += 1);
        terminator.for_each_value(|_| values += 1);
        self.word(successors);
        terminator.for_each_successor(|block| self.word(block.as_u32()));
        terminator.for_each_block_call(|call: &BlockCall| self.word(call.args.len() as u32));
        self.word(values);
        terminator.for_each_value(|value| self.value(value, numbering));
    }
}

impl PartialEq for Description<'_> {
    fn eq(&self, other: &Self) -> bool {
        let operators = |description: &Self| description.operators.len();
        self.words == other.words
            && operators(self) == operators(other)
            && self
                .operators
                .iter()
                .zip(&other.operators)
                .all(|(&one, &another)| self.func.operators[one] == other.func.operators[another])
            && self.types().eq(other.types())
    }
}

/// Functions that may do the same, as their descriptions have one hash: more than one in each list, in the order of the module.
pub(super) fn possibly_equal(module: &Module, details_are: Details) -> Vec<Vec<FunctionId>> {
    // Most functions differ from all others in what is quickly looked at.
    let outlines = groups_of_equals(module.functions.keys().collect(), |id| module.functions[id].lifted().map(outline));
    let candidates: Vec<FunctionId> = outlines.into_iter().flatten().collect();
    let describe = |func| Description::new(module, func, details_are).hash();
    let mut groups = groups_of_equals(candidates, |id| module.functions[id].lifted().map(describe));
    groups.sort_unstable();
    groups
}

/// Functions with one hash, more than one in each list, in the order in which they are given.
fn groups_of_equals(
    functions: Vec<FunctionId>,
    hash: impl Fn(FunctionId) -> Option<u64> + Sync,
) -> Vec<Vec<FunctionId>> {
    let hashes: Vec<Option<u64>> = functions.par_iter().map(|&id| hash(id)).collect();
    let mut groups: IndexMap<u64, Vec<FunctionId>, FxBuildHasher> = IndexMap::default();
    for (id, hash) in functions.into_iter().zip(hashes) {
        hash.into_iter().for_each(|hash| groups.entry(hash).or_default().push(id));
    }
    groups.into_values().filter(|group| group.len() > 1).collect()
}

/// A hash of the function's type and of its blocks without what is in them: equal where descriptions are.
fn outline(func: &Func) -> u64 {
    let mut hasher = FxHasher::default();
    func.ty.hash(&mut hasher);
    for block in func.blocks.values() {
        (block.params.len(), std::mem::discriminant(&block.terminator)).hash(&mut hasher);
    }
    hasher.finish()
}

struct Numbering {
    values: SecondaryMap<Value, u32>,
    next_value: u32,
    operators: SecondaryMap<OperatorId, u32>,
}

impl Numbering {
    fn define(&mut self, value: Value) {
        self.values[value] = self.next_value;
        self.next_value += 1;
    }
}

/// Visits the uses of values by instructions that are not constants, and by terminators.
pub(super) fn for_each_use_mut(func: &mut Func, mut visit: impl FnMut(&Func, Value) -> Option<Value>) {
    for block in func.blocks.keys() {
        for at in 0..func.blocks[block].insts.len() {
            let inst = func.blocks[block].insts[at];
            for position in 0..func.operands(inst).len() {
                if let Some(value) = visit(func, func.operands(inst)[position]) {
                    func.operands_mut(inst)[position] = value;
                }
            }
        }
        let mut terminator = std::mem::take(&mut func.blocks[block].terminator);
        terminator.for_each_value_mut(|value| {
            if let Some(other) = visit(func, *value) {
                *value = other;
            }
        });
        func.blocks[block].terminator = terminator;
    }
}
