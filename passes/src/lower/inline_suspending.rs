//! Functions that suspend are inlined before anything is lowered: small ones, and those that are called in one place inside of continuations.
//!
//! A suspension in a function of its own unwinds into its caller, which saves a frame and links it; in the caller's own body it leaves the frame where
//! it is. Each call of such a function needs the test and the frame in any case.
//!
//! What is called in one place inside of continuations may be called from elsewhere outside of them (where a C program's main fiber switches to the
//! others by the function that those call as well). It then needs neither a resumable copy nor tests of its own: the caller's serve.

use super::Error;
use super::analysis::Analysis;
use super::dying_operands::compute_before_suspensions;
use super::promises::Promises;
use super::scan::{Callee, Summary};
use crate::inline_body::{Inliner, direct_callee};
use rustc_hash::{FxHashMap, FxHashSet};
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{Block, Func, Terminator};
use wasmfx_ir::lift;
use wasmfx_ir::module::{Body, FunctionId, Module, Origin};
use wasmfx_ir::wasmparser::Operator;

/// A body of at most this many instructions is inlined.
const MAX_INSTRUCTIONS: usize = 24;

/// How many points a caller may get by one callee that it calls in several places: each saves all that is alive around the call, and unlike calls
/// points of suspension share no code.
const MAX_ADDED_POINTS: usize = 24;

/// How many instructions that may be where size comes first.
const MAX_ADDED_INSTRUCTIONS: usize = 48;

/// Where a function is called once inside of continuations, caller and callee together have at most so many instructions.
const MAX_OF_BOTH: usize = 600;

/// Inlines small functions; returns whether anything changed, and the module must be scanned again. What was promised never to suspend stays
/// without instructions that do.
///
/// # Errors
/// If a body is not valid.
pub(super) fn inline_suspending(
    module: &mut Module,
    summaries: &SecondaryMap<FunctionId, Summary>,
    promises: &Promises,
    size_first: bool,
) -> Result<bool, Error> {
    let mut small: FxHashSet<FunctionId> = FxHashSet::default();
    let ids: Vec<FunctionId> = module.functions.keys().collect();
    for &id in &ids {
        let summary = &summaries[id];
        let suspends = !summary.suspends.is_empty() || !summary.switches.is_empty();
        if suspends && summary.resumes.is_empty() && lift_in_place(module, id)? {
            let Body::Lifted(func) = &module.functions[id].body else { continue };
            if is_small(func) {
                small.insert(id);
            }
        }
    }
    let mut changed = false;
    for &id in &ids {
        let calls_small =
            |callee: &Callee| matches!(callee, Callee::Direct(callee) if *callee != id && small.contains(callee));
        let takes = !promises.never_suspends(id) && !small.contains(&id);
        if takes && summaries[id].calls.iter().any(calls_small) && lift_in_place(module, id)? {
            let worthwhile = worthwhile(module, id, &small, size_first);
            changed |= inline_into(module, id, &worthwhile);
        }
    }
    Ok(changed)
}

/// Of small functions those that a caller does not grow by too much, calling them in so many places.
fn worthwhile(
    module: &Module,
    caller: FunctionId,
    small: &FxHashSet<FunctionId>,
    size_first: bool,
) -> FxHashSet<FunctionId> {
    let body = |id: FunctionId| match &module.functions[id].body {
        Body::Lifted(func) => func,
        _ => unreachable!("small functions and their callers are lifted"),
    };
    let mut calls: FxHashMap<FunctionId, usize> = FxHashMap::default();
    body(caller).for_each_used_operator(|operator, uses| {
        let callee = direct_callee(&body(caller).operators[operator]);
        callee.into_iter().for_each(|callee| *calls.entry(callee).or_default() += uses as usize);
    });
    let is_worthwhile = |&callee: &FunctionId| {
        let func = body(callee);
        let calls = calls.get(&callee).copied().unwrap_or_default();
        let mut points = 0;
        func.for_each_used_operator(|operator, uses| {
            let suspends = matches!(func.operators[operator], Operator::Suspend { .. } | Operator::Switch { .. });
            points += if suspends { uses as usize } else { 0 };
        });
        let is_small_enough =
            calls * points <= MAX_ADDED_POINTS && !(size_first && calls * instructions(func) > MAX_ADDED_INSTRUCTIONS);
        calls == 1 || is_small_enough
    };
    small.iter().copied().filter(is_worthwhile).collect()
}

