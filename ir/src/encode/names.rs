//! The name section.

use super::body::EncodedBody;
use super::{IndexAssignment, Indices};
use crate::entity::{Entity, PrimaryMap};
use crate::module::{Function, FunctionId, Module};
use wasm_encoder::{IndirectNameMap, NameMap, NameSection};

/// The name section of a module, or `None` if nothing has a name. `bodies` are those of the defined functions, in their order.
pub(super) fn name_section(module: &Module, indices: &Indices, bodies: &[EncodedBody<'_>]) -> Option<NameSection> {
    let mut builder = Builder { section: NameSection::new(), empty: true };
    // Subsections stand in the order of their numbers.
    if let Some(name) = &module.name {
        builder.section.module(name);
        builder.empty = false;
    }
    let functions = &indices.functions;
    builder.names(&module.functions, functions, |item| &item.name, NameSection::functions);
    builder.indirect(
        of_functions(module, functions, bodies, |body| &body.local_names, |function| &function.local_names),
        NameSection::locals,
    );
    builder.indirect(
        of_functions(module, functions, bodies, |body| &body.label_names, |function| &function.label_names),
        NameSection::labels,
    );
    let types = &module.types.definitions;
    builder.names(types, &indices.types, |item| &item.name, NameSection::types);
    builder.names(&module.tables, &indices.tables, |item| &item.name, NameSection::tables);
    builder.names(&module.memories, &indices.memories, |item| &item.name, NameSection::memories);
    builder.names(&module.globals, &indices.globals, |item| &item.name, NameSection::globals);
    builder.names(&module.elements, &indices.elements, |item| &item.name, NameSection::elements);
    builder.names(&module.data, &indices.data, |item| &item.name, NameSection::data);
    let members = |params: bool| {
        indices.types.order().iter().zip(0..).filter_map(move |(&id, index)| {
            let ty = &types[id];
            let is_function = matches!(ty.sub_type.composite_type.inner, wasmparser::CompositeInnerType::Func(_));
            (is_function == params).then_some((index, &ty.field_names[..]))
        })
    };
    builder.indirect(members(false), NameSection::fields);
    builder.names(&module.tags, &indices.tags, |item| &item.name, NameSection::tags);
    builder.indirect(members(true), NameSection::parameters);
    let tags = indices.tags.order().iter().zip(0..);
    builder.indirect(tags.map(|(&id, index)| (index, &module.tags[id].param_names[..])), NameSection::tag_parameters);
    for (number, contents) in &module.unknown_names {
        builder.section.raw(*number, contents);
        builder.empty = false;
    }
    (!builder.empty).then_some(builder.section)
}

/// The names inside functions: those of imported functions, then those of bodies.
fn of_functions<'a>(
    module: &'a Module,
    functions: &'a IndexAssignment<FunctionId>,
    bodies: &'a [EncodedBody<'_>],
    of_body: fn(&'a EncodedBody<'_>) -> &'a [(u32, String)],
    of_import: fn(&'a Function) -> &'a [(u32, String)],
) -> impl Iterator<Item = (u32, &'a [(u32, String)])> {
    let imports = functions.imports().iter().map(move |&id| of_import(&module.functions[id]));
    (0..).zip(imports.chain(bodies.iter().map(of_body)))
}

struct Builder {
    section: NameSection,
    empty: bool,
}

impl Builder {
    fn names<K: Entity, V>(
        &mut self,
        items: &PrimaryMap<K, V>,
        space: &IndexAssignment<K>,
        name: impl Fn(&V) -> &Option<String>,
        write: fn(&mut NameSection, &NameMap),
    ) {
        let mut map = NameMap::new();
        for (&id, index) in space.order().iter().zip(0..) {
            if let Some(name) = name(&items[id]) {
                map.append(index, name);
            }
        }
        if !map.is_empty() {
            write(&mut self.section, &map);
            self.empty = false;
        }
    }

    fn indirect<'a>(
        &mut self,
        lists: impl Iterator<Item = (u32, &'a [(u32, String)])>,
        write: fn(&mut NameSection, &IndirectNameMap),
    ) {
        let (mut map, mut empty) = (IndirectNameMap::new(), true);
        for (index, names) in lists.filter(|(_, names)| !names.is_empty()) {
            let mut inner = NameMap::new();
            names.iter().for_each(|(position, name)| inner.append(*position, name));
            map.append(index, &inner);
            empty = false;
        }
        if !empty {
            write(&mut self.section, &map);
            self.empty = false;
        }
    }
}
