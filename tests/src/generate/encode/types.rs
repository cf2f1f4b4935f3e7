//! The type section.

use std::collections::BTreeMap;

use wasm_encoder::{
    ArrayType, CompositeInnerType, CompositeType, ContType, FuncType, StructType, SubType, TypeSection,
};

use super::Encoder;
use crate::generate::program::{Program, Signature, TypeDefinition, TypeId};

impl Encoder<'_> {
    /// Puts types that need each other into one recursion group, and every other type into its own, in an order in which
    /// only groups already defined are mentioned. Equal types in groups of their own are one type to an engine.
    pub(super) fn number_types(&mut self) {
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

    pub(super) fn type_section(&mut self) -> TypeSection {
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

    pub(super) fn function_type(&mut self, signature: &Signature) -> FuncType {
        FuncType::new(self.value_types(&signature.params), self.value_types(&signature.results))
    }
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
