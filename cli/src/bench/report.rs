//! What was measured, and what follows from it.

use clap::ValueEnum;
use serde::Serialize;

use super::goals::Row;
use super::tools::ToolTime;
use super::variants::{ASYNCIFY, NATIVE, PLAIN};

/// How a measurement went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It ran to its end.
    Ok,
    /// It trapped, crashed, or exceeded a limit.
    Failed,
    /// There was no module, or no engine, to run.
    Missing,
}

/// Which clock the times of runs are from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// What the thread that runs the program spends on a processor: other load on the machine hardly counts
    #[default]
    Processor,
    /// From beginning to end
    Wall,
}

/// One program in one variant on one engine.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// The program, with the parameter that it is measured against: `depth/100`.
    pub program: String,
    /// The variant.
    pub variant: &'static str,
    /// The engine.
    pub engine: &'static str,
    /// How it went.
    pub status: Status,
    /// Median of the running times, compilation excluded.
    pub median_s: Option<f64>,
    /// Shortest running time.
    pub min_s: Option<f64>,
    /// Longest running time.
    pub max_s: Option<f64>,
    /// Most memory after compilation, in the run that used most.
    pub peak_rss_bytes: Option<u64>,
    /// Size of the module without custom sections.
    pub module_bytes: Option<u64>,
    /// Whether every run printed the right result.
    pub output_ok: bool,
    /// Median of the compilation times.
    pub compile_s: Option<f64>,
    /// The program's parameters.
    pub arguments: Vec<String>,
    /// Why it failed, or is missing.
    pub reason: Option<String>,
}

impl Record {
    /// Width of the range of running times, relative to their median.
    pub fn spread(&self) -> Option<f64> {
        Some((self.max_s? - self.min_s?) / self.measurable_time()?)
    }

    /// The program's name without the parameter that it is measured against.
    pub fn program_name(&self) -> &str {
        self.program.split('/').next().unwrap_or_default()
    }

    /// The parameter that it is measured against.
    pub fn parameter(&self) -> Option<u32> {
        self.program.split('/').nth(1)?.parse().ok()
    }

    /// Nanoseconds for each suspension of a program that is measured against a parameter.
    pub fn nanoseconds_per_suspension(&self) -> Option<f64> {
        let suspensions: f64 = self.arguments.get(1)?.parse().ok()?;
        Some(self.measurable_time()? * 1e9 / suspensions)
    }

    /// The median in seconds, unless it is below the clock's resolution: nothing can be said in relation to 0.
    fn measurable_time(&self) -> Option<f64> {
        self.median_s.filter(|&median| median > 0.0)
    }
}

/// A whole measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The command that made it.
    pub command: String,
    /// The machine.
    pub machine: String,
    /// Versions of the engines that took part.
    pub engines: Vec<EngineVersion>,
    /// How often each measurement was repeated.
    pub repetitions: usize,
    /// The clock that times of runs are from.
    pub clock: Clock,
    /// The measurements.
    pub runs: Vec<Record>,
    /// How long the tools took, where that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolTime>,
    /// What the lowering is to reach and does, where that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub goals: Vec<Row>,
}

/// An engine that took part.
#[derive(Clone, Debug, Serialize)]
pub struct EngineVersion {
    /// Its name in the records.
    pub name: &'static str,
    /// What it calls itself.
    pub version: String,
}

/// What a variant is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// The engine's own continuations.
    Native,
    /// Binaryen's Asyncify.
    Asyncify,
}

impl Baseline {
    /// What a variant is worth comparing with. Native against Asyncify is the other comparison turned round.
    pub fn of(variant: &str) -> &'static [Baseline] {
        match variant {
            // What is without fibers is the same for both.
            NATIVE | PLAIN => &[],
            ASYNCIFY => &[Baseline::Native],
            _ => &[Baseline::Native, Baseline::Asyncify],
        }
    }

    /// The variant's name.
    pub fn variant(self) -> &'static str {
        match self {
            Baseline::Native => NATIVE,
            Baseline::Asyncify => ASYNCIFY,
        }
    }
}

