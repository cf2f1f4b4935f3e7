//! Jump threading: an edge is led around blocks that do nothing on its way, and around branches whose condition it decides.
//!
//! An edge may only go around a block whose parameters and results nobody else uses: on the new way they do not exist. Going around a loop's
//! header would make a second entry to the loop, which costs more than it saves. Edges on which an instruction defines values stay.
//!
//! What is gone around but stays, because other edges lead to it, is no smaller for that, while each new way may need copies and a label of its
//! own. So below `-O3` an edge goes around a block only if that costs nothing: it hands nothing on, or the block is gone afterwards.

use crate::environment::ModuleEnvironment;
use crate::function::private_values::blocks_with_private_values;
use crate::function::simplify::{Constant, fold};
use crate::options::{OptimizeLevel, Options, ShrinkLevel};
use crate::pass_table::Changed;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use wasmfx_ir::analysis::ControlFlowGraph;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{BlockCall, Terminator, ValueDefinition, ValueVec};
use wasmfx_ir::{Block, Func, Value};

/// How many blocks one edge is led around at most.
const MAX_THREADED: usize = 16;
/// The longest block that an edge is led around; all of it must be there for the condition alone.
const MAX_CONDITION_INSTS: usize = 4;

/// Runs the pass.
pub fn run(func: &mut Func, environment: &ModuleEnvironment<'_>) -> Changed {
    func.resolve_aliases();
    let cfg = func.control_flow();
    let may_pass = passable_blocks(func, &cfg, environment.options);
    let mut changed = Changed::No;
    for &block in cfg.reverse_postorder() {
        let mut terminator = std::mem::take(&mut func.blocks[block].terminator);
        terminator.for_each_block_call_mut(|call| {
            for _ in 0..MAX_THREADED {
                match next_hop(func, &may_pass, block, call) {
                    Some(next) if next != *call => {
                        *call = next;
                        changed = Changed::Yes;
                    }
                    _ => break,
                }
            }
        });
        // A jump to a block that is just `unreachable`.
        if let Terminator::Jump(call) = &terminator
            && call.block != block
            && func.blocks[call.block].insts.is_empty()
            && matches!(func.blocks[call.block].terminator, Terminator::Unreachable)
        {
            terminator = Terminator::Unreachable;
            changed = Changed::Yes;
        }
        func.blocks[block].terminator = terminator;
    }
    changed
}

/// The blocks that edges may be led around.
fn passable_blocks(func: &Func, cfg: &ControlFlowGraph, options: &Options) -> SecondaryMap<Block, bool> {
    let mut may_pass = SecondaryMap::with_default_and_len(false, func.blocks.len());
    for &block in cfg.reverse_postorder() {
        let data = &func.blocks[block];
        may_pass[block] = match &data.terminator {
            Terminator::Jump(_) => data.insts.is_empty(),
            Terminator::Branch { .. } => {
                // Going around a loop's header would make a second entry to the loop.
                let position = cfg.position(block);
                data.insts.len() <= MAX_CONDITION_INSTS
                    && cfg.predecessors(block).iter().all(|&predecessor| cfg.position(predecessor) < position)
            }
            _ => false,
        };
    }
    if options.optimize < OptimizeLevel::O3 || options.shrink != ShrinkLevel::None {
        keep_what_costs_nothing(func, cfg, &mut may_pass);
    }
    let defines = |block: Block| !func.blocks[block].params.is_empty() || !func.blocks[block].insts.is_empty();
    if cfg.reverse_postorder().iter().any(|&block| may_pass[block] && defines(block)) {
        let is_private = blocks_with_private_values(func, cfg);
        cfg.reverse_postorder().iter().for_each(|&block| may_pass[block] &= is_private[block]);
    }
    may_pass
}

