//! The checker of emission: proves that an emitted body does what the function in SSA form says. It shares no code with the emitter, and
//! takes nothing from it but the result.
//!
//! # What is proved
//!
//! The emitted code is executed symbolically together with the function. A *position* is a point of the function: a block, how many of its
//! instructions are accounted for, and those among them that have effects and were not executed yet; or an edge that is being taken. A *state* says
//! for each wasm local and each slot of the operand stack which symbolic [expressions](expressions) it equals. Expressions are built of pure
//! operators over names: an instruction with effects, a block parameter that several edges feed, and a payload are named, all else is
//! computed. Two values with equal expressions are equal whenever both are in scope, as names are in single assignment.
//!
//! The steps are:
//! * `local.get/set/tee`, `drop` and pure operators change the state only. A pure operator may be executed anywhere, any number of times.
//! * an operator with effects must be, with operands equal to the function's, an instruction of the current block that was not executed yet and that
//!   conflicts with none of those before it that are still to be executed. It gives the instruction's names.
//! * a branch must be the current block's terminator, on the same condition (or its negation, with the sides exchanged), or a branch on a constant,
//!   which emission uses to enter loops with several entries. All instructions of the block with effects must have been executed by then,
//!   but for those that may be removed.
//! * at a label that was branched to, an edge that is being taken is completed: the parameters are what the arguments were, and names that are
//!   defined in or below the entered block, which belong to an earlier round of a loop, are forgotten.
//! * a return, tail call, throw or resume must be the terminator, with equal operands, and with equal handlers in equal order.
//!
//! States that meet at a label with the same position are intersected, until nothing changes (Rideau and Leroy, "Validating Register Allocation
//! and Spilling", CC 2010, and regalloc2's checker do the same for machine code). Every path of the emitted code is covered, and every
//! effect, condition and result along it was shown to be the function's; so by induction over steps the two do the same.

mod expressions;
mod frames;
mod simulation;
#[cfg(test)]
mod tests;

use crate::effects::EffectsEnvironment;
use crate::emit::EmittedBody;
use crate::func::{Block, Func};

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
pub fn check_emission(
    func: &Func,
    body: &EmittedBody,
    environment: &impl EffectsEnvironment,
) -> Result<(), CheckError> {
    simulation::Simulation::new(func, body, environment)?.run()
}
