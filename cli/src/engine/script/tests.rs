use super::*;
use crate::engine::EngineOptions;

fn engine() -> WasmEngine {
    EngineOptions::for_tests().build().unwrap()
}

fn report(text: &str) -> ScriptReport {
    run_script(&engine(), "test.wast", text, &ScriptOptions::default()).unwrap()
}

fn outcome_of_last(text: &str) -> DirectiveOutcome {
    report(text).directives.pop().unwrap().outcome
}

#[track_caller]
fn assert_last_fails(text: &str, words: &str) {
    match outcome_of_last(text) {
        DirectiveOutcome::Failed(reason) => assert!(reason.contains(words), "{reason}"),
        other => panic!("expected a failure with '{words}', found {other:?}"),
    }
}

#[test]
fn a_script_that_holds_passes_and_is_counted() {
    let report = report(
        r#"(module $m (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
             (func (export "trap") unreachable) (global (export "g") i64 (i64.const 7)))
           (assert_return (invoke "add" (i32.const 1) (i32.const 2)) (i32.const 3))
           (assert_return (get $m "g") (i64.const 7))
           (assert_trap (invoke "trap") "unreachable")
           (assert_invalid (module (func (result i32))) "type mismatch")
           (assert_malformed (module quote "(func") "unexpected token")
           (register "m" $m)
           (module (import "m" "add" (func (param i32 i32) (result i32))))
           (assert_unlinkable (module (import "m" "add" (func))) "incompatible import type")
           (assert_trap (module (func $f unreachable) (start $f)) "unreachable")"#,
    );
    assert_eq!(report.summary(), Summary { passed: 10, ..Summary::default() }, "{report:?}");
}

#[test]
fn failures_have_a_place() {
    let report = report(
        "(module (func (export \"f\") (result i32) i32.const 1))\n  (assert_return (invoke \"f\") (i32.const 2))",
    );
    let shortcomings: Vec<_> = report.shortcomings().collect();
    assert_eq!(shortcomings.len(), 1);
    assert!(shortcomings[0].starts_with("test.wast:2:4: assert_return: failed: expected"), "{shortcomings:?}");
}

#[test]
fn every_assertion_can_fail() {
    let module = "(module (func (export \"f\") (result i32) i32.const 1) (func (export \"t\") unreachable) \
                  (func (export \"n\") (result f32) f32.const nan:0x200000))";
    let cases = [
        ("(assert_trap (invoke \"f\") \"unreachable\")", "but it returned"),
        ("(assert_trap (invoke \"t\") \"integer overflow\")", "unreachable"),
        ("(assert_return (invoke \"t\"))", "unreachable"),
        ("(assert_return (invoke \"f\"))", "found"),
        ("(assert_return (invoke \"n\") (f32.const nan:arithmetic))", "found"),
        ("(assert_exception (invoke \"t\"))", "expected an exception"),
        ("(assert_suspension (invoke \"t\") \"unhandled\")", "expected an unhandled suspension"),
        ("(assert_exhaustion (invoke \"f\") \"call stack exhausted\")", "expected stack exhaustion"),
        ("(assert_invalid (module) \"type mismatch\")", "accepted, but expected: type mismatch"),
        ("(assert_malformed (module quote \"(func)\") \"unexpected token\")", "accepted"),
        ("(assert_unlinkable (module) \"unknown import\")", "linked"),
        ("(assert_return (invoke \"missing\"))", "no exported function"),
        ("(module (func (result i32)))", "our validator rejects"),
        ("(wait $t)", "no thread"),
    ];
    for (directive, words) in cases {
        assert_last_fails(&format!("{module}{directive}"), words);
    }
}

#[test]
fn references_and_alternatives_are_matched() {
    let report = report(
        r#"(module (func (export "extern") (param externref) (result externref) local.get 0)
             (func (export "i31") (result anyref) (ref.i31 (i32.const 1)))
             (func $f (export "func") (result funcref) (ref.func $f))
             (func (export "host") (param externref) (result anyref) (any.convert_extern (local.get 0)))
             (func (export "two") (result i32) i32.const 2))
           (assert_return (invoke "extern" (ref.extern 5)) (ref.extern 5))
           (assert_return (invoke "extern" (ref.null extern)) (ref.null extern))
           (assert_return (invoke "i31") (ref.i31))
           (assert_return (invoke "i31") (ref.eq))
           (assert_return (invoke "func") (ref.func))
           (assert_return (invoke "host" (ref.extern 3)) (ref.host 3))
           (assert_return (invoke "two") (either (i32.const 1) (i32.const 2)))"#,
    );
    assert!(report.is_success(), "{:?}", report.shortcomings().collect::<Vec<_>>());
}

#[test]
fn suspensions_and_exceptions_are_asserted() {
    let report = report(
        r#"(module (tag $t) (func (export "suspend") (suspend $t)) (func (export "throw") (throw $t)))
           (assert_suspension (invoke "suspend") "unhandled")
           (assert_exception (invoke "throw"))"#,
    );
    assert!(report.is_success(), "{:?}", report.shortcomings().collect::<Vec<_>>());
}

