//! Copying one function's body into another, in place of a call.

use wasmfx_ir::entity::{Entity, SecondaryMap};
use wasmfx_ir::func::{Block, BlockCall, Func, Inst, Invoke, OperatorId, SourceLocal, Terminator, Value, ValueVec};
use wasmfx_ir::module::FunctionId;
use wasmfx_ir::wasmparser::{Operator, ValType};

/// Where the results of an inlined body go.
#[derive(Clone, Debug)]
enum Exit {
    /// To the block that holds what followed the call; its parameters are the results.
    Continue(Block),
    /// Out of the caller as well: the call was a tail call.
    Return,
}

/// Replaces the call at position `at` of `block` by the body of its callee. What followed the call moves to a new block, which is returned.
///
/// `signature_results` are the callee's result types; `function_results` gives those of any function type, for tail calls of the callee,
/// which become ordinary calls.
///
/// # Panics
/// If the instruction is not a call with as many operands as the callee has parameters.
pub fn inline_call(
    caller: &mut Func,
    block: Block,
    at: usize,
    callee: &Func,
    tail_call_results: &dyn Fn(&Operator<'static>) -> Box<[ValType]>,
) -> Block {
    let inst = caller.blocks[block].insts[at];
    let args: ValueVec = caller.operands(inst).iter().map(|&value| caller.resolve(value)).collect();
    let rest = caller.add_block();
    for (index, result) in caller.inst_results(inst).enumerate() {
        let param = caller.add_block_param(rest, callee.results[index]);
        caller.source_locals[param] = caller.source_locals[result];
        caller.make_alias(result, param);
    }
    caller.blocks[rest].insts = caller.blocks[block].insts.split_off(at + 1);
    caller.blocks[block].insts.pop();
    caller.blocks[rest].terminator = std::mem::take(&mut caller.blocks[block].terminator);
    let entry = copy_body(caller, callee, &Exit::Continue(rest), tail_call_results);
    caller.blocks[block].terminator = Terminator::Jump(BlockCall { block: entry, args });
    rest
}

/// Replaces the tail call that ends `block` by the body of its callee.
///
/// # Panics
/// If the block does not end with a tail call.
pub fn inline_tail_call(
    caller: &mut Func,
    block: Block,
    callee: &Func,
    tail_call_results: &dyn Fn(&Operator<'static>) -> Box<[ValType]>,
) {
    let Terminator::TailCall { args, .. } = caller.blocks[block].terminator.clone() else {
        panic!("{block} does not end with a tail call");
    };
    let entry = copy_body(caller, callee, &Exit::Return, tail_call_results);
    caller.blocks[block].terminator = Terminator::Jump(BlockCall { block: entry, args });
}

/// The call operator that does what a tail call does, but returns.
fn call_of_tail_call(operator: &Operator<'static>) -> Operator<'static> {
    match *operator {
        Operator::ReturnCall { function_index } => Operator::Call { function_index },
        Operator::ReturnCallIndirect { type_index, table_index } => Operator::CallIndirect { type_index, table_index },
        Operator::ReturnCallRef { type_index } => Operator::CallRef { type_index },
        ref other => panic!("{other:?} is not a tail call"),
    }
}

/// Copies all of the callee's blocks; returns the copy of its entry.
fn copy_body(
    caller: &mut Func,
    callee: &Func,
    exit: &Exit,
    tail_call_results: &dyn Fn(&Operator<'static>) -> Box<[ValType]>,
) -> Block {
    // The caller is to grow: its old bytes, with the call, would win by size.
    caller.original = None;
    let first_local = source_local_count(caller);
    let mut copy = BodyCopy {
        first_local,
        blocks: SecondaryMap::with_default_and_len(callee.entry, callee.blocks.len()),
        values: SecondaryMap::with_default_and_len(Value::from_u32(0), callee.value_count()),
        operators: SecondaryMap::with_default_and_len(None, callee.operators.len()),
        caller,
        callee,
    };
    copy.caller.local_names.resize(first_local as usize, None);
    copy.caller.local_names.extend(callee.local_names.iter().cloned());
    for (block, data) in callee.blocks.iter() {
        let new = copy.caller.add_block();
        copy.blocks[block] = new;
        for &param in &data.params {
            let value = copy.caller.add_block_param(new, callee.value_type(param));
            copy.set_value(param, value);
        }
    }
    // Definitions may stand after uses in block order, so all results get their values before any operand is looked up.
    let mut insts: Vec<(Block, Inst, Inst)> = Vec::new();
    for (block, data) in callee.blocks.iter() {
        for &inst in &data.insts {
            let operator = copy.operator(callee.operator_id(inst));
            let results: ValueVec = callee.inst_results(inst).collect();
            let types: Vec<ValType> = results.iter().map(|&value| callee.value_type(value)).collect();
            let new = copy.caller.create_inst(operator, callee.operands(inst), &types);
            for (old, new) in results.into_iter().zip(copy.caller.inst_results(new)) {
                copy.set_value(old, new);
            }
            insts.push((block, inst, new));
        }
    }
    for (block, inst, new) in insts {
        for index in 0..callee.operands(inst).len() {
            copy.caller.operands_mut(new)[index] = copy.value(callee.operands(inst)[index]);
        }
        let target = copy.blocks[block];
        copy.caller.blocks[target].insts.push(new);
    }
    for (block, data) in callee.blocks.iter() {
        copy.copy_terminator(copy.blocks[block], &data.terminator, exit, tail_call_results);
    }
    copy.blocks[callee.entry]
}

struct BodyCopy<'a> {
    caller: &'a mut Func,
    callee: &'a Func,
    first_local: u32,
    blocks: SecondaryMap<Block, Block>,
    values: SecondaryMap<Value, Value>,
    operators: SecondaryMap<OperatorId, Option<OperatorId>>,
}

impl BodyCopy<'_> {
    fn operator(&mut self, id: OperatorId) -> OperatorId {
        if let Some(known) = self.operators[id] {
            return known;
        }
        let new = self.caller.operators.intern(self.callee.operators[id].clone());
        self.operators[id] = Some(new);
        new
    }

    fn set_value(&mut self, old: Value, new: Value) {
        self.values[old] = new;
        if let Some(local) = self.callee.source_locals[old] {
            self.caller.source_locals[new] = Some(SourceLocal::from_u32(self.first_local + local.as_u32()));
        }
    }

    fn value(&self, old: Value) -> Value {
        self.values[self.callee.resolve(old)]
    }

    fn copy_terminator(
        &mut self,
        target: Block,
        terminator: &Terminator,
        exit: &Exit,
        tail_call_results: &dyn Fn(&Operator<'static>) -> Box<[ValType]>,
    ) {
        let mut copy = terminator.clone();
        copy.for_each_value_mut(|value| *value = self.value(*value));
        copy.for_each_successor_mut(|block| *block = self.blocks[*block]);
        let copy = match (copy, exit) {
            (Terminator::Return(values), Exit::Continue(rest)) => {
                Terminator::Jump(BlockCall { block: *rest, args: values })
            }
            (Terminator::TailCall { operator, args }, Exit::Continue(rest)) => {
                let operator = self.callee.operators[operator].clone();
                let results = tail_call_results(&operator);
                let call = self.caller.append(target, call_of_tail_call(&operator), &args, &results);
                let results = self.caller.inst_results(call);
                Terminator::Jump(BlockCall::with_args(*rest, results))
            }
            (Terminator::TailCall { operator, args }, Exit::Return) => {
                Terminator::TailCall { operator: self.operator(operator), args }
            }
            (Terminator::Invoke(invoke), _) => {
                let operator = self.operator(invoke.operator);
                Terminator::Invoke(Box::new(Invoke { operator, ..*invoke }))
            }
            (Terminator::BranchOnReference { operator, reference, taken, not_taken }, _) => {
                let operator = self.operator(operator);
                Terminator::BranchOnReference { operator, reference, taken, not_taken }
            }
            (
                other @ (Terminator::Missing
                | Terminator::Unreachable
                | Terminator::Jump(_)
                | Terminator::Branch { .. }
                | Terminator::Switch { .. }
                | Terminator::Return(_)),
                _,
            ) => other,
        };
        self.caller.blocks[target].terminator = copy;
    }
}

/// One more than the highest source local that a value or a name of this body has.
fn source_local_count(func: &Func) -> u32 {
    let hinted = (0..func.source_locals.len())
        .filter_map(|index| func.source_locals[Value::from_index(index)])
        .map(|local| local.as_u32() + 1)
        .max()
        .unwrap_or(0);
    hinted.max(func.local_names.len() as u32)
}

/// The callee of a direct call instruction.
pub fn direct_callee(operator: &Operator<'static>) -> Option<FunctionId> {
    match *operator {
        Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
            Some(FunctionId::from_u32(function_index))
        }
        _ => None,
    }
}
