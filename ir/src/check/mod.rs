//! The checker of emission: proves that an emitted body does what the function in SSA form says. It shares no code with the emitter, and
//! takes nothing from it but the result.
//!
//! # What is proved
//!
//! The emitted code is executed symbolically, and the function runs along with it. A [position](function::Position) says how far the function is: a
//! block, and what of the block's instructions with effects is still to be executed. A [state](state) says for each wasm local and each slot of the
//! operand stack which symbolic [expressions](expressions) it equals. Expressions are built of pure operators over names: what an instruction
//! with effects, a block parameter that several edges feed, or a payload was *when it was last defined* has a name, all else is computed.
//!
//! The function runs ahead as far as it can by itself: pure instructions and edges without a choice are no steps of the emitted code. Where it then
//! stands is a property of the function alone, so ways through the emitted code that mean the same meet with the same position. What running ahead
//! gives new meanings to is renamed, not forgotten: `i` becomes "`i` before its block was entered again", and the new `i` is known to be the argument
//! `i + 1` made of that, so code that is behind computes what the function has already.
//!
//! The steps of the emitted code are:
//! * `local.get/set/tee`, `drop` and pure operators change the state only. A pure operator may be executed anywhere, any number of times; so may one that
//!   changes nothing and cannot trap, but then nothing is known of its result.
//! * an operator with effects must be, with operands equal to the function's, an instruction of the current block that was not executed yet and that
//!   conflicts with none of those before it that are still to be executed. It gives the instruction's names.
//! * a branch on the current block's condition (or its negation, with the sides exchanged) is the block's branch, and both go where a constant leads if the
//!   place is known to hold one. Every other branch is emission's own, as the one that enters a loop with several entries: on a constant it leads one way,
//!   else both ways, and the function stands still.
//! * a return, tail call, throw or resume must be the terminator, with equal operands, and with equal handlers in equal order.
//!
//! An undefined value ([`Func::undefined`]) equals whatever a place holds, so where one meets something known, that is what is known. The operand of
//! a branch whose sides do the same may be left out of the code; if a proof that waits for it fails, one that does not wait is tried. Whether the code makes
//! such a branch behind a label, and which of several equal things that were made anew it has made, is guessed, and guessed otherwise where the proof fails:
//! each guess is a proof of its own.
//!
//! States that meet at a label with the same position are intersected, until nothing changes (Rideau and Leroy, "Validating Register Allocation
//! and Spilling", CC 2010, and regalloc2's checker do the same for machine code). Every path of the emitted code is covered; every
//! effect, condition and result along it was shown to be the function's; and the code cannot go round for ever while the function stands still. So by
//! induction over steps the two do the same.
//!
//! # What is assumed
//!
//! That the emitted code is valid (wasmparser sees to that, types above all), and what [`crate::effects`] says of operators.

mod expressions;
mod frames;
mod function;
mod instructions;
mod simulation;
mod state;
mod terminators;
#[cfg(test)]
mod tests;

use crate::effects::EffectsEnvironment;
use crate::emit::EmittedBody;
use crate::func::{Block, Func};
use simulation::{Readings, Simulation};

