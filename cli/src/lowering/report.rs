//! What the lowering did to a module and what it costs, as text and as JSON.

use std::path::Path;

use anyhow::Result;
use serde_json::json;
use wasmfx_passes::lower::{Report, Store};

use crate::input_output::Output;

/// Writes a report: JSON where the file's name says so, and else text.
///
/// # Errors
/// If the file cannot be written.
pub fn write_report(report: &Report, path: &Path) -> Result<()> {
    let text = if is_json(path) { json_report(report).to_string() + "\n" } else { text_report(report) };
    Output::from_argument(path).write(text.as_bytes())
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

fn store_name(store: Store) -> &'static str {
    match store {
        Store::Auto => "auto",
        Store::Memory => "memory",
        Store::Gc => "gc",
    }
}

/// For people.
pub fn text_report(report: &Report) -> String {
    let Some(choice) = &report.store else { return "nothing to lower\n".to_owned() };
    let (place, unit) = match choice.store {
        Store::Gc => ("GC structs", "fields"),
        Store::Auto | Store::Memory => ("linear memory", "bytes"),
    };
    let mut text = format!("frames are kept in {place}, {}\n", choice.reason);
    text += &format!("{} of {} functions may suspend\n", report.functions.len(), report.function_count);
    let (mut original, mut fast, mut resumable) = (0, 0, 0);
    for function in &report.functions {
        text += &format!("{}\n", function.name);
        let tags: Vec<String> = function
            .suspends
            .iter()
            .map(|tag| format!("suspends to {tag}"))
            .chain(function.switches.iter().map(|tag| format!("switches under {tag}")))
            .chain(function.starts.then(|| "lets an outer resume start its continuations".to_owned()))
            .collect();
        if tags.is_empty() {
            text += "    suspends to whatever an indirect call or an import suspends to\n";
        } else {
            text += &format!("    {}\n", tags.join(", "));
        }
        if function.suspends_in.is_some() {
            text += &format!("    because {}\n", report.reason(function).join(" calls "));
        }
        let bytes = function.bytes;
        text += &format!("    {} bytes before, {} after", bytes.original, bytes.fast);
        match function.copy {
            Some(_) => {
                text += &format!(
                    ", {} in its resumable copy; a frame has {} {unit}\n",
                    bytes.resumable, function.frame_size
                );
            }
            None => text += "; no copy: nothing is left to do after a suspension\n",
        }
        original += bytes.original;
        fast += bytes.fast;
        resumable += bytes.resumable;
    }
    text += &format!(
        "together {original} bytes before, {fast} after, {resumable} in resumable copies, {} in the runtime and its helpers\n",
        report.added_bytes
    );
    text += &format!("all other functions together: {:+} bytes\n", report.other_growth);
    text
}

/// For machines.
pub fn json_report(report: &Report) -> serde_json::Value {
    let functions: Vec<_> = report
        .functions
        .iter()
        .map(|function| {
            json!({
                "function": function.function.as_u32(),
                "name": function.name,
                "suspends": function.suspends,
                "switches": function.switches,
                "starts": function.starts,
                "reason": report.reason(function),
                "is_copied": function.copy.is_some(),
                "frame_size": function.frame_size,
                "original_bytes": function.bytes.original,
                "fast_bytes": function.bytes.fast,
                "resumable_bytes": function.bytes.resumable,
            })
        })
        .collect();
    json!({
        "store": report.store.as_ref().map(|choice| store_name(choice.store)),
        "store_reason": report.store.as_ref().map(|choice| &choice.reason),
        "function_count": report.function_count,
        "added_bytes": report.added_bytes,
        "other_growth": report.other_growth,
        "functions": functions,
    })
}
