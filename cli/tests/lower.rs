//! wasmfx-lower as a process, and lowering in wasmfx-run.

use std::process::{Command, Output};

const LOWER: &str = env!("CARGO_BIN_EXE_wasmfx-lower");
const RUN: &str = env!("CARGO_BIN_EXE_wasmfx-run");
const VALIDATE: &str = env!("CARGO_BIN_EXE_wasmfx-validate");

const GENERATOR: &str = r#"(module
    (type $ft (func)) (type $ct (cont $ft)) (tag $yield (param i32))
    (func $helper (param i32) (suspend $yield (local.get 0)))
    (func $count (local $i i32)
        (loop $l (call $helper (local.get $i)) (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $l (i32.lt_u (local.get $i) (i32.const 10)))))
    (elem declare func $count)
    (func (export "sum") (result i32) (local $s i32) (local $k (ref null $ct))
        (local.set $k (cont.new $ct (ref.func $count)))
        (loop $l
            (block $on (result i32 (ref $ct)) (resume $ct (on $yield $on) (local.get $k)) (return (local.get $s)))
            (local.set $k) (local.set $s (i32.add (local.get $s))) (br $l))
        (unreachable)))"#;

fn call(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

#[track_caller]
fn succeed(program: &str, arguments: &[&str]) -> String {
    let output = call(program, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn input() -> (tempfile::TempDir, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_string();
    let (input, output) = (path("in.wat"), path("out.wasm"));
    std::fs::write(&input, GENERATOR).unwrap();
    (directory, input, output)
}

#[test]
fn every_level_and_store_gives_a_module_that_needs_no_stack_switching() {
    let (_directory, input, output) = input();
    for frames in ["auto", "memory", "gc"] {
        for level in [None, Some("-O"), Some("-O2"), Some("-Oz")] {
            let arguments = [&[&*input, "-o", &*output, "--frames", frames], level.as_slice()].concat();
            succeed(LOWER, &arguments);
            succeed(VALIDATE, &[&*output, "--disable-stack-switching"]);
            assert_eq!(succeed(RUN, &["--no-stack-switching", "--invoke", "sum", &*output]), "i32:45\n");
        }
    }
}

#[test]
fn the_output_is_the_same_for_any_number_of_threads() {
    let (_directory, input, output) = input();
    for level in ["-O2", "-Oz"] {
        let lowered = |threads| {
            succeed(LOWER, &[&*input, "-o", &*output, level, "--threads", threads]);
            std::fs::read(&output).unwrap()
        };
        assert_eq!(lowered("1"), lowered("7"), "{level}");
    }
}

#[test]
fn legacy_exceptions_are_refused_where_the_lowered_code_has_the_others() {
    let (_directory, input, output) = input();
    let legacy = |run: &str| {
        GENERATOR.replace(
            "(func (export",
            &format!("(func (export \"legacy\") (result i32) try (result i32) {run} catch_all (i32.const -1) end) (func $sum (export"),
        )
    };
    // Where nothing that was lowered has a handler, the module keeps its own.
    std::fs::write(&input, legacy("(i32.const 5)")).unwrap();
    succeed(LOWER, &[&*input, "-o", &*output, "-q"]);
    let throws =
        legacy("(call $sum)").replace("(tag $yield (param i32))", "(tag $yield (param i32)) (tag $thrown)").replace(
            "(func $count (local $i i32)",
            "(func $count (local $i i32) (if (local.get $i) (then (throw $thrown)))",
        );
    std::fs::write(&input, throws).unwrap();
    std::fs::remove_file(&output).unwrap();
    let refused = call(LOWER, &[&*input, "-o", &*output]);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{message}");
    assert!(message.contains("legacy exception handling") && message.contains("--translate-to-exnref"), "{message}");
    assert!(!std::path::Path::new(&output).exists(), "{message}");
}

#[test]
fn features_that_are_disabled_are_refused_by_name() {
    let (_directory, input, output) = input();
    for level in [None, Some("-O2")] {
        let arguments = [&[&*input, "-o", &*output, "--disable-stack-switching"], level.as_slice()].concat();
        let refused = call(LOWER, &arguments);
        let message = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{message}");
        assert!(message.contains("--enable-stack-switching"), "{message}");
        assert!(!std::path::Path::new(&output).exists(), "{message}");
    }
    let enabled = ["-mvp", "--enable-stack-switching", "--enable-multivalue", "--enable-bulk-memory"];
    succeed(LOWER, &[&[&*input, "-o", &*output], &enabled[..]].concat());
}

#[test]
fn the_shared_runtime_is_optimised_too() {
    let (_directory, _, output) = input();
    for frames in ["memory", "gc"] {
        let size = |level: &[&str]| {
            succeed(LOWER, &[&["--emit-runtime", "--frames", frames, "-o", &*output], level].concat());
            succeed(VALIDATE, &[&*output, "--disable-stack-switching"]);
            std::fs::metadata(&output).unwrap().len()
        };
        assert!(size(&["-O2"]) < size(&["-O2", "-g"]), "{frames}");
        assert!(size(&["-O2", "-g"]) < size(&[]), "{frames}");
    }
}

/// What a module that shares its runtime cannot have, and what is said of it.
const REFUSED_IF_SHARED: &[(&str, &[&str], &str)] = &[
    (
        "(tag $t (import \"env\" \"t\")) (func (export \"f\") (suspend $t))",
        &["--host-import", "env"],
        "the tag `env.t`",
    ),
    ("(func (export \"wasmfx.fast:f\"))", &[], "the export `wasmfx.fast:f`"),
    ("(global (import \"a\" \"wasmfx.tag:t\") (mut i32))", &[], "the import `wasmfx.tag:t`"),
    ("(memory 1)", &["--no-multi-memory", "--frames", "memory"], "use `--frames gc`"),
];

#[test]
fn what_a_shared_runtime_does_not_allow_is_refused_in_words() {
    let (_directory, input, output) = input();
    for (fields, options, message) in REFUSED_IF_SHARED {
        std::fs::write(&input, format!("(module {fields})")).unwrap();
        let refused = call(LOWER, &[&[&*input, "-o", &*output, "--runtime", "shared"], *options].concat());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{fields}: {said}");
        assert!(said.contains(message), "{fields}: {said}");
        // Whoever wants it may have the same module by itself.
        if !fields.contains("wasmfx.") {
            succeed(LOWER, &[&*input, "-o", &*output]);
        }
    }
}

#[test]
fn it_says_what_was_done_if_asked_to() {
    let (_directory, input, output) = input();
    let verbose = call(LOWER, &[&*input, "-o", &*output, "-v"]);
    let size = std::fs::metadata(&output).unwrap().len();
    let said = String::from_utf8(verbose.stderr).unwrap();
    assert!(said.starts_with("wasmfx-lower: ") && said.ends_with(&format!(" bytes -> {size} bytes\n")), "{said}");
    assert!(call(LOWER, &[&*input, "-o", &*output, "-q"]).stderr.is_empty());
}

#[test]
fn names_go_where_it_optimises_unless_told_otherwise() {
    let (_directory, input, output) = input();
    for (arguments, kept) in [("", true), ("-O0", true), ("-O2", false), ("-Oz", false), ("-O2 -g", true)] {
        let arguments: Vec<&str> =
            ["-S", &*input, "-o", &*output].into_iter().chain(arguments.split_terminator(' ')).collect();
        succeed(LOWER, &arguments);
        assert_eq!(std::fs::read_to_string(&output).unwrap().contains("$count"), kept, "{arguments:?}");
    }
}

#[test]
fn debug_information_of_the_input_is_not_kept() {
    let (_directory, input, output) = input();
    let custom = r#"(@custom ".debug_info" "\01") (@custom "other" "\02") (type $ft"#;
    std::fs::write(&input, GENERATOR.replacen("(type $ft", custom, 1)).unwrap();
    succeed(LOWER, &[&*input, "-o", &*output]);
    let text = wasmprinter::print_file(&output).unwrap();
    assert!(text.contains(r#""other""#) && !text.contains(".debug_info"), "{text}");
}

#[test]
fn the_list_of_features_is_that_of_what_was_made() {
    let (_directory, input, output) = input();
    let features = r#"(@custom "target_features" "\02+\0fstack-switching+\08sign-ext") (type $ft"#;
    std::fs::write(&input, GENERATOR.replacen("(type $ft", features, 1)).unwrap();
    for (arguments, added) in [("--frames=memory", ""), ("--frames=gc", "+\\0freference-types+\\02gc")] {
        succeed(LOWER, &[&*input, "-o", &*output, arguments]);
        let text = wasmprinter::print_file(&output).unwrap();
        let multi_memory = if text.contains("(memory (;1;)") { "+\\0bmultimemory" } else { "" };
        let list = text.lines().find(|line| line.contains("target_features")).unwrap();
        assert!(!list.contains("stack-switching"), "{list}");
        assert!(list.contains(&format!("+\\08sign-ext{multi_memory}{added}\"")), "{arguments}: {list}");
    }
}

#[test]
fn the_report_says_what_each_function_costs() {
    let (directory, input, _) = input();
    let report = directory.path().join("report.json");
    succeed(LOWER, &[&*input, "--report", report.to_str().unwrap()]);
    let report: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap();
    assert_eq!(report["store"], "memory");
    let functions = report["functions"].as_array().unwrap();
    let count = functions.iter().find(|function| function["name"] == "count").unwrap();
    for key in ["original_bytes", "fast_bytes", "resumable_bytes", "frame_size"] {
        assert!(count[key].as_u64().unwrap() > 0, "{count}");
    }
    assert!(report["added_bytes"].as_u64().unwrap() > 0);
    let text = succeed(LOWER, &[&*input, "--report", "-"]);
    assert!(text.contains("bytes before") && text.contains("linear memory"), "{text}");
}

#[test]
fn the_report_says_of_a_function_that_calls_the_unknown_what_it_suspends_to() {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in.wat");
    let module = r#"(module (import "other" "f" (func $f)) (func $calls (export "calls") (call $f) (call $f)))"#;
    std::fs::write(&input, module).unwrap();
    let text = succeed(LOWER, &[input.to_str().unwrap(), "--runtime", "shared", "--report", "-"]);
    assert!(text.contains("suspends to whatever an indirect call or an import suspends to"), "{text}");
}

#[test]
fn a_program_is_lowered_on_the_way_with_the_same_options() {
    let (directory, input, _) = input();
    let report = directory.path().join("report.txt");
    let arguments = ["--lower=gc", "-O2", "--report", report.to_str().unwrap(), "--invoke", "sum", &*input];
    assert_eq!(succeed(RUN, &arguments), "i32:45\n");
    assert!(std::fs::read_to_string(report).unwrap().contains("GC structs"));
    for (options, words) in [
        (&["--copies", "one"][..], "--copies says how to lower"),
        (&["--no-multi-memory", "--never-suspend", "f"], "--no-multi-memory, --never-suspend say how to lower"),
    ] {
        let output = call(RUN, &[options, &["--invoke", "sum", &*input]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(words), "{stderr}");
    }
}

#[test]
fn auto_keeps_frames_in_gc_structs_where_no_memory_can_hold_them() {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in.wat");
    std::fs::write(&input, GENERATOR.replace("(module", "(module (memory i64 1)")).unwrap();
    let text = succeed(LOWER, &[input.to_str().unwrap(), "--no-multi-memory", "--report", "-"]);
    assert!(text.contains("GC structs") && text.contains("64-bit addresses"), "{text}");
}

#[test]
fn one_standard_output_does_not_take_two_things() {
    let output = call(LOWER, &["-", "-o", "-", "--report", "-"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("both write to standard output"));
}

/// Inputs that are more than the lowering takes, and what it says.
fn too_much() -> Vec<(String, &'static str)> {
    let imports: String = (0..501).map(|n| format!("(import \"m\" \"t{n}\" (tag))")).collect();
    let suspensions: String = (0..501).map(|n| format!("(suspend {n})")).collect();
    let tags = format!("(module (type $f (func)) (type $c (cont $f)) {imports} (func {suspensions}))");
    let params = "(param i32)".repeat(1000);
    let args = "(i32.const 1)".repeat(1000);
    let bound = format!(
        "(module (type $f (func {params})) (type $c (cont $f)) (type $g (func)) (type $d (cont $g)) (tag $t)
           (func $b (type $f) (suspend $t)) (elem declare func $b)
           (func (export \"run\") (resume $d (cont.bind $c $d {args} (cont.new $c (ref.func $b))))))"
    );
    vec![
        (tags, "imported tags of one type (up to 501) may be the same tag"),
        (bound, "`cont.bind` binds 1000 arguments at once"),
    ]
}

#[test]
fn what_is_too_much_is_refused_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("in.wat");
    let out = directory.path().join("out.wasm");
    for (text, words) in too_much() {
        std::fs::write(&path, text).unwrap();
        let output = call(LOWER, &[path.to_str().unwrap(), "-o", out.to_str().unwrap(), "--frames", "memory"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(!out.exists());
    }
}
