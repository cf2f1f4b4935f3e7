use super::*;
use crate::emit::{BlockTypeId, CodeItem, EmittedBlockType, emit};
use crate::func::{Terminator, Value, ValueDefinition};
use crate::lift::lift_body;
use crate::module::{Body, Module};
use crate::parse::{ParseOptions, parse_module};
use crate::signature::fixed_arity;
use wasmparser::Operator;

fn parse(text: &str) -> Module {
    let bytes = wat::parse_str(text).expect("the text parses");
    parse_module(bytes, &ParseOptions::default()).expect("the module parses")
}

/// The bodies of a module's functions.
fn bodies(module: &Module) -> Vec<Func> {
    module
        .functions
        .values()
        .filter_map(|function| match &function.body {
            Body::Lazy(body) => Some(lift_body(body, function.ty, &[]).expect("the body can be lifted")),
            _ => None,
        })
        .collect()
}

fn check_text(text: &str) {
    let module = parse(text);
    for mut func in bodies(&module) {
        let body = emit(&mut func, &module);
        if let Err(error) = check_emission(&func, &body, &module) {
            panic!("{error}\n{:#?}", body.code.iter().enumerate().collect::<Vec<_>>());
        }
    }
}

const PROGRAMS: &[&str] = &[
    // A loop with a local that is read before and after it is written.
    "(module (func (param i32) (result i32) (local i32)
       (loop $l
         (local.set 1 (i32.add (local.get 1) (local.get 0)))
         (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
       (local.get 1)))",
    // Two locals exchanged in a loop.
    "(module (func (param i32 i32 i32) (result i32)
       (loop $l
         (local.get 0) (local.set 0 (local.get 1)) (local.set 1)
         (br_if $l (local.tee 2 (i32.sub (local.get 2) (i32.const 1)))))
       (i32.sub (local.get 0) (local.get 1))))",
    // Effects in order, with a join.
    "(module (import \"m\" \"f\" (func $f (param i32) (result i32))) (memory 1) (func (param i32) (result i32)
       (i32.store (local.get 0) (i32.const 1))
       (if (result i32) (i32.lt_s (local.get 0) (i32.const 4))
         (then (call $f (i32.load (local.get 0))))
         (else (i32.store8 (i32.const 0) (local.get 0)) (i32.load offset=4 (local.get 0))))
       (i32.add (i32.load (local.get 0)))))",
    // A table.
    "(module (func (param i32) (result i32)
       (block $a (block $b (block $c (br_table $a $b $c $b (local.get 0)))
         (return (i32.const 1)))
         (return (i32.const 2)))
       (i32.const 3)))",
    // Exceptions.
    "(module (import \"m\" \"f\" (func $f (param i32) (result i32))) (tag $t (param i32)) (func (param i32) (result i32)
       (block $h (result i32)
         (try_table (result i32) (catch $t $h)
           (i32.add (call $f (local.get 0)) (call $f (i32.const 7)))))))",
    // References.
    "(module (type $f (func (result i32))) (func (param (ref null $f)) (result i32)
       (block $null (return (call_ref $f (br_on_null $null (local.get 0))))) (i32.const 0)))",
    // A choice that is left out, and the next one.
    "(module (import \"m\" \"f\" (func $f (param i32) (result i32))) (func (param i32 i32) (result i32)
       (if (i32.load8_u (local.get 0)) (then) (else))
       (if (result i32) (local.get 1)
         (then (call $f (i32.const 3)))
         (else (call $f (i32.const 4))))) (memory 1))",
    // Equal things made anew, of which behind the label only the types tell which is which.
    "(module (type $s (struct)) (import \"m\" \"f\" (func $f))
       (func (param i32 (ref $s)) (result (ref $s) (ref null $s))
         (if (result (ref $s) (ref null $s)) (local.get 0)
           (then (call $f) (struct.new_default $s) (struct.new_default $s))
           (else (local.get 1) (ref.null $s)))))",
    CLAUSES_WITH_CONSTANTS,
];

