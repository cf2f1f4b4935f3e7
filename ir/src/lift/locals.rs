//! Which value a use of a local is.
//!
//! SSA construction on demand, after Braun et al., "Simple and Efficient Construction of Static Single Assignment Form" (CC 2013), but
//! without their walk over predecessors: wasm's constructs nest, so from the last assignment `q` before a position `p`, and the next one after it,
//! the block where the value comes from follows at once.
//!
//! * If a loop around `p` that does not contain `q` has an assignment after `p`, the value is a parameter of the innermost such loop's header.
//! * Else, if constructs that contain `q` were closed before `p`, it is decided at the end of the outermost of these: a parameter where several edges meet.
//!   (Where that one is the first arm of an `if` and `p` is in the second, it is the value before the `if`.)
//! * Else it is what `q` assigned.
//!
//! "Innermost" and "outermost" are found by jump pointers (Myers, "An applicative random-access stack", 1983) over the tree of constructs, so
//! a query takes logarithmic time however deep constructs nest. Parameters made here are those of Braun et al. for constructs that assign the local;
//! some of them are still redundant.

use super::body::LocalSlot;
use super::finish::SizeLimit;
use super::graph::{
    Assignment, Construct, ConstructId, ConstructKind, Graph, JoinId, Parameter, ParameterSource, Slot,
};
use crate::analysis::EntityLists;
use crate::entity::{Entity, PrimaryMap};
use crate::func::{Func, Inst, Value};
use crate::module::OpaqueReason;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// What uses of locals turned out to be.
pub(super) struct Resolved {
    /// The value of each pending read, in their order.
    pub reads: Vec<Value>,
    /// The parameters of all joins: those for the operand stack first, then those for locals.
    pub parameters: Vec<Parameter>,
    /// The arguments of each parameter from each edge, in the order of the edges to its join.
    pub arguments: Arguments,
    /// Constants for locals that are read before they are set.
    pub default_values: Vec<Inst>,
}

/// For each parameter, its argument on each edge.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    starts: Vec<usize>,
    values: Vec<Value>,
}

impl Arguments {
    /// The arguments of the parameter with this number.
    pub fn of(&self, parameter: usize) -> &[Value] {
        let end = self.starts.get(parameter + 1).copied().unwrap_or(self.values.len());
        &self.values[self.starts[parameter]..end]
    }
}

pub(super) fn resolve(
    func: &mut Func,
    graph: &Graph,
    slots: &mut PrimaryMap<Slot, LocalSlot>,
    limit: SizeLimit,
) -> Result<Resolved, OpaqueReason> {
    let edges_of_join = EdgesOfJoins::new(graph);
    let mut parameters: Vec<Parameter> = graph.parameters.iter().map(|parameter| Parameter { ..*parameter }).collect();
    let mut arguments = Arguments::default();
    for parameter in &parameters {
        let ParameterSource::Stack(index) = parameter.source else { unreachable!("made from the operand stack") };
        arguments.starts.push(arguments.values.len());
        arguments.values.extend(edges_of_join.of(parameter.join).iter().map(|&edge| {
            let start = graph.edges[edge as usize].values_start;
            graph.edge_values[start as usize + index as usize]
        }));
        if arguments.values.len() > limit.entries {
            return Err(OpaqueReason::TooLarge);
        }
    }
    let mut default_values = Vec::new();
    if graph.pending_reads.is_empty() {
        return Ok(Resolved { reads: Vec::new(), parameters, arguments, default_values });
    }

    let mut resolver = Resolver {
        func,
        graph,
        slots,
        edges_of_join: &edges_of_join,
        assignments: EntityLists::of_pairs(slots_len(graph), || {
            graph.assignments.iter().map(|&assignment| (assignment.slot, assignment))
        }),
        ends: AncestorTree::new(graph, is_end_join),
        loops: AncestorTree::new(graph, |graph, construct| match construct.kind {
            ConstructKind::Loop(header) => graph.joins[header].edge_count > 1,
            _ => false,
        }),
        known: FxHashMap::default(),
        parameters: &mut parameters,
        default_values: &mut default_values,
        steps_left: limit.entries,
    };
    let mut reads = Vec::with_capacity(graph.pending_reads.len());
    for read in &graph.pending_reads {
        reads.push(resolver.value_at(read.slot, read.position, read.enclosing_loop)?);
    }
    // Arguments may need parameters, which get theirs in turn.
    let mut filled = arguments.starts.len();
    while filled < resolver.parameters.len() {
        let Parameter { join, source, .. } = resolver.parameters[filled];
        let ParameterSource::Local(slot) = source else { unreachable!("made for a local") };
        arguments.starts.push(arguments.values.len());
        for &edge in edges_of_join.of(join) {
            let edge = &graph.edges[edge as usize];
            arguments.values.push(resolver.value_at(slot, edge.position, edge.enclosing_loop)?);
        }
        if arguments.values.len() > limit.entries {
            return Err(OpaqueReason::TooLarge);
        }
        filled += 1;
    }
    Ok(Resolved { reads, parameters, arguments, default_values })
}

