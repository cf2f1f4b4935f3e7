//! Pipelines: which passes run in which order at each level, and running them.
//!
//! Consecutive function passes form a stage: all of them run on one function before the next function is touched (so that a body stays in
//! cache), and all functions are worked on in parallel. Nothing that one function's passes do can be seen by another's, hence the output is
//! the same for any number of threads.

use crate::environment::ModuleEnvironment;
use crate::options::{OptimizeLevel, Options, ShrinkLevel};
use crate::pass_table::{self, Changed, Pass, PassKind};
use crate::progress::Progress;
use indexmap::IndexMap;
use rayon::prelude::*;
use rustc_hash::FxHasher;
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::error::{Error, Result};
use wasmfx_ir::module::{Body, FunctionId};
use wasmfx_ir::subtype::Subtyping;
use wasmfx_ir::verify::{verify_func, verify_items};
use wasmfx_ir::{Func, Module};

/// How often a stage of function passes goes over one function at most: it stops as soon as a round changes nothing.
const MAX_ROUNDS: usize = 3;
/// The same before functions are inlined: the next stage goes on where it left off.
const EARLY_ROUNDS: usize = 2;

/// A part of a pipeline.
#[derive(Clone)]
enum Stage {
    /// Function passes.
    Function { passes: Vec<&'static Pass>, repetition: Repetition },
    /// One module pass.
    Module(&'static Pass),
}

/// How often the passes of a stage run on a function.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Repetition {
    Once,
    /// Until a round changes nothing, and at most so often. Passes that have nothing new to look at do not run.
    UntilAtRest(usize),
    /// Once, and the passes after the first only if that one changed something.
    IfFirstChanges,
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
const SIMPLIFY: &[&str] = &[
    "dead-code",
    "simplify",
    "branches",
    "jump-threading",
    "select-formation",
    "block-merging",
    "numbering",
    "dead-code",
];
/// Module passes before functions are looked at: less to do for the rest.
const MODULE_BEFORE: &[&str] =
    &["types", "duplicate-functions", "remove-unused-module-elements", "memory-packing", "globals"];
/// Module passes that look at what simplified functions are like.
const MODULE_MIDDLE: &[&str] =
    &["direct-calls", "dead-arguments", "inlining", "globals", "remove-unused-module-elements"];
/// What is left of a body's blocks, once they are what they will be.
const FOLD: &[&str] = &["code-folding", "jump-threading", "block-merging", "dead-code"];
/// The same for blocks that differ in values.
const FOLD_SIMILAR: &[&str] = &["similar-blocks", "block-merging", "dead-code"];
/// Module passes that make calls slower for the sake of size.
const MODULE_SMALLEST: &[&str] = &["similar-functions"];
/// Module passes at the end; ordering is last, because it counts uses.
const MODULE_AFTER: &[&str] = &["duplicate-functions", "duplicate-imports", "remove-unused-module-elements", "types"];

/// Module passes after which nothing may look at constants any more.
const MODULE_LAST: &[&str] = &["constant-pool"];

/// Passes that look at nothing but what defines values and what happens before: without what nothing used they find no more than with it.
const STAY_QUIET_WHEN_PRUNED: &[&str] = &["numbering"];

impl Pipeline {
    /// The pipeline of the levels in `options`.
    pub fn for_level(options: &Options) -> Self {
        let mut pipeline = Self::default();
        if options.optimize == OptimizeLevel::O0 && options.shrink == ShrinkLevel::None {
            return pipeline;
        }
        let fast = options.optimize <= OptimizeLevel::O1 && options.shrink == ShrinkLevel::None;
        pipeline.push_all(MODULE_BEFORE, options);
        pipeline.push_round(
            SIMPLIFY,
            if fast { Repetition::Once } else { Repetition::UntilAtRest(EARLY_ROUNDS) },
            options,
        );
        if !fast {
            pipeline.push_all(MODULE_MIDDLE, options);
            pipeline.push_round(SIMPLIFY, Repetition::UntilAtRest(MAX_ROUNDS), options);
            pipeline.push_round(FOLD, Repetition::IfFirstChanges, options);
            if options.shrink != ShrinkLevel::None {
                pipeline.push_round(FOLD_SIMILAR, Repetition::IfFirstChanges, options);
            }
        }
        if options.shrink == ShrinkLevel::Smallest {
            pipeline.push_all(MODULE_SMALLEST, options);
        }
        pipeline.push_all(MODULE_AFTER, options);
        if options.shrink == ShrinkLevel::Smallest {
            pipeline.push_all(MODULE_LAST, options);
        }
        pipeline
    }

    /// Adds one pass at the end.
    pub fn push(&mut self, pass: &'static Pass, options: &Options) {
        if options.skip_passes.iter().any(|name| name == pass.name) {
            return;
        }
        match (pass.kind, self.stages.last_mut()) {
            (PassKind::Module(_), _) => self.stages.push(Stage::Module(pass)),
            (PassKind::Function(_), Some(Stage::Function { passes, repetition: Repetition::Once })) => {
                passes.push(pass)
            }
            (PassKind::Function(_), _) => {
                self.stages.push(Stage::Function { passes: vec![pass], repetition: Repetition::Once })
            }
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

    fn push_round(&mut self, names: &[&str], repetition: Repetition, options: &Options) {
        let keep = |name: &&&str| !options.skip_passes.iter().any(|skipped| skipped == **name);
        let passes: Vec<_> = names.iter().filter(keep).map(|name| row(name)).collect();
        if !passes.is_empty() {
            self.stages.push(Stage::Function { passes, repetition });
        }
    }

    /// Runs the pipeline, and adds up what it takes in `timings`. Bodies must be lifted, but for those that cannot be.
    ///
    /// # Errors
    /// With [`Options::verify_passes`], if a pass broke an invariant of the IR: which pass, and in which function and block.
    pub fn run(
        &self,
        module: &mut Module,
        options: &Options,
        timings: &mut Timings,
        progress: &dyn Progress,
    ) -> Result<Changed> {
        if options.verify_passes {
            verify_after("lifting", module)?;
        }
        let mut changed = Changed::No;
        let mut left = SecondaryMap::default();
        for stage in &self.stages {
            match stage {
                Stage::Function { passes, repetition } => {
                    changed |= run_function_passes(module, passes, *repetition, &mut left, options, timings, progress)?;
                }
                Stage::Module(pass) => {
                    let PassKind::Module(run) = pass.kind else { unreachable!("a module stage holds a module pass") };
                    progress.begin(pass.name, 1);
                    let start = Instant::now();
                    changed |= run(module, options);
                    *timings.passes.entry(pass.name).or_default() += start.elapsed();
                    progress.advance();
                    if options.verify_passes {
                        verify_after(pass.name, module)?;
                    }
                }
            }
        }
        Ok(changed)
    }
}

/// Verifies the whole module. The first broken invariant in the order of functions is reported.
fn verify_after(pass: &str, module: &Module) -> Result<()> {
    verify_items(module).map_err(|error| broken_by(pass, error))?;
    let subtyping = Subtyping::new(&module.types);
    let functions: Vec<_> = module.functions.iter().collect();
    let verdicts: Vec<Result<()>> = functions
        .par_iter()
        .map(|(id, function)| match &function.body {
            Body::Lifted(func) => verify_func(module, &subtyping, func)
                .map_err(|error| broken_by(pass, error).in_function(id.as_u32(), function.name.as_deref())),
            Body::Import | Body::Lazy(_) | Body::Detached | Body::Removed => Ok(()),
        })
        .collect();
    verdicts.into_iter().collect()
}

#[cold]
fn broken_by(pass: &str, error: Error) -> Error {
    Error::internal(format!("after {pass}: {}", error.message())).with_help(
        "This is a bug in wasmfx-opt, and nothing was written. --skip-pass with the name of the pass avoids it; please report it.",
    )
}

fn row(name: &str) -> &'static Pass {
    pass_table::find(name).unwrap_or_else(|| panic!("the pipelines name a pass {name:?} that the table does not have"))
}

/// How a stage left a function.
#[derive(Clone)]
struct Left {
    fingerprint: u64,
    /// Holds as long as the function has the fingerprint.
    quiet: Quiet,
}

/// A hash of what a function consists of. If a change goes unnoticed, a round is missed, and nothing worse.
fn fingerprint(func: &Func) -> u64 {
    let mut hasher = FxHasher::default();
    for data in func.blocks.values() {
        (data.params.len(), data.insts.len()).hash(&mut hasher);
        for &inst in &data.insts {
            func.operator_id(inst).hash(&mut hasher);
            func.operands(inst).hash(&mut hasher);
        }
        data.terminator.operator().hash(&mut hasher);
        data.terminator.for_each_successor(|block| block.hash(&mut hasher));
        data.terminator.for_each_value(|value| value.hash(&mut hasher));
    }
    hasher.finish()
}

/// The passes that would change nothing in a function as it is: no other pass has changed it since they ran. (No pass leaves
/// work for itself.)
#[derive(Clone, Default)]
struct Quiet {
    passes: SmallVec<[&'static str; 8]>,
}

impl Quiet {
    fn contains(&self, pass: &Pass) -> bool {
        self.passes.contains(&pass.name)
    }

    fn ran(&mut self, pass: &Pass, changed: Changed) {
        match changed {
            Changed::No => {}
            Changed::Pruned => self.passes.retain(|name| STAY_QUIET_WHEN_PRUNED.contains(name)),
            Changed::Yes => self.passes.clear(),
        }
        self.passes.push(pass.name);
    }
}

/// The passes of a stage while they run on the functions of a module.
struct FunctionStage<'a> {
    passes: &'a [&'static Pass],
    environment: ModuleEnvironment<'a>,
    /// How long each pass took, on all threads.
    nanoseconds: Vec<AtomicU64>,
}

impl FunctionStage<'_> {
    /// Runs the passes on a function as often as `repetition` says. `left` is how an earlier stage left it. Returns whether it changed, and how it
    /// is left.
    fn repeat(
        &self,
        repetition: Repetition,
        id: FunctionId,
        func: &mut Func,
        left: Option<&Left>,
    ) -> Result<(Changed, Option<Left>)> {
        match repetition {
            Repetition::Once => Ok((self.run_all(id, func, &mut Quiet::default())?, None)),
            Repetition::IfFirstChanges => {
                let first = self.run_pass(0, id, func)?;
                if first.is_yes() {
                    for index in 1..self.passes.len() {
                        let _ = self.run_pass(index, id, func)?;
                    }
                }
                Ok((first, None))
            }
            Repetition::UntilAtRest(rounds) => {
                let mut quiet = match left {
                    Some(left) if left.fingerprint == fingerprint(func) => left.quiet.clone(),
                    _ => Quiet::default(),
                };
                let mut changed = Changed::No;
                for _ in 0..rounds {
                    let round = self.run_all(id, func, &mut quiet)?;
                    changed |= round;
                    if !round.is_yes() {
                        break;
                    }
                }
                Ok((changed, Some(Left { fingerprint: fingerprint(func), quiet })))
            }
        }
    }

    /// Runs each pass that is not quiet once.
    fn run_all(&self, id: FunctionId, func: &mut Func, quiet: &mut Quiet) -> Result<Changed> {
        let mut changed = Changed::No;
        for (index, pass) in self.passes.iter().enumerate() {
            if !quiet.contains(pass) {
                let pass_changed = self.run_pass(index, id, func)?;
                quiet.ran(pass, pass_changed);
                changed |= pass_changed;
            }
        }
        Ok(changed)
    }

    fn run_pass(&self, index: usize, id: FunctionId, func: &mut Func) -> Result<Changed> {
        let pass = self.passes[index];
        let PassKind::Function(run) = pass.kind else { unreachable!("a function stage holds function passes") };
        let start = Instant::now();
        let changed = run(func, &self.environment);
        let elapsed = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds[index].fetch_add(elapsed, Ordering::Relaxed);
        if self.environment.options.verify_passes {
            let module = self.environment.module();
            verify_func(module, self.environment.subtyping, func).map_err(|error| {
                let name = module.functions[id].name.as_deref();
                broken_by(pass.name, error).in_function(id.as_u32(), name)
            })?;
        }
        Ok(changed)
    }
}

/// Runs a stage of function passes. `left` is how each function was left by the stage before, and then by this one.
fn run_function_passes(
    module: &mut Module,
    passes: &[&'static Pass],
    repetition: Repetition,
    left: &mut SecondaryMap<FunctionId, Option<Left>>,
    options: &Options,
    timings: &mut Timings,
    progress: &dyn Progress,
) -> Result<Changed> {
    let mut bodies: Vec<(FunctionId, Box<Func>)> = Vec::new();
    for (id, function) in module.functions.iter_mut() {
        match std::mem::replace(&mut function.body, Body::Detached) {
            Body::Lifted(func) => bodies.push((id, func)),
            other @ (Body::Import | Body::Lazy(_) | Body::Detached | Body::Removed) => function.body = other,
        }
    }
    let subtyping = Subtyping::new(&module.types);
    progress.begin("function passes", bodies.len());
    let stage = FunctionStage {
        passes,
        environment: ModuleEnvironment::new(module, &subtyping, options),
        nanoseconds: passes.iter().map(|_| AtomicU64::new(0)).collect(),
    };
    let outcomes: Vec<Result<(Changed, Option<Left>)>> = bodies
        .par_iter_mut()
        .map(|(id, func)| {
            let outcome = stage.repeat(repetition, *id, func, left[*id].as_ref());
            func.forget_control_flow();
            progress.advance();
            outcome
        })
        .collect();
    for (pass, nanoseconds) in passes.iter().zip(stage.nanoseconds) {
        *timings.passes.entry(pass.name).or_default() += Duration::from_nanos(nanoseconds.into_inner());
    }
    let mut changed = Changed::No;
    let mut broken = Ok(());
    for ((id, func), outcome) in bodies.into_iter().zip(outcomes) {
        module.functions[id].body = Body::Lifted(func);
        match outcome {
            Ok((body_changed, body_left)) => {
                left[id] = body_left;
                changed |= body_changed;
            }
            Err(error) => broken = broken.and(Err(error)),
        }
    }
    broken?;
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimizer::Optimizer;
    use wasmfx_ir::encode::encode_module;
    use wasmfx_ir::error::ErrorKind;
    use wasmfx_ir::func::Terminator;
    use wasmfx_ir::module::FunctionId;
    use wasmfx_ir::parse::ParseOptions;
    use wasmfx_ir::text::read_module;

    static LOSES_A_DEFINITION: Pass = Pass {
        name: "loses-a-definition",
        help: "a pass with a mistake",
        kind: PassKind::Function(|func, _| {
            func.blocks[func.entry].insts.clear();
            Changed::Yes
        }),
    };
    static LOSES_A_TERMINATOR: Pass = Pass {
        name: "loses-a-terminator",
        help: "a pass with a mistake",
        kind: PassKind::Module(|module, _| {
            if let Some(Body::Lifted(func)) = module.functions.values_mut().last().map(|function| &mut function.body) {
                let entry = func.entry;
                func.blocks[entry].terminator = Terminator::Missing;
            }
            Changed::Yes
        }),
    };
    static LOSES_A_FUNCTION: Pass = Pass {
        name: "loses-a-function",
        help: "a pass with a mistake",
        kind: PassKind::Module(|module, _| {
            module.functions[FunctionId::from_u32(0)].body = Body::Removed;
            Changed::Yes
        }),
    };

    /// What the optimiser says of a pass with a mistake.
    fn verdict(pass: &'static Pass) -> Error {
        let text = "(module (func $callee) (func $f (export \"f\") (param i32) (result i32)
            (call $callee) (i32.add (local.get 0) (i32.const 1))))";
        let options = Options { verify_passes: true, ..Options::default() };
        let mut pipeline = Pipeline::default();
        pipeline.push(pass, &options);
        let optimizer = Optimizer { pipeline, options, ..Optimizer::default() };
        let module = read_module(text.as_bytes(), "test.wat", &ParseOptions::default()).unwrap();
        optimizer.run(&encode_module(&module).unwrap()).unwrap_err()
    }

