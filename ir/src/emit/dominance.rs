//! Dominators, loops and the order of emission of a [`Graph`].

use super::graph::{EdgeId, Graph, InEdges, NONE, NodeId, index_u32};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What structure rests on: the dominator tree and the loops of a graph.
pub(super) struct Dominance {
    pub in_edges: InEdges,
    /// Reachable nodes in depth-first preorder.
    preorder: Vec<NodeId>,
    /// The immediate dominator of each node; the entry's is itself, an unreachable node's [`NONE`].
    pub idom: Vec<NodeId>,
    /// First and last number, in a preorder of the dominator tree, of the nodes that a node dominates.
    subtree: Vec<(u32, u32)>,
    /// Position of each node in depth-first preorder.
    number: Vec<u32>,
}

impl Dominance {
    /// Semi-NCA (Georgiadis, "Linear-Time Algorithms for Dominators and Related Problems", 2005), as chains of single-entry blocks make
    /// the iterative algorithm quadratic.
    pub fn new(graph: &Graph) -> Self {
        let count = graph.nodes.len();
        let in_edges = graph.in_edges();
        let mut number = vec![NONE; count];
        let mut preorder = Vec::with_capacity(count);
        let mut parent: Vec<u32> = Vec::with_capacity(count);
        let mut stack = vec![(graph.entry, 0)];
        let mut successors = Vec::new();
        while let Some((node, from)) = stack.pop() {
            if number[node as usize] != NONE {
                continue;
            }
            let mine = index_u32(preorder.len());
            number[node as usize] = mine;
            preorder.push(node);
            parent.push(from);
            graph.for_each_out_edge(node, |edge| successors.push(graph.edges[edge as usize].to));
            // The first successor is visited first.
            stack.extend(successors.drain(..).rev().map(|to| (to, mine)));
        }
        let reached = preorder.len();
        let mut semi: Vec<u32> = (0..index_u32(reached)).collect();
        let mut label = semi.clone();
        let mut ancestor = parent.clone();
        let mut path = Vec::new();
        for vertex in (1..index_u32(reached)).rev() {
            let mut best = parent[vertex as usize];
            for &edge in in_edges.of(preorder[vertex as usize]) {
                let from = number[graph.edges[edge as usize].from as usize];
                // The smallest semidominator on the path through vertices that are linked already, with path compression.
                let found = if from <= vertex {
                    from
                } else {
                    let mut at = from;
                    while ancestor[at as usize] > vertex {
                        path.push(at);
                        at = ancestor[at as usize];
                    }
                    let mut top = at;
                    while let Some(passed) = path.pop() {
                        if label[top as usize] < label[passed as usize] {
                            label[passed as usize] = label[top as usize];
                        }
                        ancestor[passed as usize] = ancestor[at as usize];
                        top = passed;
                    }
                    label[from as usize]
                };
                best = best.min(found);
            }
            semi[vertex as usize] = best;
            label[vertex as usize] = best;
        }
        let mut idom_number = parent;
        for vertex in 1..reached {
            while idom_number[vertex] > semi[vertex] {
                idom_number[vertex] = idom_number[idom_number[vertex] as usize];
            }
        }
        let mut idom = vec![NONE; count];
        for (vertex, &node) in preorder.iter().enumerate() {
            idom[node as usize] = preorder[idom_number[vertex] as usize];
        }
        // Sizes of subtrees from the leaves up, then intervals from the root down.
        let mut size = vec![1u32; reached];
        for vertex in (1..reached).rev() {
            size[idom_number[vertex] as usize] += size[vertex];
        }
        let mut subtree = vec![(NONE, 0); count];
        let mut next = vec![0u32; reached];
        for (vertex, &node) in preorder.iter().enumerate() {
            let start = if vertex == 0 {
                0
            } else {
                let slot = &mut next[idom_number[vertex] as usize];
                let start = *slot;
                *slot += size[vertex];
                start
            };
            subtree[node as usize] = (start, start + size[vertex] - 1);
            next[vertex] = start + 1;
        }
        Self { in_edges, preorder, idom, subtree, number }
    }

    /// Whether `above` dominates `below`; every node dominates itself.
    #[inline]
    pub fn dominates(&self, above: NodeId, below: NodeId) -> bool {
        let (first, last) = self.subtree[above as usize];
        let (at, _) = self.subtree[below as usize];
        first <= at && at <= last
    }

    /// Whether the node can be reached from the entry.
    #[inline]
    pub fn is_reachable(&self, node: NodeId) -> bool {
        self.idom[node as usize] != NONE
    }

    /// Reachable nodes in depth-first preorder.
    pub fn preorder(&self) -> &[NodeId] {
        &self.preorder
    }

    /// Whether an edge leads back to the header of a loop that it is in.
    #[inline]
    pub fn is_back_edge(&self, graph: &Graph, edge: EdgeId) -> bool {
        let edge = &graph.edges[edge as usize];
        self.dominates(edge.to, edge.from)
    }
}

