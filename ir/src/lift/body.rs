//! The pass over a body's operators: blocks, instructions, and the values on the operand stack.

use super::graph::{Assignment, Construct, ConstructId, ConstructKind, Graph, JoinId, Parameter, ParameterSource};
use super::graph::{PendingRead, Slot};
use super::{Error, locals, parameters};
use crate::entity::{Entity, PrimaryMap};
use crate::func::{
    Block, BlockCall, Func, Handler, Inst, Invoke, OperatorId, SourceLocal, Terminator, Value, ValueVec,
};
use crate::module::{LazyBody, OpaqueReason, Source, TagId, TypeId};
use crate::operator::into_owned;
use crate::signature::fixed_arity;
use smallvec::SmallVec;
use wasmparser::{
    BinaryReader, BlockType, BrTable, Catch, FuncToValidate, FuncType, FuncValidator, FuncValidatorAllocations,
    FunctionBody, Handle, Operator, OperatorsReader, RefType, ResumeTable, TryTable, V128, ValType, ValidatorResources,
    WasmModuleResources,
};

/// Validates and lifts a body. Types and indices are those of its source. `allocations` gets back what it lent to the validator.
pub(super) fn lift(
    body: &LazyBody,
    lent: FuncValidatorAllocations,
    allocations: &mut FuncValidatorAllocations,
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
    let built = builder.build(body);
    let Builder { func, graph, slots, order, validator, .. } = builder;
    *allocations = validator.into_allocations();
    built?;
    finish(func, &graph, slots, &order, body.range.len()).map_err(Error::Opaque)
}

/// Gives uses of locals their values, and blocks their parameters.
fn finish(
    mut func: Func,
    graph: &Graph,
    mut slots: PrimaryMap<Slot, LocalSlot>,
    order: &[Block],
    body_size: usize,
) -> Result<Func, OpaqueReason> {
    let limit = SizeLimit::of_body(body_size, order.len());
    let resolved = locals::resolve(&mut func, graph, &mut slots, limit)?;
    let defaults: Vec<Inst> = resolved.default_values;
    if !defaults.is_empty() {
        let insts = &mut func.blocks[func.entry].insts;
        insts.splice(0..0, defaults);
    }
    let mut values = parameters::Equal::new(func.value_count());
    for (read, &value) in graph.pending_reads.iter().zip(&resolved.reads) {
        values.make_equal(read.stand_in, value);
    }
    parameters::remove_redundant(&resolved.parameters, &resolved.arguments, &mut values);
    parameters::write(&mut func, graph, &resolved.parameters, &resolved.arguments, &mut values, limit)?;
    func.compact_in_order(order, |value| values.find(value));
    Ok(func)
}

/// How much a body may grow when it becomes SSA form.
#[derive(Copy, Clone, Debug)]
pub(super) struct SizeLimit {
    /// Arguments of block parameters, and handlers of invokes.
    pub entries: usize,
}

impl SizeLimit {
    /// Ordinary code has less than one argument in ten bytes; a thousand locals through five hundred nested loops are still within the limit.
    fn of_body(body_size: usize, blocks: usize) -> Self {
        Self { entries: 2_000_000 + 8 * body_size + 4 * blocks }
    }
}

/// What is known of a wasm local that the body uses.
#[derive(Debug)]
pub(super) struct LocalSlot {
    pub local: SourceLocal,
    pub ty: ValType,
    /// The value at the function's entry: the parameter, or a constant once somebody needs it.
    pub initial: Option<Value>,
    /// The value in the current straight run of code, if `since` is in it.
    current: Option<Value>,
    since: u32,
}

