//! From the tree to a module.
//!
//! Bodies are emitted twice by the same code: first to find out what the program reaches (each request for an index adds to a
//! work list), then, with everything that is not reached left out and the rest numbered, for good.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, anyhow, bail};
use wasm_encoder::{
    AbstractHeapType, ArrayType, BlockType, Catch, CodeSection, CompositeInnerType, CompositeType, ConstExpr, ContType,
    ElementSection, Elements, EntityType, ExportKind, ExportSection, FieldType, FuncType, FunctionSection,
    GlobalSection, GlobalType, Handle, HeapType, ImportSection, Instruction, MemorySection, MemoryType, Module,
    NameMap, NameSection, RefType, StartSection, StorageType, StructType, SubType, TableSection, TableType, TagKind,
    TagSection, TagType, TypeSection, ValType,
};

use super::coverage::Event;
use super::program::{
    CatchClause, Function, FunctionId, Handler, Heap, HostFunction, Initial, Label, Local, Node, Op, Program,
    Reference, Signature, Storage, TypeDefinition, TypeId, ValueType,
};

/// Encodes `program`. An error means that an edit has left a branch without its label.
pub fn encode(program: &Program) -> Result<Vec<u8>> {
    Encoder::new(program, false).module()
}

/// Encodes `program` so that it reports what it does to `host.cover`.
pub fn encode_instrumented(program: &Program) -> Result<Vec<u8>> {
    Encoder::new(program, true).module()
}

/// A function of the module: the program's own, or one made to give default results for a type.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Callee {
    Own(FunctionId),
    Stub(TypeId),
}

/// What the program reaches. Sets are ordered, so the numbering follows the program's own order.
#[derive(Default)]
struct Reached {
    functions: BTreeSet<Callee>,
    types: BTreeSet<TypeId>,
    tags: BTreeSet<u32>,
    globals: BTreeSet<u32>,
    tables: BTreeSet<u32>,
    segments: BTreeSet<u32>,
    hosts: BTreeSet<HostFunction>,
    /// Functions whose reference is taken in code, which must be declared.
    referenced: BTreeSet<Callee>,
    /// Function types of blocks, tags and imports, which the program has no id for.
    signatures: Vec<Signature>,
    /// The continuation types that `cont.new` makes: the others are only ever suspended ones.
    fresh: BTreeSet<TypeId>,
    memory: bool,
    /// Whether anything switches.
    switch: bool,
    /// The tag by which a default exception reference is made.
    spare_tag: bool,
}

struct Encoder<'a> {
    program: &'a Program,
    instrumented: bool,
    reached: Reached,
    /// Functions whose bodies are not yet searched.
    work: Vec<Callee>,
    /// Empty while searching.
    type_indices: BTreeMap<TypeId, u32>,
    type_groups: Vec<Vec<TypeId>>,
    searching: bool,
}

/// The state of one body's emission.
struct Body {
    out: Vec<Instruction<'static>>,
    labels: Vec<Option<Label>>,
    /// The locals that occur.
    locals: BTreeSet<Local>,
    local_indices: BTreeMap<Local, u32>,
    /// The i32 local that instrumentation keeps the depth in.
    depth_local: u32,
    results: Vec<ValueType>,
    suspension_labels: BTreeSet<Label>,
    catch_labels: BTreeSet<Label>,
}

const MEMORY_NAME: &str = "memory";
const FUEL_GLOBAL: u32 = 0;

impl<'a> Encoder<'a> {
    fn new(program: &'a Program, instrumented: bool) -> Self {
        Encoder {
            program,
            instrumented,
            reached: Reached::default(),
            work: vec![],
            type_indices: BTreeMap::new(),
            type_groups: vec![],
            searching: true,
        }
    }

    // ---- indices: each request while searching marks the thing as reached ----

    fn function(&mut self, callee: Callee) -> u32 {
        if self.searching {
            if self.reached.functions.insert(callee) {
                self.work.push(callee);
            }
            return 0;
        }
        let position = self.reached.functions.iter().position(|other| *other == callee);
        (self.reached.hosts.len() + position.expect("every function was reached by the search")) as u32
    }

    fn function_reference(&mut self, callee: Callee) -> u32 {
        if self.searching {
            self.reached.referenced.insert(callee);
        }
        self.function(callee)
    }

    fn host(&mut self, host: HostFunction) -> u32 {
        if self.searching {
            self.reached.hosts.insert(host);
            self.signature_index(&host.signature());
            return 0;
        }
        self.reached.hosts.iter().position(|other| *other == host).expect("every import was reached") as u32
    }

    fn ty(&mut self, id: TypeId) -> u32 {
        if self.searching {
            if self.reached.types.insert(id) {
                match &self.program.types[id as usize] {
                    TypeDefinition::Function(signature) => {
                        for ty in signature.params.iter().chain(&signature.results) {
                            self.value_type(*ty);
                        }
                    }
                    TypeDefinition::Continuation(function) => {
                        self.ty(*function);
                    }
                    TypeDefinition::Struct(fields) => {
                        for field in fields {
                            self.value_type(field.unpacked());
                        }
                    }
                    TypeDefinition::Array(element) => {
                        self.value_type(element.unpacked());
                    }
                }
            }
            return 0;
        }
        self.type_indices[&id]
    }

    /// The index of a function type that has no id of its own.
    fn signature_index(&mut self, signature: &Signature) -> u32 {
        if let Some(position) = self.reached.signatures.iter().position(|other| other == signature) {
            return (self.type_indices.len() + position) as u32;
        }
        assert!(self.searching, "every block type was reached by the search");
        self.reached.signatures.push(signature.clone());
        for ty in signature.params.iter().chain(&signature.results) {
            self.value_type(*ty);
        }
        0
    }

