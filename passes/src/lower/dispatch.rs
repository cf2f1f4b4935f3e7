//! Loops that a resumable copy enters in their middle get one entry again: their header dispatches.
//!
//! A stub leads to a block inside of a loop, and with that the loop has several entries. All that comes from outside, and all that goes round,
//! is led to a new block in front of the header, which branches on a *label* to where it was meant to go; inside, what leads forward to the same
//! blocks stays as it is. Emission would find such a block by itself, but only after each value was given one name for each entry. Here, before the
//! repair of static single assignment, the new block is where all versions of a variable meet, so that they can share one local.

use super::builder::Builder;
use super::ssa::Definition;
use rustc_hash::{FxHashMap, FxHashSet};
use wasmfx_ir::analysis::{ControlFlowGraph, DominatorTree, strongly_connected_components};
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{Block, BlockCall, Func, Terminator, Value};
use wasmfx_ir::wasmparser::{Operator, ValType};

/// Positions of blocks, so that an edge of the original leads to a greater one unless it closes a loop.
#[derive(Clone, Debug)]
pub(super) struct Order(SecondaryMap<Block, u32>);

const UNKNOWN: u32 = u32::MAX;

impl Order {
    /// The reverse postorder of the original.
    pub(super) fn new(func: &Func, cfg: &ControlFlowGraph) -> Self {
        let mut positions = SecondaryMap::with_default_and_len(UNKNOWN, func.blocks.len());
        for (position, &block) in (0..).zip(cfg.reverse_postorder()) {
            positions[block] = position;
        }
        Self(positions)
    }

    /// Gives an added block the position of another.
    pub(super) fn place_at(&mut self, added: Block, other: Block) {
        self.0[added] = self.0[other];
    }

    /// Gives each block that was added since the position of a predecessor.
    fn extend(&mut self, cfg: &ControlFlowGraph) {
        for &block in cfg.reverse_postorder() {
            if self.0[block] == UNKNOWN {
                let known = cfg.predecessors(block).iter().map(|&from| self.0[from]).find(|&at| at != UNKNOWN);
                self.0[block] = known.unwrap_or(0);
            }
        }
    }
}

/// How many loops around one another get a dispatching block each. Each of them has an edge for every entry into the loops inside it, which is
/// quadratic; emission finds one block for all that is deeper.
const MAX_DEPTH: usize = 6;
/// The most arguments that the edges to a dispatching block may have, all together. Beyond that the loop is left to emission, which finds such a
/// block as well.
const MAX_ARGUMENTS: usize = 1 << 22;

/// Makes loops with several entries dispatch at their headers, and adds the definitions that this makes.
///
/// Where there is no value that could stand for a variable that has none, by what `has_stand_in` says of its type, the function stays as it is.
///
/// Ways to `loading` blocks carry no values, since those load what is needed. Returns the blocks that such ways lead through, at whose end no variable
/// has a value.
pub(super) fn dispatch_at_headers(
    func: &mut Func,
    mut order: Order,
    definitions: &mut Vec<Definition>,
    loading: &FxHashSet<Block>,
    mut has_stand_in: impl FnMut(ValType) -> bool,
) -> Vec<Block> {
    let mut undefining = Vec::new();
    if !definitions.iter().all(|definition| has_stand_in(func.value_type(definition.variable))) {
        return undefining;
    }
    for _ in 0..MAX_DEPTH {
        let cfg = ControlFlowGraph::new(func);
        let dominators = DominatorTree::new(func, &cfg);
        order.extend(&cfg);
        let roots = std::iter::once(func.entry.as_u32());
        let components = strongly_connected_components(func.blocks.len(), roots, |node, successors| {
            let from = Block::from_u32(node);
            func.blocks[from].terminator.for_each_successor(|to| {
                if !dominators.dominates(to, from) {
                    successors.push(to.as_u32());
                }
            });
        });
        if components.is_empty() {
            break;
        }
        for component in components {
            let blocks: Vec<Block> = component.into_iter().map(Block::from_u32).collect();
            let Some(region) = Region::new(func, &cfg, &dominators, &order, &blocks) else { return undefining };
            if !region
                .entries
                .iter()
                .all(|&entry| func.blocks[entry].params.iter().all(|&param| has_stand_in(func.value_type(param))))
            {
                return undefining;
            }
            if region.arguments(func) > MAX_ARGUMENTS {
                return undefining;
            }
            let header_position = order.0[region.entries[0]];
            let (dispatch, entrance) = region.add_dispatch(func, definitions, loading);
            order.0[dispatch] = header_position;
            undefining.extend(entrance);
        }
    }
    undefining
}

/// A loop with several entries.
struct Region {
    /// The header, then the other blocks that are entered from outside.
    entries: Vec<Block>,
    /// The edges that are to lead to the dispatching block instead, from where to which entry, in order. Those that close a loop of one entry are
    /// not among them.
    redirected: Vec<(Block, Block)>,
}

