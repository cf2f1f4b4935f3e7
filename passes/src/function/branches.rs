//! Branches and switches that can be said in a simpler way: those whose way is known, and those whose condition or table says more than it must.
//!
//! Edges on which an instruction defines values (results, payloads of handlers, cast references) stay where they are: their block is the
//! instruction's own, and a handler's search order is part of the program. An exception that is thrown to a handler of the same function is a jump
//! there, if it is certain which handler it is: two imported tags may be one.

use crate::environment::{CastOutcome, ModuleEnvironment};
use crate::function::simplify::Constant;
use crate::pass_table::Changed;
use wasmfx_ir::analysis::UseCounts;
use wasmfx_ir::func::{BlockCall, Handler, Invoke, OperatorId, Terminator};
use wasmfx_ir::module::{Origin, TagId};
use wasmfx_ir::wasmparser::{Operator, RefType, ValType};
use wasmfx_ir::{Block, Func, Value};

/// Runs the pass.
pub fn run(func: &mut Func, environment: &ModuleEnvironment<'_>) -> Changed {
    func.resolve_aliases();
    let mut changed = take_no_unused_exceptions(func);
    for block in func.blocks.keys() {
        changed |= narrow_cast(func, block, environment);
        while let Some(simpler) = simpler_terminator(func, block, environment) {
            func.blocks[block].terminator = simpler;
            changed = Changed::Yes;
        }
    }
    func.resolve_aliases();
    changed
}

/// Handlers take references to exceptions only where something uses them.
fn take_no_unused_exceptions(func: &mut Func) -> Changed {
    let takes_reference = |handler: &Handler| matches!(handler, Handler::CatchRef { .. } | Handler::CatchAllRef { .. });
    let invokes: Vec<Block> = func
        .blocks
        .iter()
        .filter(|(_, data)| match &data.terminator {
            Terminator::Invoke(invoke) => invoke.handlers.iter().any(takes_reference),
            _ => false,
        })
        .map(|(block, _)| block)
        .collect();
    if invokes.is_empty() {
        return Changed::No;
    }
    let uses = UseCounts::new(func, func.blocks.keys());
    let mut changed = Changed::No;
    for block in invokes {
        let Terminator::Invoke(mut invoke) = std::mem::take(&mut func.blocks[block].terminator) else {
            unreachable!("these blocks end with invocations")
        };
        for handler in invoke.handlers.iter_mut().filter(|handler| takes_reference(handler)) {
            let landing = handler.block().expect("a handler of exceptions has a block");
            let exception = *func.blocks[landing].params.last().expect("it receives the exception");
            if uses.get(exception) > 0 {
                continue;
            }
            func.retain_block_params(landing, |_, param| param != exception);
            *handler = match *handler {
                Handler::CatchRef { tag, block } => Handler::Catch { tag, block },
                _ => Handler::CatchAll { block: landing },
            };
            changed = Changed::Yes;
        }
        func.blocks[block].terminator = Terminator::Invoke(invoke);
    }
    changed
}

/// A cast that can only fail for null is a null test.
fn narrow_cast(func: &mut Func, block: Block, environment: &ModuleEnvironment<'_>) -> Changed {
    let Terminator::BranchOnReference { operator, reference, taken, not_taken } = func.blocks[block].terminator else {
        return Changed::No;
    };
    let ValType::Ref(ty) = func.value_type(reference) else { return Changed::No };
    let (test, with_value, without) = match func.operators[operator] {
        Operator::BrOnCast { to_ref_type: to, .. } if is_null_test(ty, to, environment) => {
            (Operator::BrOnNonNull { relative_depth: 0 }, taken, not_taken)
        }
        Operator::BrOnCastFail { to_ref_type: to, .. } if is_null_test(ty, to, environment) => {
            (Operator::BrOnNull { relative_depth: 0 }, not_taken, taken)
        }
        _ => return Changed::No,
    };
    // Where it is null, the reference itself is that.
    for param in std::mem::take(&mut func.blocks[without].params) {
        func.make_alias(param, reference);
    }
    let value = func.blocks[with_value].params[0];
    func.set_value_type(value, ValType::Ref(ty.as_non_null()));
    let operator = func.operators.intern(test);
    func.blocks[block].terminator = Terminator::BranchOnReference { operator, reference, taken, not_taken };
    Changed::Yes
}

