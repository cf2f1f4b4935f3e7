//! Symbolic values: what a local or a slot of the operand stack holds, in terms of the IR.

use super::function::Facts;
use super::state::{Known, only};
use crate::effects::Effects;
use crate::entity::SecondaryMap;
use crate::func::{Block, Func, Inst, OperatorId, Value};
use crate::opcode::Opcode;
use crate::operator::OperatorPool;
use crate::print::OperatorText;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use wasmparser::{Operator, RefType, ValType};

/// The number of an expression; equal expressions have equal numbers.
pub(super) type Expression = u32;

/// The operands of an expression.
pub(super) type Operands = SmallVec<[Expression; 3]>;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Node {
    /// What an instruction with effects, an edge or the caller gave when it last did: only its name is known.
    Name(Value),
    /// What the name meant before the block that defines it was last entered.
    Previous(Value),
    /// Not what a value is, but that it is not null: what is left of that where different values meet.
    NonNull,
    /// A result of a pure operator.
    Pure { operator: OperatorId, result: u16, operands: Operands },
}

/// The blocks that may be entered again and define a name in an expression.
#[derive(Clone)]
enum Blocks {
    Few(SmallVec<[Block; 2]>),
    /// More than are worth listing: perhaps all.
    Many,
}

impl Blocks {
    const LIMIT: usize = 16;

    fn none() -> Self {
        Self::Few(SmallVec::new())
    }

    fn contains(&self, block: Block) -> bool {
        match self {
            Self::Few(blocks) => blocks.contains(&block),
            Self::Many => true,
        }
    }

    fn add(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Few(blocks), Self::Few(others)) => {
                for block in others {
                    if !blocks.contains(block) {
                        blocks.push(*block);
                    }
                }
                if blocks.len() > Self::LIMIT {
                    *self = Self::Many;
                }
            }
            (Self::Many, _) | (_, Self::Many) => *self = Self::Many,
        }
    }
}

/// What is known of an expression besides what it is.
struct Properties {
    blocks: Blocks,
    /// Whether what a name meant before is part of it.
    is_about_past: bool,
    /// Whether the function computes it by an instruction without effects.
    is_computed_by_function: bool,
    /// Whether the function has it as a value of a non-nullable type, or it says just that.
    is_non_null: bool,
}

/// All expressions of a function.
pub(super) struct Expressions {
    nodes: Vec<Node>,
    properties: Vec<Properties>,
    by_node: FxHashMap<Node, Expression>,
    of_value: SecondaryMap<Value, Expression>,
    operators: OperatorPool,
    /// What expressions become when a block is entered; `None` if nothing can be said of them any more.
    renamed: FxHashMap<(Block, Expression), Option<Expression>>,
}

const NO_EXPRESSION: Expression = Expression::MAX;
/// The first expression: [`Node::NonNull`].
const NON_NULL: Expression = 0;
/// How many earlier reads an instruction is compared with.
const READS_COMPARED: usize = 64;

/// A read of a block, for those after it that read the same.
struct Read {
    operator: OperatorId,
    operands: Operands,
    effects: Effects,
    result: Expression,
}

/// For each parameter that only one edge gives an argument to, that argument: the two are one expression.
fn only_arguments(func: &Func, facts: &Facts) -> SecondaryMap<Value, Option<Value>> {
    let mut argument_of = SecondaryMap::with_default_and_len(None, func.value_count());
    for &block in facts.cfg.reverse_postorder() {
        func.blocks[block].terminator.for_each_block_call(|call| {
            if facts.cfg.single_predecessor(call.block).is_some() {
                for (&param, &argument) in func.blocks[call.block].params.iter().zip(&call.args) {
                    argument_of[param] = Some(argument);
                }
            }
        });
    }
    argument_of
}