    fn tag(&mut self, tag: u32) -> u32 {
        if self.searching {
            self.reached.tags.insert(tag);
            self.signature_index(&self.program.tags[tag as usize].signature);
            return 0;
        }
        self.reached.tags.iter().position(|other| *other == tag).expect("every tag was reached") as u32
    }

    fn spare_tag(&mut self) -> u32 {
        if self.searching {
            self.reached.spare_tag = true;
            self.signature_index(&Signature::default());
        }
        self.reached.tags.len() as u32
    }

    fn global(&mut self, global: u32) -> u32 {
        if self.searching {
            if self.reached.globals.insert(global) {
                let definition = &self.program.globals[global as usize];
                self.value_type(definition.ty);
                if let Initial::Function(function) = definition.initial {
                    self.function(Callee::Own(function));
                }
            }
            return 0;
        }
        1 + self.reached.globals.iter().position(|other| *other == global).expect("every global was reached") as u32
    }

    fn table(&mut self, table: u32) -> u32 {
        if self.searching {
            if self.reached.tables.insert(table) {
                self.heap(self.program.tables[table as usize].element);
                for (id, segment) in self.program.segments.iter().enumerate() {
                    if segment.active.is_some_and(|(other, _)| other == table) {
                        self.segment(id as u32);
                    }
                }
            }
            return 0;
        }
        self.reached.tables.iter().position(|other| *other == table).expect("every table was reached") as u32
    }

    fn segment(&mut self, segment: u32) -> u32 {
        if self.searching {
            if self.reached.segments.insert(segment) {
                let definition = &self.program.segments[segment as usize];
                self.heap(definition.element);
                for function in definition.items.iter().flatten() {
                    self.function(Callee::Own(*function));
                }
                if let Some((table, _)) = definition.active {
                    self.table(table);
                }
            }
            return 0;
        }
        self.reached.segments.iter().position(|other| *other == segment).expect("every segment was reached") as u32
    }

    fn heap(&mut self, heap: Heap) -> HeapType {
        let ty = match heap {
            Heap::Func => AbstractHeapType::Func,
            Heap::Extern => AbstractHeapType::Extern,
            Heap::Any => AbstractHeapType::Any,
            Heap::Eq => AbstractHeapType::Eq,
            Heap::I31 => AbstractHeapType::I31,
            Heap::Struct => AbstractHeapType::Struct,
            Heap::Array => AbstractHeapType::Array,
            Heap::Exn => AbstractHeapType::Exn,
            Heap::Type(id) => return HeapType::Concrete(self.ty(id)),
        };
        HeapType::Abstract { shared: false, ty }
    }

    fn reference(&mut self, reference: Reference) -> RefType {
        RefType { nullable: reference.nullable, heap_type: self.heap(reference.heap) }
    }

    fn value_type(&mut self, ty: ValueType) -> ValType {
        match ty {
            ValueType::I32 => ValType::I32,
            ValueType::I64 => ValType::I64,
            ValueType::F32 => ValType::F32,
            ValueType::F64 => ValType::F64,
            ValueType::V128 => ValType::V128,
            ValueType::Reference(reference) => ValType::Ref(self.reference(reference)),
        }
    }

    fn value_types(&mut self, types: &[ValueType]) -> Vec<ValType> {
        types.iter().map(|ty| self.value_type(*ty)).collect()
    }

    fn storage(&mut self, storage: Storage) -> FieldType {
        let element_type = match storage {
            Storage::I8 => StorageType::I8,
            Storage::I16 => StorageType::I16,
            Storage::Value(ty) => StorageType::Val(self.value_type(ty)),
        };
        FieldType { element_type, mutable: true }
    }

    fn block_type(&mut self, params: &[ValueType], results: &[ValueType]) -> BlockType {
        match (params, results) {
            ([], []) => BlockType::Empty,
            ([], [result]) => BlockType::Result(self.value_type(*result)),
            _ => BlockType::FunctionType(
                self.signature_index(&Signature { params: params.to_vec(), results: results.to_vec() }),
            ),
        }
    }

    // ---- the module ----

    fn module(mut self) -> Result<Vec<u8>> {
        for (id, function) in self.program.functions.iter().enumerate() {
            if function.exported || self.program.start == Some(id as u32) {
                self.function(Callee::Own(id as u32));
            }
        }
        for (id, global) in self.program.globals.iter().enumerate() {
            if global.exported {
                self.global(id as u32);
            }
        }
        while let Some(callee) = self.work.pop() {
            self.ty(self.callee_type(callee));
            self.body(callee)?;
        }
        self.number_types();
        self.searching = false;

        let mut module = Module::new();
        module.section(&self.type_section());
        self.import_section(&mut module);
        let callees: Vec<Callee> = self.reached.functions.iter().copied().collect();
        let mut functions = FunctionSection::new();
        for callee in &callees {
            functions.function(self.ty(self.callee_type(*callee)));
        }
        module.section(&functions);
        self.table_section(&mut module);
        if self.reached.memory {
            let ty = MemoryType { minimum: 1, maximum: Some(1), memory64: false, shared: false, page_size_log2: None };
            module.section(MemorySection::new().memory(ty));
        }
        self.tag_section(&mut module);
        module.section(&self.global_section());
        module.section(&self.export_section(&callees));
        if let Some(start) = self.program.start {
            module.section(&StartSection { function_index: self.function(Callee::Own(start)) });
        }
        self.element_section(&mut module);
        let mut code = CodeSection::new();
        for callee in &callees {
            code.function(&self.body(*callee)?);
        }
        module.section(&code);
        module.section(&self.name_section(&callees));
        Ok(module.finish())
    }

