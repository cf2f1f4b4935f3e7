//! Branches and other ends of blocks.

use super::expressions::Expression;
use super::frames::{FrameId, FrameKind, label_of};
use super::function::nth_edge;
use super::simulation::{Checked, Simulation, Thread};
use super::state::Known;
use crate::emit::CodeItem;
use crate::func::{Block, BlockCall, Handler, OperatorId, Terminator};
use crate::opcode::Opcode;
use wasmparser::{Catch, Handle, Operator};

impl<'a> Simulation<'a> {
    /// Whether only the terminator is left to do in the block, but for instructions that may be left out.
    pub(super) fn is_at_end(&self, thread: &Thread) -> bool {
        !self.function.rest(&thread.position).any(|inst| self.function.facts.must_execute(inst))
    }

    /// Whether there is something left in the block, but only what may be left out.
    pub(super) fn has_removable_rest(&self, thread: &Thread) -> bool {
        self.function.rest(&thread.position).next().is_some() && self.is_at_end(thread)
    }

    /// Passes over what is left in the block if all of it may be left out, and goes on as far as the function does by itself then. Returns whether that
    /// led anywhere.
    pub(super) fn pass_removable(&mut self, thread: &mut Thread) -> bool {
        if !self.has_removable_rest(thread) {
            return false;
        }
        thread.position.pending.clear();
        thread.position.next = self.function.func.blocks[thread.position.block].insts.len();
        let before = thread.position.clone();
        self.settle(thread);
        thread.position != before
    }

    /// Passes over what may be left out until the thread is at the end of a block of which `is_wanted` holds. If there is none, the thread stays as it is.
    pub(super) fn pass_removable_until(
        &mut self,
        thread: &mut Thread,
        is_wanted: impl Fn(&Self, &Thread) -> bool,
    ) -> bool {
        if self.is_at_end(thread) && is_wanted(self, thread) {
            return true;
        }
        let mut further = thread.clone();
        while self.pass_removable(&mut further) {
            if self.is_at_end(&further) && is_wanted(self, &further) {
                *thread = further;
                return true;
            }
        }
        false
    }

    /// Comes to the block's end.
    fn reach_end(&self, thread: &mut Thread, what: &str) -> Checked<()> {
        let must_execute = |&inst: &_| self.function.facts.must_execute(inst);
        let missing = self.function.rest(&thread.position).find(must_execute);
        match missing {
            None => {
                thread.position.pending.clear();
                thread.position.next = self.function.func.blocks[thread.position.block].insts.len();
                Ok(())
            }
            Some(inst) => {
                let text = self.function.func.inst_text(inst);
                self.error(thread, format!("{what} comes before {inst} ({text}), which was not executed"))
            }
        }
    }

    /// A two-way branch: where it leads if the condition is not zero, and if it is.
    pub(super) fn branch(
        &mut self,
        mut thread: Thread,
        condition: &Known,
    ) -> Checked<(Option<Thread>, Option<Thread>)> {
        // The function has passed a branch on a literal constant already. (A branch on a parameter that was given the same constant reads the place
        // where it is kept.)
        if let Some(holds) = self.literal_before(&thread) {
            let passed = self.passed_choice(&thread, condition);
            passed.map(|passed| thread.passed_choices.remove(passed));
            return Ok(if holds { (Some(thread), None) } else { (None, Some(thread)) });
        }
        if let Some(sides) = self.branch_of_function(&thread, condition) {
            return Ok(sides);
        }
        // The function's branch may come behind a choice whose condition was not computed, since it makes no difference.
        let mut further = thread.clone();
        further.state.stack.push(condition.clone());
        while self.pass_removable(&mut further) {
            // What is known of the condition is renamed with all else.
            let condition = self.pop(&mut further)?;
            if let Some(sides) = self.branch_of_function(&further, &condition) {
                return Ok(sides);
            }
            further.state.stack.push(condition);
        }
        // Emission's own branch: on a label of a loop with several entries, for instance. The function does not move.
        match self.as_condition(condition) {
            Some(false) => Ok((None, Some(thread))),
            Some(true) => Ok((Some(thread), None)),
            None => {
                self.suspects.extend(self.local_before(&thread));
                Ok((Some(thread.clone()), Some(thread)))
            }
        }
    }

