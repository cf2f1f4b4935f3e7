//! One landing for several invocations.
//!
//! In a function, each clause of each invocation leads to a block of its own, which has what was caught as its parameters and mostly only passes it
//! on. Where several do the same, one of them serves: the instructions leave the same on the operand stack wherever they stand. That brings the
//! invocations' clauses together, so that they can have one `try_table`.

use super::dominance::{Dominance, Loops};
use super::graph::{EdgeId, Exit, Graph, NodeId, index_u32};
use crate::entity::Entity;
use crate::func::{Block, Func, Value};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use wasmparser::ValType;

/// An argument of what a landing leads on to: one of its parameters, by position, or a value of somewhere else.
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
enum Argument {
    Own(usize),
    Other(Value),
}

/// Everything that tells landings apart.
#[derive(PartialEq, Eq, Hash)]
struct Landing {
    types: SmallVec<[ValType; 2]>,
    to: NodeId,
    copies: SmallVec<[(Value, Argument); 2]>,
    undefined: SmallVec<[Value; 2]>,
    /// A landing in front of a loop and one inside of it would make two entries of it.
    innermost: NodeId,
}

/// Leads clauses to the first of several landings that do the same. Returns whether any was led elsewhere.
pub(super) fn fold_landings(func: &Func, graph: &mut Graph, dominance: &Dominance) -> bool {
    // The clauses that lead to such a landing, and the edge onward.
    let mut handlers: Vec<(EdgeId, EdgeId)> = Vec::new();
    for node in (0..index_u32(graph.nodes.len())).filter(|&node| dominance.is_reachable(node)) {
        let Exit::Invoke { handlers: edges, .. } = &graph.nodes[node as usize].exit else { continue };
        handlers.extend(edges.iter().filter_map(|&edge| {
            let landing = &graph.nodes[graph.edges[edge as usize].to as usize];
            let is_on_stack = landing.params_on_stack || landing.params.is_empty();
            let is_idle = |block: Block| !func.blocks[block].insts.iter().any(|inst| graph.live[inst.index()]);
            match landing.exit {
                Exit::Jump(onward) if is_on_stack && landing.block.is_some_and(is_idle) => Some((edge, onward)),
                _ => None,
            }
        }));
    }
    if handlers.len() < 2 {
        return false;
    }
    let loops = Loops::new(graph, dominance);
    let mut known: FxHashMap<Landing, NodeId> = FxHashMap::default();
    let mut changed = false;
    for (edge, onward) in handlers {
        let node = graph.edges[edge as usize].to;
        let same = *known.entry(describe(func, graph, &loops, onward)).or_insert(node);
        if same == node {
            continue;
        }
        graph.edges[edge as usize].to = same;
        graph.nodes[node as usize].exit = Exit::Dead;
        for at in 0..graph.edges[onward as usize].copies.len() {
            let (_, argument) = graph.edges[onward as usize].copies[at];
            let argument = graph.name(argument);
            graph.uses[argument.index()] -= 1;
        }
        changed = true;
    }
    changed
}

/// What the node in front of an edge does, which only passes on what was caught.
fn describe(func: &Func, graph: &Graph, loops: &Loops, onward: EdgeId) -> Landing {
    let edge = &graph.edges[onward as usize];
    let data = &graph.nodes[edge.from as usize];
    let argument = |value: Value| {
        let value = graph.name(value);
        match data.params.iter().position(|&param| param == value) {
            Some(position) => Argument::Own(position),
            None => Argument::Other(value),
        }
    };
    Landing {
        types: data.params.iter().map(|&param| graph.value_type(func, param)).collect(),
        to: edge.to,
        copies: edge.copies.iter().map(|&(param, value)| (param, argument(value))).collect(),
        undefined: edge.undefined.clone(),
        innermost: loops.header[edge.from as usize],
    }
}