    fn callee_type(&self, callee: Callee) -> TypeId {
        match callee {
            Callee::Own(id) => self.program.functions[id as usize].ty,
            Callee::Stub(ty) => ty,
        }
    }

    /// Puts types that need each other into one recursion group, and every other type into its own, in an order in which
    /// only groups already defined are mentioned. Equal types in groups of their own are one type to an engine.
    fn number_types(&mut self) {
        let types: Vec<TypeId> = self.reached.types.iter().copied().collect();
        if self.reached.switch {
            // wasmtime 48 looks up the arguments of a switching continuation in the module's types by the number that it gave
            // the type itself, which counts types of its own too: those that it makes after each group. With one group, the
            // two numbers are the same.
            self.type_indices = types.iter().enumerate().map(|(index, ty)| (*ty, index as u32)).collect();
            self.type_groups = vec![types];
            return;
        }
        let mut components = StrongComponents::new(self.program);
        for ty in types {
            if !components.order.contains_key(&ty) {
                components.visit(ty);
            }
        }
        self.type_groups = components.groups;
        for (index, ty) in self.type_groups.iter().flatten().enumerate() {
            self.type_indices.insert(*ty, index as u32);
        }
    }

    fn type_section(&mut self) -> TypeSection {
        let mut section = TypeSection::new();
        for group in self.type_groups.clone() {
            let mut definitions = vec![];
            for id in &group {
                let inner = match self.program.types[*id as usize].clone() {
                    TypeDefinition::Function(signature) => CompositeInnerType::Func(self.function_type(&signature)),
                    TypeDefinition::Continuation(function) => CompositeInnerType::Cont(ContType(self.ty(function))),
                    TypeDefinition::Struct(fields) => CompositeInnerType::Struct(StructType {
                        fields: fields.into_iter().map(|field| self.storage(field)).collect(),
                    }),
                    TypeDefinition::Array(element) => CompositeInnerType::Array(ArrayType(self.storage(element))),
                };
                let composite_type = CompositeType { inner, shared: false, descriptor: None, describes: None };
                definitions.push(SubType { is_final: true, supertype_idxs: vec![], composite_type });
            }
            if let [single] = definitions.as_slice() {
                section.ty().subtype(single);
            } else {
                section.ty().rec(definitions);
            }
        }
        for signature in self.reached.signatures.clone() {
            let ty = self.function_type(&signature);
            section.ty().func_type(&ty);
        }
        section
    }

    fn function_type(&mut self, signature: &Signature) -> FuncType {
        FuncType::new(self.value_types(&signature.params), self.value_types(&signature.results))
    }

    fn import_section(&mut self, module: &mut Module) {
        if self.reached.hosts.is_empty() {
            return;
        }
        let mut section = ImportSection::new();
        for host in self.reached.hosts.clone() {
            section.import("host", host.name(), EntityType::Function(self.signature_index(&host.signature())));
        }
        module.section(&section);
    }

    fn table_section(&mut self, module: &mut Module) {
        if self.reached.tables.is_empty() {
            return;
        }
        let mut section = TableSection::new();
        for table in self.reached.tables.clone() {
            let definition = &self.program.tables[table as usize];
            section.table(TableType {
                element_type: RefType { nullable: true, heap_type: self.heap(definition.element) },
                table64: false,
                minimum: u64::from(definition.minimum),
                maximum: Some(u64::from(definition.maximum)),
                shared: false,
            });
        }
        module.section(&section);
    }

    fn tag_section(&mut self, module: &mut Module) {
        if self.reached.tags.is_empty() && !self.reached.spare_tag {
            return;
        }
        let mut section = TagSection::new();
        let mut signatures: Vec<Signature> =
            self.reached.tags.iter().map(|tag| self.program.tags[*tag as usize].signature.clone()).collect();
        if self.reached.spare_tag {
            signatures.push(Signature::default());
        }
        for signature in signatures {
            section.tag(TagType { kind: TagKind::Exception, func_type_idx: self.signature_index(&signature) });
        }
        module.section(&section);
    }

    fn global_section(&mut self) -> GlobalSection {
        let mut section = GlobalSection::new();
        let fuel = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        section.global(fuel, &ConstExpr::i32_const(self.program.fuel));
        for global in self.reached.globals.clone() {
            let definition = self.program.globals[global as usize].clone();
            let value = match (definition.initial, definition.ty) {
                (Initial::I32(value), _) => ConstExpr::i32_const(value),
                (Initial::I64(value), _) => ConstExpr::i64_const(value),
                (Initial::F64(value), _) => ConstExpr::f64_const(value.into()),
                (Initial::Function(function), _) => ConstExpr::ref_func(self.function(Callee::Own(function))),
                (Initial::I31(value), _) => ConstExpr::extended([Instruction::I32Const(value), Instruction::RefI31]),
                (Initial::Zero, ValueType::I32) => ConstExpr::i32_const(0),
                (Initial::Zero, ValueType::I64) => ConstExpr::i64_const(0),
                (Initial::Zero, ValueType::F32) => ConstExpr::f32_const(0.0.into()),
                (Initial::Zero, ValueType::F64) => ConstExpr::f64_const(0.0.into()),
                (Initial::Zero, ValueType::V128) => ConstExpr::v128_const(0),
                (Initial::Zero, ValueType::Reference(reference)) => ConstExpr::ref_null(self.heap(reference.heap)),
            };
            let val_type = self.value_type(definition.ty);
            section.global(GlobalType { val_type, mutable: definition.mutable, shared: false }, &value);
        }
        section
    }

