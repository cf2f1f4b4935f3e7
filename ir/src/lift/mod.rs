//! Lifting: a body's bytes to SSA form, validated on the way.
//!
//! One pass over the operators makes blocks, instructions and the values on the operand stack ([`body`]). A `local.get` whose definition is
//! in the same straight run of code is that value; any other gets a stand-in, and [`locals`] finds out afterwards which value or block
//! parameter it is. Last ([`finish`]), parameters that always receive the same value go away ([`parameters`]), and the arenas are compacted.
//!
//! Nothing recurses over nesting, and no table has an entry for each pair of a block and a local. What the form itself makes large (a local set in
//! each of a thousand nested loops needs a thousand parameters) has a limit that grows with the body: beyond it the body stays bytes.

mod body;
mod finish;
mod graph;
mod locals;
mod parameters;
#[cfg(test)]
mod tests;

use crate::features::Used;
use crate::func::Func;
use crate::module::{LazyBody, OpaqueReason, TypeId};
use wasmparser::{FuncValidatorAllocations, WasmFeatures};

/// Why a body was not lifted.
#[derive(Debug)]
pub enum Error {
    /// The body is not valid.
    Invalid(wasmparser::BinaryReaderError),
    /// The body is valid, and has to stay bytes.
    Opaque(OpaqueReason),
}

impl From<wasmparser::BinaryReaderError> for Error {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::Invalid(error)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Invalid(error) => error.fmt(f),
            Self::Opaque(reason) => reason.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Invalid(error) => Some(error),
            Self::Opaque(_) => None,
        }
    }
}

impl std::fmt::Display for OpaqueReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LegacyExceptions => {
                f.write_str("it uses legacy exception handling (try, catch, rethrow or delegate)")
            }
            Self::UnsupportedOperator(name) => write!(f, "it uses {name}, which is not supported"),
            Self::TooLarge => f.write_str("it would be too large in SSA form"),
        }
    }
}

/// Lifts bodies, and keeps what it allocates from one to the next.
#[derive(Default)]
pub struct Lifter {
    validator: FuncValidatorAllocations,
    used: Used,
}

impl Lifter {
    /// A lifter.
    pub fn new() -> Self {
        Self::default()
    }

    /// Validates `body` and returns it in SSA form. `ty` is the function's type in the module that the body is in now, `local_names` are
    /// its names of locals (index and name).
    ///
    /// # Errors
    /// If the body is not valid or cannot be lifted; [`Error::Opaque`] only comes for valid bodies.
    pub fn lift(&mut self, body: &LazyBody, ty: TypeId, local_names: &[(u32, String)]) -> Result<Func, Error> {
        if let Some(reason) = body.opaque {
            return Err(Error::Opaque(reason));
        }
        let mut func = body::lift(body, std::mem::take(&mut self.validator), &mut self.validator, &mut self.used)?;
        if let Some(renumbering) = &body.renumbering {
            func.map_references(&mut |space, number| renumbering.map(space, number));
        }
        func.ty = ty;
        for (index, name) in local_names {
            // The name section is not validated: it may name locals that are not there.
            if let Some(entry) = func.local_names.get_mut(*index as usize) {
                *entry = Some(name.as_str().into());
            }
        }
        while let Some(None) = func.local_names.last() {
            func.local_names.pop();
        }
        Ok(func)
    }

    /// The features that the bytes of all bodies together use that this lifter has lifted.
    pub fn used_features(&self) -> WasmFeatures {
        self.used.0
    }
}

/// Lifts one body: see [`Lifter::lift`].
///
/// # Errors
/// If the body is not valid or cannot be lifted.
pub fn lift_body(body: &LazyBody, ty: TypeId, local_names: &[(u32, String)]) -> Result<Func, Error> {
    Lifter::new().lift(body, ty, local_names)
}
