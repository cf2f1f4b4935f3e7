//! Whether a result is what a script expects.

use wasmtime::{ExternRef, Store, Val};
use wast::WastRet;
use wast::core::{NanPattern, V128Pattern, WastRetCore};
use wast::token::{F32, F64};

use crate::engine::values::{HostNumber, display_f32, display_f64, host_number};

/// The quiet bit alone: the payload of a canonical NaN.
const CANONICAL_F32: u32 = 0x7fc0_0000;
const CANONICAL_F64: u64 = 0x7ff8_0000_0000_0000;
const SIGN_F32: u32 = 1 << 31;
const SIGN_F64: u64 = 1 << 63;

/// Whether `actual` matches the pattern `expected`.
pub fn matches<T: 'static>(store: &mut Store<T>, actual: &Val, expected: &WastRetCore<'_>) -> bool {
    match (expected, actual) {
        (WastRetCore::Either(patterns), _) => patterns.iter().any(|pattern| matches(store, actual, pattern)),
        (WastRetCore::I32(expected), Val::I32(actual)) => expected == actual,
        (WastRetCore::I64(expected), Val::I64(actual)) => expected == actual,
        (WastRetCore::F32(expected), Val::F32(actual)) => matches_f32(*actual, expected),
        (WastRetCore::F64(expected), Val::F64(actual)) => matches_f64(*actual, expected),
        (WastRetCore::V128(expected), Val::V128(actual)) => matches_v128(actual.as_u128(), expected),
        (WastRetCore::RefNull(_), _) => is_null(actual),
        (WastRetCore::RefExtern(None), Val::ExternRef(actual)) => actual.is_some(),
        (WastRetCore::RefExtern(Some(expected)), Val::ExternRef(Some(actual))) => {
            host_number(store, actual) == Some(*expected)
        }
        (WastRetCore::RefHost(expected), Val::AnyRef(Some(actual))) => {
            let Ok(external) = ExternRef::convert_any(&mut *store, *actual) else { return false };
            let number = external.data(&*store).ok().flatten().and_then(|data| data.downcast_ref::<HostNumber>());
            number == Some(&HostNumber(*expected))
        }
        // Scripts cannot say which function; that there is one is all that can be asked of a host.
        (WastRetCore::RefFunc(_), Val::FuncRef(actual)) => actual.is_some(),
        (WastRetCore::RefAny, Val::AnyRef(actual)) => actual.is_some(),
        (WastRetCore::RefEq, Val::AnyRef(Some(actual))) => actual.is_eqref(&*store).unwrap_or(false),
        (WastRetCore::RefI31, Val::AnyRef(Some(actual))) => actual.is_i31(&*store).unwrap_or(false),
        (WastRetCore::RefStruct, Val::AnyRef(Some(actual))) => actual.is_struct(&*store).unwrap_or(false),
        (WastRetCore::RefArray, Val::AnyRef(Some(actual))) => actual.is_array(&*store).unwrap_or(false),
        _ => false,
    }
}

/// What a script expects, in the words in which results are shown.
pub fn describe(expected: &WastRet<'_>) -> String {
    match expected {
        WastRet::Core(expected) => describe_core(expected),
        _ => "a value of the component model".to_string(),
    }
}

fn describe_core(expected: &WastRetCore<'_>) -> String {
    match expected {
        WastRetCore::I32(value) => format!("i32:{value}"),
        WastRetCore::I64(value) => format!("i64:{value}"),
        WastRetCore::F32(value) => format!("f32:{}", describe_float(value, |value| display_f32(value.bits))),
        WastRetCore::F64(value) => format!("f64:{}", describe_float(value, |value| display_f64(value.bits))),
        WastRetCore::V128(pattern) => format!("v128:{}", describe_v128(pattern)),
        WastRetCore::RefNull(_) => "a null reference".to_string(),
        WastRetCore::RefExtern(Some(number)) => format!("externref:{number}"),
        WastRetCore::RefExtern(None) => "externref:object".to_string(),
        WastRetCore::RefHost(number) => format!("anyref:{number} of the host"),
        WastRetCore::RefFunc(_) => "funcref:function".to_string(),
        WastRetCore::RefAny => "anyref:object".to_string(),
        WastRetCore::RefEq => "eqref:object".to_string(),
        WastRetCore::RefArray => "arrayref:array".to_string(),
        WastRetCore::RefStruct => "structref:struct".to_string(),
        WastRetCore::RefI31 => "i31ref:number".to_string(),
        WastRetCore::RefI31Shared => "a shared i31ref".to_string(),
        WastRetCore::Either(patterns) => {
            let patterns: Vec<String> = patterns.iter().map(describe_core).collect();
            patterns.join(" or ")
        }
    }
}

fn describe_float<T>(pattern: &NanPattern<T>, display: impl Fn(&T) -> String) -> String {
    match pattern {
        NanPattern::CanonicalNan => "nan:canonical".to_string(),
        NanPattern::ArithmeticNan => "nan:arithmetic".to_string(),
        NanPattern::Value(value) => display(value),
    }
}

