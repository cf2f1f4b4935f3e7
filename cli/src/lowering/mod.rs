//! Lowering continuations, from bytes to bytes, with optimisation before and after.

mod arguments;
pub mod report;

pub use arguments::{CopiesArgument, Frames, LoweringArguments, LoweringDetails, RuntimeArgument};

use crate::features;
use crate::optimize::{optimizer_at, optimizer_of};
use crate::validate;
use anyhow::{Context, Result};
use wasmfx_ir::encode::{EncodeOptions, Indices, Order, encode_module_with};
use wasmfx_ir::entity::{Entity, SecondaryMap};
use wasmfx_ir::module::FunctionId;
use wasmfx_ir::parse::{ParseOptions, parse_module};
use wasmfx_ir::wasmparser::WasmFeatures;
use wasmfx_passes::lower::{self, Copies, RUNTIME_MODULE, Report, lower_module, runtime_module};
use wasmfx_passes::optimizer::{Optimizer, Stripping};
use wasmfx_passes::options::{Level, OptimizeLevel, Options, ShrinkLevel};
use wasmfx_passes::parallel::Parallel;
use wasmfx_passes::progress::{Progress, Silent};

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
    let options = LoweringArguments { frames, runtime: RuntimeArgument::Shared, details: details.clone() }.options();
    let lowering = Lowering { options, level, ..Lowering::default() };
    let transform = move |_: &str, binary: &[u8]| {
        if binary == runtime { Ok(binary.to_vec()) } else { Ok(lowering.run(binary)?.0) }
    };
    Ok((text, Box::new(transform)))
}
