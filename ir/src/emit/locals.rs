//! Stages 6 to 9: which local each value is in.
//!
//! The scheduled code is taken as it is: variables with their reads and writes, liveness as segments of positions in the code. Variables that are
//! copied into one another are united where their segments allow it, then variables share locals, and locals are numbered by use.

use super::code_blocks::{CodeBlocks, code_blocks};
use super::graph::{Graph, NONE, index_u32};
use super::live_ranges::{Accesses, live_ranges};
use super::options::Options;
use super::schedule::{Code, CopyPair, Schedule};
use super::segments::{Calendars, Lists, Segments};
use super::structure::Structure;
use crate::analysis::{DisjointSets, EntityLists};
use crate::entity::Entity;
use crate::func::{Func, SourceLocal, Value};
use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use wasmparser::ValType;

/// The locals of a function.
pub(super) struct Locals {
    /// The local of each value that has one.
    pub of_value: Vec<u32>,
    /// The types of the locals that are not parameters.
    pub types: Vec<ValType>,
    /// Copies between equal locals that need not be made.
    pub elided: Vec<CopyPair>,
    /// Reads of values that cannot be null out of locals that can be, in the order of the code: what they leave has to be made non-null again.
    pub casts: Vec<u32>,
    /// The source local that each local (parameters included) stands for, as far as they agree.
    pub source_locals: Vec<Option<SourceLocal>>,
}

/// The variables: values that are in locals, numbered densely.
struct Variables {
    of_value: Vec<u32>,
    values: Vec<Value>,
    /// Reads (even) and writes (odd) of each variable as `position * 2 + is_write`, ascending. Where a variable may hold anything from is like a
    /// write that writes nothing.
    accesses: EntityLists<u32, u32>,
}

impl Variables {
    /// The positions at which a variable is read.
    fn reads<'a>(&'a self, code: &'a [Code], variable: u32) -> impl Iterator<Item = u32> + 'a {
        let positions = self.of(variable).iter().map(|&access| access / 2);
        positions.filter(|&position| matches!(code[position as usize], Code::Get(_) | Code::Tee(_)))
    }
}

impl Accesses for Variables {
    fn count(&self) -> u32 {
        index_u32(self.values.len())
    }

    fn of(&self, variable: u32) -> &[u32] {
        self.accesses.of(variable)
    }
}

fn variables(schedule: &Schedule) -> Variables {
    let mut of_value = vec![NONE; schedule.has_local.len()];
    let mut values = Vec::new();
    for (number, _) in schedule.has_local.iter().enumerate().filter(|&(_, &has_local)| has_local) {
        of_value[number] = index_u32(values.len());
        values.push(Value::from_index(number));
    }
    let access = |code: &Code| match *code {
        Code::Get(value) => Some((value, 0)),
        Code::Set(value) | Code::Tee(value) => Some((value, 1)),
        Code::Undefine(value) if schedule.has_local[value.index()] => Some((value, 1)),
        _ => None,
    };
    let accesses = EntityLists::of_pairs(values.len(), || {
        schedule.code.iter().enumerate().filter_map(|(position, code)| {
            let (value, is_write) = access(code)?;
            Some((of_value[value.index()], index_u32(position) * 2 + is_write))
        })
    });
    Variables { of_value, values, accesses }
}

/// Variables that are one local.
struct Classes {
    sets: DisjointSets<u32>,
    segments: Lists,
    types: Vec<ValType>,
    /// The function parameter that the class is, or [`NONE`].
    param: Vec<u32>,
}

