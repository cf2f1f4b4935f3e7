//! `wasmfx-opt` as a process: what a command line prints, writes and exits with.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const OPT: &str = env!("CARGO_BIN_EXE_wasmfx-opt");

/// A function with something to fold, and one that is not exported.
const MODULE: &str = r#"(module
    (func $unused (nop))
    (func $f (export "f") (param $x i32) (result i32)
      (i32.add (local.get $x) (i32.add (i32.const 1) (i32.const 2)))))"#;

/// A command line, run in a folder of its own in which `in.wat`, `in.wasm` and `broken.wasm` lie.
struct Run {
    folder: tempfile::TempDir,
    output: Output,
}

impl Run {
    fn new(arguments: &str, input: Option<&[u8]>) -> Run {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        let binary = wat::parse_str(MODULE).unwrap();
        write("in.wat", MODULE.as_bytes());
        write("broken.wasm", &binary[..binary.len() - 3]);
        write("invalid.wat", b"(module (func $bad (result i32)))");
        write("intrinsics.wat", b"(module (import \"binaryen-intrinsics\" \"call.without.effects\" (func)))");
        write("in.wasm", &binary);
        write("old.wasm", b"old");
        let mut child = Command::new(OPT)
            .args(arguments.split_whitespace())
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A program that reads nothing closes the pipe; that is what the exit code is about.
        let _ = stdin.write_all(input.unwrap_or_default());
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        Run { folder, output }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.path(name)).ok()
    }

    fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }
}

#[track_caller]
fn run(arguments: &str, exit_code: i32) -> Run {
    let run = Run::new(arguments, None);
    assert_eq!(run.output.status.code(), Some(exit_code), "{arguments}\n{}{}", run.stdout(), run.stderr());
    run
}

/// Command lines that make no sense, and what the message must say: exit code 2, and nothing is written.
const USAGE_ERRORS: &[(&str, &str)] = &[
    ("in.wasm -O2", "nothing to do: give an output with -o"),
    ("in.wasm -ism in.map -o out.wasm", "has no counterpart here"),
    ("in.wasm --inlinign -o out.wasm", "--inlining"),
    ("in.wasm --symbolmap=x -o out.wasm", "has no counterpart here"),
    ("in.wasm -O2 --print -o -", "'-o -' writes the module to standard output"),
    ("in.wasm -O2 --metrics -o -", "'-o -' writes the module to standard output"),
    ("in.wasm --optimize-level=7 -o out.wasm", "0..=4"),
    ("in.wasm --asyncify -o out.wasm", "wasmfx-lower"),
    ("in.wasm --enable-smid -o out.wasm", "--enable-simd"),
    ("in.wasm -O7 -o out.wasm", "possible values: 0, 1, 2, 3, 4, s, z"),
    ("in.wasm -O2 --skip-pass inlinign -o out.wasm", "did you mean 'inlining'?"),
    ("in.wasm -O2 --pass-arg inlining-alway-size@3 -o out.wasm", "did you mean 'inlining-always-size'?"),
    ("in.wasm -O2 --pass-arg inlining-always-size -o out.wasm", "is not of the form NAME@VALUE"),
    ("in.wasm -O2 --pass-arg inlining-always-size@x -o out.wasm", "'x' is not a number"),
    ("in.wasm -O2 --threads many -o out.wasm", "--threads"),
    ("in.wasm other.wasm -o out.wasm", "other.wasm"),
];

#[test]
fn senseless_command_lines_are_usage_errors_that_help() {
    for &(arguments, message) in USAGE_ERRORS {
        let run = run(arguments, 2);
        assert!(run.stderr().contains(message), "{arguments}\n{}", run.stderr());
        assert!(run.read("out.wasm").is_none(), "{arguments} wrote something");
    }
}

/// Inputs that cannot be processed: exit code 1, the file that was there stays.
const ERRORS: &[(&str, &str)] = &[
    ("missing.wasm -O2 -o old.wasm", "missing.wasm"),
    ("broken.wasm -O2 -o old.wasm", "broken.wasm"),
    ("invalid.wat -O2 -o old.wasm", "type mismatch"),
    ("in.wasm -O2 -o nowhere/out.wasm", "nowhere"),
    // Standard input, which is empty.
    ("-O2 -o old.wasm", "<stdin>: is empty"),
    ("intrinsics.wat -O2 --intrinsic-lowering -o old.wasm", "imports from 'binaryen-intrinsics'"),
];

