//! What a module was parsed from, and the bodies that are bytes of it until somebody lifts them.

use super::{DataId, ElementId, FunctionId, GlobalId, MemoryId, TableId, TagId, TypeId};
use crate::entity::Entity;
use crate::references::IndexSpace;
use rustc_hash::FxHashMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use wasmparser::types::CoreTypeId;
use wasmparser::{
    BinaryReader, FunctionBody, HeapType, RefType, UnpackedIndex, ValType, ValidatorResources, WasmFeatures,
    WasmModuleResources,
};

/// A binary module that was parsed, and what validating its bodies needs to know of it.
pub struct Source {
    /// The whole binary.
    pub bytes: Arc<[u8]>,
    /// The index spaces and types of the binary, for validating (and lifting) its bodies.
    pub resources: ValidatorResources,
    /// The features that the binary was validated with.
    pub features: WasmFeatures,
    /// From the validator's canonical type ids to the first type of the binary that is this type. Made when it is first asked for.
    type_numbers: OnceLock<FxHashMap<CoreTypeId, u32>>,
}

impl Source {
    /// A binary module with what its validation found out.
    pub fn new(bytes: Arc<[u8]>, resources: ValidatorResources, features: WasmFeatures) -> Self {
        Self { bytes, resources, features, type_numbers: OnceLock::new() }
    }

    /// The type as the binary's type numbers say it. The validator speaks of types by canonical ids, in which equal types are one.
    pub fn numbered_type(&self, ty: ValType) -> ValType {
        match ty {
            ValType::Ref(reference) => ValType::Ref(self.numbered_ref_type(reference)),
            ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 | ValType::V128 => ty,
        }
    }

    /// Like [`Self::numbered_type`], for a reference type.
    pub fn numbered_ref_type(&self, reference: RefType) -> RefType {
        let (id, exact) = match reference.heap_type() {
            HeapType::Concrete(UnpackedIndex::Id(id)) => (id, false),
            HeapType::Exact(UnpackedIndex::Id(id)) => (id, true),
            HeapType::Concrete(_) | HeapType::Exact(_) | HeapType::Abstract { .. } => return reference,
        };
        let number = UnpackedIndex::Module(self.type_number(id));
        let heap = if exact { HeapType::Exact(number) } else { HeapType::Concrete(number) };
        RefType::new(reference.is_nullable(), heap).expect("a module has fewer types than a reference type can name")
    }

    /// The first type number of the binary that is this canonical type.
    pub fn type_number(&self, id: CoreTypeId) -> u32 {
        let numbers = self.type_numbers.get_or_init(|| {
            let mut numbers = FxHashMap::default();
            for number in 0.. {
                let mut heap = HeapType::Concrete(UnpackedIndex::Module(number));
                let checked = self.resources.check_heap_type(&mut heap, 0);
                let (Ok(()), HeapType::Concrete(UnpackedIndex::Id(id))) = (checked, heap) else { break };
                numbers.entry(id).or_insert(number);
            }
            numbers
        });
        numbers[&id]
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("bytes", &self.bytes.len())
            .field("features", &self.features)
            .finish_non_exhaustive()
    }
}

/// A function body as bytes of its [`Source`] (locals and operators, without the size).
#[derive(Clone, Debug)]
pub struct LazyBody {
    /// The module that the body was parsed from (a merged module has several).
    pub source: Arc<Source>,
    /// Where in the source's bytes the body is.
    pub range: Range<usize>,
    /// The index that the function has in the source.
    pub index: u32,
    /// Branch hints: offset of the branch from the start of the body, and whether it is likely taken.
    pub branch_hints: Vec<(u32, bool)>,
    /// How numbers in the bytes become ids of this module, where the two differ (bodies that came by merging, or whose module was renumbered).
    pub renumbering: Option<Arc<Renumbering>>,
    /// Why the body cannot be lifted (legacy exception handling, say): it stays bytes for good.
    pub opaque: Option<OpaqueReason>,
}

impl LazyBody {
    /// The bytes of the body: locals and operators.
    pub fn bytes(&self) -> &[u8] {
        &self.source.bytes[self.range.clone()]
    }

    /// The bytes of the body between two offsets in its source.
    pub(crate) fn bytes_between(&self, start: u64, end: u64) -> &[u8] {
        &self.source.bytes[start as usize..end as usize]
    }

    /// A reader of the body.
    pub fn reader(&self) -> FunctionBody<'_> {
        FunctionBody::new(BinaryReader::new_features(self.bytes(), self.range.start as u64, self.source.features))
    }

    /// The id, as a number, that a number in the bytes stands for; `None` for some numbers that an invalid body may have.
    pub fn id(&self, space: IndexSpace, number: u32) -> Option<u32> {
        match &self.renumbering {
            None => Some(number),
            Some(renumbering) => renumbering.get(space, number),
        }
    }
}

/// From the numbers in a lazy body's bytes to the ids of the module that it is in now; one vector a kind, indexed by the old number.
#[derive(Clone, Debug, Default)]
pub struct Renumbering {
    /// Types.
    pub types: Vec<TypeId>,
    /// Functions.
    pub functions: Vec<FunctionId>,
    /// Tables.
    pub tables: Vec<TableId>,
    /// Memories.
    pub memories: Vec<MemoryId>,
    /// Globals.
    pub globals: Vec<GlobalId>,
    /// Tags.
    pub tags: Vec<TagId>,
    /// Element segments.
    pub elements: Vec<ElementId>,
    /// Data segments.
    pub data: Vec<DataId>,
}

impl Renumbering {
    /// The id, as a number, that an old number has become.
    ///
    /// # Panics
    /// If there was no such number.
    pub fn map(&self, space: IndexSpace, number: u32) -> u32 {
        self.get(space, number).unwrap_or_else(|| panic!("number {number} of {space:?} was never renumbered"))
    }

    /// The same, if there was such a number.
    pub fn get(&self, space: IndexSpace, number: u32) -> Option<u32> {
        fn id<E: Entity>(ids: &[E], number: u32) -> Option<u32> {
            ids.get(number as usize).map(|id| id.index() as u32)
        }
        match space {
            IndexSpace::Type => id(&self.types, number),
            IndexSpace::Function => id(&self.functions, number),
            IndexSpace::Table => id(&self.tables, number),
            IndexSpace::Memory => id(&self.memories, number),
            IndexSpace::Global => id(&self.globals, number),
            IndexSpace::Tag => id(&self.tags, number),
            IndexSpace::Element => id(&self.elements, number),
            IndexSpace::Data => id(&self.data, number),
        }
    }
}

/// Why a body stays bytes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum OpaqueReason {
    /// It uses legacy exception handling (`try`, `catch`, `delegate`, `rethrow`).
    LegacyExceptions,
    /// It uses an operator that the IR does not model.
    UnsupportedOperator(&'static str),
    /// It is larger than the IR's id spaces.
    TooLarge,
}
