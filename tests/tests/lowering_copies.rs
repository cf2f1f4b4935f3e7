//! How many copies functions have: the same behaviour with one and with two, and one only where that is what was meant.

use std::collections::BTreeMap;

use wasmfx::lowering::{CopiesArgument, Frames, Lowering, LoweringArguments, LoweringDetails, lower_binary};
use wasmfx_passes::lower::Report;
use wasmfx_passes::options::Level;
use wasmfx_tests::lowered::Lowered;
use wasmtime::{StoreLimitsBuilder, Val};

const FRAMES: [Frames; 2] = [Frames::Memory, Frames::Gc];
const COPIES: [CopiesArgument; 3] = [CopiesArgument::Auto, CopiesArgument::One, CopiesArgument::Two];

/// `for_each` calls a callback for each number up to a limit, in a loop inside of a loop; only one of the callbacks suspends.
const VISITOR: &str = r#"(module
    (type $callback (func (param i32) (result i32)))
    (type $start (cont $callback)) (type $answer (func (param i32) (result i32))) (type $suspended (cont $answer))
    (tag $yield (param i32) (result i32))
    (table funcref (elem $double $ask))
    (elem declare func $task)
    (global $which (mut i32) (i32.const 0))
    (func $double (type $callback) (i32.mul (local.get 0) (i32.const 2)))
    (func $ask (type $callback) (i32.add (suspend $yield (local.get 0)) (i32.const 1)))
    (func $for_each (param $limit i32) (param $callback i32) (result i32)
        (local $i i32) (local $j i32) (local $sum i32) (local $scale f64)
        (local.set $scale (f64.const 1))
        (loop $outer
            (local.set $j (i32.const 0))
            (local.set $scale (f64.mul (local.get $scale) (f64.const 1.5)))
            (loop $inner
                (local.set $sum
                    (i32.add (local.get $sum) (call_indirect (type $callback) (local.get $j) (local.get $callback))))
                (br_if $inner (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $i))))
            (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $limit))))
        (i32.add (local.get $sum) (i32.trunc_f64_s (local.get $scale))))
    (func $task (type $callback) (i32.add (call $for_each (local.get 0) (global.get $which)) (i32.const 1000)))
    (func (export "run") (param $limit i32) (param $callback i32) (result i32)
        (local $k (ref null $suspended)) (local $asked i32)
        (global.set $which (local.get $callback))
        (block $first (result i32 (ref $suspended))
            (return (resume $start (on $yield $first) (local.get $limit) (cont.new $start (ref.func $task)))))
        (local.set $k) (local.set $asked)
        (loop $again
            (block $next (result i32 (ref $suspended))
                (return (resume $suspended (on $yield $next)
                    (i32.mul (local.get $asked) (i32.const 3)) (ref.as_non_null (local.get $k)))))
            (local.set $k) (local.set $asked)
            (br $again))
        (unreachable)))"#;

fn arguments(frames: Frames, copies: CopiesArgument) -> LoweringArguments {
    let details = LoweringDetails { copies, ..LoweringDetails::default() };
    LoweringArguments { frames, details, ..LoweringArguments::default() }
}

fn lower(text: &str, frames: Frames, copies: CopiesArgument) -> Lowered {
    Lowered::new(text, &arguments(frames, copies), StoreLimitsBuilder::new().build())
}

/// The bytes of what a function is resumed by, over those of the function as it came.
fn resumable_parts(report: &Report) -> BTreeMap<&str, f64> {
    let part = |bytes: wasmfx_passes::lower::Bytes| bytes.resumable as f64 / bytes.original as f64;
    report.functions.iter().map(|function| (&*function.name, part(function.bytes))).collect()
}

#[test]
fn one_copy_does_what_two_do() {
    for frames in FRAMES {
        for copies in COPIES {
            let mut lowered = lower(VISITOR, frames, copies);
            for (callback, expected) in [(0, 1137), (1, 1222)] {
                assert_eq!(lowered.call("run", &[8, callback]).unwrap(), expected, "{frames:?} {copies:?}");
            }
        }
    }
}