/// The function passes the first choice when it enters the block of the clause, before the code comes to the label.
const CHOICES_BEHIND_A_LABEL: &str =
    "(module (type $a (array (mut i64))) (import \"\" \"f\" (func $f (param i32))) (tag $t) (tag $u)
        (func (local $x (ref null $a))
            (local.set $x (array.new_fixed $a 1 (i64.const -3)))
            (block $caught (try_table (catch $t $caught) (throw $u)))
            (drop
                (if (result i32) (ref.is_null (local.get $x))
                    (then (i32.const 1))
                    (else (array.len (local.get $x)))))
            (call $f (if (result i32) (ref.is_null (local.get $x)) (then (i32.const 1)) (else (i32.const 0))))))";

/// $f gets what a clause leaves on the stack, so all before is computed below its result: what other ways to $join store as well.
const CLAUSES_WITH_CONSTANTS: &str =
    "(module (type $f (func)) (type $c (cont $f)) (tag $t) (tag $u (param i32)) (tag $v)
        (import \"\" \"f\" (func $f (param i32) (result i32))) (import \"\" \"g\" (func $g (param (ref null $c)) (result i32)))
        (func (param (ref null $c)) (result i32) (local $d i32)
            (block $join (result i32)
                (block $on_v (result (ref $c))
                    (block $on_u (result i32 (ref $c))
                        (block $on_t (result (ref $c))
                            (resume $c (on $t $on_t) (on $u $on_u) (on $v $on_v) (local.get 0))
                            (local.set $d (i32.const 2))
                            (br $join (i32.const 1)))
                        (br $join (call $g)))
                    (drop)
                    (local.set $d (i32.const 3))
                    (br $join (call $f)))
                (local.set $d (i32.const 4))
                (br $join (call $g)))
            (i32.add (local.get $d))))";

#[test]
fn what_emission_makes_of_small_programs_is_proved() {
    PROGRAMS.iter().for_each(|text| check_text(text));
}

#[test]
fn resumes_with_their_clauses_are_proved() {
    check_text(
        "(module (type $f (func)) (type $c (cont $f)) (tag $t (param i32)) (tag $u)
            (func (param $k (ref null $c)) (param $n i32) (result i32)
                (block $on (result i32 (ref $c))
                    (resume $c (on $t $on) (on $u switch) (local.get $k))
                    (return (local.get $n)))
                drop
                (i32.add (local.get $n))))",
    );
}

#[test]
fn a_constant_that_several_edges_give_is_stored_only_where_it_is_at_hand() {
    // Too long to be repeated, and computed behind the place where the branches begin.
    check_text(
        "(module (func (param i32 i32) (result i32) (local i32)
            (local.set 2 (i32.const 4197028))
            (block $out
                (br_if $out (i32.eq (local.get 0) (i32.const 1)))
                (br_if $out (i32.eq (local.get 0) (i32.const 2)))
                (local.set 2 (i32.const 4211455))
                (br_if $out (i32.eq (local.get 0) (i32.const 3)))
                (br_if $out (i32.eq (local.get 0) (i32.const 4)))
                (br_if $out (i32.eq (local.get 0) (i32.const 5)))
                (br_if $out (i32.eq (local.get 0) (i32.const 6)))
                (return (i32.add (i32.mul (local.get 2) (local.get 1)) (i32.sub (local.get 2) (local.get 1)))))
            (i32.xor (local.get 2) (local.get 1))))",
    );
}

