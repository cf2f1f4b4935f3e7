use super::*;

fn compare_text(before: &str, after: &str, options: CompareOptions) -> Comparison {
    compare(&wat::parse_str(before).unwrap(), &wat::parse_str(after).unwrap(), options).unwrap()
}

fn comparison(before: &str, after: &str) -> Comparison {
    compare_text(before, after, CompareOptions::default())
}

#[track_caller]
fn assert_equal(before: &str, after: &str) -> Comparison {
    let comparison = comparison(before, after);
    assert!(comparison.is_equal(), "{}", comparison.difference.unwrap());
    comparison
}

fn is_after_call_of(difference: &Difference, name: &str) -> bool {
    matches!(&difference.occasion, Occasion::Call { function, .. } if function == name)
}

#[track_caller]
fn assert_different(before: &str, after: &str, function: &str, what: &str) {
    let difference = comparison(before, after).difference.expect("a difference");
    assert!(is_after_call_of(&difference, function), "{difference}");
    assert!(difference.what.contains(what), "{difference}");
}

#[test]
fn the_same_module_written_differently_is_equal() {
    let comparison = assert_equal(
        "(module (func (export \"f\") (param i32 i32) (result i32) (i32.mul (local.get 0) (i32.const 8))))",
        "(module (func (export \"f\") (param i32 i32) (result i32) (i32.shl (local.get 0) (i32.const 3))))",
    );
    assert_eq!(comparison.calls, 4);
    assert_eq!(comparison.inconclusive, 0);
}

#[test]
fn a_wrong_result_names_the_function_and_its_arguments() {
    let before = "(module (func (export \"good\")) (func (export \"bad\") (param i32) (result i32) local.get 0))";
    let after = "(module (func (export \"good\")) (func (export \"bad\") (param i32) (result i32) i32.const 77))";
    assert_different(before, after, "bad", "result");
    let difference = comparison(before, after).difference.unwrap();
    assert!(difference.to_string().starts_with("'bad'(i32:"), "{difference}");
    assert_eq!(difference.after, "i32:77");
}

#[test]
fn traps_are_compared_by_kind() {
    let divide = "(module (func (export \"f\") (i32.div_s (i32.const 1) (i32.const 0)) drop))";
    let unreachable = "(module (func (export \"f\") unreachable))";
    assert_equal(divide, divide);
    assert_different(divide, unreachable, "f", "failure");
    assert_different(divide, "(module (func (export \"f\")))", "f", "ending");
    // What a reference is checked for may be asked in one way or the other.
    let cast = "(module (type $s (struct)) (func (export \"f\") (drop (ref.cast (ref $s) (ref.null $s)))))";
    let null_check = "(module (type $s (struct)) (func (export \"f\") (drop (ref.as_non_null (ref.null $s)))))";
    assert_equal(cast, null_check);
    assert_different(cast, unreachable, "f", "failure");
    let lenient = CompareOptions { compare_trap_kinds: false, ..CompareOptions::default() };
    assert!(compare_text(divide, unreachable, lenient).is_equal());
}

#[test]
fn where_traps_never_happen_anything_may_follow_one() {
    let options = CompareOptions { traps_never_happen: true, ..CompareOptions::default() };
    let unreachable = "(module (func (export \"f\") unreachable))";
    let nothing = "(module (func (export \"f\")))";
    assert!(compare_text(unreachable, nothing, options.clone()).is_equal());
    assert!(!compare_text(nothing, unreachable, options).is_equal());
}

#[test]
fn exceptions_are_compared_by_payload() {
    let throw =
        |value: i32| format!("(module (tag $t (param i32)) (func (export \"f\") (throw $t (i32.const {value}))))");
    assert_equal(&throw(1), &throw(1));
    assert_different(&throw(1), &throw(2), "f", "failure");
}