#[test]
fn functions_that_only_types_say_suspend_have_one_copy() {
    let binary = wat::parse_str(VISITOR).unwrap();
    let report = |copies| lower_binary(&binary, &arguments(Frames::Memory, copies).options()).unwrap().1;
    let parts = [CopiesArgument::Auto, CopiesArgument::Two].map(report);
    let [auto, two] = parts.each_ref().map(resumable_parts);
    assert!(auto["for_each"] < 0.5 && two["for_each"] > 1.0, "{auto:?} {two:?}");
    assert_eq!(auto["ask"], two["ask"]);
    let optimised = |level| {
        let options = arguments(Frames::Memory, CopiesArgument::Auto).options();
        Lowering { options, level: Level::from_name(level), ..Lowering::default() }.run(&binary).unwrap().1
    };
    // The visitor is called in one place, and goes into its caller.
    let [default, fast] = ["2", "3"].map(optimised);
    let [default, fast] = [&default, &fast].map(resumable_parts);
    assert!(2.0 * default["task"] < fast["task"], "{default:?} {fast:?}");
}

/// Conformance script, whose first form is a module.
const NEVER_NULL: &str = include_str!("../lowering/arguments-that-are-never-null.wast");

#[test]
fn functions_whose_arguments_are_never_null_can_have_one_copy() {
    let module = NEVER_NULL.split("(assert_return").next().unwrap();
    let binary = wat::parse_str(module).unwrap();
    for frames in FRAMES {
        let report = lower_binary(&binary, &arguments(frames, CopiesArgument::One).options()).unwrap().1;
        let parts = resumable_parts(&report);
        assert!(parts["walk"] < 0.5, "{frames:?}: {parts:?}");
    }
}

/// A module that runs the function `task` in a continuation: `run` answers each question with twice what was asked.
fn driven(functions: &str) -> String {
    format!(
        r#"(module
            (type $start_function (func (param i32) (result i32))) (type $start (cont $start_function))
            (tag $yield (param i32) (result i32))
            (elem declare func $task)
            {functions}
            (func (export "run") (param i32) (result i32)
                (local $k (ref null $start)) (local $asked i32)
                (local.set $k (cont.new $start (ref.func $task)))
                (local.set $asked (local.get 0))
                (loop $again
                    (block $next (result i32 (ref $start))
                        (return (resume $start (on $yield $next) (local.get $asked) (local.get $k))))
                    (local.set $k)
                    (local.set $asked (i32.mul (i32.const 2)))
                    (br $again))
                (unreachable)))"#
    )
}

/// How a function of many points is suspended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum PointKind {
    /// In functions that it calls.
    Call,
    /// By itself.
    Suspend,
}

/// `task` is suspended at `points` places, each time with `alive` values that are used afterwards; each answer is twice what was asked.
fn many_values(points: usize, alive: usize, kind: PointKind) -> String {
    let point = match kind {
        PointKind::Call => "call $ask",
        PointKind::Suspend => "suspend $yield",
    };
    let list = |of: &dyn Fn(usize) -> String| (0..alive).map(of).collect::<String>();
    let call = |n: usize| format!("(local.set $l{} (i32.add (local.get $l{0}) ({point} (i32.const {n}))))", n % alive);
    let ask = r#"(func $ask (param i32) (result i32)
        (i32.add (suspend $yield (local.get 0)) (suspend $yield (i32.const 1))))"#;
    driven(&format!(
        "{ask} (func $task (param i32) (result i32) {} {} {} {})",
        list(&|n| format!("(local $l{n} i32)")),
        list(&|n| format!("(local.set $l{n} (i32.add (local.get 0) (i32.const {n})))")),
        (0..points).map(call).collect::<String>(),
        list(&|n| format!("(local.get $l{n})")) + &"i32.xor ".repeat(alive - 1),
    ))
}

#[test]
fn many_points_with_many_values_alive_take_bytes_for_each_and_not_for_each_pair() {
    for (kind, more) in [(PointKind::Call, 2), (PointKind::Suspend, 0)] {
        let text = many_values(200, 30, kind);
        let binary = wat::parse_str(&text).unwrap();
        let sum = |n: usize| (n..200).step_by(30).map(|asked| 2 * asked + more).sum::<usize>() + n + 5;
        let expected = (0..30).map(sum).fold(0, |a, b| a ^ b);
        for frames in FRAMES {
            for level in [None, Level::from_name("2"), Level::from_name("z")] {
                let options = arguments(frames, CopiesArgument::Auto).options();
                let lowered = Lowering { options, level, ..Lowering::default() }.run(&binary).unwrap().0;
                let (bytes, of) = (lowered.len(), binary.len());
                assert!(bytes < 10 * of, "{kind:?} {frames:?} {level:?}: {bytes} bytes of {of}");
            }
            for copies in COPIES {
                let result = lower(&text, frames, copies).call("run", &[5]).unwrap();
                assert_eq!(usize::try_from(result).unwrap(), expected, "{kind:?} {frames:?} {copies:?}");
            }
        }
    }
}

