//! Who may suspend: a fixpoint over the call graph of the tags that may escape each function.
//!
//! Imports contribute nothing in a closed world, since a suspension never crosses a host frame. A `resume` contributes what any continuation of
//! the module may raise, minus what it handles (two imported tags may be one, so only the very tag that a clause names is subtracted).

use super::boundary::references_cross;
use super::promises::Promises;
use super::scan::{Callee, Summary};
use indexmap::{IndexMap, IndexSet};
use rustc_hash::{FxHashMap, FxHashSet};
use wasmfx_ir::Module;
use wasmfx_ir::entity::{Entity, SecondaryMap};
use wasmfx_ir::module::{Body, ConstExpr, ElementItems, FunctionId, Item, TagId, TypeId};
use wasmfx_ir::wasmparser::{CompositeInnerType, Operator, ValType};

/// A set of ways to leave a function other than returning and throwing: a bit for each tag suspended to, one for each tag switched under, one
/// for "start a continuation from further out", one for "any tag of another module".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Escapes(Vec<u64>);

/// The bit of "the outer driver is asked to start a continuation".
const START: usize = 0;
/// The bit of "any tag that another module knows".
const FOREIGN: usize = 1;

/// How many tags have bits of their own. All others share theirs, which no handler takes away: where there are so many, a function may be taken to
/// suspend that does not, but sets stay small.
const TAGS_APART: usize = 1_000;

fn suspension(tag: TagId) -> usize {
    2 + 2 * tag.index().min(TAGS_APART)
}

fn switching(tag: TagId) -> usize {
    3 + 2 * tag.index().min(TAGS_APART)
}

impl Escapes {
    fn insert(&mut self, bit: usize) -> bool {
        if self.0.len() <= bit / 64 {
            self.0.resize(bit / 64 + 1, 0);
        }
        let word = &mut self.0[bit / 64];
        let old = *word;
        *word |= 1 << (bit % 64);
        *word != old
    }

    fn remove(&mut self, bit: usize) {
        if let Some(word) = self.0.get_mut(bit / 64) {
            *word &= !(1 << (bit % 64));
        }
    }

    fn contains(&self, bit: usize) -> bool {
        self.0.get(bit / 64).is_some_and(|word| word & 1 << (bit % 64) != 0)
    }

    fn union(&mut self, other: &Self) -> bool {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        let mut changed = false;
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            changed |= *more & !*word != 0;
            *word |= more;
        }
        changed
    }

    /// Whether nothing escapes.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    /// Whether more may escape than a request to start a continuation.
    fn has_more_than_start(&self) -> bool {
        self.0.iter().enumerate().any(|(index, &word)| word & !(u64::from(index == 0) << START) != 0)
    }

    /// Whether a request to start a continuation may escape.
    pub(super) fn starts(&self) -> bool {
        self.contains(START)
    }

    /// The tags that may be suspended to.
    pub(super) fn suspensions(&self, tags: usize) -> impl Iterator<Item = TagId> {
        (0..tags).map(TagId::from_index).filter(|&tag| self.contains(suspension(tag)))
    }

    /// The tags that may be switched under.
    pub(super) fn switches(&self, tags: usize) -> impl Iterator<Item = TagId> {
        (0..tags).map(TagId::from_index).filter(|&tag| self.contains(switching(tag)))
    }
}

/// What the analysis found.
#[derive(Debug)]
pub(super) struct Analysis {
    /// What may escape each function.
    pub(super) escapes: SecondaryMap<FunctionId, Escapes>,
    /// What may escape some continuation's function.
    pub(super) continuation_escapes: Escapes,
    /// Whether an exception may come out of a continuation while something in the module (or another module) could catch it.
    pub(super) exceptions_cross: bool,
    /// Functions whose resume sites may be nested in themselves without bound.
    pub(super) nests: SecondaryMap<FunctionId, bool>,
    /// Functions that may run inside a continuation, and so under any number of resume sites.
    inside: SecondaryMap<FunctionId, bool>,
    /// Whether a resume site may be suspended itself.
    pub(super) markers: bool,
    /// The functions that an indirect call of a type may reach.
    callees: Callees,
    /// Whether references to functions may get in or out of the module.
    pub(super) crossing: bool,
    foreign_calls: bool,
    imports_from_modules: FxHashSet<FunctionId>,
    promises: Promises,
}

