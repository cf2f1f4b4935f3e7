//! Conditions of branches, and what is true when they are false.

use super::Shaper;
use crate::emit::schedule::Code;
use crate::entity::Entity;
use crate::func::{Func, OperatorId};
use wasmparser::Operator;

/// What the conditions of branches are inverted by.
pub(in crate::emit) struct Inversions {
    /// The comparison that is true when this one is false, by operator.
    inverse: Vec<Option<OperatorId>>,
    is_eqz: Vec<bool>,
}

impl Inversions {
    /// Interns the inverses of the comparisons in a function.
    pub fn intern(func: &mut Func) {
        let inverses: Vec<_> = func.operators.iter().filter_map(|(_, operator)| inverse_of(operator)).collect();
        for inverse in inverses {
            func.operators.intern(inverse);
        }
    }

    /// Finds the inverses of the comparisons in a function; `None` if one is not interned.
    pub fn find(func: &Func) -> Option<Self> {
        let mut inverse = vec![None; func.operators.len()];
        let mut is_eqz = vec![false; func.operators.len()];
        for (id, operator) in func.operators.iter() {
            is_eqz[id.index()] = matches!(operator, Operator::I32Eqz);
            if let Some(other) = inverse_of(operator) {
                inverse[id.index()] = Some(func.operators.find(&other)?);
            }
        }
        Some(Self { inverse, is_eqz })
    }
}

fn inverse_of(operator: &Operator<'_>) -> Option<Operator<'static>> {
    use Operator as O;
    Some(match operator {
        O::I32Eq => O::I32Ne,
        O::I32Ne => O::I32Eq,
        O::I32LtS => O::I32GeS,
        O::I32GeS => O::I32LtS,
        O::I32LtU => O::I32GeU,
        O::I32GeU => O::I32LtU,
        O::I32GtS => O::I32LeS,
        O::I32LeS => O::I32GtS,
        O::I32GtU => O::I32LeU,
        O::I32LeU => O::I32GtU,
        O::I64Eq => O::I64Ne,
        O::I64Ne => O::I64Eq,
        O::I64LtS => O::I64GeS,
        O::I64GeS => O::I64LtS,
        O::I64LtU => O::I64GeU,
        O::I64GeU => O::I64LtU,
        O::I64GtS => O::I64LeS,
        O::I64LeS => O::I64GtS,
        O::I64GtU => O::I64LeU,
        O::I64LeU => O::I64GtU,
        // Of floats only these, as an ordered comparison and its opposite are both false on a NaN.
        O::F32Eq => O::F32Ne,
        O::F32Ne => O::F32Eq,
        O::F64Eq => O::F64Ne,
        O::F64Ne => O::F64Eq,
        _ => return None,
    })
}

impl Shaper<'_> {
    /// Inverts the condition on top of the stack at the end of the code.
    pub(super) fn invert_last(&mut self) {
        match self.code.last_mut() {
            Some(Code::I32Eqz) => {
                self.code.pop();
            }
            Some(Code::Operator(id)) if self.inversions.is_eqz[id.index()] => {
                self.code.pop();
            }
            Some(Code::Operator(id)) => match self.inversions.inverse[id.index()] {
                Some(inverse) => *id = inverse,
                None => self.code.push(Code::I32Eqz),
            },
            _ => self.code.push(Code::I32Eqz),
        }
    }

    /// Inverts the condition that an instruction takes.
    pub(super) fn invert_before(&mut self, position: u32) {
        let condition = self.previous[position as usize];
        match self.code[condition as usize] {
            Code::I32Eqz => self.remove(condition),
            Code::Operator(id) if self.inversions.is_eqz[id.index()] => self.remove(condition),
            Code::Operator(id) if self.inversions.inverse[id.index()].is_some() => {
                let inverse = self.inversions.inverse[id.index()].expect("the guard saw it");
                self.code[condition as usize] = Code::Operator(inverse);
            }
            _ => self.insert_before(position, Code::I32Eqz),
        }
        if let Some(likely) = self.hints.get_mut(&position) {
            *likely = !*likely;
        }
    }

    /// Whether inverting a condition costs nothing.
    pub(super) fn inverts_freely(&self, position: u32) -> bool {
        match self.code[self.previous[position as usize] as usize] {
            Code::I32Eqz => true,
            Code::Operator(id) => self.inversions.is_eqz[id.index()] || self.inversions.inverse[id.index()].is_some(),
            _ => false,
        }
    }
}
