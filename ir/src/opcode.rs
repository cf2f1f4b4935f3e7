//! Operators without their immediates, as an enumeration that may be matched exhaustively.
//!
//! `wasmparser::Operator` is `#[non_exhaustive]`, so a match over it always needs a catch-all arm, which would swallow the operators of
//! a new proposal. [`Opcode`] is generated from the same table and is not: a table over all opcodes stops compiling when the table grows.

use wasmparser::Operator;

macro_rules! define_opcode {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        /// An operator without its immediates.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        #[expect(missing_docs, reason = "the variants are the operators of the specification")]
        pub enum Opcode { $($op),* }

        impl Opcode {
            /// Every opcode, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$op),*];

            /// The opcode of an operator.
            #[inline]
            pub fn of(operator: &Operator<'_>) -> Self {
                match operator {
                    $(Operator::$op { .. } => Self::$op,)*
                    _ => unreachable!("an operator that for_each_operator! does not list"),
                }
            }

            /// wasmparser's name of the visitor method, from which the text format's name is made.
            pub(crate) const fn visitor_name(self) -> &'static str {
                match self { $(Self::$op => stringify!($visit)),* }
            }
        }
    };
}
wasmparser::for_each_operator!(define_opcode);

impl Opcode {
    /// Whether swapping the two operands leaves the result the same. For floating point that holds but for the payload of a NaN, which the
    /// specification leaves open (core, "NaN propagation").
    pub const fn is_commutative(self) -> bool {
        use Opcode::*;
        matches!(
            self,
            I32Eq
                | I32Ne
                | I64Eq
                | I64Ne
                | F32Eq
                | F32Ne
                | F64Eq
                | F64Ne
                | I32Add
                | I32Mul
                | I32And
                | I32Or
                | I32Xor
                | I64Add
                | I64Mul
                | I64And
                | I64Or
                | I64Xor
                | F32Add
                | F32Mul
                | F32Min
                | F32Max
                | F64Add
                | F64Mul
                | F64Min
                | F64Max
                | I8x16Eq
                | I8x16Ne
                | I16x8Eq
                | I16x8Ne
                | I32x4Eq
                | I32x4Ne
                | I64x2Eq
                | I64x2Ne
                | F32x4Eq
                | F32x4Ne
                | F64x2Eq
                | F64x2Ne
                | I8x16Add
                | I8x16AddSatS
                | I8x16AddSatU
                | I8x16MinS
                | I8x16MinU
                | I8x16MaxS
                | I8x16MaxU
                | I8x16AvgrU
                | I16x8Q15MulrSatS
                | I16x8Add
                | I16x8AddSatS
                | I16x8AddSatU
                | I16x8Mul
                | I16x8MinS
                | I16x8MinU
                | I16x8MaxS
                | I16x8MaxU
                | I16x8AvgrU
                | I16x8ExtMulLowI8x16S
                | I16x8ExtMulHighI8x16S
                | I16x8ExtMulLowI8x16U
                | I16x8ExtMulHighI8x16U
                | I32x4Add
                | I32x4Mul
                | I32x4MinS
                | I32x4MinU
                | I32x4MaxS
                | I32x4MaxU
                | I32x4DotI16x8S
                | I32x4ExtMulLowI16x8S
                | I32x4ExtMulHighI16x8S
                | I32x4ExtMulLowI16x8U
                | I32x4ExtMulHighI16x8U
                | I64x2Add
                | I64x2Mul
                | I64x2ExtMulLowI32x4S
                | I64x2ExtMulHighI32x4S
                | I64x2ExtMulLowI32x4U
                | I64x2ExtMulHighI32x4U
                | F32x4Add
                | F32x4Mul
                | F32x4Min
                | F32x4Max
                | F64x2Add
                | F64x2Mul
                | F64x2Min
                | F64x2Max
                | V128And
                | V128Or
                | V128Xor
                | RefEq
        )
    }

