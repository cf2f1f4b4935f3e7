//! Continuations to plain WebAssembly.
//!
//! A function that may suspend exists twice. The *fast copy* is the original body with one test after each call that may suspend: is the native stack
//! being unwound? If so it saves what is live into a *frame* and returns. The *resumable copy* takes a frame and goes on behind the call. Suspended
//! frames stay where they are, in linear memory or in GC structs: a resume runs only the innermost one, and hands its results to the next
//! when it returns (generalised stack inspection, with lazy thawing). So a suspension costs the same at any depth. Where the two would only be large,
//! one copy is both.
//!
//! | file | what it does |
//! |---|---|
//! | [`scan`] | what each body does that concerns continuations |
//! | [`inline_suspending`] | small functions that suspend go into their callers |
//! | [`analysis`] | which functions may suspend, and on which tags |
//! | [`promises`] | which calls the user says never suspend |
//! | [`choice`] | the store that `auto` is |
//! | [`setup`] | the runtime's items in the module, and what else is added to it |
//! | [`types`], [`translate`], [`tables`] | continuation references become what the store has for them |
//! | [`builder`] | appending instructions, for everything below |
//! | [`store`], [`runtime`] | frames and stacks, and the functions that drive them |
//! | [`values`] | how values travel between frames |
//! | [`dying_operands`] | what is computed before a suspension lest its operands be saved |
//! | [`split`], [`layout`], [`function`], [`dispatch`], [`ssa`] | the two copies of a function |
//! | [`one_copy`], [`groups`], [`places`] | functions that are their own resumable copy |
//! | [`dummies`] | values that nobody looks at |
//! | [`suspension`] | what a copy saves, in which frame, and how it is left |
//! | [`innermost`] | which resumable copies a resume site calls without the table |
//! | [`resume_site`] | `resume`, `resume_throw`, `resume_throw_ref` |
//! | [`resume_table`] | what frames and handlers are called through |
//! | [`shared`] | the runtime as a module of its own |
//! | [`type_identity`] | types that would become equal |
//! | [`tag_identity`] | imported tags that may be one |
//! | [`boundary`] | references to functions that the host gets, and calls |
//! | [`host_calls`] | functions of the host, which may call back |
//! | [`thunks`] | how continuations begin, bound arguments, entries from the host |
//! | [`report`] | what was done, why, and what it costs |

mod analysis;
mod boundary;
mod builder;
mod choice;
mod dispatch;
mod dummies;
mod dying_operands;
mod function;
mod groups;
mod host_calls;
mod inline_suspending;
mod innermost;
mod layout;
mod one_copy;
mod places;
mod promises;
mod report;
mod resume_site;
mod resume_table;
mod runtime;
mod scan;
mod setup;
mod shared;
mod split;
mod ssa;
mod store;
mod suspension;
mod tables;
mod tag_identity;
mod thunks;
mod translate;
mod type_identity;
mod types;
mod values;

pub use choice::Choice;
pub use report::{Bytes, FunctionReport, Report};
pub use shared::{RUNTIME_MODULE, runtime_module};
pub use wasmfx_ir::error::Error;

use analysis::Analysis;
use function::Resumable;
use indexmap::IndexMap;
use promises::Promises;
use rustc_hash::{FxHashMap, FxHashSet};
use scan::{Mentions, Summary};
use tables::{EmulatedTable, TableFunction};
use thunks::{NewFrameKey, ReferenceTable, SaveKey, SlotsKey};
use values::Values;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{Func, Handler, Terminator};
use wasmfx_ir::module::{
    Body, ConstExpr, ElementItems, Function, FunctionId, Item, Module, Origin, TableId, TagId, TypeId, Types,
};
use wasmfx_ir::wasmparser::{Operator, ValType};

/// How many resume sites run their continuations themselves where size comes first: with more, one function does it for all.
const MAX_DRIVING_SITES: usize = 2;

/// The same where it does not. Such a site is several times as large, but the function may double what a resume takes.
const MAX_DRIVING_SITES_FOR_SPEED: usize = 32;

/// How many slots of the table of resume functions the bodies may need at most where frames name them by 16 bits; the rest is the runtime's.
const NARROW_SLOTS: usize = 65_000;

/// Where frames of suspended functions are kept.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Store {
    /// What suits the module: see [`choice`].
    #[default]
    Auto,
    /// Linear memory, with references in tables.
    Memory,
    /// GC structs.
    Gc,
}

/// Whether the runtime is part of the module.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Runtime {
    /// The runtime is part of the module, whose continuations no other module sees.
    #[default]
    Closed,
    /// The runtime is imported; modules that share it share continuations and tags.
    Shared,
}

