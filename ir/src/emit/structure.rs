//! Stage 3: nested blocks, loops and ifs out of the dominator tree.
//!
//! The method is Ramsey's ("Beyond Relooper", ICFP 2022), without recursion: a node that several edges lead forward to is placed behind a block that
//! its immediate dominator opens, all others where their one edge is. The result is a flat list of [`Item`]s; labels are frames, so nothing depends
//! on nesting depths. A frame that turns out to be unused vanishes at the end, as does a branch to where control goes anyway.

use super::dominance::{Dominance, Loops, emission_order};
use super::graph::{EdgeId, Exit, Graph, NONE, NodeId, index_u32};
use super::options::Options;
use crate::analysis::EntityLists;
use crate::func::{Func, Inst};
use smallvec::SmallVec;

/// The number of a [`Frame`].
pub(super) type FrameId = u32;

/// A part of structured code, before operands are scheduled.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// The start of a node, where its parameters are defined.
    Start(NodeId),
    Inst(Inst),
    /// A block, a loop or a `try_table` begins.
    Open(FrameId),
    /// The end of a frame.
    End(FrameId),
    /// An `if` on the condition of the frame's node.
    If(FrameId),
    Else(FrameId),
    /// Parameters get their values.
    Copies(EdgeId),
    /// A branch.
    Br(FrameId),
    /// A node ends otherwise than by a jump or a two-way branch.
    Exit(NodeId),
}

/// As the `follow` of a frame: its end leads on to code that takes nothing from the operand stack.
pub(super) const RUN_ON: NodeId = NONE - 1;

/// What a frame is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    Block,
    Loop,
    /// `inverted`: what is inside happens when the condition is zero.
    If {
        inverted: bool,
    },
    Try,
}

/// A frame: a construct with an `end`.
#[derive(Copy, Clone, Debug)]
pub(super) struct Frame {
    pub kind: FrameKind,
    /// A block ends where this node starts, a loop starts with it; the node whose exit it is for the other kinds.
    pub node: NodeId,
    /// Where control goes that falls out of the end: the start of a node, [`NONE`] for the end of the function, or [`RUN_ON`].
    pub follow: NodeId,
}

/// Structured code.
pub(super) struct Structure {
    pub items: Vec<Item>,
    pub frames: Vec<Frame>,
    /// The frame that a branch forward to a node leaves, where there is one.
    pub block_frame: Vec<FrameId>,
    /// The frame that a branch back to a node repeats, where there is one.
    pub loop_frame: Vec<FrameId>,
    /// Edges that leave a run of code in its middle: `br_if`, unless there are copies to make.
    pub conditional: Vec<bool>,
    pub places: Places,
    pub loops: Loops,
    pub dominance: Dominance,
}

/// Where things are in a list of items.
pub(super) struct Places {
    /// The region that each item is in: items of one region follow one another on one level of nesting.
    pub region: Vec<u32>,
    /// The node that each item belongs to, as far as loops are concerned.
    pub node: Vec<NodeId>,
    /// Position of each node's start.
    pub start: Vec<u32>,
    /// Position of the first item after a node's instructions and the blocks opened there.
    pub tail: Vec<u32>,
    /// Position of the `block` that ends at a node.
    pub open: Vec<u32>,
}

/// To how many targets the end of code leads at most before it is taken to lead anywhere.
const MAX_TAILS: usize = 4;

/// Where the end of code leads, as far as falling off the end is concerned.
#[derive(Clone, Default)]
struct Tails {
    targets: SmallVec<[NodeId; MAX_TAILS]>,
    anywhere: bool,
}

impl Tails {
    fn add(&mut self, target: NodeId) {
        if self.contains(target) {
            return;
        }
        if self.targets.len() == MAX_TAILS {
            self.anywhere = true;
        } else {
            self.targets.push(target);
        }
    }

    fn contains(&self, target: NodeId) -> bool {
        self.anywhere || self.targets.contains(&target)
    }
}

enum Task {
    Item(Item),
    /// A node and all that it dominates, and where control goes after it.
    Node(NodeId, NodeId),
    Exit(NodeId, NodeId),
    /// An edge, with all that follows in place.
    Edge(EdgeId, NodeId),
}

