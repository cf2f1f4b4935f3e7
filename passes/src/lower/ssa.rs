//! Static single assignment again, after values got further definitions.
//!
//! In a resumable copy a value that was saved is defined where it always was and where it is loaded again. Block parameters are put where several
//! definitions meet (as in Cytron et al. 1991, pruned by liveness), and each use is led to the definition that reaches it.

use super::function::empty_unreachable_blocks;
use rustc_hash::FxHashMap;
use std::collections::BinaryHeap;
use wasmfx_ir::analysis::{ControlFlowGraph, DefinitionBlocks, DominatorTree, uses_elsewhere};
use wasmfx_ir::bits::{BitSet, bits};
use wasmfx_ir::entity::{Entity, SecondaryMap};
use wasmfx_ir::func::{Block, Func, Value, ValueDefinition};
use wasmfx_ir::wasmparser::{Operator, ValType};

/// A further definition of a value: from the end of `block` on, `value` stands for `variable`.
#[derive(Copy, Clone, Debug)]
pub(super) struct Definition {
    pub(super) variable: Value,
    pub(super) block: Block,
    pub(super) value: Value,
}

/// Gives each use of a variable the definition that reaches it. Blocks that cannot be reached are emptied first.
///
/// A block uses none of the variables that a definition gives a value at its end. Where no definition reaches a use, as on the ways into a
/// dispatching loop that lead elsewhere, anything stands for the variable: for a reference, what `dummy` makes of its type. So it does from the end
/// of `undefining` blocks on.
pub(super) fn repair(
    func: &mut Func,
    definitions: &[Definition],
    undefining: &[Block],
    dummy: impl FnMut(ValType) -> Option<Operator<'static>>,
) {
    let cfg = ControlFlowGraph::new(func);
    empty_unreachable_blocks(func, &cfg);
    let dominators = DominatorTree::new(func, &cfg);
    let mut children: SecondaryMap<Block, Vec<Block>> =
        SecondaryMap::with_default_and_len(Vec::new(), func.blocks.len());
    for &block in dominators.preorder() {
        if let Some(above) = dominators.immediate_dominator(block) {
            children[above].push(block);
        }
    }

    let mut variables: Vec<Value> = definitions.iter().map(|definition| definition.variable).collect();
    variables.sort_unstable();
    variables.dedup();
    let mut is_variable = SecondaryMap::with_default_and_len(false, func.value_count());
    for &variable in &variables {
        is_variable[variable] = true;
    }
    let mut defined_in: Vec<(Value, Block)> = Vec::with_capacity(definitions.len() + variables.len());
    let mut added: SecondaryMap<Block, Vec<(Value, Value)>> =
        SecondaryMap::with_default_and_len(Vec::new(), func.blocks.len());
    for definition in definitions {
        defined_in.push((definition.variable, definition.block));
        added[definition.block].push((definition.variable, definition.value));
    }
    let original = DefinitionBlocks::new(func, &cfg);
    defined_in.extend(variables.iter().filter_map(|&variable| Some((variable, original.of(func, variable)?))));
    defined_in.retain(|&(_, block)| cfg.is_reachable(block));
    defined_in.sort_unstable();
    let mut used_in = uses_elsewhere(func, &cfg, &original);
    let mut undefines = SecondaryMap::with_default_and_len(false, func.blocks.len());
    undefining.iter().for_each(|&block| undefines[block] = true);
    // What an undefining block seems to use it does not.
    used_in.retain(|&(value, block)| is_variable[value] && !undefines[block]);

    let mut joins: SecondaryMap<Block, Vec<(Value, Value)>> =
        SecondaryMap::with_default_and_len(Vec::new(), func.blocks.len());
    let mut placement = Placement {
        cfg: &cfg,
        dominators: &dominators,
        children: &children,
        undefines: &undefines,
        states: SecondaryMap::with_default_and_len(BlockState::default(), func.blocks.len()),
        touched: BitSet::new(func.blocks.len()),
    };
    let (mut defined_in, mut used_in) = (defined_in.as_slice(), used_in.as_slice());
    for group in variables.chunks(GROUP) {
        let last = *group.last().expect("chunks are not empty");
        let of_group = |places: &mut &[(Value, Block)]| {
            let (these, others) = places.split_at(places.partition_point(|&(variable, _)| variable <= last));
            *places = others;
            places_by_number(group, these)
        };
        placement.follow_uses(&of_group(&mut defined_in), &of_group(&mut used_in));
        placement.find_joins(func);
        placement.take_joins(|block, number| {
            let variable = group[number];
            let param = func.add_block_param(block, func.value_type(variable));
            func.source_locals[param] = func.source_locals[variable];
            joins[block].push((variable, param));
        });
    }

    rename(func, &dominators, &is_variable, &added, &joins, &undefines, dummy);
}

