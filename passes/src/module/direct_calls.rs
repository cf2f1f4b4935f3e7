//! `call_indirect` and `call_ref` to `call`: where the table never changes and the index is constant, or the reference is a `ref.func`.
//!
//! A table never changes if it is defined here, not exported, and no live instruction writes it (`table.set`, `.grow`, `.fill`, `.copy` into it, `.init` of it).
//! Its entries are known only as far as it is certain that all segments up to there were written. The type that the instruction expects must be met by the function, else the instruction traps and stays.

use crate::options::Options;
use crate::pass_table::Changed;
use rayon::prelude::*;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{Func, Terminator, Value};
use wasmfx_ir::module::{
    Body, ConstExpr, ElementItems, ElementKind, FunctionId, Item, Module, Origin, TableId, TypeId,
};
use wasmfx_ir::wasmparser::Operator;

/// Tables with more constant entries than this are not tabulated: an initial size costs nothing to write and memory to model.
const MAX_ENTRIES: u64 = 1 << 20;

/// Runs the pass.
pub fn run(module: &mut Module, _options: &Options) -> Changed {
    let tables = constant_tables(module);
    let types: Vec<TypeId> = module.functions.values().map(|function| function.ty).collect();
    let changed = module
        .functions
        .as_mut_slice()
        .par_iter_mut()
        .map(|function| match &mut function.body {
            Body::Lifted(func) => rewrite(func, &tables, &types),
            Body::Import | Body::Lazy(_) | Body::Detached | Body::Removed => false,
        })
        .reduce(|| false, |a, b| a | b);
    Changed::from_flag(changed)
}

/// The known entries of the tables that never change: `Some` for a function, `None` for null or unknown.
type ConstantTables = SecondaryMap<TableId, Option<Vec<Option<FunctionId>>>>;

fn constant_tables(module: &Module) -> ConstantTables {
    let mut tables: ConstantTables = SecondaryMap::new();
    let opaque = module.functions.values().any(|function| matches!(function.body, Body::Lazy(_)));
    if opaque {
        return tables;
    }
    for (id, table) in module.tables.iter() {
        if table.origin == Origin::Definition && table.init.is_none() && table.ty.initial <= MAX_ENTRIES {
            tables[id] = Some(vec![None; table.ty.initial as usize]);
        }
    }
    for export in &module.exports {
        if let Item::Table(id) = export.item {
            tables[id] = None;
        }
    }
    for function in module.functions.values() {
        let Body::Lifted(func) = &function.body else { continue };
        for (_, operator) in func.operators.iter() {
            match *operator {
                Operator::TableSet { table }
                | Operator::TableGrow { table }
                | Operator::TableFill { table }
                | Operator::TableCopy { dst_table: table, .. }
                | Operator::TableInit { table, .. } => tables[TableId::from_u32(table)] = None,
                _ => {}
            }
        }
    }
    // A segment that is out of bounds traps at instantiation, and neither it nor those after it are written. Code that an earlier segment has put
    // into an imported table can run nevertheless.
    let mut may_have_trapped = false;
    for element in module.elements.values().filter(|element| !element.removed) {
        let ElementKind::Active { table, offset } = &element.kind else { continue };
        let items: Vec<Option<FunctionId>> = match &element.items {
            ElementItems::Functions(functions) => functions.iter().copied().map(Some).collect(),
            ElementItems::Expressions(_, expressions) => expressions.iter().map(function_reference).collect(),
        };
        let start = offset.constant_offset();
        let end = start.and_then(|start| start.checked_add(items.len() as u64));
        may_have_trapped |= end.is_none_or(|end| end > module.tables[*table].ty.initial);
        match (&mut tables[*table], start) {
            (Some(entries), Some(start)) if !may_have_trapped => {
                entries[start as usize..start as usize + items.len()].copy_from_slice(&items);
            }
            (entries, _) => *entries = None,
        }
    }
    tables
}

fn function_reference(expression: &ConstExpr) -> Option<FunctionId> {
    match expression.operators[..] {
        [Operator::RefFunc { function_index }] => Some(FunctionId::from_u32(function_index)),
        _ => None,
    }
}

fn rewrite(func: &mut Func, tables: &ConstantTables, types: &[TypeId]) -> bool {
    let resolve = |func: &Func, operator: &Operator<'static>, callee: Value| -> Option<FunctionId> {
        let target = match *operator {
            Operator::CallIndirect { type_index, table_index }
            | Operator::ReturnCallIndirect { type_index, table_index } => {
                let entries = tables[TableId::from_u32(table_index)].as_ref()?;
                let &Operator::I32Const { value } = func.defining_operator(callee)? else { return None };
                let target = entries.get(value.cast_unsigned() as usize).copied().flatten()?;
                // Identity of the type numbers is enough: equal types have been made one by then, and subtypes are left alone.
                (types[wasmfx_ir::entity::Entity::index(target)].as_u32() == type_index).then_some(target)?
            }
            Operator::CallRef { .. } | Operator::ReturnCallRef { .. } => match *func.defining_operator(callee)? {
                Operator::RefFunc { function_index } => FunctionId::from_u32(function_index),
                _ => return None,
            },
            _ => return None,
        };
        Some(target)
    };
    let mut changed = false;
    for block in func.blocks.keys() {
        for at in 0..func.blocks[block].insts.len() {
            let inst = func.blocks[block].insts[at];
            let Some((&callee, args)) = func.operands(inst).split_last() else { continue };
            if let Some(target) = resolve(func, func.operator(inst), callee) {
                let args = args.to_vec();
                func.replace_inst(inst, Operator::Call { function_index: target.as_u32() }, &args);
                changed = true;
            }
        }
        let Some((operator, [.., callee])) = func.blocks[block].terminator.call() else { continue };
        let Some(target) = resolve(func, &func.operators[operator], *callee) else { continue };
        let function_index = target.as_u32();
        let call = func.operators.intern(Operator::Call { function_index });
        let tail_call = func.operators.intern(Operator::ReturnCall { function_index });
        match &mut func.blocks[block].terminator {
            Terminator::TailCall { operator, args } => {
                *operator = tail_call;
                args.pop();
            }
            Terminator::Invoke(invoke) => {
                invoke.operator = call;
                invoke.args.pop();
            }
            _ => unreachable!("only tail calls and invokes get here"),
        }
        changed = true;
    }
    changed
}
