//! Loads and stores. A load keeps its address, offset and width in memory, so it traps where it did; only what is made of the bytes
//! changes. Memory is little-endian: the low bytes of a wide store are those of the narrow one.
//!
//! An operand's load is changed in place, which needs it to have no other user.

use super::{Integer, Rewrite, Simplifier, Width};
use wasmfx_ir::wasmparser::{MemArg, MemArgTarget, Operator, ValType};
use wasmfx_ir::{Inst, Value};

impl Simplifier<'_> {
    /// Rules for stores.
    pub(super) fn store_rules(&mut self, inst: Inst) -> Option<Rewrite> {
        use Operator as O;
        let operator = self.func.operator(inst).clone();
        let &[address, value] = self.func.operands(inst) else { return None };
        if let Some(folded) = self.address_into_offset(&operator, address) {
            return Rewrite::inst(folded.0, [folded.1, value]);
        }
        // How many low bits of the value are stored.
        let stored = match operator {
            O::I32Store8 { .. } | O::I64Store8 { .. } => 8,
            O::I32Store16 { .. } | O::I64Store16 { .. } => 16,
            O::I32Store { .. } | O::I64Store32 { .. } => 32,
            O::I64Store { .. } | O::F32Store { .. } | O::F64Store { .. } => 64,
            _ => return None,
        };
        if let Some((Integer::And, width, x, mask)) = self.binary(value)
            && stored < 64
            && let Some(mask) = self.integer(mask)
        {
            let kept = if stored == 32 { u64::from(u32::MAX) } else { (1 << stored) - 1 };
            if width.unsigned(mask) & kept == kept {
                return Rewrite::inst(operator, [address, x]);
            }
        }
        let (inner, x) = self.unary(value)?;
        let new = match (&operator, inner) {
            (O::I32Store8 { .. } | O::I64Store8 { .. }, O::I32Extend8S | O::I64Extend8S)
            | (
                O::I32Store8 { .. } | O::I64Store8 { .. } | O::I32Store16 { .. } | O::I64Store16 { .. },
                O::I32Extend16S | O::I64Extend16S,
            )
            | (O::I64Store32 { .. } | O::I64Store16 { .. } | O::I64Store8 { .. }, O::I64Extend32S) => operator,
            (&O::I32Store { memarg }, O::I32WrapI64) => O::I64Store32 { memarg },
            (&O::I32Store8 { memarg }, O::I32WrapI64) => O::I64Store8 { memarg },
            (&O::I32Store16 { memarg }, O::I32WrapI64) => O::I64Store16 { memarg },
            (&O::I64Store32 { memarg }, O::I64ExtendI32S | O::I64ExtendI32U) => O::I32Store { memarg },
            (&O::I64Store16 { memarg }, O::I64ExtendI32S | O::I64ExtendI32U) => O::I32Store16 { memarg },
            (&O::I64Store8 { memarg }, O::I64ExtendI32S | O::I64ExtendI32U) => O::I32Store8 { memarg },
            (&O::I32Store { memarg }, O::I32ReinterpretF32) => O::F32Store { memarg },
            (&O::F32Store { memarg }, O::F32ReinterpretI32) => O::I32Store { memarg },
            (&O::I64Store { memarg }, O::I64ReinterpretF64) => O::F64Store { memarg },
            (&O::F64Store { memarg }, O::F64ReinterpretI64) => O::I64Store { memarg },
            _ => return None,
        };
        Rewrite::inst(new, [address, x])
    }

    /// Rules for loads, and for what is done with a loaded value.
    pub(super) fn load_rules(
        &mut self,
        operator: &Operator<'static>,
        operands: &[Value],
        result: ValType,
    ) -> Option<Rewrite> {
        if let &[address] = operands
            && let Some((folded, address)) = self.address_into_offset(operator, address)
        {
            return Rewrite::inst(folded, [address]);
        }
        let &[a] = operands else { return None };
        self.change_load(operator, a, result)
    }

    /// A conversion of a loaded value that a load of another kind does itself.
    pub(super) fn change_load(&mut self, operator: &Operator<'static>, a: Value, result: ValType) -> Option<Rewrite> {
        use Operator as O;
        let inst = self.func.defining_inst(a)?;
        if !self.is_single_use(a) {
            return None;
        }
        let &[address] = self.func.operands(inst) else { return None };
        let new = match (operator, self.func.operator(inst)) {
            // Half of the bytes could be in bounds where all are not.
            (O::I32WrapI64, &O::I64Load { memarg }) if self.environment.options.traps_never_happen => {
                O::I32Load { memarg: MemArg { align: memarg.align.min(2), max_align: 2, ..memarg } }
            }
            (O::I32WrapI64, &O::I64Load8U { memarg }) => O::I32Load8U { memarg },
            (O::I32WrapI64, &O::I64Load8S { memarg }) => O::I32Load8S { memarg },
            (O::I32WrapI64, &O::I64Load16U { memarg }) => O::I32Load16U { memarg },
            (O::I32WrapI64, &O::I64Load16S { memarg }) => O::I32Load16S { memarg },
            (O::I32WrapI64, &(O::I64Load32S { memarg } | O::I64Load32U { memarg })) => O::I32Load { memarg },
            (O::I64ExtendI32S, &O::I32Load { memarg }) => O::I64Load32S { memarg },
            (O::I64ExtendI32U, &O::I32Load { memarg }) => O::I64Load32U { memarg },
            (O::I64ExtendI32S | O::I64ExtendI32U, &O::I32Load8U { memarg }) => O::I64Load8U { memarg },
            (O::I64ExtendI32S | O::I64ExtendI32U, &O::I32Load16U { memarg }) => O::I64Load16U { memarg },
            (O::I64ExtendI32S, &O::I32Load8S { memarg }) => O::I64Load8S { memarg },
            (O::I64ExtendI32S, &O::I32Load16S { memarg }) => O::I64Load16S { memarg },
            (O::I32Extend8S, &(O::I32Load8U { memarg } | O::I32Load8S { memarg })) => O::I32Load8S { memarg },
            (O::I32Extend16S, &(O::I32Load16U { memarg } | O::I32Load16S { memarg })) => O::I32Load16S { memarg },
            (O::I64Extend8S, &(O::I64Load8U { memarg } | O::I64Load8S { memarg })) => O::I64Load8S { memarg },
            (O::I64Extend16S, &(O::I64Load16U { memarg } | O::I64Load16S { memarg })) => O::I64Load16S { memarg },
            (O::I64Extend32S, &(O::I64Load32U { memarg } | O::I64Load32S { memarg })) => O::I64Load32S { memarg },
            (O::I32ReinterpretF32, &O::F32Load { memarg }) => O::I32Load { memarg },
            (O::F32ReinterpretI32, &O::I32Load { memarg }) => O::F32Load { memarg },
            (O::I64ReinterpretF64, &O::F64Load { memarg }) => O::I64Load { memarg },
            (O::F64ReinterpretI64, &O::I64Load { memarg }) => O::F64Load { memarg },
            _ => return None,
        };
        Some(self.replaced_load(inst, new, address, result))
    }

    /// `load8_s & 255` is `load8_u`, and the like.
    pub(super) fn masked_load(&mut self, width: Width, a: Value, mask: u64) -> Option<Rewrite> {
        use Operator as O;
        let inst = self.func.defining_inst(a)?;
        if !self.is_single_use(a) {
            return None;
        }
        let &[address] = self.func.operands(inst) else { return None };
        let new = match (self.func.operator(inst), mask, width) {
            (&O::I32Load8S { memarg }, 0xff, Width::W32) => O::I32Load8U { memarg },
            (&O::I32Load16S { memarg }, 0xffff, Width::W32) => O::I32Load16U { memarg },
            (&O::I64Load8S { memarg }, 0xff, Width::W64) => O::I64Load8U { memarg },
            (&O::I64Load16S { memarg }, 0xffff, Width::W64) => O::I64Load16U { memarg },
            (&O::I64Load32S { memarg }, 0xffff_ffff, Width::W64) => O::I64Load32U { memarg },
            _ => return None,
        };
        Some(self.replaced_load(inst, new, address, width.ty()))
    }

    /// Puts another load in the place of one whose single user is the instruction that is being rewritten.
    fn replaced_load(&mut self, old: Inst, new: Operator<'static>, address: Value, result: ValType) -> Rewrite {
        self.changed = true;
        let loaded = self.func.first_result(old);
        self.func.replace_inst(old, new, &[address]);
        // The one user goes away with this rewrite, so the value may change its type.
        self.func.set_value_type(loaded, result);
        Rewrite::Value(loaded)
    }

    /// With the user's promise that low addresses are not used, `load (x + c)` is `load offset=c x`: were `x + c` to wrap, the
    /// access would be to a low address.
    fn address_into_offset(
        &mut self,
        operator: &Operator<'static>,
        address: Value,
    ) -> Option<(Operator<'static>, Value)> {
        const LOW_MEMORY: u64 = 1024;
        if !self.environment.options.low_memory_unused {
            return None;
        }
        let (Integer::Add, Width::W32, x, c) = self.binary(address)? else { return None };
        let c = u64::try_from(self.integer(c)?).ok()?;
        let mut folded = operator.clone();
        let memarg = memory_argument_mut(&mut folded)?;
        if c >= LOW_MEMORY || memarg.offset + c >= LOW_MEMORY || !matches!(memarg.target, MemArgTarget::Memory(0)) {
            return None;
        }
        memarg.offset += c;
        Some((folded, x))
    }
}

/// The memory argument of a plain scalar or vector access with one address.
fn memory_argument_mut<'a>(operator: &'a mut Operator<'static>) -> Option<&'a mut MemArg> {
    use Operator as O;
    match operator {
        O::I32Load { memarg }
        | O::I64Load { memarg }
        | O::F32Load { memarg }
        | O::F64Load { memarg }
        | O::I32Load8S { memarg }
        | O::I32Load8U { memarg }
        | O::I32Load16S { memarg }
        | O::I32Load16U { memarg }
        | O::I64Load8S { memarg }
        | O::I64Load8U { memarg }
        | O::I64Load16S { memarg }
        | O::I64Load16U { memarg }
        | O::I64Load32S { memarg }
        | O::I64Load32U { memarg }
        | O::V128Load { memarg }
        | O::I32Store { memarg }
        | O::I64Store { memarg }
        | O::F32Store { memarg }
        | O::F64Store { memarg }
        | O::I32Store8 { memarg }
        | O::I32Store16 { memarg }
        | O::I64Store8 { memarg }
        | O::I64Store16 { memarg }
        | O::I64Store32 { memarg }
        | O::V128Store { memarg } => Some(memarg),
        _ => None,
    }
}