#[test]
fn a_constant_that_an_edge_gives_is_stored_where_no_other_edge_can_part_from_it() {
    check_text(CLAUSES_WITH_CONSTANTS);
    // The same with two clauses, one of which leaves $d as it was.
    check_text(
        "(module (type $f (func)) (type $c (cont $f)) (tag $t) (tag $u (param i32))
            (import \"\" \"f\" (func $f (param i32) (result i32))) (import \"\" \"g\" (func $g (param (ref null $c)) (result i32)))
            (func (param (ref null $c)) (result i32) (local $d i32)
                (block $join (result i32)
                    (block $on_u (result i32 (ref $c))
                        (block $on_t (result (ref $c))
                            (resume $c (on $t $on_t) (on $u $on_u) (local.get 0))
                            (local.set $d (i32.const 2))
                            (br $join (i32.const 1)))
                        (br $join (call $g)))
                    (drop)
                    (call $f)
                    (local.set $d (i32.const 3)))
                (i32.add (local.get $d))))",
    );
}

#[test]
fn a_constant_that_is_stored_before_ways_part_that_store_another_is_refused() {
    let module = parse(CLAUSES_WITH_CONSTANTS);
    let mut func = bodies(&module).remove(0);
    let body = emit(&mut func, &module);
    check_emission(&func, &body, &module).unwrap();
    let mut moved = 0;
    for at in 0..body.code.len() - 1 {
        let [CodeItem::Operator(constant), CodeItem::LocalSet(_)] = body.code[at..at + 2] else { continue };
        if matches!(func.operators[constant], Operator::I32Const { .. }) {
            let mut early = body.clone();
            early.code[..at + 2].rotate_right(2);
            check_emission(&func, &early, &module).unwrap_err();
            moved += 1;
        }
    }
    assert_eq!(moved, 3, "{:?}", body.code);
}

#[test]
fn choices_that_make_no_difference_are_left_out() {
    check_text("(module (func (param i32) (br_if 0 (local.get 0))))");
    check_text("(module (func (param i32) (result i32) (block (br_table 0 0 0 (local.get 0))) (i32.const 1)))");
    check_text(
        "(module (func (param i32) (result i32) (if (i32.const 1) (then (return (i32.const 2)))) (local.get 0)))",
    );
    check_text("(module (func (result i32) (block (br_if 0 (i32.eqz (i32.const 0))) (unreachable)) (i32.const 1)))");
    // What the choice depends on is needed by nothing else.
    check_text(
        "(module (type $s (struct)) (type $a (array (mut (ref null $s)))) (global $g (mut i32) (i32.const 0))
            (func (result (ref null $a))
                (if (global.get $g) (then)) (array.new $a (ref.null $s) (i32.const 1))))",
    );
}

#[test]
fn a_choice_that_makes_no_difference_is_told_from_the_next_one_on_its_condition() {
    check_text(
        "(module (type $f (func)) (import \"\" \"f\" (func $effect (param i32)))
            (func (param i32)
                (if (result (ref null $f)) (local.get 0) (then (ref.null $f)) (else (ref.null $f)))
                (if (i32.eqz (local.get 0)) (then (call $effect (i32.const 1))))
                (call $effect (ref.is_null))))",
    );
}

#[test]
fn a_choice_that_was_left_out_is_told_from_the_next_one_on_its_condition() {
    check_text("(module (func (param i32) (if (local.get 0) (then)) (if (local.get 0) (then (unreachable)))))");
}

#[test]
fn a_choice_that_is_left_out_may_stand_before_one_that_is_made() {
    // Both make no difference; what the first one reads is left out with it.
    check_text(
        "(module (type $s (struct)) (type $t (sub (struct (field (mut i32)))))
            (import \"\" \"f\" (func $f (param i32))) (import \"\" \"k\" (func $k (param i32 (ref $t))))
            (global $g (mut (ref $t)) (struct.new $t (i32.const 1))) (global $h i32 (i32.const 2))
            (func (param i32)
                (call $f
                    (if (result i32)
                        (if (result i32) (ref.test (ref null $s) (global.get $g)) (then (local.get 0)) (else (local.get 0)))
                        (then (i32.const 3))
                        (else (unreachable))))
                (call $k
                    (if (result i32) (ref.test (ref null $s) (global.get $g)) (then (global.get $h)) (else (global.get $h)))
                    (global.get $g))))",
    );
}

