//! Which store [`Store::Auto`] is.
//!
//! Linear memory, unless it is not to be had: it is the faster store on wasmtime for every program measured and not behind on V8, keeps suspended
//! continuations in a third of the space, and asks for no garbage collector. What GC structs have over it, that abandoned continuations are
//! collected, no look at a module tells to be needed: whoever abandons many says `--frames gc`.

use super::{Options, Runtime, Store};
use wasmfx_ir::module::{Memory, Module, Origin};

/// A store, and why it was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The store; never [`Store::Auto`].
    pub store: Store,
    /// Why, as the end of a sentence that begins with "frames are kept in …".
    pub reason: String,
}

/// Chooses the store for a module.
pub(super) fn choose(module: &Module, options: &Options) -> Choice {
    let choice = |store, reason: &str| Choice { store, reason: reason.to_owned() };
    match options.store {
        Store::Memory | Store::Gc => return choice(options.store, "as was asked for"),
        Store::Auto => {}
    }
    // Modules that share a runtime must agree, whatever each looks like.
    if options.runtime == Runtime::Shared {
        return choice(Store::Memory, "the default of modules that share a runtime");
    }
    match needs_memory_zero(module, options).and_then(refusal) {
        Some(why) => {
            choice(Store::Gc, &format!("since they may not have a memory of their own, and the module's {why}"))
        }
        None => choice(Store::Memory, "the store that is faster and asks for less"),
    }
}

/// The memory that frames would have to share: the module's first, if it has one and they may not have one of their own.
pub(super) fn needs_memory_zero<'m>(module: &'m Module, options: &Options) -> Option<&'m Memory> {
    if options.multi_memory || options.runtime == Runtime::Shared {
        return None;
    }
    module.memories.values().find(|memory| memory.origin != Origin::Removed)
}

/// Why frames cannot be kept in a memory of the module's, as the end of a sentence.
pub(super) fn refusal(memory: &Memory) -> Option<&'static str> {
    let ty = &memory.ty;
    if memory.origin == Origin::Import {
        // Whoever gives it may give a larger one, whose end is unknown here.
        Some("is imported")
    } else if ty.shared {
        Some("is shared between threads")
    } else if ty.memory64 {
        Some("has 64-bit addresses")
    } else if ty.page_size_log2.is_some_and(|log2| log2 != 16) {
        Some("has pages of another size than 64 KiB")
    } else if ty.initial >= 65535 {
        Some("has no room left")
    } else {
        None
    }
}
