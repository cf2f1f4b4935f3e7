//! Stages 6 to 9: which local each value is in.
//!
//! The scheduled code is taken as it is: variables with their reads and writes, liveness as segments of positions in the code. Variables that are
//! copied into one another are united where their segments allow it, then variables share locals, and locals are numbered by use.

use super::graph::{Graph, NONE, index_u32};
use super::options::Options;
use super::schedule::{Code, CopyPair, Schedule};
use super::segments::{Lists, Segments, normalize};
use super::structure::{FrameKind, Structure};
use crate::entity::Entity;
use crate::func::{Func, SourceLocal, Value};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use wasmparser::ValType;

/// The locals of a function.
pub(super) struct Locals {
    /// The local of each value that has one.
    pub of_value: Vec<u32>,
    /// The types of the locals that are not parameters.
    pub types: Vec<ValType>,
    /// Copies between equal locals that need not be made.
    pub elided: Vec<CopyPair>,
    /// The source local that each local (parameters included) stands for, as far as they agree.
    pub source_locals: Vec<Option<SourceLocal>>,
}

/// A run of positions without branches and labels.
struct CodeBlock {
    start: u32,
    end: u32,
}

/// Control flow of scheduled code.
struct CodeBlocks {
    blocks: Vec<CodeBlock>,
    /// The block of each position.
    of: Vec<u32>,
    predecessor_starts: Vec<u32>,
    predecessors: Vec<u32>,
    /// How many loops each block is in.
    depth: Vec<u32>,
}

fn code_blocks(graph: &Graph, structure: &Structure, code: &[Code]) -> CodeBlocks {
    let frame_count = structure.frames.len();
    let mut end = vec![NONE; frame_count];
    let mut or_else = vec![NONE; frame_count];
    let mut of = Vec::with_capacity(code.len() + 1);
    let mut blocks: Vec<CodeBlock> = vec![CodeBlock { start: 0, end: 0 }];
    let mut depth = vec![0];
    let mut loops = 0;
    let mut start_of_loop = vec![NONE; frame_count];
    for (position, item) in code.iter().enumerate() {
        let position = index_u32(position);
        of.push(index_u32(blocks.len() - 1));
        let ends_block = match *item {
            Code::Open(frame) => match structure.frames[frame as usize].kind {
                FrameKind::Loop => {
                    loops += 1;
                    start_of_loop[frame as usize] = position + 1;
                    true
                }
                FrameKind::If { .. } => true,
                FrameKind::Block | FrameKind::Try => false,
            },
            Code::Else(frame) => {
                or_else[frame as usize] = position + 1;
                true
            }
            Code::End(frame) => {
                if structure.frames[frame as usize].kind == FrameKind::Loop {
                    loops -= 1;
                }
                end[frame as usize] = position + 1;
                true
            }
            Code::Br(_) | Code::BrIf(_) | Code::Table(_) | Code::Invoke(_) | Code::BranchOnReference(_) => true,
            Code::Return | Code::Unreachable => true,
            _ => false,
        };
        if ends_block {
            blocks.last_mut().expect("there is a first block").end = position + 1;
            blocks.push(CodeBlock { start: position + 1, end: position + 1 });
            depth.push(loops);
        }
    }
    blocks.last_mut().expect("there is a first block").end = index_u32(code.len());
    of.push(index_u32(blocks.len() - 1));
    let mut edges: Vec<(u32, u32)> = Vec::with_capacity(blocks.len() * 2);
    let at = |position: u32| of[position as usize];
    let label = |frame: u32| match structure.frames[frame as usize].kind {
        FrameKind::Loop => at(start_of_loop[frame as usize]),
        _ => at(end[frame as usize]),
    };
    let node_label = |from: u32, edge: u32| {
        let data = &graph.edges[edge as usize];
        debug_assert_eq!(data.from, from);
        if structure.dominance.is_back_edge(graph, edge) {
            label(structure.loop_frame[data.to as usize])
        } else {
            label(structure.block_frame[data.to as usize])
        }
    };
    for (number, block) in blocks.iter().enumerate() {
        let from = index_u32(number);
        if block.end == block.start {
            // The empty block at the end of the code.
            continue;
        }
        let next = from + 1;
        match code[block.end as usize - 1] {
            Code::Br(frame) => edges.push((from, label(frame))),
            Code::BrIf(frame) => edges.extend([(from, label(frame)), (from, next)]),
            Code::Open(frame) => {
                edges.push((from, next));
                if let FrameKind::If { .. } = structure.frames[frame as usize].kind {
                    let other = match or_else[frame as usize] {
                        NONE => end[frame as usize],
                        position => position,
                    };
                    edges.push((from, at(other)));
                }
            }
            Code::Else(frame) => edges.push((from, at(end[frame as usize]))),
            Code::Table(node) => graph.for_each_out_edge(node, |edge| edges.push((from, node_label(node, edge)))),
            Code::Invoke(node) => {
                let super::graph::Exit::Invoke { normal, ref handlers } = graph.nodes[node as usize].exit else {
                    unreachable!("an invocation is the exit of its node")
                };
                edges.extend(normal.map(|_| (from, next)));
                edges.extend(handlers.iter().map(|&edge| (from, node_label(node, edge))));
            }
            Code::BranchOnReference(node) => {
                let super::graph::Exit::BranchOnReference { taken, .. } = graph.nodes[node as usize].exit else {
                    unreachable!("a branch on a reference is the exit of its node")
                };
                edges.extend([(from, next), (from, node_label(node, taken))]);
            }
            Code::Return | Code::Unreachable => {}
            _ if next < index_u32(blocks.len()) => edges.push((from, next)),
            _ => {}
        }
    }
    let mut predecessor_starts = vec![0u32; blocks.len() + 1];
    edges.iter().for_each(|&(_, to)| predecessor_starts[to as usize + 1] += 1);
    for index in 1..predecessor_starts.len() {
        predecessor_starts[index] += predecessor_starts[index - 1];
    }
    let mut cursor = predecessor_starts.clone();
    let mut predecessors = vec![0; edges.len()];
    for (from, to) in edges {
        predecessors[cursor[to as usize] as usize] = from;
        cursor[to as usize] += 1;
    }
    CodeBlocks { blocks, of, predecessor_starts, predecessors, depth }
}

