use wasmtime::Trap;

use super::*;
use crate::engine::EngineOptions;

fn run_text(text: &str, entry: Entry) -> Result<Completion> {
    let engine = EngineOptions::default().build().unwrap();
    let binary = wat::parse_str(text).unwrap();
    let streams = Streams::Captured { stdin: Vec::new() };
    run(&engine, &binary, &Run { entry, streams, arguments: vec!["program".to_string()], ..Run::default() })
}

fn invoke(text: &str, name: &str, arguments: &[&str]) -> Result<Completion> {
    let arguments = arguments.iter().map(|argument| argument.to_string()).collect();
    run_text(text, Entry::Export { name: name.to_string(), arguments })
}

fn failure(completion: Completion) -> CallFailure {
    match completion.outcome {
        Outcome::Failed(failure) => failure,
        other => panic!("expected a failure, found {other:?}"),
    }
}

#[test]
fn an_export_is_called_with_typed_arguments_and_results() {
    let text = "(module (func (export \"f\") (param i32 f64) (result f64 i32) local.get 1 local.get 0))";
    let completion = invoke(text, "f", &["-7", "0x1.8p0"]).unwrap();
    let Outcome::Returned(results) = completion.outcome else { panic!("{completion:?}") };
    assert_eq!(results, ["f64:1.5", "i32:-7"]);
}

#[test]
fn a_wrong_number_of_arguments_shows_the_type() {
    let error = invoke("(module (func (export \"f\") (param i32)))", "f", &[]).unwrap_err().to_string();
    assert!(error.contains("takes 1 argument and 0 are given; its type is (func (param i32))"), "{error}");
}

#[test]
fn an_unknown_export_suggests_the_nearest() {
    let error = invoke("(module (func (export \"fibonacci\")))", "fibonaci", &[]).unwrap_err().to_string();
    assert!(error.contains("did you mean 'fibonacci'?"), "{error}");
}

#[test]
fn missing_imports_are_listed_with_their_types() {
    let text = "(module (import \"env\" \"f\" (func (param i32))) (import \"env\" \"m\" (memory 1)))";
    let error = run_text(text, Entry::Command).unwrap_err().to_string();
    assert!(error.contains("env.f: ") && error.contains("env.m: memory") && error.contains("wasmfx-merge"), "{error}");
}

#[test]
fn a_module_without_start_is_no_command() {
    let error = run_text("(module (func (export \"run\")))", Entry::Command).unwrap_err().to_string();
    assert!(error.contains("--invoke") && error.contains("run"), "{error}");
}

#[test]
fn a_command_exits_with_its_own_code() {
    let text = "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
        (memory (export \"memory\") 1) (func (export \"_start\") (call $exit (i32.const 42))))";
    let completion = run_text(text, Entry::Command).unwrap();
    assert!(matches!(completion.outcome, Outcome::Exited(42)), "{completion:?}");
}

#[test]
fn standard_output_is_captured() {
    let text = r#"(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 0) "\08\00\00\00\06\00\00\00hello\n")
        (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100)))))"#;
    assert_eq!(run_text(text, Entry::Command).unwrap().stdout, b"hello\n");
}