impl LocalSlot {
    /// The value at the function's entry. A constant is made where there is none yet, and is pushed to `defaults`.
    pub fn initial_value(&mut self, func: &mut Func, defaults: &mut Vec<Inst>) -> Value {
        if let Some(value) = self.initial {
            return value;
        }
        let operator = match self.ty {
            ValType::I32 => Operator::I32Const { value: 0 },
            ValType::I64 => Operator::I64Const { value: 0 },
            ValType::F32 => Operator::F32Const { value: 0f32.into() },
            ValType::F64 => Operator::F64Const { value: 0f64.into() },
            ValType::V128 => Operator::V128Const { value: V128::from(0i128) },
            ValType::Ref(reference) => {
                assert!(reference.is_nullable(), "validation keeps {} from being read before it is set", self.local);
                Operator::RefNull { hty: reference.heap_type() }
            }
        };
        let operator = func.operators.intern(operator);
        let inst = func.create_inst(operator, &[], &[self.ty]);
        let value = func.first_result(inst);
        func.source_locals[value] = Some(self.local);
        defaults.push(inst);
        *self.initial.insert(value)
    }
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum FrameKind {
    Function,
    Block,
    Loop,
    If,
    Else,
    TryTable,
}

/// An open construct.
#[derive(Debug)]
struct Frame {
    kind: FrameKind,
    ty: BlockType,
    /// Whether its first operator is not reached: then nothing in it is.
    dead: bool,
    /// The height of the operand stack below its parameters.
    height: usize,
    param_count: u32,
    result_count: u32,
    construct: ConstructId,
    /// Where assignments are noted: the construct, or the first arm of an `if`.
    assignments_in: ConstructId,
    /// The innermost loop at its operators.
    innermost_loop: Option<ConstructId>,
    /// Where its label leads.
    join: Option<JoinId>,
    /// For an `if`: the block that ends with it, and the values that the second arm begins with.
    branch: Option<(Block, ValueVec)>,
    /// How many groups of catch clauses are active outside.
    catch_groups_outside: usize,
}

/// Where a label leads.
#[derive(Copy, Clone, Debug)]
enum Target {
    Join(JoinId),
    Return,
}

/// A catch clause of an open `try_table`.
#[derive(Copy, Clone, Debug)]
struct ActiveCatch {
    catch: Catch,
    target: Target,
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
    /// What was known of locals before this position does not hold any more.
    run_start: u32,
    locals: LocalTypes,
    /// The slot of each local, or `NO_SLOT`.
    slot_of_local: Vec<u32>,
    slots: PrimaryMap<Slot, LocalSlot>,
    /// The catch clauses of the open `try_table`s, from the outermost to the innermost.
    catches: Vec<ActiveCatch>,
    /// Where the clauses of each of them start in `catches`.
    catch_groups: Vec<usize>,
    handler_count: usize,
    size_limit: SizeLimit,
    /// A buffer for the types of results.
    result_types: Vec<ValType>,
}

const NO_SLOT: u32 = u32::MAX;

/// The types of locals, in runs as they are declared.
#[derive(Debug, Default)]
struct LocalTypes {
    /// The end of each run, and the type of its locals.
    runs: Vec<(u32, ValType)>,
}

impl LocalTypes {
    fn push(&mut self, count: u32, ty: ValType) {
        self.runs.push((self.len() + count, ty));
    }
    fn len(&self) -> u32 {
        self.runs.last().map_or(0, |run| run.0)
    }
    fn get(&self, local: u32) -> ValType {
        self.runs[self.runs.partition_point(|run| run.0 <= local)].1
    }
}

impl<'a> Builder<'a> {
    fn new(body: &'a LazyBody, type_index: u32, validator: FuncValidator<ValidatorResources>) -> Self {
        let source = &*body.source;
        let signature = func_type(source, type_index);
        let params: Vec<ValType> = signature.params().iter().map(|&ty| source.numbered_type(ty)).collect();
        let results: Vec<ValType> = signature.results().iter().map(|&ty| source.numbered_type(ty)).collect();
        let func = Func::new(TypeId::from_u32(type_index), &params, &results);
        let mut locals = LocalTypes::default();
        params.iter().for_each(|&ty| locals.push(1, ty));
        let size_limit = SizeLimit::of_body(body.range.len(), 0);
        let mut builder = Self {
            source,
            validator,
            current: Some(func.entry),
            order: vec![func.entry],
            func,
            graph: Graph::default(),
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
            handler_count: 0,
            size_limit,
            result_types: Vec::new(),
        };
        builder.push_frame(FrameKind::Function, BlockType::FuncType(type_index), false, 0, results.len() as u32);
        builder
    }

