//! A function body in SSA form: a control-flow graph of basic blocks with parameters.
//!
//! Instructions are wasm operators one to one; wasm locals and the operand stack are gone. Within a block the order of effectful
//! instructions means something, the order of pure ones does not.
//!
//! **Invariants** (checked by [`crate::verify`]):
//! every block is ended by one [`Terminator`]; the entry block has no predecessors and its parameters are the function's; each use is dominated
//! by its definition; argument lists match the parameters of the block that they go to. An edge on which *an instruction itself* defines values
//! (the results of an [`Invoke`], a handler's payload, the cast reference of a [`Terminator::BranchOnReference`]) goes to a block that has this
//! edge as its only predecessor and exactly these values as its parameters.

mod aliases;
mod compact;
mod terminator;

pub use terminator::{BlockCall, Handler, Invoke, Terminator};

use crate::analysis::ControlFlowGraph;
use crate::entity::{Entity, PrimaryMap, SecondaryMap};
use crate::module::{LazyBody, TypeId};
use crate::operator::OperatorPool;
use crate::packed_type::PackedType;
use crate::references::IndexSpace;
use smallvec::SmallVec;
use std::sync::Arc;
use wasmparser::{Operator, ValType};

crate::entity_id! {
    /// A basic block of a [`Func`].
    pub struct Block("block");
    /// An instruction of a [`Func`].
    pub struct Inst("inst");
    /// An SSA value of a [`Func`].
    pub struct Value("v");
    /// An operator with its immediates, interned in the [`OperatorPool`] of a [`Func`].
    pub struct OperatorId("op");
    /// A wasm local of the body that this one was made from: a hint for emission and debugging, without meaning.
    pub struct SourceLocal("local");
}

/// A short list of values that is stored in place.
pub type ValueVec = SmallVec<[Value; 4]>;

/// The body of a function in SSA form.
#[derive(Clone, Debug)]
pub struct Func {
    /// The function's type: a function type of the module.
    pub ty: TypeId,
    /// The function's result types.
    pub results: Box<[ValType]>,
    /// Where execution starts. Its parameters are the function's.
    pub entry: Block,
    /// All blocks, those that became unreachable included. Their order is the order of the source, which emission uses to break ties.
    pub blocks: PrimaryMap<Block, BlockData>,
    /// The distinct operators, with immediates, of all instructions and terminators.
    pub operators: OperatorPool,
    insts: PrimaryMap<Inst, InstData>,
    values: PrimaryMap<Value, ValueData>,
    operands: Vec<Value>,
    /// Whether a value became an alias since all uses of aliases were rewritten.
    has_unresolved_aliases: bool,
    /// Which wasm local a value came from. A hint.
    pub source_locals: SecondaryMap<Value, Option<SourceLocal>>,
    /// Names of the source locals, from the name section.
    pub local_names: Vec<Option<Box<str>>>,
    /// The bytes that the body was lifted from, which are written instead where the new ones are no smaller and everything that the old ones
    /// refer to is still there. `None` wherever that would undo something on purpose: a pass that makes the body better at the price of size,
    /// or that changes what an item which the old bytes refer to means, must clear it.
    pub original: Option<Box<Original>>,
    /// The control-flow graph that somebody asked for last: see [`Func::control_flow`].
    pub(crate) kept_control_flow: Option<Arc<ControlFlowGraph>>,
}

/// The bytes that a body was lifted from.
#[derive(Clone, Debug)]
pub struct Original {
    /// The body as it was.
    pub body: LazyBody,
    /// The function types of its blocks, one for each that has one: their numbers in the bytes.
    pub(crate) block_types: Box<[u32]>,
    /// How many bytes the body takes at least, whatever numbers the items get that it refers to: where what is emitted takes fewer, nobody need
    /// write it anew to see that.
    pub(crate) least_length: usize,
    /// The functions that it calls, one for each call: their numbers in the bytes. Whatever index one gets counts as one byte in `least_length`.
    pub(crate) called: Box<[u32]>,
}

impl Original {
    /// The types that blocks refer to.
    pub fn block_types(&self) -> impl Iterator<Item = TypeId> {
        self.block_types.iter().filter_map(|&number| self.body.id(IndexSpace::Type, number).map(TypeId::from_u32))
    }
}

