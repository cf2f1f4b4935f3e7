//! Parsing and writing a module whose bodies nobody looks into.

use wasmfx_ir::encode::{Sequential, encode_module};
use wasmfx_ir::features;
use wasmfx_ir::module::{Body, Function, Import, Item, Module};
use wasmfx_ir::parse::{ParseOptions, parse_module};
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