    fn build(&mut self, body: &LazyBody) -> Result<(), Error> {
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
        }
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
            operator => self.instruction(operator),
        }
        if self.graph.edge_values.len() > self.size_limit.entries {
            return Err(OpaqueReason::TooLarge);
        }
        Ok(())
    }

    /// An operator that becomes an instruction.
    #[inline]
    fn instruction(&mut self, operator: Operator<'_>) {
        let (pops, pushes) = self.arity(&operator);
        let operands = self.stack.len() - pops;
        let operator = self.intern(operator);
        if pushes == 1 {
            let ty = self.pushed_type(0);
            let inst = self.func.create_inst(operator, &self.stack[operands..], &[ty]);
            self.insts.push(inst);
            self.stack.truncate(operands);
            self.stack.push(self.func.first_result(inst));
        } else {
            let types = self.take_pushed_types(pushes);
            let inst = self.func.create_inst(operator, &self.stack[operands..], &types);
            self.result_types = types;
            self.insts.push(inst);
            self.stack.truncate(operands);
            self.stack.extend(self.func.inst_results(inst));
        }
    }

    #[inline]
    fn intern(&mut self, operator: Operator<'_>) -> OperatorId {
        let operator = into_owned(operator).expect("br_table, which borrows, becomes a terminator");
        self.func.operators.intern(operator)
    }

    #[inline]
    fn arity(&self, operator: &Operator<'_>) -> (usize, usize) {
        match fixed_arity(operator) {
            Some((pops, pushes)) => (pops.into(), pushes.into()),
            None => {
                let (pops, pushes) = operator.operator_arity(&self.validator).expect("the operator is valid");
                (pops as usize, pushes as usize)
            }
        }
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

    // Locals.

    fn slot(&mut self, local: u32) -> Slot {
        let entry = &mut self.slot_of_local[local as usize];
        if *entry == NO_SLOT {
            // A parameter's value is known from the start of the function.
            let initial = self.func.blocks[self.func.entry].params.get(local as usize).copied();
            let ty = self.locals.get(local);
            let local = SourceLocal::from_u32(local);
            let slot = self.slots.push(LocalSlot { local, ty, initial, current: initial, since: 0 });
            *entry = slot.as_u32();
        }
        Slot::from_u32(*entry)
    }

    #[inline]
    fn read_local(&mut self, local: u32) -> Value {
        let slot = self.slot(local);
        let data = &mut self.slots[slot];
        match data.current {
            Some(value) if data.since >= self.run_start => value,
            _ => {
                let stand_in = self.func.create_detached_value(data.ty);
                data.current = Some(stand_in);
                data.since = self.position;
                let enclosing_loop = self.frames.last().expect("the function is open").innermost_loop;
                self.graph.pending_reads.push(PendingRead { stand_in, slot, position: self.position, enclosing_loop });
                stand_in
            }
        }
    }

    #[inline]
    fn write_local(&mut self, local: u32, value: Value) {
        let slot = self.slot(local);
        let data = &mut self.slots[slot];
        data.current = Some(value);
        data.since = self.position;
        let hint = &mut self.func.source_locals[value];
        if hint.is_none() {
            *hint = Some(SourceLocal::from_u32(local));
        }
        let construct = self.frames.last().expect("the function is open").assignments_in;
        self.graph.assignments.push(Assignment { slot, position: self.position, construct, value });
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

    // Constructs.

    fn block_arity(&self, ty: BlockType) -> (u32, u32) {
        match ty {
            BlockType::Empty => (0, 0),
            BlockType::Type(_) => (0, 1),
            BlockType::FuncType(index) => {
                let ty = func_type(self.source, index);
                (ty.params().len() as u32, ty.results().len() as u32)
            }
        }
    }

    fn param_types(&self, ty: BlockType) -> SmallVec<[ValType; 4]> {
        match ty {
            BlockType::Empty | BlockType::Type(_) => SmallVec::new(),
            BlockType::FuncType(index) => self.numbered_types(func_type(self.source, index).params()),
        }
    }

    fn result_types(&self, ty: BlockType) -> SmallVec<[ValType; 4]> {
        match ty {
            BlockType::Empty => SmallVec::new(),
            BlockType::Type(ty) => SmallVec::from_slice(&[self.source.numbered_type(ty)]),
            BlockType::FuncType(index) => self.numbered_types(func_type(self.source, index).results()),
        }
    }

    fn numbered_types(&self, types: &[ValType]) -> SmallVec<[ValType; 4]> {
        types.iter().map(|&ty| self.source.numbered_type(ty)).collect()
    }

    fn push_frame(&mut self, kind: FrameKind, ty: BlockType, dead: bool, param_count: u32, result_count: u32) {
        let outside = self.frames.last();
        let enclosing_loop = outside.and_then(|frame| frame.innermost_loop);
        let construct = if dead {
            // Nothing in it is noted, so it needs no construct of its own.
            outside.expect("the function itself is reached").construct
        } else {
            self.graph.constructs.push(Construct {
                parent: outside.map(|frame| frame.assignments_in),
                kind: if kind == FrameKind::Function { ConstructKind::Function } else { ConstructKind::Block },
                start: self.position,
                end: u32::MAX,
                enclosing_loop,
                end_join: None,
            })
        };
        self.frames.push(Frame {
            kind,
            ty,
            dead,
            height: self.stack.len().saturating_sub(param_count as usize),
            param_count,
            result_count,
            construct,
            assignments_in: construct,
            innermost_loop: enclosing_loop,
            join: None,
            branch: None,
            catch_groups_outside: self.catch_groups.len(),
        });
    }

    fn open(&mut self, kind: FrameKind, ty: BlockType) {
        let (params, results) = self.block_arity(ty);
        self.push_frame(kind, ty, self.current.is_none(), params, results);
    }

    fn open_loop(&mut self, ty: BlockType) {
        self.open(FrameKind::Loop, ty);
        if self.current.is_none() {
            return;
        }
        let header = self.func.add_block();
        let frame = self.frames.last_mut().expect("just pushed");
        let (construct, height, outer_loop) = (frame.construct, frame.height, frame.innermost_loop);
        let join = self.graph.add_join(header, frame.param_count);
        frame.join = Some(join);
        frame.innermost_loop = Some(construct);
        self.graph.constructs[construct].kind = ConstructKind::Loop(join);
        self.graph.add_edge(self.current.expect("checked"), join, self.position, outer_loop, &self.stack[height..]);
        self.terminate(Terminator::Jump(BlockCall::new(header)));
        self.start(header);
        self.stack.truncate(height);
        self.push_parameters(join, &self.param_types(ty));
        self.run_start = self.position;
    }

    fn push_parameters(&mut self, join: JoinId, types: &[ValType]) {
        for (index, &ty) in types.iter().enumerate() {
            let value = self.func.create_detached_value(ty);
            self.stack.push(value);
            let source = ParameterSource::Stack(index as u32);
            self.graph.parameters.push(Parameter { value, join, source });
        }
    }

    fn open_if(&mut self, ty: BlockType, likely: Option<bool>) {
        let reached = self.current.is_some();
        let condition = reached.then(|| self.pop());
        self.open(FrameKind::If, ty);
        let Some(condition) = condition else { return };
        let block = self.current();
        let frame = self.frames.last_mut().expect("just pushed");
        let enclosing_loop = frame.innermost_loop;
        frame.branch = Some((block, self.stack[frame.height..].iter().copied().collect()));
        frame.assignments_in = self.graph.constructs.push(Construct {
            parent: Some(frame.construct),
            kind: ConstructKind::Then,
            start: self.position,
            end: u32::MAX,
            enclosing_loop,
            end_join: None,
        });
        let then_block = self.func.add_block();
        // Where zero leads is known at the `else` or the `end`.
        let else_target = BlockCall::new(then_block);
        let then_target = BlockCall::new(then_block);
        self.terminate(Terminator::Branch { condition, then_target, else_target, likely });
        self.start(then_block);
    }

    fn open_else(&mut self) {
        let mut frame = self.frames.pop().expect("validated");
        frame.kind = FrameKind::Else;
        if frame.dead {
            self.frames.push(frame);
            return;
        }
        let then_arm = &mut self.graph.constructs[frame.assignments_in];
        then_arm.kind = ConstructKind::ThenBeforeElse;
        then_arm.end = self.position;
        frame.assignments_in = frame.construct;
        if self.current.is_some() {
            self.jump_to_end(&mut frame);
        }
        self.stack.truncate(frame.height);
        let (branch, values) = frame.branch.take().expect("an if that is reached has a branch");
        self.stack.extend(values);
        let else_block = self.func.add_block();
        self.set_else_target(branch, else_block);
        self.start(else_block);
        self.run_start = self.position;
        self.frames.push(frame);
    }

    fn set_else_target(&mut self, branch: Block, target: Block) {
        match &mut self.func.blocks[branch].terminator {
            Terminator::Branch { else_target, .. } => else_target.block = target,
            other => unreachable!("an if ends its block with {other:?}"),
        }
    }

    /// Jumps from the current block to the end of `frame` with the results on the stack.
    fn jump_to_end(&mut self, frame: &mut Frame) {
        let join = join_of(frame, &mut self.func, &mut self.graph);
        let results = self.stack.len() - frame.result_count as usize;
        let (from, results) = (self.current(), &self.stack[results..]);
        self.graph.add_edge(from, join, self.position, frame.innermost_loop, results);
        let block = self.graph.joins[join].block;
        self.terminate(Terminator::Jump(BlockCall::new(block)));
    }

    fn open_try_table(&mut self, table: TryTable) {
        // Labels of clauses count from outside of the `try_table`.
        let catches: Vec<ActiveCatch> = if self.current.is_some() {
            let target = |builder: &mut Self, catch: Catch| {
                let label = match catch {
                    Catch::One { label, .. }
                    | Catch::OneRef { label, .. }
                    | Catch::All { label }
                    | Catch::AllRef { label } => label,
                };
                ActiveCatch { catch, target: builder.target(label) }
            };
            table.catches.into_iter().map(|catch| target(self, catch)).collect()
        } else {
            Vec::new()
        };
        self.open(FrameKind::TryTable, table.ty);
        if !catches.is_empty() {
            self.catch_groups.push(self.catches.len());
            self.catches.extend(catches);
        }
    }

    fn close(&mut self) {
        let mut frame = self.frames.pop().expect("validated");
        if frame.dead {
            return;
        }
        self.graph.constructs[frame.construct].end = self.position;
        if let Some(&start) = self.catch_groups.get(frame.catch_groups_outside) {
            self.catches.truncate(start);
            self.catch_groups.truncate(frame.catch_groups_outside);
        }
        match frame.kind {
            FrameKind::Function => {
                if self.current.is_some() {
                    let results = self.top(frame.result_count as usize);
                    self.terminate(Terminator::Return(results));
                }
                return;
            }
            FrameKind::Loop => {
                // A loop's label is at its start, so its end is reached from the code before it only.
                if self.current.is_none() {
                    self.stack.truncate(frame.height);
                }
                return;
            }
            FrameKind::If => {
                self.graph.constructs[frame.assignments_in].end = self.position;
                let start = self.graph.constructs[frame.construct].start;
                let (branch, values) = frame.branch.take().expect("an if that is reached has a branch");
                let join = join_of(&mut frame, &mut self.func, &mut self.graph);
                self.graph.add_edge(branch, join, start, frame.innermost_loop, &values);
                self.set_else_target(branch, self.graph.joins[join].block);
            }
            FrameKind::Block | FrameKind::Else | FrameKind::TryTable => {}
        }
        if frame.join.is_some() && self.current.is_some() {
            self.jump_to_end(&mut frame);
        }
        let Some(join) = frame.join else {
            if self.current.is_none() {
                self.stack.truncate(frame.height);
            }
            return;
        };
        let block = self.graph.joins[join].block;
        self.graph.constructs[frame.construct].end_join = Some(join);
        self.stack.truncate(frame.height);
        if frame.result_count > 0 {
            self.push_parameters(join, &self.result_types(frame.ty));
        }
        self.start(block);
        self.run_start = self.position;
    }

    // Branches.

    fn target(&mut self, relative_depth: u32) -> Target {
        let index = self.frames.len() - 1 - relative_depth as usize;
        if index == 0 {
            return Target::Return;
        }
        Target::Join(join_of(&mut self.frames[index], &mut self.func, &mut self.graph))
    }

    fn innermost_loop(&self) -> Option<ConstructId> {
        self.frames.last().expect("the function is open").innermost_loop
    }

    /// A jump from `from`, here, to a join, with the topmost operands.
    fn edge(&mut self, from: Block, join: JoinId) -> BlockCall {
        let values = self.stack.len() - self.graph.joins[join].stack_values as usize;
        self.graph.add_edge(from, join, self.position, self.innermost_loop(), &self.stack[values..]);
        BlockCall::new(self.graph.joins[join].block)
    }

    /// A block that returns from the function with the topmost operands.
    fn return_block(&mut self) -> Block {
        let block = self.add_block();
        self.func.blocks[block].terminator = Terminator::Return(self.top(self.func.results.len()));
        block
    }

    fn branch(&mut self, relative_depth: u32) {
        let terminator = match self.target(relative_depth) {
            Target::Join(join) => Terminator::Jump(self.edge(self.current(), join)),
            Target::Return => Terminator::Return(self.top(self.func.results.len())),
        };
        self.terminate(terminator);
    }

    fn branch_if(&mut self, relative_depth: u32, likely: Option<bool>) {
        let condition = self.pop();
        let then_target = match self.target(relative_depth) {
            Target::Join(join) => self.edge(self.current(), join),
            Target::Return => BlockCall::new(self.return_block()),
        };
        let next = self.func.add_block();
        let else_target = BlockCall::new(next);
        self.terminate(Terminator::Branch { condition, then_target, else_target, likely });
        self.start(next);
    }

    fn branch_table(&mut self, table: &BrTable<'_>) -> Result<(), OpaqueReason> {
        let index = self.pop();
        let from = self.current();
        let mut return_block = None;
        let mut call = |builder: &mut Self, depth| match builder.target(depth) {
            Target::Join(join) => builder.edge(from, join),
            Target::Return => BlockCall::new(*return_block.get_or_insert_with(|| builder.return_block())),
        };
        let mut targets = Vec::with_capacity(table.len() as usize);
        for depth in table.targets() {
            targets.push(call(self, depth.expect("the reader has been over these bytes before")));
            if self.graph.edge_values.len() > self.size_limit.entries {
                return Err(OpaqueReason::TooLarge);
            }
        }
        let default = call(self, table.default());
        self.terminate(Terminator::Switch { index, targets, default });
        Ok(())
    }

    fn branch_on_reference(&mut self, operator: Operator<'_>) {
        let reference = self.pop();
        // The label means nothing in the IR, so that equal tests are equal operators.
        let (depth, canonical, taken_type, not_taken_type) = match operator {
            Operator::BrOnNull { relative_depth } => {
                let non_null = ValType::Ref(self.reference_type(reference).as_non_null());
                (relative_depth, Operator::BrOnNull { relative_depth: 0 }, None, Some(non_null))
            }
            Operator::BrOnNonNull { relative_depth } => {
                let non_null = ValType::Ref(self.reference_type(reference).as_non_null());
                (relative_depth, Operator::BrOnNonNull { relative_depth: 0 }, Some(non_null), None)
            }
            Operator::BrOnCast { relative_depth, from_ref_type, to_ref_type } => (
                relative_depth,
                Operator::BrOnCast { relative_depth: 0, from_ref_type, to_ref_type },
                Some(ValType::Ref(to_ref_type)),
                Some(ValType::Ref(RefType::difference(from_ref_type, to_ref_type))),
            ),
            Operator::BrOnCastFail { relative_depth, from_ref_type, to_ref_type } => (
                relative_depth,
                Operator::BrOnCastFail { relative_depth: 0, from_ref_type, to_ref_type },
                Some(ValType::Ref(RefType::difference(from_ref_type, to_ref_type))),
                Some(ValType::Ref(to_ref_type)),
            ),
            _ => unreachable!("not a branch on a reference"),
        };
        let operator = self.func.operators.intern(canonical);
        let target = self.target(depth);
        let taken = self.add_block();
        if let Some(ty) = taken_type {
            let value = self.func.add_block_param(taken, ty);
            self.stack.push(value);
        }
        self.func.blocks[taken].terminator = match target {
            Target::Join(join) => Terminator::Jump(self.edge(taken, join)),
            Target::Return => Terminator::Return(self.top(self.func.results.len())),
        };
        if taken_type.is_some() {
            self.pop();
        }
        let not_taken = self.func.add_block();
        if let Some(ty) = not_taken_type {
            let value = self.func.add_block_param(not_taken, ty);
            self.stack.push(value);
        }
        self.terminate(Terminator::BranchOnReference { operator, reference, taken, not_taken });
        self.start(not_taken);
    }

    fn reference_type(&self, value: Value) -> RefType {
        match self.func.value_type(value) {
            ValType::Ref(reference) => reference,
            other => unreachable!("validation lets no {other} be a reference"),
        }
    }

    // Instructions with edges.

    fn resume(&mut self, operator: Operator<'_>) -> Result<(), OpaqueReason> {
        let empty = ResumeTable { handlers: Vec::new() };
        match operator {
            Operator::Resume { cont_type_index, resume_table } => {
                self.invoke(Operator::Resume { cont_type_index, resume_table: empty }, Some(resume_table))
            }
            Operator::ResumeThrow { cont_type_index, tag_index, resume_table } => self
                .invoke(Operator::ResumeThrow { cont_type_index, tag_index, resume_table: empty }, Some(resume_table)),
            Operator::ResumeThrowRef { cont_type_index, resume_table } => {
                self.invoke(Operator::ResumeThrowRef { cont_type_index, resume_table: empty }, Some(resume_table))
            }
            _ => unreachable!("not a resume"),
        }
    }

    /// An operator with handlers: those of a resume table, and the clauses of the enclosing `try_table`s.
    fn invoke(&mut self, operator: Operator<'_>, table: Option<ResumeTable>) -> Result<(), OpaqueReason> {
        let (pops, pushes) = self.arity(&operator);
        let returns = !matches!(operator, Operator::Throw { .. } | Operator::ThrowRef);
        let args = self.pop_many(pops);
        let operator = self.intern(operator);
        let normal = returns.then(|| {
            let types = self.take_pushed_types(pushes);
            // It comes before the landing blocks in the order of the source.
            let block = self.add_block();
            for &ty in &types {
                let value = self.func.add_block_param(block, ty);
                self.stack.push(value);
            }
            self.result_types = types;
            block
        });
        let height = self.stack.len();
        let mut handlers = Vec::new();
        for handle in table.into_iter().flat_map(|table| table.handlers) {
            handlers.push(match handle {
                Handle::OnLabel { tag, label } => {
                    let continuation = self.label_continuation_type(label);
                    let target = self.target(label);
                    let block = self.landing_block(Some(tag), Some(continuation), target);
                    Handler::Suspension { tag: TagId::from_u32(tag), block }
                }
                Handle::OnSwitch { tag } => Handler::Switch { tag: TagId::from_u32(tag) },
            });
        }
        self.exception_handlers(&mut handlers);
        debug_assert_eq!(self.stack.len(), height);
        self.handler_count += handlers.len();
        if self.handler_count > self.size_limit.entries {
            return Err(OpaqueReason::TooLarge);
        }
        self.terminate(Terminator::Invoke(Box::new(Invoke { operator, args, normal, handlers })));
        self.current = normal;
        Ok(())
    }

    fn exception_handlers(&mut self, handlers: &mut Vec<Handler>) {
        let exnref = ValType::Ref(RefType::EXNREF.as_non_null());
        let mut end = self.catches.len();
        for group in (0..self.catch_groups.len()).rev() {
            let start = self.catch_groups[group];
            for index in start..end {
                let ActiveCatch { catch, target } = self.catches[index];
                handlers.push(match catch {
                    Catch::One { tag, .. } => {
                        let block = self.landing_block(Some(tag), None, target);
                        Handler::Catch { tag: TagId::from_u32(tag), block }
                    }
                    Catch::OneRef { tag, .. } => {
                        let block = self.landing_block(Some(tag), Some(exnref), target);
                        Handler::CatchRef { tag: TagId::from_u32(tag), block }
                    }
                    Catch::All { .. } => Handler::CatchAll { block: self.landing_block(None, None, target) },
                    Catch::AllRef { .. } => {
                        Handler::CatchAllRef { block: self.landing_block(None, Some(exnref), target) }
                    }
                });
                if let Catch::All { .. } | Catch::AllRef { .. } = catch {
                    // Nothing gets past it.
                    return;
                }
            }
            end = start;
        }
    }

    /// The type of the continuation that a clause `(on $tag $label)` hands to its label: what the label takes, and not null.
    fn label_continuation_type(&self, relative_depth: u32) -> ValType {
        let frame = &self.frames[self.frames.len() - 1 - relative_depth as usize];
        let types = match frame.kind {
            FrameKind::Loop => self.param_types(frame.ty),
            _ => self.result_types(frame.ty),
        };
        match types.last() {
            Some(ValType::Ref(reference)) => ValType::Ref(reference.as_non_null()),
            other => unreachable!("validation lets a suspension lead to no label that ends with {other:?}"),
        }
    }

    /// A block that receives the parameters of a tag and a reference, and goes on to `target` with them.
    fn landing_block(&mut self, tag: Option<u32>, reference: Option<ValType>, target: Target) -> Block {
        let block = self.add_block();
        let height = self.stack.len();
        if let Some(tag) = tag {
            let ty = self.source.resources.tag_at(tag).expect("validated");
            for &ty in ty.params() {
                let value = self.func.add_block_param(block, self.source.numbered_type(ty));
                self.stack.push(value);
            }
        }
        if let Some(ty) = reference {
            let value = self.func.add_block_param(block, ty);
            self.stack.push(value);
        }
        self.func.blocks[block].terminator = match target {
            Target::Join(join) => Terminator::Jump(self.edge(block, join)),
            Target::Return => Terminator::Return(self.top(self.func.results.len())),
        };
        self.stack.truncate(height);
        block
    }
}

/// The join that the label of a frame leads to.
fn join_of(frame: &mut Frame, func: &mut Func, graph: &mut Graph) -> JoinId {
    // The block gets its place in the order of the source when the construct ends. A loop has its join from the start.
    *frame.join.get_or_insert_with(|| graph.add_join(func.add_block(), frame.result_count))
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
