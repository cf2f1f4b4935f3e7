use super::{ExportConflicts, Input, MergeOptions, Merged, Pattern, merge};
use wasmfx_ir::encode::{Sequential, encode_module};
use wasmfx_ir::module::{CustomContents, CustomSection};
use wasmfx_ir::parse::ParseOptions;
use wasmfx_ir::text::{print_module, read_module};
use wasmfx_ir::wasmparser::WasmFeatures;
use wasmfx_ir::{Module, features};

fn input(name: &str, text: &str) -> Input {
    input_with(ParseOptions::default().features, name, text)
}

fn input_with(features: WasmFeatures, name: &str, text: &str) -> Input {
    let module = read_module(text.as_bytes(), name, &ParseOptions { features }).unwrap();
    Input { name: name.into(), module }
}

/// Merges modules that may use these features only.
fn try_merge_with(features: WasmFeatures, inputs: &[(&str, &str)], options: &MergeOptions) -> Result<Module, String> {
    let inputs = inputs.iter().map(|(name, text)| input_with(features, name, text)).collect();
    merge(inputs, options).map(|merged| merged.module).map_err(|error| error.to_string())
}

fn try_merge(inputs: &[(&str, &str)], options: &MergeOptions) -> Result<Merged, String> {
    let inputs = inputs.iter().map(|(name, text)| input(name, text)).collect();
    merge(inputs, options).map_err(|error| error.to_string())
}

/// Merges and returns the text of the result, which is valid.
fn merged(inputs: &[(&str, &str)]) -> String {
    text_of(&try_merge(inputs, &MergeOptions::default()).unwrap().module)
}

fn text_of(module: &Module) -> String {
    print_module(&encode_module(module).unwrap()).unwrap()
}

fn refused(inputs: &[(&str, &str)]) -> String {
    try_merge(inputs, &MergeOptions::default()).unwrap_err()
}

#[test]
fn imports_of_every_kind_become_what_is_exported() {
    let text = merged(&[
        (
            "a",
            r#"(module
                (import "b" "f" (func (param i32) (result i32))) (import "b" "t" (table 1 funcref)) (import "b" "m" (memory 1))
                (import "b" "g" (global i32)) (import "b" "e" (tag (param i64)))
                (func (export "use") (result i32)
                    (drop (table.size 0)) (drop (memory.size)) (drop (global.get 0))
                    (if (i32.const 0) (then (throw 0 (i64.const 1))))
                    (call 0 (i32.const 1))))"#,
        ),
        (
            "b",
            r#"(module
                (func $f (export "f") (param i32) (result i32) (local.get 0)) (table $t (export "t") 2 funcref)
                (memory $m (export "m") 1) (global $g (export "g") i32 (i32.const 1)) (tag $e (export "e") (param i64)))"#,
        ),
    ]);
    assert!(!text.contains("(import"), "{text}");
    for use_of in ["table.size $t", "memory.size", "global.get $g", "throw $e", "call $f"] {
        assert!(text.contains(use_of), "{use_of} in {text}");
    }
}

