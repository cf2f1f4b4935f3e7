//! Branches that only choose a value become `select`.
//!
//! What the sides compute is computed before the branch then, whichever is chosen: constants, and at most a cheap instruction that can be computed
//! anywhere.

use super::simplify::Constant;
use crate::environment::ModuleEnvironment;
use crate::pass_table::Changed;
use rustc_hash::FxHashMap;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{BlockCall, Terminator, ValueVec};
use wasmfx_ir::wasmparser::{Operator, ValType};
use wasmfx_ir::{Block, Func, Inst, Value};

/// How many instructions other than constants the sides of a branch may have together.
const MAX_COMPUTED: usize = 1;
/// How many instructions a side may have.
const MAX_INSTS: usize = 4;

/// Runs the pass: a branch whose sides go on to one place and differ in a single value there is a `select` of the value.
pub fn run(func: &mut Func, _environment: &ModuleEnvironment<'_>) -> Changed {
    let mut changed = Changed::No;
    let mut edge_counts: Option<SecondaryMap<Block, u32>> = None;
    for block in func.blocks.keys() {
        let Terminator::Branch { condition, then_target, else_target, likely: None } = &func.blocks[block].terminator
        else {
            continue;
        };
        let (a, b) = (Side::of(func, then_target), Side::of(func, else_target));
        let computed = a.computed(func) + b.computed(func);
        // The condition comes last on the operand stack: it should be free to be computed there.
        let is_condition_late = || func.defining_operator(*condition).is_some_and(is_cheap);
        if a.destination != b.destination || computed > MAX_COMPUTED || (computed > 0 && !is_condition_late()) {
            continue;
        }
        let mut differing = (0..a.values.len()).filter(|&index| !are_same(func, a.values[index], b.values[index]));
        let (Some(index), None) = (differing.next(), differing.next()) else { continue };
        // Where others lead to the same place, a branch there is as short, and so is a return that others share.
        let goes_through = |side: &Side, edge: &BlockCall| side.destination != Some(edge.block);
        let (through_a, through_b) = (goes_through(&a, then_target), goes_through(&b, else_target));
        if through_a || through_b {
            let counts = edge_counts.get_or_insert_with(|| incoming_edges(func));
            if through_a && counts[then_target.block] > 1
                || through_b && counts[else_target.block] > 1
                || a.destination.is_some_and(|destination| counts[destination] > 2)
            {
                continue;
            }
        }
        let ty = func.value_type(a.values[index]);
        // `select` without a type is for numbers; references would need both sides' common type.
        if ty != func.value_type(b.values[index]) || matches!(ty, ValType::Ref(_)) {
            continue;
        }
        let condition = *condition;
        let Side { destination, mut values, insts } = a;
        let copied = copy_insts(func, block, &insts);
        values.iter_mut().for_each(|value| *value = copied.get(value).copied().unwrap_or(*value));
        let other = copy_insts(func, block, &b.insts);
        let other = other.get(&b.values[index]).copied().unwrap_or(b.values[index]);
        values[index] = func.append_value(block, Operator::Select, &[values[index], other, condition], ty);
        func.blocks[block].terminator = match destination {
            Some(block) => Terminator::Jump(BlockCall { block, args: values }),
            None => Terminator::Return(values),
        };
        changed = Changed::Yes;
    }
    changed
}

/// One side of a branch.
struct Side {
    /// Where it goes on; `None` if it returns.
    destination: Option<Block>,
    /// What it brings there.
    values: ValueVec,
    /// What it computes on the way. Nothing behind it knows these values: another side leads there too.
    insts: Vec<Inst>,
}

impl Side {
    /// The side of a branch that begins with an edge, if it computes next to nothing.
    fn of(func: &Func, edge: &BlockCall) -> Self {
        let data = &func.blocks[edge.block];
        let is_cheap = |&inst: &Inst| Constant::of(func.operator(inst)).is_some() || is_cheap(func.operator(inst));
        if data.params.is_empty() && data.insts.len() <= MAX_INSTS && data.insts.iter().all(is_cheap) {
            let insts = || data.insts.clone();
            match &data.terminator {
                Terminator::Jump(target) if target.block != edge.block => {
                    return Self { destination: Some(target.block), values: target.args.clone(), insts: insts() };
                }
                Terminator::Return(values) => {
                    return Self { destination: None, values: values.clone(), insts: insts() };
                }
                _ => {}
            }
        }
        Self { destination: Some(edge.block), values: edge.args.clone(), insts: Vec::new() }
    }

    /// How many instructions it has that are no constants.
    fn computed(&self, func: &Func) -> usize {
        self.insts.iter().filter(|&&inst| Constant::of(func.operator(inst)).is_none()).count()
    }
}

/// Whether an instruction has no effect, does not trap, and takes no longer than a branch.
fn is_cheap(operator: &Operator<'_>) -> bool {
    use Operator::*;
    matches!(
        operator,
        I32Add
            | I32Sub
            | I32And
            | I32Or
            | I32Xor
            | I32Shl
            | I32ShrS
            | I32ShrU
            | I32Eqz
            | I32Eq
            | I32Ne
            | I32LtS
            | I32LtU
            | I32GtS
            | I32GtU
            | I32LeS
            | I32LeU
            | I32GeS
            | I32GeU
            | I32WrapI64
            | I32Extend8S
            | I32Extend16S
            | I64Add
            | I64Sub
            | I64And
            | I64Or
            | I64Xor
            | I64Shl
            | I64ShrS
            | I64ShrU
            | I64Eqz
            | I64Eq
            | I64Ne
            | I64LtS
            | I64LtU
            | I64GtS
            | I64GtU
            | I64LeS
            | I64LeU
            | I64GeS
            | I64GeU
            | I64ExtendI32S
            | I64ExtendI32U
            | I64Extend8S
            | I64Extend16S
            | I64Extend32S
    )
}

/// How many edges lead to each block, those of blocks that cannot be reached included.
fn incoming_edges(func: &Func) -> SecondaryMap<Block, u32> {
    let mut counts = SecondaryMap::with_default_and_len(0, func.blocks.len());
    for data in func.blocks.values() {
        data.terminator.for_each_successor(|successor| counts[successor] += 1);
    }
    counts
}

fn are_same(func: &Func, a: Value, b: Value) -> bool {
    let constant = |value| func.defining_operator(value).and_then(Constant::of);
    a == b || constant(a).is_some_and(|a| constant(b) == Some(a))
}

/// Appends copies of instructions to a block. Returns the copies of their results.
fn copy_insts(func: &mut Func, block: Block, insts: &[Inst]) -> FxHashMap<Value, Value> {
    let mut copies: FxHashMap<Value, Value> = FxHashMap::default();
    for &inst in insts {
        let operands: Vec<Value> =
            func.operands(inst).iter().map(|operand| copies.get(operand).copied().unwrap_or(*operand)).collect();
        let result = func.first_result(inst);
        let copy = func.append_value(block, func.operator(inst).clone(), &operands, func.value_type(result));
        copies.insert(result, copy);
    }
    copies
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::testing::{cleaned_up, names, returns};
    use wasmfx_ir::func::BlockCall;
    use wasmfx_ir::module::TypeId;

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
        let func = cleaned_up(func);
        assert_eq!(names(&func, func.entry), ["select"]);
        assert!(matches!(func.blocks[func.entry].terminator, Terminator::Return(_)));
    }
}
