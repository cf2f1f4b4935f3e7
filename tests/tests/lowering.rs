//! Continuations lowered to plain wasm behave as they do natively: each row of the semantics, as a script that runs natively and lowered into
//! both stores, and the proposal's own scripts. Assertions about traps hold without the engine's words for them.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;

use libtest_mimic::{Arguments, Failed, Trial};
use wasmfx::engine::script::{ScriptOptions, run_script};
use wasmfx::engine::{EngineOptions, WasmEngine};
use wasmfx::lowering::{Frames, LoweringArguments, lower_binary, lower_script};

static NATIVE: LazyLock<WasmEngine> =
    LazyLock::new(|| EngineOptions::for_tests().build().expect("the engine runs on this machine"));
static PLAIN: LazyLock<WasmEngine> = LazyLock::new(|| {
    let options = EngineOptions { stack_switching: false, ..EngineOptions::for_tests() };
    options.build().expect("the engine runs on this machine")
});

/// How a script's modules get to the engine.
#[derive(Copy, Clone)]
enum Way {
    Native,
    /// Each module for itself.
    Closed(Frames),
    /// All modules with one runtime.
    Shared(Frames),
}

const WAYS: [(&str, Way); 5] = [
    ("native", Way::Native),
    ("memory", Way::Closed(Frames::Memory)),
    ("gc", Way::Closed(Frames::Gc)),
    ("shared memory", Way::Shared(Frames::Memory)),
    ("shared gc", Way::Shared(Frames::Gc)),
];

fn run(name: &str, text: &str, way: Way) -> Result<(), Failed> {
    let lowered = ScriptOptions { check_trap_messages: false, ..ScriptOptions::default() };
    let report = match way {
        Way::Native => run_script(&NATIVE, name, text, &lowered),
        Way::Closed(frames) => {
            let options = LoweringArguments { frames, ..LoweringArguments::default() }.options();
            let transform = move |_: &str, binary: &[u8]| Ok(lower_binary(binary, &options)?.0);
            run_script(&PLAIN, name, text, &ScriptOptions { transform: Some(&transform), ..lowered })
        }
        Way::Shared(frames) => {
            let (text, transform) = lower_script(text, frames).map_err(|error| error.to_string())?;
            run_script(&PLAIN, name, &text, &ScriptOptions { transform: Some(&*transform), ..lowered })
        }
    };
    let report = report.map_err(|error| format!("{error:#}"))?;
    let shortcomings: Vec<String> = report.shortcomings().collect();
    if shortcomings.is_empty() { Ok(()) } else { Err(shortcomings.join("\n").into()) }
}

/// The scripts of this directory of the shared material.
fn shared_scripts(directory: &str) -> Vec<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let shared = std::env::var_os("WASMFX_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let Ok(entries) = std::fs::read_dir(shared.join("spec").join(directory)) else {
        println!("skipped: no shared material at {} (set WASMFX_SHARED)", shared.display());
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "wast"));
    paths.sort();
    paths
}