#[test]
fn a_choice_with_something_that_could_trap_elsewhere_is_told_from_the_next_one_on_its_condition() {
    check_text(
        "(module (type $a (array (mut i64))) (import \"\" \"f\" (func $f (param i32)))
            (func (local $x (ref null $a))
                (local.set $x (array.new_fixed $a 1 (i64.const -3)))
                (drop
                    (if (result i32) (ref.is_null (local.get $x))
                        (then (i32.const 1))
                        (else (array.len (local.get $x)))))
                (call $f (if (result i32) (ref.is_null (local.get $x)) (then (i32.const 1)) (else (i32.const 0))))))",
    );
    // The same where the first one comes behind a label.
    check_text(CHOICES_BEHIND_A_LABEL);
}

#[test]
fn a_choice_behind_one_that_was_passed_before_a_label_must_be_the_right_way_round() {
    let module = parse(CHOICES_BEHIND_A_LABEL);
    let mut func = bodies(&module).remove(0);
    let body = emit(&mut func, &module);
    check_emission(&func, &body, &module).unwrap();
    let choices: Vec<usize> = (0..body.code.len()).filter(|&at| matches!(body.code[at], CodeItem::If(_))).collect();
    assert_eq!(choices.len(), 2, "{:?}", body.code);
    // The first one makes no difference.
    for (number, at) in choices.into_iter().enumerate() {
        let mut turned = body.clone();
        turned.code.insert(at, CodeItem::I32Eqz);
        assert_eq!(check_emission(&func, &turned, &module).is_ok(), number == 0, "{:?}", turned.code);
    }
}

/// The only function of a module, with an undefined value in place of each argument that is the constant -77.
fn with_undefined_arguments(module: &Module) -> Func {
    let mut func = bodies(module).remove(0);
    let marks: Vec<Value> = func
        .value_ids()
        .filter(|&value| match func.definition(value) {
            ValueDefinition::Result(inst) => matches!(func.operator(inst), Operator::I64Const { value: -77 }),
            _ => false,
        })
        .collect();
    assert!(!marks.is_empty());
    let undefined = func.undefined(wasmparser::ValType::I64);
    for block in func.blocks.keys().collect::<Vec<_>>() {
        let mut terminator = std::mem::replace(&mut func.blocks[block].terminator, Terminator::Missing);
        terminator.for_each_block_call_mut(|call| {
            for arg in &mut call.args {
                if marks.contains(arg) {
                    *arg = undefined;
                }
            }
        });
        func.blocks[block].terminator = terminator;
    }
    func
}

/// As a resumed function: it is entered in states in which $x has no value, and then goes on to the one in which it has.
const STATES_WITH_AN_UNDEFINED_VALUE: &[&str] = &[
    "(module (import \"\" \"f\" (func $f (param i32))) (import \"\" \"g\" (func $g (result i64)))
        (func (local $state i32) (local $x i64)
            (local.set $state (i32.const 1))
            (local.set $x (i64.const -77))
            (loop $next
                (block $one
                    (block $zero (br_table $zero $one (local.get $state)))
                    (call $f (i32.wrap_i64 (local.get $x)))
                    (local.set $state (i32.const 1))
                    (local.set $x (i64.const -77))
                    (br $next))
                (local.set $x (call $g))
                (local.set $state (i32.const 0))
                (br $next))))",
    "(module (import \"\" \"f\" (func $f (param i32))) (import \"\" \"g\" (func $g (result i64)))
        (func (param i32) (local $state i32) (local $x i64)
            (local.set $state (i32.const 3))
            (local.set $x (i64.const -77))
            (loop $next
                (block $three
                    (block $two
                        (block $one
                            (block $zero (br_table $zero $one $two $three (local.get $state)))
                            (call $f (i32.wrap_i64 (local.get $x)))
                            (local.set $state (i32.const 1))
                            (local.set $x (i64.const -77))
                            (br $next))
                        (call $f (i32.const 8)))
                    (local.set $x (call $g))
                    (local.set $state (i32.const 0))
                    (br $next))
                (call $f (i32.const 9))
                (local.set $x (i64.const -77))
                (local.set $state (i32.const 1))
                (br_if $next (local.get 0))
                (call $f (i32.const 7))
                (local.set $x (i64.const -77))
                (local.set $state (i32.const 2))
                (br $next))))",
    "(module (import \"\" \"f\" (func $f (param i32))) (import \"\" \"g\" (func $g (result i64)))
        (func (local $state i32) (local $x i64)
            (local.set $state (i32.const 1))
            (local.set $x (i64.const -77))
            (loop $next
                (if (local.get $state)
                    (then
                        (local.set $x (call $g))
                        (local.set $state (i32.const 0)))
                    (else
                        (call $f (i32.wrap_i64 (local.get $x)))
                        (local.set $state (i32.const 1))
                        (local.set $x (i64.const -77))))
                (br $next))))",
];

