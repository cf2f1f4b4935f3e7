//! The table of all passes: one row a pass, one file a pass.

use crate::environment::ModuleEnvironment;
use crate::function;
use crate::module;
use crate::options::Options;
use wasmfx_ir::{Func, Module};

/// Whether a pass changed what it was given. A pass that changed nothing must say so, since that is what ends iteration.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub enum Changed {
    /// Nothing changed.
    No,
    /// What nothing used is gone: instructions and parameters without a use, blocks that cannot be reached. All that is left is what it was.
    Pruned,
    /// Something else changed.
    Yes,
}

impl Changed {
    /// From a flag.
    pub fn from_flag(changed: bool) -> Self {
        if changed { Self::Yes } else { Self::No }
    }
    /// Whether anything changed.
    pub fn is_yes(self) -> bool {
        self != Self::No
    }
}

impl std::ops::BitOrAssign for Changed {
    fn bitor_assign(&mut self, other: Self) {
        *self = (*self).max(other);
    }
}

/// What a pass works on.
#[derive(Copy, Clone)]
pub enum PassKind {
    /// One function at a time; all functions in parallel.
    Function(fn(&mut Func, &ModuleEnvironment<'_>) -> Changed),
    /// The whole module, every body that can be lifted being lifted.
    Module(fn(&mut Module, &Options) -> Changed),
}

/// A pass: a row of the table.
#[derive(Copy, Clone)]
pub struct Pass {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in a line.
    pub help: &'static str,
    /// What it works on, and the code.
    pub kind: PassKind,
}

macro_rules! passes {
    ($($name:literal: $kind:ident($run:path), $help:literal;)*) => {
        /// All passes, in alphabetical order.
        pub const PASSES: &[Pass] = &[$(Pass { name: $name, help: $help, kind: PassKind::$kind($run) }),*];
    };
}

passes! {
    "block-merging": Function(function::block_merging::run), "blocks that always follow one another become one";
    "branches": Function(function::branches::run), "branches and switches whose way is known, or that say more than they must";
    "code-folding": Function(function::code_folding::run), "of blocks that do the same and go on to the same places, keep one";
    "constant-pool": Module(module::constant_pool::run), "long constants that are used often become immutable globals";
    "dead-arguments": Module(module::dead_arguments::run), "parameters that are not used or always get one constant, and results that no call uses, go";
    "dead-code": Function(function::dead_code::run), "remove unreachable blocks, unused instructions, and block parameters that are unused or always one value";
    "direct-calls": Module(module::direct_calls::run), "call_indirect of a constant entry and call_ref of a known function become call";
    "duplicate-functions": Module(module::duplicate_functions::run), "of functions with equal bodies, keep one";
    "duplicate-imports": Module(module::duplicate_imports::run), "of several imports of one function, keep one";
    "globals": Module(module::globals::run), "globals that nothing writes become constants, writes to globals that nothing reads go";
    "inlining": Module(module::inlining::run), "replace calls of small functions, and of functions called once, by the callee's body";
    "jump-threading": Function(function::jump_threading::run), "lead edges around blocks that do nothing, and around branches that they decide";
    "memory-packing": Module(module::memory_packing::run), "do not write zeros to memory that is zero";
    "numbering": Function(function::numbering::run), "global value numbering: what was computed, read or written before is not computed or read again";
    "remove-unused-module-elements": Module(module::unused_elements::run), "remove functions, tables, memories, globals, tags and segments that nothing uses";
    "select-formation": Function(function::select_formation::run), "branches that only choose a value become select";
    "similar-blocks": Function(function::similar_blocks::run), "of blocks that do the same with other values, keep one that takes them as parameters";
    "similar-functions": Module(module::similar_functions::run), "functions that differ only in constants become one, which gets them as arguments";
    "simplify": Function(function::simplify::run), "constant folding and algebraic simplification";
    "types": Module(module::types::run), "equal types become one, unused types go, often used ones come first";
}

/// The pass of this name.
pub fn find(name: &str) -> Option<&'static Pass> {
    PASSES.iter().find(|pass| pass.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_no_name_twice() {
        assert!(PASSES.is_sorted_by(|a, b| a.name < b.name));
    }
}
