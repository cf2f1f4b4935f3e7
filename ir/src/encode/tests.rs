//! Round trips of what a module consists of besides code.

use super::{EncodeOptions, Order, Sequential, encode_module, encode_module_with};
use crate::module::{Body, CustomSection, FunctionId, GlobalId, Module, Origin, SectionPlace};
use crate::parse::{ParseOptions, parse_module};
use crate::text::{print_module, to_binary};

fn binary(text: &str) -> Vec<u8> {
    to_binary(text.as_bytes(), "test.wat").unwrap().into_owned()
}

fn parse(bytes: &[u8]) -> Module {
    parse_module(bytes, &ParseOptions::default()).unwrap()
}

fn assert_round_trip(bytes: &[u8]) {
    let written = encode_module(&parse(bytes)).unwrap();
    if written != bytes {
        assert_eq!(print_module(&written).unwrap(), print_module(bytes).unwrap());
    }
    assert_eq!(written, bytes);
}

#[test]
fn an_item_of_every_kind_survives_byte_for_byte() {
    assert_round_trip(&binary(
        r#"(module $m
            (rec (type $node (sub (struct (field $next (ref null $node)) (field (mut i8)))))
                 (type $leaf (sub final $node (struct (field (ref null $node)) (field (mut i8)) (field f64)))))
            (type $array (array (mut v128)))
            (type $f (func (param i32) (result i64)))
            (type $k (cont $f))
            (import "env" "f" (func $imported (type $f)))
            (import "env" "g" (global $base i32))
            (import "env" "t" (tag $tag (param i32)))
            (table $t 1 10 funcref)
            (table $u i64 2 (ref null $k))
            (table $v 1 (ref func) (ref.func $start))
            (memory $memory 1 2)
            (memory i64 1 2 shared)
            (memory 1 (pagesize 1))
            (tag $yield (param i32) (result f32))
            (global $g (mut i32) (i32.add (global.get $base) (i32.const 4)))
            (global (ref null $k) (ref.null $k))
            (export "b" (func $start))
            (export "a" (memory $memory))
            (export "t" (tag $yield))
            (start $start)
            (elem $e (i32.const 0) func $imported $start)
            (elem (i32.const 0) funcref (ref.func $start) (ref.null func))
            (elem declare func $start)
            (elem (table $u) (i64.const 0) (ref null $k) (ref.null $k))
            (func $start (local $x i32) (memory.init $bytes (local.get $x) (i32.const 0) (i32.const 1)))
            (data $bytes "abc")
            (data (memory 1) (i64.const 8) "def"))"#,
    ));
}

#[test]
fn names_of_every_kind_survive() {
    assert_round_trip(&binary(
        r#"(module $module
            (type $type (struct (field $field i32) (field i32) (field $other f32)))
            (import "a" "b" (func $imported (param $parameter i32)))
            (table $table 1 funcref) (memory $memory 1) (global $global i32 (i32.const 0)) (tag $tag)
            (elem $element func) (data $data "")
            (func $function (param $first i32) (param i32) (local $third f32) (block $label (br $label))))"#,
    ));
}

#[test]
fn custom_sections_stay_where_they_are() {
    assert_round_trip(&binary(
        r#"(module
            (@custom "first" (before first) "1")
            (@custom "before types" (before type) "2")
            (@custom "after types" (after type) "3")
            (type (func))
            (@custom "before code" (before code) "4")
            (@custom "after code" (after code) "5")
            (func $named (type 0))
            (@producers (language "wat" "1") (processed-by "us" "2"))
            (@custom "target_features" (after data) "\01+\04simd")
            (@custom "last" (after last) "\ff\00"))"#,
    ));
}

#[test]
fn a_name_section_keeps_its_place_among_custom_sections() {
    let mut bytes = binary("(module $m (@custom \"a\" (after last) \"x\"))");
    assert!(bytes.windows(4).position(|window| window == b"name") > bytes.windows(1).position(|window| window == b"x"));
    bytes.extend([0, 2, 1, b'z']);
    assert_round_trip(&bytes);
}

#[test]
fn unknown_name_subsections_survive() {
    // A custom section `name` with a subsection of number 99.
    assert_round_trip(b"\0asm\x01\0\0\0\x00\x0a\x04name\x63\x03abc");
}

#[test]
fn a_broken_name_section_is_no_error() {
    // A function name that claims to be longer than the section.
    let module = parse(b"\0asm\x01\0\0\0\x00\x0a\x04name\x01\x03\x01\x00\x7f");
    assert!(module.functions.is_empty());
}

