//! Function types for functions that passes make or change.

use rustc_hash::FxHashMap;
use wasmfx_ir::module::{Module, RecursionGroup, TypeDefinition, TypeId, Types};
use wasmfx_ir::wasmparser::SubType;

/// The function types of the module that are a recursion group of their own.
pub(super) struct PlainTypes(FxHashMap<SubType, TypeId>);

impl PlainTypes {
    pub(super) fn of(module: &Module) -> Self {
        let groups = module.types.groups.iter().filter(|group| group.range.len() == 1);
        let ids = groups.map(|group| TypeId::from_u32(group.range.start));
        Self(ids.map(|id| (module.types.definitions[id].sub_type.clone(), id)).collect())
    }

    pub(super) fn contains(&self, ty: &SubType) -> bool {
        self.0.contains_key(ty)
    }

    pub(super) fn find_or_add(&mut self, types: &mut Types, ty: SubType) -> TypeId {
        *self.0.entry(ty.clone()).or_insert_with(|| {
            let id = types.definitions.push(TypeDefinition { sub_type: ty, name: None, field_names: Vec::new() });
            types.groups.push(RecursionGroup { range: id.as_u32()..id.as_u32() + 1, explicit: false });
            id
        })
    }
}
