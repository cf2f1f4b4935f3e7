//! Similar blocks become one, which takes what they differ in as parameters. For the sake of size only: values have to be brought to it.
//!
//! Blocks are similar if their instructions have the same operators, each of a block's own values is used in the same places, and their terminators
//! go on to the same places. What they use from outside may differ, and so may constants. An edge may be led from one of them to another under the
//! same conditions as in [`code_folding`](super::code_folding); what the one used from outside dominates it, and hence the blocks that lead to it,
//! which pass it on.
//!
//! Whole tails are folded from their ends on: once what follows is one block, what leads to it is similar. Whether that was worth it shows only when
//! locals are assigned, so a function is emitted with and without, and the smaller one stays.

use super::code_folding::{foldable_blocks, make_constants_its_own};
use super::dead_code;
use crate::encoded_length;
use crate::environment::ModuleEnvironment;
use crate::function::simplify::Constant;
use crate::pass_table::Changed;
use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use wasmfx_ir::analysis::{ControlFlowGraph, DominatorTree, LoopForest};
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{OperatorId, Terminator};
use wasmfx_ir::wasmparser::ValType;
use wasmfx_ir::{Block, Func, Value};

/// How often a function is gone through: tails of that many blocks become one.
const MAX_ROUNDS: usize = 16;
/// A block with more differences is left alone.
const MAX_PARAMS: usize = 8;
/// What a branch to a block takes, in bytes.
const BRANCH: usize = 2;

/// Runs the pass.
pub fn run(func: &mut Func, environment: &ModuleEnvironment<'_>) -> Changed {
    let changed = dead_code::empty_unreachable_blocks(func, &ControlFlowGraph::new(func));
    func.resolve_aliases();
    let mut folded: Option<Func> = None;
    for _ in 0..MAX_ROUNDS {
        let (groups, cfg) = similar_blocks(folded.as_ref().unwrap_or(func));
        if groups.is_empty() {
            break;
        }
        let folded = folded.get_or_insert_with(|| func.clone());
        groups.iter().for_each(|group| fold(folded, &cfg, group));
    }
    let Some(mut folded) = folded else { return changed };
    let module = environment.module();
    if encoded_length::body(&mut folded, module) >= encoded_length::body(func, module) {
        return changed;
    }
    *func = folded;
    Changed::Yes
}

/// What a block uses that it does not define itself.
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
enum Hole {
    /// A constant, wherever it is defined.
    Constant(OperatorId),
    Outer(Value),
}

impl Hole {
    /// What a use of a value is, if a hole.
    fn of(func: &Func, value: Value, is_own: bool) -> Option<Self> {
        match func.defining_inst(value) {
            Some(inst) if Constant::of(func.operator(inst)).is_some() => Some(Self::Constant(func.operator_id(inst))),
            _ if is_own => None,
            _ => Some(Self::Outer(value)),
        }
    }

    fn ty(self, func: &Func) -> ValType {
        match self {
            Self::Constant(operator) => Constant::of(&func.operators[operator]).expect("it is a constant").ty(),
            Self::Outer(value) => func.value_type(value),
        }
    }
}

/// What similar blocks have in common. What the words mean follows from those before them.
#[derive(PartialEq, Eq, Hash)]
struct Shape {
    words: Vec<u32>,
    /// The types of the block's own values, and of its holes.
    types: Vec<ValType>,
    innermost_loop: Option<usize>,
}

/// A block of a shape.
struct Member {
    block: Block,
    /// In the order in which they are used.
    holes: Vec<Hole>,
}

