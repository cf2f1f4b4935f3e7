//! Static single assignment again, after values got further definitions.
//!
//! In a resumable copy a value that was saved is defined where it always was and where it is loaded again. Block parameters are put where several
//! definitions meet (as in Cytron et al. 1991, pruned by liveness), and each use is led to the definition that reaches it.

use rustc_hash::FxHashMap;
use std::collections::BinaryHeap;
use wasmfx_ir::analysis::{ControlFlowGraph, DefinitionBlocks, DominatorTree, uses_elsewhere};
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{Block, Func, Terminator, Value, ValueDefinition};
use wasmfx_ir::operator::default_operator;
use wasmfx_ir::wasmparser::ValType;

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
/// dispatching loop that lead elsewhere, zero or null stands for the variable, which must have such a value then; and so it does from the end of
/// `undefining` blocks on.
pub(super) fn repair(func: &mut Func, definitions: &[Definition], undefining: &[Block]) {
    let cfg = ControlFlowGraph::new(func);
    for block in func.blocks.keys() {
        if !cfg.is_reachable(block) {
            let data = &mut func.blocks[block];
            data.insts.clear();
            data.terminator = Terminator::Unreachable;
        }
    }
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
    let mut blocks_of: FxHashMap<Value, Vec<Block>> = FxHashMap::default();
    let mut added: SecondaryMap<Block, Vec<(Value, Value)>> =
        SecondaryMap::with_default_and_len(Vec::new(), func.blocks.len());
    for definition in definitions {
        blocks_of.entry(definition.variable).or_default().push(definition.block);
        added[definition.block].push((definition.variable, definition.value));
    }
    let original = DefinitionBlocks::new(func, &cfg);
    let uses = uses_elsewhere(func, &cfg, &original);
    let mut undefines = SecondaryMap::with_default_and_len(false, func.blocks.len());
    undefining.iter().for_each(|&block| undefines[block] = true);
    // For each block, the last variable that it defines, or that is needed at its beginning and has no parameter there.
    let mut defines: SecondaryMap<Block, Option<Value>> = SecondaryMap::with_default_and_len(None, func.blocks.len());
    let mut needs: SecondaryMap<Block, Option<Value>> = SecondaryMap::with_default_and_len(None, func.blocks.len());
    // The last variable for which a block was looked at as one that a definition dominates.
    let mut visited: SecondaryMap<Block, Option<Value>> = SecondaryMap::with_default_and_len(None, func.blocks.len());
    let mut successors: Vec<Block> = Vec::new();

    // Where definitions of a variable that is still needed meet.
    let mut joins: SecondaryMap<Block, Vec<(Value, Value)>> =
        SecondaryMap::with_default_and_len(Vec::new(), func.blocks.len());
    for &variable in &variables {
        let ty = func.value_type(variable);
        let mut work = blocks_of.remove(&variable).expect("a variable has a definition");
        work.extend(original.of(func, variable));
        work.iter().for_each(|&block| defines[block] = Some(variable));
        let first = uses.partition_point(|&(value, _)| value < variable);
        let its_uses = uses[first..].iter().take_while(|&&(value, _)| value == variable);
        // What an undefining block seems to use it does not.
        let mut needed: Vec<Block> = its_uses.map(|&(_, block)| block).filter(|&block| !undefines[block]).collect();
        while let Some(block) = needed.pop() {
            if needs[block].replace(variable) == Some(variable) {
                continue;
            }
            for &from in cfg.predecessors(block) {
                if undefines[from] {
                    work.push(from);
                } else if defines[from] != Some(variable) {
                    needed.push(from);
                }
            }
        }
        // Joins are the targets of edges out of what a definition dominates to blocks no deeper than it; a join is a definition itself. The deepest
        // first, so that no block is looked at twice (Sreedhar and Gao 1995).
        let mut roots: BinaryHeap<(u32, Block)> = work
            .into_iter()
            .filter(|&block| cfg.is_reachable(block))
            .map(|block| (dominators.depth(block), block))
            .collect();
        while let Some((depth, root)) = roots.pop() {
            let mut below = vec![root];
            while let Some(block) = below.pop() {
                if visited[block].replace(variable) == Some(variable) {
                    continue;
                }
                func.blocks[block].terminator.for_each_successor(|to| successors.push(to));
                for to in successors.drain(..) {
                    let is_join = dominators.immediate_dominator(to) != Some(block) && dominators.depth(to) <= depth;
                    if is_join && needs[to] == Some(variable) {
                        needs[to] = None;
                        let param = func.add_block_param(to, ty);
                        func.source_locals[param] = func.source_locals[variable];
                        joins[to].push((variable, param));
                        roots.push((dominators.depth(to), to));
                    }
                }
                // Where it is not needed, nothing below needs it either but by a definition of its own.
                below.extend(children[block].iter().copied().filter(|&child| needs[child] == Some(variable)));
            }
        }
    }

    rename(func, &dominators, &is_variable, &added, &joins, &undefines);
}

fn rename(
    func: &mut Func,
    dominators: &DominatorTree,
    is_variable: &SecondaryMap<Value, bool>,
    added: &SecondaryMap<Block, Vec<(Value, Value)>>,
    joins: &SecondaryMap<Block, Vec<(Value, Value)>>,
    undefines: &SecondaryMap<Block, bool>,
) {
    let mut reaching = Reaching::default();
    // What to restore when a subtree of the dominator tree is left: (depth of the block, variable, what it stood for).
    let mut undo: Vec<(u32, Value, Option<Value>)> = Vec::new();
    for &block in dominators.preorder() {
        let depth = dominators.depth(block);
        while let Some(&(at, variable, old)) = undo.last() {
            if at < depth {
                break;
            }
            undo.pop();
            match old {
                Some(old) => reaching.current.insert(variable, old),
                None => reaching.current.remove(&variable),
            };
        }
        let mut define = |reaching: &mut Reaching, variable: Value, value: Value| {
            undo.push((depth, variable, reaching.current.insert(variable, value)));
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
#[derive(Default)]
struct Reaching {
    current: FxHashMap<Value, Value>,
    /// What stands for variables without definition: made at the end of the entry, before which nothing needs it.
    none: FxHashMap<ValType, Value>,
}

impl Reaching {
    fn definition(&mut self, func: &mut Func, variable: Value) -> Value {
        match self.current.get(&variable) {
            Some(&value) => value,
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
            let operator = default_operator(ty)
                .unwrap_or_else(|| panic!("lowering: no definition of {variable} reaches a use in a resumable copy"));
            func.append_value(func.entry, operator, &[], ty)
        })
    }
}