#[test]
fn what_stays_as_it_is_is_remarked_on_only_where_something_is_optimised() {
    let module = b"(module (tag $e) (func (export \"f\") try throw $e catch $e end))";
    let remark = "is not optimised: ";
    assert!(Run::new("- -O2 -S -o -", Some(module)).stderr().contains(remark));
    let untouched = Run::new("- -O0 -S -o -", Some(module));
    assert!(untouched.stdout().contains("try") && !untouched.stderr().contains(remark), "{}", untouched.stderr());
}

#[test]
fn errors_name_the_file_and_leave_the_output_as_it_was() {
    for &(arguments, message) in ERRORS {
        let run = run(arguments, 1);
        assert!(run.stderr().contains("wasmfx-opt: error: "), "{arguments}\n{}", run.stderr());
        assert!(run.stderr().contains(message), "{arguments}\n{}", run.stderr());
        assert_eq!(run.read("old.wasm").unwrap(), b"old", "{arguments}");
    }
}

/// Command lines that work, and write a module that is smaller than the input.
const SUCCESSES: &[&str] = &[
    "in.wasm -O -o out.wasm",
    "in.wasm -O0 -O1 -o out.wasm",
    "-O2 in.wasm -o out.wasm",
    "in.wasm -o out.wasm -O3",
    "in.wat -O4 -o out.wasm",
    "in.wasm -Os --output out.wasm",
    "in.wasm -Oz --output=out.wasm",
    "in.wasm --simplify --dead-code -o out.wasm --strip-debug",
    "in.wasm -O2 -all -o out.wasm",
    "in.wasm -O2 -mvp -o out.wasm",
    "in.wasm -O2 --enable-simd --disable-gc -o out.wasm",
    "in.wasm -O2 --threads 1 -o out.wasm",
    "in.wasm -O2 --converge -o out.wasm",
    "in.wasm -O2 --closed-world -tnh -lmu -o out.wasm",
    "in.wasm -O2 --skip-pass inlining --skip-pass numbering -o out.wasm",
    "in.wasm -O2 --pass-arg=inlining-always-size@5 -pa inlining-speed-size@1 -o out.wasm",
    "in.wasm -O2 --strip-dwarf --strip-producers --strip-target-features --strip -o out.wasm",
    "in.wasm --dce --vacuum --precompute-propagate --remove-unused-brs --inlining-optimizing --rse -o out.wasm --strip",
    "in.wasm -O2 -cw -c -sp inlining -o out.wasm",
    "in.wasm -O2 --coalesce-locals --reorder-functions -q -o out.wasm",
    // What Emscripten, Kotlin and dart2wasm call.
    "--strip-target-features --post-emscripten -O2 -lmu --zero-filled-memory --pass-arg=directize-initial-contents-immutable in.wasm -o out.wasm -mvp -q",
    "in.wasm -n --enable-strings -O1 -o out.wasm -q",
    "--optimize-level=2 --shrink-level=1 --optimize-stack-ir in.wasm -o out.wasm -g -q",
    "--inline-functions-with-loops -tnh --fast-math --type-ssa -O3 -O3 --gufa -O3 --type-merging -O3 -Oz in.wasm -o out.wasm -q",
    "-all --closed-world -tnh --type-unfinalizing -Os --type-ssa --gufa -Os --type-merging -Os --type-finalizing --minimize-rec-groups in.wasm -o out.wasm -q",
    "-all --closed-world --no-inline=kotlin.* --no-inline=*Adapter --no-partial-inline=x -pii=4 --partial-inlining-ifs 4 -O3 in.wasm -o out.wasm -q",
    "--intrinsic-lowering -O2 in.wasm -osu a.wasm.map --output-source-map-url=a.wasm.map -n -o out.wasm -q",
    "in.wasm -O2 --verify --verify-passes --verify-emission -q -o out.wasm",
];

#[test]
fn command_lines_in_binaryens_manner_work() {
    for &arguments in SUCCESSES {
        let run = run(arguments, 0);
        let output = run.read("out.wasm").unwrap();
        assert!(output.len() < run.read("in.wasm").unwrap().len(), "{arguments} did not make the module smaller");
        assert_eq!((run.stdout(), run.stderr()), (String::new(), String::new()), "{arguments}");
    }
}

