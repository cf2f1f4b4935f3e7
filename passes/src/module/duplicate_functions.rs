//! Duplicate functions: of functions with the same type and the same body one stays, and all references go to it.
//!
//! References to functions cannot be compared in wasm, so which of two equal functions a reference names is not observable. Merging two
//! functions can make their callers equal, hence the rounds.

use super::description::{Description, Details, possibly_equal};
use crate::options::Options;
use crate::pass_table::Changed;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::module::{Body, FunctionId, Module};

/// Rounds until callers of merged functions are left as they are.
const MAX_ROUNDS: usize = 8;

/// Runs the pass.
pub fn run(module: &mut Module, _options: &Options) -> Changed {
    let mut changed = Changed::No;
    for _ in 0..MAX_ROUNDS {
        let round = merge_round(module);
        changed |= round;
        if !round.is_yes() {
            break;
        }
    }
    changed
}

fn merge_round(module: &mut Module) -> Changed {
    let mut replacement: SecondaryMap<FunctionId, Option<FunctionId>> = SecondaryMap::new();
    let mut changed = false;
    for group in possibly_equal(module, Details::Compared) {
        let mut kept: Vec<FunctionId> = Vec::new();
        for id in group {
            match kept.iter().find(|&&other| equal(module, id, other)) {
                Some(&other) => {
                    replacement[id] = Some(other);
                    changed = true;
                }
                None => kept.push(id),
            }
        }
    }
    if changed {
        super::replace_functions(module, &replacement);
    }
    Changed::from_flag(changed)
}

fn equal(module: &Module, a: FunctionId, b: FunctionId) -> bool {
    let (Body::Lifted(a), Body::Lifted(b)) = (&module.functions[a].body, &module.functions[b].body) else {
        return false;
    };
    Description::new(module, a, Details::Compared) == Description::new(module, b, Details::Compared)
}
