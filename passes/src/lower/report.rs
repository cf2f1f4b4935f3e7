//! What the lowering did, and why.

use super::analysis::{Analysis, Shape};
use super::choice::Choice;
use super::layout::Layout;
use super::scan::{Callee, Summary};
use rustc_hash::FxHashMap;
use wasmfx_ir::entity::{Entity, SecondaryMap};
use wasmfx_ir::module::{FunctionId, Module};

/// What was done to a module.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The functions that may suspend, in the order of their indices.
    pub functions: Vec<FunctionReport>,
    /// How many functions the module had.
    pub function_count: usize,
    /// The store that was chosen, and why; nothing where there was nothing to lower.
    pub store: Option<Choice>,
    /// The bytes of the functions that were added besides the copies: the runtime, what begins continuations, what saves frames.
    pub added_bytes: u64,
    /// How many bytes the functions have grown by that may not suspend: those that resume, above all.
    pub other_growth: i64,
}

/// The bytes of a function's bodies. A body that is not there any more (it was inlined, or nothing called it) has none.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// As it came.
    pub original: u64,
    /// The copy that is called.
    pub fast: u64,
    /// The copy that goes on after a suspension.
    pub resumable: u64,
}

/// What was done to a function that may suspend.
#[derive(Clone, Debug)]
pub struct FunctionReport {
    /// The function.
    pub function: FunctionId,
    /// Its name.
    pub name: String,
    /// The tags that it may suspend to; "…" stands for all after the first hundred.
    pub suspends: Vec<String>,
    /// The tags that it may switch under, in the same way.
    pub switches: Vec<String>,
    /// Whether it may ask an outer `resume` to start a continuation, to keep nested resumes off the engine's stack.
    pub starts: bool,
    /// Where it suspends because of a callee only: which, on a shortest way to one that suspends (or resumes) by itself. [`Report::reason`] is the way.
    pub suspends_in: Option<FunctionId>,
    /// Its fast copy: the function itself, unless an entry took its place.
    pub fast: FunctionId,
    /// Its resumable copy, where it has one.
    pub copy: Option<FunctionId>,
    /// The bytes of one of its frames (memory store), or the number of fields (gc store).
    pub frame_size: u32,
    /// What its copies cost; filled in by [`Report::measure`].
    pub bytes: Bytes,
}

fn function_name(module: &Module, function: FunctionId) -> String {
    module.functions[function].name.clone().unwrap_or_else(|| function.to_string())
}

/// Not all of very many names: each function may have as many as the module has tags.
fn listed(mut names: impl Iterator<Item = String>) -> Vec<String> {
    const MAX_LISTED: usize = 100;
    let mut list: Vec<String> = names.by_ref().take(MAX_LISTED).collect();
    list.extend(names.next().map(|_| "…".to_string()));
    list
}

impl Report {
    pub(super) fn analysed(
        &mut self,
        module: &Module,
        analysis: &Analysis,
        summaries: &SecondaryMap<FunctionId, Summary>,
    ) {
        let reasons = reasons(module, analysis, summaries);
        for (id, function) in module.functions.iter() {
            let escapes = &analysis.escapes[id];
            if escapes.is_empty() || function.origin() != wasmfx_ir::module::Origin::Definition {
                continue;
            }
            let name = |tag| {
                let tag: wasmfx_ir::module::TagId = tag;
                module.tags[tag].name.clone().unwrap_or_else(|| tag.to_string())
            };
            self.functions.push(FunctionReport {
                function: id,
                name: function_name(module, id),
                suspends: listed(escapes.suspensions(module.tags.len()).map(name)),
                switches: listed(escapes.switches(module.tags.len()).map(name)),
                starts: escapes.starts(),
                suspends_in: reasons[id],
                fast: id,
                copy: None,
                frame_size: 0,
                bytes: Bytes::default(),
            });
        }
    }

