//! Runs a body, as bytes and in SSA form, on an abstract machine, to compare what they do.
//!
//! Every operator is a hash function: its results are hashes of the operator, of its operands and of everything that happened before, and hashes decide which way
//! branches go and which handler an exception or suspension reaches. Two bodies that are not the same take different ways within a few steps.

use wasmfx_ir::entity::Entity;
use wasmfx_ir::func::{Block, Func, Handler, Terminator, Value};
use wasmfx_ir::module::LazyBody;
use wasmfx_ir::opcode::Opcode;
use wasmfx_ir::operator::hash_operator;
use wasmfx_ir::signature::fixed_arity;
use wasmparser::{
    BinaryReader, BlockType, Catch, FuncToValidate, FuncValidator, FunctionBody, Handle, Operator, ResumeTable, V128,
    ValType, ValidatorResources, WasmModuleResources,
};

/// How many operators or blocks a run goes through at most.
const MAX_STEPS: usize = 3000;

/// What happened.
#[derive(Debug, Default)]
pub struct Trace {
    events: Vec<u64>,
    /// Whether the run was cut off.
    cut: bool,
}

impl Trace {
    /// Whether two runs did the same, as far as both went.
    pub fn agrees(&self, other: &Self) -> bool {
        let len = if self.cut || other.cut {
            self.events.len().min(other.events.len())
        } else if self.events.len() == other.events.len() {
            self.events.len()
        } else {
            return false;
        };
        self.events[..len] == other.events[..len]
    }

    /// Something happens: the hash of it and of all before.
    fn event(&mut self, hash: u64) -> u64 {
        let before = self.events.last().copied().unwrap_or(0);
        let now = mix(before, hash);
        self.events.push(now);
        now
    }

    /// An operator is executed.
    fn apply(&mut self, operator: &Operator<'_>, operands: &[u64]) -> u64 {
        let hash = operands.iter().fold(hash_operator(operator), |hash, &operand| mix(hash, operand));
        if is_constant(operator) { hash } else { self.event(hash) }
    }
}

fn mix(a: u64, b: u64) -> u64 {
    let mut hash = a.rotate_left(23) ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ hash >> 29
}

/// Constants are not events, since the initial values of locals are constants that only SSA form has operators for.
fn is_constant(operator: &Operator<'_>) -> bool {
    Opcode::of(operator).is_const()
}

fn default_value(ty: ValType) -> u64 {
    let operator = match ty {
        ValType::I32 => Operator::I32Const { value: 0 },
        ValType::I64 => Operator::I64Const { value: 0 },
        ValType::F32 => Operator::F32Const { value: 0f32.into() },
        ValType::F64 => Operator::F64Const { value: 0f64.into() },
        ValType::V128 => Operator::V128Const { value: V128::from(0i128) },
        ValType::Ref(reference) => Operator::RefNull { hty: reference.heap_type() },
    };
    mix(hash_operator(&operator), 0)
}

fn argument(seed: u64, index: usize) -> u64 {
    mix(seed, index as u64 + 1)
}

/// Runs a body in SSA form.
pub fn run_func(func: &Func, seed: u64) -> Trace {
    let mut trace = Trace::default();
    let mut values = vec![0; func.value_count()];
    let mut block = func.entry;
    for (index, &param) in func.blocks[block].params.iter().enumerate() {
        values[param.index()] = argument(seed, index);
    }
    for _ in 0..MAX_STEPS {
        let data = &func.blocks[block];
        let get =
            |values: &[u64], list: &[Value]| -> Vec<u64> { list.iter().map(|value| values[value.index()]).collect() };
        for &inst in &data.insts {
            let hash = trace.apply(func.operator(inst), &get(&values, func.operands(inst)));
            for (index, result) in func.inst_results(inst).enumerate() {
                values[result.index()] = mix(hash, index as u64);
            }
        }
        let jump = |values: &mut [u64], target: Block, arguments: &[u64]| {
            for (param, &argument) in func.blocks[target].params.iter().zip(arguments) {
                values[param.index()] = argument;
            }
            target
        };
        let call = match &data.terminator {
            Terminator::Missing => panic!("{block} has no end"),
            Terminator::Unreachable => {
                trace.event(1);
                return trace;
            }
            Terminator::Return(results) => {
                let results = get(&values, results);
                results.iter().for_each(|&result| _ = trace.event(result));
                trace.event(2);
                return trace;
            }
            Terminator::TailCall { operator, args } => {
                trace.apply(&func.operators[*operator], &get(&values, args));
                return trace;
            }
            Terminator::Jump(call) => call,
            Terminator::Branch { condition, then_target, else_target, .. } => {
                let taken = values[condition.index()] & 1 != 0;
                trace.event(u64::from(taken));
                if taken { then_target } else { else_target }
            }
            Terminator::Switch { index, targets, default } => {
                let index = (values[index.index()] % (targets.len() as u64 + 1)) as usize;
                trace.event(index as u64);
                targets.get(index).unwrap_or(default)
            }
            Terminator::BranchOnReference { operator, reference, taken, not_taken } => {
                let reference = values[reference.index()];
                let hash = trace.apply(&func.operators[*operator], &[reference]);
                block = jump(&mut values, if hash & 1 != 0 { *taken } else { *not_taken }, &[reference]);
                continue;
            }
            Terminator::Invoke(invoke) => {
                let hash = trace.apply(&func.operators[invoke.operator], &get(&values, &invoke.args));
                let targets: Vec<Block> = invoke.handlers.iter().filter_map(Handler::block).collect();
                let way = (hash >> 8) % (targets.len() as u64 + 1);
                let target = if way == 0 { invoke.normal } else { Some(targets[way as usize - 1]) };
                let Some(target) = target else { return trace };
                let payload: Vec<u64> =
                    (0..func.blocks[target].params.len()).map(|index| mix(hash, index as u64)).collect();
                block = jump(&mut values, target, &payload);
                continue;
            }
        };
        let arguments = get(&values, &call.args);
        assert_eq!(arguments.len(), func.blocks[call.block].params.len());
        block = jump(&mut values, call.block, &arguments);
    }
    trace.cut = true;
    trace
}