fn is_null_test(from: RefType, to: RefType, environment: &ModuleEnvironment<'_>) -> bool {
    let outcome = environment.outcome_of_cast(from.heap_type(), to.heap_type());
    from.is_nullable() && !to.is_nullable() && outcome == CastOutcome::Succeeds
}

/// Whether a cast succeeds, if that is certain for null too.
fn outcome_of_cast(from: RefType, to: RefType, environment: &ModuleEnvironment<'_>) -> Option<bool> {
    let (may_be_null, takes_null) = (from.is_nullable(), to.is_nullable());
    match environment.outcome_of_cast(from.heap_type(), to.heap_type()) {
        CastOutcome::Succeeds => (takes_null || !may_be_null).then_some(true),
        CastOutcome::Fails => (!takes_null || !may_be_null).then_some(false),
        CastOutcome::Unknown => None,
    }
}

/// The handler of an exception that is thrown here, where that is certain.
fn known_handler(invoke: &Invoke, tag: TagId, environment: &ModuleEnvironment<'_>) -> Option<BlockCall> {
    let is_import = |tag: TagId| environment.module().tags[tag].origin == Origin::Import;
    for handler in &invoke.handlers {
        match *handler {
            Handler::Catch { tag: caught, block } if caught == tag => {
                return Some(BlockCall::with_args(block, invoke.args.iter().copied()));
            }
            Handler::CatchAll { block } => return Some(BlockCall::new(block)),
            Handler::Catch { tag: caught, .. } | Handler::CatchRef { tag: caught, .. }
                if caught != tag && !(is_import(caught) && is_import(tag)) => {}
            _ => return None,
        }
    }
    None
}

fn integer(func: &Func, value: Value) -> Option<i64> {
    func.defining_operator(value).and_then(Constant::of).and_then(Constant::integer)
}

/// What the terminator of a block can be said as in a simpler way, if it can.
fn simpler_terminator(func: &Func, block: Block, environment: &ModuleEnvironment<'_>) -> Option<Terminator> {
    match &func.blocks[block].terminator {
        Terminator::Branch { condition, then_target, else_target, likely } => {
            simpler_branch(func, *condition, then_target, else_target, *likely)
        }
        Terminator::Switch { index, targets, default } => simpler_switch(func, *index, targets, default),
        Terminator::BranchOnReference { operator, reference, taken, not_taken } => {
            let call = known_reference_branch(func, *operator, *reference, *taken, *not_taken, environment)?;
            Some(Terminator::Jump(call))
        }
        Terminator::Invoke(invoke) => match func.operators[invoke.operator] {
            Operator::Throw { tag_index } => {
                known_handler(invoke, TagId::from_u32(tag_index), environment).map(Terminator::Jump)
            }
            _ => None,
        },
        Terminator::Missing
        | Terminator::Unreachable
        | Terminator::Jump(_)
        | Terminator::Return(_)
        | Terminator::TailCall { .. } => None,
    }
}

fn simpler_branch(
    func: &Func,
    condition: Value,
    then_target: &BlockCall,
    else_target: &BlockCall,
    likely: Option<bool>,
) -> Option<Terminator> {
    if then_target == else_target {
        return Some(Terminator::Jump(then_target.clone()));
    }
    if let Some(condition) = integer(func, condition) {
        return Some(Terminator::Jump(if condition != 0 { then_target } else { else_target }.clone()));
    }
    let inst = func.defining_inst(condition)?;
    let operands = func.operands(inst);
    match func.operator(inst) {
        Operator::I32Eqz => Some(Terminator::Branch {
            condition: operands[0],
            then_target: else_target.clone(),
            else_target: then_target.clone(),
            likely: likely.map(|likely| !likely),
        }),
        Operator::I32Ne if integer(func, operands[1]) == Some(0) => Some(Terminator::Branch {
            condition: operands[0],
            then_target: then_target.clone(),
            else_target: else_target.clone(),
            likely,
        }),
        _ => None,
    }
}

