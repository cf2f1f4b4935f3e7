//! What locals and the operand stack hold.

use super::expressions::{Expression, Expressions};
use crate::func::Block;
use smallvec::SmallVec;
use std::rc::Rc;

/// The expressions that are known to equal what a place holds, ascending. The empty set: nothing is known.
pub(super) type Known = SmallVec<[Expression; 2]>;

/// A set of one.
pub(super) fn only(expression: Expression) -> Known {
    SmallVec::from_slice(&[expression])
}

const CHUNK: usize = 16;

/// The locals, in chunks that states share until one of them writes: most states differ in few locals from the one before.
#[derive(Clone)]
struct Locals {
    chunks: Vec<Rc<Vec<Known>>>,
}

impl Locals {
    fn new(known: &[Known]) -> Self {
        Self { chunks: known.chunks(CHUNK).map(|chunk| Rc::new(chunk.to_vec())).collect() }
    }

    fn get(&self, local: u32) -> Option<&Known> {
        self.chunks.get(local as usize / CHUNK)?.get(local as usize % CHUNK)
    }

    fn set(&mut self, local: u32, known: Known) {
        let place = &mut self.chunks[local as usize / CHUNK];
        if place[local as usize % CHUNK] != known {
            Rc::make_mut(place)[local as usize % CHUNK] = known;
        }
    }

    /// Replaces each set for which `change` returns another one.
    fn update(&mut self, mut change: impl FnMut(&Known) -> Option<Known>) {
        for chunk in &mut self.chunks {
            for index in 0..chunk.len() {
                if let Some(known) = change(&chunk[index]) {
                    Rc::make_mut(chunk)[index] = known;
                }
            }
        }
    }

    /// Keeps what is known in both. Returns whether that is less than before.
    fn intersect(&mut self, other: &Self, anything: &Undefined<'_>) -> bool {
        let mut shrunk = false;
        for (chunk, other) in self.chunks.iter_mut().zip(&other.chunks) {
            if Rc::ptr_eq(chunk, other) {
                continue;
            }
            for index in 0..chunk.len() {
                if let Some(known) = intersection(&chunk[index], &other[index], anything) {
                    Rc::make_mut(chunk)[index] = known;
                    shrunk = true;
                }
            }
        }
        shrunk
    }
}

/// What may be anything in two states that meet, and so is known to be in every place.
struct Undefined<'a> {
    here: &'a [Expression],
    there: &'a [Expression],
}

/// What is in both sets; `None` if that is the first one.
fn intersection(known: &Known, other: &Known, anything: &Undefined<'_>) -> Option<Known> {
    let is_there = |expression: &Expression| other.contains(expression) || anything.there.contains(expression);
    let is_new = |expression: &Expression| anything.here.contains(expression) && !known.contains(expression);
    if known.iter().all(is_there) && !other.iter().any(is_new) {
        return None;
    }
    let mut both: Known = known.iter().copied().filter(is_there).collect();
    both.extend(other.iter().copied().filter(is_new));
    both.sort_unstable();
    Some(both)
}

/// What is known at a point of the emitted code.
#[derive(Clone)]
pub(super) struct State {
    locals: Locals,
    pub stack: Vec<Known>,
    /// Parameters that the function gave arguments to since it last waited, and these arguments: emitted code may still have to compute them.
    given: SmallVec<[(Expression, Expression); 4]>,
    /// Whether some expression may be about what a name meant before.
    remembers: bool,
    /// Names of values that may be anything, ascending.
    undefined: SmallVec<[Expression; 4]>,
}

impl State {
    pub(super) fn new(locals: &[Known], undefined: impl Iterator<Item = Expression>) -> Self {
        let mut undefined: SmallVec<[Expression; 4]> = undefined.collect();
        undefined.sort_unstable();
        Self { locals: Locals::new(locals), stack: Vec::new(), given: SmallVec::new(), remembers: false, undefined }
    }

    /// Whether what the expression stands for may be anything.
    pub(super) fn is_undefined(&self, expression: Expression) -> bool {
        self.undefined.binary_search(&expression).is_ok()
    }

    pub(super) fn local(&self, local: u32) -> Option<&Known> {
        self.locals.get(local)
    }

    pub(super) fn set_local(&mut self, local: u32, known: Known) {
        self.locals.set(local, known);
    }

