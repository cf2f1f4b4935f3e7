//! Comparing a program's run before a transformation with its run after.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::Result;
use wasmparser::{Validator, WasmFeatures};

use super::run::{Contents, EngineOptions, Observations, Outcome, Runner, TrapKind};
use super::shrink::shrink;
use super::transforms::Transform;
use crate::generate::encode;
use crate::generate::program::Program;

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Same,
    Different(Difference),
    /// Nothing can be said, and why: the engine has run out of stack, or refuses the program as it was generated.
    Inconclusive(String),
}

/// A failure of a transformation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub kind: DifferenceKind,
    pub message: String,
}

/// Kinds of failures; a program is not shrunk from one kind into another.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum DifferenceKind {
    /// The transformation returned an error.
    Refused,
    /// The transformation panicked.
    Panicked,
    /// Its output does not validate.
    Invalid,
    /// The engine does not compile or instantiate its output.
    EngineRefused,
    /// The output behaves differently.
    Behaviour,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            DifferenceKind::Refused => "the transformation failed",
            DifferenceKind::Panicked => "the transformation panicked",
            DifferenceKind::Invalid => "the output is invalid",
            DifferenceKind::EngineRefused => "the engine fails on the output",
            DifferenceKind::Behaviour => "the output behaves differently",
        };
        write!(f, "{what}: {}", self.message)
    }
}

/// Compares programs with what one transformation makes of them.
pub struct Comparer<'a> {
    transform: &'a Transform,
    native: Runner,
    transformed: Runner,
    features: WasmFeatures,
}

impl<'a> Comparer<'a> {
    /// A comparer with engines of its own.
    ///
    /// # Errors
    /// As [`Runner::new`].
    pub fn new(transform: &'a Transform) -> Result<Self> {
        let mut features = WasmFeatures::all();
        features.set(WasmFeatures::STACK_SWITCHING, transform.stack_switching);
        Ok(Comparer {
            transform,
            native: Runner::new(EngineOptions::default())?,
            transformed: Runner::new(EngineOptions {
                stack_switching: transform.stack_switching,
                ..EngineOptions::default()
            })?,
            features,
        })
    }

    /// Runs the program both ways.
    pub fn compare(&self, program: &Program) -> Verdict {
        let wasm = match encode(program) {
            Ok(wasm) => wasm,
            Err(error) => return Verdict::Inconclusive(format!("not a program: {error:#}")),
        };
        if let Err(error) = Validator::new_with_features(WasmFeatures::all()).validate_all(&wasm) {
            return Verdict::Inconclusive(format!("not valid: {error}"));
        }
        let before = match guarded(|| self.native.run(program, &wasm)) {
            Ok(Ok(observations)) => observations,
            Ok(Err(error)) => {
                return Verdict::Inconclusive(format!("the engine fails on the program: {}", first_line(&error)));
            }
            Err(panic) => return Verdict::Inconclusive(format!("the engine panics on the program: {panic}")),
        };
        if before.overflowed() {
            return Verdict::Inconclusive("the program overflows the engine's stack".to_string());
        }
        let different = |kind, message| Verdict::Different(Difference { kind, message });
        let output = match guarded(|| self.transform.apply(&wasm)) {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => return different(DifferenceKind::Refused, format!("{error:#}")),
            Err(panic) => return different(DifferenceKind::Panicked, panic),
        };
        if let Err(error) = Validator::new_with_features(self.features).validate_all(&output) {
            return different(DifferenceKind::Invalid, error.to_string());
        }
        let after = match guarded(|| self.transformed.run(program, &output)) {
            Ok(Ok(observations)) => observations,
            Ok(Err(error)) => return different(DifferenceKind::EngineRefused, first_line(&error)),
            Err(panic) => return different(DifferenceKind::EngineRefused, panic),
        };
        if after.overflowed() {
            return Verdict::Inconclusive("the output overflows the engine's stack".to_string());
        }
        match first_difference(&before, &after, self.transform.stack_switching, self.transform.shares_memory) {
            None => Verdict::Same,
            Some(message) => different(DifferenceKind::Behaviour, message),
        }
    }

