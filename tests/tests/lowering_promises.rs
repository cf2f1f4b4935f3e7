//! What users promise about calls that never suspend: kept, it makes the output smaller and changes nothing; broken, it is a trap.

use wasmfx::lowering::{Frames, Lowering, LoweringArguments, LoweringDetails, lower_binary};
use wasmfx_passes::lower::Report;
use wasmfx_passes::options::Level;
use wasmfx_tests::differential::run::{EngineOptions, engine};
use wasmtime::{Instance, Module, Store, Trap};

/// A callback that suspends and one that does not, of the same type; `apply` calls either, `apply_again` by a tail call.
const CALLBACKS: &str = r#"(module
    (type $callback (func (param i32) (result i32)))
    (type $body (func (param i32) (result i32)))
    (type $start (cont $body))
    (type $answer (func (param i32) (result i32)))
    (type $suspended (cont $answer))
    (tag $yield (param i32) (result i32))
    (table funcref (elem $double $ask))
    (elem declare func $task)
    (func $double (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
    (func $ask (param i32) (result i32) (suspend $yield (local.get 0)))
    (func $apply (param $x i32) (param $which i32) (result i32)
        (i32.add (call_indirect (type $callback) (local.get $x) (local.get $which)) (i32.const 1)))
    (func $apply_again (param $x i32) (param $which i32) (result i32)
        (return_call_indirect (type $callback) (local.get $x) (local.get $which)))
    (func $inner (param $x i32) (result i32)
        (call_indirect (type $callback) (local.get $x) (i32.const 1)))
    (global $which (mut i32) (i32.const 0))
    (func $task (param $x i32) (result i32)
        (i32.add
            (i32.add (call $apply (local.get $x) (global.get $which)) (call $apply_again (local.get $x) (global.get $which)))
            (call $inner (local.get $x))))
    (func (export "run") (param $x i32) (param $callback i32) (result i32)
        (local $k (ref null $suspended)) (local $asked i32)
        (global.set $which (local.get $callback))
        (block $first (result i32 (ref $suspended))
            (return (resume $start (on $yield $first) (local.get $x) (cont.new $start (ref.func $task)))))
        (local.set $k) (local.set $asked)
        (loop $again
            (block $next (result i32 (ref $suspended))
                (return (resume $suspended (on $yield $next)
                    (i32.add (local.get $asked) (i32.const 100)) (ref.as_non_null (local.get $k)))))
            (local.set $k) (local.set $asked)
            (br $again))
        (unreachable)))"#;

fn details(suspend_through: &[&str], never_suspend: &[&str]) -> LoweringDetails {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    LoweringDetails {
        suspend_through: owned(suspend_through),
        never_suspend: owned(never_suspend),
        ..LoweringDetails::default()
    }
}

fn lower(frames: Frames, details: LoweringDetails) -> anyhow::Result<(Vec<u8>, Report)> {
    lower_at(frames, details, None)
}

fn lower_at(frames: Frames, details: LoweringDetails, level: Option<Level>) -> anyhow::Result<(Vec<u8>, Report)> {
    let options = LoweringArguments { frames, details, ..LoweringArguments::default() }.options();
    Lowering { options, level, ..Lowering::default() }.run(&wat::parse_str(CALLBACKS)?)
}

fn run(lowered: &[u8], x: i32, callback: i32) -> wasmtime::Result<i32> {
    let engine =
        engine(EngineOptions { stack_switching: false, ..EngineOptions::default() }).expect("the engine can be made");
    let mut store = Store::new(&engine, ());
    store.set_epoch_deadline(1_000_000);
    let instance = Instance::new(&mut store, &Module::new(&engine, lowered)?, &[])?;
    let function = instance.get_typed_func::<(i32, i32), i32>(&mut store, "run")?;
    function.call(&mut store, (x, callback))
}

fn suspending(report: &Report) -> Vec<&str> {
    report.functions.iter().map(|function| &*function.name).collect()
}

#[test]
fn a_promise_that_is_kept_changes_nothing_but_who_is_copied() {
    for frames in [Frames::Memory, Frames::Gc] {
        let (plain, report) = lower(frames, LoweringDetails::default()).unwrap();
        assert_eq!(suspending(&report), ["ask", "apply", "apply_again", "inner", "task"]);
        for promise in [details(&["inner"], &[]), details(&[], &["apply*"])] {
            let (promised, report) = lower(frames, promise).unwrap();
            assert_eq!(suspending(&report), ["ask", "inner", "task"]);
            assert!(promised.len() < plain.len(), "{} against {}", promised.len(), plain.len());
            for x in [0, 5] {
                let result = run(&promised, x, 0).unwrap();
                assert_eq!(result, 2 * x + 1 + 2 * x + x + 100);
                assert_eq!(result, run(&plain, x, 0).unwrap());
            }
        }
        assert_eq!(run(&plain, 5, 1).unwrap(), 316);
    }
}

#[test]
fn a_promise_that_is_broken_is_a_trap() {
    for frames in [Frames::Memory, Frames::Gc] {
        for promise in [details(&["inner"], &[]), details(&[], &["apply"]), details(&[], &["apply_again"])] {
            let (promised, _) = lower(frames, promise).unwrap();
            let error = run(&promised, 5, 1).unwrap_err();
            assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::UnreachableCodeReached), "{error:?}");
        }
    }
}