#[test]
fn names_for_what_is_not_there_are_ignored() {
    let huge_index = b"\0asm\x01\0\0\0\x00\x14\x04name\x0a\x0d\x01\xff\xff\xff\xff\x0f\x01\xff\xff\xff\xff\x0f\x00";
    encode_module(&parse(huge_index)).unwrap();
}

#[test]
fn compact_imports_stay_compact() {
    let singles =
        "(import \"environment\" \"a\" (func)) (import \"environment\" \"b\" (func)) (import \"x\" \"c\" (global i32))";
    let mut module = parse(&binary(&format!("(module {singles})")));
    let plain = encode_module(&module).unwrap();
    module.has_compact_imports = true;
    let compact = encode_module(&module).unwrap();
    assert!(compact.len() < plain.len());
    assert_round_trip(&compact);
    assert_round_trip(&plain);
}

const HINTED: &str = r#"(module
    (import "a" "b" (func))
    (func $f (param i32) (local i64)
        (@metadata.code.branch_hint "\01") (if (local.get 0) (then (call $f (i32.const 1))))
        (block (@metadata.code.branch_hint "\00") (br_if 0 (local.get 0))))
    (func $g (param i32)
        (@metadata.code.branch_hint "\00") (if (local.get 0) (then (call $f (i32.const 1))))))"#;

#[test]
fn branch_hints_survive() {
    assert_round_trip(&binary(HINTED));
}

#[test]
fn branch_hints_follow_their_branches_when_a_body_is_re_encoded() {
    // A call's index in five bytes where one suffices moves what follows when it is written anew.
    let bytes = binary(HINTED);
    let mut module = parse(&bytes);
    // Two hundred imports before everything else make every function index longer.
    for _ in 0..200 {
        let mut import = module.imports[0].clone();
        let function = module.functions[FunctionId::from_u32(0)].clone();
        import.item = crate::module::Item::Function(module.functions.push(function));
        module.imports.insert(0, import);
    }
    let longer = parse(&encode_module(&module).unwrap());
    let hints = |module: &Module| -> Vec<(Vec<u8>, bool)> {
        module
            .functions
            .values()
            .filter_map(|function| if let Body::Lazy(body) = &function.body { Some(body) } else { None })
            .flat_map(|body| {
                body.branch_hints
                    .iter()
                    .map(|&(at, taken)| (body.bytes()[at as usize..at as usize + 2].to_vec(), taken))
            })
            .collect()
    };
    assert_eq!(hints(&longer), hints(&parse(&bytes)));
    assert_eq!(hints(&longer).len(), 3);
}

