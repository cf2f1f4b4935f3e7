//! What the user knows and the analysis cannot: which indirect calls and which functions never suspend.
//!
//! An indirect call may reach every function of its type whose reference exists, so one suspending callback makes all calls of that type
//! suspend, and most of a large program with them. A promise takes calls out of this. It is checked where the program runs: what is called then
//! and suspends nevertheless meets a trap behind the call, as it would at a host's frame, and never a caller that does not expect it.

use super::scan::{Callee, Summary};
use super::shared::matches;
use super::{Error, Options};
use wasmfx_ir::Module;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::module::{Body, FunctionId};

/// Through which calls suspensions pass.
#[derive(Clone, Debug)]
pub(super) struct Promises {
    /// Whether the user said whose indirect calls suspend.
    names_indirect: bool,
    /// Functions whose indirect calls may suspend.
    passes_indirect: SecondaryMap<FunctionId, bool>,
    /// Functions that never suspend.
    never: SecondaryMap<FunctionId, bool>,
}

impl Promises {
    /// Finds the functions that the options name.
    ///
    /// # Errors
    /// If a pattern matches no function, or a function that is said never to suspend has an instruction that does.
    pub(super) fn new(
        module: &Module,
        summaries: &SecondaryMap<FunctionId, Summary>,
        options: &Options,
    ) -> Result<Self, Error> {
        let all = options.suspend_through.is_empty();
        let mut promises = Self {
            names_indirect: !all,
            passes_indirect: SecondaryMap::with_default_and_len(all, module.functions.len()),
            never: SecondaryMap::with_default_and_len(false, module.functions.len()),
        };
        for pattern in &options.suspend_through {
            for function in functions_called(module, pattern)? {
                promises.passes_indirect[function] = true;
            }
        }
        for pattern in &options.never_suspend {
            for function in functions_called(module, pattern)? {
                let summary = &summaries[function];
                if !(summary.suspends.is_empty() && summary.switches.is_empty() && summary.resumes.is_empty()) {
                    return Err(Error::input(
                        "is said never to suspend, but has instructions that may (`suspend`, `switch`, `resume`)",
                    )
                    .in_function(function.as_u32(), module.functions[function].name.as_deref())
                    .with_help(format!("make the pattern `{pattern}` match less")));
                }
                promises.never[function] = true;
            }
        }
        Ok(promises)
    }

    /// Whether the indirect calls that suspend are those that the user named.
    pub(super) fn name_indirect_calls(&self) -> bool {
        self.names_indirect
    }

    /// Whether it was promised that a function never suspends.
    pub(super) fn never_suspends(&self, function: FunctionId) -> bool {
        self.never[function]
    }

    /// Whether a suspension of the callee may go on through the caller.
    pub(super) fn passes(&self, caller: FunctionId, callee: Callee) -> bool {
        !self.never[caller] && (matches!(callee, Callee::Direct(_)) || self.passes_indirect[caller])
    }
}

/// The functions of the module whose names match a pattern.
fn functions_called(module: &Module, pattern: &str) -> Result<Vec<FunctionId>, Error> {
    let is_called = |id: &FunctionId| {
        let function = &module.functions[*id];
        !matches!(function.body, Body::Import) && function.name.as_deref().is_some_and(|name| matches(pattern, name))
    };
    let found: Vec<FunctionId> = module.functions.keys().filter(is_called).collect();
    if found.is_empty() {
        let help = match module.functions.values().any(|function| function.name.is_some()) {
            true => "names are those of the name section; `*` stands for anything",
            false => "the module has no name section: keep it when the module is made (`-g`)",
        };
        return Err(Error::input(format!("no function is called `{pattern}`")).with_help(help));
    }
    Ok(found)
}
