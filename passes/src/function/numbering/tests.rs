use crate::function::testing::operators_after;

fn numbered(text: &str) -> Vec<&'static str> {
    operators_after(text, &[super::run, crate::function::dead_code::run])
}
fn count(names: &[&str], name: &str) -> usize {
    names.iter().filter(|&&other| other == name).count()
}

#[test]
fn a_load_is_not_repeated_until_its_memory_is_written() {
    let names = numbered(
        "(module (memory 1) (func (param i32) (result i32)
            (i32.add (i32.load (local.get 0)) (i32.load (local.get 0)))))",
    );
    assert_eq!(count(&names, "i32.load"), 1);
    let names = numbered(
        "(module (memory 1) (func (param i32) (result i32)
            (i32.load (local.get 0))
            (i32.store8 (i32.const 8) (i32.const 1))
            (i32.load (local.get 0))
            i32.add))",
    );
    assert_eq!(count(&names, "i32.load"), 2);
}

#[test]
fn a_write_on_one_of_two_paths_counts() {
    let text = |arm: &str| {
        format!(
            "(module (memory 1) (global $g (mut i32) (i32.const 0)) (func (param i32) (result i32)
                (i32.load (local.get 0))
                (if (local.get 0) (then {arm}))
                (i32.load (local.get 0))
                i32.add))"
        )
    };
    assert_eq!(count(&numbered(&text("(i32.store (i32.const 8) (i32.const 1))")), "i32.load"), 2);
    assert_eq!(count(&numbered(&text("(global.set $g (i32.const 1))")), "i32.load"), 1);
    assert_eq!(count(&numbered(&text("(loop (i32.store (i32.const 8) (i32.const 1)))")), "i32.load"), 2);
}

#[test]
fn a_write_later_in_a_loop_counts_for_its_start() {
    let text = |tail: &str| {
        format!(
            "(module (global $g (mut i32) (i32.const 0)) (global $h (mut i32) (i32.const 0)) (func (param i32) (result i32)
                (global.get $g)
                (loop
                    (drop (i32.div_u (i32.const 1) (global.get $g)))
                    {tail}
                    (br_if 0 (local.tee 0 (i32.shr_u (local.get 0) (i32.const 1)))))))"
        )
    };
    assert_eq!(count(&numbered(&text("(global.set $g (local.get 0))")), "global.get"), 2);
    assert_eq!(count(&numbered(&text("(global.set $h (local.get 0))")), "global.get"), 1);
}

#[test]
fn what_was_stored_is_not_loaded_and_what_is_there_is_not_stored() {
    let names = numbered(
        "(module (memory 1) (func (param i32 i32) (result i32)
            (i32.store offset=4 (local.get 0) (local.get 1))
            (i32.load offset=4 (local.get 0))
            (i32.store offset=4 (local.get 0) (local.get 1))))",
    );
    assert_eq!(names, ["i32.store"]);
    let names = numbered(
        "(module (memory 1) (func (param i32 i64) (result i32)
            (i64.store (local.get 0) (local.get 1))
            (i32.load (local.get 0))))",
    );
    assert_eq!(names, ["i64.store", "i32.load"]);
}

#[test]
fn a_shared_memory_is_stored_to_as_often_as_the_program_says() {
    let names = numbered(
        "(module (memory 1 1 shared) (func (param i32 i32)
            (i32.store (local.get 0) (local.get 1))
            (i32.store (local.get 0) (local.get 1))))",
    );
    assert_eq!(count(&names, "i32.store"), 2);
}

#[test]
fn two_cont_new_are_two_continuations() {
    let names = numbered(
        "(module (type $f (func)) (type $c (cont $f)) (func $body) (elem declare func $body)
            (func (export \"f\") (result (ref $c) (ref $c))
                (cont.new $c (ref.func $body)) (cont.new $c (ref.func $body))))",
    );
    assert!(names.is_empty(), "the first function is the empty one");
    let names = numbered(
        "(module (type $f (func)) (type $c (cont $f)) (import \"m\" \"f\" (func $body)) (elem declare func $body)
            (func (export \"f\") (result (ref $c) (ref $c))
                (cont.new $c (ref.func $body)) (cont.new $c (ref.func $body))))",
    );
    assert_eq!(count(&names, "cont.new"), 2);
    assert_eq!(count(&names, "ref.func"), 1);
}

#[test]
fn two_binds_of_one_continuation_stay_two_so_that_the_second_traps() {
    let names = numbered(
        "(module (type $f (func (param i32))) (type $c (cont $f)) (type $f0 (func)) (type $c0 (cont $f0))
            (func (export \"f\") (param $k (ref $c)) (result (ref $c0) (ref $c0))
                (cont.bind $c $c0 (i32.const 1) (local.get $k)) (cont.bind $c $c0 (i32.const 1) (local.get $k))))",
    );
    assert_eq!(count(&names, "cont.bind"), 2);
}

#[test]
fn nothing_mutable_is_known_after_a_suspension_or_on_a_handler_edge() {
    let names = numbered(
        "(module (tag $t) (global $g (mut i32) (i32.const 0)) (func (result i32)
            (global.get $g) (suspend $t) (global.get $g) i32.add))",
    );
    assert_eq!(count(&names, "global.get"), 2);
    let names = numbered(
        "(module (type $f (func)) (type $c (cont $f)) (tag $t) (global $g (mut i32) (i32.const 0))
            (func (param $k (ref $c)) (result i32)
                (global.set $g (i32.const 5))
                (block $on (result (ref $c))
                    (resume $c (on $t $on) (local.get $k))
                    (return (global.get $g)))
                drop
                (global.get $g)))",
    );
    assert_eq!(count(&names, "global.get"), 2);
}

#[test]
fn on_either_side_of_a_branch_the_condition_is_known() {
    let names = operators_after(
        "(module (import \"m\" \"f\" (func $f (param i32))) (func (param i32)
            (if (i32.eqz (local.get 0))
                (then (call $f (local.get 0)) (if (local.get 0) (then (call $f (i32.const 7)))))
                (else (call $f (local.get 0))))))",
        &[super::run, crate::function::branches::run, crate::function::dead_code::run],
    );
    assert_eq!(count(&names, "call"), 2, "the call under the contradiction is gone: {names:?}");
}
