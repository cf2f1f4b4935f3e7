//! Facts about operators that lifting needs: how many values they take and leave, and an owned form.

use wasmparser::{
    BlockType, BrTable, HeapType, Ieee32, Ieee64, MemArg, MemArgTarget, Operator, Ordering, RefType, ResumeTable,
    TryTable, V128, ValType,
};

macro_rules! define_fixed_arity {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        /// How many values an operator pops and pushes; `None` where that depends on the module or on the labels around.
        #[inline]
        pub(super) fn fixed_arity(operator: &Operator<'_>) -> Option<(u8, u8)> {
            match operator {
                $(Operator::$op $({ $($arg),* })? => {
                    $($(let _ = $arg;)*)?
                    define_fixed_arity!(@arity { $($($arg)*)? } $($ann)*)
                })*
                _ => unreachable!("an operator that for_each_operator! does not list"),
            }
        }
    };
    (@arity { $($arg:ident)* } arity custom) => { None };
    (@arity { $memarg:ident $($arg:ident)* } arity memarg $pops:literal -> $pushes:literal) => {
        Some(($pops + u8::from(accesses_array($memarg)), $pushes))
    };
    (@arity { $($arg:ident)* } arity $pops:literal -> $pushes:literal) => { Some(($pops, $pushes)) };
}
wasmparser::for_each_operator!(define_fixed_arity);

/// A field of an operator that may borrow from the input.
trait IntoOwned {
    type Owned;
    fn into_owned(self) -> Self::Owned;
}

macro_rules! fields_that_own {
    ($($ty:ty)*) => {$(impl IntoOwned for $ty {
        type Owned = Self;
        #[inline]
        fn into_owned(self) -> Self { self }
    })*};
}
fields_that_own!(u8 u32 i32 i64 [u8; 16] Ieee32 Ieee64 V128 Ordering ValType RefType HeapType MemArg BlockType TryTable ResumeTable Vec<ValType>);

impl IntoOwned for BrTable<'_> {
    type Owned = BrTable<'static>;
    fn into_owned(self) -> BrTable<'static> {
        unreachable!("br_table becomes a terminator, not an operator")
    }
}

macro_rules! define_into_owned {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        /// The operator without a tie to the input. Every operator but `br_table`.
        #[inline]
        pub(super) fn into_owned(operator: Operator<'_>) -> Operator<'static> {
            match operator {
                $(Operator::$op $({ $($arg),* })? => Operator::$op $({ $($arg: $arg.into_owned()),* })?,)*
                _ => unreachable!("an operator that for_each_operator! does not list"),
            }
        }
    };
}
wasmparser::for_each_operator!(define_into_owned);

/// Whether a memory access is to an array instead (multibyte array access), which takes another operand.
fn accesses_array(memarg: &MemArg) -> bool {
    matches!(memarg.target, MemArgTarget::Array(_))
}
