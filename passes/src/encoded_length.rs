//! How many bytes things take in the binary format, for passes that weigh one form against another.

use wasm_encoder::reencode::RoundtripReencoder;
use wasm_encoder::{Encode, Instruction};
use wasmfx_ir::emit::emit;
use wasmfx_ir::wasmparser::{FuncType, Operator, ValType};
use wasmfx_ir::{Func, Module};

/// An unsigned LEB128 number.
pub fn unsigned(value: u64) -> usize {
    (u64::BITS - value.max(1).leading_zeros()).div_ceil(7) as usize
}

/// A signed LEB128 number.
pub fn signed(value: i64) -> usize {
    // The sign takes a bit besides those of the magnitude.
    let magnitude_bits = i64::BITS - (value ^ (value >> 63)).leading_zeros();
    magnitude_bits as usize / 7 + 1
}

/// An operator with its immediates; indices in it count as the numbers of the ids, which passes know instead. `None` for what is no instruction.
pub fn operator(operator: &Operator<'static>) -> Option<usize> {
    let mut bytes = Vec::new();
    Instruction::try_from(operator.clone()).ok()?.encode(&mut bytes);
    Some(bytes.len())
}

/// A function type that has no supertypes and is final.
pub fn func_type(ty: &FuncType) -> usize {
    let list = |types: &[ValType]| unsigned(types.len() as u64) + types.iter().map(|&ty| val_type(ty)).sum::<usize>();
    1 + list(ty.params()) + list(ty.results())
}

/// The body that a function would be emitted as now; indices in it count as the numbers of the ids. `usize::MAX` for what has no form in the binary
/// format.
pub fn body(func: &mut Func, module: &Module) -> usize {
    let emitted = emit(func, module);
    let encoded = emitted.encode(&func.operators, &mut RoundtripReencoder, |_| 0);
    encoded.map_or(usize::MAX, |encoded| encoded.bytes.len())
}

fn val_type(ty: ValType) -> usize {
    let mut bytes = Vec::new();
    // What has no form in the binary format is no type of a module: any length will do.
    wasm_encoder::ValType::try_from(ty).into_iter().for_each(|ty| ty.encode(&mut bytes));
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_long_as_the_encoder_writes_them() {
        let written = |number: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = Vec::new();
            number(&mut bytes);
            bytes.len()
        };
        let around_powers = (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        for value in around_powers.flat_map(|value| [value, !value]) {
            assert_eq!(unsigned(value), written(&|bytes| value.encode(bytes)), "{value}");
            let value = value.cast_signed();
            assert_eq!(signed(value), written(&|bytes| value.encode(bytes)), "{value}");
        }
    }

    #[test]
    fn prefixes_and_immediates_of_operators_count() {
        for (bytes, instruction) in [
            (1, Operator::I32Add),
            (2, Operator::I32TruncSatF32S),
            (2, Operator::I8x16Neg),
            (3, Operator::I64x2Neg),
            (2, Operator::I32Const { value: 63 }),
            (3, Operator::I32Const { value: 64 }),
            (3, Operator::GlobalGet { global_index: 128 }),
        ] {
            assert_eq!(operator(&instruction), Some(bytes), "{instruction:?}");
        }
    }

    #[test]
    fn a_function_type_is_its_form_and_two_lists() {
        assert_eq!(func_type(&FuncType::new([ValType::I32, ValType::FUNCREF], [ValType::V128])), 6);
    }
}
