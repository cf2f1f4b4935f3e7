//! The module `spectest`, which the conformance suites import from.

use anyhow::Result;
use wasmtime::{
    Caller, Global, GlobalType, Linker, Memory, MemoryType, MemoryTypeBuilder, Mutability, Ref, RefType, SharedMemory,
    Store, Table, TableType, Val, ValType,
};

use super::engine_error;
use super::values::{display_f32, display_f64};

/// The name to import from.
pub const MODULE: &str = "spectest";

const TABLE_MIN: u32 = 10;
const TABLE_MAX: u32 = 20;
const MEMORY_MIN: u32 = 1;
const MEMORY_MAX: u32 = 2;

/// Receives what the print functions print.
pub trait Printer {
    /// One line, without its end.
    fn print(&mut self, line: &str);
}

/// Defines all of `spectest` in a linker.
///
/// # Errors
/// If the engine cannot make an item.
pub fn define<T: Printer + 'static>(linker: &mut Linker<T>, store: &mut Store<T>) -> Result<()> {
    define_functions(linker).map_err(engine_error)?;
    define_state(linker, store).map_err(engine_error)
}

fn define_functions<T: Printer + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let i32 = |value: i32| format!("{value} : i32");
    let i64 = |value: i64| format!("{value} : i64");
    let f32 = |value: f32| format!("{} : f32", display_f32(value.to_bits()));
    let f64 = |value: f64| format!("{} : f64", display_f64(value.to_bits()));
    linker.func_wrap(MODULE, "print", |_: Caller<'_, T>| {})?;
    linker.func_wrap(MODULE, "print_i32", move |mut caller: Caller<'_, T>, a: i32| caller.data_mut().print(&i32(a)))?;
    linker.func_wrap(MODULE, "print_i64", move |mut caller: Caller<'_, T>, a: i64| caller.data_mut().print(&i64(a)))?;
    linker.func_wrap(MODULE, "print_f32", move |mut caller: Caller<'_, T>, a: f32| caller.data_mut().print(&f32(a)))?;
    linker.func_wrap(MODULE, "print_f64", move |mut caller: Caller<'_, T>, a: f64| caller.data_mut().print(&f64(a)))?;
    linker.func_wrap(MODULE, "print_i32_f32", move |mut caller: Caller<'_, T>, a: i32, b: f32| {
        caller.data_mut().print(&i32(a));
        caller.data_mut().print(&f32(b));
    })?;
    linker.func_wrap(MODULE, "print_f64_f64", move |mut caller: Caller<'_, T>, a: f64, b: f64| {
        caller.data_mut().print(&f64(a));
        caller.data_mut().print(&f64(b));
    })?;
    Ok(())
}

fn define_state<T: 'static>(linker: &mut Linker<T>, store: &mut Store<T>) -> wasmtime::Result<()> {
    let globals = [
        ("global_i32", ValType::I32, Val::I32(666)),
        ("global_i64", ValType::I64, Val::I64(666)),
        ("global_f32", ValType::F32, Val::F32(666.6_f32.to_bits())),
        ("global_f64", ValType::F64, Val::F64(666.6_f64.to_bits())),
    ];
    for (name, ty, value) in globals {
        let global = Global::new(&mut *store, GlobalType::new(ty, Mutability::Const), value)?;
        linker.define(&mut *store, MODULE, name, global)?;
    }
    let table = Table::new(&mut *store, TableType::new(RefType::FUNCREF, TABLE_MIN, Some(TABLE_MAX)), Ref::Func(None))?;
    linker.define(&mut *store, MODULE, "table", table)?;
    let type64 = TableType::new64(RefType::FUNCREF, TABLE_MIN.into(), Some(TABLE_MAX.into()));
    let table64 = Table::new(&mut *store, type64, Ref::Func(None))?;
    linker.define(&mut *store, MODULE, "table64", table64)?;
    let memory = Memory::new(&mut *store, MemoryType::new(MEMORY_MIN, Some(MEMORY_MAX)))?;
    linker.define(&mut *store, MODULE, "memory", memory)?;
    let shared =
        MemoryTypeBuilder::default().min(MEMORY_MIN.into()).max(Some(MEMORY_MAX.into())).shared(true).build()?;
    let shared = SharedMemory::new(store.engine(), shared)?;
    linker.define(&mut *store, MODULE, "shared_memory", shared)?;
    Ok(())
}
