//! Lifts and emits every function of modules, validates each new body, and compares sizes.
//!
//!     cargo run --release -p wasmfx-ir --example emission -- [--worst N] [--dump FUNCTION] [-o OUT] [--verify] [--off STEP]… FILE…

use std::time::{Duration, Instant};
use wasm_encoder::reencode::RoundtripReencoder;
use wasmfx_ir::check::check_emission;
use wasmfx_ir::emit::{EmittedBlockType, Options, emit_with};
use wasmfx_ir::entity::Entity;
use wasmfx_ir::lift::Lifter;
use wasmfx_ir::module::{Body, Module};
use wasmfx_ir::parse::{ParseOptions, parse_module};
use wasmparser::{BinaryReader, CompositeInnerType, FuncToValidate, FunctionBody, Parser, Payload};

fn main() {
    let mut options = Options::default();
    let mut verify = false;
    let (mut files, mut worst, mut dump, mut out, mut only) = (Vec::new(), 0usize, None, None, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match &*arg {
            "--worst" => worst = args.next().and_then(|n| n.parse().ok()).expect("--worst takes a number"),
            "--dump" => dump = args.next().and_then(|n| n.parse::<u32>().ok()),
            "--only" => only = args.next().and_then(|n| n.parse::<u32>().ok()),
            "-o" => out = args.next(),
            "--verify" => verify = true,
            "--off" => options.switch_off(&args.next().expect("--off takes the name of a step")),
            "--nesting" => options.nesting_limit = args.next().and_then(|n| n.parse().ok()).expect("a number"),
            _ => files.push(arg),
        }
    }
    for file in files {
        let bytes = std::fs::read(&file).expect("the file can be read");
        let bytes = if bytes.starts_with(b"\0asm") {
            bytes
        } else {
            wat::parse_bytes(&bytes).expect("text parses").into_owned()
        };
        let report = Report { worst, dump, out: out.as_deref(), only, verify };
        run(&file, &bytes, &options, &report);
    }
}

fn function_type(module: &Module, ty: &EmittedBlockType) -> Option<u32> {
    module.types.definitions.iter().find_map(|(id, definition)| match &definition.sub_type.composite_type.inner {
        CompositeInnerType::Func(func) if *func.params() == *ty.params && *func.results() == *ty.results => {
            Some(id.as_u32())
        }
        _ => None,
    })
}

/// What to say of a module.
struct Report<'a> {
    /// How many of the functions that grew most are listed.
    worst: usize,
    /// The function whose code is printed.
    dump: Option<u32>,
    /// Where the emitted module is written.
    out: Option<&'a str>,
    /// The only function that is emitted.
    only: Option<u32>,
    /// Whether the symbolic checker runs.
    verify: bool,
}