impl CodeBlocks {
    fn predecessors_of(&self, block: u32) -> &[u32] {
        &self.predecessors
            [self.predecessor_starts[block as usize] as usize..self.predecessor_starts[block as usize + 1] as usize]
    }
}

/// The variables: values that are in locals, numbered densely.
struct Variables {
    of_value: Vec<u32>,
    values: Vec<Value>,
    /// Reads (even) and writes (odd) of each variable as `position * 2 + is_write`, ascending; those of variable `v` are `accesses[starts[v]..starts[v + 1]]`.
    /// Where a variable may hold anything from is like a write that writes nothing.
    starts: Vec<u32>,
    accesses: Vec<u32>,
}

fn variables(schedule: &Schedule) -> Variables {
    let mut of_value = vec![NONE; schedule.has_local.len()];
    let mut values = Vec::new();
    for (number, _) in schedule.has_local.iter().enumerate().filter(|&(_, &has_local)| has_local) {
        of_value[number] = index_u32(values.len());
        values.push(Value::from_index(number));
    }
    let mut starts = vec![0u32; values.len() + 1];
    let access = |code: &Code| match *code {
        Code::Get(value) => Some((value, 0)),
        Code::Set(value) | Code::Tee(value) => Some((value, 1)),
        Code::Undefine(value) if schedule.has_local[value.index()] => Some((value, 1)),
        _ => None,
    };
    for (value, _) in schedule.code.iter().filter_map(access) {
        starts[of_value[value.index()] as usize + 1] += 1;
    }
    for index in 1..starts.len() {
        starts[index] += starts[index - 1];
    }
    let mut cursor = starts.clone();
    let mut accesses = vec![0; starts[values.len()] as usize];
    for (position, code) in schedule.code.iter().enumerate() {
        if let Some((value, is_write)) = access(code) {
            let at = &mut cursor[of_value[value.index()] as usize];
            accesses[*at as usize] = index_u32(position) * 2 + is_write;
            *at += 1;
        }
    }
    Variables { of_value, values, starts, accesses }
}