/// How many copies a function that may suspend has.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Copies {
    /// Two where it suspends for certain, or calls what does; one where that is only what the types of indirect calls allow, or where it would save
    /// very much.
    #[default]
    Auto,
    /// One, for size.
    One,
    /// Two, for speed, unless they would be enormous.
    Two,
}

/// How to lower.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where frames are kept.
    pub store: Store,
    /// Whether the memory store may have a memory of its own beside the module's.
    pub multi_memory: bool,
    /// Whether the runtime is part of the module.
    pub runtime: Runtime,
    /// How many copies functions have.
    pub copies: Copies,
    /// Whether fewer bytes are better than a little speed.
    pub size_first: bool,
    /// Modules (or `module.name`) whose imports are the host's: they never suspend. `*` stands for anything. For [`Runtime::Shared`].
    pub host_imports: Vec<String>,
    /// Names of functions (`*` stands for anything): only their indirect calls suspend; all do if there are none. An indirect call of another
    /// function traps if what it calls suspends after all. The names are those of the module that is lowered: what was inlined before has none.
    pub suspend_through: Vec<String>,
    /// Names of functions that never suspend: a call in them traps if what it calls suspends after all.
    pub never_suspend: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            store: Store::Auto,
            multi_memory: true,
            runtime: Runtime::Closed,
            copies: Copies::Auto,
            size_first: false,
            host_imports: vec!["wasi_snapshot_preview1".to_owned(), "wasi_*".to_owned(), "spectest".to_owned()],
            suspend_through: Vec::new(),
            never_suspend: Vec::new(),
        }
    }
}

/// Whether an operator resumes a continuation.
fn is_resume(operator: &Operator<'_>) -> bool {
    matches!(operator, Operator::Resume { .. } | Operator::ResumeThrow { .. } | Operator::ResumeThrowRef { .. })
}

/// A module while it is lowered.
struct Lowering<'m> {
    module: &'m mut Module,
    options: Options,
    /// Types, tag types and element segments as they were.
    original_types: Types,
    original_tag_types: SecondaryMap<TagId, TypeId>,
    original_elements: Vec<ElementItems>,
    mentions: Mentions,
    analysis: Analysis,
    store: store::Store,
    /// The global where the driver leaves the continuation that it captured: the last of the continuations in flight.
    passed_continuation: u32,
    values: Values,
    /// The functions in the table of resume functions.
    resume_slots: Vec<FunctionId>,
    /// Functions whose resume sites leave all frames to the driver: what they took in suspends, and came with a resume site that serves other callers.
    drives_out_of_line: FxHashSet<FunctionId>,
    /// Whether there are so many resume sites that functions do what each of them needs.
    has_many_sites: bool,
    /// The resumable copies that resume sites call directly.
    innermost: Vec<Resumable>,
    /// The slot of the frame that hands on what it gets.
    identity_number: u32,
    /// In a shared runtime: the global with the number of each tag.
    tag_numbers: SecondaryMap<TagId, Option<u32>>,
    /// In a shared runtime: the function that numbers a new tag.
    new_tag: Option<u32>,
    /// Groups of imported tags that may be the same.
    equal_tags: Vec<Vec<TagId>>,
    /// Active segments of continuations for tables that are emulated: the table, the offset, the length.
    active_segments: Vec<(TableId, ConstExpr, u32)>,
    generated: Generated,
    boundary: Option<boundary::Boundary>,
    report: Report,
}

