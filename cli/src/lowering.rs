//! Lowering continuations, from bytes to bytes, with optimisation before and after.

pub mod report;

use std::path::PathBuf;

use crate::features;
use crate::optimize::{optimizer_at, optimizer_of};
use crate::validate;
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use wasmfx_ir::encode::{EncodeOptions, Indices, Order, encode_module_with};
use wasmfx_ir::entity::{Entity, SecondaryMap};
use wasmfx_ir::module::FunctionId;
use wasmfx_ir::parse::{ParseOptions, parse_module};
use wasmfx_ir::wasmparser::WasmFeatures;
use wasmfx_passes::lower::{self, Copies, RUNTIME_MODULE, Report, Runtime, lower_module, runtime_module};
use wasmfx_passes::optimizer::{Optimizer, Stripping};
use wasmfx_passes::options::{Level, OptimizeLevel, Options, ShrinkLevel};
use wasmfx_passes::parallel::Parallel;
use wasmfx_passes::progress::{Progress, Silent};

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

impl From<Frames> for lower::Store {
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
    #[arg(long, value_name = "WORLD", value_enum, default_value_t)]
    pub runtime: World,
    #[command(flatten)]
    /// What every program that lowers lets its user say.
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

/// Whether the runtime is part of the module.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum World {
    /// The runtime is part of the module
    #[default]
    Closed,
    /// The runtime is imported
    Shared,
}

impl LoweringArguments {
    /// The library's options.
    pub fn options(&self) -> lower::Options {
        let mut options = lower::Options {
            store: self.frames.into(),
            multi_memory: !self.details.no_multi_memory,
            runtime: match self.runtime {
                World::Closed => Runtime::Closed,
                World::Shared => Runtime::Shared,
            },
            copies: match self.details.copies {
                CopiesArgument::Auto => Copies::Auto,
                CopiesArgument::One => Copies::One,
                CopiesArgument::Two => Copies::Two,
            },
            ..lower::Options::default()
        };
        options.host_imports.extend(self.details.host_import.iter().cloned());
        options.suspend_through.clone_from(&self.details.suspend_through);
        options.never_suspend.clone_from(&self.details.never_suspend);
        options
    }
}

/// Lowers a binary module: nothing is optimised.
///
/// # Errors
/// As [`Lowering::run`].
pub fn lower_binary(binary: &[u8], options: &lower::Options) -> Result<(Vec<u8>, Report)> {
    Lowering { options: options.clone(), ..Lowering::default() }.run(binary)
}

/// How a binary module is lowered and optimised.
#[derive(Clone, Debug)]
pub struct Lowering {
    /// How it is lowered.
    pub options: lower::Options,
    /// At which level it is optimised before, while continuations are still visible, and after, which is when the pieces can be. If size is all
    /// that counts there and the options leave open how many copies functions have, it is lowered in both ways.
    pub level: Option<Level>,
    /// What is removed from the output.
    pub stripping: Stripping,
    /// The features that the input may use.
    pub features: WasmFeatures,
}

impl Default for Lowering {
    fn default() -> Self {
        Self {
            options: lower::Options::default(),
            level: None,
            stripping: Stripping::default(),
            features: features::all(),
        }
    }
}

impl Lowering {
    /// The lowered module, and what was done.
    ///
    /// # Errors
    /// If the module is not valid, or is one that cannot be lowered this way: where, and what to do.
    pub fn run(&self, binary: &[u8]) -> Result<(Vec<u8>, Report)> {
        self.run_with(binary, &Silent)
    }