/// Where each variable is alive.
///
/// Each read is followed up to the writes that reach it, over whole blocks. That costs the sum of all live ranges in blocks; past a budget the rest
/// of the variables are taken to be alive from their first access to their last, and through every loop in which they are read before they are written.
fn liveness(code: &[Code], structure: &Structure, blocks: &CodeBlocks, variables: &Variables) -> Vec<Segments> {
    let mut budget = 4_000_000 + code.len() * 64;
    let mut visited = vec![NONE; blocks.blocks.len()];
    let mut last_access = vec![(NONE, 0u32); blocks.blocks.len()];
    let mut worklist = Vec::new();
    let mut loop_spans = None;
    let mut all = Vec::with_capacity(variables.values.len());
    for variable in 0..index_u32(variables.values.len()) {
        let accesses = &variables.accesses
            [variables.starts[variable as usize] as usize..variables.starts[variable as usize + 1] as usize];
        let mut segments = Segments::new();
        if budget == 0 {
            let spans = loop_spans.get_or_insert_with(|| outermost_loops(code, structure));
            all.push(hull(accesses, spans, code.len()));
            continue;
        }
        // Within blocks.
        for &access in accesses {
            let (position, is_write) = (access / 2, access % 2 == 1);
            let block = blocks.of[position as usize];
            let (owner, previous) = last_access[block as usize];
            last_access[block as usize] = (variable, position);
            if is_write {
                if !matches!(code[position as usize], Code::Undefine(_)) {
                    segments.push((position, position + 1));
                }
            } else if owner == variable {
                segments.push((previous, position + 1));
            } else {
                segments.push((blocks.blocks[block as usize].start, position + 1));
                visited[block as usize] = variable;
                worklist.push(block);
            }
        }
        while let Some(block) = worklist.pop() {
            for &predecessor in blocks.predecessors_of(block) {
                budget = budget.saturating_sub(1);
                let data = &blocks.blocks[predecessor as usize];
                let (owner, last) = last_access[predecessor as usize];
                if owner == variable {
                    // If the access is a read that nothing precedes, the block is on the list of its own right.
                    segments.push((last, data.end));
                } else if visited[predecessor as usize] != variable {
                    visited[predecessor as usize] = variable;
                    segments.push((data.start, data.end));
                    worklist.push(predecessor);
                }
            }
        }
        normalize(&mut segments);
        all.push(segments);
    }
    all
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
    vec![(start, end.max(start))]
}

/// Variables that are one local.
struct Classes {
    parent: Vec<u32>,
    segments: Lists,
    /// The function parameter that the class is, or [`NONE`].
    param: Vec<u32>,
}

impl Classes {
    fn find(&mut self, mut variable: u32) -> u32 {
        while self.parent[variable as usize] != variable {
            let next = self.parent[self.parent[variable as usize] as usize];
            self.parent[variable as usize] = next;
            variable = next;
        }
        variable
    }

    /// Unites two classes if they are never alive together.
    fn unite(&mut self, a: u32, b: u32, between: (u32, u32)) {
        let (a, b) = (self.find(a), self.find(b));
        if a == b {
            return;
        }
        if self.param[a as usize] != NONE && self.param[b as usize] != NONE {
            return;
        }
        if self.segments.overlap(a, b) {
            return;
        }
        let (keep, gone) = self.segments.unite(a, b);
        self.parent[gone as usize] = keep;
        // The local holds the value between the read that is left out and the write that is left out.
        self.segments.insert(keep, between);
        self.param[keep as usize] = self.param[keep as usize].min(self.param[gone as usize]);
    }
}

