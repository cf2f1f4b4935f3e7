//! Points of a function of one copy that save and load together.
//!
//! Calls that follow one another mostly have the same values to save, or some of them. Where what one saves is known at the other as well, the
//! other saves it too, and both share the code that does it and, within a loop, the code that loads it again.

use super::split::Point;
use rustc_hash::{FxHashMap, FxHashSet};
use wasmfx_ir::analysis::{ControlFlowGraph, DefinitionBlocks, DominatorTree, LoopForest};
use wasmfx_ir::func::{Func, Value};
use wasmfx_ir::wasmparser::{Operator, ValType};

/// Whether points may share.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Each point saves and loads for itself.
    Never,
    /// Unless a loop is crowded: then sharing, and having one copy, would cost more than it brings.
    UnlessCrowded,
    /// Even then.
    Always,
}

/// From how many points on a loop is crowded. It is an interpreter's then: with one copy, each of its ways round would have to keep its variables where
/// the code behind each point expects them.
const CROWD: usize = 100;

/// How many groups a point is compared with: the latest ones.
const MOST_COMPARED: usize = 200;

/// Points that share.
struct Group {
    number: usize,
    saved: Vec<Value>,
}

/// Puts points into groups, and has all points of a group save the same. Returns whether they share.
pub(super) fn group_points(func: &Func, cfg: &ControlFlowGraph, points: &mut [Point], sharing: Sharing) -> bool {
    if sharing == Sharing::Never {
        return false;
    }
    let dominators = DominatorTree::new(func, cfg);
    let loops = LoopForest::new(func, cfg, &dominators);
    let mut crowd: FxHashMap<usize, usize> = FxHashMap::default();
    for point in points.iter_mut() {
        point.home = loops.innermost(point.block);
        point.home.into_iter().for_each(|home| *crowd.entry(home).or_default() += 1);
    }
    if sharing == Sharing::UnlessCrowded && crowd.values().any(|&points| points >= CROWD) {
        return false;
    }
    let definitions = DefinitionBlocks::new(func, cfg);
    let mut order: Vec<usize> = (0..points.len()).filter(|&index| can_share(&points[index])).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(points[index].saved.len()));
    let mut groups: Vec<Group> = Vec::new();
    for index in order {
        let point = &mut points[index];
        let own: FxHashSet<Value> = point.saved.iter().copied().collect();
        let is_known = |value: &Value| {
            own.contains(value)
                || !matches!(func.value_type(*value), ValType::Ref(_))
                    && definitions.of(func, *value).is_some_and(|block| dominators.dominates(block, point.block))
        };
        let fits = |group: &&Group| {
            own.iter().all(|value| group.saved.binary_search(value).is_ok()) && group.saved.iter().all(is_known)
        };
        match groups.iter().rev().take(MOST_COMPARED).find(fits) {
            Some(group) => {
                point.group = group.number;
                point.saved.clone_from(&group.saved);
            }
            None => groups.push(Group { number: point.group, saved: point.saved.clone() }),
        }
    }
    true
}

/// Whether a point saves nothing but values, in a frame that others follow.
fn can_share(point: &Point) -> bool {
    let is_call =
        matches!(point.operator, Operator::Call { .. } | Operator::CallIndirect { .. } | Operator::CallRef { .. });
    is_call && point.needs_frame()
}
