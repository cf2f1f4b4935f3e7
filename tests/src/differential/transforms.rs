//! The transformations that programs are compared under: one row each, and one for each pass of the optimiser.

use crate::reemit::reemit_with_walrus;
use anyhow::{Context, Result, anyhow};
use wasmfx::lowering::{Frames, lower_binary};
use wasmfx::optimize::optimizer_of;
use wasmfx_ir::encode::{EncodeOptions, encode_module, encode_module_with};
use wasmfx_ir::parse::{ParseOptions, parse_module};
use wasmfx_passes::lower::{self, Copies, lower_module};
use wasmfx_passes::optimizer::Optimizer;
use wasmfx_passes::options::{Level, Options};
use wasmfx_passes::parallel::Parallel;
use wasmfx_passes::pass_table::{self, PASSES};
use wasmfx_passes::pipeline::Pipeline;

/// The names of those that every case and fixture can go through: each level, and each way of lowering.
pub const EVERYTHING: &[&str] = &[
    "opt:O0",
    "opt:O1",
    "opt:O2",
    "opt:O3",
    "opt:O4",
    "opt:Os",
    "opt:Oz",
    "lower:memory:proved",
    "lower:memory:O2",
    "lower:memory:one-copy",
    "lower:memory:two-copies",
    "lower:memory-in-memory-0",
    "lower:gc:proved",
    "lower:gc:one-copy",
    "lower:gc:O2",
];

/// A transformation.
pub struct Transform {
    pub name: String,
    pub help: String,
    /// Whether the output may use stack switching; if not, it is validated and run with stack switching off.
    pub stack_switching: bool,
    /// Whether the output keeps things of its own in the program's memory, behind what the program has there.
    pub shares_memory: bool,
    apply: Box<Apply>,
}

type Apply = dyn Fn(&[u8]) -> Result<Vec<u8>> + Send + Sync;

impl Transform {
    fn new(
        name: impl Into<String>,
        help: impl Into<String>,
        apply: impl Fn(&[u8]) -> Result<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        Transform {
            name: name.into(),
            help: help.into(),
            stack_switching: true,
            shares_memory: false,
            apply: Box::new(apply),
        }
    }

    /// What it makes of a module.
    ///
    /// # Errors
    /// If the module cannot be transformed.
    pub fn apply(&self, wasm: &[u8]) -> Result<Vec<u8>> {
        (self.apply)(wasm)
    }
}

/// All of them.
pub fn all() -> Vec<Transform> {
    let mut rows = vec![
        Transform::new("identity", "nothing", |wasm| Ok(wasm.to_vec())),
        Transform::new("text", "print as text and read that again", |wasm| {
            let text = wasmprinter::print_bytes(wasm).context("cannot print")?;
            wat::parse_str(text).context("cannot read what was printed")
        }),
        Transform::new("write", "parse and write, without a look into bodies", |wasm| {
            let module = parse_module(wasm, &ParseOptions::default())?;
            Ok(encode_module(&module)?)
        }),
    ];
    for level in Level::NAMES {
        rows.push(Transform::new(format!("opt:O{level}"), format!("wasmfx-opt -O{level}"), move |wasm| {
            optimize_at_level(wasm, level)
        }));
    }
    for level in ["2", "s"] {
        let (name, help) = (format!("opt:O{level}:closed-world"), format!("wasmfx-opt -O{level} --closed-world"));
        rows.push(Transform::new(name, help, move |wasm| {
            optimize(wasm, level, Options { closed_world: true, ..proved_options() })
        }));
    }
    for (name, frames, multi_memory) in
        [("memory", Frames::Memory, true), ("memory-in-memory-0", Frames::Memory, false), ("gc", Frames::Gc, true)]
    {
        // Made anew each time, so that the closures can be copied.
        let options = move || lower::Options { store: frames.into(), multi_memory, ..lower::Options::default() };
        let lower = move |wasm: &[u8]| Ok(lower_binary(wasm, &options())?.0);
        let lower_to = move |copies, wasm: &[u8]| Ok(lower_binary(wasm, &lower::Options { copies, ..options() })?.0);
        let lower_proved = move |copies, wasm: &[u8]| {
            let mut module = parse_module(wasm, &ParseOptions::default())?;
            lower_module(&mut module, &lower::Options { copies, ..options() })?;
            let proved = EncodeOptions { verify_emission: true, ..EncodeOptions::default() };
            Ok(encode_module_with(&module, &proved, &Parallel)?)
        };
        let help = format!("wasmfx-lower, frames: {name}");
        let mut add = |suffix: &str, besides: &str, apply: Box<Apply>| {
            let (name, help) = (format!("lower:{name}{suffix}"), format!("{help}{besides}"));
            let row = Transform::new(name, help, apply);
            rows.push(Transform { stack_switching: false, shares_memory: !multi_memory, ..row });
        };
        add("", "", Box::new(lower));
        add(":proved", ", each emitted body proved", Box::new(move |wasm| lower_proved(Copies::Auto, wasm)));
        add(":one-copy", ", functions are their own resumable copy", Box::new(move |wasm| lower_to(Copies::One, wasm)));
        add(
            ":one-copy:proved",
            ", functions are their own resumable copy, each emitted body proved",
            Box::new(move |wasm| lower_proved(Copies::One, wasm)),
        );
        add(":two-copies", ", each function has a resumable copy", Box::new(move |wasm| lower_to(Copies::Two, wasm)));
        add(":O2-before", ", -O2 before", Box::new(move |wasm| lower(&optimize_at_level(wasm, "2")?)));
        add(":O2-after", ", -O2 after", Box::new(move |wasm| optimize(&lower(wasm)?, "2", Options::default())));
        for level in ["2", "z"] {
            add(
                &format!(":O{level}"),
                &format!(", -O{level} before and after"),
                Box::new(move |wasm| optimize(&lower(&optimize_at_level(wasm, level)?)?, level, Options::default())),
            );
        }
        add(
            ":walrus",
            ", read and written by walrus where it keeps the types of imports",
            Box::new(move |wasm| {
                let lowered = lower(wasm)?;
                if has_recursion_group(&lowered)? { Ok(lowered) } else { reemit_with_walrus(&lowered) }
            }),
        );
    }
    for pass in PASSES {
        rows.push(Transform::new(format!("pass:{}", pass.name), pass.help, |wasm| {
            optimize_by_passes(wasm, &[pass.name])
        }));
    }
    rows
}

