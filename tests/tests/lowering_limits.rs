//! What the lowering promises about numbers: depth, how many continuations are alive and what they cost, generations that run out, memory that does.

use wasmfx::lowering::{CopiesArgument, Frames, LoweringArguments, LoweringDetails};
use wasmfx_tests::lowered::Lowered;
use wasmtime::{StoreLimits, StoreLimitsBuilder, Val};

fn lower(text: &str, frames: Frames, limits: StoreLimits) -> Lowered {
    Lowered::new(text, &LoweringArguments { frames, ..LoweringArguments::default() }, limits)
}

fn unlimited() -> StoreLimits {
    StoreLimitsBuilder::new().build()
}

const NESTED: &str = r#"(module
    (type $ft (func (param i32) (result i32))) (type $ct (cont $ft)) (tag $yield (result i32))
    (func $nest (type $ft)
        (if (i32.eqz (local.get 0)) (then (return (suspend $yield))))
        (i32.add (i32.const 1) (resume $ct (i32.sub (local.get 0) (i32.const 1)) (cont.new $ct (ref.func $nest)))))
    (elem declare func $nest)
    (func (export "deep") (param i32) (result i32) (local $k (ref null $ct))
        (block $on (result (ref $ct))
            (return (resume $ct (on $yield $on) (local.get 0) (cont.new $ct (ref.func $nest)))))
        (local.set $k) (resume $ct (i32.const 5) (local.get $k))))"#;

#[test]
fn a_hundred_thousand_nested_resumes_need_no_more_of_the_engines_stack() {
    for frames in [Frames::Memory, Frames::Gc] {
        let mut lowered = lower(NESTED, frames, unlimited());
        for _ in 0..2 {
            assert_eq!(lowered.call("deep", &[100_000]).unwrap(), 100_005, "{frames:?}");
        }
    }
}