/// `task` adds up the results of many calls of a small function that suspends, all of them behind the last call.
fn sum_behind_calls(calls: usize) -> String {
    let list = |of: &dyn Fn(usize) -> String| (0..calls).map(of).collect::<String>();
    driven(&format!(
        "(func $ask (param i32) (result i32) (suspend $yield (local.get 0)))
         (func $task (param i32) (result i32) {} {} (local.get 0) {})",
        list(&|n| format!("(local $r{n} i32)")),
        list(&|n| format!("(local.set $r{n} (call $ask (i32.const {n})))")),
        list(&|n| format!("(i32.add (local.get $r{n}))")),
    ))
}

#[test]
fn what_is_added_up_behind_inlined_suspensions_is_added_up_in_front_of_the_next() {
    let text = sum_behind_calls(12);
    let binary = wat::parse_str(&text).unwrap();
    for frames in FRAMES {
        let frame_size = |calls| {
            let binary = wat::parse_str(sum_behind_calls(calls)).unwrap();
            let report = lower_binary(&binary, &arguments(frames, CopiesArgument::Auto).options()).unwrap().1;
            report.functions.iter().find(|function| function.name == "task").unwrap().frame_size
        };
        assert_eq!(frame_size(12), frame_size(2), "{frames:?}");
        let options = arguments(frames, CopiesArgument::Auto).options();
        let lowered = Lowering { options, level: Level::from_name("2"), ..Lowering::default() }.run(&binary).unwrap().0;
        let mut lowered = Lowered::of_binary(lowered, StoreLimitsBuilder::new().build());
        assert_eq!(usize::try_from(lowered.call("run", &[5]).unwrap()).unwrap(), 5 + 2 * (0..12).sum::<usize>());
    }
}

/// `task` is suspended at `points` places, each time with references in another half of its `alive` locals: what a point puts into one is used
/// `alive / 2` points later, for the last time. Every second local has structs; every third point puts something that may be null, as far as types say.
fn many_references(points: usize, alive: usize) -> String {
    let list = |of: &dyn Fn(usize) -> String| (0..alive).map(of).collect::<String>();
    let is_struct = |local: usize| local % 2 == 1;
    let get = |local: usize| if is_struct(local) { "struct.get $box 0" } else { "i31.get_s" };
    let new = |local: usize| if is_struct(local) { "struct.new $box" } else { "ref.i31" };
    let point = |n: usize| {
        let (put, used) = (n % alive, (n + alive / 2) % alive);
        let make = match (n.is_multiple_of(3), is_struct(put)) {
            (false, _) => new(put),
            (true, true) => "call $boxed",
            (true, false) => "call $small",
        };
        format!(
            "(local.set $r{put} ({make} (suspend $yield (i32.const {n}))))
             (local.set 0 (i32.add (local.get 0) ({} (local.get $r{used}))))",
            get(used)
        )
    };
    driven(&format!(
        "(type $box (struct (field i32)))
         (func $boxed (param i32) (result (ref null $box)) (struct.new $box (local.get 0)))
         (func $small (param i32) (result i31ref) (ref.i31 (local.get 0)))
         (func $task (param i32) (result i32) {} {} {} (local.get 0))",
        list(&|n| format!("(local $r{n} {})", if is_struct(n) { "(ref null $box)" } else { "i31ref" })),
        list(&|n| format!("(local.set $r{n} ({} (i32.const {n})))", new(n))),
        (0..points).map(point).collect::<String>(),
    ))
}

