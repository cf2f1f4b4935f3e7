//! A runtime that several modules share: they are lowered one by one, and suspend across each other's calls.
//!
//! | item | in a lowered module |
//! |---|---|
//! | the runtime's memory, tables, globals and functions | imports from the module `wasmfx` |
//! | an exported function | exported twice: for the host, where an unhandled suspension traps, and as `wasmfx.fast:NAME` for other lowered modules |
//! | an imported function | imported as `wasmfx.fast:NAME`, unless the module is the host's |
//! | an exported or imported tag | the tag without results, and a global `wasmfx.tag:NAME` with its number, which is its identity |
//! | a continuation | an i64 (memory store) or a struct reference (gc store) |
//! | resume functions | in the runtime's table, from an offset that the module gets when it starts |

use super::analysis::Analysis;
use super::builder::Builder;
use super::promises::Promises;
use super::scan::{Mentions, Summary};
use super::setup::{import_global, set_up};
use super::tag_identity::tags_of_suspensions;
use super::values::{SHARED_VALUES, shared_classes};
use super::{Error, Lowering, Options, Store};
use rustc_hash::{FxHashMap, FxHashSet};
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{Func, Terminator};
use wasmfx_ir::module::{ConstExpr, ElementKind, Export, FunctionId, Global, GlobalId, Import, Item, Module, Origin};
use wasmfx_ir::wasmparser::{GlobalType, HeapType, Operator, RefType, UnpackedIndex, ValType};

/// The name that lowered modules import the shared runtime by.
pub const RUNTIME_MODULE: &str = "wasmfx";

/// The prefix of functions as lowered modules call them.
const FAST: &str = "wasmfx.fast:";
/// The prefix of the numbers of tags.
const TAG: &str = "wasmfx.tag:";

/// The runtime that modules lowered with [`Runtime::Shared`] import.
///
/// # Errors
/// If an invariant of the lowering is broken.
pub fn runtime_module(store: Store) -> Result<Module, Error> {
    let mut module = Module { features: wasmfx_ir::features::supported(), ..Module::default() };
    let options = Options { store, host_imports: Vec::new(), ..Options::default() };
    let promises = Promises::new(&module, &SecondaryMap::new(), &options)?;
    let mut analysis = Analysis::new(&module, &SecondaryMap::new(), FxHashSet::default(), promises, false);
    analysis.exceptions_cross = true;
    analysis.markers = true;
    let mut lowering = set_up(&mut module, &options, Mentions::default(), analysis, true)?;
    for class in shared_classes() {
        for index in 0..SHARED_VALUES {
            lowering.values.global(lowering.module, class, index)?;
        }
    }
    lowering.add_new_tag();
    lowering.finish_module()?;
    for table in module.tables.values_mut() {
        table.ty.maximum = None;
    }
    let mut exports = Vec::new();
    let mut export = |name: &Option<String>, item: Item| {
        if let Some(name) = name {
            let name = name.strip_prefix("wasmfx.").unwrap_or(name).to_owned();
            exports.push(Export { name, item });
        }
    };
    for (id, function) in module.functions.iter() {
        export(&function.name, Item::Function(id));
    }
    for (id, global) in module.globals.iter() {
        export(&global.name, Item::Global(id));
    }
    // Names of one kind of item may be those of another kind: tables are told apart by their use.
    for (id, table) in module.tables.iter() {
        export(&table.name.as_ref().map(|name| format!("{name}.table")), Item::Table(id));
    }
    for id in module.memories.keys() {
        export(&Some("frames".to_owned()), Item::Memory(id));
    }
    module.exports = exports;
    module.name = Some("wasmfx.runtime".to_owned());
    Ok(module)
}

/// Whether an import is the host's: its module, or its module and name, match a pattern.
fn is_host_import(import: &Import, options: &Options) -> bool {
    is_import_of(import, &options.host_imports)
}

/// Whether the module of an import, or its module and name, match a pattern.
pub(super) fn is_import_of(import: &Import, patterns: &[String]) -> bool {
    let full = format!("{}.{}", import.module, import.name);
    patterns.iter().any(|pattern| matches(pattern, &import.module) || matches(pattern, &full))
}

/// Whether `text` matches a pattern in which `*` stands for anything.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        last = Some(part);
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    match last {
        None => rest.is_empty(),
        Some(last) => last.is_empty() || text.ends_with(last),
    }
}

