//! Similar functions: of functions that differ only in constants, and in which functions they call, one stays, which gets those constants as
//! arguments. Which function it calls it gets as a number, too: there is a function that calls the one with that number ([`dispatch`]).
//!
//! An original that is only called is called no more: its callers call what it became with its constants. One that is referred to otherwise, or called in
//! so many places that the constants would take more bytes, keeps its identity and type, and does nothing but that call.
//!
//! Whether the stack is deeper by such a call cannot be observed (`wasmfx_ir::effects`), but tail calls must run in constant space: where the
//! module has any, these calls are tail calls too.

mod dispatch;

use self::dispatch::{Callees, Dispatchers};
use super::description::{Description, Details, constant, for_each_use_mut, possibly_equal};
use super::plain_types::PlainTypes;
use crate::encoded_length;
use crate::function::simplify::Constant;
use crate::inline_body::direct_callee;
use crate::options::Options;
use crate::pass_table::Changed;
use indexmap::{IndexMap, IndexSet};
use rayon::prelude::*;
use rustc_hash::FxBuildHasher;
use wasmfx_ir::Func;
use wasmfx_ir::analysis::UseCounts;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{Block, Terminator, Value, ValueVec};
use wasmfx_ir::module::{Body, Function, FunctionId, Module};
use wasmfx_ir::references::IndexSpace;
use wasmfx_ir::wasmparser::{FuncType, Operator, SubType, ValType};

/// Engines limit parameters to 1,000; more than these would hardly be worthwhile.
const MAX_PARAMETERS: usize = 32;
/// What a call takes, if its function's index takes two bytes.
const CALL_BYTES: usize = 3;
/// Reading or writing a local.
const LOCAL_BYTES: usize = 2;
/// Of a function: its type's index, the length of its body, the number of its locals, and `end`.
const FUNCTION_BYTES: usize = 4;

/// Runs the pass.
pub fn run(module: &mut Module, _options: &Options) -> Changed {
    module.functions.as_mut_slice().par_iter_mut().for_each(|function| {
        if let Body::Lifted(func) = &mut function.body {
            func.resolve_aliases();
        }
    });
    let references = References::of(module);
    let mut types = PlainTypes::of(module);
    let mut families: Vec<Family> = Vec::new();
    let mut dispatchers = Dispatchers::default();
    for group in possibly_equal(module, Details::Apart) {
        families.extend(families_of(module, &group, &references, &types, &mut dispatchers));
    }
    if families.is_empty() {
        return Changed::No;
    }
    let is_tail_call = |function: &Function| match &function.body {
        Body::Lifted(func) => func.blocks.values().any(|data| matches!(data.terminator, Terminator::TailCall { .. })),
        _ => false,
    };
    let has_tail_calls = module.functions.values().any(is_tail_call);
    let mut replacements: SecondaryMap<FunctionId, Option<Replacement>> = SecondaryMap::new();
    for family in families {
        merge(module, &mut types, &mut dispatchers, family, has_tail_calls, &mut replacements);
    }
    module.functions.as_mut_slice().par_iter_mut().for_each(|function| {
        if let Body::Lifted(func) = &mut function.body {
            call_replacements(func, &replacements);
        }
    });
    Changed::Yes
}

/// How functions are referred to.
struct References {
    calls: SecondaryMap<FunctionId, usize>,
    /// Whether there are references that are no direct calls.
    escapes: SecondaryMap<FunctionId, bool>,
}

