//! Which values are live where: for each use, a walk up from it to the definition (Boissinot et al., "Computing Liveness Sets for SSA-Form
//! Programs", 2011, "path exploration by use"). Its time is that of writing down the result.
//!
//! Handler edges are edges: a value that a handler uses is live across the instruction that the handler belongs to.

use super::ControlFlowGraph;
use super::lists::ListLengths;
use crate::entity::SecondaryMap;
use crate::func::{Block, Func, Value, ValueDefinition};

/// The block in which each value is defined.
#[derive(Clone, Debug)]
pub struct DefinitionBlocks {
    of_results: SecondaryMap<Value, Option<Block>>,
}

impl DefinitionBlocks {
    /// Finds them, for results of instructions as far as blocks can be reached. Aliases must have been resolved.
    pub fn new(func: &Func, cfg: &ControlFlowGraph) -> Self {
        let mut of_results: SecondaryMap<Value, Option<Block>> =
            SecondaryMap::with_default_and_len(None, func.value_count());
        for &block in cfg.reverse_postorder() {
            for &inst in &func.blocks[block].insts {
                func.inst_results(inst).for_each(|value| of_results[value] = Some(block));
            }
        }
        Self { of_results }
    }

    /// The block that defines a value: that of an instruction only if it can be reached, that of a parameter always.
    #[inline]
    pub fn of(&self, func: &Func, value: Value) -> Option<Block> {
        match func.definition(value) {
            ValueDefinition::Parameter(block) => Some(block),
            ValueDefinition::Result(_) | ValueDefinition::Alias(_) => self.of_results[value],
            ValueDefinition::Undefined => None,
        }
    }
}

/// Which blocks use each value that another block defines: the value first, ascending, and each pair once. So one value can be walked at a time.
/// Undefined values are not among them, since no block defines them.
pub fn uses_elsewhere(func: &Func, cfg: &ControlFlowGraph, definitions: &DefinitionBlocks) -> Vec<(Value, Block)> {
    let mut uses: Vec<(Value, Block)> = Vec::new();
    let mut last_use: SecondaryMap<Value, Option<Block>> = SecondaryMap::with_default_and_len(None, func.value_count());
    let mut lengths = ListLengths::new(func.value_count());
    for &block in cfg.reverse_postorder() {
        let data = &func.blocks[block];
        let mut add = |value: Value| {
            if definitions.of(func, value) != Some(block) && last_use[value] != Some(block) && !func.is_undefined(value)
            {
                last_use[value] = Some(block);
                uses.push((value, block));
                lengths.count(value);
            }
        };
        for &inst in &data.insts {
            func.operands(inst).iter().for_each(|&value| add(value));
        }
        data.terminator.for_each_value(add);
    }
    let mut of_values = lengths.allocate((Value::from_u32(0), func.entry));
    uses.into_iter().for_each(|(value, block)| of_values.push(value, (value, block)));
    of_values.finish().into_values()
}

/// The values that are live on entry to each block: defined before it, used in it or after it. A block's own parameters are not live-in,
/// and an argument of an edge is used by the block that the edge leaves.
#[derive(Clone, Debug)]
pub struct Liveness {
    live_in: SecondaryMap<Block, Vec<Value>>,
}

impl Liveness {
    /// Computes liveness. Aliases must have been resolved.
    pub fn new(func: &Func, cfg: &ControlFlowGraph) -> Self {
        let definitions = DefinitionBlocks::new(func, cfg);
        let mut live_in: SecondaryMap<Block, Vec<Value>> =
            SecondaryMap::with_default_and_len(Vec::new(), func.blocks.len());
        let mut work = Vec::new();
        for (value, block) in uses_elsewhere(func, cfg, &definitions) {
            work.push(block);
            while let Some(block) = work.pop() {
                if definitions.of(func, value) == Some(block) || live_in[block].last() == Some(&value) {
                    continue;
                }
                live_in[block].push(value);
                work.extend(cfg.predecessors(block));
            }
        }
        Self { live_in }
    }

    /// The values that are live on entry to a block, in the order of their ids.
    #[inline]
    pub fn live_in(&self, block: Block) -> &[Value] {
        &self.live_in[block]
    }

    /// Whether the value is live on entry to the block.
    #[inline]
    pub fn is_live_in(&self, value: Value, block: Block) -> bool {
        self.live_in[block].binary_search(&value).is_ok()
    }

