//! Code folding: of blocks that do the same and go on to the same places, one stays.
//!
//! Two blocks are one if their instructions have the same operators on the same values (values of their own by position, others by identity,
//! constants by number) and so have their terminators. An edge may be led from the one to the other if nobody else uses their own values;
//! what both use from outside dominates both, and so every edge into either. Nothing is executed that was not, in the same order.
//!
//! Blocks that an instruction's own edges lead to are left alone, as are blocks that end with an invocation: their edges are their own. And a block
//! in front of a loop is not folded with one inside: the loop would have two entries, which costs more than the block.

use super::block_shape::{Description, Tail, describe};
use super::private_values::blocks_with_private_values;
use crate::environment::ModuleEnvironment;
use crate::function::simplify::Constant;
use crate::pass_table::Changed;
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use std::hash::{Hash, Hasher};
use wasmfx_ir::analysis::{ControlFlowGraph, DominatorTree, LoopForest};
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::Terminator;
use wasmfx_ir::{Block, Func, Inst, Value};

/// A block of fewer bytes than this, roughly, is no longer than the branches to one that is shared.
const MIN_SIZE: usize = 8;

/// How many values all edges into a block together may take along for each of its bytes, roughly. Mostly few of them have to be moved for another block.
/// Where points of a lowered function share what saves, the other block may have each of many values in another local.
const MAX_MOVED_PER_BYTE: usize = 4;

/// Runs the pass.
pub fn run(func: &mut Func, _environment: &ModuleEnvironment<'_>) -> Changed {
    func.resolve_aliases();
    let cfg = func.control_flow();
    let mut may_go = blocks_of_plain_edges(func, &cfg);
    keep_those_with_a_like(func, &cfg, &mut may_go);
    if !cfg.reverse_postorder().iter().any(|&block| may_go[block]) {
        return Changed::No;
    }
    keep_private(func, &cfg, &mut may_go);
    let mut known: FxHashMap<u64, Vec<Block>> = FxHashMap::default();
    let mut loops: Option<LoopForest> = None;
    let mut instead: SecondaryMap<Block, Option<Block>> = SecondaryMap::new();
    // Successors first, so that what leads to equal blocks leads to one by then.
    for &block in cfg.reverse_postorder().iter().rev() {
        redirect(func, block, &instead);
        if !may_go[block] {
            continue;
        }
        let Some(description) = describe_large(func, block) else { continue };
        let mut hasher = FxHasher::default();
        description.hash(&mut hasher);
        let alike = known.entry(hasher.finish()).or_default();
        let same = alike.iter().copied().find(|&other| {
            // No edge was moved before the first such block is found.
            let loops = loops.get_or_insert_with(|| LoopForest::new(func, &cfg, &DominatorTree::new(func, &cfg)));
            loops.innermost(block) == loops.innermost(other)
                && describe_large(func, other).is_some_and(|other| other == description)
        });
        match same {
            Some(_) if moves_much(func, &cfg, block) => {}
            Some(same) => {
                make_constants_its_own(func, same);
                instead[block] = Some(same);
            }
            None => alike.push(block),
        }
    }
    // Now the edges back too.
    let mut changed = false;
    for &block in cfg.reverse_postorder() {
        redirect(func, block, &instead);
        changed |= instead[block].is_some();
    }
    Changed::from_flag(changed)
}

/// The blocks to which edges may be led from others that do the same, and away from which they may be led.
pub(super) fn foldable_blocks(func: &Func, cfg: &ControlFlowGraph) -> SecondaryMap<Block, bool> {
    let mut may_go = blocks_of_plain_edges(func, cfg);
    keep_private(func, cfg, &mut may_go);
    may_go
}

/// Leaves the blocks whose values nobody else uses.
fn keep_private(func: &Func, cfg: &ControlFlowGraph, may_go: &mut SecondaryMap<Block, bool>) {
    let is_private = blocks_with_private_values(func, cfg);
    cfg.reverse_postorder().iter().for_each(|&block| may_go[block] &= is_private[block]);
}

/// The blocks that no instruction's own edges lead to or out of.
fn blocks_of_plain_edges(func: &Func, cfg: &ControlFlowGraph) -> SecondaryMap<Block, bool> {
    let mut may_go = SecondaryMap::with_default_and_len(true, func.blocks.len());
    may_go[func.entry] = false;
    for &block in cfg.reverse_postorder() {
        if let terminator @ (Terminator::Invoke(_) | Terminator::BranchOnReference { .. }) =
            &func.blocks[block].terminator
        {
            terminator.for_each_successor(|successor| may_go[successor] = false);
            may_go[block] = false;
        }
    }
    may_go
}

