//! Which values, and which blocks, concern no other block.

use wasmfx_ir::analysis::ControlFlowGraph;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::ValueDefinition;
use wasmfx_ir::{Block, Func, Inst, Value};

/// For each block, whether its parameters and results are used in the block alone: then its edges may be led elsewhere.
pub(super) fn blocks_with_private_values(func: &Func, cfg: &ControlFlowGraph) -> SecondaryMap<Block, bool> {
    let used_elsewhere = values_used_elsewhere(func, cfg);
    let mut private = SecondaryMap::with_default_and_len(true, func.blocks.len());
    for &block in cfg.reverse_postorder() {
        let data = &func.blocks[block];
        private[block] = !data.params.iter().any(|&param| used_elsewhere[param])
            && !data.insts.iter().any(|&inst| func.inst_results(inst).any(|result| used_elsewhere[result]));
    }
    private
}

/// The values that are used in other blocks than the one that defines them. (What is undefined is defined in none.)
pub(super) fn values_used_elsewhere(func: &Func, cfg: &ControlFlowGraph) -> SecondaryMap<Value, bool> {
    // Definitions dominate uses, so in this order they come first: results that have not been seen yet in the block of a use are not its own.
    let mut position: SecondaryMap<Inst, u32> = SecondaryMap::with_default_and_len(0, func.inst_count());
    let mut used_elsewhere = SecondaryMap::with_default_and_len(false, func.value_count());
    for (&block, number) in cfg.reverse_postorder().iter().zip(1..) {
        let mut visit = |position: &SecondaryMap<Inst, u32>, value: Value| {
            let is_own = match func.definition(value) {
                ValueDefinition::Parameter(at) => at == block,
                ValueDefinition::Result(inst) => position[inst] == number,
                ValueDefinition::Alias(_) | ValueDefinition::Undefined => false,
            };
            if !is_own {
                used_elsewhere[value] = true;
            }
        };
        for &inst in &func.blocks[block].insts {
            func.operands(inst).iter().for_each(|&value| visit(&position, value));
            position[inst] = number;
        }
        func.blocks[block].terminator.for_each_value(|value| visit(&position, value));
    }
    used_elsewhere
}