/// Leaves the blocks that are gone around without making the code larger. Each edge is looked at once, as there may be many to one block.
fn keep_what_costs_nothing(func: &Func, cfg: &ControlFlowGraph, may_pass: &mut SecondaryMap<Block, bool>) {
    for &block in cfg.reverse_postorder() {
        if let Terminator::Jump(target) = &func.blocks[block].terminator {
            may_pass[block] &= target.args.is_empty() || cfg.single_predecessor(block).is_some();
        }
    }
    for &block in cfg.reverse_postorder() {
        func.blocks[block].terminator.for_each_block_call(|call| {
            if let Terminator::Branch { condition, .. } = func.blocks[call.block].terminator
                && may_pass[call.block]
            {
                may_pass[call.block] = known_condition(func, call, condition).is_some();
            }
        });
    }
}

/// Where an edge leads after the block that it goes to, if that block does nothing on the way that would be missed.
fn next_hop(func: &Func, may_pass: &SecondaryMap<Block, bool>, from: Block, call: &BlockCall) -> Option<BlockCall> {
    // The terminator of `from` is taken out while its edges are looked at.
    if call.block == from || !may_pass[call.block] {
        return None;
    }
    let data = &func.blocks[call.block];
    let substitute = |arguments: &FxHashMap<Value, Value>, value: Value| match func.definition(value) {
        ValueDefinition::Parameter(block) if block == call.block => arguments.get(&value).copied(),
        // What the block itself computes is not there on the other way.
        ValueDefinition::Result(inst) if data.insts.contains(&inst) => None,
        _ => Some(value),
    };
    let lead = |target: &BlockCall| -> Option<BlockCall> {
        // Blocks may have many parameters, and hand on all of them.
        let arguments: FxHashMap<Value, Value> = data.params.iter().copied().zip(call.args.iter().copied()).collect();
        let args: Option<ValueVec> = target.args.iter().map(|&argument| substitute(&arguments, argument)).collect();
        Some(BlockCall { block: target.block, args: args? })
    };
    match &data.terminator {
        Terminator::Jump(target) if data.insts.is_empty() && target.block != call.block => lead(target),
        Terminator::Branch { condition, then_target, else_target, .. } => {
            let value = known_condition(func, call, *condition)?;
            lead(if value != 0 { then_target } else { else_target })
        }
        _ => None,
    }
}

