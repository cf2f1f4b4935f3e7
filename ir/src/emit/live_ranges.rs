//! Where each variable of scheduled code is alive.
//!
//! Reads are followed up to the writes that reach them, over whole blocks, for as many variables at a time as a word has bits. That costs what the
//! union of their live ranges has in blocks; past a budget the rest of the variables are taken to be alive from their first access to their last,
//! and through every loop in which they are accessed.

use super::code_blocks::CodeBlocks;
use super::graph::index_u32;
use super::schedule::Code;
use super::segments::{Segments, push_segment};
use super::structure::{FrameKind, Structure};
use crate::bits::{BitSet, bits};
use smallvec::smallvec;

/// How many variables are followed at a time.
const GROUP: u32 = u64::BITS;

/// The accesses of a variable: `position * 2 + is_write`, ascending. A write to [`Code::Undefine`] writes nothing.
pub(super) trait Accesses {
    /// How many variables there are.
    fn count(&self) -> u32;
    fn of(&self, variable: u32) -> &[u32];
}

/// What is known of a block about the variables of one group, a bit for each.
#[derive(Copy, Clone, Default)]
struct BlockState {
    accessed: u64,
    live_in: u64,
    live_out: u64,
    /// Those of `live_in` that the predecessors do not know of yet.
    pending: u64,
}

/// The segments of every variable.
pub(super) fn live_ranges(
    code: &[Code],
    structure: &Structure,
    blocks: &CodeBlocks,
    variables: &impl Accesses,
) -> Vec<Segments> {
    let mut budget = 4_000_000 + code.len() * 64;
    let mut ranges = LiveRanges {
        code,
        blocks,
        states: vec![BlockState::default(); blocks.count()],
        touched: BitSet::new(blocks.count()),
    };
    let mut loop_spans = None;
    let mut all = Vec::with_capacity(variables.count() as usize);
    for first in (0..variables.count()).step_by(GROUP as usize) {
        let end = (first + GROUP).min(variables.count());
        let group: Vec<&[u32]> = (first..end).map(|variable| variables.of(variable)).collect();
        if budget == 0 {
            let spans = loop_spans.get_or_insert_with(|| outermost_loops(code, structure));
            all.extend(group.iter().map(|accesses| hull(accesses, spans, code.len())));
        } else {
            ranges.follow(&group, &mut budget);
            ranges.append_segments(&group, &mut all);
        }
    }
    all
}

struct LiveRanges<'a> {
    code: &'a [Code],
    blocks: &'a CodeBlocks,
    /// Nothing but zeros between two groups.
    states: Vec<BlockState>,
    /// The blocks whose state is not zero.
    touched: BitSet,
}

impl LiveRanges<'_> {
    fn touch(&mut self, block: u32) -> &mut BlockState {
        self.touched.insert(block as usize);
        &mut self.states[block as usize]
    }

    /// Finds out where the variables of a group are alive at the boundaries of blocks.
    fn follow(&mut self, group: &[&[u32]], budget: &mut usize) {
        let mut worklist = Vec::new();
        for (number, accesses) in group.iter().enumerate() {
            let bit = 1 << number;
            for &access in *accesses {
                let block = self.blocks.at(access / 2);
                let state = self.touch(block);
                let is_write = access % 2 == 1;
                if state.accessed & bit == 0 && !is_write {
                    state.live_in |= bit;
                    if state.pending == 0 {
                        worklist.push(block);
                    }
                    state.pending |= bit;
                }
                state.accessed |= bit;
            }
        }
        while let Some(block) = worklist.pop() {
            let pending = std::mem::take(&mut self.states[block as usize].pending);
            for &predecessor in self.blocks.predecessors_of(block) {
                *budget = budget.saturating_sub(1);
                let state = self.touch(predecessor);
                let fresh = pending & !state.live_out;
                state.live_out |= fresh;
                let through = fresh & !state.accessed;
                if through != 0 {
                    state.live_in |= through;
                    if state.pending == 0 {
                        worklist.push(predecessor);
                    }
                    state.pending |= through;
                }
            }
        }
    }

    /// Makes segments of what was found out, in ascending order, and forgets it.
    fn append_segments(&mut self, group: &[&[u32]], all: &mut Vec<Segments>) {
        let base = all.len();
        all.resize_with(base + group.len(), Segments::new);
        let segments = &mut all[base..];
        let mut cursors = [0; GROUP as usize];
        // The variables that are alive at the end of the last block, each from its `start` on.
        let mut open = 0u64;
        let mut starts = [0; GROUP as usize];
        let mut last_end = 0;
        for block in self.touched.drain() {
            let state = std::mem::take(&mut self.states[block]);
            let span = self.blocks.span(index_u32(block));
            let stays_open = if span.start == last_end { open & state.live_in } else { 0 };
            for variable in bits(open & !stays_open) {
                push_segment(&mut segments[variable], (starts[variable], last_end));
            }
            for variable in bits(state.live_in & !stays_open) {
                starts[variable] = span.start;
            }
            for variable in bits(state.accessed) {
                let mut alive_from = (state.live_in >> variable & 1 == 1).then_some(starts[variable]);
                while let Some(&access) = group[variable].get(cursors[variable]) {
                    let position = access / 2;
                    if position >= span.end {
                        break;
                    }
                    cursors[variable] += 1;
                    if access % 2 == 0 {
                        let start = alive_from.expect("a variable is alive where it is read");
                        push_segment(&mut segments[variable], (start, position + 1));
                    } else if !matches!(self.code[position as usize], Code::Undefine(_)) {
                        push_segment(&mut segments[variable], (position, position + 1));
                    }
                    alive_from = Some(position);
                }
                starts[variable] = alive_from.expect("an accessed variable has an access");
            }
            open = state.live_out;
            last_end = span.end;
        }
        for variable in bits(open) {
            push_segment(&mut segments[variable], (starts[variable], last_end));
        }
    }
}

