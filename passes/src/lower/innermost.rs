//! Which resumable copies can be the innermost frame of a suspended continuation: the functions that suspend themselves, and callers of functions
//! that leave no frame when they do; and how continuations begin. Where these are few, a resume site need not call through the table.

use super::Copies;
use super::Lowering;
use super::analysis::Shape;
use super::function::{Prepared, Resumable, callee};
use super::inline_suspending::{calls_nothing, inline_into, instructions};
use super::scan::Callee;
use super::thunks::ENTRY_SLOTS;
use crate::inline_body::direct_callee;
use rustc_hash::FxHashSet;
use wasmfx_ir::func::{Func, Terminator};
use wasmfx_ir::module::{Body, FunctionId};
use wasmfx_ir::wasmparser::Operator;

/// With more candidates than this, every site goes through the table: each guess costs bytes and a test.
const MAX_GUESSES: usize = 2;

/// A resumable copy of at most this many instructions takes the place of the direct call of it: a generator's step costs less than a call.
const MAX_INLINED: usize = 40;

fn suspends_itself(operator: &Operator<'_>) -> bool {
    matches!(operator, Operator::Suspend { .. } | Operator::Switch { .. })
}

impl Lowering<'_> {
    /// The resumable copies that a resume site calls directly. Any choice is right: what is none of them goes through the table.
    pub(super) fn likely_innermost(&self, prepared: &[Prepared]) -> Vec<Resumable> {
        // The part of a shared table that is this module's is known only when the module starts.
        if self.store.items.resume_base.is_some() {
            return Vec::new();
        }
        let frameless = self.frameless(prepared);
        let reaches_frameless = |callee: Callee| frameless.contains(self, callee);
        let mut found = Vec::new();
        for function in prepared {
            let Some(resumable) = function.resumable else { continue };
            let innermost = function.points.iter().filter(|point| point.needs_frame()).any(|point| {
                suspends_itself(&point.operator) || callee(&point.operator).is_some_and(reaches_frameless)
            });
            if innermost {
                found.push(resumable);
            }
        }
        if found.len() > MAX_GUESSES {
            found.clear();
        } else if found.len() < MAX_GUESSES
            && let [&first_slot] = self.generated.entries.values().collect::<Vec<_>>()[..]
        {
            // All continuations begin alike.
            found.push(Resumable { copy: self.resume_slots[first_slot as usize], first_slot, slots: ENTRY_SLOTS });
        }
        found
    }

    /// Puts small resumable copies in the place of the direct calls of them, unless size comes first.
    pub(super) fn inline_innermost(&mut self) {
        if self.options.size_first || self.options.copies == Copies::One {
            return;
        }
        let is_small = |copy: &FunctionId| match &self.module.functions[*copy].body {
            Body::Lifted(func) => calls_nothing(func) && instructions(func) <= MAX_INLINED,
            _ => false,
        };
        let small: FxHashSet<FunctionId> = self.innermost.iter().map(|likely| likely.copy).filter(is_small).collect();
        if small.is_empty() {
            return;
        }
        let calls_small = |func: &Func| {
            func.operators
                .iter()
                .any(|(_, operator)| direct_callee(operator).is_some_and(|callee| small.contains(&callee)))
        };
        for id in self.module.functions.keys().collect::<Vec<_>>() {
            if matches!(&self.module.functions[id].body, Body::Lifted(func) if calls_small(func)) {
                inline_into(self.module, id, &small);
            }
        }
    }

    /// The functions that may be suspended without leaving a frame.
    fn frameless(&self, prepared: &[Prepared]) -> Frameless {
        let mut frameless = Frameless::default();
        // From first to last and from last to first by turns: long chains of calls mostly go one way.
        let mut rest: Vec<&Prepared> = prepared.iter().collect();
        let mut changed = true;
        while changed {
            changed = false;
            rest.reverse();
            rest.retain(|function| {
                let reaches = |callee: Callee| frameless.contains(self, callee);
                let points = function.points.iter().filter(|point| point.suspends && point.tail);
                let mut is_frameless = points
                    .map(|point| &point.operator)
                    .any(|operator| suspends_itself(operator) || callee(operator).is_some_and(reaches));
                is_frameless |= function.func.blocks.values().any(|block| match block.terminator {
                    Terminator::TailCall { operator, .. } => {
                        callee(&function.func.operators[operator]).is_some_and(reaches)
                    }
                    _ => false,
                });
                if is_frameless {
                    frameless.functions.insert(function.function);
                    frameless.shapes.extend(self.analysis.shape_of_function(function.function));
                    changed = true;
                }
                !is_frameless
            });
        }
        frameless
    }
}

/// Functions, and the shapes of the indirect calls that may reach one of them.
#[derive(Default)]
struct Frameless {
    functions: FxHashSet<FunctionId>,
    shapes: FxHashSet<Shape>,
}

impl Frameless {
    fn contains(&self, lowering: &Lowering<'_>, callee: Callee) -> bool {
        match callee {
            Callee::Direct(function) => self.functions.contains(&function),
            Callee::Typed(_) => {
                lowering.analysis.shape_of_callee(callee).is_some_and(|shape| self.shapes.contains(&shape))
            }
        }
    }
}
