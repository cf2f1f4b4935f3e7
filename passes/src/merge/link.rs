//! Which export satisfies which import.

use super::MergeError;
use super::combine::{Combined, Part};
use super::matching::Matching;
use indexmap::{IndexMap, IndexSet};
use wasmfx_ir::Module;
use wasmfx_ir::module::{Body, FunctionId, GlobalId, Import, Item, MemoryId, Origin, TableId, TagId};
use wasmfx_ir::references::IndexSpace;

/// What references to an import become. Items without an entry stay what they are.
#[derive(Debug, Default)]
pub(super) struct Targets(IndexMap<Item, Item>);

impl Targets {
    /// The item that references to this one become.
    pub(super) fn get(&self, mut item: Item) -> Item {
        while let Some(&next) = self.0.get(&item) {
            item = next;
        }
        item
    }

    /// Lets references to an import become references to `target`, which must not lead back to it.
    pub(super) fn insert(&mut self, import: Item, target: Item) {
        self.0.insert(import, target);
    }

    /// Whether references to this item become references to another one.
    pub(super) fn replaces(&self, item: Item) -> bool {
        self.0.contains_key(&item)
    }

    /// Rewrites all references, and removes the imports that have none any more.
    pub(super) fn apply(&self, module: &mut Module) {
        module.imports.retain(|import| !self.replaces(import.item));
        for &import in self.0.keys() {
            let name = remove(module, import);
            let unnamed = name_of(module, self.get(import));
            if unnamed.is_none() {
                *unnamed = name;
            }
        }
        module.map_references(&mut |space, number| {
            let item = match space {
                IndexSpace::Function => Item::Function(FunctionId::from_u32(number)),
                IndexSpace::Table => Item::Table(TableId::from_u32(number)),
                IndexSpace::Memory => Item::Memory(MemoryId::from_u32(number)),
                IndexSpace::Global => Item::Global(GlobalId::from_u32(number)),
                IndexSpace::Tag => Item::Tag(TagId::from_u32(number)),
                IndexSpace::Type | IndexSpace::Element | IndexSpace::Data => return number,
            };
            self.get(item).reference().1
        });
    }
}

/// Removes an item, and returns the name that it had.
fn remove(module: &mut Module, item: Item) -> Option<String> {
    match item {
        Item::Function(id) => {
            module.functions[id].body = Body::Removed;
            module.functions[id].local_names.clear();
        }
        Item::Table(id) => module.tables[id].origin = Origin::Removed,
        Item::Memory(id) => module.memories[id].origin = Origin::Removed,
        Item::Global(id) => module.globals[id].origin = Origin::Removed,
        Item::Tag(id) => module.tags[id].origin = Origin::Removed,
    }
    name_of(module, item).take()
}

fn name_of(module: &mut Module, item: Item) -> &mut Option<String> {
    match item {
        Item::Function(id) => &mut module.functions[id].name,
        Item::Table(id) => &mut module.tables[id].name,
        Item::Memory(id) => &mut module.memories[id].name,
        Item::Global(id) => &mut module.globals[id].name,
        Item::Tag(id) => &mut module.tags[id].name,
    }
}

/// What linking found.
pub(super) struct Links {
    pub(super) targets: Targets,
    pub(super) warnings: Vec<String>,
}

/// Finds the export for each import, and checks that it fits.
///
/// What another input imports and exports again has the type of what it is in the end, which may be narrower than the one it was imported with.
pub(super) fn link(combined: &Combined) -> Result<Links, MergeError> {
    let mut links = Links { targets: Targets::default(), warnings: Vec::new() };
    let parts: IndexMap<&str, &Part> = combined.parts.iter().map(|part| (part.name.as_str(), part)).collect();
    let mut imports: Imports<'_> = IndexMap::new();
    for part in &combined.parts {
        imports.extend(part.imports.iter().map(|import| (import.item, Described(import, &part.name))));
    }
    let mut exports: IndexMap<Item, Item> = IndexMap::new();
    for (&item, what) in &imports {
        let Described(import, _) = what;
        let Some(exporter) = parts.get(import.module.as_str()) else { continue };
        match exporter.exports.get(&import.name) {
            Some(&export) => {
                exports.insert(item, export);
            }
            None => {
                links.warnings.push(format!("{what}, which '{}' does not export; it stays an import", import.module))
            }
        }
    }
    let (ends, circles) = follow(&exports, &imports);
    let mut problems = Vec::new();
    let matching = Matching::new(&combined.module);
    for (&item, what) in &imports {
        let Some(&Some(end)) = ends.get(&item) else { continue };
        match matching.check(item, end.item) {
            Ok(()) => links.targets.insert(item, end.item),
            Err(mismatch) if end.last == item => problems.push(format!("{what}: {mismatch}")),
            Err(mismatch) => {
                let Described(last, _) = &imports[&end.last];
                problems.push(format!("{what}, which is \"{}\" \"{}\": {mismatch}", last.module, last.name));
            }
        }
    }
    problems.extend(circles);
    if problems.is_empty() { Ok(links) } else { Err(MergeError { problems }) }
}

/// The imports of all inputs.
type Imports<'a> = IndexMap<Item, Described<'a>>;

/// What an import leads to, through exports of imports.
#[derive(Copy, Clone)]
struct End {
    /// Something that is defined, or stays imported.
    item: Item,
    /// The import of it that comes last on the way there.
    last: Item,
}

/// Follows each import to its end, given the export that it asks for. Those that lead back to themselves have none, and are reported.
fn follow(exports: &IndexMap<Item, Item>, imports: &Imports<'_>) -> (IndexMap<Item, Option<End>>, Vec<String>) {
    let mut ends: IndexMap<Item, Option<End>> = IndexMap::new();
    let mut circles = Vec::new();
    for &start in exports.keys() {
        let mut path = IndexSet::new();
        let mut item = start;
        let end = loop {
            if let Some(&known) = ends.get(&item) {
                break known;
            }
            let Some(&next) = exports.get(&item) else {
                break path.last().map(|&last| End { item, last });
            };
            let (position, is_new) = path.insert_full(item);
            if !is_new {
                let steps: Vec<String> = path[position..].iter().map(|item| imports[item].to_string()).collect();
                circles.push(format!(
                    "imports go round in a circle, and nothing is defined anywhere: {}",
                    steps.join("; ")
                ));
                break None;
            }
            item = next;
        };
        ends.extend(path.into_iter().map(|item| (item, end)));
    }
    (ends, circles)
}

/// An import as a message calls it.
struct Described<'a>(&'a Import, &'a str);

impl std::fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(import, part) = self;
        write!(f, "'{part}' imports the {} \"{}\" \"{}\"", kind(import.item), import.module, import.name)
    }
}

/// What kind of thing an item is.
pub(super) fn kind(item: Item) -> &'static str {
    match item {
        Item::Function(_) => "function",
        Item::Table(_) => "table",
        Item::Memory(_) => "memory",
        Item::Global(_) => "global",
        Item::Tag(_) => "tag",
    }
}
