//! A module: typed arenas of everything that a wasm module is made of.
//!
//! Ids are positions in the arenas and stay what they are while passes run: operators, constant expressions and types refer to items by
//! the number of their id (`function_index: 3` means `FunctionId(3)`). Indices of the binary format are assigned at emission, where dead items get none.

mod source;

pub use source::{LazyBody, OpaqueReason, Renumbering, Source};

use crate::code_annotations::FunctionAnnotations;
use crate::entity::{Entity, PrimaryMap};
use crate::func::Func;
use std::ops::Range;
use std::sync::Arc;
use wasmparser::{GlobalType, MemoryType, Operator, RefType, SubType, TableType, WasmFeatures};

crate::entity_id! {
    /// A type definition of a [`Module`].
    pub struct TypeId("type");
    /// A function of a [`Module`], imported ones included.
    pub struct FunctionId("func");
    /// A table of a [`Module`].
    pub struct TableId("table");
    /// A memory of a [`Module`].
    pub struct MemoryId("memory");
    /// A global of a [`Module`].
    pub struct GlobalId("global");
    /// A tag of a [`Module`].
    pub struct TagId("tag");
    /// An element segment of a [`Module`].
    pub struct ElementId("elem");
    /// A data segment of a [`Module`].
    pub struct DataId("data");
}

/// A wasm module.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// Type definitions in the order of the type section, and how they are grouped.
    pub types: Types,
    /// Imports in the order of the import section. Imported items lie in the arenas below like all others, with the origin [`Origin::Import`].
    pub imports: Vec<Import>,
    /// Functions.
    pub functions: PrimaryMap<FunctionId, Function>,
    /// Tables.
    pub tables: PrimaryMap<TableId, Table>,
    /// Memories.
    pub memories: PrimaryMap<MemoryId, Memory>,
    /// Globals.
    pub globals: PrimaryMap<GlobalId, Global>,
    /// Tags.
    pub tags: PrimaryMap<TagId, Tag>,
    /// Element segments. They keep their order.
    pub elements: PrimaryMap<ElementId, ElementSegment>,
    /// Data segments. They keep their order.
    pub data: PrimaryMap<DataId, DataSegment>,
    /// Exports in order.
    pub exports: Vec<Export>,
    /// The start function.
    pub start: Option<FunctionId>,
    /// The module's name, from the name section.
    pub name: Option<String>,
    /// Subsections of the name section that this toolchain does not know: number and contents.
    pub unknown_names: Vec<(u8, Bytes)>,
    /// Custom sections other than `name` and branch hints, in order, with their place.
    pub custom_sections: Vec<CustomSection>,
    /// Before which of the `custom_sections` the name section stood. A hint: where it is absent, the name section comes last.
    pub name_section_position: Option<usize>,
    /// Whether the input had a data count section (it must be there when a body uses `memory.init` or `data.drop`).
    pub has_data_count: bool,
    /// Whether the input's import section was written in the compact form (several items of one module under one name).
    pub has_compact_imports: bool,
    /// The features that the input was accepted with; what is written is validated with them too.
    pub features: WasmFeatures,
}

/// The type section: type definitions in recursion groups. References inside types are [`TypeId`]s (`UnpackedIndex::Module`).
#[derive(Clone, Debug, Default)]
pub struct Types {
    /// All definitions; those of one recursion group are adjacent.
    pub definitions: PrimaryMap<TypeId, TypeDefinition>,
    /// The groups, in order, covering all definitions.
    pub groups: Vec<RecursionGroup>,
}

/// One recursion group of the type section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecursionGroup {
    /// The numbers of the group's [`TypeId`]s.
    pub range: Range<u32>,
    /// Whether the group was written with `rec` (a group of one may or may not be).
    pub explicit: bool,
}

/// A type definition.
#[derive(Clone, Debug)]
pub struct TypeDefinition {
    /// The definition; indices in it are numbers of [`TypeId`]s.
    pub sub_type: SubType,
    /// Its name, from the name section.
    pub name: Option<String>,
    /// Names of a struct's fields, or of a function type's parameters: (position, name), positions ascending.
    pub field_names: Vec<(u32, String)>,
}