/// What the lowering has added to the module and uses again, by what it was made for. Numbers are those of items or resume slots.
#[derive(Default)]
struct Generated {
    /// Function types, by parameters and results.
    function_types: FxHashMap<(Vec<ValType>, Vec<ValType>), TypeId>,
    /// Struct types of frames, by whether they are markers and by their slots.
    frame_structs: FxHashMap<(bool, Vec<ValType>), u32>,
    /// First slots of the thunks that begin continuations, by function type and, if it is known, function.
    entries: FxHashMap<(TypeId, Option<FunctionId>), u32>,
    /// The function that makes a continuation that begins at a resume slot.
    new_continuation_function: Option<u32>,
    /// Functions that make a continuation of a function reference, by function type.
    new_of_reference: FxHashMap<TypeId, u32>,
    /// The function that takes a continuation.
    consume: Option<u32>,
    /// The functions that run a continuation, by whether they count how deep it is.
    enter_functions: FxHashMap<bool, u32>,
    /// Functions that take the reference in a global and leave null.
    take_functions: FxHashMap<u32, u32>,
    /// Functions that bind arguments, by the continuation types before and after.
    binds: FxHashMap<(TypeId, TypeId), u32>,
    /// The function that traps for a null continuation.
    as_non_null_function: Option<u32>,
    /// Functions that save values into a new frame.
    save_helpers: FxHashMap<SaveKey, u32>,
    /// Functions that make a frame.
    new_frame_helpers: FxHashMap<NewFrameKey, u32>,
    /// Functions that save values into a frame that there is.
    save_again_helpers: FxHashMap<SlotsKey, u32>,
    /// The function that says which entry a function of one copy is entered again by.
    announce: Option<u32>,
    /// Functions that load what a frame holds.
    load_helpers: FxHashMap<SlotsKey, u32>,
    /// The ends of entering functions of one copy again, by types of results, frame size and type.
    leaving_helpers: FxHashMap<(Vec<ValType>, u32, u32), u32>,
    /// Functions that find the clause that handles a suspension, by the clauses' tags and whether they are for switches. Markers hold their positions.
    matchers: IndexMap<Vec<(u32, bool)>, FunctionId>,
    /// What the host calls instead of functions that may suspend.
    host_entries: FxHashMap<FunctionId, FunctionId>,
    /// Tables that keep references of frames, by the references' type.
    reference_tables: FxHashMap<ValType, ReferenceTable>,
    /// What tables of continuations have become.
    emulated_tables: FxHashMap<TableId, EmulatedTable>,
    /// Functions that do what an instruction did to a table of continuations.
    table_functions: FxHashMap<(TableId, TableFunction), u32>,
    /// Globals with the lengths of element segments of continuations.
    segment_lengths: FxHashMap<u32, u32>,
    /// Functions that fill arrays from such segments, by array type, segment, and whether the array is new.
    array_functions: FxHashMap<(TypeId, u32, bool), u32>,
    /// Globals with values of types that have no zero.
    dummies: FxHashMap<ValType, u32>,
    /// Whether there can be such a global.
    can_be_made: FxHashMap<ValType, bool>,
}

/// Lowers a module in place. Its output validates with stack switching switched off.
///
/// # Errors
/// If the module needs what the lowering cannot express; the message names the item and the remedy. The module is then unusable.
pub fn lower_module(module: &mut Module, options: &Options) -> Result<Report, Error> {
    let scan = |module: &Module, mentions: &Mentions| {
        scan::scan(module, mentions).map_err(|error| Error::input(error.to_string()))
    };
    let mut mentions = Mentions::new(module);
    let mut summaries = scan(module, &mentions)?;
    let choice = choice::choose(module, options);
    if options.runtime == Runtime::Closed && type_identity::keep_types_apart(module, &summaries, choice.store) {
        mentions = Mentions::new(module);
        summaries = scan(module, &mentions)?;
    }
    let promises = Promises::new(module, &summaries, options)?;
    if inline_suspending::inline_suspending(module, &summaries, &promises, options.size_first)? {
        summaries = scan(module, &mentions)?;
    }
    let suspends = module.functions.keys().any(|id| !summaries[id].suspends.is_empty());
    let results = module.tags.values().any(|tag| !types::function_type(&module.types, tag.ty).results().is_empty());
    if mentions.is_empty() && !suspends && !results && options.runtime == Runtime::Closed {
        return Ok(Report { function_count: module.functions.len(), ..Report::default() });
    }
    let shared = options.runtime == Runtime::Shared;
    let mut foreign = FxHashSet::default();
    if shared {
        shared::refuse(module, &mentions, &summaries, options, choice.store)?;
        foreign = shared::rename_imports(module, options);
    } else {
        refuse_open_items(module, &mentions)?;
    }
    let mut analysis = Analysis::new(module, &summaries, foreign.clone(), promises.clone(), shared);
    // Promises are about functions by name: what is in a body stays there. And what other modules call has more callers than are known.
    let may_move = options.suspend_through.is_empty() && options.never_suspend.is_empty() && !shared;
    let grown = match may_move {
        true => inline_suspending::inline_called_once_inside(module, &summaries, &analysis)?,
        false => FxHashSet::default(),
    };
    if !grown.is_empty() {
        summaries = scan(module, &mentions)?;
        analysis = Analysis::new(module, &summaries, foreign, promises, shared);
    }
    let touched = touched_functions(module, &summaries, &analysis);
    let slot_bound: usize = touched.iter().map(|&id| summaries[id].slot_bound).sum();
    let used = match analysis.crossing && !shared {
        true => Some(wasmfx_ir::features::used(module, &crate::parallel::Parallel)?),
        false => None,
    };
    let options = Options { store: choice.store, ..options.clone() };
    let function_count = module.functions.len();
    let mut lowering = setup::set_up(module, &options, mentions, analysis, slot_bound > NARROW_SLOTS)?;
    lowering.report.store = Some(choice);
    lowering.report.function_count = function_count;
    lowering.drives_out_of_line = grown;
    let all_sites: usize = touched.iter().map(|&id| summaries[id].resumes.len()).sum();
    lowering.has_many_sites = match (options.size_first, options.copies) {
        (true, _) => all_sites > MAX_DRIVING_SITES,
        (false, Copies::Two) => false,
        (false, Copies::One | Copies::Auto) => all_sites > MAX_DRIVING_SITES_FOR_SPEED,
    };
    if let Some(used) = used {
        lowering.prepare_boundary(used);
    }
    lowering.report.analysed(lowering.module, &lowering.analysis, &summaries);
    if !shared {
        let tags = tag_identity::tags_of_suspensions(lowering.module, &summaries);
        lowering.find_equal_tags(&tags)?;
    }
    let sharing = lowering.sharing(&summaries);
    let mut prepared = Vec::with_capacity(touched.len());
    for &function in &touched {
        let cut = lowering.prepare_function(function, sharing[function]);
        prepared.push(cut.map_err(|error| lowering.in_function(error, function))?);
    }
    lowering.innermost = lowering.likely_innermost(&prepared);
    for cut in prepared {
        let function = cut.function;
        lowering.expand_function(cut).map_err(|error| lowering.in_function(error, function))?;
    }
    lowering.finish_module()?;
    lowering.inline_innermost();
    let report = std::mem::take(&mut lowering.report);
    refuse_mixed_exceptions(module, &summaries)?;
    Ok(report)
}