#[test]
fn points_share_although_other_references_are_alive_at_each() {
    let (points, alive) = (200, 40);
    let text = many_references(points, alive);
    let binary = wat::parse_str(&text).unwrap();
    let first: usize = (alive / 2..alive).sum();
    let expected = 5 + first + (0..points - alive / 2).map(|n| 2 * n).sum::<usize>();
    for frames in FRAMES {
        for level in [None, Level::from_name("2"), Level::from_name("z")] {
            let options = arguments(frames, CopiesArgument::Auto).options();
            let lowered = Lowering { options, level, ..Lowering::default() }.run(&binary).unwrap().0;
            let (bytes, of) = (lowered.len(), binary.len());
            assert!(bytes < 9 * of, "{frames:?} {level:?}: {bytes} bytes of {of}");
        }
        for copies in COPIES {
            let result = lower(&text, frames, copies).call("run", &[5]).unwrap();
            assert_eq!(usize::try_from(result).unwrap(), expected, "{frames:?} {copies:?}");
        }
    }
}

/// `task` goes round a loop 40 times; each way round is one of `points`, which suspends and changes one of `alive` values.
fn interpreter(points: usize, alive: usize) -> String {
    let list = |of: &dyn Fn(usize) -> String| (0..alive).map(of).collect::<String>();
    let blocks = "(block ".repeat(points);
    let cases: String = (0..points)
        .map(|n| {
            let local = n * 7 % alive;
            format!(
                ") (local.set $l{local} (i32.add (local.get $l{local}) (suspend $yield (i32.const {n})))) (br $next)"
            )
        })
        .collect();
    let labels: String = (0..points).map(|n| format!("{n} ")).collect();
    driven(&format!(
        r#"(func $task (param i32) (result i32) (local $count i32) {}
            (loop $next
                (local.set $count (i32.add (local.get $count) (i32.const 1)))
                (if (i32.gt_u (local.get $count) (i32.const 40)) (then (return {})))
                {blocks} (br_table {labels} 0 (i32.rem_u (i32.mul (local.get $count) (i32.const 11)) (i32.const {points})))
                {cases})
            (unreachable))"#,
        list(&|n| format!("(local $l{n} i32)")),
        list(&|n| format!("(local.get $l{n})")) + &"i32.add ".repeat(alive - 1),
    ))
}

/// `task` is suspended in each of `depth` loops, one inside of the other, and knows in each how often those around it went round.
fn nested_loops(depth: usize) -> String {
    let list = |of: &dyn Fn(usize) -> String| (0..depth).map(of).collect::<String>();
    driven(&format!(
        "(func $task (param i32) (result i32) {} {} {} {})",
        list(&|n| format!("(local $l{n} i32)")),
        list(&|n| format!(
            "(loop $n{n} (local.set $l{n} (i32.add (local.get $l{n}) (suspend $yield (i32.const {n}))))"
        )),
        (0..depth)
            .rev()
            .map(|n| format!("(br_if $n{n} (i32.lt_s (local.get $l{n}) (i32.const {})))", 2 * n))
            .collect::<String>()
            + &")".repeat(depth),
        list(&|n| format!("(local.get $l{n})")) + &"i32.add ".repeat(depth - 1),
    ))
}

#[test]
fn loops_take_no_bytes_for_each_pair_of_a_point_and_a_value() {
    let asked = |count: usize| count * 11 % 180;
    let programs = [
        ("an interpreter", interpreter(180, 120), (1..=40).map(|count| 2 * asked(count)).sum::<usize>()),
        ("nested loops", nested_loops(120), (0..120).map(|n| 2 * n).sum()),
    ];
    for (name, text, expected) in programs {
        let binary = wat::parse_str(&text).unwrap();
        for frames in FRAMES {
            for copies in COPIES {
                let lowered = lower_binary(&binary, &arguments(frames, copies).options()).unwrap().0;
                let (bytes, of) = (lowered.len(), binary.len());
                assert!(bytes < 12 * of, "{name} {frames:?} {copies:?}: {bytes} bytes of {of}");
                let result = lower(&text, frames, copies).call("run", &[5]).unwrap();
                assert_eq!(usize::try_from(result).unwrap(), expected, "{name} {frames:?} {copies:?}");
            }
        }
    }
}