struct Frame {
    /// Where a branch to it goes on.
    target: usize,
    /// How many values a branch takes along.
    branch_values: usize,
    height: usize,
    catches: Vec<Catch>,
}

struct Machine<'a> {
    body: &'a LazyBody,
    arity: FuncValidator<ValidatorResources>,
    operators: Vec<Operator<'a>>,
    /// For each operator that opens a construct: where its `else` and its `end` are.
    other: Vec<(usize, usize)>,
    frames: Vec<Frame>,
    stack: Vec<u64>,
    locals: Vec<u64>,
    trace: Trace,
}

/// Runs the bytes of a body.
pub fn run_bytes(body: &LazyBody, seed: u64) -> Trace {
    let source = &body.source;
    let bytes = &source.bytes[body.range.clone()];
    let reader = FunctionBody::new(BinaryReader::new_features(bytes, 0, source.features));
    let type_index = source.resources.type_index_of_function(body.index).unwrap();
    let ty = source.resources.sub_type_at(type_index).unwrap().unwrap_func();
    let mut locals: Vec<u64> = (0..ty.params().len()).map(|index| argument(seed, index)).collect();
    for group in reader.get_locals_reader().unwrap() {
        let (count, ty) = group.unwrap();
        locals.extend((0..count).map(|_| default_value(ty)));
    }
    let operators: Vec<Operator<'_>> = reader.get_operators_reader().unwrap().into_iter().map(Result::unwrap).collect();
    let mut other = vec![(usize::MAX, usize::MAX); operators.len()];
    let mut open = vec![];
    for (index, operator) in operators.iter().enumerate() {
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                open.push(index);
            }
            Operator::Else => other[*open.last().unwrap()].0 = index,
            Operator::End => {
                if let Some(opening) = open.pop() {
                    other[opening].1 = index;
                    let else_index = other[opening].0;
                    if else_index != usize::MAX {
                        other[else_index].1 = index;
                    }
                }
            }
            _ => {}
        }
    }
    let arity = FuncToValidate {
        resources: source.resources.clone(),
        index: body.index,
        ty: type_index,
        features: source.features,
    };
    let mut machine = Machine {
        body,
        arity: arity.into_validator(Default::default()),
        operators,
        other,
        frames: vec![Frame { target: usize::MAX, branch_values: ty.results().len(), height: 0, catches: vec![] }],
        stack: vec![],
        locals,
        trace: Trace::default(),
    };
    machine.run();
    machine.trace
}