impl Classes {
    /// Unites two classes if they are never alive together. The local is of the second one's type.
    fn unite(&mut self, a: u32, b: u32, between: (u32, u32)) {
        let (a, b) = (self.sets.find(a), self.sets.find(b));
        if a == b {
            return;
        }
        let ty = self.types[b as usize];
        let keeps_type = self.param[a as usize] == NONE || self.types[a as usize] == ty;
        if self.param[a as usize] != NONE && self.param[b as usize] != NONE || !keeps_type {
            return;
        }
        if self.segments.overlap(a, b) {
            return;
        }
        let (keep, gone) = self.segments.unite(a, b);
        self.sets.unite(gone, keep);
        self.types[keep as usize] = ty;
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
    let blocks = code_blocks(graph, structure, &schedule.code);
    let variables = variables(schedule);
    let types: Vec<ValType> = variables.values.iter().map(|&value| graph.value_type(func, value)).collect();
    let assigner = Assigner { func, schedule, variables: &variables, types: &types, options };
    let param_of = assigner.params();
    let mut segments = live_ranges(&schedule.code, structure, &blocks, &variables);
    for (alive, _) in segments.iter_mut().zip(&param_of).filter(|&(_, &param)| param != NONE) {
        // It is written before the first instruction.
        if let Some(first) = alive.first_mut() {
            first.0 = 0;
        }
    }
    let sets = DisjointSets::new(variables.values.len());
    let mut classes = Classes { sets, segments: Lists::new(segments), types: types.clone(), param: param_of };
    if options.coalesce {
        assigner.coalesce(&mut classes, &blocks);
    }
    let class_of: Vec<u32> = (0..variables.count()).map(|variable| classes.sets.find(variable)).collect();
    let shared = share(func, &classes.segments.into_lists(), &classes.param, &class_of, &classes.types, options);
    let mut local_of: Vec<u32> = class_of.iter().map(|&class| shared.local[class as usize]).collect();
    let elided = assigner.elide(&local_of);
    let param_count = func.blocks[func.entry].params.len();
    let weight = assigner.weigh(&local_of, param_count + shared.types.len(), &elided);
    let renumbering = number_locals(param_count, &shared.types, &weight);
    local_of.iter_mut().for_each(|local| *local = renumbering.number[*local as usize]);
    let mut of_value = vec![NONE; graph.value_count()];
    for (&value, &local) in variables.values.iter().zip(&local_of) {
        of_value[value.index()] = local;
    }
    let source_locals = assigner.source_locals(&local_of, param_count + renumbering.types.len());
    let casts = assigner.casts(&local_of, &renumbering.types);
    Locals { of_value, types: renumbering.types, elided, casts, source_locals }
}

fn is_never_null(ty: ValType) -> bool {
    matches!(ty, ValType::Ref(reference) if !reference.is_nullable())
}

/// Whether `nullable` is the type `ty` with null.
fn is_nullable_form(ty: ValType, nullable: ValType) -> bool {
    match (ty, nullable) {
        (ValType::Ref(one), ValType::Ref(other)) => one != other && one.nullable() == other,
        _ => false,
    }
}

/// How many bytes a copy takes.
const COPY_BYTES: usize = 4;

/// Copies out of one class into another.
struct ClassCopies {
    from: u32,
    to: u32,
    count: usize,
    /// One of them.
    between: (u32, u32),
}

/// What the steps of the assignment look at.
struct Assigner<'a> {
    func: &'a Func,
    schedule: &'a Schedule,
    variables: &'a Variables,
    /// The type of each variable.
    types: &'a [ValType],
    options: &'a Options,
}

