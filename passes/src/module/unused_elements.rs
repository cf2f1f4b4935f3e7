//! Unused module elements: functions, tables, memories, globals, tags and segments that nothing live refers to are removed.
//!
//! Live are exports, the start function, and what live things refer to. An active segment is live with the table or memory that it fills; where
//! only segments mention a table or memory that is defined here, both go, but only if the segments are certain to be in bounds: instantiation
//! must trap as before. A segment that fills an imported table or memory is seen by others and stays.
//! An imported item that nothing live refers to goes as well: what a module does not import cannot fail to link, which is the one
//! difference (Binaryen makes the same choice).

use crate::options::Options;
use crate::pass_table::Changed;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::module::{
    Body, DataId, ElementId, ElementItems, ElementKind, FunctionId, GlobalId, Item, MemoryId, Module, Origin, TableId,
    TagId,
};
use wasmfx_ir::references::{IndexSpace, visit_const_expr};

/// Runs the pass.
pub fn run(module: &mut Module, _options: &Options) -> Changed {
    // Bytes that are not looked into may refer to anything.
    if module.functions.values().any(|function| matches!(function.body, Body::Lazy(_))) {
        return Changed::No;
    }
    let live = Liveness::of(module);
    sweep(module, &live)
}

#[derive(Default)]
struct Liveness {
    functions: SecondaryMap<FunctionId, bool>,
    tables: SecondaryMap<TableId, bool>,
    memories: SecondaryMap<MemoryId, bool>,
    globals: SecondaryMap<GlobalId, bool>,
    tags: SecondaryMap<TagId, bool>,
    elements: SecondaryMap<ElementId, bool>,
    data: SecondaryMap<DataId, bool>,
    pending: Vec<(IndexSpace, u32)>,
}

impl Liveness {
    fn of(module: &Module) -> Self {
        let mut live = Self::default();
        for export in &module.exports {
            let (space, number) = export.item.reference();
            live.mark(space, number);
        }
        if let Some(start) = module.start {
            live.mark(IndexSpace::Function, start.as_u32());
        }
        for (id, element) in module.elements.iter().filter(|(_, element)| !element.removed) {
            if let ElementKind::Active { table, offset } = &element.kind {
                let definition = &module.tables[*table];
                let count = match &element.items {
                    ElementItems::Functions(functions) => functions.len(),
                    ElementItems::Expressions(_, expressions) => expressions.len(),
                };
                let in_bounds = offset.constant_offset().is_some_and(|offset| {
                    offset.checked_add(count as u64).is_some_and(|end| end <= definition.ty.initial)
                });
                if definition.origin == Origin::Import || !in_bounds {
                    live.mark(IndexSpace::Element, id.as_u32());
                }
            }
        }
        for (id, segment) in module.data.iter().filter(|(_, segment)| !segment.removed) {
            if let Some((memory, offset)) = &segment.active {
                let definition = &module.memories[*memory];
                let in_bounds = super::memory_packing::in_bounds(module, *memory, offset, segment.bytes.len());
                let seen_by_others = definition.origin == Origin::Import && !segment.bytes.is_empty();
                if seen_by_others || !in_bounds {
                    live.mark(IndexSpace::Data, id.as_u32());
                }
            }
        }
        live.propagate(module);
        live
    }

    fn mark(&mut self, space: IndexSpace, number: u32) {
        let known = match space {
            // Unused types are the business of the type section's own pass.
            IndexSpace::Type => return,
            IndexSpace::Function => std::mem::replace(&mut self.functions[FunctionId::from_u32(number)], true),
            IndexSpace::Table => std::mem::replace(&mut self.tables[TableId::from_u32(number)], true),
            IndexSpace::Memory => std::mem::replace(&mut self.memories[MemoryId::from_u32(number)], true),
            IndexSpace::Global => std::mem::replace(&mut self.globals[GlobalId::from_u32(number)], true),
            IndexSpace::Tag => std::mem::replace(&mut self.tags[TagId::from_u32(number)], true),
            IndexSpace::Element => std::mem::replace(&mut self.elements[ElementId::from_u32(number)], true),
            IndexSpace::Data => std::mem::replace(&mut self.data[DataId::from_u32(number)], true),
        };
        if !known {
            self.pending.push((space, number));
        }
    }