    fn export_section(&mut self, callees: &[Callee]) -> ExportSection {
        let mut section = ExportSection::new();
        for callee in callees {
            if let Callee::Own(id) = *callee
                && self.program.functions[id as usize].exported
            {
                let name = &self.program.functions[id as usize].name;
                section.export(name, ExportKind::Func, self.function(*callee));
            }
        }
        if self.reached.memory {
            section.export(MEMORY_NAME, ExportKind::Memory, 0);
        }
        for global in self.reached.globals.clone() {
            if self.program.globals[global as usize].exported {
                section.export(&format!("global{global}"), ExportKind::Global, self.global(global));
            }
        }
        for tag in self.reached.tags.clone() {
            if self.program.tags[tag as usize].exported {
                section.export(&format!("tag{tag}"), ExportKind::Tag, self.tag(tag));
            }
        }
        section
    }

    fn element_section(&mut self, module: &mut Module) {
        let mut section = ElementSection::new();
        for segment in self.reached.segments.clone() {
            let definition = self.program.segments[segment as usize].clone();
            let heap = self.heap(definition.element);
            let items: Vec<ConstExpr> = definition
                .items
                .iter()
                .map(|item| match item {
                    Some(function) => ConstExpr::ref_func(self.function(Callee::Own(*function))),
                    None => ConstExpr::ref_null(heap),
                })
                .collect();
            let elements = Elements::Expressions(RefType { nullable: true, heap_type: heap }, items.into());
            match definition.active {
                Some((table, offset)) => {
                    section.active(Some(self.table(table)), &ConstExpr::i32_const(offset as i32), elements);
                }
                None => {
                    section.passive(elements);
                }
            }
        }
        let declared: Vec<u32> =
            self.reached.referenced.clone().into_iter().map(|callee| self.function(callee)).collect();
        if !declared.is_empty() {
            section.declared(Elements::Functions(declared.into()));
        }
        if !section.is_empty() {
            module.section(&section);
        }
    }

    fn name_section(&mut self, callees: &[Callee]) -> NameSection {
        let mut names = NameSection::new();
        let mut functions = NameMap::new();
        for (index, host) in self.reached.hosts.iter().enumerate() {
            functions.append(index as u32, host.name());
        }
        for callee in callees {
            let name = match callee {
                Callee::Own(id) => self.program.functions[*id as usize].name.clone(),
                Callee::Stub(ty) => format!("default_{ty}"),
            };
            functions.append(self.function(*callee), &name);
        }
        names.functions(&functions);
        let mut types = NameMap::new();
        for (index, id) in self.type_groups.iter().flatten().enumerate() {
            let kind = match self.program.types[*id as usize] {
                TypeDefinition::Function(_) => "f",
                TypeDefinition::Continuation(_) => "c",
                TypeDefinition::Struct(_) => "s",
                TypeDefinition::Array(_) => "a",
            };
            types.append(index as u32, &format!("{kind}{id}"));
        }
        names.types(&types);
        let mut globals = NameMap::new();
        globals.append(FUEL_GLOBAL, "fuel");
        names.globals(&globals);
        let mut tags = NameMap::new();
        for (index, tag) in self.reached.tags.iter().enumerate() {
            tags.append(index as u32, &format!("tag{tag}"));
        }
        names.tag(&tags);
        names
    }

    // ---- bodies ----

    fn body(&mut self, callee: Callee) -> Result<wasm_encoder::Function> {
        let signature = self.program.signature(self.callee_type(callee)).clone();
        let parameters = signature.params.len() as u32;
        let mut body = Body {
            out: vec![],
            labels: vec![],
            locals: BTreeSet::new(),
            local_indices: BTreeMap::new(),
            depth_local: 0,
            results: signature.results.clone(),
            suspension_labels: BTreeSet::new(),
            catch_labels: BTreeSet::new(),
        };
        let mut locals = vec![];
        match callee {
            Callee::Own(id) => {
                let function: &Function = &self.program.functions[id as usize];
                function.body.iter().for_each(|node| collect_locals(node, &mut body.locals));
                for local in &body.locals {
                    if *local < parameters {
                        body.local_indices.insert(*local, *local);
                    } else {
                        body.local_indices.insert(*local, parameters + locals.len() as u32);
                        let Some(ty) = function.locals.get((*local - parameters) as usize) else {
                            bail!("local {local} of {} has no type", function.name);
                        };
                        locals.push(self.value_type(*ty));
                    }
                }
                body.depth_local = parameters + locals.len() as u32;
                if self.instrumented {
                    locals.push(ValType::I32);
                }
                self.fuel_check(&mut body)?;
                self.sequence(&mut body, &function.body)?;
            }
            Callee::Stub(_) => self.defaults(&mut body, &signature.results),
        }
        body.out.push(Instruction::End);
        let mut function = wasm_encoder::Function::new_with_locals_types(locals);
        for instruction in &body.out {
            function.instruction(instruction);
        }
        Ok(function)
    }