#[test]
fn what_a_state_leaves_undefined_is_not_missed_in_states_that_cannot_follow() {
    for text in STATES_WITH_AN_UNDEFINED_VALUE {
        let module = parse(text);
        let mut func = with_undefined_arguments(&module);
        let body = emit(&mut func, &module);
        if let Err(error) = check_emission(&func, &body, &module) {
            panic!("{error}\n{func}\n{:#?}", body.code.iter().enumerate().collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_state_that_the_code_takes_for_another_is_refused() {
    for text in STATES_WITH_AN_UNDEFINED_VALUE {
        let module = parse(text);
        let mut func = with_undefined_arguments(&module);
        let body = emit(&mut func, &module);
        let mut changed = 0;
        for at in 0..body.code.len() - 1 {
            let [CodeItem::Operator(constant), CodeItem::LocalSet(_)] = body.code[at..at + 2] else { continue };
            let Operator::I32Const { value } = func.operators[constant] else { continue };
            for other in (0..3).filter(|&other| other != value) {
                let mut damaged = body.clone();
                damaged.code[at] = CodeItem::I32Const(other);
                assert!(check_emission(&func, &damaged, &module).is_err(), "{at}: {other}: {:?}", body.code);
                changed += 1;
            }
        }
        assert_ne!(changed, 0, "{:?}", body.code);
    }
}

#[test]
fn a_choice_between_values_that_nobody_needs_makes_no_difference() {
    check_text(
        "(module (global $g (mut i32) (i32.const 0))
            (func (param i32) (local $x i64)
                (loop $l
                    (if (i32.eqz (global.get $g)) (then (return)))
                    (global.set $g (i32.sub (global.get $g) (i32.const 1)))
                    (if (local.get 0)
                        (then
                            (if (i32.const 1) (then (local.set $x (i64.const 5))) (else (local.set $x (i64.const 6))))
                            (local.set $x (i64.add (local.get $x) (i64.const 1))))
                        (else (local.set $x (i64.const 0))))
                    (drop (i64.eqz (local.get $x)))
                    (br_if $l (i32.const 1)))))",
    );
}

#[test]
fn a_choice_on_a_constant_in_a_local_is_told_from_the_next_one_on_what_it_gave() {
    check_text(
        "(module (func (param i32) (result i32) (local $c i32)
            (local.set $c (i32.const -2147483648))
            (if (local.get $c) (then (local.set 0 (local.get $c))))
            (if (result i32) (local.get 0) (then (i32.const 1)) (else (local.get $c)))))",
    );
}

#[test]
fn what_a_choice_that_is_left_out_reads_may_be_read_or_not() {
    check_text(
        "(module (import \"\" \"f\" (func $f)) (global $g (mut i32) (i32.const 0)) (global $h (mut i32) (i32.const 0))
            (func (param i32 i32) (local $y i32)
                (loop $l
                    (if (i32.eqz (global.get $g)) (then (return)))
                    (global.set $g (i32.sub (global.get $g) (i32.const 1)))
                    (if (local.get 0) (then (local.set $y (global.get $h))) (else (local.set $y (i32.const 1))))
                    (if (local.get $y) (then) (else))
                    (block $caught (try_table (catch_all $caught) (call $f)))
                    (if (global.get $h) (then) (else))
                    (br_if $l (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))))",
    );
}

#[test]
fn equal_things_made_anew_are_told_apart_behind_the_label_that_they_are_carried_to() {
    check_text(
        "(module (type $s (struct)) (import \"\" \"f\" (func $f))
            (func (param i32) (result (ref $s) (ref null $s))
                (if (result (ref $s) (ref null $s)) (local.get 0)
                    (then (call $f) (struct.new_default $s) (struct.new_default $s))
                    (else (struct.new_default $s) (ref.null $s)))))",
    );
}