    fn propagate(&mut self, module: &Module) {
        // Which active segments a live table or memory brings along.
        let mut elements_of: SecondaryMap<TableId, Vec<ElementId>> = SecondaryMap::new();
        for (id, element) in module.elements.iter().filter(|(_, element)| !element.removed) {
            if let ElementKind::Active { table, .. } = element.kind {
                elements_of[table].push(id);
            }
        }
        let mut data_of: SecondaryMap<MemoryId, Vec<DataId>> = SecondaryMap::new();
        for (id, segment) in module.data.iter().filter(|(_, segment)| !segment.removed) {
            if let Some((memory, _)) = segment.active {
                data_of[memory].push(id);
            }
        }
        while let Some((space, number)) = self.pending.pop() {
            match space {
                IndexSpace::Type | IndexSpace::Tag => {}
                IndexSpace::Function => {
                    if let Body::Lifted(func) = &module.functions[FunctionId::from_u32(number)].body {
                        func.visit_references(|space, number, _| self.mark(space, number));
                    }
                }
                IndexSpace::Table => {
                    let table = TableId::from_u32(number);
                    for &element in &elements_of[table] {
                        self.mark(IndexSpace::Element, element.as_u32());
                    }
                    if let Some(init) = &module.tables[table].init {
                        visit_const_expr(init, &mut |space, number| self.mark(space, number));
                    }
                }
                IndexSpace::Memory => {
                    for &segment in &data_of[MemoryId::from_u32(number)] {
                        self.mark(IndexSpace::Data, segment.as_u32());
                    }
                }
                IndexSpace::Global => {
                    if let Some(init) = &module.globals[GlobalId::from_u32(number)].init {
                        visit_const_expr(init, &mut |space, number| self.mark(space, number));
                    }
                }
                IndexSpace::Element => {
                    let element = &module.elements[ElementId::from_u32(number)];
                    match &element.items {
                        ElementItems::Functions(functions) => {
                            functions.iter().for_each(|function| self.mark(IndexSpace::Function, function.as_u32()));
                        }
                        ElementItems::Expressions(_, expressions) => {
                            for expression in expressions {
                                visit_const_expr(expression, &mut |space, number| self.mark(space, number));
                            }
                        }
                    }
                    if let ElementKind::Active { table, offset } = &element.kind {
                        self.mark(IndexSpace::Table, table.as_u32());
                        visit_const_expr(offset, &mut |space, number| self.mark(space, number));
                    }
                }
                IndexSpace::Data => {
                    if let Some((memory, offset)) = &module.data[DataId::from_u32(number)].active {
                        self.mark(IndexSpace::Memory, memory.as_u32());
                        visit_const_expr(offset, &mut |space, number| self.mark(space, number));
                    }
                }
            }
        }
    }
}

fn sweep(module: &mut Module, live: &Liveness) -> Changed {
    let mut changed = false;
    let mut remove = |origin: &mut Origin, live: bool| {
        if !live && *origin != Origin::Removed {
            *origin = Origin::Removed;
            changed = true;
        }
    };
    module.tables.iter_mut().for_each(|(id, table)| remove(&mut table.origin, live.tables[id]));
    module.memories.iter_mut().for_each(|(id, memory)| remove(&mut memory.origin, live.memories[id]));
    module.globals.iter_mut().for_each(|(id, global)| remove(&mut global.origin, live.globals[id]));
    module.tags.iter_mut().for_each(|(id, tag)| remove(&mut tag.origin, live.tags[id]));
    for (id, function) in module.functions.iter_mut() {
        if !live.functions[id] && function.origin() != Origin::Removed {
            function.body = Body::Removed;
            changed = true;
        }
    }
    for (id, element) in module.elements.iter_mut() {
        let declared = matches!(element.kind, ElementKind::Declared);
        // A declared segment can be named too (`elem.drop` of it is valid): then it stays as it is.
        if declared && !element.removed && !live.elements[id] {
            let before = count(&element.items);
            retain_live(&mut element.items, live);
            let after = count(&element.items);
            changed |= after != before;
            element.removed = after == 0;
        } else if !declared && !live.elements[id] && !element.removed {
            element.removed = true;
            changed = true;
        }
    }
    for (id, segment) in module.data.iter_mut() {
        if !live.data[id] && !segment.removed {
            segment.removed = true;
            changed = true;
        }
    }
    module.imports.retain(|import| match import.item {
        Item::Function(id) => live.functions[id],
        Item::Table(id) => live.tables[id],
        Item::Memory(id) => live.memories[id],
        Item::Global(id) => live.globals[id],
        Item::Tag(id) => live.tags[id],
    });
    Changed::from_flag(changed)
}

fn count(items: &ElementItems) -> usize {
    match items {
        ElementItems::Functions(functions) => functions.len(),
        ElementItems::Expressions(_, expressions) => expressions.len(),
    }
}

/// A declared segment allows `ref.func`; it keeps what live code can still name.
fn retain_live(items: &mut ElementItems, live: &Liveness) {
    match items {
        ElementItems::Functions(functions) => functions.retain(|&function| live.functions[function]),
        ElementItems::Expressions(_, expressions) => expressions.retain(|expression| {
            let mut all_live = true;
            visit_const_expr(expression, &mut |space, number| match space {
                IndexSpace::Function => all_live &= live.functions[FunctionId::from_u32(number)],
                IndexSpace::Global => all_live &= live.globals[GlobalId::from_u32(number)],
                IndexSpace::Type
                | IndexSpace::Table
                | IndexSpace::Memory
                | IndexSpace::Tag
                | IndexSpace::Element
                | IndexSpace::Data => {}
            });
            all_live
        }),
    }
}
