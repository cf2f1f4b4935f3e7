//! From a binary to a [`Module`].
//!
//! The module level is validated while it is read. Function bodies are not looked into: they are validated when they are lifted, and in any
//! case when the module that they end up in is written.

mod branch_hints;
mod names;

use self::branch_hints::FunctionHints;
use crate::code_annotations;
use crate::error::{Error, Result};
use crate::module::{
    Body, Bytes, ConstExpr, CustomContents, CustomSection, DataSegment, ElementItems, ElementKind, ElementSegment,
    Export, Function, FunctionId, Global, GlobalId, Import, Item, LazyBody, Memory, MemoryId, Module, Origin,
    RecursionGroup, SectionPlace, Source, Table, TableId, Tag, TagId, TypeDefinition, TypeId,
};
use crate::operator;
use std::ops::Range;
use std::sync::Arc;
use wasmparser::{
    CustomSectionReader, DataSectionReader, Encoding, ExportSectionReader, ExternalKind, FuncToValidate, FunctionBody,
    ImportSectionReader, Imports, Parser, Payload, TableInit, TypeRef, TypeSectionReader, ValidPayload, Validator,
    ValidatorResources, WasmFeatures,
};

/// What to accept.
#[derive(Copy, Clone, Debug)]
pub struct ParseOptions {
    /// The features that the module may use.
    pub features: WasmFeatures,
}

impl Default for ParseOptions {
    fn default() -> Self {
        Self { features: crate::features::supported() }
    }
}

/// Reads a module in the binary format.
///
/// # Errors
/// If the bytes are malformed, a component, or invalid at the module level, or use a feature that is not accepted. Bodies are not looked into.
pub fn parse_module(bytes: impl Into<Arc<[u8]>>, options: &ParseOptions) -> Result<Module> {
    let bytes = bytes.into();
    let mut reader = ModuleReader {
        bytes: bytes.clone(),
        features: options.features,
        module: Module { features: options.features, ..Module::default() },
        source: None,
        place: SectionPlace::Start,
        name_sections: Vec::new(),
        branch_hints: Vec::new(),
    };
    let mut validator = Validator::new_with_features(options.features);
    let mut parser = Parser::new(0);
    parser.set_features(options.features);
    for payload in parser.parse_all(&bytes) {
        let payload = payload?;
        if let Payload::Version { encoding: Encoding::Component, .. } = payload {
            return Err(Error::input("this is a component; this toolchain works on core modules").with_help(
                "take the modules out with 'wasm-tools component unbundle', or build for a core target such as wasm32-wasip1",
            ));
        }
        match validator.payload(&payload)? {
            ValidPayload::Func(func, body) => reader.function_body(func, &body),
            ValidPayload::Ok | ValidPayload::End(_) => reader.payload(payload)?,
            ValidPayload::Parser(_) => return Err(Error::input("nested modules exist in components only")),
        }
    }
    Ok(reader.finish())
}

struct ModuleReader {
    bytes: Arc<[u8]>,
    features: WasmFeatures,
    module: Module,
    /// Made with the first body: that is when the validator hands out what it knows of the module.
    source: Option<Arc<Source>>,
    /// The last standard section seen.
    place: SectionPlace,
    name_sections: Vec<Range<usize>>,
    branch_hints: Vec<FunctionHints>,
}

/// A range of offsets in bytes that are in memory.
fn in_memory(range: Range<u64>) -> Range<usize> {
    range.start as usize..range.end as usize
}

impl ModuleReader {
    /// Takes in a payload that the validator has accepted.
    fn payload(&mut self, payload: Payload<'_>) -> Result<()> {
        if let Some(place) = place_of(&payload) {
            self.place = place;
        }
        let module = &mut self.module;
        match payload {
            Payload::TypeSection(section) => add_types(module, section)?,
            Payload::ImportSection(section) => add_imports(module, section)?,
            Payload::FunctionSection(section) => {
                for ty in section {
                    // The code section brings the body; that there is one for each function the validator has checked at the end.
                    module.functions.push(function(TypeId::from_u32(ty?), Body::Removed, false));
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    let table = table?;
                    let init = match &table.init {
                        TableInit::RefNull => None,
                        TableInit::Expr(expression) => Some(constant_expression(expression)?),
                    };
                    module.tables.push(Table { ty: table.ty, origin: Origin::Definition, init, name: None });
                }
            }
            Payload::MemorySection(section) => {
                for ty in section {
                    module.memories.push(Memory { ty: ty?, origin: Origin::Definition, name: None });
                }
            }
            Payload::TagSection(section) => {
                for tag in section {
                    module.tags.push(tag_of(tag?.func_type_idx, Origin::Definition));
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    let global = global?;
                    let init = Some(constant_expression(&global.init_expr)?);
                    module.globals.push(Global { ty: global.ty, origin: Origin::Definition, init, name: None });
                }
            }
            Payload::ExportSection(section) => add_exports(module, section)?,
            Payload::StartSection { func, .. } => module.start = Some(FunctionId::from_u32(func)),
            Payload::ElementSection(section) => {
                for element in section {
                    module.elements.push(element_segment(element?)?);
                }
            }
            Payload::DataCountSection { .. } => module.has_data_count = true,
            Payload::DataSection(section) => self.add_data(section)?,
            Payload::CustomSection(section) => self.custom_section(&section),
            // What is left is headers, the code section's start, and what exists in components only.
            _ => {}
        }
        Ok(())
    }