/// Whether some types are defined together. walrus 0.28 takes a type for the equal one in such a group, which to an engine is another, and the
/// host's functions then do not link.
fn has_recursion_group(wasm: &[u8]) -> Result<bool> {
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        if let wasmparser::Payload::TypeSection(types) = payload? {
            for group in types {
                if group?.is_explicit_rec_group() {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// The transformation of that name.
pub fn find(name: &str) -> Option<Transform> {
    all().into_iter().find(|transform| transform.name == name)
}

/// The usual options, and each emitted body is proved.
fn proved_options() -> Options {
    Options { verify_emission: true, ..Options::default() }
}

/// What `wasmfx-opt -OLEVEL` makes of a module; each emitted body is proved.
///
/// # Errors
/// If there is no such level, the module is not valid, or a body cannot be proved.
pub fn optimize_at_level(wasm: &[u8], level: &str) -> Result<Vec<u8>> {
    optimize(wasm, level, proved_options())
}

fn optimize(wasm: &[u8], level: &str, options: Options) -> Result<Vec<u8>> {
    let level = Level::from_name(level).with_context(|| format!("there is no level -O{level}"))?;
    let optimizer = optimizer_of(options.at_level(level));
    let unnamed = if optimizer.pipeline.is_empty() { Some(without_label_names(wasm)?) } else { None };
    Ok(optimizer.run(unnamed.as_deref().unwrap_or(wasm))?.bytes)
}

/// A module whose labels have no names: a plain round trip leaves bodies that have some as they are, and what is tested is what it does to others.
fn without_label_names(wasm: &[u8]) -> Result<Vec<u8>> {
    let mut module = parse_module(wasm, &ParseOptions::default())?;
    module.functions.values_mut().for_each(|function| function.label_names.clear());
    Ok(encode_module(&module)?)
}

/// What the passes of these names make of a module, in that order.
///
/// # Errors
/// If there is no such pass, the module is not valid, or a body cannot be proved.
pub fn optimize_by_passes(wasm: &[u8], names: &[&str]) -> Result<Vec<u8>> {
    let options = proved_options();
    let mut pipeline = Pipeline::default();
    for name in names {
        let pass = pass_table::find(name).ok_or_else(|| anyhow!("there is no pass `{name}`"))?;
        pipeline.push(pass, &options);
    }
    Ok(Optimizer { pipeline, options, ..Optimizer::default() }.run(wasm)?.bytes)
}
