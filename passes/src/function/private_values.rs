//! Which values, and which blocks, concern no other block.

use wasmfx_ir::analysis::{ControlFlowGraph, DefinitionBlocks};
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::{Block, Func, Value};

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
    let definitions = DefinitionBlocks::new(func, cfg);
    let mut used_elsewhere = SecondaryMap::with_default_and_len(false, func.value_count());
    for &block in cfg.reverse_postorder() {
        let mut visit = |value: Value| used_elsewhere[value] |= definitions.of(func, value) != Some(block);
        for &inst in &func.blocks[block].insts {
            func.operands(inst).iter().copied().for_each(&mut visit);
        }
        func.blocks[block].terminator.for_each_value(visit);
    }
    used_elsewhere
}
