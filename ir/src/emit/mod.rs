//! Emission: from a [`Func`] to small structured wasm.
//!
//! | stage | file |
//! |---|---|
//! | 1. dead code and parameters, a graph of emission's own | `graph` |
//! | 2. one entry for every loop | `irreducible`, `dominance`, `far_uses` |
//! | one landing for clauses of several invocations that lead to the same | `landings` |
//! | constants that several edges give are stored once | `defaults` |
//! | 3. dominator tree to nested blocks, loops and ifs, with symbolic labels | `structure` |
//! | 4., 5. operands onto the operand stack, constants by price | `schedule` |
//! | 6. to 9. liveness, coalescing, sharing and numbering of locals | `live_ranges` over `code_blocks`, `locals`, `segments` |
//! | 10., 11. final forms of branches, peephole, label numbers | `shape` |
//!
//! The result, an [`EmittedBody`], speaks of ids throughout, so that functions are emitted before anybody knows the final indices;
//! [`EmittedBody::encode`] then writes the bytes. Everything is iterative: nesting is limited by memory only.

mod body;
mod code_blocks;
mod defaults;
mod dominance;
mod far_uses;
mod graph;
mod irreducible;
mod landings;
mod live_ranges;
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
use crate::entity::{Entity, SecondaryMap};
use crate::func::{Func, Value};
use crate::operator::default_operator;
use wasmparser::{Operator, ValType};

/// Emits a function, which is made [ready](make_ready) for it.
pub fn emit(func: &mut Func, environment: &impl EffectsEnvironment) -> EmittedBody {
    emit_with(func, environment, &Options::default())
}

/// Emits a function with some steps switched off.
#[doc(hidden)]
pub fn emit_with(func: &mut Func, environment: &impl EffectsEnvironment, options: &Options) -> EmittedBody {
    make_ready(func);
    emit_ready(func, environment, options).expect("it was just made ready")
}

/// Makes all changes to a function that emission needs, none of which changes what it means: aliases are resolved, and operators that the code may
/// have besides the function's are interned in its pool.
pub fn make_ready(func: &mut Func) {
    func.resolve_aliases();
    shape::Inversions::intern(func);
    for ty in types_of_undefined(func) {
        func.operators.intern(zero_operator(ty));
    }
}

/// Emits a function that is [ready](make_ready); `None` for any other.
pub(crate) fn emit_ready(func: &Func, environment: &impl EffectsEnvironment, options: &Options) -> Option<EmittedBody> {
    let has_zeros = || types_of_undefined(func).iter().all(|&ty| func.operators.find(&zero_operator(ty)).is_some());
    if func.has_unresolved_aliases() || !has_zeros() {
        return None;
    }
    let inversions = shape::Inversions::find(func)?;
    let Assigned { graph, structure, schedule, locals } = assign_locals(func, environment, options);
    Some(shape::shape(func, &graph, &structure, &schedule, &locals, &inversions))
}

/// Which local emission would put each value in, if any; none of two values that are alive at once have the same, unless they are equal.
pub fn local_assignment(func: &mut Func, environment: &impl EffectsEnvironment) -> SecondaryMap<Value, Option<u32>> {
    make_ready(func);
    let Assigned { graph, locals, .. } = assign_locals(func, environment, &Options::default());
    let mut assignment = SecondaryMap::with_default_and_len(None, func.value_count());
    for value in (0..func.value_count()).map(Value::from_index) {
        let local = locals.of_value[graph.name(value).index()];
        assignment[value] = (local != graph::NONE).then_some(local);
    }
    assignment
}

/// A function whose values have locals.
struct Assigned {
    graph: graph::Graph,
    structure: structure::Structure,
    schedule: schedule::Schedule,
    locals: locals::Locals,
}

fn assign_locals(func: &Func, environment: &impl EffectsEnvironment, options: &Options) -> Assigned {
    let mut graph = graph::build(func, environment);
    let mut dominance = irreducible::make_reducible(&mut graph);
    if options.landings && landings::fold_landings(func, &mut graph, &dominance) {
        dominance = irreducible::make_reducible(&mut graph);
    }
    if options.defaults {
        defaults::store_defaults(func, &mut graph, &dominance, options);
    }
    let structure = structure::structure(func, &graph, dominance, options);
    let schedule = schedule::schedule(func, &graph, &structure, options);
    let locals = locals::assign(func, &graph, &structure, &schedule, options);
    Assigned { graph, structure, schedule, locals }
}

/// The types of undefined values: where one is an operand it is zero.
fn types_of_undefined(func: &Func) -> Vec<ValType> {
    let mut types: Vec<ValType> = Vec::new();
    for ty in func.undefined_values().map(|value| func.value_type(value)) {
        if !types.contains(&ty) {
            types.push(ty);
        }
    }
    types
}

fn zero_operator(ty: ValType) -> Operator<'static> {
    default_operator(ty).expect("no reference is undefined")
}
