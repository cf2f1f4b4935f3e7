//! Parameters that get the same constant on several edges: it is stored once, where all the ways to them begin.
//!
//! `block (br_if …) (br_if …) … end` keeps its `br_if`s that way, each of which would have to be an `if` around a store and a branch otherwise.

use super::dominance::Dominance;
use super::graph::{Exit, Graph, NONE, Origin, index_u32};
use super::options::Options;
use super::schedule::constant_length;
use crate::entity::Entity;
use crate::func::{Func, OperatorId, Value};
use wasmparser::Operator;

/// Stores constants in front of branches where that makes the code smaller.
pub(super) fn store_defaults(func: &Func, graph: &mut Graph, dominance: &Dominance, options: &Options) {
    for node in 0..index_u32(graph.nodes.len()) {
        if !dominance.is_reachable(node) || graph.nodes[node as usize].params_on_stack {
            continue;
        }
        let params = graph.nodes[node as usize].params.clone();
        let edges: Vec<u32> = dominance
            .in_edges
            .of(node)
            .iter()
            .copied()
            .filter(|&edge| dominance.is_reachable(graph.edges[edge as usize].from))
            .collect();
        if edges.len() < 2 || edges.iter().any(|&edge| dominance.is_back_edge(graph, edge)) {
            continue;
        }
        for param in params {
            store_default(func, graph, dominance, options, node, param, &edges);
        }
    }
}

fn store_default(
    func: &Func,
    graph: &mut Graph,
    dominance: &Dominance,
    options: &Options,
    node: u32,
    param: Value,
    edges: &[u32],
) {
    let constant = |value: Value| match graph.origin(func, value) {
        Origin::Result(inst) => constant_length(func.operator(inst)).map(|length| (func.operator_id(inst), length)),
        Origin::I32Const(_) | Origin::Param => None,
    };
    let argument = |edge: u32| {
        let copies = &graph.edges[edge as usize].copies;
        copies.iter().find(|&&(copied, _)| copied == param).map(|&(_, value)| graph.name(value))
    };
    // Where an exception lands: `try_table`s that land at one place without code of their own can be one.
    let is_landing = |edge: u32| match *dominance.in_edges.of(graph.edges[edge as usize].from) {
        [only] => match &graph.nodes[graph.edges[only as usize].from as usize].exit {
            Exit::Invoke { handlers, .. } => handlers.contains(&only),
            _ => false,
        },
        _ => false,
    };
    let is_conditional = |edge: u32| {
        let from = &graph.nodes[graph.edges[edge as usize].from as usize];
        // A node that emission added is a table's edge, which needs a place of its own only for the copies.
        matches!(from.exit, Exit::Branch { .. }) || from.block.is_none() || is_landing(edge)
    };
    // The constant that most edges give.
    let mut counts: Vec<(OperatorId, usize, usize)> = Vec::new();
    let mut allows_result = true;
    let mut lands_with = None;
    for &edge in edges {
        // Without a copy on every edge somebody stores defaults already, or the graph was irreducible.
        let Some(value) = argument(edge) else { return };
        match constant(value) {
            Some((operator, _)) if is_landing(edge) && is_zero(&func.operators[operator]) => {
                lands_with = Some(operator);
            }
            Some((operator, _)) => match counts.iter_mut().find(|(of, ..)| *of == operator) {
                Some((_, total, conditional)) => {
                    *total += 1;
                    *conditional += usize::from(is_conditional(edge));
                }
                None => counts.push((operator, 1, usize::from(is_conditional(edge)))),
            },
            None => allows_result &= !is_conditional(edge),
        }
        // Long lists of different constants are no case for a default.
        if counts.len() > 16 {
            return;
        }
    }
    if let Some(operator) = lands_with {
        // Locals are zero at first, so this often costs nothing at all.
        return make_default(func, graph, dominance, node, param, operator, edges);
    }
    let Some(&(operator, total, conditional)) = counts
        .iter()
        .max_by_key(|&&(operator, total, conditional)| (conditional, total, std::cmp::Reverse(operator.index())))
    else {
        return;
    };
    let length = constant_length(&func.operators[operator]).expect("only constants are counted") as i64;
    let (total, conditional, others) = (total as i64, conditional as i64, edges.len() as i64 - total as i64);
    let is_nested = edges.len() as u32 <= options.nesting_limit;
    let unconditional = total - conditional;
    // Against a block's result where that is possible, else against a store on each edge.
    let gain = if allows_result {
        let of_branch = if is_nested { 1 + length } else { 3 + length };
        let only_use = if graph.uses[param.index()] == 1 { 2 } else { 0 };
        conditional * of_branch + unconditional * length - (length + 2) - 2 * others - only_use
    } else {
        let of_branch = if is_nested { 3 + length } else { 5 + length };
        conditional * of_branch + unconditional * (length + 2) - (length + 2)
    };
    if gain > 0 && total > 1 {
        make_default(func, graph, dominance, node, param, operator, edges);
    }
}

fn is_zero(operator: &Operator<'_>) -> bool {
    match operator {
        Operator::I32Const { value: 0 } | Operator::I64Const { value: 0 } | Operator::RefNull { .. } => true,
        Operator::F32Const { value } => value.bits() == 0,
        Operator::F64Const { value } => value.bits() == 0,
        _ => false,
    }
}

/// Stores a constant at the immediate dominator of `node`, and no longer on the edges that give it.
fn make_default(
    func: &Func,
    graph: &mut Graph,
    dominance: &Dominance,
    node: u32,
    param: Value,
    operator: OperatorId,
    edges: &[u32],
) {
    let mut default = None;
    for &edge in edges {
        let Some(value) = argument_of(graph, edge, param) else { continue };
        let name = graph.name(value);
        let Origin::Result(inst) = graph.origin(func, name) else { continue };
        if func.operator_id(inst) != operator {
            continue;
        }
        graph.edges[edge as usize].copies.retain(|&mut (copied, _)| copied != param);
        if default.is_none() {
            default = Some(value);
        } else {
            graph.uses[name.index()] -= 1;
        }
    }
    let above = dominance.idom[node as usize];
    if graph.nodes[above as usize].defaults == NONE {
        let stored = graph.add_edge(above, above);
        graph.nodes[above as usize].defaults = stored;
    }
    let stored = graph.nodes[above as usize].defaults;
    graph.edges[stored as usize].copies.push((param, default.expect("some edge gave the constant")));
}

fn argument_of(graph: &Graph, edge: u32, param: Value) -> Option<Value> {
    graph.edges[edge as usize].copies.iter().find(|&&(copied, _)| copied == param).map(|&(_, value)| value)
}