#[test]
fn text_is_printed_and_written_on_demand() {
    let printed = run("in.wasm -O2 -g --print", 0).stdout();
    assert!(printed.contains("(func $f") && printed.contains("i32.const 3"), "{printed}");
    let written = String::from_utf8(run("in.wasm -O2 -g -S -o out.wat", 0).read("out.wat").unwrap()).unwrap();
    assert_eq!(printed.trim(), written.trim());
}

#[test]
fn a_dash_is_standard_input_and_output() {
    let binary = wat::parse_str(MODULE).unwrap();
    let from_file = run("in.wasm -O2 -o out.wasm", 0).read("out.wasm").unwrap();
    for input in [&binary[..], MODULE.as_bytes()] {
        // Nothing is standard input too.
        for arguments in ["- -O2 -o -", "-O2 -o -"] {
            let run = Run::new(arguments, Some(input));
            assert_eq!(run.output.status.code(), Some(0), "{}", run.stderr());
            assert_eq!(run.output.stdout, from_file);
        }
    }
    assert_eq!(Run::new("- -O2 -o -", Some(b"")).output.status.code(), Some(1));
}

#[test]
fn the_output_is_the_same_for_any_number_of_threads() {
    let one = run("in.wasm -O2 --threads 1 -o out.wasm", 0).read("out.wasm");
    assert_eq!(run("in.wasm -O2 --threads 7 -o out.wasm", 0).read("out.wasm"), one);
}

#[test]
fn reports_are_tables_or_json() {
    let table = run("in.wasm -O2 --metrics --time-passes", 0).stdout();
    assert!(table.contains("before") && table.contains("i32.add") && table.contains("total, all threads"), "{table}");
    let json = run("in.wasm -O2 --metrics --time-passes --json", 0).stdout();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["metrics"]["before"]["items"]["functions"], 2);
    assert_eq!(json["metrics"]["after"]["items"]["functions"], 1);
    assert!(json["passes"].as_array().unwrap().iter().any(|pass| pass["pass"] == "simplify"));
}

#[test]
fn passes_and_their_arguments_are_listed_without_an_input() {
    let list = run("--list-passes", 0).stdout();
    assert!(list.lines().any(|line| line.starts_with("dead-code") && line.contains("function")), "{list}");
    assert!(list.contains("inlining-always-size") && list.contains("(default: 2)"), "{list}");
}

#[test]
fn completions_and_help_and_version_are_printed() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(run(&format!("--completions {shell}"), 0).stdout().contains("skip-pass"), "{shell}");
    }
    assert!(run("--help", 0).stdout().contains("--verify-emission"));
    assert!(run("--version", 0).stdout().starts_with("wasmfx-opt "));
}

#[test]
fn verification_says_how_much_was_compared() {
    let run = run("in.wasm -O2 --verify --verify-seed 7 -o out.wasm", 0);
    assert!(run.stderr().contains("verified: 4 calls do the same before and after"), "{}", run.stderr());
    assert!(run.read("out.wasm").is_some());
}

#[test]
fn what_binaryen_does_by_a_pass_and_happens_anyway_is_said() {
    let run = run("in.wasm -O2 --coalesce-locals -o out.wasm", 0);
    assert!(run.stderr().contains("note: Binaryen's 'coalesce-locals' is not needed here"), "{}", run.stderr());
}

#[test]
fn an_optimisation_that_only_binaryen_has_is_left_out_and_that_is_said() {
    let with = run("in.wasm -O2 --gufa --skip-pass heap2local -o out.wasm", 0);
    assert!(
        with.stderr().contains("note: Binaryen's 'gufa' has no counterpart here, and is left out"),
        "{}",
        with.stderr()
    );
    assert_eq!(with.read("out.wasm"), run("in.wasm -O2 -o out.wasm", 0).read("out.wasm"));
}