/// A basic block.
#[derive(Clone, Debug, Default)]
pub struct BlockData {
    /// The block's parameters.
    pub params: ValueVec,
    /// The instructions before the terminator, in order.
    pub insts: Vec<Inst>,
    /// How the block ends.
    pub terminator: Terminator,
}

/// An instruction: an interned operator, its operands and its results.
#[derive(Copy, Clone, Debug)]
struct InstData {
    operator: OperatorId,
    operands_start: u32,
    first_result: u32,
    operand_count: u16,
    result_count: u16,
}

/// What a value is, and its type.
#[derive(Copy, Clone, Debug)]
struct ValueData {
    ty: PackedType,
    /// Two bits of kind, thirty of index: see [`ValueDefinition`].
    definition: u32,
}

/// Where a value is defined.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ValueDefinition {
    /// A parameter of this block.
    Parameter(Block),
    /// A result of this instruction.
    Result(Inst),
    /// Another name of this value. No instruction or terminator refers to an alias once [`Func::resolve_aliases`] has run.
    Alias(Value),
    /// Nowhere: it is any value of its type, perhaps a different one at each use. Made by [`Func::undefined`], as the argument for a parameter that
    /// nothing reads when its block is entered by that edge; emission leaves out the copy then.
    Undefined,
}

impl ValueDefinition {
    const INDEX_BITS: u32 = 30;

    fn pack(self) -> u32 {
        let (kind, index) = match self {
            Self::Parameter(block) => (0, block.as_u32()),
            Self::Result(inst) => (1, inst.as_u32()),
            Self::Alias(value) => (2, value.as_u32()),
            Self::Undefined => (3, 0),
        };
        assert!(index < 1 << Self::INDEX_BITS, "more than 2^30 entities in one function");
        kind << Self::INDEX_BITS | index
    }

    fn unpack(bits: u32) -> Self {
        let index = bits & ((1 << Self::INDEX_BITS) - 1);
        match bits >> Self::INDEX_BITS {
            0 => Self::Parameter(Block::from_u32(index)),
            1 => Self::Result(Inst::from_u32(index)),
            2 => Self::Alias(Value::from_u32(index)),
            _ => Self::Undefined,
        }
    }
}

// The figures that memory use per input byte rests on.
const _: () = assert!(size_of::<InstData>() == 16 && size_of::<ValueData>() == 8);

impl Func {
    /// A function of this type with an empty entry block that has its parameters.
    pub fn new(ty: TypeId, params: &[ValType], results: &[ValType]) -> Self {
        let mut func = Self {
            ty,
            results: results.into(),
            entry: Block::from_u32(0),
            blocks: PrimaryMap::new(),
            operators: OperatorPool::default(),
            insts: PrimaryMap::new(),
            values: PrimaryMap::new(),
            operands: Vec::new(),
            has_unresolved_aliases: false,
            source_locals: SecondaryMap::new(),
            local_names: Vec::new(),
            original: None,
            kept_control_flow: None,
        };
        func.entry = func.add_block();
        for &param in params {
            func.add_block_param(func.entry, param);
        }
        func
    }

    /// Makes room for the instructions of a body of so many bytes.
    pub(crate) fn reserve_for_body(&mut self, bytes: usize) {
        // Ordinary code has a block in about sixteen bytes and an instruction in three to four, which most often has one operand and one result; about
        // a third of the operators differ.
        self.blocks.reserve(bytes / 16);
        self.insts.reserve(bytes / 4);
        self.operands.reserve(bytes / 4);
        self.values.reserve(bytes / 3);
        self.operators.reserve(bytes / 12);
    }

    /// Adds an empty block.
    pub fn add_block(&mut self) -> Block {
        self.blocks.push(BlockData::default())
    }

    /// Adds a parameter at the end of a block's parameters. The caller adds the arguments at the block's predecessors.
    pub fn add_block_param(&mut self, block: Block, ty: ValType) -> Value {
        let value = self.values.push(ValueData { ty: ty.into(), definition: ValueDefinition::Parameter(block).pack() });
        self.blocks[block].params.push(value);
        value
    }

    /// A value that may be anything, for arguments that make no difference. It is in scope everywhere.
    ///
    /// # Panics
    /// If the type is a reference type: what a local happens to hold need not be of that type, and would be kept alive.
    pub fn undefined(&mut self, ty: ValType) -> Value {
        assert!(!matches!(ty, ValType::Ref(_)), "there are no undefined references");
        self.values.push(ValueData { ty: ty.into(), definition: ValueDefinition::Undefined.pack() })
    }

