//! References. What the type already says need not be asked at run time. Continuations are never cast (no rule here makes a cast of anything else
//! than what was cast).
//! What casts are certain to do is [`CastOutcome`]'s to say.

use super::{Rewrite, Simplifier, Width};
use crate::environment::CastOutcome;
use wasmfx_ir::effects::effects;
use wasmfx_ir::wasmparser::{HeapType, Operator, RefType, ValType};
use wasmfx_ir::{Inst, Value};

/// How many instructions are looked back over for a null check.
const REACH: usize = 16;

impl Simplifier<'_> {
    pub(super) fn reference_rules(&mut self, operator: &Operator<'static>, operands: &[Value]) -> Option<Rewrite> {
        match (operator, operands) {
            (Operator::RefIsNull, &[a]) if self.is_non_null(a) => Some(self.boolean(false)),
            (Operator::RefIsNull, &[a]) if self.is_null(a) => Some(self.boolean(true)),
            (Operator::RefAsNonNull, &[a]) if self.is_non_null(a) => Some(Rewrite::Value(a)),
            (Operator::RefEq, &[a, b]) if a == b => Some(self.boolean(true)),
            (Operator::RefEq, &[a, b]) if self.is_null(b) => Rewrite::inst(Operator::RefIsNull, [a]),
            (Operator::RefEq, &[a, b]) if self.is_null(a) => Rewrite::inst(Operator::RefIsNull, [b]),
            (&Operator::RefTestNonNull { hty }, &[a]) => self.test_rules(hty, false, a),
            (&Operator::RefTestNullable { hty }, &[a]) => self.test_rules(hty, true, a),
            (&Operator::RefCastNonNull { hty }, &[a]) => self.cast_rules(hty, false, a),
            (&Operator::RefCastNullable { hty }, &[a]) => self.cast_rules(hty, true, a),
            _ => None,
        }
    }

    fn test_rules(&mut self, hty: HeapType, takes_null: bool, a: Value) -> Option<Rewrite> {
        if self.is_null(a) {
            return Some(self.boolean(takes_null));
        }
        match (self.outcome(a, hty), takes_null) {
            (CastOutcome::Succeeds, true) => Some(self.boolean(true)),
            (CastOutcome::Succeeds, false) if self.is_non_null(a) => Some(self.boolean(true)),
            (CastOutcome::Succeeds, false) => {
                let is_null = self.add(Operator::RefIsNull, &[a], ValType::I32);
                Rewrite::inst(Operator::I32Eqz, [is_null])
            }
            (CastOutcome::Fails, false) => Some(self.boolean(false)),
            (CastOutcome::Fails, true) => Rewrite::inst(Operator::RefIsNull, [a]),
            (CastOutcome::Unknown, _) => None,
        }
    }

    fn cast_rules(&mut self, hty: HeapType, takes_null: bool, a: Value) -> Option<Rewrite> {
        if takes_null && self.is_null(a) {
            let ty = ValType::Ref(RefType::new(true, hty)?);
            return Some(Rewrite::Value(self.add(Operator::RefNull { hty }, &[], ty)));
        }
        if self.outcome(a, hty) == CastOutcome::Succeeds {
            if takes_null || self.is_non_null(a) {
                return Some(Rewrite::Value(a));
            }
            let ValType::Ref(ty) = self.func.value_type(a) else { return None };
            let ty = ValType::Ref(ty.as_non_null());
            return Some(Rewrite::Value(self.add(Operator::RefAsNonNull, &[a], ty)));
        }
        // A cast, or a null check, of which this one is the stricter: where both are needed, both trap where either does.
        let inst = self.func.defining_inst(a)?;
        let &[before] = self.func.operands(inst) else { return None };
        let checks_null = match *self.func.operator(inst) {
            Operator::RefAsNonNull => true,
            Operator::RefCastNonNull { hty: wider } if self.environment.subtyping.heap_matches(hty, wider) => true,
            Operator::RefCastNullable { hty: wider } if self.environment.subtyping.heap_matches(hty, wider) => false,
            _ => return None,
        };
        if !self.is_single_use(a) || !self.drop_check(inst) {
            return None;
        }
        let stricter = match takes_null && !checks_null {
            true => Operator::RefCastNullable { hty },
            false => Operator::RefCastNonNull { hty },
        };
        Rewrite::inst(stricter, [self.func.resolve(before)])
    }

    fn outcome(&self, a: Value, hty: HeapType) -> CastOutcome {
        match self.func.value_type(a) {
            ValType::Ref(ty) => self.environment.outcome_of_cast(ty.heap_type(), hty),
            _ => CastOutcome::Unknown,
        }
    }

    /// An instruction that traps on null itself needs no null check before it.
    pub(super) fn without_null_check(&mut self, operator: &Operator<'static>, operands: &[Value]) -> Option<Rewrite> {
        use Operator as O;
        let checked = match operator {
            O::StructGet { .. }
            | O::StructGetS { .. }
            | O::StructGetU { .. }
            | O::StructSet { .. }
            | O::ArrayGet { .. }
            | O::ArrayGetS { .. }
            | O::ArrayGetU { .. }
            | O::ArraySet { .. }
            | O::ArrayLen
            | O::I31GetS
            | O::I31GetU => 0,
            O::CallRef { .. } => operands.len() - 1,
            _ => return None,
        };
        let reference = *operands.get(checked)?;
        let inst = self.func.defining_inst(reference)?;
        let (Operator::RefAsNonNull, &[unchecked]) = (self.func.operator(inst), self.func.operands(inst)) else {
            return None;
        };
        let unchecked = self.func.resolve(unchecked);
        if !self.is_single_use(reference) || !self.drop_check(inst) {
            return None;
        }
        let operands = operands.iter().enumerate();
        let operands = operands.map(|(index, &operand)| if index == checked { unchecked } else { operand });
        Rewrite::inst(operator.clone(), operands.collect::<Vec<_>>())
    }

    /// Removes a check of this block, whose only user is about to check as much, unless it means something that the trap would come later.
    fn drop_check(&mut self, inst: Inst) -> bool {
        let module = self.environment.module();
        let trap = effects(self.func.operator(inst), module);
        for (position, &between) in self.placed.iter().enumerate().rev().take(REACH) {
            if between == inst {
                self.placed.remove(position);
                let checked = self.func.resolve(self.func.operands(inst)[0]);
                self.uses[checked] -= 1;
                return true;
            }
            if effects(self.func.operator(between), module).conflicts_with(&trap) {
                return false;
            }
        }
        false
    }

    fn boolean(&mut self, value: bool) -> Rewrite {
        Rewrite::Value(self.add_constant(Width::W32, value.into()))
    }

    fn is_non_null(&self, value: Value) -> bool {
        matches!(self.func.value_type(value), ValType::Ref(reference) if !reference.is_nullable())
    }

    fn is_null(&self, value: Value) -> bool {
        matches!(self.func.defining_operator(value), Some(Operator::RefNull { .. }))
    }
}
