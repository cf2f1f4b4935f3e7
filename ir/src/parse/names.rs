//! The name section, with the subsections of the extended name section proposal.
//!
//! A name section that is broken somewhere is no reason to refuse a module (spec, custom sections: errors in them are ignored): what can be
//! read is used. Order and duplicates are not checked either.

use crate::entity::{Entity, PrimaryMap};
use crate::module::{Bytes, FunctionId, Module, TagId, TypeId};
use std::ops::Range;
use std::sync::Arc;
use wasmparser::{BinaryReader, IndirectNameMap, Name, NameMap, NameSectionReader};

/// Gives the items of a module the names in a name section.
pub(super) fn apply(module: &mut Module, bytes: &Arc<[u8]>, range: Range<usize>) {
    let reader = NameSectionReader::new(BinaryReader::new(&bytes[range.clone()], range.start as u64));
    // The field, not the reader: the reader insists on the order of subsections.
    for subsection in reader.sections {
        let Ok(subsection) = subsection else { return };
        match subsection {
            Name::Module { name, .. } => module.name = Some(name.to_owned()),
            Name::Function(map) => name_all(map, &mut module.functions, |item| &mut item.name),
            Name::Type(map) => name_all(map, &mut module.types.definitions, |item| &mut item.name),
            Name::Table(map) => name_all(map, &mut module.tables, |item| &mut item.name),
            Name::Memory(map) => name_all(map, &mut module.memories, |item| &mut item.name),
            Name::Global(map) => name_all(map, &mut module.globals, |item| &mut item.name),
            Name::Element(map) => name_all(map, &mut module.elements, |item| &mut item.name),
            Name::Data(map) => name_all(map, &mut module.data, |item| &mut item.name),
            Name::Tag(map) => name_all(map, &mut module.tags, |item| &mut item.name),
            Name::Local(map) => for_each_inner(map, |function, names| {
                if let Some(item) = module.functions.get_mut(FunctionId::from_u32(function)) {
                    item.local_names = names;
                }
            }),
            Name::Label(map) => for_each_inner(map, |function, names| {
                if let Some(item) = module.functions.get_mut(FunctionId::from_u32(function)) {
                    item.label_names = names;
                }
            }),
            Name::Field(map) | Name::Parameter(map) => for_each_inner(map, |ty, names| {
                if let Some(item) = module.types.definitions.get_mut(TypeId::from_u32(ty)) {
                    item.field_names = names;
                }
            }),
            Name::TagParameter(map) => for_each_inner(map, |tag, names| {
                if let Some(item) = module.tags.get_mut(TagId::from_u32(tag)) {
                    item.param_names = names;
                }
            }),
            Name::Unknown { ty, range, .. } => {
                let data = Bytes::new(bytes.clone(), range.start as usize..range.end as usize);
                module.unknown_names.push((ty, data));
            }
        }
    }
}

fn name_all<K: Entity, V>(
    map: NameMap<'_>,
    items: &mut PrimaryMap<K, V>,
    name: impl Fn(&mut V) -> &mut Option<String>,
) {
    for naming in map.names {
        let Ok(naming) = naming else { return };
        let index = naming.index as usize;
        if index < items.len() {
            *name(&mut items[K::from_index(index)]) = Some(naming.name.to_owned());
        }
    }
}

fn for_each_inner(map: IndirectNameMap<'_>, mut visit: impl FnMut(u32, Vec<(u32, String)>)) {
    for naming in map.names {
        let Ok(naming) = naming else { return };
        let names = naming.names.names.map_while(Result::ok).map(|naming| (naming.index, naming.name.to_owned()));
        let mut names: Vec<(u32, String)> = names.collect();
        names.sort_by_key(|&(index, _)| index);
        names.dedup_by_key(|(index, _)| *index);
        visit(naming.index, names);
    }
}