/// An untouched function: its bytes are those of the input.
fn untouched_functions_keep_their_bytes() -> Result<(), Failed> {
    let text = r#"(module
        (func $loop (export "loop") (param i32) (result i32) (local i32)
            (loop $l (local.set 1 (i32.add (local.get 1) (local.get 0)))
                (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (local.get 1))
        (type $ft (func)) (type $ct (cont $ft)) (tag $yield)
        (func $body (suspend $yield))
        (elem declare func $body)
        (func (export "run") (block $on (result (ref $ct))
            (resume $ct (on $yield $on) (cont.new $ct (ref.func $body))) (return)) (drop)))"#;
    let binary = wat::parse_str(text).map_err(|error| error.to_string())?;
    let first_body = |binary: &[u8]| -> Option<Vec<u8>> {
        wasmparser::Parser::new(0).parse_all(binary).find_map(|payload| match payload {
            Ok(wasmparser::Payload::CodeSectionEntry(body)) => Some(body.as_bytes().to_vec()),
            _ => None,
        })
    };
    for frames in [Frames::Memory, Frames::Gc] {
        let options = LoweringArguments { frames, ..LoweringArguments::default() }.options();
        let (lowered, report) = lower_binary(&binary, &options).map_err(|error| format!("{error:#}"))?;
        assert_eq!(first_body(&binary), first_body(&lowered));
        assert!(report.functions.iter().all(|function| function.name != "loop"));
    }
    Ok(())
}

/// A continuation type in an export is refused by name.
fn a_closed_world_refuses_continuations_outside() -> Result<(), Failed> {
    let text = r#"(module (type $ft (func)) (type $ct (cont $ft))
        (func (export "take") (param (ref $ct)) (resume $ct (local.get 0))))"#;
    let binary = wat::parse_str(text).map_err(|error| error.to_string())?;
    let error = lower_binary(&binary, &LoweringArguments::default().options()).err().ok_or("it was accepted")?;
    let message = format!("{error:#}");
    if message.contains("take") { Ok(()) } else { Err(message.into()) }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = vec![
        Trial::test("untouched functions keep their bytes", untouched_functions_keep_their_bytes),
        Trial::test("a closed world refuses continuations outside", a_closed_world_refuses_continuations_outside),
    ];
    for &(name, text) in ROWS {
        for (way_name, way) in WAYS {
            trials.push(Trial::test(format!("{name}, {way_name}"), move || run(name, text, way)));
        }
    }
    let examples = shared_scripts("examples");
    let proposal = ["cont.wast", "resume_throw.wast"];
    let assertions = shared_scripts("stack-switching")
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| proposal.iter().any(|proposal| name == *proposal)));
    for path in examples.into_iter().chain(assertions) {
        for frames in [Frames::Memory, Frames::Gc] {
            let path = path.clone();
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            trials.push(Trial::test(format!("{file}, shared {frames:?}"), move || {
                let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
                run(&file, &text, Way::Shared(frames))
            }));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The semantics, a script each.
const ROWS: &[(&str, &str)] = &[
    (
        "a frame for each level of recursion, resumed from the innermost outwards",
        r#"(module
            (type $fi (func (param i32) (result i32))) (type $ci (cont $fi))
            (tag $yield (param i32) (result i32))
            (func $walk (param $d i32) (result i32)
                (if (result i32) (i32.eqz (local.get $d))
                    (then (suspend $yield (local.get $d)))
                    (else (i32.add
                        (i32.mul (call $walk (i32.sub (local.get $d) (i32.const 1))) (i32.const 3))
                        (call $walk (i32.sub (local.get $d) (i32.const 1)))))))
            (elem declare func $walk)
            (func (export "run") (result i32) (local $s i32) (local $k (ref null $ci)) (local $v i32)
                (local.set $k (cont.new $ci (ref.func $walk)))
                (local.set $v (i32.const 2))
                (loop $l
                    (block $on (result i32 (ref $ci))
                        (resume $ci (on $yield $on) (local.get $v) (local.get $k))
                        (return))
                    (local.set $k) (drop)
                    (local.set $v (local.tee $s (i32.add (local.get $s) (i32.const 1))))
                    (br $l))
                (unreachable)))
        (assert_return (invoke "run") (i32.const 28))
        (assert_return (invoke "run") (i32.const 28))"#,
    ),
    (
        "a continuation is used once, and null traps",
        r#"(module
            (type $ft (func)) (type $ct (cont $ft)) (tag $yield)
            (global $kept (mut (ref null $ct)) (ref.null $ct))
            (func $body (suspend $yield) (suspend $yield))
            (func $step (param $k (ref null $ct))
                (block $on (result (ref $ct)) (resume $ct (on $yield $on) (local.get $k)) (return))
                (global.set $kept))
            (elem declare func $body)
            (func (export "twice") (local $k (ref null $ct))
                (local.set $k (cont.new $ct (ref.func $body)))
                (call $step (local.get $k)) (call $step (local.get $k)))
            (func (export "stale") (local $k (ref null $ct))
                (local.set $k (cont.new $ct (ref.func $body)))
                (call $step (local.get $k)) (call $step (global.get $kept)) (call $step (global.get $kept))
                (call $step (local.get $k)))
            (func (export "bound") (local $k (ref null $ct))
                (local.set $k (cont.new $ct (ref.func $body)))
                (drop (cont.bind $ct $ct (local.get $k))) (call $step (local.get $k)))
            (func (export "null") (call $step (ref.null $ct)))
            (func (export "null-function") (drop (cont.new $ct (ref.null $ft))))
            (func (export "fine") (call $step (cont.new $ct (ref.func $body)))))
        (assert_trap (invoke "twice") "continuation already consumed")
        (assert_trap (invoke "stale") "continuation already consumed")
        (assert_trap (invoke "bound") "continuation already consumed")
        (assert_trap (invoke "null") "null continuation reference")
        (assert_trap (invoke "null-function") "null function reference")
        (assert_return (invoke "fine"))"#,
    ),
    (
        "a suspension that nobody handles traps, and the instance works on",
        r#"(module
            (type $ft (func)) (type $ct (cont $ft)) (tag $yield) (tag $other)
            (func $body (export "bare") (suspend $yield))
            (func $deep (param i32) (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1)))) (else (suspend $yield))))
            (func $middle (call $deep (i32.const 3)))
            (elem declare func $middle)
            (func (export "wrong-tag")
                (block $on (result (ref $ct)) (resume $ct (on $other $on) (cont.new $ct (ref.func $middle))) (return)) (drop))
            (func (export "right-tag") (result i32)
                (block $on (result (ref $ct)) (resume $ct (on $yield $on) (cont.new $ct (ref.func $middle))) (return (i32.const 1)))
                (resume $ct) (i32.const 2)))
        (assert_suspension (invoke "bare") "unhandled")
        (assert_return (invoke "right-tag") (i32.const 2))
        (assert_suspension (invoke "wrong-tag") "unhandled")
        (assert_return (invoke "right-tag") (i32.const 2))"#,
    ),
    (
        "handlers nest, forward, and are there again when the outer continuation is resumed",
        r#"(module
            (type $ft (func (result i32))) (type $ct (cont $ft))
            (type $fi (func (param i32) (result i32))) (type $ci (cont $fi))
            (tag $a (param i32) (result i32)) (tag $b (param i64) (result i32))
            (func $leaf (result i32)
                (i32.add (suspend $a (i32.const 1))
                    (i32.add (suspend $b (i64.const 20)) (i32.add (suspend $a (i32.const 3)) (suspend $b (i64.const 40))))))
            ;; Handles $b by resuming with ten times what it carries; $a goes through.
            (func $inner (result i32) (local $n i64) (local $k (ref null $ci))
                (block $on (result i64 (ref $ci))
                    (resume $ct (on $b $on) (cont.new $ct (ref.func $leaf)))
                    (return (i32.add (i32.const 1000))))
                (local.set $k) (local.set $n)
                (loop $l
                    (block $on (result i64 (ref $ci))
                        (resume $ci (on $b $on) (i32.wrap_i64 (i64.mul (local.get $n) (i64.const 10))) (local.get $k))
                        (return (i32.add (i32.const 1000))))
                    (local.set $k) (local.set $n) (br $l))
                (unreachable))
            (func $between (result i32) (i32.mul (resume $ct (cont.new $ct (ref.func $inner))) (i32.const 2)))
            (elem declare func $leaf $inner $between)
            (func (export "run") (result i32) (local $n i32) (local $k (ref null $ci))
                (block $on (result i32 (ref $ci))
                    (resume $ct (on $a $on) (cont.new $ct (ref.func $between)))
                    (return))
                (local.set $k) (local.set $n)
                (loop $l
                    (block $on (result i32 (ref $ci))
                        (resume $ci (on $a $on) (i32.mul (local.get $n) (i32.const 7)) (local.get $k))
                        (return))
                    (local.set $k) (local.set $n) (br $l))
                (unreachable)))
        (assert_return (invoke "run") (i32.const 3256))
        (assert_return (invoke "run") (i32.const 3256))"#,
    ),
    (
        "switch passes the current continuation along, under an outer prompt as well",
        r#"(module
            (rec (type $ft (func (param i32 (ref null $ct)) (result i32))) (type $ct (cont $ft)))
            (tag $swap (result i32))
            (func $ping (type $ft)
                (if (i32.ge_u (local.get 0) (i32.const 10)) (then (return (local.get 0))))
                (switch $ct $swap (i32.add (local.get 0) (i32.const 1)) (local.get 1))
                (local.set 1) (local.set 0)
                (return_call $ping (local.get 0) (local.get 1)))
            (elem declare func $ping)
            (func (export "run") (result i32)
                (resume $ct (on $swap switch) (i32.const 1) (cont.new $ct (ref.func $ping)) (cont.new $ct (ref.func $ping)))))
        (assert_return (invoke "run") (i32.const 10))"#,
    ),
    (
        "any prefix of the arguments is bound, of fresh and suspended continuations",
        r#"(module
            (type $f3 (func (param i32 i64 f64) (result f64))) (type $c3 (cont $f3))
            (type $f2 (func (param i64 f64) (result f64))) (type $c2 (cont $f2))
            (type $f1 (func (param f64) (result f64))) (type $c1 (cont $f1))
            (type $f0 (func (result f64))) (type $c0 (cont $f0))
            (tag $ask (result i32 i64 f64))
            (func $sum (param i32 i64 f64) (result f64)
                (f64.add (f64.convert_i32_s (local.get 0)) (f64.add (f64.convert_i64_s (local.get 1)) (local.get 2))))
            (func $asks (result f64) (f64.add (f64.const 0.5) (call $sum (suspend $ask))))
            (elem declare func $sum $asks)
            (func $finish (param $k (ref $c3)) (result f64)
                (resume $c0 (cont.bind $c1 $c0 (f64.const 0.25) (cont.bind $c2 $c1 (i64.const 20) (cont.bind $c3 $c2 (i32.const 1) (local.get $k))))))
            (func (export "fresh") (result f64) (call $finish (cont.new $c3 (ref.func $sum))))
            (func (export "suspended") (result f64)
                (block $on (result (ref $c3)) (resume $c0 (on $ask $on) (cont.new $c0 (ref.func $asks))) (return))
                (call $finish)))
        (assert_return (invoke "fresh") (f64.const 21.25))
        (assert_return (invoke "suspended") (f64.const 21.75))"#,
    ),
    (
        "exceptions are raised at the suspension point, in every frame, and come out at the resumer",
        r#"(module
            (type $ft (func (result i32))) (type $ct (cont $ft)) (tag $yield (result i32)) (tag $exn (param i32))
            (func $leaf (result i32)
                (block $h (result i32)
                    (return (try_table (result i32) (catch $exn $h) (suspend $yield))))
                (throw $exn (i32.add (i32.const 1))))
            (func $catches-all (result i32)
                (block $h (result exnref)
                    (return (try_table (result i32) (catch_all_ref $h) (i32.mul (call $leaf) (i32.const 3)))))
                (throw_ref))
            (func $outer (result i32) (i32.mul (call $catches-all) (i32.const 5)))
            (elem declare func $outer $fresh)
            (func $fresh (result i32) (unreachable))
            (func $suspended (result (ref $ct)) (local $k (ref null $ck))
                (block $on (result (ref $ck)) (resume $ct (on $yield $on) (cont.new $ct (ref.func $outer))) (unreachable))
                (local.set $k)
                (cont.bind $ck $ct (i32.const 7) (local.get $k)))
            (type $fk (func (param i32) (result i32))) (type $ck (cont $fk))
            (func (export "throw") (result i32)
                (block $h (result i32)
                    (return (try_table (result i32) (catch $exn $h) (resume_throw $ct $exn (i32.const 40) (call $suspended)))))
                (i32.add (i32.const 1000)))
            (func (export "throw-ref") (result i32)
                (block $h (result i32)
                    (return (try_table (result i32) (catch $exn $h)
                        (block $r (result exnref) (try_table (catch_all_ref $r) (throw $exn (i32.const 50))) (unreachable))
                        (call $suspended)
                        (resume_throw_ref $ct))))
                (i32.add (i32.const 1000)))
            (func (export "throw-fresh") (result i32)
                (block $h (result i32)
                    (return (try_table (result i32) (catch $exn $h) (resume_throw $ct $exn (i32.const 60) (cont.new $ct (ref.func $fresh))))))
                (i32.add (i32.const 1000)))
            (func (export "normal") (result i32) (resume $ct (call $suspended)))
            (func (export "null-exception") (result i32) (resume_throw_ref $ct (ref.null exn) (call $suspended))))
        (assert_return (invoke "throw") (i32.const 1041))
        (assert_return (invoke "throw-ref") (i32.const 1051))
        (assert_return (invoke "throw-fresh") (i32.const 1060))
        (assert_return (invoke "normal") (i32.const 105))
        (assert_trap (invoke "null-exception") "null exception reference")
        (assert_return (invoke "throw") (i32.const 1041))"#,
    ),
    (
        "tail calls take constant space inside continuations, before and after a suspension",
        r#"(module
            (type $ft (func (param i32) (result i32))) (type $ct (cont $ft)) (tag $yield (param i32))
            (type $fk (func (result i32))) (type $ck (cont $fk))
            (func $even (param i32) (result i32)
                (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
                (if (i32.eqz (i32.rem_u (local.get 0) (i32.const 100000))) (then (suspend $yield (local.get 0))))
                (return_call $odd (i32.sub (local.get 0) (i32.const 1))))
            (func $odd (param i32) (result i32)
                (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
                (return_call $even (i32.sub (local.get 0) (i32.const 1))))
            (elem declare func $even)
            (func (export "run") (param i32) (result i32) (local $k (ref null $ck))
                (block $on (result i32 (ref $ck))
                    (return (resume $ct (on $yield $on) (local.get 0) (cont.new $ct (ref.func $even)))))
                (local.set $k) (drop)
                (loop $l
                    (block $on (result i32 (ref $ck)) (return (resume $ck (on $yield $on) (local.get $k))))
                    (local.set $k) (drop) (br $l))
                (unreachable)))
        (assert_return (invoke "run" (i32.const 1000000)) (i32.const 1))
        (assert_return (invoke "run" (i32.const 1000001)) (i32.const 0))"#,
    ),
    (
        "indirect and referenced calls suspend, functions known only at run time begin continuations",
        r#"(module
            (type $ft (func (param i32) (result i32))) (type $ct (cont $ft)) (tag $yield (param i32) (result i32))
            (table $t funcref (elem $plain $yields))
            (func $plain (type $ft) (i32.add (local.get 0) (i32.const 1)))
            (func $yields (type $ft) (suspend $yield (local.get 0)))
            (func $indirect (type $ft) (i32.add (call_indirect $t (type $ft) (local.get 0) (i32.const 1)) (call_indirect $t (type $ft) (i32.const 5) (i32.const 0))))
            (func $by-reference (type $ft) (i32.mul (i32.const 2) (call_ref $ft (local.get 0) (ref.func $indirect))))
            (elem declare func $indirect $by-reference)
            (func (export "run") (param i32) (result i32) (local $f (ref null $ft)) (local $k (ref null $ct)) (local $v i32)
                (local.set $f (if (result (ref $ft)) (local.get 0) (then (ref.func $indirect)) (else (ref.func $by-reference))))
                (block $on (result i32 (ref $ct))
                    (return (resume $ct (on $yield $on) (i32.const 30) (cont.new $ct (local.get $f)))))
                (local.set $k) (local.set $v)
                (resume $ct (i32.add (local.get $v) (i32.const 100)) (local.get $k))))
        (assert_return (invoke "run" (i32.const 1)) (i32.const 136))
        (assert_return (invoke "run" (i32.const 0)) (i32.const 272))"#,
    ),
    (
        "values of every type live across a suspension, and travel with it",
        r#"(module
            (type $p (struct (field i32)))
            (type $ft (func (result i32))) (type $ct (cont $ft))
            (tag $yield (param i32 i64 f32 f64 v128 externref funcref (ref $p)) (result i32 i64 f32 f64 v128 externref funcref (ref $p)))
            (type $fk (func (param i32 i64 f32 f64 v128 externref funcref (ref $p)) (result i32))) (type $ck (cont $fk))
            (func $one (result i32) (i32.const 1))
            (elem declare func $one $body)
            (func $body (result i32)
                (local $i i32) (local $l i64) (local $f f32) (local $d f64) (local $v v128) (local $e externref) (local $r (ref $ft)) (local $s (ref $p))
                (local $i2 i32) (local $l2 i64) (local $f2 f32) (local $d2 f64) (local $v2 v128) (local $e2 externref) (local $r2 funcref) (local $s2 (ref $p))
                (local.set $i (i32.extend8_s (i32.const 0x7f))) (local.set $l (i64.extend_i32_u (local.get $i)))
                (local.set $f (f32.convert_i32_u (local.get $i))) (local.set $d (f64.convert_i32_u (local.get $i)))
                (local.set $v (i32x4.splat (local.get $i))) (local.set $e (ref.null extern)) (local.set $r (ref.func $one))
                (local.set $s (struct.new $p (local.get $i)))
                (suspend $yield (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4) (v128.const i32x4 5 5 5 5) (local.get $e) (local.get $r) (local.get $s))
                (local.set $s2) (local.set $r2) (local.set $e2) (local.set $v2) (local.set $d2) (local.set $f2) (local.set $l2) (local.set $i2)
                (i32.add (local.get $i) (i32.add (i32.wrap_i64 (local.get $l)) (i32.add (i32.trunc_f32_u (local.get $f)) (i32.add (i32.trunc_f64_u (local.get $d))
                (i32.add (i32x4.extract_lane 2 (local.get $v)) (i32.add (call_ref $ft (local.get $r)) (i32.add (struct.get $p 0 (local.get $s)) (i32.add (ref.is_null (local.get $e))
                (i32.add (local.get $i2) (i32.add (i32.wrap_i64 (local.get $l2)) (i32.add (i32.trunc_f32_u (local.get $f2)) (i32.add (i32.trunc_f64_u (local.get $d2))
                (i32.add (i32x4.extract_lane 3 (local.get $v2)) (i32.add (struct.get $p 0 (local.get $s2)) (i32.add (ref.is_null (local.get $r2)) (ref.is_null (local.get $e2))))))))))))))))))
            (func (export "run") (result i32) (local $k (ref null $ck))
                (block $on (result i32 i64 f32 f64 v128 externref funcref (ref $p) (ref $ck))
                    (return (resume $ct (on $yield $on) (cont.new $ct (ref.func $body)))))
                (local.set $k)
                (resume $ck (local.get $k))))
        (assert_return (invoke "run") (i32.const 907))"#,
    ),
    (
        "nested resumes are limited by memory",
        r#"(module
            (type $ft (func (param i32) (result i32))) (type $ct (cont $ft)) (tag $yield (result i32))
            (func $nest (type $ft)
                (if (i32.eqz (local.get 0)) (then (return (suspend $yield))))
                (i32.add (i32.const 1) (resume $ct (i32.sub (local.get 0) (i32.const 1)) (cont.new $ct (ref.func $nest)))))
            (elem declare func $nest)
            (func (export "deep") (param i32) (result i32) (local $k (ref null $ct))
                (block $on (result (ref $ct))
                    (return (resume $ct (on $yield $on) (local.get 0) (cont.new $ct (ref.func $nest)))))
                (local.set $k) (resume $ct (i32.const 5) (local.get $k))))
        (assert_return (invoke "deep" (i32.const 3000)) (i32.const 3005))"#,
    ),
    (
        "a table of continuations has all its operations and their traps",
        r#"(module
            (type $ft (func (result i32))) (type $ct (cont $ft))
            (table $t 2 5 (ref null $ct))
            (table $u 3 (ref null $ct))
            (elem $nulls (ref null $ct) (ref.null $ct) (ref.null $ct))
            (func $seven (result i32) (i32.const 7))
            (elem declare func $seven)
            (func $new (result (ref $ct)) (cont.new $ct (ref.func $seven)))
            (func (export "size") (result i32) (table.size $t))
            (func (export "grow") (param i32) (result i32) (table.grow $t (ref.null $ct) (local.get 0)))
            (func (export "set") (param i32) (table.set $t (local.get 0) (call $new)))
            (func (export "null") (param i32) (result i32) (ref.is_null (table.get $t (local.get 0))))
            (func (export "run") (param i32) (result i32) (resume $ct (table.get $t (local.get 0))))
            (func (export "fill") (param i32 i32) (table.fill $t (local.get 0) (ref.null $ct) (local.get 1)))
            (func (export "copy") (param i32 i32 i32) (table.copy $t $t (local.get 0) (local.get 1) (local.get 2)))
            (func (export "across") (result i32) (table.copy $u $t (i32.const 1) (i32.const 0) (i32.const 2)) (resume $ct (table.get $u (i32.const 1))))
            (func (export "init") (param i32 i32 i32) (table.init $t $nulls (local.get 0) (local.get 1) (local.get 2)))
            (func (export "drop") (elem.drop $nulls)))
        (assert_return (invoke "size") (i32.const 2))
        (assert_return (invoke "null" (i32.const 1)) (i32.const 1))
        (assert_trap (invoke "null" (i32.const 2)) "out of bounds table access")
        (assert_trap (invoke "set" (i32.const 2)) "out of bounds table access")
        (assert_return (invoke "set" (i32.const 0)))
        (assert_return (invoke "grow" (i32.const 3)) (i32.const 2))
        (assert_return (invoke "grow" (i32.const 1)) (i32.const -1))
        (assert_return (invoke "size") (i32.const 5))
        (assert_return (invoke "copy" (i32.const 3) (i32.const 0) (i32.const 2)))
        (assert_return (invoke "run" (i32.const 3)) (i32.const 7))
        (assert_trap (invoke "run" (i32.const 0)) "continuation already consumed")
        (assert_trap (invoke "run" (i32.const 4)) "null continuation reference")
        (assert_trap (invoke "copy" (i32.const 4) (i32.const 0) (i32.const 2)) "out of bounds table access")
        (assert_return (invoke "set" (i32.const 0)))
        (assert_return (invoke "across") (i32.const 7))
        (assert_trap (invoke "fill" (i32.const 4) (i32.const 2)) "out of bounds table access")
        (assert_return (invoke "fill" (i32.const 0) (i32.const 5)))
        (assert_return (invoke "null" (i32.const 0)) (i32.const 1))
        (assert_return (invoke "init" (i32.const 3) (i32.const 0) (i32.const 2)))
        (assert_trap (invoke "init" (i32.const 3) (i32.const 1) (i32.const 2)) "out of bounds table access")
        (assert_return (invoke "drop"))
        (assert_trap (invoke "init" (i32.const 0) (i32.const 0) (i32.const 1)) "out of bounds table access")
        (assert_return (invoke "init" (i32.const 0) (i32.const 0) (i32.const 0)))"#,
    ),
    (
        "a suspension never crosses the host, and a start function may resume",
        r#"(module
            (type $ft (func)) (type $ct (cont $ft)) (tag $yield)
            (global $ran (mut i32) (i32.const 0))
            (func $body (suspend $yield) (global.set $ran (i32.const 5)))
            (elem declare func $body)
            (func $start (block $on (result (ref $ct)) (resume $ct (on $yield $on) (cont.new $ct (ref.func $body))) (return))
                (resume $ct))
            (start $start)
            (func (export "ran") (result i32) (global.get $ran)))
        (assert_return (invoke "ran") (i32.const 5))
        (assert_trap (module (tag $yield) (func $start (suspend $yield)) (start $start)) "unhandled tag")"#,
    ),
    (
        "loops and nested loops go on where they were",
        r#"(module
            (type $ft (func (param i32) (result i32))) (type $ct (cont $ft)) (tag $yield (param i32))
            (type $fk (func (result i32))) (type $ck (cont $fk))
            (func $maybe (param i32) (if (i32.and (local.get 0) (i32.const 1)) (then (suspend $yield (local.get 0)))))
            (func $loops (type $ft) (local $i i32) (local $j i32) (local $s i32)
                (loop $outer
                    (local.set $j (i32.const 0))
                    (loop $inner
                        (call $maybe (i32.add (local.get $i) (local.get $j)))
                        (local.set $s (i32.add (i32.mul (local.get $s) (i32.const 3)) (i32.xor (local.get $i) (local.get $j))))
                        (br_if $inner (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get 0))))
                    (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get 0))))
                (local.get $s))
            (elem declare func $loops)
            (func (export "run") (param i32) (result i32) (local $k (ref null $ck)) (local $n i32)
                (block $on (result i32 (ref $ck)) (return (resume $ct (on $yield $on) (local.get 0) (cont.new $ct (ref.func $loops)))))
                (local.set $k) (drop)
                (loop $l
                    (local.set $n (i32.add (local.get $n) (i32.const 1)))
                    (block $on (result i32 (ref $ck))
                        (return (i32.add (i32.mul (local.get $n) (i32.const 1000000)) (resume $ck (on $yield $on) (local.get $k)))))
                    (local.set $k) (drop) (br $l))
                (unreachable)))
        (assert_return (invoke "run" (i32.const 3)) (i32.const 4003996))"#,
    ),
];