    /// Which of the choices that the function has passed is one on this condition.
    fn passed_choice(&self, thread: &Thread, condition: &Known) -> Option<usize> {
        let decides = |&expression: &Expression| self.expressions.truth(expression).0;
        thread.passed_choices.iter().position(|passed| condition.iter().any(|it| decides(it) == *passed))
    }

    /// The sides of a branch, if it is the one that the block ends with, or one that the function has just passed by itself.
    fn branch_of_function(&mut self, thread: &Thread, condition: &Known) -> Option<(Option<Thread>, Option<Thread>)> {
        let func = self.function.func;
        if let Some(passed) = self.passed_choice(thread, condition) {
            // The code makes a choice that the function has passed, unless this is a later one on the same condition.
            let mut later = thread.clone();
            later.passed_choices.clear();
            later.state.stack.push(condition.clone());
            self.choices.push(later);
            let mut thread = thread.clone();
            thread.passed_choices.remove(passed);
            return Some(match self.as_condition(condition) {
                Some(true) => (Some(thread), None),
                Some(false) => (None, Some(thread)),
                None => (Some(thread.clone()), Some(thread)),
            });
        }
        if let Terminator::Branch { condition: expected, then_target, else_target, .. } =
            &func.blocks[thread.position.block].terminator
            && self.is_at_end(thread)
        {
            let (expected, expected_inverted) = self.expressions.truth(self.expressions.of(func, *expected));
            for &expression in condition {
                let (decides, inverted) = self.expressions.truth(expression);
                if decides == expected {
                    let (if_true, if_false) = if inverted == expected_inverted {
                        (then_target, else_target)
                    } else {
                        (else_target, then_target)
                    };
                    // A side that the place's constant excludes is taken by neither.
                    let holds = self.as_condition(condition);
                    let side = |this: &mut Self, is_possible: bool, edge: &BlockCall| {
                        let mut thread = is_possible.then(|| thread.clone())?;
                        this.take_chosen_edge(&mut thread, edge);
                        Some(thread)
                    };
                    let taken = side(self, holds != Some(false), if_true);
                    let not_taken = side(self, holds != Some(true), if_false);
                    return Some((taken, not_taken));
                }
            }
        }
        None
    }

    fn as_condition(&self, condition: &Known) -> Option<bool> {
        condition.iter().find_map(|&expression| self.expressions.as_condition(expression))
    }

    /// Whether the constant that the code has just pushed is not zero, if it has just pushed one.
    fn literal_before(&self, thread: &Thread) -> Option<bool> {
        let mut at = thread.at.checked_sub(1)?;
        let is_inverted = matches!(self.body.code[at], CodeItem::I32Eqz);
        if is_inverted {
            at = at.checked_sub(1)?;
        }
        let value = match self.body.code[at] {
            CodeItem::I32Const(value) => value,
            CodeItem::Operator(id) => match self.function.func.operators[id] {
                Operator::I32Const { value } => value,
                _ => return None,
            },
            _ => return None,
        };
        Some((value != 0) != is_inverted)
    }

    /// The local that the code has just read, where it branches on a value that is not known. It may have been known before ways met.
    fn local_before(&self, thread: &Thread) -> Option<u32> {
        let before = self.body.code[..thread.at].iter().rev().find(|item| !matches!(item, CodeItem::I32Eqz));
        match before {
            Some(&(CodeItem::LocalGet(local) | CodeItem::LocalTee(local))) => Some(local),
            _ => None,
        }
    }

