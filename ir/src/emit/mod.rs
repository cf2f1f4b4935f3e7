//! Emission: from a [`Func`] to small structured wasm.
//!
//! | stage | file |
//! |---|---|
//! | 1. dead code and parameters, a graph of emission's own | `graph` |
//! | 2. one entry for every loop | `irreducible`, `dominance` |
//! | constants that several edges give are stored once | `defaults` |
//! | 3. dominator tree to nested blocks, loops and ifs, with symbolic labels | `structure` |
//! | 4., 5. operands onto the operand stack, constants by price | `schedule` |
//! | 6. to 9. liveness, coalescing, sharing and numbering of locals | `locals`, `segments` |
//! | 10., 11. final forms of branches, peephole, label numbers | `shape` |
//!
//! The result, an [`EmittedBody`], speaks of ids throughout, so that functions are emitted before anybody knows the final indices;
//! [`EmittedBody::encode`] then writes the bytes. Everything is iterative: nesting is limited by memory only.

mod body;
mod defaults;
mod dominance;
mod graph;
mod irreducible;
mod locals;
mod options;
mod schedule;
mod segments;
mod shape;
mod structure;
#[cfg(test)]
mod tests;

pub use body::{BlockTypeId, CodeItem, EmittedBlockType, EmittedBody, EmittedTryTable, EncodedBody, LabelledOperator};
#[doc(hidden)]
pub use options::Options;

use crate::effects::EffectsEnvironment;
use crate::func::Func;

/// Emits a function.
///
/// The function keeps its meaning: aliases are resolved, and operators that emission needs are interned in its pool, which is all that changes.
pub fn emit(func: &mut Func, environment: &impl EffectsEnvironment) -> EmittedBody {
    emit_with(func, environment, &Options::default())
}

/// Emits a function with some steps switched off.
#[doc(hidden)]
pub fn emit_with(func: &mut Func, environment: &impl EffectsEnvironment, options: &Options) -> EmittedBody {
    func.resolve_aliases();
    let inversions = shape::Inversions::new(func);
    let func = &*func;
    let mut graph = graph::build(func, environment);
    let dominance = irreducible::make_reducible(&mut graph);
    if options.defaults {
        defaults::store_defaults(func, &mut graph, &dominance, options);
    }
    let structure = structure::structure(func, &graph, dominance, options);
    let schedule = schedule::schedule(func, &graph, &structure, options);
    let locals = locals::assign(func, &graph, &structure, &schedule, options);
    shape::shape(func, &graph, &structure, &schedule, &locals, &inversions)
}