/// Imported functions of other lowered modules are imported under the name that lets suspensions through; returns them.
pub(super) fn rename_imports(module: &mut Module, options: &Options) -> FxHashSet<FunctionId> {
    let mut foreign = FxHashSet::default();
    for import in &mut module.imports {
        if let Item::Function(function) = import.item
            && !is_host_import(import, options)
        {
            import.name = format!("{FAST}{}", import.name);
            foreign.insert(function);
        }
    }
    foreign
}

/// Refuses what a module that shares its runtime cannot have. `store` is the one that was chosen.
///
/// # Errors
/// If the module has such a thing; the message names the item and the remedy.
pub(super) fn refuse(
    module: &Module,
    mentions: &Mentions,
    summaries: &SecondaryMap<FunctionId, Summary>,
    options: &Options,
    store: Store,
) -> Result<(), Error> {
    refuse_reserved_names(module)?;
    refuse_tags_of_the_host(module, summaries, options)?;
    if store == Store::Gc {
        return Ok(());
    }
    if !options.multi_memory && module.memories.values().any(|memory| memory.origin != Origin::Removed) {
        return Err(Error::input("the module would have a second memory, the runtime's")
            .with_help("allow several memories, use `--frames gc`, or merge the modules first"));
    }
    refuse_tables(module, mentions)
}

/// Names that lowered modules import and export things by. A module that has them was lowered already, or means something else by them.
fn refuse_reserved_names(module: &Module) -> Result<(), Error> {
    let imports = module.imports.iter().map(|import| ("import", &import.name));
    let exports = module.exports.iter().map(|export| ("export", &export.name));
    for (kind, name) in imports.chain(exports) {
        if [FAST, TAG].iter().any(|prefix| name.starts_with(prefix)) {
            return Err(Error::input(format!(
                "the {kind} `{name}` has a name that lowered modules use among themselves"
            ))
            .with_help("lower the module that this one was made of, or rename it"));
        }
    }
    Ok(())
}

/// A tag that the host defines has no number that all modules know.
fn refuse_tags_of_the_host(
    module: &Module,
    summaries: &SecondaryMap<FunctionId, Summary>,
    options: &Options,
) -> Result<(), Error> {
    let suspended_to = tags_of_suspensions(module, summaries);
    for import in &module.imports {
        if let Item::Tag(tag) = import.item
            && suspended_to.contains(&tag)
            && is_host_import(import, options)
        {
            let full = format!("{}.{}", import.module, import.name);
            let message = format!("the tag `{full}` is imported from the host, so other modules cannot know it again");
            let number = format!("{TAG}{}", import.name);
            return Err(Error::input(message).with_help(format!(
                "let a lowered module define the tag, or name only the functions of `{}` as the host's and let the host give the tag's number, which is its own, as a mutable i32 global `{number}`",
                import.module
            )));
        }
    }
    Ok(())
}

/// The memory store keeps tables of continuations in a form that is this module's own.
fn refuse_tables(module: &Module, mentions: &Mentions) -> Result<(), Error> {
    let import = module.imports.iter().map(|import| (&import.name, import.item));
    let export = module.exports.iter().map(|export| (&export.name, export.item));
    for (name, item) in import.chain(export) {
        if matches!(item, Item::Table(table) if mentions.tables.contains(&table)) {
            return Err(Error::input(format!(
                "the table of continuations `{name}` is imported or exported, which the memory store cannot express"
            ))
            .with_help("use `--frames gc`, or merge the modules first"));
        }
    }
    Ok(())
}

/// A part of a shared table: the table and its elements' type, the global for the part's offset, the functions.
pub(super) type TablePart<'p> = ((u32, u32), u32, &'p [FunctionId]);