impl Assigner<'_> {
    /// The number of the function's parameter that each variable is; [`NONE`] for those that are none.
    fn params(&self) -> Vec<u32> {
        let mut param_of = vec![NONE; self.variables.values.len()];
        for (number, &param) in self.func.blocks[self.func.entry].params.iter().enumerate() {
            let variable = self.variables.of_value[param.index()];
            if variable != NONE {
                param_of[variable as usize] = index_u32(number);
            }
        }
        param_of
    }

    /// The local of the source that a variable stands for.
    fn source_local(&self, variable: u32) -> Option<SourceLocal> {
        let value = self.variables.values[variable as usize];
        // Values that emission added have none.
        if value.index() < self.func.value_count() { self.func.source_locals[value] } else { None }
    }

    /// What is copied, and what it is copied to.
    fn copied(&self, pair: CopyPair) -> (u32, u32) {
        let variable = |position: u32| match self.schedule.code[position as usize] {
            Code::Get(value) | Code::Tee(value) | Code::Set(value) => self.variables.of_value[value.index()],
            other => unreachable!("{other:?} is not part of a copy"),
        };
        (variable(pair.source), variable(pair.set))
    }

    /// Unites what is copied into one another. Values of one local of the source first: the source did without a copy. Then what is copied in
    /// inner loops, as a copy that remains there costs most.
    fn coalesce(&self, classes: &mut Classes, blocks: &CodeBlocks) {
        let key = |pair: CopyPair| {
            let (source, set) = self.copied(pair);
            let hint = self.source_local(source);
            let is_same = self.options.hints && hint.is_some() && hint == self.source_local(set);
            let shallowness = u64::from(u32::MAX >> 1) - u64::from(blocks.depth_at(pair.set));
            u64::from(!is_same) << 63 | shallowness << 32 | u64::from(pair.set)
        };
        let mut pairs: Vec<(u64, CopyPair)> = self.schedule.copies.iter().map(|&pair| (key(pair), pair)).collect();
        pairs.sort_unstable_by_key(|&(key, _)| key);
        for &(_, pair) in &pairs {
            let (source, set) = self.copied(pair);
            if self.types[source as usize] == self.types[set as usize] {
                classes.unite(source, set, (pair.source, pair.set + 1));
            }
        }
        self.unite_with_nullable(classes, pairs.into_iter().map(|(_, pair)| pair));
    }

    /// Unites classes that are never null with nullable ones that they are copied into, where the copies are more bytes than the `ref.as_non_null` behind
    /// each other read.
    fn unite_with_nullable(&self, classes: &mut Classes, pairs: impl Iterator<Item = CopyPair> + Clone) {
        let widens = |pair: CopyPair| {
            let (source, set) = self.copied(pair);
            is_nullable_form(self.types[source as usize], self.types[set as usize])
        };
        if !pairs.clone().any(widens) {
            return;
        }
        // For each class that is never null, the reads that are no copies into itself or into what is nullable.
        let mut reads: FxHashMap<u32, usize> = FxHashMap::default();
        for variable in (0..self.variables.count()).filter(|&variable| is_never_null(self.types[variable as usize])) {
            let count = self.variables.reads(&self.schedule.code, variable).count();
            *reads.entry(classes.sets.find(variable)).or_default() += count;
        }
        let mut copies: IndexMap<(u32, u32), ClassCopies, FxBuildHasher> = IndexMap::default();
        for pair in pairs {
            let (source, set) = self.copied(pair);
            let (from, to) = (classes.sets.find(source), classes.sets.find(set));
            if from == to || widens(pair) {
                reads.entry(from).and_modify(|reads| *reads -= 1);
            }
            if widens(pair) {
                let new = ClassCopies { from, to, count: 0, between: (pair.source, pair.set + 1) };
                copies.entry((from, to)).or_insert(new).count += 1;
            }
        }
        copies.sort_by(|_, one, _, other| other.count.cmp(&one.count));
        for ClassCopies { from, to, count, between } in copies.into_values() {
            let (from, to) = (classes.sets.find(from), classes.sets.find(to));
            let is_widened = classes.types[from as usize] == classes.types[to as usize];
            if is_widened || COPY_BYTES * count > reads[&from] {
                classes.unite(from, to, between);
            }
        }
    }

    /// The reads of values that cannot be null out of locals that can be, in the order of the code. `types` are those of the locals behind the
    /// parameters.
    fn casts(&self, local_of: &[u32], types: &[ValType]) -> Vec<u32> {
        let params = &self.func.blocks[self.func.entry].params;
        let local_type = |variable: u32| {
            let local = local_of[variable as usize] as usize;
            params.get(local).map_or_else(|| types[local - params.len()], |&param| self.func.value_type(param))
        };
        let widened = (0..self.variables.count()).filter(|&variable| {
            let ty = self.types[variable as usize];
            is_never_null(ty) && ty != local_type(variable)
        });
        let mut casts: Vec<u32> =
            widened.flat_map(|variable| self.variables.reads(&self.schedule.code, variable)).collect();
        if !casts.is_empty() {
            casts.sort_unstable();
            // What is only copied into such a local may be null for all that validation knows.
            let pairs = self.schedule.copies.iter();
            let into_nullable = pairs.filter(|pair| !is_never_null(local_type(self.copied(**pair).1)));
            let copied: FxHashSet<u32> = into_nullable.map(|pair| pair.source).collect();
            casts.retain(|position| !copied.contains(position));
        }
        casts
    }

    /// The copies whose two sides are one local that holds the value all the time between them, in the order of the code.
    fn elide(&self, local_of: &[u32]) -> Vec<CopyPair> {
        let mut source_of = vec![NONE; self.schedule.code.len()];
        for &pair in &self.schedule.copies {
            let (source, set) = self.copied(pair);
            if local_of[source as usize] == local_of[set as usize] {
                source_of[pair.set as usize] = pair.source;
            }
        }
        let mut elided = Vec::new();
        let local_count = local_of.iter().max().map_or(0, |&last| last as usize + 1);
        let mut last_write = vec![0; local_count];
        for (set, code) in self.schedule.code.iter().enumerate() {
            if let Code::Set(value) | Code::Tee(value) = *code {
                let variable = self.variables.of_value[value.index()];
                let last_write = &mut last_write[local_of[variable as usize] as usize];
                let (set, source) = (index_u32(set), source_of[set]);
                // What the source itself writes is the value.
                if source != NONE && *last_write <= source {
                    elided.push(CopyPair { source, set });
                } else {
                    *last_write = set;
                }
            }
        }
        elided
    }

    /// How many instructions read or write each of `local_count` locals once copies are left out.
    fn weigh(&self, local_of: &[u32], local_count: usize, elided: &[CopyPair]) -> Vec<u64> {
        let code = &self.schedule.code;
        let mut is_elided = vec![false; code.len()];
        for position in elided.iter().flat_map(|pair| [pair.source, pair.set]) {
            // A `tee` whose copy is left out stays as a `set`.
            is_elided[position as usize] = !matches!(code[position as usize], Code::Tee(_));
        }
        let counts = |position: usize| !is_elided[position] && !matches!(code[position], Code::Undefine(_));
        let mut weight = vec![0u64; local_count];
        for (variable, &local) in (0..).zip(local_of) {
            let accesses = self.variables.of(variable).iter();
            weight[local as usize] += accesses.filter(|&&access| counts(access as usize / 2)).count() as u64;
        }
        weight
    }

    /// The local of the source that each of `local_count` locals stands for: a parameter for itself, others for that of the first of their variables
    /// that has one.
    fn source_locals(&self, local_of: &[u32], local_count: usize) -> Vec<Option<SourceLocal>> {
        let mut source_locals = vec![None; local_count];
        for (source, &param) in source_locals.iter_mut().zip(&self.func.blocks[self.func.entry].params) {
            *source = self.func.source_locals[param];
        }
        for (variable, &local) in (0..).zip(local_of) {
            let source = &mut source_locals[local as usize];
            *source = source.or_else(|| self.source_local(variable));
        }
        source_locals
    }
}