impl Shape {
    /// Describes a block, and says about how many bytes it takes.
    fn of(func: &Func, block: Block, innermost_loop: Option<usize>) -> Option<(Self, Member, usize)> {
        const OWN: u32 = 0;
        const HOLE: u32 = 1;
        let data = &func.blocks[block];
        let mut own: FxHashMap<Value, u32> = FxHashMap::default();
        let mut types = Vec::new();
        let mut words = vec![data.params.len() as u32];
        let mut holes = Vec::new();
        let mut size = 0;
        let define = |value: Value, own: &mut FxHashMap<Value, u32>, types: &mut Vec<ValType>| {
            own.insert(value, own.len() as u32);
            types.push(func.value_type(value));
        };
        let mut use_value =
            |value: Value, own: &FxHashMap<Value, u32>, words: &mut Vec<u32>, types: &mut Vec<ValType>| {
                let position = own.get(&value);
                match Hole::of(func, value, position.is_some()) {
                    Some(hole) => {
                        words.push(HOLE);
                        types.push(hole.ty(func));
                        holes.push(hole);
                    }
                    None => words.extend([OWN, *position.expect("what is no hole is the block's own")]),
                }
            };
        data.params.iter().for_each(|&param| define(param, &mut own, &mut types));
        let insts = || data.insts.iter().filter(|&&inst| Constant::of(func.operator(inst)).is_none());
        words.push(insts().count() as u32);
        for &inst in insts() {
            let (operands, results) = (func.operands(inst).len(), func.inst_results(inst).len());
            words.extend([func.operator_id(inst).as_u32(), operands as u32, results as u32]);
            size += encoded_length::operator(func.operator(inst)).unwrap_or(0);
            func.operands(inst).iter().for_each(|&operand| use_value(operand, &own, &mut words, &mut types));
            func.inst_results(inst).for_each(|result| define(result, &mut own, &mut types));
        }
        words.push(match &data.terminator {
            Terminator::Unreachable => 0,
            Terminator::Jump(_) => 1,
            Terminator::Branch { likely: None, .. } => 2,
            Terminator::Branch { likely: Some(false), .. } => 3,
            Terminator::Branch { likely: Some(true), .. } => 4,
            Terminator::Switch { .. } => 5,
            Terminator::Return(_) => 6,
            Terminator::TailCall { .. } => 7,
            Terminator::Missing | Terminator::Invoke(_) | Terminator::BranchOnReference { .. } => return None,
        });
        words.extend(data.terminator.operator().map(|operator| operator.as_u32()));
        let mut calls = 0;
        data.terminator.for_each_block_call(|_| calls += 1);
        words.push(calls);
        data.terminator.for_each_block_call(|call| words.extend([call.block.as_u32(), call.args.len() as u32]));
        data.terminator.for_each_value(|value| use_value(value, &own, &mut words, &mut types));
        size += BRANCH + 2 * holes.len();
        Some((Self { words, types, innermost_loop }, Member { block, holes }, size))
    }
}

/// Blocks to become one.
struct Group {
    members: Vec<Member>,
    /// For each hole the number of the parameter that takes its place; none where all members have the same there.
    params: Vec<Option<usize>>,
    /// How many parameters there will be.
    param_count: usize,
}

impl Group {
    /// Members of one shape, if making one block of them may save something.
    fn new(func: &Func, members: Vec<Member>, size: usize) -> Option<Self> {
        let first = members.first()?;
        let mut params = Vec::with_capacity(first.holes.len());
        let mut numbers: FxHashMap<Vec<Hole>, usize> = FxHashMap::default();
        // The least that bringing the values takes: a constant must be there, and it or the way to where it is used must be made.
        let mut cost = BRANCH * (members.len() - 1);
        for place in 0..first.holes.len() {
            let column: Vec<Hole> = members.iter().map(|member| member.holes[place]).collect();
            if column.iter().all(|hole| *hole == column[0]) {
                params.push(None);
                continue;
            }
            let next = numbers.len();
            params.push(Some(*numbers.entry(column).or_insert_with_key(|column| {
                let of_hole = |hole: &Hole| match *hole {
                    Hole::Constant(operator) => encoded_length::operator(&func.operators[operator]).unwrap_or(0),
                    Hole::Outer(_) => 0,
                };
                cost += 1 + column.iter().map(of_hole).sum::<usize>();
                next
            })));
        }
        let (param_count, saved) = (numbers.len(), size * (members.len() - 1));
        (saved > cost && param_count <= MAX_PARAMS).then_some(Self { members, params, param_count })
    }
}