    pub(super) fn branch_table(&mut self, mut thread: Thread, number: u32) -> Checked<()> {
        let func = self.function.func;
        let labels = &self.body.branch_tables[number as usize];
        let (default_label, entries) = labels.split_last().expect("a br_table has a default");
        let label_of_entry = |index: usize| *entries.get(index).unwrap_or(default_label);
        let is_index = |this: &Self, thread: &Thread| match &func.blocks[thread.position.block].terminator {
            Terminator::Switch { index, .. } => this.are_values(thread, std::slice::from_ref(index)),
            _ => false,
        };
        let is_of_function = self.pass_removable_until(&mut thread, is_index);
        let index = self.pop(&mut thread)?;
        let constant = self.constant(&index).map(|constant| constant.cast_unsigned() as usize);
        if let Terminator::Switch { targets, .. } = &func.blocks[thread.position.block].terminator
            && is_of_function
        {
            let mut pairs: Vec<(u32, u32)> = Vec::new();
            let last = entries.len().max(targets.len());
            // Others than the one that the place's constant chooses are taken by neither: what they read may be undefined on the way here.
            let possible = match constant {
                Some(constant) => constant.min(last)..=constant.min(last),
                None => {
                    self.switch_locals.extend(self.local_before(&thread));
                    0..=last
                }
            };
            for entry in possible {
                let pair = (label_of_entry(entry), entry.min(targets.len()) as u32);
                // Large tables have few distinct targets.
                if pairs.last() != Some(&pair) {
                    pairs.push(pair);
                }
            }
            return self.take_table_edges(&thread, pairs);
        }
        if let Some(constant) = constant {
            // Emission's own: the function's edge was taken where the loop with several entries is entered.
            let frame = self.frames.label(thread.frame, label_of_entry(constant));
            return self.arrive(thread, frame);
        }
        self.suspects.extend(self.local_before(&thread));
        let mut labels: Vec<u32> = labels.to_vec();
        labels.sort_unstable();
        labels.dedup();
        for label in labels {
            let frame = self.frames.label(thread.frame, label);
            self.arrive(thread.clone(), frame)?;
        }
        Ok(())
    }

    /// Takes the edges of a table, each once with each label that stands for it.
    fn take_table_edges(&mut self, thread: &Thread, mut pairs: Vec<(u32, u32)>) -> Checked<()> {
        let terminator = &self.function.func.blocks[thread.position.block].terminator;
        let edge = |number: u32| nth_edge(terminator, number).expect("the number is one of the table");
        // Equal edges have equal targets and arguments, so one stands for all.
        let key = |call: &BlockCall| (call.block, call.args.clone());
        pairs.sort_by_cached_key(|&(label, number)| (label, key(edge(number))));
        pairs.dedup_by(|a, b| a.0 == b.0 && edge(a.1) == edge(b.1));
        for (label, number) in pairs {
            let frame = self.frames.label(thread.frame, label);
            let mut thread = thread.clone();
            self.take_chosen_edge(&mut thread, edge(number));
            self.arrive(thread, frame)?;
        }
        Ok(())
    }

    pub(super) fn return_values(&mut self, thread: &mut Thread) -> Checked<()> {
        self.end(thread, "return", |this, thread| match &this.function.func.blocks[thread.position.block].terminator {
            Terminator::Return(values) if this.are_values(thread, values) => Ok(()),
            Terminator::Return(values) => {
                let found = this.describe(thread, values.len());
                let expected = this.function.func.terminator_text(thread.position.block);
                this.error(thread, format!("the results are not those of the block's end ({expected}) but {found}"))
            }
            _ => this.error(thread, "the block does not end with a return"),
        })
    }

    pub(super) fn unreachable(&mut self, thread: &mut Thread) -> Checked<()> {
        self.end(thread, "unreachable", |this, thread| {
            match &this.function.func.blocks[thread.position.block].terminator {
                Terminator::Unreachable => Ok(()),
                _ => this.error(thread, "the block does not end with unreachable"),
            }
        })
    }

