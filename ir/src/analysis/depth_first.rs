//! The depth-first tree of a graph of numbered nodes, and what it gives: the nodes in preorder, and their immediate dominators.

const NONE: u32 = u32::MAX;

/// The nodes that a graph's entry leads to, as a depth-first walk visits them.
pub(crate) struct DepthFirstTree {
    /// The nodes in the order of the walk.
    pub preorder: Vec<u32>,
    /// The position of each node in `preorder`; `u32::MAX` for those that the entry does not lead to.
    pub number: Vec<u32>,
    /// The position of the node from which the walk came to the node at each position; the entry's is its own.
    parent: Vec<u32>,
}

impl DepthFirstTree {
    /// Walks over a graph of `node_count` nodes. `successors` appends a node's successors to a list; the walk visits the first one first.
    pub(crate) fn new(node_count: usize, entry: u32, mut successors: impl FnMut(u32, &mut Vec<u32>)) -> Self {
        let mut number = vec![NONE; node_count];
        let mut preorder = Vec::with_capacity(node_count);
        let mut parent = Vec::with_capacity(node_count);
        let mut stack = vec![(entry, 0)];
        let mut list = Vec::new();
        while let Some((node, from)) = stack.pop() {
            if number[node as usize] != NONE {
                continue;
            }
            let position = preorder.len() as u32;
            number[node as usize] = position;
            preorder.push(node);
            parent.push(from);
            successors(node, &mut list);
            stack.extend(list.drain(..).rev().map(|successor| (successor, position)));
        }
        Self { preorder, number, parent }
    }

    /// For the node at each position of `preorder` the last position in its subtree.
    pub(crate) fn ends_of_subtrees(&self) -> Vec<u32> {
        let mut ends: Vec<u32> = (0..self.preorder.len() as u32).collect();
        for position in (1..ends.len()).rev() {
            let above = self.parent[position] as usize;
            ends[above] = ends[above].max(ends[position]);
        }
        ends
    }

    /// For the node at each position of `preorder` the position of its immediate dominator; the entry's is its own.
    ///
    /// Lengauer and Tarjan, "A Fast Algorithm for Finding Dominators in a Flowgraph" (TOPLAS 1979), the variant with path compression
    /// alone. Simpler algorithms are quadratic on what wasm allows: the iterative one of Cooper, Harvey and Kennedy on a hundred thousand nested
    /// blocks with a branch out of each, Georgiadis's Semi-NCA on a `br_table` at the end of a long chain of blocks whose targets are those
    /// of one at its start.
    pub(crate) fn immediate_dominators<P>(&self, predecessors: impl Fn(u32) -> P) -> Vec<u32>
    where
        P: Iterator<Item = u32>,
    {
        let count = self.preorder.len();
        let mut forest = Forest::new(count);
        let mut dominator = vec![0; count];
        // Nodes whose semidominator is the index, as linked lists.
        let mut bucket_head = vec![NONE; count];
        let mut bucket_next = vec![NONE; count];
        for node in (1..count as u32).rev() {
            for predecessor in predecessors(self.preorder[node as usize]) {
                let predecessor = self.number[predecessor as usize];
                if predecessor != NONE {
                    let best = forest.evaluate(predecessor);
                    let semidominator = forest.semidominator[best as usize];
                    let smallest = &mut forest.semidominator[node as usize];
                    *smallest = semidominator.min(*smallest);
                }
            }
            let semidominator = forest.semidominator[node as usize] as usize;
            bucket_next[node as usize] = bucket_head[semidominator];
            bucket_head[semidominator] = node;
            let above = self.parent[node as usize];
            forest.ancestor[node as usize] = above;
            let mut member = std::mem::replace(&mut bucket_head[above as usize], NONE);
            while member != NONE {
                let best = forest.evaluate(member);
                let is_smaller = forest.semidominator[best as usize] < forest.semidominator[member as usize];
                dominator[member as usize] = if is_smaller { best } else { above };
                member = bucket_next[member as usize];
            }
        }
        for node in 1..count {
            if dominator[node] != forest.semidominator[node] {
                dominator[node] = dominator[dominator[node] as usize];
            }
        }
        dominator
    }
}

/// The part of the depth-first tree that is looked at already, all by position in preorder.
struct Forest {
    ancestor: Vec<u32>,
    /// The node with the smallest semidominator among those that path compression took out above each node, and the node.
    label: Vec<u32>,
    semidominator: Vec<u32>,
    path: Vec<u32>,
}

impl Forest {
    fn new(count: usize) -> Self {
        let numbers: Vec<u32> = (0..count as u32).collect();
        Self { ancestor: vec![NONE; count], label: numbers.clone(), semidominator: numbers, path: Vec::new() }
    }

    /// The node with the smallest semidominator on the path from `node` to the root of its tree, the root excluded.
    fn evaluate(&mut self, node: u32) -> u32 {
        if self.ancestor[node as usize] == NONE {
            return node;
        }
        // Path compression, from the top down.
        let mut at = node;
        while self.ancestor[self.ancestor[at as usize] as usize] != NONE {
            self.path.push(at);
            at = self.ancestor[at as usize];
        }
        while let Some(below) = self.path.pop() {
            let above = self.ancestor[below as usize] as usize;
            if self.semidominator[self.label[above] as usize] < self.semidominator[self.label[below as usize] as usize]
            {
                self.label[below as usize] = self.label[above];
            }
            self.ancestor[below as usize] = self.ancestor[above];
        }
        self.label[node as usize]
    }
}