/// Inlines what is called in one place inside of continuations; returns the functions that it went into. If there are any, the module must be
/// scanned and analysed again.
///
/// # Errors
/// If a body is not valid.
pub(super) fn inline_called_once_inside(
    module: &mut Module,
    summaries: &SecondaryMap<FunctionId, Summary>,
    analysis: &Analysis,
) -> Result<FxHashSet<FunctionId>, Error> {
    // The one caller inside of continuations; none if there are more, or calls that the list of calls does not show.
    let mut callers: FxHashMap<FunctionId, Option<FunctionId>> = FxHashMap::default();
    for id in module.functions.keys().filter(|&id| analysis.is_inside(id)) {
        for &callee in &summaries[id].calls {
            if let Callee::Direct(callee) = callee {
                callers.entry(callee).and_modify(|caller| *caller = None).or_insert(Some(id));
            }
        }
    }
    callers.extend(analysis.entered_indirectly(module, summaries).map(|function| (function, None)));
    let is_candidate = |id: FunctionId| {
        let suspends = !summaries[id].suspends.is_empty() || !summaries[id].switches.is_empty();
        suspends && callers.get(&id).is_some_and(|&caller| caller.is_some_and(|it| it != id))
    };
    let mut changed = FxHashSet::default();
    let ids: Vec<FunctionId> = module.functions.keys().filter(|&id| is_candidate(id)).collect();
    for id in ids {
        let caller = callers[&id].expect("a candidate has a caller");
        // One round: what goes into its caller itself takes nothing. And what calls itself would pay at each call for what its leaves need.
        let is_recursive = summaries[caller].calls.contains(&Callee::Direct(caller));
        if is_candidate(caller) || is_recursive || !lift_in_place(module, id)? || !lift_in_place(module, caller)? {
            continue;
        }
        let (Body::Lifted(callee), Body::Lifted(func)) = (&module.functions[id].body, &module.functions[caller].body)
        else {
            continue;
        };
        let has_tail_call = callee.blocks.values().any(|block| matches!(block.terminator, Terminator::TailCall { .. }));
        let is_small = instructions(callee) + instructions(func) <= MAX_OF_BOTH;
        if !has_tail_call && is_small && inline_into(module, caller, &FxHashSet::from_iter([id])) {
            changed.insert(caller);
        }
    }
    Ok(changed)
}

/// How many instructions a body has, its terminators included.
pub(super) fn instructions(func: &Func) -> usize {
    func.blocks.values().map(|block| block.insts.len() + 1).sum()
}

/// Whether a body is straight enough to be copied: small, and without calls that would have to be looked at again.
fn is_small(func: &Func) -> bool {
    calls_nothing(func) && instructions(func) <= MAX_INSTRUCTIONS
}

/// Whether nothing is called in a body.
pub(super) fn calls_nothing(func: &Func) -> bool {
    func.blocks.values().all(|block| {
        let calls = block.insts.iter().any(|&inst| {
            let operator = func.operator(inst);
            matches!(operator, Operator::CallIndirect { .. } | Operator::CallRef { .. })
                || direct_callee(operator).is_some()
        });
        !calls && !matches!(block.terminator, Terminator::TailCall { .. } | Terminator::Invoke(_))
    })
}

/// Lifts a body that is bytes; whether there is a lifted one now.
fn lift_in_place(module: &mut Module, id: FunctionId) -> Result<bool, Error> {
    let function = &mut module.functions[id];
    if function.origin() != Origin::Definition {
        return Ok(false);
    }
    let Body::Lazy(body) = &function.body else { return Ok(matches!(function.body, Body::Lifted(_))) };
    match lift::lift_body(body, function.ty, &function.local_names) {
        Ok(func) => {
            function.body = Body::Lifted(Box::new(func));
            Ok(true)
        }
        // Who needs it lifted will say why it cannot be.
        Err(lift::Error::Opaque(_)) => Ok(false),
        Err(error) => Err(Error::input(error.to_string()).in_function(id.as_u32(), function.name.as_deref())),
    }
}

/// Inlines the calls of some functions, which have no tail calls, into a function.
pub(super) fn inline_into(module: &mut Module, id: FunctionId, callees: &FxHashSet<FunctionId>) -> bool {
    let Body::Lifted(mut caller) = std::mem::replace(&mut module.functions[id].body, Body::Detached) else {
        unreachable!("the body is lifted")
    };
    let is_inlined = |operator: &Operator<'static>| direct_callee(operator).filter(|callee| callees.contains(callee));
    // What is behind a call will be in another block than what is in front of it, and nothing moves from one to the other then.
    compute_before_suspensions(&mut caller, &*module, |operator| is_inlined(operator).is_some());
    let mut changed = false;
    let blocks: Vec<Block> = caller.blocks.keys().collect();
    let mut inliner = Inliner::new(&mut caller);
    let no_results = |_: &_| unreachable!("what is inlined has no tail calls");
    for block in blocks.into_iter().rev() {
        let data = &mut inliner.caller.blocks[block];
        let (insts, terminator) = (std::mem::take(&mut data.insts), std::mem::take(&mut data.terminator));
        let mut current = block;
        for inst in insts {
            let Some(callee) = is_inlined(inliner.caller.operator(inst)) else {
                inliner.caller.blocks[current].insts.push(inst);
                continue;
            };
            let Body::Lifted(body) = &module.functions[callee].body else { unreachable!("what is inlined is lifted") };
            current = inliner.inline_call(current, inst, body, &no_results);
            changed = true;
        }
        inliner.caller.blocks[current].terminator = terminator;
    }
    if changed {
        caller.resolve_aliases();
    }
    module.functions[id].body = Body::Lifted(caller);
    changed
}
