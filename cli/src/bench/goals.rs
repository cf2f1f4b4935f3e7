//! What the lowering is to reach, and what a measurement says about it. A goal is met by the worst of its programs.

use serde::Serialize;

use super::format;
use super::report::{Baseline, Record, Report, Status};
use super::variants::{ASYNCIFY, NATIVE, PLAIN};

/// Fiber programs that do little else than switch.
const SWITCHING: &[&str] =
    &["itersum", "treesum", "sieve", "state", "scheduler", "itersum_switch", "treesum_switch", "scheduler_switch"];
/// Fiber programs that mostly compute.
const COMPUTING: &[&str] = &["pi", "pi_switch", "rows"];
/// Fiber programs with more fibers than an engine has stacks for.
const MANY_FIBERS: &[&str] = &["c10m", "skynet"];
/// Fiber programs whose size is compared with Asyncify's.
const SMALL: &[&str] = &[
    "hello",
    "itersum",
    "treesum",
    "sieve",
    "state",
    "c10m",
    "skynet",
    "pi",
    "scheduler",
    "itersum_switch",
    "treesum_switch",
    "pi_switch",
    "scheduler_switch",
];

const WASMTIME: &str = "wasmtime";
const NODE: &str = "node";
const BOTH: &[&str] = &[WASMTIME, NODE];

/// What is compared with the limit.
enum Quantity {
    /// Time over a baseline's.
    Time(&'static [&'static str], Baseline),
    /// Time over a baseline's, of programs that must run to their end even where the baseline does not.
    Completes(&'static [&'static str], Option<Baseline>),
    /// Time per suspension over that of the program's first parameter.
    Flatness(&'static str),
    /// Bytes for each of a program's suspended continuations: from its two parameters.
    BytesEach(&'static str),
    /// Peak memory in MB, at the program's greatest parameter.
    Megabytes(&'static str),
    /// Size over a variant's.
    Size(&'static [&'static str], &'static str),
    /// The lowering's own time over that of Asyncify's pass.
    ToolTime,
}

struct Goal {
    name: &'static str,
    engines: &'static [&'static str],
    quantity: Quantity,
    /// At most this.
    limit: f64,
}

const fn goal(name: &'static str, engines: &'static [&'static str], quantity: Quantity, limit: f64) -> Goal {
    Goal { name, engines, quantity, limit }
}

static GOALS: &[Goal] = &[
    goal("programs that switch: time / asyncify", BOTH, Quantity::Time(SWITCHING, Baseline::Asyncify), 0.5),
    goal("treesum: time / asyncify", BOTH, Quantity::Time(&["treesum"], Baseline::Asyncify), 0.15),
    goal("programs that switch: time / native", &[WASMTIME], Quantity::Time(SWITCHING, Baseline::Native), 1.0),
    goal("programs that switch: time / native", &[NODE], Quantity::Time(SWITCHING, Baseline::Native), 0.3),
    goal("programs that compute: time / native", BOTH, Quantity::Time(COMPUTING, Baseline::Native), 1.05),
    goal("generator: time / native", &[WASMTIME], Quantity::Time(&["generator"], Baseline::Native), 0.25),
    goal("generator: time / native", &[NODE], Quantity::Time(&["generator"], Baseline::Native), 0.06),
    goal("tree_walk: time / native", &[WASMTIME], Quantity::Time(&["tree_walk"], Baseline::Native), 0.75),
    goal("forwarding through 16 prompts: time / native", BOTH, Quantity::Time(&["forward/16"], Baseline::Native), 0.6),
    goal("100,000 nested resumes", BOTH, Quantity::Completes(&["nested_resume/100000"], None), 1.0),
    goal("suspending at depth 1 … 10,000: time / at depth 1", BOTH, Quantity::Flatness("deep_suspend"), 1.5),
    goal("c10m, skynet: time / asyncify", BOTH, Quantity::Completes(MANY_FIBERS, Some(Baseline::Asyncify)), 1.0),
    goal("bytes per suspended continuation", BOTH, Quantity::BytesEach("alive"), 128.0),
    goal("1 M continuations alive: MB", BOTH, Quantity::Megabytes("alive"), 256.0),
    goal("size / asyncify", &[WASMTIME], Quantity::Size(SMALL, ASYNCIFY), 0.9),
    goal("rows: size / without fibers", &[WASMTIME], Quantity::Size(&["rows"], PLAIN), 1.35),
    goal("rows, no promise: size / without fibers", &[WASMTIME], Quantity::Size(&["rows_unpromised"], PLAIN), 1.35),
    goal("time of the tool / wasm-opt --asyncify", &[WASMTIME], Quantity::ToolTime, 0.1),
];

/// A goal and what every lowered variant reached.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What is to be reached.
    pub goal: &'static str,
    /// On which engine; sizes and tools are the same for all.
    pub engine: &'static str,
    /// At most this.
    pub limit: f64,
    /// What was reached.
    pub reached: Vec<Reached>,
}

/// What a variant reached.
#[derive(Clone, Debug, Serialize)]
pub struct Reached {
    /// The variant.
    pub variant: &'static str,
    /// The worst value.
    pub value: Option<f64>,
    /// Which program it belongs to, where there are several, or what is in the way of a value.
    pub note: String,
    /// Whether the goal is met; nothing where it was not measured.
    pub met: Option<bool>,
}

impl Reached {
    /// For people.
    pub(super) fn text(&self) -> String {
        match (self.value.map(format::ratio), self.note.as_str()) {
            (None, "") => "–".to_string(),
            (None, note) => note.to_string(),
            (Some(value), "") => value,
            (Some(value), note) => format!("{value} {note}"),
        }
    }
}

/// How many goals each variant meets.
pub(super) fn summary(rows: &[Row]) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let of_variant = |index: usize| {
        let met = rows.iter().filter(|row| row.reached[index].met == Some(true)).count();
        let known = rows.iter().filter(|row| row.reached[index].met.is_some()).count();
        format!("{} meets {met} of {known}", first.reached[index].variant)
    };
    (0..first.reached.len()).map(of_variant).collect::<Vec<_>>().join(", ")
}

