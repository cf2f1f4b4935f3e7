//! Block parameters: dropping those that always receive the same value, and writing the rest into the body.

use super::finish::SizeLimit;
use super::graph::{Graph, JoinId, Parameter};
use super::locals::Arguments;
use crate::analysis::DisjointSets;
use crate::entity::Entity;
use crate::func::{Func, Value};
use crate::module::OpaqueReason;

/// How often the parameters are gone over at most. A parameter is redundant if its arguments are one value and itself; taking one away can make others
/// redundant, nearly always those that come later in the same sweep. Whatever more sweeps would find is correct as it is, only not minimal.
const MAX_SWEEPS: usize = 16;

/// Makes each parameter whose arguments are all the same value, or the parameter itself, equal to that value.
/// Control flow of wasm is reducible, so none but these are redundant (Braun et al., section 3.2).
pub(super) fn remove_redundant(parameters: &[Parameter], arguments: &Arguments, values: &mut DisjointSets<Value>) {
    let mut remaining: Vec<u32> = (0..parameters.len() as u32).collect();
    for _ in 0..MAX_SWEEPS {
        let before = remaining.len();
        remaining.retain(|&number| {
            let value = parameters[number as usize].value;
            let mut only = None;
            for &argument in arguments.of(number as usize) {
                let argument = values.find(argument);
                if argument == value || only == Some(argument) {
                    continue;
                }
                if only.replace(argument).is_some() {
                    return true;
                }
            }
            match only {
                Some(target) => {
                    values.unite(value, target);
                    false
                }
                // A loop that can only be entered from itself is not reached.
                None => true,
            }
        });
        if remaining.len() == before {
            return;
        }
        remaining.reverse();
    }
}

/// Adds the parameters that are left to their blocks, and arguments to the edges.
pub(super) fn write(
    func: &mut Func,
    graph: &Graph,
    parameters: &[Parameter],
    arguments: &Arguments,
    values: &mut DisjointSets<Value>,
    limit: SizeLimit,
) -> Result<(), OpaqueReason> {
    const NONE: u32 = u32::MAX;
    // The parameters of each join, as lists through `next`, in reverse.
    let mut first = vec![NONE; graph.joins.len()];
    let mut next = vec![NONE; parameters.len()];
    for (number, parameter) in parameters.iter().enumerate().rev() {
        if values.find(parameter.value) == parameter.value {
            let head = &mut first[parameter.join.index()];
            next[number] = std::mem::replace(head, number as u32);
        }
    }
    let some = |number: u32| (number != NONE).then_some(number);
    let list = |head: u32| std::iter::successors(some(head), |&number| some(next[number as usize]));
    for (join, data) in graph.joins.iter() {
        for number in list(first[join.index()]) {
            func.move_param(parameters[number as usize].value, data.block);
        }
    }
    let mut join_of_block: Vec<(u32, u32)> = vec![(NONE, 0); func.blocks.len()];
    // A `br_table` repeats the arguments for each of its entries.
    let mut written = 0;
    let mut edges = graph.edges.as_slice();
    while let [edge, ..] = edges {
        let from = edge.from;
        let count = edges.iter().take_while(|edge| edge.from == from).count();
        let (group, rest) = edges.split_at(count);
        edges = rest;
        for edge in group {
            join_of_block[graph.joins[edge.join].block.index()] = (edge.join.as_u32(), edge.ordinal);
        }
        func.blocks[from].terminator.for_each_block_call_mut(|call| {
            let (join, ordinal) = join_of_block[call.block.index()];
            if join != NONE && written <= limit.entries {
                let join = JoinId::from_u32(join);
                call.args.extend(
                    list(first[join.index()])
                        .map(|number| values.find(arguments.of(number as usize)[ordinal as usize])),
                );
                written += call.args.len();
            }
        });
        if written > limit.entries {
            return Err(OpaqueReason::TooLarge);
        }
        // The next block's edges to the same joins are others, and its other edges lead to no join.
        for edge in group {
            join_of_block[graph.joins[edge.join].block.index()] = (NONE, 0);
        }
    }
    Ok(())
}
