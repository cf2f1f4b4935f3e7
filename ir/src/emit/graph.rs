//! Stage 1: what is alive, as a control-flow graph of emission's own.
//!
//! The graph is made from the function without changing it, and may then be changed at will: edges are split, irreducible regions get a
//! dispatching node. On the way unused code and block parameters are dropped, blocks that only jump on are bypassed, and the parameters of a
//! block with one predecessor become other names of their arguments.

use crate::analysis::{EntityLists, ListLengths};
use crate::effects::{EffectsEnvironment, OperatorEffects};
use crate::entity::Entity;
use crate::func::{Block, BlockCall, Func, Inst, Terminator, Value, ValueDefinition};
use smallvec::SmallVec;
use wasmparser::{Operator, ValType};

/// The number of a node: of a block, or beyond them of a node that emission added.
pub(super) type NodeId = u32;
/// The number of an edge.
pub(super) type EdgeId = u32;
/// No node, edge, or position.
pub(super) const NONE: u32 = u32::MAX;

/// A node of the graph.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The block whose instructions the node holds; `None` for one that emission added.
    pub block: Option<Block>,
    /// The parameters that are used.
    pub params: SmallVec<[Value; 2]>,
    /// Whether an instruction leaves the parameters on the operand stack, all of them and in order. All edges into such a
    /// node are such instructions'.
    pub params_on_stack: bool,
    /// How it ends.
    pub exit: Exit,
    /// Copies that are made behind the node's instructions, before it ends: an edge that leads nowhere, or [`NONE`].
    pub defaults: EdgeId,
    /// Ties in the order of emission go to the smaller key.
    pub key: u64,
}

/// How a node ends.
#[derive(Clone, Debug)]
pub(super) enum Exit {
    /// The node is not reachable.
    Dead,
    Unreachable,
    Jump(EdgeId),
    Branch {
        condition: Value,
        then_edge: EdgeId,
        else_edge: EdgeId,
        likely: Option<bool>,
    },
    /// The edges of the table's entries, the default's last. No edge has copies.
    Switch {
        index: Value,
        entries: Box<[EdgeId]>,
    },
    /// The values are those of the block's terminator.
    Return,
    /// The block's terminator says what it is.
    TailCall,
    /// The block's terminator says what it is; handlers without a block have no edge.
    Invoke {
        normal: Option<EdgeId>,
        handlers: Box<[EdgeId]>,
    },
    /// The block's terminator says what it is.
    BranchOnReference {
        taken: EdgeId,
        not_taken: EdgeId,
    },
}

/// An edge.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub from: NodeId,
    pub to: NodeId,
    /// Which parameters get which values on the way, all at once.
    pub copies: SmallVec<[(Value, Value); 2]>,
    /// Which parameters may hold anything after it.
    pub undefined: SmallVec<[Value; 2]>,
}

/// What a value that is not of the function is.
#[derive(Copy, Clone, Debug)]
pub(super) enum Added {
    I32Const(i32),
    I32Param,
}

/// Where a value comes from.
#[derive(Copy, Clone, Debug)]
pub(super) enum Origin {
    Result(Inst),
    Param,
    I32Const(i32),
    /// Nowhere: it may be anything.
    Undefined,
}

/// The graph.
pub(super) struct Graph {
    pub entry: NodeId,
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    /// What else each value is known as: itself, or the argument that a parameter always has.
    names: Vec<Value>,
    /// How often each value is used by what is alive.
    pub uses: Vec<u32>,
    /// Which instructions are alive.
    pub live: Vec<bool>,
    /// The effects of each operator.
    pub effects: OperatorEffects,
    /// Values that emission added, numbered after those of the function.
    pub added: Vec<Added>,
    function_values: usize,
}

impl Graph {
    /// The value that `value` is another name of, or itself.
    #[inline]
    pub fn name(&self, value: Value) -> Value {
        self.names[value.index()]
    }

