//! Removes what nobody needs: blocks that cannot be reached, instructions whose results are unused and that do nothing else, block
//! parameters that are unused or always the same value.

use crate::environment::ModuleEnvironment;
use crate::pass_table::Changed;
use wasmfx_ir::analysis::{ControlFlowGraph, Incoming, Needed};
use wasmfx_ir::effects::OperatorEffects;
use wasmfx_ir::entity::{Entity, SecondaryMap};
use wasmfx_ir::func::{BlockData, Terminator};
use wasmfx_ir::{Block, Func, Value};

/// How often parameters are gone over at most. Taking one away can make others redundant, nearly always those that come later in the same
/// sweep, or in one the other way. Whatever more sweeps would find is correct as it is, only not minimal.
const MAX_SWEEPS: usize = 16;

/// Runs the pass.
pub fn run(func: &mut Func, environment: &ModuleEnvironment<'_>) -> Changed {
    let cfg = func.control_flow();
    let mut changed = empty_unreachable_blocks(func, &cfg);
    let fixed = blocks_with_fixed_params(func, &cfg);
    let mut incoming = Incoming::new(func, &cfg);
    if merge_params_with_one_value(func, &cfg, &incoming, &fixed).is_yes() {
        changed = Changed::Yes;
        incoming = Incoming::new(func, &cfg);
    }
    changed |= remove_unused(func, environment, &cfg, &incoming, &fixed);
    changed
}

/// Empties blocks that cannot be reached, so that nothing in them counts as a use or an edge.
pub(super) fn empty_unreachable_blocks(func: &mut Func, cfg: &ControlFlowGraph) -> Changed {
    let mut changed = Changed::No;
    for (block, data) in func.blocks.iter_mut() {
        let empty =
            data.insts.is_empty() && data.params.is_empty() && matches!(data.terminator, Terminator::Unreachable);
        if !cfg.is_reachable(block) && !empty {
            *data = BlockData { terminator: Terminator::Unreachable, ..BlockData::default() };
            changed = Changed::Pruned;
        }
    }
    changed
}

/// The blocks whose parameters are what an instruction or the caller gives: nothing can be removed from them.
fn blocks_with_fixed_params(func: &Func, cfg: &ControlFlowGraph) -> SecondaryMap<Block, bool> {
    let mut fixed = SecondaryMap::with_default_and_len(false, func.blocks.len());
    fixed[func.entry] = true;
    for &block in cfg.reverse_postorder() {
        let terminator = &func.blocks[block].terminator;
        if let Terminator::Invoke(_) | Terminator::BranchOnReference { .. } = terminator {
            terminator.for_each_successor(|successor| fixed[successor] = true);
        }
    }
    fixed
}

/// A parameter that every edge gives one and the same value (or the parameter itself, around a loop) is that value. The value dominates
/// the block, as it dominates every way into it.
fn merge_params_with_one_value(
    func: &mut Func,
    cfg: &ControlFlowGraph,
    incoming: &Incoming,
    fixed: &SecondaryMap<Block, bool>,
) -> Changed {
    let mut gone: SecondaryMap<Value, bool> = SecondaryMap::with_default_and_len(false, func.value_count());
    let mut changed = Changed::No;
    let mut blocks: Vec<Block> = cfg.reverse_postorder().iter().copied().filter(|&block| !fixed[block]).collect();
    for _ in 0..MAX_SWEEPS {
        let mut found = false;
        for &block in &blocks {
            for index in 0..func.blocks[block].params.len() {
                let param = func.blocks[block].params[index];
                if gone[param] {
                    continue;
                }
                let mut only = None;
                let is_redundant = incoming.of(param).iter().all(|&argument| {
                    let value = func.resolve_halving(argument);
                    value == param || *only.get_or_insert(value) == value
                });
                if let (true, Some(value)) = (is_redundant, only)
                    && func.value_type(value) == func.value_type(param)
                {
                    func.make_alias(param, value);
                    gone[param] = true;
                    found = true;
                }
            }
        }
        if !found {
            break;
        }
        blocks.reverse();
        changed = Changed::Yes;
    }
    if changed.is_yes() {
        remove_params(func, &gone);
        func.resolve_aliases();
    }
    changed
}

/// Removes these block parameters, and the arguments for them.
fn remove_params(func: &mut Func, gone: &SecondaryMap<Value, bool>) {
    let kept: Vec<Option<Box<[bool]>>> = func
        .blocks
        .values()
        .map(|data| {
            let any = data.params.iter().any(|&param| gone[param]);
            any.then(|| data.params.iter().map(|&param| !gone[param]).collect())
        })
        .collect();
    for data in func.blocks.values_mut() {
        data.terminator.for_each_block_call_mut(|call| {
            if let Some(kept) = &kept[call.block.index()] {
                let mut index = 0;
                call.args.retain(|_| {
                    index += 1;
                    kept[index - 1]
                });
            }
        });
    }
    for block in func.blocks.keys() {
        if let Some(kept) = &kept[block.index()] {
            func.retain_block_params(block, |index, _| kept[index]);
        }
    }
}

/// Marks what is needed, from effects and exits backwards, and removes the rest. Cycles of parameters that only feed each other go too.
fn remove_unused(
    func: &mut Func,
    environment: &ModuleEnvironment<'_>,
    cfg: &ControlFlowGraph,
    incoming: &Incoming,
    fixed: &SecondaryMap<Block, bool>,
) -> Changed {
    let operator_effects = OperatorEffects::new(func, environment.module());
    let is_needed = |inst| {
        let effects = operator_effects.of(func, inst);
        let effects = if environment.options.traps_never_happen { effects.without_traps() } else { effects };
        !effects.is_removable_if_unused()
    };
    let needed = Needed::new(func, cfg, incoming, is_needed);

    let mut changed = Changed::No;
    let mut gone: SecondaryMap<Value, bool> = SecondaryMap::with_default_and_len(false, func.value_count());
    for (block, data) in func.blocks.iter_mut() {
        let before = data.insts.len();
        data.insts.retain(|&inst| needed.insts[inst]);
        if data.insts.len() != before {
            changed = Changed::Pruned;
        }
        if !fixed[block] {
            for &param in data.params.iter().filter(|&&param| !needed.values[param]) {
                gone[param] = true;
            }
        }
    }
    if gone_any(func, &gone) {
        remove_params(func, &gone);
        changed = Changed::Pruned;
    }
    changed
}

fn gone_any(func: &Func, gone: &SecondaryMap<Value, bool>) -> bool {
    func.blocks.values().any(|data| data.params.iter().any(|&param| gone[param]))
}