/// How many variables are looked at at a time.
const GROUP: usize = u64::BITS as usize;

/// Pairs of a variable of the group and a block, both in ascending order, with the variable's number in the group in its place.
fn places_by_number(group: &[Value], places: &[(Value, Block)]) -> Vec<(usize, Block)> {
    let mut number = 0;
    let numbered = places.iter().map(|&(variable, block)| {
        while group[number] != variable {
            number += 1;
        }
        (number, block)
    });
    numbered.collect()
}

/// What is known of a block about the variables of one group, a bit for each.
#[derive(Copy, Clone, Default)]
struct BlockState {
    defines: u64,
    /// Needed at the block's beginning, where it has no parameter for them.
    needs: u64,
    /// Those of `needs` that the predecessors do not know of yet.
    pending: u64,
    /// Definitions, given values at joins among them, from which nothing was followed down yet.
    roots: u64,
    /// Followed down to here.
    visited: u64,
    joins: u64,
}

/// Finds where definitions of variables that are still needed meet, for as many variables at a time as a word has bits.
struct Placement<'a> {
    cfg: &'a ControlFlowGraph,
    dominators: &'a DominatorTree,
    children: &'a SecondaryMap<Block, Vec<Block>>,
    undefines: &'a SecondaryMap<Block, bool>,
    /// Nothing but zeros between two groups.
    states: SecondaryMap<Block, BlockState>,
    /// The blocks whose state is not zero.
    touched: BitSet,
}

impl Placement<'_> {
    fn touch(&mut self, block: Block) -> &mut BlockState {
        self.touched.insert(block.index());
        &mut self.states[block]
    }

    /// Finds out where variables are needed, given where they are defined and used (as numbers in the group).
    fn follow_uses(&mut self, defined_in: &[(usize, Block)], used_in: &[(usize, Block)]) {
        for &(number, block) in defined_in {
            let state = self.touch(block);
            state.defines |= 1 << number;
            state.roots |= 1 << number;
        }
        let mut worklist = Vec::new();
        for &(number, block) in used_in {
            let state = self.touch(block);
            if state.pending == 0 {
                worklist.push(block);
            }
            state.needs |= 1 << number;
            state.pending |= 1 << number;
        }
        let cfg = self.cfg;
        while let Some(block) = worklist.pop() {
            let pending = std::mem::take(&mut self.states[block].pending);
            for &from in cfg.predecessors(block) {
                let undefines = self.undefines[from];
                let state = self.touch(from);
                if undefines {
                    state.roots |= pending;
                    continue;
                }
                let fresh = pending & !state.defines & !state.needs;
                if fresh != 0 {
                    if state.pending == 0 {
                        worklist.push(from);
                    }
                    state.needs |= fresh;
                    state.pending |= fresh;
                }
            }
        }
    }

    /// Joins are the targets of edges out of what a definition dominates to blocks no deeper than it; a join is a definition itself. The deepest
    /// first, so that no block is looked at twice for a variable (Sreedhar and Gao 1995).
    fn find_joins(&mut self, func: &Func) {
        let mut heap: BinaryHeap<(u32, Block)> = BinaryHeap::new();
        for block in self.touched.iter().map(Block::from_index) {
            if self.states[block].roots != 0 {
                heap.push((self.dominators.depth(block), block));
            }
        }
        let children = self.children;
        let mut below: Vec<(Block, u64)> = Vec::new();
        while let Some((depth, root)) = heap.pop() {
            below.push((root, std::mem::take(&mut self.states[root].roots)));
            while let Some((block, variables)) = below.pop() {
                let state = self.touch(block);
                let fresh = variables & !state.visited;
                if fresh == 0 {
                    continue;
                }
                state.visited |= fresh;
                func.blocks[block].terminator.for_each_successor(|to| {
                    let is_join_edge =
                        self.dominators.immediate_dominator(to) != Some(block) && self.dominators.depth(to) <= depth;
                    let joining = fresh & self.states[to].needs;
                    if is_join_edge && joining != 0 {
                        let state = &mut self.states[to];
                        state.needs &= !joining;
                        state.joins |= joining;
                        if state.roots == 0 {
                            heap.push((self.dominators.depth(to), to));
                        }
                        state.roots |= joining;
                    }
                });
                // Where it is not needed, nothing below needs it either but by a definition of its own.
                for &child in &children[block] {
                    let needed = fresh & self.states[child].needs;
                    if needed != 0 {
                        below.push((child, needed));
                    }
                }
            }
        }
    }

    /// Hands out the joins, in the order of the blocks and of the variables' numbers, and forgets the group.
    fn take_joins(&mut self, mut take: impl FnMut(Block, usize)) {
        for block in self.touched.drain().map(Block::from_index) {
            let state = std::mem::take(&mut self.states[block]);
            bits(state.joins).for_each(|number| take(block, number));
        }
    }
}