fn simpler_switch(func: &Func, index: Value, targets: &[BlockCall], default: &BlockCall) -> Option<Terminator> {
    if let Some(index) = integer(func, index) {
        let target = usize::try_from(index as u32).ok().and_then(|index| targets.get(index));
        return Some(Terminator::Jump(target.unwrap_or(default).clone()));
    }
    let needed = targets.iter().rposition(|target| target != default).map_or(0, |last| last + 1);
    match needed {
        0 => Some(Terminator::Jump(default.clone())),
        1 => Some(Terminator::Branch {
            condition: index,
            then_target: default.clone(),
            else_target: targets[0].clone(),
            likely: None,
        }),
        _ if needed < targets.len() => {
            Some(Terminator::Switch { index, targets: targets[..needed].to_vec(), default: default.clone() })
        }
        _ => None,
    }
}

/// Where a branch on a reference leads, if that is known.
fn known_reference_branch(
    func: &Func,
    operator: OperatorId,
    reference: Value,
    taken: Block,
    not_taken: Block,
    environment: &ModuleEnvironment<'_>,
) -> Option<BlockCall> {
    let ValType::Ref(ty) = func.value_type(reference) else { return None };
    let is_null = matches!(func.defining_operator(reference), Some(Operator::RefNull { .. }));
    match (&func.operators[operator], ty.is_nullable(), is_null) {
        // The block's parameter is the reference with a type that is not nullable, which this one's is already.
        (Operator::BrOnNull { .. }, false, _) => Some(BlockCall::with_args(not_taken, [reference])),
        (Operator::BrOnNull { .. }, true, true) => Some(BlockCall::new(taken)),
        (Operator::BrOnNonNull { .. }, false, _) => Some(BlockCall::with_args(taken, [reference])),
        (Operator::BrOnNonNull { .. }, true, true) => Some(BlockCall::new(not_taken)),
        (&Operator::BrOnCast { to_ref_type: to, .. }, ..) => {
            let block = if outcome_of_cast(ty, to, environment)? { taken } else { not_taken };
            Some(BlockCall::with_args(block, [reference]))
        }
        (&Operator::BrOnCastFail { to_ref_type: to, .. }, ..) => {
            let block = if outcome_of_cast(ty, to, environment)? { not_taken } else { taken };
            Some(BlockCall::with_args(block, [reference]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::testing::cleaned_up;
    use wasmfx_ir::func::ValueVec;
    use wasmfx_ir::module::TypeId;
    use wasmfx_ir::wasmparser::{AbstractHeapType, HeapType};

    #[test]
    fn a_switch_loses_targets_that_are_its_default() {
        let mut func = Func::new(TypeId::from_u32(0), &[ValType::I32], &[]);
        let param = func.blocks[func.entry].params[0];
        let blocks: Vec<Block> = (0..2).map(|_| func.add_block()).collect();
        for (number, &block) in blocks.iter().enumerate() {
            let value = func.append_value(block, Operator::I32Const { value: number as i32 }, &[], ValType::I32);
            func.append(block, Operator::GlobalSet { global_index: 0 }, &[value], &[]);
            func.blocks[block].terminator = Terminator::Return(ValueVec::new());
        }
        let to = |index: usize| BlockCall::new(blocks[index]);
        func.blocks[func.entry].terminator =
            Terminator::Switch { index: param, targets: vec![to(0), to(1), to(1)], default: to(1) };
        let func = cleaned_up(func);
        let Terminator::Branch { condition, then_target, .. } = &func.blocks[func.entry].terminator else {
            panic!("one case is a branch")
        };
        assert_eq!((*condition, then_target.block), (param, blocks[1]));
    }

    #[test]
    fn a_null_test_of_a_continuation_that_cannot_be_null_is_a_jump() {
        let heap = HeapType::Abstract { shared: false, ty: AbstractHeapType::Cont };
        let ty = ValType::Ref(RefType::new(false, heap).unwrap());
        let mut func = Func::new(TypeId::from_u32(0), &[ty], &[]);
        let reference = func.blocks[func.entry].params[0];
        let (taken, not_taken) = (func.add_block(), func.add_block());
        func.add_block_param(not_taken, ty);
        let operator = func.operators.intern(Operator::BrOnNull { relative_depth: 0 });
        func.blocks[func.entry].terminator = Terminator::BranchOnReference { operator, reference, taken, not_taken };
        func.blocks[taken].terminator = Terminator::Unreachable;
        func.blocks[not_taken].terminator = Terminator::Return(ValueVec::new());
        let func = cleaned_up(func);
        assert!(matches!(func.blocks[func.entry].terminator, Terminator::Return(_)));
    }
}
