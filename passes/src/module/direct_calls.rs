//! `call_indirect` and `call_ref` to `call`: where the table never changes and the index is constant, or the reference is a `ref.func`, or, in a closed
//! world, can only be to one function.
//!
//! A table never changes if it is defined here, not exported, and no live instruction writes it (`table.set`, `.grow`, `.fill`, `.copy` into it, `.init` of it).
//! Its entries are known only as far as it is certain that all segments up to there were written. The type that the instruction expects must be met by the function, else the instruction traps and stays.
//!
//! In a closed world ([`Options::closed_world`]) a reference of a type that no import or export mentions is to one of the functions of that type, or
//! of a subtype, that the module refers to. If that is a single one, the call is of it, once the reference is known not to be null. To test that takes
//! more bytes than the call saves, so where size comes first a reference that may be null keeps its call.

use super::types::reached;
use crate::options::{Options, ShrinkLevel};
use crate::pass_table::Changed;
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{Block, Func, Terminator, Value};
use wasmfx_ir::module::{
    Body, ConstExpr, ElementItems, ElementKind, FunctionId, Item, Module, Origin, TableId, TypeId,
};
use wasmfx_ir::references::{IndexSpace, visit_val_type};
use wasmfx_ir::subtype::Subtyping;
use wasmfx_ir::wasmparser::{Operator, ValType};

/// How many entries that no segment writes are tabulated, in all tables together: they cost nothing to write, and memory to model.
const MAX_EMPTY_ENTRIES: u64 = 1 << 20;

/// Runs the pass.
pub fn run(module: &mut Module, options: &Options) -> Changed {
    let tables = constant_tables(module);
    let only_targets = if options.closed_world { only_targets(module) } else { FxHashMap::default() };
    let types: Vec<TypeId> = module.functions.values().map(|function| function.ty).collect();
    let size_first = options.shrink != ShrinkLevel::None;
    let changed = module
        .functions
        .as_mut_slice()
        .par_iter_mut()
        .map(|function| match &mut function.body {
            Body::Lifted(func) => rewrite(func, &tables, &types, &only_targets, size_first),
            Body::Import | Body::Lazy(_) | Body::Detached | Body::Removed => false,
        })
        .reduce(|| false, |a, b| a | b);
    Changed::from_flag(changed)
}

/// The known entries of the tables that never change, as far as segments reach: `Some` for a function, `None` for null or unknown.
type ConstantTables = SecondaryMap<TableId, Option<Vec<Option<FunctionId>>>>;

