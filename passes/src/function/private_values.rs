//! Which blocks keep their values to themselves.

use wasmfx_ir::analysis::ControlFlowGraph;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::ValueDefinition;
use wasmfx_ir::{Block, Func, Value};

/// For each block, whether its parameters and results are used in the block alone: then its edges may be led elsewhere.
pub(super) fn blocks_with_private_values(func: &Func, cfg: &ControlFlowGraph) -> SecondaryMap<Block, bool> {
    let mut private = SecondaryMap::with_default_and_len(true, func.blocks.len());
    let mut home: SecondaryMap<Value, Option<Block>> = SecondaryMap::with_default_and_len(None, func.value_count());
    for &block in cfg.reverse_postorder() {
        for &inst in &func.blocks[block].insts {
            func.inst_results(inst).for_each(|value| home[value] = Some(block));
        }
    }
    for &block in cfg.reverse_postorder() {
        let mut visit = |value: Value| {
            let definition = match func.definition(value) {
                ValueDefinition::Parameter(at) => Some(at),
                ValueDefinition::Result(_) | ValueDefinition::Alias(_) => home[value],
                ValueDefinition::Undefined => None,
            };
            if let Some(definition) = definition
                && definition != block
            {
                private[definition] = false;
            }
        };
        for &inst in &func.blocks[block].insts {
            func.operands(inst).iter().copied().for_each(&mut visit);
        }
        func.blocks[block].terminator.for_each_value(visit);
    }
    private
}