#[test]
fn an_invalid_module_is_shown_as_the_validator_shows_it() {
    let text = b"(module\n  (func $f (result i32) (i64.const 1)))".to_vec();
    let run = Run::new("- -O2 -o out.wasm", Some(&text));
    assert_eq!(run.output.status.code(), Some(1));
    for part in ["<stdin>:2:", "^", "function $f", "'<stdin>' is not a valid module"] {
        assert!(run.stderr().contains(part), "{part}: {}", run.stderr());
    }
    assert!(run.read("out.wasm").is_none());
}

/// The section that tells a linker what is in an object; its content does not matter.
#[test]
fn a_relocatable_object_is_warned_of() {
    let object = b"\0asm\x01\0\0\0\0\x09\x07linking\x02".to_vec();
    let run = Run::new("- -O2 -o out.wasm", Some(&object));
    assert_eq!(run.output.status.code(), Some(0), "{}", run.stderr());
    assert!(run.stderr().contains("warning: <stdin> is a relocatable object"), "{}", run.stderr());
}

#[test]
fn passes_are_skipped_by_binaryens_names_too() {
    let skipped = |name: &str| run(&format!("in.wasm -O2 --skip-pass {name} -o out.wasm"), 0).read("out.wasm");
    assert_eq!(skipped("inlining-optimizing"), skipped("inlining"));
}

/// The assembler would number the imported tag first, and `$mine` would throw the other.
#[test]
fn an_import_behind_a_tag_is_refused_as_behind_other_definitions() {
    for import in ["(import \"m\" \"t\" (tag))", "(tag (import \"m\" \"t\"))"] {
        let text = format!("(module (tag $mine)\n {import}\n (func (export \"f\") (throw $mine)))");
        let run = Run::new("- -S -o -", Some(text.as_bytes()));
        assert_eq!(run.output.status.code(), Some(1));
        assert!(run.stderr().contains("import after tag") && run.stderr().contains("<stdin>:2:"), "{}", run.stderr());
    }
    let in_order = b"(module (import \"m\" \"t\" (tag)) (tag $mine) (func (export \"f\") (throw $mine)))";
    assert_eq!(Run::new("- -S -o -", Some(in_order)).output.status.code(), Some(0));
}

#[test]
fn functions_whose_names_fit_a_pattern_are_not_inlined() {
    let module = br#"(module
        (func $helper (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
        (func $f (export "f") (param i32) (result i32) (call $helper (local.get 0))))"#;
    let functions = |arguments: &str| {
        let run = Run::new(&format!("- -O2 -g -S -o - {arguments}"), Some(module));
        assert_eq!(run.output.status.code(), Some(0), "{}", run.stderr());
        run.stdout().lines().filter(|line| line.trim_start().starts_with("(func $")).count()
    };
    assert_eq!(functions(""), 1);
    assert_eq!(functions("--no-inline=nobody --no-inline x*"), 1);
    for pattern in ["helper", "h*r", "help??"] {
        assert_eq!(functions(&format!("--no-inline={pattern}")), 2, "{pattern}");
        assert_eq!(functions(&format!("--no-full-inline {pattern}")), 2, "{pattern}");
    }
}

/// DWARF is about offsets in the code: where the code is another, it says something wrong.
#[test]
fn debug_information_stays_only_where_the_code_does() {
    let with_dwarf = |code: &str| {
        format!(
            r#"(module (func (export "f") (param i32) (result i32) {code}) (@custom ".debug_info" "dwarf") (@custom "other" "kept"))"#
        )
    };
    let minimal = with_dwarf("(local.get 0)");
    let longer = with_dwarf("(local i32) (local.set 1 (local.get 0)) (local.get 1)");
    for (input, is_kept) in [(&minimal, true), (&longer, false)] {
        for passes in ["", "-O0", "--dead-code"] {
            let run = Run::new(&format!("- {passes} -S -o -"), Some(input.as_bytes()));
            assert_eq!(run.output.status.code(), Some(0), "{}", run.stderr());
            let (text, note) = (run.stdout(), run.stderr());
            assert!(text.contains("kept"), "{text}");
            assert_eq!(
                (text.contains("dwarf"), note.contains("debug information is left out")),
                (is_kept, !is_kept),
                "{passes} {text}"
            );
        }
    }
}

/// The engine's interface has no values that are continuations.
#[test]
fn what_the_engine_cannot_pass_is_not_verified_and_no_panic() {
    const INPUTS: [&str; 3] = [
        r#"(module (type $f (func)) (type $c (cont $f)) (func (export "n") (result (ref null $c)) (ref.null $c)))"#,
        r#"(module (type $f (func)) (type $c (cont $f)) (global (export "g") (mut (ref null $c)) (ref.null $c))
             (func (export "f") (result i32) (ref.is_null (global.get 0))))"#,
        r#"(module (type $f (func)) (type $c (cont $f)) (import "a" "f" (func $x (param (ref null $c))))
             (func (export "f") (result i32) (call $x (ref.null $c)) (i32.const 1)))"#,
    ];
    for input in INPUTS {
        let run = Run::new("- -O2 --verify -o out.wasm", Some(input.as_bytes()));
        assert_eq!(run.output.status.code(), Some(0), "{input}\n{}", run.stderr());
        assert!(run.stderr().contains("verified"), "{}", run.stderr());
    }
}