    /// The code does not make the choice that the block ends with: emission found that it makes no difference. So what follows must be right on all
    /// ways. The thread takes one of them; returns whether there is one.
    pub(super) fn take_all_edges(&mut self, thread: &mut Thread) -> bool {
        let edges = self.choices_at_end(thread);
        if !self.is_at_end(thread) || edges.is_empty() || edges.len() > self.forks {
            return false;
        }
        self.forks -= edges.len();
        let before = thread.clone();
        for (number, edge) in edges.into_iter().enumerate() {
            if number > 0 {
                self.forked.push(std::mem::replace(thread, before.clone()));
            }
            self.take_chosen_edge(thread, edge);
        }
        true
    }

    /// The different edges that a thread's block ends with, if it ends with a choice.
    fn choices_at_end(&self, thread: &Thread) -> Vec<&'a BlockCall> {
        let mut edges: Vec<&BlockCall> = Vec::new();
        match &self.function.func.blocks[thread.position.block].terminator {
            Terminator::Branch { then_target, else_target, .. } => edges.extend([then_target, else_target]),
            Terminator::Switch { targets, default, .. } => edges.extend(targets.iter().chain([default])),
            _ => {}
        }
        edges.dedup();
        edges
    }

    /// The code ends. Where the function still has a choice, it must end so on all ways.
    fn end(&mut self, thread: &mut Thread, what: &str, check: impl Fn(&Self, &Thread) -> Checked<()>) -> Checked<()> {
        /// Emission leaves out a choice between a few equal ends; more than a few ways are no such thing.
        const MAX_WAYS: usize = 256;
        let mut threads = vec![thread.clone()];
        let mut ways = 0;
        while let Some(mut thread) = threads.pop() {
            self.reach_end(&mut thread, what)?;
            let edges = self.choices_at_end(&thread);
            ways += edges.len();
            if edges.is_empty() || ways > MAX_WAYS {
                check(self, &thread)?;
            } else {
                for edge in edges {
                    let mut thread = thread.clone();
                    self.take_chosen_edge(&mut thread, edge);
                    threads.push(thread);
                }
            }
        }
        Ok(())
    }

    /// `br_on_*` and `resume*`. Returns whether control goes on.
    pub(super) fn labelled(&mut self, thread: &mut Thread, number: u32) -> Checked<bool> {
        let func = self.function.func;
        let labelled = &self.body.labelled[number as usize];
        let opcode = Opcode::of(&func.operators[labelled.operator]);
        let is_labelled = |_: &Self, thread: &Thread| {
            let terminator = &func.blocks[thread.position.block].terminator;
            matches!(terminator, Terminator::BranchOnReference { .. } | Terminator::Invoke(_))
        };
        self.pass_removable_until(thread, is_labelled);
        self.reach_end(thread, opcode.name())?;
        if matches!(opcode, Opcode::Resume | Opcode::ResumeThrow | Opcode::ResumeThrowRef) {
            return self.invoke(thread, labelled.operator, &labelled.labels, &labelled.clauses);
        }
        let reference = self.pop(thread)?;
        let Terminator::BranchOnReference { operator, reference: expected, taken, not_taken } =
            &func.blocks[thread.position.block].terminator
        else {
            return self.error(thread, "the block does not end with a branch on a reference");
        };
        if !self.is_value(thread, &reference, *expected) {
            return self.error(thread, "the reference is not that of the block's branch");
        }
        let (expected, found) = (&func.operators[*operator], &func.operators[labelled.operator]);
        let inverted = match reference_branch_sense(expected, found) {
            Some(inverted) => inverted,
            None => return self.error(thread, "the test is not that of the block's branch"),
        };
        let (to_label, on) = if inverted { (*not_taken, *taken) } else { (*taken, *not_taken) };
        let frame = self.frames.label(thread.frame, labelled.labels[0]);
        let mut jumping = thread.clone();
        self.take_defining_edge(&mut jumping, to_label);
        self.arrive(jumping, frame)?;
        self.take_defining_edge(thread, on);
        Ok(true)
    }

    /// The clauses of the `try_table`s around, innermost first, with the frames that they lead to.
    pub(super) fn active_clauses(&self, mut frame: FrameId) -> Vec<(Catch, FrameId)> {
        let mut clauses = Vec::new();
        loop {
            frame = self.frames.frames[frame].try_table;
            let data = &self.frames.frames[frame];
            let FrameKind::Try(number) = data.kind else { break };
            for catch in &self.body.try_tables[number as usize].catches {
                clauses.push((*catch, self.frames.label(data.parent, label_of(catch))));
            }
            frame = data.parent;
        }
        clauses
    }

    /// The block's invocation, with the labels of a resume table.
    pub(super) fn invoke(
        &mut self,
        thread: &mut Thread,
        operator: OperatorId,
        labels: &[u32],
        clauses: &[Handle],
    ) -> Checked<bool> {
        let func = self.function.func;
        let Terminator::Invoke(invoke) = &func.blocks[thread.position.block].terminator else {
            return self.error(thread, "the block does not end with an invocation");
        };
        let name = Opcode::of(&func.operators[operator]).name();
        if !is_same_invocation(&func.operators[invoke.operator], &func.operators[operator])
            || !self.are_values(thread, &invoke.args)
        {
            return self.error(thread, format!("{name} is not the block's invocation, or has other operands"));
        }
        let rest = thread.state.stack.len() - invoke.args.len();
        thread.state.stack.truncate(rest);

        // The clauses as they are searched, both ways of writing them.
        let mut expected = reachable_clauses(invoke.handlers.iter().map(|&handler| Clause::of(handler)));
        expected.sort_by_key(|(clause, _)| matches!(clause, Clause::Catch(_) | Clause::CatchAll(_)));
        let mut found: Vec<(Clause, Option<FrameId>)> = Vec::new();
        let mut labels = labels.iter();
        for clause in clauses {
            found.push(match *clause {
                Handle::OnLabel { tag, .. } => {
                    let Some(&label) = labels.next() else {
                        return self.error(thread, "a clause of the resume table has no label");
                    };
                    (Clause::Suspension(tag), Some(self.frames.label(thread.frame, label)))
                }
                Handle::OnSwitch { tag } => (Clause::Switch(tag), None),
            });
        }
        for (catch, frame) in self.active_clauses(thread.frame) {
            let clause = match catch {
                Catch::One { tag, .. } => Clause::Catch((tag, false)),
                Catch::OneRef { tag, .. } => Clause::Catch((tag, true)),
                Catch::All { .. } => Clause::CatchAll(false),
                Catch::AllRef { .. } => Clause::CatchAll(true),
            };
            found.push((clause, Some(frame)));
        }
        let found = reachable_clauses(found.into_iter());
        if found.len() != expected.len() || found.iter().zip(&expected).any(|(found, expected)| found.0 != expected.0) {
            return self.error(thread, format!("the handlers of {name} are not the function's"));
        }
        for ((_, frame), (_, block)) in found.into_iter().zip(expected) {
            if let (Some(frame), Some(block)) = (frame, block) {
                let mut landing = thread.clone();
                // What is on the operand stack above the label's height is dropped; the payload is what the label takes.
                self.take_defining_edge(&mut landing, block);
                self.arrive(landing, frame)?;
            }
        }
        let Some(normal) = invoke.normal else { return Ok(false) };
        self.take_defining_edge(thread, normal);
        Ok(true)
    }
}

