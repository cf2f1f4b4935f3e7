//! From ids to the indices of the binary format.

use crate::entity::{Entity, PrimaryMap};
use crate::error::{Error, Result};
use crate::module::{DataId, ElementId, FunctionId, GlobalId, Item, MemoryId, Module, Origin, TableId, TagId, TypeId};

/// In which order definitions are written. Imports come before all definitions, in the order of [`Module::imports`].
///
/// What is defined and not listed follows in the order of its arena, so that the default is that order altogether.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// The recursion groups (positions in `Types::groups`) to write. Unlike the other lists this one says *which*: a group that is not
    /// listed is left out. A group may refer to itself and to groups before it.
    pub type_groups: Option<Vec<usize>>,
    /// Functions.
    pub functions: Vec<FunctionId>,
    /// Tables.
    pub tables: Vec<TableId>,
    /// Memories.
    pub memories: Vec<MemoryId>,
    /// Globals. The value of a global refers to globals before it only.
    pub globals: Vec<GlobalId>,
    /// Tags.
    pub tags: Vec<TagId>,
}

/// The indices of all items of a module.
#[derive(Clone, Debug)]
pub struct Indices {
    /// Types.
    pub types: IndexAssignment<TypeId>,
    /// Functions.
    pub functions: IndexAssignment<FunctionId>,
    /// Tables.
    pub tables: IndexAssignment<TableId>,
    /// Memories.
    pub memories: IndexAssignment<MemoryId>,
    /// Globals.
    pub globals: IndexAssignment<GlobalId>,
    /// Tags.
    pub tags: IndexAssignment<TagId>,
    /// Element segments.
    pub elements: IndexAssignment<ElementId>,
    /// Data segments.
    pub data: IndexAssignment<DataId>,
}

/// The indices of the items of one kind.
#[derive(Clone, Debug)]
pub struct IndexAssignment<K> {
    /// By id; [`NONE`] for an item that is not written.
    indices: Vec<u32>,
    order: Vec<K>,
    imports: usize,
}

/// wasmparser's limits keep all index spaces far below this.
const NONE: u32 = u32::MAX;

impl<K: Entity> IndexAssignment<K> {
    fn new(len: usize) -> Self {
        Self { indices: vec![NONE; len], order: Vec::with_capacity(len), imports: 0 }
    }

    fn push(&mut self, id: K) {
        self.indices[id.index()] = self.order.len() as u32;
        self.order.push(id);
    }

    /// The items that are written, in the order of their indices.
    pub fn order(&self) -> &[K] {
        &self.order
    }

    /// The imports among the items, in the order of their indices.
    pub fn imports(&self) -> &[K] {
        &self.order[..self.imports]
    }

    /// The definitions among the items, in the order of their indices.
    pub fn definitions(&self) -> &[K] {
        &self.order[self.imports..]
    }

    /// The index of an item, or `None` if it is not written.
    #[inline]
    pub fn get(&self, id: K) -> Option<u32> {
        self.indices.get(id.index()).copied().filter(|&index| index != NONE)
    }

    /// Whether each item's index is the number of its id.
    pub fn is_identity(&self) -> bool {
        self.indices.iter().enumerate().all(|(id, &index)| id as u32 == index)
    }

    fn assign_segments(len: usize, removed: impl Fn(K) -> bool) -> Self {
        let mut space = Self::new(len);
        (0..len).map(K::from_index).filter(|&id| !removed(id)).for_each(|id| space.push(id));
        space
    }
}

/// Assigns indices to one kind of importable items.
fn assign<K: Entity, V>(
    kind: &str,
    items: &PrimaryMap<K, V>,
    origin: impl Fn(&V) -> Origin,
    imports: impl Iterator<Item = K>,
    explicit: &[K],
) -> Result<IndexAssignment<K>> {
    let mut space = IndexAssignment::new(items.len());
    for id in imports {
        if items.get(id).map(&origin) != Some(Origin::Import) || space.get(id).is_some() {
            return Err(Error::internal(format!("an import entry names {id:?}, which is not an imported {kind}")));
        }
        space.push(id);
    }
    space.imports = space.order.len();
    if let Some((id, _)) =
        items.iter().find(|&(id, item)| origin(item) == Origin::Import && space.indices[id.index()] == NONE)
    {
        return Err(Error::internal(format!("{id:?} is an imported {kind}, and no import entry names it")));
    }
    for id in explicit.iter().copied().chain(items.keys()) {
        if items.get(id).map(&origin) == Some(Origin::Definition) && space.indices[id.index()] == NONE {
            space.push(id);
        }
    }
    Ok(space)
}

impl Indices {
    /// Gives every item of a module that is not removed its index.
    ///
    /// # Errors
    /// An internal error if the import entries do not name exactly the imported items, each once.
    pub fn assign(module: &Module, order: &Order) -> Result<Self> {
        let mut types = IndexAssignment::new(module.types.definitions.len());
        let all_groups = || (0..module.types.groups.len()).collect();
        for group in order.type_groups.clone().unwrap_or_else(all_groups) {
            for ty in module.types.groups[group].range.clone() {
                types.push(TypeId::from_u32(ty));
            }
        }
        let imports = || module.imports.iter().map(|import| import.item);
        Ok(Self {
            types,
            functions: assign(
                "function",
                &module.functions,
                |item| item.origin(),
                imports().filter_map(|item| if let Item::Function(id) = item { Some(id) } else { None }),
                &order.functions,
            )?,
            tables: assign(
                "table",
                &module.tables,
                |item| item.origin,
                imports().filter_map(|item| if let Item::Table(id) = item { Some(id) } else { None }),
                &order.tables,
            )?,
            memories: assign(
                "memory",
                &module.memories,
                |item| item.origin,
                imports().filter_map(|item| if let Item::Memory(id) = item { Some(id) } else { None }),
                &order.memories,
            )?,
            globals: assign(
                "global",
                &module.globals,
                |item| item.origin,
                imports().filter_map(|item| if let Item::Global(id) = item { Some(id) } else { None }),
                &order.globals,
            )?,
            tags: assign(
                "tag",
                &module.tags,
                |item| item.origin,
                imports().filter_map(|item| if let Item::Tag(id) = item { Some(id) } else { None }),
                &order.tags,
            )?,
            elements: IndexAssignment::assign_segments(module.elements.len(), |id| module.elements[id].removed),
            data: IndexAssignment::assign_segments(module.data.len(), |id| module.data[id].removed),
        })
    }

    /// Whether the index of every item is the number of its id, so that bytes that mean ids mean indices too.
    pub fn is_identity(&self) -> bool {
        let Self { types, functions, tables, memories, globals, tags, elements, data } = self;
        types.is_identity()
            && functions.is_identity()
            && tables.is_identity()
            && memories.is_identity()
            && globals.is_identity()
            && tags.is_identity()
            && elements.is_identity()
            && data.is_identity()
    }
}