/// Groups of similar blocks, none of which has to do with another.
fn similar_blocks(func: &Func) -> (Vec<Group>, ControlFlowGraph) {
    let cfg = ControlFlowGraph::new(func);
    let loops = LoopForest::new(func, &cfg, &DominatorTree::new(func, &cfg));
    let may_go = foldable_blocks(func, &cfg);
    let mut by_shape: IndexMap<Shape, (Vec<Member>, usize), FxBuildHasher> = IndexMap::default();
    for &block in cfg.reverse_postorder().iter().rev().filter(|&&block| may_go[block]) {
        if let Some((shape, member, size)) = Shape::of(func, block, loops.innermost(block)) {
            by_shape.entry(shape).or_insert((Vec::new(), size)).0.push(member);
        }
    }
    // What leads to blocks of a group changes with it.
    let mut is_taken: SecondaryMap<Block, bool> = SecondaryMap::with_default_and_len(false, func.blocks.len());
    let mut groups = Vec::new();
    for (members, size) in by_shape.into_values() {
        if members.len() < 2 || members.iter().any(|member| is_taken[member.block]) {
            continue;
        }
        let Some(group) = Group::new(func, members, size) else { continue };
        let predecessors = || group.members.iter().flat_map(|member| cfg.predecessors(member.block));
        if predecessors().any(|&from| group.members.iter().any(|member| member.block == from)) {
            continue;
        }
        predecessors().for_each(|&from| is_taken[from] = true);
        group.members.iter().for_each(|member| is_taken[member.block] = true);
        groups.push(group);
    }
    (groups, cfg)
}

/// Makes one block of a group: its first.
fn fold(func: &mut Func, cfg: &ControlFlowGraph, group: &Group) {
    let kept = group.members[0].block;
    // The first hole of each parameter.
    let places: Vec<usize> = (0..group.param_count)
        .map(|number| group.params.iter().position(|&param| param == Some(number)).expect("each has a hole"))
        .collect();
    let holes = &group.members[0].holes;
    let types: Vec<ValType> = places.iter().map(|&place| holes[place].ty(func)).collect();
    let params: Vec<Value> = types.into_iter().map(|ty| func.add_block_param(kept, ty)).collect();
    // Edges to the first member are given their arguments before others are led there.
    for member in &group.members {
        // A block may lead to one by several edges.
        let mut predecessors = cfg.predecessors(member.block).to_vec();
        predecessors.sort_unstable();
        predecessors.dedup();
        for from in predecessors {
            let values: Vec<Value> = places.iter().map(|&place| bring(func, from, member.holes[place])).collect();
            let mut terminator = std::mem::take(&mut func.blocks[from].terminator);
            terminator.for_each_block_call_mut(|call| {
                if call.block == member.block {
                    call.block = kept;
                    call.args.extend_from_slice(&values);
                }
            });
            func.blocks[from].terminator = terminator;
        }
    }
    let fillings: Vec<Option<Value>> = group.params.iter().map(|param| param.map(|number| params[number])).collect();
    fill_holes(func, kept, &fillings);
    make_constants_its_own(func, kept);
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

/// Puts values in place of holes, which come in the order of [`Shape::of`].
fn fill_holes(func: &mut Func, block: Block, fillings: &[Option<Value>]) {
    let mut own: FxHashSet<Value> = func.blocks[block].params.iter().copied().collect();
    for &inst in &func.blocks[block].insts {
        own.extend(func.inst_results(inst));
    }
    // Parameters that were added for holes are used nowhere yet.
    let is_hole = |func: &Func, value: Value| Hole::of(func, value, own.contains(&value)).is_some();
    let mut fillings = fillings.iter();
    let mut fill = |func: &Func, value: Value| {
        let filling = if is_hole(func, value) { *fillings.next().expect("a filling for each hole") } else { None };
        filling.unwrap_or(value)
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
    debug_assert_eq!(fillings.next(), None);
}