struct Structurer<'a> {
    func: &'a Func,
    graph: &'a Graph,
    options: &'a Options,
    dominance: &'a Dominance,
    loops: &'a Loops,
    /// Whether a node is placed behind a block.
    is_merge: Vec<bool>,
    /// How many edges lead forward to a node.
    forward_edges: Vec<u32>,
    tails: Vec<Tails>,
    frames: Vec<Frame>,
    block_frame: Vec<FrameId>,
    loop_frame: Vec<FrameId>,
    conditional: Vec<bool>,
    items: Vec<Item>,
    tasks: Vec<Task>,
}

/// Structures a graph.
pub(super) fn structure(func: &Func, graph: &Graph, dominance: Dominance, options: &Options) -> Structure {
    let loops = Loops::new(graph, &dominance);
    let order = emission_order(graph, &dominance);
    let count = graph.nodes.len();
    let forward_edges = count_forward_edges(graph, &dominance);
    let needs_label = targets_of_labels(graph, &order);
    let is_merge: Vec<bool> = (0..count).map(|node| forward_edges[node] > 1 || needs_label[node]).collect();
    // Nodes behind blocks, under their immediate dominator, in order of emission.
    let is_child = |node: NodeId| is_merge[node as usize] && node != graph.entry;
    let mut children = EntityLists::of_pairs(count, || {
        order.iter().filter(|&&node| is_child(node)).map(|&node| (dominance.idom[node as usize], node))
    });
    // What is outside of the loop of its immediate dominator goes behind the loop.
    for &node in order.iter().filter(|&&node| loops.is_header(node)) {
        children.of_mut(node).sort_by_key(|&child| !loops.contains(node, child));
    }

    let mut structurer = Structurer {
        func,
        graph,
        options,
        dominance: &dominance,
        loops: &loops,
        is_merge,
        forward_edges,
        tails: vec![Tails::default(); count],
        frames: Vec::new(),
        block_frame: vec![NONE; count],
        loop_frame: vec![NONE; count],
        conditional: vec![false; graph.edges.len()],
        items: Vec::new(),
        tasks: Vec::new(),
    };
    for &node in order.iter().rev() {
        structurer.tails[node as usize] = match children.of(node).last() {
            Some(&last) => structurer.tails[last as usize].clone(),
            None => structurer.exit_tails(node),
        };
    }
    structurer.tasks.push(Task::Node(graph.entry, NONE));
    while let Some(task) = structurer.tasks.pop() {
        match task {
            Task::Item(item) => structurer.items.push(item),
            Task::Node(node, follow) => structurer.node(node, follow, children.of(node)),
            Task::Exit(node, follow) => structurer.exit(node, follow),
            Task::Edge(edge, follow) => structurer.edge(edge, follow),
        }
    }
    let Structurer { items, frames, block_frame, loop_frame, conditional, .. } = structurer;
    let places = place(graph, &items, &frames);
    Structure { items, frames, block_frame, loop_frame, conditional, places, loops, dominance }
}

/// How many edges lead forward to each node.
fn count_forward_edges(graph: &Graph, dominance: &Dominance) -> Vec<u32> {
    let mut forward_edges = vec![0; graph.nodes.len()];
    for &node in dominance.preorder() {
        graph.for_each_out_edge(node, |edge| {
            if !dominance.is_back_edge(graph, edge) {
                forward_edges[graph.edges[edge as usize].to as usize] += 1;
            }
        });
    }
    forward_edges
}

/// Whether an instruction leads to each node by a label.
fn targets_of_labels(graph: &Graph, nodes: &[NodeId]) -> Vec<bool> {
    let mut is_target = vec![false; graph.nodes.len()];
    for &node in nodes {
        let mut label = |edge: EdgeId| is_target[graph.edges[edge as usize].to as usize] = true;
        match &graph.nodes[node as usize].exit {
            Exit::Switch { entries, .. } => entries.iter().copied().for_each(label),
            Exit::Invoke { handlers, .. } => handlers.iter().copied().for_each(label),
            Exit::BranchOnReference { taken, .. } => label(*taken),
            _ => {}
        }
    }
    is_target
}