    /// Puts a computed value on the stack, with the parameters that it has become the argument of.
    pub(super) fn push_computed(&mut self, mut known: Known) {
        // In the order in which they were given: a parameter may have been an argument in turn.
        for &(argument, param) in &self.given {
            if known.contains(&argument) {
                known.push(param);
            }
        }
        known.sort_unstable();
        known.dedup();
        self.stack.push(known);
    }

    /// Keeps what is known in both states, whose stacks are equally high. Returns whether that is less than before.
    pub(super) fn intersect(&mut self, other: &Self) -> bool {
        let anything = Undefined { here: &self.undefined, there: &other.undefined };
        let mut shrunk = self.locals.intersect(&other.locals, &anything);
        for (known, other) in self.stack.iter_mut().zip(&other.stack) {
            if let Some(both) = intersection(known, other, &anything) {
                *known = both;
                shrunk = true;
            }
        }
        let given = self.given.len();
        self.given.retain(|fact| other.given.contains(fact));
        self.remembers |= other.remembers;
        let undefined = self.undefined.len();
        self.undefined.retain(|expression| other.is_undefined(*expression));
        shrunk || self.given.len() != given || self.undefined.len() != undefined
    }

    /// The function has waited for the emitted code, which has therefore computed what it needs of what was before.
    pub(super) fn catch_up(&mut self, expressions: &Expressions) {
        self.given.clear();
        if !std::mem::take(&mut self.remembers) {
            return;
        }
        let forget = |known: &Known| {
            let is_past = |expression: &Expression| expressions.is_about_past(*expression);
            known.iter().any(is_past).then(|| known.iter().copied().filter(|expression| !is_past(expression)).collect())
        };
        self.locals.update(forget);
        for known in &mut self.stack {
            if let Some(rest) = forget(known) {
                *known = rest;
            }
        }
    }

    /// The function enters a block: the old meanings of the names that the block defines are renamed, and what holds an argument now holds the
    /// parameter too.
    pub(super) fn enter(
        &mut self,
        block: Block,
        is_entered_again: bool,
        mut arguments: Vec<(Expression, Expression)>,
        expressions: &mut Expressions,
    ) {
        if !is_entered_again && arguments.is_empty() {
            return;
        }
        if !self.undefined.is_empty() {
            let given = arguments.iter().filter(|(argument, _)| self.is_undefined(*argument)).map(|&(_, param)| param);
            let mut undefined: SmallVec<[Expression; 4]> = given.collect();
            // Nothing is known any more of what had this name until now.
            let stays = |expression: &Expression| !is_entered_again || !expressions.is_renamed(*expression, block);
            undefined.extend(self.undefined.iter().copied().filter(stays));
            undefined.sort_unstable();
            undefined.dedup();
            self.undefined = undefined;
        }
        if is_entered_again {
            arguments.retain_mut(|(argument, _)| match expressions.rename(*argument, block) {
                Some(renamed) => {
                    *argument = renamed;
                    true
                }
                None => false,
            });
            let mut given = std::mem::take(&mut self.given);
            given.retain(|(argument, param)| {
                match (expressions.rename(*argument, block), expressions.rename(*param, block)) {
                    (Some(renamed_argument), Some(renamed_param)) => {
                        (*argument, *param) = (renamed_argument, renamed_param);
                        true
                    }
                    _ => false,
                }
            });
            self.given = given;
        }
        let remembers = &mut self.remembers;
        let mut change = |known: &Known| {
            let renames = is_entered_again && known.iter().any(|&expression| expressions.is_renamed(expression, block));
            if !renames && !arguments.iter().any(|(argument, _)| known.contains(argument)) {
                return None;
            }
            let mut changed = Known::new();
            for &expression in known {
                let renamed = if renames { expressions.rename(expression, block) } else { Some(expression) };
                let Some(renamed) = renamed else { continue };
                *remembers |= renamed != expression;
                changed.push(renamed);
                changed.extend(arguments.iter().filter(|(argument, _)| *argument == renamed).map(|&(_, param)| param));
            }
            changed.sort_unstable();
            changed.dedup();
            Some(changed)
        };
        self.locals.update(&mut change);
        for known in &mut self.stack {
            if let Some(changed) = change(known) {
                *known = changed;
            }
        }
        self.given.extend(arguments);
    }
}
