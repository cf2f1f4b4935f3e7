//! Dead arguments: parameters that a function does not use or always gets the same constant for, and results that no call uses, go.
//!
//! The type of a function can be changed if every reference to it is a direct call: nothing that is exported, started, put in a table or
//! given to `ref.func` (and so to `cont.new`) is touched. Arguments are computed as before; what they are computed with goes, if nothing
//! else needs it, by the dead code pass. Results stay where a tail call is involved on either side, as its results are its caller's.
//!
//! Up to `-O2` what would make the module larger stays (`bytes.rs`).

mod bytes;

use super::plain_types::PlainTypes;
use crate::inline_body::direct_callee;
use crate::options::{OptimizeLevel, Options, ShrinkLevel};
use crate::pass_table::Changed;
use rayon::prelude::*;
use wasmfx_ir::analysis::UseCounts;
use wasmfx_ir::entity::{Entity, SecondaryMap};
use wasmfx_ir::func::{Terminator, ValueVec};
use wasmfx_ir::module::{Body, FunctionId, Module};
use wasmfx_ir::references::{IndexSpace, visit_operator};
use wasmfx_ir::wasmparser::{FuncType, Operator, SubType};
use wasmfx_ir::{Func, Value};

/// How often a function that lost arguments may cost its callers theirs.
const MAX_ROUNDS: usize = 4;

/// Runs the pass.
pub fn run(module: &mut Module, options: &Options) -> Changed {
    // Bytes that are not looked into may call anything.
    if module.functions.values().any(|function| matches!(function.body, Body::Lazy(_))) {
        return Changed::No;
    }
    module.functions.as_mut_slice().par_iter_mut().for_each(|function| {
        if let Body::Lifted(func) = &mut function.body {
            func.resolve_aliases();
        }
    });
    let mut changed = Changed::No;
    for _ in 0..MAX_ROUNDS {
        let round = remove_dead(module, options);
        changed |= round;
        if !round.is_yes() {
            break;
        }
    }
    changed
}

fn remove_dead(module: &mut Module, options: &Options) -> Changed {
    let mut plans = plans(module);
    let nothing_to_do = |plans: &Plans| module.functions.keys().all(|id| plans[id].is_none());
    if nothing_to_do(&plans) {
        return Changed::No;
    }
    let mut types = PlainTypes::of(module);
    let speed_first = options.optimize >= OptimizeLevel::O3 && options.shrink == ShrinkLevel::None;
    if !speed_first {
        bytes::retain_worthwhile(module, options, &types, &mut plans);
        if nothing_to_do(&plans) {
            return Changed::No;
        }
    }
    for id in module.functions.keys() {
        let Some(plan) = &plans[id] else { continue };
        let Body::Lifted(func) = &mut module.functions[id].body else { unreachable!("only lifted bodies have a plan") };
        let ty = types.find_or_add(&mut module.types, SubType::func(plan.new_type(func), false));
        apply_to_callee(func, plan);
        let function = &mut module.functions[id];
        let Body::Lifted(func) = &mut function.body else { unreachable!("as above") };
        func.ty = ty;
        function.ty = ty;
    }
    module.functions.as_mut_slice().par_iter_mut().for_each(|function| {
        if let Body::Lifted(func) = &mut function.body {
            apply_to_callers(func, &plans);
        }
    });
    Changed::Yes
}

/// What becomes of each function.
type Plans = SecondaryMap<FunctionId, Option<Plan>>;

/// What becomes of a function.
#[derive(Clone)]
struct Plan {
    /// For each parameter, whether it goes, and what it always is if it is used nevertheless.
    params: Box<[Option<Gone>]>,
    drop_results: bool,
}

#[derive(Clone)]
enum Gone {
    Unused,
    Always(Operator<'static>),
}

impl Plan {
    fn keeps(&self, index: usize) -> bool {
        self.params[index].is_none()
    }