/// Leaves the blocks for which there is another with the same operators, but for those that are certain to be too small: most blocks need no closer look.
fn keep_those_with_a_like(func: &Func, cfg: &ControlFlowGraph, may_go: &mut SecondaryMap<Block, bool>) {
    let outline = |block: Block| {
        let mut hasher = FxHasher::default();
        for inst in (Tail { block, start: None }).insts(func) {
            func.operator_id(inst).hash(&mut hasher);
        }
        std::mem::discriminant(&func.blocks[block].terminator).hash(&mut hasher);
        hasher.finish()
    };
    for &block in cfg.reverse_postorder() {
        may_go[block] &= 2 * most_parts(func, block) >= MIN_SIZE;
    }
    let candidates = cfg.reverse_postorder().iter().copied().filter(|&block| may_go[block]);
    let mut outlines: Vec<(u64, Block)> = candidates.map(|block| (outline(block), block)).collect();
    outlines.sort_unstable();
    for alike in outlines.chunk_by(|(one, _), (other, _)| one == other) {
        if let [(_, block)] = *alike {
            may_go[block] = false;
        }
    }
}

/// No fewer than a block has instructions and holes: each use could be one.
fn most_parts(func: &Func, block: Block) -> usize {
    let data = &func.blocks[block];
    let mut parts: usize = data.insts.iter().map(|&inst| 1 + func.operands(inst).len()).sum();
    data.terminator.for_each_value(|_| parts += 1);
    parts
}

/// Whether the edges into a block take along so much that moving it to where another block expects it would cost more than the block.
fn moves_much(func: &Func, cfg: &ControlFlowGraph, block: Block) -> bool {
    let insts = &func.blocks[block].insts;
    let bytes: usize = insts.iter().map(|&inst| 2 * (1 + func.operands(inst).len())).sum();
    cfg.predecessors(block).len() * func.blocks[block].params.len() > MAX_MOVED_PER_BYTE * bytes
}

fn redirect(func: &mut Func, block: Block, instead: &SecondaryMap<Block, Option<Block>>) {
    func.blocks[block].terminator.for_each_block_call_mut(|call| {
        if let Some(same) = instead[call.block] {
            call.block = same;
        }
    });
}

/// Describes a block, unless it is too small to be worth a branch.
fn describe_large(func: &Func, block: Block) -> Option<Description> {
    let tail = Tail { block, start: None };
    let description = describe(func, tail)?;
    // About two bytes for each instruction and for what is in a local or constant.
    (2 * (tail.insts(func).count() + description.holes.len()) >= MIN_SIZE).then_some(description)
}

/// Constants that a block takes from above need not be there on all the new ways to it.
pub(super) fn make_constants_its_own(func: &mut Func, block: Block) {
    let mut own: FxHashSet<Value> = FxHashSet::default();
    for &inst in &func.blocks[block].insts {
        own.extend(func.inst_results(inst));
    }
    let mut copies: FxHashMap<Value, Value> = FxHashMap::default();
    let mut copied_insts: Vec<Inst> = Vec::new();
    let mut copy = |func: &mut Func, value: Value| {
        let inst = func.defining_inst(value)?;
        if own.contains(&value) || Constant::of(func.operator(inst)).is_none() {
            return None;
        }
        Some(*copies.entry(value).or_insert_with(|| {
            let (operator, ty) = (func.operator(inst).clone(), func.value_type(value));
            let operator = func.operators.intern(operator);
            let copied = func.create_inst(operator, &[], &[ty]);
            copied_insts.push(copied);
            func.first_result(copied)
        }))
    };
    for inst in func.blocks[block].insts.clone() {
        for index in 0..func.operands(inst).len() {
            let operand = func.operands(inst)[index];
            if let Some(copied) = copy(func, operand) {
                func.operands_mut(inst)[index] = copied;
            }
        }
    }
    let mut terminator = std::mem::take(&mut func.blocks[block].terminator);
    terminator.for_each_value_mut(|value| {
        if let Some(copied) = copy(func, *value) {
            *value = copied;
        }
    });
    func.blocks[block].terminator = terminator;
    if !copied_insts.is_empty() {
        copied_insts.append(&mut func.blocks[block].insts);
        func.blocks[block].insts = copied_insts;
    }
}

#[cfg(test)]
mod tests {
    use super::run;
    use crate::function::testing::operators_after;

    /// How many calls are left of two blocks that do the same with six values, a call with each, if so many ways lead to each block.
    fn calls_left(ways: usize) -> usize {
        let list = |of: &dyn Fn(usize) -> String| (1..=6).map(of).collect::<String>();
        let cases: String = (0..2 * ways)
            .map(|way| {
                let values = list(&|local| {
                    format!("(local.set {local} (i32.add (local.get 0) (i32.const {})))", way * local + 1)
                });
                format!(") {values} (br {})", if way % 2 == 0 { "$even" } else { "$odd" })
            })
            .collect();
        let calls = list(&|local| format!("(call $f (local.get {local}))"));
        let text = format!(
            r#"(module (import "m" "f" (func $f (param i32)))
                (func (export "g") (param i32) (local i32 i32 i32 i32 i32 i32)
                    (block $even (block $odd {} (br_table {} (local.get 0)) {cases}) {calls} (return)) {calls} (return)))"#,
            "(block ".repeat(2 * ways),
            (0..2 * ways).map(|way| format!("{way} ")).collect::<String>(),
        );
        operators_after(&text, &[run]).into_iter().filter(|&name| name == "call").count()
    }

    #[test]
    fn a_block_that_much_would_have_to_be_moved_for_stays() {
        assert_eq!([2, 16, 17].map(calls_left), [6, 6, 12]);
    }
}