/// Functions whose reference is taken, by a rough form of their type.
#[derive(Debug, Default)]
struct Callees {
    shape_of_type: SecondaryMap<TypeId, Option<Shape>>,
    /// Of the functions whose reference is taken.
    shape_of_function: SecondaryMap<FunctionId, Option<Shape>>,
    members: Vec<Vec<FunctionId>>,
    /// What may escape a member.
    escapes: Vec<Escapes>,
}

/// A rough form of a function type, as a position in [`Callees::members`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shape(u32);

impl Callees {
    /// Two types have one shape if they agree in number and kind of parameters and results: subtyping and equivalence never go beyond this.
    fn new(module: &Module, taken: &[FunctionId]) -> Self {
        let mut callees = Self::default();
        let mut shapes: IndexMap<Vec<u8>, Shape> = IndexMap::new();
        for (id, definition) in module.types.definitions.iter() {
            if let CompositeInnerType::Func(func) = &definition.sub_type.composite_type.inner {
                let kind = |ty: &ValType| match ty {
                    ValType::I32 => 1u8,
                    ValType::I64 => 2,
                    ValType::F32 => 3,
                    ValType::F64 => 4,
                    ValType::V128 => 5,
                    ValType::Ref(_) => 6,
                };
                let mut key: Vec<u8> = func.params().iter().map(kind).collect();
                key.push(0);
                key.extend(func.results().iter().map(kind));
                let new = Shape(u32::try_from(shapes.len()).expect("types are numbered by u32"));
                callees.shape_of_type[id] = Some(*shapes.entry(key).or_insert(new));
            }
        }
        callees.members.resize(shapes.len(), Vec::new());
        for &function in taken {
            if let Some(shape) = callees.shape_of_type[module.functions[function].ty] {
                callees.members[shape.0 as usize].push(function);
                callees.shape_of_function[function] = Some(shape);
            }
        }
        callees
    }

    fn of(&self, ty: TypeId) -> &[FunctionId] {
        match self.shape_of_type[ty] {
            Some(shape) => &self.members[shape.0 as usize],
            None => &[],
        }
    }
}

/// Each function or shape once.
#[derive(Default)]
struct Reached {
    functions: FxHashSet<FunctionId>,
    shapes: FxHashSet<Shape>,
    work: Vec<FunctionId>,
}

impl Reached {
    fn add(&mut self, callees: &Callees, callee: Callee) {
        match callee {
            Callee::Direct(function) => self.work.push(function),
            Callee::Typed(ty) => {
                if let Some(shape) = callees.shape_of_type[ty]
                    && self.shapes.insert(shape)
                {
                    self.work.extend(&callees.members[shape.0 as usize]);
                }
            }
        }
    }

    /// A function that was not reached before.
    fn next(&mut self) -> Option<FunctionId> {
        while let Some(function) = self.work.pop() {
            if self.functions.insert(function) {
                return Some(function);
            }
        }
        None
    }
}

/// All functions, alternately from last to first and from first to last: long chains of calls mostly go one way.
fn in_turn(module: &Module, forwards: &mut bool) -> Vec<FunctionId> {
    let mut functions: Vec<FunctionId> = module.functions.keys().collect();
    if !std::mem::replace(forwards, !*forwards) {
        functions.reverse();
    }
    functions
}