#[test]
fn an_explicit_order_moves_definitions_and_what_refers_to_them() {
    let module = parse(&binary(
        "(module (global $a i32 (i32.const 1)) (global $b i32 (i32.const 2))
            (func $f (result i32) (global.get $b)) (func $g (result i32) (call $f)) (export \"g\" (func $g)))",
    ));
    let order = Order {
        functions: vec![FunctionId::from_u32(1)],
        globals: vec![GlobalId::from_u32(1), GlobalId::from_u32(0)],
        ..Order::default()
    };
    let bytes = encode_module_with(&module, &EncodeOptions { order, ..EncodeOptions::default() }, &Sequential).unwrap();
    let text = print_module(&bytes).unwrap();
    assert!(text.find("$b").unwrap() < text.find("$a").unwrap(), "{text}");
    assert!(text.find("func $g").unwrap() < text.find("func $f").unwrap(), "{text}");
    assert!(text.contains("global.get $b") && text.contains("call $f") && text.contains("(func $g)"), "{text}");
}

#[test]
fn a_reference_to_something_removed_is_a_loud_error_that_names_the_function() {
    let mut module = parse(&binary("(module (func $callee) (func $caller (call $callee)))"));
    module.functions[FunctionId::from_u32(0)].body = Body::Removed;
    let error = encode_module(&module).unwrap_err().to_string();
    assert!(error.contains("$caller") && error.contains("func0") && error.starts_with("internal error"), "{error}");
}

#[test]
fn removed_items_leave_no_trace() {
    let mut module = parse(&binary("(module (memory 1) (global i32 (i32.const 0)) (func) (data \"x\"))"));
    module.globals[GlobalId::from_u32(0)].origin = Origin::Removed;
    module.data.values_mut().next().unwrap().removed = true;
    module.functions[FunctionId::from_u32(0)].body = Body::Removed;
    let module = parse(&encode_module(&module).unwrap());
    assert!(module.globals.is_empty() && module.data.is_empty() && module.functions.is_empty());
    assert_eq!(module.memories.len(), 1);
}

#[test]
fn an_invalid_body_is_the_inputs_fault_and_names_its_function() {
    let bytes = binary("(module (func) (func $wrong (result i32) i64.const 0))");
    let error = encode_module(&parse(&bytes)).unwrap_err().to_string();
    assert!(error.contains("$wrong") && error.contains("type mismatch") && !error.contains("internal"), "{error}");
}

#[test]
fn a_feature_that_is_off_is_refused_in_bodies_too() {
    let bytes = binary("(module (func (result i32) (i32.extend8_s (i32.const 0))))");
    let features = crate::features::supported() - wasmparser::WasmFeatures::SIGN_EXTENSION;
    let module = parse_module(bytes, &ParseOptions { features }).unwrap();
    let error = encode_module(&module).unwrap_err();
    assert_eq!(error.missing_feature(), Some(wasmparser::WasmFeatures::SIGN_EXTENSION), "{error}");
}

#[test]
fn custom_sections_can_be_added_anywhere() {
    let mut module = parse(&binary("(module (func))"));
    for (name, place) in [("end", SectionPlace::Data), ("start", SectionPlace::Start)] {
        module.custom_sections.push(CustomSection { name: name.into(), contents: vec![1, 2, 3].into(), place });
    }
    let module = parse(&encode_module(&module).unwrap());
    let names: Vec<_> = module.custom_sections.iter().map(|section| section.name.as_str()).collect();
    assert_eq!(names, ["start", "end"]);
}

#[test]
fn annotations_of_functions_stay_and_those_of_places_go_with_the_old_bytes() {
    // Of function 1 itself and of a place in it; it takes fewer bytes when it is written anew.
    let text = r#"(module (func) (func (result i32) (local i32 i32) (block (nop)) (i32.const 1))
        (@custom "metadata.code.inline" (before code) "\01\01\02\00\01x\03\01y"))"#;
    let annotations = |module: &Module| {
        let bytes = encode_module(module).unwrap();
        let name = b"metadata.code.inline";
        let at = bytes.windows(name.len()).position(|window| window == name)? + name.len();
        Some(bytes[at..at + 6].to_vec())
    };
    let mut module = parse(&binary(text));
    assert_eq!(annotations(&module).unwrap(), [1, 1, 2, 0, 1, b'x']);
    let function = module.functions.values_mut().last().unwrap();
    let Body::Lazy(body) = &function.body else { panic!("it was just read") };
    function.body = Body::Lifted(Box::new(crate::lift::lift_body(body, function.ty, &[]).unwrap()));
    assert_eq!(annotations(&module).unwrap(), [1, 1, 1, 0, 1, b'x']);
    module.functions[FunctionId::from_u32(1)].body = Body::Removed;
    assert_eq!(annotations(&module), None);
}

/// A module with most sections, for damaging.
fn rich_module() -> Vec<u8> {
    binary(
        r#"(module $m (type $f (func (param i32))) (type $k (cont $f)) (type $n (func)) (type $r (cont $n))
            (import "a" "b" (func (type $f))) (table 2 funcref) (memory 1) (tag $t (param i32)) (global i32 (i32.const 7)) (export "f" (func $g)) (start $s)
            (elem (i32.const 0) $g) (elem declare func $g)
            (func $g (param $x i32) (local f64)
                (block $l (result i32 (ref $r)) (resume $k (on $t 0) (local.get 0) (cont.new $k (ref.func $g))) return)
                drop drop
                (@metadata.code.branch_hint "\01") (if (local.get 0) (then (br_table 0 0 (i32.const 1)))))
            (func $s) (data (i32.const 0) "abc") (@custom "c" "xyz"))"#,
    )
}

fn survive(bytes: &[u8]) {
    // Accepted or refused, both are fine.
    if let Ok(module) = parse_module(bytes, &ParseOptions::default()) {
        let _ = encode_module(&module);
        let _ = crate::features::used(&module, &Sequential);
    }
}

#[test]
fn truncated_modules_never_panic() {
    let bytes = rich_module();
    encode_module(&parse(&bytes)).unwrap();
    (0..bytes.len()).for_each(|len| survive(&bytes[..len]));
}

#[test]
fn modules_with_flipped_bits_never_panic() {
    let bytes = rich_module();
    for position in 8..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1 << bit;
            survive(&damaged);
        }
        // Counts and sizes at their largest.
        for huge in [0x7f, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[position] = huge;
            survive(&damaged);
            damaged.splice(position..=position, [0xff, 0xff, 0xff, 0xff, 0x0f]);
            survive(&damaged);
        }
    }
}

/// Lifts all bodies and writes the module with the features that it uses.
fn through_ssa_form(text: &str) -> Module {
    let mut module = parse(&binary(text));
    module.features = crate::features::used(&module, &Sequential).unwrap();
    for function in module.functions.values_mut() {
        if let Body::Lazy(body) = &function.body {
            let mut func = crate::lift::lift_body(body, function.ty, &function.local_names).unwrap();
            func.original = None;
            function.body = Body::Lifted(Box::new(func));
        }
    }
    let written = encode_module(&module).unwrap();
    let mut written = parse(&written);
    written.features = crate::features::used(&written, &Sequential).unwrap();
    assert!(module.features.contains(written.features), "{:?} -> {:?}", module.features, written.features);
    written
}