fn slots_len(graph: &Graph) -> usize {
    let assigned = graph.assignments.iter().map(|assignment| assignment.slot.index() + 1).max();
    let read = graph.pending_reads.iter().map(|read| read.slot.index() + 1).max();
    assigned.max(read).unwrap_or(0)
}

/// Whether values of locals may be decided where this construct ends.
fn is_end_join(_: &Graph, construct: &Construct) -> bool {
    construct.end_join.is_some() || construct.kind == ConstructKind::ThenBeforeElse
}

/// The edges to each join, in order.
pub(super) struct EdgesOfJoins {
    starts: Vec<u32>,
    edges: Vec<u32>,
}

impl EdgesOfJoins {
    pub fn new(graph: &Graph) -> Self {
        let mut starts = Vec::with_capacity(graph.joins.len() + 1);
        let mut total = 0;
        for join in graph.joins.values() {
            starts.push(total);
            total += join.edge_count;
        }
        starts.push(total);
        let mut edges = vec![0; graph.edges.len()];
        for (number, edge) in graph.edges.iter().enumerate() {
            edges[(starts[edge.join.index()] + edge.ordinal) as usize] = number as u32;
        }
        Self { starts, edges }
    }
    pub fn of(&self, join: JoinId) -> &[u32] {
        &self.edges[self.starts[join.index()] as usize..self.starts[join.index() + 1] as usize]
    }
}

const NONE: u32 = u32::MAX;

/// The tree of some of the constructs, with jump pointers.
struct AncestorTree {
    /// For every construct: the innermost of the tree's that it is or is in.
    member: Vec<u32>,
    nodes: Vec<AncestorNode>,
}

#[derive(Copy, Clone)]
struct AncestorNode {
    construct: ConstructId,
    start: u32,
    end: u32,
    parent: u32,
    jump: u32,
    depth: u32,
}

impl AncestorTree {
    fn new(graph: &Graph, is_member: impl Fn(&Graph, &Construct) -> bool) -> Self {
        let mut member: Vec<u32> = Vec::with_capacity(graph.constructs.len());
        let mut nodes: Vec<AncestorNode> = Vec::new();
        // Parents come before children in the arena.
        for (construct, data) in graph.constructs.iter() {
            let parent = data.parent.map_or(NONE, |parent| member[parent.index()]);
            if !is_member(graph, data) {
                member.push(parent);
                continue;
            }
            let (depth, jump) = match nodes.get(parent as usize) {
                None => (0, NONE),
                Some(above) => {
                    let depth_of = |node: u32| nodes.get(node as usize).map_or(-1, |node| i64::from(node.depth));
                    let jump_above = nodes.get(above.jump as usize).map_or(NONE, |node| node.jump);
                    let balanced =
                        i64::from(above.depth) - depth_of(above.jump) == depth_of(above.jump) - depth_of(jump_above);
                    (above.depth + 1, if balanced && above.jump != NONE { jump_above } else { parent })
                }
            };
            member.push(nodes.len() as u32);
            let (start, end) = (data.start, data.end);
            nodes.push(AncestorNode { construct, start, end, parent, jump, depth });
        }
        Self { member, nodes }
    }