/// Every function whose reference exists as a value.
fn functions_taken(module: &Module, summaries: &SecondaryMap<FunctionId, Summary>, crossing: bool) -> Vec<FunctionId> {
    let mut taken = functions_taken_by_items(module, crossing);
    for id in module.functions.keys() {
        taken.extend(summaries[id].references.iter().copied());
    }
    let mut taken: Vec<FunctionId> = taken.into_iter().collect();
    taken.sort_unstable();
    taken
}

/// Every function whose reference is taken by something else than a body.
pub(super) fn functions_taken_by_items(module: &Module, crossing: bool) -> FxHashSet<FunctionId> {
    let mut taken: FxHashSet<FunctionId> = FxHashSet::default();
    let mut in_expression = |expression: &ConstExpr| {
        for operator in &expression.operators {
            if let Operator::RefFunc { function_index } = operator {
                taken.insert(FunctionId::from_u32(*function_index));
            }
        }
    };
    for global in module.globals.values() {
        global.init.iter().for_each(&mut in_expression);
    }
    for table in module.tables.values() {
        table.init.iter().for_each(&mut in_expression);
    }
    for segment in module.elements.values() {
        if let ElementItems::Expressions(_, expressions) = &segment.items {
            expressions.iter().for_each(&mut in_expression);
        }
    }
    for segment in module.elements.values() {
        // A declared segment takes no reference: the bodies do.
        if let (ElementItems::Functions(functions), false) =
            (&segment.items, matches!(segment.kind, wasmfx_ir::module::ElementKind::Declared))
        {
            taken.extend(functions.iter().copied());
        }
    }
    // What the host gets it may give back.
    if crossing {
        taken.extend(module.exports.iter().filter_map(|export| match export.item {
            Item::Function(function) => Some(function),
            _ => None,
        }));
    }
    taken
}

impl Analysis {
    /// Analyses a module. `module_imports` are the imported functions that may suspend (none in a closed world).
    pub(super) fn new(
        module: &Module,
        summaries: &SecondaryMap<FunctionId, Summary>,
        module_imports: FxHashSet<FunctionId>,
        promises: Promises,
        open_world: bool,
    ) -> Self {
        let crossing = references_cross(module);
        let taken = functions_taken(module, summaries, crossing);
        let callees = Callees::new(module, &taken);
        let mut analysis = Self {
            escapes: SecondaryMap::with_default_and_len(Escapes::default(), module.functions.len()),
            continuation_escapes: Escapes::default(),
            exceptions_cross: false,
            nests: SecondaryMap::with_default_and_len(false, module.functions.len()),
            inside: SecondaryMap::with_default_and_len(open_world, module.functions.len()),
            markers: open_world,
            callees,
            crossing,
            foreign_calls: open_world,
            imports_from_modules: module_imports,
            promises,
        };
        analysis.find_nesting(module, summaries);
        analysis.find_escapes(module, summaries);
        analysis.find_exceptions(module, summaries, open_world);
        analysis.markers |= module.functions.keys().any(|id| {
            let escapes = |site| !analysis.site_escapes(id, site, analysis.nests[id]).is_empty();
            summaries[id].resumes.iter().any(escapes)
        });
        analysis
    }

