//! Parameters that get the same constant on several edges: it is stored once, where all the ways to them begin.
//!
//! `block (br_if …) (br_if …) … end` keeps its `br_if`s that way, each of which would have to be an `if` around a store and a branch otherwise.

use super::dominance::Dominance;
use super::graph::{Added, EdgeId, Exit, Graph, NONE, NodeId, Origin, index_u32};
use super::options::Options;
use super::schedule::{constant_length, is_repeated};
use crate::entity::Entity;
use crate::func::{Func, Inst, OperatorId, Value};
use wasmparser::Operator;

/// Stores constants in front of branches where that makes the code smaller.
pub(super) fn store_defaults(func: &Func, graph: &mut Graph, dominance: &Dominance, options: &Options) {
    let mut node_of: Vec<NodeId> = vec![NONE; func.inst_count()];
    for (node, data) in (0..).zip(&graph.nodes) {
        let insts = data.block.map_or(&[][..], |block| &func.blocks[block].insts);
        insts.iter().for_each(|inst| node_of[inst.index()] = node);
    }
    let context = Context { func, dominance, options, node_of };
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
            store_default(&context, graph, node, param, &edges);
        }
    }
}

struct Context<'a> {
    func: &'a Func,
    dominance: &'a Dominance,
    options: &'a Options,
    /// The node that an instruction is in.
    node_of: Vec<NodeId>,
}

fn store_default(context: &Context<'_>, graph: &mut Graph, node: NodeId, param: Value, edges: &[EdgeId]) {
    let &Context { func, dominance, options, .. } = context;
    let constant = |value: Value| match graph.origin(func, value) {
        // Reading a global that changes is the same operator and another value each time.
        Origin::Result(inst) if !graph.effects[func.operator_id(inst).index()].is_pure() => None,
        Origin::Result(inst) => constant_length(func.operator(inst)).map(|length| (func.operator_id(inst), length)),
        Origin::I32Const(_) | Origin::Param | Origin::Undefined => None,
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
        return make_default(context, graph, node, param, operator, edges);
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
        make_default(context, graph, node, param, operator, edges);
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
    context: &Context<'_>,
    graph: &mut Graph,
    node: NodeId,
    param: Value,
    operator: OperatorId,
    edges: &[EdgeId],
) {
    let func = context.func;
    let given: Vec<(EdgeId, Value, Inst)> = edges
        .iter()
        .filter_map(|&edge| {
            let value = argument_of(graph, edge, param)?;
            let Origin::Result(inst) = graph.origin(func, graph.name(value)) else { return None };
            (func.operator_id(inst) == operator).then_some((edge, value, inst))
        })
        .collect();
    let above = context.dominance.idom[node as usize];
    // A constant that is kept in a local must be there already; one that is repeated is at hand everywhere.
    let is_at_hand = |&&(_, value, inst): &&(EdgeId, Value, Inst)| {
        is_repeated(func, inst, graph.uses[graph.name(value).index()])
            || context.dominance.dominates(context.node_of[inst.index()], above)
    };
    let default = match (given.iter().find(is_at_hand), &func.operators[operator]) {
        (Some(&(_, value, _)), _) => value,
        (None, &Operator::I32Const { value }) => graph.add_value(Added::I32Const(value)),
        (None, _) => return,
    };
    for &(edge, value, _) in &given {
        graph.edges[edge as usize].copies.retain(|&mut (copied, _)| copied != param);
        let name = graph.name(value);
        graph.uses[name.index()] -= 1;
    }
    let name = graph.name(default);
    graph.uses[name.index()] += 1;
    if graph.nodes[above as usize].defaults == NONE {
        let stored = graph.add_edge(above, above);
        graph.nodes[above as usize].defaults = stored;
    }
    let stored = graph.nodes[above as usize].defaults;
    graph.edges[stored as usize].copies.push((param, default));
}

fn argument_of(graph: &Graph, edge: u32, param: Value) -> Option<Value> {
    graph.edges[edge as usize].copies.iter().find(|&&(copied, _)| copied == param).map(|&(_, value)| value)
}
