//! Constant folding: operators with constant operands, computed as the specification says.
//!
//! Never folded: what traps, and what gives a NaN whose bits the specification leaves open (core, "NaN propagation"): the engine chooses them,
//! and the program may look. Absolute value, negation, `copysign` and reinterpretation are defined on bits, so they are folded for NaNs too.

use wasmfx_ir::wasmparser::{Ieee32, Ieee64, Operator, ValType};

/// A constant number. Floats are their bits.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the number types")]
pub enum Constant {
    I32(i32),
    I64(i64),
    F32(u32),
    F64(u64),
}

impl Constant {
    /// The number that an operator pushes, if it is a constant.
    pub fn of(operator: &Operator<'_>) -> Option<Self> {
        match operator {
            Operator::I32Const { value } => Some(Self::I32(*value)),
            Operator::I64Const { value } => Some(Self::I64(*value)),
            Operator::F32Const { value } => Some(Self::F32(value.bits())),
            Operator::F64Const { value } => Some(Self::F64(value.bits())),
            _ => None,
        }
    }
    /// The operator that pushes the number.
    pub fn operator(self) -> Operator<'static> {
        match self {
            Self::I32(value) => Operator::I32Const { value },
            Self::I64(value) => Operator::I64Const { value },
            Self::F32(bits) => Operator::F32Const { value: Ieee32::from(f32::from_bits(bits)) },
            Self::F64(bits) => Operator::F64Const { value: Ieee64::from(f64::from_bits(bits)) },
        }
    }
    /// The number's type.
    pub fn ty(self) -> ValType {
        match self {
            Self::I32(_) => ValType::I32,
            Self::I64(_) => ValType::I64,
            Self::F32(_) => ValType::F32,
            Self::F64(_) => ValType::F64,
        }
    }
    /// An integer's value, sign-extended.
    pub fn integer(self) -> Option<i64> {
        match self {
            Self::I32(value) => Some(i64::from(value)),
            Self::I64(value) => Some(value),
            Self::F32(_) | Self::F64(_) => None,
        }
    }
}

fn float32(value: f32) -> Option<Constant> {
    (!value.is_nan()).then_some(Constant::F32(value.to_bits()))
}
fn float64(value: f64) -> Option<Constant> {
    (!value.is_nan()).then_some(Constant::F64(value.to_bits()))
}
fn boolean(value: bool) -> Option<Constant> {
    Some(Constant::I32(i32::from(value)))
}

/// The result of an operator on constants, where it is defined exactly.
pub fn fold(operator: &Operator<'_>, operands: &[Constant]) -> Option<Constant> {
    use Constant::{F32, F64, I32, I64};
    match *operands {
        [I32(a)] => fold_i32(operator, a),
        [I64(a)] => fold_i64(operator, a),
        [F32(a)] => fold_f32(operator, a),
        [F64(a)] => fold_f64(operator, a),
        [I32(a), I32(b)] => fold_i32_pair(operator, a, b),
        [I64(a), I64(b)] => fold_i64_pair(operator, a, b),
        [F32(a), F32(b)] => fold_f32_pair(operator, a, b),
        [F64(a), F64(b)] => fold_f64_pair(operator, a, b),
        _ => None,
    }
}

fn fold_i32(operator: &Operator<'_>, a: i32) -> Option<Constant> {
    use Constant::{F32, I32, I64};
    match operator {
        Operator::I32Eqz => boolean(a == 0),
        Operator::I32Clz => Some(I32(a.leading_zeros() as i32)),
        Operator::I32Ctz => Some(I32(a.trailing_zeros() as i32)),
        Operator::I32Popcnt => Some(I32(a.count_ones() as i32)),
        Operator::I32Extend8S => Some(I32(i32::from(a as i8))),
        Operator::I32Extend16S => Some(I32(i32::from(a as i16))),
        Operator::I64ExtendI32S => Some(I64(i64::from(a))),
        Operator::I64ExtendI32U => Some(I64(i64::from(a as u32))),
        Operator::F32ConvertI32S => float32(a as f32),
        Operator::F32ConvertI32U => float32(a as u32 as f32),
        Operator::F64ConvertI32S => float64(f64::from(a)),
        Operator::F64ConvertI32U => float64(f64::from(a as u32)),
        Operator::F32ReinterpretI32 => Some(F32(a as u32)),
        _ => None,
    }
}

