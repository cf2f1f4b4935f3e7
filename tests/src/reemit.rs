//! Reading a module with walrus and writing it again: a second opinion on what we write, by a library that knows nothing of stack switching.

use anyhow::{Context, Result};
use walrus::ModuleConfig;

/// The module as walrus writes it.
///
/// # Errors
/// If walrus cannot read it.
pub fn reemit_with_walrus(binary: &[u8]) -> Result<Vec<u8>> {
    let mut config = ModuleConfig::new();
    config.generate_producers_section(false);
    let mut module = config.parse(binary).context("walrus cannot read the module")?;
    Ok(module.emit_wasm())
}
