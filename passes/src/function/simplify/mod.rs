//! Constant folding and algebraic simplification: each instruction is replaced by a cheaper one that computes the same.
//!
//! The rules are grouped by what they speak of; each group's file opens with why its rules are sound in wasm. No rule makes more
//! instructions than it makes superfluous, and none moves an instruction with effects.

mod aggregates;
mod constants;
mod conversions;
mod integer;
mod integer_rules;
mod known_bits;
mod memory;
mod references;
mod selects;

use crate::environment::ModuleEnvironment;
use crate::pass_table::Changed;
pub use constants::{Constant, fold};
use integer::{Integer, Width};
use smallvec::SmallVec;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::opcode::Opcode;
use wasmfx_ir::wasmparser::{Operator, ValType};
use wasmfx_ir::{Func, Inst, Value};

/// How often one instruction is rewritten before the pass moves on. The rules make progress, so this is a belt beside braces.
const MAX_REWRITES: usize = 16;

/// Runs the pass.
pub fn run(func: &mut Func, environment: &ModuleEnvironment<'_>) -> Changed {
    let cfg = func.control_flow();
    func.resolve_aliases();
    let mut simplifier = Simplifier::new(func, environment);
    // Operands are simplified before their users where no back edge lies between.
    for &block in cfg.reverse_postorder() {
        simplifier.simplify_block(block);
    }
    let changed = simplifier.changed;
    if changed {
        func.resolve_aliases();
    }
    Changed::from_flag(changed)
}

/// What a rule makes of an instruction.
enum Rewrite {
    /// Its result is this value.
    Value(Value),
    /// It becomes another instruction with the same result type.
    Inst(Operator<'static>, SmallVec<[Value; 4]>),
}

impl Rewrite {
    fn inst(operator: Operator<'static>, operands: impl IntoIterator<Item = Value>) -> Option<Self> {
        Some(Self::Inst(operator, operands.into_iter().collect()))
    }
}

struct Simplifier<'a> {
    func: &'a mut Func,
    environment: &'a ModuleEnvironment<'a>,
    /// How often each value is used, never too low: rules that change an operand's definition in place rely on it.
    uses: SecondaryMap<Value, u32>,
    /// The instructions of the block that is being worked on, so far.
    placed: Vec<Inst>,
    /// Whether a value has become another name of one: until then operands are what they were resolved to.
    aliases: bool,
    changed: bool,
}

impl<'a> Simplifier<'a> {
    fn new(func: &'a mut Func, environment: &'a ModuleEnvironment<'a>) -> Self {
        let mut uses = SecondaryMap::with_default_and_len(0, func.value_count());
        for data in func.blocks.values() {
            for &inst in &data.insts {
                func.operands(inst).iter().for_each(|&value| uses[value] += 1);
            }
            data.terminator.for_each_value(|value| uses[value] += 1);
        }
        let placed = Vec::with_capacity(func.inst_count());
        Self { func, environment, uses, placed, aliases: false, changed: false }
    }

    fn simplify_block(&mut self, block: wasmfx_ir::Block) {
        let mut insts = std::mem::take(&mut self.func.blocks[block].insts);
        for &inst in &insts {
            if self.simplify_inst(inst) {
                self.placed.push(inst);
            }
        }
        insts.clear();
        insts.append(&mut self.placed);
        self.func.blocks[block].insts = insts;
    }

    /// Rewrites an instruction as long as rules apply. Returns whether it stays.
    fn simplify_inst(&mut self, inst: Inst) -> bool {
        let Some(result) = self.func.single_result(inst) else {
            if self.func.inst_results(inst).len() == 0 {
                self.simplify_without_result(inst);
            }
            return true;
        };
        for _ in 0..MAX_REWRITES {
            self.resolve_operands(inst);
            match self.rewrite(inst, self.func.value_type(result)) {
                None => return true,
                Some(Rewrite::Inst(operator, operands)) => self.replace(inst, operator, &operands),
                Some(Rewrite::Value(value)) => {
                    let value = self.func.resolve(value);
                    self.changed = true;
                    self.uses[value] += self.uses[result];
                    for index in 0..self.func.operands(inst).len() {
                        let operand = self.func.operands(inst)[index];
                        self.uses[operand] -= 1;
                    }
                    self.func.make_alias(result, value);
                    self.aliases = true;
                    return false;
                }
            }
        }
        true
    }

    fn resolve_operands(&mut self, inst: Inst) {
        if self.aliases {
            for index in 0..self.func.operands(inst).len() {
                let operand = self.func.resolve(self.func.operands(inst)[index]);
                self.func.operands_mut(inst)[index] = operand;
            }
        }
    }

