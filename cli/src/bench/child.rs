//! One run in a process of its own, so that its memory is its own and a crash is only its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use wasmfx_passes::lower;

use crate::engine::EngineOptions;
use crate::engine::program::{Entry, Outcome, Program, Run};
use crate::input_output::print;
use crate::lowering::{Frames, lower_binary};

/// What a process is to do; written to a file, whose name it gets.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "lowercase")]
pub enum Job {
    /// Run a program.
    Run(RunJob),
    /// Lower a module, and nothing else.
    Lower(LowerJob),
}

/// A program to run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunJob {
    /// The module, in the binary format.
    pub module: PathBuf,
    /// The program's name, which a command sees as its first argument.
    pub program: String,
    /// The program's parameters.
    pub arguments: Vec<String>,
    /// Whether it is a WASI command; otherwise it exports `run`.
    pub command: bool,
    /// Whether the engine runs continuations itself.
    pub stack_switching: bool,
    /// Where the measurement goes.
    pub measurement: PathBuf,
}

/// A module to lower.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LowerJob {
    /// The module, in the binary format.
    pub module: PathBuf,
    /// Where frames are kept.
    pub frames: Frames,
    /// Where the result goes.
    pub output: PathBuf,
}

/// What one run cost.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measurement {
    /// Compilation, in seconds.
    pub compile_s: f64,
    /// The call of `_start` or `run`, in seconds.
    pub run_s: f64,
    /// What of that its thread spent on a processor, where the system tells.
    pub processor_s: Option<f64>,
    /// The most memory that the process had since compilation ended, where the system tells.
    pub peak_rss_bytes: Option<u64>,
    /// Why the run did not succeed.
    pub failure: Option<String>,
}

/// The body of a process that does a job, on wasmtime where it is to run something.
///
/// # Errors
/// If the job cannot be read, the module cannot be compiled or lowered, or the result cannot be written. A run that fails is a measurement.
pub fn do_job(job: &Path) -> Result<ExitCode> {
    let job = fs::read(job).with_context(|| format!("cannot read the job {}", job.display()))?;
    match serde_json::from_slice(&job).context("the job is not well-formed")? {
        Job::Run(job) => {
            let measurement = run(&job)?;
            fs::write(&job.measurement, serde_json::to_vec(&measurement)?)
                .with_context(|| format!("cannot write the measurement {}", job.measurement.display()))?;
        }
        Job::Lower(job) => {
            let binary = fs::read(&job.module).with_context(|| format!("cannot read {}", job.module.display()))?;
            let options = lower::Options { store: job.frames.into(), ..lower::Options::default() };
            fs::write(&job.output, lower_binary(&binary, &options)?.0)
                .with_context(|| format!("cannot write {}", job.output.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn run(job: &RunJob) -> Result<Measurement> {
    // Where stack switching is on, wasmtime compiles differently (without inlining, for one): only what needs it has it.
    let options = EngineOptions { stack_switching: job.stack_switching, ..EngineOptions::default() };
    let binary = fs::read(&job.module).with_context(|| format!("cannot read {}", job.module.display()))?;
    let engine = options.for_module(&binary).build()?;
    let start = Instant::now();
    let program = Program::compile(&engine, &binary)?;
    let compile_s = start.elapsed().as_secs_f64();
    forget_peak_memory();
    let (entry, arguments) = if job.command {
        (Entry::Command, [vec![job.program.clone()], job.arguments.clone()].concat())
    } else {
        (Entry::Export { name: "run".to_string(), arguments: job.arguments.clone() }, Vec::new())
    };
    let completion = program.run(&Run { entry, arguments, ..Run::default() })?;
    let failure = match completion.outcome {
        Outcome::Returned(results) => {
            results.iter().try_for_each(|result| print(&format!("{}\n", without_type(result))))?;
            None
        }
        Outcome::Exited(0) => None,
        Outcome::Exited(code) => Some(format!("exit code {code}")),
        Outcome::Failed(failure) => Some(failure.kind.to_string()),
    };
    let time = completion.call_time;
    Ok(Measurement {
        compile_s,
        run_s: time.wall.as_secs_f64(),
        processor_s: time.processor.map(|time| time.as_secs_f64()),
        peak_rss_bytes: peak_memory(),
        failure,
    })
}

/// The value of a result that the engine shows as `TYPE:VALUE`, as every engine prints it.
pub fn without_type(result: &str) -> &str {
    result.split_once(':').map_or(result, |(_, value)| value)
}

/// Starts counting the process's peak memory anew, so that the compiler's is left out. Without effect where there is no such file.
fn forget_peak_memory() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn peak_memory() -> Option<u64> {
    resident_memory(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// A line of `/proc/PID/status` in bytes.
pub(super) fn resident_memory(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Processor times of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProcessorTimes {
    /// Of all its threads.
    pub(super) own: Duration,
    /// Of its children that have ended.
    pub(super) children: Duration,
}

/// What `/proc/PID/stat` says of them.
pub(super) fn processor_times(statistics: &str) -> Option<ProcessorTimes> {
    // Linux counts in hundredths of a second here, whatever it does inside.
    const TICK: Duration = Duration::from_millis(10);
    // The program's name, in parentheses, may have spaces in it. It is field 2; the times are fields 14 to 17.
    let (_, fields) = statistics.rsplit_once(')')?;
    let ticks: Vec<u32> = fields.split_whitespace().skip(11).take(4).map(str::parse).collect::<Result<_, _>>().ok()?;
    let [user, system, children_user, children_system] = ticks[..] else { return None };
    Some(ProcessorTimes { own: TICK * (user + system), children: TICK * (children_user + children_system) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_times_are_found_behind_a_name_with_spaces() {
        let times = processor_times("7 (a (b) c) R 1 2 3 4 5 6 7 8 9 10 100 20 3000 400 20 0").unwrap();
        assert_eq!((times.own, times.children), (Duration::from_millis(1200), Duration::from_secs(34)));
        assert_eq!(processor_times("7 (a) R 1 2"), None);
    }
}
