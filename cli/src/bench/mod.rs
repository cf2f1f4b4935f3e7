//! `wasmfx-bench`: programs in all variants on all engines, compared.

mod axes;
pub mod child;
pub mod command;
pub mod engines;
mod format;
pub mod goals;
pub mod measure;
mod page;
mod plots;
pub mod programs;
pub mod report;
mod table;
pub mod tools;
pub mod variants;

use anyhow::Result;

use report::Report;

/// The report as JSON.
///
/// # Errors
/// If a number cannot be written as JSON.
pub fn to_json(report: &Report) -> Result<String> {
    Ok(serde_json::to_string_pretty(report)? + "\n")
}

/// The report as text for a terminal.
pub fn to_text(report: &Report) -> String {
    table::render(report)
}

/// The report as one page that needs nothing else.
///
/// # Errors
/// If a figure cannot be drawn.
pub fn to_html(report: &Report) -> Result<String> {
    page::render(report)
}

/// The report's main figure, as a picture that stands by itself.
///
/// # Errors
/// If there is nothing to draw.
pub fn to_svg(report: &Report) -> Result<String> {
    page::render_figure(report)
}