/// A place where the emitted code could not be shown to do what the function says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckError {
    /// The position in [`EmittedBody::code`].
    pub position: usize,
    /// The block of the function that the code stands in.
    pub block: Option<Block>,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for CheckError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "emitted instruction {}", self.position)?;
        if let Some(block) = self.block {
            write!(f, ", in {block}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for CheckError {}

/// Proves that `body` does what `func` says. `func` is the function as it is after emission (which interns operators in its pool).
///
/// # Errors
/// Where a step of the code could not be shown to be one of the function. That need not be a mistake of emission: the proof is incomplete.
pub fn check_emission(
    func: &Func,
    body: &EmittedBody,
    environment: &impl EffectsEnvironment,
) -> Result<(), CheckError> {
    let mut first_error = None;
    let mut are_forgotten = false;
    for assumptions in Assumptions::ALL {
        if assumptions.passed_choices_stay && !are_forgotten {
            continue;
        }
        let selectors = Vec::new();
        let mut prover =
            Prover { func, body, environment, assumptions, selectors, choices_were_forgotten: false, first_error };
        let Err(error) = prover.run() else { return Ok(()) };
        are_forgotten |= prover.choices_were_forgotten;
        first_error = Some(error);
    }
    Err(first_error.expect("something is assumed"))
}

/// What a proof takes for granted of choices that make no difference. Each is as good as the other; that the code fits one of them is enough.
#[derive(Copy, Clone)]
struct Assumptions {
    /// Whether the operand of a branch whose sides do the same is left out of the code.
    choices_are_left_out: bool,
    /// Whether the code may still make such a branch behind a label, not only before the next one.
    passed_choices_stay: bool,
}

impl Assumptions {
    /// All that are tried, the likeliest first.
    const ALL: [Self; 4] = [
        Self { choices_are_left_out: false, passed_choices_stay: false },
        Self { choices_are_left_out: true, passed_choices_stay: false },
        Self { choices_are_left_out: false, passed_choices_stay: true },
        Self { choices_are_left_out: true, passed_choices_stay: true },
    ];
}

/// One attempt at a proof after the other, each of which assumes something else.
struct Prover<'a, E> {
    func: &'a Func,
    body: &'a EmittedBody,
    environment: &'a E,
    assumptions: Assumptions,
    /// Locals that tell ways apart whose states would be merged otherwise.
    selectors: Vec<u32>,
    /// Whether the code might have made a choice behind a label that the function had passed before it.
    choices_were_forgotten: bool,
    first_error: Option<CheckError>,
}

/// What became of an attempt that failed.
struct Failure {
    /// Where in the code.
    position: usize,
    /// How many instructions each operator could have been, where that was more than one.
    reading_counts: Readings,
}

impl<E: EffectsEnvironment> Prover<'_, E> {
    fn run(&mut self) -> Result<(), CheckError> {
        let Err(failure) = self.attempt(&Readings::new()) else { return Ok(()) };
        self.try_other_readings(failure).map_err(|()| self.first_error.take().expect("an attempt has failed"))
    }

    /// States that emission's own labels, or what the function switches on, would tell apart are merged at first; if the proof fails, they are kept apart.
    fn attempt(&mut self, readings: &Readings) -> Result<(), Failure> {
        loop {
            let (body, selectors) = (self.body, &self.selectors);
            let simulation = Simulation::new(self.func, body, self.environment, selectors, readings, self.assumptions);
            let mut simulation = match simulation {
                Ok(simulation) => simulation,
                Err(error) => {
                    let position = error.position;
                    self.first_error.get_or_insert(error);
                    return Err(Failure { position, reading_counts: Readings::new() });
                }
            };
            let Err(error) = simulation.run() else { return Ok(()) };
            self.choices_were_forgotten |= simulation.choices_were_forgotten;
            let position = error.position;
            self.first_error.get_or_insert(error);
            let is_new = |local: &&u32| !self.selectors.contains(local);
            let mut suspects: Vec<u32> = simulation.suspects.iter().filter(is_new).copied().collect();
            // What the function switches on tells ways that give something a value from those that leave it undefined.
            if suspects.is_empty() {
                suspects.extend(simulation.switch_locals.iter().filter(is_new));
            }
            if suspects.is_empty() {
                return Err(Failure { position, reading_counts: simulation.reading_counts });
            }
            self.selectors.extend(suspects);
        }
    }

    /// Which of several things that were made anew alike an operator makes may show behind a label only, where a simulation does not go back. So
    /// other readings are tried, those next to the failure first, and kept where the proof gets further.
    fn try_other_readings(&mut self, mut failure: Failure) -> Result<(), ()> {
        const MAX_ATTEMPTS: usize = 64;
        /// How many instructions are looked at in all.
        const BUDGET: usize = 1 << 20;
        let mut attempts = (BUDGET / (self.body.code.len() + 1)).min(MAX_ATTEMPTS);
        let mut readings = Readings::new();
        'further: loop {
            let end = failure.position;
            for (&at, &count) in failure.reading_counts.range(..=end).rev() {
                let current = readings.get(&at).copied().unwrap_or(0);
                for reading in (0..count).filter(|&reading| reading != current) {
                    attempts = attempts.checked_sub(1).ok_or(())?;
                    let mut other = readings.clone();
                    other.insert(at, reading);
                    let Err(next) = self.attempt(&other) else { return Ok(()) };
                    if next.position > end {
                        (readings, failure) = (other, next);
                        continue 'further;
                    }
                }
            }
            return Err(());
        }
    }
}