impl Machine<'_> {
    fn block_arity(&self, ty: BlockType) -> (usize, usize) {
        match ty {
            BlockType::Empty => (0, 0),
            BlockType::Type(_) => (0, 1),
            BlockType::FuncType(index) => {
                let ty = self.body.source.resources.sub_type_at(index).unwrap().unwrap_func();
                (ty.params().len(), ty.results().len())
            }
        }
    }

    fn pop_many(&mut self, count: usize) -> Vec<u64> {
        self.stack.split_off(self.stack.len() - count)
    }

    /// Goes to a label; `None` if that leaves the function.
    fn branch(&mut self, depth: u32) -> Option<usize> {
        let index = self.frames.len() - 1 - depth as usize;
        let values = self.pop_many(self.frames[index].branch_values);
        let frame = &self.frames[index];
        if frame.target == usize::MAX {
            self.leave(&values);
            return None;
        }
        self.stack.truncate(frame.height);
        self.stack.extend(values);
        let target = frame.target;
        // A loop's label opens it again; others are behind the end.
        self.frames.truncate(index);
        Some(target)
    }

    fn leave(&mut self, results: &[u64]) {
        results.iter().for_each(|&result| _ = self.trace.event(result));
        self.trace.event(2);
    }

    fn open(&mut self, at: usize, ty: BlockType, catches: Vec<Catch>) {
        let (params, results) = self.block_arity(ty);
        let is_loop = matches!(self.operators[at], Operator::Loop { .. });
        let (target, branch_values) = if is_loop { (at, params) } else { (self.other[at].1 + 1, results) };
        self.frames.push(Frame { target, branch_values, height: self.stack.len() - params, catches });
    }

    /// An operator that may reach a handler, or go on. Returns where to go on.
    fn with_handlers(&mut self, next: usize, operator: &Operator<'_>, table: &[Handle]) -> Option<usize> {
        let (pops, pushes) = operator.operator_arity(&self.arity).unwrap();
        let operands = self.pop_many(pops as usize);
        let hash = self.trace.apply(operator, &operands);
        // Where each clause leads (as a label here), and how many values it brings.
        let tag_params = |machine: &Self, tag| machine.body.source.resources.tag_at(tag).unwrap().params().len();
        let mut ways: Vec<(u32, usize)> = Vec::new();
        for handle in table {
            if let Handle::OnLabel { tag, label } = *handle {
                ways.push((label, tag_params(self, tag) + 1));
            }
        }
        'frames: for (depth, frame) in self.frames.iter().rev().enumerate() {
            for catch in &frame.catches {
                // Labels of clauses count from outside of the `try_table`.
                let outside = depth as u32 + 1;
                match *catch {
                    Catch::One { tag, label } => ways.push((label + outside, tag_params(self, tag))),
                    Catch::OneRef { tag, label } => ways.push((label + outside, tag_params(self, tag) + 1)),
                    Catch::All { label } => ways.push((label + outside, 0)),
                    Catch::AllRef { label } => ways.push((label + outside, 1)),
                }
                if let Catch::All { .. } | Catch::AllRef { .. } = catch {
                    break 'frames;
                }
            }
        }
        // What cannot reach a handler is a plain instruction, for which this is always 0.
        let way = (hash >> 8) % (ways.len() as u64 + 1);
        let throws = matches!(operator, Operator::Throw { .. } | Operator::ThrowRef);
        if way == 0 {
            self.stack.extend((0..u64::from(pushes)).map(|index| mix(hash, index)));
            return (!throws).then_some(next);
        }
        let (label, values) = ways[way as usize - 1];
        self.stack.extend((0..values as u64).map(|index| mix(hash, index)));
        self.branch(label)
    }

    fn run(&mut self) {
        let mut at = 0;
        for _ in 0..MAX_STEPS * 4 {
            match self.step(at) {
                Some(next) => at = next,
                None => return,
            }
        }
        self.trace.cut = true;
    }

    /// Executes an operator, and returns which one comes next, if any.
    fn step(&mut self, at: usize) -> Option<usize> {
        let next = at + 1;
        let operator = self.operators[at].clone();
        match operator {
            Operator::Nop => {}
            Operator::Drop => _ = self.stack.pop(),
            Operator::LocalGet { local_index } => self.stack.push(self.locals[local_index as usize]),
            Operator::LocalSet { local_index } => self.locals[local_index as usize] = self.stack.pop().unwrap(),
            Operator::LocalTee { local_index } => self.locals[local_index as usize] = *self.stack.last().unwrap(),
            Operator::Unreachable => {
                self.trace.event(1);
                return None;
            }
            Operator::Block { blockty } | Operator::Loop { blockty } => self.open(at, blockty, vec![]),
            Operator::TryTable { try_table } => self.open(at, try_table.ty, try_table.catches),
            Operator::If { blockty } => {
                let taken = self.decide();
                self.open(at, blockty, vec![]);
                let (otherwise, end) = self.other[at];
                return Some(match (taken, otherwise) {
                    (true, _) => next,
                    (false, usize::MAX) => end,
                    (false, otherwise) => otherwise + 1,
                });
            }
            Operator::Else => return Some(self.other[at].1),
            Operator::End if self.frames.len() > 1 => _ = self.frames.pop(),
            Operator::End | Operator::Return => {
                let results = self.pop_many(self.frames[0].branch_values);
                self.leave(&results);
                return None;
            }
            Operator::Br { relative_depth } => return self.branch(relative_depth),
            Operator::BrIf { relative_depth } => {
                if self.decide() {
                    return self.branch(relative_depth);
                }
            }
            Operator::BrTable { targets } => {
                let index = self.stack.pop().unwrap() % (u64::from(targets.len()) + 1);
                self.trace.event(index);
                let label = targets.targets().nth(index as usize).map_or(targets.default(), Result::unwrap);
                return self.branch(label);
            }
            // The label of a branch on a reference means nothing in the IR.
            Operator::BrOnNull { relative_depth } => {
                return self.branch_on_reference(&Operator::BrOnNull { relative_depth: 0 }, relative_depth, next);
            }
            Operator::BrOnNonNull { relative_depth } => {
                return self.branch_on_reference(&Operator::BrOnNonNull { relative_depth: 0 }, relative_depth, next);
            }
            Operator::BrOnCast { relative_depth, from_ref_type, to_ref_type } => {
                let canonical = Operator::BrOnCast { relative_depth: 0, from_ref_type, to_ref_type };
                return self.branch_on_reference(&canonical, relative_depth, next);
            }
            Operator::BrOnCastFail { relative_depth, from_ref_type, to_ref_type } => {
                let canonical = Operator::BrOnCastFail { relative_depth: 0, from_ref_type, to_ref_type };
                return self.branch_on_reference(&canonical, relative_depth, next);
            }
            Operator::Resume { .. } | Operator::ResumeThrow { .. } | Operator::ResumeThrowRef { .. } => {
                let (canonical, table) = without_table(operator);
                return self.with_handlers(next, &canonical, &table.handlers);
            }
            Operator::Call { .. }
            | Operator::CallIndirect { .. }
            | Operator::CallRef { .. }
            | Operator::Suspend { .. }
            | Operator::Switch { .. }
            | Operator::Throw { .. }
            | Operator::ThrowRef => return self.with_handlers(next, &operator, &[]),
            operator => {
                let (pops, pushes) = fixed_arity(&operator).unwrap_or_else(|| {
                    let (pops, pushes) = operator.operator_arity(&self.arity).unwrap();
                    (pops as usize, pushes as usize)
                });
                let operands = self.pop_many(pops);
                let hash = self.trace.apply(&operator, &operands);
                self.stack.extend((0..pushes as u64).map(|index| mix(hash, index)));
                if is_tail_call(&operator) {
                    return None;
                }
            }
        }
        Some(next)
    }

    fn decide(&mut self) -> bool {
        let taken = self.stack.pop().unwrap() & 1 != 0;
        self.trace.event(u64::from(taken));
        taken
    }

    fn branch_on_reference(&mut self, canonical: &Operator<'_>, depth: u32, next: usize) -> Option<usize> {
        let reference = self.stack.pop().unwrap();
        let taken = self.trace.apply(canonical, &[reference]) & 1 != 0;
        let stays = match canonical {
            Operator::BrOnNull { .. } => !taken,
            Operator::BrOnNonNull { .. } => taken,
            _ => true,
        };
        if stays {
            self.stack.push(reference);
        }
        if taken { self.branch(depth) } else { Some(next) }
    }
}

fn is_tail_call(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } | Operator::ReturnCallRef { .. }
    )
}

fn without_table(operator: Operator<'_>) -> (Operator<'_>, ResumeTable) {
    let empty = ResumeTable { handlers: vec![] };
    match operator {
        Operator::Resume { cont_type_index, resume_table } => {
            (Operator::Resume { cont_type_index, resume_table: empty }, resume_table)
        }
        Operator::ResumeThrow { cont_type_index, tag_index, resume_table } => {
            (Operator::ResumeThrow { cont_type_index, tag_index, resume_table: empty }, resume_table)
        }
        Operator::ResumeThrowRef { cont_type_index, resume_table } => {
            (Operator::ResumeThrowRef { cont_type_index, resume_table: empty }, resume_table)
        }
        other => panic!("not a resume: {other:?}"),
    }
}

/// Compares a body as bytes and in SSA form, `runs` times.
///
/// # Panics
/// If they do different things.
pub fn assert_same(body: &LazyBody, func: &Func, runs: u64) {
    for seed in 0..runs {
        let (bytes, lifted) = (run_bytes(body, seed), run_func(func, seed));
        assert!(bytes.agrees(&lifted), "function {} does something else in SSA form (seed {seed})\n{func}", body.index);
    }
}
