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
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wasmfx_ir::error::{Error, Result};
use wasmfx_ir::module::{Body, FunctionId};
use wasmfx_ir::subtype::Subtyping;
use wasmfx_ir::verify::{verify_func, verify_items};
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
        for stage in &self.stages {
            match stage {
                Stage::Function { passes, rounds } => {
                    changed |= run_function_passes(module, passes, *rounds, options, timings, progress)?;
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

fn run_function_passes(
    module: &mut Module,
    passes: &[&'static Pass],
    rounds: usize,
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
    let environment = ModuleEnvironment::new(module, options);
    let subtyping = options.verify_passes.then(|| Subtyping::new(&module.types));
    progress.begin("function passes", bodies.len());
    let nanoseconds: Vec<AtomicU64> = passes.iter().map(|_| AtomicU64::new(0)).collect();
    let outcomes: Vec<Result<Changed>> = bodies
        .par_iter_mut()
        .map(|(id, func)| {
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
                    if let Some(subtyping) = &subtyping {
                        verify_func(module, subtyping, func).map_err(|error| {
                            let name = module.functions[*id].name.as_deref();
                            broken_by(pass.name, error).in_function(id.as_u32(), name)
                        })?;
                    }
                }
                changed |= round;
                if !round.is_yes() {
                    break;
                }
            }
            progress.advance();
            Ok(changed)
        })
        .collect();
    for (pass, nanoseconds) in passes.iter().zip(nanoseconds) {
        *timings.passes.entry(pass.name).or_default() += Duration::from_nanos(nanoseconds.into_inner());
    }
    for (id, func) in bodies {
        module.functions[id].body = Body::Lifted(func);
    }
    let mut changed = Changed::No;
    for outcome in outcomes {
        changed |= outcome?;
    }
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
