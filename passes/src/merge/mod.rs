//! Linking modules statically: several modules become one that behaves as if they had been instantiated and linked.
//!
//! 1. `combine`: the arenas of all inputs are put behind one another.
//! 2. `link`: each import that another input's export satisfies becomes a reference to what is exported; types are checked as the specification does
//!    for instantiation ([`matching`]), and everything that does not fit is reported at once.
//! 3. `imports`: what stays imported more than once in the same way is imported once.
//! 4. `constants`: a constant expression that read an imported global, which is defined here now, gets that global's value, and globals are put in
//!    an order in which each refers to earlier ones only.
//! 5. `exports`: conflicts are settled, and exports nobody wants any more go.
//! 6. `several`: where inputs with a memory or a table each make a module with several, that must be allowed.
//! 7. `types`: equal recursion groups become one. (They are equal by the iso-recursive rule, which is why calls across inputs fit at all.)
//!
//! One thing differs from linking: all segments of all inputs are written before any start function runs, while an instantiation writes the segments
//! of a module after the start functions of the modules before it.

mod combine;
mod constants;
mod custom_sections;
mod exports;
mod imports;
mod link;
mod matching;
mod several;
mod start;
#[cfg(test)]
mod tests;
mod types;

use std::fmt;
use wasmfx_ir::Module;

use crate::pattern::Pattern;
pub use exports::ExportConflicts;

/// A module to merge.
#[derive(Debug)]
pub struct Input {
    /// The name by which other inputs import from it.
    pub name: String,
    /// The module.
    pub module: Module,
}

/// How to merge.
#[derive(Clone, Debug, Default)]
pub struct MergeOptions {
    /// What to do when two inputs export something by the same name.
    pub export_conflicts: ExportConflicts,
    /// If there are any: which exports to keep.
    pub keep_exports: Vec<Pattern>,
}

/// A merged module, and what the user may want to know about it.
#[derive(Debug)]
pub struct Merged {
    /// The module.
    pub module: Module,
    /// What is probably a mistake.
    pub warnings: Vec<String>,
}

/// Everything that keeps the inputs from being merged.
#[derive(Debug)]
pub struct MergeError {
    /// What is wrong, each by itself; never empty.
    pub problems: Vec<String>,
}

impl MergeError {
    fn new(problem: impl Into<String>) -> Self {
        Self { problems: vec![problem.into()] }
    }
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problems[..] {
            [problem] => f.write_str(problem),
            problems => {
                write!(f, "{} problems:", problems.len())?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for MergeError {}

/// Merges modules, in the order given: that is the order of their definitions, and in which their start functions run.
///
/// # Errors
/// If names of inputs are not distinct, imports do not fit, exports conflict, or the whole needs a feature that the inputs may not use.
pub fn merge(inputs: Vec<Input>, options: &MergeOptions) -> Result<Merged, MergeError> {
    let mut combined = combine::combine(inputs)?;
    let links = link::link(&combined)?;
    let mut warnings = links.warnings;
    let mut targets = links.targets;
    imports::unite(&mut combined.module, &mut targets);
    start::chain(&mut combined, &mut targets)?;
    constants::resolve(&mut combined.module, &targets)?;
    let exports = exports::collect(&combined, &targets, options)?;
    warnings.append(&mut combined.warnings);
    warnings.extend(exports.warnings);
    let mut module = combined.module;
    module.exports = exports.kept;
    exports::declare_functions(&mut module, &exports.dropped);
    targets.apply(&mut module);
    several::check(&module, &combined.parts)?;
    constants::order_globals(&mut module)?;
    types::unite(&mut module);
    Ok(Merged { module, warnings })
}