impl References {
    fn of(module: &Module) -> Self {
        let mut references = Self { calls: SecondaryMap::new(), escapes: SecondaryMap::new() };
        super::for_each_reference_outside_of_bodies(module, &mut |space, number| {
            if space == IndexSpace::Function {
                references.escapes[FunctionId::from_u32(number)] = true;
            }
        });
        let is_opaque = |function: &Function| matches!(function.body, Body::Lazy(_));
        if module.functions.values().any(is_opaque) {
            module.functions.keys().for_each(|id| references.escapes[id] = true);
        }
        for function in module.functions.values() {
            let Body::Lifted(func) = &function.body else { continue };
            func.for_each_used_operator(|operator, uses| {
                let operator = &func.operators[operator];
                match direct_callee(operator) {
                    Some(callee) => references.calls[callee] += uses as usize,
                    None => wasmfx_ir::references::visit_operator(operator, &mut |space, number| {
                        if space == IndexSpace::Function {
                            references.escapes[FunctionId::from_u32(number)] = true;
                        }
                    }),
                }
            });
        }
        references
    }
}

/// Functions that become one.
struct Family {
    members: Vec<Member>,
    /// For each use of a constant, in the order of [`Description::constants`], which of the new parameters it becomes.
    parameter_of_use: Vec<Option<usize>>,
    /// For each direct call, in the order of [`Description::callees`], what each member calls there, if that differs. The last new parameter is a
    /// member's number then.
    callees_of_call: Vec<Option<Callees>>,
    parameter_types: Vec<ValType>,
}

struct Member {
    function: FunctionId,
    /// What it gives for the new parameters.
    arguments: Vec<Constant>,
    /// Whether its callers do so.
    is_left_out: bool,
}

fn lifted(module: &Module, function: FunctionId) -> &Func {
    module.functions[function].lifted().expect("only lifted bodies are compared")
}

/// A function, its constants use by use, and its callees call by call.
struct WithDetails {
    function: FunctionId,
    constants: Vec<Constant>,
    callees: Vec<FunctionId>,
}

