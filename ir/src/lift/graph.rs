//! What the pass over the operators writes down about control flow, for finding the values of locals afterwards.
//!
//! A *position* is where an operator is in the body (its offset plus one, so that 0 is the function's entry). It stands for the moment before the operator.

use crate::entity::{Entity, PrimaryMap};
use crate::func::{Block, Value};

/// A `block`, `loop`, `if` or `try_table`, the first arm of an `if`, or the function itself.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ConstructId(u32);

impl Entity for ConstructId {
    #[inline]
    fn from_index(index: usize) -> Self {
        Self(u32::try_from(index).expect("a body has fewer than 2^32 operators"))
    }
    #[inline]
    fn index(self) -> usize {
        self.0 as usize
    }
}

crate::entity_id! {
    /// A block that branches lead to: the end of a construct, or the start of a loop.
    pub struct JoinId("join");
}

/// A construct. Constructs nest.
#[derive(Debug)]
pub(super) struct Construct {
    pub parent: Option<ConstructId>,
    pub kind: ConstructKind,
    /// The position of its first operator.
    pub start: u32,
    /// The position of its `end` (of the `else`, for the first arm of an `if`).
    pub end: u32,
    /// The innermost loop around it (not itself).
    pub enclosing_loop: Option<ConstructId>,
    /// The block where its `end` is, if a branch leads there.
    pub end_join: Option<JoinId>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum ConstructKind {
    Function,
    /// `block`, `if` or `try_table`.
    Block,
    /// A loop with its header.
    Loop(JoinId),
    /// The first arm of an `if` that has an `else`.
    ThenBeforeElse,
    /// The first arm of an `if` that has no `else` (or has not got it yet).
    Then,
}

#[derive(Debug)]
pub(super) struct Join {
    pub block: Block,
    /// How many edges lead here.
    pub edge_count: u32,
    /// The block of the last edge that was added.
    pub last_from: Option<Block>,
    /// How many values of the operand stack an edge brings.
    pub stack_values: u32,
}

/// The edges from one block to one join: one, or several of a `br_table`.
#[derive(Debug)]
pub(super) struct Edge {
    pub from: Block,
    pub join: JoinId,
    /// Its place among the edges to this join.
    pub ordinal: u32,
    pub position: u32,
    pub enclosing_loop: Option<ConstructId>,
    /// Where its values of the operand stack start in [`Graph::edge_values`].
    pub values_start: u32,
}

/// A parameter of a join with more than one edge.
#[derive(Debug)]
pub(super) struct Parameter {
    pub value: Value,
    pub join: JoinId,
    pub source: ParameterSource,
}

#[derive(Copy, Clone, Debug)]
pub(super) enum ParameterSource {
    /// The n-th of the values of the operand stack that an edge brings.
    Stack(u32),
    /// The local in this slot.
    Local(Slot),
}

crate::entity_id! {
    /// A wasm local that the body uses, numbered by first use.
    pub struct Slot("slot");
}

/// An assignment to a local.
#[derive(Copy, Clone, Debug)]
pub(super) struct Assignment {
    pub slot: Slot,
    pub position: u32,
    pub construct: ConstructId,
    pub value: Value,
}

/// A use of a local whose value is not known yet.
#[derive(Debug)]
pub(super) struct PendingRead {
    pub stand_in: Value,
    pub slot: Slot,
    pub position: u32,
    pub enclosing_loop: Option<ConstructId>,
}

#[derive(Debug, Default)]
pub(super) struct Graph {
    pub constructs: PrimaryMap<ConstructId, Construct>,
    pub joins: PrimaryMap<JoinId, Join>,
    /// In the order of their blocks' ends; those of one block are adjacent.
    pub edges: Vec<Edge>,
    pub edge_values: Vec<Value>,
    pub parameters: Vec<Parameter>,
    pub assignments: Vec<Assignment>,
    pub pending_reads: Vec<PendingRead>,
}

impl Graph {
    /// A graph with room for what ordinary code has in so many bytes.
    pub fn for_body(bytes: usize) -> Self {
        Self {
            joins: PrimaryMap::with_capacity(bytes / 32),
            edges: Vec::with_capacity(bytes / 16),
            assignments: Vec::with_capacity(bytes / 16),
            pending_reads: Vec::with_capacity(bytes / 8),
            ..Self::default()
        }
    }

    pub fn add_join(&mut self, block: Block, stack_values: u32) -> JoinId {
        self.joins.push(Join { block, edge_count: 0, last_from: None, stack_values })
    }

    /// Notes that `from` ends with a jump to `join` (or several, in a `br_table`, which all bring the same values).
    pub fn add_edge(
        &mut self,
        from: Block,
        join: JoinId,
        position: u32,
        enclosing_loop: Option<ConstructId>,
        values: &[Value],
    ) {
        let data = &mut self.joins[join];
        debug_assert_eq!(values.len(), data.stack_values as usize);
        if data.last_from == Some(from) {
            return;
        }
        data.last_from = Some(from);
        let ordinal = data.edge_count;
        data.edge_count += 1;
        let values_start = u32::try_from(self.edge_values.len()).expect("lifting stops before 2^32 values on edges");
        self.edge_values.extend_from_slice(values);
        self.edges.push(Edge { from, join, ordinal, position, enclosing_loop, values_start });
    }
}
