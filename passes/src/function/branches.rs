//! Control flow: branches whose way is known, edges through blocks that do nothing, branches that only choose a value, and blocks that
//! always follow one another.
//!
//! Edges on which an instruction defines values (results, payloads of handlers, cast references) stay where they are: their block is the
//! instruction's own, and a handler's search order is part of the program.

use crate::environment::ModuleEnvironment;
use crate::function::simplify::{Constant, fold};
use crate::pass_table::Changed;
use wasmfx_ir::analysis::ControlFlowGraph;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{BlockCall, Terminator, ValueDefinition, ValueVec};
use wasmfx_ir::wasmparser::{Operator, ValType};
use wasmfx_ir::{Block, Func, Value};

/// Runs the pass.
pub fn run(func: &mut Func, _environment: &ModuleEnvironment<'_>) -> Changed {
    func.resolve_aliases();
    let mut changed = simplify_terminators(func);
    changed |= thread_edges(func);
    changed |= choose_values(func);
    changed |= merge_blocks(func);
    if changed.is_yes() {
        func.resolve_aliases();
    }
    changed
}

fn integer(func: &Func, value: Value) -> Option<i64> {
    func.defining_operator(value).and_then(Constant::of).and_then(Constant::integer)
}

/// Terminators that can be said in a simpler way, each on its own.
fn simplify_terminators(func: &mut Func) -> Changed {
    let mut changed = Changed::No;
    for block in func.blocks.keys() {
        while let Some(simpler) = simpler_terminator(func, block) {
            func.blocks[block].terminator = simpler;
            changed = Changed::Yes;
        }
    }
    changed
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

/// For each block, whether its parameters and results are used in the block alone: then an edge may go around it.
fn blocks_with_private_values(func: &Func, cfg: &ControlFlowGraph) -> SecondaryMap<Block, bool> {
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

/// How many blocks one edge is led around at most.
const MAX_THREADED: usize = 16;

/// Leads edges around blocks that do nothing, and around blocks that only branch on what the edge says.
fn thread_edges(func: &mut Func) -> Changed {
    let cfg = ControlFlowGraph::new(func);
    let private = blocks_with_private_values(func, &cfg);
    let mut changed = Changed::No;
    for &block in cfg.reverse_postorder() {
        let mut terminator = std::mem::take(&mut func.blocks[block].terminator);
        terminator.for_each_block_call_mut(|call| {
            for _ in 0..MAX_THREADED {
                match next_hop(func, &cfg, &private, block, call) {
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

/// Where an edge leads after the block that it goes to, if that block does nothing on the way that would be missed.
fn next_hop(
    func: &Func,
    cfg: &ControlFlowGraph,
    private: &SecondaryMap<Block, bool>,
    from: Block,
    call: &BlockCall,
) -> Option<BlockCall> {
    // The terminator of `from` is taken out while its edges are looked at.
    if call.block == from || !private[call.block] {
        return None;
    }
    let data = &func.blocks[call.block];
    let substitute = |value: Value| match func.definition(value) {
        ValueDefinition::Parameter(block) if block == call.block => {
            let position = data.params.iter().position(|&param| param == value)?;
            Some(call.args[position])
        }
        // What the block itself computes is not there on the other way.
        ValueDefinition::Result(inst) if data.insts.contains(&inst) => None,
        _ => Some(value),
    };
    let lead = |target: &BlockCall| -> Option<BlockCall> {
        let args: Option<ValueVec> = target.args.iter().map(|&argument| substitute(argument)).collect();
        Some(BlockCall { block: target.block, args: args? })
    };
    match &data.terminator {
        Terminator::Jump(target) if data.insts.is_empty() && target.block != call.block => lead(target),
        Terminator::Branch { condition, then_target, else_target, .. } => {
            // Going around a loop's header would make a second entry to the loop.
            let position = cfg.position(call.block);
            if cfg.predecessors(call.block).iter().any(|&predecessor| cfg.position(predecessor) >= position) {
                return None;
            }
            let value = known_condition(func, call, *condition)?;
            lead(if value != 0 { then_target } else { else_target })
        }
        _ => None,
    }
}

/// The longest block that an edge is led around; all of it must be there for the condition alone.
const MAX_CONDITION_INSTS: usize = 4;

/// What the condition of the block that an edge leads to is, given the arguments of the edge.
fn known_condition(func: &Func, call: &BlockCall, condition: Value) -> Option<i64> {
    let data = &func.blocks[call.block];
    if data.insts.len() > MAX_CONDITION_INSTS {
        return None;
    }
    let mut known: Vec<(Value, Constant)> = Vec::new();
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
                let operands: Option<Vec<Constant>> =
                    func.operands(inst).iter().map(|&operand| constant_of(&known, operand)).collect();
                // Folding says that nothing traps and nothing else happens.
                fold(operator, &operands?)?
            }
        };
        known.push((result, constant));
    }
    constant_of(&known, condition)?.integer()
}

/// A branch to one block whose sides differ in a single argument is a `select` of the argument.
fn choose_values(func: &mut Func) -> Changed {
    let mut changed = Changed::No;
    for block in func.blocks.keys() {
        let Terminator::Branch { condition, then_target, else_target, likely: None } = &func.blocks[block].terminator
        else {
            continue;
        };
        if then_target.block != else_target.block {
            continue;
        }
        let mut differing =
            (0..then_target.args.len()).filter(|&index| then_target.args[index] != else_target.args[index]);
        let (Some(index), None) = (differing.next(), differing.next()) else { continue };
        let (a, b) = (then_target.args[index], else_target.args[index]);
        let ty = func.value_type(a);
        // `select` without a type is for numbers; references would need both arms' common type.
        if ty != func.value_type(b) || matches!(ty, ValType::Ref(_)) {
            continue;
        }
        let (condition, mut target) = (*condition, then_target.clone());
        target.args[index] = func.append_value(block, Operator::Select, &[a, b, condition], ty);
        func.blocks[block].terminator = Terminator::Jump(target);
        changed = Changed::Yes;
    }
    changed
}

/// Appends each block that is entered by one jump alone to the block that jumps.
fn merge_blocks(func: &mut Func) -> Changed {
    let cfg = ControlFlowGraph::new(func);
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
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use wasmfx_ir::Module;
    use wasmfx_ir::module::TypeId;
    use wasmfx_ir::opcode::Opcode;
    use wasmfx_ir::wasmparser::{AbstractHeapType, HeapType, RefType};

    fn optimised(mut func: Func) -> Func {
        let (module, options) = (Module::default(), Options::default());
        let environment = ModuleEnvironment::new(&module, &options);
        for _ in 0..4 {
            let _ = run(&mut func, &environment);
            let _ = crate::function::simplify::run(&mut func, &environment);
            let _ = crate::function::dead_code::run(&mut func, &environment);
        }
        func
    }
    fn names(func: &Func, block: Block) -> Vec<&'static str> {
        func.blocks[block].insts.iter().map(|&inst| Opcode::of(func.operator(inst)).name()).collect()
    }
    fn returns(func: &mut Func, block: Block, value: Value) {
        func.blocks[block].terminator = Terminator::Return([value].into_iter().collect());
    }

    #[test]
    fn a_diamond_that_chooses_a_number_becomes_a_select_in_one_block() {
        let mut func = Func::new(TypeId::from_u32(0), &[ValType::I32, ValType::I32, ValType::I32], &[ValType::I32]);
        let params = func.blocks[func.entry].params.clone();
        let (left, right, join) = (func.add_block(), func.add_block(), func.add_block());
        let joined = func.add_block_param(join, ValType::I32);
        func.blocks[func.entry].terminator = Terminator::Branch {
            condition: params[0],
            then_target: BlockCall::new(left),
            else_target: BlockCall::new(right),
            likely: None,
        };
        func.blocks[left].terminator = Terminator::Jump(BlockCall::with_args(join, [params[1]]));
        func.blocks[right].terminator = Terminator::Jump(BlockCall::with_args(join, [params[2]]));
        returns(&mut func, join, joined);
        let func = optimised(func);
        assert_eq!(names(&func, func.entry), ["select"]);
        assert!(matches!(func.blocks[func.entry].terminator, Terminator::Return(_)));
    }

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
        let func = optimised(func);
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
        let func = optimised(func);
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
        let func = optimised(func);
        let cfg = ControlFlowGraph::new(&func);
        for &block in cfg.reverse_postorder() {
            if let Terminator::Return(values) = &func.blocks[block].terminator {
                assert_eq!(func.definition(values[0]), ValueDefinition::Parameter(block));
            }
        }
    }

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
        let func = optimised(func);
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
        let func = optimised(func);
        assert!(matches!(func.blocks[func.entry].terminator, Terminator::Return(_)));
    }
}
