//! Emission of small functions, and of large ones of extreme shape.

use super::{CodeItem, EmittedBody, Options, emit_with};
use crate::func::{BlockCall, Func, Terminator};
use crate::lift::lift_body;
use crate::module::{Body, Module, TypeId};
use crate::parse::{ParseOptions, parse_module};
use wasm_encoder::reencode::RoundtripReencoder;
use wasmparser::{BinaryReader, FuncToValidate, FunctionBody, Operator, ValType, WasmModuleResources};

fn parse(text: &str) -> Module {
    let bytes = wat::parse_str(text).expect("the text parses");
    parse_module(bytes, &ParseOptions::default()).expect("the module parses")
}

/// Lifts the module's functions, emits and validates them, and returns size before, size after and code of the last.
fn round_trip_with(module: &Module, options: &Options) -> (usize, usize, EmittedBody) {
    let mut last = None;
    for function in module.functions.values() {
        let Body::Lazy(body) = &function.body else { continue };
        let mut func = lift_body(body, function.ty, &[]).expect("the body can be lifted");
        let emitted = emit_with(&mut func, module, options);
        let encoded = emitted.encode(&func.operators, &mut RoundtripReencoder, |ty| function_type(module, ty));
        let encoded = encoded.expect("nothing is renumbered");
        let resources = body.source.resources.clone();
        let ty = resources.type_index_of_function(body.index).expect("the function has a type");
        let validate = FuncToValidate { resources, index: body.index, ty, features: body.source.features };
        let reader = FunctionBody::new(BinaryReader::new_features(&encoded.bytes, 0, body.source.features));
        if let Err(error) = validate.into_validator(Default::default()).validate(&reader) {
            panic!("{error}: {:?}", emitted.code);
        }
        last = Some((body.bytes().len(), encoded.bytes.len(), emitted));
    }
    last.expect("the module has a function")
}

fn function_type(module: &Module, ty: &super::EmittedBlockType) -> u32 {
    let found =
        module.types.definitions.iter().find(|(_, definition)| match &definition.sub_type.composite_type.inner {
            wasmparser::CompositeInnerType::Func(func) => {
                *func.params() == *ty.params && *func.results() == *ty.results
            }
            _ => false,
        });
    found.expect("the module has the type of the block").0.as_u32()
}

fn round_trip(text: &str) -> (usize, usize, EmittedBody) {
    round_trip_with(&parse(text), &Options::default())
}

fn assert_not_larger(text: &str) -> EmittedBody {
    let (before, after, body) = round_trip(text);
    assert!(after <= before, "{before} became {after}: {:?}", body.code);
    body
}

#[test]
fn a_loop_variable_stays_in_its_parameter() {
    let body = assert_not_larger(
        "(module (func (param i32) (result i32) (local i32)
           (loop $l
             (local.set 1 (i32.add (local.get 1) (local.get 0)))
             (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
           (local.get 1)))",
    );
    assert_eq!(body.locals, [(1, ValType::I32)]);
    assert!(body.code.contains(&CodeItem::LocalTee(0)));
}

#[test]
fn a_block_and_an_inverted_branch_become_an_if() {
    let body = assert_not_larger(
        "(module (import \"\" \"f\" (func $f)) (func (param i32)
           (block $b (br_if $b (i32.eqz (local.get 0))) (call $f))))",
    );
    assert!(matches!(body.code[..], [CodeItem::LocalGet(0), CodeItem::If(_), CodeItem::Operator(_), CodeItem::End]));
}

#[test]
fn a_value_of_both_arms_is_the_result_of_an_if() {
    let body = assert_not_larger(
        "(module (import \"\" \"f\" (func $f (result i32))) (import \"\" \"g\" (func $g (result i32)))
           (func (param i32) (result i32)
             (if (result i32) (local.get 0) (then (call $f)) (else (call $g)))))",
    );
    assert!(body.locals.is_empty());
    assert_eq!(body.code.len(), 6);
}

