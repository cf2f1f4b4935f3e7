//! The type section: equal recursion groups become one, groups that nothing uses go, and the rest are ordered by use.
//!
//! Types have no identity besides their structure (iso-recursive equality, spec section "Type equivalence"): two groups that are equal define equal types. A
//! group stays or goes as a whole, and stands after the groups that it refers to; among those that may come next, the most used comes first, so
//! that the indices of types that code mentions often stay short.

use crate::options::Options;
use crate::pass_table::Changed;
use rustc_hash::FxHashSet;
use std::collections::BinaryHeap;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::Func;
use wasmfx_ir::module::{Body, ElementItems, Module, Origin, RecursionGroup, TypeDefinition, TypeId, Types};
use wasmfx_ir::references::{IndexSpace, visit_const_expr, visit_sub_type, visit_val_type};
use wasmfx_ir::subtype::Subtyping;
use wasmfx_ir::wasmparser::{CompositeInnerType, SubType, ValType};

/// Runs the pass.
pub fn run(module: &mut Module, _options: &Options) -> Changed {
    // Bytes that are not looked into may use any type.
    if module.functions.values().any(|function| matches!(function.body, Body::Lazy(_))) {
        return Changed::No;
    }
    let canonical = Subtyping::new(&module.types).into_canonical();
    module.map_references(&mut |space, number| match space {
        IndexSpace::Type => canonical[number as usize].as_u32(),
        _ => number,
    });
    let mut uses = count_uses(module);
    let is_unused_function_type = |group: &RecursionGroup| {
        let id = TypeId::from_u32(group.range.start);
        !group.range.is_empty()
            && uses[id] == 0
            && matches!(module.types.definitions[id].sub_type.composite_type.inner, CompositeInnerType::Func(_))
    };
    if module.types.groups.iter().any(is_unused_function_type) {
        count_types_of_blocks(module, &mut uses);
    }
    let order = order_groups(&module.types, &uses);
    let unchanged = order.len() == module.types.groups.len() && order.is_sorted();
    if unchanged {
        return Changed::No;
    }
    apply_order(module, &order);
    Changed::Yes
}

/// How often each type is mentioned by anything but types.
pub(super) fn count_uses(module: &Module) -> SecondaryMap<TypeId, u32> {
    let mut uses: SecondaryMap<TypeId, u32> = SecondaryMap::with_default_and_len(0, module.types.definitions.len());
    let mut count_all = |space: IndexSpace, number: u32, times: u32| {
        if space == IndexSpace::Type {
            let uses = &mut uses[TypeId::from_u32(number)];
            *uses = uses.saturating_add(times);
        }
    };
    for function in module.functions.values().filter(|function| !matches!(function.body, Body::Removed)) {
        count_all(IndexSpace::Type, function.ty.as_u32(), 1);
        if let Body::Lifted(func) = &function.body {
            func.visit_references(&mut count_all);
            visit_value_types(func, &mut |space, number| count_all(space, number, 1));
        }
    }
    let mut count = |space: IndexSpace, number: u32| count_all(space, number, 1);
    for table in module.tables.values().filter(|table| table.origin != Origin::Removed) {
        visit_val_type(ValType::Ref(table.ty.element_type), &mut count);
        table.init.iter().for_each(|init| visit_const_expr(init, &mut count));
    }
    for global in module.globals.values().filter(|global| global.origin != Origin::Removed) {
        visit_val_type(global.ty.content_type, &mut count);
        global.init.iter().for_each(|init| visit_const_expr(init, &mut count));
    }
    let tags = module.tags.values().filter(|tag| tag.origin != Origin::Removed);
    tags.for_each(|tag| count(IndexSpace::Type, tag.ty.as_u32()));
    for element in module.elements.values().filter(|element| !element.removed) {
        if let ElementItems::Expressions(ty, expressions) = &element.items {
            visit_val_type(ValType::Ref(*ty), &mut count);
            expressions.iter().for_each(|expression| visit_const_expr(expression, &mut count));
        }
    }
    uses
}

/// Counts the function types of blocks in the bytes that bodies come from: where those are smaller than what would be emitted they are written again,
/// and what is emitted may need the same types.
fn count_types_of_blocks(module: &Module, uses: &mut SecondaryMap<TypeId, u32>) {
    for function in module.functions.values() {
        let Body::Lifted(func) = &function.body else { continue };
        let Some(original) = &func.original else { continue };
        original.block_types().for_each(|ty| uses[ty] += 1);
    }
}