/// The loops of a reducible graph.
pub(super) struct Loops {
    /// The header of the innermost loop that a node is in; a header's own loop counts.
    pub header: Vec<NodeId>,
    /// The header of the loop around the loop of a header.
    pub parent: Vec<NodeId>,
    /// How many loops a node is in.
    pub depth: Vec<u32>,
}

impl Loops {
    /// Havlak's nesting forest ("Nesting of Reducible and Irreducible Loops", 1997), for a graph known to be reducible.
    pub fn new(graph: &Graph, dominance: &Dominance) -> Self {
        let count = graph.nodes.len();
        let mut header = vec![NONE; count];
        let mut is_header = vec![false; count];
        // Nodes of a loop are united with its header.
        let mut united: Vec<NodeId> = (0..index_u32(count)).collect();
        let find = |united: &mut Vec<NodeId>, mut node: NodeId| {
            while united[node as usize] != node {
                let next = united[united[node as usize] as usize];
                united[node as usize] = next;
                node = next;
            }
            node
        };
        let mut body = Vec::new();
        let mut in_body = vec![NONE; count];
        for &node in dominance.preorder.iter().rev() {
            body.clear();
            for &edge in dominance.in_edges.of(node) {
                let from = graph.edges[edge as usize].from;
                if dominance.is_reachable(from) && dominance.dominates(node, from) {
                    is_header[node as usize] = true;
                    let latch = find(&mut united, from);
                    if latch != node && in_body[latch as usize] != node {
                        in_body[latch as usize] = node;
                        body.push(latch);
                    }
                }
            }
            let mut next = 0;
            while let Some(&member) = body.get(next) {
                next += 1;
                for &edge in dominance.in_edges.of(member) {
                    let from = graph.edges[edge as usize].from;
                    // Edges back to an inner header come from nodes that are united with it.
                    if !dominance.is_reachable(from) {
                        continue;
                    }
                    let from = find(&mut united, from);
                    if from != node && in_body[from as usize] != node {
                        in_body[from as usize] = node;
                        body.push(from);
                    }
                }
            }
            for &member in &body {
                header[member as usize] = node;
                united[member as usize] = node;
            }
        }
        let mut depth = vec![0; count];
        let mut parent = vec![NONE; count];
        for &node in &dominance.preorder {
            let outer = header[node as usize];
            let outer_depth = if outer == NONE { 0 } else { depth[outer as usize] };
            if is_header[node as usize] {
                parent[node as usize] = outer;
                header[node as usize] = node;
                depth[node as usize] = outer_depth + 1;
            } else {
                depth[node as usize] = outer_depth;
            }
        }
        Self { header, parent, depth }
    }

    /// Whether a node is a loop's header.
    #[inline]
    pub fn is_header(&self, node: NodeId) -> bool {
        self.header[node as usize] == node
    }

    /// Whether `node` is in the loop of `header` (which may be [`NONE`], the whole function).
    pub fn contains(&self, header: NodeId, node: NodeId) -> bool {
        if header == NONE {
            return true;
        }
        let mut at = self.header[node as usize];
        while at != NONE && self.depth[at as usize] > self.depth[header as usize] {
            at = self.parent[at as usize];
        }
        at == header
    }
}

/// The reachable nodes in an order in which every edge that is not a back edge leads forward, as close to the source's order as that allows.
pub(super) fn emission_order(graph: &Graph, dominance: &Dominance) -> Vec<NodeId> {
    let mut order = dominance.preorder.clone();
    order.sort_unstable_by_key(|&node| (graph.nodes[node as usize].key, node));
    let mut position = vec![NONE; graph.nodes.len()];
    for (index, &node) in order.iter().enumerate() {
        position[node as usize] = index_u32(index);
    }
    let mut waiting = vec![0u32; graph.nodes.len()];
    let mut is_sorted = true;
    for &node in &order {
        graph.for_each_out_edge(node, |edge| {
            if !dominance.is_back_edge(graph, edge) {
                let to = graph.edges[edge as usize].to;
                waiting[to as usize] += 1;
                is_sorted &= position[node as usize] < position[to as usize];
            }
        });
    }
    if is_sorted {
        return order;
    }
    let mut ready = BinaryHeap::from([Reverse((graph.nodes[graph.entry as usize].key, graph.entry))]);
    order.clear();
    while let Some(Reverse((_, node))) = ready.pop() {
        order.push(node);
        graph.for_each_out_edge(node, |edge| {
            if !dominance.is_back_edge(graph, edge) {
                let to = graph.edges[edge as usize].to;
                waiting[to as usize] -= 1;
                if waiting[to as usize] == 0 {
                    ready.push(Reverse((graph.nodes[to as usize].key, to)));
                }
            }
        });
    }
    assert_eq!(order.len(), dominance.preorder.len(), "emission: a cycle without a header remains");
    order
}

impl Dominance {
    /// The position of a node in depth-first preorder.
    pub fn depth_first_number(&self, node: NodeId) -> u32 {
        self.number[node as usize]
    }
}