/// Assigns locals.
pub(super) fn assign(
    func: &Func,
    graph: &Graph,
    structure: &Structure,
    schedule: &Schedule,
    options: &Options,
) -> Locals {
    let code = &schedule.code;
    let blocks = code_blocks(graph, structure, code);
    let variables = variables(schedule);
    let count = variables.values.len();
    let mut segments = liveness(code, structure, &blocks, &variables);
    let types: Vec<ValType> = variables.values.iter().map(|&value| graph.value_type(func, value)).collect();
    let params = &func.blocks[func.entry].params;
    let mut param_of = vec![NONE; count];
    for (number, &param) in params.iter().enumerate() {
        let variable = variables.of_value[param.index()];
        if variable != NONE {
            param_of[variable as usize] = index_u32(number);
            // It is written before the first instruction.
            let alive = &mut segments[variable as usize];
            if let Some(first) = alive.first_mut() {
                first.0 = 0;
            }
        }
    }
    let mut classes =
        Classes { parent: (0..index_u32(count)).collect(), segments: Lists::new(segments), param: param_of };
    let pair_variables = |pair: &CopyPair| {
        let variable = |position: u32| match code[position as usize] {
            Code::Get(value) | Code::Tee(value) | Code::Set(value) => variables.of_value[value.index()],
            other => unreachable!("{other:?} is not part of a copy"),
        };
        (variable(pair.source), variable(pair.set))
    };
    if options.coalesce {
        // Values of one local of the source first: the source did without a copy. Then what is copied in inner loops, as a copy that remains
        // there costs most.
        let hint = |variable: u32| {
            let value = variables.values[variable as usize];
            if value.index() < func.value_count() { func.source_locals[value] } else { None }
        };
        let mut pairs: Vec<(bool, std::cmp::Reverse<u32>, u32, CopyPair)> = schedule
            .copies
            .iter()
            .map(|&pair| {
                let (source, set) = pair_variables(&pair);
                let is_same = options.hints && hint(source).is_some() && hint(source) == hint(set);
                let depth = blocks.depth[blocks.of[pair.set as usize] as usize];
                (!is_same, std::cmp::Reverse(depth), pair.set, pair)
            })
            .collect();
        pairs.sort_unstable_by_key(|&(differs, depth, position, _)| (differs, depth, position));
        for (.., pair) in pairs {
            let (source, set) = pair_variables(&pair);
            if types[source as usize] == types[set as usize] {
                classes.unite(source, set, (pair.source, pair.set + 1));
            }
        }
    }
    let class_of: Vec<u32> = (0..index_u32(count)).map(|variable| classes.find(variable)).collect();
    let (segments, param_of) = (classes.segments.into_lists(), classes.param);
    let local_of_class = share(func, &segments, &param_of, &class_of, &types, options);
    let mut local_of: Vec<u32> = class_of.iter().map(|&class| local_of_class.local[class as usize]).collect();
    let elided = elide(code, &schedule.copies, &pair_variables, &local_of, &variables);
    // A `tee` whose copy is left out stays as a `set`.
    let counts = |access: u32| !matches!(code[access as usize / 2], Code::Undefine(_));
    let is_elided: rustc_hash::FxHashSet<u32> = elided
        .iter()
        .flat_map(|pair| [pair.source, pair.set])
        .filter(|&position| !matches!(code[position as usize], Code::Tee(_)))
        .collect();
    let mut weight = vec![0u64; params.len() + local_of_class.types.len()];
    for (variable, &local) in local_of.iter().enumerate() {
        let accesses =
            &variables.accesses[variables.starts[variable] as usize..variables.starts[variable + 1] as usize];
        weight[local as usize] +=
            accesses.iter().filter(|&&access| counts(access) && !is_elided.contains(&(access / 2))).count() as u64;
    }
    let renumbering = number_locals(params.len(), &local_of_class.types, &weight);
    local_of.iter_mut().for_each(|local| *local = renumbering.number[*local as usize]);
    let mut of_value = vec![NONE; graph.value_count()];
    let mut source_locals = vec![None; params.len() + renumbering.types.len()];
    for (number, &param) in params.iter().enumerate() {
        source_locals[number] = func.source_locals[param];
    }
    for (variable, &value) in variables.values.iter().enumerate() {
        let local = local_of[variable];
        of_value[value.index()] = local;
        let source = &mut source_locals[local as usize];
        if source.is_none() && value.index() < func.value_count() {
            *source = func.source_locals[value];
        }
    }
    Locals { of_value, types: renumbering.types, elided, source_locals }
}

struct Shared {
    /// The local of each class.
    local: Vec<u32>,
    /// The types of the locals after the parameters.
    types: Vec<ValType>,
}

