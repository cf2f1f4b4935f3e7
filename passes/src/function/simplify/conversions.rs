//! Conversions between number types, and the few float rules that hold for every bit pattern.
//!
//! Narrowing what was widened gives back what there was; reinterpretation moves bits, NaNs included. Floats have no rule that drops an
//! arithmetic operator: `x * 1` and `x - 0` make a quiet NaN of a signalling one, which a program can see. Division by a power of two
//! is multiplication by its exact reciprocal, which rounds the same.

use super::{Constant, Integer, Rewrite, Simplifier, Width};
use wasmfx_ir::Value;
use wasmfx_ir::wasmparser::Operator;

impl Simplifier<'_> {
    pub(super) fn conversion_rules(&mut self, operator: &Operator<'static>, operands: &[Value]) -> Option<Rewrite> {
        use Operator as O;
        match (operator, operands) {
            (O::F32Div, &[a, b]) => {
                let Some(Constant::F32(bits)) = self.constant(b) else { return None };
                let reciprocal = reciprocal_of_power_of_two_f32(bits)?;
                let constant = Constant::F32(reciprocal);
                let reciprocal = self.add(constant.operator(), &[], constant.ty());
                return Rewrite::inst(O::F32Mul, [a, reciprocal]);
            }
            (O::F64Div, &[a, b]) => {
                let Some(Constant::F64(bits)) = self.constant(b) else { return None };
                let reciprocal = reciprocal_of_power_of_two_f64(bits)?;
                let constant = Constant::F64(reciprocal);
                let reciprocal = self.add(constant.operator(), &[], constant.ty());
                return Rewrite::inst(O::F64Mul, [a, reciprocal]);
            }
            _ => {}
        }
        let &[a] = operands else { return None };
        if let O::I32WrapI64 = operator {
            return self.wrap_rules(a);
        }
        if let O::I64Extend32S = operator
            && self.significant_bits(a) < 32
        {
            return Some(Rewrite::Value(a));
        }
        let (inner, x) = self.unary(a)?;
        match (operator, inner) {
            (O::I32ReinterpretF32, O::F32ReinterpretI32)
            | (O::F32ReinterpretI32, O::I32ReinterpretF32)
            | (O::I64ReinterpretF64, O::F64ReinterpretI64)
            | (O::F64ReinterpretI64, O::I64ReinterpretF64)
            | (O::F32Neg, O::F32Neg)
            | (O::F64Neg, O::F64Neg) => Some(Rewrite::Value(x)),
            (O::F32Abs, O::F32Abs) | (O::F64Abs, O::F64Abs) => Some(Rewrite::Value(a)),
            (O::F32Abs, O::F32Neg) | (O::F64Abs, O::F64Neg) => Rewrite::inst(operator.clone(), [x]),
            (O::I64Extend32S, O::I64ExtendI32S | O::I64Extend32S | O::I64Extend16S | O::I64Extend8S) => {
                Some(Rewrite::Value(a))
            }
            (O::I64Extend32S, O::I64ExtendI32U) => Rewrite::inst(O::I64ExtendI32S, [x]),
            (O::I64ExtendI32U, O::I32WrapI64) if self.significant_bits(x) <= 32 => Some(Rewrite::Value(x)),
            (O::I64ExtendI32S, O::I32WrapI64) if self.significant_bits(x) < 32 => Some(Rewrite::Value(x)),
            _ => None,
        }
    }

    /// `i32.wrap_i64(a)`.
    fn wrap_rules(&mut self, a: Value) -> Option<Rewrite> {
        if let Some((inner, x)) = self.unary(a) {
            match inner {
                Operator::I64ExtendI32S | Operator::I64ExtendI32U => return Some(Rewrite::Value(x)),
                Operator::I64Extend32S => return Rewrite::inst(Operator::I32WrapI64, [x]),
                _ => {}
            }
        }
        match self.binary(a)? {
            // A mask that keeps the low half keeps what is kept anyway.
            (Integer::And, Width::W64, x, mask) if self.integer(mask)? as u32 == u32::MAX => {
                Rewrite::inst(Operator::I32WrapI64, [x])
            }
            // The low half of these follows from the low halves.
            (
                integer @ (Integer::Add | Integer::Sub | Integer::Mul | Integer::And | Integer::Or | Integer::Xor),
                Width::W64,
                x,
                y,
            ) if self.is_single_use(a) && self.is_narrow(x) && self.is_narrow(y) => {
                let (x, y) = (self.low_half(x), self.low_half(y));
                Rewrite::inst(integer.operator(Width::W32), [x, y])
            }
            _ => None,
        }
    }

    /// Whether the low half of a 64-bit integer is there without an instruction.
    fn is_narrow(&self, value: Value) -> bool {
        let is_extension =
            |operator: &Operator<'_>| matches!(operator, Operator::I64ExtendI32S | Operator::I64ExtendI32U);
        self.integer(value).is_some() || self.unary(value).is_some_and(|(operator, _)| is_extension(operator))
    }

    /// The low half of what [is narrow](Self::is_narrow).
    fn low_half(&mut self, value: Value) -> Value {
        match self.integer(value) {
            Some(constant) => self.add_constant(Width::W32, Width::W32.wrap(constant)),
            None => self.unary(value).expect("it is an extension").1,
        }
    }
}

/// The reciprocal's bits, if the number is a power of two whose reciprocal is a normal number too.
fn reciprocal_of_power_of_two_f32(bits: u32) -> Option<u32> {
    let exponent = bits >> 23 & 0xff;
    let is_power_of_two = bits & 0x7f_ffff == 0 && (1..=253).contains(&exponent);
    is_power_of_two.then(|| bits & 1 << 31 | (254 - exponent) << 23)
}

/// The reciprocal's bits, if the number is a power of two whose reciprocal is a normal number too.
fn reciprocal_of_power_of_two_f64(bits: u64) -> Option<u64> {
    let exponent = bits >> 52 & 0x7ff;
    let is_power_of_two = bits & ((1 << 52) - 1) == 0 && (1..=2045).contains(&exponent);
    is_power_of_two.then(|| bits & 1 << 63 | (2046 - exponent) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_powers_of_two_with_a_normal_reciprocal_have_one() {
        for (number, reciprocal) in
            [(2.0f32, Some(0.5f32)), (-8.0, Some(-0.125)), (3.0, None), (0.0, None), (f32::INFINITY, None)]
        {
            assert_eq!(reciprocal_of_power_of_two_f32(number.to_bits()), reciprocal.map(f32::to_bits));
        }
        for exponent in -1022..=1022 {
            let number = 2f64.powi(exponent);
            assert_eq!(reciprocal_of_power_of_two_f64(number.to_bits()), Some((1.0 / number).to_bits()), "{number}");
        }
        assert_eq!(reciprocal_of_power_of_two_f64(2f64.powi(1023).to_bits()), None);
    }
}
