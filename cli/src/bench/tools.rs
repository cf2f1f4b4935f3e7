//! What the tools themselves take: lowering a large program, against what Asyncify takes for the same.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;

use super::child::{Job, LowerJob, processor_times};
use super::engines::RUN_JOB;
use super::report::median;
use super::variants::{ASYNCIFY, VARIANTS, how_to_build};
use crate::lowering::Frames;

/// The program that is large enough for starting a process not to count.
const PROGRAM: &str = "rows";
/// Its module for stack switching, and the module that Asyncify begins with.
const INPUTS: (&str, &str) = ("fiber/modules/rows.wasmfx.wasm", "fiber/modules/rows.before-asyncify.wasm");
/// The version of Binaryen that Asyncify's modules come from.
const BINARYEN: u32 = 132;
/// Native time of that version over that of 108, which distributions have; as its native build was measured when it was current.
const TIME_OVER_OLDER_VERSIONS: f64 = 0.73;

/// How long a tool took.
#[derive(Clone, Debug, Serialize)]
pub struct ToolTime {
    /// A variant that lowers, or Asyncify's.
    pub variant: &'static str,
    /// What ran.
    pub tool: String,
    /// The program that it worked on.
    pub program: &'static str,
    /// Median of the whole process's processor time, of all threads; or of its wall-clock time where the system does not tell that.
    pub median_s: f64,
    /// The shortest.
    pub min_s: f64,
    /// The longest.
    pub max_s: f64,
}

/// A tool that is there.
struct Tool {
    variant: &'static str,
    name: String,
    command: Command,
    /// Its times count that much.
    factor: f64,
    times: Vec<f64>,
}

/// Runs the tools by turns. `notice` gets a line for what has to be left out.
///
/// # Errors
/// If a tool cannot be run.
pub fn measure_tools(
    fixtures: &Path,
    repetitions: usize,
    directory: &Path,
    notice: &mut dyn FnMut(&str),
) -> Result<Vec<ToolTime>> {
    let (ours, theirs) = (fixtures.join(INPUTS.0), fixtures.join(INPUTS.1));
    if let Some(missing) = [&ours, &theirs].into_iter().find(|input| !input.exists()) {
        notice(&format!(
            "the tools' own time is skipped: {} is not there; {}",
            missing.display(),
            how_to_build(PROGRAM)
        ));
        return Ok(Vec::new());
    }
    let mut tools = Vec::new();
    for variant in VARIANTS {
        if let Some(frames) = variant.frames {
            tools.push(lowering(variant.name, frames, &ours, directory)?);
        }
    }
    match find_wasm_opt() {
        Some((program, version)) => tools.push(asyncify(&program, version, &theirs, directory)),
        None => notice(
            "Asyncify's time is skipped: no native wasm-opt is there; `apt-get install binaryen`, or set WASM_OPT_NATIVE",
        ),
    }
    for _ in 0..repetitions {
        for tool in &mut tools {
            let before = processor_time_of_children();
            let start = Instant::now();
            let output = tool.command.output().with_context(|| format!("cannot start {}", tool.name))?;
            let wall = start.elapsed();
            let processor = before.zip(processor_time_of_children()).map(|(before, after)| after - before);
            let elapsed = processor.unwrap_or(wall).as_secs_f64();
            if output.status.success() {
                tool.times.push(elapsed * tool.factor);
            } else {
                let message = String::from_utf8_lossy(&output.stderr);
                notice(&format!("{} failed: {}", tool.name, message.lines().next().unwrap_or_default()));
            }
        }
    }
    Ok(tools.into_iter().filter_map(Tool::finish).collect())
}

impl Tool {
    fn finish(self) -> Option<ToolTime> {
        Some(ToolTime {
            variant: self.variant,
            tool: self.name,
            program: PROGRAM,
            median_s: median(&self.times)?,
            min_s: self.times.iter().copied().min_by(f64::total_cmp)?,
            max_s: self.times.iter().copied().max_by(f64::total_cmp)?,
        })
    }
}

/// Our own, as a process too.
fn lowering(variant: &'static str, frames: Frames, input: &Path, directory: &Path) -> Result<Tool> {
    let job = Job::Lower(LowerJob {
        module: input.to_path_buf(),
        frames,
        output: directory.join(format!("tool.{variant}.wasm")),
    });
    let job_file = directory.join(format!("tool.{variant}.json"));
    std::fs::write(&job_file, serde_json::to_vec(&job)?)
        .with_context(|| format!("cannot write {}", job_file.display()))?;
    let mut command = Command::new(std::env::current_exe().context("cannot find this program's own file")?);
    command.arg(RUN_JOB).arg(job_file).stdin(Stdio::null());
    Ok(Tool { variant, name: format!("wasmfx-lower ({variant})"), command, factor: 1.0, times: Vec::new() })
}

fn asyncify(program: &Path, version: u32, input: &Path, directory: &Path) -> Tool {
    let mut command = Command::new(program);
    command.arg(input).args(["-all", "--asyncify", "--pass-arg=asyncify-ignore-imports", "-o"]);
    command.arg(directory.join("tool.asyncify.wasm")).stdin(Stdio::null());
    let factor = if version < BINARYEN { TIME_OVER_OLDER_VERSIONS } else { 1.0 };
    let scaled = if factor == 1.0 { String::new() } else { format!(" × {factor}, for {BINARYEN}") };
    Tool {
        variant: ASYNCIFY,
        name: format!("wasm-opt --asyncify (version {version}{scaled})"),
        command,
        factor,
        times: Vec::new(),
    }
}

/// What processes that have ended spent on processors, where the system tells.
fn processor_time_of_children() -> Option<Duration> {
    Some(processor_times(&std::fs::read_to_string("/proc/self/stat").ok()?)?.children)
}

fn find_wasm_opt() -> Option<(PathBuf, u32)> {
    let places = std::env::var_os("WASM_OPT_NATIVE").map(PathBuf::from);
    places.into_iter().chain([PathBuf::from("wasm-opt")]).find_map(|place| {
        let output = Command::new(&place).arg("--version").output().ok()?;
        let version = String::from_utf8_lossy(&output.stdout);
        let number = version.split_whitespace().find_map(|word| word.parse().ok())?;
        Some((place, number))
    })
}
