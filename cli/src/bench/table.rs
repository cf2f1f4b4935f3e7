//! The report as text.

use comfy_table::{CellAlignment, Table, presets};

use super::format;
use super::goals;
use super::report::{Baseline, Record, Report, Status};
use crate::engine::values::counted;

/// Longest reason of a failure that is printed in a table.
const REASON_LENGTH: usize = 100;

/// One table for each engine, then the means.
pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    for engine in &report.engines {
        let records: Vec<&Record> = report.runs.iter().filter(|record| record.engine == engine.name).collect();
        if records.is_empty() {
            continue;
        }
        text += &format!("{}, {}, on {}\n", engine.version, report.method(), report.machine);
        text += &engine_table(report, &records);
        text += "\n";
        for variant in report.variants() {
            for baseline in Baseline::of(variant) {
                if let Some((mean, count)) = report.mean_time_ratio(variant, engine.name, *baseline) {
                    text += &format!(
                        "{variant} / {}: {} in the geometric mean of {}\n",
                        baseline.variant(),
                        format::ratio(mean),
                        counted(count, "program")
                    );
                }
            }
        }
        text += "\n";
    }
    if !report.goals.is_empty() {
        text += &goals_table(report);
    }
    text
}

/// Goals, limits, and what the variants reached.
fn goals_table(report: &Report) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let variants = report.goals[0].reached.iter().map(|reached| reached.variant);
    table.set_header(["goal", "engine", "at most"].into_iter().chain(variants));
    for row in &report.goals {
        let reached = row.reached.iter().map(|reached| {
            let mark = match reached.met {
                Some(true) => "✓",
                Some(false) => "✗",
                None => " ",
            };
            format!("{mark} {}", reached.text())
        });
        table.add_row(
            [row.goal.to_string(), row.engine.to_string(), format!("{}", row.limit)].into_iter().chain(reached),
        );
    }
    let mut text = format!("Goals of the lowering: {}\n{table}\n", goals::summary(&report.goals));
    for tool in &report.tools {
        text += &format!(" {} on {}: {}\n", tool.tool, tool.program, format::time(tool.median_s));
    }
    text
}

fn engine_table(report: &Report, records: &[&Record]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["program", "variant", "time", "spread", "/ native", "/ asyncify", "memory", "size", "compile"]);
    let mut previous = "";
    for record in records {
        let program = if record.program == previous { "" } else { record.program.as_str() };
        previous = &record.program;
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_string());
        let time = match record.status {
            Status::Ok if !record.output_ok => "WRONG".to_string(),
            Status::Ok => or_dash(record.median_s.map(format::time)),
            Status::Failed => "failed".to_string(),
            Status::Missing => "missing".to_string(),
        };
        table.add_row([
            program.to_string(),
            record.variant.to_string(),
            time,
            or_dash(record.spread().map(|spread| format!("{:.0} %", spread * 100.0))),
            or_dash(report.time_ratio(record, Baseline::Native).map(format::ratio)),
            or_dash(report.time_ratio(record, Baseline::Asyncify).map(format::ratio)),
            or_dash(record.peak_rss_bytes.map(format::memory)),
            or_dash(record.module_bytes.map(format::size)),
            or_dash(record.compile_s.map(format::time)),
        ]);
    }
    for column in 2..9 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = format!("{table}\n");
    for record in records {
        if let Some(reason) = &record.reason {
            let reason: String = reason.chars().take(REASON_LENGTH).collect();
            text += &format!(" {} {}: {reason}\n", record.program, record.variant);
        }
    }
    text
}
