//! The runtime's items in a module, and what the other parts add to it.

use super::analysis::Analysis;
use super::builder::Builder;
use super::choice::refusal;
use super::runtime::exception_type;
use super::scan::Mentions;
use super::shared::RUNTIME_MODULE;
use super::store::{GcStore, Items, Kind, MemoryStore, Store, cells};
use super::types::Translation;
use super::values::{Class, Values, concrete_heap};
use super::{Error, Generated, Lowering, Options, Report, Runtime};
use crate::target_features;
use rustc_hash::FxHashSet;
use wasmfx_ir::entity::{Entity, SecondaryMap};
use wasmfx_ir::func::{Func, Value};
use wasmfx_ir::module::{
    Body, Bytes, ConstExpr, CustomContents, CustomSection, DataSegment, ElementItems, ElementKind, Function,
    FunctionId, Global, GlobalId, Import, Item, Memory, MemoryId, Module, Origin, RecursionGroup, Table, TableId,
    TagId, TypeDefinition, TypeId,
};
use wasmfx_ir::operator::default_operator;
use wasmfx_ir::signature::concrete;
use wasmfx_ir::wasmparser::{
    CompositeInnerType, CompositeType, FieldType, FuncType, GlobalType, MemoryType, Operator, PackedIndex, RefType,
    StorageType, StructType, SubType, TableType, ValType, WasmFeatures,
};

/// Adds a type in a recursion group of its own.
fn add_type(module: &mut Module, inner: CompositeInnerType, is_final: bool, supertype: Option<u32>, name: &str) -> u32 {
    let supertype = supertype.map(|index| PackedIndex::from_module_index(index).expect("types are below wasm's limit"));
    let composite_type = CompositeType { inner, shared: false, descriptor_idx: None, describes_idx: None };
    let sub_type = SubType { is_final, supertype_idxs: supertype.into_iter().collect(), composite_type };
    let id = module.types.definitions.push(TypeDefinition {
        sub_type,
        name: Some(name.to_owned()),
        field_names: Vec::new(),
    });
    module.types.groups.push(RecursionGroup { range: id.as_u32()..id.as_u32() + 1, explicit: false });
    id.as_u32()
}

fn add_function_type(module: &mut Module, params: &[ValType], results: &[ValType], name: &str) -> u32 {
    let func = FuncType::new(params.iter().copied(), results.iter().copied());
    add_type(module, CompositeInnerType::Func(func), true, None, name)
}

fn mutable(ty: ValType) -> FieldType {
    FieldType { element_type: StorageType::Val(ty), mutable: true }
}

pub(super) fn add_struct(
    module: &mut Module,
    fields: Vec<ValType>,
    is_final: bool,
    supertype: Option<u32>,
    name: &str,
) -> u32 {
    let fields: Box<[FieldType]> = fields.into_iter().map(mutable).collect();
    add_type(module, CompositeInnerType::Struct(StructType { fields }), is_final, supertype, name)
}

fn add_global(module: &mut Module, ty: ValType, mutable: bool, init: Operator<'static>, name: &str) -> u32 {
    let global = module.globals.push(Global {
        ty: GlobalType { content_type: ty, mutable, shared: false },
        origin: Origin::Definition,
        init: Some(ConstExpr { operators: vec![init] }),
        name: Some(name.to_owned()),
    });
    global.as_u32()
}

fn add_table(module: &mut Module, element_type: RefType, initial: u64, name: &str) -> u32 {
    let ty = TableType { element_type, table64: false, initial, maximum: None, shared: false };
    let table = module.tables.push(Table { ty, origin: Origin::Definition, init: None, name: Some(name.to_owned()) });
    table.as_u32()
}

/// Adds a function whose body is made later, since the functions of the runtime call each other.
pub(super) fn declare_function(module: &mut Module, ty: u32, name: &str) -> u32 {
    let id = module.functions.push(Function {
        ty: TypeId::from_u32(ty),
        body: Body::Removed,
        name: Some(name.to_owned()),
        local_names: Vec::new(),
        label_names: Vec::new(),
        exact: false,
    });
    id.as_u32()
}

fn add_import(module: &mut Module, name: &str, item: Item) {
    let name = name.strip_prefix("wasmfx.").unwrap_or(name).to_owned();
    module.imports.push(Import { module: RUNTIME_MODULE.to_owned(), name, item });
}

