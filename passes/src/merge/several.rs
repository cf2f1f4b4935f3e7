//! Several memories or tables: a merged module may have them where each input has one, and nothing else needs a feature
//! that merging cannot do without.

use super::MergeError;
use super::combine::Part;
use std::ops::Range;
use wasmfx_ir::Module;
use wasmfx_ir::entity::Entity;
use wasmfx_ir::module::Origin;
use wasmfx_ir::wasmparser::WasmFeatures;

/// wasmparser's limit on memories of a module, which is that of JavaScript's engines too.
const MAX_MEMORIES: usize = 100;

/// Refuses more memories and tables than the features of the module allow.
pub(super) fn check(module: &Module, parts: &[Part]) -> Result<(), MergeError> {
    let memories = module.memories.iter().filter(|(_, memory)| memory.origin != Origin::Removed);
    let memories: Vec<usize> = memories.map(|(id, _)| id.index()).collect();
    let tables = module.tables.iter().filter(|(_, table)| table.origin != Origin::Removed);
    let tables: Vec<usize> = tables.map(|(id, _)| id.index()).collect();
    let mut problems = Vec::new();
    if memories.len() > 1 && !module.features.contains(WasmFeatures::MULTI_MEMORY) {
        let owners = owners(parts, |part| &part.memories, &memories);
        problems.push(too_many(memories.len(), "memories", &owners, "multimemory"));
    } else if memories.len() > MAX_MEMORIES {
        problems.push(format!(
            "together the modules have {} memories, and more than {MAX_MEMORIES} are not possible",
            memories.len()
        ));
    }
    if tables.len() > 1 && !module.features.contains(WasmFeatures::REFERENCE_TYPES) {
        let owners = owners(parts, |part| &part.tables, &tables);
        problems.push(too_many(tables.len(), "tables", &owners, "reference-types"));
    }
    if problems.is_empty() { Ok(()) } else { Err(MergeError { problems }) }
}

/// The names of the inputs whose items are among `items`.
fn owners(parts: &[Part], range: impl Fn(&Part) -> &Range<usize>, items: &[usize]) -> String {
    let owners = parts.iter().filter(|part| items.iter().any(|item| range(part).contains(item)));
    owners.map(|part| format!("'{}'", part.name)).collect::<Vec<_>>().join(", ")
}

fn too_many(count: usize, what: &str, owners: &str, feature: &str) -> String {
    format!(
        "together the modules have {count} {what} (of {owners}), which needs the feature '{feature}': enable it with --enable-{feature}, or let one module import from another"
    )
}
