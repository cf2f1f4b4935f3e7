//! Module passes: each sees the whole module.

pub mod constant_pool;
pub mod dead_arguments;
mod description;
pub mod direct_calls;
pub mod duplicate_functions;
pub mod duplicate_imports;
pub mod globals;
pub mod inlining;
pub mod memory_packing;
mod plain_types;
pub mod similar_functions;
pub mod types;
pub mod unused_elements;

use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::module::{Body, ElementItems, FunctionId, Item, Module, Origin};
use wasmfx_ir::references::{IndexSpace, visit_const_expr};

/// Calls `visit` with what exports of functions, the start, and the values of globals, tables and element segments refer to: every function that
/// anything but a body refers to is among it.
fn for_each_reference_outside_of_bodies(module: &Module, visit: &mut impl FnMut(IndexSpace, u32)) {
    for global in module.globals.values().filter(|global| global.origin != Origin::Removed) {
        global.init.iter().for_each(|init| visit_const_expr(init, visit));
    }
    for table in module.tables.values().filter(|table| table.origin != Origin::Removed) {
        table.init.iter().for_each(|init| visit_const_expr(init, visit));
    }
    for element in module.elements.values().filter(|element| !element.removed) {
        match &element.items {
            ElementItems::Functions(functions) => {
                functions.iter().for_each(|function| visit(IndexSpace::Function, function.as_u32()));
            }
            ElementItems::Expressions(_, expressions) => {
                expressions.iter().for_each(|expression| visit_const_expr(expression, visit));
            }
        }
    }
    for export in &module.exports {
        if let Item::Function(function) = export.item {
            visit(IndexSpace::Function, function.as_u32());
        }
    }
    module.start.iter().for_each(|start| visit(IndexSpace::Function, start.as_u32()));
}

/// References to functions go to what replaces them, and their bodies go.
fn replace_functions(module: &mut Module, replacement: &SecondaryMap<FunctionId, Option<FunctionId>>) {
    module.map_references(&mut |space, number| match space {
        IndexSpace::Function => replacement[FunctionId::from_u32(number)].map_or(number, FunctionId::as_u32),
        _ => number,
    });
    for (id, function) in module.functions.iter_mut() {
        if replacement[id].is_some() {
            function.body = Body::Removed;
        }
    }
}
