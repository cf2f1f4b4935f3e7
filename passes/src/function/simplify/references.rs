//! References. What the type already says need not be asked at run time. Continuations are never cast (no rule here makes a cast).

use super::{Rewrite, Simplifier, Width};
use wasmfx_ir::Value;
use wasmfx_ir::wasmparser::{Operator, ValType};

impl Simplifier<'_> {
    pub(super) fn reference_rules(&mut self, operator: &Operator<'static>, operands: &[Value]) -> Option<Rewrite> {
        match (operator, operands) {
            (Operator::RefIsNull, &[a]) => {
                if self.is_non_null(a) {
                    return Some(Rewrite::Value(self.add_constant(Width::W32, 0)));
                }
                if let Some(Operator::RefNull { .. }) = self.func.defining_operator(a) {
                    return Some(Rewrite::Value(self.add_constant(Width::W32, 1)));
                }
                None
            }
            (Operator::RefAsNonNull, &[a]) if self.is_non_null(a) => Some(Rewrite::Value(a)),
            (Operator::RefEq, &[a, b]) if a == b => Some(Rewrite::Value(self.add_constant(Width::W32, 1))),
            _ => None,
        }
    }

    fn is_non_null(&self, value: Value) -> bool {
        matches!(self.func.value_type(value), ValType::Ref(reference) if !reference.is_nullable())
    }
}
