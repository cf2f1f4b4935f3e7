//! Duplicate functions: of functions with the same type and the same body one stays, and all references go to it.
//!
//! References to functions cannot be compared in wasm, so which of two equal functions a reference names is not observable. Merging two
//! functions can make their callers equal, hence the rounds.

use crate::options::Options;
use crate::pass_table::Changed;
use indexmap::IndexMap;
use rayon::prelude::*;
use rustc_hash::{FxBuildHasher, FxHasher};
use std::hash::{Hash, Hasher};
use wasmfx_ir::entity::{Entity, SecondaryMap};
use wasmfx_ir::func::{BlockCall, Func, Handler, OperatorId, Terminator, Value};
use wasmfx_ir::module::{Body, FunctionId, Module};
use wasmfx_ir::operator::hash_operator;
use wasmfx_ir::wasmparser::{Operator, ValType};

/// Rounds until callers of merged functions are left as they are.
const MAX_ROUNDS: usize = 8;

/// Runs the pass.
pub fn run(module: &mut Module, _options: &Options) -> Changed {
    let mut changed = Changed::No;
    for _ in 0..MAX_ROUNDS {
        let round = merge_round(module);
        changed |= round;
        if !round.is_yes() {
            break;
        }
    }
    changed
}

fn merge_round(module: &mut Module) -> Changed {
    let hashes: Vec<Option<u64>> = module
        .functions
        .as_slice()
        .par_iter()
        .map(|function| match &function.body {
            Body::Lifted(func) => {
                let mut hasher = FxHasher::default();
                describe(func, &mut |word| word.hash(&mut hasher));
                operators_in_order(func).for_each(|operator| hash_operator(operator).hash(&mut hasher));
                Some(hasher.finish())
            }
            Body::Import | Body::Lazy(_) | Body::Detached | Body::Removed => None,
        })
        .collect();
    let mut groups: IndexMap<u64, Vec<FunctionId>, FxBuildHasher> = IndexMap::default();
    for (id, hash) in module.functions.keys().zip(hashes) {
        hash.into_iter().for_each(|hash| groups.entry(hash).or_default().push(id));
    }
    let mut replacement: SecondaryMap<FunctionId, Option<FunctionId>> = SecondaryMap::new();
    let mut changed = false;
    for group in groups.into_values().filter(|group| group.len() > 1) {
        let mut kept: Vec<FunctionId> = Vec::new();
        for id in group {
            match kept.iter().find(|&&other| equal(module, id, other)) {
                Some(&other) => {
                    replacement[id] = Some(other);
                    changed = true;
                }
                None => kept.push(id),
            }
        }
    }
    if changed {
        super::replace_functions(module, &replacement);
    }
    Changed::from_flag(changed)
}

fn equal(module: &Module, a: FunctionId, b: FunctionId) -> bool {
    let (Body::Lifted(a), Body::Lifted(b)) = (&module.functions[a].body, &module.functions[b].body) else {
        return false;
    };
    let (mut words_of_a, mut words_of_b) = (Vec::new(), Vec::new());
    describe(a, &mut |word| words_of_a.push(word));
    describe(b, &mut |word| words_of_b.push(word));
    words_of_a == words_of_b
        && operators_in_order(a).zip(operators_in_order(b)).all(|(a, b)| a == b)
        && types_in_order(a).eq(types_in_order(b))
}

/// The operators in order of first use, as [`describe`] numbers them.
fn operators_in_order(func: &Func) -> impl Iterator<Item = &Operator<'static>> {
    let mut seen = vec![false; func.operators.len()];
    let mut order = Vec::new();
    func.for_each_used_operator(|operator| {
        if !std::mem::replace(&mut seen[operator.index()], true) {
            order.push(operator);
        }
    });
    order.into_iter().map(|operator| &func.operators[operator])
}

/// The types of all block parameters and instruction results, in order.
fn types_in_order(func: &Func) -> impl Iterator<Item = ValType> {
    func.blocks.values().flat_map(move |block| {
        let results = block.insts.iter().flat_map(|&inst| func.inst_results(inst));
        block.params.iter().copied().chain(results).map(|value| func.value_type(value))
    })
}

/// Describes a body by words that do not depend on how its values and operators are numbered. Bodies with different words differ; whether
/// bodies with the same words are equal is then a matter of their operators and types.
fn describe(func: &Func, word: &mut impl FnMut(u32)) {
    let mut numbering = Numbering {
        values: SecondaryMap::with_default_and_len(u32::MAX, func.value_count()),
        next_value: 0,
        operators: SecondaryMap::with_default_and_len(u32::MAX, func.operators.len()),
        next_operator: 0,
    };
    word(func.ty.as_u32());
    word(func.entry.as_u32());
    word(func.blocks.len() as u32);
    for block in func.blocks.values() {
        word(block.params.len() as u32);
        for &param in &block.params {
            numbering.define(param);
        }
        for &inst in &block.insts {
            func.inst_results(inst).for_each(|result| numbering.define(result));
        }
    }
    for block in func.blocks.values() {
        word(block.insts.len() as u32);
        for &inst in &block.insts {
            let operands = func.operands(inst);
            word(numbering.operator(func.operator_id(inst)));
            word(operands.len() as u32);
            word(func.inst_results(inst).len() as u32);
            operands.iter().for_each(|&operand| word(numbering.value(func, operand)));
        }
        describe_terminator(func, &block.terminator, &mut numbering, word);
    }
}

struct Numbering {
    values: SecondaryMap<Value, u32>,
    next_value: u32,
    operators: SecondaryMap<OperatorId, u32>,
    next_operator: u32,
}

impl Numbering {
    fn define(&mut self, value: Value) {
        self.values[value] = self.next_value;
        self.next_value += 1;
    }
    fn value(&self, func: &Func, value: Value) -> u32 {
        self.values[func.resolve(value)]
    }
    fn operator(&mut self, operator: OperatorId) -> u32 {
        if self.operators[operator] == u32::MAX {
            self.operators[operator] = self.next_operator;
            self.next_operator += 1;
        }
        self.operators[operator]
    }
}

fn describe_terminator(func: &Func, terminator: &Terminator, numbering: &mut Numbering, word: &mut impl FnMut(u32)) {
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
    word(kind);
    if let Some(operator) = terminator.operator() {
        word(numbering.operator(operator));
    }
    if let Terminator::Branch { likely, .. } = terminator {
        word(match likely {
            None => 0,
            Some(false) => 1,
            Some(true) => 2,
        });
    }
    if let Terminator::Invoke(invoke) = terminator {
        word(u32::from(invoke.normal.is_some()));
        word(invoke.handlers.len() as u32);
        for handler in &invoke.handlers {
            let (kind, tag) = match *handler {
                Handler::Suspension { tag, .. } => (0, tag.as_u32()),
                Handler::Switch { tag } => (1, tag.as_u32()),
                Handler::Catch { tag, .. } => (2, tag.as_u32()),
                Handler::CatchRef { tag, .. } => (3, tag.as_u32()),
                Handler::CatchAll { .. } => (4, 0),
                Handler::CatchAllRef { .. } => (5, 0),
            };
            word(kind);
            word(tag);
        }
    }
    let (mut successors, mut values) = (0, 0);
    terminator.for_each_successor(|_| successors += 1);
    terminator.for_each_value(|_| values += 1);
    word(successors);
    terminator.for_each_successor(|block| word(block.as_u32()));
    terminator.for_each_block_call(|call: &BlockCall| word(call.args.len() as u32));
    word(values);
    terminator.for_each_value(|value| word(numbering.value(func, value)));
}