impl Expressions {
    pub(super) fn new(func: &Func, facts: &Facts) -> Self {
        let mut this = Self {
            nodes: Vec::new(),
            properties: Vec::new(),
            by_node: FxHashMap::default(),
            of_value: SecondaryMap::with_default_and_len(NO_EXPRESSION, func.value_count()),
            operators: func.operators.clone(),
            renamed: FxHashMap::default(),
        };
        let non_null = this.intern(Node::NonNull, Blocks::none(), false);
        assert_eq!(non_null, NON_NULL, "it is the first expression");
        this.properties[NON_NULL as usize].is_non_null = true;
        for value in func.undefined_values() {
            this.of_value[value] = this.intern(Node::Name(value), Blocks::none(), false);
        }
        let argument_of = only_arguments(func, facts);
        let mut reads: Vec<Read> = Vec::new();
        for &block in facts.cfg.reverse_postorder() {
            for &param in &func.blocks[block].params {
                let expression = match argument_of[param] {
                    Some(argument) => this.of_value[func.resolve(argument)],
                    None => this.name(param, block, facts),
                };
                this.define(func, param, expression);
            }
            reads.clear();
            for &inst in &func.blocks[block].insts {
                let effects = facts.effects[inst];
                let operator = func.operator_id(inst);
                let operands: Operands = func.operands(inst).iter().map(|&value| this.of(func, value)).collect();
                if effects.is_pure() {
                    this.define_pure(func, inst, &operands);
                    continue;
                }
                // Reading twice gives the same twice, if nothing was written in between: emission may exchange the two.
                let is_read = effects.is_idempotent() && func.inst_results(inst).len() == 1;
                let same = reads.iter().find(|read| is_read && read.operator == operator && read.operands == operands);
                if let Some(read) = same {
                    let expression = read.result;
                    this.define(func, func.first_result(inst), expression);
                    continue;
                }
                reads.retain(|read| !read.effects.conflicts_with(&effects));
                for result in func.inst_results(inst) {
                    let expression = this.name(result, block, facts);
                    this.define(func, result, expression);
                }
                if is_read {
                    if reads.len() == READS_COMPARED {
                        reads.remove(0);
                    }
                    let result = this.of(func, func.first_result(inst));
                    reads.push(Read { operator, operands, effects, result });
                }
            }
        }
        this
    }

    /// Defines the results of a pure instruction.
    fn define_pure(&mut self, func: &Func, inst: Inst, operands: &[Expression]) {
        for (index, result) in func.inst_results(inst).enumerate() {
            let expression = self.pure(func.operator_id(inst), index, operands);
            self.properties[expression as usize].is_computed_by_function = true;
            self.define(func, result, expression);
            // Emission may compute the opposite to exchange the sides of a branch.
            if Opcode::of(func.operator(inst)).inverted_comparison().is_some() {
                let negation = self.negation(expression);
                self.properties[negation as usize].is_computed_by_function = true;
            }
        }
    }

    fn name(&mut self, value: Value, block: Block, facts: &Facts) -> Expression {
        let mut blocks = Blocks::none();
        if facts.may_be_entered_again[block] {
            blocks = Blocks::Few(SmallVec::from_slice(&[block]));
        }
        self.intern(Node::Name(value), blocks, false)
    }

    fn define(&mut self, func: &Func, value: Value, expression: Expression) {
        self.of_value[value] = expression;
        if let ValType::Ref(reference) = func.value_type(value)
            && !reference.is_nullable()
        {
            self.properties[expression as usize].is_non_null = true;
        }
    }

    fn intern(&mut self, node: Node, blocks: Blocks, is_about_past: bool) -> Expression {
        if let Some(&expression) = self.by_node.get(&node) {
            return expression;
        }
        let expression = self.nodes.len() as Expression;
        self.nodes.push(node.clone());
        self.by_node.insert(node, expression);
        self.properties.push(Properties { blocks, is_about_past, is_computed_by_function: false, is_non_null: false });
        expression
    }

    /// The expression of a value of the function.
    pub(super) fn of(&self, func: &Func, value: Value) -> Expression {
        self.of_value[func.resolve(value)]
    }

    /// What is known of a place that holds a value of the function.
    pub(super) fn known(&self, func: &Func, value: Value) -> Known {
        let mut known = only(self.of(func, value));
        self.note_non_null(&mut known);
        known
    }

