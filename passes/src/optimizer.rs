//! The optimiser from bytes to bytes.

use crate::debug_sections::{is_debug_section, without_stale};
use crate::declarations::declare_function_references;
use crate::options::{Options, ShrinkLevel};
use crate::order::order_by_use;
use crate::parallel::Parallel;
use crate::pipeline::{Pipeline, Timings};
use crate::progress::{Progress, Silent};
use rayon::prelude::*;
use wasmfx_ir::emit;
use wasmfx_ir::encode::{EncodeOptions, Indices, Order, encode_module_with};
use wasmfx_ir::entity::Entity;
use wasmfx_ir::error::{Error, Result};
use wasmfx_ir::features;
use wasmfx_ir::lift::{self, Lifter};
use wasmfx_ir::module::{Body, FunctionId, Module, OpaqueReason};
use wasmfx_ir::parse::{ParseOptions, parse_module};
use wasmfx_ir::wasmparser::{self, WasmFeatures};

/// How often `--converge` runs a pipeline at most.
const MAX_CONVERGE_ROUNDS: usize = 20;
/// How often a body is emitted anew at most: a bound, in case one should never come to rest.
const MAX_EMISSION_ROUNDS: usize = 50;

/// A body that stays bytes, and why: it was not optimised.
#[derive(Clone, Debug)]
pub struct Remark {
    /// The function.
    pub function: FunctionId,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Why.
    pub reason: OpaqueReason,
}

/// Lifts every body that can be lifted, in parallel. Bodies that stay bytes are remarked on.
///
/// # Errors
/// If a body is not valid: the first one in the order of the module.
pub fn lift_all(module: &mut Module) -> Result<Vec<Remark>> {
    lift_where(module, &|_| true, &Silent).map(|lifted| lifted.remarks)
}

/// What came of lifting.
struct Lifted {
    remarks: Vec<Remark>,
    /// What the bytes of the bodies use that were lifted.
    used: WasmFeatures,
}

/// Lifts the bodies of some functions.
fn lift_where(
    module: &mut Module,
    wanted: &(impl Fn(FunctionId) -> bool + Sync),
    progress: &dyn Progress,
) -> Result<Lifted> {
    progress.begin("reading", module.functions.len());
    let ids: Vec<FunctionId> = module.functions.keys().collect();
    let lifted: Vec<Result<(Option<Remark>, WasmFeatures)>> = module
        .functions
        .as_mut_slice()
        .par_iter_mut()
        .zip(ids)
        .map_init(Lifter::new, |lifter, (function, id)| {
            progress.advance();
            let mut remark = None;
            if let Body::Lazy(body) = &function.body
                && wanted(id)
            {
                match lifter.lift(body, function.ty, &function.local_names) {
                    Ok(func) => function.body = Body::Lifted(Box::new(func)),
                    Err(lift::Error::Opaque(reason)) => {
                        remark = Some(Remark { function: id, name: function.name.clone(), reason });
                    }
                    Err(lift::Error::Invalid(error)) => {
                        return Err(invalid_body(id, function.name.as_deref(), &error));
                    }
                }
            }
            Ok((remark, lifter.used_features()))
        })
        .collect();
    let mut all = Lifted { remarks: Vec::new(), used: WasmFeatures::MVP };
    for outcome in lifted {
        let (remark, used) = outcome?;
        all.remarks.extend(remark);
        all.used |= used;
    }
    Ok(all)
}

/// What is removed from the output besides what passes remove.
#[derive(Copy, Clone, Debug, Default)]
pub struct Stripping {
    /// The name section.
    pub names: bool,
    /// DWARF and source map sections.
    pub debug: bool,
    /// The producers section.
    pub producers: bool,
    /// The section that lists the features of the target.
    pub target_features: bool,
}

impl Stripping {
    /// Removes it from a module.
    pub fn apply(self, module: &mut Module) {
        module.custom_sections.retain(|section| {
            let is_removed = self.debug && is_debug_section(&section.name)
                || self.producers && section.name == "producers"
                || self.target_features && section.name == "target_features";
            !is_removed
        });
        if self.names {
            module.remove_names();
        }
    }
}

/// The optimiser with all its settings.
#[derive(Clone, Default)]
pub struct Optimizer {
    /// What runs.
    pub pipeline: Pipeline,
    /// What passes may assume.
    pub options: Options,
    /// The features that the input may use; everything that is supported by default.
    pub features: Option<WasmFeatures>,
    /// What is removed.
    pub stripping: Stripping,
    /// Whether the pipeline runs again until the output gets no smaller.
    pub converge: bool,
}

/// What the optimiser made of a module.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The output: valid, and using no feature that the input did not.
    pub bytes: Vec<u8>,
    /// The function of the input at each index of the output.
    pub functions: Vec<FunctionId>,
    /// What was not optimised, and why.
    pub remarks: Vec<Remark>,
    /// Whether DWARF, or the link to a source map, was left out since the code that it speaks of moved.
    pub lost_debug_sections: bool,
    /// How long the passes took.
    pub timings: Timings,
}

impl Optimizer {
    /// Optimises a module in the binary format.
    ///
    /// # Errors
    /// If the input is malformed, invalid or a component; or, naming the function, if the output were invalid, or if a check
    /// that [`Options`] asks for fails, which is an error of ours.
    pub fn run(&self, bytes: &[u8]) -> Result<Outcome> {
        self.run_with(bytes, &Silent)
    }

