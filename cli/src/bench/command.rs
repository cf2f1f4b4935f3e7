//! The command line of wasmfx-bench, and of `cargo bench --bench lowering`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use clap::builder::PossibleValuesParser;

use super::child::do_job;
use super::engines::{ENGINES, EngineKind, Limits};
use super::measure::{Plan, measure};
use super::programs::{WORKLOADS, Workload};
use super::report::Clock;
use super::variants::{VARIANTS, Variant};
use super::{to_html, to_json, to_svg, to_text};
use crate::arguments::{EXIT_ERROR, UsageError};
use crate::input_output::{Output, print, tell};
use crate::suggestions::did_you_mean;

/// Run programs that use stack switching in every variant on every engine, and compare.
///
/// Each run is a process of its own; runs are interleaved, and their results checked. Times are of the program alone,
/// compilation is reported apart. Exits with 1 if anything printed a wrong result.
#[derive(Parser)]
#[command(name = "wasmfx-bench", version)]
pub struct Arguments {
    /// The programs, by name, or with the parameter that they are measured against: depth/100 [default: all]
    #[arg(value_name = "PROGRAM")]
    programs: Vec<String>,
    /// The variants [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = PossibleValuesParser::new(VARIANTS.iter().map(|variant| variant.name)))]
    variants: Vec<String>,
    /// The engines [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = PossibleValuesParser::new(ENGINES.iter().map(|(name, _)| *name)))]
    engines: Vec<String>,
    /// How often each measurement is repeated
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Write the measurements as JSON; '-' is standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page with figures; '-' is standard output
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the figure that compares times as a picture; '-' is standard output
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Use small parameters, which say whether programs work and nothing about speed
    #[arg(long)]
    small: bool,
    /// Which clock times are from
    #[arg(long, value_name = "CLOCK", value_enum, default_value_t)]
    clock: Clock,
    /// Say how far the lowering is from its goals, for which the tools are timed too
    #[arg(long)]
    pub goals: bool,
    /// Print the names of all programs, and exit
    #[arg(long)]
    list: bool,
    /// Where the programs are [default: fixtures, here or in the source tree]
    #[arg(long, value_name = "DIRECTORY")]
    fixtures: Option<PathBuf>,
    /// Seconds that a run may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    /// MiB of memory that a run may take
    #[arg(long, value_name = "MIB", default_value_t = 4096)]
    memory_limit: u32,
    /// Do one job, as this program does with its own processes
    #[arg(long, value_name = "FILE", hide = true)]
    run_job: Option<PathBuf>,
    /// Cargo passes it to benches
    #[arg(long, hide = true)]
    bench: bool,
}

/// The whole program.
///
/// # Errors
/// If the measurement cannot be carried out, or a report cannot be written. Wrong results are in the exit code.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    if let Some(job) = &arguments.run_job {
        return do_job(job);
    }
    if arguments.list {
        for workload in &WORKLOADS {
            print(&format!("{}\n", workload.label()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let plan = Plan {
        workloads: workloads(&arguments.programs)?,
        variants: variants(&arguments.variants),
        engines: engines(&arguments.engines),
        repetitions: usize::from(arguments.runs),
        small: arguments.small,
        clock: arguments.clock,
        limits: Limits {
            time: Duration::from_secs(arguments.timeout),
            memory: u64::from(arguments.memory_limit) << 20,
        },
        goals: arguments.goals,
        fixtures: arguments.fixtures.unwrap_or_else(default_fixtures),
    };
    let report = measure(&plan, &mut |line| tell(format_args!("wasmfx-bench: {line}")))?;
    let files = [(&arguments.json, to_json as fn(&_) -> _), (&arguments.html, to_html), (&arguments.svg, to_svg)];
    let mut standard_output_taken = false;
    for (path, render) in files {
        if let Some(path) = path {
            standard_output_taken |= path.as_os_str() == "-";
            Output::from_argument(path).write(render(&report)?.as_bytes())?;
        }
    }
    if !standard_output_taken {
        print(&to_text(&report))?;
    }
    Ok(if report.all_right() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_ERROR) })
}

fn workloads(names: &[String]) -> Result<Vec<&'static Workload>> {
    for name in names {
        if !WORKLOADS.iter().any(|workload| matches(workload, name)) {
            let suggestion = did_you_mean(name, WORKLOADS.iter().map(|workload| workload.program));
            return Err(UsageError(format!("unknown program '{name}'{suggestion}; --list prints all")).into());
        }
    }
    Ok(WORKLOADS
        .iter()
        .filter(|workload| names.is_empty() || names.iter().any(|name| matches(workload, name)))
        .collect())
}

fn matches(workload: &Workload, name: &str) -> bool {
    workload.program == name || workload.label() == name
}

fn variants(names: &[String]) -> Vec<&'static Variant> {
    VARIANTS.iter().filter(|variant| names.is_empty() || names.iter().any(|name| name == variant.name)).collect()
}

fn engines(names: &[String]) -> Vec<(&'static str, EngineKind)> {
    let chosen = |engine: &&(&str, EngineKind)| names.is_empty() || names.iter().any(|name| name == engine.0);
    ENGINES.iter().filter(chosen).copied().collect()
}

fn default_fixtures() -> PathBuf {
    let here = PathBuf::from("fixtures");
    if here.join("fiber").is_dir() { here } else { PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures")) }
}