#[test]
fn a_reactor_is_initialised_before_its_export_is_called() {
    let text =
        "(module (global $g (mut i32) (i32.const 0)) (func (export \"_initialize\") (global.set $g (i32.const 5)))
        (func (export \"f\") (result i32) global.get $g))";
    let Outcome::Returned(results) = invoke(text, "f", &[]).unwrap().outcome else { panic!() };
    assert_eq!(results, ["i32:5"]);
}

#[test]
fn a_trap_in_the_start_function_is_a_failure_with_a_backtrace() {
    let failure = failure(invoke("(module (func $boom unreachable) (start $boom))", "f", &[]).unwrap());
    assert_eq!(failure.kind, FailureKind::Trap(Trap::UnreachableCodeReached));
    assert_eq!(failure.backtrace[0].name.as_deref(), Some("boom"));
}

#[test]
fn an_uncaught_exception_shows_its_payload() {
    let text = "(module (tag $t (param i32 i64)) (func (export \"f\") (throw $t (i32.const 1) (i64.const 2))))";
    let failure = failure(invoke(text, "f", &[]).unwrap());
    assert_eq!(failure.kind, FailureKind::Exception(vec!["i32:1".to_string(), "i64:2".to_string()]));
}

/// $run resumes $outer, which resumes $inner, which calls $deep, which traps.
const NESTED_CONTINUATIONS: &str = "(module
    (type $ft (func)) (type $ct (cont $ft))
    (elem declare func $outer $inner)
    (func $deep (i32.const 1) (i32.const 0) i32.div_s drop)
    (func $inner (call $deep))
    (func $outer (resume $ct (cont.new $ct (ref.func $inner))))
    (func $run (export \"run\") (resume $ct (cont.new $ct (ref.func $outer)))))";

#[test]
fn a_backtrace_goes_through_the_whole_chain_of_continuations() {
    let failure = failure(invoke(NESTED_CONTINUATIONS, "run", &[]).unwrap());
    assert_eq!(failure.kind, FailureKind::Trap(Trap::IntegerDivisionByZero));
    let frames: Vec<_> =
        failure.backtrace.iter().map(|frame| (frame.name.as_deref().unwrap(), frame.resumed_the_previous)).collect();
    assert_eq!(frames, [("deep", false), ("inner", false), ("outer", true), ("run", true)]);
    let shown = failure.to_string();
    assert_eq!(shown.matches("-- a continuation, resumed by --").count(), 2, "{shown}");
}

#[test]
fn an_unhandled_suspension_is_a_trap() {
    let text = "(module (tag $t) (func (export \"f\") (suspend $t)))";
    assert_eq!(failure(invoke(text, "f", &[]).unwrap()).kind, FailureKind::Trap(Trap::UnhandledTag));
}

#[test]
fn a_switch_does_not_hide_who_resumed() {
    let text = "(module
        (type $ft1 (func)) (type $ct1 (cont $ft1))
        (type $ft2 (func (param (ref $ct1)))) (type $ct2 (cont $ft2))
        (tag $swap)
        (elem declare func $first $second)
        (func $second (param (ref $ct1)) unreachable)
        (func $first (switch $ct2 $swap (cont.new $ct2 (ref.func $second))))
        (func $run (export \"run\") (resume $ct1 (on $swap switch) (cont.new $ct1 (ref.func $first)))))";
    let failure = failure(invoke(text, "run", &[]).unwrap());
    let names: Vec<_> = failure.backtrace.iter().map(|frame| frame.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["second", "run"]);
}

#[test]
fn an_endless_recursion_is_stack_exhaustion() {
    let failure = failure(invoke("(module (func $f (export \"f\") (call $f)))", "f", &[]).unwrap());
    assert_eq!(failure.kind, FailureKind::Trap(Trap::StackOverflow));
}

#[test]
fn a_run_ends_at_its_time_limit_inside_a_continuation() {
    let engine = EngineOptions { interruptible: true, ..EngineOptions::default() }.build().unwrap();
    let binary = wat::parse_str(
        "(module (type $ft (func)) (type $ct (cont $ft)) (elem declare func $spin) (func $spin (loop br 0))
         (func (export \"f\") (resume $ct (cont.new $ct (ref.func $spin)))))",
    )
    .unwrap();
    let entry = Entry::Export { name: "f".to_string(), arguments: Vec::new() };
    let limits = Run { entry, timeout: Some(Duration::from_millis(50)), ..Run::default() };
    let failure = failure(run(&engine, &binary, &limits).unwrap());
    assert_eq!(failure.kind, FailureKind::Trap(Trap::Interrupt));
}