/// What the condition of the block that an edge leads to is, given the arguments of the edge.
fn known_condition(func: &Func, call: &BlockCall, condition: Value) -> Option<i64> {
    let data = &func.blocks[call.block];
    if data.insts.len() > MAX_CONDITION_INSTS {
        return None;
    }
    let mut known: SmallVec<[(Value, Constant); MAX_CONDITION_INSTS]> = SmallVec::new();
    let constant_of = |known: &[(Value, Constant)], value: Value| {
        if let Some(position) = data.params.iter().position(|&param| param == value) {
            return func.defining_operator(call.args[position]).and_then(Constant::of);
        }
        known
            .iter()
            .find(|(name, _)| *name == value)
            .map(|&(_, constant)| constant)
            .or_else(|| func.defining_operator(value).and_then(Constant::of))
    };
    for &inst in &data.insts {
        let operator = func.operator(inst);
        let result = func.single_result(inst)?;
        let constant = match Constant::of(operator) {
            Some(constant) => constant,
            None => {
                let operands: Option<SmallVec<[Constant; 2]>> =
                    func.operands(inst).iter().map(|&operand| constant_of(&known, operand)).collect();
                // Folding says that nothing traps and nothing else happens.
                fold(operator, &operands?)?
            }
        };
        known.push((result, constant));
    }
    constant_of(&known, condition)?.integer()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::testing::{cleaned_up, names, returns};
    use wasmfx_ir::module::TypeId;
    use wasmfx_ir::wasmparser::{Operator, ValType};

    #[test]
    fn a_second_branch_on_a_flag_that_the_edge_carries_is_skipped() {
        // if (p) flag = 1 else { global = 0; flag = 0 }; if (flag) return 10 else return 20
        let mut func = Func::new(TypeId::from_u32(0), &[ValType::I32], &[ValType::I32]);
        let param = func.blocks[func.entry].params[0];
        let (other, test, yes, no) = (func.add_block(), func.add_block(), func.add_block(), func.add_block());
        let flag = func.add_block_param(test, ValType::I32);
        let one = func.append_value(func.entry, Operator::I32Const { value: 1 }, &[], ValType::I32);
        func.blocks[func.entry].terminator = Terminator::Branch {
            condition: param,
            then_target: BlockCall::with_args(test, [one]),
            else_target: BlockCall::new(other),
            likely: None,
        };
        let zero = func.append_value(other, Operator::I32Const { value: 0 }, &[], ValType::I32);
        func.append(other, Operator::GlobalSet { global_index: 0 }, &[zero], &[]);
        func.blocks[other].terminator = Terminator::Jump(BlockCall::with_args(test, [zero]));
        func.blocks[test].terminator = Terminator::Branch {
            condition: flag,
            then_target: BlockCall::new(yes),
            else_target: BlockCall::new(no),
            likely: None,
        };
        for (block, number) in [(yes, 10), (no, 20)] {
            let value = func.append_value(block, Operator::I32Const { value: number }, &[], ValType::I32);
            returns(&mut func, block, value);
        }
        let func = cleaned_up(func);
        let Terminator::Branch { then_target, else_target, .. } = &func.blocks[func.entry].terminator else {
            panic!("the first branch stays")
        };
        assert_eq!(names(&func, then_target.block), ["i32.const"]);
        assert_eq!(names(&func, else_target.block), ["i32.const", "global.set", "i32.const"]);
        assert!(matches!(func.blocks[else_target.block].terminator, Terminator::Return(_)));
    }

    #[test]
    fn a_loop_header_is_not_gone_around() {
        let mut func = Func::new(TypeId::from_u32(0), &[], &[]);
        let (header, body, exit) = (func.add_block(), func.add_block(), func.add_block());
        let flag = func.add_block_param(header, ValType::I32);
        let one = func.append_value(func.entry, Operator::I32Const { value: 1 }, &[], ValType::I32);
        func.blocks[func.entry].terminator = Terminator::Jump(BlockCall::with_args(header, [one]));
        func.blocks[header].terminator = Terminator::Branch {
            condition: flag,
            then_target: BlockCall::new(body),
            else_target: BlockCall::new(exit),
            likely: None,
        };
        let next = func.append_value(body, Operator::GlobalGet { global_index: 0 }, &[], ValType::I32);
        func.blocks[body].terminator = Terminator::Jump(BlockCall::with_args(header, [next]));
        func.blocks[exit].terminator = Terminator::Return(ValueVec::new());
        let func = cleaned_up(func);
        assert_eq!(ControlFlowGraph::new(&func).predecessors(header).len(), 2);
    }

    #[test]
    fn a_value_that_is_used_further_on_keeps_its_block() {
        // The middle block is empty, but its parameter is used after it.
        let mut func = Func::new(TypeId::from_u32(0), &[ValType::I32, ValType::I32], &[ValType::I32]);
        let params = func.blocks[func.entry].params.clone();
        let (left, middle, end) = (func.add_block(), func.add_block(), func.add_block());
        let chosen = func.add_block_param(middle, ValType::I32);
        func.blocks[func.entry].terminator = Terminator::Branch {
            condition: params[0],
            then_target: BlockCall::new(left),
            else_target: BlockCall::with_args(middle, [params[1]]),
            likely: None,
        };
        func.append(left, Operator::GlobalSet { global_index: 0 }, &[params[0]], &[]);
        func.blocks[left].terminator = Terminator::Jump(BlockCall::with_args(middle, [params[0]]));
        func.blocks[middle].terminator = Terminator::Jump(BlockCall::new(end));
        returns(&mut func, end, chosen);
        let func = cleaned_up(func);
        let cfg = ControlFlowGraph::new(&func);
        for &block in cfg.reverse_postorder() {
            if let Terminator::Return(values) = &func.blocks[block].terminator {
                assert_eq!(func.definition(values[0]), ValueDefinition::Parameter(block));
            }
        }
    }
}
