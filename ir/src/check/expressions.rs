//! Symbolic values: what a local or a slot of the operand stack holds, in terms of the IR.

use crate::analysis::{ControlFlowGraph, DominatorTree};
use crate::effects::{Effects, EffectsEnvironment, inst_effects};
use crate::entity::{Entity, SecondaryMap};
use crate::func::{Block, Func, Inst, OperatorId, Terminator, Value, ValueDefinition};
use crate::opcode::Opcode;
use crate::operator::OperatorPool;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use wasmparser::{Operator, ValType};

/// The number of an expression; equal expressions have equal numbers.
pub(super) type Expression = u32;

/// The expressions that are known to equal what a place holds. The empty set: nothing is known.
pub(super) type Known = SmallVec<[Expression; 2]>;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Node {
    /// What an instruction with effects, an edge or the caller gave: only its name is known.
    Value(Value),
    /// A result of a pure operator.
    Pure { operator: OperatorId, result: u16, operands: SmallVec<[Expression; 3]> },
}

/// All expressions of a function.
pub(super) struct Expressions {
    nodes: Vec<Node>,
    by_node: FxHashMap<Node, Expression>,
    /// The block in which the last of the values in it is defined; `None` if there are none. All of them dominate that block.
    deepest: Vec<Option<Block>>,
    /// Whether it is the result of a pure instruction of the function.
    is_computed_by_function: Vec<bool>,
    /// Whether the function has a value of a type without null that it is.
    is_non_null: Vec<bool>,
    of_value: SecondaryMap<Value, Expression>,
    operators: OperatorPool,
}

const NONE: Expression = Expression::MAX;

/// The effects of each instruction.
pub(super) struct InstEffects(pub SecondaryMap<Inst, Effects>);

impl Expressions {
    pub(super) fn new(
        func: &Func,
        cfg: &ControlFlowGraph,
        dominators: &DominatorTree,
        environment: &impl EffectsEnvironment,
    ) -> (Self, InstEffects) {
        let mut this = Self {
            nodes: Vec::new(),
            by_node: FxHashMap::default(),
            deepest: Vec::new(),
            is_computed_by_function: Vec::new(),
            is_non_null: Vec::new(),
            of_value: SecondaryMap::with_default_and_len(NONE, func.value_count()),
            operators: func.operators.clone(),
        };
        let mut effects = SecondaryMap::with_default_and_len(Effects::NONE, func.inst_count());
        // A parameter that only one edge gives an argument to is that argument.
        let mut argument_of: SecondaryMap<Value, Option<Value>> =
            SecondaryMap::with_default_and_len(None, func.value_count());
        for &block in cfg.reverse_postorder() {
            func.blocks[block].terminator.for_each_block_call(|call| {
                if cfg.predecessors(call.block).len() == 1 {
                    for (&param, &argument) in func.blocks[call.block].params.iter().zip(&call.args) {
                        argument_of[param] = Some(argument);
                    }
                }
            });
        }
        for &block in cfg.reverse_postorder() {
            for &param in &func.blocks[block].params {
                let expression = match argument_of[param] {
                    Some(argument) => this.of_value[func.resolve(argument)],
                    None => this.intern(Node::Value(param), Some(block)),
                };
                this.define(func, param, expression);
            }
            for &inst in &func.blocks[block].insts {
                let own = inst_effects(func, inst, environment);
                effects[inst] = own;
                let operands: SmallVec<[Expression; 3]> =
                    func.operands(inst).iter().map(|&value| this.of(func, value)).collect();
                for (index, result) in func.inst_results(inst).enumerate() {
                    let expression = if own.is_pure() {
                        let expression = this.pure(func.operator_id(inst), index, &operands, dominators);
                        this.is_computed_by_function[expression as usize] = true;
                        expression
                    } else {
                        this.intern(Node::Value(result), Some(block))
                    };
                    this.define(func, result, expression);
                }
            }
        }
        (this, InstEffects(effects))
    }