    /// Returns default values if the fuel is spent, and otherwise spends some.
    fn fuel_check(&mut self, body: &mut Body) -> Result<()> {
        body.out.extend([Instruction::GlobalGet(FUEL_GLOBAL), Instruction::I32Eqz, Instruction::If(BlockType::Empty)]);
        self.cover(body, Event::OutOfFuel);
        let results = body.results.clone();
        self.defaults(body, &results);
        body.out.extend([
            Instruction::Return,
            Instruction::End,
            Instruction::GlobalGet(FUEL_GLOBAL),
            Instruction::I32Const(1),
            Instruction::I32Sub,
            Instruction::GlobalSet(FUEL_GLOBAL),
        ]);
        Ok(())
    }

    /// Reports an event, if the encoding is instrumented.
    fn cover(&mut self, body: &mut Body, event: Event) {
        if self.instrumented {
            let cover = self.host(HostFunction::Cover);
            body.out.extend([
                Instruction::I32Const(event as i32),
                Instruction::I32Const(0),
                Instruction::Call(cover),
                Instruction::Drop,
            ]);
        }
    }

    /// Reports an event and keeps the depth that the host answers.
    fn cover_depth(&mut self, body: &mut Body, event: Event) {
        if self.instrumented {
            let cover = self.host(HostFunction::Cover);
            body.out.extend([
                Instruction::I32Const(event as i32),
                Instruction::I32Const(0),
                Instruction::Call(cover),
                Instruction::LocalSet(body.depth_local),
            ]);
        }
    }

    /// Reports an event together with the depth kept.
    fn cover_at_depth(&mut self, body: &mut Body, event: Event) {
        if self.instrumented {
            let cover = self.host(HostFunction::Cover);
            body.out.extend([
                Instruction::I32Const(event as i32),
                Instruction::LocalGet(body.depth_local),
                Instruction::Call(cover),
                Instruction::Drop,
            ]);
        }
    }

    fn defaults(&mut self, body: &mut Body, types: &[ValueType]) {
        for ty in types {
            self.default(body, *ty);
        }
    }

    fn default(&mut self, body: &mut Body, ty: ValueType) {
        let reference = match ty {
            ValueType::I32 => return body.out.push(Instruction::I32Const(0)),
            ValueType::I64 => return body.out.push(Instruction::I64Const(0)),
            ValueType::F32 => return body.out.push(Instruction::F32Const(0.0.into())),
            ValueType::F64 => return body.out.push(Instruction::F64Const(0.0.into())),
            ValueType::V128 => return body.out.push(Instruction::V128Const(0)),
            ValueType::Reference(reference) => reference,
        };
        if reference.nullable {
            let heap = self.heap(reference.heap);
            return body.out.push(Instruction::RefNull(heap));
        }
        match reference.heap {
            Heap::Any | Heap::Eq | Heap::I31 => body.out.extend([Instruction::I32Const(0), Instruction::RefI31]),
            Heap::Extern => {
                body.out.extend([Instruction::I32Const(0), Instruction::RefI31, Instruction::ExternConvertAny]);
            }
            Heap::Exn => {
                let tag = self.spare_tag();
                let result = BlockType::Result(ValType::Ref(RefType {
                    nullable: true,
                    heap_type: HeapType::Abstract { shared: false, ty: AbstractHeapType::Exn },
                }));
                body.out.extend([
                    Instruction::Block(result),
                    Instruction::TryTable(BlockType::Empty, vec![Catch::AllRef { label: 0 }].into()),
                    Instruction::Throw(tag),
                    Instruction::End,
                    Instruction::Unreachable,
                    Instruction::End,
                    Instruction::RefAsNonNull,
                ]);
            }
            // Any function will do where the type is not named: one that takes and gives nothing is made if need be.
            Heap::Func => {
                let ty = self.program.functions[0].ty;
                let function = self.function_reference(Callee::Stub(ty));
                body.out.push(Instruction::RefFunc(function));
            }
            Heap::Struct | Heap::Array => {
                let wanted = |definition: &TypeDefinition| match reference.heap {
                    Heap::Struct => matches!(definition, TypeDefinition::Struct(_)),
                    _ => matches!(definition, TypeDefinition::Array(_)),
                };
                let ty = self.program.types.iter().position(wanted).expect("the program has such a type");
                self.default(body, ValueType::non_null(Heap::Type(ty as u32)));
            }
            Heap::Type(id) => match self.program.types[id as usize] {
                TypeDefinition::Function(_) => {
                    let function = self.function_reference(Callee::Stub(id));
                    body.out.push(Instruction::RefFunc(function));
                }
                TypeDefinition::Continuation(function) => {
                    let stub = self.function_reference(Callee::Stub(function));
                    let ty = self.ty(id);
                    body.out.extend([Instruction::RefFunc(stub), Instruction::ContNew(ty)]);
                }
                TypeDefinition::Struct(_) => {
                    let ty = self.ty(id);
                    body.out.push(Instruction::StructNewDefault(ty));
                }
                TypeDefinition::Array(_) => {
                    let ty = self.ty(id);
                    body.out.extend([Instruction::I32Const(1), Instruction::ArrayNewDefault(ty)]);
                }
            },
        }
    }

    fn sequence(&mut self, body: &mut Body, nodes: &[Node]) -> Result<()> {
        nodes.iter().try_for_each(|node| self.node(body, node))
    }

    fn local(&self, body: &Body, local: Local) -> u32 {
        body.local_indices[&local]
    }

    fn store(&mut self, body: &mut Body, destinations: &[Option<Local>]) {
        for destination in destinations.iter().rev() {
            body.out.push(match destination {
                Some(local) => Instruction::LocalSet(self.local(body, *local)),
                None => Instruction::Drop,
            });
        }
    }

    fn nested(&mut self, body: &mut Body, label: Option<Label>, nodes: &[Node]) -> Result<()> {
        body.labels.push(label);
        self.sequence(body, nodes)?;
        body.labels.pop();
        body.out.push(Instruction::End);
        Ok(())
    }