fn run(file: &str, bytes: &[u8], options: &Options, report: &Report<'_>) {
    let &Report { worst, dump, out, only, verify } = report;
    let module = parse_module(bytes.to_vec(), &ParseOptions::default()).expect("the module parses");
    let mut lifter = Lifter::new();
    let mut unproved = 0u32;
    let (mut before, mut after, mut failures, mut skipped) = (0usize, 0usize, 0, 0);
    let mut emitting = Duration::ZERO;
    let mut lifting = Duration::ZERO;
    let mut differences = Vec::new();
    let mut bodies = Vec::new();
    for (id, function) in module.functions.iter() {
        let Body::Lazy(body) = &function.body else { continue };
        if only.is_some() && only != Some(id.as_u32()) {
            continue;
        }
        let start = Instant::now();
        let lifted = lifter.lift(body, function.ty, &[]);
        lifting += start.elapsed();
        let mut func = match lifted {
            Ok(func) => func,
            Err(error) => {
                skipped += 1;
                if dump.is_some() {
                    eprintln!("{id}: {error}")
                }
                bodies.push(body.bytes().to_vec());
                continue;
            }
        };
        if dump == Some(id.as_u32()) {
            println!("{func}");
        }
        let start = Instant::now();
        let emitted = emit_with(&mut func, &module, options);
        if verify && let Err(error) = check_emission(&func, &emitted, &module) {
            println!("{file}: {id}: {error}");
            unproved += 1;
        }
        let mut is_missing = false;
        let encoded = emitted
            .encode(&func.operators, &mut RoundtripReencoder, |ty| {
                function_type(&module, ty).unwrap_or_else(|| {
                    is_missing = true;
                    0
                })
            })
            .expect("nothing is renumbered");
        emitting += start.elapsed();
        if is_missing {
            skipped += 1;
            bodies.push(body.bytes().to_vec());
            continue;
        }
        let reader = FunctionBody::new(BinaryReader::new_features(&encoded.bytes, 0, body.source.features));
        let resources = body.source.resources.clone();
        let ty = resources_type(&resources, body.index);
        let to_validate = FuncToValidate { resources, index: body.index, ty, features: body.source.features };
        if let Err(error) = to_validate.into_validator(Default::default()).validate(&reader) {
            failures += 1;
            if failures <= 10 {
                println!("{file}: {id}: {error}");
            }
        }
        if dump == Some(id.as_u32()) {
            println!("--- before");
            print_operators(body.bytes());
            println!("--- after");
            print_operators(&encoded.bytes);
        }
        before += body.bytes().len();
        after += encoded.bytes.len();
        differences.push((encoded.bytes.len() as i64 - body.bytes().len() as i64, id.index(), body.bytes().len()));
        bodies.push(encoded.bytes);
    }
    let percent = (after as f64 / before as f64 - 1.0) * 100.0;
    let lost: i64 = differences.iter().map(|&(difference, ..)| difference.max(0)).sum();
    println!(
        "{file}: {before} -> {after} ({percent:+.2} %), lost {lost} in {}, failures {failures}, skipped {skipped}, lift {lifting:.2?}, emit {emitting:.2?} ({:.3} s/MB)",
        differences.iter().filter(|&&(difference, ..)| difference > 0).count(),
        emitting.as_secs_f64() / (before as f64 / 1e6),
    );
    differences.sort_by_key(|&(difference, id, _)| (-difference, id));
    for (difference, id, size) in differences.iter().take(worst) {
        println!("  func{id}: {difference:+} of {size}");
    }
    differences.sort_by_key(|&(difference, id, size)| (-(difference * 10000) / (size as i64 + 40), id));
    for (difference, id, size) in differences.iter().take(worst) {
        println!("  relative func{id}: {difference:+} of {size}");
    }
    if verify {
        println!("{file}: {unproved} bodies could not be proved");
    }
    if let Some(out) = out {
        std::fs::write(out, splice(bytes, &bodies)).expect("the output can be written");
    }
}

fn resources_type(resources: &wasmparser::ValidatorResources, index: u32) -> u32 {
    use wasmparser::WasmModuleResources;
    resources.type_index_of_function(index).expect("the function exists")
}

fn print_operators(bytes: &[u8]) {
    let body = FunctionBody::new(BinaryReader::new(bytes, 0));
    for local in body.get_locals_reader().unwrap() {
        println!("{:?}", local.unwrap());
    }
    let mut depth = 1usize;
    for operator in body.get_operators_reader().unwrap() {
        let operator = operator.unwrap();
        use wasmparser::Operator::*;
        if matches!(operator, End | Else) {
            depth -= 1;
        }
        println!("{:indent$}{operator:?}", "", indent = depth * 2);
        if matches!(operator, Block { .. } | Loop { .. } | If { .. } | Else | TryTable { .. }) {
            depth += 1;
        }
    }
}

/// The module with other bodies.
fn splice(bytes: &[u8], bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut module = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.expect("the module parses");
        if let Payload::CodeSectionStart { .. } = payload {
            let mut code = wasm_encoder::CodeSection::new();
            bodies.iter().for_each(|body| {
                code.raw(body);
            });
            module.section(&code);
        } else if let Some((id, range)) = payload.as_section() {
            let range = range.start as usize..range.end as usize;
            module.section(&wasm_encoder::RawSection { id, data: &bytes[range] });
        }
    }
    module.finish()
}