/// The types of all values: a local may have a type that no operator mentions.
fn visit_value_types(func: &Func, count: &mut impl FnMut(IndexSpace, u32)) {
    let mut visit = |value| visit_val_type(func.value_type(value), count);
    for block in func.blocks.values() {
        block.params.iter().copied().for_each(&mut visit);
        block.insts.iter().flat_map(|&inst| func.inst_results(inst)).for_each(&mut visit);
    }
}

/// The positions of the groups that are used, in their new order.
fn order_groups(types: &Types, uses: &SecondaryMap<TypeId, u32>) -> Vec<usize> {
    let count = types.groups.len();
    let group_of = |number: u32| types.group_of(TypeId::from_u32(number));
    let mut dependencies: Vec<Vec<usize>> = Vec::with_capacity(count);
    for (position, group) in types.groups.iter().enumerate() {
        let mut list = Vec::new();
        for number in group.range.clone() {
            visit_sub_type(&types.definitions[TypeId::from_u32(number)].sub_type, &mut |_, number| {
                let other = group_of(number);
                if other != position {
                    list.push(other);
                }
            });
        }
        list.sort_unstable();
        list.dedup();
        dependencies.push(list);
    }
    let weight: Vec<u64> = types
        .groups
        .iter()
        .map(|group| group.range.clone().map(|number| u64::from(uses[TypeId::from_u32(number)])).sum())
        .collect();
    // Groups refer to earlier ones only, so one sweep from the end finds all that are used through others.
    let mut used: Vec<bool> = weight.iter().map(|&weight| weight > 0).collect();
    for position in (0..count).rev() {
        if used[position] {
            dependencies[position].iter().for_each(|&other| used[other] = true);
        }
    }
    let mut waiting: Vec<usize> = dependencies.iter().map(Vec::len).collect();
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (position, list) in dependencies.iter().enumerate().filter(|&(position, _)| used[position]) {
        list.iter().for_each(|&other| dependents[other].push(position));
    }
    let entry = |position: usize| (weight[position], std::cmp::Reverse(position));
    let mut ready: BinaryHeap<_> =
        (0..count).filter(|&position| used[position] && waiting[position] == 0).map(entry).collect();
    let mut order = Vec::new();
    while let Some((_, std::cmp::Reverse(position))) = ready.pop() {
        order.push(position);
        for &dependent in &dependents[position] {
            waiting[dependent] -= 1;
            if waiting[dependent] == 0 {
                ready.push(entry(dependent));
            }
        }
    }
    order
}

fn apply_order(module: &mut Module, order: &[usize]) {
    rebuild(module, order.iter().map(|&position| (position, None)));
}

/// Replaces a module's types by some of its groups, which are said by their positions, each with one more type at its end if one is given. Groups stand
/// behind those that they refer to. Every type gets a new number.
pub(crate) fn rebuild(module: &mut Module, groups: impl IntoIterator<Item = (usize, Option<SubType>)>) {
    let old = std::mem::take(&mut module.types);
    let mut renumbered: SecondaryMap<TypeId, TypeId> = SecondaryMap::with_default(TypeId::from_u32(0));
    let mut new = Types::default();
    for (position, last) in groups {
        let group = &old.groups[position];
        let start = new.definitions.next_key().as_u32();
        for number in group.range.clone() {
            let old_id = TypeId::from_u32(number);
            renumbered[old_id] = new.definitions.push(old.definitions[old_id].clone());
        }
        let explicit = group.explicit || last.is_some();
        if let Some(sub_type) = last {
            new.definitions.push(TypeDefinition { sub_type, name: None, field_names: Vec::new() });
        }
        new.groups.push(RecursionGroup { range: start..new.definitions.next_key().as_u32(), explicit });
    }
    module.types = new;
    module.map_references(&mut |space, number| match space {
        IndexSpace::Type => renumbered[TypeId::from_u32(number)].as_u32(),
        _ => number,
    });
}

/// Types, and all that they are made of.
pub(crate) fn reached(types: &Types, from: impl IntoIterator<Item = TypeId>) -> FxHashSet<TypeId> {
    let mut work: Vec<TypeId> = from.into_iter().collect();
    let mut reached = FxHashSet::default();
    while let Some(ty) = work.pop() {
        if reached.insert(ty) {
            visit_sub_type(&types.definitions[ty].sub_type, &mut |_, number| work.push(TypeId::from_u32(number)));
        }
    }
    reached
}
