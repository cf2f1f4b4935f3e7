//! Branches and switches that can be said in a simpler way: those whose way is known, and those whose condition or table says more than it must.
//!
//! Edges on which an instruction defines values (results, payloads of handlers, cast references) stay where they are: their block is the
//! instruction's own, and a handler's search order is part of the program.

use crate::environment::ModuleEnvironment;
use crate::function::simplify::Constant;
use crate::pass_table::Changed;
use wasmfx_ir::func::{BlockCall, Terminator};
use wasmfx_ir::wasmparser::{Operator, ValType};
use wasmfx_ir::{Block, Func, Value};

/// Runs the pass.
pub fn run(func: &mut Func, _environment: &ModuleEnvironment<'_>) -> Changed {
    func.resolve_aliases();
    let mut changed = Changed::No;
    for block in func.blocks.keys() {
        while let Some(simpler) = simpler_terminator(func, block) {
            func.blocks[block].terminator = simpler;
            changed = Changed::Yes;
        }
    }
    changed
}

fn integer(func: &Func, value: Value) -> Option<i64> {
    func.defining_operator(value).and_then(Constant::of).and_then(Constant::integer)
}

fn simpler_terminator(func: &Func, block: Block) -> Option<Terminator> {
    match &func.blocks[block].terminator {
        Terminator::Branch { condition, then_target, else_target, likely } => {
            if then_target == else_target {
                return Some(Terminator::Jump(then_target.clone()));
            }
            if let Some(condition) = integer(func, *condition) {
                return Some(Terminator::Jump(if condition != 0 { then_target } else { else_target }.clone()));
            }
            let inst = func.defining_inst(*condition)?;
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
                    likely: *likely,
                }),
                _ => None,
            }
        }
        Terminator::Switch { index, targets, default } => {
            if let Some(index) = integer(func, *index) {
                let target = usize::try_from(index as u32).ok().and_then(|index| targets.get(index));
                return Some(Terminator::Jump(target.unwrap_or(default).clone()));
            }
            let needed = targets.iter().rposition(|target| target != default).map_or(0, |last| last + 1);
            match needed {
                0 => Some(Terminator::Jump(default.clone())),
                1 => Some(Terminator::Branch {
                    condition: *index,
                    then_target: default.clone(),
                    else_target: targets[0].clone(),
                    likely: None,
                }),
                _ if needed < targets.len() => Some(Terminator::Switch {
                    index: *index,
                    targets: targets[..needed].to_vec(),
                    default: default.clone(),
                }),
                _ => None,
            }
        }
        Terminator::BranchOnReference { operator, reference, taken, not_taken } => {
            let ValType::Ref(ty) = func.value_type(*reference) else { return None };
            let is_null = matches!(func.defining_operator(*reference), Some(Operator::RefNull { .. }));
            match (&func.operators[*operator], ty.is_nullable(), is_null) {
                // The block's parameter is the reference with a type that is not nullable, which this one's is already.
                (Operator::BrOnNull { .. }, false, _) => {
                    Some(Terminator::Jump(BlockCall::with_args(*not_taken, [*reference])))
                }
                (Operator::BrOnNull { .. }, true, true) => Some(Terminator::Jump(BlockCall::new(*taken))),
                (Operator::BrOnNonNull { .. }, false, _) => {
                    Some(Terminator::Jump(BlockCall::with_args(*taken, [*reference])))
                }
                (Operator::BrOnNonNull { .. }, true, true) => Some(Terminator::Jump(BlockCall::new(*not_taken))),
                _ => None,
            }
        }
        Terminator::Missing
        | Terminator::Unreachable
        | Terminator::Jump(_)
        | Terminator::Return(_)
        | Terminator::TailCall { .. }
        | Terminator::Invoke(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::testing::cleaned_up;
    use wasmfx_ir::func::ValueVec;
    use wasmfx_ir::module::TypeId;
    use wasmfx_ir::wasmparser::{AbstractHeapType, HeapType, RefType};

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