fn fold_i64(operator: &Operator<'_>, a: i64) -> Option<Constant> {
    use Constant::{F64, I32, I64};
    match operator {
        Operator::I64Eqz => boolean(a == 0),
        Operator::I64Clz => Some(I64(i64::from(a.leading_zeros()))),
        Operator::I64Ctz => Some(I64(i64::from(a.trailing_zeros()))),
        Operator::I64Popcnt => Some(I64(i64::from(a.count_ones()))),
        Operator::I64Extend8S => Some(I64(i64::from(a as i8))),
        Operator::I64Extend16S => Some(I64(i64::from(a as i16))),
        Operator::I64Extend32S => Some(I64(i64::from(a as i32))),
        Operator::I32WrapI64 => Some(I32(a as i32)),
        Operator::F32ConvertI64S => float32(a as f32),
        Operator::F32ConvertI64U => float32(a as u64 as f32),
        Operator::F64ConvertI64S => float64(a as f64),
        Operator::F64ConvertI64U => float64(a as u64 as f64),
        Operator::F64ReinterpretI64 => Some(F64(a as u64)),
        _ => None,
    }
}

const SIGN32: u32 = 1 << 31;
const SIGN64: u64 = 1 << 63;

fn fold_f32(operator: &Operator<'_>, bits: u32) -> Option<Constant> {
    use Constant::{F32, I32, I64};
    let a = f32::from_bits(bits);
    match operator {
        Operator::F32Abs => Some(F32(bits & !SIGN32)),
        Operator::F32Neg => Some(F32(bits ^ SIGN32)),
        Operator::I32ReinterpretF32 => Some(I32(bits as i32)),
        Operator::F32Ceil => float32(a.ceil()),
        Operator::F32Floor => float32(a.floor()),
        Operator::F32Trunc => float32(a.trunc()),
        Operator::F32Nearest => float32(a.round_ties_even()),
        Operator::F32Sqrt => float32(a.sqrt()),
        Operator::F64PromoteF32 => float64(f64::from(a)),
        // Rust's casts saturate and take NaN to zero, as these operators do.
        Operator::I32TruncSatF32S => Some(I32(a as i32)),
        Operator::I32TruncSatF32U => Some(I32(a as u32 as i32)),
        Operator::I64TruncSatF32S => Some(I64(a as i64)),
        Operator::I64TruncSatF32U => Some(I64(a as u64 as i64)),
        // Every f32 is an f64, and so is every bound.
        Operator::I32TruncF32S => truncate_i32(f64::from(a)),
        Operator::I32TruncF32U => truncate_u32(f64::from(a)),
        Operator::I64TruncF32S => truncate_i64(f64::from(a)),
        Operator::I64TruncF32U => truncate_u64(f64::from(a)),
        _ => None,
    }
}

fn fold_f64(operator: &Operator<'_>, bits: u64) -> Option<Constant> {
    use Constant::{F64, I32, I64};
    let a = f64::from_bits(bits);
    match operator {
        Operator::F64Abs => Some(F64(bits & !SIGN64)),
        Operator::F64Neg => Some(F64(bits ^ SIGN64)),
        Operator::I64ReinterpretF64 => Some(I64(bits as i64)),
        Operator::F64Ceil => float64(a.ceil()),
        Operator::F64Floor => float64(a.floor()),
        Operator::F64Trunc => float64(a.trunc()),
        Operator::F64Nearest => float64(a.round_ties_even()),
        Operator::F64Sqrt => float64(a.sqrt()),
        Operator::F32DemoteF64 => float32(a as f32),
        Operator::I32TruncSatF64S => Some(I32(a as i32)),
        Operator::I32TruncSatF64U => Some(I32(a as u32 as i32)),
        Operator::I64TruncSatF64S => Some(I64(a as i64)),
        Operator::I64TruncSatF64U => Some(I64(a as u64 as i64)),
        Operator::I32TruncF64S => truncate_i32(a),
        Operator::I32TruncF64U => truncate_u32(a),
        Operator::I64TruncF64S => truncate_i64(a),
        Operator::I64TruncF64U => truncate_u64(a),
        _ => None,
    }
}