fn constant_tables(module: &Module) -> ConstantTables {
    let mut tables: ConstantTables = SecondaryMap::new();
    let opaque = module.functions.values().any(|function| matches!(function.body, Body::Lazy(_)));
    if opaque {
        return tables;
    }
    for (id, table) in module.tables.iter() {
        if table.origin == Origin::Definition && table.init.is_none() {
            tables[id] = Some(Vec::new());
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
    let mut empty_entries_left = MAX_EMPTY_ENTRIES;
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
                let empty = start.saturating_sub(entries.len() as u64);
                if empty > empty_entries_left {
                    tables[*table] = None;
                    continue;
                }
                empty_entries_left -= empty;
                let end = start as usize + items.len();
                entries.resize(end.max(entries.len()), None);
                entries[start as usize..end].copy_from_slice(&items);
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

/// For each type that code outside knows nothing of, the function that every reference of the type is to, if there is just one.
type OnlyTargets = FxHashMap<TypeId, FunctionId>;

fn only_targets(module: &Module) -> OnlyTargets {
    let mut referenced: FxHashSet<FunctionId> = FxHashSet::default();
    let mut refer = |space, number| {
        if space == IndexSpace::Function {
            referenced.insert(FunctionId::from_u32(number));
        }
    };
    for function in module.functions.values() {
        match &function.body {
            // Those that are interned and not used may be of functions that are gone.
            Body::Lifted(func) => func.for_each_used_operator(|operator, _| {
                if let Operator::RefFunc { function_index } = func.operators[operator] {
                    refer(IndexSpace::Function, function_index);
                }
            }),
            // Bytes that are not looked into may refer to anything.
            Body::Lazy(_) => return OnlyTargets::default(),
            Body::Import | Body::Detached | Body::Removed => {}
        }
    }
    super::for_each_reference_outside_of_bodies(module, &mut refer);
    let subtyping = Subtyping::new(&module.types);
    let mut targets: FxHashMap<TypeId, Option<FunctionId>> = FxHashMap::default();
    for (id, function) in module.functions.iter().filter(|(id, _)| referenced.contains(id)) {
        let mut next = Some(function.ty);
        while let Some(ty) = next {
            targets.entry(subtyping.canonical(ty)).and_modify(|only| *only = None).or_insert(Some(id));
            next = module.types.supertype(ty);
        }
    }
    let public: FxHashSet<TypeId> = public_types(module).into_iter().map(|ty| subtyping.canonical(ty)).collect();
    let is_private = |ty: &TypeId| !public.contains(&subtyping.canonical(*ty));
    let private = module.types.definitions.keys().filter(is_private);
    private.filter_map(|ty| Some((ty, targets.get(&subtyping.canonical(ty)).copied().flatten()?))).collect()
}

/// The types that imports and exports mention, and what those are made of.
fn public_types(module: &Module) -> FxHashSet<TypeId> {
    let mut mentioned: Vec<TypeId> = Vec::new();
    let imports = module.imports.iter().map(|import| import.item);
    for item in imports.chain(module.exports.iter().map(|export| export.item)) {
        let ty = match item {
            Item::Function(function) => {
                mentioned.push(module.functions[function].ty);
                continue;
            }
            Item::Tag(tag) => {
                mentioned.push(module.tags[tag].ty);
                continue;
            }
            Item::Memory(_) => continue,
            Item::Global(global) => module.globals[global].ty.content_type,
            Item::Table(table) => ValType::Ref(module.tables[table].ty.element_type),
        };
        visit_val_type(ty, &mut |_, number| mentioned.push(TypeId::from_u32(number)));
    }
    reached(&module.types, mentioned)
}

/// What an indirect call calls.
struct Target {
    function: FunctionId,
    /// Whether the call traps if its reference is null.
    checks_null: bool,
}

fn rewrite(
    func: &mut Func,
    tables: &ConstantTables,
    types: &[TypeId],
    only_targets: &OnlyTargets,
    size_first: bool,
) -> bool {
    let resolve = |func: &Func, operator: &Operator<'static>, callee: Value| -> Option<Target> {
        let always = |function| Target { function, checks_null: false };
        let target = match *operator {
            Operator::CallIndirect { type_index, table_index }
            | Operator::ReturnCallIndirect { type_index, table_index } => {
                let entries = tables[TableId::from_u32(table_index)].as_ref()?;
                let &Operator::I32Const { value } = func.defining_operator(callee)? else { return None };
                let target = entries.get(value.cast_unsigned() as usize).copied().flatten()?;
                // Identity of the type numbers is enough: equal types have been made one by then, and subtypes are left alone.
                (types[wasmfx_ir::entity::Entity::index(target)].as_u32() == type_index).then_some(always(target))?
            }
            Operator::CallRef { type_index } | Operator::ReturnCallRef { type_index } => {
                match func.defining_operator(callee) {
                    Some(&Operator::RefFunc { function_index }) => always(FunctionId::from_u32(function_index)),
                    _ => {
                        let function = *only_targets.get(&TypeId::from_u32(type_index))?;
                        let checks_null =
                            matches!(func.value_type(callee), ValType::Ref(reference) if reference.is_nullable());
                        (!(checks_null && size_first)).then_some(Target { function, checks_null })?
                    }
                }
            }
            _ => return None,
        };
        Some(target)
    };
    let mut changed = false;
    for block in func.blocks.keys() {
        let mut at = 0;
        while at < func.blocks[block].insts.len() {
            let inst = func.blocks[block].insts[at];
            at += 1;
            let Some((&callee, args)) = func.operands(inst).split_last() else { continue };
            let args = args.to_vec();
            let Some(target) = resolve(func, func.operator(inst), callee) else { continue };
            func.replace_inst(inst, Operator::Call { function_index: target.function.as_u32() }, &args);
            if target.checks_null {
                check_null(func, block, at - 1, callee);
                at += 1;
            }
            changed = true;
        }
        let Some((operator, &[.., callee])) = func.blocks[block].terminator.call() else { continue };
        let Some(target) = resolve(func, &func.operators[operator], callee) else { continue };
        if target.checks_null {
            check_null(func, block, func.blocks[block].insts.len(), callee);
        }
        let function_index = target.function.as_u32();
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

/// Traps where a call of a null reference would.
fn check_null(func: &mut Func, block: Block, at: usize, reference: Value) {
    // The old bytes, with the indirect call, would win by size.
    func.original = None;
    let ValType::Ref(ty) = func.value_type(reference) else { unreachable!("only references are null") };
    func.insert(block, at, Operator::RefAsNonNull, &[reference], &[ValType::Ref(ty.as_non_null())]);
}
