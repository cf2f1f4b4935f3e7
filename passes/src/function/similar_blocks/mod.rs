//! Similar blocks become one, which takes what they differ in as parameters. For the sake of size only: values have to be brought to it.
//!
//! Blocks are similar if their instructions have the same operators, each of a block's own values is used in the same places, and their terminators
//! go on to the same places. What they use from outside may differ, and so may constants. An edge may be led from one of them to another under the
//! same conditions as in [`code_folding`](super::code_folding); what the one used from outside dominates it, and hence the blocks that lead to it,
//! which pass it on. Blocks that only end alike are cut in two first.
//!
//! Long tails are folded from their ends on: once what follows is one block, what leads to it is similar. Whether that was worth it shows only when
//! locals are assigned, so a function is emitted with and without, and the smaller one stays.

mod groups;

use super::block_shape::Hole;
use super::code_folding::make_constants_its_own;
use super::dead_code;
use crate::encoded_length;
use crate::environment::ModuleEnvironment;
use crate::pass_table::Changed;
use groups::{Group, groups};
use rustc_hash::FxHashSet;
use wasmfx_ir::analysis::ControlFlowGraph;
use wasmfx_ir::func::{BlockCall, Terminator};
use wasmfx_ir::wasmparser::ValType;
use wasmfx_ir::{Block, Func, Value};

/// How often a function is gone through: tails of that many blocks become one.
const MAX_ROUNDS: usize = 16;

/// Runs the pass.
pub fn run(func: &mut Func, environment: &ModuleEnvironment<'_>) -> Changed {
    let changed = dead_code::empty_unreachable_blocks(func, &ControlFlowGraph::new(func));
    func.resolve_aliases();
    let mut folded: Option<Func> = None;
    for _ in 0..MAX_ROUNDS {
        let groups = groups(folded.as_ref().unwrap_or(func));
        if groups.is_empty() {
            break;
        }
        let folded = folded.get_or_insert_with(|| func.clone());
        groups.iter().for_each(|group| fold(folded, group));
    }
    let Some(mut folded) = folded else { return changed };
    let module = environment.module();
    if encoded_length::body(&mut folded, module) >= encoded_length::body(func, module) {
        return changed;
    }
    *func = folded;
    Changed::Yes
}

/// Makes one block of a group.
fn fold(func: &mut Func, group: &Group) {
    let blocks: Vec<Block> = group
        .members
        .iter()
        .map(|member| match member.tail.start {
            Some(start) => cut(func, member.tail.block, start),
            None => member.tail.block,
        })
        .collect();
    let kept = blocks[0];
    // The first hole of each parameter.
    let places: Vec<usize> = (0..group.param_count)
        .map(|number| group.params.iter().position(|&param| param == Some(number)).expect("each has a hole"))
        .collect();
    let holes = &group.members[0].holes;
    let types: Vec<ValType> = places.iter().map(|&place| holes[place].ty(func)).collect();
    let params: Vec<Value> = types.into_iter().map(|ty| func.add_block_param(kept, ty)).collect();
    // Edges to the block that stays are given their arguments before others are led there.
    for (member, block) in group.members.iter().zip(blocks) {
        for &from in &member.predecessors {
            let values: Vec<Value> = places.iter().map(|&place| bring(func, from, member.holes[place])).collect();
            func.blocks[from].terminator.for_each_block_call_mut(|call| {
                if call.block == block {
                    call.block = kept;
                    call.args.extend_from_slice(&values);
                }
            });
        }
    }
    let fillings: Vec<Option<Value>> = group.params.iter().map(|param| param.map(|number| params[number])).collect();
    fill_holes(func, kept, &fillings);
    make_constants_its_own(func, kept);
}

/// Makes a block of its own of a block's tail.
fn cut(func: &mut Func, block: Block, start: usize) -> Block {
    let tail = func.add_block();
    let data = &mut func.blocks[block];
    let insts = data.insts.split_off(start);
    let jump = Terminator::Jump(BlockCall { block: tail, args: Default::default() });
    let terminator = std::mem::replace(&mut data.terminator, jump);
    func.blocks[tail].insts = insts;
    func.blocks[tail].terminator = terminator;
    tail
}

/// The value of a hole at the end of a block that leads to the one that has it.
fn bring(func: &mut Func, from: Block, hole: Hole) -> Value {
    match hole {
        Hole::Outer(value) => value,
        Hole::Constant(operator) => {
            let (operator, ty) = (func.operators[operator].clone(), hole.ty(func));
            func.append_value(from, operator, &[], ty)
        }
    }
}

/// Puts values in place of holes, which come in the order in which they were described.
fn fill_holes(func: &mut Func, block: Block, fillings: &[Option<Value>]) {
    // Parameters that were added for holes are used nowhere yet.
    let mut own: FxHashSet<Value> = func.blocks[block].params.iter().copied().collect();
    for &inst in &func.blocks[block].insts {
        own.extend(func.inst_results(inst));
    }
    let mut fillings = fillings.iter();
    let mut fill = |func: &Func, value: Value| match Hole::of(func, value, own.contains(&value)) {
        Some(_) => fillings.next().expect("a filling for each hole").unwrap_or(value),
        None => value,
    };
    for inst in func.blocks[block].insts.clone() {
        for index in 0..func.operands(inst).len() {
            let operand = fill(func, func.operands(inst)[index]);
            func.operands_mut(inst)[index] = operand;
        }
    }
    let mut terminator = std::mem::take(&mut func.blocks[block].terminator);
    terminator.for_each_value_mut(|value| *value = fill(func, *value));
    func.blocks[block].terminator = terminator;
    debug_assert_eq!(fillings.next(), None, "a hole for each filling");
}