impl Region {
    /// [`None`] if an edge to an entry is no [`BlockCall`].
    fn new(
        func: &Func,
        cfg: &ControlFlowGraph,
        dominators: &DominatorTree,
        order: &Order,
        blocks: &[Block],
    ) -> Option<Self> {
        let predecessors = |block: Block| {
            cfg.predecessors(block).iter().copied().filter(move |&from| !dominators.dominates(block, from))
        };
        let inside: FxHashSet<Block> = blocks.iter().copied().collect();
        let header = *blocks.iter().min_by_key(|&&block| (order.0[block], block))?;
        let mut others: Vec<Block> = blocks
            .iter()
            .copied()
            .filter(|&block| block != header && predecessors(block).any(|from| !inside.contains(&from)))
            .collect();
        others.sort_unstable_by_key(|&block| (order.0[block], block));
        let entries: Vec<Block> = std::iter::once(header).chain(others).collect();
        let mut redirected: Vec<(Block, Block)> = Vec::new();
        for &entry in &entries {
            let leads_there = predecessors(entry).filter(|&from| entry == header || !inside.contains(&from));
            redirected.extend(leads_there.map(|from| (from, entry)));
        }
        redirected.sort_unstable();
        redirected.dedup();
        for &(source, _) in &redirected {
            let terminator = &func.blocks[source].terminator;
            let (mut edges, mut calls) = (0, 0);
            terminator.for_each_successor(|_| edges += 1);
            terminator.for_each_block_call(|_| calls += 1);
            if edges != calls {
                return None;
            }
        }
        Some(Self { entries, redirected })
    }

    /// How many arguments the edges to the dispatching block are going to have.
    fn arguments(&self, func: &Func) -> usize {
        let params: usize = self.entries.iter().map(|&entry| func.blocks[entry].params.len()).sum();
        params.saturating_mul(self.redirected.len())
    }

    /// Puts the dispatching block in front of the header.
    ///
    /// Its parameters are the label and those of all entries. An edge that is meant for one entry gives the variables of the others the value that
    /// they have.
    fn add_dispatch(
        &self,
        func: &mut Func,
        definitions: &mut Vec<Definition>,
        loading: &FxHashSet<Block>,
    ) -> (Block, Option<Block>) {
        let dispatch = func.add_block();
        let label = func.add_block_param(dispatch, ValType::I32);
        let originals: Vec<Value> = self.entries.iter().flat_map(|&entry| func.blocks[entry].params.to_vec()).collect();
        for &original in &originals {
            let value = func.add_block_param(dispatch, func.value_type(original));
            func.source_locals[value] = func.source_locals[original];
            definitions.push(Definition { variable: original, block: dispatch, value });
        }
        let mut entrance = None;
        let numbers: FxHashMap<Block, usize> =
            self.entries.iter().enumerate().map(|(number, &entry)| (entry, number)).collect();
        for edges in self.redirected.chunk_by(|(one, _), (other, _)| one == other) {
            let source = edges[0].0;
            let mut terminator = std::mem::take(&mut func.blocks[source].terminator);
            terminator.for_each_block_call_mut(|call| {
                if edges.binary_search(&(source, call.block)).is_err() {
                    return;
                }
                let number = numbers[&call.block];
                let constant = Operator::I32Const { value: i32::try_from(number).expect("blocks are numbered by u32") };
                let constant = func.append_value(source, constant, &[], ValType::I32);
                if loading.contains(&call.block) {
                    let entrance = *entrance.get_or_insert_with(|| {
                        let entrance = func.add_block();
                        let label = func.add_block_param(entrance, ValType::I32);
                        let args = std::iter::once(label).chain(originals.iter().copied());
                        func.blocks[entrance].terminator = Terminator::Jump(BlockCall::with_args(dispatch, args));
                        entrance
                    });
                    *call = BlockCall::with_args(entrance, [constant]);
                    return;
                }
                let mut args = vec![constant];
                for (position, &entry) in self.entries.iter().enumerate() {
                    let given = if position == number { &call.args } else { &func.blocks[entry].params };
                    args.extend(given.iter().copied());
                }
                *call = BlockCall::with_args(dispatch, args);
            });
            func.blocks[source].terminator = terminator;
        }
        let mut values = func.blocks[dispatch].params[1..].iter().copied();
        let mut onward: Vec<BlockCall> = self
            .entries
            .iter()
            .map(|&entry| BlockCall::with_args(entry, values.by_ref().take(func.blocks[entry].params.len())))
            .collect();
        let builder = &mut Builder::at(func, dispatch);
        if onward.len() == 2 {
            let (other, header) = (onward.remove(1), onward.remove(0));
            builder.end(Terminator::Branch { condition: label, then_target: other, else_target: header, likely: None });
        } else {
            let default = onward[0].clone();
            builder.end(Terminator::Switch { index: label, targets: onward, default });
        }
        (dispatch, entrance)
    }
}