    /// The comparison that says the same of swapped operands: `a < b` is `b > a`. Comparisons that are commutative are their own mirror.
    pub const fn swapped_comparison(self) -> Option<Self> {
        use Opcode::*;
        Some(match self {
            I32Eq | I32Ne | I64Eq | I64Ne | F32Eq | F32Ne | F64Eq | F64Ne => self,
            I32LtS => I32GtS,
            I32LtU => I32GtU,
            I32GtS => I32LtS,
            I32GtU => I32LtU,
            I32LeS => I32GeS,
            I32LeU => I32GeU,
            I32GeS => I32LeS,
            I32GeU => I32LeU,
            I64LtS => I64GtS,
            I64LtU => I64GtU,
            I64GtS => I64LtS,
            I64GtU => I64LtU,
            I64LeS => I64GeS,
            I64LeU => I64GeU,
            I64GeS => I64LeS,
            I64GeU => I64LeU,
            F32Lt => F32Gt,
            F32Gt => F32Lt,
            F32Le => F32Ge,
            F32Ge => F32Le,
            F64Lt => F64Gt,
            F64Gt => F64Lt,
            F64Le => F64Ge,
            F64Ge => F64Le,
            _ => return None,
        })
    }

    /// The comparison that is one where this one is zero. Orderings of floats have none: with a NaN both `a < b` and `a >= b` are zero.
    pub const fn inverted_comparison(self) -> Option<Self> {
        use Opcode::*;
        Some(match self {
            I32Eq => I32Ne,
            I32Ne => I32Eq,
            I32LtS => I32GeS,
            I32LtU => I32GeU,
            I32GtS => I32LeS,
            I32GtU => I32LeU,
            I32LeS => I32GtS,
            I32LeU => I32GtU,
            I32GeS => I32LtS,
            I32GeU => I32LtU,
            I64Eq => I64Ne,
            I64Ne => I64Eq,
            I64LtS => I64GeS,
            I64LtU => I64GeU,
            I64GtS => I64LeS,
            I64GtU => I64LeU,
            I64LeS => I64GtS,
            I64LeU => I64GtU,
            I64GeS => I64LtS,
            I64GeU => I64LtU,
            F32Eq => F32Ne,
            F32Ne => F32Eq,
            F64Eq => F64Ne,
            F64Ne => F64Eq,
            _ => return None,
        })
    }

    /// Whether the operator pushes a number or reference that is known from its immediates alone.
    pub const fn is_const(self) -> bool {
        use Opcode::*;
        matches!(self, I32Const | I64Const | F32Const | F64Const | V128Const | RefNull | RefFunc)
    }

    /// Whether the result is always zero or one.
    pub const fn is_boolean(self) -> bool {
        use Opcode::*;
        self.swapped_comparison().is_some()
            || matches!(
                self,
                I32Eqz
                    | I64Eqz
                    | RefIsNull
                    | RefEq
                    | RefTestNonNull
                    | RefTestNullable
                    | V128AnyTrue
                    | I8x16AllTrue
                    | I16x8AllTrue
                    | I32x4AllTrue
                    | I64x2AllTrue
            )
    }

    /// The operator of an instruction that has no immediates, for the tables above to be turned back into instructions.
    pub fn without_immediates(self) -> Option<Operator<'static>> {
        operator_without_immediates(self)
    }
}

macro_rules! define_without_immediates {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        fn operator_without_immediates(opcode: Opcode) -> Option<Operator<'static>> {
            match opcode { $(Opcode::$op => define_without_immediates!(@one $op $({ $($arg),* })?)),* }
        }
    };
    (@one $op:ident { $($arg:ident),* }) => { None };
    (@one $op:ident) => { Some(Operator::$op) };
}
wasmparser::for_each_operator!(define_without_immediates);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swapping_and_inverting_a_comparison_twice_gives_it_back() {
        for &opcode in Opcode::ALL {
            if let Some(swapped) = opcode.swapped_comparison() {
                assert_eq!(swapped.swapped_comparison(), Some(opcode));
                assert_eq!(swapped == opcode, opcode.is_commutative());
            }
            if let Some(inverted) = opcode.inverted_comparison() {
                assert_eq!(inverted.inverted_comparison(), Some(opcode));
                assert_ne!(inverted, opcode);
            }
        }
    }

    #[test]
    fn an_opcode_without_immediates_gives_its_operator() {
        assert_eq!(Opcode::I32Add.without_immediates(), Some(Operator::I32Add));
        assert_eq!(Opcode::I32Const.without_immediates(), None);
        for &opcode in Opcode::ALL {
            if let Some(operator) = opcode.without_immediates() {
                assert_eq!(Opcode::of(&operator), opcode);
            }
        }
    }
}
