//! Measuring: everything is prepared first, then runs are interleaved, so that what else happens on the machine meets all variants alike.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustc_hash::{FxHashMap, FxHashSet};

use super::child::RunJob;
use super::engines::{Engine, EngineKind, Limits, command_line};
use super::goals;
use super::programs::{Source, Workload};
use super::report::{Clock, EngineVersion, Record, Report, Status, median};
use super::tools::measure_tools;
use super::variants::{NotPrepared, Prepared, Variant};

/// What to measure, and how.
pub struct Plan {
    /// The programs.
    pub workloads: Vec<&'static Workload>,
    /// The variants.
    pub variants: Vec<&'static Variant>,
    /// The engines.
    pub engines: Vec<(&'static str, EngineKind)>,
    /// How often.
    pub repetitions: usize,
    /// With the parameters that only try whether it works.
    pub small: bool,
    /// Which clock times are from.
    pub clock: Clock,
    /// What each run may use.
    pub limits: Limits,
    /// Whether the lowering's goals are looked at, for which the tools' own time is measured too.
    pub goals: bool,
    /// Where the programs are.
    pub fixtures: PathBuf,
}

/// A record in the making.
struct Measured {
    record: Record,
    prepared: Option<Rc<Prepared>>,
    engine: Option<usize>,
    stack_switching: bool,
    compile: Vec<f64>,
    run: Vec<f64>,
}

impl Measured {
    fn new(workload: &Workload, variant: &Variant, engine: &'static str, small: bool) -> Measured {
        let record = Record {
            program: workload.label(),
            variant: variant.name,
            engine,
            status: Status::Ok,
            median_s: None,
            min_s: None,
            max_s: None,
            peak_rss_bytes: None,
            module_bytes: None,
            output_ok: false,
            compile_s: None,
            arguments: workload.case(small).0,
            reason: None,
        };
        Measured {
            record,
            prepared: None,
            engine: None,
            stack_switching: variant.stack_switching(),
            compile: Vec::new(),
            run: Vec::new(),
        }
    }

    fn give_up(&mut self, status: Status, reason: String) {
        self.record.status = status;
        self.record.reason = Some(reason);
        self.record.output_ok = false;
    }

