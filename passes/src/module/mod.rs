//! Module passes: each sees the whole module.

pub mod dead_arguments;
pub mod direct_calls;
pub mod duplicate_functions;
pub mod duplicate_imports;
pub mod globals;
pub mod inlining;
pub mod memory_packing;
pub mod types;
pub mod unused_elements;

use wasmfx_ir::module::{ElementItems, Item, Module, Origin};
use wasmfx_ir::references::{IndexSpace, visit_const_expr};

/// Calls `visit` with each function that anything but a body refers to: exports, the start, globals, tables and element segments.
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