/// Of two traps either may come first.
#[test]
fn verification_takes_two_traps_in_either_order() {
    let input = r#"(module (memory 1)
        (func (export "f") (param i32) (result i32) (local $x i32)
          (local.set $x (i32.div_u (i32.const 1) (i32.and (local.get 0) (i32.const 0))))
          (i32.sub (i32.load (i32.const -1)) (local.get $x))))"#;
    for level in ["-O0", "-O1", "-O2", "-Oz"] {
        let run = Run::new(&format!("- {level} --verify -o out.wasm"), Some(input.as_bytes()));
        assert_eq!(run.output.status.code(), Some(0), "{level}\n{}", run.stderr());
    }
}

#[test]
fn names_go_when_optimising_unless_they_are_asked_for() {
    let has_name = |arguments: &str| {
        let output = run(arguments, 0).read("out.wasm").unwrap();
        output.windows(4).any(|window| window == b"name")
    };
    assert!(has_name("in.wasm -o out.wasm") && has_name("in.wasm -O2 -g -o out.wasm"));
    assert!(!has_name("in.wasm -O2 -o out.wasm") && !has_name("in.wasm --strip-debug -o out.wasm"));
}

#[test]
fn the_output_uses_no_feature_that_the_input_does_not() {
    let run = run("in.wasm -O3 -all -o out.wasm", 0);
    let features = wasmparser::WasmFeatures::MVP;
    wasmparser::Validator::new_with_features(features).validate_all(&run.read("out.wasm").unwrap()).unwrap();
    let run = Run::new(
        "- -O2 -mvp -o out.wasm",
        Some(b"(module (func (export \"f\") (result i64 i64) (i64.const 1) (i64.const 2)))"),
    );
    assert_eq!(run.output.status.code(), Some(1), "a disabled feature is an error");
    assert!(run.stderr().contains("multi"), "{}", run.stderr());
}

#[test]
fn a_plain_round_trip_keeps_the_names_of_labels() {
    let module = "(module (func (export \"f\") (param $i i32) (result i32)
        (block $out (loop $again (br_if $out (i32.eqz (local.get $i))) (br $again))) (i32.const 7)))";
    let run = Run::new("- -S -o -", Some(module.as_bytes()));
    assert!(
        run.stdout().contains("block $out") && run.stdout().contains("loop $again"),
        "{}{}",
        run.stdout(),
        run.stderr()
    );
}

#[test]
fn debug_sections_go_where_code_is_optimised_and_stay_where_it_is_not() {
    let module = "(module (func (export \"f\") (result i32) (i32.const 7)) (@custom \".debug_line\" \"offsets\"))";
    for (arguments, stays) in [("- -S -o -", true), ("- -O2 -S -o -", false), ("- -O2 -g -S -o -", false)] {
        let run = Run::new(arguments, Some(module.as_bytes()));
        assert_eq!(run.stdout().contains(".debug_line"), stays, "{arguments}: {}{}", run.stdout(), run.stderr());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_an_error_in_words() {
    for arguments in [&["--list-passes"][..], &["--completions", "bash"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = Command::new(OPT).args(arguments).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains("cannot write to standard output"), "{message}");
    }
}

#[test]
fn a_number_of_threads_has_bounds() {
    for (threads, exit_code) in [("0", 2), ("257", 2), ("256", 0)] {
        run(&format!("in.wasm -O1 --threads {threads} -o out.wasm"), exit_code);
    }
}
