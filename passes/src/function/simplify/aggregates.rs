//! Structs, arrays and numbers in references: what was put in comes out again.
//!
//! An allocation whose result nobody uses any more is dead code's to remove. Fields that never change hold what they were made with for good; for
//! the others numbering knows what is between.

use super::{Constant, Integer, Rewrite, Simplifier, Width};
use wasmfx_ir::module::{FunctionId, GlobalId, TypeId};
use wasmfx_ir::operator::default_operator;
use wasmfx_ir::wasmparser::{
    CompositeInnerType, FieldType, HeapType, Operator, RefType, StorageType, UnpackedIndex, ValType,
};
use wasmfx_ir::{Inst, Value};

impl Simplifier<'_> {
    pub(super) fn aggregate_rules(&mut self, operator: &Operator<'static>, operands: &[Value]) -> Option<Rewrite> {
        use Operator as O;
        match (operator, operands) {
            (O::I31GetS, &[a]) => self.unboxed(a, true),
            (O::I31GetU, &[a]) => self.unboxed(a, false),
            (O::ArrayLen, &[a]) => self.length(a),
            (&O::StructGet { struct_type_index, field_index }, &[a]) => {
                self.constant_field(struct_type_index, field_index, a)
            }
            (&O::StructNew { struct_type_index }, fields) if !fields.is_empty() => {
                let all_default = fields.iter().all(|&field| self.is_default(field));
                all_default.then(|| Rewrite::Inst(O::StructNewDefault { struct_type_index }, [].into_iter().collect()))
            }
            (&O::ArrayNew { array_type_index }, &[value, length]) if self.is_default(value) => {
                Rewrite::inst(O::ArrayNewDefault { array_type_index }, [length])
            }
            (&O::ArrayNewFixed { array_type_index, array_size }, &[first, ref rest @ ..]) => {
                if !rest.iter().all(|&value| self.is_same_constant(first, value)) {
                    return None;
                }
                if self.is_default(first) {
                    let length = self.add_constant(Width::W32, array_size.into());
                    return Rewrite::inst(O::ArrayNewDefault { array_type_index }, [length]);
                }
                if rest.is_empty() {
                    return None;
                }
                let length = self.add_constant(Width::W32, array_size.into());
                Rewrite::inst(O::ArrayNew { array_type_index }, [first, length])
            }
            _ => None,
        }
    }

    /// Writes of which the place takes the low bits only.
    pub(super) fn packed_write_rules(&mut self, inst: Inst) -> Option<Rewrite> {
        let operator = self.func.operator(inst).clone();
        let bits = match operator {
            Operator::StructSet { struct_type_index, field_index } => {
                packed_bits(self.field(struct_type_index, field_index)?)?
            }
            Operator::ArraySet { array_type_index } => packed_bits(self.element(array_type_index)?)?,
            _ => return None,
        };
        let (&value, before) = self.func.operands(inst).split_last()?;
        let operands = before.to_vec();
        let shortened = match (self.binary(value), self.unary(value)) {
            (Some((Integer::And, width, x, mask)), _) => {
                let kept = (1u64 << bits) - 1;
                (width.unsigned(self.integer(mask)?) & kept == kept).then_some(x)?
            }
            (_, Some((Operator::I32Extend8S, x))) if bits == 8 => x,
            (_, Some((Operator::I32Extend16S, x))) => x,
            _ => return None,
        };
        Rewrite::inst(operator, operands.into_iter().chain([shortened]))
    }

    /// What was put into an `i31`: the low 31 bits.
    fn unboxed(&mut self, a: Value, signed: bool) -> Option<Rewrite> {
        let (Operator::RefI31, number) = self.unary(a)? else { return None };
        if let Some(Constant::I32(value)) = self.constant(number) {
            let value = if signed { value << 1 >> 1 } else { value & i32::MAX };
            return Some(Rewrite::Value(self.add_constant(Width::W32, value.into())));
        }
        let fits = self.significant_bits(number) <= if signed { 30 } else { 31 };
        fits.then_some(Rewrite::Value(number))
    }

    fn length(&mut self, a: Value) -> Option<Rewrite> {
        let inst = self.func.defining_inst(a)?;
        match (self.func.operator(inst), self.func.operands(inst)) {
            (&Operator::ArrayNewFixed { array_size, .. }, _) => {
                let length = i64::from(array_size.cast_signed());
                Some(Rewrite::Value(self.add_constant(Width::W32, length)))
            }
            (
                Operator::ArrayNew { .. } | Operator::ArrayNewData { .. } | Operator::ArrayNewElem { .. },
                &[_, length],
            )
            | (Operator::ArrayNewDefault { .. }, &[length]) => Some(Rewrite::Value(self.func.resolve(length))),
            _ => None,
        }
    }

    /// A field that never changes, of a struct that is made here.
    fn constant_field(&mut self, struct_type: u32, field: u32, a: Value) -> Option<Rewrite> {
        let ty = self.field(struct_type, field)?;
        let StorageType::Val(value_type) = ty.element_type else { return None };
        if ty.mutable {
            return None;
        }
        let inst = self.func.defining_inst(a)?;
        match self.func.operator(inst) {
            Operator::StructNew { .. } => {
                let value = *self.func.operands(inst).get(field as usize)?;
                Some(Rewrite::Value(self.func.resolve(value)))
            }
            Operator::StructNewDefault { .. } => {
                Some(Rewrite::Value(self.add(default_operator(value_type)?, &[], value_type)))
            }
            &Operator::GlobalGet { global_index } => {
                let (operator, ty) = self.field_of_global(GlobalId::from_u32(global_index), field)?;
                Some(Rewrite::Value(self.add(operator, &[], ty)))
            }
            _ => None,
        }
    }

    /// A field of the struct that a global is for good, where it is made of operators that have no operands.
    fn field_of_global(&self, global: GlobalId, field: u32) -> Option<(Operator<'static>, ValType)> {
        let module = self.environment.module();
        let data = &module.globals[global];
        if data.ty.mutable {
            return None;
        }
        let (Operator::StructNew { .. }, fields) = data.init.as_ref()?.operators.split_last()? else { return None };
        let is_nullary = |operator: &Operator<'static>| {
            Constant::of(operator).is_some()
                || matches!(operator, Operator::RefFunc { .. } | Operator::RefNull { .. } | Operator::GlobalGet { .. })
        };
        if !fields.iter().all(is_nullary) {
            return None;
        }
        let operator = fields.get(field as usize)?;
        let ty = match *operator {
            Operator::RefFunc { function_index } => {
                let ty = module.functions[FunctionId::from_u32(function_index)].ty;
                let heap_type = HeapType::Concrete(UnpackedIndex::Module(ty.as_u32()));
                ValType::Ref(RefType::new(false, heap_type)?)
            }
            Operator::RefNull { hty } => ValType::Ref(RefType::new(true, hty)?),
            Operator::GlobalGet { global_index } => module.globals[GlobalId::from_u32(global_index)].ty.content_type,
            ref constant => Constant::of(constant)?.ty(),
        };
        Some((operator.clone(), ty))
    }

    fn field(&self, struct_type: u32, field: u32) -> Option<FieldType> {
        match &self.environment.sub_type(TypeId::from_u32(struct_type)).composite_type.inner {
            CompositeInnerType::Struct(ty) => ty.fields.get(field as usize).copied(),
            _ => None,
        }
    }

    fn element(&self, array_type: u32) -> Option<FieldType> {
        match &self.environment.sub_type(TypeId::from_u32(array_type)).composite_type.inner {
            CompositeInnerType::Array(ty) => Some(ty.0),
            _ => None,
        }
    }

    /// Whether a value is what fields and elements hold at first.
    fn is_default(&self, value: Value) -> bool {
        match self.func.defining_operator(value) {
            Some(Operator::RefNull { .. }) => true,
            Some(operator) => default_operator(self.func.value_type(value)).is_some_and(|default| *operator == default),
            None => false,
        }
    }

    fn is_same_constant(&self, a: Value, b: Value) -> bool {
        let constant = |value: Value| {
            let operator = self.func.defining_operator(value)?;
            (Constant::of(operator).is_some() || matches!(operator, Operator::RefNull { .. })).then_some(operator)
        };
        constant(a).is_some() && constant(a) == constant(b)
    }
}

fn packed_bits(field: FieldType) -> Option<u32> {
    match field.element_type {
        StorageType::I8 => Some(8),
        StorageType::I16 => Some(16),
        StorageType::Val(_) => None,
    }
}
