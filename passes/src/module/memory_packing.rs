//! Memory packing: zeros in active data segments are not written, because memory starts out as zeros.
//!
//! Sound for a memory that is defined here (an imported one may hold anything already), whose active segments all have constant offsets, lie in
//! bounds (an instantiation that traps must go on to trap) and do not overlap (a zero may overwrite), and for segments that no `memory.init` and
//! no `data.drop` names. Segments that nearly touch become one where the zeros between them cost less than another segment.

use crate::encoded_length;
use crate::options::Options;
use crate::pass_table::Changed;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::module::{Body, ConstExpr, DataId, DataSegment, MemoryId, Module, Origin};
use wasmfx_ir::references::IndexSpace;
use wasmfx_ir::wasmparser::Operator;

/// Engines refuse modules with more data segments (the JS API's implementation limit).
const MAX_SEGMENTS: usize = 100_000;

/// What the segments of one memory cost besides their contents.
struct SegmentCost {
    /// The bytes of the memory's index, which is not written where it is 0.
    memory_index: usize,
    memory64: bool,
}

impl SegmentCost {
    fn of(module: &Module, memory: MemoryId) -> Self {
        let memories = || module.memories.iter();
        let imports = memories().filter(|(_, other)| other.origin == Origin::Import).count();
        let before = memories().filter(|&(id, other)| other.origin == Origin::Definition && id < memory).count();
        let memory_index = match imports + before {
            0 => 0,
            index => encoded_length::unsigned(index as u64),
        };
        Self { memory_index, memory64: module.memories[memory].ty.memory64 }
    }

    /// Flags, the memory, and the offset, which is a constant and `end`.
    fn head(&self, start: u64) -> usize {
        let offset = if self.memory64 { start.cast_signed() } else { i64::from((start as u32).cast_signed()) };
        3 + self.memory_index + encoded_length::signed(offset)
    }

    /// All of a segment.
    fn segment(&self, start: u64, len: usize) -> usize {
        self.head(start) + encoded_length::unsigned(len as u64) + len
    }
}

/// Runs the pass.
pub fn run(module: &mut Module, _options: &Options) -> Changed {
    if module.functions.values().any(|function| matches!(function.body, Body::Lazy(_))) {
        return Changed::No;
    }
    let mut named: SecondaryMap<DataId, bool> = SecondaryMap::new();
    for function in module.functions.values() {
        if let Body::Lifted(func) = &function.body {
            func.visit_references(|space, number, _| {
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
    let cost = SegmentCost::of(module, memory);
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
    let runs = nonzero_runs(module, &placed, &cost);
    if runs.len() + module.data.len() > MAX_SEGMENTS || !is_smaller(module, &placed, &runs, &cost) {
        return Changed::No;
    }
    write_runs(module, memory, cost.memory64, &placed, runs);
    Changed::Yes
}

/// A stretch of memory that one segment is to write.
struct Run {
    start: u64,
    bytes: Vec<u8>,
    name: Option<String>,
}

fn nonzero_runs(module: &Module, placed: &[Placed], cost: &SegmentCost) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for segment in placed {
        let data = &module.data[segment.id];
        let mut name = data.name.clone();
        let bytes: &[u8] = &data.bytes;
        let next_nonzero = |at: usize| Some(at + bytes[at..].iter().position(|&byte| byte != 0)?);
        let next_zero = |at: usize| bytes[at..].iter().position(|&byte| byte == 0).map_or(bytes.len(), |len| at + len);
        let mut at = 0;
        while let Some(start) = next_nonzero(at) {
            let mut end = next_zero(start);
            // So few zeros are never worth another segment, whatever its length.
            let is_near = |end: usize, next: usize| next - end <= cost.head(segment.start + next as u64);
            while let Some(next) = next_nonzero(end).filter(|&next| is_near(end, next)) {
                end = next_zero(next);
            }
            append(&mut runs, segment.start + start as u64, &bytes[start..end], name.take(), cost);
            at = end;
        }
    }
    runs
}

/// Adds a run, joined to the last one if the gap costs no more than a segment.
fn append(runs: &mut Vec<Run>, start: u64, bytes: &[u8], name: Option<String>, cost: &SegmentCost) {
    if let Some(last) = runs.last_mut() {
        let (last_len, len) = (last.bytes.len() as u64, bytes.len() as u64);
        let gap = start - (last.start + last_len);
        let joined = gap.saturating_add(encoded_length::unsigned(last_len + gap + len) as u64);
        let apart = cost.head(start) + encoded_length::unsigned(last_len) + encoded_length::unsigned(len);
        if joined <= apart as u64 {
            last.bytes.resize(last.bytes.len() + gap as usize, 0);
            last.bytes.extend_from_slice(bytes);
            return;
        }
    }
    runs.push(Run { start, bytes: bytes.to_vec(), name });
}

fn is_smaller(module: &Module, placed: &[Placed], runs: &[Run], cost: &SegmentCost) -> bool {
    let segments = module.data.values().filter(|segment| !segment.removed).count();
    // The data section begins with their number, and the data count section is it once more.
    let count = |segments: usize| encoded_length::unsigned(segments as u64) * if module.has_data_count { 2 } else { 1 };
    let before: usize = placed.iter().map(|segment| cost.segment(segment.start, segment.len as usize)).sum();
    let after: usize = runs.iter().map(|run| cost.segment(run.start, run.bytes.len())).sum();
    after + count(segments - placed.len() + runs.len()) < before + count(segments)
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