    fn add_data(&mut self, section: DataSectionReader<'_>) -> Result<()> {
        for segment in section {
            let segment = segment?;
            let active = match segment.kind {
                wasmparser::DataKind::Passive => None,
                wasmparser::DataKind::Active { memory_index, offset_expr } => {
                    Some((MemoryId::from_u32(memory_index), constant_expression(&offset_expr)?))
                }
            };
            let end = segment.range.end as usize;
            let bytes = Bytes::new(self.bytes.clone(), end - segment.data.len()..end);
            self.module.data.push(DataSegment { active, bytes, name: None, removed: false });
        }
        Ok(())
    }

    fn function_body(&mut self, func: FuncToValidate<ValidatorResources>, body: &FunctionBody<'_>) {
        let source = self.source.get_or_insert_with(|| {
            let (bytes, features) = (self.bytes.clone(), self.features);
            Arc::new(Source::new(bytes, func.resources, features))
        });
        let lazy = LazyBody {
            source: source.clone(),
            range: in_memory(body.range()),
            index: func.index,
            branch_hints: Vec::new(),
            renumbering: None,
            opaque: None,
        };
        self.module.functions[FunctionId::from_u32(func.index)].body = Body::Lazy(lazy);
    }

    fn custom_section(&mut self, section: &CustomSectionReader<'_>) {
        let data = in_memory(section.data_range());
        match section.name() {
            "name" => {
                self.module.name_section_position.get_or_insert(self.module.custom_sections.len());
                self.name_sections.push(data);
            }
            // Hints mean something before the code section only.
            branch_hints::SECTION_NAME if self.place < SectionPlace::Code => {
                match branch_hints::read(&self.bytes[data.clone()]) {
                    Ok(hints) => self.branch_hints.extend(hints),
                    Err(_) => self.keep(section.name(), data),
                }
            }
            name if code_annotations::is_name(name) => match code_annotations::read(&self.bytes[data.clone()]) {
                Some(functions) => self.keep_contents(name, CustomContents::Annotations(functions)),
                None => self.keep(name, data),
            },
            name => self.keep(name, data),
        }
    }

    /// Keeps a custom section as it is.
    fn keep(&mut self, name: &str, data: Range<usize>) {
        self.keep_contents(name, CustomContents::Bytes(Bytes::new(self.bytes.clone(), data)));
    }

    fn keep_contents(&mut self, name: &str, contents: CustomContents) {
        self.module.custom_sections.push(CustomSection { name: name.to_owned(), contents, place: self.place });
    }

    fn finish(mut self) -> Module {
        for (function, hints) in self.branch_hints {
            if let Some(Function { body: Body::Lazy(body), .. }) = self.module.functions.get_mut(function) {
                body.branch_hints = hints;
            }
        }
        for range in self.name_sections {
            names::apply(&mut self.module, &self.bytes, range);
        }
        self.module
    }
}

fn place_of(payload: &Payload<'_>) -> Option<SectionPlace> {
    Some(match payload {
        Payload::TypeSection(_) => SectionPlace::Type,
        Payload::ImportSection(_) => SectionPlace::Import,
        Payload::FunctionSection(_) => SectionPlace::Function,
        Payload::TableSection(_) => SectionPlace::Table,
        Payload::MemorySection(_) => SectionPlace::Memory,
        Payload::TagSection(_) => SectionPlace::Tag,
        Payload::GlobalSection(_) => SectionPlace::Global,
        Payload::ExportSection(_) => SectionPlace::Export,
        Payload::StartSection { .. } => SectionPlace::StartFunction,
        Payload::ElementSection(_) => SectionPlace::Element,
        Payload::DataCountSection { .. } => SectionPlace::DataCount,
        Payload::CodeSectionStart { .. } => SectionPlace::Code,
        Payload::DataSection(_) => SectionPlace::Data,
        _ => return None,
    })
}

