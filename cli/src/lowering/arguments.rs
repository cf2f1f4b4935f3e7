//! The arguments that say how to lower.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use wasmfx_passes::lower::{Copies, Options, Runtime, Store};

/// Where frames of suspended functions are kept.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Frames {
    /// What suits the module best
    #[default]
    Auto,
    /// Linear memory: faster and smaller, but what is suspended for ever keeps its place
    Memory,
    /// GC structs: continuations that nobody resumes any more are collected
    Gc,
}

impl From<Frames> for Store {
    fn from(frames: Frames) -> Self {
        match frames {
            Frames::Auto => Self::Auto,
            Frames::Memory => Self::Memory,
            Frames::Gc => Self::Gc,
        }
    }
}

/// The arguments that say how to lower.
#[derive(Args, Clone, Debug, Default)]
pub struct LoweringArguments {
    /// Where to keep frames of suspended functions
    #[arg(long, value_name = "STORE", value_enum, default_value_t)]
    pub frames: Frames,
    /// Whether the runtime is part of the module, or a module of its own that several modules share
    #[arg(long, value_name = "RUNTIME", value_enum, default_value_t)]
    pub runtime: RuntimeArgument,
    /// What every program that lowers lets its user say.
    #[command(flatten)]
    pub details: LoweringDetails,
}

/// What every program that lowers lets its user say.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Lowering")]
pub struct LoweringDetails {
    /// Keep frames in the module's own memory, behind its initial contents, instead of a memory of their own. Safe only for programs that tolerate
    /// a memory that somebody else grows: those of wasi-libc and Rust do, those of Emscripten do not
    #[arg(long)]
    pub no_multi_memory: bool,
    /// How many copies a function that may suspend has. Two are fast; one is small, and slower in loops and when it is resumed. -O3 takes two,
    /// -Oz what is smaller; else it is one where a function suspends only as far as the types of indirect calls say, or would save very much
    #[arg(long, value_name = "HOW_MANY", value_enum, default_value_t)]
    pub copies: CopiesArgument,
    /// Imports from this module (or MODULE.NAME) are the host's and never suspend; '*' stands for anything. WASI is known. For --runtime shared
    #[arg(long, value_name = "PATTERN")]
    pub host_import: Vec<String>,
    /// Only the indirect calls in functions of this name suspend; any other traps if what it calls suspends after all. '*' stands for anything.
    /// Without it every indirect call may suspend that can reach a function that does, which in large programs is most of them
    #[arg(long, value_name = "FUNCTION")]
    pub suspend_through: Vec<String>,
    /// Functions of this name never suspend; a call in them traps if what it calls suspends after all. '*' stands for anything
    #[arg(long, value_name = "FUNCTION")]
    pub never_suspend: Vec<String>,
    /// Say which functions may suspend, on which tags and why, and what their copies cost: text, or JSON where FILE ends in .json; '-' is standard output
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

impl LoweringDetails {
    /// The options that were given, by name.
    pub fn given(&self) -> Vec<&'static str> {
        let all = [
            ("--no-multi-memory", self.no_multi_memory),
            ("--copies", self.copies != CopiesArgument::Auto),
            ("--host-import", !self.host_import.is_empty()),
            ("--suspend-through", !self.suspend_through.is_empty()),
            ("--never-suspend", !self.never_suspend.is_empty()),
            ("--report", self.report.is_some()),
        ];
        all.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name).collect()
    }
}

/// How many copies a function that may suspend has.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CopiesArgument {
    /// Two where a function suspends for certain, one where only the types of indirect calls allow it or very much would be saved; two at -O3 and -O4
    #[default]
    Auto,
    /// One, for size
    One,
    /// Two, for speed, unless they would be enormous
    Two,
}

impl From<CopiesArgument> for Copies {
    fn from(copies: CopiesArgument) -> Self {
        match copies {
            CopiesArgument::Auto => Self::Auto,
            CopiesArgument::One => Self::One,
            CopiesArgument::Two => Self::Two,
        }
    }
}

/// Whether the runtime is part of the module.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum RuntimeArgument {
    /// The runtime is part of the module
    #[default]
    Closed,
    /// The runtime is imported
    Shared,
}

impl From<RuntimeArgument> for Runtime {
    fn from(runtime: RuntimeArgument) -> Self {
        match runtime {
            RuntimeArgument::Closed => Self::Closed,
            RuntimeArgument::Shared => Self::Shared,
        }
    }
}

impl LoweringArguments {
    /// The library's options.
    pub fn options(&self) -> Options {
        let mut options = Options {
            store: self.frames.into(),
            multi_memory: !self.details.no_multi_memory,
            runtime: self.runtime.into(),
            copies: self.details.copies.into(),
            ..Options::default()
        };
        options.host_imports.extend(self.details.host_import.iter().cloned());
        options.suspend_through.clone_from(&self.details.suspend_through);
        options.never_suspend.clone_from(&self.details.never_suspend);
        options
    }
}