/// Imports a global of the shared runtime.
pub(super) fn import_global(module: &mut Module, ty: ValType, mutable: bool, name: &str) -> u32 {
    let global = module.globals.push(Global {
        ty: GlobalType { content_type: ty, mutable, shared: false },
        origin: Origin::Import,
        init: None,
        name: Some(name.to_owned()),
    });
    add_import(module, name, Item::Global(global));
    global.as_u32()
}

/// Adds a global, or imports it where the runtime is shared.
fn runtime_global(module: &mut Module, shared: bool, ty: ValType, name: &str) -> u32 {
    if shared {
        return import_global(module, ty, true, name);
    }
    add_global(module, ty, true, default_operator(ty).expect("runtime structures are nullable"), name)
}

/// Adds a table of the runtime, or imports it where the runtime is shared.
fn runtime_table(module: &mut Module, shared: bool, element: RefType, name: &str) -> u32 {
    let table = add_table(module, element, 0, name);
    if shared {
        let id = TableId::from_u32(table);
        module.tables[id].origin = Origin::Import;
        add_import(module, &format!("{name}.table"), Item::Table(id));
    }
    table
}

/// Declares a function of the runtime, or imports it where the runtime is shared.
fn runtime_function(module: &mut Module, shared: bool, ty: u32, name: &str) -> u32 {
    let function = declare_function(module, ty, name);
    if shared {
        let id = FunctionId::from_u32(function);
        module.functions[id].body = Body::Import;
        add_import(module, name, Item::Function(id));
    }
    function
}

fn memory_store(module: &mut Module, options: &Options, wide: bool, markers: bool) -> Result<MemoryStore, Error> {
    if options.runtime == Runtime::Shared {
        let ty = MemoryType { memory64: false, shared: false, initial: 1, maximum: None, page_size_log2: None };
        let name = "wasmfx.frames";
        let memory = module.memories.push(Memory { ty, origin: Origin::Import, name: Some(name.to_owned()) });
        add_import(module, name, Item::Memory(memory));
        module.features.insert(WasmFeatures::MULTI_MEMORY);
        // Function numbers of all modules together may need more than 16 bits. Only the runtime itself allocates from fresh memory.
        let memory = memory.as_u32();
        return Ok(MemoryStore { memory, base: 0, own: true, wide: true, markers, bump: 0, bump_end: 0 });
    }
    let has_memory = module.memories.values().any(|memory| memory.origin != Origin::Removed);
    if !has_memory || options.multi_memory {
        let ty = MemoryType { memory64: false, shared: false, initial: 1, maximum: None, page_size_log2: None };
        let memory =
            module.memories.push(Memory { ty, origin: Origin::Definition, name: Some("wasmfx.frames".to_owned()) });
        if has_memory {
            module.features.insert(WasmFeatures::MULTI_MEMORY);
        }
        make_null_stale(module, memory);
        return Ok(with_bump(
            module,
            MemoryStore { memory: memory.as_u32(), base: 0, own: true, wide, markers, bump: 0, bump_end: 0 },
        ));
    }
    let (id, memory) = module
        .memories
        .iter_mut()
        .find(|(_, memory)| memory.origin != Origin::Removed)
        .ok_or_else(|| Error::internal("lowering: a module with a memory has none"))?;
    if let Some(why) = refusal(memory) {
        return Err(Error::input(format!("frames cannot be kept in the module's memory, which {why}"))
            .with_help("allow a memory of their own (leave out --no-multi-memory), or use `--frames gc`"));
    }
    // The reserved page follows the memory's initial contents.
    let base = u32::try_from(memory.ty.initial * 65536).map_err(|_| Error::internal("lowering: memory too large"))?;
    memory.ty.initial += 1;
    memory.ty.maximum = memory.ty.maximum.map(|maximum| (maximum + 1).min(65536));
    if base == 0 {
        make_null_stale(module, id);
    }
    Ok(with_bump(module, MemoryStore { memory: id.as_u32(), base, own: false, wide, markers, bump: 0, bump_end: 0 }))
}