/// Gives classes of one type that are never alive together the same local.
fn share(
    func: &Func,
    segments_of: &[Segments],
    param_of: &[u32],
    class_of: &[u32],
    types: &[ValType],
    options: &Options,
) -> Shared {
    /// How many locals are tried before a new one is made.
    const ATTEMPTS: usize = 512;
    struct Local {
        ty: ValType,
        busy: BTreeMap<u32, u32>,
        free_from: u32,
    }
    let params = &func.blocks[func.entry].params;
    let mut locals: Vec<Local> =
        params.iter().map(|&param| Local { ty: func.value_type(param), busy: BTreeMap::new(), free_from: 0 }).collect();
    let mut local = vec![NONE; types.len()];
    let occupy = |target: &mut Local, segments: &Segments| {
        for &(start, end) in segments {
            target.busy.insert(start, end);
            target.free_from = target.free_from.max(end);
        }
    };
    let mut order: Vec<u32> = (0..index_u32(types.len())).filter(|&class| class_of[class as usize] == class).collect();
    for &class in &order {
        let param = param_of[class as usize];
        if param != NONE {
            local[class as usize] = param;
            occupy(&mut locals[param as usize], &segments_of[class as usize]);
        }
    }
    order.retain(|&class| local[class as usize] == NONE);
    order.sort_unstable_by_key(|&class| (segments_of[class as usize].first().map_or(0, |first| first.0), class));
    let mut of_type: FxHashMap<ValType, Vec<u32>> = FxHashMap::default();
    for (number, data) in locals.iter().enumerate() {
        of_type.entry(data.ty).or_default().push(index_u32(number));
    }
    for class in order {
        let ty = types[class as usize];
        let segments = &segments_of[class as usize];
        let candidates = of_type.entry(ty).or_default();
        let found = candidates.iter().rev().take(ATTEMPTS).rev().copied().find(|&candidate| {
            let data = &locals[candidate as usize];
            options.share_locals
                && segments.iter().all(|&(start, end)| {
                    start >= data.free_from
                        || data.busy.range(..end).next_back().is_none_or(|(_, &busy_end)| busy_end <= start)
                })
        });
        let chosen = found.unwrap_or_else(|| {
            locals.push(Local { ty, busy: BTreeMap::new(), free_from: 0 });
            let number = index_u32(locals.len() - 1);
            candidates.push(number);
            number
        });
        local[class as usize] = chosen;
        occupy(&mut locals[chosen as usize], segments);
    }
    Shared { local, types: locals[params.len()..].iter().map(|data| data.ty).collect() }
}

/// The copies whose two sides are one local that holds the value all the time between them.
fn elide(
    code: &[Code],
    copies: &[CopyPair],
    pair_variables: &impl Fn(&CopyPair) -> (u32, u32),
    local_of: &[u32],
    variables: &Variables,
) -> Vec<CopyPair> {
    /// A copy over a longer distance stays.
    const REACH: u32 = 4096;
    let stays = |pair: &CopyPair, local: u32| {
        pair.set - pair.source <= REACH
            && code[pair.source as usize + 1..pair.set as usize].iter().all(|between| match *between {
                Code::Set(value) | Code::Tee(value) => local_of[variables.of_value[value.index()] as usize] != local,
                _ => true,
            })
    };
    let is_same = |pair: &&CopyPair| {
        let (source, set) = pair_variables(pair);
        let local = local_of[source as usize];
        local == local_of[set as usize] && stays(pair, local)
    };
    copies.iter().filter(is_same).copied().collect()
}

struct Renumbering {
    number: Vec<u32>,
    types: Vec<ValType>,
}

/// Numbers locals in runs of one type, those that are used most first.
fn number_locals(params: usize, types: &[ValType], weight: &[u64]) -> Renumbering {
    let mut groups: Vec<(ValType, Vec<usize>)> = Vec::new();
    for (index, &ty) in types.iter().enumerate() {
        if weight[params + index] == 0 {
            // Every access was left out.
            continue;
        }
        match groups.iter_mut().find(|(of, _)| *of == ty) {
            Some((_, members)) => members.push(params + index),
            None => groups.push((ty, vec![params + index])),
        }
    }
    for (_, members) in &mut groups {
        members.sort_by_key(|&local| (std::cmp::Reverse(weight[local]), local));
    }
    // The most uses per local first: what lies beyond index 127 costs a byte more each time.
    groups.sort_by(|(_, a), (_, b)| {
        let total = |members: &[usize]| members.iter().map(|&local| u128::from(weight[local])).sum::<u128>();
        (total(b) * a.len() as u128).cmp(&(total(a) * b.len() as u128))
    });
    let mut number: Vec<u32> = (0..index_u32(weight.len())).collect();
    let mut numbered = Vec::new();
    for (ty, members) in groups {
        for local in members {
            number[local] = index_u32(params + numbered.len());
            numbered.push(ty);
        }
    }
    Renumbering { number, types: numbered }
}
