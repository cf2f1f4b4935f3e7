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
    let mut place_of: Vec<u32> = vec![NONE; graph.value_count()];
    for node in 0..index_u32(graph.nodes.len()) {
        let is_join = dominance.is_reachable(node) && dominance.in_edges.of(node).len() >= 2;
        if !is_join || graph.nodes[node as usize].params_on_stack {
            continue;
        }
        let params = graph.nodes[node as usize].params.to_vec();
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
        let mut join = Join::new(&context, graph, node, params, edges, &mut place_of);
        for place in 0..join.params.len() {
            join.store_default(&context, graph, place);
        }
        join.remove_stored(graph, &place_of);
    }
}

struct Context<'a> {
    func: &'a Func,
    dominance: &'a Dominance,
    options: &'a Options,
    /// The node that an instruction is in.
    node_of: Vec<NodeId>,
}

/// A node at which several edges meet.
struct Join {
    node: NodeId,
    params: Vec<Value>,
    edges: Vec<IncomingEdge>,
    /// What each edge gives each parameter, as far as it is not stored before: for a parameter all edges, then the next parameter.
    arguments: Vec<Option<Value>>,
    stores_any: bool,
}

struct IncomingEdge {
    id: EdgeId,
    /// Where an exception lands: `try_table`s that land at one place without code of their own can be one.
    is_landing: bool,
    is_conditional: bool,
}

impl Join {
    /// `place_of` is scratch space: the number of each parameter of the node afterwards.
    fn new(
        context: &Context<'_>,
        graph: &Graph,
        node: NodeId,
        params: Vec<Value>,
        edges: Vec<EdgeId>,
        place_of: &mut [u32],
    ) -> Self {
        for (place, &param) in params.iter().enumerate() {
            place_of[param.index()] = index_u32(place);
        }
        let mut arguments = vec![None; params.len() * edges.len()];
        let incoming = |(number, &id): (usize, &EdgeId)| {
            let edge = &graph.edges[id as usize];
            for &(param, value) in &edge.copies {
                let place = place_of[param.index()] as usize;
                if params.get(place) == Some(&param) {
                    arguments[place * edges.len() + number] = Some(graph.name(value));
                }
            }
            let is_landing = match *context.dominance.in_edges.of(edge.from) {
                [only] => match &graph.nodes[graph.edges[only as usize].from as usize].exit {
                    Exit::Invoke { handlers, .. } => handlers.contains(&only),
                    _ => false,
                },
                _ => false,
            };
            let from = &graph.nodes[edge.from as usize];
            // A node that emission added is a table's edge, which needs a place of its own only for the copies.
            let is_conditional = matches!(from.exit, Exit::Branch { .. }) || from.block.is_none() || is_landing;
            IncomingEdge { id, is_landing, is_conditional }
        };
        let edges = edges.iter().enumerate().map(incoming).collect();
        Self { node, params, edges, arguments, stores_any: false }
    }

    /// The edges with what they give a parameter.
    fn arguments_of(&self, place: usize) -> impl Iterator<Item = (&IncomingEdge, Option<Value>)> {
        let count = self.edges.len();
        self.edges.iter().zip(self.arguments[place * count..(place + 1) * count].iter().copied())
    }