/// Refuses a module with both kinds of exception handling, which no engine takes: bodies with the legacy one stay as they are, and what was lowered
/// has the other.
fn refuse_mixed_exceptions(module: &Module, summaries: &SecondaryMap<FunctionId, Summary>) -> Result<(), Error> {
    let catches = |body: &Func| {
        let mut terminators = body.blocks.values().map(|block| &block.terminator);
        terminators.any(|terminator| match terminator {
            Terminator::Invoke(invoke) => invoke.handlers.iter().any(Handler::is_exception_handler),
            _ => false,
        })
    };
    let is_legacy = |&(id, _): &(FunctionId, &Function)| summaries[id].has_legacy_try;
    let Some((id, function)) = module.functions.iter().find(is_legacy) else { return Ok(()) };
    if !module.functions.values().any(|function| matches!(&function.body, Body::Lifted(body) if catches(body))) {
        return Ok(());
    }
    Err(Error::input("has legacy exception handling (try, catch), and the lowered module needs `try_table` besides, which no engine takes in one module")
        .in_function(id.as_u32(), function.name.as_deref())
        .with_help("translate it first: `wasm-opt --translate-to-exnref`, or the compiler's option for exnref"))
}

/// The functions whose bodies do not stay as they are.
fn touched_functions(
    module: &Module,
    summaries: &SecondaryMap<FunctionId, Summary>,
    analysis: &Analysis,
) -> Vec<FunctionId> {
    let is_touched = |id: FunctionId, function: &Function| {
        let summary = &summaries[id];
        function.origin() == Origin::Definition
            && (summary.mentions_continuations
                || !summary.suspends.is_empty()
                || !summary.switches.is_empty()
                || !analysis.escapes[id].is_empty()
                || summary.calls.iter().any(|&callee| analysis.may_unwind(callee)))
    };
    module.functions.iter().filter(|&(id, function)| is_touched(id, function)).map(|(id, _)| id).collect()
}

impl Lowering<'_> {
    /// An error that says in which function it was found.
    fn in_function(&self, error: Error, function: FunctionId) -> Error {
        if error.function().is_some() {
            return error;
        }
        error.in_function(function.as_u32(), self.module.functions[function].name.as_deref())
    }
}

/// In a closed world nobody outside can make sense of a continuation.
fn refuse_open_items(module: &Module, mentions: &Mentions) -> Result<(), Error> {
    let mentioned = |item: Item| match item {
        Item::Function(id) => mentions.functions.contains(&id),
        Item::Table(id) => mentions.tables.contains(&id),
        Item::Global(id) => mentions.globals.contains(&id),
        Item::Tag(id) => mentions.tags.contains(&id),
        Item::Memory(_) => false,
    };
    let refuse = |what: String| {
        Err(Error::input(format!(
            "{what} has a continuation type, which only another lowered module could make sense of"
        ))
        .with_help("merge the modules first (wasmfx-merge, whose --keep-export drops what only served the linking), or lower each with `--runtime shared`"))
    };
    for import in &module.imports {
        if mentioned(import.item) {
            return refuse(format!("the import `{}` `{}`", import.module, import.name));
        }
    }
    for export in &module.exports {
        // An exported tag cannot be used by anybody who cannot name its type.
        if mentioned(export.item) && !matches!(export.item, Item::Tag(_)) {
            return refuse(format!("the export `{}`", export.name));
        }
    }
    Ok(())
}