    /// The outermost member that contains `construct` and ends before `position`.
    fn outermost_closed(&self, construct: ConstructId, position: u32) -> Option<&AncestorNode> {
        // Ends grow on the way out.
        let closed = |node: u32| self.nodes.get(node as usize).filter(|node| node.end < position);
        let mut node = closed(self.member[construct.index()])?;
        loop {
            node = match closed(node.jump).or_else(|| closed(node.parent)) {
                Some(outer) => outer,
                None => return Some(node),
            };
        }
    }

    /// The innermost member that contains `construct` (or is it) and ends after `position`.
    fn innermost_open(&self, construct: ConstructId, position: u32) -> Option<&AncestorNode> {
        let mut node = self.nodes.get(self.member[construct.index()] as usize)?;
        while node.end <= position {
            // Skip as far out as is still closed, else one step.
            node = match self.nodes.get(node.jump as usize) {
                Some(jump) if jump.end <= position => jump,
                _ => self.nodes.get(node.parent as usize)?,
            };
        }
        Some(node)
    }
}

struct Resolver<'a> {
    func: &'a mut Func,
    graph: &'a Graph,
    slots: &'a mut PrimaryMap<Slot, LocalSlot>,
    edges_of_join: &'a EdgesOfJoins,
    /// The assignments to each local, in the order of the source.
    assignments: EntityLists<Slot, Assignment>,
    /// Constructs at whose ends edges meet.
    ends: AncestorTree,
    /// Loops with back edges.
    loops: AncestorTree,
    /// Values of locals at the ends of constructs and at headers of loops.
    known: FxHashMap<(Place, Slot), Value>,
    parameters: &'a mut Vec<Parameter>,
    default_values: &'a mut Vec<Inst>,
    steps_left: usize,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    Header(ConstructId),
    End(ConstructId),
}

impl Resolver<'_> {
    /// The value of a local at a position.
    fn value_at(
        &mut self,
        slot: Slot,
        mut position: u32,
        mut enclosing_loop: Option<ConstructId>,
    ) -> Result<Value, OpaqueReason> {
        let mut passed: SmallVec<[Place; 8]> = SmallVec::new();
        let value = loop {
            self.steps_left = self.steps_left.checked_sub(1).ok_or(OpaqueReason::TooLarge)?;
            let assignments = self.assignments.of(slot);
            let later = assignments.partition_point(|assignment| assignment.position < position);
            let last = later.checked_sub(1).map(|index| assignments[index]);
            let last_position = last.map_or(0, |assignment| assignment.position);

            if let (Some(next), Some(enclosing_loop)) = (assignments.get(later), enclosing_loop)
                && let Some(node) = self.loops.innermost_open(enclosing_loop, next.position)
                && node.start > last_position
            {
                let ConstructKind::Loop(join) = self.graph.constructs[node.construct].kind else {
                    unreachable!("only loops are in the tree of loops")
                };
                let place = Place::Header(node.construct);
                break self.parameter(place, join, slot);
            }
            let Some(last) = last else {
                break self.slots[slot].initial_value(self.func, self.default_values);
            };
            let Some(node) = self.ends.outermost_closed(last.construct, position) else { break last.value };
            let place = Place::End(node.construct);
            if let Some(&value) = self.known.get(&(place, slot)) {
                break value;
            }
            let construct = &self.graph.constructs[node.construct];
            match construct.end_join.map(|join| (join, self.edges_of_join.of(join))) {
                None => {
                    // The first arm of an `if`, seen from the second.
                    position = construct.start;
                    enclosing_loop = construct.enclosing_loop;
                }
                Some((_, &[edge])) => {
                    let edge = &self.graph.edges[edge as usize];
                    position = edge.position;
                    enclosing_loop = edge.enclosing_loop;
                }
                Some((join, _)) => break self.parameter(place, join, slot),
            }
            passed.push(place);
        };
        for place in passed {
            self.known.insert((place, slot), value);
        }
        Ok(value)
    }

    fn parameter(&mut self, place: Place, join: JoinId, slot: Slot) -> Value {
        let (func, slots, parameters) = (&mut *self.func, &*self.slots, &mut *self.parameters);
        *self.known.entry((place, slot)).or_insert_with(|| {
            let LocalSlot { ty, local, .. } = slots[slot];
            let value = func.create_detached_value(ty);
            func.source_locals[value] = Some(local);
            parameters.push(Parameter { value, join, source: ParameterSource::Local(slot) });
            value
        })
    }
}
