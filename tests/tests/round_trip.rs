//! Parsing and writing a module whose bodies nobody looks into.

use wasmfx_ir::encode::{EncodeOptions, Sequential, encode_module, encode_module_with};
use wasmfx_ir::features;
use wasmfx_ir::module::{Body, Function, Import, Item, Module};
use wasmfx_ir::parse::{ParseOptions, parse_module};
use wasmfx_passes::optimizer::lift_all;
use wasmfx_passes::parallel::Parallel;
use wasmfx_tests::modules;
use wasmparser::Validator;

fn parse(bytes: &[u8]) -> Module {
    parse_module(bytes, &ParseOptions::default()).unwrap()
}

fn round_trip(bytes: &[u8]) -> Vec<u8> {
    encode_module(&parse(bytes)).unwrap()
}

#[test]
fn every_valid_module_survives_and_a_second_round_trip_changes_nothing() {
    let modules = modules::valid_modules(features::supported());
    assert!(modules.len() > 3000, "only {} modules", modules.len());
    for module in modules {
        let parsed = parse_module(&module.bytes[..], &ParseOptions::default())
            .unwrap_or_else(|error| panic!("{}: {error}", module.name));
        let once = encode_module(&parsed).unwrap_or_else(|error| panic!("{}: {error}", module.name));
        assert_eq!(round_trip(&once), once, "{}", module.name);
        assert!(once.len() <= module.bytes.len(), "{}: {} -> {}", module.name, module.bytes.len(), once.len());
    }
}

#[test]
fn no_module_of_the_corpus_grows() {
    for module in modules::corpus() {
        let written = round_trip(&module.bytes);
        println!("{}: {} -> {}", module.name, module.bytes.len(), written.len());
        assert!(written.len() <= module.bytes.len(), "{}", module.name);
    }
}

#[test]
fn the_features_that_a_module_uses_are_all_that_it_needs() {
    for module in modules::valid_modules(features::supported()).into_iter().chain(modules::corpus()) {
        let used = features::used(&parse(&module.bytes), &Sequential).unwrap();
        let written = round_trip(&module.bytes);
        Validator::new_with_features(used)
            .validate_all(&written)
            .unwrap_or_else(|error| panic!("{}: {error} with {used:?}", module.name));
    }
}

/// Through SSA form and back.
fn lifted_round_trip(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut module = parse(bytes);
    lift_all(&mut module).unwrap_or_else(|error| panic!("{name}: {error}"));
    let options = EncodeOptions::default();
    encode_module_with(&module, &options, &Parallel).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_valid_module_survives_ssa_form_and_does_not_grow() {
    for module in modules::valid_modules(features::supported()) {
        let once = lifted_round_trip(&module.name, &module.bytes);
        assert!(once.len() <= module.bytes.len(), "{}: {} -> {}", module.name, module.bytes.len(), once.len());
        let twice = lifted_round_trip(&module.name, &once);
        assert!(twice.len() <= once.len(), "{}: {} -> {}", module.name, once.len(), twice.len());
    }
}

#[test]
fn a_second_round_trip_through_ssa_form_changes_next_to_nothing_in_the_corpus() {
    for module in modules::corpus() {
        let once = lifted_round_trip(&module.name, &module.bytes);
        let twice = lifted_round_trip(&module.name, &once);
        println!("{}: {} -> {} -> {}", module.name, module.bytes.len(), once.len(), twice.len());
        assert!(once.len() <= module.bytes.len(), "{}", module.name);
        // What little it changes, it improves.
        assert!(twice.len() <= once.len(), "{}: {} -> {}", module.name, once.len(), twice.len());
        assert!(once.len() - twice.len() <= once.len() / 200, "{}: {} -> {}", module.name, once.len(), twice.len());
    }
}

/// Puts an unused import before all others of its kind, so that every function index moves and every body is re-encoded.
fn shift_functions(module: &mut Module) {
    let ty = module.functions.values().next().unwrap().ty;
    let id = module.functions.push(Function {
        ty,
        body: Body::Import,
        name: None,
        local_names: Vec::new(),
        label_names: Vec::new(),
        exact: false,
    });
    let item = Item::Function(id);
    module.imports.insert(0, Import { module: "m".into(), name: "f".into(), item });
}

#[test]
fn every_body_can_be_re_encoded_where_indices_move() {
    for module in modules::valid_modules(features::supported()).into_iter().chain(modules::corpus()) {
        let mut parsed = parse(&module.bytes);
        if parsed.functions.is_empty() {
            continue;
        }
        shift_functions(&mut parsed);
        encode_module(&parsed).unwrap_or_else(|error| panic!("{}: {error}", module.name));
    }
}