/// Adds the globals that say where there is fresh memory: at first, in the reserved page.
fn with_bump(module: &mut Module, memory: MemoryStore) -> MemoryStore {
    let mut global = |name: &str, address: u32| {
        let value = address.cast_signed();
        add_global(module, ValType::I32, true, Operator::I32Const { value }, name)
    };
    let bump = global("wasmfx.bump", memory.base + cells::HEAP);
    let bump_end = global("wasmfx.bump_end", memory.base + 65536);
    MemoryStore { bump, bump_end, ..memory }
}

/// The null continuation names address 0, where something must stand that it is not equal to.
fn make_null_stale(module: &mut Module, memory: MemoryId) {
    let offset = ConstExpr { operators: vec![Operator::I32Const { value: 0 }] };
    let bytes = Bytes::from(vec![1]);
    module.data.push(DataSegment { active: Some((memory, offset)), bytes, name: None, removed: false });
}

fn gc_store(module: &mut Module, shared: bool) -> GcStore {
    module.features.insert(WasmFeatures::GC);
    let next = u32::try_from(module.types.definitions.len()).expect("types are numbered by u32");
    let frame = add_struct(module, vec![concrete(true, next), ValType::I32], false, None, "wasmfx.frame");
    let fields = vec![
        concrete(true, frame),
        ValType::I32,
        concrete(true, frame + 1),
        ValType::I32,
        ValType::I32,
        concrete(true, frame),
    ];
    let marker = add_struct(module, fields, false, Some(frame), "wasmfx.marker");
    let ends = [frame, frame, marker, marker].map(|end| concrete(true, end));
    let fields = ends.into_iter().chain([ValType::I32]).collect();
    let stack = add_struct(module, fields, true, None, "wasmfx.stack");
    let continuation = add_struct(module, vec![concrete(true, stack)], true, None, "wasmfx.continuation");
    let init = Operator::StructNewDefault { struct_type_index: marker };
    let sentinel = if shared {
        import_global(module, concrete(true, marker), false, "wasmfx.sentinel")
    } else {
        add_global(module, concrete(true, marker), false, init, "wasmfx.sentinel")
    };
    GcStore { frame, marker, stack, continuation, sentinel }
}

/// Gives the module's types their lowered forms.
fn translate_types(module: &mut Module, store: super::Store) {
    let original = Module { types: module.types.clone(), ..Module::default() };
    let translation = Translation { module: &original, store };
    for (definition, original) in module.types.definitions.values_mut().zip(original.types.definitions.values()) {
        definition.sub_type = translation.definition(&original.sub_type);
    }
}

/// Adds the runtime's types, tables and globals; its functions are still to be added. The second result is the global where the driver leaves the
/// continuation that it captured.
fn add_items(module: &mut Module, shared: bool, kind: Kind, analysis: &Analysis) -> (Items, u32) {
    let i32 = ValType::I32;
    let (frame, marker, stack) = (kind.frame_type(), kind.marker_type(), kind.stack_type());
    let resume_type = add_function_type(module, &[frame], &[i32], "wasmfx.resume");
    let matcher_type = match kind {
        Kind::Memory(_) => resume_type,
        Kind::Gc(_) => add_function_type(module, &[i32], &[i32], "wasmfx.clauses"),
    };
    let element =
        |ty: u32| RefType::new(true, concrete_heap(TypeId::from_u32(ty))).expect("types are below wasm's limit");
    let resume_table = runtime_table(module, shared, element(resume_type), "wasmfx.resume");
    let matcher_table = runtime_table(module, shared, element(matcher_type), "wasmfx.clauses");
    let mut items = Items {
        resume_type,
        resume_table,
        matcher_type,
        matcher_table,
        unwinding: runtime_global(module, shared, i32, "wasmfx.unwinding"),
        last: runtime_global(module, shared, frame, "wasmfx.last"),
        last_marker: runtime_global(module, shared, marker, "wasmfx.last_marker"),
        pending: runtime_global(module, shared, stack, "wasmfx.pending"),
        depth: runtime_global(module, shared, i32, "wasmfx.depth"),
        exception: None,
        resume_base: None,
        matcher_base: None,
        markers: analysis.markers,
        drive: 0,
        forward: 0,
        thrown: 0,
        identity: 0,
        allocate: 0,
        allocate_record: 0,
        retire: 0,
    };
    if analysis.exceptions_cross {
        let ty = exception_type(true);
        items.exception = Some(runtime_global(module, shared, ty, "wasmfx.exception"));
    }
    let ty = kind.continuation_type(true);
    (items, runtime_global(module, shared, ty, "wasmfx.continuation"))
}

