//! Indices: each request for one while searching marks the thing as reached.

use std::collections::BTreeSet;

use wasm_encoder::{AbstractHeapType, BlockType, FieldType, HeapType, RefType, StorageType, ValType};

use super::Encoder;
use crate::generate::program::{
    FunctionId, Heap, HostFunction, Initial, Reference, Signature, Storage, TypeDefinition, TypeId, ValueType,
};

/// A function of the module: the program's own, or one made to give default results for a type.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Callee {
    Own(FunctionId),
    Stub(TypeId),
}

/// What the program reaches. Sets are ordered, so the numbering follows the program's own order.
#[derive(Default)]
pub(super) struct Reached {
    pub(super) functions: BTreeSet<Callee>,
    pub(super) types: BTreeSet<TypeId>,
    pub(super) tags: BTreeSet<u32>,
    pub(super) globals: BTreeSet<u32>,
    pub(super) tables: BTreeSet<u32>,
    pub(super) segments: BTreeSet<u32>,
    pub(super) hosts: BTreeSet<HostFunction>,
    /// Functions whose reference is taken in code, which must be declared.
    pub(super) referenced: BTreeSet<Callee>,
    /// Function types of blocks, tags and imports, which the program has no id for.
    pub(super) signatures: Vec<Signature>,
    /// The continuation types that `cont.new` makes: the others are only ever suspended ones.
    pub(super) fresh: BTreeSet<TypeId>,
    pub(super) memory: bool,
    /// Whether anything switches.
    pub(super) switch: bool,
    /// The tag by which a default exception reference is made.
    pub(super) spare_tag: bool,
}

impl Encoder<'_> {
    pub(super) fn function(&mut self, callee: Callee) -> u32 {
        if self.searching {
            if self.reached.functions.insert(callee) {
                self.work.push(callee);
            }
            return 0;
        }
        let position = self.reached.functions.iter().position(|other| *other == callee);
        (self.reached.hosts.len() + position.expect("every function was reached by the search")) as u32
    }

    pub(super) fn function_reference(&mut self, callee: Callee) -> u32 {
        if self.searching {
            self.reached.referenced.insert(callee);
        }
        self.function(callee)
    }

    pub(super) fn host(&mut self, host: HostFunction) -> u32 {
        if self.searching {
            self.reached.hosts.insert(host);
            self.signature_index(&host.signature());
            return 0;
        }
        self.reached.hosts.iter().position(|other| *other == host).expect("every import was reached") as u32
    }

    pub(super) fn ty(&mut self, id: TypeId) -> u32 {
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
    pub(super) fn signature_index(&mut self, signature: &Signature) -> u32 {
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

    pub(super) fn tag(&mut self, tag: u32) -> u32 {
        if self.searching {
            self.reached.tags.insert(tag);
            self.signature_index(&self.program.tags[tag as usize].signature);
            return 0;
        }
        self.reached.tags.iter().position(|other| *other == tag).expect("every tag was reached") as u32
    }

    pub(super) fn spare_tag(&mut self) -> u32 {
        if self.searching {
            self.reached.spare_tag = true;
            self.signature_index(&Signature::default());
        }
        self.reached.tags.len() as u32
    }

    pub(super) fn global(&mut self, global: u32) -> u32 {
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

    pub(super) fn table(&mut self, table: u32) -> u32 {
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

    pub(super) fn segment(&mut self, segment: u32) -> u32 {
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

    pub(super) fn heap(&mut self, heap: Heap) -> HeapType {
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

    pub(super) fn reference(&mut self, reference: Reference) -> RefType {
        RefType { nullable: reference.nullable, heap_type: self.heap(reference.heap) }
    }

    pub(super) fn value_type(&mut self, ty: ValueType) -> ValType {
        match ty {
            ValueType::I32 => ValType::I32,
            ValueType::I64 => ValType::I64,
            ValueType::F32 => ValType::F32,
            ValueType::F64 => ValType::F64,
            ValueType::V128 => ValType::V128,
            ValueType::Reference(reference) => ValType::Ref(self.reference(reference)),
        }
    }

    pub(super) fn value_types(&mut self, types: &[ValueType]) -> Vec<ValType> {
        types.iter().map(|ty| self.value_type(*ty)).collect()
    }

    pub(super) fn storage(&mut self, storage: Storage) -> FieldType {
        let element_type = match storage {
            Storage::I8 => StorageType::I8,
            Storage::I16 => StorageType::I16,
            Storage::Value(ty) => StorageType::Val(self.value_type(ty)),
        };
        FieldType { element_type, mutable: true }
    }

    pub(super) fn block_type(&mut self, params: &[ValueType], results: &[ValueType]) -> BlockType {
        match (params, results) {
            ([], []) => BlockType::Empty,
            ([], [result]) => BlockType::Result(self.value_type(*result)),
            _ => BlockType::FunctionType(
                self.signature_index(&Signature { params: params.to_vec(), results: results.to_vec() }),
            ),
        }
    }
}
