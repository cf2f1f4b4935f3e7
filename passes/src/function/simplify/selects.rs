//! `select`. Both arms are computed whatever the condition is, so an arm can be dropped like any unused value.

use super::{Integer, Rewrite, Simplifier, Width};
use wasmfx_ir::Value;
use wasmfx_ir::wasmparser::{Operator, ValType};

impl Simplifier<'_> {
    pub(super) fn select_rules(&mut self, operator: &Operator<'static>, operands: &[Value]) -> Option<Rewrite> {
        let (Operator::Select | Operator::TypedSelect { .. }, &[a, b, condition]) = (operator, operands) else {
            return None;
        };
        if a == b {
            return Some(Rewrite::Value(a));
        }
        if let Some(condition) = self.integer(condition) {
            return Some(Rewrite::Value(if condition != 0 { a } else { b }));
        }
        if let Some((Operator::I32Eqz, inverse)) = self.unary(condition) {
            return Rewrite::inst(operator.clone(), [b, a, inverse]);
        }
        if let Some((Integer::Ne, Width::W32, x, zero)) = self.binary(condition)
            && self.integer(zero) == Some(0)
        {
            return Rewrite::inst(operator.clone(), [a, b, x]);
        }
        if let (Operator::Select, ValType::I32) = (operator, self.func.value_type(a)) {
            match (self.integer(a), self.integer(b)) {
                (Some(1), Some(0)) if self.is_boolean(condition) => return Some(Rewrite::Value(condition)),
                (Some(1), Some(0)) => {
                    let zero = self.add_constant(Width::W32, 0);
                    return Rewrite::inst(Operator::I32Ne, [condition, zero]);
                }
                (Some(0), Some(1)) => return Rewrite::inst(Operator::I32Eqz, [condition]),
                _ => {}
            }
        }
        None
    }
}