/// For each position the span of the outermost loop around it, or an empty one.
fn outermost_loops(code: &[Code], structure: &Structure) -> Vec<(u32, u32)> {
    let mut spans = vec![(0, 0); code.len() + 1];
    let mut start = None;
    for (position, item) in code.iter().enumerate() {
        match *item {
            Code::Open(frame) if structure.frames[frame as usize].kind == FrameKind::Loop && start.is_none() => {
                start = Some((position, frame));
            }
            Code::End(frame) if start.is_some_and(|(_, open)| open == frame) => {
                let (from, _) = start.take().expect("the guard saw it");
                spans[from..=position].fill((index_u32(from), index_u32(position) + 1));
            }
            _ => {}
        }
    }
    spans
}

/// One segment that is certain to hold every position at which a variable is alive.
fn hull(accesses: &[u32], spans: &[(u32, u32)], length: usize) -> Segments {
    let (mut start, mut end) = (index_u32(length), 0);
    for &access in accesses {
        let position = access / 2;
        let (from, to) = spans[position as usize];
        start = start.min(if to > 0 { from } else { position });
        end = end.max(position + 1).max(to);
    }
    smallvec![(start, end.max(start))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::func::Value;
    use std::ops::Range;

    struct Lists(Vec<Vec<u32>>);

    impl Accesses for Lists {
        fn count(&self) -> u32 {
            index_u32(self.0.len())
        }

        fn of(&self, variable: u32) -> &[u32] {
            &self.0[variable as usize]
        }
    }

    /// The same, position by position, for one variable.
    fn positions_alive(code: &[Code], blocks: &CodeBlocks, edges: &[(u32, u32)], accesses: &[u32]) -> Vec<bool> {
        let access_at =
            |position: u32| accesses.iter().find(|&&access| access / 2 == position).map(|access| access % 2);
        let mut needed = vec![false; code.len() + 1];
        let mut worklist: Vec<u32> =
            accesses.iter().filter(|&&access| access % 2 == 0).map(|access| access / 2).collect();
        let mut alive = vec![false; code.len()];
        for &access in accesses {
            let position = access as usize / 2;
            alive[position] |= !matches!(code[position], Code::Undefine(_));
        }
        // `needed` before a position: alive from whatever comes before it.
        while let Some(position) = worklist.pop() {
            if std::mem::replace(&mut needed[position as usize], true) {
                continue;
            }
            let block = blocks.at(position);
            let before: Vec<u32> = match blocks.span(block).start == position {
                true => {
                    edges.iter().filter(|&&(_, to)| to == block).map(|&(from, _)| blocks.span(from).end - 1).collect()
                }
                false => vec![position - 1],
            };
            for position in before {
                alive[position as usize] = true;
                if access_at(position) != Some(1) {
                    worklist.push(position);
                }
            }
        }
        alive
    }

    #[test]
    fn segments_hold_the_positions_from_which_a_read_is_reached() {
        let mut state = 1u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        for _ in 0..200 {
            let value = Value::from_u32(0);
            let spans: Vec<Range<u32>> = (0..2 + random(9))
                .scan(0, |end, _| {
                    let start = *end;
                    *end += 1 + random(5);
                    Some(start..*end)
                })
                .collect();
            let count = index_u32(spans.len());
            let length = spans[spans.len() - 1].end;
            let of = (0..count).flat_map(|block| spans[block as usize].clone().map(move |_| block)).collect();
            let edges: Vec<(u32, u32)> = (0..count * 2).map(|_| (random(count), random(count))).collect();
            let blocks = CodeBlocks::new(spans, of, vec![0; count as usize], &edges);
            let code: Vec<Code> =
                (0..length).map(|_| if random(6) == 0 { Code::Undefine(value) } else { Code::Get(value) }).collect();
            let lists: Vec<Vec<u32>> = (0..100)
                .map(|_| {
                    let positions = (0..length).filter(|_| random(8) == 0).collect::<Vec<u32>>();
                    let is_undefined = |position: u32| matches!(code[position as usize], Code::Undefine(_));
                    positions.into_iter().map(|at| at * 2 + u32::from(is_undefined(at) || random(3) == 0)).collect()
                })
                .collect();
            let mut expected = Vec::new();
            for accesses in &lists {
                let mut segments = Segments::new();
                let alive = positions_alive(&code, &blocks, &edges, accesses);
                for position in (0..length).filter(|&position| alive[position as usize]) {
                    push_segment(&mut segments, (position, position + 1));
                }
                expected.push(segments);
            }
            let mut ranges = LiveRanges {
                code: &code,
                blocks: &blocks,
                states: vec![BlockState::default(); blocks.count()],
                touched: BitSet::new(blocks.count()),
            };
            let lists = Lists(lists);
            let mut found = Vec::new();
            for first in [0, 64] {
                let group: Vec<&[u32]> =
                    (first..lists.count().min(first + GROUP)).map(|number| lists.of(number)).collect();
                let mut budget = usize::MAX;
                ranges.follow(&group, &mut budget);
                ranges.append_segments(&group, &mut found);
            }
            assert_eq!(found, expected);
        }
    }
}
