//! The pass over a body's operators: blocks, instructions, and the values on the operand stack.

mod branches;
mod constructs;
mod invokes;
mod slots;

pub(super) use self::slots::LocalSlot;

use self::branches::ActiveCatch;
use self::constructs::{Frame, FrameKind};
use self::slots::{LocalTypes, NO_SLOT};
use super::Error;
use super::finish::{SizeLimit, finish};
use super::graph::{Graph, Slot};
use crate::encode::least_length;
use crate::entity::{Entity, PrimaryMap};
use crate::features::Used;
use crate::func::{Block, Func, Inst, OperatorId, Original, SourceLocal, Terminator, Value, ValueVec};
use crate::module::{LazyBody, OpaqueReason, Source, TypeId};
use crate::operator::into_owned;
use crate::signature::fixed_arity;
use wasmparser::{
    BinaryReader, BlockType, FuncToValidate, FuncType, FuncValidator, FuncValidatorAllocations, FunctionBody, Operator,
    OperatorsReader, ValType, ValidatorResources, WasmModuleResources,
};

/// Validates and lifts a body. Types and indices are those of its source. `allocations` gets back what it lent to the validator, `used` the features
/// of a valid body.
pub(super) fn lift(
    body: &LazyBody,
    lent: FuncValidatorAllocations,
    allocations: &mut FuncValidatorAllocations,
    used: &mut Used,
) -> Result<Func, Error> {
    let source = &*body.source;
    let type_index = source.resources.type_index_of_function(body.index).expect("a body has a function");
    let to_validate = FuncToValidate {
        resources: source.resources.clone(),
        index: body.index,
        ty: type_index,
        features: source.features,
    };
    let validator = to_validate.into_validator(lent);
    let mut builder = Builder::new(body, type_index, validator);
    let built = builder.build(body, used);
    let Builder { mut func, graph, slots, order, validator, block_types, least_length, called, .. } = builder;
    *allocations = validator.into_allocations();
    built?;
    let size = body.range.len();
    let (body, block_types, called) = (body.clone(), block_types.into(), called.into());
    func.original = Some(Box::new(Original { body, block_types, least_length, called }));
    finish(func, &graph, slots, &order, size).map_err(Error::Opaque)
}

struct Builder<'a> {
    source: &'a Source,
    validator: FuncValidator<ValidatorResources>,
    func: Func,
    graph: Graph,
    /// Blocks in the order of the source.
    order: Vec<Block>,
    frames: Vec<Frame>,
    stack: Vec<Value>,
    /// The block that operators go to; `None` in code that is not reached.
    current: Option<Block>,
    /// The instructions of the current block.
    insts: Vec<Inst>,
    position: u32,
    /// Where the straight run of code began: what locals held before it is not known any more.
    run_start: u32,
    locals: LocalTypes,
    /// The slot of each local, or `NO_SLOT`.
    slot_of_local: Vec<u32>,
    slots: PrimaryMap<Slot, LocalSlot>,
    /// The catch clauses of the open `try_table`s, from the outermost to the innermost.
    catches: Vec<ActiveCatch>,
    /// Where the clauses of each of them start in `catches`.
    catch_groups: Vec<usize>,
    /// Handlers, and values in lists that are as long as signatures are, however few bytes name them.
    listed_values: usize,
    size_limit: SizeLimit,
    /// The function types of blocks, as they come.
    block_types: Vec<u32>,
    /// How many bytes the body takes at least when it is written again.
    least_length: usize,
    /// The functions that it calls, as they come.
    called: Vec<u32>,
    /// A buffer for the types of results.
    result_types: Vec<ValType>,
}

impl<'a> Builder<'a> {
    fn new(body: &'a LazyBody, type_index: u32, validator: FuncValidator<ValidatorResources>) -> Self {
        let source = &*body.source;
        let signature = func_type(source, type_index);
        let params: Vec<ValType> = signature.params().iter().map(|&ty| source.numbered_type(ty)).collect();
        let results: Vec<ValType> = signature.results().iter().map(|&ty| source.numbered_type(ty)).collect();
        let mut func = Func::new(TypeId::from_u32(type_index), &params, &results);
        func.reserve_for_body(body.range.len());
        let mut locals = LocalTypes::default();
        params.iter().for_each(|&ty| locals.push(1, ty));
        let size_limit = SizeLimit::of_body(body.range.len(), 0);
        let mut builder = Self {
            source,
            validator,
            current: Some(func.entry),
            order: vec![func.entry],
            func,
            graph: Graph::for_body(body.range.len()),
            frames: Vec::new(),
            stack: Vec::new(),
            insts: Vec::new(),
            position: 0,
            run_start: 0,
            slot_of_local: Vec::new(),
            slots: PrimaryMap::new(),
            locals,
            catches: Vec::new(),
            catch_groups: Vec::new(),
            listed_values: 0,
            size_limit,
            block_types: Vec::new(),
            least_length: 0,
            called: Vec::new(),
            result_types: Vec::new(),
        };
        builder.push_frame(FrameKind::Function, BlockType::FuncType(type_index), false, 0, results.len() as u32);
        builder
    }

