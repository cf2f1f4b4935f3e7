//! What the fuzz targets do with their input. `tests/fuzz` hands it bytes that a fuzzer chose, `tests/tests/fuzz.rs` random ones for a second.
//!
//! A target panics if something is wrong with the toolchain, and returns if something is wrong with the input.

pub mod execution;
pub mod mutate;

use crate::abstract_run;
use arbitrary::{Arbitrary, Unstructured};
use wasmfx::input_output::Input;
use wasmfx::lowering::{Frames, LoweringArguments, lower_binary};
use wasmfx::validate::diagnose;
use wasmfx_ir::encode::encode_module;
use wasmfx_ir::error::ErrorKind;
use wasmfx_ir::features;
use wasmfx_ir::lift::{Error, Lifter};
use wasmfx_ir::module::{Body, Module};
use wasmfx_ir::parse::{ParseOptions, parse_module};
use wasmfx_ir::subtype::Subtyping;
use wasmfx_ir::text::{print_module, to_binary};
use wasmfx_ir::verify::verify_func;
use wasmfx_passes::merge::{self, ExportConflicts, MergeOptions};
use wasmfx_passes::optimizer::Optimizer;
use wasmfx_passes::options::{Level, Options};
use wasmfx_passes::pipeline::Pipeline;
use wasmparser::Validator;

/// Makes a valid module out of arbitrary bytes, with every proposal that wasm-smith knows and we accept.
pub fn smith_module(data: &[u8]) -> Option<Vec<u8>> {
    smith(data).map(|module| module.to_bytes())
}

/// Like [`smith_module`]; every function of it is exported and ends soon.
pub fn smith_program(data: &[u8]) -> Option<Vec<u8>> {
    let mut module = smith(data)?;
    module.ensure_termination(1000).ok()?;
    Some(module.to_bytes())
}

fn smith(data: &[u8]) -> Option<wasm_smith::Module> {
    let mut input = Unstructured::new(data);
    let mut config = wasm_smith::Config::arbitrary(&mut input).ok()?;
    config.export_everything = true;
    config.gc_enabled = true;
    config.reference_types_enabled = true;
    config.exceptions_enabled = true;
    config.tail_call_enabled = true;
    config.simd_enabled = true;
    config.multi_value_enabled = true;
    config.bulk_memory_enabled = true;
    config.custom_descriptors_enabled = false;
    config.shared_everything_threads_enabled = false;
    config.acquire_release_atomics_enabled = false;
    config.multibyte_array_access_enabled = false;
    config.allow_invalid_funcs = false;
    config.max_funcs = config.max_funcs.min(20);
    config.max_instructions = 300;
    config.max_memories = config.max_memories.min(2);
    config.max_table_elements = 1000;
    wasm_smith::Module::new(config, &mut input).ok()
}

fn is_valid(bytes: &[u8]) -> bool {
    Validator::new_with_features(features::supported()).validate_all(bytes).is_ok()
}

/// Lifts every body, and checks what the verifier checks.
///
/// # Panics
/// If the module is valid and a body is refused, or if the verifier finds something.
pub fn lift_and_verify(module: &mut Module) {
    let mut lifter = Lifter::new();
    for function in module.functions.values_mut() {
        let Body::Lazy(body) = &function.body else { continue };
        match lifter.lift(body, function.ty, &function.local_names) {
            Ok(func) => {
                abstract_run::assert_same(body, &func, 5);
                function.body = Body::Lifted(Box::new(func));
            }
            Err(Error::Opaque(_)) => {}
            Err(Error::Invalid(error)) => panic!("a body of a valid module: {error}"),
        }
    }
    let subtyping = Subtyping::new(&module.types);
    for (id, function) in module.functions.iter() {
        if let Body::Lifted(func) = &function.body
            && let Err(error) = verify_func(module, &subtyping, func)
        {
            panic!("{id}: {error}\n{func}");
        }
    }
}

/// Reads anything: an error or a module, whose bodies lift if they are valid.
///
/// # Panics
/// If the toolchain and the validator are not of one opinion, or on a mistake of the toolchain.
pub fn parse(data: &[u8]) {
    let parsed = parse_module(data, &ParseOptions::default());
    match parsed {
        // Components are refused, valid or not; bodies are validated when they are lifted.
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Input, "{error}");
            assert!(!is_valid(data) || error.message().contains("component"), "refused a valid module: {error}");
        }
        Ok(mut module) if is_valid(data) => lift_and_verify(&mut module),
        Ok(module) => {
            let mut lifter = Lifter::new();
            let bodies = module.functions.values().filter_map(|function| match &function.body {
                Body::Lazy(body) => Some((body, function.ty)),
                _ => None,
            });
            let all_lift = bodies
                .fold(true, |all, (body, ty)| !matches!(lifter.lift(body, ty, &[]), Err(Error::Invalid(_))) && all);
            assert!(!all_lift, "every body of an invalid module lifts");
        }
    }
}

