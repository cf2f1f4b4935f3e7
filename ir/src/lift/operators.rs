//! How many values operators take and leave.

use wasmparser::{MemArg, MemArgTarget, Operator};

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

/// Whether a memory access is to an array instead (multibyte array access), which takes another operand.
fn accesses_array(memarg: &MemArg) -> bool {
    matches!(memarg.target, MemArgTarget::Array(_))
}