    fn build(&mut self, body: &LazyBody, used: &mut Used) -> Result<(), Error> {
        let source = self.source;
        let start = body.range.start;
        let bytes = &source.bytes[body.range.clone()];
        let reader = BinaryReader::new_features(bytes, start as u64, source.features);
        let mut reader = FunctionBody::new(reader).get_locals_reader()?;
        for _ in 0..reader.get_count() {
            let offset = reader.original_position();
            let (count, ty) = reader.read()?;
            self.validator.define_locals(offset, count, ty)?;
            self.locals.push(count, ty);
            used.val_type(ty);
        }
        // Their number, and the number and type of each group.
        self.least_length = 1 + 2 * reader.get_count() as usize;
        let local_count = self.locals.len() as usize;
        self.slot_of_local.resize(local_count, NO_SLOT);
        self.func.local_names.resize(local_count, None);
        for (index, value) in self.func.blocks[self.func.entry].params.clone().into_iter().enumerate() {
            self.func.source_locals[value] = Some(SourceLocal::from_index(index));
        }

        let mut hints = body.branch_hints.iter().peekable();
        let mut opaque = None;
        let mut reader = OperatorsReader::new(reader.get_binary_reader());
        while !reader.eof() {
            let (operator, offset) = reader.read_with_offset()?;
            let offset_in_body = u32::try_from(offset - start as u64).expect("a body is smaller than 4 GiB");
            self.position = offset_in_body + 1;
            self.validator.op(offset, &operator)?;
            let operator_bytes = body.bytes_between(offset, reader.original_position());
            self.least_length += least_length(operator_bytes);
            if let Operator::Call { function_index } | Operator::ReturnCall { function_index } = operator {
                self.called.push(function_index);
            }
            used.operator_in_bytes(&operator, operator_bytes);
            if opaque.is_some() {
                // Bodies that stay bytes are valid nevertheless.
                continue;
            }
            while hints.next_if(|&&(hinted, _)| hinted < offset_in_body).is_some() {}
            let likely = hints.next_if(|&&(hinted, _)| hinted == offset_in_body).map(|&(_, likely)| likely);
            if let Err(reason) = self.operator(operator, likely) {
                opaque = Some(reason);
            }
        }
        reader.finish()?;
        match opaque {
            Some(reason) => Err(Error::Opaque(reason)),
            None => Ok(()),
        }
    }

