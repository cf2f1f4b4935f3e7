//! Which removals make a module no larger: calls get shorter, but not where the argument has to be dropped instead, and the function may need a type that
//! nobody else has while others keep its old one.
//!
//! All of it is about the bytes before other passes have seen what is left. So a parameter that becomes a constant goes in any case: what
//! the constant makes of the callee cannot be told here.

use super::{Gone, Plan, Plans};
use crate::encoded_length;
use crate::inline_body::direct_callee;
use crate::module::plain_types::PlainTypes;
use crate::module::types::count_uses;
use crate::options::Options;
use indexmap::IndexMap;
use rayon::prelude::*;
use rustc_hash::{FxBuildHasher, FxHashMap};
use wasmfx_ir::analysis::UseCounts;
use wasmfx_ir::effects::inst_effects;
use wasmfx_ir::entity::{Entity, SecondaryMap};
use wasmfx_ir::func::{Terminator, ValueDefinition};
use wasmfx_ir::module::{Body, FunctionId, Module, TypeId};
use wasmfx_ir::opcode::Opcode;
use wasmfx_ir::references::visit_sub_type;
use wasmfx_ir::wasmparser::{CompositeInnerType, SubType};
use wasmfx_ir::{Func, Inst, Value};

/// The functions that are to get a type that the module does not have.
#[derive(Default)]
struct Users {
    functions: Vec<FunctionId>,
    /// Whether one of them gets it whatever it costs.
    is_certain: bool,
}

/// Forgets the plans that make the module larger.
pub(super) fn retain_worthwhile(module: &Module, options: &Options, types: &PlainTypes, plans: &mut Plans) {
    if module.functions.keys().all(|id| plans[id].as_ref().is_none_or(gives_constants)) {
        return;
    }
    let saved = saved_bytes(module, options, plans);
    let mut new_types: IndexMap<SubType, Users, FxBuildHasher> = IndexMap::default();
    for (id, function) in module.functions.iter() {
        let (Some(plan), Body::Lifted(func)) = (&plans[id], &function.body) else { continue };
        let is_certain = gives_constants(plan);
        if !is_certain && saved[id] < 0 {
            plans[id] = None;
            continue;
        }
        let ty = SubType::func(plan.new_type(func), false);
        if !types.contains(&ty) {
            let users = new_types.entry(ty).or_default();
            users.functions.push(id);
            users.is_certain |= is_certain;
        }
    }
    new_types.retain(|_, users| !users.is_certain);
    if new_types.is_empty() {
        return;
    }
    let uses = count_uses(module);
    let mut mentioned: SecondaryMap<TypeId, bool> = SecondaryMap::new();
    for definition in module.types.definitions.values() {
        visit_sub_type(&definition.sub_type, &mut |_, number| mentioned[TypeId::from_u32(number)] = true);
    }
    for (ty, users) in new_types {
        let mut leave: FxHashMap<TypeId, u32> = FxHashMap::default();
        users.functions.iter().for_each(|&id| *leave.entry(module.functions[id].ty).or_default() += 1);
        let goes = |ty: TypeId, leaving: u32| {
            let group = &module.types.groups[module.types.group_of(ty)];
            uses[ty] == leaving && !mentioned[ty] && group.range.len() == 1
        };
        let gone = leave.into_iter().filter(|&(ty, leaving)| goes(ty, leaving));
        let freed: i64 = gone.map(|(ty, _)| type_bytes(&module.types.definitions[ty].sub_type)).sum();
        let saved: i64 = users.functions.iter().map(|&id| saved[id]).sum();
        if saved + freed < type_bytes(&ty) {
            users.functions.iter().for_each(|&id| plans[id] = None);
        }
    }
}

fn gives_constants(plan: &Plan) -> bool {
    plan.params.iter().flatten().any(|gone| matches!(gone, Gone::Always(_)))
}

fn type_bytes(ty: &SubType) -> i64 {
    match &ty.composite_type.inner {
        CompositeInnerType::Func(func) => encoded_length::func_type(func) as i64,
        other => unreachable!("a function is of type {other:?}"),
    }
}