impl Structurer<'_> {
    fn is_inline(&self, edge: EdgeId) -> bool {
        !self.is_merge[self.graph.edges[edge as usize].to as usize] && !self.dominance.is_back_edge(self.graph, edge)
    }

    /// Where an edge leads in forward direction: [`None`] for a back edge.
    fn forward_target(&self, edge: EdgeId) -> Option<NodeId> {
        (!self.dominance.is_back_edge(self.graph, edge)).then(|| self.graph.edges[edge as usize].to)
    }

    fn edge_tails(&self, edge: EdgeId, tails: &mut Tails) {
        let to = self.graph.edges[edge as usize].to;
        if self.is_inline(edge) {
            let inner = &self.tails[to as usize];
            tails.anywhere |= inner.anywhere;
            inner.targets.iter().for_each(|&target| tails.add(target));
        } else if let Some(target) = self.forward_target(edge) {
            tails.add(target);
        }
    }

    /// Where the exit of a node without children leads.
    fn exit_tails(&self, node: NodeId) -> Tails {
        let mut tails = Tails::default();
        match self.graph.nodes[node as usize].exit {
            Exit::Dead | Exit::Unreachable | Exit::TailCall | Exit::Switch { .. } => {}
            Exit::Return => tails.add(NONE),
            Exit::Jump(edge) => self.edge_tails(edge, &mut tails),
            Exit::Branch { then_edge, else_edge, .. } => {
                self.edge_tails(then_edge, &mut tails);
                self.edge_tails(else_edge, &mut tails);
            }
            Exit::Invoke { normal, .. } => {
                if let Some(edge) = normal {
                    self.edge_tails(edge, &mut tails);
                }
            }
            Exit::BranchOnReference { not_taken, .. } => self.edge_tails(not_taken, &mut tails),
        }
        tails
    }

    fn frame(&mut self, kind: FrameKind, node: NodeId, follow: NodeId) -> FrameId {
        self.frames.push(Frame { kind, node, follow });
        index_u32(self.frames.len() - 1)
    }

    /// Pushes tasks so that they run in this order.
    fn then(&mut self, tasks: impl DoubleEndedIterator<Item = Task>) {
        self.tasks.extend(tasks.rev());
    }

    fn node(&mut self, node: NodeId, follow: NodeId, children: &[NodeId]) {
        let is_header = self.loops.is_header(node);
        let inside = if is_header {
            children.partition_point(|&child| self.loops.contains(node, child))
        } else {
            children.len()
        };
        let (inside, outside) = children.split_at(inside);
        let mut after = follow;
        let mut first_outside = follow;
        // The last child's block is the outermost.
        for &child in children.iter().rev() {
            self.block_frame[child as usize] = self.frame(FrameKind::Block, child, child);
        }
        for &child in outside.iter().rev() {
            let frame = self.block_frame[child as usize];
            self.items.push(Item::Open(frame));
            self.tasks.push(Task::Node(child, after));
            self.tasks.push(Task::Item(Item::End(frame)));
            after = child;
            first_outside = child;
        }
        if is_header {
            let frame = self.frame(FrameKind::Loop, node, first_outside);
            self.loop_frame[node as usize] = frame;
            self.items.push(Item::Open(frame));
            self.tasks.push(Task::Item(Item::End(frame)));
        }
        self.items.push(Item::Start(node));
        if let Some(block) = self.graph.nodes[node as usize].block {
            let insts = self.func.blocks[block].insts.iter().copied();
            let live = insts.filter(|inst| self.graph.live[crate::entity::Entity::index(*inst)]);
            self.items.extend(live.map(Item::Inst));
        }
        let defaults = self.graph.nodes[node as usize].defaults;
        if defaults != NONE {
            self.items.push(Item::Copies(defaults));
        }
        for &child in inside.iter().rev() {
            let frame = self.block_frame[child as usize];
            self.items.push(Item::Open(frame));
            self.tasks.push(Task::Node(child, after));
            self.tasks.push(Task::Item(Item::End(frame)));
            after = child;
        }
        self.tasks.push(Task::Exit(node, after));
    }

    /// An edge: its copies, then a branch, or the node itself.
    fn edge(&mut self, edge: EdgeId, follow: NodeId) {
        let data = &self.graph.edges[edge as usize];
        let to = data.to;
        if !data.copies.is_empty() {
            self.items.push(Item::Copies(edge));
        }
        if self.dominance.is_back_edge(self.graph, edge) {
            self.items.push(Item::Br(self.loop_frame[to as usize]));
        } else if self.is_merge[to as usize] {
            self.items.push(Item::Br(self.block_frame[to as usize]));
        } else {
            self.tasks.push(Task::Node(to, follow));
        }
    }

    fn exit(&mut self, node: NodeId, follow: NodeId) {
        match self.graph.nodes[node as usize].exit {
            Exit::Dead => unreachable!("only reachable nodes are emitted"),
            Exit::Unreachable | Exit::Return | Exit::TailCall | Exit::Switch { .. } => {
                self.items.push(Item::Exit(node))
            }
            Exit::Jump(edge) => self.edge(edge, follow),
            Exit::Branch { then_edge, else_edge, .. } => self.branch(node, then_edge, else_edge, follow),
            Exit::BranchOnReference { not_taken, .. } => {
                self.items.push(Item::Exit(node));
                self.edge(not_taken, follow);
            }
            Exit::Invoke { normal, .. } => {
                let block = self.graph.nodes[node as usize].block.expect("an invocation is of the function");
                let crate::func::Terminator::Invoke(invoke) = &self.func.blocks[block].terminator else {
                    unreachable!("the exit repeats the terminator")
                };
                let catches = invoke.handlers.iter().any(|handler| handler.is_exception_handler());
                if catches {
                    let after = normal.map_or(follow, |edge| self.graph.edges[edge as usize].to);
                    let frame = self.frame(FrameKind::Try, node, after);
                    self.items.extend([Item::Open(frame), Item::Exit(node), Item::End(frame)]);
                } else {
                    self.items.push(Item::Exit(node));
                }
                if let Some(edge) = normal {
                    self.edge(edge, follow);
                }
            }
        }
    }

    /// A two-way branch, in the form that is smallest as far as can be told here.
    fn branch(&mut self, node: NodeId, then_edge: EdgeId, else_edge: EdgeId, follow: NodeId) {
        let falls = |this: &Self, edge: EdgeId| {
            let mut tails = Tails::default();
            this.edge_tails(edge, &mut tails);
            tails.contains(follow)
        };
        let leads_to_follow = |this: &Self, edge: EdgeId| this.forward_target(edge) == Some(follow);
        let has_copies = |this: &Self, edge: EdgeId| !this.graph.edges[edge as usize].copies.is_empty();
        // `if` around the rest, or `br_if` to its end: an `if` costs a byte more than a `br_if`, whose block costs three once.
        let nest = |this: &Self| follow != NONE && this.forward_edges[follow as usize] <= this.options.nesting_limit;
        match (self.is_inline(then_edge), self.is_inline(else_edge)) {
            (false, false) => {
                let same_target = leads_to_follow(self, then_edge) && leads_to_follow(self, else_edge);
                if same_target && has_copies(self, then_edge) && has_copies(self, else_edge) {
                    self.both_arms(node, false, then_edge, else_edge, follow);
                } else if same_target {
                    self.one_arm(
                        node,
                        !has_copies(self, then_edge),
                        if has_copies(self, then_edge) { then_edge } else { else_edge },
                        if has_copies(self, then_edge) { else_edge } else { then_edge },
                        follow,
                    );
                } else if leads_to_follow(self, else_edge)
                    || (!leads_to_follow(self, then_edge)
                        && (!has_copies(self, then_edge) || has_copies(self, else_edge)))
                {
                    self.one_arm(node, false, then_edge, else_edge, follow);
                } else {
                    self.one_arm(node, true, else_edge, then_edge, follow);
                }
            }
            (false, true) => {
                if leads_to_follow(self, then_edge) && nest(self) {
                    self.around(node, true, else_edge, then_edge, follow);
                } else {
                    self.one_arm(node, false, then_edge, else_edge, follow);
                }
            }
            (true, false) => {
                if leads_to_follow(self, else_edge) && nest(self) {
                    self.around(node, false, then_edge, else_edge, follow);
                } else if has_copies(self, else_edge) && !falls(self, then_edge) {
                    self.one_arm(node, false, then_edge, else_edge, follow);
                } else {
                    self.one_arm(node, true, else_edge, then_edge, follow);
                }
            }
            (true, true) => {
                if !falls(self, then_edge) {
                    self.one_arm(node, false, then_edge, else_edge, follow);
                } else if !falls(self, else_edge) {
                    self.one_arm(node, true, else_edge, then_edge, follow);
                } else {
                    self.both_arms(node, false, then_edge, else_edge, follow);
                }
            }
        }
    }

    /// `if` around an edge that leads elsewhere than past its end; then the other edge.
    fn one_arm(&mut self, node: NodeId, inverted: bool, arm: EdgeId, rest: EdgeId, follow: NodeId) {
        let frame = self.frame(FrameKind::If { inverted }, node, RUN_ON);
        self.items.push(Item::If(frame));
        self.conditional[arm as usize] = !self.is_inline(arm);
        self.then([Task::Edge(arm, RUN_ON), Task::Item(Item::End(frame)), Task::Edge(rest, follow)].into_iter());
    }

    /// `if` around all that follows an edge; the other edge leads to the end of it.
    fn around(&mut self, node: NodeId, inverted: bool, arm: EdgeId, other: EdgeId, follow: NodeId) {
        if self.graph.edges[other as usize].copies.is_empty() {
            let frame = self.frame(FrameKind::If { inverted }, node, follow);
            self.items.push(Item::If(frame));
            self.then([Task::Edge(arm, follow), Task::Item(Item::End(frame)), Task::Edge(other, follow)].into_iter());
        } else {
            self.both_arms(node, inverted, arm, other, follow);
        }
    }

    fn both_arms(&mut self, node: NodeId, inverted: bool, then_edge: EdgeId, else_edge: EdgeId, follow: NodeId) {
        let frame = self.frame(FrameKind::If { inverted }, node, follow);
        self.items.push(Item::If(frame));
        let tasks = [
            Task::Edge(then_edge, follow),
            Task::Item(Item::Else(frame)),
            Task::Edge(else_edge, follow),
            Task::Item(Item::End(frame)),
        ];
        self.then(tasks.into_iter());
    }
}