#[test]
fn definitions_make_several_instances() {
    let report = report(
        r#"(module definition $d (global $g (mut i32) (i32.const 0)) (func (export "next") (result i32)
             (global.set $g (i32.add (global.get $g) (i32.const 1))) (global.get $g)))
           (module instance $a $d) (module instance $b $d)
           (assert_return (invoke $a "next") (i32.const 1))
           (assert_return (invoke $a "next") (i32.const 2))
           (assert_return (invoke $b "next") (i32.const 1))"#,
    );
    assert!(report.is_success(), "{:?}", report.shortcomings().collect::<Vec<_>>());
}

#[test]
fn threads_share_memory_and_are_waited_for() {
    let report = report(
        r#"(module $mem (memory (export "shared") 1 1 shared))
           (register "mem" $mem)
           (thread $t1 (shared (module $mem))
             (register "mem" $mem)
             (module (memory (import "mem" "shared") 1 1 shared)
               (func (export "store") (i32.atomic.store (i32.const 0) (i32.const 42))))
             (invoke "store")
             (assert_return (invoke "missing")))
           (wait $t1)
           (module (memory (import "mem" "shared") 1 1 shared)
             (func (export "load") (result i32) (i32.atomic.load (i32.const 0))))
           (assert_return (invoke "load") (i32.const 42))"#,
    );
    let shortcomings: Vec<_> = report.shortcomings().collect();
    assert_eq!(shortcomings.len(), 1, "{shortcomings:?}");
    assert!(shortcomings[0].starts_with("test.wast:8:"), "{shortcomings:?}");
}

#[test]
fn each_valid_module_is_transformed_but_not_those_that_must_not_link() {
    let names = std::sync::Mutex::new(Vec::new());
    let transform = |name: &str, _: &[u8]| {
        names.lock().unwrap().push(name.to_string());
        Ok(wat::parse_str("(module (func (export \"f\") (result i32) i32.const 2))")?)
    };
    let options = ScriptOptions { transform: Some(&transform), ..ScriptOptions::default() };
    let text =
        "(module $m (func (export \"f\") (result i32) i32.const 1))\n(assert_return (invoke \"f\") (i32.const 2))
        (assert_unlinkable (module (import \"x\" \"y\" (func))) \"unknown import\")";
    let report = run_script(&engine(), "test.wast", text, &options).unwrap();
    assert!(report.is_success(), "{:?}", report.shortcomings().collect::<Vec<_>>());
    assert_eq!(*names.lock().unwrap(), ["test.wast:1 ($m)"]);
}

#[test]
fn a_transformation_that_breaks_a_module_is_a_failure() {
    let transform = |_: &str, _: &[u8]| Ok(wat::parse_str("(module (func (result i32)))")?);
    let options = ScriptOptions { transform: Some(&transform), ..ScriptOptions::default() };
    let report = run_script(&engine(), "test.wast", "(module) (invoke \"f\")", &options).unwrap();
    assert!(
        matches!(&report.directives[0].outcome, DirectiveOutcome::Failed(reason) if reason.contains("invalid module"))
    );
    assert!(matches!(&report.directives[1].outcome, DirectiveOutcome::Skipped(_)));
}

#[test]
fn what_depends_on_a_module_that_the_engine_refuses_is_skipped() {
    // The engine has no legacy exception handling.
    let report = report(
        r#"(module $legacy (func (export "f") try catch_all end))
           (assert_return (invoke "f"))
           (register "legacy" $legacy)
           (module (import "legacy" "f" (func)))
           (module (func (export "g")))
           (assert_return (invoke "g"))"#,
    );
    let summary = report.summary();
    assert_eq!(summary, Summary { passed: 2, failed: 0, refused: 1, skipped: 3 }, "{report:?}");
}

#[test]
fn an_endless_loop_does_not_hang_the_script() {
    let options = ScriptOptions { timeout: Duration::from_millis(50), ..ScriptOptions::default() };
    let text = "(module (func (export \"f\") (loop br 0))) (assert_return (invoke \"f\"))";
    let report = run_script(&engine(), "test.wast", text, &options).unwrap();
    assert!(report.shortcomings().next().unwrap().contains("time limit"));
}

#[test]
fn a_syntax_error_in_a_script_is_shown_with_its_place() {
    let error = run_script(&engine(), "test.wast", "(module)\n(assert_reurn)", &ScriptOptions::default()).unwrap_err();
    assert!(error.to_string().contains("test.wast:2:"), "{error}");
}

#[test]
fn a_module_alone_is_no_script() {
    assert!(!is_script("(module (func))"));
    assert!(!is_script("(func)"));
    assert!(is_script("(module) (module)"));
    assert!(is_script("(assert_invalid (module) \"x\")"));
    assert!(!is_script("(modul"));
}
