//! Constant expressions that read imported globals which are defined here now.

use super::MergeError;
use super::link::Targets;
use wasmfx_ir::Module;
use wasmfx_ir::entity::{Entity, PrimaryMap};
use wasmfx_ir::module::{ConstExpr, ElementItems, ElementKind, Global, GlobalId, Item, Origin};
use wasmfx_ir::references::IndexSpace;
use wasmfx_ir::wasmparser::{Operator, WasmFeatures};

/// Values of more operators than this are read from their global rather than repeated, where that is possible: sums of sums would grow without bound.
const MAX_REPEATED: usize = 8;

/// How many operators values that are longer than that may come to, all together, where they have to be repeated.
const MAX_REPEATED_LONG: usize = 1 << 20;

/// Replaces reads of imported globals in constant expressions by the values of the globals that they are now, wherever the value may be repeated.
///
/// A module that read an imported global must not need another feature after merging: before garbage collection, constant expressions could read
/// imported globals only. What tables start with never can read others.
pub(super) fn resolve(module: &mut Module, targets: &Targets) -> Result<(), MergeError> {
    let target = |id: GlobalId| match targets.get(Item::Global(id)) {
        Item::Global(id) => id,
        _ => unreachable!("an import's target is of its kind"),
    };
    let may_read = module.features.contains(WasmFeatures::GC);
    let mut left = MAX_REPEATED_LONG;
    for id in in_dependency_order(module, &target)? {
        let global = &module.globals[id];
        if let (Origin::Definition, Some(init)) = (global.origin, &global.init) {
            let init = expand(init, &module.globals, &target, may_read, &mut left)?;
            module.globals[id].init = Some(init);
        }
    }
    let globals = &module.globals;
    let mut replace = |expression: &mut ConstExpr, may_read: bool| -> Result<(), MergeError> {
        *expression = expand(expression, globals, &target, may_read, &mut left)?;
        Ok(())
    };
    for table in module.tables.values_mut() {
        table.init.iter_mut().try_for_each(|init| replace(init, false))?;
    }
    for segment in module.elements.values_mut() {
        if let ElementKind::Active { offset, .. } = &mut segment.kind {
            replace(offset, may_read)?;
        }
        if let ElementItems::Expressions(_, expressions) = &mut segment.items {
            expressions.iter_mut().try_for_each(|expression| replace(expression, may_read))?;
        }
    }
    for segment in module.data.values_mut() {
        segment.active.iter_mut().try_for_each(|(_, offset)| replace(offset, may_read))?;
    }
    // Tables are defined before globals, so what they start with can read imports only.
    for (id, table) in module.tables.iter() {
        let reads_definition = |operator: &Operator<'_>| match operator {
            Operator::GlobalGet { global_index } => {
                module.globals[target(GlobalId::from_u32(*global_index))].origin == Origin::Definition
            }
            _ => false,
        };
        if table.init.iter().flat_map(|init| &init.operators).any(reads_definition) {
            let name = table.name.as_deref().unwrap_or("without a name");
            return Err(MergeError::new(format!(
                "table {} ({name}) starts with the value of a global of another module, and that value is an object that cannot be made twice",
                id.as_u32()
            )));
        }
    }
    Ok(())
}

/// The expression with the values of resolved imports in place of reads of them; long ones stay reads if they `may_read`, or else count against
/// what is `left`.
fn expand(
    expression: &ConstExpr,
    globals: &PrimaryMap<GlobalId, Global>,
    target: &impl Fn(GlobalId) -> GlobalId,
    may_read: bool,
    left: &mut usize,
) -> Result<ConstExpr, MergeError> {
    let mut operators = Vec::with_capacity(expression.operators.len());
    for operator in &expression.operators {
        if let Operator::GlobalGet { global_index } = operator {
            let id = GlobalId::from_u32(*global_index);
            let defined = &globals[target(id)];
            if target(id) != id
                && !defined.ty.mutable
                && let Some(value) = &defined.init
                && (value.operators.len() <= MAX_REPEATED || !may_read)
                && value.operators.iter().all(may_be_repeated)
            {
                let length = value.operators.len();
                if length > MAX_REPEATED {
                    *left = left.checked_sub(length).ok_or_else(|| too_long(target(id), defined))?;
                }
                operators.extend(value.operators.iter().cloned());
                continue;
            }
        }
        operators.push(operator.clone());
    }
    Ok(ConstExpr { operators })
}