fn rename(
    func: &mut Func,
    dominators: &DominatorTree,
    is_variable: &SecondaryMap<Value, bool>,
    added: &SecondaryMap<Block, Vec<(Value, Value)>>,
    joins: &SecondaryMap<Block, Vec<(Value, Value)>>,
    undefines: &SecondaryMap<Block, bool>,
    dummy: impl FnMut(ValType) -> Option<Operator<'static>>,
) {
    let current = SecondaryMap::with_default_and_len(None, func.value_count());
    let mut reaching = Reaching { current, none: FxHashMap::default(), dummy };
    // What to restore when a subtree of the dominator tree is left: (depth of the block, variable, what it stood for).
    let mut undo: Vec<(u32, Value, Option<Value>)> = Vec::new();
    for &block in dominators.preorder() {
        let depth = dominators.depth(block);
        while let Some(&(at, variable, old)) = undo.last() {
            if at < depth {
                break;
            }
            undo.pop();
            reaching.current[variable] = old;
        }
        let mut define = |reaching: &mut Reaching<_>, variable: Value, value: Value| {
            undo.push((depth, variable, reaching.current[variable].replace(value)));
        };
        for &(variable, param) in &joins[block] {
            define(&mut reaching, variable, param);
        }
        for index in 0..func.blocks[block].params.len() {
            let param = func.blocks[block].params[index];
            if is_variable[param] {
                define(&mut reaching, param, param);
            }
        }
        for index in 0..func.blocks[block].insts.len() {
            let inst = func.blocks[block].insts[index];
            for position in 0..func.operands(inst).len() {
                let operand = func.operands(inst)[position];
                if is_variable[operand] {
                    func.operands_mut(inst)[position] = reaching.definition(func, operand);
                }
            }
            for result in func.inst_results(inst) {
                if is_variable[result] {
                    define(&mut reaching, result, result);
                }
            }
        }
        for &(variable, value) in &added[block] {
            define(&mut reaching, variable, value);
        }
        let mut terminator = std::mem::take(&mut func.blocks[block].terminator);
        let mut at_end = |func: &mut Func, variable| match undefines[block] {
            true => reaching.none(func, variable),
            false => reaching.definition(func, variable),
        };
        terminator.for_each_value_mut(|value| {
            if is_variable[*value] {
                *value = at_end(func, *value);
            }
        });
        terminator.for_each_block_call_mut(|call| {
            for &(variable, _) in &joins[call.block] {
                call.args.push(at_end(func, variable));
            }
        });
        func.blocks[block].terminator = terminator;
    }
    debug_assert!(func.blocks.keys().all(|block| {
        func.blocks[block].params.iter().all(|&param| func.definition(param) == ValueDefinition::Parameter(block))
    }));
}

/// What each variable stands for at one place.
struct Reaching<Dummy> {
    current: SecondaryMap<Value, Option<Value>>,
    /// What stands for variables without definition: made at the end of the entry, before which nothing needs it.
    none: FxHashMap<ValType, Value>,
    dummy: Dummy,
}

impl<Dummy: FnMut(ValType) -> Option<Operator<'static>>> Reaching<Dummy> {
    fn definition(&mut self, func: &mut Func, variable: Value) -> Value {
        match self.current[variable] {
            Some(value) => value,
            None => self.none(func, variable),
        }
    }

    /// What stands for a variable that has no value.
    fn none(&mut self, func: &mut Func, variable: Value) -> Value {
        let ty = func.value_type(variable);
        *self.none.entry(ty).or_insert_with(|| {
            if !matches!(ty, ValType::Ref(_)) {
                return func.undefined(ty);
            }
            let operator = (self.dummy)(ty)
                .unwrap_or_else(|| panic!("lowering: no definition of {variable} reaches a use in a resumable copy"));
            func.append_value(func.entry, operator, &[], ty)
        })
    }
}
