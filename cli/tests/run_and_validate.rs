//! The programs as processes: exit codes, streams, usage errors.

use std::io::Write;
use std::process::{Command, Output, Stdio};

const RUN: &str = env!("CARGO_BIN_EXE_wasmfx-run");
const VALIDATE: &str = env!("CARGO_BIN_EXE_wasmfx-validate");

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_string()
    }
}

fn call(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

fn call_with_input(program: &str, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn assert_exit(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// Exits with the number of its arguments, its own name included.
const COUNT_ARGUMENTS: &str = r#"(module
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start")
      (drop (call $sizes (i32.const 0) (i32.const 4)))
      (call $exit (i32.load (i32.const 0)))))"#;

#[test]
fn a_program_gets_all_that_follows_it_and_its_exit_code_is_ours() {
    let program = Files::new();
    let program = program.write("count.wat", COUNT_ARGUMENTS);
    assert_exit(&call(RUN, &[&program]), 1);
    assert_exit(&call(RUN, &["--timeout", "10", &program, "--help", "-x", "--", "y"]), 5);
}

#[test]
fn an_export_is_invoked_with_the_option_on_either_side() {
    let files = Files::new();
    let module = files
        .write("add.wat", "(module (func (export \"add\") (param i32 i64) (result i64 i32) local.get 1 local.get 0))");
    for arguments in [["--invoke", "add", &module, "-1", "2"], [&module, "--invoke", "add", "-1", "2"]] {
        let output = call(RUN, &arguments);
        assert_exit(&output, 0);
        assert_eq!(text(&output.stdout), "i64:2\ni32:-1\n");
    }
}

#[test]
fn a_trap_exits_with_134_and_names_the_functions_through_continuations() {
    let module = "(module (type $ft (func)) (type $ct (cont $ft)) (elem declare func $inside)
        (func $inside unreachable)
        (func $outside (export \"f\") (resume $ct (cont.new $ct (ref.func $inside)))))";
    let output = call_with_input(RUN, &["--invoke", "f", "-"], module);
    assert_exit(&output, 134);
    let stderr = text(&output.stderr);
    let order = ["unreachable", "$inside", "a continuation, resumed by", "$outside"];
    let found: Vec<_> = order.iter().map(|words| stderr.find(words)).collect();
    assert!(found.iter().all(Option::is_some) && found.is_sorted(), "{stderr}");
}

#[test]
fn a_function_that_only_its_export_names_is_called_so_in_a_backtrace() {
    let module = wat::parse_str("(module (func unreachable) (func (export \"outer\") (call 0)))").unwrap();
    let files = Files::new();
    let path = files.0.path().join("f.wasm");
    std::fs::write(&path, module).unwrap();
    let output = call(RUN, &["--invoke", "outer", path.to_str().unwrap()]);
    assert_exit(&output, 134);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("function 0 at") && stderr.contains("$outer at"), "{stderr}");
}

#[test]
fn a_recursion_without_end_has_a_short_backtrace() {
    let module = "(module (func $again (call $again)) (func $main (export \"f\") (call $again)))";
    let output = call_with_input(RUN, &["--invoke", "f", "-"], module);
    assert_exit(&output, 134);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("call stack exhausted") && stderr.contains("more of these"), "{stderr}");
    assert!(stderr.lines().count() < 12, "{stderr}");
}

#[test]
fn without_stack_switching_a_module_that_needs_it_is_sent_to_the_lowering() {
    let module = "(module (type $ft (func)) (type $ct (cont $ft)) (func (export \"f\") (result i32) (i32.const 3)))";
    let output = call_with_input(RUN, &["--no-stack-switching", "--invoke", "f", "-"], module);
    assert_exit(&output, 1);
    assert!(text(&output.stderr).contains("lower it first"), "{}", text(&output.stderr));
    let output = call_with_input(RUN, &["--lower", "--invoke", "f", "-"], module);
    assert_exit(&output, 0);
    assert_eq!(text(&output.stdout), "i32:3\n");
}

/// The runtime that lowered modules share is no module of the script.
#[test]
fn a_script_can_be_optimised_and_lowered_at_once() {
    let script = "(module (type $f (func (result i32))) (type $k (cont $f)) (tag $t (result i32))
        (func $asks (result i32) (i32.add (suspend $t) (i32.const 1))) (elem declare func $asks)
        (type $g (func (param i32) (result i32))) (type $gk (cont $g))
        (func (export \"f\") (result i32) (local $c (ref null $gk))
          (block $on (result (ref $gk)) (return (resume $k (on $t $on) (cont.new $k (ref.func $asks)))))
          (local.set $c) (resume $gk (i32.const 41) (local.get $c))))
      (assert_return (invoke \"f\") (i32.const 42))";
    for arguments in [&["-O2", "--lower=gc", "-"][..], &["-Oz", "--lower=memory", "-"], &["-O2", "-"], &["-"]] {
        let output = call_with_input(RUN, arguments, script);
        assert_exit(&output, 0);
        assert!(text(&output.stdout).ends_with(" passed, 0 failed\n"), "{}", text(&output.stdout));
    }
}

#[test]
fn limits_stop_a_program_with_124() {
    let module = "(module (func (export \"f\") (loop br 0)))";
    assert_exit(&call_with_input(RUN, &["--timeout", "0.1", "--invoke", "f", "-"], module), 124);
    assert_exit(&call_with_input(RUN, &["--fuel", "1000", "--invoke", "f", "-"], module), 124);
}

#[test]
fn the_limit_on_the_stack_is_the_one_given() {
    // 100,000 frames fit into the larger stack only.
    let module = "(module (func $f (export \"f\") (param i32) (result i32)
        (if (result i32) (local.get 0)
          (then (i32.add (call $f (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
          (else (i32.const 0)))))";
    assert_exit(&call_with_input(RUN, &["--invoke", "f", "-", "100000"], module), 134);
    let larger = ["--max-wasm-stack", "8000000", "--continuation-stack", "10000000", "--invoke", "f", "-", "100000"];
    assert_exit(&call_with_input(RUN, &larger, module), 0);
    let output = call_with_input(RUN, &["--max-wasm-stack", "8000000", "-"], module);
    assert_exit(&output, 1);
    assert!(text(&output.stderr).contains("at most the size of a continuation's stack"), "{}", text(&output.stderr));
    // Without continuations there are no such stacks.
    for alone in ["--no-stack-switching", "--lower"] {
        let larger = [alone, "--max-wasm-stack", "8000000", "--invoke", "f", "-", "100000"];
        assert_exit(&call_with_input(RUN, &larger, module), 0);
    }
}

#[test]
fn a_module_that_is_not_valid_is_not_run() {
    let output = call_with_input(RUN, &["-"], "(module (func (export \"_start\") (i32.add)))");
    assert_exit(&output, 1);
    assert!(text(&output.stderr).contains("<stdin>:1:"), "{}", text(&output.stderr));
}

#[test]
fn a_script_is_summed_up_and_a_failed_assertion_is_exit_1() {
    let module = "(module (func (export \"f\") (result i32) i32.const 1))";
    let output = call_with_input(RUN, &["-"], &format!("{module}(assert_return (invoke \"f\") (i32.const 1))"));
    assert_exit(&output, 0);
    assert_eq!(text(&output.stdout), "<stdin>: 2 passed, 0 failed\n");
    let output = call_with_input(RUN, &["-"], &format!("{module}\n(assert_return (invoke \"f\") (i32.const 2))"));
    assert_exit(&output, 1);
    let stderr = text(&output.stderr);
    assert!(stderr.starts_with("<stdin>:2:2: assert_return: failed: expected [i32:2], found [i32:1]"), "{stderr}");
}

/// The engine's compiler takes one number of a type for another one in a `switch`, and panics where the other type is no continuation type.
#[test]
fn a_panic_of_the_engines_compiler_is_an_error_in_one_place() {
    let module = "(module
        (type $f1 (func (result i32))) (type $c1 (cont $f1))
        (type $f2 (func (param (ref null $c1)) (result i32))) (type $c2 (cont $f2))
        (type $f3 (func (param (ref null $c2)) (result i32))) (type $c3 (cont $f3))
        (tag $e (result i32)) (elem declare func $first)
        (func $first (param (ref null $c2)) (result i32) (local.get 0) (switch $c2 $e) (i32.const 24))
        (func (export \"f\") (result i32) (cont.new $c3 (ref.func $first)) (switch $c3 $e) (drop) (i32.const -1)))";
    let output = call_with_input(RUN, &["--invoke", "f", "-"], module);
    let stderr = text(&output.stderr);
    // An engine that compiles this does not handle the switch; both are one message.
    assert!(stderr.contains("compiler panicked") || output.status.code() == Some(134), "{stderr}");
    assert!(!stderr.contains("panicked at") && !stderr.contains("stack backtrace"), "{stderr}");
}

/// The engine's collectors panic on continuations that wait, unless they find what is in their frames.
#[test]
fn a_panic_of_the_engine_while_it_runs_is_an_error_that_names_a_way_out() {
    let module = "(module
        (type $f (func)) (type $c (cont $f)) (type $array (array (mut i64))) (tag $yield)
        (elem declare func $body)
        (func $body (local $r (ref $array))
            (local.set $r (array.new $array (i64.const 7) (i32.const 1)))
            (suspend $yield)
            (drop (array.get $array (local.get $r) (i32.const 0))))
        (func (export \"f\") (local $k (ref null $c)) (local $i i32)
            (block $on (result (ref $c))
                (resume $c (on $yield $on) (cont.new $c (ref.func $body))) (return))
            (local.set $k)
            (loop $again
                (drop (array.new $array (i64.const -1) (i32.const 10000)))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $i) (i32.const 2000))))
            (resume $c (local.get $k))))";
    let script = format!("{module}(assert_return (invoke \"f\"))");
    for collector in ["drc", "copying"] {
        for output in [
            call_with_input(RUN, &["--collector", collector, "--invoke", "f", "-"], module),
            call_with_input(RUN, &["--collector", collector, "-"], &script),
        ] {
            let stderr = text(&output.stderr);
            // An engine that finds them runs this.
            let is_told = stderr.contains("the engine failed: ") && stderr.contains("--lower");
            assert!(output.status.code() == Some(0) || output.status.code() == Some(1) && is_told, "{output:?}");
            assert!(!stderr.contains("panicked at") && !stderr.contains("stack backtrace"), "{stderr}");
        }
    }
    assert_exit(&call_with_input(RUN, &["--lower", "-"], &script), 0);
}

#[test]
fn usage_errors_are_exit_2() {
    assert_exit(&call(RUN, &[]), 2);
    assert_exit(&call(RUN, &["--colector", "drc", "x.wasm"]), 2);
    assert_exit(&call(RUN, &["--timeout", "-1", "x.wasm"]), 2);
    assert_exit(&call_with_input(RUN, &["--invoke", "f", "-"], "(module) (module)"), 2);
    assert_exit(&call(VALIDATE, &[]), 2);
    let output = call(VALIDATE, &["-enable-sims", "x.wasm"]);
    assert_exit(&output, 2);
    assert!(text(&output.stderr).contains("--enable-simd"), "{}", text(&output.stderr));
}

#[test]
fn a_missing_file_is_an_error_that_names_it() {
    let output = call(RUN, &["no-such-file.wasm"]);
    assert_exit(&output, 1);
    assert!(text(&output.stderr).starts_with("wasmfx-run: error: cannot read 'no-such-file.wasm': "));
}

#[test]
fn all_files_are_validated_even_after_a_bad_one() {
    let files = Files::new();
    let good = files.write("good.wat", "(module)");
    let bad = files.write("bad.wat", "(module\n  (func $f i32.const 1))");
    let other = files.write("other.wat", "(module (func $g drop))");
    assert_exit(&call(VALIDATE, &[&good]), 0);
    let output = call(VALIDATE, &["-v", &bad, "missing.wasm", &good, &other]);
    assert_exit(&output, 1);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("bad.wat:2:") && stderr.contains("$f (index 0)"), "{stderr}");
    assert!(stderr.contains("other.wat:1:") && stderr.contains("missing.wasm"), "{stderr}");
    assert!(text(&output.stdout).contains("good.wat: valid"));
}

#[test]
fn features_can_be_taken_away_and_given_back() {
    let module = "(module (func (param v128)))";
    assert_exit(&call_with_input(VALIDATE, &["-"], module), 0);
    assert_exit(&call_with_input(VALIDATE, &["-mvp", "-"], module), 1);
    assert_exit(&call_with_input(VALIDATE, &["-mvp", "--enable-simd", "-"], module), 0);
    assert_exit(&call_with_input(VALIDATE, &["--disable-simd", "-all", "-"], module), 0);
}

#[test]
fn a_component_is_refused_by_name() {
    let output = call_with_input(VALIDATE, &["-"], "(component)");
    assert_exit(&output, 1);
    assert!(text(&output.stderr).contains("is a component"));
}

#[test]
fn completions_and_version_need_no_other_argument() {
    for program in [RUN, VALIDATE] {
        for shell in ["bash", "zsh", "fish"] {
            let output = call(program, &["--completions", shell]);
            assert_exit(&output, 0);
            assert!(!output.stdout.is_empty());
        }
        assert!(text(&call(program, &["--version"]).stdout).starts_with("wasmfx-"));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn perf_is_told_the_names_of_functions() {
    let files = Files::new();
    let module =
        files.write("named.wat", "(module (func $hot_function (export \"f\") (param i32) (result i32) local.get 0))");
    let child = Command::new(RUN).args(["--perf-map", "--invoke", "f", &module, "7"]).stdout(Stdio::piped()).spawn();
    let child = child.unwrap();
    // Where `perf` looks is fixed, whatever the system's folder for temporary files is.
    let map = format!("/tmp/perf-{}.map", child.id());
    assert_exit(&child.wait_with_output().unwrap(), 0);
    let names = std::fs::read_to_string(&map).unwrap();
    std::fs::remove_file(&map).unwrap();
    assert!(names.contains("hot_function"), "{names}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_error_changes_no_exit_code() {
    let files = Files::new();
    let invalid = files.write("invalid.wat", "(module (func (result i32)))");
    let script = files.write(
        "fails.wast",
        "(module (func (export \"f\") (result i32) i32.const 1)) (assert_return (invoke \"f\") (i32.const 2))",
    );
    for (program, input) in [(VALIDATE, &invalid), (RUN, &script)] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let status = Command::new(program).arg(input).stdout(Stdio::null()).stderr(full).status().unwrap();
        assert_eq!(status.code(), Some(1), "{program}");
    }
}

#[test]
fn a_script_takes_no_promises() {
    let files = Files::new();
    let script = files.write("empty.wast", "(module) (assert_invalid (module (func (result i32))) \"type mismatch\")");
    for option in ["--suspend-through", "--never-suspend"] {
        let output = call(RUN, &["--lower", option, "f", &script]);
        assert_exit(&output, 2);
        assert!(text(&output.stderr).contains("a script takes none"), "{}", text(&output.stderr));
    }
}

/// What the engine's collectors lose is not lost by default: they do not see the frames of a continuation's parent, nor those of one that is suspended.
#[test]
fn references_in_the_frames_of_continuations_survive_much_garbage() {
    const CHURN: &str = r#"
        (type $struct (struct (field i32))) (type $array (array (mut i64)))
        (type $f (func)) (type $c (cont $f)) (tag $yield)
        (func $churn (local $i i32)
            (loop $again
                (drop (array.new $array (i64.const -1) (i32.const 10000)))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $i) (i32.const 2000)))))"#;
    const PARENT: &str = r#"
        (elem declare func $churn)
        (func (export "go") (result i32) (local $r (ref $struct))
            (local.set $r (struct.new $struct (i32.const 7)))
            (resume $c (cont.new $c (ref.func $churn)))
            (struct.get $struct 0 (local.get $r)))"#;
    const SUSPENDED: &str = r#"
        (elem declare func $body)
        (global $result (mut i32) (i32.const 0))
        (func $body (local $r (ref $struct))
            (local.set $r (struct.new $struct (i32.const 7)))
            (suspend $yield)
            (global.set $result (struct.get $struct 0 (local.get $r))))
        (func (export "go") (result i32) (local $k (ref null $c))
            (block $on (result (ref $c))
                (resume $c (on $yield $on) (cont.new $c (ref.func $body))) (return (i32.const 1)))
            (local.set $k) (call $churn) (resume $c (local.get $k)) (global.get $result))"#;
    for rest in [PARENT, SUSPENDED] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("churn.wat");
        std::fs::write(&path, format!("(module {CHURN} {rest})")).unwrap();
        for lowered in [&[][..], &["--lower=memory"], &["--lower=gc"]] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_wasmfx-run"));
            let output = command.args(lowered).args(["--invoke", "go"]).arg(&path).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), "i32:7\n", "{lowered:?} {output:?}");
        }
    }
}