    fn define(&mut self, func: &Func, value: Value, expression: Expression) {
        self.of_value[value] = expression;
        if let ValType::Ref(reference) = func.value_type(value)
            && !reference.is_nullable()
        {
            self.is_non_null[expression as usize] = true;
        }
    }

    fn intern(&mut self, node: Node, deepest: Option<Block>) -> Expression {
        if let Some(&expression) = self.by_node.get(&node) {
            return expression;
        }
        let expression = self.nodes.len() as Expression;
        self.nodes.push(node.clone());
        self.by_node.insert(node, expression);
        self.deepest.push(deepest);
        self.is_computed_by_function.push(false);
        self.is_non_null.push(false);
        expression
    }

    /// The expression of a value of the function.
    pub(super) fn of(&self, func: &Func, value: Value) -> Expression {
        self.of_value[func.resolve(value)]
    }

    /// The expression of a constant or of another operator without operands.
    pub(super) fn constant(&mut self, operator: Operator<'static>, dominators: &DominatorTree) -> Expression {
        let operator = self.operators.intern(operator);
        self.pure(operator, 0, &[], dominators)
    }

    /// Whether the expression is zero.
    pub(super) fn negation(&mut self, operand: Expression, dominators: &DominatorTree) -> Expression {
        let operator = self.operators.intern(Operator::I32Eqz);
        self.pure(operator, 0, &[operand], dominators)
    }

    /// The result of a pure operator, in a normal form in which operands of commutative operators and comparisons are ordered and
    /// the negation of a comparison is a comparison.
    pub(super) fn pure(
        &mut self,
        operator: OperatorId,
        result: usize,
        operands: &[Expression],
        dominators: &DominatorTree,
    ) -> Expression {
        let mut operands: SmallVec<[Expression; 3]> = operands.into();
        // Equal operators may have several ids after they were rewritten.
        let mut operator = self.operators[operator].clone();
        if let (Operator::I32Eqz, &[inner]) = (&operator, &operands[..])
            && let Node::Pure { operator: comparison, operands: compared, .. } = &self.nodes[inner as usize]
            && let Some(inverted) = Opcode::of(&self.operators[*comparison]).inverted_comparison()
        {
            operator = inverted.without_immediates().expect("comparisons have no immediates");
            operands = compared.clone();
        }
        if operands.len() == 2 && operands[0] > operands[1] {
            let opcode = Opcode::of(&operator);
            if opcode.is_commutative() {
                operands.swap(0, 1);
            } else if let Some(swapped) = opcode.swapped_comparison() {
                operator = swapped.without_immediates().expect("comparisons have no immediates");
                operands.swap(0, 1);
            }
        }
        let operator = self.operators.intern(operator);
        let mut deepest: Option<Block> = None;
        for &operand in &operands {
            if let Some(block) = self.deepest[operand as usize]
                && deepest.is_none_or(|deepest| dominators.depth(block) > dominators.depth(deepest))
            {
                deepest = Some(block);
            }
        }
        self.intern(Node::Pure { operator, result: result as u16, operands }, deepest)
    }

    /// Whether the expression means on entry to `block` what it meant before: all values in it are defined in blocks above.
    pub(super) fn survives_entering(&self, expression: Expression, block: Block, dominators: &DominatorTree) -> bool {
        self.deepest[expression as usize].is_none_or(|deepest| deepest != block && dominators.dominates(deepest, block))
    }

    /// Whether the function computes it by an instruction without effects.
    pub(super) fn is_computed_by_function(&self, expression: Expression) -> bool {
        self.is_computed_by_function[expression as usize]
    }

    /// Whether the function has it as a value of a type without null.
    pub(super) fn is_non_null(&self, expression: Expression) -> bool {
        self.is_non_null[expression as usize]
    }

    /// The number that the expression is, if it is a constant.
    pub(super) fn as_i32(&self, expression: Expression) -> Option<i32> {
        match &self.nodes[expression as usize] {
            Node::Pure { operator, .. } => match self.operators[*operator] {
                Operator::I32Const { value } => Some(value),
                _ => None,
            },
            Node::Value(_) => None,
        }
    }

