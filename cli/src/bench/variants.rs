//! The ways to run a program: what becomes of its module first, and what the engine must offer.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use wasmfx_passes::lower;
use wasmfx_passes::options::{Level, OptimizeLevel, ShrinkLevel};

use super::programs::{Build, Source, Workload};
use crate::input_output::Input;
use crate::lowering::{Frames, Lowering};
use crate::optimize::optimize_binary;

/// One way to run programs.
pub struct Variant {
    /// Its name on the command line and in reports.
    pub name: &'static str,
    /// Which of the program's modules it begins with.
    pub build: Build,
    /// Where frames are kept, if it is lowered.
    pub frames: Option<Frames>,
}

/// The variant that others are compared with.
pub const NATIVE: &str = "native";
/// The other one.
pub const ASYNCIFY: &str = "asyncify";
/// What a program is without fibers.
pub const PLAIN: &str = "plain";

/// All of them, in the order of reports.
pub static VARIANTS: &[Variant] = &[
    Variant { name: NATIVE, build: Build::WasmFx, frames: None },
    Variant { name: "lowered-memory", build: Build::WasmFx, frames: Some(Frames::Memory) },
    Variant { name: "lowered-gc", build: Build::WasmFx, frames: Some(Frames::Gc) },
    Variant { name: ASYNCIFY, build: Build::Asyncify, frames: None },
    Variant { name: PLAIN, build: Build::Plain, frames: None },
];

/// What programs are optimised at: `-O2`.
const LEVEL: Level = Level { optimize: OptimizeLevel::O2, shrink: ShrinkLevel::None };

/// A program's module in one variant, ready to run.
pub struct Prepared {
    /// Where it is.
    pub path: PathBuf,
    /// Its size without custom sections: names and the like differ between producers, and engines do not run them.
    pub bytes: u64,
}

/// Why there is nothing to run.
pub enum NotPrepared {
    /// A file is not there; how to get it.
    Missing(String),
    /// Something went wrong.
    Failed(anyhow::Error),
}

/// How to get the modules of a fiber program that are not there.
pub fn how_to_build(program: &str) -> String {
    format!(
        "make it with `fixtures/fiber/build.sh {program}` (WASM_CC, WASM_OPT and WASM_MERGE say with what; see fixtures/fiber/README.md)"
    )
}

impl Variant {
    /// Whether the engine runs continuations itself.
    pub fn stack_switching(&self) -> bool {
        self.build == Build::WasmFx && self.frames.is_none()
    }

    /// What becomes of a program's module.
    ///
    /// # Errors
    /// If the module is invalid, or cannot be optimised or lowered.
    pub fn transform(&self, workload: &Workload, binary: &[u8]) -> Result<Vec<u8>> {
        match (self.build, self.frames) {
            // Binaryen has optimised it.
            (Build::Asyncify, _) => Ok(binary.to_vec()),
            (_, None) => optimize_binary(binary, LEVEL),
            // Optimised while continuations are visible, and again when they are gone.
            (_, Some(frames)) => {
                let options = lower::Options {
                    store: frames.into(),
                    suspend_through: workload.suspend_through.iter().map(ToString::to_string).collect(),
                    ..lower::Options::default()
                };
                Ok(Lowering { options, level: Some(LEVEL), ..Lowering::default() }.run(binary)?.0)
            }
        }
    }

    /// Makes the module of `workload`, which must have one for this variant, and writes it into `directory`.
    ///
    /// # Errors
    /// Which file is missing, or what went wrong.
    pub fn prepare(&self, workload: &Workload, fixtures: &Path, directory: &Path) -> Result<Prepared, NotPrepared> {
        let source = workload.module(fixtures, self.build).expect("only variants that a program has are prepared");
        if !source.exists() {
            let hint = match workload.source {
                Source::Fiber => format!("; {}", how_to_build(workload.built_as)),
                Source::Text => String::new(),
            };
            return Err(NotPrepared::Missing(format!("{} is not there{hint}", source.display())));
        }
        let prepare = || {
            let input = Input::read(&source)?;
            let binary = self
                .transform(workload, &input.to_binary()?)
                .with_context(|| format!("making '{}' of {}", self.name, source.display()))?;
            let path = directory.join(format!("{}.{}.wasm", workload.program, self.name));
            std::fs::write(&path, &binary).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(Prepared { path, bytes: size_without_custom_sections(&binary)? })
        };
        prepare().map_err(NotPrepared::Failed)
    }
}

fn size_without_custom_sections(binary: &[u8]) -> Result<u64> {
    let mut size = binary.len() as u64;
    for payload in wasmparser::Parser::new(0).parse_all(binary) {
        if let wasmparser::Payload::CustomSection(section) = payload? {
            // The section's id and the length of what follows come before it.
            let content = section.range().end - section.range().start;
            size -= content + 1 + leb128_length(content);
        }
    }
    Ok(size)
}

fn leb128_length(mut value: u64) -> u64 {
    let mut length = 1;
    while value >= 0x80 {
        value >>= 7;
        length += 1;
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_count_as_size() {
        let named = wat::parse_str("(module $m (func $a_function_with_a_long_name))").unwrap();
        let nameless = wat::parse_str("(module (func))").unwrap();
        assert!(named.len() > nameless.len());
        assert_eq!(size_without_custom_sections(&named).unwrap(), nameless.len() as u64);
    }
}
