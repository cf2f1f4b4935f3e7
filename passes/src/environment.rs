//! What a function pass may know of the module around its function.

use crate::options::Options;
use wasmfx_ir::module::{
    Function, FunctionId, Global, GlobalId, Memory, MemoryId, Module, Table, TableId, Tag, TagId, TypeId,
};
use wasmfx_ir::wasmparser::{CompositeInnerType, FuncType, SubType};

/// A read-only view of a module without its bodies: a function pass cannot see another function's body, so passes run on all functions in parallel.
#[derive(Copy, Clone)]
pub struct ModuleEnvironment<'a> {
    module: &'a Module,
    /// The user's options.
    pub options: &'a Options,
}

impl<'a> ModuleEnvironment<'a> {
    /// The view of `module`, whose bodies must be [detached](wasmfx_ir::module::Body::Detached).
    pub(crate) fn new(module: &'a Module, options: &'a Options) -> Self {
        Self { module, options }
    }

    /// The module's type section, exports, segments and the like. Bodies are detached.
    pub fn module(&self) -> &'a Module {
        self.module
    }

    /// A type definition.
    pub fn sub_type(&self, ty: TypeId) -> &'a SubType {
        &self.module.types.definitions[ty].sub_type
    }

    /// The parameters and results of a function type, or of the function type of a continuation type.
    ///
    /// # Panics
    /// If `ty` is neither, which validation has excluded.
    pub fn func_type(&self, ty: TypeId) -> &'a FuncType {
        match &self.sub_type(ty).composite_type.inner {
            CompositeInnerType::Func(func) => func,
            CompositeInnerType::Cont(cont) => {
                let index = cont.0.as_module_index().expect("types in the IR refer to each other by number");
                self.func_type(TypeId::from_u32(index))
            }
            CompositeInnerType::Struct(_) | CompositeInnerType::Array(_) => panic!("{ty} is not a function type"),
        }
    }

    /// A function, without its body.
    pub fn function(&self, function: FunctionId) -> &'a Function {
        &self.module.functions[function]
    }

    /// A global.
    pub fn global(&self, global: GlobalId) -> &'a Global {
        &self.module.globals[global]
    }

    /// A table.
    pub fn table(&self, table: TableId) -> &'a Table {
        &self.module.tables[table]
    }

    /// A memory.
    pub fn memory(&self, memory: MemoryId) -> &'a Memory {
        &self.module.memories[memory]
    }

    /// A tag.
    pub fn tag(&self, tag: TagId) -> &'a Tag {
        &self.module.tags[tag]
    }
}