/// Those of a group whose union makes the module smaller.
fn families_of(
    module: &Module,
    group: &[FunctionId],
    references: &References,
    types: &PlainTypes,
    dispatchers: &mut Dispatchers,
) -> Vec<Family> {
    let mut classes: Vec<(Description<'_>, Vec<WithDetails>)> = Vec::new();
    for &function in group {
        let mut description = Description::new(module, lifted(module, function), Details::Apart);
        let constants = std::mem::take(&mut description.constants);
        let callees = std::mem::take(&mut description.callees);
        let member = WithDetails { function, constants, callees };
        match classes.iter_mut().find(|(known, _)| *known == description) {
            Some((_, members)) => members.push(member),
            None => classes.push((description, vec![member])),
        }
    }
    let mut families = Vec::new();
    for (_, members) in classes {
        let judge = |members: &[&WithDetails]| {
            let family = family(module, members, references)?;
            let saved = bytes_saved(module, &family, references, types, dispatchers);
            (saved > 0).then_some((saved, family))
        };
        // Those that call the same functions need nobody to call one of several for them.
        let mut by_callees: IndexMap<&[FunctionId], Vec<&WithDetails>, FxBuildHasher> = IndexMap::default();
        members.iter().for_each(|member| by_callees.entry(&member.callees[..]).or_default().push(member));
        let apart: Vec<(i64, Family)> = by_callees.values().filter_map(|members| judge(members)).collect();
        let together = match by_callees.len() {
            1 => None,
            _ => judge(&members.iter().collect::<Vec<_>>()),
        };
        let saved_apart: i64 = apart.iter().map(|(saved, _)| saved).sum();
        match together {
            Some((saved, family)) if saved > saved_apart => {
                family.callees_of_call.iter().flatten().for_each(|callees| dispatchers.want(callees));
                families.push(family);
            }
            _ => families.extend(apart.into_iter().map(|(_, family)| family)),
        }
    }
    families
}

/// The functions as one.
fn family(module: &Module, members: &[&WithDetails], references: &References) -> Option<Family> {
    if members.len() < 2 {
        return None;
    }
    // Uses that get the same constants in each member are one parameter.
    let mut columns: IndexSet<Vec<Constant>, FxBuildHasher> = IndexSet::default();
    let uses = members[0].constants.len();
    let parameter_of_use: Vec<Option<usize>> = (0..uses)
        .map(|at| {
            let column: Vec<Constant> = members.iter().map(|member| member.constants[at]).collect();
            let differs = column.iter().any(|constant| *constant != column[0]);
            differs.then(|| columns.insert_full(column).0)
        })
        .collect();
    let calls = members[0].callees.len();
    let callees_of_call: Vec<Option<Callees>> = (0..calls)
        .map(|at| {
            let callees: Callees = members.iter().map(|member| member.callees[at]).collect();
            callees.iter().any(|callee| *callee != callees[0]).then_some(callees)
        })
        .collect();
    let numbers: Option<Vec<Constant>> =
        callees_of_call.iter().any(Option::is_some).then(|| (0..).take(members.len()).map(Constant::I32).collect());
    // It comes last, even where a constant is the member's number as well.
    let columns: Vec<Vec<Constant>> = columns.into_iter().chain(numbers).collect();
    let func = lifted(module, members[0].function);
    let params = func.blocks[func.entry].params.len();
    if params + columns.len() > MAX_PARAMETERS {
        return None;
    }
    let parameter_types: Vec<ValType> = columns.iter().map(|column| column[0].ty()).collect();
    let members: Vec<Member> = members
        .iter()
        .enumerate()
        .map(|(at, &&WithDetails { function, .. })| {
            let arguments: Vec<Constant> = columns.iter().map(|column| column[at]).collect();
            let in_calls = references.calls[function] * bytes_of(&arguments);
            let is_left_out = !references.escapes[function] && in_calls <= stub_bytes(params, &arguments);
            Member { function, arguments, is_left_out }
        })
        .collect();
    Some(Family { members, parameter_of_use, callees_of_call, parameter_types })
}

fn bytes_of(constants: &[Constant]) -> usize {
    constants.iter().map(|constant| encoded_length::operator(&constant.operator()).unwrap_or_default()).sum()
}

/// A function that calls another with its own parameters and constants.
fn stub_bytes(params: usize, arguments: &[Constant]) -> usize {
    FUNCTION_BYTES + LOCAL_BYTES * params + bytes_of(arguments) + CALL_BYTES
}

/// About how much smaller the module gets.
fn bytes_saved(
    module: &Module,
    family: &Family,
    references: &References,
    types: &PlainTypes,
    dispatchers: &Dispatchers,
) -> i64 {
    let func = lifted(module, family.members[0].function);
    let params = func.blocks[func.entry].params.len();
    let parameter_uses = family.parameter_of_use.iter().flatten().count();
    let code = code_bytes(func) + FUNCTION_BYTES;
    let mut constants_of_first = Vec::new();
    for &parameter in family.parameter_of_use.iter().flatten() {
        constants_of_first.push(family.members[0].arguments[parameter]);
    }
    // All that the members have in common; what differs is taken to be as long in each as in the first.
    let before = family.members.len() * code;
    let different: Vec<&Callees> = family.callees_of_call.iter().flatten().collect();
    let numbers_given = different.len() * LOCAL_BYTES;
    let after = (code + parameter_uses * LOCAL_BYTES + numbers_given).saturating_sub(bytes_of(&constants_of_first));
    let different: IndexSet<&Callees, FxBuildHasher> = different.into_iter().collect();
    let dispatch: usize = different.iter().map(|callees| dispatchers.bytes(module, callees, types)).sum();
    let new_type = SubType::func(merged_type(func, &family.parameter_types), false);
    let type_bytes = if types.contains(&new_type) { 0 } else { encoded_length::func_type(new_type.unwrap_func()) };
    let calls: usize = family
        .members
        .iter()
        .map(|member| match member.is_left_out {
            true => references.calls[member.function] * bytes_of(&member.arguments),
            false => stub_bytes(params, &member.arguments),
        })
        .sum();
    before as i64 - (after + type_bytes + calls + dispatch) as i64
}

/// About how long a body is. What is read from locals, and what is on the stack, is guessed: a value that is used once is on the stack.
fn code_bytes(func: &Func) -> usize {
    /// A block's type, `end`, and a branch to it.
    const BRANCH_BYTES: usize = 3;
    let uses = UseCounts::new(func, func.blocks.keys());
    let read = |value: &Value| match constant(func, *value) {
        Some(constant) => bytes_of(&[constant]),
        None if func.defining_inst(*value).is_some() && uses.get(*value) == 1 => 0,
        None => LOCAL_BYTES,
    };
    let mut bytes = 0;
    for data in func.blocks.values() {
        for &inst in &data.insts {
            let operator = func.operator(inst);
            if Constant::of(operator).is_some() {
                continue;
            }
            let written = func.inst_results(inst).filter(|&result| uses.get(result) > 1).count();
            bytes += encoded_length::operator(operator).unwrap_or(CALL_BYTES) + written * LOCAL_BYTES;
            bytes += func.operands(inst).iter().map(read).sum::<usize>();
        }
        bytes += match &data.terminator {
            Terminator::Return(_) | Terminator::Jump(_) | Terminator::Unreachable | Terminator::Missing => 1,
            _ => BRANCH_BYTES,
        };
        data.terminator.for_each_value(|value| bytes += read(&value));
        data.terminator.for_each_block_call(|call| bytes += call.args.len() * LOCAL_BYTES);
    }
    bytes
}

fn merged_type(func: &Func, more: &[ValType]) -> FuncType {
    let params = func.blocks[func.entry].params.iter().map(|&param| func.value_type(param));
    FuncType::new(params.chain(more.iter().copied()), func.results.iter().copied())
}

/// What calls of a function that is left out become.
#[derive(Clone)]
struct Replacement {
    callee: FunctionId,
    arguments: Vec<Constant>,
}

fn merge(
    module: &mut Module,
    types: &mut PlainTypes,
    dispatchers: &mut Dispatchers,
    family: Family,
    tail_calls: bool,
    replacements: &mut SecondaryMap<FunctionId, Option<Replacement>>,
) {
    let first = family.members[0].function;
    let mut merged = lifted(module, first).clone();
    // The old bytes are those of a function of another type.
    merged.original = None;
    let ty = merged_type(&merged, &family.parameter_types);
    let ty = types.find_or_add(&mut module.types, SubType::func(ty, false));
    merged.ty = ty;
    let entry = merged.entry;
    let parameters: Vec<Value> = family.parameter_types.iter().map(|&ty| merged.add_block_param(entry, ty)).collect();
    let mut uses = family.parameter_of_use.iter();
    for_each_use_mut(&mut merged, |func, value| {
        constant(func, value)?;
        let parameter = uses.next().expect("each use of a constant was counted");
        parameter.map(|parameter| parameters[parameter])
    });
    let mut calls = family.callees_of_call.iter();
    redirect_calls(&mut merged, |_| {
        let callees = calls.next().expect("each direct call was counted").as_ref()?;
        let callee = dispatchers.get(module, types, callees, tail_calls);
        Some(Redirection { callee, constants: &[], number: parameters.last().copied() })
    });
    let name = module.functions[first].name.as_ref().map(|name| format!("{name}.similar"));
    let callee = module.functions.push(Function {
        ty,
        body: Body::Lifted(Box::new(merged)),
        name,
        local_names: Vec::new(),
        label_names: Vec::new(),
        exact: false,
    });
    for member in family.members {
        let replacement = Replacement { callee, arguments: member.arguments };
        let old = lifted(module, member.function);
        if member.is_left_out {
            module.functions[member.function].body = Body::Removed;
            replacements[member.function] = Some(replacement);
        } else {
            let stub = stub(old, &replacement, tail_calls);
            module.functions[member.function].body = Body::Lifted(Box::new(stub));
        }
    }
}

/// A function of the same type that only calls what it became.
fn stub(old: &Func, replacement: &Replacement, tail_call: bool) -> Func {
    let params: Vec<ValType> = old.blocks[old.entry].params.iter().map(|&param| old.value_type(param)).collect();
    let mut stub = Func::new(old.ty, &params, &old.results);
    let entry = stub.entry;
    let mut args: ValueVec = stub.blocks[entry].params.iter().copied().collect();
    for constant in &replacement.arguments {
        args.push(stub.append_value(entry, constant.operator(), &[], constant.ty()));
    }
    call_and_return(&mut stub, entry, replacement.callee, args, tail_call);
    stub
}

/// Ends a block with a call whose results the function returns.
fn call_and_return(func: &mut Func, block: Block, callee: FunctionId, args: ValueVec, tail_call: bool) {
    let function_index = callee.as_u32();
    func.blocks[block].terminator = if tail_call {
        let operator = func.operators.intern(Operator::ReturnCall { function_index });
        Terminator::TailCall { operator, args }
    } else {
        let results = func.results.clone();
        let call = func.append(block, Operator::Call { function_index }, &args, &results);
        Terminator::Return(func.inst_results(call).collect())
    };
}

/// Calls of functions that are left out go to what they became.
fn call_replacements(func: &mut Func, replacements: &SecondaryMap<FunctionId, Option<Replacement>>) {
    let changed = redirect_calls(func, |callee| {
        let Replacement { callee, arguments } = replacements[callee].as_ref()?;
        Some(Redirection { callee: *callee, constants: arguments, number: None })
    });
    if changed {
        func.original = None;
    }
}

/// Where a direct call goes instead, and what it gives besides its operands.
struct Redirection<'a> {
    callee: FunctionId,
    constants: &'a [Constant],
    /// A value, after the constants.
    number: Option<Value>,
}