// The bounds are those of the truncated number; each is exact in f64. A NaN is within none.
fn truncate_i32(a: f64) -> Option<Constant> {
    (a > -2_147_483_649.0 && a < 2_147_483_648.0).then_some(Constant::I32(a as i32))
}
fn truncate_u32(a: f64) -> Option<Constant> {
    (a > -1.0 && a < 4_294_967_296.0).then_some(Constant::I32(a as u32 as i32))
}
fn truncate_i64(a: f64) -> Option<Constant> {
    (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&a).then_some(Constant::I64(a as i64))
}
fn truncate_u64(a: f64) -> Option<Constant> {
    (a > -1.0 && a < 18_446_744_073_709_551_616.0).then_some(Constant::I64(a as u64 as i64))
}

macro_rules! fold_integer_pair {
    ($name:ident, $signed:ty, $unsigned:ty, $constant:path, $($op:ident)*) => {
        fn $name(operator: &Operator<'_>, a: $signed, b: $signed) -> Option<Constant> {
            let (ua, ub) = (a as $unsigned, b as $unsigned);
            // Counts of shifts and rotations are taken modulo the width, by `wrapping_shl` and its like too.
            let count = b as u32;
            fold_integer_pair!(@match operator, a, b, ua, ub, count, $constant, $signed, $($op)*)
        }
    };
    (@match $operator:ident, $a:ident, $b:ident, $ua:ident, $ub:ident, $count:ident, $constant:path, $signed:ty,
     $add:ident $sub:ident $mul:ident $div_s:ident $div_u:ident $rem_s:ident $rem_u:ident $and:ident $or:ident $xor:ident
     $shl:ident $shr_s:ident $shr_u:ident $rotl:ident $rotr:ident
     $eq:ident $ne:ident $lt_s:ident $lt_u:ident $gt_s:ident $gt_u:ident $le_s:ident $le_u:ident $ge_s:ident $ge_u:ident) => {
        match $operator {
            Operator::$add => Some($constant($a.wrapping_add($b))),
            Operator::$sub => Some($constant($a.wrapping_sub($b))),
            Operator::$mul => Some($constant($a.wrapping_mul($b))),
            // `checked_div` refuses a zero divisor and the quotient that overflows, which are the two traps.
            Operator::$div_s => $a.checked_div($b).map($constant),
            Operator::$div_u => $ua.checked_div($ub).map(|value| $constant(value as $signed)),
            // The remainder of the smallest number by minus one is zero and no trap.
            Operator::$rem_s => ($b != 0).then(|| $constant($a.wrapping_rem($b))),
            Operator::$rem_u => $ua.checked_rem($ub).map(|value| $constant(value as $signed)),
            Operator::$and => Some($constant($a & $b)),
            Operator::$or => Some($constant($a | $b)),
            Operator::$xor => Some($constant($a ^ $b)),
            Operator::$shl => Some($constant($a.wrapping_shl($count))),
            Operator::$shr_s => Some($constant($a.wrapping_shr($count))),
            Operator::$shr_u => Some($constant($ua.wrapping_shr($count) as $signed)),
            Operator::$rotl => Some($constant($a.rotate_left($count % <$signed>::BITS))),
            Operator::$rotr => Some($constant($a.rotate_right($count % <$signed>::BITS))),
            Operator::$eq => boolean($a == $b),
            Operator::$ne => boolean($a != $b),
            Operator::$lt_s => boolean($a < $b),
            Operator::$lt_u => boolean($ua < $ub),
            Operator::$gt_s => boolean($a > $b),
            Operator::$gt_u => boolean($ua > $ub),
            Operator::$le_s => boolean($a <= $b),
            Operator::$le_u => boolean($ua <= $ub),
            Operator::$ge_s => boolean($a >= $b),
            Operator::$ge_u => boolean($ua >= $ub),
            _ => None,
        }
    };
}
fold_integer_pair!(fold_i32_pair, i32, u32, Constant::I32,
    I32Add I32Sub I32Mul I32DivS I32DivU I32RemS I32RemU I32And I32Or I32Xor I32Shl I32ShrS I32ShrU I32Rotl I32Rotr
    I32Eq I32Ne I32LtS I32LtU I32GtS I32GtU I32LeS I32LeU I32GeS I32GeU);