/// A clause, without where it leads. Exceptions: the tag, and whether the reference is wanted.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Clause {
    Suspension(u32),
    Switch(u32),
    Catch((u32, bool)),
    CatchAll(bool),
}

impl Clause {
    fn of(handler: Handler) -> (Self, Option<Block>) {
        let clause = match handler {
            Handler::Suspension { tag, .. } => Self::Suspension(tag.as_u32()),
            Handler::Switch { tag } => Self::Switch(tag.as_u32()),
            Handler::Catch { tag, .. } => Self::Catch((tag.as_u32(), false)),
            Handler::CatchRef { tag, .. } => Self::Catch((tag.as_u32(), true)),
            Handler::CatchAll { .. } => Self::CatchAll(false),
            Handler::CatchAllRef { .. } => Self::CatchAll(true),
        };
        (clause, handler.block())
    }
}

/// The clauses that a search can end at: a clause of a tag that an earlier clause of its kind has takes nothing. (An imported tag may be another
/// import's equal, so clauses of different tags stay in order.)
fn reachable_clauses<T>(clauses: impl Iterator<Item = (Clause, T)>) -> Vec<(Clause, T)> {
    let mut kept: Vec<(Clause, T)> = Vec::new();
    for (clause, to) in clauses {
        let is_exception = matches!(clause, Clause::Catch(_) | Clause::CatchAll(_));
        let is_shadowed = kept.iter().any(|(earlier, _)| match (*earlier, clause) {
            (Clause::CatchAll(_), _) => is_exception,
            (Clause::Catch((earlier, _)), Clause::Catch((tag, _))) => earlier == tag,
            (Clause::Suspension(earlier), Clause::Suspension(tag)) | (Clause::Switch(earlier), Clause::Switch(tag)) => {
                earlier == tag
            }
            _ => false,
        });
        if !is_shadowed {
            kept.push((clause, to));
        }
    }
    kept
}

