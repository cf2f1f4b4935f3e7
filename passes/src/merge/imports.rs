//! Imports that several inputs have in common become one.

use super::link::Targets;
use super::matching::Matching;
use indexmap::IndexMap;
use wasmfx_ir::Module;
use wasmfx_ir::module::{Item, TypeId};
use wasmfx_ir::wasmparser::{MemoryType, TableType};

/// Collects the imports that are left, and lets each that asks for the same as an earlier one be that.
///
/// Two imports of one memory or table with different limits become one with the limits that satisfy both: whatever is imported must satisfy both
/// anyway. Where types differ, both stay: whether one thing can satisfy both is for the host to say.
pub(super) fn unite(module: &mut Module, targets: &mut Targets) {
    let left = module.imports.iter().filter(|import| !targets.replaces(import.item));
    let mut by_name: IndexMap<(&str, &str, Option<TypeId>), Vec<Item>> = IndexMap::new();
    let mut united: Vec<(Item, Item)> = Vec::new();
    let matching = Matching::new(module);
    for import in left {
        let same_name =
            by_name.entry((&import.module, &import.name, matching.signature_type(import.item))).or_default();
        match same_name.iter().find(|&&first| matching.is_same_type(first, import.item)) {
            Some(&first) => united.push((import.item, first)),
            None => same_name.push(import.item),
        }
    }
    for (duplicate, first) in united {
        if narrow_limits(module, first, duplicate) {
            targets.insert(duplicate, first);
        }
    }
}

/// Gives `first` the limits that satisfy both imports. Returns whether there are any: if not, nothing can be imported, and both imports stay for the
/// host to report that.
fn narrow_limits(module: &mut Module, first: Item, duplicate: Item) -> bool {
    let maximum = |a: Option<u64>, b: Option<u64>| match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    match (first, duplicate) {
        (Item::Memory(first), Item::Memory(duplicate)) => {
            let (ty, other) = (module.memories[first].ty, module.memories[duplicate].ty);
            let (initial, maximum) = (ty.initial.max(other.initial), maximum(ty.maximum, other.maximum));
            if maximum.is_some_and(|maximum| maximum < initial) {
                return false;
            }
            module.memories[first].ty = MemoryType { initial, maximum, ..ty };
        }
        (Item::Table(first), Item::Table(duplicate)) => {
            let (ty, other) = (module.tables[first].ty, module.tables[duplicate].ty);
            let (initial, maximum) = (ty.initial.max(other.initial), maximum(ty.maximum, other.maximum));
            if maximum.is_some_and(|maximum| maximum < initial) {
                return false;
            }
            module.tables[first].ty = TableType { initial, maximum, ..ty };
        }
        _ => {}
    }
    true
}
