//! Value types in four bytes.

use wasmparser::{AbstractHeapType, HeapType, RefType, UnpackedIndex, ValType};

/// A [`ValType`] in four bytes, which halves what a value costs.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct PackedType(u32);

const REFERENCE: u32 = 1 << 31;
const NULLABLE: u32 = 1 << 30;
const CONCRETE: u32 = 1 << 29;
/// Exact for a concrete type, shared for an abstract one.
const EXACT_OR_SHARED: u32 = 1 << 28;
const INDEX: u32 = EXACT_OR_SHARED - 1;

const NUMERIC: [ValType; 5] = [ValType::I32, ValType::I64, ValType::F32, ValType::F64, ValType::V128];

const ABSTRACT: [AbstractHeapType; 14] = {
    use AbstractHeapType::{
        Any, Array, Cont, Eq, Exn, Extern, Func, I31, NoCont, NoExn, NoExtern, NoFunc, None, Struct,
    };
    [Func, Extern, Any, None, NoExtern, NoFunc, Eq, Struct, Array, I31, Exn, NoExn, Cont, NoCont]
};

impl From<ValType> for PackedType {
    #[inline]
    fn from(ty: ValType) -> Self {
        Self(match ty {
            ValType::I32 => 0,
            ValType::I64 => 1,
            ValType::F32 => 2,
            ValType::F64 => 3,
            ValType::V128 => 4,
            ValType::Ref(reference) => {
                let heap = match reference.heap_type() {
                    HeapType::Concrete(index) => CONCRETE | type_number(index),
                    HeapType::Exact(index) => CONCRETE | EXACT_OR_SHARED | type_number(index),
                    HeapType::Abstract { shared, ty } => {
                        let position = ABSTRACT.iter().position(|&entry| entry == ty);
                        let position = position.expect("ABSTRACT lists every abstract heap type") as u32;
                        position | if shared { EXACT_OR_SHARED } else { 0 }
                    }
                };
                REFERENCE | heap | if reference.is_nullable() { NULLABLE } else { 0 }
            }
        })
    }
}

fn type_number(index: UnpackedIndex) -> u32 {
    match index {
        UnpackedIndex::Module(index) => index,
        UnpackedIndex::RecGroup(_) | UnpackedIndex::Id(_) => {
            unreachable!("types in the IR refer to each other by the module's type numbers")
        }
    }
}

impl From<PackedType> for ValType {
    #[inline]
    fn from(PackedType(bits): PackedType) -> Self {
        if bits & REFERENCE == 0 {
            return NUMERIC[bits as usize];
        }
        let index = bits & INDEX;
        let heap = match (bits & CONCRETE != 0, bits & EXACT_OR_SHARED != 0) {
            (true, false) => HeapType::Concrete(UnpackedIndex::Module(index)),
            (true, true) => HeapType::Exact(UnpackedIndex::Module(index)),
            (false, shared) => HeapType::Abstract { shared, ty: ABSTRACT[index as usize] },
        };
        let reference = RefType::new(bits & NULLABLE != 0, heap);
        Self::Ref(reference.expect("the index of a packed type came out of a RefType"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_type_survives_packing() {
        let heaps = ABSTRACT
            .into_iter()
            .flat_map(|ty| [false, true].map(|shared| HeapType::Abstract { shared, ty }))
            .chain([0, 7, 999_999].map(|index| HeapType::Concrete(UnpackedIndex::Module(index))))
            .chain([HeapType::Exact(UnpackedIndex::Module(3))]);
        let references = heaps.flat_map(|heap| [false, true].map(|nullable| RefType::new(nullable, heap).unwrap()));
        for ty in NUMERIC.into_iter().chain(references.map(ValType::Ref)) {
            assert_eq!(ValType::from(PackedType::from(ty)), ty);
        }
    }
}