impl Report {
    /// The measurement of a program's variant on an engine.
    pub fn record(&self, program: &str, variant: &str, engine: &str) -> Option<&Record> {
        self.runs
            .iter()
            .find(|record| record.program == program && record.variant == variant && record.engine == engine)
    }

    /// A record's time over the baseline's on the same engine.
    pub fn time_ratio(&self, record: &Record, baseline: Baseline) -> Option<f64> {
        let base = self.record(&record.program, baseline.variant(), record.engine)?.measurable_time()?;
        Some(record.measurable_time()? / base)
    }

    /// A record's size over the baseline's.
    pub fn size_ratio(&self, record: &Record, baseline: Baseline) -> Option<f64> {
        let base = self.record(&record.program, baseline.variant(), record.engine)?.module_bytes?;
        Some(record.module_bytes? as f64 / base as f64)
    }

    /// How the figures came about.
    pub(super) fn method(&self) -> String {
        let clock = match self.clock {
            Clock::Processor => "processor time",
            Clock::Wall => "wall-clock time",
        };
        format!("{clock}, median of {}", self.repetitions)
    }

    /// Programs in the order of the records.
    pub fn programs(&self) -> Vec<&str> {
        in_order(self.runs.iter().map(|record| record.program.as_str()))
    }

    /// Variants that took part, in the order of the records.
    pub fn variants(&self) -> Vec<&'static str> {
        in_order(self.runs.iter().map(|record| record.variant))
    }

    /// Geometric mean of a variant's time over the baseline's on an engine, and over how many programs. Those that are measured against a parameter
    /// would count several times, and are left out.
    pub fn mean_time_ratio(&self, variant: &str, engine: &str, baseline: Baseline) -> Option<(f64, usize)> {
        let records = self
            .runs
            .iter()
            .filter(|record| record.variant == variant && record.engine == engine && record.parameter().is_none());
        let logarithms: Vec<f64> = records.filter_map(|record| Some(self.time_ratio(record, baseline)?.ln())).collect();
        let count = logarithms.len();
        (count > 0).then(|| ((logarithms.iter().sum::<f64>() / count as f64).exp(), count))
    }

    /// Whether nothing printed a wrong result.
    pub fn all_right(&self) -> bool {
        self.runs.iter().all(|record| record.status != Status::Ok || record.output_ok)
    }
}

fn in_order<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut unique = Vec::new();
    for name in names {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    unique
}

/// The middle value, or the mean of the two in the middle.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 0 => Some((values[middle - 1] + values[middle]) / 2.0),
        _ => Some(values[middle]),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A record of wasmtime's; without a time it is one of a failure.
    pub(in super::super) fn record(program: &str, variant: &'static str, median: Option<f64>) -> Record {
        Record {
            program: program.to_string(),
            variant,
            engine: "wasmtime",
            status: if median.is_some() { Status::Ok } else { Status::Failed },
            median_s: median,
            min_s: median,
            max_s: median,
            peak_rss_bytes: None,
            module_bytes: Some(1000),
            output_ok: median.is_some(),
            compile_s: None,
            arguments: vec!["10".to_string(), "1000".to_string()],
            reason: median.is_none().then(|| "a <reason> & \"more\"".to_string()),
        }
    }

    pub(in super::super) fn report(runs: Vec<Record>) -> Report {
        Report {
            command: "wasmfx-bench".to_string(),
            machine: "a machine".to_string(),
            engines: vec![EngineVersion { name: "wasmtime", version: "wasmtime 48".to_string() }],
            repetitions: 1,
            clock: Clock::Processor,
            runs,
            tools: Vec::new(),
            goals: Vec::new(),
        }
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(&[]), None);
    }
}
