use super::*;
use crate::emit::{CodeItem, emit};
use crate::lift::lift_body;
use crate::module::{Body, Module};
use crate::parse::{ParseOptions, parse_module};

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
];

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

/// Each way to damage one emitted instruction. (Damage that happens to change nothing cannot be refused, so it is not among these.)
fn damaged(body: &EmittedBody, at: usize, locals: u32) -> Vec<EmittedBody> {
    let replaced = |item: CodeItem| {
        let mut body = body.clone();
        body.code[at] = item;
        body
    };
    match body.code[at] {
        CodeItem::LocalGet(local) => {
            (0..locals).filter(|&other| other != local).map(|other| replaced(CodeItem::LocalGet(other))).collect()
        }
        CodeItem::BrIf(depth) => vec![{
            let mut body = replaced(CodeItem::BrIf(depth));
            body.code.insert(at, CodeItem::I32Eqz);
            body
        }],
        CodeItem::Operator(_) => vec![{
            // Doing it twice, or not at all, as far as the stack allows.
            let mut body = body.clone();
            body.code.remove(at);
            body
        }],
        _ => Vec::new(),
    }
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
                for damaged in damaged(&body, at, locals) {
                    match check_emission(&func, &damaged, &module) {
                        Err(_) => refused += 1,
                        Ok(()) => accepted.push(format!("{:?} at {at} in {text}", body.code[at])),
                    }
                }
            }
        }
    }
    assert!(accepted.is_empty(), "{accepted:#?}");
    assert!(refused > 30, "only {refused} damaged bodies were tried");
}