#[test]
fn modules_may_import_from_each_other() {
    let text = merged(&[
        ("a", r#"(module (import "b" "g" (func $g)) (func $f (export "f") (call $g)))"#),
        ("b", r#"(module (import "a" "f" (func $f)) (func $g (export "g") (call $f)))"#),
    ]);
    assert!(!text.contains("(import") && text.contains("call $f") && text.contains("call $g"), "{text}");
}

#[test]
fn an_import_that_is_exported_again_leads_to_the_definition() {
    let text = merged(&[
        ("a", r#"(module (import "b" "f" (func $f)) (func (export "run") (call $f)))"#),
        ("b", r#"(module (import "c" "f" (func $f)) (export "f" (func $f)))"#),
        ("c", r#"(module (func $real (export "f")))"#),
    ]);
    // Both 'b' and 'c' export "f", and it is the same function.
    assert!(text.contains("call $real") && text.matches("(export \"f\"").count() == 1, "{text}");
}

const NARROW: (&str, &str) = (
    "c",
    r#"(module
        (type $s (sub (func (result anyref)))) (type $t (sub final $s (func (result (ref i31)))))
        (memory (export "m") 2 3) (table (export "t") 10 20 funcref)
        (func (export "f") (type $t) (ref.i31 (i32.const 5))) (global (export "g") (ref i31) (ref.i31 (i32.const 7))))"#,
);

/// Imports from `c` with wide types, and exports what it imports.
const WIDE: (&str, &str) = (
    "b",
    r#"(module
        (type $s (sub (func (result anyref))))
        (import "c" "m" (memory 1)) (import "c" "t" (table 1 funcref))
        (import "c" "f" (func $f (type $s))) (import "c" "g" (global $g anyref))
        (export "m" (memory 0)) (export "t" (table 0)) (export "f" (func $f)) (export "g" (global $g)))"#,
);

#[test]
fn an_import_that_is_exported_again_has_the_type_of_the_definition() {
    let user = r#"(module
        (type $s (sub (func (result anyref)))) (type $t (sub final $s (func (result (ref i31)))))
        (import "b" "m" (memory 2 3)) (import "b" "t" (table 10 20 funcref))
        (import "b" "f" (func $f (type $t))) (import "b" "g" (global $g (ref i31)))
        (func (export "run") (result i32 i32) (i31.get_u (call $f)) (i31.get_u (global.get $g))))"#;
    for inputs in [[NARROW, WIDE, ("a", user)], [("a", user), WIDE, NARROW]] {
        let text = merged(&inputs);
        assert!(!text.contains("(import"), "{text}");
    }
    let error = refused(&[NARROW, WIDE, ("a", r#"(module (import "b" "m" (memory 3)))"#)]);
    let expected = "'a' imports the memory \"b\" \"m\", which is \"c\" \"m\": wanted is a memory of size 3 or more, exported is a memory of size 2 to 3";
    assert_eq!(error, expected);
    // What stays imported is known by that import's type only.
    let error = refused(&[WIDE, ("a", r#"(module (import "b" "m" (memory 2)))"#)]);
    assert!(error.contains("exported is a memory of size 1 or more"), "{error}");
}

#[test]
fn pages_of_the_usual_size_may_be_written_out() {
    let explicit =
        r#"(module (import "env" "x" (memory 1 (pagesize 0x10000))) (memory (export "m") 1 (pagesize 0x10000)))"#;
    let text =
        merged(&[("a", r#"(module (import "b" "m" (memory 1)) (import "env" "x" (memory 1)))"#), ("b", explicit)]);
    assert_eq!(text.matches("(import").count(), 1, "{text}");
    merged(&[
        ("a", r#"(module (import "b" "m" (memory 1 (pagesize 0x10000))))"#),
        ("b", r#"(module (memory (export "m") 1))"#),
    ]);
    let error = refused(&[("a", r#"(module (import "b" "m" (memory 1 (pagesize 1))))"#), ("b", explicit)]);
    let expected = "wanted is a (1-byte pages) memory of size 1 or more, exported is a memory of size 1 or more";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn imports_in_a_circle_are_refused() {
    let error = refused(&[
        ("a", r#"(module (import "b" "f" (func)) (export "f" (func 0)))"#),
        ("b", r#"(module (import "a" "f" (func)) (export "f" (func 0)))"#),
    ]);
    assert!(error.contains("circle") && error.contains("'a' imports") && error.contains("'b' imports"), "{error}");
    let error = refused(&[("a", r#"(module (import "a" "f" (func)) (export "f" (func 0)))"#)]);
    assert!(error.contains("circle"), "{error}");
    // One who only leads there is no part of it.
    let error = refused(&[
        ("c", r#"(module (import "a" "f" (func)))"#),
        ("a", r#"(module (import "b" "f" (func)) (export "f" (func 0)))"#),
        ("b", r#"(module (import "a" "f" (func)) (export "f" (func 0)))"#),
    ]);
    assert!(error.starts_with("imports go round in a circle") && !error.contains("'c' imports"), "{error}");
}

#[test]
fn all_mismatches_are_reported_at_once_with_both_types() {
    let error = refused(&[
        (
            "a",
            r#"(module
                (import "b" "f" (func (param i32))) (import "b" "m" (memory 2)) (import "b" "t" (table 1 2 funcref))
                (import "b" "g" (global (mut i32))) (import "b" "e" (tag (param i32))) (import "b" "kind" (func)))"#,
        ),
        (
            "b",
            r#"(module
                (func (export "f") (param i64) (result f32) (f32.const 0)) (memory (export "m") 1) (table (export "t") 1 funcref)
                (global (export "g") i32 (i32.const 0)) (tag (export "e") (param i32) (result i32))
                (global (export "kind") i32 (i32.const 0)))"#,
        ),
    ]);
    assert!(error.starts_with("6 problems"), "{error}");
    for part in [
        "'a' imports the function \"b\" \"f\": wanted is (func (param i32)), exported is (func (param i64) (result f32))",
        "wanted is a memory of size 2 or more, exported is a memory of size 1 or more",
        "wanted is a table of funcref of size 1 to 2, exported is a table of funcref of size 1 or more",
        "wanted is a mutable global of type i32, exported is an immutable global of type i32",
        "wanted is a tag of (func (param i32)), exported is a tag of (func (param i32) (result i32))",
        "the export is a global, not a function",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
}

#[test]
fn types_match_by_structure_continuations_and_recursion_groups_included() {
    let types = "(rec (type $list (struct (field i32) (field (ref null $list)) (field (ref null $k))))
            (type $f (func (param (ref null $list)) (result (ref null $k)))) (type $k (cont $f)))";
    let exporter = format!(
        "(module (type $unrelated (func (param f64))) {types}
            (func $id (export \"f\") (type $f) (unreachable)) (tag $t (export \"t\") (param (ref $k)) (result (ref $list)))
            (global $g (export \"g\") (ref null $k) (ref.null $k)))"
    );
    let importer = format!(
        "(module {types} (import \"b\" \"f\" (func $f (type $f))) (import \"b\" \"t\" (tag (param (ref $k)) (result (ref $list))))
            (import \"b\" \"g\" (global (ref null $k)))
            (func (export \"use\") (param (ref null $list)) (result (ref null $k)) (call $f (local.get 0))))"
    );
    let text = merged(&[("a", &importer), ("b", &exporter)]);
    assert_eq!(text.matches("(struct").count(), 1, "the recursion groups are one: {text}");
    // The same types, defined by themselves, are different ones.
    let alone = "(module (type $f (func)) (type $k (cont $f)) (tag (export \"t\") (param (ref $k))))";
    let together = "(module (rec (type $f (func)) (type $k (cont $f))) (import \"b\" \"t\" (tag (param (ref $k)))))";
    assert!(refused(&[("a", together), ("b", alone)]).contains("wanted is a tag"));
}

#[test]
fn types_that_read_the_same_are_told_apart_in_words() {
    let mismatch = |wanted: &str, exported: &str| {
        refused(&[
            ("a", &format!("(module {wanted} (import \"b\" \"f\" (func (result (ref null $c)))))")),
            ("b", &format!("(module {exported} (func (export \"f\") (result (ref null $c)) (unreachable)))")),
        ])
    };
    let alone = "(type $f (func (param i32))) (type $c (cont $f))";
    let together = "(rec (type $f (func (param i32))) (type $c (cont $f)))";
    let error = mismatch(alone, together);
    assert!(
        error.contains(
            "wanted is (func (result (ref null $c))), exported is (func (result (ref null $c))); \
             the $c that is wanted is (cont (func (param i32))), \
             the $c that is exported is (cont (func (param i32)) (number 1 of 2 types that are defined together)) \
             (number 2 of 2 types that are defined together)"
        ),
        "{error}"
    );
    let error = mismatch(alone, "(type $f (sub (func (param i32)))) (type $c (cont $f))");
    assert!(error.contains("the $f that is wanted is final, the $f that is exported may have subtypes"), "{error}");
    let error = mismatch("(type $base (sub (func))) (type $c (sub final $base (func)))", "(type $c (func))");
    assert!(error.contains("the $c that is wanted has a supertype, the $c that is exported has none"), "{error}");
    let error =
        mismatch("(rec (type $c (func)) (type $rest (struct)))", "(rec (type $c (func)) (type $rest (array i8)))");
    assert!(error.contains("the $rest that is wanted is (struct )"), "{error}");
}

#[test]
fn a_function_of_a_subtype_satisfies_an_import() {
    let types = "(type $base (sub (func (result anyref)))) (type $derived (sub $base (func (result eqref))))";
    let exporter = format!("(module {types} (func (export \"f\") (type $derived) (ref.null eq)))");
    let importer = format!("(module {types} (import \"b\" \"f\" (func (type $base))))");
    merged(&[("a", &importer), ("b", &exporter)]);
    let exporter = format!("(module {types} (func (export \"f\") (type $base) (ref.null eq)))");
    let importer = format!("(module {types} (import \"b\" \"f\" (func (type $derived))))");
    refused(&[("a", &importer), ("b", &exporter)]);
}

#[test]
fn what_both_import_from_outside_is_imported_once() {
    let text = merged(&[
        (
            "a",
            r#"(module (import "env" "f" (func $x (param i32))) (import "env" "m" (memory 1 9)) (func (call $x (i32.const 1))))"#,
        ),
        (
            "b",
            r#"(module (import "env" "m" (memory 2 10)) (import "env" "f" (func $y (param i32))) (func (call $y (i32.const 2))))"#,
        ),
    ]);
    assert_eq!(text.matches("(import").count(), 2, "{text}");
    assert!(text.contains("2 9)") && text.matches("call $x").count() == 2, "{text}");
    let text = merged(&[
        ("a", r#"(module (import "env" "f" (func (param i32))))"#),
        ("b", r#"(module (import "env" "f" (func (param i64))))"#),
    ]);
    assert_eq!(text.matches("(import").count(), 2, "{text}");
}

#[test]
fn a_missing_export_stays_an_import_with_a_warning() {
    let merged =
        try_merge(&[("a", r#"(module (import "b" "missing" (func)))"#), ("b", "(module)")], &MergeOptions::default())
            .unwrap();
    assert_eq!(merged.module.imports.len(), 1);
    assert!(merged.warnings[0].contains("'b' does not export"), "{:?}", merged.warnings);
}

#[test]
fn start_functions_run_in_the_order_of_the_inputs() {
    let text = merged(&[
        ("a", r#"(module (func $first) (start $first))"#),
        ("b", r#"(module (func))"#),
        ("c", r#"(module (import "a" "x" (func $x)) (func $second) (start $second))"#),
    ]);
    let start = &text[text.find("(func $start").unwrap()..];
    assert!(start.find("call $first").unwrap() < start.find("call $second").unwrap(), "{text}");
    assert!(text.contains("(start $start)"), "{text}");
    // A single one stays what it is.
    assert!(merged(&[("a", "(module)"), ("b", "(module (func $only) (start $only))")]).contains("(start $only)"));
}

#[test]
fn a_start_function_may_be_imported_from_another_input() {
    let text = merged(&[
        ("a", r#"(module (import "b" "f" (func $f)) (start $f))"#),
        ("b", r#"(module (func $real (export "f")) (func $own) (start $own))"#),
    ]);
    let start = &text[text.find("(func $start").unwrap()..];
    assert!(start.find("call $real").unwrap() < start.find("call $own").unwrap(), "{text}");
}

const CONFLICT: [(&str, &str); 3] = [
    ("a", r#"(module (func $a (export "f")) (func (export "f_1")))"#),
    ("b", r#"(module (func $b (export "f")))"#),
    ("c", r#"(module (import "b" "f" (func $imported)) (func (export "g") (call $imported)))"#),
];

#[test]
fn exports_of_the_same_name_are_refused_unless_told_otherwise() {
    let error = refused(&CONFLICT);
    assert!(error.contains("'a' and 'b' both export \"f\"") && error.contains("--rename-export-conflicts"), "{error}");
    let options = MergeOptions { export_conflicts: ExportConflicts::Rename, ..Default::default() };
    let text = text_of(&try_merge(&CONFLICT, &options).unwrap().module);
    assert!(text.contains(r#"(export "f" (func $a))"#) && text.contains(r#"(export "f_2" (func $b))"#), "{text}");
}

#[test]
fn a_skipped_export_still_satisfies_imports() {
    let options = MergeOptions { export_conflicts: ExportConflicts::Skip, ..Default::default() };
    let text = text_of(&try_merge(&CONFLICT, &options).unwrap().module);
    assert_eq!(text.matches("(export \"f\"").count(), 1, "{text}");
    assert!(text.contains("call $b"), "{text}");
}

#[test]
fn only_the_exports_that_are_wanted_are_kept_and_references_stay_valid() {
    let options =
        MergeOptions { keep_exports: vec!["run".parse().unwrap(), "mem*".parse().unwrap()], ..Default::default() };
    let module = r#"(module
        (memory (export "memory") 1) (func $f (export "f")) (func (export "run") (result funcref) (ref.func $f)))"#;
    // `ref.func $f` is valid because `$f` is exported; now it has to be declared.
    let text = text_of(&try_merge(&[("a", module)], &options).unwrap().module);
    assert!(!text.contains("(export \"f\"") && text.contains("(export \"memory\""), "{text}");
    assert!(text.contains("declare func $f"), "{text}");
}

const TAKES_REFERENCE: &str = r#"(module
    (table 1 funcref) (func $f (export "f") (export "again")) (func (export "run") (table.set (i32.const 0) (ref.func $f))))"#;

#[test]
fn references_stay_valid_without_bulk_memory() {
    let features = WasmFeatures::MVP | WasmFeatures::REFERENCE_TYPES;
    let options = MergeOptions { keep_exports: vec!["run".parse().unwrap()], ..Default::default() };
    let text = text_of(&try_merge_with(features, &[("a", TAKES_REFERENCE)], &options).unwrap());
    assert!(text.contains("funcref ref.func $f") && !text.contains("(elem"), "{text}");
}

#[test]
fn what_another_export_declares_is_not_declared_again() {
    let options = MergeOptions { keep_exports: vec!["again".parse().unwrap()], ..Default::default() };
    let text = text_of(&try_merge(&[("a", TAKES_REFERENCE)], &options).unwrap().module);
    assert!(!text.contains("(elem"), "{text}");
}

#[test]
fn a_pattern_that_no_export_matches_is_warned_about() {
    let keep_exports = vec!["f".parse().unwrap(), "nope*".parse().unwrap()];
    let options = MergeOptions { keep_exports, ..Default::default() };
    let warnings = try_merge(&[("a", TAKES_REFERENCE), ("b", "(module)")], &options).unwrap().warnings;
    assert_eq!(warnings, ["no module has an export to keep that matches \"nope*\""]);
}

#[test]
fn several_memories_and_tables_are_refused_where_they_are_not_enabled() {
    let module = "(module (memory 1) (table 1 funcref))";
    let inputs = [("a", module), ("b", "(module)"), ("c", module)];
    let merge_with = |features| try_merge_with(WasmFeatures::MVP | features, &inputs, &MergeOptions::default());
    let error = merge_with(WasmFeatures::empty()).unwrap_err();
    assert!(error.starts_with("2 problems"), "{error}");
    for part in [
        "2 memories (of 'a', 'c'), which needs the feature 'multimemory'",
        "--enable-multimemory",
        "2 tables (of 'a', 'c'), which needs the feature 'reference-types'",
        "--enable-reference-types",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
    text_of(&merge_with(WasmFeatures::MULTI_MEMORY | WasmFeatures::REFERENCE_TYPES).unwrap());
    // What is shared is one.
    let importer = r#"(module (import "b" "m" (memory 1)) (import "b" "t" (table 1 funcref)))"#;
    let exporter = r#"(module (memory (export "m") 1) (table (export "t") 1 funcref))"#;
    let inputs = [("a", importer), ("b", exporter)];
    text_of(&try_merge_with(WasmFeatures::MVP, &inputs, &MergeOptions::default()).unwrap());
}

#[test]
fn patterns_match_whole_names() {
    let matches = |pattern: &str, name: &str| pattern.parse::<Pattern>().unwrap().matches(name);
    assert!(matches("abc", "abc") && !matches("abc", "abcd") && !matches("bc", "abc"));
    assert!(matches("*", "") && matches("a*c", "abbc") && matches("a*b*c", "aXbYbc") && !matches("a*d", "abc"));
    assert!(matches("?b", "ab") && !matches("?b", "b") && matches("*ä?", "xäö"));
}

#[test]
fn values_of_imported_globals_replace_them_in_constant_expressions() {
    let merged = try_merge(
        &[
            (
                "a",
                r#"(module
                    (import "b" "base" (global $base i32)) (import "b" "f" (global $f funcref))
                    (memory 1) (table 3 funcref)
                    (global $copy i32 (global.get $base)) (global $g funcref (global.get $f))
                    (data (global.get $base) "x") (elem (offset (global.get $base)) funcref (global.get $f)))"#,
            ),
            (
                "b",
                r#"(module (func $real) (global (export "base") i32 (i32.const 1)) (global (export "f") funcref (ref.func $real)))"#,
            ),
        ],
        &MergeOptions::default(),
    )
    .unwrap();
    let text = text_of(&merged.module);
    assert!(!text.contains("global.get"), "{text}");
    let used = features::used(&merged.module, &Sequential).unwrap();
    assert!(!used.contains(WasmFeatures::GC), "merging needs no feature that the inputs did not: {used:?}");
}

#[test]
fn long_values_are_read_from_their_global_only_with_garbage_collection() {
    let sum = (0..5).fold("(i32.const 1)".to_string(), |sum, _| format!("(i32.add (i32.const 1) {sum})"));
    let exporter = format!(r#"(module (global $g (export "g") i32 {sum}))"#);
    let importer = r#"(module
        (import "b" "g" (global $g i32)) (memory 1) (global $h i32 (global.get $g)) (data (offset (global.get $g)) "x"))"#;
    let inputs = [("a", importer), ("b", &exporter)];
    let features = WasmFeatures::MVP | WasmFeatures::EXTENDED_CONST;
    let text = text_of(&try_merge_with(features, &inputs, &MergeOptions::default()).unwrap());
    assert!(!text.contains("global.get"), "{text}");
    let text = merged(&inputs);
    assert_eq!(text.matches("global.get $g").count(), 2, "{text}");
}

#[test]
fn values_that_double_with_each_step_are_refused_without_garbage_collection() {
    let imports: String = (0..40).map(|step| format!(r#"(import "a" "{step}" (global $i{step} i32))"#)).collect();
    let sums: String = (0..40)
        .map(|step| {
            let next = step + 1;
            format!(r#"(global (export "{next}") i32 (i32.add (global.get $i{step}) (global.get $i{step})))"#)
        })
        .collect();
    let module = format!(r#"(module {imports} (global (export "0") i32 (i32.const 1)) {sums})"#);
    let features = WasmFeatures::MVP | WasmFeatures::EXTENDED_CONST;
    let error = try_merge_with(features, &[("a", &module)], &MergeOptions::default()).unwrap_err();
    assert!(error.contains("--enable-gc"), "{error}");
    merged(&[("a", &module)]);
}

#[test]
fn globals_whose_objects_have_identity_are_ordered_instead_of_repeated() {
    let text = merged(&[
        (
            "a",
            r#"(module (type $s (struct)) (import "b" "object" (global $o (ref $s))) (global $copy (ref $s) (global.get $o)))"#,
        ),
        ("b", r#"(module (type $s (struct)) (global $object (export "object") (ref $s) (struct.new $s)))"#),
    ]);
    assert_eq!(text.matches("struct.new").count(), 1, "{text}");
    assert!(text.find("(global $object").unwrap() < text.find("(global $copy").unwrap(), "{text}");
}

#[test]
fn globals_that_depend_on_each_other_in_a_circle_are_refused() {
    let error = refused(&[
        ("a", r#"(module (import "b" "y" (global $y i32)) (global (export "x") i32 (global.get $y)))"#),
        ("b", r#"(module (import "a" "x" (global $x i32)) (global (export "y") i32 (global.get $x)))"#),
    ]);
    assert!(error.contains("depends on itself"), "{error}");
}

#[test]
fn segments_and_names_of_all_inputs_are_kept() {
    let text = merged(&[
        (
            "a",
            r#"(module $first (memory $ma 1) (table $ta 1 funcref) (func $fa (local $l i32)) (elem $ea (i32.const 0) $fa) (data $da (i32.const 0) "a"))"#,
        ),
        (
            "b",
            r#"(module $second (memory $mb 1) (table $tb 1 funcref) (func $fb (param $p i32)) (elem $eb (i32.const 0) $fb) (data $db (i32.const 0) "b"))"#,
        ),
    ]);
    for name in
        ["$first", "$ma", "$mb", "$ta", "$tb", "$fa", "$fb", "$ea", "$eb", "$da", "$db", "(param $p", "(local $l"]
    {
        assert!(text.contains(name), "{name} in {text}");
    }
    assert!(text.contains("(memory $mb) (i32.const 0)") && text.contains("(table $tb) (i32.const 0)"), "{text}");
}

#[test]
fn debug_information_is_left_out_with_a_warning() {
    let inputs = [
        ("a", r#"(module (@custom ".debug_info" "1") (@custom "x" "1"))"#),
        ("b", r#"(module (@custom "sourceMappingURL" "\01u"))"#),
    ];
    let merged = try_merge(&inputs, &MergeOptions::default()).unwrap();
    let names: Vec<&str> = merged.module.custom_sections.iter().map(|section| &*section.name).collect();
    assert_eq!(names, ["x"]);
    for name in ["'a'", "'b'"] {
        assert!(merged.warnings.iter().any(|warning| warning.contains("debug information") && warning.contains(name)));
    }
}

#[test]
fn custom_sections_are_kept_and_producers_united() {
    let merged = try_merge(
        &[
            ("a", r#"(module (@custom "x" "1") (@producers (language "C" "1") (processed-by "clang" "2")))"#),
            ("b", r#"(module (@custom "x" "2") (@producers (language "Rust" "3") (processed-by "clang" "2")))"#),
        ],
        &MergeOptions::default(),
    )
    .unwrap();
    let sections = &merged.module.custom_sections;
    let contents: Vec<&[u8]> = sections
        .iter()
        .filter(|section| section.name == "x")
        .map(|section| match &section.contents {
            CustomContents::Bytes(bytes) => &bytes[..],
            CustomContents::Annotations(_) => panic!("nothing is known of it"),
        })
        .collect();
    assert_eq!(contents, [b"1", b"2"]);
    let producers: Vec<&CustomSection> = sections.iter().filter(|section| section.name == "producers").collect();
    assert_eq!(producers.len(), 1);
    let text = text_of(&merged.module);
    assert!(text.contains("\"C\"") && text.contains("\"Rust\"") && text.matches("clang").count() == 1, "{text}");
}

#[test]
fn annotations_of_functions_follow_them() {
    // Each of the module's second function.
    let module = |word: &str| {
        format!(
            r#"(module (func) (func $annotated) (@custom "binaryen.idempotent" (before code) "\01\01\01\00\01{word}"))"#
        )
    };
    let merged = try_merge(&[("a", &module("x")), ("b", &module("y"))], &MergeOptions::default()).unwrap();
    let bytes = encode_module(&merged.module).unwrap();
    let expected = b"binaryen.idempotent\x02\x01\x01\x00\x01x\x03\x01\x00\x01y";
    assert!(bytes.windows(expected.len()).any(|window| window == expected), "{}", text_of(&merged.module));
}

#[test]
fn two_modules_of_the_same_name_are_refused() {
    assert!(refused(&[("a", "(module)"), ("a", "(module)")]).contains("two modules are called 'a'"));
}

#[test]
fn a_merged_module_can_be_merged_again() {
    let first = try_merge(
        &[
            ("a", r#"(module (import "b" "f" (func $f)) (import "c" "h" (func $h)) (func (export "g") (call $f) (call $h)))"#),
            ("b", r#"(module (func $f (export "f")))"#),
        ],
        &MergeOptions::default(),
    )
    .unwrap();
    let second = Input { name: "ab".into(), module: first.module };
    let other = input("c", r#"(module (import "ab" "f" (func $f)) (func $h (export "h") (call $f)))"#);
    let text = text_of(&merge(vec![second, other], &MergeOptions::default()).unwrap().module);
    assert!(!text.contains("(import") && text.contains("call $h") && text.matches("call $f").count() == 2, "{text}");
}
