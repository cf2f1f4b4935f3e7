//! Integer operators without their width, so that each rule is written once.

use wasmfx_ir::wasmparser::{Operator, ValType};

/// The width of an integer operator's operands.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Width {
    /// 32 bits.
    W32,
    /// 64 bits.
    W64,
}

impl Width {
    /// How many bits.
    pub fn bits(self) -> u32 {
        match self {
            Self::W32 => 32,
            Self::W64 => 64,
        }
    }
    /// The type of that width.
    pub fn ty(self) -> ValType {
        match self {
            Self::W32 => ValType::I32,
            Self::W64 => ValType::I64,
        }
    }
    /// A number reduced to the width, sign-extended: how constants of that width are written here.
    pub fn wrap(self, value: i64) -> i64 {
        match self {
            Self::W32 => i64::from(value as i32),
            Self::W64 => value,
        }
    }
    /// A constant of the width as an unsigned number.
    pub fn unsigned(self, value: i64) -> u64 {
        match self {
            Self::W32 => u64::from(value as u32),
            Self::W64 => value as u64,
        }
    }
    /// The operator that pushes a constant.
    pub fn constant(self, value: i64) -> Operator<'static> {
        match self {
            Self::W32 => Operator::I32Const { value: value as i32 },
            Self::W64 => Operator::I64Const { value },
        }
    }
}

macro_rules! integer_operators {
    ($($name:ident: $op32:ident $op64:ident;)*) => {
        /// An integer operator without its width.
        #[derive(Copy, Clone, Debug, PartialEq, Eq)]
        pub enum Integer { $($name),* }

        impl Integer {
            /// The parts of an operator on integers of one width.
            pub fn of(operator: &Operator<'_>) -> Option<(Self, Width)> {
                match operator {
                    $(Operator::$op32 => Some((Self::$name, Width::W32)),
                      Operator::$op64 => Some((Self::$name, Width::W64)),)*
                    _ => None,
                }
            }
            /// The operator with this width.
            pub fn operator(self, width: Width) -> Operator<'static> {
                match (self, width) {
                    $((Self::$name, Width::W32) => Operator::$op32,
                      (Self::$name, Width::W64) => Operator::$op64,)*
                }
            }
        }
    };
}
integer_operators! {
    Eqz: I32Eqz I64Eqz;
    Clz: I32Clz I64Clz;
    Ctz: I32Ctz I64Ctz;
    Popcnt: I32Popcnt I64Popcnt;
    Extend8S: I32Extend8S I64Extend8S;
    Extend16S: I32Extend16S I64Extend16S;
    Add: I32Add I64Add;
    Sub: I32Sub I64Sub;
    Mul: I32Mul I64Mul;
    DivS: I32DivS I64DivS;
    DivU: I32DivU I64DivU;
    RemS: I32RemS I64RemS;
    RemU: I32RemU I64RemU;
    And: I32And I64And;
    Or: I32Or I64Or;
    Xor: I32Xor I64Xor;
    Shl: I32Shl I64Shl;
    ShrS: I32ShrS I64ShrS;
    ShrU: I32ShrU I64ShrU;
    Rotl: I32Rotl I64Rotl;
    Rotr: I32Rotr I64Rotr;
    Eq: I32Eq I64Eq;
    Ne: I32Ne I64Ne;
    LtS: I32LtS I64LtS;
    LtU: I32LtU I64LtU;
    GtS: I32GtS I64GtS;
    GtU: I32GtU I64GtU;
    LeS: I32LeS I64LeS;
    LeU: I32LeU I64LeU;
    GeS: I32GeS I64GeS;
    GeU: I32GeU I64GeU;
}