    fn simplify_without_result(&mut self, inst: Inst) {
        for _ in 0..MAX_REWRITES {
            self.resolve_operands(inst);
            let rewrite = self.store_rules(inst).or_else(|| self.packed_write_rules(inst)).or_else(|| {
                let operands: SmallVec<[Value; 4]> = SmallVec::from_slice(self.func.operands(inst));
                self.without_null_check(&self.func.operator(inst).clone(), &operands)
            });
            match rewrite {
                Some(Rewrite::Inst(operator, operands)) => self.replace(inst, operator, &operands),
                Some(Rewrite::Value(_)) | None => return,
            }
        }
    }

    fn replace(&mut self, inst: Inst, operator: Operator<'static>, operands: &[Value]) {
        self.changed = true;
        for &operand in operands {
            self.uses[operand] += 1;
        }
        for index in 0..self.func.operands(inst).len() {
            let operand = self.func.operands(inst)[index];
            self.uses[operand] -= 1;
        }
        self.func.replace_inst(inst, operator, operands);
    }

    fn rewrite(&mut self, inst: Inst, result: ValType) -> Option<Rewrite> {
        let operator = self.func.operator(inst);
        let opcode = Opcode::of(operator);
        if opcode.is_const() {
            return None;
        }
        let operands: SmallVec<[Value; 4]> = SmallVec::from_slice(self.func.operands(inst));
        if let Some(constant) = self.folded(inst, &operands) {
            return Some(Rewrite::Value(self.add(constant.operator(), &[], constant.ty())));
        }
        if let &[a, b] = &operands[..] {
            // A constant goes to the right, so that the rules need to look there only, and numbering sees equals as equal.
            let swapped = if opcode.is_commutative() { Some(opcode) } else { opcode.swapped_comparison() };
            if let Some(swapped) = swapped
                && self.constant(a).is_some()
                && self.constant(b).is_none()
            {
                let operator = swapped.without_immediates().expect("arithmetic has no immediates");
                return Rewrite::inst(operator, [b, a]);
            }
        }
        let operator = self.func.operator(inst).clone();
        if let Some((integer, width)) = Integer::of(&operator) {
            return match operands[..] {
                [a] => self.integer_unary(integer, width, a),
                [a, b] => self.integer_binary(integer, width, a, b),
                _ => None,
            };
        }
        self.conversion_rules(&operator, &operands)
            .or_else(|| self.select_rules(&operator, &operands))
            .or_else(|| self.reference_rules(&operator, &operands))
            .or_else(|| self.aggregate_rules(&operator, &operands))
            .or_else(|| self.without_null_check(&operator, &operands))
            .or_else(|| self.load_rules(&operator, &operands, result))
    }

    fn folded(&self, inst: Inst, operands: &[Value]) -> Option<Constant> {
        if operands.is_empty() || operands.len() > 2 {
            return None;
        }
        let mut constants: SmallVec<[Constant; 2]> = SmallVec::new();
        for &operand in operands {
            constants.push(self.constant(operand)?);
        }
        fold(self.func.operator(inst), &constants)
    }

    /// Adds an instruction before the one that is being rewritten.
    fn add(&mut self, operator: Operator<'static>, operands: &[Value], ty: ValType) -> Value {
        for &operand in operands {
            self.uses[operand] += 1;
        }
        let operator = self.func.operators.intern(operator);
        let inst = self.func.create_inst(operator, operands, &[ty]);
        self.placed.push(inst);
        self.func.first_result(inst)
    }

    fn add_constant(&mut self, width: Width, value: i64) -> Value {
        self.add(width.constant(value), &[], width.ty())
    }

    /// The number that the value always is.
    fn constant(&self, value: Value) -> Option<Constant> {
        self.func.defining_operator(value).and_then(Constant::of)
    }

    /// The integer that the value always is, sign-extended.
    fn integer(&self, value: Value) -> Option<i64> {
        self.constant(value).and_then(Constant::integer)
    }

    /// The integer operator with two operands that defines the value.
    fn binary(&self, value: Value) -> Option<(Integer, Width, Value, Value)> {
        let inst = self.func.defining_inst(value)?;
        let (integer, width) = Integer::of(self.func.operator(inst))?;
        match *self.func.operands(inst) {
            [a, b] => Some((integer, width, self.func.resolve(a), self.func.resolve(b))),
            _ => None,
        }
    }

    /// The operator with one operand that defines the value.
    fn unary(&self, value: Value) -> Option<(&Operator<'static>, Value)> {
        let inst = self.func.defining_inst(value)?;
        match *self.func.operands(inst) {
            [a] => Some((self.func.operator(inst), self.func.resolve(a))),
            _ => None,
        }
    }

    /// Whether the value is used once at most.
    fn is_single_use(&self, value: Value) -> bool {
        self.uses[value] <= 1
    }
}

#[cfg(test)]
mod tests;
