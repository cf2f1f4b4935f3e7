//! Duplicate imports: of several imports of one function under one type, one stays.

use crate::options::Options;
use crate::pass_table::Changed;
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::module::{FunctionId, Item, Module, TypeId};

/// Runs the pass.
pub fn run(module: &mut Module, _options: &Options) -> Changed {
    let mut first: IndexMap<(&str, &str, TypeId, bool), FunctionId, FxBuildHasher> = IndexMap::default();
    let mut replacement: SecondaryMap<FunctionId, Option<FunctionId>> = SecondaryMap::new();
    let mut changed = false;
    for import in &module.imports {
        if let Item::Function(id) = import.item {
            let function = &module.functions[id];
            let kept = *first.entry((&import.module, &import.name, function.ty, function.exact)).or_insert(id);
            if kept != id {
                replacement[id] = Some(kept);
                changed = true;
            }
        }
    }
    if changed {
        module.imports.retain(|import| !matches!(import.item, Item::Function(id) if replacement[id].is_some()));
        super::replace_functions(module, &replacement);
    }
    Changed::from_flag(changed)
}