    /// How many values there are.
    pub fn value_count(&self) -> usize {
        self.uses.len()
    }

    /// Adds a value that is not of the function.
    pub fn add_value(&mut self, added: Added) -> Value {
        let value = Value::from_index(self.function_values + self.added.len());
        self.added.push(added);
        self.names.push(value);
        self.uses.push(0);
        value
    }

    /// Adds a node without instructions.
    pub fn add_node(&mut self, exit: Exit, key: u64) -> NodeId {
        let id = index_u32(self.nodes.len());
        self.nodes.push(Node {
            block: None,
            params: SmallVec::new(),
            params_on_stack: false,
            exit,
            defaults: NONE,
            key,
        });
        id
    }

    /// Adds an edge; the caller enters it in the exit of `from`.
    pub fn add_edge(&mut self, from: NodeId, to: NodeId) -> EdgeId {
        let id = index_u32(self.edges.len());
        self.edges.push(Edge { from, to, copies: SmallVec::new(), undefined: SmallVec::new() });
        id
    }

    /// The type of a value.
    pub fn value_type(&self, func: &Func, value: Value) -> ValType {
        if value.index() < self.function_values { func.value_type(value) } else { ValType::I32 }
    }

    /// Where a value comes from.
    #[inline]
    pub fn origin(&self, func: &Func, value: Value) -> Origin {
        match value.index().checked_sub(self.function_values) {
            None => match func.definition(value) {
                ValueDefinition::Result(inst) => Origin::Result(inst),
                ValueDefinition::Parameter(_) => Origin::Param,
                ValueDefinition::Undefined => Origin::Undefined,
                ValueDefinition::Alias(_) => unreachable!("aliases are resolved before emission"),
            },
            Some(added) => match self.added[added] {
                Added::I32Const(value) => Origin::I32Const(value),
                Added::I32Param => Origin::Param,
            },
        }
    }

    /// Calls `visit` with each edge that leaves a node; a table's edge once, however many entries lead along it.
    pub fn for_each_out_edge(&self, node: NodeId, mut visit: impl FnMut(EdgeId)) {
        match &self.nodes[node as usize].exit {
            Exit::Dead | Exit::Unreachable | Exit::Return | Exit::TailCall => {}
            Exit::Jump(edge) => visit(*edge),
            Exit::Branch { then_edge, else_edge, .. } => {
                visit(*then_edge);
                visit(*else_edge);
            }
            Exit::Switch { entries, .. } => {
                // Edges of one table have consecutive numbers in order of first occurrence.
                let mut next = NONE;
                for &edge in entries {
                    if next == NONE || edge >= next {
                        visit(edge);
                        next = edge + 1;
                    }
                }
            }
            Exit::Invoke { normal, handlers } => {
                normal.iter().copied().for_each(&mut visit);
                handlers.iter().copied().for_each(&mut visit);
            }
            Exit::BranchOnReference { taken, not_taken } => {
                visit(*taken);
                visit(*not_taken);
            }
        }
    }

    /// The edges into each node.
    pub fn in_edges(&self) -> EntityLists<NodeId, EdgeId> {
        let nodes = || 0..index_u32(self.nodes.len());
        let mut lengths = ListLengths::new(self.nodes.len());
        nodes().for_each(|node| self.for_each_out_edge(node, |edge| lengths.count(self.edges[edge as usize].to)));
        let mut lists = lengths.allocate(NONE);
        nodes().for_each(|node| self.for_each_out_edge(node, |edge| lists.push(self.edges[edge as usize].to, edge)));
        lists.finish()
    }
}

pub(super) fn index_u32(index: usize) -> u32 {
    u32::try_from(index).expect("a function has fewer than 2^32 of anything")
}