/// `run` has `sites` places that run a continuation to its end, each of which answers with what it was asked and its number.
fn resume_sites(sites: usize) -> String {
    let site = |n: usize| {
        format!(
            r#"(func $site{n} (param i32) (result i32) (local $k (ref null $k))
                (local.set $k (cont.new $k (ref.func $task)))
                (loop $again
                    (block $asked (result i32 (ref $k))
                        (return (i32.add (i32.const {n}) (resume $k (on $ask $asked) (local.get 0) (local.get $k)))))
                    (local.set $k)
                    (local.set 0 (i32.add (i32.const {n})))
                    (br $again))
                (unreachable))"#
        )
    };
    format!(
        r#"(module (type $f (func (param i32) (result i32))) (type $k (cont $f)) (tag $ask (param i32) (result i32))
            (elem declare func $task)
            (func $task (type $f) (suspend $ask (suspend $ask (local.get 0))))
            {}
            (func (export "run") (param i32) (result i32) (i32.const 0) {}))"#,
        (0..sites).map(site).collect::<String>(),
        (0..sites).map(|n| format!("(i32.add (call $site{n} (local.get 0)))")).collect::<String>(),
    )
}

#[test]
fn many_resume_sites_share_what_runs_continuations() {
    for frames in FRAMES {
        for (level, few) in [("z", 10), ("2", 40)] {
            let lowered = |sites: usize| {
                let options = arguments(frames, CopiesArgument::Auto).options();
                let lowering = Lowering { options, level: Level::from_name(level), ..Lowering::default() };
                lowering.run(&wat::parse_str(resume_sites(sites)).unwrap()).unwrap().0
            };
            let many = lowered(few + 10);
            let each = (many.len() - lowered(few).len()) / 10;
            assert!(each < 100, "{frames:?} {level}: {each} bytes for each site");
            let sites = i32::try_from(few + 10).unwrap();
            let mut lowered = Lowered::of_binary(many, StoreLimitsBuilder::new().build());
            let expected = sites * 7 + 3 * (0..sites).sum::<i32>();
            assert_eq!(lowered.call("run", &[7]).unwrap(), expected, "{frames:?} {level}");
        }
    }
}

#[test]
fn a_function_of_thousands_of_points_and_values_is_lowered() {
    let binary = wat::parse_str(many_values(1500, 100, PointKind::Call)).unwrap();
    for copies in COPIES {
        lower_binary(&binary, &arguments(Frames::Memory, copies).options()).unwrap();
    }
}

/// A trap may leave the flag that something is being unwound. Whatever the host calls then, nothing is.
#[test]
fn a_flag_that_a_trap_has_left_enters_nothing_again() {
    let text = r#"(module
        (type $f (func (param i32) (result i32))) (type $k (cont $f))
        (tag $yield (result i32))
        (table funcref (elem $add $suspending))
        (elem declare func $body $tail_body)
        (func $add (type $f) (i32.add (local.get 0) (i32.const 7)))
        (func $suspending (type $f) (i32.add (suspend $yield) (local.get 0)))
        (func $body (export "body") (type $f)
            (i32.add (local.get 0) (call_indirect (type $f) (local.get 0) (i32.const 0))))
        (func $tail_body (export "tail_body") (type $f) (return_call $body (i32.mul (local.get 0) (i32.const 10))))
        ;; Lets nothing out but a request to start its continuation from further out.
        (func $nested (type $f)
            (block $on (result (ref $k))
                (return (i32.add (i32.const 1) (resume $k (on $yield $on) (local.get 0) (cont.new $k (ref.func $body))))))
            (drop) (i32.const -2))
        (func $outer (type $f) (resume $k (local.get 0) (cont.new $k (ref.func $nested))))
        (elem declare func $nested)
        (func (export "outside") (type $f) (i32.add (call $body (local.get 0)) (i32.const 1)))
        (func (export "outside_tail") (type $f) (return_call $tail_body (local.get 0)))
        (func (export "nested_tail") (type $f) (return_call $nested (local.get 0)))
        (func (export "nested") (type $f) (call $nested (local.get 0)))
        (func (export "resumes") (type $f)
            (block $on (result (ref $k))
                (return (resume $k (on $yield $on) (local.get 0) (cont.new $k (ref.func $tail_body)))))
            (drop) (i32.const -1))
        (func (export "resumes_nested") (type $f) (call $outer (local.get 0))))"#;
    let expected = [
        ("body", 17),
        ("tail_body", 107),
        ("outside", 18),
        ("outside_tail", 107),
        ("nested", 18),
        ("nested_tail", 18),
        ("resumes", 107),
        ("resumes_nested", 18),
    ];
    for frames in FRAMES {
        for copies in COPIES {
            let mut lowered = lower(text, frames, copies);
            let unwinding = lowered.global("wasmfx.unwinding");
            for (name, result) in expected {
                unwinding.set(&mut lowered.store, Val::I32(2)).unwrap();
                assert_eq!(lowered.call(name, &[5]).unwrap(), result, "{name}, {frames:?} {copies:?}");
            }
        }
    }
}

