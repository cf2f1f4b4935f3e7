//! All sections but those of types, code and memory.

use wasm_encoder::{
    ConstExpr, ElementSection, Elements, EntityType, ExportKind, ExportSection, GlobalSection, GlobalType,
    ImportSection, Instruction, Module, NameMap, NameSection, RefType, TableSection, TableType, TagKind, TagSection,
    TagType, ValType,
};

use super::Encoder;
use super::defaults::FUEL_GLOBAL;
use super::indices::Callee;
use crate::generate::program::{Initial, Signature, TypeDefinition, ValueType};

const MEMORY_NAME: &str = "memory";

impl Encoder<'_> {
    pub(super) fn import_section(&mut self, module: &mut Module) {
        if self.reached.hosts.is_empty() {
            return;
        }
        let mut section = ImportSection::new();
        for host in self.reached.hosts.clone() {
            section.import("host", host.name(), EntityType::Function(self.signature_index(&host.signature())));
        }
        module.section(&section);
    }

    pub(super) fn table_section(&mut self, module: &mut Module) {
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

    pub(super) fn tag_section(&mut self, module: &mut Module) {
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

    pub(super) fn global_section(&mut self) -> GlobalSection {
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

    pub(super) fn export_section(&mut self, callees: &[Callee]) -> ExportSection {
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
        for table in self.reached.tables.clone() {
            if self.program.tables[table as usize].exported {
                section.export(&format!("table{table}"), ExportKind::Table, self.table(table));
            }
        }
        for tag in self.reached.tags.clone() {
            if self.program.tags[tag as usize].exported {
                section.export(&format!("tag{tag}"), ExportKind::Tag, self.tag(tag));
            }
        }
        section
    }

    pub(super) fn element_section(&mut self, module: &mut Module) {
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

    pub(super) fn name_section(&mut self, callees: &[Callee]) -> NameSection {
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
}
