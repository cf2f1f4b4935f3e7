//! Integers. Arithmetic is modulo 2^n, so sums, differences, products and bitwise operators regroup freely; orderings do not, and are left
//! alone but for identities that hold for every operand. Division and remainder keep their traps: a divisor is only dropped where it is a
//! constant other than zero.

use super::{Integer, Rewrite, Simplifier, Width};
use smallvec::SmallVec;
use wasmfx_ir::Value;
use wasmfx_ir::opcode::Opcode;
use wasmfx_ir::wasmparser::{Operator, ValType, WasmFeatures};

impl Simplifier<'_> {
    pub(super) fn integer_unary(&mut self, integer: Integer, width: Width, a: Value) -> Option<Rewrite> {
        match integer {
            Integer::Eqz => self.zero_test(width, a),
            // Extending what is already that narrow: nothing changes if the sign bit is known to be zero.
            Integer::Extend8S if self.significant_bits(a) < 8 => Some(Rewrite::Value(a)),
            Integer::Extend16S if self.significant_bits(a) < 16 => Some(Rewrite::Value(a)),
            Integer::Extend8S | Integer::Extend16S => self
                .sign_extension(integer, width, a)
                .or_else(|| self.change_load(&integer.operator(width), a, width.ty())),
            _ => None,
        }
    }

    /// `a == 0`.
    fn zero_test(&mut self, width: Width, a: Value) -> Option<Rewrite> {
        if let Some(inst) = self.func.defining_inst(a) {
            let opcode = Opcode::of(self.func.operator(inst));
            if let Some(inverted) = opcode.inverted_comparison()
                && self.is_single_use(a)
            {
                let operands: SmallVec<[Value; 4]> = SmallVec::from_slice(self.func.operands(inst));
                return Rewrite::inst(inverted.without_immediates()?, operands);
            }
            // Not of not of a boolean.
            if let Some((Integer::Eqz, _)) = Integer::of(self.func.operator(inst)) {
                let inner = self.func.resolve(self.func.operands(inst)[0]);
                if self.is_boolean(inner) && self.func.value_type(inner) == ValType::I32 {
                    return Some(Rewrite::Value(inner));
                }
            }
        }
        match self.binary(a) {
            // x - y and x ^ y are zero exactly where x and y are equal; x + c where x is -c.
            Some((Integer::Sub | Integer::Xor, _, x, y)) if self.is_single_use(a) => {
                Rewrite::inst(Integer::Eq.operator(width), [x, y])
            }
            Some((Integer::Add, _, x, c)) if self.is_single_use(a) => {
                let c = self.integer(c)?;
                let negated = self.add_constant(width, width.wrap(c.wrapping_neg()));
                Rewrite::inst(Integer::Eq.operator(width), [x, negated])
            }
            _ => {
                // Only the low bits count if the rest is zero already.
                let (operator, inner) = self.unary(a)?;
                match operator {
                    Operator::I64ExtendI32U | Operator::I64ExtendI32S => {
                        Rewrite::inst(Integer::Eqz.operator(Width::W32), [inner])
                    }
                    _ => None,
                }
            }
        }
    }

    /// `extend(extend(x))`, `extend(x & mask)`: bits above those that are read do not count.
    fn sign_extension(&mut self, integer: Integer, width: Width, a: Value) -> Option<Rewrite> {
        let read: u64 = if integer == Integer::Extend8S { 0xff } else { 0xffff };
        if let Some((Integer::And, _, x, mask)) = self.binary(a)
            && width.unsigned(self.integer(mask)?) & read == read
        {
            return Rewrite::inst(integer.operator(width), [x]);
        }
        let (inner, x) = self.unary(a)?;
        match (Integer::of(inner), integer) {
            (Some((Integer::Extend8S, _)), _) => Some(Rewrite::Value(a)),
            (Some((Integer::Extend16S, _)), Integer::Extend16S) => Some(Rewrite::Value(a)),
            (Some((Integer::Extend16S, _)), _) => Rewrite::inst(integer.operator(width), [x]),
            _ => None,
        }
    }

    pub(super) fn integer_binary(&mut self, integer: Integer, width: Width, a: Value, b: Value) -> Option<Rewrite> {
        if a == b
            && let Some(rewrite) = self.equal_operands(integer, width, a)
        {
            return Some(rewrite);
        }
        if let Some(constant) = self.integer(b)
            && let Some(rewrite) = self.constant_operand(integer, width, a, constant)
        {
            return Some(rewrite);
        }
        match integer {
            Integer::Add => self.sum(width, a, b),
            Integer::Sub => self.difference(width, a, b),
            Integer::Xor => self.exclusive_or(a, b),
            Integer::Shl | Integer::ShrS | Integer::ShrU | Integer::Rotl | Integer::Rotr => {
                // The count is taken modulo the width anyway.
                let (Integer::And, _, count, mask) = self.binary(b)? else { return None };
                let modulus = i64::from(width.bits() - 1);
                (self.integer(mask)? & modulus == modulus)
                    .then(|| Rewrite::inst(integer.operator(width), [a, count]))
                    .flatten()
            }
            _ => None,
        }
    }

    fn equal_operands(&mut self, integer: Integer, width: Width, a: Value) -> Option<Rewrite> {
        match integer {
            Integer::And | Integer::Or => Some(Rewrite::Value(a)),
            Integer::Sub | Integer::Xor => Some(Rewrite::Value(self.add_constant(width, 0))),
            Integer::Eq | Integer::LeS | Integer::LeU | Integer::GeS | Integer::GeU => {
                Some(Rewrite::Value(self.add_constant(Width::W32, 1)))
            }
            Integer::Ne | Integer::LtS | Integer::LtU | Integer::GtS | Integer::GtU => {
                Some(Rewrite::Value(self.add_constant(Width::W32, 0)))
            }
            _ => None,
        }
    }

    /// `a` and a constant.
    fn constant_operand(&mut self, integer: Integer, width: Width, a: Value, c: i64) -> Option<Rewrite> {
        let all_ones = -1;
        let unsigned = width.unsigned(c);
        match (integer, c) {
            (Integer::Add | Integer::Sub | Integer::Or | Integer::Xor, 0) => return Some(Rewrite::Value(a)),
            (Integer::Mul | Integer::DivS | Integer::DivU, 1) => return Some(Rewrite::Value(a)),
            (Integer::And, _) if c == all_ones => return Some(Rewrite::Value(a)),
            (Integer::And | Integer::Mul, 0) | (Integer::RemU | Integer::RemS, 1) => {
                return Some(Rewrite::Value(self.add_constant(width, 0)));
            }
            (Integer::Or, _) if c == all_ones => return Some(Rewrite::Value(self.add_constant(width, -1))),
            (Integer::Shl | Integer::ShrS | Integer::ShrU | Integer::Rotl | Integer::Rotr, _) => {
                return self.constant_shift(integer, width, a, c);
            }
            (Integer::Mul, _) if c == -1 => {
                let zero = self.add_constant(width, 0);
                return Rewrite::inst(Integer::Sub.operator(width), [zero, a]);
            }
            (Integer::Mul, _) if unsigned.is_power_of_two() => {
                let count = self.add_constant(width, i64::from(unsigned.trailing_zeros()));
                return Rewrite::inst(Integer::Shl.operator(width), [a, count]);
            }
            (Integer::DivU, _) if unsigned.is_power_of_two() => {
                let count = self.add_constant(width, i64::from(unsigned.trailing_zeros()));
                return Rewrite::inst(Integer::ShrU.operator(width), [a, count]);
            }
            (Integer::RemU, _) if unsigned.is_power_of_two() => {
                let mask = self.add_constant(width, width.wrap((unsigned - 1) as i64));
                return Rewrite::inst(Integer::And.operator(width), [a, mask]);
            }
            // One way to write it, for the other rules. The negation wraps where the subtraction would.
            (Integer::Sub, _) => {
                let negated = self.add_constant(width, width.wrap(c.wrapping_neg()));
                return Rewrite::inst(Integer::Add.operator(width), [a, negated]);
            }
            _ => {}
        }
        match integer {
            Integer::Add | Integer::Mul | Integer::And | Integer::Or | Integer::Xor => {
                if integer == Integer::And {
                    if let Some(rewrite) = self.masked_load(width, a, unsigned) {
                        return Some(rewrite);
                    }
                    // The mask keeps everything that can be there.
                    let bits = self.significant_bits(a);
                    if bits < 64 && unsigned & ((1 << bits) - 1) == (1 << bits) - 1 {
                        return Some(Rewrite::Value(a));
                    }
                }
                if integer == Integer::Xor && c == 1 && width == Width::W32 && self.is_boolean(a) {
                    return Rewrite::inst(Integer::Eqz.operator(width), [a]);
                }
                self.regroup(integer, width, a, c)
            }
            Integer::Eq | Integer::Ne => self.equality_with_constant(integer, width, a, c),
            Integer::LtU | Integer::GeU | Integer::GtU | Integer::LeU => {
                self.unsigned_comparison_with_constant(integer, width, a, unsigned)
            }
            _ => None,
        }
    }

    /// `(x op c1) op c2` is `x op (c1 op c2)`; and `(c1 - x) + c2` is `(c1 + c2) - x`.
    fn regroup(&mut self, integer: Integer, width: Width, a: Value, c: i64) -> Option<Rewrite> {
        let (inner, _, x, y) = self.binary(a)?;
        if integer == Integer::Add && inner == Integer::Sub {
            let first = self.integer(x)?;
            let sum = self.add_constant(width, width.wrap(first.wrapping_add(c)));
            return Rewrite::inst(Integer::Sub.operator(width), [sum, y]);
        }
        if inner != integer {
            return None;
        }
        let first = self.integer(y)?;
        let both = match integer {
            Integer::Add => first.wrapping_add(c),
            Integer::Mul => first.wrapping_mul(c),
            Integer::And => first & c,
            Integer::Or => first | c,
            Integer::Xor => first ^ c,
            _ => return None,
        };
        let both = self.add_constant(width, width.wrap(both));
        Rewrite::inst(integer.operator(width), [x, both])
    }

    fn constant_shift(&mut self, integer: Integer, width: Width, a: Value, c: i64) -> Option<Rewrite> {
        let bits = width.bits();
        let count = c as u32 % bits;
        if count == 0 {
            return Some(Rewrite::Value(a));
        }
        if i64::from(count) != c {
            let count = self.add_constant(width, i64::from(count));
            return Rewrite::inst(integer.operator(width), [a, count]);
        }
        let (inner, _, x, first) = self.binary(a)?;
        let first = self.integer(first)? as u32 % bits;
        let sum = first + count;
        match (inner, integer) {
            (Integer::Shl, Integer::Shl) | (Integer::ShrU, Integer::ShrU) if sum >= bits => {
                Some(Rewrite::Value(self.add_constant(width, 0)))
            }
            // All of it is sign bits.
            (Integer::ShrS, Integer::ShrS) if sum >= bits => {
                let count = self.add_constant(width, i64::from(bits - 1));
                Rewrite::inst(integer.operator(width), [x, count])
            }
            (Integer::Shl, Integer::Shl) | (Integer::ShrU, Integer::ShrU) | (Integer::ShrS, Integer::ShrS) => {
                let count = self.add_constant(width, i64::from(sum));
                Rewrite::inst(integer.operator(width), [x, count])
            }
            (Integer::Rotl, Integer::Rotl) | (Integer::Rotr, Integer::Rotr) => {
                let count = self.add_constant(width, i64::from(sum % bits));
                Rewrite::inst(integer.operator(width), [x, count])
            }
            // Down and up again clears low bits, up and down again clears high ones: a mask, where it is no longer than the two counts.
            (Integer::ShrU | Integer::ShrS, Integer::Shl) if first == count && count <= 20 => {
                let mask = self.add_constant(width, width.wrap(-1 << count));
                Rewrite::inst(Integer::And.operator(width), [x, mask])
            }
            (Integer::Shl, Integer::ShrU) if first == count && bits - count <= 24 => {
                let mask = self.add_constant(width, (1 << (bits - count)) - 1);
                Rewrite::inst(Integer::And.operator(width), [x, mask])
            }
            // Up and down again with the sign is an extension, where the program has such operators.
            (Integer::Shl, Integer::ShrS) if first == count => {
                let extension = match (width, bits - count) {
                    (_, 8) => Integer::Extend8S.operator(width),
                    (_, 16) => Integer::Extend16S.operator(width),
                    (Width::W64, 32) => Operator::I64Extend32S,
                    _ => return None,
                };
                let has_extensions = self.environment.module().features.contains(WasmFeatures::SIGN_EXTENSION);
                has_extensions.then(|| Rewrite::inst(extension, [x])).flatten()
            }
            _ => None,
        }
    }

    fn equality_with_constant(&mut self, integer: Integer, width: Width, a: Value, c: i64) -> Option<Rewrite> {
        let is_i32_boolean = width == Width::W32 && self.is_boolean(a);
        match (integer, c) {
            (Integer::Eq, 0) => return Rewrite::inst(Integer::Eqz.operator(width), [a]),
            (Integer::Ne, 0) | (Integer::Eq, 1) if is_i32_boolean => return Some(Rewrite::Value(a)),
            (Integer::Ne, 1) if is_i32_boolean => return Rewrite::inst(Integer::Eqz.operator(width), [a]),
            _ => {}
        }
        // The constant has a bit that the value cannot have.
        let bits = self.significant_bits(a);
        if bits < 64 && width.unsigned(c) >> bits != 0 {
            return Some(Rewrite::Value(self.add_constant(Width::W32, i64::from(integer == Integer::Ne))));
        }
        if !self.is_single_use(a) {
            return None;
        }
        match self.binary(a)? {
            // x + c1 == c2 is x == c2 - c1, whatever wraps.
            (Integer::Add, _, x, c1) => {
                let c1 = self.integer(c1)?;
                let difference = self.add_constant(width, width.wrap(c.wrapping_sub(c1)));
                Rewrite::inst(integer.operator(width), [x, difference])
            }
            (Integer::Sub | Integer::Xor, _, x, y) if c == 0 => Rewrite::inst(integer.operator(width), [x, y]),
            _ => None,
        }
    }

    fn unsigned_comparison_with_constant(
        &mut self,
        integer: Integer,
        width: Width,
        a: Value,
        c: u64,
    ) -> Option<Rewrite> {
        match (integer, c) {
            (Integer::LtU, 0) => Some(Rewrite::Value(self.add_constant(Width::W32, 0))),
            (Integer::GeU, 0) => Some(Rewrite::Value(self.add_constant(Width::W32, 1))),
            (Integer::LtU, 1) | (Integer::LeU, 0) => Rewrite::inst(Integer::Eqz.operator(width), [a]),
            (Integer::GeU, 1) | (Integer::GtU, 0) => {
                let zero = self.add_constant(width, 0);
                Rewrite::inst(Integer::Ne.operator(width), [a, zero])
            }
            _ => {
                let bits = self.significant_bits(a);
                if bits >= 64 || c >> bits == 0 {
                    return None;
                }
                // The constant is above everything that the value can be.
                let less = matches!(integer, Integer::LtU | Integer::LeU);
                Some(Rewrite::Value(self.add_constant(Width::W32, i64::from(less))))
            }
        }
    }

    fn sum(&mut self, width: Width, a: Value, b: Value) -> Option<Rewrite> {
        for (x, y) in [(a, b), (b, a)] {
            if let Some((Integer::Sub, _, from, taken)) = self.binary(y) {
                // x + (0 - taken) is x - taken; x + (from - x) is from.
                if self.integer(from) == Some(0) {
                    return Rewrite::inst(Integer::Sub.operator(width), [x, taken]);
                }
                if taken == x {
                    return Some(Rewrite::Value(from));
                }
            }
        }
        None
    }

    fn difference(&mut self, width: Width, a: Value, b: Value) -> Option<Rewrite> {
        if let Some((inner, _, x, y)) = self.binary(b) {
            match inner {
                // a - (0 - y) is a + y.
                Integer::Sub if self.integer(x) == Some(0) => {
                    return Rewrite::inst(Integer::Add.operator(width), [a, y]);
                }
                // c - (x + c1) is (c - c1) - x.
                Integer::Add => {
                    if let (Some(c), Some(c1)) = (self.integer(a), self.integer(y)) {
                        let difference = self.add_constant(width, width.wrap(c.wrapping_sub(c1)));
                        return Rewrite::inst(Integer::Sub.operator(width), [difference, x]);
                    }
                }
                _ => {}
            }
        }
        match self.binary(a)? {
            // (x + y) - y is x.
            (Integer::Add, _, x, y) if y == b => Some(Rewrite::Value(x)),
            (Integer::Add, _, x, y) if x == b => Some(Rewrite::Value(y)),
            _ => None,
        }
    }

    /// `(x ^ y) ^ y` is `x`.
    fn exclusive_or(&mut self, a: Value, b: Value) -> Option<Rewrite> {
        for (both, one) in [(a, b), (b, a)] {
            match self.binary(both) {
                Some((Integer::Xor, _, x, y)) if y == one => return Some(Rewrite::Value(x)),
                Some((Integer::Xor, _, x, y)) if x == one => return Some(Rewrite::Value(y)),
                _ => {}
            }
        }
        None
    }
}
