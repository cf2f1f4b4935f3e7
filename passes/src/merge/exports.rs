//! Exports: conflicts between inputs, and which exports are kept.

use super::combine::Combined;
use super::link::{Targets, kind};
use super::{MergeError, MergeOptions};
use crate::declarations::{declare, declared_functions};
use indexmap::{IndexMap, IndexSet};
use wasmfx_ir::Module;
use wasmfx_ir::module::{Body, Export, FunctionId, Item};
use wasmfx_ir::references::IndexSpace;
use wasmfx_ir::wasmparser::Operator;

/// What to do when two inputs export something by the same name.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum ExportConflicts {
    /// Refuse to merge.
    #[default]
    Refuse,
    /// Give the later one a new name: the old one with `_1`, `_2`, … behind it.
    Rename,
    /// Leave the later one out. Imports from its module still get it.
    Skip,
}

/// The exports of the merged module.
pub(super) struct Exports {
    pub(super) kept: Vec<Export>,
    /// What was exported and is not any more.
    pub(super) dropped: Vec<Item>,
    pub(super) warnings: Vec<String>,
}

/// Collects the exports of all inputs.
pub(super) fn collect(combined: &Combined, targets: &Targets, options: &MergeOptions) -> Result<Exports, MergeError> {
    let wanted = |name: &str| {
        options.keep_exports.is_empty() || options.keep_exports.iter().any(|pattern| pattern.matches(name))
    };
    // Names that are taken already, and by whom.
    let mut kept: IndexMap<String, (Item, &str)> = IndexMap::new();
    let mut dropped = Vec::new();
    let mut problems = Vec::new();
    let all_names: IndexSet<&str> =
        combined.parts.iter().flat_map(|part| part.exports.keys().map(String::as_str)).collect();
    let idle = options.keep_exports.iter().filter(|pattern| !all_names.iter().any(|name| pattern.matches(name)));
    let warnings = idle.map(|pattern| format!("no module has an export to keep that matches \"{pattern}\"")).collect();
    for part in &combined.parts {
        for (name, &item) in part.exports.iter() {
            if !wanted(name) {
                dropped.push(item);
                continue;
            }
            let Some(&(first, other)) = kept.get(name) else {
                kept.insert(name.clone(), (item, &part.name));
                continue;
            };
            // Who exports what was imported from another input exports the same thing once more.
            if targets.get(first) == targets.get(item) {
                continue;
            }
            match options.export_conflicts {
                ExportConflicts::Refuse => problems.push(format!(
                    "'{other}' and '{}' both export \"{name}\" (here a {}): use --rename-export-conflicts or --skip-export-conflicts",
                    part.name,
                    kind(item)
                )),
                ExportConflicts::Skip => dropped.push(item),
                ExportConflicts::Rename => {
                    let free = (1..).map(|number| format!("{name}_{number}"));
                    let mut free = free.filter(|name| !kept.contains_key(name) && !all_names.contains(name.as_str()));
                    let name = free.next().expect("numbers do not run out");
                    kept.insert(name, (item, &part.name));
                }
            }
        }
    }
    if !problems.is_empty() {
        return Err(MergeError { problems });
    }
    let kept = kept.into_iter().map(|(name, (item, _))| Export { name, item }).collect();
    Ok(Exports { kept, dropped, warnings })
}

/// Declares the functions that an export had declared, that nothing else does, and that bodies take references of (specification: `ref.func` wants
/// its function to occur outside of bodies too). The exports that are kept must be in place.
pub(super) fn declare_functions(module: &mut Module, dropped: &[Item]) {
    let exported = dropped.iter().filter_map(|item| if let Item::Function(id) = item { Some(*id) } else { None });
    let exported: IndexSet<FunctionId> = exported.collect();
    if exported.is_empty() {
        return;
    }
    let mut referred: IndexSet<FunctionId> = IndexSet::new();
    let mut visit = |id: FunctionId| {
        if exported.contains(&id) {
            referred.insert(id);
        }
    };
    for function in module.functions.values() {
        match &function.body {
            Body::Import | Body::Removed | Body::Detached => {}
            Body::Lifted(func) => func.for_each_used_operator(|id, _| {
                if let Operator::RefFunc { function_index } = func.operators[id] {
                    visit(FunctionId::from_u32(function_index));
                }
            }),
            Body::Lazy(body) => {
                // A body that cannot be read is reported when it is written.
                let Ok(operators) = body.reader().get_operators_reader() else { continue };
                for operator in operators.into_iter().map_while(Result::ok) {
                    if let Operator::RefFunc { function_index } = operator {
                        let id = body.id(IndexSpace::Function, function_index);
                        id.map(FunctionId::from_u32).into_iter().for_each(&mut visit);
                    }
                }
            }
        }
    }
    let declared = declared_functions(module);
    let missing = referred.into_iter().filter(|&id| !declared[id]).collect();
    declare(module, missing);
}
