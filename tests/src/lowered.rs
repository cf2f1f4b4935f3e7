//! Instances of lowered modules whose insides can be seen.

use wasmfx::lowering::{LoweringArguments, lower_binary};
use wasmfx_ir::encode::encode_module;
use wasmfx_ir::module::{Export, Item};
use wasmfx_ir::parse::{ParseOptions, parse_module};
use wasmtime::{Global, Instance, Memory, Module, Store, StoreLimits, Val};

use crate::differential::run::{EngineOptions, engine};

/// An instance of the lowered module on an engine without stack switching.
pub struct Lowered {
    /// The store that the instance lives in.
    pub store: Store<StoreLimits>,
    instance: Instance,
}

impl Lowered {
    /// An instance of a module in the text format, lowered, with every global and memory that has a name exported by it.
    ///
    /// # Panics
    /// If the module cannot be lowered or instantiated.
    pub fn new(text: &str, arguments: &LoweringArguments, limits: StoreLimits) -> Self {
        let (lowered, _) = lower_binary(&wat::parse_str(text).unwrap(), &arguments.options()).unwrap();
        Self::of_binary(lowered, limits)
    }

    /// The same of a module that was lowered.
    ///
    /// # Panics
    /// If it cannot be instantiated.
    pub fn of_binary(lowered: Vec<u8>, limits: StoreLimits) -> Self {
        let mut module = parse_module(lowered, &ParseOptions::default()).unwrap();
        let mut exports = Vec::new();
        for (id, global) in module.globals.iter() {
            exports.extend(global.name.clone().map(|name| Export { name, item: Item::Global(id) }));
        }
        for (id, memory) in module.memories.iter() {
            exports.extend(memory.name.clone().map(|name| Export { name, item: Item::Memory(id) }));
        }
        // Names of types may repeat, those of exports may not.
        exports.retain(|export| !module.exports.iter().any(|other| other.name == export.name));
        let mut seen = std::collections::BTreeSet::new();
        exports.retain(|export| seen.insert(export.name.clone()));
        module.exports.extend(exports);
        let engine = engine(EngineOptions { stack_switching: false, ..EngineOptions::default() }).unwrap();
        let module = Module::new(&engine, encode_module(&module).unwrap()).unwrap();
        let mut store = Store::new(&engine, limits);
        store.limiter(|limits| limits);
        store.set_epoch_deadline(1_000_000);
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        Self { store, instance }
    }

    /// Calls an export with numbers. The result is the first one, or zero where there is none.
    ///
    /// # Errors
    /// If the call traps or throws.
    ///
    /// # Panics
    /// If there is no such export, or it takes or returns anything else.
    pub fn call(&mut self, name: &str, arguments: &[i32]) -> wasmtime::Result<i32> {
        let function = self.instance.get_func(&mut self.store, name).unwrap();
        let arguments: Vec<Val> = arguments.iter().map(|&argument| Val::I32(argument)).collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        function.call(&mut self.store, &arguments, &mut results)?;
        Ok(results.first().map_or(0, |result| result.unwrap_i32()))
    }

    /// A global of the lowered module.
    ///
    /// # Panics
    /// If none has this name.
    pub fn global(&mut self, name: &str) -> Global {
        self.instance.get_global(&mut self.store, name).unwrap()
    }

    /// The memory that frames are kept in.
    ///
    /// # Panics
    /// If frames are kept elsewhere.
    pub fn frames(&mut self) -> Memory {
        self.instance.get_memory(&mut self.store, "wasmfx.frames").unwrap()
    }
}