/// Makes the graph of a function without aliases.
pub(super) fn build(func: &Func, environment: &impl EffectsEnvironment) -> Graph {
    let mut builder = Builder {
        func,
        effects: OperatorEffects::new(func, environment),
        nodes: Vec::with_capacity(func.blocks.len()),
        raw: Vec::with_capacity(2 * func.blocks.len()),
        live: vec![false; func.inst_count()],
        live_value: vec![false; func.value_count()],
    };
    builder.collect_edges();
    builder.mark_live();
    builder.finish()
}

/// An edge with the arguments of its block call.
#[derive(Copy, Clone)]
struct RawEdge<'a> {
    from: NodeId,
    to: NodeId,
    /// `None` for an edge on which an instruction itself defines values.
    args: Option<&'a [Value]>,
}

struct Builder<'a> {
    func: &'a Func,
    effects: OperatorEffects,
    nodes: Vec<Node>,
    raw: Vec<RawEdge<'a>>,
    live: Vec<bool>,
    live_value: Vec<bool>,
}

impl<'a> Builder<'a> {
    fn collect_edges(&mut self) {
        let func = self.func;
        for block in func.blocks.keys() {
            self.nodes.push(Node {
                block: Some(block),
                params: SmallVec::new(),
                params_on_stack: false,
                exit: Exit::Dead,
                defaults: NONE,
                key: u64::from(block.as_u32()) * 4 + 2,
            });
        }
        let mut reached = vec![false; func.blocks.len()];
        let mut stack = vec![func.entry];
        reached[func.entry.index()] = true;
        while let Some(block) = stack.pop() {
            let exit = self.exit_of(block);
            self.nodes[block.index()].exit = exit;
            func.blocks[block].terminator.for_each_successor(|successor| {
                if !std::mem::replace(&mut reached[successor.index()], true) {
                    stack.push(successor);
                }
            });
        }
    }