    /// The values that are live on some edge out of the block, arguments of edges not counted, in the order of their ids.
    pub fn live_out(&self, func: &Func, block: Block) -> Vec<Value> {
        let mut values = Vec::new();
        func.blocks[block].terminator.for_each_successor(|successor| values.extend_from_slice(self.live_in(successor)));
        values.sort_unstable();
        values.dedup();
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::DominatorTree;
    use crate::analysis::test_graphs::{Random, func_of_graph, random_graph};
    use crate::func::{BlockCall, Handler, Invoke, Terminator};
    use crate::module::{TagId, TypeId};
    use std::collections::BTreeSet;
    use wasmparser::{AbstractHeapType, HeapType, Operator, RefType, ResumeTable, ValType};

    /// A random graph with a definition in each block and uses of values that dominate.
    fn random_func(seed: u64) -> Func {
        let mut func = func_of_graph(&random_graph(seed));
        let cfg = ControlFlowGraph::new(&func);
        let dominators = DominatorTree::new(&func, &cfg);
        let mut random = Random::new(seed ^ 0xABCD);
        let mut values: Vec<(Block, Value)> = Vec::new();
        for &block in dominators.preorder() {
            for _ in 0..random.below(3) {
                let inst = func.insert(block, 0, Operator::I32Const { value: 1 }, &[], &[ValType::I32]);
                values.push((block, func.first_result(inst)));
            }
        }
        for &block in dominators.preorder() {
            let above: Vec<Value> =
                values.iter().filter(|(from, _)| dominators.dominates(*from, block)).map(|&(_, value)| value).collect();
            for _ in 0..random.below(3) {
                if !above.is_empty() {
                    func.append(block, Operator::Drop, &[above[random.below(above.len())]], &[]);
                }
            }
        }
        func
    }

    #[test]
    fn liveness_is_the_fixed_point_of_its_equations() {
        for seed in 0..300 {
            let func = random_func(seed);
            let cfg = ControlFlowGraph::new(&func);
            let liveness = Liveness::new(&func, &cfg);
            let mut expected: Vec<BTreeSet<Value>> = vec![BTreeSet::new(); func.blocks.len()];
            loop {
                let before = expected.clone();
                for &block in cfg.reverse_postorder() {
                    let data = &func.blocks[block];
                    let mut live = BTreeSet::new();
                    data.terminator.for_each_successor(|successor| live.extend(&before[successor.as_u32() as usize]));
                    data.terminator.for_each_value(|value| {
                        live.insert(value);
                    });
                    for &inst in data.insts.iter().rev() {
                        func.inst_results(inst).for_each(|value| {
                            live.remove(&value);
                        });
                        live.extend(func.operands(inst));
                    }
                    data.params.iter().for_each(|param| {
                        live.remove(param);
                    });
                    expected[block.as_u32() as usize] = live;
                }
                if before == expected {
                    break;
                }
            }
            for &block in cfg.reverse_postorder() {
                let expected: Vec<Value> = expected[block.as_u32() as usize].iter().copied().collect();
                assert_eq!(liveness.live_in(block), expected, "seed {seed} {block}");
            }
        }
    }

    #[test]
    fn what_only_a_suspension_handler_uses_is_live_across_the_resume() {
        let heap = HeapType::Abstract { shared: false, ty: AbstractHeapType::Cont };
        let contref = ValType::Ref(RefType::new(true, heap).unwrap());
        let mut func = Func::new(TypeId::from_u32(0), &[ValType::I32, contref], &[ValType::I32]);
        let (kept, continuation) = (func.blocks[func.entry].params[0], func.blocks[func.entry].params[1]);
        let resuming = func.add_block();
        let normal = func.add_block();
        let landing = func.add_block();
        func.add_block_param(landing, contref);
        func.blocks[func.entry].terminator = Terminator::Jump(BlockCall::new(resuming));
        let operator = func
            .operators
            .intern(Operator::Resume { cont_type_index: 0, resume_table: ResumeTable { handlers: Vec::new() } });
        func.blocks[resuming].terminator = Terminator::Invoke(Box::new(Invoke {
            operator,
            args: [continuation].into_iter().collect(),
            normal: Some(normal),
            handlers: vec![
                Handler::Switch { tag: TagId::from_u32(0) },
                Handler::Suspension { tag: TagId::from_u32(1), block: landing },
            ],
        }));
        func.blocks[normal].terminator = Terminator::Unreachable;
        func.blocks[landing].terminator = Terminator::Return([kept].into_iter().collect());
        let cfg = ControlFlowGraph::new(&func);
        let liveness = Liveness::new(&func, &cfg);
        assert!(liveness.is_live_in(kept, landing));
        assert_eq!(liveness.live_in(resuming), [kept, continuation]);
        assert_eq!(liveness.live_out(&func, resuming), [kept]);
        assert!(liveness.live_in(normal).is_empty());
    }
}