#[test]
fn a_value_waits_on_the_stack_while_others_are_stored() {
    // The call can move past nothing, and its value is used after the store.
    let body = assert_not_larger(
        "(module (import \"\" \"f\" (func $f (result i32))) (memory 1)
           (func (param i32) (result i32)
             (i32.add (call $f) (block (result i32) (i32.store (local.get 0) (i32.const 1)) (call $f)))))",
    );
    assert!(body.locals.is_empty());
}

#[test]
fn a_load_does_not_move_past_a_store() {
    let text = "(module (memory 1) (func (param i32 i32) (result i32) (local i32)
           (local.set 2 (i32.load (local.get 0)))
           (i32.store (local.get 0) (local.get 1))
           (local.get 2)))";
    let (_, _, body) = round_trip(text);
    let module = parse(text);
    let Body::Lazy(lazy) = &module.functions.values().next().expect("one function").body else { unreachable!() };
    let func = lift_body(lazy, TypeId::from_u32(0), &[]).expect("it can be lifted");
    let position = |wanted: fn(&Operator<'_>) -> bool| {
        body.code.iter().position(|item| matches!(item, CodeItem::Operator(id) if wanted(&func.operators[*id])))
    };
    let load = position(|operator| matches!(operator, Operator::I32Load { .. }));
    let store = position(|operator| matches!(operator, Operator::I32Store { .. }));
    assert!(load < store && load.is_some());
}

#[test]
fn swapped_loop_variables_are_copied_all_at_once() {
    // Either local may hold either value, but one temporary place is needed: the operand stack.
    let body = assert_not_larger(
        "(module (func (param i32 i32 i32) (result i32) (local i32)
           (loop $l
             (local.set 3 (local.get 0)) (local.set 0 (local.get 1)) (local.set 1 (local.get 3))
             (br_if $l (local.tee 2 (i32.sub (local.get 2) (i32.const 1)))))
           (local.get 0)))",
    );
    assert!(body.locals.is_empty());
}

#[test]
fn every_step_may_be_off() {
    let module = parse(
        "(module (import \"\" \"f\" (func $f (param i32) (result i32))) (memory 1)
           (func (param i32 i32) (result i32) (local i32)
             (block $out (loop $l
               (local.set 2 (call $f (local.get 0)))
               (br_if $out (i32.lt_s (local.get 2) (local.get 1)))
               (i32.store (local.get 2) (local.get 1))
               (if (local.get 1) (then (local.set 1 (i32.load (local.get 2)))) (else (local.set 1 (i32.const 77))))
               (br $l)))
             (local.get 1)))",
    );
    let (_, best, _) = round_trip_with(&module, &Options::default());
    for step in ["move_effects", "keep_on_stack", "block_results", "tee", "sink", "coalesce", "share_locals"] {
        let mut options = Options::default();
        options.switch_off(step);
        let (_, size, _) = round_trip_with(&module, &options);
        assert!(size >= best, "without {step} {best} becomes {size}");
    }
}

/// A cycle of two blocks that are both entered from outside.
fn irreducible() -> Func {
    let mut func = Func::new(TypeId::from_u32(0), &[ValType::I32], &[ValType::I32]);
    let condition = func.blocks[func.entry].params[0];
    let (a, b, exit) = (func.add_block(), func.add_block(), func.add_block());
    let in_a = func.add_block_param(a, ValType::I32);
    let in_b = func.add_block_param(b, ValType::I32);
    let one = func.append_value(func.entry, Operator::I32Const { value: 1 }, &[], ValType::I32);
    func.blocks[func.entry].terminator = Terminator::Branch {
        condition,
        then_target: BlockCall::with_args(a, [one]),
        else_target: BlockCall::with_args(b, [condition]),
        likely: None,
    };
    let more = func.append_value(a, Operator::I32Add, &[in_a, condition], ValType::I32);
    func.blocks[a].terminator = Terminator::Jump(BlockCall::with_args(b, [more]));
    let less = func.append_value(b, Operator::I32Sub, &[in_b, one], ValType::I32);
    func.blocks[b].terminator = Terminator::Branch {
        condition: less,
        then_target: BlockCall::with_args(a, [less]),
        else_target: BlockCall::new(exit),
        likely: None,
    };
    func.blocks[exit].terminator = Terminator::Return(smallvec::smallvec![less]);
    func
}