    /// Adds to what is known of a value that it is not null, if that follows.
    pub(super) fn note_non_null(&self, known: &mut Known) {
        if known.iter().any(|&expression| expression != NON_NULL && self.is_non_null(expression)) {
            known.push(NON_NULL);
            known.sort_unstable();
            known.dedup();
        }
    }

    /// Whether the expression says what a value is.
    pub(super) fn says_what_it_is(&self, expression: Expression) -> bool {
        expression != NON_NULL
    }

    /// The expression of a constant or of another operator without operands.
    pub(super) fn constant(&mut self, operator: Operator<'static>) -> Expression {
        let operator = self.operators.intern(operator);
        self.pure(operator, 0, &[])
    }

    /// Whether the expression is zero.
    pub(super) fn negation(&mut self, operand: Expression) -> Expression {
        let operator = self.operators.intern(Operator::I32Eqz);
        self.pure(operator, 0, &[operand])
    }

    /// The result of a pure operator.
    pub(super) fn pure(&mut self, operator: OperatorId, result: usize, operands: &[Expression]) -> Expression {
        let node = self.normal_form(operator, result, operands);
        if let Some(&expression) = self.by_node.get(&node) {
            return expression;
        }
        let Node::Pure { operands, .. } = &node else { unreachable!("a normal form is one of an operator") };
        let mut blocks = Blocks::none();
        let mut is_about_past = false;
        for &operand in operands {
            let properties = &self.properties[operand as usize];
            blocks.add(&properties.blocks);
            is_about_past |= properties.is_about_past;
        }
        self.intern(node, blocks, is_about_past)
    }

    /// The result of a pure operator, if the function computes it (or its negation).
    pub(super) fn computed(
        &mut self,
        operator: OperatorId,
        result: usize,
        operands: &[Expression],
    ) -> Option<Expression> {
        let node = self.normal_form(operator, result, operands);
        let expression = *self.by_node.get(&node)?;
        self.properties[expression as usize].is_computed_by_function.then_some(expression)
    }