impl Lowering<'_> {
    /// `new_tag() -> number`
    fn add_new_tag(&mut self) {
        let counter = self.add_i32_global("wasmfx.tags".to_owned());
        let ty = self.function_type(&[], &[ValType::I32]);
        let mut func = Func::new(ty, &[], &[ValType::I32]);
        let builder = &mut Builder::new(&mut func);
        let last = builder.global(counter, ValType::I32);
        let next = builder.add(last, 2);
        builder.set_global(counter, next);
        builder.ret(&[next]);
        self.add_function(func, "wasmfx.new_tag".to_owned());
    }

    /// Every tag has a number: its own, or the one of the module that it comes from.
    pub(super) fn import_tag_numbers(&mut self) {
        for index in 0..self.module.imports.len() {
            let import = self.module.imports[index].clone();
            if let Item::Tag(tag) = import.item
                && !is_host_import(&import, &self.options)
            {
                let name = format!("{TAG}{}", import.name);
                let global = import_global(self.module, ValType::I32, true, &name);
                if let Some(added) = self.module.imports.last_mut() {
                    added.module = import.module;
                    added.name = name;
                }
                self.tag_numbers[tag] = Some(global);
            }
        }
        for tag in self.module.tags.keys() {
            if self.tag_numbers[tag].is_none() {
                let global = self.module.globals.push(Global {
                    ty: GlobalType { content_type: ValType::I32, mutable: true, shared: false },
                    origin: Origin::Definition,
                    init: Some(ConstExpr { operators: vec![Operator::I32Const { value: 0 }] }),
                    name: Some(format!("{TAG}{tag}")),
                });
                self.tag_numbers[tag] = Some(global.as_u32());
            }
        }
        let ty = self.function_type(&[], &[ValType::I32]);
        let function = self.module.functions.push(wasmfx_ir::module::Function {
            ty,
            body: wasmfx_ir::module::Body::Import,
            name: Some("wasmfx.new_tag".to_owned()),
            local_names: Vec::new(),
            label_names: Vec::new(),
            exact: false,
        });
        self.module.imports.push(Import {
            module: RUNTIME_MODULE.to_owned(),
            name: "new_tag".to_owned(),
            item: Item::Function(function),
        });
        self.new_tag = Some(function.as_u32());
    }

    /// Exports for other lowered modules, and a start function that takes the module's part of the shared tables and numbers its tags.
    pub(super) fn add_shared_start(&mut self, parts: &[TablePart<'_>]) -> Result<(), Error> {
        let mut exports = Vec::new();
        let behind_entry: FxHashMap<FunctionId, FunctionId> =
            self.generated.host_entries.iter().map(|(&fast, &entry)| (entry, fast)).collect();
        for export in &self.module.exports {
            match export.item {
                Item::Function(function) => {
                    // The entry for the host stands in for the function itself.
                    let item = Item::Function(behind_entry.get(&function).copied().unwrap_or(function));
                    exports.push(Export { name: format!("{FAST}{}", export.name), item });
                }
                Item::Tag(tag) => {
                    if let Some(global) = self.tag_numbers[tag] {
                        let item = Item::Global(GlobalId::from_u32(global));
                        exports.push(Export { name: format!("{TAG}{}", export.name), item });
                    }
                }
                Item::Table(_) | Item::Memory(_) | Item::Global(_) => {}
            }
        }
        self.module.exports.extend(exports);

        let ty = self.function_type(&[], &[]);
        let mut func = Func::new(ty, &[], &[]);
        let mut segments = Vec::new();
        for &((_, ty), _, functions) in parts {
            segments.push(self.add_segment(ElementKind::Passive, ty, functions));
        }
        let builder = &mut Builder::new(&mut func);
        for (&((table, ty), base, functions), elem_index) in parts.iter().zip(segments) {
            let heap = HeapType::Concrete(UnpackedIndex::Module(ty));
            let element = RefType::new(true, heap).expect("types are below wasm's limit");
            let null = builder.value(Operator::RefNull { hty: heap }, &[], ValType::Ref(element));
            let count = builder.i32(u32::try_from(functions.len()).expect("functions are numbered by u32"));
            let offset = builder.i32_op(Operator::TableGrow { table }, &[null, count]);
            let minus_one = builder.i32(u32::MAX);
            let failed = builder.is_equal(offset, minus_one);
            builder.trap_if(failed);
            builder.set_global(base, offset);
            let zero = builder.i32(0);
            builder.run(Operator::TableInit { elem_index, table }, &[offset, zero, count]);
        }
        if let Some(new_tag) = self.new_tag {
            for tag in self.module.tags.keys() {
                let Some(global) = self.tag_numbers[tag] else { continue };
                if self.module.globals[GlobalId::from_u32(global)].origin == Origin::Definition {
                    let number = builder.value(Operator::Call { function_index: new_tag }, &[], ValType::I32);
                    builder.set_global(global, number);
                }
            }
        }
        self.check_active_segments(builder)?;
        if let Some(start) = self.module.start {
            builder.run(Operator::Call { function_index: start.as_u32() }, &[]);
        }
        builder.end(Terminator::Return(wasmfx_ir::func::ValueVec::new()));
        self.module.has_data_count = self.module.has_data_count || !self.module.data.is_empty();
        self.module.start = Some(self.add_function(func, "wasmfx.start".to_owned()));
        Ok(())
    }
}
