//! The sections of the binary format.

use super::body::EncodedBody;
use super::lifted::BlockTypes;
use super::reencode::IndexReencoder;
use super::{Indices, names};
use crate::code_annotations::{self, FunctionAnnotations};
use crate::error::{Error, Result};
use crate::module::{Body, CustomContents, ElementItems, ElementKind, FunctionId, Import, Item, Module, SectionPlace};
use wasm_encoder::reencode::Reencode;
use wasm_encoder::{
    BranchHint, BranchHints, CodeSection, CustomSection, DataCountSection, DataSection, ElementSection, Elements,
    EntityType, ExportKind, ExportSection, FunctionSection, GlobalSection, ImportCompact, ImportSection, Imports,
    MemorySection, Section, StartSection, TableSection, TagKind, TagSection, TagType, TypeSection,
};

/// Writes a module. `bodies` are those of the defined functions, in the order of their indices.
pub(super) fn write(
    module: &Module,
    indices: &Indices,
    block_types: &BlockTypes,
    bodies: &[EncodedBody<'_>],
) -> Result<Vec<u8>> {
    let mut writer =
        Writer { module, indices, reencoder: IndexReencoder::new(indices), sink: Sink::new(module, indices, bodies) };
    writer.types(block_types)?;
    writer.imports()?;
    writer.functions()?;
    writer.tables()?;
    writer.memories()?;
    writer.tags()?;
    writer.globals()?;
    writer.exports()?;
    writer.start()?;
    writer.elements()?;
    writer.data_count();
    writer.code(bodies);
    writer.data()?;
    Ok(writer.sink.finish())
}

struct Writer<'a> {
    module: &'a Module,
    indices: &'a Indices,
    reencoder: IndexReencoder<'a>,
    sink: Sink<'a>,
}

/// Says which item could not be written.
fn of<T, E: Into<Error>>(result: Result<T, E>, item: impl std::fmt::Debug) -> Result<T> {
    result.map_err(|error| {
        let error = error.into();
        Error::internal(format!("{item:?}: {}", error.message()))
    })
}