/// An import. What it imports lies in the arena of its kind.
#[derive(Clone, Debug)]
pub struct Import {
    /// The module it is imported from.
    pub module: String,
    /// The name it has there.
    pub name: String,
    /// What is imported.
    pub item: Item,
}

/// An export.
#[derive(Clone, Debug)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// What is exported.
    pub item: Item,
}

/// An importable and exportable thing.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    /// A function.
    Function(FunctionId),
    /// A table.
    Table(TableId),
    /// A memory.
    Memory(MemoryId),
    /// A global.
    Global(GlobalId),
    /// A tag.
    Tag(TagId),
}

/// Whether an item is imported, defined here, or gone.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Imported, by the entry of [`Module::imports`] that names it.
    Import,
    /// Defined in this module.
    Definition,
    /// Removed by a pass: nothing may refer to it, and it gets no index.
    Removed,
}

/// A function.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its type.
    pub ty: TypeId,
    /// Its body, or where it comes from.
    pub body: Body,
    /// Its name, from the name section.
    pub name: Option<String>,
    /// Names of locals (index, name), from the name section, for a lazy body. A lifted body carries them itself.
    pub local_names: Vec<(u32, String)>,
    /// Names of labels (index, name), from the name section, for a lazy body. Lifting drops them.
    pub label_names: Vec<(u32, String)>,
    /// Whether the function is imported with an exact type (custom descriptors).
    pub exact: bool,
}

impl Function {
    /// Whether the function is imported, defined, or gone.
    pub fn origin(&self) -> Origin {
        match self.body {
            Body::Import => Origin::Import,
            Body::Removed => Origin::Removed,
            Body::Lazy(_) | Body::Lifted(_) | Body::Detached => Origin::Definition,
        }
    }

    /// The body, where it is in SSA form.
    pub fn lifted(&self) -> Option<&Func> {
        match &self.body {
            Body::Lifted(func) => Some(func),
            Body::Import | Body::Lazy(_) | Body::Detached | Body::Removed => None,
        }
    }
}

/// The body of a function.
#[derive(Clone, Debug)]
pub enum Body {
    /// The function is imported.
    Import,
    /// Bytes of the input, not looked into: copied, or re-encoded where indices moved.
    Lazy(LazyBody),
    /// In SSA form.
    Lifted(Box<Func>),
    /// Function passes have taken the body out to work on it, and put it back when they are done.
    Detached,
    /// The function was removed.
    Removed,
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its type.
    pub ty: TableType,
    /// Imported, defined or gone.
    pub origin: Origin,
    /// The value of its elements, where one is given.
    pub init: Option<ConstExpr>,
    /// Its name, from the name section.
    pub name: Option<String>,
}

/// A memory.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Its type.
    pub ty: MemoryType,
    /// Imported, defined or gone.
    pub origin: Origin,
    /// Its name, from the name section.
    pub name: Option<String>,
}

/// A global.
#[derive(Clone, Debug)]
pub struct Global {
    /// Its type.
    pub ty: GlobalType,
    /// Imported, defined or gone.
    pub origin: Origin,
    /// Its value: `Some` exactly where it is defined here.
    pub init: Option<ConstExpr>,
    /// Its name, from the name section.
    pub name: Option<String>,
}

/// A tag.
#[derive(Clone, Debug)]
pub struct Tag {
    /// Its function type; results are what a suspension receives.
    pub ty: TypeId,
    /// Imported, defined or gone.
    pub origin: Origin,
    /// Its name, from the name section.
    pub name: Option<String>,
    /// Names of its parameters: (position, name), positions ascending.
    pub param_names: Vec<(u32, String)>,
}

/// A constant expression: its operators, without the final `end`. Indices in it are numbers of ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConstExpr {
    /// The operators.
    pub operators: Vec<Operator<'static>>,
}