/// Adds the runtime's functions.
fn add_functions(module: &mut Module, shared: bool, store: &mut Store, continuation: u32) {
    let i32 = ValType::I32;
    let (frame, stack) = (store.kind.frame_type(), store.kind.stack_type());
    let drive_type = add_function_type(module, &[stack, frame, i32], &[i32], "wasmfx.drive");
    let thrown_type = store
        .items
        .exception
        .map(|_| add_function_type(module, &[stack, frame, frame, exception_type(true)], &[i32], "wasmfx.thrown"));
    let forward_type = add_function_type(module, &[stack], &[], "wasmfx.forward");
    let identity_type = add_function_type(module, &[i32], &[], "wasmfx.identity");
    store.items.drive = runtime_function(module, shared, drive_type, "wasmfx.drive");
    store.items.forward = runtime_function(module, shared, forward_type, "wasmfx.forward");
    store.items.identity = runtime_function(module, shared, identity_type, "wasmfx.identity");
    let define = |module: &mut Module, function: u32, func: Func| {
        if !shared {
            module.functions[FunctionId::from_u32(function)].body = Body::Lifted(Box::new(func));
        }
    };
    if let Kind::Memory(memory) = store.kind {
        let allocate_type = add_function_type(module, &[i32], &[i32], "wasmfx.allocate");
        let record_type = add_function_type(module, &[], &[i32], "wasmfx.allocate_record");
        let retire_type = add_function_type(module, &[i32], &[ValType::I64], "wasmfx.retire");
        store.items.allocate = runtime_function(module, shared, allocate_type, "wasmfx.allocate");
        store.items.allocate_record = runtime_function(module, shared, record_type, "wasmfx.allocate_record");
        store.items.retire = runtime_function(module, shared, retire_type, "wasmfx.retire");
        define(module, store.items.allocate, store.build_allocate(memory, TypeId::from_u32(allocate_type)));
        define(module, store.items.allocate_record, store.build_allocate_record(memory, TypeId::from_u32(record_type)));
        define(module, store.items.retire, store.build_retire(TypeId::from_u32(retire_type)));
    }
    if let Some(thrown_type) = thrown_type {
        store.items.thrown = runtime_function(module, shared, thrown_type, "wasmfx.thrown");
    }
    define(module, store.items.drive, store.build_drive(TypeId::from_u32(drive_type), continuation));
    define(module, store.items.forward, store.build_forward(TypeId::from_u32(forward_type)));
    define(module, store.items.identity, store.build_identity(TypeId::from_u32(identity_type)));
    if let (Some(thrown_type), Some(exception)) = (thrown_type, store.items.exception) {
        define(module, store.items.thrown, store.build_thrown(TypeId::from_u32(thrown_type), exception));
    }
}

/// Adds the runtime to a module, and translates everything outside bodies.
pub(super) fn set_up<'m>(
    module: &'m mut Module,
    options: &Options,
    mentions: Mentions,
    analysis: Analysis,
    wide: bool,
) -> Result<Lowering<'m>, Error> {
    let original_types = module.types.clone();
    let mut original_tag_types = SecondaryMap::with_default_and_len(TypeId::from_u32(0), module.tags.len());
    for (id, tag) in module.tags.iter() {
        original_tag_types[id] = tag.ty;
    }
    let original_elements: Vec<ElementItems> = module.elements.values().map(|segment| segment.items.clone()).collect();

    let shared = options.runtime == Runtime::Shared;
    let kind = match options.store {
        super::Store::Memory | super::Store::Auto => {
            Kind::Memory(memory_store(module, options, wide, analysis.markers)?)
        }
        super::Store::Gc => Kind::Gc(gc_store(module, shared)),
    };
    translate_types(module, options.store);
    let (items, continuation) = add_items(module, shared, kind, &analysis);
    let mut values = Values::new(&original_types, kind, shared);
    values.provide(Class::Continuation, 0, GlobalId::from_u32(continuation));

    let mut store = Store { kind, items };
    add_functions(module, shared, &mut store, continuation);
    if shared {
        let zero = || Operator::I32Const { value: 0 };
        store.items.resume_base = Some(add_global(module, ValType::I32, true, zero(), "wasmfx.resume.base"));
        store.items.matcher_base = Some(add_global(module, ValType::I32, true, zero(), "wasmfx.clauses.base"));
    }
    let mut lowering = Lowering {
        tag_numbers: SecondaryMap::new(),
        new_tag: None,
        equal_tags: Vec::new(),
        active_segments: Vec::new(),
        module,
        options: options.clone(),
        original_types,
        original_tag_types,
        original_elements,
        mentions,
        analysis,
        store,
        passed_continuation: continuation,
        values,
        resume_slots: Vec::new(),
        drives_out_of_line: FxHashSet::default(),
        has_many_sites: false,
        innermost: Vec::new(),
        identity_number: 0,
        generated: Generated::default(),
        boundary: None,
        report: Report::default(),
    };
    if shared {
        lowering.import_tag_numbers();
    } else {
        lowering.add_identity();
    }
    lowering.translate_items()?;
    Ok(lowering)
}