    /// A smaller program that fails in the same way.
    pub fn shrink(&self, program: &Program, difference: &Difference, attempts: usize) -> Program {
        let stem = |message: &str| message.chars().filter(|c| !c.is_ascii_digit()).take(40).collect::<String>();
        let wanted = stem(&difference.message);
        shrink(program, attempts, &mut |candidate| match self.compare(candidate) {
            Verdict::Different(found) => {
                found.kind == difference.kind
                    && (found.kind == DifferenceKind::Behaviour || stem(&found.message) == wanted)
            }
            Verdict::Same | Verdict::Inconclusive(_) => false,
        })
    }
}

/// Runs `work`; a panic is an error with its message.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| panic_message(&*panic))
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(message), _) => message.clone(),
        (_, Some(message)) => (*message).to_string(),
        _ => "a panic without a message".to_string(),
    }
}

/// The engine's errors carry a backtrace of the engine, which says nothing about the program.
fn first_line(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let lines: Vec<&str> =
        text.lines().map(str::trim).take_while(|line| !line.starts_with("Stack backtrace")).collect();
    lines.into_iter().filter(|line| !line.is_empty()).take(6).collect::<Vec<_>>().join(" ")
}

impl Observations {
    /// How much stack a call takes is no part of a program's meaning.
    fn overflowed(&self) -> bool {
        self.outcomes.iter().any(|(_, outcome)| *outcome == Outcome::Trapped(TrapKind::StackOverflow))
    }
}

/// Says where two runs first differ. Traps about continuations need to be exact only where the engine itself makes them.
/// Where a translation keeps things of its own behind the program's memory, nothing is asked of what is there.
pub fn first_difference(
    before: &Observations,
    after: &Observations,
    exact: bool,
    shares_memory: bool,
) -> Option<String> {
    let place = before.trace.iter().zip(&after.trace).position(|(left, right)| left != right);
    if let Some(place) = place {
        return Some(format!("entry {place} of the trace was {:?}, is {:?}", before.trace[place], after.trace[place]));
    }
    for ((name, left), (_, right)) in before.outcomes.iter().zip(&after.outcomes) {
        let same = match (left, right) {
            (Outcome::Trapped(left), Outcome::Trapped(right)) => {
                left == right
                    || left.checks_reference() && right.checks_reference()
                    || (!exact && left.may_become(right))
            }
            _ => left == right,
        };
        if !same {
            return Some(format!("{name} {left:?}, now {right:?}"));
        }
    }
    if before.outcomes.len() != after.outcomes.len() {
        return Some(format!("{} calls ended, now {}", before.outcomes.len(), after.outcomes.len()));
    }
    if before.trace.len() != after.trace.len() {
        return Some(format!("the trace had {} entries, has {}", before.trace.len(), after.trace.len()));
    }
    if let Some(message) = memory_difference(before.memory.as_ref(), after.memory.as_ref(), shares_memory) {
        return Some(message);
    }
    if before.globals != after.globals {
        return Some(format!("the exported globals were {:?}, are {:?}", before.globals, after.globals));
    }
    None
}

fn memory_difference(before: Option<&Contents>, after: Option<&Contents>, shares_memory: bool) -> Option<String> {
    let (Contents(before), Contents(after)) = match (before, after) {
        (Some(before), Some(after)) => (before, after),
        (None, None) => return None,
        _ => return Some(format!("the memory was {before:?}, is {after:?}")),
    };
    if before.len() != after.len() && !(shares_memory && after.len() > before.len()) {
        return Some(format!("the memory had {} bytes, has {}", before.len(), after.len()));
    }
    let address = before.iter().zip(after).position(|(before, after)| before != after)?;
    Some(format!("the byte at {address} was {:#x}, is {:#x}", before[address], after[address]))
}
