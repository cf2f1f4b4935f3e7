//! Copying one function's body into another, in place of a call.

use wasmfx_ir::entity::SecondaryMap;
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

/// Copies bodies into one function, whose blocks the caller goes through meanwhile.
pub struct Inliner<'a> {
    /// The function that grows.
    pub caller: &'a mut Func,
    /// How many source locals it has.
    local_count: u32,
}

/// The results of what a tail call calls.
pub type TailCallResults<'a> = &'a dyn Fn(&Operator<'static>) -> Box<[ValType]>;

impl<'a> Inliner<'a> {
    /// Begins with a function as it is.
    pub fn new(caller: &'a mut Func) -> Self {
        let local_count = caller.source_local_count();
        Self { caller, local_count }
    }

    /// Puts the body of a callee at the end of `block`, which has no terminator yet, in place of `call`, which is in no block.
    /// What follows the call belongs to the block that is returned, which has no terminator either. Tail calls of the callee become ordinary ones.
    ///
    /// # Panics
    /// If the instruction is not a call with as many operands as the callee has parameters.
    pub fn inline_call(&mut self, block: Block, call: Inst, callee: &Func, results: TailCallResults<'_>) -> Block {
        let caller = &mut *self.caller;
        let args: ValueVec = caller.operands(call).iter().map(|&value| caller.resolve(value)).collect();
        let rest = caller.add_block();
        for (index, result) in caller.inst_results(call).enumerate() {
            let param = caller.add_block_param(rest, callee.results[index]);
            caller.source_locals[param] = caller.source_locals[result];
            caller.make_alias(result, param);
        }
        let entry = self.copy_body(callee, &Exit::Continue(rest), results);
        self.caller.blocks[block].terminator = Terminator::Jump(BlockCall { block: entry, args });
        rest
    }

    /// Replaces the tail call that ends `block` by the body of its callee.
    ///
    /// # Panics
    /// If the block does not end with a tail call.
    pub fn inline_tail_call(&mut self, block: Block, callee: &Func, results: TailCallResults<'_>) {
        let Terminator::TailCall { args, .. } = self.caller.blocks[block].terminator.clone() else {
            panic!("{block} does not end with a tail call");
        };
        let entry = self.copy_body(callee, &Exit::Return, results);
        self.caller.blocks[block].terminator = Terminator::Jump(BlockCall { block: entry, args });
    }

    /// Copies all of the callee's blocks; returns the copy of its entry.
    fn copy_body(&mut self, callee: &Func, exit: &Exit, results: TailCallResults<'_>) -> Block {
        // The caller is to grow: its old bytes, with the call, would win by size.
        self.caller.original = None;
        let mut copy = BodyCopy {
            first_local: self.local_count,
            blocks: SecondaryMap::with_default_and_len(callee.entry, callee.blocks.len()),
            values: SecondaryMap::with_default_and_len(Value::from_u32(0), callee.value_count()),
            operators: SecondaryMap::with_default_and_len(None, callee.operators.len()),
            caller: &mut *self.caller,
            callee,
        };
        copy.caller.local_names.resize(self.local_count as usize, None);
        copy.caller.local_names.extend(callee.local_names.iter().cloned());
        self.local_count += callee.source_local_count();
        copy.copy(exit, results)
    }
}

/// The call operator that does what a tail call does, but returns.
pub fn call_of_tail_call(operator: &Operator<'static>) -> Operator<'static> {
    match *operator {
        Operator::ReturnCall { function_index } => Operator::Call { function_index },
        Operator::ReturnCallIndirect { type_index, table_index } => Operator::CallIndirect { type_index, table_index },
        Operator::ReturnCallRef { type_index } => Operator::CallRef { type_index },
        ref other => panic!("{other:?} is not a tail call"),
    }
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
    /// Copies all blocks; returns the copy of the entry.
    fn copy(&mut self, exit: &Exit, tail_call_results: TailCallResults<'_>) -> Block {
        let callee = self.callee;
        for (block, data) in callee.blocks.iter() {
            let new = self.caller.add_block();
            self.blocks[block] = new;
            for &param in &data.params {
                let value = self.caller.add_block_param(new, callee.value_type(param));
                self.set_value(param, value);
            }
        }
        // Definitions may stand after uses in block order, so all results get their values before any operand is looked up.
        let mut insts: Vec<(Block, Inst, Inst)> = Vec::new();
        for (block, data) in callee.blocks.iter() {
            for &inst in &data.insts {
                let operator = self.operator(callee.operator_id(inst));
                let results: ValueVec = callee.inst_results(inst).collect();
                let types: Vec<ValType> = results.iter().map(|&value| callee.value_type(value)).collect();
                let new = self.caller.create_inst(operator, callee.operands(inst), &types);
                for (old, new) in results.into_iter().zip(self.caller.inst_results(new)) {
                    self.set_value(old, new);
                }
                insts.push((block, inst, new));
            }
        }
        for (block, inst, new) in insts {
            for index in 0..callee.operands(inst).len() {
                self.caller.operands_mut(new)[index] = self.value(callee.operands(inst)[index]);
            }
            let target = self.blocks[block];
            self.caller.blocks[target].insts.push(new);
        }
        for (block, data) in callee.blocks.iter() {
            self.copy_terminator(self.blocks[block], &data.terminator, exit, tail_call_results);
        }
        self.blocks[callee.entry]
    }

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

    fn value(&mut self, old: Value) -> Value {
        let old = self.callee.resolve(old);
        match self.callee.is_undefined(old) {
            true => self.caller.undefined(self.callee.value_type(old)),
            false => self.values[old],
        }
    }

    fn copy_terminator(
        &mut self,
        target: Block,
        terminator: &Terminator,
        exit: &Exit,
        tail_call_results: TailCallResults<'_>,
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

/// The callee of a direct call instruction.
pub fn direct_callee(operator: &Operator<'static>) -> Option<FunctionId> {
    match *operator {
        Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
            Some(FunctionId::from_u32(function_index))
        }
        _ => None,
    }
}