#[test]
fn blocks_get_no_several_results_where_the_input_has_none() {
    // Two values flow to the end of the outer block on two edges each.
    let text = "(module (func (param i32 i32 i32) (result i32) (local i32 i32)
        (block
            (block (br_if 0 (local.get 0))
                (local.set 3 (i32.div_u (local.get 1) (local.get 2))) (local.set 4 (i32.div_u (local.get 2) (local.get 1)))
                (br 1))
            (local.set 3 (i32.rem_u (local.get 1) (local.get 2))) (local.set 4 (i32.rem_u (local.get 2) (local.get 1))))
        (i32.sub (local.get 3) (local.get 4))))";
    assert_eq!(through_ssa_form(text).types.definitions.len(), 1);
}

#[test]
fn a_type_that_only_blocks_need_is_added_once() {
    let body = "(block (result i32 f64) (i32.const 1) (f64.const 2) (br_if 0 (local.get 0)) (drop) (drop) (i32.const 3) (f64.const 4)) (drop)";
    let module = through_ssa_form(&format!(
        "(module (func (param i32) (result i32) {body}) (func (param i32) (result i32) {body}) (func (result i32 i32) unreachable))"
    ));
    let count = module.types.definitions.len();
    assert!(count <= 3, "{count} types");
}

/// Lifts the last body, and checks that the least length that lifting found is none that the bytes undercut when they are written anew.
fn assert_least_length(bytes: &[u8]) {
    let module = parse(bytes);
    let indices = super::Indices::assign(&module, &Order::default()).unwrap();
    let function = module.functions.values().last().unwrap();
    let Body::Lazy(body) = &function.body else { panic!("it was just read") };
    let original = crate::lift::lift_body(body, function.ty, &[]).unwrap().original.unwrap();
    let within = |limit| super::body::reencode_within(&original, &indices, false, limit).map(|(bytes, _)| bytes.len());
    let length = within(usize::MAX).unwrap();
    assert_eq!(within(length), Some(length));
    assert_eq!(within(length - 1), None);
}

#[test]
fn bytes_that_are_no_longer_than_what_is_emitted_are_written_again() {
    let callees: String = (0..200).map(|number| format!("(func $f{number})")).collect();
    let calls: String = (0..200).map(|number| format!("(call $f{number})")).collect();
    let numbers = [0, 63, 64, -64, -65, 8191, 8192, i32::MAX, i32::MIN];
    let constants: String = numbers
        .iter()
        .map(|number| {
            format!(
                "(drop (i32.const {number})) (drop (i64.const {number})) (drop (i32.load offset={} (i32.const 0)))",
                number & 0xffff
            )
        })
        .collect();
    assert_least_length(&binary(&format!(
        "(module (memory 1) (memory 1) (table 1 funcref) (global $g (mut f64) (f64.const 0)) {callees}
            (func (param i32) (local f64) (local i32 i64 i32 i64) {calls} {constants}
                (block (loop (br_table 0 1 0 1 (local.get 0))))
                (drop (block (result i32) (local.get 2)))
                (drop (i32.load 1 (i32.const 0))) (global.set $g (f64.const 1)) (drop (f32.const 1))
                (call_indirect (i32.const 0)) (drop (memory.grow (i32.const 1))) (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))))"
    )));
    // Numbers that take more bytes than they must: i32.const 5 and -1, an offset, the index of a function and of a local.
    let padded = [
        &[0x41, 0x85, 0x00, 0x41, 0xff, 0x7f, 0x28, 0x02, 0x84, 0x00, 0x1a][..],
        &[0x1a, 0x10, 0x80, 0x80, 0x00, 0x20, 0x80, 0x00, 0x1a, 0x0b],
    ];
    let mut types = wasm_encoder::TypeSection::new();
    types.ty().function([], []);
    let mut functions = wasm_encoder::FunctionSection::new();
    functions.function(0);
    let mut memories = wasm_encoder::MemorySection::new();
    memories.memory(wasm_encoder::MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut body = wasm_encoder::Function::new([(1, wasm_encoder::ValType::I32)]);
    body.raw(padded.concat());
    let mut code = wasm_encoder::CodeSection::new();
    code.function(&body);
    let mut module = wasm_encoder::Module::new();
    module.section(&types).section(&functions).section(&memories).section(&code);
    assert_least_length(&module.finish());
}
