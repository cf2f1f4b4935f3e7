//! Globals: one that nothing writes becomes immutable, reads of a constant become the constant, and writes to one that nothing reads go.
//!
//! A global can be judged if it is defined here and not exported, and no body stays bytes.

use crate::options::Options;
use crate::pass_table::Changed;
use rayon::prelude::*;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::Func;
use wasmfx_ir::module::{Body, ConstExpr, ElementItems, ElementKind, GlobalId, Item, Module, Origin};
use wasmfx_ir::references::{IndexSpace, visit_const_expr};
use wasmfx_ir::wasmparser::Operator;

/// What is known of a global.
#[derive(Clone, Default)]
struct Knowledge {
    /// It is defined here and not exported: all its uses are in sight.
    private: bool,
    read: bool,
    written: bool,
    /// The constant it holds at any time, once nothing writes it.
    constant: Option<Operator<'static>>,
}

/// Runs the pass.
pub fn run(module: &mut Module, _options: &Options) -> Changed {
    if module.functions.values().any(|function| matches!(function.body, Body::Lazy(_))) {
        return Changed::No;
    }
    let knowledge = knowledge(module);
    let mut changed = false;
    for (id, global) in module.globals.iter_mut() {
        if knowledge[id].private && global.ty.mutable && !knowledge[id].written && global.origin == Origin::Definition {
            global.ty.mutable = false;
            changed = true;
        }
    }
    changed |= module
        .functions
        .as_mut_slice()
        .par_iter_mut()
        .map(|function| match &mut function.body {
            Body::Lifted(func) => rewrite(func, &knowledge),
            Body::Import | Body::Lazy(_) | Body::Detached | Body::Removed => false,
        })
        .reduce(|| false, |a, b| a | b);
    // A constant expression names a constant global for the same bytes or more.
    let mut fold = |expression: &mut ConstExpr| {
        for operator in &mut expression.operators {
            if let Operator::GlobalGet { global_index } = *operator
                && let Some(constant) = &knowledge[GlobalId::from_u32(global_index)].constant
            {
                *operator = constant.clone();
                changed = true;
            }
        }
    };
    for global in module.globals.values_mut() {
        global.init.iter_mut().for_each(&mut fold);
    }
    for element in module.elements.values_mut() {
        if let ElementKind::Active { offset, .. } = &mut element.kind {
            fold(offset);
        }
        if let ElementItems::Expressions(_, expressions) = &mut element.items {
            expressions.iter_mut().for_each(&mut fold);
        }
    }
    for segment in module.data.values_mut() {
        if let Some((_, offset)) = &mut segment.active {
            fold(offset);
        }
    }
    Changed::from_flag(changed)
}

fn knowledge(module: &Module) -> SecondaryMap<GlobalId, Knowledge> {
    let mut knowledge: SecondaryMap<GlobalId, Knowledge> = SecondaryMap::new();
    for (id, global) in module.globals.iter() {
        knowledge[id].private = global.origin == Origin::Definition;
    }
    for export in &module.exports {
        if let Item::Global(id) = export.item {
            knowledge[id].private = false;
        }
    }
    for function in module.functions.values() {
        let Body::Lifted(func) = &function.body else { continue };
        func.for_each_used_operator(|operator, _| {
            let operator = &func.operators[operator];
            match *operator {
                Operator::GlobalGet { global_index } => knowledge[GlobalId::from_u32(global_index)].read = true,
                Operator::GlobalSet { global_index } => knowledge[GlobalId::from_u32(global_index)].written = true,
                _ => wasmfx_ir::references::visit_operator(operator, &mut |space, number| {
                    // Atomic accesses of shared globals: seen by other threads.
                    if space == IndexSpace::Global {
                        knowledge[GlobalId::from_u32(number)].private = false;
                    }
                }),
            }
        });
    }
    let mut visit = |space: IndexSpace, number: u32| {
        if space == IndexSpace::Global {
            knowledge[GlobalId::from_u32(number)].read = true;
        }
    };
    module.globals.values().flat_map(|global| &global.init).for_each(|init| visit_const_expr(init, &mut visit));
    module.tables.values().flat_map(|table| &table.init).for_each(|init| visit_const_expr(init, &mut visit));
    // Globals are defined in order, each from earlier ones, so chains of constants resolve in one sweep.
    for (id, global) in module.globals.iter() {
        let known = &knowledge[id];
        let never_written = !global.ty.mutable || (known.private && !known.written);
        if global.origin != Origin::Definition || !never_written {
            continue;
        }
        let constant = global.init.as_ref().and_then(|init| match init.operators[..] {
            [Operator::GlobalGet { global_index }] => knowledge[GlobalId::from_u32(global_index)].constant.clone(),
            [ref operator] if can_stand_for_reads(operator) => Some(operator.clone()),
            _ => None,
        });
        knowledge[id].constant = constant;
    }
    knowledge
}

/// Whether a constant may take the place of a read. Numbers may: they let code fold, and emission shares them where that is smaller. A `ref.func`
/// may not: it might need a declaration, and its type is narrower than the global's.
fn can_stand_for_reads(operator: &Operator<'static>) -> bool {
    matches!(
        operator,
        Operator::I32Const { .. } | Operator::I64Const { .. } | Operator::F32Const { .. } | Operator::F64Const { .. }
    )
}

fn rewrite(func: &mut Func, knowledge: &SecondaryMap<GlobalId, Knowledge>) -> bool {
    let mut changed = false;
    for block in func.blocks.keys() {
        let mut insts = std::mem::take(&mut func.blocks[block].insts);
        insts.retain(|&inst| {
            match *func.operator(inst) {
                Operator::GlobalGet { global_index } => {
                    if let Some(constant) = &knowledge[GlobalId::from_u32(global_index)].constant {
                        func.replace_inst(inst, constant.clone(), &[]);
                        changed = true;
                    }
                }
                Operator::GlobalSet { global_index } => {
                    let known = &knowledge[GlobalId::from_u32(global_index)];
                    if known.private && !known.read {
                        changed = true;
                        return false;
                    }
                }
                _ => {}
            }
            true
        });
        func.blocks[block].insts = insts;
    }
    changed
}