/// Whether two operators are the same invocation; labels and clauses of resume tables are compared elsewhere.
fn is_same_invocation(expected: &Operator<'_>, found: &Operator<'_>) -> bool {
    use Operator as O;
    match (expected, found) {
        (O::Resume { cont_type_index: a, .. }, O::Resume { cont_type_index: b, .. })
        | (O::ResumeThrowRef { cont_type_index: a, .. }, O::ResumeThrowRef { cont_type_index: b, .. }) => a == b,
        (
            O::ResumeThrow { cont_type_index: a, tag_index: tag_a, .. },
            O::ResumeThrow { cont_type_index: b, tag_index: tag_b, .. },
        ) => a == b && tag_a == tag_b,
        _ => expected == found,
    }
}

/// Whether a branch on a reference is another one: `Some(false)` the same, `Some(true)` with its sides exchanged.
fn reference_branch_sense(expected: &Operator<'_>, found: &Operator<'_>) -> Option<bool> {
    use Operator as O;
    match (expected, found) {
        (O::BrOnNull { .. }, O::BrOnNull { .. }) | (O::BrOnNonNull { .. }, O::BrOnNonNull { .. }) => Some(false),
        (O::BrOnNull { .. }, O::BrOnNonNull { .. }) | (O::BrOnNonNull { .. }, O::BrOnNull { .. }) => Some(true),
        (
            O::BrOnCast { from_ref_type: from_a, to_ref_type: to_a, .. },
            O::BrOnCast { from_ref_type: from_b, to_ref_type: to_b, .. },
        )
        | (
            O::BrOnCastFail { from_ref_type: from_a, to_ref_type: to_a, .. },
            O::BrOnCastFail { from_ref_type: from_b, to_ref_type: to_b, .. },
        ) if (from_a, to_a) == (from_b, to_b) => Some(false),
        (
            O::BrOnCast { from_ref_type: from_a, to_ref_type: to_a, .. },
            O::BrOnCastFail { from_ref_type: from_b, to_ref_type: to_b, .. },
        )
        | (
            O::BrOnCastFail { from_ref_type: from_a, to_ref_type: to_a, .. },
            O::BrOnCast { from_ref_type: from_b, to_ref_type: to_b, .. },
        ) if (from_a, to_a) == (from_b, to_b) => Some(true),
        _ => None,
    }
}
