//! Which blocks and tails become one.

use crate::encoded_length;
use crate::function::block_shape::{Description, Hole, Shape, Tail, describe, describe_terminator};
use crate::function::code_folding::foldable_blocks;
use crate::function::private_values::values_used_elsewhere;
use crate::function::simplify::Constant;
use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use wasmfx_ir::analysis::{ControlFlowGraph, DominatorTree, LoopForest};
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::OperatorId;
use wasmfx_ir::{Block, Func, Value};

/// What a branch to a block takes, in bytes.
const BRANCH: usize = 2;
/// Tails with more differences are left alone.
const MAX_PARAMS: usize = 8;
/// The longest tail that is looked at, in instructions.
const MAX_TAIL: usize = 64;
/// The most tails that are made one at a time.
const MAX_TAILS: usize = 64;

/// One of several that become one.
pub(super) struct Member {
    pub(super) tail: Tail,
    /// The blocks that lead to it, each once. The block itself where the tail is not all of it.
    pub(super) predecessors: Vec<Block>,
    /// What it uses from outside, in the order of use.
    pub(super) holes: Vec<Hole>,
}

impl Member {
    /// How many bytes it takes, if what it uses from outside is in locals.
    fn length(&self, func: &Func) -> usize {
        let insts = self.tail.insts(func).map(|inst| encoded_length::operator(func.operator(inst)).unwrap_or(0));
        insts.sum::<usize>() + 2 * self.holes.len() + BRANCH
    }
}

/// Tails of one shape to become one.
pub(super) struct Group {
    pub(super) members: Vec<Member>,
    /// For each hole the number of the parameter that takes its place; none where all members have the same there.
    pub(super) params: Vec<Option<usize>>,
    /// How many parameters there will be.
    pub(super) param_count: usize,
}

impl Group {
    /// A group, and how many bytes less it takes if nothing has to be moved for it.
    fn new(func: &Func, members: Vec<Member>) -> Option<(Self, usize)> {
        let first = members.first()?;
        let size = first.length(func);
        let mut params = Vec::with_capacity(first.holes.len());
        let mut numbers: FxHashMap<Vec<Hole>, usize> = FxHashMap::default();
        let mut cost = BRANCH * (members.len() - 1);
        for place in 0..first.holes.len() {
            let column: Vec<Hole> = members.iter().map(|member| member.holes[place]).collect();
            if column.iter().all(|hole| *hole == column[0]) {
                params.push(None);
                continue;
            }
            let next = numbers.len();
            params.push(Some(*numbers.entry(column).or_insert_with_key(|column| {
                // A constant must be brought; what is in a local may be in the right one.
                let of_hole = |hole: &Hole| match *hole {
                    Hole::Constant(operator) => encoded_length::operator(&func.operators[operator]).unwrap_or(0),
                    Hole::Outer(_) => 0,
                };
                cost += column.iter().map(of_hole).sum::<usize>();
                next
            })));
        }
        let (param_count, saved) = (numbers.len(), size * (members.len() - 1));
        (saved > cost && param_count <= MAX_PARAMS).then(|| (Self { members, params, param_count }, saved - cost))
    }
}

/// Groups that do not overlap: blocks first, then what is left of blocks that end alike.
pub(super) fn groups(func: &Func) -> Vec<Group> {
    let cfg = ControlFlowGraph::new(func);
    let mut search = Search {
        func,
        loops: LoopForest::new(func, &cfg, &DominatorTree::new(func, &cfg)),
        cfg: &cfg,
        may_go: foldable_blocks(func, &cfg),
        is_taken: SecondaryMap::with_default_and_len(false, func.blocks.len()),
        groups: Vec::new(),
    };
    search.whole_blocks();
    search.tails();
    search.groups
}

struct Search<'a> {
    func: &'a Func,
    cfg: &'a ControlFlowGraph,
    loops: LoopForest,
    /// The blocks that may be members as they are.
    may_go: SecondaryMap<Block, bool>,
    /// What is in a group, or leads to what is: it changes with the group.
    is_taken: SecondaryMap<Block, bool>,
    groups: Vec<Group>,
}