    /// The values that may be anything.
    pub fn undefined_values(&self) -> impl Iterator<Item = Value> {
        self.value_ids().filter(|&value| self.is_undefined(value))
    }

    /// Whether a value may be anything.
    #[inline]
    pub fn is_undefined(&self, value: Value) -> bool {
        matches!(self.definition(value), ValueDefinition::Undefined)
    }

    /// The most operands, and the most results, that an instruction may have. No signature is that long, but an `array.new_fixed` may have more
    /// operands.
    pub const MAX_OPERANDS: usize = u16::MAX as usize;

    /// Makes an instruction that is in no block yet. Prefer [`Self::append`].
    ///
    /// # Panics
    /// If there are more than [`Self::MAX_OPERANDS`] of either.
    pub fn create_inst(&mut self, operator: OperatorId, operands: &[Value], results: &[ValType]) -> Inst {
        let inst = self.insts.next_key();
        let first_result = self.values.next_key().as_u32();
        for &ty in results {
            self.values.push(ValueData { ty: ty.into(), definition: ValueDefinition::Result(inst).pack() });
        }
        let operands_start = u32::try_from(self.operands.len()).expect("more than 2^32 operands in one function");
        self.operands.extend_from_slice(operands);
        self.insts.push(InstData {
            operator,
            operands_start,
            first_result,
            operand_count: u16::try_from(operands.len()).expect("lifting takes no instruction of more operands"),
            result_count: u16::try_from(results.len()).expect("lifting takes no instruction of more results"),
        })
    }

    /// Appends an instruction to a block.
    pub fn append(
        &mut self,
        block: Block,
        operator: Operator<'static>,
        operands: &[Value],
        results: &[ValType],
    ) -> Inst {
        let operator = self.operators.intern(operator);
        let inst = self.create_inst(operator, operands, results);
        self.blocks[block].insts.push(inst);
        inst
    }

    /// Appends an instruction that has one result to a block, and returns the result.
    pub fn append_value(
        &mut self,
        block: Block,
        operator: Operator<'static>,
        operands: &[Value],
        result: ValType,
    ) -> Value {
        let inst = self.append(block, operator, operands, &[result]);
        self.first_result(inst)
    }

    /// Inserts an instruction before position `at` of a block.
    pub fn insert(
        &mut self,
        block: Block,
        at: usize,
        operator: Operator<'static>,
        operands: &[Value],
        results: &[ValType],
    ) -> Inst {
        let operator = self.operators.intern(operator);
        let inst = self.create_inst(operator, operands, results);
        self.blocks[block].insts.insert(at, inst);
        inst
    }

    /// Replaces operator and operands of an instruction; its results stay the same values.
    pub fn replace_inst(&mut self, inst: Inst, operator: Operator<'static>, operands: &[Value]) {
        let operator = self.operators.intern(operator);
        let data = &mut self.insts[inst];
        data.operator = operator;
        if operands.len() <= usize::from(data.operand_count) {
            let start = data.operands_start as usize;
            self.operands[start..start + operands.len()].copy_from_slice(operands);
        } else {
            data.operands_start = u32::try_from(self.operands.len()).expect("more than 2^32 operands in one function");
            self.operands.extend_from_slice(operands);
        }
        data.operand_count = u16::try_from(operands.len()).expect("lifting takes no instruction of more operands");
    }

    /// How many instructions were ever made, those in no block included: a bound for dense tables.
    pub fn inst_count(&self) -> usize {
        self.insts.len()
    }

    /// How many values were ever made, aliases included: a bound for dense tables.
    pub fn value_count(&self) -> usize {
        self.values.len()
    }

    /// All values that were ever made, aliases included.
    pub fn value_ids(&self) -> impl DoubleEndedIterator<Item = Value> + ExactSizeIterator + use<> {
        self.values.keys()
    }

    /// The interned operator of an instruction.
    #[inline]
    pub fn operator_id(&self, inst: Inst) -> OperatorId {
        self.insts[inst].operator
    }