/// Writes what it reads, untouched and through the IR: both are valid, and reading and writing them again changes nothing.
///
/// # Panics
/// On a mistake of the toolchain.
pub fn round_trip(data: &[u8]) {
    if !is_valid(data) {
        return;
    }
    let parse = |bytes: &[u8]| parse_module(bytes, &ParseOptions::default()).expect("a valid module is read");
    let write = |module: &Module| encode_module(module).unwrap_or_else(|error| panic!("{error}"));
    let once = write(&parse(data));
    assert_eq!(write(&parse(&once)), once, "a second round trip of untouched bodies changes the bytes");
    let mut lifted = parse(data);
    lift_and_verify(&mut lifted);
    let once = write(&lifted);
    let mut lifted = parse(&once);
    lift_and_verify(&mut lifted);
    write(&lifted);
}

/// Optimises a module at a level that depends on its bytes: the output is valid, and its bodies lift.
///
/// # Panics
/// On a mistake of the toolchain.
pub fn optimize(data: &[u8]) {
    if !is_valid(data) {
        return;
    }
    let checksum = data.iter().fold(0usize, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let level = Level::NAMES[checksum % Level::NAMES.len()];
    let output = optimized(data, level).unwrap_or_else(|error| panic!("-O{level}: {error}"));
    let mut module = parse_module(&output[..], &ParseOptions::default()).expect("the output is valid");
    lift_and_verify(&mut module);
}

/// A module after the passes of a level.
///
/// # Errors
/// If the module is not valid, or if the toolchain broke it.
pub fn optimized(data: &[u8], level: &str) -> Result<Vec<u8>, wasmfx_ir::Error> {
    let options = Options { verify_passes: true, verify_emission: true, ..Options::default() };
    let options = options.at_level(Level::from_name(level).expect("a level"));
    let optimizer = Optimizer { pipeline: Pipeline::for_level(&options), options, ..Optimizer::default() };
    optimizer.run(data).map(|outcome| outcome.bytes)
}

/// Everything that a program does with an input, binary or text: an error in words, or a valid output.
///
/// # Panics
/// On a mistake of the toolchain.
pub fn all_programs(data: &[u8]) {
    let Ok(input) = Input::from_bytes("input", None, data.to_vec()) else { return };
    let diagnostics: Vec<String> = diagnose(&input, features::supported()).iter().map(ToString::to_string).collect();
    let Ok(binary) = input.to_binary() else {
        assert!(!diagnostics.is_empty(), "what cannot be assembled is diagnosed");
        return;
    };
    let valid = is_valid(&binary);
    assert_eq!(diagnostics.is_empty(), valid, "the validators agree: {diagnostics:?}");
    if let Err(error) = optimized(&binary, "2") {
        assert!(!valid && error.kind() == ErrorKind::Input, "-O2: {error}");
    }
    merge_with_itself(&binary, valid);
    for frames in [Frames::Memory, Frames::Gc] {
        let options = LoweringArguments { frames, ..LoweringArguments::default() }.options();
        if let Err(error) = lower_binary(&binary, &options) {
            let error = format!("{error:#}");
            assert!(!error.contains("internal error"), "lowering: {error}");
        }
    }
    match print_module(&binary) {
        Ok(text) if valid => {
            let again = to_binary(text.as_bytes(), "printed").unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert!(is_valid(&again), "what is printed is as valid as the input:\n{text}");
        }
        Err(error) if valid => panic!("a valid module cannot be printed: {error}"),
        _ => {}
    }
}

fn merge_with_itself(binary: &[u8], valid: bool) {
    let input = |name: &str| {
        let module = parse_module(binary, &ParseOptions::default()).ok()?;
        Some(merge::Input { name: name.to_string(), module })
    };
    let (Some(a), Some(b)) = (input("a"), input("b")) else { return };
    let options = MergeOptions { export_conflicts: ExportConflicts::Rename, ..MergeOptions::default() };
    let Ok(merged) = merge::merge(vec![a, b], &options) else { return };
    if let Err(error) = encode_module(&merged.module) {
        assert!(!valid && error.kind() == ErrorKind::Input, "merge: {error}");
    }
}