    fn exit_of(&mut self, block: Block) -> Exit {
        let func = self.func;
        let from = block.as_u32();
        let raw = &mut self.raw;
        let mut call = |target: &'a BlockCall| {
            raw.push(RawEdge { from, to: target.block.as_u32(), args: Some(&target.args) });
            index_u32(raw.len() - 1)
        };
        match &func.blocks[block].terminator {
            Terminator::Missing => panic!("emission: {block} has no terminator"),
            Terminator::Unreachable => Exit::Unreachable,
            Terminator::Jump(target) => Exit::Jump(call(target)),
            Terminator::Branch { condition, then_target, else_target, likely } => {
                // `eqz` in a condition swaps the targets instead.
                let (mut condition, mut is_swapped) = (*condition, false);
                while let Some(inst) = func.defining_inst(condition)
                    && let Operator::I32Eqz = func.operator(inst)
                {
                    condition = func.operands(inst)[0];
                    is_swapped = !is_swapped;
                }
                let (mut then_edge, mut else_edge) = (call(then_target), call(else_target));
                let mut likely = *likely;
                if is_swapped {
                    std::mem::swap(&mut then_edge, &mut else_edge);
                    likely = likely.map(|likely| !likely);
                }
                Exit::Branch { condition, then_edge, else_edge, likely }
            }
            Terminator::Switch { index, targets, default } => {
                // One edge for each distinct target, as tables may be long.
                let mut edges = rustc_hash::FxHashMap::default();
                let entries = targets.iter().chain([default]);
                let entries =
                    entries.map(|target| *edges.entry((target.block, &target.args)).or_insert_with(|| call(target)));
                Exit::Switch { index: *index, entries: entries.collect() }
            }
            Terminator::Return(_) => Exit::Return,
            Terminator::TailCall { .. } => Exit::TailCall,
            Terminator::Invoke(invoke) => {
                let mut special = |to: Block| {
                    raw.push(RawEdge { from, to: to.as_u32(), args: None });
                    index_u32(raw.len() - 1)
                };
                let normal = invoke.normal.map(&mut special);
                let handlers = invoke.handlers.iter().filter_map(|handler| handler.block()).map(special).collect();
                Exit::Invoke { normal, handlers }
            }
            Terminator::BranchOnReference { taken, not_taken, .. } => {
                let mut special = |to: Block| {
                    raw.push(RawEdge { from, to: to.as_u32(), args: None });
                    index_u32(raw.len() - 1)
                };
                let (taken, not_taken) = (special(*taken), special(*not_taken));
                Exit::BranchOnReference { taken, not_taken }
            }
        }
    }

    /// Marks instructions and values that something with an effect depends on.
    fn mark_live(&mut self) {
        let func = self.func;
        let mut incoming: Vec<SmallVec<[EdgeId; 2]>> = vec![SmallVec::new(); func.blocks.len()];
        for (number, edge) in self.raw.iter().enumerate() {
            incoming[edge.to as usize].push(index_u32(number));
        }
        let mut worklist: Vec<Value> = Vec::new();
        let live_value = &mut self.live_value;
        let mut mark = |value: Value, worklist: &mut Vec<Value>| {
            if !std::mem::replace(&mut live_value[value.index()], true) {
                worklist.push(value);
            }
        };
        for (block, data) in func.blocks.iter() {
            if matches!(self.nodes[block.index()].exit, Exit::Dead) {
                continue;
            }
            for &inst in &data.insts {
                if !self.effects[func.operator_id(inst)].is_removable_if_unused() {
                    self.live[inst.index()] = true;
                    func.operands(inst).iter().for_each(|&operand| mark(operand, &mut worklist));
                }
            }
            match (&self.nodes[block.index()].exit, &data.terminator) {
                (Exit::Branch { condition: value, .. } | Exit::Switch { index: value, .. }, _) => {
                    mark(*value, &mut worklist);
                }
                (Exit::Jump(_), _) => {}
                (_, terminator) => terminator.for_each_value(|value| mark(value, &mut worklist)),
            }
        }
        while let Some(value) = worklist.pop() {
            match func.definition(value) {
                ValueDefinition::Result(inst) => {
                    if !std::mem::replace(&mut self.live[inst.index()], true) {
                        func.operands(inst).iter().for_each(|&operand| mark(operand, &mut worklist));
                    }
                }
                ValueDefinition::Parameter(block) => {
                    let position = func.blocks[block].params.iter().position(|&param| param == value);
                    let position = position.expect("a parameter is in its block's list");
                    for &edge in &incoming[block.index()] {
                        if let Some(args) = self.raw[edge as usize].args {
                            mark(args[position], &mut worklist);
                        }
                    }
                }
                ValueDefinition::Undefined => {}
                ValueDefinition::Alias(_) => unreachable!("aliases are resolved before emission"),
            }
        }
    }

    /// Whether a block does nothing but jump on, without arguments.
    fn forwards_to(&self, block: NodeId) -> Option<EdgeId> {
        let Exit::Jump(edge) = self.nodes[block as usize].exit else { return None };
        let data = &self.func.blocks[Block::from_u32(block)];
        let target = &self.func.blocks[Block::from_u32(self.raw[edge as usize].to)];
        let idle = block != self.func.entry.as_u32()
            && data.insts.iter().all(|inst| !self.live[inst.index()])
            && data.params.iter().chain(&target.params).all(|param| !self.live_value[param.index()]);
        idle.then_some(edge)
    }

    /// Redirects edges into blocks that only jump on.
    fn bypass_idle_blocks(&mut self) {
        // The target of a chain of idle blocks; NONE while unknown. A cycle of them is an endless loop, and keeps one block.
        let mut target: Vec<NodeId> = vec![NONE; self.nodes.len()];
        let mut is_special = vec![false; self.nodes.len()];
        for edge in self.raw.iter().filter(|edge| edge.args.is_none()) {
            is_special[edge.to as usize] = true;
        }
        let mut chain = Vec::new();
        for start in 0..index_u32(self.nodes.len()) {
            let mut node = start;
            let end = loop {
                if target[node as usize] != NONE {
                    break target[node as usize];
                }
                target[node as usize] = node;
                match self.forwards_to(node) {
                    Some(edge) if !is_special[node as usize] => {
                        chain.push(node);
                        node = self.raw[edge as usize].to;
                    }
                    _ => break node,
                }
            };
            chain.drain(..).for_each(|passed| target[passed as usize] = end);
        }
        for edge in self.raw.iter_mut().filter(|edge| edge.args.is_some()) {
            let end = target[edge.to as usize];
            if end != edge.to {
                // Neither the bypassed blocks nor the end have live parameters.
                edge.to = end;
                edge.args = Some(&[]);
            }
        }
    }

    fn finish(mut self) -> Graph {
        self.bypass_idle_blocks();
        let func = self.func;
        let mut graph = Graph {
            entry: func.entry.as_u32(),
            edges: self
                .raw
                .iter()
                .map(|edge| Edge { from: edge.from, to: edge.to, copies: SmallVec::new(), undefined: SmallVec::new() })
                .collect(),
            nodes: self.nodes,
            names: Vec::new(),
            uses: vec![0; func.value_count()],
            live: self.live,
            effects: self.effects,
            added: Vec::new(),
            function_values: func.value_count(),
        };
        drop_unreachable(&mut graph);
        graph.names = place_params(func, &mut graph, &self.raw, &self.live_value);
        leave_out_undefined(func, &mut graph);
        simplify_branches(&mut graph);
        split_table_edges(&mut graph);
        count_uses(func, &mut graph);
        graph
    }
}