#[test]
fn calls_of_imports_have_to_be_the_same_in_order() {
    let calls = |body: &str| {
        format!(
            "(module (import \"env\" \"a\" (func $a (param i32) (result i32))) (import \"env\" \"b\" (func $b))
             (func (export \"f\") {body}))"
        )
    };
    let both = "(drop (call $a (i32.const 1))) (call $b)";
    assert_equal(&calls(both), &calls(both));
    assert_different(&calls(both), &calls("(call $b) (drop (call $a (i32.const 1)))"), "f", "call 1 of an import");
    assert_different(&calls(both), &calls("(drop (call $a (i32.const 2))) (call $b)"), "f", "call 1 of an import");
    assert_different(&calls(both), &calls("(drop (call $a (i32.const 1)))"), "f", "call 2 of an import");
}

#[test]
fn an_unused_import_may_go_and_duplicates_may_become_one() {
    let before =
        "(module (import \"env\" \"a\" (func $a (result i32))) (import \"env\" \"a\" (func $again (result i32)))
        (import \"env\" \"unused\" (global i32))
        (func (export \"f\") (result i32) (i32.add (call $a) (call $again))))";
    let after = "(module (import \"env\" \"a\" (func $a (result i32)))
        (func (export \"f\") (result i32) (i32.add (call $a) (call $a))))";
    assert_equal(before, after);
}

#[test]
fn exported_state_is_compared() {
    let store = |value: i32| {
        format!(
            "(module (memory (export \"m\") 1) (func (export \"f\") (i32.store (i32.const 256) (i32.const {value}))))"
        )
    };
    assert_different(&store(1), &store(2), "f", "memory 'm' at 0x100");
    let global = |value: i32| {
        format!(
            "(module (global $g (export \"g\") (mut i32) (i32.const 0)) (func (export \"f\") (global.set $g (i32.const {value}))))"
        )
    };
    assert_equal(&global(3), &global(3));
    assert_different(&global(3), &global(4), "f", "global 'g'");
    let table = |body: &str| {
        format!("(module (table $t (export \"t\") 2 funcref) (func $f (export \"f\") {body}) (elem declare func $f))")
    };
    assert_different(&table(""), &table("(table.set $t (i32.const 1) (ref.func $f))"), "f", "table 't' at 1");
}

#[test]
fn a_difference_in_a_big_memory_is_found_with_its_function() {
    let store = |value: i32| {
        format!(
            "(module (memory (export \"m\") 64) (func (export \"quiet\"))
             (func (export \"f\") (i32.store (i32.const 3000000) (i32.const {value}))))"
        )
    };
    assert_different(&store(1), &store(2), "f", "memory 'm' at 0x2dc6c0");
}

#[test]
fn the_payload_of_a_nan_does_not_count() {
    assert_equal(
        "(module (memory (export \"m\") 1) (func (export \"f\") (result f32) (f32.store (i32.const 0) (f32.const nan:0x200000)) (f32.const nan)))",
        "(module (memory (export \"m\") 1) (func (export \"f\") (result f32) (f32.store (i32.const 0) (f32.const -nan)) (f32.const nan:0x300000)))",
    );
}

#[test]
fn running_into_a_limit_is_inconclusive_and_the_rest_is_compared() {
    let before = "(module (func (export \"loop\") (loop br 0)) (func $r (export \"recurse\") (call $r)) (func (export \"last\") (result i32) i32.const 1))";
    let after = "(module (func (export \"loop\")) (func (export \"recurse\")) (func (export \"last\") (result i32) i32.const 2))";
    let options = CompareOptions { fuel: 100_000, ..CompareOptions::default() };
    let comparison = compare_text(before, after, options);
    assert_eq!(comparison.inconclusive, 2);
    assert!(is_after_call_of(&comparison.difference.unwrap(), "last"));
}

#[test]
fn different_amounts_of_fuel_are_no_difference() {
    let count = |limit: i32| {
        format!(
            "(module (func (export \"f\") (local i32)
               (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const {limit}))))))"
        )
    };
    assert_equal(&count(100_000), &count(1));
}

#[test]
fn a_missing_export_is_a_difference() {
    assert!(comparison("(module (func (export \"f\")))", "(module)").difference.unwrap().what.contains("export 'f'"));
    let comparison = comparison("(module (memory (export \"m\") 1))", "(module)");
    assert!(comparison.difference.unwrap().what.contains("export 'm'"));
}

#[test]
fn a_trap_on_instantiation_is_compared() {
    let trapping = "(module (func $s unreachable) (start $s))";
    assert_equal(trapping, trapping);
    let difference = comparison(trapping, "(module)").difference.unwrap();
    assert_eq!((difference.occasion, difference.after.as_str()), (Occasion::Instantiation, "instantiated"));
    let difference = comparison("(module)", trapping).difference.unwrap();
    assert!(difference.after.contains("unreachable"));
}

#[test]
fn references_are_looked_into() {
    let pair = |second: i32| {
        format!(
            "(module (type $p (struct (field i32) (field i32)))
             (func (export \"f\") (result (ref $p)) (struct.new $p (i32.const 1) (i32.const {second}))))"
        )
    };
    assert_equal(&pair(2), &pair(2));
    assert_different(&pair(2), &pair(3), "f", "result");
}

#[test]
fn arguments_can_be_references() {
    let comparison = assert_equal(
        "(module (func (export \"f\") (param externref anyref funcref i31ref v128) (result externref) local.get 0))",
        "(module (func (export \"f\") (param externref anyref funcref i31ref v128) (result externref) local.get 0))",
    );
    assert_eq!(comparison.calls, 4);
}

#[test]
fn what_the_host_cannot_make_is_not_tried() {
    let module = "(module (func (export \"f\") (param (ref func))))";
    let comparison = assert_equal(module, module);
    assert_eq!(comparison.calls, 0);
    assert_eq!(comparison.not_tried.len(), 1);
}

#[test]
fn continuations_are_run() {
    let generator = |last: i32| {
        format!(
            "(module (type $ft (func)) (type $ct (cont $ft)) (tag $yield (param i32)) (elem declare func $g)
               (func $g (suspend $yield (i32.const 1)) (suspend $yield (i32.const {last})))
               (func (export \"sum\") (result i32) (local $sum i32) (local $k (ref null $ct))
                 (local.set $k (cont.new $ct (ref.func $g)))
                 (loop $next
                   (block $on (result i32 (ref $ct))
                     (resume $ct (on $yield $on) (local.get $k))
                     (return (local.get $sum)))
                   (local.set $k)
                   (local.set $sum (i32.add (local.get $sum)))
                   (br $next))
                 (unreachable)))"
        )
    };
    assert_equal(&generator(2), &generator(2));
    assert_different(&generator(2), &generator(3), "sum", "result");
}

#[test]
fn the_same_seed_finds_the_same_difference() {
    let before = "(module (func (export \"f\") (param i64) (result i64) local.get 0))";
    let after = "(module (func (export \"f\") (param i64) (result i64) (i64.add (local.get 0) (i64.const 1))))";
    let options = || CompareOptions { seed: 42, ..CompareOptions::default() };
    assert_eq!(compare_text(before, after, options()), compare_text(before, after, options()));
}
