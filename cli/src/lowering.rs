//! Lowering continuations, from bytes to bytes, with optimisation before and after.

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use wasmfx_ir::encode::{EncodeOptions, encode_module_with};
use wasmfx_ir::parse::{ParseOptions, parse_module};
use wasmfx_passes::lower::{self, RUNTIME_MODULE, Report, Runtime, lower_module, runtime_module};
use wasmfx_passes::parallel::Parallel;

/// Where frames of suspended functions are kept.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Frames {
    /// What suits the module best
    #[default]
    Auto,
    /// Linear memory
    Memory,
    /// GC structs
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
    /// Keep frames in the module's own memory, behind its initial contents, instead of a memory of their own. Safe only for programs that tolerate
    /// a memory that somebody else grows: those of wasi-libc and Rust do, those of Emscripten do not
    #[arg(long)]
    pub no_multi_memory: bool,
    /// Whether the runtime is part of the module, or a module of its own that several modules share
    #[arg(long, value_name = "WORLD", value_enum, default_value_t)]
    pub runtime: World,
    /// Imports from this module (or MODULE.NAME) are the host's and never suspend; '*' stands for anything. WASI is known. For --runtime shared
    #[arg(long, value_name = "PATTERN")]
    pub host_import: Vec<String>,
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
            multi_memory: !self.no_multi_memory,
            runtime: match self.runtime {
                World::Closed => Runtime::Closed,
                World::Shared => Runtime::Shared,
            },
            ..lower::Options::default()
        };
        options.host_imports.extend(self.host_import.iter().cloned());
        options
    }
}

/// Lowers a binary module.
pub fn lower_binary(binary: &[u8], options: &lower::Options) -> Result<(Vec<u8>, Report)> {
    let mut module = parse_module(binary.to_vec(), &ParseOptions::default())?;
    let report = lower_module(&mut module, options)?;
    let bytes =
        encode_module_with(&module, &EncodeOptions::default(), &Parallel).context("cannot write the lowered module")?;
    Ok((bytes, report))
}

/// The runtime that modules lowered for a shared runtime import, in the binary format.
pub fn runtime_binary(frames: Frames) -> Result<Vec<u8>> {
    let module = runtime_module(frames.into())?;
    encode_module_with(&module, &EncodeOptions::default(), &Parallel).context("cannot write the runtime")
}

/// A transformation of a script's modules.
pub type Transformation = Box<dyn Fn(&str, &[u8]) -> Result<Vec<u8>> + Sync>;

/// A script whose modules are lowered one by one: the text, with the shared runtime registered before everything else on its first line, and the
/// transformation of its modules.
pub fn lower_script(text: &str, frames: Frames) -> Result<(String, Transformation)> {
    let runtime = runtime_binary(frames)?;
    let escaped: String = runtime.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let text = format!("(module binary \"{escaped}\") (register \"{RUNTIME_MODULE}\") {text}");
    let options = LoweringArguments { frames, runtime: World::Shared, ..LoweringArguments::default() }.options();
    let transform = move |_: &str, binary: &[u8]| {
        if binary == runtime { Ok(binary.to_vec()) } else { Ok(lower_binary(binary, &options)?.0) }
    };
    Ok((text, Box::new(transform)))
}