/// A value, and which program it belongs to; or what is in the way, and whether that misses the goal.
type Outcome = Result<(f64, String), (String, Option<bool>)>;

/// What `report` says about all goals.
pub(super) fn evaluate(report: &Report) -> Vec<Row> {
    let variants: Vec<&'static str> =
        report.variants().into_iter().filter(|variant| ![NATIVE, ASYNCIFY, PLAIN].contains(variant)).collect();
    let mut rows = Vec::new();
    for goal in GOALS {
        for engine in goal.engines.iter().filter(|engine| report.engines.iter().any(|known| known.name == **engine)) {
            let reached = variants.iter().map(|variant| {
                let (value, note, met) = match measured(report, &goal.quantity, variant, engine) {
                    Ok((value, note)) => (Some(value), note, Some(value <= goal.limit)),
                    Err((note, met)) => (None, note, met),
                };
                Reached { variant, value, note, met }
            });
            rows.push(Row { goal: goal.name, engine, limit: goal.limit, reached: reached.collect() });
        }
    }
    rows
}

fn measured(report: &Report, quantity: &Quantity, variant: &str, engine: &str) -> Outcome {
    match quantity {
        Quantity::Time(programs, baseline) => {
            worst(report, programs, variant, engine, |record| report.time_ratio(record, *baseline))
        }
        Quantity::Completes(programs, Some(baseline)) => {
            worst(report, programs, variant, engine, |record| report.time_ratio(record, *baseline))
        }
        Quantity::Completes(programs, None) => {
            worst(report, programs, variant, engine, |_| Some(1.0))?;
            Err(("completes".to_string(), Some(true)))
        }
        // A size is one, whatever came of the run.
        Quantity::Size(programs, base) => {
            let records = programs.iter().filter_map(|program| report.record(program, variant, engine)).collect();
            worst_of(records, |record| {
                let base = report.record(&record.program, base, engine)?.module_bytes?;
                Some(record.module_bytes? as f64 / base as f64)
            })
        }
        Quantity::Flatness(program) => {
            let records = succeeded(report, program, variant, engine)?;
            let first = records[0].nanoseconds_per_suspension();
            worst_of(records, |record| Some(record.nanoseconds_per_suspension()? / first?))
        }
        Quantity::BytesEach(program) => {
            let records = succeeded(report, program, variant, engine)?;
            let [.., fewer, more] = records[..] else { return Err((String::new(), None)) };
            let bytes = (|| Some(more.peak_rss_bytes? as f64 - fewer.peak_rss_bytes? as f64))();
            let count = (|| Some(f64::from(more.parameter()?) - f64::from(fewer.parameter()?)))();
            bytes.zip(count).map(|(bytes, count)| (bytes / count, String::new())).ok_or((String::new(), None))
        }
        Quantity::Megabytes(program) => {
            let records = succeeded(report, program, variant, engine)?;
            let peak = records.last().and_then(|record| record.peak_rss_bytes);
            peak.map(|peak| (peak as f64 / 1e6, String::new())).ok_or((String::new(), None))
        }
        Quantity::ToolTime => {
            let of = |variant: &str| report.tools.iter().find(|tool| tool.variant == variant);
            match (of(variant), of(ASYNCIFY)) {
                (Some(ours), Some(theirs)) => Ok((ours.median_s / theirs.median_s, String::new())),
                _ => Err((String::new(), None)),
            }
        }
    }
}

/// The records of a program that is measured against a parameter, by that parameter; they must all have succeeded.
fn succeeded<'r>(
    report: &'r Report,
    program: &str,
    variant: &str,
    engine: &str,
) -> Result<Vec<&'r Record>, (String, Option<bool>)> {
    let mut records: Vec<&Record> = report
        .runs
        .iter()
        .filter(|record| record.program_name() == program && record.variant == variant && record.engine == engine)
        .collect();
    records.sort_by_key(|record| record.parameter());
    if records.is_empty() {
        return Err((String::new(), None));
    }
    match records.iter().find_map(|record| failure(record)) {
        Some(failure) => Err(failure),
        None => Ok(records),
    }
}