#[test]
fn a_cycle_with_two_entries_gets_a_dispatch() {
    let mut func = irreducible();
    let instructions = func.blocks.values().map(|block| block.insts.len()).sum::<usize>();
    let emitted = emit_with(&mut func, &crate::effects::UnknownEnvironment, &Options::default());
    let module = parse("(module (func (param i32) (result i32) (local.get 0)))");
    let encoded = emitted.encode(&func.operators, &mut RoundtripReencoder, |_| 0).expect("nothing is renumbered");
    let Body::Lazy(body) = &module.functions.values().next().expect("one function").body else { unreachable!() };
    let validate =
        FuncToValidate { resources: body.source.resources.clone(), index: 0, ty: 0, features: body.source.features };
    let reader = FunctionBody::new(BinaryReader::new(&encoded.bytes, 0));
    validate.into_validator(Default::default()).validate(&reader).expect("the code is valid");
    let arithmetic = emitted.code.iter().filter(|item| matches!(item, CodeItem::Operator(id) if matches!(func.operators[*id], Operator::I32Add | Operator::I32Sub)));
    assert_eq!(arithmetic.count() + 1, instructions, "no code is duplicated");
}

/// A cycle with two entries, and inside of it a loop that stands before what is computed in front of it and used behind it.
#[test]
fn what_is_used_before_it_stands_in_the_code_is_kept_in_a_local() {
    let module = parse(
        "(module (import \"\" \"\" (func (result i32))) (func (param i32) (result i32) (drop (call 0)) (local.get 0)))",
    );
    let mut func = Func::new(TypeId::from_u32(1), &[ValType::I32], &[ValType::I32]);
    let param = func.blocks[func.entry].params[0];
    let [head, inner, behind, round, before, end] = std::array::from_fn(|_| func.add_block());
    let call =
        |func: &mut Func, block| func.append_value(block, Operator::Call { function_index: 0 }, &[], ValType::I32);
    let branch = |condition, to, or| Terminator::Branch {
        condition,
        then_target: BlockCall::new(to),
        else_target: BlockCall::new(or),
        likely: None,
    };
    func.blocks[func.entry].terminator = branch(param, head, before);
    let decided = call(&mut func, head);
    func.blocks[head].terminator = branch(decided, before, end);
    let value = call(&mut func, before);
    func.blocks[before].terminator = Terminator::Jump(BlockCall::new(inner));
    let decided = call(&mut func, inner);
    func.blocks[inner].terminator = branch(decided, behind, round);
    call(&mut func, round);
    func.blocks[round].terminator = Terminator::Jump(BlockCall::new(inner));
    func.blocks[behind].terminator = branch(value, head, end);
    func.blocks[end].terminator = Terminator::Return([param].into_iter().collect());
    let body = emit_with(&mut func, &module, &Options::default());
    crate::check::check_emission(&func, &body, &module).unwrap();
}

#[test]
fn a_hundred_thousand_nested_blocks_are_no_problem() {
    let depth = 100_000;
    let mut text = String::from("(module (func (param i32)");
    for _ in 0..depth {
        text.push_str(" block");
    }
    for level in 0..depth {
        text.push_str(&format!(" local.get 0 br_if {} end", (depth - level) / 2));
    }
    text.push_str("))");
    let (before, after, _) = round_trip(&text);
    assert!(after <= before);
}

#[test]
fn a_long_table_is_no_problem() {
    let mut text = String::from("(module (func (param i32) (result i32) (block $a (block $b local.get 0 br_table");
    for entry in 0..60_000 {
        text.push_str(if entry % 3 == 0 { " $a" } else { " $b" });
    }
    text.push_str(") (return (i32.const 1))) (i32.const 2)))");
    assert_not_larger(&text);
}

