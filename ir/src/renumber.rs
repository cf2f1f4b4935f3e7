//! Renumbering a whole module: every reference from anywhere to anything, in one go.

use crate::entity::{Entity, PrimaryMap};
use crate::module::{
    Body, DataId, ElementId, ElementItems, ElementKind, FunctionId, GlobalId, Item, LazyBody, MemoryId, Module,
    Renumbering, TableId, TagId, TypeId,
};
use crate::references::{IndexSpace, map_const_expr, map_ref_type, map_sub_type, map_val_type};
use std::sync::Arc;

impl Renumbering {
    /// The numbers that the ids of this module have by themselves.
    fn identity(module: &Module) -> Self {
        fn keys<K: Entity, V>(arena: &PrimaryMap<K, V>) -> Vec<K> {
            arena.keys().collect()
        }
        Self {
            types: keys(&module.types.definitions),
            functions: keys(&module.functions),
            tables: keys(&module.tables),
            memories: keys(&module.memories),
            globals: keys(&module.globals),
            tags: keys(&module.tags),
            elements: keys(&module.elements),
            data: keys(&module.data),
        }
    }

    fn map_all(&mut self, map: &mut impl FnMut(IndexSpace, u32) -> u32) {
        let Self { types, functions, tables, memories, globals, tags, elements, data } = self;
        types.iter_mut().for_each(|id| *id = TypeId::from_u32(map(IndexSpace::Type, id.as_u32())));
        functions.iter_mut().for_each(|id| *id = FunctionId::from_u32(map(IndexSpace::Function, id.as_u32())));
        tables.iter_mut().for_each(|id| *id = TableId::from_u32(map(IndexSpace::Table, id.as_u32())));
        memories.iter_mut().for_each(|id| *id = MemoryId::from_u32(map(IndexSpace::Memory, id.as_u32())));
        globals.iter_mut().for_each(|id| *id = GlobalId::from_u32(map(IndexSpace::Global, id.as_u32())));
        tags.iter_mut().for_each(|id| *id = TagId::from_u32(map(IndexSpace::Tag, id.as_u32())));
        elements.iter_mut().for_each(|id| *id = ElementId::from_u32(map(IndexSpace::Element, id.as_u32())));
        data.iter_mut().for_each(|id| *id = DataId::from_u32(map(IndexSpace::Data, id.as_u32())));
    }
}

impl Item {
    /// The item's index space and number.
    pub fn reference(self) -> (IndexSpace, u32) {
        match self {
            Self::Function(id) => (IndexSpace::Function, id.as_u32()),
            Self::Table(id) => (IndexSpace::Table, id.as_u32()),
            Self::Memory(id) => (IndexSpace::Memory, id.as_u32()),
            Self::Global(id) => (IndexSpace::Global, id.as_u32()),
            Self::Tag(id) => (IndexSpace::Tag, id.as_u32()),
        }
    }

    fn map(&mut self, map: &mut impl FnMut(IndexSpace, u32) -> u32) {
        match self {
            Self::Function(id) => *id = FunctionId::from_u32(map(IndexSpace::Function, id.as_u32())),
            Self::Table(id) => *id = TableId::from_u32(map(IndexSpace::Table, id.as_u32())),
            Self::Memory(id) => *id = MemoryId::from_u32(map(IndexSpace::Memory, id.as_u32())),
            Self::Global(id) => *id = GlobalId::from_u32(map(IndexSpace::Global, id.as_u32())),
            Self::Tag(id) => *id = TagId::from_u32(map(IndexSpace::Tag, id.as_u32())),
        }
    }
}

impl Module {
    /// Rewrites every reference between the parts of the module. `map` gets the index space and the number that a reference has, and returns
    /// the number that it gets. The arenas themselves stay as they are; so do imports, which define the ids of what they import.
    pub fn map_references(&mut self, map: &mut impl FnMut(IndexSpace, u32) -> u32) {
        let mut lazy = LazyRenumberings { identity: Renumbering::identity(self), mapped: Vec::new() };
        for definition in self.types.definitions.values_mut() {
            map_sub_type(&mut definition.sub_type, map);
        }
        for function in self.functions.values_mut() {
            function.ty = TypeId::from_u32(map(IndexSpace::Type, function.ty.as_u32()));
            match &mut function.body {
                Body::Import | Body::Detached | Body::Removed => {}
                Body::Lazy(body) => lazy.map(body, map),
                Body::Lifted(func) => {
                    func.map_references(map);
                    func.original.iter_mut().for_each(|original| lazy.map(&mut original.body, map));
                }
            }
        }
        for table in self.tables.values_mut() {
            map_ref_type(&mut table.ty.element_type, map);
            table.init.iter_mut().for_each(|init| map_const_expr(init, map));
        }
        for global in self.globals.values_mut() {
            map_val_type(&mut global.ty.content_type, map);
            global.init.iter_mut().for_each(|init| map_const_expr(init, map));
        }
        for tag in self.tags.values_mut() {
            tag.ty = TypeId::from_u32(map(IndexSpace::Type, tag.ty.as_u32()));
        }
        for element in self.elements.values_mut() {
            if let ElementKind::Active { table, offset } = &mut element.kind {
                *table = TableId::from_u32(map(IndexSpace::Table, table.as_u32()));
                map_const_expr(offset, map);
            }
            match &mut element.items {
                ElementItems::Functions(functions) => {
                    functions
                        .iter_mut()
                        .for_each(|id| *id = FunctionId::from_u32(map(IndexSpace::Function, id.as_u32())));
                }
                ElementItems::Expressions(ty, expressions) => {
                    map_ref_type(ty, map);
                    expressions.iter_mut().for_each(|expression| map_const_expr(expression, map));
                }
            }
        }
        for segment in self.data.values_mut() {
            if let Some((memory, offset)) = &mut segment.active {
                *memory = MemoryId::from_u32(map(IndexSpace::Memory, memory.as_u32()));
                map_const_expr(offset, map);
            }
        }
        self.exports.iter_mut().for_each(|export| export.item.map(map));
        if let Some(start) = &mut self.start {
            *start = FunctionId::from_u32(map(IndexSpace::Function, start.as_u32()));
        }
    }
}

/// The renumberings of lazy bodies, mapped. Bodies of one source share one, so each distinct one is mapped once.
struct LazyRenumberings {
    identity: Renumbering,
    mapped: Vec<(Option<Arc<Renumbering>>, Arc<Renumbering>)>,
}

impl LazyRenumberings {
    fn map(&mut self, body: &mut LazyBody, map: &mut impl FnMut(IndexSpace, u32) -> u32) {
        let same = |old: &Option<Arc<Renumbering>>| match (old, &body.renumbering) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if let Some((_, new)) = self.mapped.iter().find(|(old, _)| same(old)) {
            body.renumbering = Some(Arc::clone(new));
            return;
        }
        let mut renumbering = body.renumbering.as_deref().unwrap_or(&self.identity).clone();
        renumbering.map_all(map);
        let new = Arc::new(renumbering);
        self.mapped.push((body.renumbering.replace(Arc::clone(&new)), new));
    }
}