    #[test]
    fn numbering_does_not_run_again_because_something_unused_is_gone() {
        let mut quiet = Quiet::default();
        quiet.ran(row("simplify"), Changed::No);
        quiet.ran(row("numbering"), Changed::No);
        quiet.ran(row("dead-code"), Changed::Pruned);
        assert!(
            quiet.contains(row("numbering")) && quiet.contains(row("dead-code")) && !quiet.contains(row("simplify"))
        );
        quiet.ran(row("dead-code"), Changed::Yes);
        assert!(quiet.contains(row("dead-code")) && !quiet.contains(row("numbering")));
    }

    #[test]
    fn a_pass_that_breaks_an_invariant_is_named_with_function_and_block() {
        for (pass, what) in [
            (&LOSES_A_DEFINITION, "no block that is reached defines it"),
            (&LOSES_A_TERMINATOR, "the block has no end"),
            (&LOSES_A_FUNCTION, "function 0, which was removed"),
        ] {
            let error = verdict(pass);
            let text = error.to_string();
            assert_eq!(error.kind(), ErrorKind::Internal);
            assert!(text.contains(&format!("after {}: block0", pass.name)) && text.contains(what), "{text}");
            assert_eq!(error.function().and_then(|function| function.name.as_deref()), Some("f"), "{text}");
            assert!(error.help().is_some_and(|help| help.contains("bug")), "{text}");
        }
    }
}
