//! The order in which definitions get their indices: often used ones first, so that their indices take fewer bytes.

use wasmfx_ir::encode::Order;
use wasmfx_ir::entity::{Entity, PrimaryMap, SecondaryMap};
use wasmfx_ir::module::{Body, FunctionId, GlobalId, Module};
use wasmfx_ir::references::IndexSpace;

/// Indices below this take one byte.
pub(crate) const ONE_BYTE: usize = 128;

/// The order of functions and globals by how often code refers to them; ties stay in the order of the module.
///
/// Bodies that stay bytes are not counted: their uses weigh nothing, which costs bytes but is never wrong.
pub fn order_by_use(module: &Module) -> Order {
    let mut functions: SecondaryMap<FunctionId, u32> = SecondaryMap::new();
    let mut globals: SecondaryMap<GlobalId, u32> = SecondaryMap::new();
    for function in module.functions.values() {
        if let Body::Lifted(func) = &function.body {
            func.visit_references(|space, number, uses| match space {
                IndexSpace::Function => functions[FunctionId::from_u32(number)] += uses,
                IndexSpace::Global => globals[GlobalId::from_u32(number)] += uses,
                IndexSpace::Type
                | IndexSpace::Table
                | IndexSpace::Memory
                | IndexSpace::Tag
                | IndexSpace::Element
                | IndexSpace::Data => {}
            });
        }
    }
    Order {
        functions: most_used_first(&module.functions, &functions),
        globals: globals_by_use(module, &globals),
        ..Order::default()
    }
}

/// Globals may refer to earlier ones in their initialisers, so they are reordered only where none does.
fn globals_by_use(module: &Module, uses: &SecondaryMap<GlobalId, u32>) -> Vec<GlobalId> {
    let mut depend = false;
    for init in module.globals.values().filter_map(|global| global.init.as_ref()) {
        wasmfx_ir::references::visit_const_expr(init, &mut |space, _| depend |= space == IndexSpace::Global);
    }
    if depend { Vec::new() } else { most_used_first(&module.globals, uses) }
}

fn most_used_first<K: Entity, V>(items: &PrimaryMap<K, V>, uses: &SecondaryMap<K, u32>) -> Vec<K> {
    // Where every index takes one byte anyway, the source's order is worth more: it is what people see.
    if items.len() <= ONE_BYTE {
        return Vec::new();
    }
    let mut order: Vec<K> = items.keys().collect();
    order.sort_by_key(|&id| std::cmp::Reverse(uses[id]));
    order
}