    /// Like [`Self::run`], telling `progress` how far it is.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_with(&self, binary: &[u8], progress: &dyn Progress) -> Result<(Vec<u8>, Report)> {
        let optimized = self.level.map(|level| self.optimize_before(binary, level, progress)).transpose()?;
        let binary = optimized.as_deref().unwrap_or(binary);
        // The lowering reads bodies before anything that lifts them has validated them.
        validate::check(binary, self.features)?;
        let smallest = self.level.is_some_and(|level| level.shrink == ShrinkLevel::Smallest);
        if self.options.copies != Copies::Auto || !smallest {
            return self.lower(binary, copies_at(self.options.copies, self.level), progress);
        }
        // Only one of the two has somebody to tell.
        let (lowered, other) =
            rayon::join(|| self.lower(binary, Copies::Auto, progress), || self.lower(binary, Copies::One, &Silent));
        let (lowered, other) = (lowered?, other?);
        Ok(if other.0.len() < lowered.0.len() { other } else { lowered })
    }

    fn optimize_before(&self, binary: &[u8], level: Level, progress: &dyn Progress) -> Result<Vec<u8>> {
        // A constant need not be saved where a function suspends; what is read from a global is.
        let mut skipped = vec!["constant-pool"];
        if !(self.options.suspend_through.is_empty() && self.options.never_suspend.is_empty()) {
            // The user's names are those of the input's functions, so each stays what it is until they have been looked up.
            skipped.extend(["inlining", "duplicate-functions", "remove-unused-module-elements"]);
        }
        let skip_passes = skipped.into_iter().map(String::from).collect();
        let options = Options { skip_passes, ..Options::default().at_level(level) };
        let optimizer = Optimizer { features: Some(self.features), ..optimizer_of(options) };
        Ok(optimizer.run_with(binary, progress)?.bytes)
    }

    /// Lowers a valid module, and optimises what comes out.
    fn lower(&self, binary: &[u8], copies: Copies, progress: &dyn Progress) -> Result<(Vec<u8>, Report)> {
        progress.begin("lowering", 1);
        let mut module = parse_module(binary.to_vec(), &ParseOptions { features: self.features })?;
        let size_first = self.level.is_some_and(|level| level.shrink != ShrinkLevel::None);
        let options = lower::Options { copies, size_first, ..self.options.clone() };
        let mut report = lower_module(&mut module, &options)?;
        self.stripping.apply(&mut module);
        let mut lowered = encode_module_with(&module, &EncodeOptions::default(), &Parallel)
            .context("cannot write the lowered module")?;
        progress.advance();
        let mut functions = Indices::assign(&module, &Order::default())?.functions.order().to_vec();
        if let Some(level) = self.level {
            let outcome = optimizer_at(level).run_with(&lowered, progress).context("the lowered module")?;
            lowered = outcome.bytes;
            let before = functions;
            // Functions that the optimiser made are nobody's in particular.
            let made = FunctionId::from_index(module.functions.len());
            functions = outcome.functions.iter().map(|id| before.get(id.index()).copied().unwrap_or(made)).collect();
        }
        let original = body_bytes(binary)?;
        let mut bytes = SecondaryMap::new();
        for (function, size) in functions.into_iter().zip(body_bytes(&lowered)?) {
            bytes[function] += size;
        }
        report.measure(&|function| original.get(function.index()).copied().unwrap_or(0), &bytes);
        Ok((lowered, report))
    }
}

/// The copies that suit a level, where the user did not choose.
fn copies_at(copies: Copies, level: Option<Level>) -> Copies {
    match level {
        Some(Level { optimize: OptimizeLevel::O3 | OptimizeLevel::O4, .. }) if copies == Copies::Auto => Copies::Two,
        _ => copies,
    }
}

/// The bytes of each function's body; an import has none.
fn body_bytes(binary: &[u8]) -> Result<Vec<u64>> {
    let mut bytes = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(binary) {
        match payload? {
            wasmparser::Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    if matches!(import?.ty, wasmparser::TypeRef::Func(_) | wasmparser::TypeRef::FuncExact(_)) {
                        bytes.push(0);
                    }
                }
            }
            wasmparser::Payload::CodeSectionEntry(body) => bytes.push(body.as_bytes().len() as u64),
            _ => {}
        }
    }
    Ok(bytes)
}

/// The runtime that modules lowered for a shared runtime import, in the binary format, optimised at a level, without names if those go.
///
/// # Errors
/// If an invariant of the lowering or of the optimiser is broken.
pub fn runtime_binary(frames: Frames, level: Option<Level>, names_go: bool) -> Result<Vec<u8>> {
    let module = runtime_module(frames.into())?;
    let binary =
        encode_module_with(&module, &EncodeOptions::default(), &Parallel).context("cannot write the runtime")?;
    let Some(level) = level else { return Ok(binary) };
    let stripping = Stripping { names: names_go, ..Stripping::default() };
    Ok(Optimizer { stripping, ..optimizer_at(level) }.run(&binary).context("the runtime")?.bytes)
}

/// A transformation of a script's modules.
pub type Transformation = Box<dyn Fn(&str, &[u8]) -> Result<Vec<u8>> + Sync>;

/// A script whose modules are lowered one by one: the text, with the shared runtime registered before everything else on its first line, and the
/// transformation of its modules.
///
/// # Errors
/// If the runtime cannot be made.
pub fn lower_script(text: &str, frames: Frames) -> Result<(String, Transformation)> {
    lower_script_at(text, frames, &LoweringDetails::default(), None)
}

/// The same, with details, and optimised before and after at a level.
///
/// # Errors
/// If the runtime cannot be made.
pub fn lower_script_at(
    text: &str,
    frames: Frames,
    details: &LoweringDetails,
    level: Option<Level>,
) -> Result<(String, Transformation)> {
    let runtime = runtime_binary(frames, level, false)?;
    let escaped: String = runtime.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let text = format!("(module binary \"{escaped}\") (register \"{RUNTIME_MODULE}\") {text}");
    let options = LoweringArguments { frames, runtime: World::Shared, details: details.clone() }.options();
    let lowering = Lowering { options, level, ..Lowering::default() };
    let transform = move |_: &str, binary: &[u8]| {
        if binary == runtime { Ok(binary.to_vec()) } else { Ok(lowering.run(binary)?.0) }
    };
    Ok((text, Box::new(transform)))
}
