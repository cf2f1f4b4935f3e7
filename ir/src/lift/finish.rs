//! What is left to do once all operators have been seen: values for uses of locals, and parameters for blocks.

use super::body::LocalSlot;
use super::graph::{Graph, Slot};
use super::{locals, parameters};
use crate::analysis::DisjointSets;
use crate::entity::PrimaryMap;
use crate::func::{Block, Func, Inst};
use crate::module::OpaqueReason;

/// Gives uses of locals their values, and blocks their parameters.
pub(super) fn finish(
    mut func: Func,
    graph: &Graph,
    mut slots: PrimaryMap<Slot, LocalSlot>,
    order: &[Block],
    body_size: usize,
) -> Result<Func, OpaqueReason> {
    let limit = SizeLimit::of_body(body_size, order.len());
    let resolved = locals::resolve(&mut func, graph, &mut slots, limit)?;
    let defaults: Vec<Inst> = resolved.default_values;
    if !defaults.is_empty() {
        let insts = &mut func.blocks[func.entry].insts;
        insts.splice(0..0, defaults);
    }
    let mut values = DisjointSets::new(func.value_count());
    for (read, &value) in graph.pending_reads.iter().zip(&resolved.reads) {
        values.unite(read.stand_in, value);
    }
    parameters::remove_redundant(&resolved.parameters, &resolved.arguments, &mut values);
    parameters::write(&mut func, graph, &resolved.parameters, &resolved.arguments, &mut values, limit)?;
    func.compact_in_order(order, |value| values.find(value));
    Ok(func)
}

/// How much a body may grow when it becomes SSA form.
#[derive(Copy, Clone, Debug)]
pub(super) struct SizeLimit {
    /// Arguments of block parameters, handlers of invokes, and what is as long as a signature.
    pub entries: usize,
}

impl SizeLimit {
    /// Ordinary code has less than one argument in ten bytes; a thousand locals through five hundred nested loops are still within the limit.
    pub fn of_body(body_size: usize, blocks: usize) -> Self {
        Self { entries: 2_000_000 + 8 * body_size + 4 * blocks }
    }
}