impl ConstExpr {
    /// The offset that this expression is, where it is a constant and not an import's value or a sum.
    pub fn constant_offset(&self) -> Option<u64> {
        match self.operators[..] {
            [Operator::I32Const { value }] => Some(u64::from(value.cast_unsigned())),
            [Operator::I64Const { value }] => Some(value.cast_unsigned()),
            _ => None,
        }
    }
}

/// An element segment.
#[derive(Clone, Debug)]
pub struct ElementSegment {
    /// When it is copied where.
    pub kind: ElementKind,
    /// What it holds.
    pub items: ElementItems,
    /// Its name, from the name section.
    pub name: Option<String>,
    /// Whether a pass removed it.
    pub removed: bool,
}

/// When an element segment is copied where.
#[derive(Clone, Debug)]
pub enum ElementKind {
    /// By `table.init`.
    Passive,
    /// At instantiation.
    Active {
        /// Into this table.
        table: TableId,
        /// From this index on.
        offset: ConstExpr,
    },
    /// Never: it declares references.
    Declared,
}

/// The contents of an element segment.
#[derive(Clone, Debug)]
pub enum ElementItems {
    /// Functions.
    Functions(Vec<FunctionId>),
    /// Expressions of a reference type.
    Expressions(RefType, Vec<ConstExpr>),
}

/// A data segment.
#[derive(Clone, Debug)]
pub struct DataSegment {
    /// Where it is copied at instantiation; `None` for a passive segment.
    pub active: Option<(MemoryId, ConstExpr)>,
    /// Its bytes.
    pub bytes: Bytes,
    /// Its name, from the name section.
    pub name: Option<String>,
    /// Whether a pass removed it.
    pub removed: bool,
}

/// A slice of shared bytes.
#[derive(Clone, Debug)]
pub struct Bytes {
    source: Arc<[u8]>,
    range: Range<usize>,
}

impl Bytes {
    /// This part of `source`.
    ///
    /// # Panics
    /// If the range is not within `source`.
    pub fn new(source: Arc<[u8]>, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= source.len());
        Self { source, range }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { source: bytes.into(), range }
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.source[self.range.clone()]
    }
}

/// A custom section that is kept.
#[derive(Clone, Debug)]
pub struct CustomSection {
    /// Its name.
    pub name: String,
    /// Its contents.
    pub contents: CustomContents,
    /// After which standard section it stands.
    pub place: SectionPlace,
}

/// The contents of a custom section.
#[derive(Clone, Debug)]
pub enum CustomContents {
    /// Kept as they are.
    Bytes(Bytes),
    /// What is said of functions by their number.
    Annotations(Vec<FunctionAnnotations>),
}

impl From<Vec<u8>> for CustomContents {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

/// The place of a custom section: after the standard section of this kind (and after all that precede that one), whether that section is there or not.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the standard sections, in the order of the binary format")]
pub enum SectionPlace {
    Start,
    Type,
    Import,
    Function,
    Table,
    Memory,
    Tag,
    Global,
    Export,
    StartFunction,
    Element,
    DataCount,
    Code,
    Data,
}

impl Module {
    /// Removes everything that would go into the name section.
    pub fn remove_names(&mut self) {
        self.name = None;
        for definition in self.types.definitions.values_mut() {
            definition.name = None;
            definition.field_names.clear();
        }
        for function in self.functions.values_mut() {
            function.name = None;
            function.local_names.clear();
            function.label_names.clear();
            if let Body::Lifted(func) = &mut function.body {
                func.local_names.clear();
            }
        }
        self.tables.values_mut().for_each(|item| item.name = None);
        self.memories.values_mut().for_each(|item| item.name = None);
        self.globals.values_mut().for_each(|item| item.name = None);
        self.tags.values_mut().for_each(|item| item.name = None);
        self.elements.values_mut().for_each(|item| item.name = None);
        self.data.values_mut().for_each(|item| item.name = None);
    }
}

impl Types {
    /// The number of the recursion group that a type is in.
    pub fn group_of(&self, ty: TypeId) -> usize {
        self.groups.partition_point(|group| group.range.end as usize <= ty.index())
    }
}