/// A table of generators.
const MANY: &str = r#"(module
    (type $ft (func (param i32) (result i32))) (type $ct (cont $ft)) (type $fk (func (result i32))) (type $ck (cont $fk))
    (tag $yield (param i32))
    (table $t 0 (ref null $ck))
    (func $body (type $ft) (suspend $yield (local.get 0)) (i32.add (local.get 0) (i32.const 1)))
    (elem declare func $body)
    (func $start (param i32) (result (ref $ck))
        (block $on (result i32 (ref $ck)) (drop (resume $ct (on $yield $on) (local.get 0) (cont.new $ct (ref.func $body)))) (unreachable))
        (return_call $second))
    (func $second (param i32 (ref $ck)) (result (ref $ck)) (local.get 1))
    (func (export "grow") (param i32) (result i32) (table.grow $t (ref.null $ck) (local.get 0)))
    ;; Starts those from the first to before the second.
    (func (export "start") (param i32 i32)
        (loop $l
            (table.set $t (local.get 0) (call $start (i32.const 1)))
            (br_if $l (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (local.get 1)))))
    (func (export "finish") (param i32 i32) (result i32) (local $s i32)
        (loop $l
            (local.set $s (i32.add (local.get $s) (resume $ck (table.get $t (local.get 0)))))
            (br_if $l (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (local.get 1))))
        (local.get $s))
    (func (export "abandon") (param i32)
        (loop $l
            (drop (call $start (i32.const 1)))
            (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"#;

#[test]
fn a_million_continuations_are_alive_in_a_quarter_of_a_gigabyte() {
    const COUNT: i32 = 1_000_000;
    let mut lowered = lower(MANY, Frames::Memory, unlimited());
    assert_eq!(lowered.call("grow", &[COUNT]).unwrap(), 0);
    let before = lowered.frames().data_size(&lowered.store);
    lowered.call("start", &[0, COUNT]).unwrap();
    let after = lowered.frames().data_size(&lowered.store);
    let each = (after - before) as f64 / f64::from(COUNT);
    println!("{after} bytes in all, {each:.1} for each continuation");
    assert!(after < 256 << 20, "{after} bytes");
    assert!(each <= 128.0, "{each} bytes each");
    assert_eq!(lowered.call("finish", &[0, COUNT]).unwrap(), 2 * COUNT);
    // What they took is used again.
    lowered.call("start", &[0, COUNT]).unwrap();
    assert_eq!(lowered.frames().data_size(&lowered.store), after);
    assert_eq!(lowered.call("finish", &[0, COUNT]).unwrap(), 2 * COUNT);
}

#[test]
fn continuations_may_be_abandoned() {
    for frames in [Frames::Memory, Frames::Gc] {
        let mut lowered = lower(MANY, frames, unlimited());
        lowered.call("grow", &[10]).unwrap();
        lowered.call("start", &[0, 10]).unwrap();
        lowered.call("abandon", &[100_000]).unwrap();
        assert_eq!(lowered.call("finish", &[0, 10]).unwrap(), 20, "{frames:?}");
    }
}

#[test]
fn an_instance_that_ran_out_of_memory_works_on() {
    let limits = StoreLimitsBuilder::new().memory_size(1 << 20).build();
    let mut lowered = lower(MANY, Frames::Memory, limits);
    lowered.call("grow", &[5000]).unwrap();
    lowered.call("start", &[0, 1000]).unwrap();
    for _ in 0..3 {
        let error = lowered.call("abandon", &[1_000_000]).unwrap_err();
        assert!(error.downcast_ref::<wasmtime::Trap>().is_some(), "{error:?}");
        // A table that cannot grow is as large as it was.
        assert!(!matches!(lowered.call("grow", &[2_000_000]), Ok(size) if size >= 0));
        // Those that were there are there still, and what they give back serves new ones.
        assert_eq!(lowered.call("finish", &[0, 1000]).unwrap(), 2000);
        lowered.call("start", &[0, 1000]).unwrap();
        assert_eq!(lowered.call("finish", &[0, 500]).unwrap(), 1000);
        lowered.call("start", &[0, 500]).unwrap();
    }
}

#[test]
fn a_record_whose_generations_run_out_is_given_up() {
    let text = r#"(module
        (type $ft (func)) (type $ct (cont $ft)) (type $fb (func (param i32))) (type $cb (cont $fb)) (tag $yield)
        (global $k (mut (ref null $ct)) (ref.null $ct)) (global $old (mut (ref null $ct)) (ref.null $ct))
        (global $count (mut i32) (i32.const 0))
        (func $body (param i32)
            (loop $l
                (global.set $count (i32.add (global.get $count) (local.get 0))) (suspend $yield) (br $l)))
        (elem declare func $body)
        (func (export "start") (global.set $k (cont.bind $cb $ct (i32.const 1) (cont.new $cb (ref.func $body)))))
        (func (export "step")
            (block $on (result (ref $ct)) (resume $ct (on $yield $on) (global.get $k)) (return))
            (global.set $k))
        (func (export "keep") (global.set $old (global.get $k)))
        (func (export "restore") (global.set $k (global.get $old)))
        (func (export "count") (result i32) (global.get $count)))"#;
    // Steps before the generation is moved to just before its end, so that it ends with a bound entry, or with a suspended frame.
    for steps in [0, 3] {
        let mut lowered = lower(text, Frames::Memory, unlimited());
        lowered.call("start", &[]).unwrap();
        for _ in 0..steps {
            lowered.call("step", &[]).unwrap();
        }
        let handle = lowered.global("k");
        let record = handle.get(&mut lowered.store).unwrap_i64() as u32;
        let last_but = |generations: u32| (i64::from(u32::MAX - generations) << 32) | i64::from(record);
        for left in [2, 0] {
            let frames = lowered.frames();
            if record == handle.get(&mut lowered.store).unwrap_i64() as u32 {
                frames.write(&mut lowered.store, record as usize, &last_but(left).to_le_bytes()).unwrap();
                handle.set(&mut lowered.store, Val::I64(last_but(left))).unwrap();
                lowered.call("keep", &[]).unwrap();
            }
            for _ in 0..5 {
                lowered.call("step", &[]).unwrap();
            }
        }
        assert_eq!(lowered.call("count", &[]).unwrap(), steps + 10);
        let now = handle.get(&mut lowered.store).unwrap_i64();
        assert_ne!(now as u32, record, "the record is still used");
        // An old handle does not reach anything.
        lowered.call("restore", &[]).unwrap();
        assert!(lowered.call("step", &[]).is_err());
        handle.set(&mut lowered.store, Val::I64(now)).unwrap();
        lowered.call("step", &[]).unwrap();
        assert_eq!(lowered.call("count", &[]).unwrap(), steps + 11);
    }
}

#[test]
fn more_continuations_may_begin_than_sixteen_bits_can_number() {
    const FUNCTIONS: i32 = 33_000;
    let functions: String = (0..FUNCTIONS).map(|n| format!("(func $f{n} (result i32) (i32.const {n}))\n")).collect();
    let names: String = (0..FUNCTIONS).map(|n| format!("$f{n} ")).collect();
    let labels: String = (0..FUNCTIONS).map(|n| format!("{n} ")).collect();
    let last = FUNCTIONS - 1;
    let ways: String = (0..FUNCTIONS).map(|n| format!(") (return (cont.new $c (ref.func $f{n})))")).collect();
    let text = format!(
        "(module (type $f (func (result i32))) (type $c (cont $f)) (elem declare func {names}) {functions}
           (func $begin (param i32) (result (ref $c))
             {} (br_table {labels} {last} (local.get 0)) {ways})
           (func (export \"run\") (param i32) (result i32) (resume $c (call $begin (local.get 0)))))",
        "(block ".repeat(FUNCTIONS as usize),
    );
    for frames in [Frames::Memory, Frames::Gc] {
        let mut lowered = lower(&text, frames, unlimited());
        for n in [0, 231, last] {
            assert_eq!(lowered.call("run", &[n]).unwrap(), n, "{frames:?}");
        }
    }
}

/// More than a function may have parameters.
const LIVE: i32 = 1_500;

#[test]
fn any_number_of_values_may_be_live_across_a_suspension() {
    let locals = "(local i32)".repeat(LIVE as usize);
    let before: String = (1..=LIVE).map(|n| format!("(local.set {n} (call $next)) ")).collect();
    let after: String = (1..=LIVE)
        .map(|n| format!("(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 31)) (local.get {n}))) "))
        .collect();
    // Once where it suspends itself, and once where it calls what may.
    let text = format!(
        "(module (type $f (func (param i32) (result i32))) (type $c (cont $f)) (tag $t (param i32) (result i32))
           (table funcref (elem $ask)) (elem declare func $itself $by_call)
           (global $n (mut i32) (i32.const 0))
           (func $next (result i32)
             (global.set $n (i32.add (global.get $n) (i32.const 7))) (global.get $n))
           (func $ask (type $f) (suspend $t (local.get 0)))
           (func $itself (type $f) {locals} {before} (local.set 0 (suspend $t (local.get 0))) {after}
             (local.set 0 (suspend $t (local.get 0))) {after} (local.get 0))
           (func $by_call (type $f) {locals} {before} (local.set 0 (call_indirect (type $f) (local.get 0) (i32.const 0))) {after}
             (local.set 0 (call_indirect (type $f) (local.get 0) (i32.const 0))) {after} (local.get 0))
           (func $drive (param $k (ref $c)) (result i32) (local $answer i32) (local.set $answer (i32.const 1))
             (loop $again (result i32)
               (block $on (result i32 (ref $c))
                 (return (resume $c (on $t $on) (local.get $answer) (local.get $k))))
               (local.set $k) (local.set $answer (i32.add (i32.const 3)))
               (br $again)))
           (func (export \"itself\") (result i32) (global.set $n (i32.const 0)) (call $drive (cont.new $c (ref.func $itself))))
           (func (export \"by_call\") (result i32) (global.set $n (i32.const 0)) (call $drive (cont.new $c (ref.func $by_call)))))"
    );
    let hash = |answer: i32| (1..=LIVE).fold(answer, |hash, n| hash.wrapping_mul(31).wrapping_add(7 * n));
    // It asks with what it has, and is answered with three more.
    let expected = hash(hash(1 + 3).wrapping_add(3));
    for frames in [Frames::Memory, Frames::Gc] {
        for copies in [CopiesArgument::One, CopiesArgument::Two] {
            let details = LoweringDetails { copies, ..LoweringDetails::default() };
            let mut lowered = Lowered::new(
                &text,
                &LoweringArguments { frames, details, ..LoweringArguments::default() },
                unlimited(),
            );
            for name in ["itself", "by_call"] {
                assert_eq!(lowered.call(name, &[]).unwrap(), expected, "{name} {frames:?} {copies:?}");
            }
        }
    }
}

/// `$count` resumes, one after the other, what throws out of its continuation.
const THROWING: &str = r#"(module
    (type $ft (func (param i32) (result i32))) (type $ct (cont $ft)) (tag $exn) (tag $yield)
    (func $throw (type $ft) (throw $exn))
    (func $resume (type $ft) (resume $ct (local.get 0) (cont.new $ct (ref.func $throw))))
    (func $itself (type $ft)
        (loop $again
            (block $caught (try_table (catch $exn $caught) (drop (resume $ct (local.get 0) (cont.new $ct (ref.func $throw))))))
            (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (i32.const 42))
    (func $by_call (type $ft)
        (loop $again
            (block $caught (try_table (catch $exn $caught) (drop (call $resume (local.get 0)))))
            (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (i32.const 42))
    (elem declare func $throw $itself $by_call)
    (func (export "itself") (param i32) (result i32) (resume $ct (local.get 0) (cont.new $ct (ref.func $itself))))
    (func (export "by_call") (param i32) (result i32) (resume $ct (local.get 0) (cont.new $ct (ref.func $by_call)))))"#;

#[test]
fn what_exceptions_leave_is_no_longer_nested() {
    for frames in [Frames::Memory, Frames::Gc] {
        let mut lowered = lower(THROWING, frames, unlimited());
        for name in ["itself", "by_call"] {
            assert_eq!(lowered.call(name, &[3000]).unwrap(), 42, "{name} {frames:?}");
            let depth = lowered.global("wasmfx.depth").get(&mut lowered.store).unwrap_i32();
            assert_eq!(depth, 0, "{name} {frames:?}");
        }
    }
}

/// Between two resumes there are as many calls as the second argument says.
const NESTED_DEEPLY: &str = r#"(module
    (type $ft (func (param i32) (result i32))) (type $ct (cont $ft)) (tag $yield (result i32)) (global $calls (mut i32) (i32.const 0))
    (func $descend (param $calls i32) (param $n i32) (result i32)
        (if (i32.eqz (local.get $calls))
            (then
                (if (i32.eqz (local.get $n)) (then (return (suspend $yield))))
                (return (i32.add (i32.const 1)
                    (resume $ct (i32.sub (local.get $n) (i32.const 1)) (cont.new $ct (ref.func $nest)))))))
        (i32.add (call $descend (i32.sub (local.get $calls) (i32.const 1)) (local.get $n)) (local.get $calls)))
    (func $nest (type $ft) (call $descend (global.get $calls) (local.get 0)))
    (elem declare func $nest)
    (func (export "run") (param i32 i32) (result i32) (local $k (ref null $ct))
        (global.set $calls (local.get 1))
        (block $on (result (ref $ct))
            (return (resume $ct (on $yield $on) (local.get 0) (cont.new $ct (ref.func $nest)))))
        (local.set $k)
        (resume $ct (i32.const 5) (local.get $k))))"#;

#[test]
fn nested_resumes_leave_room_for_calls_between_them() {
    for frames in [Frames::Memory, Frames::Gc] {
        let mut lowered = lower(NESTED_DEEPLY, frames, unlimited());
        for (levels, calls) in [(700, 3), (3000, 1)] {
            let expected = (levels + 1) * (calls * (calls + 1) / 2) + levels + 5;
            assert_eq!(lowered.call("run", &[levels, calls]).unwrap(), expected, "{levels} {calls} {frames:?}");
        }
    }
}

/// Throws to its host out of a continuation that was suspended.
const THROWS_TO_THE_HOST: &str = r#"(module
    (type $ft (func (param i32) (result i32))) (type $ct (cont $ft)) (type $fk (func (result i32))) (type $ck (cont $fk))
    (tag $yield) (tag $exn)
    (func $recurse (param i32) (result i32)
        (if (i32.eqz (local.get 0)) (then (suspend $yield) (throw $exn)))
        (i32.add (call $recurse (i32.sub (local.get 0) (i32.const 1))) (local.get 0)))
    (func $body (type $ft) (call $recurse (local.get 0)))
    (elem declare func $body)
    (func (export "run") (param i32) (result i32) (local $k (ref null $ck))
        (block $on (result (ref $ck))
            (return (resume $ct (on $yield $on) (local.get 0) (cont.new $ct (ref.func $body)))))
        (local.set $k)
        (resume $ck (local.get $k))))"#;

#[test]
fn exceptions_that_leave_for_the_host_leave_no_frames_behind() {
    let mut lowered = lower(THROWS_TO_THE_HOST, Frames::Memory, unlimited());
    let mut size = 0;
    for round in 0..3 {
        for _ in 0..1000 {
            assert!(lowered.call("run", &[20]).is_err());
        }
        let now = lowered.frames().data_size(&lowered.store);
        assert!(round == 0 || now == size, "{now} bytes after {size}");
        size = now;
    }
}