impl Lowering<'_> {
    fn add_identity(&mut self) {
        let slots = self.store.first_clause_entry();
        self.identity_number = self.reserve_resume_slots(slots);
        let ty = TypeId::from_u32(self.store.items.resume_type);
        let func = self.store.build_identity_resume(ty, self.identity_number);
        let function = self.add_function(func, "wasmfx.hand_on".to_owned());
        self.fill_resume_slots(self.identity_number, slots, function);
    }

    /// Globals, tables, tags and segments.
    fn translate_items(&mut self) -> Result<(), Error> {
        for global in self.module.globals.keys() {
            let ty = self.module.globals[global].ty.content_type;
            if self.mentions.globals.contains(&global) {
                self.module.globals[global].ty.content_type = self.lowered_type(ty);
            }
            if let Some(mut init) = self.module.globals[global].init.take() {
                self.translate_constant(&mut init);
                self.module.globals[global].init = Some(init);
            }
        }
        let gc = matches!(self.store.kind, Kind::Gc(_));
        for table in self.module.tables.keys() {
            if !self.mentions.tables.contains(&table) {
                continue;
            }
            if gc {
                let element = self.module.tables[table].ty.element_type;
                if let ValType::Ref(lowered) = self.lowered_type(ValType::Ref(element)) {
                    self.module.tables[table].ty.element_type = lowered;
                }
                if let Some(mut init) = self.module.tables[table].init.take() {
                    self.translate_constant(&mut init);
                    self.module.tables[table].init = Some(init);
                }
            } else {
                let init = self.module.tables[table].init.as_ref();
                if init.is_some_and(|init| !self.is_null_continuation(init)) {
                    return Err(Error::input(format!(
                        "{table} is filled with a continuation from a global, which the memory store cannot express"
                    ))
                    .with_help("use `--frames gc`"));
                }
                self.module.tables[table].origin = Origin::Removed;
            }
        }
        for element in self.module.elements.keys() {
            if !self.mentions.elements.contains(&element.as_u32()) {
                continue;
            }
            if gc {
                let mut items = self.module.elements[element].items.clone();
                if let ElementItems::Expressions(ty, expressions) = &mut items {
                    if let ValType::Ref(lowered) = self.lowered_type(ValType::Ref(*ty)) {
                        *ty = lowered;
                    }
                    expressions.iter_mut().for_each(|expression| self.translate_constant(expression));
                }
                self.module.elements[element].items = items;
            } else {
                if let ElementKind::Active { table, offset } = self.module.elements[element].kind.clone() {
                    self.check_segment(element.as_u32())?;
                    let length = match &self.original_elements[element.index()] {
                        ElementItems::Functions(functions) => functions.len(),
                        ElementItems::Expressions(_, expressions) => expressions.len(),
                    };
                    let length = u32::try_from(length).expect("segments are shorter than 2^32");
                    self.active_segments.push((table, offset, length));
                }
                self.module.elements[element].removed = true;
            }
        }
        self.translate_tags();
        Ok(())
    }

    /// Without stack switching a tag has no results.
    fn translate_tags(&mut self) {
        let exported: FxHashSet<Item> = self.module.exports.iter().map(|export| export.item).collect();
        for tag in self.module.tags.keys() {
            let ty = self.original_tag_types[tag];
            if self.original_results(ty).is_empty() {
                continue;
            }
            let visible = self.module.tags[tag].origin == Origin::Import || exported.contains(&Item::Tag(tag));
            if visible {
                let params = self.lowered_types(&self.original_params(ty));
                self.module.tags[tag].ty = self.function_type(&params, &[]);
            } else if self.module.tags[tag].origin == Origin::Definition {
                self.module.tags[tag].origin = Origin::Removed;
            }
        }
    }

    /// The function type with these (lowered) parameters and results.
    pub(super) fn function_type(&mut self, params: &[ValType], results: &[ValType]) -> TypeId {
        let key = (params.to_vec(), results.to_vec());
        if let Some(&ty) = self.generated.function_types.get(&key) {
            return ty;
        }
        let ty = TypeId::from_u32(add_function_type(self.module, params, results, "wasmfx.function"));
        self.module.types.definitions[ty].name = None;
        self.generated.function_types.insert(key, ty);
        ty
    }

    /// The struct type of frames with these slots.
    pub(super) fn frame_struct(&mut self, is_marker: bool, fields: &[ValType]) -> u32 {
        let Kind::Gc(gc) = self.store.kind else { unreachable!("only the gc store has frame types") };
        let key = (is_marker, fields.to_vec());
        if let Some(&ty) = self.generated.frame_structs.get(&key) {
            return ty;
        }
        let mut all = vec![concrete(true, gc.frame), ValType::I32];
        if is_marker {
            all.extend([concrete(true, gc.marker), ValType::I32, ValType::I32, concrete(true, gc.frame)]);
        }
        all.extend_from_slice(fields);
        let supertype = if is_marker { gc.marker } else { gc.frame };
        let ty = add_struct(self.module, all, true, Some(supertype), "wasmfx.slots");
        self.module.types.definitions[TypeId::from_u32(ty)].name = None;
        self.generated.frame_structs.insert(key, ty);
        ty
    }

    /// Adds a function.
    pub(super) fn add_function(&mut self, mut func: Func, name: String) -> FunctionId {
        super::function::finish(&mut func);
        self.module.functions.push(Function {
            ty: func.ty,
            body: Body::Lifted(Box::new(func)),
            name: Some(name),
            local_names: Vec::new(),
            label_names: Vec::new(),
            exact: false,
        })
    }

    /// Adds a table of references.
    pub(super) fn add_table(&mut self, element: RefType, initial: u64, name: String) -> u32 {
        add_table(self.module, element, initial, &name)
    }

    /// Adds a mutable i32 that begins as 0.
    pub(super) fn add_i32_global(&mut self, name: String) -> u32 {
        self.add_i32_global_with(name, 0)
    }

    /// Adds a mutable i32.
    pub(super) fn add_i32_global_with(&mut self, name: String, value: u32) -> u32 {
        add_global(self.module, ValType::I32, true, Operator::I32Const { value: value.cast_signed() }, &name)
    }

    /// What messages and derived names call a function.
    pub(super) fn name_of(&self, function: FunctionId) -> String {
        self.module.functions[function].name.clone().unwrap_or_else(|| format!("function{}", function.as_u32()))
    }

    /// Takes slots in the table of resume functions; they are filled later.
    pub(super) fn reserve_resume_slots(&mut self, count: u32) -> u32 {
        let first = self.resume_slots.len();
        self.resume_slots.resize(first + count as usize, FunctionId::from_u32(u32::MAX));
        u32::try_from(first).expect("resume functions are numbered by u32")
    }

    /// Fills slots with a resume function.
    pub(super) fn fill_resume_slots(&mut self, first: u32, count: u32, function: FunctionId) {
        self.resume_slots[first as usize..][..count as usize].fill(function);
    }

    /// The status of a suspension to a tag, where it is known now.
    pub(super) fn static_status(&self, tag: TagId, switch: bool) -> Option<u32> {
        if self.options.runtime == Runtime::Shared || self.tag_numbers[tag].is_some() {
            return None;
        }
        let number = u32::try_from(tag.index() + 1).expect("tags are few");
        Some(number * 2 + u32::from(switch))
    }

    /// The status of a suspension to a tag.
    pub(super) fn suspension_status(&mut self, builder: &mut Builder<'_>, tag: TagId) -> Value {
        match (self.static_status(tag, false), self.tag_numbers[tag]) {
            (None, Some(global)) => builder.global(global, ValType::I32),
            (status, _) => builder.i32(status.expect("a tag of a shared runtime has a number")),
        }
    }

    /// The status of a switch under a tag.
    pub(super) fn switch_status(&mut self, builder: &mut Builder<'_>, tag: TagId) -> Value {
        let suspension = self.suspension_status(builder, tag);
        match self.static_status(tag, true) {
            Some(status) => builder.i32(status),
            None => builder.add(suspension, 1),
        }
    }

    /// The body of a function that is to be lowered.
    pub(super) fn take_body(&mut self, function: FunctionId) -> Result<Func, Error> {
        let data = &mut self.module.functions[function];
        let mut func = match std::mem::replace(&mut data.body, Body::Removed) {
            Body::Lifted(func) => *func,
            Body::Lazy(body) => {
                let name = data.name.clone();
                wasmfx_ir::lift::lift_body(&body, data.ty, &data.local_names).map_err(|error| {
                    Error::input(format!("cannot be lowered: {error}")).in_function(function.as_u32(), name.as_deref())
                })?
            }
            _ => return Err(Error::internal(format!("lowering: {function} has no body"))),
        };
        // The bytes that it was lifted from mean something else now, however small they are.
        func.original = None;
        Ok(func)
    }

    /// What is left when all functions are lowered: entries from the host, and the runtime's tables.
    pub(super) fn finish_module(&mut self) -> Result<(), Error> {
        for index in 0..self.module.exports.len() {
            // Where references cross, what is exported is an entry already.
            if let Item::Function(function) = self.module.exports[index].item
                && self.boundary.is_none()
                && !self.analysis.escapes[function].is_empty()
            {
                self.module.exports[index].item = Item::Function(self.host_entry(function)?);
            }
        }
        if let Some(start) = self.module.start
            && !self.analysis.escapes[start].is_empty()
        {
            self.module.start = Some(self.host_entry(start)?);
        }
        if self.options.runtime == Runtime::Closed {
            self.add_start()?;
        }
        let moved = self.put_entries_in_place()?;
        self.guard_host_calls(&moved)?;
        let slots = std::mem::take(&mut self.resume_slots);
        if !self.store.kind.can_name(slots.len()) {
            return Err(Error::internal(format!("lowering: frames cannot name {} resume functions", slots.len())));
        }
        let matchers: Vec<FunctionId> = self.generated.matchers.values().copied().collect();
        let resume = (self.store.items.resume_table, self.store.items.resume_type);
        let clauses = (self.store.items.matcher_table, self.store.items.matcher_type);
        match (self.store.items.resume_base, self.store.items.matcher_base) {
            (Some(resume_base), Some(matcher_base)) => {
                self.add_shared_start(&[(resume, resume_base, &slots), (clauses, matcher_base, &matchers)])?;
            }
            _ => {
                self.fill_table(resume.0, resume.1, &slots);
                self.fill_table(clauses.0, clauses.1, &matchers);
            }
        }
        self.module.features.remove(WasmFeatures::STACK_SWITCHING);
        self.list_features();
        // That a function is idempotent, say, is not true of one that returns when it suspends.
        let speaks_of_functions = |section: &CustomSection| matches!(section.contents, CustomContents::Annotations(_));
        self.module.custom_sections.retain(|section| !speaks_of_functions(section));
        Ok(())
    }

    /// Where the module lists its features, for those who link it, the list is made true.
    fn list_features(&mut self) {
        let mut added = Vec::new();
        if self.module.memories.len() > 1 {
            added.push("multimemory");
        }
        if matches!(self.store.kind, Kind::Gc(_)) {
            added.extend(["reference-types", "gc"]);
        }
        for section in self.module.custom_sections.iter_mut().filter(|section| section.name == target_features::SECTION)
        {
            let CustomContents::Bytes(bytes) = &section.contents else { continue };
            let Some(mut features) = target_features::read(bytes) else { continue };
            features.shift_remove("stack-switching");
            for &feature in &added {
                features.insert(feature.into(), target_features::USED);
            }
            section.contents = target_features::write(&features).into();
        }
    }
}
