//! From the tree to a module.
//!
//! Bodies are emitted twice by the same code: first to find out what the program reaches (each request for an index adds to a
//! work list), then, with everything that is not reached left out and the rest numbered, for good.
//!
//! | module | |
//! |---|---|
//! | `indices` | what is reached, and the index that it has |
//! | `types` | the type section: recursion groups in the order of their references |
//! | `sections` | the other sections |
//! | `body` | a function's instructions |
//! | `defaults` | default values, and what returns them when the fuel is spent |
//! | `instrument` | reports of what a run does |

mod body;
mod defaults;
mod indices;
mod instrument;
mod sections;
mod types;

use std::collections::BTreeMap;

use anyhow::Result;
use wasm_encoder::{CodeSection, FunctionSection, MemorySection, MemoryType, Module, StartSection};

use super::program::{Program, TypeId};
use indices::{Callee, Reached};

/// Encodes `program`.
///
/// # Errors
/// If an edit has left a branch without its label.
pub fn encode(program: &Program) -> Result<Vec<u8>> {
    Encoder::new(program, false).module()
}

/// Encodes `program` so that it reports what it does to `host.cover`.
///
/// # Errors
/// As [`encode`].
pub fn encode_instrumented(program: &Program) -> Result<Vec<u8>> {
    Encoder::new(program, true).module()
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
            let ty = MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None };
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
}
