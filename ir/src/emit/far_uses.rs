//! Values that are used where their definition no longer dominates.
//!
//! A dispatching node ([`super::irreducible`]) has an edge to each of its entries, whichever the label says. So what is defined on the way to it and
//! used behind one entry is not dominated any more, and may stand before its definition in the code. Such a value is kept in a local from its definition on:
//! nothing that looks at the order of the code may leave it out, or leave it on the operand stack.

use super::dominance::Dominance;
use super::graph::{Added, Exit, Graph, NONE, NodeId, Origin, index_u32};
use crate::entity::Entity;
use crate::func::{Func, Value, ValueDefinition};

/// For each value whether it has such a use. Empty where no node dispatches.
pub(super) fn far_uses(func: &Func, graph: &Graph, dominance: &Dominance) -> Vec<bool> {
    if !graph.added.iter().any(|added| matches!(added, Added::I32Param)) {
        return Vec::new();
    }
    let mut node_of_inst: Vec<NodeId> = vec![NONE; func.inst_count()];
    for (node, data) in (0..).zip(&graph.nodes) {
        let insts = data.block.map_or(&[][..], |block| &func.blocks[block].insts);
        insts.iter().for_each(|inst| node_of_inst[inst.index()] = node);
    }
    let definition = |value: Value| match graph.origin(func, value) {
        Origin::Result(inst) => Some(node_of_inst[inst.index()]),
        Origin::Param if value.index() < func.value_count() => match func.definition(value) {
            ValueDefinition::Parameter(block) => Some(block.as_u32()),
            _ => None,
        },
        Origin::Param | Origin::I32Const(_) | Origin::Undefined => None,
    };
    let mut is_far = vec![false; graph.value_count()];
    for node in 0..index_u32(graph.nodes.len()) {
        let data = &graph.nodes[node as usize];
        if matches!(data.exit, Exit::Dead) || !dominance.is_reachable(node) {
            continue;
        }
        let mut uses = |value: Value| {
            let value = graph.name(value);
            if definition(value).is_some_and(|at| at != node && !dominance.dominates(at, node)) {
                is_far[value.index()] = true;
            }
        };
        if let Some(block) = data.block {
            let live = func.blocks[block].insts.iter().filter(|inst| graph.live[inst.index()]);
            live.flat_map(|&inst| func.operands(inst)).for_each(|&operand| uses(operand));
            func.blocks[block].terminator.for_each_value(&mut uses);
        }
        graph.for_each_out_edge(node, |edge| {
            graph.edges[edge as usize].copies.iter().for_each(|&(_, argument)| uses(argument));
        });
    }
    is_far
}
