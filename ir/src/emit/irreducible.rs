//! Stage 2: loops with several entries get one, a dispatching node, and no code is duplicated.
//!
//! A strongly connected region that is left when every edge to a dominating node is taken out has several entries. A new node in front of it
//! branches on a new variable, the *label*, to the entry that is meant; edges from outside lead to it, and so do the edges inside that close a cycle.
//! The label is zero for the main entry, and is zero again as soon as another one was dispatched to, so that the edges that close cycles to the
//! main entry, usually the hot ones, need not set it.

use super::dominance::Dominance;
use super::graph::{Added, EdgeId, Exit, Graph, NodeId, index_u32, split_table_edges};
use crate::analysis::strongly_connected_components;
use crate::entity::Entity;

/// Makes the graph reducible, and returns its dominators.
pub(super) fn make_reducible(graph: &mut Graph) -> Dominance {
    let mut rounds = 0;
    loop {
        let dominance = Dominance::new(graph);
        let components = cyclic_components(graph, &dominance);
        if components.is_empty() {
            return dominance;
        }
        for component in &components {
            // Keeping edges that lead forward makes better code; redirecting all of them is certain to terminate.
            add_dispatch(graph, &dominance, component, rounds >= 8);
        }
        split_table_edges(graph);
        rounds += 1;
    }
}

/// The strongly connected components of more than one node that the graph has without its back edges.
fn cyclic_components(graph: &Graph, dominance: &Dominance) -> Vec<Vec<NodeId>> {
    // Nearly always there is no such edge.
    let mut has_retreating_edge = false;
    for &node in dominance.preorder() {
        graph.for_each_out_edge(node, |edge| {
            let to = graph.edges[edge as usize].to;
            has_retreating_edge |= dominance.is_on_path_to(to, node) && !dominance.is_back_edge(graph, edge);
        });
    }
    if !has_retreating_edge {
        return Vec::new();
    }
    strongly_connected_components(graph.nodes.len(), dominance.preorder().iter().copied(), |node, successors| {
        graph.for_each_out_edge(node, |edge| {
            if !dominance.is_back_edge(graph, edge) {
                successors.push(graph.edges[edge as usize].to);
            }
        });
    })
}

/// A region without the edges back to dominating nodes, as a set of nodes.
struct Region<'a> {
    dominance: &'a Dominance,
    contains: Vec<bool>,
}

impl Region<'_> {
    /// Whether an edge to a node of the region comes from outside.
    fn is_entered_by(&self, graph: &Graph, edge: EdgeId) -> bool {
        // Nodes that were added since are not in the region.
        !self.contains.get(graph.edges[edge as usize].from as usize).is_some_and(|&inside| inside)
    }

    /// The nodes that edges from outside lead to, the main one first: that to which most cycles are closed.
    fn entries(&self, graph: &Graph, component: &[NodeId]) -> Vec<NodeId> {
        let in_edges = |node: NodeId| {
            let edges = self.dominance.in_edges.of(node).iter().copied();
            // What closes a loop of one entry may come from a node that is in no cycle without that edge.
            edges.filter(|&edge| !self.dominance.is_back_edge(graph, edge))
        };
        let is_entry = |node: NodeId| {
            in_edges(node).any(|edge| {
                self.dominance.is_reachable(graph.edges[edge as usize].from) && self.is_entered_by(graph, edge)
            })
        };
        let mut entries: Vec<NodeId> = component.iter().copied().filter(|&node| is_entry(node)).collect();
        entries.sort_unstable_by_key(|&node| (graph.nodes[node as usize].key, node));
        let closing = |node: NodeId| in_edges(node).filter(|&edge| !self.is_entered_by(graph, edge)).count();
        let main = (0..entries.len()).max_by_key(|&index| (closing(entries[index]), std::cmp::Reverse(index)));
        let main = main.expect("a region that can be reached has an entry");
        entries[..=main].rotate_right(1);
        entries
    }
}

/// Puts a dispatching node in front of a component.
fn add_dispatch(graph: &mut Graph, dominance: &Dominance, component: &[NodeId], redirect_all: bool) {
    let mut contains = vec![false; graph.nodes.len()];
    component.iter().for_each(|&node| contains[node as usize] = true);
    let region = Region { dominance, contains };
    let entries = region.entries(graph, component);

    let label = graph.add_value(Added::I32Param);
    let key = entries.iter().map(|&node| graph.nodes[node as usize].key).min().expect("there is an entry");
    let dispatch = graph.add_node(Exit::Dead, key.saturating_sub(1));
    graph.nodes[dispatch as usize].params.push(label);
    let constant = |graph: &mut Graph, number: usize| {
        let value = i32::try_from(number).expect("a function has fewer than 2^31 blocks");
        graph.add_value(Added::I32Const(value))
    };
    let set_label = |graph: &mut Graph, edge: EdgeId, number: usize| {
        let value = constant(graph, number);
        graph.uses[value.index()] += 1;
        graph.edges[edge as usize].copies.push((label, value));
    };
    for (number, &entry) in entries.iter().enumerate() {
        for &edge in dominance.in_edges.of(entry) {
            let from = graph.edges[edge as usize].from;
            let from_outside = region.is_entered_by(graph, edge);
            if !dominance.is_reachable(from) || dominance.is_back_edge(graph, edge) {
                continue;
            }
            let leads_forward = graph.nodes[from as usize].key < graph.nodes[entry as usize].key;
            if !from_outside && leads_forward && !redirect_all {
                continue;
            }
            graph.edges[edge as usize].to = dispatch;
            if from_outside || number != 0 {
                set_label(graph, edge, number);
            }
        }
    }
    let onward: Vec<EdgeId> = entries.iter().map(|&entry| graph.add_edge(dispatch, entry)).collect();
    for &edge in &onward[1..] {
        set_label(graph, edge, 0);
    }
    graph.uses[label.index()] += 1;
    graph.nodes[dispatch as usize].exit = match *onward {
        [main, other] => Exit::Branch { condition: label, then_edge: other, else_edge: main, likely: None },
        // The default is the main entry's.
        _ => Exit::Switch { index: label, entries: onward.iter().copied().chain([onward[0]]).collect() },
    };
    debug_assert!(index_u32(onward.len()) >= 2, "a cyclic region with one entry has a header that dominates it");
}