impl Writer<'_> {
    fn types(&mut self, block_types: &BlockTypes) -> Result<()> {
        let mut section = TypeSection::new();
        let order = self.indices.types.order();
        let mut position = 0;
        while let Some(&first) = order.get(position) {
            let group = &self.module.types.groups[self.module.types.group_of(first)];
            let mut sub_types = Vec::with_capacity(group.range.len());
            for &id in &order[position..position + group.range.len()] {
                sub_types.push(of(self.reencoder.sub_type(self.module.types.definitions[id].sub_type.clone()), id)?);
            }
            position += sub_types.len();
            match &sub_types[..] {
                [sub_type] if !group.explicit => section.ty().subtype(sub_type),
                _ => section.ty().rec(sub_types),
            }
        }
        for sub_type in block_types.added() {
            section.ty().subtype(&of(self.reencoder.sub_type(sub_type), "a type of a block")?);
        }
        self.sink.section(SectionPlace::Type, &section, section.is_empty());
        Ok(())
    }

    fn imports(&mut self) -> Result<()> {
        let mut section = ImportSection::new();
        let types = self.module.imports.iter().map(|import| of(self.entity_type(import.item), import));
        let types = types.collect::<Result<Vec<_>>>()?;
        let mut types = &types[..];
        // The compact form only where the input had it: not every reader knows it.
        let same_module = |a: &Import, b: &Import| self.module.has_compact_imports && a.module == b.module;
        for run in self.module.imports.chunk_by(same_module) {
            let (run_types, rest) = types.split_at(run.len());
            types = rest;
            section_of_run(&mut section, run, run_types);
        }
        self.sink.section(SectionPlace::Import, &section, section.is_empty());
        Ok(())
    }

    fn entity_type(&mut self, item: Item) -> Result<EntityType> {
        let module = self.module;
        Ok(match item {
            Item::Function(id) => {
                let ty = self.reencoder.type_index(module.functions[id].ty.as_u32())?;
                if module.functions[id].exact { EntityType::FunctionExact(ty) } else { EntityType::Function(ty) }
            }
            Item::Table(id) => EntityType::Table(self.reencoder.table_type(module.tables[id].ty)?),
            Item::Memory(id) => EntityType::Memory(self.reencoder.memory_type(module.memories[id].ty)?),
            Item::Global(id) => EntityType::Global(self.reencoder.global_type(module.globals[id].ty)?),
            Item::Tag(id) => EntityType::Tag(TagType {
                kind: TagKind::Exception,
                func_type_idx: self.reencoder.type_index(module.tags[id].ty.as_u32())?,
            }),
        })
    }

    fn functions(&mut self) -> Result<()> {
        let mut section = FunctionSection::new();
        for &id in self.indices.functions.definitions() {
            section.function(of(self.reencoder.type_index(self.module.functions[id].ty.as_u32()), id)?);
        }
        self.sink.section(SectionPlace::Function, &section, section.is_empty());
        Ok(())
    }

    fn tables(&mut self) -> Result<()> {
        let mut section = TableSection::new();
        for &id in self.indices.tables.definitions() {
            let table = &self.module.tables[id];
            let ty = of(self.reencoder.table_type(table.ty), id)?;
            match &table.init {
                None => section.table(ty),
                Some(init) => section.table_with_init(ty, &of(self.reencoder.constant(init), id)?),
            };
        }
        self.sink.section(SectionPlace::Table, &section, section.is_empty());
        Ok(())
    }

    fn memories(&mut self) -> Result<()> {
        let mut section = MemorySection::new();
        for &id in self.indices.memories.definitions() {
            section.memory(of(self.reencoder.memory_type(self.module.memories[id].ty), id)?);
        }
        self.sink.section(SectionPlace::Memory, &section, section.is_empty());
        Ok(())
    }

    fn tags(&mut self) -> Result<()> {
        let mut section = TagSection::new();
        for &id in self.indices.tags.definitions() {
            let func_type_idx = of(self.reencoder.type_index(self.module.tags[id].ty.as_u32()), id)?;
            section.tag(TagType { kind: TagKind::Exception, func_type_idx });
        }
        self.sink.section(SectionPlace::Tag, &section, section.is_empty());
        Ok(())
    }

    fn globals(&mut self) -> Result<()> {
        let mut section = GlobalSection::new();
        for &id in self.indices.globals.definitions() {
            let global = &self.module.globals[id];
            let Some(init) = &global.init else {
                return Err(Error::internal(format!("{id:?} is defined here and has no value")));
            };
            let ty = of(self.reencoder.global_type(global.ty), id)?;
            section.global(ty, &of(self.reencoder.constant(init), id)?);
        }
        self.sink.section(SectionPlace::Global, &section, section.is_empty());
        Ok(())
    }

    fn exports(&mut self) -> Result<()> {
        let mut section = ExportSection::new();
        for export in &self.module.exports {
            let (kind, index) = match export.item {
                Item::Function(id) => (ExportKind::Func, self.reencoder.function_index(id.as_u32())),
                Item::Table(id) => (ExportKind::Table, self.reencoder.table_index(id.as_u32())),
                Item::Memory(id) => (ExportKind::Memory, self.reencoder.memory_index(id.as_u32())),
                Item::Global(id) => (ExportKind::Global, self.reencoder.global_index(id.as_u32())),
                Item::Tag(id) => (ExportKind::Tag, self.reencoder.tag_index(id.as_u32())),
            };
            section.export(&export.name, kind, of(index, export)?);
        }
        self.sink.section(SectionPlace::Export, &section, section.is_empty());
        Ok(())
    }

    fn start(&mut self) -> Result<()> {
        if let Some(start) = self.module.start {
            let function_index = of(self.reencoder.function_index(start.as_u32()), "start function")?;
            self.sink.section(SectionPlace::StartFunction, &StartSection { function_index }, false);
        }
        Ok(())
    }

    fn elements(&mut self) -> Result<()> {
        let mut section = ElementSection::new();
        for &id in self.indices.elements.order() {
            let segment = &self.module.elements[id];
            let items = match &segment.items {
                ElementItems::Functions(functions) => {
                    let functions = functions.iter().map(|function| self.reencoder.function_index(function.as_u32()));
                    Elements::Functions(of(functions.collect::<Result<Vec<_>, _>>(), id)?.into())
                }
                ElementItems::Expressions(ty, expressions) => {
                    let expressions = expressions.iter().map(|expression| self.reencoder.constant(expression));
                    let expressions = of(expressions.collect::<Result<Vec<_>, _>>(), id)?;
                    Elements::Expressions(of(self.reencoder.ref_type(*ty), id)?, expressions.into())
                }
            };
            match &segment.kind {
                ElementKind::Passive => section.passive(items),
                ElementKind::Declared => section.declared(items),
                ElementKind::Active { table, offset } => {
                    let table = of(self.reencoder.table_index(table.as_u32()), id)?;
                    let offset = of(self.reencoder.constant(offset), id)?;
                    // Table 0 has the short form, where the items allow it.
                    section.active((table != 0).then_some(table), &offset, items)
                }
            };
        }
        self.sink.section(SectionPlace::Element, &section, section.is_empty());
        Ok(())
    }

    fn data_count(&mut self) {
        if self.module.has_data_count {
            let count = self.indices.data.order().len() as u32;
            self.sink.section(SectionPlace::DataCount, &DataCountSection { count }, false);
        }
    }

    fn code(&mut self, bodies: &[EncodedBody<'_>]) {
        let mut section = CodeSection::new();
        for body in bodies {
            section.raw(&body.bytes);
        }
        self.sink.section(SectionPlace::Code, &section, section.is_empty());
    }

    fn data(&mut self) -> Result<()> {
        let mut section = DataSection::new();
        for &id in self.indices.data.order() {
            let segment = &self.module.data[id];
            let bytes = segment.bytes.iter().copied();
            match &segment.active {
                None => section.passive(bytes),
                Some((memory, offset)) => {
                    let memory = of(self.reencoder.memory_index(memory.as_u32()), id)?;
                    section.active(memory, &of(self.reencoder.constant(offset), id)?, bytes)
                }
            };
        }
        self.sink.section(SectionPlace::Data, &section, section.is_empty());
        Ok(())
    }
}

