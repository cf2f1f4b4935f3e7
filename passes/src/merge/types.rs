//! Equal recursion groups become one.

use wasmfx_ir::Module;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::module::{RecursionGroup, TypeId, Types};
use wasmfx_ir::references::IndexSpace;
use wasmfx_ir::subtype::Subtyping;

/// Removes each recursion group that equals an earlier one.
pub(super) fn unite(module: &mut Module) {
    let canonical = Subtyping::new(&module.types).into_canonical();
    let mut renumbered: SecondaryMap<TypeId, TypeId> = SecondaryMap::with_default(TypeId::from_u32(0));
    let mut types = Types::default();
    let old = std::mem::take(&mut module.types);
    for group in &old.groups {
        let start = types.definitions.next_key().as_u32();
        let first = group.range.clone().next();
        if first.is_some_and(|number| canonical[number as usize].as_u32() != number) {
            // A name that only the copy has is a name of the type.
            for number in group.range.clone() {
                let copy = &old.definitions[TypeId::from_u32(number)];
                let kept = &mut types.definitions[renumbered[canonical[number as usize]]];
                if kept.name.is_none() {
                    kept.name.clone_from(&copy.name);
                }
                if kept.field_names.is_empty() {
                    kept.field_names.clone_from(&copy.field_names);
                }
            }
            continue;
        }
        for number in group.range.clone() {
            let id = TypeId::from_u32(number);
            renumbered[id] = types.definitions.push(old.definitions[id].clone());
        }
        let range = start..types.definitions.next_key().as_u32();
        types.groups.push(RecursionGroup { range, explicit: group.explicit });
    }
    module.types = types;
    module.map_references(&mut |space, number| match space {
        IndexSpace::Type => renumbered[canonical[number as usize]].as_u32(),
        _ => number,
    });
}