#[test]
fn a_cast_that_cannot_fail_on_the_way_here_is_still_the_one_that_could() {
    check_text(
        "(module (type $a (array (mut i32))) (import \"\" \"g\" (func $g (param (ref $a))))
            (func (param i32) (local $x (ref null $a))
                (if (i32.const 1)
                    (then
                        (local.set $x (array.new_fixed $a 1 (i32.const 1)))
                        (if (local.get 0)
                            (then (array.set $a (ref.as_non_null (local.get $x)) (i32.const 0) (local.get 0)))))
                    (else (local.set $x (array.new $a (i32.const 1) (i32.const 7)))))
                (call $g (ref.as_non_null (local.get $x)))))",
    );
}

#[test]
fn what_is_never_null_stays_so_where_different_values_meet_in_a_nullable_local() {
    check_text(
        "(module (import \"\" \"f\" (func $f (param i32))) (import \"\" \"g\" (func $g (param exnref))) (tag $t (param i32))
            (func (param i32) (local $e exnref)
                (block $join
                    (block $caught (result i32 (ref exn))
                        (try_table (catch_ref $t $caught) (call $f (i32.const 1)))
                        (try_table (catch_ref $t $caught) (call $f (i32.const 2)))
                        (br $join))
                    (local.set $e)
                    (call $f))
                (call $g (local.get $e))
                (block $rethrown (br_on_null $rethrown (local.get $e)) (throw_ref))))",
    );
}

#[test]
fn only_something_newly_made_may_come_before_a_call() {
    let module = parse(
        "(module (type $s (struct (field (mut i32)))) (import \"\" \"f\" (func $f))
            (func (param (ref $s)) (result (ref $s)) (local $new (ref $s))
                (call $f)
                (local.set $new (struct.new_default $s))
                (struct.set $s 0 (local.get 0) (i32.const 1))
                (local.get $new)))",
    );
    let mut func = bodies(&module).remove(0);
    let body = emit(&mut func, &module);
    check_emission(&func, &body, &module).unwrap();
    let position = |code: &[CodeItem], is_it: &dyn Fn(&Operator<'static>) -> bool| {
        let found = code.iter().position(|item| matches!(item, CodeItem::Operator(id) if is_it(&func.operators[*id])));
        found.expect("the function has it")
    };
    let mut earlier = body.clone();
    let call = position(&earlier.code, &|operator| matches!(operator, Operator::Call { .. }));
    let new = position(&earlier.code, &|operator| matches!(operator, Operator::StructNewDefault { .. }));
    let allocation = earlier.code.remove(new);
    earlier.code.insert(call, allocation);
    check_emission(&func, &earlier, &module).unwrap();
    let mut wrong = body;
    let call = position(&wrong.code, &|operator| matches!(operator, Operator::Call { .. }));
    let set = position(&wrong.code, &|operator| matches!(operator, Operator::StructSet { .. }));
    let call = wrong.code.remove(call);
    wrong.code.insert(set, call);
    check_emission(&func, &wrong, &module).unwrap_err();
}

