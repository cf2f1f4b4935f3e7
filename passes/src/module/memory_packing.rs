//! Memory packing: zeros in active data segments are not written, because memory starts out as zeros.
//!
//! Sound for a memory that is defined here (an imported one may hold anything already), whose active segments all have constant offsets, lie in
//! bounds (an instantiation that traps must go on to trap) and do not overlap (a zero may overwrite), and for segments that no `memory.init` and
//! no `data.drop` names. Segments that nearly touch become one where the zeros between them cost less than another segment.

use crate::options::Options;
use crate::pass_table::Changed;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::module::{Body, ConstExpr, DataId, DataSegment, MemoryId, Module, Origin};
use wasmfx_ir::references::IndexSpace;
use wasmfx_ir::wasmparser::Operator;

/// Engines refuse modules with more data segments (the JS API's implementation limit).
const MAX_SEGMENTS: usize = 100_000;

/// The bytes that a segment costs besides its contents: flags, `i32.const` with an offset, `end`, and the length.
fn segment_overhead(offset: u64) -> usize {
    let offset_bytes = (70 - offset.leading_zeros() as usize) / 7;
    offset_bytes.max(1) + 4
}

/// Runs the pass.
pub fn run(module: &mut Module, _options: &Options) -> Changed {
    if module.functions.values().any(|function| matches!(function.body, Body::Lazy(_))) {
        return Changed::No;
    }
    let mut named: SecondaryMap<DataId, bool> = SecondaryMap::new();
    for function in module.functions.values() {
        if let Body::Lifted(func) = &function.body {
            func.visit_references(|space, number| {
                if space == IndexSpace::Data {
                    named[DataId::from_u32(number)] = true;
                }
            });
        }
    }
    // Where a segment may trap, others can see (through an imported table) which segments were written before it.
    let may_trap = module.data.values().filter(|segment| !segment.removed).any(|segment| {
        segment.active.as_ref().is_some_and(|(memory, offset)| !in_bounds(module, *memory, offset, segment.bytes.len()))
    });
    if may_trap {
        return Changed::No;
    }
    let mut changed = Changed::No;
    for memory in module.memories.keys() {
        changed |= pack(module, memory, &named);
    }
    changed
}

/// Whether an active segment is certain to be in bounds.
pub(super) fn in_bounds(module: &Module, memory: MemoryId, offset: &ConstExpr, len: usize) -> bool {
    let ty = &module.memories[memory].ty;
    let size = u128::from(ty.initial) << ty.page_size_log2.unwrap_or(16);
    offset.constant_offset().is_some_and(|offset| u128::from(offset) + len as u128 <= size)
}

/// A segment of one memory: where it starts, and what is written there.
struct Placed {
    id: DataId,
    start: u64,
    len: u64,
}

fn pack(module: &mut Module, memory: MemoryId, named: &SecondaryMap<DataId, bool>) -> Changed {
    let definition = &module.memories[memory];
    if definition.origin != Origin::Definition {
        return Changed::No;
    }
    let memory64 = definition.ty.memory64;
    let mut placed = Vec::new();
    for (id, segment) in module.data.iter().filter(|(_, segment)| !segment.removed) {
        let Some((_, offset)) = segment.active.as_ref().filter(|(target, _)| *target == memory) else { continue };
        let Some(start) = offset.constant_offset() else { return Changed::No };
        if named[id] {
            return Changed::No;
        }
        placed.push(Placed { id, start, len: segment.bytes.len() as u64 });
    }
    placed.sort_by_key(|segment| (segment.start, segment.len));
    let ends_after =
        |segment: &Placed, limit: u64| segment.start.checked_add(segment.len).is_none_or(|end| end > limit);
    if placed.windows(2).any(|pair| ends_after(&pair[0], pair[1].start))
        || placed.last().is_some_and(|last| ends_after(last, u64::MAX))
    {
        return Changed::No;
    }
    let runs = nonzero_runs(module, &placed);
    if runs.len() + module.data.len() > MAX_SEGMENTS || !is_smaller(module, &placed, &runs) {
        return Changed::No;
    }
    write_runs(module, memory, memory64, &placed, runs);
    Changed::Yes
}

/// A stretch of memory that one segment is to write.
struct Run {
    start: u64,
    bytes: Vec<u8>,
    name: Option<String>,
}

fn nonzero_runs(module: &Module, placed: &[Placed]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for segment in placed {
        let data = &module.data[segment.id];
        let mut name = data.name.clone();
        let bytes: &[u8] = &data.bytes;
        let mut at = 0;
        while let Some(skipped) = bytes[at..].iter().position(|&byte| byte != 0) {
            let start = at + skipped;
            // A run ends where more zeros follow than a segment of its own costs, or at the end.
            let (mut end, mut zeros) = (start, 0);
            for (index, &byte) in bytes.iter().enumerate().skip(start) {
                if byte == 0 {
                    zeros += 1;
                    if zeros > segment_overhead(segment.start + index as u64) {
                        break;
                    }
                } else {
                    zeros = 0;
                    end = index + 1;
                }
            }
            append(&mut runs, segment.start + start as u64, &bytes[start..end], name.take());
            at = end;
        }
    }
    runs
}

/// Adds a run, joined to the last one if the gap costs less than a segment.
fn append(runs: &mut Vec<Run>, start: u64, bytes: &[u8], name: Option<String>) {
    if let Some(last) = runs.last_mut() {
        let gap = start - (last.start + last.bytes.len() as u64);
        if gap <= segment_overhead(start) as u64 {
            last.bytes.resize(last.bytes.len() + gap as usize, 0);
            last.bytes.extend_from_slice(bytes);
            return;
        }
    }
    runs.push(Run { start, bytes: bytes.to_vec(), name });
}

fn is_smaller(module: &Module, placed: &[Placed], runs: &[Run]) -> bool {
    let before: usize =
        placed.iter().map(|segment| module.data[segment.id].bytes.len() + segment_overhead(segment.start)).sum();
    let after: usize = runs.iter().map(|run| run.bytes.len() + segment_overhead(run.start)).sum();
    after < before
}

fn write_runs(module: &mut Module, memory: MemoryId, memory64: bool, placed: &[Placed], runs: Vec<Run>) {
    let mut ids = placed.iter().map(|segment| segment.id).collect::<Vec<_>>();
    ids.sort_unstable();
    let mut ids = ids.into_iter();
    for run in runs {
        let operator = if memory64 {
            Operator::I64Const { value: run.start.cast_signed() }
        } else {
            Operator::I32Const { value: (run.start as u32).cast_signed() }
        };
        let segment = DataSegment {
            active: Some((memory, ConstExpr { operators: vec![operator] })),
            bytes: run.bytes.into(),
            name: run.name,
            removed: false,
        };
        match ids.next() {
            Some(id) => module.data[id] = segment,
            None => {
                module.data.push(segment);
            }
        }
    }
    ids.for_each(|id| module.data[id].removed = true);
}