/// What enters a function of one copy again hands its results on together with a frame, and wasm allows a function 1,000 parameters.
#[test]
fn a_function_of_a_thousand_results_has_two_copies() {
    let results = " i32".repeat(1000);
    let drops = "(drop)".repeat(999);
    let values: String = (0..1000).map(|value| format!("(i32.const {value})")).collect();
    let text = format!(
        "(module (type $f (func (result{results}))) (type $g (func (result i32))) (type $k (cont $g))
            (type $r (func (param i32) (result i32))) (type $kr (cont $r))
            (tag $y (result i32)) (elem declare func $body)
            (func $many (type $f) (drop (suspend $y)) {values})
            (func $body (type $g) (call $many) {drops})
            (func (export \"go\") (result i32) (local $suspended (ref null $kr))
                (block $on (result (ref $kr)) (return (resume $k (on $y $on) (cont.new $k (ref.func $body)))))
                (local.set $suspended)
                (resume $kr (i32.const 1) (local.get $suspended))))"
    );
    for frames in FRAMES {
        let details = LoweringDetails { copies: CopiesArgument::One, ..LoweringDetails::default() };
        let arguments = LoweringArguments { frames, details, ..LoweringArguments::default() };
        let mut lowered = Lowered::new(&text, &arguments, StoreLimitsBuilder::new().build());
        assert_eq!(lowered.call("go", &[]).unwrap(), 0, "{frames:?}");
    }
}

/// Functions with so many points that a segment with a function for each would be long, in a module that has a start function.
fn many_points(suspensions: u32) -> String {
    let body =
        "(local.set $sum (i32.add (local.get $sum) (suspend $ask (local.get $sum))))".repeat(suspensions as usize);
    format!(
        r#"(module
            (type $f (func (result i32))) (type $k (cont $f)) (type $answer (func (param i32) (result i32))) (type $ka (cont $answer))
            (tag $ask (param i32) (result i32))
            (global $started (mut i32) (i32.const 0))
            (elem declare func $task)
            (func $task (type $f) (local $sum i32) {body} (local.get $sum))
            (func $answer_all (param $with i32) (result i32) (local $k (ref null $ka))
                (block $first (result i32 (ref $ka)) (return (resume $k (on $ask $first) (cont.new $k (ref.func $task)))))
                (local.set $k) (drop)
                (loop $again
                    (block $next (result i32 (ref $ka))
                        (return (resume $ka (on $ask $next) (local.get $with) (local.get $k))))
                    (local.set $k) (drop) (br $again))
                (unreachable))
            (func $start (global.set $started (call $answer_all (i32.const 1))))
            (start $start)
            (func (export "run") (param $with i32) (param i32) (result i32)
                (i32.add (global.get $started) (call $answer_all (local.get $with)))))"#
    )
}

#[test]
fn slots_of_many_points_are_filled_at_the_start_in_few_bytes() {
    let suspensions = 60;
    let text = many_points(suspensions);
    for frames in FRAMES {
        for copies in COPIES {
            let mut lowered = lower(&text, frames, copies);
            assert_eq!(lowered.call("run", &[3, 0]).unwrap(), 4 * suspensions.cast_signed(), "{frames:?} {copies:?}");
        }
        let options = arguments(frames, CopiesArgument::Auto).options();
        let (lowered, _) = lower_binary(&wat::parse_str(&text).unwrap(), &options).unwrap();
        let mut element_bytes = 0..0;
        for payload in wasmparser::Parser::new(0).parse_all(&lowered) {
            if let wasmparser::Payload::ElementSection(section) = payload.unwrap() {
                element_bytes = section.range();
            }
        }
        assert!(element_bytes.end - element_bytes.start < u64::from(suspensions), "{frames:?}: {element_bytes:?}");
    }
}