#[test]
fn a_choice_that_the_code_leaves_out_must_make_no_difference() {
    let module = parse(
        "(module (memory 1) (func (param i32 i32)
            (if (local.get 0) (then (i32.store (local.get 1) (i32.const 1))) (else (i32.store (local.get 1) (i32.const 1))))))",
    );
    let mut func = bodies(&module).remove(0);
    let body = emit(&mut func, &module);
    check_emission(&func, &body, &module).unwrap();
    let start = body.code.iter().position(|item| matches!(item, CodeItem::If(_))).unwrap();
    let or_else = body.code.iter().position(|item| *item == CodeItem::Else).unwrap();
    // `if A else A` is A.
    let arm = &body.code[start + 1..or_else];
    let mut shorter = body.clone();
    shorter.code = arm.to_vec();
    check_emission(&func, &shorter, &module).unwrap();
    for item in shorter.code.iter_mut() {
        if let CodeItem::LocalGet(local) = item {
            *local = 0;
        }
    }
    check_emission(&func, &shorter, &module).unwrap_err();
}

#[test]
fn sides_that_differ_in_a_value_on_the_way_are_not_one() {
    // Both sides lead to the loop with the same argument, but $x is another value.
    check_text(
        "(module (func (param i32 i32) (result i32) (local $x i32) (local $i i32)
            (if (local.get 1) (then (local.set $x (local.get 0))))
            (loop $l
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $l (i32.lt_s (local.get $i) (local.get $x))))
            (i32.sub (local.get $x) (local.get $i))))",
    );
}

/// Ways to damage the emitted code at one place. Damage that happens to change nothing cannot be refused, so it is not among these: every `set` in
/// the programs is read, and no two operators with effects that stand side by side may be exchanged.
fn damaged(func: &Func, body: &EmittedBody, at: usize, locals: u32) -> Vec<EmittedBody> {
    let with = |items: &[CodeItem]| {
        let mut body = body.clone();
        body.code.splice(at..=at, items.iter().copied());
        body
    };
    let item = body.code[at];
    match item {
        CodeItem::LocalGet(local) => {
            (0..locals).filter(|&other| other != local).map(|other| with(&[CodeItem::LocalGet(other)])).collect()
        }
        CodeItem::LocalSet(_) => vec![with(&[CodeItem::Drop])],
        CodeItem::LocalTee(_) => vec![with(&[])],
        CodeItem::BrIf(_) | CodeItem::If(_) => vec![with(&[CodeItem::I32Eqz, item])],
        CodeItem::I32Const(value) => vec![with(&[CodeItem::I32Const(value + 1)])],
        CodeItem::I32Eqz => vec![with(&[])],
        CodeItem::BrTable(number) => {
            let mut body = body.clone();
            body.branch_tables[number as usize].swap(0, 1);
            vec![body]
        }
        CodeItem::Operator(operator) => {
            let arity = fixed_arity(&func.operators[operator]);
            let mut all = vec![with(&[])];
            // Executed twice; not executed, with another result of the same number.
            match arity {
                Some((2, 1)) => all.push(with(&[CodeItem::Drop])),
                Some((2, 0)) => all.push(with(&[CodeItem::Drop, CodeItem::Drop])),
                _ => {}
            }
            all
        }
        _ => Vec::new(),
    }
}

