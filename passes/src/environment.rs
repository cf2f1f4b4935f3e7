//! What a function pass may know of the module around its function.

use crate::options::Options;
use wasmfx_ir::module::{Memory, MemoryId, Module, TypeId};
use wasmfx_ir::subtype::Subtyping;
use wasmfx_ir::wasmparser::{HeapType, SubType};

/// A read-only view of a module without its bodies: a function pass cannot see another function's body, so passes run on all functions in parallel.
#[derive(Copy, Clone)]
pub struct ModuleEnvironment<'a> {
    module: &'a Module,
    /// Which of the module's types are below which.
    pub subtyping: &'a Subtyping<'a>,
    /// The user's options.
    pub options: &'a Options,
}

/// What is known of a cast before it is made.
///
/// A reference of static type T is, if not null, to something of a type below T. So a cast to a type above T succeeds, and one to a type that is neither
/// above nor below T can succeed for null only: declared supertypes form chains, hence nothing is of two such types.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum CastOutcome {
    /// It succeeds unless the reference is null.
    Succeeds,
    /// It fails unless the reference is null.
    Fails,
    /// That depends.
    Unknown,
}

impl<'a> ModuleEnvironment<'a> {
    /// The view of `module`, whose bodies must be [detached](wasmfx_ir::module::Body::Detached).
    pub(crate) fn new(module: &'a Module, subtyping: &'a Subtyping<'a>, options: &'a Options) -> Self {
        Self { module, subtyping, options }
    }

    /// The module's type section, exports, segments and the like. Bodies are detached.
    pub fn module(&self) -> &'a Module {
        self.module
    }

    /// A type definition.
    pub fn sub_type(&self, ty: TypeId) -> &'a SubType {
        &self.module.types.definitions[ty].sub_type
    }

    /// What becomes of a cast between these types, null aside.
    pub fn outcome_of_cast(&self, from: HeapType, to: HeapType) -> CastOutcome {
        if self.subtyping.heap_matches(from, to) {
            CastOutcome::Succeeds
        } else if !self.subtyping.heap_matches(to, from) {
            CastOutcome::Fails
        } else {
            CastOutcome::Unknown
        }
    }

    /// A memory.
    pub fn memory(&self, memory: MemoryId) -> &'a Memory {
        &self.module.memories[memory]
    }
}