    fn operator(&mut self, operator: Operator<'_>, likely: Option<bool>) -> Result<(), OpaqueReason> {
        match operator {
            // Constructs are tracked in code that is not reached, too.
            Operator::Block { blockty } => self.open(FrameKind::Block, blockty),
            Operator::Loop { blockty } => self.open_loop(blockty),
            Operator::If { blockty } => self.open_if(blockty, likely),
            Operator::Else => self.open_else(),
            Operator::TryTable { try_table } => self.open_try_table(try_table),
            Operator::End => self.close(),
            Operator::Try { .. }
            | Operator::Catch { .. }
            | Operator::CatchAll
            | Operator::Rethrow { .. }
            | Operator::Delegate { .. } => return Err(OpaqueReason::LegacyExceptions),
            Operator::TypedSelectMulti { .. }
            | Operator::BrOnCastDescEq { .. }
            | Operator::BrOnCastDescEqFail { .. } => {
                return Err(OpaqueReason::UnsupportedOperator(crate::opcode::Opcode::of(&operator).name()));
            }
            _ if self.current.is_none() => {}
            Operator::Nop => {}
            Operator::Drop => {
                self.pop();
            }
            Operator::LocalGet { local_index } => {
                let value = self.read_local(local_index);
                self.stack.push(value);
            }
            Operator::LocalSet { local_index } => {
                let value = self.pop();
                self.write_local(local_index, value);
            }
            Operator::LocalTee { local_index } => {
                let value = *self.stack.last().expect("validated");
                self.write_local(local_index, value);
            }
            Operator::Unreachable => self.terminate(Terminator::Unreachable),
            Operator::Return => {
                let values = self.top(self.func.results.len());
                self.terminate(Terminator::Return(values));
            }
            Operator::Br { relative_depth } => self.branch(relative_depth),
            Operator::BrIf { relative_depth } => self.branch_if(relative_depth, likely),
            Operator::BrTable { targets } => self.branch_table(&targets)?,
            Operator::BrOnNull { .. }
            | Operator::BrOnNonNull { .. }
            | Operator::BrOnCast { .. }
            | Operator::BrOnCastFail { .. } => self.branch_on_reference(operator),
            Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } | Operator::ReturnCallRef { .. } => {
                let (pops, _) = self.arity(&operator);
                let args = self.pop_many(pops);
                let operator = self.intern(operator);
                self.terminate(Terminator::TailCall { operator, args });
            }
            Operator::Throw { .. } | Operator::ThrowRef => self.invoke(operator, None)?,
            Operator::Resume { .. } | Operator::ResumeThrow { .. } | Operator::ResumeThrowRef { .. } => {
                self.resume(operator)?;
            }
            Operator::Call { .. }
            | Operator::CallIndirect { .. }
            | Operator::CallRef { .. }
            | Operator::Suspend { .. }
            | Operator::Switch { .. }
                if !self.catches.is_empty() =>
            {
                self.invoke(operator, None)?;
            }
            operator => self.instruction(operator)?,
        }
        self.check_size()
    }

    fn check_size(&self) -> Result<(), OpaqueReason> {
        if self.graph.edge_values.len() + self.listed_values > self.size_limit.entries {
            return Err(OpaqueReason::TooLarge);
        }
        Ok(())
    }

    /// An operator that becomes an instruction.
    #[inline]
    fn instruction(&mut self, operator: Operator<'_>) -> Result<(), OpaqueReason> {
        let (pops, pushes) = self.arity(&operator);
        if pops.max(pushes) > Func::MAX_OPERANDS {
            return Err(OpaqueReason::TooLarge);
        }
        let operands = self.stack.len() - pops;
        let operator = self.intern(operator);
        if pushes == 1 {
            let ty = self.pushed_type(0);
            let inst = self.func.create_inst(operator, &self.stack[operands..], &[ty]);
            self.insts.push(inst);
            self.stack.truncate(operands);
            self.stack.push(self.func.first_result(inst));
        } else {
            self.listed_values += pops + pushes;
            let types = self.take_pushed_types(pushes);
            let inst = self.func.create_inst(operator, &self.stack[operands..], &types);
            self.result_types = types;
            self.insts.push(inst);
            self.stack.truncate(operands);
            self.stack.extend(self.func.inst_results(inst));
        }
        Ok(())
    }

    #[inline]
    fn intern(&mut self, operator: Operator<'_>) -> OperatorId {
        let operator = into_owned(operator).expect("br_table, which borrows, becomes a terminator");
        self.func.operators.intern(operator)
    }

    #[inline]
    fn arity(&self, operator: &Operator<'_>) -> (usize, usize) {
        fixed_arity(operator).unwrap_or_else(|| {
            let (pops, pushes) = operator.operator_arity(&self.validator).expect("the operator is valid");
            (pops as usize, pushes as usize)
        })
    }

    /// The type of the operand that the operator just validated has left at this depth.
    #[inline]
    fn pushed_type(&self, depth: usize) -> ValType {
        let ty = self.validator.get_operand_type(depth).flatten().expect("operands have types where code is reached");
        self.source.numbered_type(ty)
    }

    /// The types of the topmost operands, in a buffer that should be given back.
    fn take_pushed_types(&mut self, count: usize) -> Vec<ValType> {
        let mut types = std::mem::take(&mut self.result_types);
        types.clear();
        types.extend((0..count).rev().map(|depth| self.pushed_type(depth)));
        types
    }

    // The operand stack.

    #[inline]
    fn pop(&mut self) -> Value {
        self.stack.pop().expect("validation has seen this operand")
    }

    fn pop_many(&mut self, count: usize) -> ValueVec {
        self.stack.drain(self.stack.len() - count..).collect()
    }

    fn top(&self, count: usize) -> ValueVec {
        self.stack[self.stack.len() - count..].iter().copied().collect()
    }

    // Blocks.

    fn terminate(&mut self, terminator: Terminator) {
        let block = self.current.take().expect("a block is open");
        let data = &mut self.func.blocks[block];
        data.insts = self.insts.as_slice().into();
        data.terminator = terminator;
        self.insts.clear();
    }

    fn start(&mut self, block: Block) {
        debug_assert!(self.current.is_none());
        self.order.push(block);
        self.current = Some(block);
    }

    /// Adds a block to the source's order.
    fn add_block(&mut self) -> Block {
        let block = self.func.add_block();
        self.order.push(block);
        block
    }

    fn current(&self) -> Block {
        self.current.expect("code is reached here")
    }
}

/// The function type with this number in the source.
fn func_type(source: &Source, index: u32) -> &FuncType {
    source.resources.sub_type_at(index).expect("validated").unwrap_func()
}

impl std::fmt::Debug for Builder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("position", &self.position).finish_non_exhaustive()
    }
}