    fn depth(&self, body: &Body, label: Label) -> Result<u32> {
        let position = body.labels.iter().rev().position(|other| *other == Some(label));
        position.map(|depth| depth as u32).ok_or_else(|| anyhow!("label {label} encloses no branch to it"))
    }

    fn handlers(&mut self, body: &mut Body, handlers: &[Handler]) -> Result<Vec<Handle>> {
        handlers
            .iter()
            .map(|handler| match *handler {
                Handler::Suspend(tag, label) => {
                    body.suspension_labels.insert(label);
                    Ok(Handle::OnLabel { tag: self.tag(tag), label: self.depth(body, label)? })
                }
                Handler::Switch(tag) => Ok(Handle::OnSwitch { tag: self.tag(tag) }),
            })
            .collect()
    }

    fn cover_table(&mut self, body: &mut Body, table: u32, event: Event) {
        if let Heap::Type(id) = self.program.tables[table as usize].element
            && matches!(self.program.types[id as usize], TypeDefinition::Continuation(_))
        {
            self.cover(body, event);
        }
    }

    fn node(&mut self, body: &mut Body, node: &Node) -> Result<()> {
        if let Op::Loop(label, arguments, destinations) = &node.op {
            self.sequence(body, &node.inputs)?;
            let ty = self.block_type(arguments, &node.results);
            body.out.push(Instruction::Loop(ty));
            self.store(body, destinations);
            self.fuel_check(body)?;
            return self.nested(body, Some(*label), &node.bodies[0]);
        }
        self.sequence(body, &node.inputs)?;
        let instruction = match &node.op {
            Op::Loop(..) => unreachable!("handled above"),
            Op::Plain(instruction) => {
                if accesses_memory(instruction) {
                    self.reached.memory = true;
                }
                if matches!(instruction, Instruction::ThrowRef) {
                    self.cover(body, Event::Throw);
                }
                instruction.clone()
            }
            Op::Default => {
                self.defaults(body, &node.results);
                return Ok(());
            }
            Op::LocalGet(local) => Instruction::LocalGet(self.local(body, *local)),
            Op::LocalSet(local) => Instruction::LocalSet(self.local(body, *local)),
            Op::LocalTee(local) => Instruction::LocalTee(self.local(body, *local)),
            Op::TakeLocal(local) => {
                let index = self.local(body, *local);
                let null = self.null_of(&node.results);
                body.out.extend([Instruction::LocalGet(index), null, Instruction::LocalSet(index)]);
                return Ok(());
            }
            Op::Assign(destinations) => {
                self.store(body, destinations);
                return Ok(());
            }
            Op::GlobalGet(global) => Instruction::GlobalGet(self.global(*global)),
            Op::GlobalSet(global) => Instruction::GlobalSet(self.global(*global)),
            Op::TakeGlobal(global) => {
                let index = self.global(*global);
                let null = self.null_of(&node.results);
                body.out.extend([Instruction::GlobalGet(index), null, Instruction::GlobalSet(index)]);
                return Ok(());
            }
            Op::TableGet(table) => {
                self.cover_table(body, *table, Event::TableGet);
                Instruction::TableGet(self.table(*table))
            }
            Op::TableSet(table) => {
                self.cover_table(body, *table, Event::TableSet);
                Instruction::TableSet(self.table(*table))
            }
            Op::TakeTable(table, index) => {
                self.cover_table(body, *table, Event::TableGet);
                let index = self.local(body, *index);
                let table = self.table(*table);
                let null = self.null_of(&node.results);
                body.out.extend([
                    Instruction::LocalGet(index),
                    Instruction::TableGet(table),
                    Instruction::LocalGet(index),
                    null,
                    Instruction::TableSet(table),
                ]);
                return Ok(());
            }
            Op::TableSize(table) => Instruction::TableSize(self.table(*table)),
            Op::TableGrow(table) => {
                self.cover_table(body, *table, Event::TableGrow);
                Instruction::TableGrow(self.table(*table))
            }
            Op::TableFill(table) => {
                self.cover_table(body, *table, Event::TableFill);
                Instruction::TableFill(self.table(*table))
            }
            Op::TableCopy { destination, source } => {
                self.cover_table(body, *destination, Event::TableCopy);
                Instruction::TableCopy { dst_table: self.table(*destination), src_table: self.table(*source) }
            }
            Op::TableInit(table, segment) => {
                self.cover_table(body, *table, Event::TableInit);
                Instruction::TableInit { elem_index: self.segment(*segment), table: self.table(*table) }
            }
            Op::ElementDrop(segment) => Instruction::ElemDrop(self.segment(*segment)),
            Op::Select(ty) => Instruction::TypedSelect(self.value_type(*ty)),
            Op::RefNull(heap) => Instruction::RefNull(self.heap(*heap)),
            Op::RefFunc(function) => Instruction::RefFunc(self.function_reference(Callee::Own(*function))),
            Op::RefTest(reference) => {
                let heap = self.heap(reference.heap);
                if reference.nullable { Instruction::RefTestNullable(heap) } else { Instruction::RefTestNonNull(heap) }
            }
            Op::RefCast(reference) => {
                let heap = self.heap(reference.heap);
                if reference.nullable { Instruction::RefCastNullable(heap) } else { Instruction::RefCastNonNull(heap) }
            }
            Op::StructNew(ty) => Instruction::StructNew(self.ty(*ty)),
            Op::StructNewDefault(ty) => Instruction::StructNewDefault(self.ty(*ty)),
            Op::StructGet(ty, field_index) => {
                let TypeDefinition::Struct(fields) = &self.program.types[*ty as usize] else {
                    bail!("type {ty} is not a struct");
                };
                let packed = !matches!(fields[*field_index as usize], Storage::Value(_));
                let (struct_type_index, field_index) = (self.ty(*ty), *field_index);
                if packed {
                    Instruction::StructGetS { struct_type_index, field_index }
                } else {
                    Instruction::StructGet { struct_type_index, field_index }
                }
            }
            Op::StructSet(ty, field) => Instruction::StructSet { struct_type_index: self.ty(*ty), field_index: *field },
            Op::ArrayNew(ty) => Instruction::ArrayNew(self.ty(*ty)),
            Op::ArrayNewFixed(ty, count) => {
                Instruction::ArrayNewFixed { array_type_index: self.ty(*ty), array_size: *count }
            }
            Op::ArrayGet(ty) => {
                let packed = !matches!(self.program.types[*ty as usize], TypeDefinition::Array(Storage::Value(_)));
                let index = self.ty(*ty);
                if packed { Instruction::ArrayGetU(index) } else { Instruction::ArrayGet(index) }
            }
            Op::ArraySet(ty) => Instruction::ArraySet(self.ty(*ty)),
            Op::Host(host) => Instruction::Call(self.host(*host)),
            Op::Call(function) => Instruction::Call(self.function(Callee::Own(*function))),
            Op::CallIndirect(ty, table) => {
                self.cover(body, Event::IndirectCall);
                Instruction::CallIndirect { type_index: self.ty(*ty), table_index: self.table(*table) }
            }
            Op::CallReference(ty) => {
                self.cover(body, Event::IndirectCall);
                Instruction::CallRef(self.ty(*ty))
            }
            Op::ReturnCall(function) => {
                self.cover(body, Event::TailCall);
                Instruction::ReturnCall(self.function(Callee::Own(*function)))
            }
            Op::ReturnCallIndirect(ty, table) => {
                self.cover(body, Event::TailCall);
                Instruction::ReturnCallIndirect { type_index: self.ty(*ty), table_index: self.table(*table) }
            }
            Op::ReturnCallReference(ty) => {
                self.cover(body, Event::TailCall);
                Instruction::ReturnCallRef(self.ty(*ty))
            }
            Op::ContNew(ty) => {
                self.reached.fresh.insert(*ty);
                Instruction::ContNew(self.ty(*ty))
            }
            Op::ContBind { from, to } => {
                let event = if self.reached.fresh.contains(from) { Event::BindFresh } else { Event::BindSuspended };
                self.reached.fresh.extend(self.reached.fresh.contains(from).then_some(*to));
                self.cover(body, event);
                Instruction::ContBind { argument_index: self.ty(*from), result_index: self.ty(*to) }
            }
            Op::Suspend(tag) => {
                self.cover(body, Event::Suspend);
                Instruction::Suspend(self.tag(*tag))
            }
            Op::Resume(ty, handlers) => {
                self.cover_depth(body, Event::Resume);
                let resume_table = self.handlers(body, handlers)?.into();
                body.out.push(Instruction::Resume { cont_type_index: self.ty(*ty), resume_table });
                self.cover_at_depth(body, Event::Finished);
                return Ok(());
            }
            Op::ResumeThrow(ty, tag, handlers) => {
                self.cover_depth(body, Event::ResumeThrow);
                let resume_table = self.handlers(body, handlers)?.into();
                let (cont_type_index, tag_index) = (self.ty(*ty), self.tag(*tag));
                body.out.push(Instruction::ResumeThrow { cont_type_index, tag_index, resume_table });
                self.cover_at_depth(body, Event::ResumeThrowFinished);
                return Ok(());
            }
            Op::ResumeThrowReference(ty, handlers) => {
                self.cover_depth(body, Event::ResumeThrow);
                let resume_table = self.handlers(body, handlers)?.into();
                body.out.push(Instruction::ResumeThrowRef { cont_type_index: self.ty(*ty), resume_table });
                self.cover_at_depth(body, Event::ResumeThrowFinished);
                return Ok(());
            }
            Op::Switch(ty, tag) => {
                self.reached.switch = true;
                self.cover(body, Event::Switch);
                let (cont_type_index, tag_index) = (self.ty(*ty), self.tag(*tag));
                body.out.push(Instruction::Switch { cont_type_index, tag_index });
                self.cover(body, Event::SwitchedBack);
                return Ok(());
            }
            Op::Throw(tag) => {
                self.cover(body, Event::Throw);
                Instruction::Throw(self.tag(*tag))
            }
            Op::Sequence => return self.sequence(body, &node.bodies[0]),
            Op::Block(label) => {
                let ty = self.block_type(&[], &node.results);
                body.out.push(Instruction::Block(ty));
                return self.nested(body, Some(*label), &node.bodies[0]);
            }
            Op::If => {
                let ty = self.block_type(&[], &node.results);
                body.out.push(Instruction::If(ty));
                body.labels.push(None);
                self.sequence(body, &node.bodies[0])?;
                if !node.bodies[1].is_empty() {
                    body.out.push(Instruction::Else);
                    self.sequence(body, &node.bodies[1])?;
                }
                body.labels.pop();
                Instruction::End
            }
            Op::Landing(label, payload, destinations) => {
                body.out.push(Instruction::Block(BlockType::Empty));
                body.labels.push(None);
                let ty = self.block_type(&[], payload);
                body.out.push(Instruction::Block(ty));
                body.labels.push(Some(*label));
                self.sequence(body, &node.bodies[0])?;
                body.out.extend([Instruction::Br(1), Instruction::End]);
                body.labels.pop();
                self.store(body, destinations);
                if body.suspension_labels.contains(label) {
                    self.cover_at_depth(body, Event::Handled);
                }
                if body.catch_labels.contains(label) {
                    self.cover_at_depth(body, Event::Caught);
                }
                self.sequence(body, &node.bodies[1])?;
                body.labels.pop();
                Instruction::End
            }
            Op::TryTable(clauses) => {
                self.cover_depth(body, Event::Depth);
                let mut catches = vec![];
                for clause in clauses {
                    body.catch_labels.insert(clause.label());
                    let label = self.depth(body, clause.label())?;
                    catches.push(match *clause {
                        CatchClause::One(tag, _) => Catch::One { tag: self.tag(tag), label },
                        CatchClause::OneReference(tag, _) => Catch::OneRef { tag: self.tag(tag), label },
                        CatchClause::All(_) => Catch::All { label },
                        CatchClause::AllReference(_) => Catch::AllRef { label },
                    });
                }
                let ty = self.block_type(&[], &node.results);
                body.out.push(Instruction::TryTable(ty, catches.into()));
                return self.nested(body, None, &node.bodies[0]);
            }
            Op::Br(label) => Instruction::Br(self.depth(body, *label)?),
            Op::BrIf(label) => Instruction::BrIf(self.depth(body, *label)?),
            Op::BrTable(labels, default) => {
                let targets: Result<Vec<u32>> = labels.iter().map(|label| self.depth(body, *label)).collect();
                Instruction::BrTable(targets?.into(), self.depth(body, *default)?)
            }
            Op::BrOnNull(label) => Instruction::BrOnNull(self.depth(body, *label)?),
        };
        body.out.push(instruction);
        Ok(())
    }

