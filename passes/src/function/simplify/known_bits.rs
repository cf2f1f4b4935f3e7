//! How large an integer can be at most.

use super::{Integer, Simplifier, Width};
use wasmfx_ir::Value;
use wasmfx_ir::opcode::Opcode;
use wasmfx_ir::wasmparser::{Operator, ValType};

/// How far definitions are followed.
const MAX_DEPTH: u32 = 6;

impl Simplifier<'_> {
    /// A number of low bits outside of which an integer value is zero.
    pub(super) fn significant_bits(&self, value: Value) -> u32 {
        self.significant_bits_within(value, MAX_DEPTH)
    }

    fn significant_bits_within(&self, value: Value, depth: u32) -> u32 {
        let width = match self.func.value_type(self.func.resolve(value)) {
            ValType::I32 => Width::W32,
            ValType::I64 => Width::W64,
            ValType::F32 | ValType::F64 | ValType::V128 | ValType::Ref(_) => return u32::MAX,
        };
        let all = width.bits();
        let Some(inst) = self.func.defining_inst(value) else { return all };
        let operator = self.func.operator(inst);
        let operands = self.func.operands(inst);
        if let Some(constant) = self.integer(value) {
            return 64 - width.unsigned(constant).leading_zeros();
        }
        if Opcode::of(operator).is_boolean() {
            return 1;
        }
        if depth == 0 {
            return all;
        }
        let of = |index: usize| self.significant_bits_within(operands[index], depth - 1);
        match operator {
            Operator::I32Load8U { .. } | Operator::I64Load8U { .. } => return 8,
            Operator::I32Load16U { .. } | Operator::I64Load16U { .. } => return 16,
            Operator::I64Load32U { .. } => return 32,
            Operator::I64ExtendI32U => return of(0),
            Operator::I32WrapI64 => return of(0).min(32),
            Operator::Select => return of(0).max(of(1)),
            _ => {}
        }
        match Integer::of(operator) {
            Some((Integer::And, _)) => of(0).min(of(1)),
            Some((Integer::Or | Integer::Xor, _)) => of(0).max(of(1)),
            // A sum of two numbers below 2^n is below 2^(n+1), if that does not wrap.
            Some((Integer::Add, _)) => (of(0).max(of(1)) + 1).min(all),
            Some((Integer::Mul, _)) => (of(0) + of(1)).min(all),
            Some((Integer::DivU, _)) => of(0),
            Some((Integer::RemU, _)) => of(0).min(of(1)),
            Some((Integer::ShrU, _)) => match self.integer(operands[1]) {
                Some(count) => of(0).saturating_sub(count as u32 % all),
                None => of(0),
            },
            Some((Integer::Shl, _)) => match self.integer(operands[1]) {
                Some(count) => (of(0) + count as u32 % all).min(all),
                None => all,
            },
            Some((Integer::Clz | Integer::Ctz | Integer::Popcnt, _)) => 32 - all.leading_zeros(),
            _ => all,
        }
    }

    /// Whether the value is zero or one.
    pub(super) fn is_boolean(&self, value: Value) -> bool {
        self.significant_bits(value) <= 1
    }
}