    /// The type that the function gets.
    fn new_type(&self, func: &Func) -> FuncType {
        let params = func.blocks[func.entry].params.iter().enumerate().filter(|&(index, _)| self.keeps(index));
        let params: Vec<_> = params.map(|(_, &param)| func.value_type(param)).collect();
        let results: &[_] = if self.drop_results { &[] } else { &func.results };
        FuncType::new(params, results.iter().copied())
    }
}

/// What calls give to a parameter.
#[derive(Clone, PartialEq, Eq)]
enum Argument {
    NeverGiven,
    Constant(Operator<'static>),
    Varies,
}

/// What is known about the calls of a function.
#[derive(Clone, Default)]
struct Calls {
    /// It is referred to otherwise than by a call.
    escapes: bool,
    is_called: bool,
    is_tail_called: bool,
    uses_results: bool,
    arguments: Vec<Argument>,
}

/// One call.
struct Site {
    callee: FunctionId,
    arguments: Vec<Argument>,
    uses_results: bool,
    is_tail_call: bool,
}

fn plans(module: &Module) -> Plans {
    let calls = calls(module);
    let found: Vec<Option<Plan>> = module
        .functions
        .as_slice()
        .par_iter()
        .enumerate()
        .map(|(index, function)| match &function.body {
            Body::Lifted(func) => plan(FunctionId::from_index(index), func, &calls[FunctionId::from_index(index)]),
            Body::Import | Body::Lazy(_) | Body::Detached | Body::Removed => None,
        })
        .collect();
    let mut plans = SecondaryMap::new();
    for (id, plan) in module.functions.keys().zip(found) {
        plans[id] = plan;
    }
    plans
}

fn plan(id: FunctionId, func: &Func, calls: &Calls) -> Option<Plan> {
    if calls.escapes || !calls.is_called {
        return None;
    }
    let entry_params = &func.blocks[func.entry].params;
    let used = used_params(id, func);
    let params: Box<[Option<Gone>]> = (0..entry_params.len())
        .map(|index| match &calls.arguments[index] {
            _ if !used[index] => Some(Gone::Unused),
            Argument::Constant(operator) => Some(Gone::Always(operator.clone())),
            Argument::NeverGiven | Argument::Varies => None,
        })
        .collect();
    let has_tail_call = || func.blocks.values().any(|data| matches!(data.terminator, Terminator::TailCall { .. }));
    let drop_results = !func.results.is_empty() && !calls.uses_results && !calls.is_tail_called && !has_tail_call();
    (drop_results || params.iter().any(Option::is_some)).then_some(Plan { params, drop_results })
}

/// The parameters that are used otherwise than to be passed on to the function itself, for the same parameter.
fn used_params(id: FunctionId, func: &Func) -> Vec<bool> {
    let entry_params = &func.blocks[func.entry].params;
    let mut position: SecondaryMap<Value, Option<u32>> = SecondaryMap::new();
    for (&param, index) in entry_params.iter().zip(0..) {
        position[param] = Some(index);
    }
    let mut used = vec![false; entry_params.len()];
    let mut mark = |value: Value, passed_as: Option<usize>| {
        if let Some(index) = position[func.resolve(value)]
            && passed_as != Some(index as usize)
        {
            used[index as usize] = true;
        }
    };
    let itself = |operator: &Operator<'static>| direct_callee(operator) == Some(id);
    for data in func.blocks.values() {
        for &inst in &data.insts {
            let recurs = itself(func.operator(inst));
            for (index, &operand) in func.operands(inst).iter().enumerate() {
                mark(operand, recurs.then_some(index));
            }
        }
        let recurs = data.terminator.operator().is_some_and(|operator| itself(&func.operators[operator]));
        let mut index = 0;
        data.terminator.for_each_value(|value| {
            mark(value, recurs.then_some(index));
            index += 1;
        });
    }
    used
}

fn calls(module: &Module) -> SecondaryMap<FunctionId, Calls> {
    let mut calls: SecondaryMap<FunctionId, Calls> = SecondaryMap::new();
    for (id, function) in module.functions.iter() {
        if let Body::Lifted(func) = &function.body {
            calls[id].arguments = vec![Argument::NeverGiven; func.blocks[func.entry].params.len()];
        }
    }
    super::for_each_reference_outside_of_bodies(module, &mut |space, number| {
        if space == IndexSpace::Function {
            calls[FunctionId::from_u32(number)].escapes = true;
        }
    });
    let sites: Vec<(Vec<Site>, Vec<FunctionId>)> = module
        .functions
        .as_slice()
        .par_iter()
        .map(|function| match &function.body {
            Body::Lifted(func) => sites(func),
            Body::Import | Body::Lazy(_) | Body::Detached | Body::Removed => Default::default(),
        })
        .collect();
    for (sites, escaping) in sites {
        escaping.into_iter().for_each(|function| calls[function].escapes = true);
        for site in sites {
            let callee = &mut calls[site.callee];
            callee.is_called = true;
            callee.uses_results |= site.uses_results;
            callee.is_tail_called |= site.is_tail_call;
            for (known, given) in callee.arguments.iter_mut().zip(site.arguments) {
                if *known == Argument::NeverGiven {
                    *known = given;
                } else if *known != given {
                    *known = Argument::Varies;
                }
            }
        }
    }
    calls
}

/// The calls that a function makes, and the functions that it refers to otherwise.
fn sites(func: &Func) -> (Vec<Site>, Vec<FunctionId>) {
    let mut escaping = Vec::new();
    func.for_each_used_operator(|operator, _| {
        let operator = &func.operators[operator];
        if direct_callee(operator).is_none() {
            visit_operator(operator, &mut |space, number| {
                if space == IndexSpace::Function {
                    escaping.push(FunctionId::from_u32(number));
                }
            });
        }
    });
    let uses = UseCounts::new(func, func.blocks.keys());
    let arguments = |values: &[Value]| -> Vec<Argument> {
        let constant = |&value: &Value| match func.defining_operator(func.resolve(value)) {
            Some(
                operator @ (Operator::I32Const { .. }
                | Operator::I64Const { .. }
                | Operator::F32Const { .. }
                | Operator::F64Const { .. }),
            ) => Argument::Constant(operator.clone()),
            _ => Argument::Varies,
        };
        values.iter().map(constant).collect()
    };
    let mut sites = Vec::new();
    for data in func.blocks.values() {
        for &inst in &data.insts {
            if let Some(callee) = direct_callee(func.operator(inst)) {
                let uses_results = func.inst_results(inst).any(|result| uses.get(result) > 0);
                sites.push(Site {
                    callee,
                    arguments: arguments(func.operands(inst)),
                    uses_results,
                    is_tail_call: false,
                });
            }
        }
        let Some((operator, args)) = data.terminator.call() else { continue };
        let Some(callee) = direct_callee(&func.operators[operator]) else { continue };
        let normal = match &data.terminator {
            Terminator::Invoke(invoke) => invoke.normal,
            _ => None,
        };
        let uses_results =
            normal.is_some_and(|normal| func.blocks[normal].params.iter().any(|&result| uses.get(result) > 0));
        let is_tail_call = matches!(data.terminator, Terminator::TailCall { .. });
        sites.push(Site { callee, arguments: arguments(args), uses_results, is_tail_call });
    }
    (sites, escaping)
}

fn apply_to_callee(func: &mut Func, plan: &Plan) {
    // The old bytes are those of a function of another type.
    func.original = None;
    let entry = func.entry;
    let params = func.blocks[entry].params.clone();
    for (&param, gone) in params.iter().zip(&plan.params) {
        if let Some(Gone::Always(operator)) = gone {
            let ty = func.value_type(param);
            let inst = func.insert(entry, 0, operator.clone(), &[], &[ty]);
            let constant = func.first_result(inst);
            func.make_alias(param, constant);
        }
    }
    func.resolve_aliases();
    func.retain_block_params(entry, |index, _| plan.keeps(index));
    if plan.drop_results {
        func.results = Box::new([]);
        for data in func.blocks.values_mut() {
            if let Terminator::Return(values) = &mut data.terminator {
                values.clear();
            }
        }
    }
}

fn apply_to_callers(func: &mut Func, plans: &Plans) {
    let plan_of = |operator: &Operator<'static>| plans[direct_callee(operator)?].as_ref();
    let kept = |plan: &Plan, args: &[Value]| -> ValueVec {
        args.iter().enumerate().filter(|&(index, _)| plan.keeps(index)).map(|(_, &value)| value).collect()
    };
    let mut changed = false;
    for block in func.blocks.keys() {
        for at in 0..func.blocks[block].insts.len() {
            let inst = func.blocks[block].insts[at];
            let Some(plan) = plan_of(func.operator(inst)) else { continue };
            changed = true;
            let args = kept(plan, func.operands(inst));
            if plan.drop_results {
                let without_results = func.create_inst(func.operator_id(inst), &args, &[]);
                func.blocks[block].insts[at] = without_results;
            } else {
                let operator = func.operator(inst).clone();
                func.replace_inst(inst, operator, &args);
            }
        }
        let Some(plan) = func.blocks[block].terminator.operator().and_then(|id| plan_of(&func.operators[id])) else {
            continue;
        };
        changed = true;
        let mut normal = None;
        match &mut func.blocks[block].terminator {
            Terminator::TailCall { args, .. } => *args = kept(plan, args),
            Terminator::Invoke(invoke) => {
                invoke.args = kept(plan, &invoke.args);
                normal = invoke.normal;
            }
            other => unreachable!("{other:?} calls nothing"),
        }
        if plan.drop_results
            && let Some(normal) = normal
        {
            func.retain_block_params(normal, |_, _| false);
        }
    }
    if changed {
        func.original = None;
    }
}