    /// The operator, with immediates, of an instruction.
    #[inline]
    pub fn operator(&self, inst: Inst) -> &Operator<'static> {
        &self.operators[self.insts[inst].operator]
    }

    /// The operands of an instruction. They may be aliases until [`Self::resolve_aliases`] has run.
    #[inline]
    pub fn operands(&self, inst: Inst) -> &[Value] {
        let data = &self.insts[inst];
        &self.operands[data.operands_start as usize..][..usize::from(data.operand_count)]
    }

    /// The operands of an instruction, to change them.
    #[inline]
    pub fn operands_mut(&mut self, inst: Inst) -> &mut [Value] {
        let data = &self.insts[inst];
        &mut self.operands[data.operands_start as usize..][..usize::from(data.operand_count)]
    }

    /// The results of an instruction.
    #[inline]
    pub fn inst_results(
        &self,
        inst: Inst,
    ) -> impl ExactSizeIterator<Item = Value> + DoubleEndedIterator + Clone + use<> {
        let data = &self.insts[inst];
        (data.first_result..data.first_result + u32::from(data.result_count)).map(Value::from_u32)
    }

    /// The only result of an instruction, or `None` where it has none or several.
    #[inline]
    pub fn single_result(&self, inst: Inst) -> Option<Value> {
        let data = &self.insts[inst];
        (data.result_count == 1).then(|| Value::from_u32(data.first_result))
    }

    /// The first result of an instruction that has one.
    ///
    /// # Panics
    /// If the instruction has no result.
    #[inline]
    pub fn first_result(&self, inst: Inst) -> Value {
        let data = &self.insts[inst];
        assert!(data.result_count > 0, "{inst} has no result");
        Value::from_u32(data.first_result)
    }

    /// The type of a value.
    #[inline]
    pub fn value_type(&self, value: Value) -> ValType {
        self.values[value].ty.into()
    }

    /// Makes a value's type more (or less) precise. Uses must still fit.
    pub fn set_value_type(&mut self, value: Value, ty: ValType) {
        self.values[value].ty = ty.into();
    }

    /// One more than the highest source local that a value or a name of this body has.
    pub fn source_local_count(&self) -> u32 {
        let hinted = (0..self.source_locals.len())
            .filter_map(|index| self.source_locals[Value::from_index(index)])
            .map(|local| local.as_u32() + 1)
            .max()
            .unwrap_or(0);
        hinted.max(self.local_names.len() as u32)
    }

    /// Where a value is defined.
    #[inline]
    pub fn definition(&self, value: Value) -> ValueDefinition {
        ValueDefinition::unpack(self.values[value].definition)
    }

    /// The instruction that defines a value, aliases followed; `None` for a block parameter.
    #[inline]
    pub fn defining_inst(&self, value: Value) -> Option<Inst> {
        match self.definition(self.resolve(value)) {
            ValueDefinition::Result(inst) => Some(inst),
            ValueDefinition::Parameter(_) | ValueDefinition::Alias(_) | ValueDefinition::Undefined => None,
        }
    }

    /// The operator that defines a value, aliases followed; `None` for a block parameter.
    #[inline]
    pub fn defining_operator(&self, value: Value) -> Option<&Operator<'static>> {
        self.defining_inst(value).map(|inst| self.operator(inst))
    }

    /// Removes the parameters of `block` for which `keep` says no. The caller removes the arguments at the block's predecessors and
    /// sees to it that nothing uses the parameters any more (by aliases or otherwise).
    pub fn retain_block_params(&mut self, block: Block, mut keep: impl FnMut(usize, Value) -> bool) {
        let mut index = 0;
        self.blocks[block].params.retain(|value| {
            index += 1;
            keep(index - 1, *value)
        });
    }

    /// Moves a value to be a parameter of `block` (appended), for passes that merge or split blocks.
    pub fn move_param(&mut self, value: Value, block: Block) {
        self.values[value].definition = ValueDefinition::Parameter(block).pack();
        self.blocks[block].params.push(value);
    }

    /// Calls `visit` once with each operator that instructions in blocks and terminators use, and with how many of them do.
    pub fn for_each_used_operator(&self, mut visit: impl FnMut(OperatorId, u32)) {
        let mut uses = vec![0u32; self.operators.len()];
        for block in self.blocks.values() {
            block.insts.iter().for_each(|&inst| uses[self.insts[inst].operator.index()] += 1);
            if let Some(operator) = block.terminator.operator() {
                uses[operator.index()] += 1;
            }
        }
        for (index, &uses) in uses.iter().enumerate().filter(|&(_, &uses)| uses > 0) {
            visit(OperatorId::from_index(index), uses);
        }
    }
}