/// Programs with a statement behind another one, of which the code is exchanged: stores, and calls.
#[test]
fn effects_in_another_order_are_refused() {
    let exchanged = |text: &str, length: usize| {
        let module = parse(text);
        let mut func = bodies(&module).remove(0);
        let body = emit(&mut func, &module);
        check_emission(&func, &body, &module).unwrap();
        let mut damaged = body.clone();
        damaged.code[..2 * length].rotate_left(length);
        assert_ne!(damaged, body);
        check_emission(&func, &damaged, &module)
    };
    let stores = |memory: u32| {
        format!(
            "(module (memory 1) (memory 1) (func (param i32)
                (i32.store 0 (local.get 0) (i32.const 1)) (i32.store8 {memory} (local.get 0) (i32.const 2))))"
        )
    };
    assert!(exchanged(&stores(0), 3).is_err(), "stores to one memory");
    assert!(exchanged(&stores(1), 3).is_err(), "a store is seen if the other one traps");
    let reads = "(module (global $g (mut i32) (i32.const 0)) (memory 1) (func (param i32) (result i32 i32)
        (global.get $g) (i32.load (local.get 0))))";
    assert!(exchanged(reads, 1).is_err(), "the operand is not there");
    let sets = "(module (global $g (mut i32) (i32.const 0)) (global $h (mut i32) (i32.const 0)) (func (param i32)
        (global.set $g (local.get 0)) (global.set $h (local.get 0))))";
    assert!(exchanged(sets, 2).is_ok(), "nobody can see which of two globals is set first");
}

#[test]
fn damaged_code_is_refused() {
    let (mut refused, mut accepted) = (0, Vec::new());
    for text in PROGRAMS {
        let module = parse(text);
        for mut func in bodies(&module) {
            let body = emit(&mut func, &module);
            let declared: u32 = body.locals.iter().map(|(count, _)| count).sum();
            let locals = declared + func.blocks[func.entry].params.len() as u32;
            for at in 0..body.code.len() {
                for (way, damaged) in damaged(&func, &body, at, locals).iter().enumerate() {
                    match check_emission(&func, damaged, &module) {
                        Err(_) => refused += 1,
                        Ok(()) => accepted.push(format!("{:?} at {at}, way {way}, in {text}", body.code[at])),
                    }
                }
            }
        }
    }
    assert!(accepted.is_empty(), "{accepted:#?}");
    assert!(refused > 50, "only {refused} damaged bodies were tried");
}

#[test]
fn code_that_goes_round_where_the_function_does_not_is_refused() {
    let module = parse("(module (func (param i32) (result i32) (block (br_if 0 (local.get 0))) (i32.const 1)))");
    let mut func = bodies(&module).remove(0);
    let mut body = emit(&mut func, &module);
    check_emission(&func, &body, &module).unwrap();
    let ty = BlockTypeId(body.block_types.len() as u32);
    body.block_types.push(EmittedBlockType::default());
    body.code.splice(0..0, [CodeItem::Loop(ty), CodeItem::Br(0), CodeItem::End]);
    let error = check_emission(&func, &body, &module).unwrap_err();
    assert!(error.message.contains("goes round"), "{error}");
}

#[test]
fn a_function_that_goes_round_for_ever_may_be_code_that_does() {
    check_text("(module (func (loop $a (loop $b (br $a)))))");
    check_text("(module (func (param i32) (loop $a (local.set 0 (i32.add (local.get 0) (i32.const 1))) (br $a))))");
}

#[test]
fn values_exchanged_on_the_way_round_keep_their_meaning() {
    check_text(
        "(module (func (param i64 i64 i32) (result i64) (local i64)
            (loop $l
                (local.set 3 (i64.add (local.get 0) (local.get 1)))
                (local.set 0 (local.get 1))
                (local.set 1 (local.get 3))
                (local.set 2 (i32.sub (local.get 2) (i32.const 1)))
                (br_if $l (i32.gt_s (local.get 2) (i32.const 0))))
            (i64.sub (local.get 3) (local.get 0))))",
    );
}

#[test]
fn equal_things_made_anew_are_told_apart_by_their_uses() {
    check_text(
        "(module (type $s (struct (field (mut i32)))) (func (param i32) (result i32) (local (ref null $s) (ref null $s))
            (local.set 1 (struct.new_default $s))
            (local.set 2 (struct.new_default $s))
            (struct.set $s 0 (local.get 2) (local.get 0))
            (struct.set $s 0 (local.get 1) (i32.const 7))
            (i32.sub (struct.get $s 0 (local.get 2)) (struct.get $s 0 (local.get 1)))))",
    );
}
