//! Instructions are computed before a suspension where that ends the life of an operand: then the result is saved in place of it.
//!
//! Emission computes a sum where it is used, however far from its operands that is. If that is behind a suspension, both of them would be saved.

use wasmfx_ir::Func;
use wasmfx_ir::analysis::UseCounts;
use wasmfx_ir::effects::{EffectsEnvironment, effects};
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{Inst, Value};
use wasmfx_ir::opcode::Opcode;
use wasmfx_ir::wasmparser::Operator;

/// Moves what can be moved, within each block, in front of the first suspension behind its operands.
pub(super) fn compute_before_suspensions(
    func: &mut Func,
    environment: &impl EffectsEnvironment,
    may_suspend: impl Fn(&Operator<'static>) -> bool,
) {
    func.resolve_aliases();
    let uses = UseCounts::new(func, func.blocks.keys());
    // A constant is made again rather than saved.
    let dies = |func: &Func, value: Value| {
        uses.get(value) == 1 && !func.defining_operator(value).is_some_and(|operator| Opcode::of(operator).is_const())
    };
    // In front of which position of its block a result is available; what comes from elsewhere is available in front of the first.
    let mut there: SecondaryMap<Value, usize> = SecondaryMap::with_default_and_len(0, func.value_count());
    for block in func.blocks.keys() {
        let insts = &func.blocks[block].insts;
        let suspensions: Vec<usize> =
            (0..insts.len()).filter(|&position| may_suspend(func.operator(insts[position]))).collect();
        if suspensions.is_empty() {
            continue;
        }
        let mut order: Vec<(usize, bool, Inst)> = Vec::with_capacity(insts.len());
        for (position, &inst) in insts.iter().enumerate() {
            let operands = func.operands(inst);
            let may_move = effects(func.operator(inst), environment).is_pure()
                && operands.iter().any(|&operand| dies(func, operand));
            let earliest = operands.iter().map(|&operand| there[operand]).max().unwrap_or(0);
            let next = suspensions.partition_point(|&suspension| suspension < earliest);
            let moved_to = suspensions.get(next).copied().filter(|&suspension| may_move && suspension < position);
            order.push((moved_to.unwrap_or(position), moved_to.is_none(), inst));
            func.inst_results(inst).for_each(|result| there[result] = moved_to.unwrap_or(position + 1));
        }
        for &inst in insts {
            func.inst_results(inst).for_each(|result| there[result] = 0);
        }
        // What is moved to one place stays in order.
        order.sort_by_key(|&(position, stays, _)| (position, stays));
        func.blocks[block].insts = order.into_iter().map(|(.., inst)| inst).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmfx_ir::Module;
    use wasmfx_ir::func::{Terminator, ValueVec};
    use wasmfx_ir::module::TypeId;
    use wasmfx_ir::wasmparser::ValType;

    /// The operators of `first = suspend; second = suspend; sum = first + param; return second, sum, …` afterwards.
    fn order(returns_first_too: bool) -> Vec<&'static str> {
        let mut func = Func::new(TypeId::from_u32(0), &[ValType::I32], &[ValType::I32; 4]);
        let (entry, param) = (func.entry, func.blocks[func.entry].params[0]);
        let suspend = |func: &mut Func| func.append_value(entry, Operator::Suspend { tag_index: 0 }, &[], ValType::I32);
        let (first, second) = (suspend(&mut func), suspend(&mut func));
        let sum = func.append_value(entry, Operator::I32Add, &[first, param], ValType::I32);
        let fourth = if returns_first_too { first } else { second };
        func.blocks[entry].terminator = Terminator::Return(ValueVec::from_slice(&[second, sum, param, fourth]));
        compute_before_suspensions(&mut func, &Module::default(), |operator| {
            matches!(operator, Operator::Suspend { .. })
        });
        func.blocks[entry].insts.iter().map(|&inst| Opcode::of(func.operator(inst)).name()).collect()
    }

    #[test]
    fn a_sum_goes_before_the_suspension_behind_its_operands_if_one_of_them_dies() {
        assert_eq!(order(false), ["suspend", "i32.add", "suspend"]);
    }

    #[test]
    fn a_sum_whose_operands_live_on_stays_where_it_is_needed() {
        assert_eq!(order(true), ["suspend", "suspend", "i32.add"]);
    }
}
