//! Measuring: everything is prepared first, then runs are interleaved, so that what else happens on the machine meets all variants alike.

use std::path::PathBuf;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::child::Job;
use super::engines::{Engine, EngineKind, Limits, command_line};
use super::programs::{Source, Workload};
use super::report::{EngineVersion, Record, Report, Status, median};
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
    /// What each run may use.
    pub limits: Limits,
    /// Where the programs are.
    pub fixtures: PathBuf,
}

/// A program and a variant, and the number of the prepared module or why there is none.
type PreparedProgram<'a> = (&'a str, &'a str, Result<usize, (Status, String)>);

/// A record in the making.
struct Measured {
    record: Record,
    prepared: Option<usize>,
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
            stack_switching: variant.stack_switching,
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
pub fn measure(plan: &Plan, notice: &mut dyn FnMut(&str)) -> Result<Report> {
    let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
    let mut engines = Vec::new();
    let mut missing_engines = Vec::new();
    for (name, kind) in &plan.engines {
        match Engine::find(name, *kind) {
            Ok(engine) => engines.push(engine),
            Err(error) => {
                notice(&format!("{name} is skipped: {error:#}"));
                missing_engines.push(*name);
            }
        }
    }

    let mut modules: Vec<Prepared> = Vec::new();
    let mut groups: Vec<(&Workload, Vec<Measured>)> = Vec::new();
    let progress = progress_bar(plan);
    progress.set_message("preparing modules");
    let mut prepared_programs: Vec<PreparedProgram<'_>> = Vec::new();
    for workload in &plan.workloads {
        let mut group = Vec::new();
        for variant in &plan.variants {
            let known = prepared_programs
                .iter()
                .find(|(program, name, _)| *program == workload.program && *name == variant.name)
                .map(|(_, _, prepared)| prepared.clone());
            let prepared = match known {
                Some(prepared) => prepared,
                None => {
                    let prepared = match variant.prepare(workload, &plan.fixtures, directory.path()) {
                        Ok(module) => {
                            modules.push(module);
                            Ok(modules.len() - 1)
                        }
                        Err(NotPrepared::NotApplicable) => continue,
                        Err(NotPrepared::Missing(reason)) => {
                            progress.suspend(|| notice(&reason));
                            Err((Status::Missing, reason))
                        }
                        Err(NotPrepared::Failed(error)) => {
                            progress.suspend(|| notice(&format!("{error:#}")));
                            Err((Status::Failed, error.root_cause().to_string()))
                        }
                    };
                    prepared_programs.push((workload.program, variant.name, prepared.clone()));
                    prepared
                }
            };
            for (name, _) in &plan.engines {
                let mut measured = Measured::new(workload, variant, name, plan.small);
                measured.engine = engines.iter().position(|engine| engine.name == *name);
                match &prepared {
                    Ok(module) => {
                        measured.prepared = Some(*module);
                        measured.record.module_bytes = Some(modules[*module].bytes);
                    }
                    Err((status, reason)) => measured.give_up(*status, reason.clone()),
                }
                if missing_engines.contains(name) {
                    measured.give_up(Status::Missing, format!("{name} is not there"));
                }
                group.push(measured);
            }
        }
        groups.push((workload, group));
    }

    for (workload, group) in &mut groups {
        for _ in 0..plan.repetitions {
            for measured in group.iter_mut() {
                let record = &measured.record;
                progress.set_message(format!("{} {} on {}", record.program, record.variant, record.engine));
                if record.status == Status::Ok
                    && let (Some(engine), Some(module)) = (measured.engine, measured.prepared)
                {
                    run_once(plan, workload, measured, &engines[engine], &modules[module], directory.path())?;
                }
                progress.inc(1);
            }
        }
    }
    progress.finish_and_clear();

    Ok(Report {
        command: command_line(std::env::args_os()),
        machine: machine(),
        engines: engines
            .into_iter()
            .map(|engine| EngineVersion { name: engine.name, version: engine.version })
            .collect(),
        repetitions: plan.repetitions,
        runs: groups.into_iter().flat_map(|(_, group)| group).map(Measured::finish).collect(),
    })
}

fn run_once(
    plan: &Plan,
    workload: &Workload,
    measured: &mut Measured,
    engine: &Engine,
    module: &Prepared,
    directory: &std::path::Path,
) -> Result<()> {
    let (arguments, last_line) = workload.case(plan.small);
    let job = Job {
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
            let right = ended.stdout.lines().last() == Some(last_line.as_str());
            let record = &mut measured.record;
            record.output_ok = right && (measured.run.is_empty() || record.output_ok);
            if !right {
                record.reason = Some(format!("printed '{}' instead of '{last_line}'", ended.stdout.trim_end()));
            }
            record.peak_rss_bytes = record.peak_rss_bytes.max(measurement.peak_rss_bytes);
            measured.compile.push(measurement.compile_s);
            measured.run.push(measurement.run_s);
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
        plan.variants.iter().filter(|variant| workload.module(&plan.fixtures, variant.asyncify).is_some()).count()
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
