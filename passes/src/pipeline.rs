//! Pipelines: which passes run in which order at each level, and running them.
//!
//! Consecutive function passes form a stage: all of them run on one function before the next function is touched (so that a body stays in
//! cache), and all functions are worked on in parallel. Nothing that one function's passes do can be seen by another's, hence the output is
//! the same for any number of threads.

use crate::environment::ModuleEnvironment;
use crate::options::{OptimizeLevel, Options, ShrinkLevel};
use crate::pass_table::{self, Changed, Pass, PassKind};
use indexmap::IndexMap;
use rayon::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wasmfx_ir::module::{Body, FunctionId};
use wasmfx_ir::{Func, Module};

/// How often a stage of function passes goes over one function at most: it stops as soon as a round changes nothing.
const MAX_ROUNDS: usize = 3;

/// A part of a pipeline.
#[derive(Clone)]
enum Stage {
    /// Function passes, and how many rounds of them at most.
    Function { passes: Vec<&'static Pass>, rounds: usize },
    /// One module pass.
    Module(&'static Pass),
}

/// A sequence of passes.
#[derive(Clone, Default)]
pub struct Pipeline {
    stages: Vec<Stage>,
}

/// How long each pass took, in the order in which they first ran. Time of function passes is summed over threads.
#[derive(Clone, Debug, Default)]
pub struct Timings {
    /// Name of the pass, and its time.
    pub passes: IndexMap<&'static str, Duration>,
}

/// The function passes that simplify a body, in the order of one round.
const SIMPLIFY: &[&str] = &["dead-code", "simplify", "branches", "numbering", "dead-code"];
/// Module passes before functions are looked at: less to do for the rest.
const MODULE_BEFORE: &[&str] =
    &["types", "duplicate-functions", "remove-unused-module-elements", "memory-packing", "globals"];
/// Module passes that look at what simplified functions are like.
const MODULE_MIDDLE: &[&str] = &["direct-calls", "inlining", "globals", "remove-unused-module-elements"];
/// Module passes at the end; ordering is last, because it counts uses.
const MODULE_AFTER: &[&str] = &["duplicate-functions", "duplicate-imports", "remove-unused-module-elements", "types"];

impl Pipeline {
    /// The pipeline of the levels in `options`.
    pub fn for_level(options: &Options) -> Self {
        let mut pipeline = Self::default();
        if options.optimize == OptimizeLevel::O0 && options.shrink == ShrinkLevel::None {
            return pipeline;
        }
        let fast = options.optimize <= OptimizeLevel::O1 && options.shrink == ShrinkLevel::None;
        pipeline.push_all(MODULE_BEFORE, options);
        pipeline.push_round(SIMPLIFY, if fast { 1 } else { MAX_ROUNDS }, options);
        if !fast {
            pipeline.push_all(MODULE_MIDDLE, options);
            pipeline.push_round(SIMPLIFY, MAX_ROUNDS, options);
        }
        pipeline.push_all(MODULE_AFTER, options);
        pipeline
    }

    /// Adds one pass at the end.
    pub fn push(&mut self, pass: &'static Pass, options: &Options) {
        if options.skip_passes.iter().any(|name| name == pass.name) {
            return;
        }
        match (pass.kind, self.stages.last_mut()) {
            (PassKind::Module(_), _) => self.stages.push(Stage::Module(pass)),
            (PassKind::Function(_), Some(Stage::Function { passes, rounds: 1 })) => passes.push(pass),
            (PassKind::Function(_), _) => self.stages.push(Stage::Function { passes: vec![pass], rounds: 1 }),
        }
    }

    /// Adds all stages of another pipeline at the end.
    pub fn extend(&mut self, other: Self) {
        self.stages.extend(other.stages);
    }

    /// Whether there is nothing to run.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    fn push_all(&mut self, names: &[&str], options: &Options) {
        names.iter().for_each(|name| self.push(row(name), options));
    }

    fn push_round(&mut self, names: &[&str], rounds: usize, options: &Options) {
        let keep = |name: &&&str| !options.skip_passes.iter().any(|skipped| skipped == **name);
        let passes: Vec<_> = names.iter().filter(keep).map(|name| row(name)).collect();
        if !passes.is_empty() {
            self.stages.push(Stage::Function { passes, rounds });
        }
    }

    /// Runs the pipeline, and adds up what it takes in `timings`. Bodies must be lifted, but for those that cannot be.
    pub fn run(&self, module: &mut Module, options: &Options, timings: &mut Timings) -> Changed {
        let mut changed = Changed::No;
        for stage in &self.stages {
            match stage {
                Stage::Function { passes, rounds } => {
                    changed |= run_function_passes(module, passes, *rounds, options, timings);
                }
                Stage::Module(pass) => {
                    let PassKind::Module(run) = pass.kind else { unreachable!("a module stage holds a module pass") };
                    let start = Instant::now();
                    changed |= run(module, options);
                    *timings.passes.entry(pass.name).or_default() += start.elapsed();
                }
            }
        }
        changed
    }
}

fn row(name: &str) -> &'static Pass {
    pass_table::find(name).unwrap_or_else(|| panic!("the pipelines name a pass {name:?} that the table does not have"))
}

fn run_function_passes(
    module: &mut Module,
    passes: &[&'static Pass],
    rounds: usize,
    options: &Options,
    timings: &mut Timings,
) -> Changed {
    let mut bodies: Vec<(FunctionId, Box<Func>)> = Vec::new();
    for (id, function) in module.functions.iter_mut() {
        match std::mem::replace(&mut function.body, Body::Detached) {
            Body::Lifted(func) => bodies.push((id, func)),
            other @ (Body::Import | Body::Lazy(_) | Body::Detached | Body::Removed) => function.body = other,
        }
    }
    let environment = ModuleEnvironment::new(module, options);
    let nanoseconds: Vec<AtomicU64> = passes.iter().map(|_| AtomicU64::new(0)).collect();
    let changed = bodies
        .par_iter_mut()
        .map(|(_, func)| {
            let mut changed = Changed::No;
            for _ in 0..rounds {
                let mut round = Changed::No;
                for (pass, nanoseconds) in passes.iter().zip(&nanoseconds) {
                    let PassKind::Function(run) = pass.kind else {
                        unreachable!("a function stage holds function passes")
                    };
                    let start = Instant::now();
                    round |= run(func, &environment);
                    let elapsed = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    nanoseconds.fetch_add(elapsed, Ordering::Relaxed);
                }
                changed |= round;
                if !round.is_yes() {
                    break;
                }
            }
            changed
        })
        .reduce(|| Changed::No, |a, b| Changed::from_flag(a.is_yes() || b.is_yes()));
    for (pass, nanoseconds) in passes.iter().zip(nanoseconds) {
        *timings.passes.entry(pass.name).or_default() += Duration::from_nanos(nanoseconds.into_inner());
    }
    for (id, func) in bodies {
        module.functions[id].body = Body::Lifted(func);
    }
    changed
}