/// Writes sections with the custom sections between them.
struct Sink<'a> {
    encoder: wasm_encoder::Module,
    /// What is still to be written, the last first.
    pending: Vec<(SectionPlace, Custom<'a>)>,
}

enum Custom<'a> {
    Kept(CustomSection<'a>),
    Names(wasm_encoder::NameSection),
    BranchHints(BranchHints),
}

impl<'a> Sink<'a> {
    fn new(module: &'a Module, indices: &Indices, bodies: &[EncodedBody<'_>]) -> Self {
        let kept = module.custom_sections.iter().filter_map(|section| {
            let data = match &section.contents {
                CustomContents::Bytes(bytes) => (&bytes[..]).into(),
                CustomContents::Annotations(functions) => annotations(module, indices, bodies, functions)?.into(),
            };
            Some((section.place, Custom::Kept(CustomSection { name: section.name.as_str().into(), data })))
        });
        let mut pending: Vec<_> = kept.collect();
        if let Some(names) = names::name_section(module, indices, bodies) {
            let position = module.name_section_position.unwrap_or(usize::MAX).min(pending.len());
            // Its place is that of its neighbours, so that sorting by place leaves it between them; an engine expects it after the data.
            let place = position.checked_sub(1).map_or(SectionPlace::Start, |before| pending[before].0);
            let place = pending.get(position).map_or(SectionPlace::Data, |after| after.0.max(place));
            pending.insert(position, (place, Custom::Names(names)));
        }
        if let Some(hints) = branch_hints(indices, bodies) {
            pending.push((SectionPlace::DataCount, Custom::BranchHints(hints)));
        }
        pending.sort_by_key(|&(place, _)| place);
        pending.reverse();
        Self { encoder: wasm_encoder::Module::new(), pending }
    }

    fn section(&mut self, place: SectionPlace, section: &impl Section, empty: bool) {
        if !empty {
            self.flush(|pending| pending < place);
            self.encoder.section(section);
        }
    }

    fn flush(&mut self, until: impl Fn(SectionPlace) -> bool) {
        while let Some((_, custom)) = self.pending.pop_if(|&mut (place, _)| until(place)) {
            match custom {
                Custom::Kept(section) => self.encoder.section(&section),
                Custom::Names(section) => self.encoder.section(&section),
                Custom::BranchHints(section) => self.encoder.section(&section),
            };
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.flush(|_| true);
        self.encoder.finish()
    }
}

/// Writes imports from one module.
fn section_of_run(section: &mut ImportSection, run: &[Import], types: &[EntityType]) {
    let module = run[0].module.as_str();
    // What the compact form costs more, besides the module's name and its length once.
    const COMPACT_OVERHEAD: usize = 3;
    if (run.len() - 1) * (module.len() + 1) <= COMPACT_OVERHEAD {
        for (import, &ty) in run.iter().zip(types) {
            section.import(module, &import.name, ty);
        }
    } else if types.iter().all(|ty| *ty == types[0]) {
        let names = run.iter().map(|import| import.name.as_str()).collect::<Vec<_>>();
        section.imports(Imports::Compact2 { module, ty: types[0], names: names.into() });
    } else {
        let items = run.iter().zip(types).map(|(import, &ty)| ImportCompact { name: &import.name, ty });
        section.imports(Imports::Compact1 { module, items: items.collect::<Vec<_>>().into() });
    }
}

/// What holds of annotations after all, if anything.
fn annotations(
    module: &Module,
    indices: &Indices,
    bodies: &[EncodedBody<'_>],
    functions: &[FunctionAnnotations],
) -> Option<Vec<u8>> {
    let imports = indices.functions.order().len() - bodies.len();
    let is_unchanged = |id: FunctionId| {
        let before = match module.functions.get(id).map(|function| &function.body) {
            Some(Body::Lazy(body)) => body.bytes(),
            Some(Body::Lifted(func)) => match &func.original {
                Some(original) => original.body.bytes(),
                None => return false,
            },
            _ => return false,
        };
        let position = indices.functions.get(id).and_then(|index| (index as usize).checked_sub(imports));
        position.is_some_and(|position| *bodies[position].bytes == *before)
    };
    code_annotations::write(functions, |id| indices.functions.get(id), is_unchanged)
}

fn branch_hints(indices: &Indices, bodies: &[EncodedBody<'_>]) -> Option<BranchHints> {
    let mut section = BranchHints::new();
    for (&id, body) in indices.functions.definitions().iter().zip(bodies) {
        if let (Some(index), false) = (indices.functions.get(id), body.branch_hints.is_empty()) {
            section.function_hints(
                index,
                body.branch_hints.iter().map(|&(branch_func_offset, taken)| BranchHint {
                    branch_func_offset,
                    branch_hint_value: u32::from(taken),
                }),
            );
        }
    }
    (!section.is_empty()).then_some(section)
}