fn too_long(id: GlobalId, global: &Global) -> MergeError {
    let name = global.name.as_deref().unwrap_or("without a name");
    MergeError::new(format!(
        "constant expressions read the value of global {} ({name}) of another module, and values like that take more than {MAX_REPEATED_LONG} operators where each is repeated: enable garbage collection (--enable-gc), with which globals can be read instead",
        id.as_u32()
    ))
}

/// Whether two evaluations cannot be told apart. Objects with identity can.
fn may_be_repeated(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::I32Const { .. }
            | Operator::I64Const { .. }
            | Operator::F32Const { .. }
            | Operator::F64Const { .. }
            | Operator::V128Const { .. }
            | Operator::I32Add
            | Operator::I32Sub
            | Operator::I32Mul
            | Operator::I64Add
            | Operator::I64Sub
            | Operator::I64Mul
            | Operator::GlobalGet { .. }
            | Operator::RefNull { .. }
            | Operator::RefFunc { .. }
            | Operator::RefI31
    )
}

/// All globals, each after those that its value reads.
fn in_dependency_order(module: &Module, target: &impl Fn(GlobalId) -> GlobalId) -> Result<Vec<GlobalId>, MergeError> {
    #[derive(Copy, Clone, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut states = vec![State::New; module.globals.len()];
    let mut order = Vec::with_capacity(states.len());
    let read_by = |id: GlobalId| {
        let operators = module.globals[id].init.iter().flat_map(|init| &init.operators);
        operators
            .filter_map(|operator| match operator {
                Operator::GlobalGet { global_index } => Some(target(GlobalId::from_u32(*global_index))),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    for root in module.globals.keys() {
        let mut path: Vec<(GlobalId, Vec<GlobalId>)> = Vec::new();
        let mut next = Some(root);
        loop {
            if let Some(id) = next.take() {
                match states[id.index()] {
                    State::Done => {}
                    State::Open => {
                        let name = module.globals[id].name.as_deref().unwrap_or("without a name");
                        return Err(MergeError::new(format!(
                            "the value of global {} ({name}) depends on itself, through imports of several modules",
                            id.as_u32()
                        )));
                    }
                    State::New => {
                        states[id.index()] = State::Open;
                        let mut reads = read_by(id);
                        // Taken from the end, so that the first comes first.
                        reads.reverse();
                        path.push((id, reads));
                    }
                }
            }
            let Some((id, reads)) = path.last_mut() else { break };
            match reads.pop() {
                Some(read) => next = Some(read),
                None => {
                    states[id.index()] = State::Done;
                    order.push(*id);
                    path.pop();
                }
            }
        }
    }
    Ok(order)
}

/// Puts globals in an order in which the value of each reads earlier ones only, if they are not in one already.
pub(super) fn order_globals(module: &mut Module) -> Result<(), MergeError> {
    let order = in_dependency_order(module, &|id| id)?;
    if order.is_sorted() {
        return Ok(());
    }
    let mut position = vec![GlobalId::from_u32(0); order.len()];
    for (new, old) in order.iter().enumerate() {
        position[old.index()] = GlobalId::from_index(new);
    }
    module.globals = order.iter().map(|&id| module.globals[id].clone()).collect();
    module.map_references(&mut |space, number| match space {
        IndexSpace::Global => position[number as usize].as_u32(),
        _ => number,
    });
    for import in &mut module.imports {
        if let Item::Global(id) = &mut import.item {
            *id = position[id.index()];
        }
    }
    Ok(())
}