    /// Functions on the way to one that suspends (or resumes) by itself: itself first, the reason last.
    pub fn reason<'r>(&'r self, function: &'r FunctionReport) -> Vec<&'r str> {
        let next = |function: &&'r FunctionReport| self.of(function.suspends_in?);
        std::iter::successors(Some(function), next).map(|function| &*function.name).collect()
    }

    fn of(&self, function: FunctionId) -> Option<&FunctionReport> {
        Some(&self.functions[self.functions.binary_search_by_key(&function, |report| report.function).ok()?])
    }

    /// Fills in what the functions cost: `original` has the bytes of each function before, `lowered` those of each function after.
    pub fn measure(&mut self, original: &dyn Fn(FunctionId) -> u64, lowered: &SecondaryMap<FunctionId, u64>) {
        let mut added: u64 =
            (self.function_count..lowered.len()).map(|index| lowered[FunctionId::from_index(index)]).sum();
        for report in &mut self.functions {
            report.bytes = Bytes {
                original: original(report.function),
                fast: lowered[report.fast],
                resumable: report.copy.map_or(0, |copy| lowered[copy]),
            };
            added -= report.bytes.resumable;
            if report.fast != report.function {
                added = added - report.bytes.fast + lowered[report.function];
            }
        }
        self.added_bytes = added;
        let others = (0..self.function_count).map(FunctionId::from_index).filter(|&id| self.of(id).is_none());
        self.other_growth = others.map(|id| lowered[id].cast_signed() - original(id).cast_signed()).sum();
    }

    /// A function has another id now.
    pub(super) fn moved(&mut self, function: FunctionId, to: FunctionId) {
        if let Ok(position) = self.functions.binary_search_by_key(&function, |report| report.function) {
            self.functions[position].fast = to;
        }
    }

    pub(super) fn copied(&mut self, function: FunctionId, copy: FunctionId, layout: &Layout) {
        if let Ok(position) = self.functions.binary_search_by_key(&function, |report| report.function) {
            self.functions[position].copy = Some(copy);
            self.functions[position].frame_size =
                if layout.bytes > 0 { layout.bytes } else { u32::try_from(layout.fields.len()).unwrap_or(u32::MAX) };
        }
    }
}

/// For each function that suspends only because of a callee: that callee, on a shortest way to one that suspends by itself.
fn reasons(
    module: &Module,
    analysis: &Analysis,
    summaries: &SecondaryMap<FunctionId, Summary>,
) -> SecondaryMap<FunctionId, Option<FunctionId>> {
    let mut callers: SecondaryMap<FunctionId, Vec<FunctionId>> = SecondaryMap::new();
    let mut callers_of_shape: FxHashMap<Shape, Vec<FunctionId>> = FxHashMap::default();
    let mut reached: SecondaryMap<FunctionId, bool> = SecondaryMap::new();
    let mut queue = std::collections::VecDeque::new();
    for id in module.functions.keys() {
        let summary = &summaries[id];
        if analysis.escapes[id].is_empty() {
            continue;
        }
        if !summary.suspends.is_empty() || !summary.switches.is_empty() || !summary.resumes.is_empty() {
            reached[id] = true;
            queue.push_back(id);
        }
        for &callee in summary.calls.iter().filter(|&&callee| analysis.call_suspends(id, callee)) {
            match callee {
                Callee::Direct(target) => callers[target].push(id),
                Callee::Typed(_) => {
                    let shape = analysis.shape_of_callee(callee);
                    shape.into_iter().for_each(|shape| callers_of_shape.entry(shape).or_default().push(id));
                }
            }
        }
    }
    let mut reasons: SecondaryMap<FunctionId, Option<FunctionId>> = SecondaryMap::new();
    while let Some(id) = queue.pop_front() {
        // The first function of a shape that is reached is the reason of all its callers.
        let by_shape = analysis.shape_of_function(id).and_then(|shape| callers_of_shape.remove(&shape));
        for caller in std::mem::take(&mut callers[id]).into_iter().chain(by_shape.into_iter().flatten()) {
            if !reached[caller] {
                reached[caller] = true;
                reasons[caller] = Some(id);
                queue.push_back(caller);
            }
        }
    }
    reasons
}