fold_integer_pair!(fold_i64_pair, i64, u64, Constant::I64,
    I64Add I64Sub I64Mul I64DivS I64DivU I64RemS I64RemU I64And I64Or I64Xor I64Shl I64ShrS I64ShrU I64Rotl I64Rotr
    I64Eq I64Ne I64LtS I64LtU I64GtS I64GtU I64LeS I64LeU I64GeS I64GeU);

macro_rules! fold_float_pair {
    ($name:ident, $float:ty, $bits:ty, $constant:path, $checked:ident, $sign:ident,
     $add:ident $sub:ident $mul:ident $div:ident $min:ident $max:ident $copysign:ident $eq:ident $ne:ident $lt:ident $gt:ident $le:ident $ge:ident) => {
        fn $name(operator: &Operator<'_>, a_bits: $bits, b_bits: $bits) -> Option<Constant> {
            let (a, b) = (<$float>::from_bits(a_bits), <$float>::from_bits(b_bits));
            match operator {
                Operator::$add => $checked(a + b),
                Operator::$sub => $checked(a - b),
                Operator::$mul => $checked(a * b),
                Operator::$div => $checked(a / b),
                // A NaN operand makes a NaN; of two zeros, minus zero is the smaller.
                Operator::$min if a.is_nan() || b.is_nan() => None,
                Operator::$min if a == b => Some($constant(a_bits | b_bits)),
                Operator::$min => Some($constant(if a < b { a_bits } else { b_bits })),
                Operator::$max if a.is_nan() || b.is_nan() => None,
                Operator::$max if a == b => Some($constant(a_bits & b_bits)),
                Operator::$max => Some($constant(if a > b { a_bits } else { b_bits })),
                Operator::$copysign => Some($constant(a_bits & !$sign | b_bits & $sign)),
                Operator::$eq => boolean(a == b),
                Operator::$ne => boolean(a != b),
                Operator::$lt => boolean(a < b),
                Operator::$gt => boolean(a > b),
                Operator::$le => boolean(a <= b),
                Operator::$ge => boolean(a >= b),
                _ => None,
            }
        }
    };
}
fold_float_pair!(fold_f32_pair, f32, u32, Constant::F32, float32, SIGN32,
    F32Add F32Sub F32Mul F32Div F32Min F32Max F32Copysign F32Eq F32Ne F32Lt F32Gt F32Le F32Ge);
fold_float_pair!(fold_f64_pair, f64, u64, Constant::F64, float64, SIGN64,
    F64Add F64Sub F64Mul F64Div F64Min F64Max F64Copysign F64Eq F64Ne F64Lt F64Gt F64Le F64Ge);

#[cfg(test)]
mod tests {
    use super::*;
    use Constant::{F32, F64, I32, I64};

    fn f32(value: f32) -> Constant {
        F32(value.to_bits())
    }
    fn f64(value: f64) -> Constant {
        F64(value.to_bits())
    }

    #[test]
    fn what_traps_is_not_folded() {
        assert_eq!(fold(&Operator::I32DivS, &[I32(1), I32(0)]), None);
        assert_eq!(fold(&Operator::I32DivS, &[I32(i32::MIN), I32(-1)]), None);
        assert_eq!(fold(&Operator::I64DivS, &[I64(i64::MIN), I64(-1)]), None);
        assert_eq!(fold(&Operator::I64RemU, &[I64(1), I64(0)]), None);
        assert_eq!(fold(&Operator::I32RemS, &[I32(i32::MIN), I32(-1)]), Some(I32(0)));
        assert_eq!(fold(&Operator::I32TruncF64S, &[f64(2_147_483_648.0)]), None);
        assert_eq!(fold(&Operator::I32TruncF64S, &[f64(-2_147_483_648.9)]), Some(I32(i32::MIN)));
        assert_eq!(fold(&Operator::I32TruncF32U, &[f32(-0.9)]), Some(I32(0)));
        assert_eq!(fold(&Operator::I32TruncF32U, &[f32(-1.0)]), None);
        assert_eq!(fold(&Operator::I64TruncF64S, &[f64(-9_223_372_036_854_775_808.0)]), Some(I64(i64::MIN)));
        assert_eq!(fold(&Operator::I64TruncF64U, &[f64(18_446_744_073_709_551_616.0)]), None);
        assert_eq!(fold(&Operator::I64TruncF64U, &[f64(f64::NAN)]), None);
        assert_eq!(fold(&Operator::I64TruncSatF64U, &[f64(f64::NAN)]), Some(I64(0)));
        assert_eq!(fold(&Operator::I32TruncSatF64U, &[f64(-5.0)]), Some(I32(0)));
    }

