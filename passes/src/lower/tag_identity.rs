//! Imported tags that may be one tag.
//!
//! The identity of a tag is its address, so two imports may turn out to be the same tag when the module is instantiated. Exceptions keep this by
//! themselves, since lowered exceptions have the tags that they had. The status of a suspension is a number, and two imports of one tag must
//! have one: tags that may be the same get their numbers when the module starts, where each is thrown once to see by which of those before it it
//! is caught. In a shared runtime numbers come from the module that defines the tag, and this is not needed: tags of the host's are refused.

use super::builder::Builder;
use super::scan::Summary;
use super::{Error, Lowering};
use indexmap::IndexMap;
use rustc_hash::FxHashSet;
use wasmfx_ir::Module;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{Func, Handler, Terminator};
use wasmfx_ir::module::{FunctionId, Item, TagId};
use wasmfx_ir::wasmparser::{Operator, ValType};

/// The tags that suspensions, switches and clauses name.
pub(super) fn tags_of_suspensions(module: &Module, summaries: &SecondaryMap<FunctionId, Summary>) -> FxHashSet<TagId> {
    let mut tags = FxHashSet::default();
    for id in module.functions.keys() {
        let summary = &summaries[id];
        tags.extend(summary.suspends.iter().chain(&summary.switches));
        for site in &summary.resumes {
            tags.extend(site.suspensions.iter().chain(&site.switches));
        }
    }
    tags
}

/// How often imported tags of one type are compared at most: each with all before it, in one function.
const MAX_COMPARISONS: usize = 125_000;

/// What equal tags have in common: the kinds of their parameters and results. All references are of one kind, `None`.
#[derive(PartialEq, Eq, Hash)]
struct Kinds {
    params: Vec<Option<ValType>>,
    results: Vec<Option<ValType>>,
}

impl Lowering<'_> {
    /// Gives numbers that are found at run time to imported tags that may be the same as another.
    ///
    /// # Errors
    /// If they are too many.
    pub(super) fn find_equal_tags(&mut self, tags: &FxHashSet<TagId>) -> Result<(), Error> {
        let imported: Vec<TagId> = self
            .module
            .imports
            .iter()
            .filter_map(|import| match import.item {
                Item::Tag(tag) if tags.contains(&tag) => Some(tag),
                _ => None,
            })
            .collect();
        let mut by_kinds: IndexMap<Kinds, Vec<TagId>> = IndexMap::new();
        for tag in imported {
            by_kinds.entry(self.kinds_of(tag)).or_default().push(tag);
        }
        let groups: Vec<Vec<TagId>> = by_kinds.into_values().filter(|group| group.len() > 1).collect();
        let comparisons: usize = groups.iter().map(|group| group.len() * (group.len() - 1) / 2).sum();
        if let (true, Some(largest)) = (comparisons > MAX_COMPARISONS, groups.iter().map(Vec::len).max()) {
            return Err(Error::input(format!(
                "too many imported tags of one type (up to {largest}) may be the same tag: {comparisons} comparisons would tell them apart, and {MAX_COMPARISONS} at most can be made",
            ))
            .with_help("merge the module with those that define the tags first (wasmfx-merge)"));
        }
        for &tag in groups.iter().flatten() {
            let number = self.static_status(tag, false).expect("the world is closed");
            let name = format!("wasmfx.tag:{tag}");
            self.tag_numbers[tag] = Some(self.add_i32_global_with(name, number));
        }
        self.equal_tags = groups;
        Ok(())
    }

    fn kinds_of(&self, tag: TagId) -> Kinds {
        let kinds = |types: Vec<ValType>| {
            types.into_iter().map(|ty| Some(ty).filter(|ty| !matches!(ty, ValType::Ref(_)))).collect()
        };
        let ty = self.original_tag_type(tag);
        Kinds { params: kinds(self.original_params(ty)), results: kinds(self.original_results(ty)) }
    }

    /// Adds what has to come before anything else that runs: it finds out which imported tags are the same, and checks segments.
    pub(super) fn add_start(&mut self) -> Result<(), Error> {
        if self.equal_tags.is_empty() && self.active_segments.is_empty() {
            return Ok(());
        }
        let ty = self.function_type(&[], &[]);
        let mut func = Func::new(ty, &[], &[]);
        let mut at = func.entry;
        for group in std::mem::take(&mut self.equal_tags) {
            for (index, &tag) in group.iter().enumerate().skip(1) {
                let types = self.lowered_types(&self.original_params(self.original_tag_type(tag)));
                let payload = self.dummies(&mut func, at, &types).map_err(|error| {
                    Error::input(format!(
                        "the imported {tag} may be the same as another, which cannot be found out: {error}"
                    ))
                    .with_help("import the tag once")
                })?;
                let builder = &mut Builder::at(&mut func, at);
                let rest = builder.new_block(&[]);
                let mut handlers = Vec::new();
                for &earlier in &group[..index] {
                    let types = self.lowered_types(&self.original_params(self.original_tag_type(earlier)));
                    let landing = builder.new_block(&types);
                    handlers.push((Handler::Catch { tag: earlier, block: landing }, landing, Some(earlier)));
                }
                let landing = builder.new_block(&[]);
                handlers.push((Handler::CatchAll { block: landing }, landing, None));
                let clauses: Vec<Handler> = handlers.iter().map(|(handler, ..)| *handler).collect();
                builder.invoke(Operator::Throw { tag_index: tag.as_u32() }, &payload, None, &clauses);
                for (_, landing, earlier) in handlers {
                    builder.switch_to(landing);
                    if let (Some(earlier), Some(own)) = (earlier, self.tag_numbers[tag]) {
                        let number = self.suspension_status(builder, earlier);
                        builder.set_global(own, number);
                    }
                    builder.jump(rest, &[]);
                }
                at = rest;
            }
        }
        let builder = &mut Builder::at(&mut func, at);
        self.check_active_segments(builder)?;
        if let Some(start) = self.module.start {
            builder.run(Operator::Call { function_index: start.as_u32() }, &[]);
        }
        builder.end(Terminator::Return(wasmfx_ir::func::ValueVec::new()));
        self.module.start = Some(self.add_function(func, "wasmfx.start".to_owned()));
        Ok(())
    }
}