/// `inner` has one caller, so that the optimiser would inline it and forget its name.
#[test]
fn promises_are_about_the_functions_of_the_input_at_every_level() {
    for level in Level::NAMES {
        for promise in [details(&["inner"], &[]), details(&[], &["apply*"])] {
            let (promised, _) = lower_at(Frames::Memory, promise.clone(), Level::from_name(level)).unwrap();
            assert_eq!(run(&promised, 5, 0).unwrap(), 126, "-O{level} {promise:?}");
            run(&promised, 5, 1).unwrap_err();
        }
    }
}

/// A small function that suspends is inlined before lowering, but not into one that was promised not to suspend.
#[test]
fn a_promise_holds_for_direct_calls_of_small_functions() {
    let text = "(module (type $f (func)) (type $k (cont $f)) (tag $t) (elem declare func $task)
        (func $small (suspend $t))
        (func $caller (call $small))
        (func $task (call $caller))
        (func (export \"run\") (param i32 i32) (result i32)
            (block $on (result (ref $k))
                (resume $k (on $t $on) (cont.new $k (ref.func $task)))
                (return (i32.const 1)))
            (drop)
            (i32.const 2)))";
    let binary = wat::parse_str(text).unwrap();
    let lowered = |details| {
        let options = LoweringArguments { details, ..LoweringArguments::default() }.options();
        lower_binary(&binary, &options).unwrap().0
    };
    assert_eq!(run(&lowered(LoweringDetails::default()), 0, 0).unwrap(), 2);
    let error = run(&lowered(details(&[], &["caller"])), 0, 0).unwrap_err();
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::UnreachableCodeReached), "{error:?}");
}

#[test]
fn a_promise_about_nobody_or_about_a_suspending_function_is_refused() {
    let message = |details| format!("{:#}", lower(Frames::Memory, details).expect_err("it was accepted"));
    assert!(message(details(&["nobody"], &[])).contains("no function is called `nobody`"));
    assert!(message(details(&[], &["a*"])).contains("$ask"));
}

/// An exception leaves a function that was promised not to suspend, from many resumes deep, and is caught by what goes on to resume.
#[test]
fn an_exception_out_of_a_promise_leaves_no_nesting_behind() {
    let text = "(module
        (type $f (func (param i32) (result i32))) (type $k (cont $f)) (tag $e) (elem declare func $nest)
        (func $nest (type $f)
            (if (i32.eqz (local.get 0)) (then (throw $e)))
            (if (i32.eq (local.get 0) (i32.const 1000000))
                (then
                    (block $caught (try_table (catch_all $caught) (drop (call $promised (i32.const 400)))))
                    (local.set 0 (i32.const 1000003))))
            (if (i32.eq (local.get 0) (i32.const 1000001)) (then (return (i32.const 7))))
            (i32.add (i32.const 1) (resume $k (i32.sub (local.get 0) (i32.const 1)) (cont.new $k (ref.func $nest)))))
        (func $promised (type $f) (i32.add (i32.const 1) (call $nest (local.get 0))))
        (func (export \"run\") (param i32 i32) (result i32) (i32.add (i32.const 1000) (call $nest (i32.const 1000000)))))";
    let binary = wat::parse_str(text).unwrap();
    for frames in [Frames::Memory, Frames::Gc] {
        let options =
            LoweringArguments { frames, details: details(&[], &["promised"]), ..LoweringArguments::default() };
        let lowered = lower_binary(&binary, &options.options()).unwrap().0;
        assert_eq!(run(&lowered, 0, 0).unwrap(), 1009, "{frames:?}");
    }
}