/// Gives nodes the parameters that are used, and edges the copies into them. Returns what each value is another name of, as the parameter of a node
/// with one edge is of its argument.
fn place_params(func: &Func, graph: &mut Graph, raw: &[RawEdge<'_>], live_value: &[bool]) -> Vec<Value> {
    let mut names: Vec<Value> = (0..func.value_count()).map(Value::from_index).collect();
    let is_live = |param: &Value| live_value[param.index()];
    let incoming = graph.in_edges();
    for node in 0..index_u32(graph.nodes.len()) {
        let params = &func.blocks[Block::from_u32(node)].params;
        if params.is_empty() || matches!(graph.nodes[node as usize].exit, Exit::Dead) {
            continue;
        }
        match *incoming.of(node) {
            [] => graph.nodes[node as usize].params = params.iter().copied().filter(is_live).collect(),
            [only] => match raw[only as usize].args {
                None => {
                    graph.nodes[node as usize].params = params.iter().copied().collect();
                    graph.nodes[node as usize].params_on_stack = true;
                }
                // A bypassed edge has no arguments: no parameter is live.
                Some(args) => {
                    params.iter().zip(args).for_each(|(param, &arg)| names[param.index()] = arg);
                }
            },
            ref edges => {
                graph.nodes[node as usize].params = params.iter().copied().filter(is_live).collect();
                for &edge in edges {
                    let args =
                        raw[edge as usize].args.expect("a block that an instruction's edge leads to has no other");
                    let pairs = params.iter().copied().zip(args.iter().copied());
                    graph.edges[edge as usize].copies = pairs.filter(|(param, _)| is_live(param)).collect();
                }
            }
        }
    }
    follow_names(&mut names);
    names
}

/// Follows chains of names. Single predecessors form no cycle among reachable blocks.
fn follow_names(names: &mut [Value]) {
    for value in 0..names.len() {
        let mut end = names[value];
        while names[end.index()] != end {
            end = names[end.index()];
        }
        let mut passed = value;
        while names[passed] != end {
            passed = std::mem::replace(&mut names[passed], end).index();
        }
    }
}

/// What may be anything is not copied.
fn leave_out_undefined(func: &Func, graph: &mut Graph) {
    let Graph { edges, names, .. } = graph;
    for edge in edges {
        let undefined = &mut edge.undefined;
        edge.copies.retain(|&mut (param, argument)| {
            let is_undefined = func.is_undefined(names[argument.index()]);
            if is_undefined {
                undefined.push(param);
            }
            !is_undefined
        });
    }
}

/// Bypassing leaves blocks behind that nothing leads to any more.
fn drop_unreachable(graph: &mut Graph) {
    let mut reached = vec![false; graph.nodes.len()];
    reached[graph.entry as usize] = true;
    let mut stack = vec![graph.entry];
    while let Some(node) = stack.pop() {
        graph.for_each_out_edge(node, |edge| {
            let to = graph.edges[edge as usize].to;
            if !std::mem::replace(&mut reached[to as usize], true) {
                stack.push(to);
            }
        });
    }
    for (node, _) in graph.nodes.iter_mut().zip(reached).filter(|(_, reached)| !reached) {
        node.exit = Exit::Dead;
    }
}

/// A branch with one target is a jump.
fn simplify_branches(graph: &mut Graph) {
    for number in 0..graph.nodes.len() {
        let Exit::Branch { then_edge, else_edge, .. } = graph.nodes[number].exit else { continue };
        let (then_data, else_data) = (&graph.edges[then_edge as usize], &graph.edges[else_edge as usize]);
        if then_data.to == else_data.to && then_data.copies == else_data.copies {
            graph.nodes[number].exit = Exit::Jump(then_edge);
        }
    }
}

/// Gives every edge of a table that has copies a node to make them in.
pub(super) fn split_table_edges(graph: &mut Graph) {
    for number in 0..graph.nodes.len() {
        let Exit::Switch { ref entries, .. } = graph.nodes[number].exit else { continue };
        let mut edges: Vec<EdgeId> = entries.to_vec();
        edges.sort_unstable();
        edges.dedup();
        for edge in edges {
            if !graph.edges[edge as usize].copies.is_empty() {
                split_edge(graph, edge);
            }
        }
    }
}

/// Puts a node in the middle of an edge; the copies are made after it.
pub(super) fn split_edge(graph: &mut Graph, edge: EdgeId) {
    let Edge { from, to, .. } = graph.edges[edge as usize];
    let (from_key, to_key) = (graph.nodes[from as usize].key, graph.nodes[to as usize].key);
    // Just before its target it needs no branch.
    let middle = graph.add_node(Exit::Dead, if to_key > from_key { to_key - 1 } else { from_key + 1 });
    let onward = graph.add_edge(middle, to);
    graph.edges[onward as usize].copies = std::mem::take(&mut graph.edges[edge as usize].copies);
    graph.edges[onward as usize].undefined = std::mem::take(&mut graph.edges[edge as usize].undefined);
    graph.edges[edge as usize].to = middle;
    graph.nodes[middle as usize].exit = Exit::Jump(onward);
}

fn count_uses(func: &Func, graph: &mut Graph) {
    let mut uses = std::mem::take(&mut graph.uses);
    let mut count = |value: Value| uses[graph.name(value).index()] += 1;
    for number in 0..index_u32(graph.nodes.len()) {
        let node = &graph.nodes[number as usize];
        match &node.exit {
            Exit::Dead => continue,
            Exit::Branch { condition: value, .. } | Exit::Switch { index: value, .. } => count(*value),
            Exit::Unreachable | Exit::Jump(_) => {}
            Exit::Return | Exit::TailCall | Exit::Invoke { .. } | Exit::BranchOnReference { .. } => {
                let block = node.block.expect("only blocks of the function end so");
                func.blocks[block].terminator.for_each_value(&mut count);
            }
        }
        if let Some(block) = node.block {
            for &inst in func.blocks[block].insts.iter().filter(|inst| graph.live[inst.index()]) {
                func.operands(inst).iter().for_each(|&operand| count(operand));
            }
        }
        graph.for_each_out_edge(number, |edge| {
            graph.edges[edge as usize].copies.iter().for_each(|&(_, arg)| count(arg));
        });
    }
    graph.uses = uses;
}