impl Search<'_> {
    fn whole_blocks(&mut self) {
        let mut by_shape: IndexMap<(Shape, Option<usize>), Vec<Member>, FxBuildHasher> = IndexMap::default();
        for &block in self.cfg.reverse_postorder().iter().rev().filter(|&&block| self.may_go[block]) {
            let tail = Tail { block, start: None };
            if let Some(Description { shape, holes }) = describe(self.func, tail) {
                let mut predecessors = self.cfg.predecessors(block).to_vec();
                predecessors.sort_unstable();
                predecessors.dedup();
                let members = by_shape.entry((shape, self.loops.innermost(block))).or_default();
                members.push(Member { tail, predecessors, holes });
            }
        }
        for members in by_shape.into_values().filter(|members| members.len() > 1) {
            if let Some((group, _)) = Group::new(self.func, members) {
                self.take(group);
            }
        }
    }

    /// Keeps a group unless it overlaps another one, or one of its members leads to another.
    fn take(&mut self, group: Group) {
        let whole: FxHashSet<Block> =
            group.members.iter().filter(|member| member.tail.start.is_none()).map(|member| member.tail.block).collect();
        let blocks = || group.members.iter().map(|member| member.tail.block);
        let predecessors = || group.members.iter().flat_map(|member| member.predecessors.iter().copied());
        if blocks().all(|block| !self.is_taken[block]) && !predecessors().any(|from| whole.contains(&from)) {
            blocks().chain(predecessors()).for_each(|block| self.is_taken[block] = true);
            self.groups.push(group);
        }
    }

    /// Blocks that end alike are neighbours if they are sorted by how they end.
    fn tails(&mut self) {
        let used_elsewhere = values_used_elsewhere(self.func, self.cfg);
        let mut endings: Vec<Ending> = Vec::new();
        for &block in self.cfg.reverse_postorder().iter().rev().filter(|&&block| !self.is_taken[block]) {
            endings.extend(Ending::of(self.func, block, self.loops.innermost(block), &used_elsewhere));
        }
        endings.sort();
        let mut first = 0;
        while first + 1 < endings.len() {
            let mut best: Option<(Group, usize)> = None;
            let mut end = first + 1;
            while end < endings.len().min(first + MAX_TAILS) {
                let Some(group) = common_tail(self.func, &endings[first..=end]) else { break };
                if best.as_ref().is_some_and(|&(_, saved)| group.1 <= saved) {
                    break;
                }
                best = Some(group);
                end += 1;
            }
            first = end;
            if let Some((group, _)) = best {
                self.take(group);
            }
        }
    }
}

/// How a block ends.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Ending {
    terminator: Vec<u32>,
    innermost_loop: Option<usize>,
    /// The last operators, the last first, but for constants and not beyond one whose result is used in other blocks.
    operators: Vec<OperatorId>,
    block: Block,
    /// Where the instructions of these operators are.
    positions: Vec<usize>,
}

impl Ending {
    fn of(
        func: &Func,
        block: Block,
        innermost_loop: Option<usize>,
        used_elsewhere: &SecondaryMap<Value, bool>,
    ) -> Option<Self> {
        let data = &func.blocks[block];
        let mut terminator = Vec::new();
        describe_terminator(&data.terminator, &mut terminator)?;
        let (operators, positions): (Vec<_>, Vec<_>) = data
            .insts
            .iter()
            .enumerate()
            .rev()
            .take_while(|&(_, &inst)| func.inst_results(inst).all(|result| !used_elsewhere[result]))
            .filter(|&(_, &inst)| Constant::of(func.operator(inst)).is_none())
            .take(MAX_TAIL)
            .map(|(position, &inst)| (func.operator_id(inst), position))
            .unzip();
        (!operators.is_empty()).then_some(Self { terminator, innermost_loop, operators, block, positions })
    }
}

/// The longest tail that all of these have in common, if it is worth anything.
fn common_tail(func: &Func, endings: &[Ending]) -> Option<(Group, usize)> {
    let first = &endings[0];
    let mut length = first.operators.len();
    for other in &endings[1..] {
        if (&first.terminator, first.innermost_loop) != (&other.terminator, other.innermost_loop) {
            return None;
        }
        length = first.operators.iter().zip(&other.operators).take(length).take_while(|(a, b)| a == b).count();
    }
    while length > 0 {
        let tails =
            endings.iter().map(|ending| Tail { block: ending.block, start: Some(ending.positions[length - 1]) });
        let mut described = tails.map(|tail| (tail, describe(func, tail).expect("the terminator was described")));
        let (tail, Description { shape, holes }) = described.next()?;
        let mut members = vec![Member { tail, predecessors: vec![tail.block], holes }];
        if described.all(|(tail, other)| {
            let is_similar = other.shape == shape;
            members.push(Member { tail, predecessors: vec![tail.block], holes: other.holes });
            is_similar
        }) {
            // The end of the block becomes a branch too.
            let (group, saved) = Group::new(func, members)?;
            return (saved > BRANCH).then_some((group, saved));
        }
        length -= 1;
    }
    None
}
