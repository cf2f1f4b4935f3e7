//! The ways to run a program: what becomes of its module first, and what the engine must offer.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use wasmfx_passes::lower::{self, Store};
use wasmfx_passes::optimizer::Optimizer;
use wasmfx_passes::options::Options;
use wasmfx_passes::pipeline::Pipeline;

use super::programs::{Source, Workload};
use crate::input_output::Input;
use crate::lowering::lower_binary;

/// One way to run programs.
pub struct Variant {
    /// Its name on the command line and in reports.
    pub name: &'static str,
    /// Whether it begins with the module that was built for Asyncify.
    pub asyncify: bool,
    /// Whether the engine runs continuations itself.
    pub stack_switching: bool,
    /// What becomes of the module, in the binary format.
    pub transform: fn(&[u8]) -> Result<Vec<u8>>,
}

/// The variant that others are compared with.
pub const NATIVE: &str = "native";
/// The other one.
pub const ASYNCIFY: &str = "asyncify";

/// All of them, in the order of reports.
pub static VARIANTS: &[Variant] = &[
    Variant { name: NATIVE, asyncify: false, stack_switching: true, transform: optimized },
    Variant { name: "lowered-memory", asyncify: false, stack_switching: false, transform: lowered_to_memory },
    Variant { name: "lowered-gc", asyncify: false, stack_switching: false, transform: lowered_to_gc },
    Variant { name: ASYNCIFY, asyncify: true, stack_switching: false, transform: unchanged },
];

/// At -O2.
fn optimized(binary: &[u8]) -> Result<Vec<u8>> {
    let options = Options::default();
    let optimizer = Optimizer { pipeline: Pipeline::for_level(&options), options, ..Optimizer::default() };
    Ok(optimizer.run(binary)?.bytes)
}

fn lowered_to_memory(binary: &[u8]) -> Result<Vec<u8>> {
    lowered(binary, Store::Memory)
}

fn lowered_to_gc(binary: &[u8]) -> Result<Vec<u8>> {
    lowered(binary, Store::Gc)
}

/// Optimised while continuations are visible, and again when they are gone.
fn lowered(binary: &[u8], store: Store) -> Result<Vec<u8>> {
    let options = lower::Options { store, ..lower::Options::default() };
    let (lowered, _) = lower_binary(&optimized(binary)?, &options)?;
    optimized(&lowered)
}

/// Binaryen has optimised it.
fn unchanged(binary: &[u8]) -> Result<Vec<u8>> {
    Ok(binary.to_vec())
}

/// A program's module in one variant, ready to run.
pub struct Prepared {
    /// Where it is.
    pub path: PathBuf,
    /// Its size without custom sections: names and the like differ between producers, and engines do not run them.
    pub bytes: u64,
}

/// Why there is nothing to run.
pub enum NotPrepared {
    /// The variant does not exist for this program.
    NotApplicable,
    /// A file is not there; how to get it.
    Missing(String),
    /// Something went wrong.
    Failed(anyhow::Error),
}

impl Variant {
    /// Makes the module of `workload`, and writes it into `directory`.
    pub fn prepare(&self, workload: &Workload, fixtures: &Path, directory: &Path) -> Result<Prepared, NotPrepared> {
        let source = workload.module(fixtures, self.asyncify).ok_or(NotPrepared::NotApplicable)?;
        if !source.exists() {
            let hint = match workload.source {
                Source::Fiber => format!("; make it with fixtures/fiber/build.sh {}", workload.program),
                Source::Text => String::new(),
            };
            return Err(NotPrepared::Missing(format!("{} is not there{hint}", source.display())));
        }
        let prepare = || {
            let input = Input::read(&source)?;
            let binary = (self.transform)(&input.to_binary()?)
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