struct Shared {
    /// The local of each class.
    local: Vec<u32>,
    /// The types of the locals after the parameters.
    types: Vec<ValType>,
}

/// Gives classes of one type that are never alive together the same local: in the order in which they come alive, each the first local that is free.
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
    #[derive(Default)]
    struct OfType {
        locals: Vec<u32>,
        calendars: Calendars,
    }
    let params = &func.blocks[func.entry].params;
    let mut local = vec![NONE; types.len()];
    let mut busy_params = vec![Segments::new(); params.len()];
    let mut order: Vec<u32> = (0..index_u32(types.len())).filter(|&class| class_of[class as usize] == class).collect();
    for &class in &order {
        let param = param_of[class as usize];
        if param != NONE {
            local[class as usize] = param;
            busy_params[param as usize].clone_from(&segments_of[class as usize]);
        }
    }
    order.retain(|&class| local[class as usize] == NONE);
    order.sort_by_cached_key(|&class| segments_of[class as usize].first().map_or(0, |first| first.0));
    let mut of_type: FxHashMap<ValType, OfType> = FxHashMap::default();
    for (number, (&param, busy)) in params.iter().zip(busy_params).enumerate() {
        let same_type = of_type.entry(func.value_type(param)).or_default();
        same_type.locals.push(index_u32(number));
        same_type.calendars.push(busy);
    }
    let mut new_types = Vec::new();
    for class in order {
        let ty = types[class as usize];
        let segments = &segments_of[class as usize];
        let same_type = of_type.entry(ty).or_default();
        let first = same_type.locals.len().saturating_sub(ATTEMPTS);
        let found = if options.share_locals { same_type.calendars.first_free(first, segments) } else { None };
        local[class as usize] = match found {
            Some(number) => {
                same_type.calendars.occupy(number, segments);
                same_type.locals[number]
            }
            None => {
                let number = index_u32(params.len() + new_types.len());
                new_types.push(ty);
                same_type.locals.push(number);
                same_type.calendars.push(segments.clone());
                number
            }
        };
    }
    Shared { local, types: new_types }
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