    fn finish(mut self) -> Record {
        if self.record.status == Status::Ok {
            self.record.median_s = median(&self.run);
            self.record.min_s = self.run.iter().copied().min_by(f64::total_cmp);
            self.record.max_s = self.run.iter().copied().max_by(f64::total_cmp);
            self.record.compile_s = median(&self.compile);
        }
        self.record
    }
}

/// Carries the plan out. `notice` gets a line for everything that has to be left out.
///
/// # Errors
/// If a process cannot be started, or files cannot be written. What fails or is missing is in the report.
pub fn measure(plan: &Plan, notice: &mut dyn FnMut(&str)) -> Result<Report> {
    let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
    let mut engines = Vec::new();
    for (name, kind) in &plan.engines {
        match Engine::find(name, *kind) {
            Ok(engine) => engines.push(engine),
            Err(error) => notice(&format!("{name} is skipped: {error:#}")),
        }
    }
    let progress = progress_bar(plan);
    let mut groups = prepare(plan, &engines, directory.path(), &progress, notice);
    for (workload, group) in &mut groups {
        // What the first run that ends well prints, all others must print too.
        let mut output = None;
        for _ in 0..plan.repetitions {
            for measured in group.iter_mut() {
                let record = &measured.record;
                progress.set_message(format!("{} {} on {}", record.program, record.variant, record.engine));
                if record.status == Status::Ok
                    && let Some(engine) = measured.engine
                {
                    run_once(plan, workload, measured, &engines[engine], directory.path(), &mut output)?;
                }
                progress.inc(1);
            }
        }
    }
    let tools = if plan.goals {
        progress.set_message("timing the tools");
        let notice = &mut |line: &str| progress.suspend(|| notice(line));
        measure_tools(&plan.fixtures, plan.repetitions, directory.path(), notice)?
    } else {
        Vec::new()
    };
    progress.finish_and_clear();

    let mut report = Report {
        command: command_line(std::env::args_os()),
        machine: machine(),
        engines: engines
            .into_iter()
            .map(|engine| EngineVersion { name: engine.name, version: engine.version })
            .collect(),
        repetitions: plan.repetitions,
        clock: plan.clock,
        runs: groups.into_iter().flat_map(|(_, group)| group).map(Measured::finish).collect(),
        tools,
        goals: Vec::new(),
    };
    if plan.goals {
        report.goals = goals::evaluate(&report);
    }
    Ok(report)
}

/// A module that is ready, or why there is none.
type Preparation = Result<Rc<Prepared>, (Status, String)>;

/// Makes all modules, and a record for each of them on each engine. A program's module is made once for all its parameters.
fn prepare(
    plan: &Plan,
    engines: &[Engine],
    directory: &Path,
    progress: &ProgressBar,
    notice: &mut dyn FnMut(&str),
) -> Vec<(&'static Workload, Vec<Measured>)> {
    let mut known: FxHashMap<(&str, &str), Preparation> = FxHashMap::default();
    let mut noticed = FxHashSet::default();
    let mut groups = Vec::new();
    for workload in &plan.workloads {
        let mut group = Vec::new();
        for variant in plan.variants.iter().filter(|variant| workload.module(&plan.fixtures, variant.build).is_some()) {
            progress.set_message(format!("making {} {}", workload.program, variant.name));
            let prepared = known.entry((workload.program, variant.name)).or_insert_with(|| {
                variant.prepare(workload, &plan.fixtures, directory).map(Rc::new).map_err(|error| match error {
                    NotPrepared::Missing(reason) => {
                        // One line says how to get all of a program's modules.
                        if noticed.insert(workload.program) {
                            progress.suspend(|| notice(&reason));
                        }
                        (Status::Missing, reason)
                    }
                    NotPrepared::Failed(error) => {
                        progress.suspend(|| notice(&format!("{error:#}")));
                        (Status::Failed, error.root_cause().to_string())
                    }
                })
            });
            for (name, _) in &plan.engines {
                let mut measured = Measured::new(workload, variant, name, plan.small);
                measured.engine = engines.iter().position(|engine| engine.name == *name);
                match prepared {
                    Ok(module) => {
                        measured.record.module_bytes = Some(module.bytes);
                        measured.prepared = Some(Rc::clone(module));
                    }
                    Err((status, reason)) => measured.give_up(*status, reason.clone()),
                }
                if measured.engine.is_none() {
                    measured.give_up(Status::Missing, format!("{name} is not there"));
                }
                group.push(measured);
            }
        }
        groups.push((*workload, group));
    }
    groups
}

fn run_once(
    plan: &Plan,
    workload: &Workload,
    measured: &mut Measured,
    engine: &Engine,
    directory: &Path,
    output: &mut Option<String>,
) -> Result<()> {
    let Some(module) = &measured.prepared else { return Ok(()) };
    let (arguments, last_line) = workload.case(plan.small);
    let job = RunJob {
        module: module.path.clone(),
        program: workload.program.to_string(),
        arguments,
        command: workload.source == Source::Fiber,
        stack_switching: measured.stack_switching,
        measurement: directory.join("measurement.json"),
    };
    let ended = engine.run(&job, &directory.join("job.json"), plan.limits)?;
    match ended.measurement {
        Ok(measurement) => {
            let expected = output.as_deref().unwrap_or(&last_line);
            let right = match output.as_deref() {
                Some(output) => ended.stdout == output,
                None => ended.stdout.lines().last() == Some(last_line.as_str()),
            };
            let record = &mut measured.record;
            record.output_ok = right && (measured.run.is_empty() || record.output_ok);
            if !right {
                let (printed, expected) = (ended.stdout.trim_end(), expected.trim_end());
                record.reason = Some(format!("printed '{printed}' instead of '{expected}'"));
            }
            record.peak_rss_bytes = record.peak_rss_bytes.max(measurement.peak_rss_bytes);
            if right && output.is_none() {
                *output = Some(ended.stdout);
            }
            measured.compile.push(measurement.compile_s);
            measured.run.push(match plan.clock {
                Clock::Wall => measurement.run_s,
                Clock::Processor => measurement.processor_s.unwrap_or(measurement.run_s),
            });
        }
        Err(reason) => {
            let printed = ended.stdout.lines().last().map(|line| format!(", after '{line}'")).unwrap_or_default();
            measured.give_up(Status::Failed, reason + &printed);
        }
    }
    Ok(())
}

fn progress_bar(plan: &Plan) -> ProgressBar {
    let applicable = |workload: &Workload| {
        plan.variants.iter().filter(|variant| workload.module(&plan.fixtures, variant.build).is_some()).count()
    };
    let measurements: usize = plan.workloads.iter().map(|workload| applicable(workload)).sum();
    let total = (measurements * plan.engines.len() * plan.repetitions) as u64;
    // Nothing is drawn where stderr is no terminal.
    let progress = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed}<{eta} {msg}") {
        progress.set_style(style);
    }
    progress
}

/// The processor's name where the system tells it, and how many of it there are.
fn machine() -> String {
    let name = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split(':').nth(1)?.trim().to_string())
    });
    let name = name.unwrap_or_else(|| std::env::consts::ARCH.to_string());
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{name}, {processors} processors, {}", std::env::consts::OS)
}
