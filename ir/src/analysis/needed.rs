//! What the effects and exits of a function depend on.

use super::ControlFlowGraph;
use super::lists::{EntityLists, ListLengths};
use crate::entity::SecondaryMap;
use crate::func::{Block, Func, Inst, Terminator, Value, ValueDefinition};

/// The arguments that edges give each block parameter, once for each edge.
#[derive(Clone, Debug)]
pub struct Incoming(EntityLists<Value, Value>);

impl Incoming {
    /// Collects them.
    pub fn new(func: &Func, cfg: &ControlFlowGraph) -> Self {
        let for_each = |visit: &mut dyn FnMut(Value, Value)| {
            for &block in cfg.reverse_postorder() {
                func.blocks[block].terminator.for_each_block_call(|call| {
                    let params = &func.blocks[call.block].params;
                    params.iter().zip(&call.args).for_each(|(&param, &argument)| visit(param, argument));
                });
            }
        };
        let mut lengths = ListLengths::new(func.value_count());
        for_each(&mut |param, _| lengths.count(param));
        let mut arguments = lengths.allocate(Value::from_u32(0));
        for_each(&mut |param, argument| arguments.push(param, argument));
        Self(arguments.finish())
    }

    /// The arguments of a parameter; none of any other value.
    pub fn of(&self, param: Value) -> &[Value] {
        self.0.of(param)
    }
}

/// The instructions and values that something with an effect depends on.
#[derive(Clone, Debug)]
pub struct Needed {
    /// Whether an instruction is needed.
    pub insts: SecondaryMap<Inst, bool>,
    /// Whether a value is needed.
    pub values: SecondaryMap<Value, bool>,
}

impl Needed {
    /// Marks what is needed, going backwards from the exits of blocks and from the instructions that `is_needed` accepts. Parameters that only feed
    /// each other in a cycle are not needed. `incoming` are the function's.
    pub fn new(func: &Func, cfg: &ControlFlowGraph, incoming: &Incoming, is_needed: impl FnMut(Inst) -> bool) -> Self {
        Self::with_choices(func, cfg, incoming, is_needed, |_| true)
    }

    /// The same, where what a block branches on is needed only if `chooses` says that the branch makes a difference.
    pub fn with_choices(
        func: &Func,
        cfg: &ControlFlowGraph,
        incoming: &Incoming,
        mut is_needed: impl FnMut(Inst) -> bool,
        mut chooses: impl FnMut(Block) -> bool,
    ) -> Self {
        let mut insts = SecondaryMap::with_default_and_len(false, func.inst_count());
        let mut values = SecondaryMap::with_default_and_len(false, func.value_count());
        let mut work: Vec<Value> = Vec::with_capacity(func.inst_count());
        for &block in cfg.reverse_postorder() {
            let data = &func.blocks[block];
            for &inst in data.insts.iter().filter(|&&inst| is_needed(inst)) {
                insts[inst] = true;
                work.extend_from_slice(func.operands(inst));
            }
            match &data.terminator {
                Terminator::Missing | Terminator::Unreachable | Terminator::Jump(_) => {}
                Terminator::Branch { .. } | Terminator::Switch { .. } if !chooses(block) => {}
                Terminator::Branch { condition: value, .. }
                | Terminator::Switch { index: value, .. }
                | Terminator::BranchOnReference { reference: value, .. } => work.push(*value),
                Terminator::Return(values) | Terminator::TailCall { args: values, .. } => {
                    work.extend_from_slice(values);
                }
                Terminator::Invoke(invoke) => work.extend_from_slice(&invoke.args),
            }
        }
        while let Some(value) = work.pop() {
            let value = func.resolve(value);
            if std::mem::replace(&mut values[value], true) {
                continue;
            }
            match func.definition(value) {
                ValueDefinition::Parameter(_) => work.extend_from_slice(incoming.of(value)),
                ValueDefinition::Result(inst) => {
                    if !std::mem::replace(&mut insts[inst], true) {
                        work.extend_from_slice(func.operands(inst));
                    }
                }
                ValueDefinition::Undefined => {}
                ValueDefinition::Alias(_) => unreachable!("resolved above"),
            }
        }
        Self { insts, values }
    }
}