    /// What decides whether the expression is zero, and whether it is zero when that is not.
    pub(super) fn truth(&self, mut expression: Expression) -> (Expression, bool) {
        let mut inverted = false;
        while let Node::Pure { operator, operands, .. } = &self.nodes[expression as usize] {
            match (&self.operators[*operator], &operands[..]) {
                (Operator::I32Eqz, &[inner]) => {
                    inverted = !inverted;
                    expression = inner;
                }
                (Operator::I32Ne, &[a, b]) if self.as_i32(b) == Some(0) => expression = a,
                (Operator::I32Ne, &[a, b]) if self.as_i32(a) == Some(0) => expression = b,
                (Operator::I32Eq, &[a, b]) if self.as_i32(b) == Some(0) => {
                    inverted = !inverted;
                    expression = a;
                }
                (Operator::I32Eq, &[a, b]) if self.as_i32(a) == Some(0) => {
                    inverted = !inverted;
                    expression = b;
                }
                (comparison, _) => {
                    // Of a comparison and its inverse the one with the smaller number stands for both.
                    let opcode = Opcode::of(comparison);
                    if let Some(other) = opcode.inverted_comparison()
                        && other < opcode
                        && let Some(found) = self.find_inverse(other, operands)
                    {
                        return (found, !inverted);
                    }
                    break;
                }
            }
        }
        (expression, inverted)
    }

    fn find_inverse(&self, opcode: Opcode, operands: &SmallVec<[Expression; 3]>) -> Option<Expression> {
        let operator = opcode.without_immediates()?;
        let operator = self.operators.find(&operator)?;
        self.by_node.get(&Node::Pure { operator, result: 0, operands: operands.clone() }).copied()
    }
}

/// The instructions and parameters that something depends on: what emission must not lose. Worked out here again, so that emission's own idea
/// of it is not trusted.
pub(super) fn needed_insts(func: &Func, cfg: &ControlFlowGraph, effects: &InstEffects) -> SecondaryMap<Inst, bool> {
    let mut incoming: SecondaryMap<Value, SmallVec<[Value; 2]>> =
        SecondaryMap::with_default_and_len(SmallVec::new(), func.value_count());
    let mut work: Vec<Value> = Vec::new();
    let mut needed = SecondaryMap::with_default_and_len(false, func.inst_count());
    for &block in cfg.reverse_postorder() {
        let data = &func.blocks[block];
        for &inst in &data.insts {
            if !effects.0[inst].is_removable_if_unused() {
                needed[inst] = true;
                work.extend_from_slice(func.operands(inst));
            }
        }
        match &data.terminator {
            Terminator::Missing | Terminator::Unreachable | Terminator::Jump(_) => {}
            Terminator::Branch { condition: value, .. }
            | Terminator::Switch { index: value, .. }
            | Terminator::BranchOnReference { reference: value, .. } => work.push(*value),
            Terminator::Return(values) | Terminator::TailCall { args: values, .. } => work.extend_from_slice(values),
            Terminator::Invoke(invoke) => work.extend_from_slice(&invoke.args),
        }
        data.terminator.for_each_block_call(|call| {
            for (&param, &argument) in func.blocks[call.block].params.iter().zip(&call.args) {
                incoming[param].push(argument);
            }
        });
    }
    let mut seen = vec![false; func.value_count()];
    while let Some(value) = work.pop() {
        let value = func.resolve(value);
        if std::mem::replace(&mut seen[value.index()], true) {
            continue;
        }
        match func.definition(value) {
            ValueDefinition::Parameter(_) => work.extend_from_slice(&incoming[value]),
            ValueDefinition::Result(inst) => {
                if !std::mem::replace(&mut needed[inst], true) {
                    work.extend_from_slice(func.operands(inst));
                }
            }
            ValueDefinition::Alias(_) => unreachable!("resolved above"),
        }
    }
    needed
}
