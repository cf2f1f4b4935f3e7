//! Pure instructions go up to their last operand, where that makes the operands' lives shorter and nothing else's longer: they are used by nobody else.
//!
//! Emission computes a sum where it is used. If that is behind a suspension, both operands would have to be saved for it.

use wasmfx_ir::Func;
use wasmfx_ir::analysis::UseCounts;
use wasmfx_ir::effects::{EffectsEnvironment, effects};
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{Inst, Value};
use wasmfx_ir::opcode::Opcode;

/// Moves what can be moved, within each block.
pub(super) fn raise(func: &mut Func, environment: &impl EffectsEnvironment) {
    func.resolve_aliases();
    let uses = UseCounts::new(func, func.blocks.keys());
    let is_constant = |func: &Func, value: Value| {
        func.defining_operator(value).is_some_and(|operator| Opcode::of(operator).is_const())
    };
    // Where in its block each result is; what comes from elsewhere is there from the start.
    let mut place: SecondaryMap<Value, usize> = SecondaryMap::with_default_and_len(0, func.value_count());
    for block in func.blocks.keys() {
        let insts = std::mem::take(&mut func.blocks[block].insts);
        let mut order: Vec<(usize, Inst)> = Vec::with_capacity(insts.len());
        for (position, &inst) in insts.iter().enumerate() {
            let operands = func.operands(inst);
            // A constant is made again rather than saved.
            let may_move = effects(func.operator(inst), environment).is_pure()
                && (!operands.is_empty() || Opcode::of(func.operator(inst)).is_const())
                && operands.iter().all(|&operand| is_constant(func, operand) || uses.get(operand) == 1);
            let at = match may_move {
                true => operands.iter().map(|&operand| place[operand]).max().unwrap_or(0),
                false => position,
            };
            order.push((at, inst));
            func.inst_results(inst).for_each(|result| place[result] = at);
        }
        // Of one place, each comes after its operands, as before.
        order.sort_by_key(|&(at, _)| at);
        func.blocks[block].insts = order
            .into_iter()
            .map(|(_, inst)| {
                func.inst_results(inst).for_each(|result| place[result] = 0);
                inst
            })
            .collect();
    }
}