    /// Stores the default of the parameter in this place if there is a good one.
    fn store_default(&mut self, context: &Context<'_>, graph: &mut Graph, place: usize) {
        let &Context { func, options, .. } = context;
        let constant = |value: Value| match graph.origin(func, value) {
            // Reading a global that changes is the same operator and another value each time.
            Origin::Result(inst) if !graph.effects[func.operator_id(inst)].is_pure() => None,
            Origin::Result(inst) => constant_length(func.operator(inst)).map(|length| (func.operator_id(inst), length)),
            Origin::I32Const(_) | Origin::Param | Origin::Undefined => None,
        };
        // The constant that most edges give.
        let mut counts: Vec<(OperatorId, usize, usize)> = Vec::new();
        let mut allows_result = true;
        let mut lands_with = None;
        for (edge, argument) in self.arguments_of(place) {
            // Without a copy on every edge somebody stores defaults already, or the graph was irreducible.
            let Some(value) = argument else { return };
            match constant(value) {
                Some((operator, _)) if edge.is_landing && is_zero(&func.operators[operator]) => {
                    lands_with = Some(operator);
                }
                Some((operator, _)) => match counts.iter_mut().find(|(of, ..)| *of == operator) {
                    Some((_, total, conditional)) => {
                        *total += 1;
                        *conditional += usize::from(edge.is_conditional);
                    }
                    None => counts.push((operator, 1, usize::from(edge.is_conditional))),
                },
                None => allows_result &= !edge.is_conditional,
            }
            // Long lists of different constants are no case for a default.
            if counts.len() > 16 {
                return;
            }
        }
        if let Some(operator) = lands_with {
            // Locals are zero at first, so this often costs nothing at all.
            return self.make_default(context, graph, place, operator);
        }
        let Some(&(operator, total, conditional)) = counts
            .iter()
            .max_by_key(|&&(operator, total, conditional)| (conditional, total, std::cmp::Reverse(operator.index())))
        else {
            return;
        };
        let length = constant_length(&func.operators[operator]).expect("only constants are counted") as i64;
        let (total, conditional, others) = (total as i64, conditional as i64, self.edges.len() as i64 - total as i64);
        let is_nested = self.edges.len() as u32 <= options.nesting_limit;
        let unconditional = total - conditional;
        // Against a block's result where that is possible, else against a store on each edge.
        let gain = if allows_result {
            let of_branch = if is_nested { 1 + length } else { 3 + length };
            let only_use = if graph.uses[self.params[place].index()] == 1 { 2 } else { 0 };
            conditional * of_branch + unconditional * length - (length + 2) - 2 * others - only_use
        } else {
            let of_branch = if is_nested { 3 + length } else { 5 + length };
            conditional * of_branch + unconditional * (length + 2) - (length + 2)
        };
        if gain > 0 && total > 1 {
            self.make_default(context, graph, place, operator);
        }
    }

    /// Stores a constant at the immediate dominator of `node`, and no longer on the edges that give it.
    fn make_default(&mut self, context: &Context<'_>, graph: &mut Graph, place: usize, operator: OperatorId) {
        let func = context.func;
        let given: Vec<(usize, Value, Inst)> = self
            .arguments_of(place)
            .enumerate()
            .filter_map(|(number, (_, argument))| {
                let value = argument?;
                let Origin::Result(inst) = graph.origin(func, value) else { return None };
                (func.operator_id(inst) == operator).then_some((number, value, inst))
            })
            .collect();
        let above = context.dominance.idom[self.node as usize];
        // A constant that is kept in a local must be there already; one that is repeated is at hand everywhere.
        let is_at_hand = |&&(_, value, inst): &&(usize, Value, Inst)| {
            is_repeated(func, inst, graph.uses[value.index()])
                || context.dominance.dominates(context.node_of[inst.index()], above)
        };
        let default = match (given.iter().find(is_at_hand), &func.operators[operator]) {
            (Some(&(_, value, _)), _) => value,
            (None, &Operator::I32Const { value }) => graph.add_value(Added::I32Const(value)),
            (None, _) => return,
        };
        for &(number, value, _) in &given {
            self.arguments[place * self.edges.len() + number] = None;
            graph.uses[value.index()] -= 1;
        }
        self.stores_any = true;
        let name = graph.name(default);
        graph.uses[name.index()] += 1;
        if graph.nodes[above as usize].defaults == NONE {
            let stored = graph.add_edge(above, above);
            graph.nodes[above as usize].defaults = stored;
        }
        let stored = graph.nodes[above as usize].defaults;
        graph.edges[stored as usize].copies.push((self.params[place], default));
    }

    /// What is stored before is no longer given on edges.
    fn remove_stored(&self, graph: &mut Graph, place_of: &[u32]) {
        if !self.stores_any {
            return;
        }
        for (number, edge) in self.edges.iter().enumerate() {
            graph.edges[edge.id as usize].copies.retain(|&mut (param, _)| {
                let place = place_of[param.index()] as usize;
                self.params.get(place) != Some(&param) || self.arguments[place * self.edges.len() + number].is_some()
            });
        }
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
