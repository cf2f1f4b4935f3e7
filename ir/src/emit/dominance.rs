//! Dominators, loops and the order of emission of a [`Graph`].

use super::graph::{EdgeId, Graph, NONE, NodeId, index_u32};
use crate::analysis::{DepthFirstTree, DisjointSets, EntityLists};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What structure rests on: the dominator tree and the loops of a graph.
pub(super) struct Dominance {
    /// The edges into each node.
    pub in_edges: EntityLists<NodeId, EdgeId>,
    /// Reachable nodes in depth-first preorder.
    preorder: Vec<NodeId>,
    /// The immediate dominator of each node; the entry's is itself, an unreachable node's [`NONE`].
    pub idom: Vec<NodeId>,
    /// First and last number, in a preorder of the dominator tree, of the nodes that a node dominates.
    subtree: Vec<(u32, u32)>,
    /// Position of each node in depth-first preorder.
    number: Vec<u32>,
    /// For each position there the last one of the depth-first subtree under the node.
    depth_first_ends: Vec<u32>,
}

impl Dominance {
    /// The dominators of a graph.
    pub fn new(graph: &Graph) -> Self {
        let in_edges = graph.in_edges();
        let tree = DepthFirstTree::new(graph.nodes.len(), graph.entry, |node, successors| {
            graph.for_each_out_edge(node, |edge| successors.push(graph.edges[edge as usize].to));
        });
        let idom_number =
            tree.immediate_dominators(|node| in_edges.of(node).iter().map(|&edge| graph.edges[edge as usize].from));
        let depth_first_ends = tree.ends_of_subtrees();
        let DepthFirstTree { preorder, number, .. } = tree;
        let mut idom = vec![NONE; graph.nodes.len()];
        let mut subtree = vec![(NONE, 0); graph.nodes.len()];
        for ((&node, &dominator), interval) in preorder.iter().zip(&idom_number).zip(subtrees(&idom_number)) {
            idom[node as usize] = preorder[dominator as usize];
            subtree[node as usize] = interval;
        }
        Self { in_edges, preorder, idom, subtree, number, depth_first_ends }
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

    /// Whether a node is on the path of the depth-first tree to another one, both reachable. Every cycle has an edge to such a node.
    pub fn is_on_path_to(&self, above: NodeId, below: NodeId) -> bool {
        let (above, below) = (self.number[above as usize], self.number[below as usize]);
        above <= below && below <= self.depth_first_ends[above as usize]
    }

    /// Whether an edge leads back to the header of a loop that it is in.
    #[inline]
    pub fn is_back_edge(&self, graph: &Graph, edge: EdgeId) -> bool {
        let edge = &graph.edges[edge as usize];
        self.dominates(edge.to, edge.from)
    }
}

/// First and last number that a preorder of the dominator tree gives to what each node dominates. Nodes are what they are in depth-first preorder,
/// where dominators come first.
fn subtrees(idom: &[u32]) -> impl Iterator<Item = (u32, u32)> {
    let mut size = vec![1u32; idom.len()];
    for node in (1..idom.len()).rev() {
        size[idom[node] as usize] += size[node];
    }
    // Where the next subtree under each node starts.
    let mut next = vec![0u32; idom.len()];
    (0..idom.len()).map(move |node| {
        let start = next[idom[node] as usize];
        next[idom[node] as usize] += size[node];
        next[node] = start + 1;
        (start, start + size[node] - 1)
    })
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
        let mut united = DisjointSets::new(count);
        let mut body = Vec::new();
        let mut in_body = vec![NONE; count];
        for &node in dominance.preorder.iter().rev() {
            body.clear();
            for &edge in dominance.in_edges.of(node) {
                let from = graph.edges[edge as usize].from;
                if dominance.is_reachable(from) && dominance.dominates(node, from) {
                    is_header[node as usize] = true;
                    let latch = united.find(from);
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
                    let from = united.find(from);
                    if from != node && in_body[from as usize] != node {
                        in_body[from as usize] = node;
                        body.push(from);
                    }
                }
            }
            for &member in &body {
                header[member as usize] = node;
                united.unite(member, node);
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