    fn null_of(&mut self, types: &[ValueType]) -> Instruction<'static> {
        match types {
            [ValueType::Reference(reference)] => Instruction::RefNull(self.heap(reference.heap)),
            other => panic!("only a reference can be taken out of its place, not {other:?}"),
        }
    }
}

fn accesses_memory(instruction: &Instruction) -> bool {
    matches!(
        instruction,
        Instruction::I32Load(_)
            | Instruction::I64Load(_)
            | Instruction::F64Load(_)
            | Instruction::I32Load8U(_)
            | Instruction::I32Load16S(_)
            | Instruction::V128Load(_)
            | Instruction::I32Store(_)
            | Instruction::I64Store(_)
            | Instruction::F32Store(_)
            | Instruction::F64Store(_)
            | Instruction::I32Store8(_)
            | Instruction::V128Store(_)
            | Instruction::MemoryFill(_)
            | Instruction::MemoryCopy { .. }
            | Instruction::MemorySize(_)
            | Instruction::MemoryGrow(_)
    )
}

fn collect_locals(node: &Node, locals: &mut BTreeSet<Local>) {
    match &node.op {
        Op::LocalGet(local) | Op::LocalSet(local) | Op::LocalTee(local) | Op::TakeLocal(local) => {
            locals.insert(*local);
        }
        Op::TakeTable(_, local) => {
            locals.insert(*local);
        }
        Op::Assign(destinations) | Op::Loop(_, _, destinations) | Op::Landing(_, _, destinations) => {
            locals.extend(destinations.iter().flatten());
        }
        _ => {}
    }
    node.inputs.iter().chain(node.bodies.iter().flatten()).for_each(|child| collect_locals(child, locals));
}

