//! Small functions that suspend are inlined before anything is lowered.
//!
//! A suspension in a function of its own unwinds into its caller, which saves a frame and links it; in the caller's own body it leaves the frame where
//! it is. Each call of such a function needs the test and the frame in any case.

use super::Error;
use super::promises::Promises;
use super::scan::{Callee, Summary};
use crate::inline_body::{direct_callee, inline_call};
use rustc_hash::FxHashSet;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{Block, Func, Terminator};
use wasmfx_ir::lift;
use wasmfx_ir::module::{Body, FunctionId, Module, Origin};
use wasmfx_ir::wasmparser::Operator;

/// A body of at most this many instructions is inlined.
const MOST_INSTRUCTIONS: usize = 24;

/// Inlines; returns whether anything changed, and the module must be scanned again. What was promised never to suspend stays without instructions
/// that do.
///
/// # Errors
/// If a body is not valid.
pub(super) fn inline_suspending(
    module: &mut Module,
    summaries: &SecondaryMap<FunctionId, Summary>,
    promises: &Promises,
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
            changed |= inline_into(module, id, &small);
        }
    }
    Ok(changed)
}

/// Whether a body is straight enough to be copied: small, and without calls that would have to be looked at again.
fn is_small(func: &Func) -> bool {
    let count: usize = func.blocks.values().map(|block| block.insts.len() + 1).sum();
    let plain = func.blocks.values().all(|block| {
        let calls = block.insts.iter().any(|&inst| {
            let operator = func.operator(inst);
            matches!(operator, Operator::CallIndirect { .. } | Operator::CallRef { .. })
                || direct_callee(operator).is_some()
        });
        !calls && !matches!(block.terminator, Terminator::TailCall { .. } | Terminator::Invoke(_))
    });
    plain && count <= MOST_INSTRUCTIONS
}

/// Lifts a body that is bytes; whether there is a lifted one now.
fn lift_in_place(module: &mut Module, id: FunctionId) -> Result<bool, Error> {
    let function = &mut module.functions[id];
    if function.origin() != Origin::Definition {
        return Ok(false);
    }
    let Body::Lazy(body) = &function.body else { return Ok(matches!(function.body, Body::Lifted(_))) };
    match lift::lift_body(body, function.ty, &function.local_names) {
        Ok(mut func) => {
            func.original = Some(Box::new(body.clone()));
            function.body = Body::Lifted(Box::new(func));
            Ok(true)
        }
        // Who needs it lifted will say why it cannot be.
        Err(lift::Error::Opaque(_)) => Ok(false),
        Err(error) => Err(Error::input(error.to_string()).in_function(id.as_u32(), function.name.as_deref())),
    }
}

fn inline_into(module: &mut Module, id: FunctionId, small: &FxHashSet<FunctionId>) -> bool {
    let Body::Lifted(mut caller) = std::mem::replace(&mut module.functions[id].body, Body::Detached) else {
        unreachable!("the body is lifted")
    };
    let mut changed = false;
    let mut blocks: Vec<Block> = caller.blocks.keys().collect();
    while let Some(block) = blocks.pop() {
        let found = caller.blocks[block].insts.iter().enumerate().find_map(|(at, &inst)| {
            let callee = direct_callee(caller.operator(inst)).filter(|callee| small.contains(callee))?;
            Some((at, callee))
        });
        let Some((at, callee)) = found else { continue };
        let Body::Lifted(body) = &module.functions[callee].body else { unreachable!("small bodies are lifted") };
        let rest = inline_call(&mut caller, block, at, body, &|_| unreachable!("a small body has no tail calls"));
        blocks.push(rest);
        changed = true;
    }
    if changed {
        caller.resolve_aliases();
    }
    module.functions[id].body = Body::Lifted(caller);
    changed
}