    #[test]
    fn nans_of_open_bits_are_not_folded_and_those_of_fixed_bits_are() {
        let nan = F32(0x7fc0_1234);
        assert_eq!(fold(&Operator::F32Add, &[nan, f32(1.0)]), None);
        assert_eq!(fold(&Operator::F32Div, &[f32(0.0), f32(0.0)]), None);
        assert_eq!(fold(&Operator::F32Min, &[f32(1.0), nan]), None);
        assert_eq!(fold(&Operator::F64PromoteF32, &[nan]), None);
        assert_eq!(fold(&Operator::F32Sqrt, &[f32(-1.0)]), None);
        assert_eq!(fold(&Operator::F32Neg, &[nan]), Some(F32(0xffc0_1234)));
        assert_eq!(fold(&Operator::F32Copysign, &[nan, f32(-1.0)]), Some(F32(0xffc0_1234)));
        assert_eq!(fold(&Operator::I32ReinterpretF32, &[F32(0x7f80_0001)]), Some(I32(0x7f80_0001)));
        assert_eq!(fold(&Operator::F32Eq, &[nan, nan]), Some(I32(0)));
        assert_eq!(fold(&Operator::F32Ne, &[nan, nan]), Some(I32(1)));
    }

    #[test]
    fn zeros_are_told_apart() {
        assert_eq!(fold(&Operator::F64Min, &[f64(0.0), f64(-0.0)]), Some(f64(-0.0)));
        assert_eq!(fold(&Operator::F64Max, &[f64(-0.0), f64(0.0)]), Some(f64(0.0)));
        assert_eq!(fold(&Operator::F64Nearest, &[f64(-0.5)]), Some(f64(-0.0)));
        assert_eq!(fold(&Operator::F64Nearest, &[f64(2.5)]), Some(f64(2.0)));
        assert_eq!(fold(&Operator::F32Ceil, &[f32(-0.3)]), Some(f32(-0.0)));
        assert_eq!(fold(&Operator::F32Sub, &[f32(0.0), f32(0.0)]), Some(f32(0.0)));
    }

    #[test]
    fn shifts_and_rotations_take_their_count_modulo_the_width() {
        assert_eq!(fold(&Operator::I32Shl, &[I32(1), I32(33)]), Some(I32(2)));
        assert_eq!(fold(&Operator::I32ShrS, &[I32(-8), I32(-31)]), Some(I32(-4)));
        assert_eq!(fold(&Operator::I64ShrU, &[I64(-1), I64(64 + 63)]), Some(I64(1)));
        assert_eq!(fold(&Operator::I64Rotl, &[I64(1), I64(-1)]), Some(I64(i64::MIN)));
        assert_eq!(fold(&Operator::I32Rotr, &[I32(1), I32(1)]), Some(I32(i32::MIN)));
    }

    #[test]
    fn arithmetic_wraps_and_unsigned_is_unsigned() {
        assert_eq!(fold(&Operator::I32Add, &[I32(i32::MAX), I32(1)]), Some(I32(i32::MIN)));
        assert_eq!(fold(&Operator::I32DivU, &[I32(-1), I32(2)]), Some(I32(i32::MAX)));
        assert_eq!(fold(&Operator::I64LtU, &[I64(-1), I64(0)]), Some(I32(0)));
        assert_eq!(fold(&Operator::I32WrapI64, &[I64(0x1_0000_0007)]), Some(I32(7)));
        assert_eq!(fold(&Operator::I64ExtendI32U, &[I32(-1)]), Some(I64(0xffff_ffff)));
        assert_eq!(fold(&Operator::F64ConvertI64U, &[I64(-1)]), Some(f64(18_446_744_073_709_551_616.0)));
        assert_eq!(fold(&Operator::F32DemoteF64, &[f64(1e300)]), Some(f32(f32::INFINITY)));
    }
}