/// Tarjan's strongly connected components over the types that mention each other; groups come out referents first.
struct StrongComponents<'a> {
    program: &'a Program,
    order: BTreeMap<TypeId, u32>,
    lowest: BTreeMap<TypeId, u32>,
    stack: Vec<TypeId>,
    groups: Vec<Vec<TypeId>>,
}

impl<'a> StrongComponents<'a> {
    fn new(program: &'a Program) -> Self {
        StrongComponents { program, order: BTreeMap::new(), lowest: BTreeMap::new(), stack: vec![], groups: vec![] }
    }

    fn mentioned(&self, ty: TypeId) -> Vec<TypeId> {
        match &self.program.types[ty as usize] {
            TypeDefinition::Function(signature) => {
                signature.params.iter().chain(&signature.results).filter_map(|ty| ty.pointee()).collect()
            }
            TypeDefinition::Continuation(function) => vec![*function],
            TypeDefinition::Struct(fields) => fields.iter().filter_map(|field| field.unpacked().pointee()).collect(),
            TypeDefinition::Array(element) => element.unpacked().pointee().into_iter().collect(),
        }
    }

    fn visit(&mut self, ty: TypeId) {
        let number = self.order.len() as u32;
        self.order.insert(ty, number);
        self.lowest.insert(ty, number);
        self.stack.push(ty);
        for other in self.mentioned(ty) {
            if !self.order.contains_key(&other) {
                self.visit(other);
                let lowest = self.lowest[&ty].min(self.lowest[&other]);
                self.lowest.insert(ty, lowest);
            } else if self.stack.contains(&other) {
                let lowest = self.lowest[&ty].min(self.order[&other]);
                self.lowest.insert(ty, lowest);
            }
        }
        if self.lowest[&ty] == number {
            let start = self.stack.iter().position(|other| *other == ty).expect("it was pushed above");
            let mut group = self.stack.split_off(start);
            group.sort_unstable();
            self.groups.push(group);
        }
    }
}
