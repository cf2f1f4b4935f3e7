//! Declarations of function references.
//!
//! A body may say `ref.func f` only if `f` is mentioned outside of bodies: in an export, a segment, or an initialiser (the set *refs* of the
//! specification's module validation). Passes remove such mentions, and move references to functions that had none, so the declarations are
//! brought up to date once, before the module is written.

use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::module::{
    Body, ConstExpr, ElementItems, ElementKind, ElementSegment, FunctionId, Global, Item, Module, Origin,
};
use wasmfx_ir::references::{IndexSpace, visit_const_expr};
use wasmfx_ir::wasmparser::{GlobalType, Operator, RefType, ValType, WasmFeatures};

/// Declares the functions that bodies refer to and nothing declares, if there are any.
pub fn declare_function_references(module: &mut Module) {
    let declared = declared_functions(module);
    let mut referenced: SecondaryMap<FunctionId, bool> = SecondaryMap::new();
    for function in module.functions.values() {
        let Body::Lifted(func) = &function.body else { continue };
        func.for_each_used_operator(|operator, _| {
            if let Operator::RefFunc { function_index } = func.operators[operator] {
                referenced[FunctionId::from_u32(function_index)] = true;
            }
        });
    }
    let missing = module.functions.keys().filter(|&id| referenced[id] && !declared[id]).collect();
    declare(module, missing);
}

/// Adds a declarative segment for functions, if there are any. Such segments came with bulk memory; where the module does without that, constant
/// globals declare them.
pub(crate) fn declare(module: &mut Module, missing: Vec<FunctionId>) {
    if !module.features.contains(WasmFeatures::BULK_MEMORY) {
        for function in missing {
            let operator = Operator::RefFunc { function_index: function.as_u32() };
            module.globals.push(Global {
                ty: GlobalType { content_type: ValType::Ref(RefType::FUNCREF), mutable: false, shared: false },
                origin: Origin::Definition,
                init: Some(ConstExpr { operators: vec![operator] }),
                name: None,
            });
        }
    } else if !missing.is_empty() {
        module.elements.push(ElementSegment {
            kind: ElementKind::Declared,
            items: ElementItems::Functions(missing),
            name: None,
            removed: false,
        });
    }
}

/// The functions that are mentioned outside of bodies.
pub(crate) fn declared_functions(module: &Module) -> SecondaryMap<FunctionId, bool> {
    let mut declared: SecondaryMap<FunctionId, bool> = SecondaryMap::new();
    let mut visit = |expression: &ConstExpr| {
        visit_const_expr(expression, &mut |space, number| {
            if space == IndexSpace::Function {
                declared[FunctionId::from_u32(number)] = true;
            }
        });
    };
    let globals = module.globals.values().filter(|global| global.origin != Origin::Removed);
    globals.filter_map(|global| global.init.as_ref()).for_each(&mut visit);
    let tables = module.tables.values().filter(|table| table.origin != Origin::Removed);
    tables.filter_map(|table| table.init.as_ref()).for_each(&mut visit);
    for element in module.elements.values().filter(|element| !element.removed) {
        if let ElementItems::Expressions(_, expressions) = &element.items {
            expressions.iter().for_each(&mut visit);
        }
    }
    for element in module.elements.values().filter(|element| !element.removed) {
        if let ElementItems::Functions(functions) = &element.items {
            functions.iter().for_each(|&function| declared[function] = true);
        }
    }
    for export in &module.exports {
        if let Item::Function(function) = export.item {
            declared[function] = true;
        }
    }
    declared
}
