//! The optimiser as a program: its command line, its reports.

pub mod binaryen;
pub mod command;
pub mod metrics;
pub mod sequence;
mod verification;

use anyhow::Result;
use wasmfx_passes::optimizer::Optimizer;
use wasmfx_passes::options::{Level, Options};
use wasmfx_passes::pipeline::Pipeline;

/// The optimiser at a level, with names kept and nothing assumed.
pub fn optimizer_at(level: Level) -> Optimizer {
    optimizer_of(Options::default().at_level(level))
}

/// The optimiser that runs what belongs to the level of these options, with names kept.
pub fn optimizer_of(options: Options) -> Optimizer {
    Optimizer { pipeline: Pipeline::for_level(&options), options, ..Optimizer::default() }
}

/// Optimises a binary module at a level, with names kept and nothing assumed.
///
/// # Errors
/// As [`Optimizer::run`].
pub fn optimize_binary(binary: &[u8], level: Level) -> Result<Vec<u8>> {
    Ok(optimizer_at(level).run(binary)?.bytes)
}
