//! Operators on continuation references, in bodies and elsewhere, become operators on what the store has for them.

use super::builder::{Builder, build_before};
use super::store::Kind;
use super::{Error, Lowering};
use wasmfx_ir::func::{BlockCall, Func, Inst, Terminator, Value};
use wasmfx_ir::module::{ConstExpr, FunctionId, TableId, TypeId};
use wasmfx_ir::operator::default_operator;
use wasmfx_ir::wasmparser::{HeapType, Operator, ValType};

impl Lowering<'_> {
    fn is_original_continuation_heap(&self, heap: HeapType) -> bool {
        self.is_original_continuation(super::values::nullable(heap))
    }

    /// Translates everything in a body but the instructions that suspend and resume.
    pub(super) fn translate_body(&mut self, func: &mut Func) -> Result<(), Error> {
        func.resolve_aliases();
        let values = u32::try_from(func.value_count()).expect("values are numbered by u32");
        let mut continuations = vec![false; func.value_count()];
        for value in (0..values).map(Value::from_u32) {
            let ty = func.value_type(value);
            if self.is_original_continuation(ty) {
                continuations[value.as_u32() as usize] = true;
                func.set_value_type(value, self.lowered_type(ty));
            }
        }
        let is_continuation = |value: Value| continuations.get(value.as_u32() as usize).copied().unwrap_or(false);
        func.results = self.lowered_types(&func.results).into();
        for block in func.blocks.keys() {
            for inst in std::mem::take(&mut func.blocks[block].insts) {
                let before = self.translate_inst(func, inst, &is_continuation)?;
                let translated = &mut func.blocks[block].insts;
                translated.extend(before);
                translated.push(inst);
            }
            let memory = matches!(self.store.kind, Kind::Memory(_));
            if let Terminator::BranchOnReference { operator, reference, taken, not_taken } =
                func.blocks[block].terminator
                && memory
                && is_continuation(reference)
            {
                let on_null = matches!(func.operators[operator], Operator::BrOnNull { .. });
                let is_null = func.append_value(block, Operator::I64Eqz, &[reference], ValType::I32);
                let carry = |to| BlockCall::with_args(to, [reference]);
                func.blocks[block].terminator = if on_null {
                    Terminator::Branch {
                        condition: is_null,
                        then_target: BlockCall::new(taken),
                        else_target: carry(not_taken),
                        likely: None,
                    }
                } else {
                    Terminator::Branch {
                        condition: is_null,
                        then_target: BlockCall::new(not_taken),
                        else_target: carry(taken),
                        likely: None,
                    }
                };
            }
        }
        Ok(())
    }

    /// Translates one instruction in place; returns instructions to put before it.
    fn translate_inst(
        &mut self,
        func: &mut Func,
        inst: Inst,
        is_continuation: &dyn Fn(Value) -> bool,
    ) -> Result<Vec<Inst>, Error> {
        let operands = func.operands(inst).to_vec();
        let memory = matches!(self.store.kind, Kind::Memory(_));
        match func.operator(inst).clone() {
            Operator::RefNull { hty } if self.is_original_continuation_heap(hty) => {
                let operator = self.null_continuation();
                func.replace_inst(inst, operator, &[]);
            }
            Operator::RefIsNull if memory && is_continuation(operands[0]) => {
                func.replace_inst(inst, Operator::I64Eqz, &operands);
            }
            Operator::RefAsNonNull if memory && is_continuation(operands[0]) => {
                let function_index = self.as_non_null();
                func.replace_inst(inst, Operator::Call { function_index }, &operands);
            }
            Operator::TypedSelect { ty } if self.is_original_continuation(ty) => {
                let operator =
                    if memory { Operator::Select } else { Operator::TypedSelect { ty: self.lowered_type(ty) } };
                func.replace_inst(inst, operator, &operands);
            }
            Operator::ContNew { cont_type_index } => {
                let signature = self.original_continuation(TypeId::from_u32(cont_type_index));
                let known = match func.defining_operator(operands[0]) {
                    Some(&Operator::RefFunc { function_index }) => Some(FunctionId::from_u32(function_index)),
                    _ => None,
                };
                let Some(function) = known else {
                    let function_index = self.new_continuation_of_reference(signature)?;
                    func.replace_inst(inst, Operator::Call { function_index }, &operands);
                    return Ok(Vec::new());
                };
                let number = self.entry_of_function(function, signature)?;
                let (before, number) = build_before(func, |builder| self.store.resume_function(builder, number));
                let function_index = self.new_continuation();
                func.replace_inst(inst, Operator::Call { function_index }, &[number]);
                return Ok(before);
            }
            Operator::ContBind { argument_index, result_index } => {
                let function_index = self.bind(TypeId::from_u32(argument_index), TypeId::from_u32(result_index))?;
                func.replace_inst(inst, Operator::Call { function_index }, &operands);
            }
            operator if memory => return self.translate_table_operator(func, inst, &operator, &operands),
            _ => {}
        }
        Ok(Vec::new())
    }

    /// The null continuation.
    pub(super) fn null_continuation(&self) -> Operator<'static> {
        default_operator(self.store.kind.continuation_type(true)).expect("continuations are nullable")
    }

    /// `(continuation) -> continuation`, which traps for null (memory store).
    fn as_non_null(&mut self) -> u32 {
        if let Some(function) = self.generated.as_non_null_function {
            return function;
        }
        let ty = self.function_type(&[ValType::I64], &[ValType::I64]);
        let mut func = Func::new(ty, &[ValType::I64], &[ValType::I64]);
        let value = func.blocks[func.entry].params[0];
        let builder = &mut Builder::new(&mut func);
        let is_null = builder.value(Operator::I64Eqz, &[value], ValType::I32);
        builder.trap_if(is_null);
        builder.ret(&[value]);
        let function = self.add_function(func, "wasmfx.as_non_null".to_owned()).as_u32();
        self.generated.as_non_null_function = Some(function);
        function
    }

    /// Translates a constant expression.
    pub(super) fn translate_constant(&self, expression: &mut ConstExpr) {
        for operator in &mut expression.operators {
            if let Operator::RefNull { hty } = operator
                && self.is_original_continuation_heap(*hty)
            {
                *operator = self.null_continuation();
            }
        }
    }

    fn translate_table_operator(
        &mut self,
        func: &mut Func,
        inst: Inst,
        operator: &Operator<'static>,
        operands: &[Value],
    ) -> Result<Vec<Inst>, Error> {
        use super::tables::TableFunction as F;
        let tables = |table: u32| TableId::from_u32(table);
        let (table, function) = match *operator {
            Operator::TableGet { table } => (table, F::Get),
            Operator::TableSet { table } => (table, F::Set),
            Operator::TableGrow { table } => (table, F::Grow),
            Operator::TableFill { table } => (table, F::Fill),
            Operator::TableSize { table } => (table, F::Size),
            Operator::TableCopy { dst_table, src_table } => (dst_table, F::Copy(tables(src_table))),
            Operator::TableInit { elem_index, table } => (table, F::Init(elem_index)),
            Operator::ElemDrop { elem_index } => {
                if let Some(length) = self.segment_length(elem_index) {
                    let (before, zero) = build_before(func, |builder| builder.i32(0));
                    func.replace_inst(inst, Operator::GlobalSet { global_index: length }, &[zero]);
                    return Ok(before);
                }
                return Ok(Vec::new());
            }
            Operator::ArrayNewElem { array_elem_index: segment, array_type_index: ty }
                if self.mentions.elements.contains(&segment) =>
            {
                let function_index = self.array_function(TypeId::from_u32(ty), segment, true)?;
                func.replace_inst(inst, Operator::Call { function_index }, operands);
                return Ok(Vec::new());
            }
            Operator::ArrayInitElem { array_elem_index: segment, array_type_index: ty }
                if self.mentions.elements.contains(&segment) =>
            {
                let function_index = self.array_function(TypeId::from_u32(ty), segment, false)?;
                func.replace_inst(inst, Operator::Call { function_index }, operands);
                return Ok(Vec::new());
            }
            _ => return Ok(Vec::new()),
        };
        if !self.mentions.tables.contains(&tables(table)) {
            return Ok(Vec::new());
        }
        if matches!(function, F::Get | F::Set)
            && let Some(before) = self.access_element(func, inst, tables(table), function)?
        {
            return Ok(before);
        }
        let function_index = self.table_function(tables(table), function)?;
        func.replace_inst(inst, Operator::Call { function_index }, operands);
        Ok(Vec::new())
    }
}