fn describe_v128(pattern: &V128Pattern) -> String {
    fn lanes<T>(shape: &str, lanes: &[T], display: impl Fn(&T) -> String) -> String {
        let lanes: Vec<String> = lanes.iter().map(display).collect();
        format!("{shape} {}", lanes.join(" "))
    }
    match pattern {
        V128Pattern::I8x16(values) => lanes("i8x16", values, |value| format!("{value:#04x}")),
        V128Pattern::I16x8(values) => lanes("i16x8", values, |value| format!("{value:#06x}")),
        V128Pattern::I32x4(values) => lanes("i32x4", values, |value| format!("{value:#010x}")),
        V128Pattern::I64x2(values) => lanes("i64x2", values, |value| format!("{value:#018x}")),
        V128Pattern::F32x4(values) => {
            lanes("f32x4", values, |value| describe_float(value, |value| display_f32(value.bits)))
        }
        V128Pattern::F64x2(values) => {
            lanes("f64x2", values, |value| describe_float(value, |value| display_f64(value.bits)))
        }
    }
}

fn is_null(value: &Val) -> bool {
    match value {
        Val::FuncRef(reference) => reference.is_none(),
        Val::ExternRef(reference) => reference.is_none(),
        Val::AnyRef(reference) => reference.is_none(),
        Val::ExnRef(reference) => reference.is_none(),
        Val::ContRef(reference) => reference.is_none(),
        Val::I32(_) | Val::I64(_) | Val::F32(_) | Val::F64(_) | Val::V128(_) => false,
    }
}

fn matches_f32(bits: u32, expected: &NanPattern<F32>) -> bool {
    match expected {
        NanPattern::CanonicalNan => bits & !SIGN_F32 == CANONICAL_F32,
        NanPattern::ArithmeticNan => bits & CANONICAL_F32 == CANONICAL_F32,
        NanPattern::Value(value) => bits == value.bits,
    }
}

fn matches_f64(bits: u64, expected: &NanPattern<F64>) -> bool {
    match expected {
        NanPattern::CanonicalNan => bits & !SIGN_F64 == CANONICAL_F64,
        NanPattern::ArithmeticNan => bits & CANONICAL_F64 == CANONICAL_F64,
        NanPattern::Value(value) => bits == value.bits,
    }
}

fn matches_v128(bits: u128, expected: &V128Pattern) -> bool {
    let bytes = bits.to_le_bytes();
    fn lanes<const SIZE: usize>(bytes: &[u8; 16]) -> impl Iterator<Item = [u8; SIZE]> + '_ {
        bytes.as_chunks::<SIZE>().0.iter().copied()
    }
    match expected {
        V128Pattern::I8x16(expected) => lanes(&bytes).map(i8::from_le_bytes).eq(*expected),
        V128Pattern::I16x8(expected) => lanes(&bytes).map(i16::from_le_bytes).eq(*expected),
        V128Pattern::I32x4(expected) => lanes(&bytes).map(i32::from_le_bytes).eq(*expected),
        V128Pattern::I64x2(expected) => lanes(&bytes).map(i64::from_le_bytes).eq(*expected),
        V128Pattern::F32x4(expected) => {
            lanes(&bytes).map(u32::from_le_bytes).zip(expected).all(|(lane, pattern)| matches_f32(lane, pattern))
        }
        V128Pattern::F64x2(expected) => {
            lanes(&bytes).map(u64::from_le_bytes).zip(expected).all(|(lane, pattern)| matches_f64(lane, pattern))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_patterns_look_at_the_payload() {
        assert!(matches_f32(0xffc0_0000, &NanPattern::CanonicalNan));
        assert!(!matches_f32(0x7fc0_0001, &NanPattern::CanonicalNan));
        assert!(matches_f32(0x7fc0_0001, &NanPattern::ArithmeticNan));
        assert!(!matches_f32(0x7fa0_0000, &NanPattern::ArithmeticNan));
        assert!(!matches_f64(0x7ff0_0000_0000_0000, &NanPattern::ArithmeticNan));
        assert!(matches_f64(0xfff8_0000_0000_0000, &NanPattern::CanonicalNan));
    }

    #[test]
    fn vectors_are_compared_lane_by_lane() {
        let bits = u128::from_le_bytes([1, 0, 0, 0, 0, 0, 0xc0, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!(matches_v128(bits, &V128Pattern::I32x4([1, 0x7fc0_0000, 0, 0])));
        assert!(!matches_v128(bits, &V128Pattern::I32x4([1, 0x7fc0_0000, 0, 1])));
        let float = |bits| NanPattern::Value(F32 { bits });
        assert!(matches_v128(bits, &V128Pattern::F32x4([float(1), NanPattern::CanonicalNan, float(0), float(0)])));
    }
}
