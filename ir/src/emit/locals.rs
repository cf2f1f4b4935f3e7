//! Stages 6 to 9: which local each value is in.
//!
//! The scheduled code is taken as it is: variables with their reads and writes, liveness as segments of positions in the code. Variables that are
//! copied into one another are united where their segments allow it, then variables share locals, and locals are numbered by use.

use super::code_blocks::code_blocks;
use super::graph::{Graph, NONE, index_u32};
use super::live_ranges::{Accesses, live_ranges};
use super::options::Options;
use super::schedule::{Code, CopyPair, Schedule};
use super::segments::{Calendars, Lists, Segments};
use super::structure::Structure;
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
    /// Reads (even) and writes (odd) of each variable as `position * 2 + is_write`, ascending; those of variable `v` are `accesses[starts[v]..starts[v + 1]]`.
    /// Where a variable may hold anything from is like a write that writes nothing.
    starts: Vec<u32>,
    accesses: Vec<u32>,
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
        &self.accesses[self.starts[variable as usize] as usize..self.starts[variable as usize + 1] as usize]
    }
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

/// Variables that are one local.
struct Classes {
    parent: Vec<u32>,
    segments: Lists,
    types: Vec<ValType>,
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

    /// Unites two classes if they are never alive together. The local is of the second one's type.
    fn unite(&mut self, a: u32, b: u32, between: (u32, u32)) {
        let (a, b) = (self.find(a), self.find(b));
        if a == b {
            return;
        }
        let ty = self.types[b as usize];
        let keeps_type = |class: u32| self.param[class as usize] == NONE || self.types[class as usize] == ty;
        if self.param[a as usize] != NONE && self.param[b as usize] != NONE || !keeps_type(a) {
            return;
        }
        if self.segments.overlap(a, b) {
            return;
        }
        let (keep, gone) = self.segments.unite(a, b);
        self.types[keep as usize] = ty;
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
    let mut segments = live_ranges(code, structure, &blocks, &variables);
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
    let mut classes = Classes {
        parent: (0..index_u32(count)).collect(),
        segments: Lists::new(segments),
        types: types.clone(),
        param: param_of,
    };
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
        let mut pairs: Vec<(u64, CopyPair)> = schedule
            .copies
            .iter()
            .map(|&pair| {
                let (source, set) = pair_variables(&pair);
                let is_same = options.hints && hint(source).is_some() && hint(source) == hint(set);
                let shallowness = u64::from(u32::MAX >> 1) - u64::from(blocks.depth_at(pair.set));
                (u64::from(!is_same) << 63 | shallowness << 32 | u64::from(pair.set), pair)
            })
            .collect();
        pairs.sort_unstable_by_key(|&(key, _)| key);
        for (_, pair) in &pairs {
            let (source, set) = pair_variables(pair);
            if types[source as usize] == types[set as usize] {
                classes.unite(source, set, (pair.source, pair.set + 1));
            }
        }
        let pairs = pairs.into_iter().map(|(_, pair)| (pair_variables(&pair), pair));
        let pairs: Vec<((u32, u32), CopyPair)> = pairs.collect();
        unite_with_nullable(&mut classes, &pairs, &types, code, &variables);
    }
    let class_of: Vec<u32> = (0..index_u32(count)).map(|variable| classes.find(variable)).collect();
    let (segments, param_of) = (classes.segments.into_lists(), classes.param);
    let local_of_class = share(func, &segments, &param_of, &class_of, &classes.types, options);
    let mut local_of: Vec<u32> = class_of.iter().map(|&class| local_of_class.local[class as usize]).collect();
    let elided = elide(code, &schedule.copies, &pair_variables, &local_of, &variables);
    // A `tee` whose copy is left out stays as a `set`.
    let counts = |access: u32| !matches!(code[access as usize / 2], Code::Undefine(_));
    let mut is_elided = vec![false; code.len()];
    for position in elided.iter().flat_map(|pair| [pair.source, pair.set]) {
        is_elided[position as usize] = !matches!(code[position as usize], Code::Tee(_));
    }
    let mut weight = vec![0u64; params.len() + local_of_class.types.len()];
    for (variable, &local) in local_of.iter().enumerate() {
        let accesses = variables.of(index_u32(variable)).iter();
        weight[local as usize] +=
            accesses.filter(|&&access| counts(access) && !is_elided[access as usize / 2]).count() as u64;
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
    let local_type = |variable: u32| {
        let local = local_of[variable as usize] as usize;
        params.get(local).map_or_else(|| renumbering.types[local - params.len()], |&param| func.value_type(param))
    };
    let widened = (0..index_u32(count)).filter(|&variable| {
        is_never_null(types[variable as usize]) && types[variable as usize] != local_type(variable)
    });
    let mut casts: Vec<u32> = widened.flat_map(|variable| variables.reads(code, variable)).collect();
    if !casts.is_empty() {
        casts.sort_unstable();
        // What is only copied into such a local may be null for all that validation knows.
        let is_into_nullable = |pair: &&CopyPair| !is_never_null(local_type(pair_variables(pair).1));
        let copied: FxHashSet<u32> = schedule.copies.iter().filter(is_into_nullable).map(|pair| pair.source).collect();
        casts.retain(|position| !copied.contains(position));
    }
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

/// Unites classes that are never null with nullable ones that they are copied into, where the copies are more bytes than the `ref.as_non_null` behind
/// each other read.
fn unite_with_nullable(
    classes: &mut Classes,
    pairs: &[((u32, u32), CopyPair)],
    types: &[ValType],
    code: &[Code],
    variables: &Variables,
) {
    let widens =
        |&((source, set), _): &((u32, u32), CopyPair)| is_nullable_form(types[source as usize], types[set as usize]);
    if !pairs.iter().any(widens) {
        return;
    }
    // For each class that is never null, the reads that are no copies into itself or into what is nullable.
    let mut reads: FxHashMap<u32, usize> = FxHashMap::default();
    for variable in 0..index_u32(types.len()) {
        if is_never_null(types[variable as usize]) {
            *reads.entry(classes.find(variable)).or_default() += variables.reads(code, variable).count();
        }
    }
    let mut copies: IndexMap<(u32, u32), ClassCopies, FxBuildHasher> = IndexMap::default();
    for pair @ &((source, set), CopyPair { source: read, set: write }) in pairs {
        let (from, to) = (classes.find(source), classes.find(set));
        if from == to || widens(pair) {
            reads.entry(from).and_modify(|reads| *reads -= 1);
        }
        if widens(pair) {
            let new = ClassCopies { from, to, count: 0, between: (read, write + 1) };
            copies.entry((from, to)).or_insert(new).count += 1;
        }
    }
    copies.sort_by(|_, one, _, other| other.count.cmp(&one.count));
    for ClassCopies { from, to, count, between } in copies.into_values() {
        let (from, to) = (classes.find(from), classes.find(to));
        let is_widened = classes.types[from as usize] == classes.types[to as usize];
        if is_widened || COPY_BYTES * count > reads[&from] {
            classes.unite(from, to, between);
        }
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

/// The copies whose two sides are one local that holds the value all the time between them, in the order of the code.
fn elide(
    code: &[Code],
    copies: &[CopyPair],
    pair_variables: &impl Fn(&CopyPair) -> (u32, u32),
    local_of: &[u32],
    variables: &Variables,
) -> Vec<CopyPair> {
    let mut source_of = vec![NONE; code.len()];
    for pair in copies {
        let (source, set) = pair_variables(pair);
        if local_of[source as usize] == local_of[set as usize] {
            source_of[pair.set as usize] = pair.source;
        }
    }
    let mut elided = Vec::new();
    let local_count = local_of.iter().max().map_or(0, |&last| last as usize + 1);
    let mut last_write = vec![0; local_count];
    for (set, code) in code.iter().enumerate() {
        if let Code::Set(value) | Code::Tee(value) = *code {
            let last_write = &mut last_write[local_of[variables.of_value[value.index()] as usize] as usize];
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