    /// The node of a pure operator's result: operands of commutative operators and comparisons are ordered, the negation of a comparison is
    /// a comparison, and there is one null.
    fn normal_form(&mut self, operator: OperatorId, result: usize, operands: &[Expression]) -> Node {
        let mut operands: Operands = operands.into();
        let mut operator = self.operators[operator].clone();
        if let (Operator::I32Eqz, &[inner]) = (&operator, &operands[..])
            && let Node::Pure { operator: comparison, operands: compared, .. } = &self.nodes[inner as usize]
            && let Some(inverted) = Opcode::of(&self.operators[*comparison]).inverted_comparison()
        {
            operator = inverted.without_immediates().expect("comparisons have no immediates");
            operands = compared.clone();
        }
        // Validation keeps nulls of different hierarchies apart; within one they are equal.
        if let Operator::RefNull { .. } = operator {
            operator = Operator::RefNull { hty: RefType::ANYREF.heap_type() };
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
        // Equal operators may have several ids after they were rewritten.
        Node::Pure { operator: self.operators.intern(operator), result: result as u16, operands }
    }

    /// What an expression is called once `block` is entered (again): names that the block defines will mean something else then.
    pub(super) fn rename(&mut self, expression: Expression, block: Block) -> Option<Expression> {
        let mut work = vec![expression];
        while let Some(&top) = work.last() {
            if !self.is_renamed(top, block) || self.renamed.contains_key(&(block, top)) {
                work.pop();
                continue;
            }
            let renamed = match self.nodes[top as usize].clone() {
                Node::Name(value) => {
                    let blocks = self.properties[top as usize].blocks.clone();
                    Some(self.intern(Node::Previous(value), blocks, true))
                }
                Node::Previous(_) => None,
                Node::NonNull => Some(top),
                Node::Pure { operator, result, operands } => {
                    if let Blocks::Many = self.properties[top as usize].blocks {
                        None
                    } else {
                        let known = work.len();
                        let unknown = |operand: &Expression| {
                            self.is_renamed(*operand, block) && !self.renamed.contains_key(&(block, *operand))
                        };
                        work.extend(operands.iter().copied().filter(unknown));
                        if work.len() > known {
                            continue;
                        }
                        let renamed: Option<Operands> =
                            operands.iter().map(|&operand| self.renamed_already(operand, block)).collect();
                        renamed.map(|operands| self.pure(operator, usize::from(result), &operands))
                    }
                }
            };
            if let Some(renamed) = renamed {
                let Properties { is_computed_by_function, is_non_null, .. } = self.properties[top as usize];
                let properties = &mut self.properties[renamed as usize];
                properties.is_computed_by_function |= is_computed_by_function;
                properties.is_non_null |= is_non_null;
            }
            self.renamed.insert((block, top), renamed);
            work.pop();
        }
        self.renamed_already(expression, block)
    }

    fn renamed_already(&self, expression: Expression, block: Block) -> Option<Expression> {
        if self.is_renamed(expression, block) { self.renamed[&(block, expression)] } else { Some(expression) }
    }

    /// Whether an expression changes its name when `block` is entered.
    pub(super) fn is_renamed(&self, expression: Expression, block: Block) -> bool {
        self.properties[expression as usize].blocks.contains(block)
    }

    /// Whether what a name meant before is part of the expression.
    pub(super) fn is_about_past(&self, expression: Expression) -> bool {
        self.properties[expression as usize].is_about_past
    }

    /// Whether what is known of a value says that it is not null.
    pub(super) fn is_known_non_null(&self, known: &Known) -> bool {
        known.iter().any(|&expression| self.is_non_null(expression))
    }

    /// Whether the function has it as a value of a non-nullable type.
    fn is_non_null(&self, expression: Expression) -> bool {
        self.properties[expression as usize].is_non_null
    }

    /// Whether the expression is not made of others.
    pub(super) fn is_leaf(&self, expression: Expression) -> bool {
        match &self.nodes[expression as usize] {
            Node::Name(_) | Node::Previous(_) | Node::NonNull => true,
            Node::Pure { operands, .. } => operands.is_empty(),
        }
    }

    /// Whether the expression is computed, so that several values may be it.
    pub(super) fn is_computed(&self, expression: Expression) -> bool {
        matches!(self.nodes[expression as usize], Node::Pure { .. })
    }

    /// The number that the expression is, if it is a constant.
    pub(super) fn as_i32(&self, expression: Expression) -> Option<i32> {
        match &self.nodes[expression as usize] {
            Node::Pure { operator, .. } => match self.operators[*operator] {
                Operator::I32Const { value } => Some(value),
                _ => None,
            },
            Node::Name(_) | Node::Previous(_) | Node::NonNull => None,
        }
    }

    /// The expression whose being zero decides whether this one is, and whether this one is zero exactly when that one is not.
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

    /// An expression as a message shows it.
    pub(super) fn describe(&self, expression: Expression, depth: u32) -> String {
        match &self.nodes[expression as usize] {
            Node::Name(value) => value.to_string(),
            Node::Previous(value) => format!("previous {value}"),
            Node::NonNull => "not null".into(),
            Node::Pure { operator, operands, .. } => {
                let name = OperatorText(&self.operators[*operator]).to_string();
                if operands.is_empty() {
                    return name;
                }
                if depth == 0 {
                    return "…".into();
                }
                let operands: Vec<String> = operands.iter().map(|&operand| self.describe(operand, depth - 1)).collect();
                format!("({name} {})", operands.join(" "))
            }
        }
    }

    /// Whether the expression, as a condition, is known to hold or not to.
    pub(super) fn as_condition(&self, expression: Expression) -> Option<bool> {
        let (decides, inverted) = self.truth(expression);
        Some((self.as_i32(decides)? != 0) != inverted)
    }

    fn find_inverse(&self, opcode: Opcode, operands: &Operands) -> Option<Expression> {
        let operator = opcode.without_immediates()?;
        let operator = self.operators.find(&operator)?;
        self.by_node.get(&Node::Pure { operator, result: 0, operands: operands.clone() }).copied()
    }
}
