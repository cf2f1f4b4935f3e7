//! Blocks that always follow one another become one: a block that is entered by one jump alone is appended to the block that jumps.

use crate::environment::ModuleEnvironment;
use crate::pass_table::Changed;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::Terminator;
use wasmfx_ir::{Block, Func};

/// Runs the pass.
pub fn run(func: &mut Func, _environment: &ModuleEnvironment<'_>) -> Changed {
    let cfg = func.control_flow();
    let mut merged: SecondaryMap<Block, bool> = SecondaryMap::with_default_and_len(false, func.blocks.len());
    let mut changed = Changed::No;
    for &block in cfg.reverse_postorder() {
        if merged[block] {
            continue;
        }
        while let Terminator::Jump(call) = &func.blocks[block].terminator {
            let next = call.block;
            // Predecessors are merged into chains only, which changes their names but not their number.
            if next == block || next == func.entry || cfg.predecessors(next).len() != 1 {
                break;
            }
            let args = call.args.clone();
            let data = std::mem::take(&mut func.blocks[next]);
            func.blocks[next].terminator = Terminator::Unreachable;
            for (param, argument) in data.params.into_iter().zip(args) {
                func.make_alias(param, argument);
            }
            func.blocks[block].insts.extend(data.insts);
            func.blocks[block].terminator = data.terminator;
            merged[next] = true;
            changed = Changed::Yes;
        }
    }
    if changed.is_yes() {
        func.resolve_aliases();
    }
    changed
}
