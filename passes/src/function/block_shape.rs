//! What a block, or the tail of one, does: its shape, and what fills the holes in it. Blocks of one shape whose holes are filled alike are equal, others are
//! similar.

use crate::function::simplify::Constant;
use rustc_hash::FxHashMap;
use wasmfx_ir::func::{OperatorId, Terminator};
use wasmfx_ir::wasmparser::ValType;
use wasmfx_ir::{Block, Func, Inst, Value};

/// What a block uses that it does not define itself.
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub(super) enum Hole {
    /// A constant, wherever it is defined.
    Constant(OperatorId),
    Outer(Value),
}

impl Hole {
    /// What a use of a value is, if a hole.
    pub(super) fn of(func: &Func, value: Value, is_own: bool) -> Option<Self> {
        match func.defining_inst(value) {
            Some(inst) if Constant::of(func.operator(inst)).is_some() => Some(Self::Constant(func.operator_id(inst))),
            _ if is_own => None,
            _ => Some(Self::Outer(value)),
        }
    }

    pub(super) fn ty(self, func: &Func) -> ValType {
        match self {
            Self::Constant(operator) => Constant::of(&func.operators[operator]).expect("it is a constant").ty(),
            Self::Outer(value) => func.value_type(value),
        }
    }
}

/// The instructions of a block from one on, and its terminator.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Tail {
    pub(super) block: Block,
    /// The first instruction; `None` if it is the whole block, parameters included.
    pub(super) start: Option<usize>,
}

impl Tail {
    /// The instructions but for constants, which count where they are used.
    pub(super) fn insts<'f>(&self, func: &'f Func) -> impl Iterator<Item = Inst> + 'f {
        let insts = &func.blocks[self.block].insts[self.start.unwrap_or(0)..];
        insts.iter().copied().filter(|&inst| Constant::of(func.operator(inst)).is_none())
    }
}

/// What similar tails have in common. What the words mean follows from those before them.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Shape {
    words: Vec<u32>,
    /// The types of the tail's own values, and of its holes.
    types: Vec<ValType>,
}

/// Everything that tells tails apart, but for where a constant is defined.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Description {
    pub(super) shape: Shape,
    /// What it uses from outside, in the order of use.
    pub(super) holes: Vec<Hole>,
}

/// Describes a tail; nothing if its terminator has edges of its own.
pub(super) fn describe(func: &Func, tail: Tail) -> Option<Description> {
    const OWN: u32 = 0;
    const HOLE: u32 = 1;
    let data = &func.blocks[tail.block];
    let params = if tail.start.is_none() { &data.params[..] } else { &[] };
    let mut own: FxHashMap<Value, u32> = FxHashMap::default();
    let mut types = Vec::new();
    let mut words = vec![params.len() as u32];
    let mut holes = Vec::new();
    let define = |value: Value, own: &mut FxHashMap<Value, u32>, types: &mut Vec<ValType>| {
        own.insert(value, own.len() as u32);
        types.push(func.value_type(value));
    };
    let mut use_value = |value: Value, own: &FxHashMap<Value, u32>, words: &mut Vec<u32>, types: &mut Vec<ValType>| {
        let position = own.get(&value);
        match Hole::of(func, value, position.is_some()) {
            Some(hole) => {
                words.push(HOLE);
                types.push(hole.ty(func));
                holes.push(hole);
            }
            None => words.extend([OWN, *position.expect("what is no hole is the tail's own")]),
        }
    };
    params.iter().for_each(|&param| define(param, &mut own, &mut types));
    words.push(tail.insts(func).count() as u32);
    for inst in tail.insts(func) {
        let (operands, results) = (func.operands(inst).len(), func.inst_results(inst).len());
        words.extend([func.operator_id(inst).as_u32(), operands as u32, results as u32]);
        func.operands(inst).iter().for_each(|&operand| use_value(operand, &own, &mut words, &mut types));
        func.inst_results(inst).for_each(|result| define(result, &mut own, &mut types));
    }
    describe_terminator(&data.terminator, &mut words)?;
    data.terminator.for_each_value(|value| use_value(value, &own, &mut words, &mut types));
    Some(Description { shape: Shape { words, types }, holes })
}

/// Describes a terminator but for the values that it uses; nothing if its edges are its own.
pub(super) fn describe_terminator(terminator: &Terminator, words: &mut Vec<u32>) -> Option<()> {
    words.push(match terminator {
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
    words.extend(terminator.operator().map(|operator| operator.as_u32()));
    let mut calls = 0;
    terminator.for_each_block_call(|_| calls += 1);
    words.push(calls);
    terminator.for_each_block_call(|call| words.extend([call.block.as_u32(), call.args.len() as u32]));
    Some(())
}
