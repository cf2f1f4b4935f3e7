//! Putting the arenas of all inputs behind one another.

use super::{Input, MergeError, custom_sections};
use crate::debug_sections::is_debug_section;
use indexmap::IndexMap;
use std::ops::Range;
use wasmfx_ir::Module;
use wasmfx_ir::module::{FunctionId, GlobalId, Import, Item, MemoryId, RecursionGroup, TableId, TagId};
use wasmfx_ir::references::IndexSpace;
use wasmfx_ir::wasmparser::WasmFeatures;

/// wasmparser's limit on types of a module, which is also about what a reference type has bits for.
const MAX_TYPES: usize = 1_000_000;

/// All inputs in one module. Imports are imports still.
pub(super) struct Combined {
    /// The items of all inputs. It has no exports and no start function yet.
    pub(super) module: Module,
    /// What the inputs offer, in order.
    pub(super) parts: Vec<Part>,
    pub(super) warnings: Vec<String>,
}

/// What one of the inputs offers and wants.
pub(super) struct Part {
    pub(super) name: String,
    pub(super) imports: Vec<Import>,
    pub(super) exports: IndexMap<String, Item>,
    pub(super) start: Option<FunctionId>,
    /// Where its memories are among those of all inputs.
    pub(super) memories: Range<usize>,
    /// Where its tables are among those of all inputs.
    pub(super) tables: Range<usize>,
}

/// Combines the inputs.
pub(super) fn combine(inputs: Vec<Input>) -> Result<Combined, MergeError> {
    let mut combined = Combined { module: Module::default(), parts: Vec::new(), warnings: Vec::new() };
    combined.module.features = WasmFeatures::empty();
    for input in inputs {
        if combined.parts.iter().any(|part| part.name == input.name) {
            return Err(MergeError::new(format!(
                "two modules are called '{0}': give one of them another name, by writing the name after the file",
                input.name
            )));
        }
        combined.append(input)?;
    }
    Ok(combined)
}

impl Combined {
    /// Adds the items of an input behind all others.
    pub(super) fn append(&mut self, input: Input) -> Result<(), MergeError> {
        let Input { name, module: mut part } = input;
        let merged = &mut self.module;
        let first_types = merged.types.definitions.len();
        let (first_memory, first_table) = (merged.memories.len(), merged.tables.len());
        if first_types + part.types.definitions.len() > MAX_TYPES {
            return Err(MergeError::new(format!("with '{name}' there are more than {MAX_TYPES} types")));
        }
        let offset = |space: IndexSpace| {
            let len = match space {
                IndexSpace::Type => first_types,
                IndexSpace::Function => merged.functions.len(),
                IndexSpace::Table => merged.tables.len(),
                IndexSpace::Memory => merged.memories.len(),
                IndexSpace::Global => merged.globals.len(),
                IndexSpace::Tag => merged.tags.len(),
                IndexSpace::Element => merged.elements.len(),
                IndexSpace::Data => merged.data.len(),
            };
            len as u32
        };
        // The first input's numbers stay what they are.
        if !self.parts.is_empty() {
            part.map_references(&mut |space, number| number + offset(space));
            for import in &mut part.imports {
                let (space, number) = import.item.reference();
                import.item = item(import.item, number + offset(space));
            }
        }
        let shift = first_types as u32;
        merged.types.groups.extend(part.types.groups.into_iter().map(|group| RecursionGroup {
            range: group.range.start + shift..group.range.end + shift,
            explicit: group.explicit,
        }));
        merged.types.definitions.append(part.types.definitions);
        merged.functions.append(part.functions);
        merged.tables.append(part.tables);
        merged.memories.append(part.memories);
        merged.globals.append(part.globals);
        merged.tags.append(part.tags);
        merged.elements.append(part.elements);
        merged.data.append(part.data);
        merged.imports.extend(part.imports.iter().cloned());
        merged.has_data_count |= part.has_data_count;
        merged.has_compact_imports |= part.has_compact_imports;
        merged.features |= part.features;
        if self.parts.is_empty() {
            merged.name = part.name;
            merged.name_section_position = part.name_section_position;
        }
        let (debug, sections) =
            part.custom_sections.into_iter().partition::<Vec<_>, _>(|section| is_debug_section(&section.name));
        if !debug.is_empty() {
            self.warnings
                .push(format!("the debug information of '{name}' is left out, as the code that it speaks of moves"));
        }
        custom_sections::append(&mut merged.custom_sections, sections);
        if !part.unknown_names.is_empty() {
            self.warnings.push(format!(
                "the name section of '{name}' has parts that this version does not know, and that are left out"
            ));
        }
        self.parts.push(Part {
            name,
            imports: part.imports,
            exports: part.exports.into_iter().map(|export| (export.name, export.item)).collect(),
            start: part.start,
            memories: first_memory..merged.memories.len(),
            tables: first_table..merged.tables.len(),
        });
        Ok(())
    }
}

/// The item of the same kind with this number.
pub(super) fn item(kind: Item, number: u32) -> Item {
    match kind {
        Item::Function(_) => Item::Function(FunctionId::from_u32(number)),
        Item::Table(_) => Item::Table(TableId::from_u32(number)),
        Item::Memory(_) => Item::Memory(MemoryId::from_u32(number)),
        Item::Global(_) => Item::Global(GlobalId::from_u32(number)),
        Item::Tag(_) => Item::Tag(TagId::from_u32(number)),
    }
}