    /// The functions that a continuation may start with.
    fn continuation_functions<'a>(
        &'a self,
        module: &'a Module,
        summaries: &'a SecondaryMap<FunctionId, Summary>,
    ) -> impl Iterator<Item = FunctionId> + 'a {
        self.continuation_entries(module, summaries).into_iter().flat_map(|callee| self.targets(callee))
    }

    /// What a continuation may start with, each but once.
    fn continuation_entries(&self, module: &Module, summaries: &SecondaryMap<FunctionId, Summary>) -> IndexSet<Callee> {
        let created = module.functions.keys().flat_map(|id| summaries[id].creates.iter());
        created.map(|&(ty, known)| known.map_or(Callee::Typed(ty), Callee::Direct)).collect()
    }

    /// The shape of what an indirect call may reach.
    pub(super) fn shape_of_callee(&self, callee: Callee) -> Option<Shape> {
        match callee {
            Callee::Direct(_) => None,
            Callee::Typed(ty) => self.callees.shape_of_type[ty],
        }
    }

    /// The shape of the indirect calls that may reach a function.
    pub(super) fn shape_of_function(&self, function: FunctionId) -> Option<Shape> {
        self.callees.shape_of_function[function]
    }

    /// Whether `is_so` holds for what may escape a callee.
    fn any_escapes(&self, callee: Callee, is_so: impl Fn(&Escapes) -> bool) -> bool {
        match callee {
            Callee::Direct(function) => is_so(&self.escapes[function]),
            Callee::Typed(ty) => {
                self.callees.shape_of_type[ty].is_some_and(|shape| is_so(&self.callees.escapes[shape.0 as usize]))
            }
        }
    }

    /// The functions that may be entered otherwise than by a direct call: by their reference, or as a continuation.
    pub(super) fn entered_indirectly<'a>(
        &'a self,
        module: &'a Module,
        summaries: &'a SecondaryMap<FunctionId, Summary>,
    ) -> impl Iterator<Item = FunctionId> + 'a {
        let members = self.callees.members.iter().flatten().copied();
        self.continuation_functions(module, summaries).chain(members)
    }

    /// The functions that a call may reach.
    pub(super) fn targets(&self, callee: Callee) -> impl Iterator<Item = FunctionId> + '_ {
        let (one, many) = match callee {
            Callee::Direct(function) => (Some(function), [].as_slice()),
            Callee::Typed(ty) => (None, self.callees.of(ty)),
        };
        one.into_iter().chain(many.iter().copied())
    }

    /// The functions that an indirect call that may suspend can reach.
    pub(super) fn entered_by_reference(&self) -> Vec<FunctionId> {
        let members = self.callees.members.iter().map(Vec::as_slice);
        let mut entered: Vec<FunctionId> = members
            .filter(|members| members.iter().any(|&function| !self.escapes[function].is_empty()))
            .flatten()
            .copied()
            .collect();
        entered.sort_unstable();
        entered
    }

    /// Whether what is called may unwind.
    pub(super) fn may_unwind(&self, callee: Callee) -> bool {
        (self.foreign_calls && matches!(callee, Callee::Typed(_)))
            || self.any_escapes(callee, |escapes| !escapes.is_empty())
    }

    /// Whether a call may suspend its caller.
    pub(super) fn call_suspends(&self, caller: FunctionId, callee: Callee) -> bool {
        self.passes_on(caller, callee) && self.may_unwind(callee)
    }

    /// Whether unwinding ends at a call: outside of all continuations nobody handles a suspension, and none comes where it was promised.
    pub(super) fn ends_unwinding(&self, caller: FunctionId, callee: Callee) -> bool {
        !self.passes_on(caller, callee) && self.may_unwind(callee)
    }

    fn passes_on(&self, caller: FunctionId, callee: Callee) -> bool {
        self.inside[caller] && self.promises.passes(caller, callee)
    }

    /// Whether what is called may suspend, other than by asking for a continuation to be started from further out.
    pub(super) fn may_suspend(&self, callee: Callee) -> bool {
        (self.foreign_calls && matches!(callee, Callee::Typed(_)))
            || self.any_escapes(callee, Escapes::has_more_than_start)
    }

    /// Whether what is called may ask for a continuation to be started from further out. Where unwinding ends this never happens, if the depth is
    /// counted from the call on. (What the host calls from inside a continuation counts from 0 again: the engine's stack then holds
    /// as many nested resumes as the limit allows for each such call, and host calls are no deeper than the engine lets them be.)
    pub(super) fn may_ask_for_start(&self, callee: Callee) -> bool {
        self.any_escapes(callee, Escapes::starts)
    }

    /// Whether the function may run inside a continuation.
    pub(super) fn is_inside(&self, function: FunctionId) -> bool {
        self.inside[function]
    }

    /// The functions that suspend by themselves, or call what does: directly, by an indirect call that can reach nothing else, or by one that the user
    /// named.
    pub(super) fn definitely_suspending(
        &self,
        module: &Module,
        summaries: &SecondaryMap<FunctionId, Summary>,
    ) -> FxHashSet<FunctionId> {
        let by_itself = |&id: &FunctionId| {
            let summary = &summaries[id];
            let escapes = |site| !self.site_escapes(id, site, false).is_empty();
            !summary.suspends.is_empty() || !summary.switches.is_empty() || summary.resumes.iter().any(escapes)
        };
        let mut definite: FxHashSet<FunctionId> = module.functions.keys().filter(by_itself).collect();
        let mut changed = true;
        let mut forwards = false;
        while changed {
            changed = false;
            // Of indirect calls only the type matters.
            let mut known: FxHashMap<TypeId, bool> = FxHashMap::default();
            for id in in_turn(module, &mut forwards) {
                if self.escapes[id].is_empty() || definite.contains(&id) {
                    continue;
                }
                let suspends = summaries[id].calls.iter().any(|&callee| {
                    self.call_suspends(id, callee)
                        && match callee {
                            Callee::Direct(target) => definite.contains(&target),
                            Callee::Typed(_) if self.promises.name_indirect_calls() => true,
                            Callee::Typed(ty) => *known.entry(ty).or_insert_with(|| {
                                !self.foreign_calls
                                    && self.callees.of(ty).iter().all(|target| definite.contains(target))
                            }),
                        }
                });
                if suspends {
                    definite.insert(id);
                    changed = true;
                }
            }
        }
        definite
    }

    /// What may escape a resume site of this function, whose continuation may run out of room if `nests`.
    pub(super) fn site_escapes(&self, function: FunctionId, site: &super::scan::ResumeSite, nests: bool) -> Escapes {
        if self.inside[function] { self.resume_escapes(site, nests) } else { Escapes::default() }
    }

    /// What may escape a resume that handles these tags.
    fn resume_escapes(&self, site: &super::scan::ResumeSite, nests: bool) -> Escapes {
        let mut escapes = self.continuation_escapes.clone();
        let has_own_bit = |tag: &&TagId| tag.index() < TAGS_APART;
        for &tag in site.suspensions.iter().filter(has_own_bit) {
            escapes.remove(suspension(tag));
        }
        for &tag in site.switches.iter().filter(has_own_bit) {
            escapes.remove(switching(tag));
        }
        // An inner request to start a continuation is served by the driver of this very site.
        escapes.remove(START);
        if nests {
            escapes.insert(START);
        }
        escapes
    }

    fn find_escapes(&mut self, module: &Module, summaries: &SecondaryMap<FunctionId, Summary>) {
        let mut starts: Vec<FunctionId> = self.continuation_functions(module, summaries).collect();
        starts.sort_unstable();
        starts.dedup();
        if self.foreign_calls {
            self.continuation_escapes.insert(FOREIGN);
        }
        for &function in &self.imports_from_modules {
            self.escapes[function].insert(FOREIGN);
        }
        // Rounds over all functions until nothing changes: few are needed, and each looks at every call once.
        let mut changed = true;
        let mut forwards = false;
        while changed {
            changed = false;
            // What escapes a type's functions is looked at once a round. The last round, in which nothing changes, finds it as it is.
            self.callees.escapes.clear();
            for members in &self.callees.members {
                let mut escapes = Escapes::default();
                for &member in members {
                    escapes.union(&self.escapes[member]);
                }
                self.callees.escapes.push(escapes);
            }
            for id in in_turn(module, &mut forwards) {
                let summary = &summaries[id];
                let mut escapes = self.escapes[id].clone();
                for &tag in &summary.suspends {
                    escapes.insert(suspension(tag));
                }
                for &tag in &summary.switches {
                    escapes.insert(switching(tag));
                }
                for &callee in summary.calls.iter().filter(|&&callee| self.promises.passes(id, callee)) {
                    if self.foreign_calls && matches!(callee, Callee::Typed(_)) {
                        escapes.insert(FOREIGN);
                    }
                    let callee_escapes = match callee {
                        Callee::Direct(target) => Some(&self.escapes[target]),
                        Callee::Typed(_) => {
                            self.shape_of_callee(callee).map(|shape| &self.callees.escapes[shape.0 as usize])
                        }
                    };
                    if let Some(callee_escapes) = callee_escapes {
                        escapes.union(callee_escapes);
                    }
                }
                for site in &summary.resumes {
                    escapes.union(&self.resume_escapes(site, self.nests[id]));
                }
                // Outside of all continuations nobody handles a suspension, and no resume site is nested: see `ends_unwinding`.
                if !self.inside[id] {
                    escapes = Escapes::default();
                }
                if escapes != self.escapes[id] {
                    self.escapes[id] = escapes;
                    changed = true;
                }
            }
            let mut all = self.continuation_escapes.clone();
            for &function in &starts {
                all.union(&self.escapes[function]);
            }
            if all != self.continuation_escapes {
                self.continuation_escapes = all;
                changed = true;
            }
        }
    }

    /// What continuations start with, from which more is reached.
    fn reached_by_continuations(&self, module: &Module, summaries: &SecondaryMap<FunctionId, Summary>) -> Reached {
        let mut reached = Reached::default();
        let entries = self.continuation_entries(module, summaries);
        entries.into_iter().for_each(|callee| reached.add(&self.callees, callee));
        reached
    }

    /// A resume site nests without bound if a continuation that may run under it may reach the site again.
    fn find_nesting(&mut self, module: &Module, summaries: &SecondaryMap<FunctionId, Summary>) {
        let mut reached = self.reached_by_continuations(module, summaries);
        while let Some(id) = reached.next() {
            summaries[id].calls.iter().for_each(|&callee| reached.add(&self.callees, callee));
        }
        // Any continuation may run under any site, so every site that a continuation reaches may be nested in itself.
        for id in module.functions.keys() {
            self.inside[id] |= reached.functions.contains(&id);
            self.nests[id] = self.inside[id] && !summaries[id].resumes.is_empty();
        }
    }

    fn find_exceptions(&mut self, module: &Module, summaries: &SecondaryMap<FunctionId, Summary>, open_world: bool) {
        let catches = module.functions.keys().any(|id| summaries[id].catches);
        if open_world {
            self.exceptions_cross = true;
            return;
        }
        // `resume_throw` raises in a continuation that throws nothing itself, and must find its way out of it.
        if module.functions.keys().any(|id| summaries[id].resume_throws) {
            self.exceptions_cross = true;
            return;
        }
        // A continuation may begin with a function of the host, whose reference came in.
        let mut created = module.functions.keys().flat_map(|id| &summaries[id].creates);
        if catches && self.crossing && created.any(|(_, function)| function.is_none()) {
            self.exceptions_cross = true;
            return;
        }
        // Whatever a continuation reaches: a throw, or a host that may throw. Where nothing is caught a throw ends at the host, and leaves stacks
        // behind that are to be given back.
        let mut reached = self.reached_by_continuations(module, summaries);
        while let Some(id) = reached.next() {
            let summary = &summaries[id];
            if summary.throws || (catches && matches!(module.functions[id].body, Body::Import)) {
                self.exceptions_cross = true;
                return;
            }
            for &callee in &summary.calls {
                // A function of the host, whose reference came in.
                if catches && self.crossing && matches!(callee, Callee::Typed(_)) {
                    self.exceptions_cross = true;
                    return;
                }
                reached.add(&self.callees, callee);
            }
        }
    }
}