#[test]
fn fifty_thousand_locals_are_no_problem() {
    let mut text = String::from("(module (func (param i32) (result i32) (local");
    for _ in 0..49_999 {
        text.push_str(" i32");
    }
    text.push(')');
    for local in 1..50_000 {
        text.push_str(&format!("(local.set {local} (i32.mul (local.get {}) (local.get 0)))", local - 1));
    }
    text.push_str("(loop $l (br_if $l (local.get 0)))");
    for local in 1..50_000 {
        text.push_str(&format!("(local.set 0 (i32.xor (local.get {local}) (local.get 0)))"));
    }
    text.push_str("(local.get 0)))");
    let (before, after, _) = round_trip(&text);
    assert!(after <= before, "{before} became {after}");
}

#[test]
fn calls_under_one_handler_share_a_try_table() {
    let body = assert_not_larger(
        "(module (tag $t (param i32)) (import \"\" \"f\" (func $f (param i32) (result i32))) (import \"\" \"g\" (func $g)) (memory 1)
           (func (param i32) (result i32) (local i32)
             (block $h (result i32)
               (try_table (catch $t $h)
                 (local.set 1 (call $f (local.get 0)))
                 (i32.store (local.get 1) (local.get 0))
                 (local.set 1 (call $f (i32.add (local.get 1) (i32.const 1))))
                 (call $g))
               (return (local.get 1)))
             (i32.add (local.get 1))))",
    );
    assert_eq!(body.code.iter().filter(|item| matches!(item, CodeItem::TryTable(_))).count(), 1);
}

#[test]
fn clauses_that_lead_to_one_place_share_a_landing_and_a_try_table() {
    let (_, _, body) = round_trip(
        "(module (tag $t (param i32)) (import \"\" \"f\" (func $f (param i32) (result i32))) (import \"\" \"g\" (func $g (param i32)))
           (func (param i32)
             (block $h (result exnref)
               (try_table (catch_all_ref $h)
                 (call $g (call $f (i32.const 1)))
                 (if (i32.eq (call $f (i32.const 2)) (i32.const 4)) (then (call $g (i32.const 2))))
                 (call $g (i32.const 3)))
               (return))
             (call $g (i32.const 4))
             (throw_ref)))",
    );
    assert_eq!(body.code.iter().filter(|item| matches!(item, CodeItem::TryTable(_))).count(), 1);
}

#[test]
fn what_has_no_handler_stays_out_of_a_try_table() {
    let (_, _, body) = round_trip(
        "(module (import \"\" \"g\" (func $g))
           (func (block $h
             (try_table (catch_all $h) (call $g))
             (call $g)
             (try_table (catch_all $h) (call $g)))))",
    );
    assert_eq!(body.code.iter().filter(|item| matches!(item, CodeItem::TryTable(_))).count(), 2);
}

#[test]
fn what_a_mutable_global_holds_is_read_on_each_way() {
    // Each way reads the global and then writes it: no read may move up to where the ways part.
    let text = "(module (import \"\" \"f\" (func $f (param i32))) (global $g (mut i32) (i32.const 0))
           (func (param i32 i32) (result i32) (local i32)
             (block $join
               (if (local.get 0)
                 (then (call $f (i32.const 1)) (local.set 2 (global.get $g)) (global.set $g (i32.const 10)) (br $join)))
               (if (local.get 1)
                 (then (call $f (i32.const 2)) (local.set 2 (global.get $g)) (global.set $g (i32.const 11)) (br $join)))
               (call $f (i32.const 3)) (local.set 2 (global.get $g)) (global.set $g (i32.const 12)))
             (call $f (local.get 2))
             (local.get 2)))";
    let (_, _, body) = round_trip(text);
    let module = parse(text);
    let function = module.functions.values().last().expect("two functions");
    let Body::Lazy(lazy) = &function.body else { unreachable!() };
    let func = lift_body(lazy, function.ty, &[]).expect("it can be lifted");
    let is_read = |item: &&CodeItem| match item {
        CodeItem::Operator(id) => matches!(func.operators[*id], Operator::GlobalGet { .. }),
        _ => false,
    };
    assert_eq!(body.code.iter().filter(is_read).count(), 3, "{:?}", body.code);
}

