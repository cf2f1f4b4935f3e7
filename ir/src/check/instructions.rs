//! Operators that are instructions of the function, or need not be.

use super::expressions::Operands;
use super::simulation::{Checked, Simulation, Thread};
use super::state::Known;
use crate::effects::EffectFlags;
use crate::func::{Inst, OperatorId, Terminator};
use crate::opcode::Opcode;
use crate::signature::fixed_arity;
use smallvec::SmallVec;

/// How many combinations of what is known of operands are looked at.
const MAX_COMBINATIONS: usize = 1024;
/// How many instructions one operator is tried as, at most.
const MAX_CANDIDATES: usize = 8;
/// How many expressions are kept for a value that the function does not compute.
const MAX_OTHERS: usize = 16;

impl Simulation<'_> {
    /// Executes an operator without labels. Returns whether control goes on.
    pub(super) fn operator(&mut self, thread: &mut Thread, operator: OperatorId) -> Checked<bool> {
        let passed_over = std::mem::take(&mut thread.passed_over);
        if self.try_pure(thread, operator, passed_over)? || self.try_instruction(thread, operator, passed_over)? {
            return Ok(true);
        }
        let func = self.function.func;
        let name = Opcode::of(&func.operators[operator]).name();
        let is_end = |this: &Self, thread: &Thread| match &func.blocks[thread.position.block].terminator {
            Terminator::TailCall { operator: expected, .. } => this.function.is_same_operator(*expected, operator),
            Terminator::Invoke(invoke) => this.function.is_same_operator(invoke.operator, operator),
            _ => false,
        };
        if self.pass_removable_until(thread, is_end) {
            match &func.blocks[thread.position.block].terminator {
                Terminator::TailCall { args, .. } if self.are_values(thread, args) => return Ok(false),
                Terminator::TailCall { .. } => {
                    return self.error(thread, format!("{name} has other operands than the block's tail call"));
                }
                _ => return self.invoke(thread, operator, &[], &[]),
            }
        }
        if self.try_harmless(thread, operator) {
            return Ok(true);
        }
        if self.take_all_edges(thread) {
            return self.operator(thread, operator);
        }
        let next = self.function.rest(&thread.position).find(|&inst| self.function.facts.is_awaited(inst));
        let next = match next {
            Some(inst) => format!("{inst} ({})", func.inst_text(inst)),
            None => format!("the end of the block ({})", func.terminator_text(thread.position.block)),
        };
        let operands = fixed_arity(&func.operators[operator]).map_or(3, |(operands, _)| operands);
        let operands = self.describe(thread, operands);
        self.error(thread, format!("{name} of {operands} is no instruction that may come here; next is {next}"))
    }

    /// Executes an operator as a pure one, if it is pure or if the function computes the same expression.
    fn try_pure(&mut self, thread: &mut Thread, operator: OperatorId, passed_over: usize) -> Checked<bool> {
        let Some((operands, results)) = fixed_arity(&self.function.func.operators[operator]) else {
            return Ok(false);
        };
        let Some(start) = thread.state.stack.len().checked_sub(operands) else { return Ok(false) };
        let mut combinations: SmallVec<[Operands; 4]> = SmallVec::new();
        combinations.push(Operands::new());
        for known in &thread.state.stack[start..] {
            let mut longer: SmallVec<[Operands; 4]> = SmallVec::new();
            for combination in &combinations {
                let known = known.iter().filter(|&&expression| self.expressions.says_what_it_is(expression));
                for &expression in known.take(MAX_COMBINATIONS - longer.len()) {
                    let mut combination = combination.clone();
                    combination.push(expression);
                    longer.push(combination);
                }
            }
            combinations = longer;
        }
        // What the function computes is what the code computes; other ways to say the same are of no use, and would multiply.
        let mut computed: SmallVec<[Known; 2]> = SmallVec::from_elem(Known::new(), results);
        for (result, known) in computed.iter_mut().enumerate() {
            known.extend(
                combinations.iter().filter_map(|operands| self.expressions.computed(operator, result, operands)),
            );
        }
        let is_pure = self.function.facts.operator_effects[operator].is_pure();
        if !is_pure {
            if results == 0 || computed.iter().any(|known| known.is_empty()) {
                return Ok(false);
            }
            // What the function computes without effects where it knows more of the operands may be an instruction with effects as well.
            let inst = self.candidates(thread, operator).first().copied();
            if let (Some(inst), [known], 0) = (inst, &computed[..], passed_over)
                && self.function.facts.is_awaited(inst)
            {
                let mut choice = thread.clone();
                choice.passed_over = 1;
                self.choices.push(choice);
                self.execute_instruction(thread, inst, known)?;
                return Ok(true);
            }
        }
        thread.state.stack.truncate(start);
        for (result, mut known) in computed.into_iter().enumerate() {
            if known.is_empty() {
                let others = combinations.iter().take(MAX_OTHERS);
                known.extend(others.map(|operands| self.expressions.pure(operator, result, operands)));
            }
            self.expressions.note_non_null(&mut known);
            thread.state.push_computed(known);
        }
        Ok(true)
    }

    /// Executes an operator that changes nothing and cannot trap. Nothing is known of its results.
    fn try_harmless(&self, thread: &mut Thread, operator: OperatorId) -> bool {
        let operands_results = fixed_arity(&self.function.func.operators[operator]);
        match operands_results {
            Some((operands, results)) if self.function.facts.operator_effects[operator].is_removable_if_unused() => {
                let Some(rest) = thread.state.stack.len().checked_sub(operands) else { return false };
                thread.state.stack.truncate(rest);
                thread.state.stack.extend((0..results).map(|_| Known::new()));
                true
            }
            _ => false,
        }
    }

    /// Executes an operator with effects, if it is an instruction of the block that may come now.
    fn try_instruction(&mut self, thread: &mut Thread, operator: OperatorId, passed_over: usize) -> Checked<bool> {
        let mut before_passing = None;
        let found = self.find_instruction(thread, operator, passed_over, &mut before_passing)?;
        // Instructions that were passed over in vain may still come.
        if let (false, Some(before)) = (found, before_passing) {
            *thread = before;
        }
        Ok(found)
    }

    /// Does that. `before_passing` gets the thread as it was before removable instructions were passed over.
    fn find_instruction(
        &mut self,
        thread: &mut Thread,
        operator: OperatorId,
        passed_over: usize,
        before_passing: &mut Option<Thread>,
    ) -> Checked<bool> {
        let passed_over = passed_over.max(self.readings.get(&thread.at).copied().unwrap_or(0));
        loop {
            let candidates = self.candidates(thread, operator);
            if let Some(&inst) = candidates.get(passed_over).or(candidates.last()) {
                let are_exchangeable = self.function.facts.effects[inst].flags.intersects(EffectFlags::GENERATIVE);
                if are_exchangeable && candidates.len() > 1 {
                    let count = self.reading_counts.entry(thread.at).or_default();
                    *count = candidates.len().max(*count);
                }
                if are_exchangeable && candidates.len() > passed_over + 1 {
                    // Which of several fresh things this is, only its uses tell.
                    let mut choice = thread.clone();
                    choice.passed_over = passed_over + 1;
                    self.choices.push(choice);
                }
                self.execute_instruction(thread, inst, &Known::new())?;
                return Ok(true);
            }
            // Removable instructions may have been left out although something seemed to need them.
            if !self.has_removable_rest(thread) {
                return Ok(false);
            }
            before_passing.get_or_insert_with(|| thread.clone());
            if !self.pass_removable(thread) {
                return Ok(false);
            }
        }
    }

    /// The instructions that the operator can be, in the order of the block; those first that are needed.
    fn candidates(&self, thread: &Thread, operator: OperatorId) -> SmallVec<[Inst; 4]> {
        let facts = &self.function.facts;
        let mut candidates: SmallVec<[Inst; 4]> = SmallVec::new();
        let mut unneeded: SmallVec<[Inst; 4]> = SmallVec::new();
        let mut before: SmallVec<[Inst; 8]> = SmallVec::new();
        for inst in self.function.rest(&thread.position) {
            if facts.effects[inst].is_pure() {
                continue;
            }
            let conflicts = |earlier: &Inst| facts.effects[*earlier].conflicts_with(&facts.effects[inst]);
            if self.is_instruction(thread, inst, operator) && !before.iter().any(conflicts) {
                if !facts.is_awaited(inst) {
                    unneeded.push(inst);
                } else {
                    candidates.push(inst);
                    // Only things that are made anew each time have alternatives.
                    let is_fresh = facts.effects[inst].flags.intersects(EffectFlags::GENERATIVE);
                    if !is_fresh || candidates.len() == MAX_CANDIDATES {
                        return candidates;
                    }
                }
            }
            if facts.is_awaited(inst) {
                before.push(inst);
                // Only something newly made may come before a call, which conflicts with everything else.
                let is_call = facts.effects[inst].flags.intersects(EffectFlags::CALLS);
                if is_call && facts.effects[inst].conflicts_with(&facts.operator_effects[operator]) {
                    break;
                }
            }
        }
        if candidates.is_empty() { unneeded } else { candidates }
    }

    fn is_instruction(&self, thread: &Thread, inst: Inst, operator: OperatorId) -> bool {
        let func = self.function.func;
        self.function.is_same_operator(func.operator_id(inst), operator) && self.are_values(thread, func.operands(inst))
    }

    /// Executes an instruction. `also` is known to be its result too, if that is one.
    fn execute_instruction(&mut self, thread: &mut Thread, inst: Inst, also: &Known) -> Checked<()> {
        let func = self.function.func;
        let facts = &self.function.facts;
        let is_in_try = self.frames.frames[thread.frame].try_table != 0;
        if facts.effects[inst].flags.intersects(EffectFlags::THROWS)
            && is_in_try
            && !self.active_clauses(thread.frame).is_empty()
        {
            return self.error(thread, "what may throw is within a try_table that the function does not have here");
        }
        let position = &mut thread.position;
        if let Some(at) = position.pending.iter().position(|&pending| pending == inst) {
            position.pending.remove(at);
        } else {
            let insts = &func.blocks[position.block].insts;
            let at = position.next
                + insts[position.next..].iter().position(|&other| other == inst).expect("it is a candidate");
            position.pending.extend(insts[position.next..at].iter().copied().filter(|&inst| facts.is_awaited(inst)));
            position.next = at + 1;
        }
        let rest = thread.state.stack.len() - func.operands(inst).len();
        thread.state.stack.truncate(rest);
        self.moved(thread);
        for result in func.inst_results(inst) {
            let mut known = self.expressions.known(func, result);
            // What was before is forgotten when the function moves.
            known.extend(also.iter().copied().filter(|&expression| !self.expressions.is_about_past(expression)));
            known.sort_unstable();
            known.dedup();
            thread.state.stack.push(known);
        }
        self.settle(thread);
        Ok(())
    }
}