fn failure(record: &Record) -> Option<(String, Option<bool>)> {
    match record.status {
        Status::Ok if record.output_ok => None,
        Status::Ok => Some((format!("{} is wrong", record.program), Some(false))),
        Status::Failed => Some((format!("{} failed", record.program), Some(false))),
        Status::Missing => Some((format!("{} is missing", record.program), None)),
    }
}

/// The worst of those programs that can be compared. One that fails misses the goal; one that is not there is left out.
fn worst(
    report: &Report,
    programs: &[&str],
    variant: &str,
    engine: &str,
    value: impl Fn(&Record) -> Option<f64>,
) -> Outcome {
    let mut records = Vec::new();
    for record in programs.iter().filter_map(|program| report.record(program, variant, engine)) {
        match failure(record) {
            None => records.push(record),
            Some((note, Some(met))) => return Err((note, Some(met))),
            Some((_, None)) => {}
        }
    }
    let (value, note) = worst_of(records, value)?;
    Ok((value, if programs.len() > 1 { note } else { String::new() }))
}

fn worst_of<'r>(records: Vec<&'r Record>, value: impl Fn(&'r Record) -> Option<f64>) -> Outcome {
    let values = records.into_iter().filter_map(|record| Some((value(record)?, record.program.clone())));
    values.max_by(|(one, _), (other, _)| one.total_cmp(other)).ok_or((String::new(), None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::programs::WORKLOADS;
    use crate::bench::report::tests::{record, report};

    fn find(rows: &[Row], goal: &str) -> Reached {
        rows.iter().find(|row| row.goal == goal && row.engine == WASMTIME).unwrap().reached[0].clone()
    }

    #[test]
    fn the_worst_program_decides() {
        let report = report(vec![
            record("itersum", "lowered-memory", Some(0.4)),
            record("itersum", "asyncify", Some(1.0)),
            record("state", "lowered-memory", Some(0.6)),
            record("state", "asyncify", Some(1.0)),
        ]);
        let reached = find(&evaluate(&report), "programs that switch: time / asyncify");
        assert_eq!((reached.text().as_str(), reached.met), ("0.60 state", Some(false)));
    }

    #[test]
    fn a_failure_misses_and_what_was_not_measured_does_neither() {
        let report = report(vec![
            record("nested_resume/100000", "lowered-memory", None),
            record("generator", "lowered-memory", Some(1.0)),
        ]);
        let rows = evaluate(&report);
        let nested = find(&rows, "100,000 nested resumes");
        assert_eq!((nested.text().as_str(), nested.met), ("nested_resume/100000 failed", Some(false)));
        let generator = find(&rows, "generator: time / native");
        assert_eq!((generator.text().as_str(), generator.met), ("–", None));
    }

    #[test]
    fn depth_and_memory_are_compared_with_the_smallest_parameter() {
        let mut runs = vec![
            record("deep_suspend/1", "lowered-memory", Some(1.0)),
            record("deep_suspend/100", "lowered-memory", Some(1.2)),
            record("alive/10", "lowered-memory", Some(1.0)),
            record("alive/1010", "lowered-memory", Some(1.0)),
        ];
        runs[2].peak_rss_bytes = Some(1_000_000);
        runs[3].peak_rss_bytes = Some(1_100_000);
        let rows = evaluate(&report(runs));
        let flat = find(&rows, "suspending at depth 1 … 10,000: time / at depth 1");
        assert_eq!((flat.text().as_str(), flat.met), ("1.2 deep_suspend/100", Some(true)));
        assert_eq!(find(&rows, "bytes per suspended continuation").value, Some(100.0));
        assert_eq!(find(&rows, "1 M continuations alive: MB").value, Some(1.1));
    }

    #[test]
    fn sizes_count_even_of_programs_that_fail() {
        let mut runs = vec![record("c10m", "lowered-memory", None), record("c10m", "asyncify", Some(1.0))];
        runs[0].module_bytes = Some(800);
        let size = find(&evaluate(&report(runs)), "size / asyncify");
        assert_eq!((size.text().as_str(), size.met), ("0.80 c10m", Some(true)));
    }

    #[test]
    fn goals_are_about_programs_that_exist() {
        let exists = |program: &&str| {
            WORKLOADS.iter().any(|workload| workload.program == *program || workload.label() == *program)
        };
        for goal in GOALS {
            let programs: &[&str] = match &goal.quantity {
                Quantity::Time(programs, _) | Quantity::Completes(programs, _) | Quantity::Size(programs, _) => {
                    programs
                }
                Quantity::Flatness(program) | Quantity::BytesEach(program) | Quantity::Megabytes(program) => &[program],
                Quantity::ToolTime => &[],
            };
            assert!(programs.iter().all(exists), "{}", goal.name);
        }
    }
}