impl Redirection<'_> {
    /// Adds to the operands. The constants are put before position `at` of the block; returns how many instructions they are.
    fn add_arguments(&self, func: &mut Func, block: Block, at: usize, args: &mut ValueVec) -> usize {
        for (number, constant) in self.constants.iter().enumerate() {
            let inst = func.insert(block, at + number, constant.operator(), &[], &[constant.ty()]);
            args.push(func.first_result(inst));
        }
        args.extend(self.number);
        self.constants.len()
    }
}

/// Has direct calls, in the order of [`Description::callees`], go where `redirection` says. Returns whether there are any that do.
fn redirect_calls<'a>(func: &mut Func, mut redirection: impl FnMut(FunctionId) -> Option<Redirection<'a>>) -> bool {
    let mut changed = false;
    for block in func.blocks.keys() {
        let mut at = 0;
        while let Some(&inst) = func.blocks[block].insts.get(at) {
            if let Some(redirection) = direct_callee(func.operator(inst)).and_then(&mut redirection) {
                let mut args: ValueVec = func.operands(inst).iter().copied().collect();
                at += redirection.add_arguments(func, block, at, &mut args);
                func.replace_inst(inst, Operator::Call { function_index: redirection.callee.as_u32() }, &args);
                changed = true;
            }
            at += 1;
        }
        let Some(operator) = func.blocks[block].terminator.operator() else { continue };
        let callee = direct_callee(&func.operators[operator]);
        let Some(redirection) = callee.and_then(&mut redirection) else { continue };
        let function_index = redirection.callee.as_u32();
        let mut terminator = std::mem::take(&mut func.blocks[block].terminator);
        let (args, new) = match &mut terminator {
            Terminator::TailCall { args, .. } => (args, Operator::ReturnCall { function_index }),
            Terminator::Invoke(invoke) => (&mut invoke.args, Operator::Call { function_index }),
            other => unreachable!("{other:?} calls nothing"),
        };
        let end = func.blocks[block].insts.len();
        redirection.add_arguments(func, block, end, args);
        let new = func.operators.intern(new);
        *terminator.operator_mut().expect("it has an operator") = new;
        func.blocks[block].terminator = terminator;
        changed = true;
    }
    changed
}