    /// Like [`Self::run`], telling `progress` how far it is.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_with(&self, bytes: &[u8], progress: &dyn Progress) -> Result<Outcome> {
        let parse_options = match self.features {
            Some(features) => ParseOptions { features },
            None => ParseOptions::default(),
        };
        let mut module = parse_module(bytes, &parse_options)?;
        let Lifted { remarks, used } = lift_where(&mut module, &|_| true, progress)?;
        // The output is validated with these, and so uses nothing that the input did not.
        module.features = features::used_when_lifted(&module, used, &Parallel)?;
        let mut timings = Timings::default();
        let mut changed = self.pipeline.run(&mut module, &self.options, &mut timings, progress)?;
        self.stripping.apply(&mut module);
        declare_function_references(&mut module);
        progress.begin("writing", 1);
        let (mut output, mut functions) = self.encode(&mut module)?;
        progress.advance();
        let rounds = self.emission_rounds();
        if self.converge {
            for _ in 1..MAX_CONVERGE_ROUNDS {
                if !changed.is_yes() {
                    break;
                }
                changed = self.pipeline.run(&mut module, &self.options, &mut timings, progress)?;
                declare_function_references(&mut module);
                let next = self.encode(&mut module)?;
                if next.0.len() >= output.len() {
                    break;
                }
                (output, functions) = next;
            }
        }
        let output = self.settle(output, rounds)?;
        let stripped = without_stale(bytes, &output);
        let lost_debug_sections = stripped.is_some();
        Ok(Outcome { bytes: stripped.unwrap_or(output), functions, remarks, lost_debug_sections, timings })
    }

    /// How often the output is emitted anew at most. A plain round trip goes on until another one would change nothing; where size is all
    /// that counts it is worth as much.
    fn emission_rounds(&self) -> usize {
        match self.options.shrink {
            _ if self.pipeline.is_empty() => MAX_EMISSION_ROUNDS,
            ShrinkLevel::None => 0,
            ShrinkLevel::Small => 1,
            ShrinkLevel::Smallest => MAX_EMISSION_ROUNDS,
        }
    }

    /// Emits again what was emitted, as long as that makes it smaller: what one emission decided, about locals above all, is what the next
    /// one starts from. Each body only ever shrinks, so this ends. Bodies that came out as they went in are not looked at again until all
    /// are at rest, as a function type that another body has added since may make a difference to them.
    fn settle(&self, mut output: Vec<u8>, rounds: usize) -> Result<Vec<u8>> {
        let mut at_rest: Vec<bool> = Vec::new();
        let encode_options = self.encode_options(Order::default());
        for _ in 0..rounds {
            let was_full = !at_rest.contains(&true);
            let options = ParseOptions { features: self.features.unwrap_or(ParseOptions::default().features) };
            let mut module = parse_module(&output[..], &options)?;
            let Lifted { used, .. } = lift_where(&mut module, &|id| at_rest.get(id.index()) != Some(&true), &Silent)?;
            module.features = features::used_when_lifted(&module, used, &Parallel)?;
            make_ready(&mut module);
            let next = encode_module_with(&module, &encode_options, &Parallel)?;
            if next == output {
                if was_full {
                    break;
                }
                at_rest.clear();
                continue;
            }
            at_rest = equal_bodies(&parse_module(&output[..], &options)?, &parse_module(&next[..], &options)?);
            output = next;
        }
        Ok(output)
    }

    fn encode(&self, module: &mut Module) -> Result<(Vec<u8>, Vec<FunctionId>)> {
        make_ready(module);
        // Without a pass nobody asked for anything to move.
        let order = if self.pipeline.is_empty() { Order::default() } else { order_by_use(module) };
        let functions = Indices::assign(module, &order)?.functions.order().to_vec();
        Ok((encode_module_with(module, &self.encode_options(order), &Parallel)?, functions))
    }

    fn encode_options(&self, order: Order) -> EncodeOptions {
        EncodeOptions {
            order,
            verify_emission: self.options.verify_emission,
            // A plain round trip loses nothing.
            keep_label_names: self.pipeline.is_empty(),
            ..EncodeOptions::default()
        }
    }
}

/// Makes all bodies ready for emission, which copies those that are not.
fn make_ready(module: &mut Module) {
    module.functions.as_mut_slice().par_iter_mut().for_each(|function| {
        if let Body::Lifted(func) = &mut function.body {
            emit::make_ready(func);
        }
    });
}

/// For each function, whether its body consists of the same bytes in two modules with the same functions.
fn equal_bodies(a: &Module, b: &Module) -> Vec<bool> {
    fn bytes(body: &Body) -> Option<&[u8]> {
        match body {
            Body::Lazy(body) => Some(body.bytes()),
            Body::Import | Body::Lifted(_) | Body::Detached | Body::Removed => None,
        }
    }
    a.functions.values().zip(b.functions.values()).map(|(a, b)| bytes(&a.body) == bytes(&b.body)).collect()
}

fn invalid_body(id: FunctionId, name: Option<&str>, error: &wasmparser::Error) -> Error {
    Error::input(error.message()).at(error.offset()).in_function(id.as_u32(), name)
}