/// Finds the regions and positions of a finished list of items.
fn place(graph: &Graph, items: &[Item], frames: &[Frame]) -> Places {
    let count = graph.nodes.len();
    let mut places = Places {
        region: Vec::with_capacity(items.len()),
        node: Vec::with_capacity(items.len()),
        start: vec![NONE; count],
        tail: vec![NONE; count],
        open: vec![NONE; count],
    };
    let mut regions = 1;
    let mut nesting = Vec::new();
    let mut current = 0;
    let mut node = graph.entry;
    for (position, &item) in items.iter().enumerate() {
        let position = index_u32(position);
        match item {
            Item::End(_) => current = nesting.pop().expect("each end has a beginning"),
            Item::Else(_) => {
                current = regions;
                regions += 1;
            }
            _ => {}
        }
        places.region.push(current);
        match item {
            Item::Start(started) => {
                node = started;
                places.start[node as usize] = position;
                places.tail[node as usize] = position + 1;
            }
            Item::Inst(_) => places.tail[node as usize] = position + 1,
            Item::Copies(edge) if graph.nodes[node as usize].defaults == edge => {
                places.tail[node as usize] = position + 1;
            }
            Item::Open(frame) | Item::If(frame) => {
                let data = &frames[frame as usize];
                if data.kind == FrameKind::Block {
                    places.open[data.node as usize] = position;
                    // Blocks opened behind a node's instructions are still in its run.
                    if places.tail[node as usize] == position {
                        places.tail[node as usize] = position + 1;
                    }
                }
                nesting.push(current);
                current = regions;
                regions += 1;
            }
            Item::End(_) | Item::Else(_) | Item::Copies(_) | Item::Br(_) | Item::Exit(_) => {}
        }
        places.node.push(node);
    }
    assert!(nesting.is_empty(), "emission: a frame is not closed");
    places
}