/// For each function that has a plan, about how many bytes its calls and its returns lose.
fn saved_bytes(module: &Module, options: &Options, plans: &Plans) -> SecondaryMap<FunctionId, i64> {
    let found: Vec<Vec<(FunctionId, i64)>> = module
        .functions
        .as_slice()
        .par_iter()
        .enumerate()
        .map(|(index, function)| match &function.body {
            Body::Lifted(func) => saved_in(module, options, FunctionId::from_index(index), func, plans),
            Body::Import | Body::Lazy(_) | Body::Detached | Body::Removed => Vec::new(),
        })
        .collect();
    let mut saved: SecondaryMap<FunctionId, i64> = SecondaryMap::new();
    found.into_iter().flatten().for_each(|(function, bytes)| saved[function] += bytes);
    saved
}

/// What one body's returns, and its calls of the functions that have plans, lose.
fn saved_in(module: &Module, options: &Options, id: FunctionId, func: &Func, plans: &Plans) -> Vec<(FunctionId, i64)> {
    let mut calls: Vec<(FunctionId, &Plan, &[Value])> = Vec::new();
    for data in func.blocks.values() {
        let insts = data.insts.iter().map(|&inst| (func.operator(inst), func.operands(inst)));
        let terminator = data.terminator.call().map(|(operator, args)| (&func.operators[operator], args));
        for (operator, args) in insts.chain(terminator) {
            if let Some(callee) = direct_callee(operator)
                && let Some(plan) = &plans[callee]
            {
                calls.push((callee, plan, args));
            }
        }
    }
    let drops_results = plans[id].as_ref().is_some_and(|plan| plan.drop_results);
    if calls.is_empty() && !drops_results {
        return Vec::new();
    }
    let uses = UseCounts::new(func, func.blocks.keys());
    let without_use = |value: Value| bytes_of_use(module, options, func, &uses, value, 0);
    let mut saved: Vec<(FunctionId, i64)> = Vec::new();
    for (callee, plan, args) in calls {
        let gone = args.iter().enumerate().filter(|&(index, _)| !plan.keeps(index));
        let dropped = match &module.functions[callee].body {
            Body::Lifted(body) if plan.drop_results => body.results.len() as i64 * DROP,
            _ => 0,
        };
        saved.push((callee, gone.map(|(_, &value)| without_use(value)).sum::<i64>() + dropped));
    }
    if drops_results {
        for data in func.blocks.values() {
            if let Terminator::Return(values) = &data.terminator {
                saved.push((id, values.iter().map(|&value| without_use(value)).sum()));
            }
        }
    }
    saved
}

const LOCAL_GET: i64 = 2;
const DROP: i64 = 1;
/// Expressions are looked into so far.
const MAX_DEPTH: u32 = 8;

/// About how many bytes go with one use of a value: all of its expression if there are no other uses, but for what must be executed anyway, the
/// result of which is dropped instead.
fn bytes_of_use(module: &Module, options: &Options, func: &Func, uses: &UseCounts, value: Value, depth: u32) -> i64 {
    let value = func.resolve(value);
    let (ValueDefinition::Result(inst), 1) = (func.definition(value), uses.get(value)) else { return LOCAL_GET };
    let operator = func.operator(inst);
    if Opcode::of(operator).is_const() {
        return encoded_length::operator(operator).map_or(LOCAL_GET, |bytes| bytes as i64);
    }
    if !is_removable(module, options, func, inst) {
        return -DROP;
    }
    if depth == MAX_DEPTH {
        return LOCAL_GET;
    }
    let operands = func.operands(inst).iter();
    1 + operands.map(|&operand| bytes_of_use(module, options, func, uses, operand, depth + 1)).sum::<i64>()
}

fn is_removable(module: &Module, options: &Options, func: &Func, inst: Inst) -> bool {
    let effects = inst_effects(func, inst, module);
    let effects = if options.traps_never_happen { effects.without_traps() } else { effects };
    effects.is_removable_if_unused()
}