fn add_types(module: &mut Module, section: TypeSectionReader<'_>) -> Result<()> {
    for group in section {
        let group = group?;
        let start = module.types.definitions.next_key().as_u32();
        let explicit = group.is_explicit_rec_group();
        for sub_type in group.into_types() {
            module.types.definitions.push(TypeDefinition { sub_type, name: None, field_names: Vec::new() });
        }
        let range = start..module.types.definitions.next_key().as_u32();
        module.types.groups.push(RecursionGroup { range, explicit });
    }
    Ok(())
}

fn add_imports(module: &mut Module, section: ImportSectionReader<'_>) -> Result<()> {
    for imports in section {
        let imports = imports?;
        module.has_compact_imports |= !matches!(imports, Imports::Single(..));
        for import in imports {
            let (_, import) = import?;
            let item = add_import(module, import.ty);
            module.imports.push(Import { module: import.module.to_owned(), name: import.name.to_owned(), item });
        }
    }
    Ok(())
}

fn add_exports(module: &mut Module, section: ExportSectionReader<'_>) -> Result<()> {
    for export in section {
        let export = export?;
        let item = match export.kind {
            ExternalKind::Func | ExternalKind::FuncExact => Item::Function(FunctionId::from_u32(export.index)),
            ExternalKind::Table => Item::Table(TableId::from_u32(export.index)),
            ExternalKind::Memory => Item::Memory(MemoryId::from_u32(export.index)),
            ExternalKind::Global => Item::Global(GlobalId::from_u32(export.index)),
            ExternalKind::Tag => Item::Tag(TagId::from_u32(export.index)),
        };
        module.exports.push(Export { name: export.name.to_owned(), item });
    }
    Ok(())
}

fn add_import(module: &mut Module, ty: TypeRef) -> Item {
    let origin = Origin::Import;
    match ty {
        TypeRef::Func(ty) => Item::Function(module.functions.push(function(TypeId::from_u32(ty), Body::Import, false))),
        TypeRef::FuncExact(ty) => {
            Item::Function(module.functions.push(function(TypeId::from_u32(ty), Body::Import, true)))
        }
        TypeRef::Table(ty) => Item::Table(module.tables.push(Table { ty, origin, init: None, name: None })),
        TypeRef::Memory(ty) => Item::Memory(module.memories.push(Memory { ty, origin, name: None })),
        TypeRef::Global(ty) => Item::Global(module.globals.push(Global { ty, origin, init: None, name: None })),
        TypeRef::Tag(ty) => Item::Tag(module.tags.push(tag_of(ty.func_type_idx, origin))),
    }
}

fn function(ty: TypeId, body: Body, exact: bool) -> Function {
    Function { ty, body, name: None, local_names: Vec::new(), label_names: Vec::new(), exact }
}

fn tag_of(ty: u32, origin: Origin) -> Tag {
    Tag { ty: TypeId::from_u32(ty), origin, name: None, param_names: Vec::new() }
}

fn element_segment(element: wasmparser::Element<'_>) -> Result<ElementSegment> {
    let kind = match element.kind {
        wasmparser::ElementKind::Passive => ElementKind::Passive,
        wasmparser::ElementKind::Declared => ElementKind::Declared,
        wasmparser::ElementKind::Active { table_index, offset_expr } => ElementKind::Active {
            table: TableId::from_u32(table_index.unwrap_or(0)),
            offset: constant_expression(&offset_expr)?,
        },
    };
    let items = match element.items {
        wasmparser::ElementItems::Functions(functions) => ElementItems::Functions(
            functions.into_iter().map(|index| Ok(FunctionId::from_u32(index?))).collect::<Result<_>>()?,
        ),
        wasmparser::ElementItems::Expressions(ty, expressions) => {
            let expressions = expressions.into_iter().map(|expression| constant_expression(&expression?));
            ElementItems::Expressions(ty, expressions.collect::<Result<_>>()?)
        }
    };
    Ok(ElementSegment { kind, items, name: None, removed: false })
}

fn constant_expression(expression: &wasmparser::ConstExpr<'_>) -> Result<ConstExpr> {
    let mut reader = expression.get_operators_reader();
    let mut operators = Vec::with_capacity(1);
    while !reader.is_end_then_eof() {
        let offset = reader.original_position();
        let operator = operator::into_owned(reader.read()?);
        operators.push(operator.ok_or_else(|| Error::input("constant expression required").at(offset))?);
    }
    operators.shrink_to_fit();
    Ok(ConstExpr { operators })
}