#[test]
fn a_constant_that_is_stored_before_its_ways_part_is_made_there() {
    // The constant is too long to be repeated, and is first made behind the place where most ways' value is stored.
    let (_, _, body) = round_trip(
        "(module (import \"\" \"f\" (func $f)) (func (param i32 i32 i32) (result i64) (local i64)
           (block $b
             (br_if $b (local.get 0))
             (call $f)
             (local.set 3 (i64.const 0x123456789abcdef))
             (br_if $b (local.get 1))
             (call $f)
             (br_if $b (local.get 2))
             (call $f)
             (br_if $b (i32.and (local.get 1) (local.get 2)))
             (call $f))
           (local.get 3)))",
    );
    let mut is_set = [false; 8];
    for item in &body.code {
        match *item {
            CodeItem::LocalSet(local) | CodeItem::LocalTee(local) => is_set[local as usize] = true,
            CodeItem::LocalGet(local) => assert!(local < 3 || is_set[local as usize], "{:?}", body.code),
            _ => {}
        }
    }
}

#[test]
fn a_branch_behind_a_loop_without_end_stays_where_a_block_has_results() {
    // The block ends at a landing, so its results are what the exception carries; the loop never gets there, and does not say so.
    round_trip(
        "(module (type (func (result i32 i64))) (tag $t (param i32 i64)) (tag $u) (import \"\" \"f\" (func $f))
           (func (local i32)
             (block $end
               (block $all
                 (block $h (result i32 i64)
                   (try_table (catch $t $h) (catch_all $all) (call $f))
                   (try_table (catch_all $all) (call $f))
                   (loop $l (result i32 i64)
                     (local.set 0 (i32.add (local.get 0) (i32.const 1)))
                     (br_if $l (local.get 0))
                     (br $l)))
                 (drop) (drop))
               (br $end))))",
    );
    round_trip(
        "(module (tag $t) (import \"\" \"f\" (func $f)) (import \"\" \"g\" (func $g (result i32)))
           (func
             (block $end
               (block $ref (result exnref)
                 (block $out
                   (block $plain
                     (try_table (catch $t $plain) (catch_ref $t $ref)
                       (call $f)
                       (loop $l
                         (if (i32.eqz (call $g)) (then (return)))
                         (call $f)
                         (br_if $l (i32.const 0))))
                     (br $out))
                   (call $f))
                 (br $end))
               (drop))))",
    );
}

#[test]
fn handlers_that_differ_keep_their_try_tables() {
    let (_, _, body) = round_trip(
        "(module (tag $t (param i32)) (tag $u (param i32)) (import \"\" \"g\" (func $g))
           (func (result i32)
             (block $h (result i32)
               (try_table (catch $t $h) (call $g))
               (try_table (catch $u $h) (call $g))
               (i32.const 7))))",
    );
    assert_eq!(body.code.iter().filter(|item| matches!(item, CodeItem::TryTable(_))).count(), 2);
}

#[test]
fn a_constant_of_many_ways_out_is_stored_once() {
    let body = assert_not_larger(
        "(module (func (param i32 i32 i32) (result i32) (local i32)
           (local.set 3 (i32.const 5))
           (block $b
             (br_if $b (local.get 0)) (br_if $b (local.get 1)) (br_if $b (i32.ctz (local.get 2)))
             (local.set 3 (i32.clz (local.get 2))))
           (local.get 3)))",
    );
    assert!(body.code.iter().filter(|item| matches!(item, CodeItem::BrIf(_))).count() >= 2);
}
