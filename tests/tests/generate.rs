//! The generator keeps its promises: valid, deterministic, terminating, and varied.

use std::collections::{BTreeMap, BTreeSet};

use wasmfx_tests::differential::run::{EngineOptions, Outcome, Runner, TrapKind};
use wasmfx_tests::generate::{Config, encode, encode_instrumented, generate, text};
use wasmparser::types::TypesRef;
use wasmparser::{
    AbstractHeapType, CompositeInnerType, ExternalKind, HeapType, Operator, Payload, RefType, ValType, Validator,
    WasmFeatures,
};

#[test]
fn programs_validate_and_are_a_function_of_their_seed() {
    for seed in 0..1000 {
        let program = generate(seed, &Config::for_seed(seed));
        let wasm = encode(&program).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
        if let Err(error) = Validator::new_with_features(WasmFeatures::all()).validate_all(&wasm) {
            panic!("seed {seed}: {error}\n{}", text(&wasm).unwrap_or_default());
        }
        assert_eq!(wasm, encode(&generate(seed, &Config::for_seed(seed))).unwrap(), "seed {seed}");
    }
}

/// What the engine does not take yet is generated all the same, for those that do.
#[test]
fn programs_with_every_option_validate() {
    for seed in 0..200 {
        let config = Config { continuations_in_gc: true, bind_gc: true, ..Config::for_seed(seed) };
        let wasm = encode(&generate(seed, &config)).unwrap();
        if let Err(error) = Validator::new_with_features(WasmFeatures::all()).validate_all(&wasm) {
            panic!("seed {seed}: {error}\n{}", text(&wasm).unwrap_or_default());
        }
        let config = Config { gc: false, simd: false, exceptions: false, ..Config::for_seed(seed) };
        let wasm = encode(&generate(seed, &config)).unwrap();
        if let Err(error) = Validator::new_with_features(WasmFeatures::all()).validate_all(&wasm) {
            panic!("seed {seed}: {error}\n{}", text(&wasm).unwrap_or_default());
        }
    }
}

/// The least share of programs, in a thousand, in which each thing must happen while the program runs.
const SHARES: &[(&str, usize)] = &[
    ("a suspension is handled", 450),
    ("three suspensions are handled", 300),
    ("a suspension is forwarded through a prompt", 30),
    ("a prompt is entered inside a continuation", 120),
    ("a continuation finishes", 350),
    ("a switch", 80),
    ("a switch comes back", 30),
    ("cont.bind of a fresh continuation", 60),
    ("cont.bind of a suspended continuation", 15),
    ("resume_throw", 60),
    ("resume_throw that the continuation survives", 5),
    ("a throw inside a continuation", 40),
    ("a catch inside a continuation", 20),
    ("an exception leaves a continuation", 15),
    ("a tail call inside a continuation", 30),
    ("an indirect call inside a continuation", 60),
    ("table.get of a continuation", 500),
    ("table.set of a continuation", 50),
    ("table.grow of continuations", 20),
    ("table.fill of continuations", 30),
    ("table.copy of continuations", 20),
    ("table.init of continuations", 10),
    ("a trap: null", 3),
    ("a trap: consumed", 2),
    ("a trap: unhandled", 2),
    ("an exception leaves the program", 20),
];

#[test]
fn programs_exercise_all_of_stack_switching_and_seldom_trap() {
    let count = 2000;
    let runner = Runner::new(EngineOptions::default()).unwrap();
    let mut happened = BTreeMap::<&str, usize>::new();
    let (mut trapped, mut overflowed, mut out_of_fuel) = (0, 0, 0);
    for seed in 0..count {
        let program = generate(seed, &Config::for_seed(seed));
        let wasm = encode_instrumented(&program).unwrap();
        let (observations, coverage) =
            runner.run_covered(&program, &wasm).unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
        let mut note = |name: &'static str, yes: bool| *happened.entry(name).or_default() += usize::from(yes);
        note("a suspension is handled", coverage.handled > 0);
        note("three suspensions are handled", coverage.handled >= 3);
        note("a suspension is forwarded through a prompt", coverage.forwarded > 0);
        note("a prompt is entered inside a continuation", coverage.nested > 0);
        note("a continuation finishes", coverage.finished > 0);
        note("a switch", coverage.switched > 0);
        note("a switch comes back", coverage.switched_back > 0);
        note("cont.bind of a fresh continuation", coverage.bound_fresh > 0);
        note("cont.bind of a suspended continuation", coverage.bound_suspended > 0);
        note("resume_throw", coverage.resume_thrown > 0);
        note("resume_throw that the continuation survives", coverage.resume_throw_finished > 0);
        note("a throw inside a continuation", coverage.thrown_inside > 0);
        note("a catch inside a continuation", coverage.caught_inside > 0);
        note("an exception leaves a continuation", coverage.exception_crossed > 0);
        note("a tail call inside a continuation", coverage.tail_called_inside > 0);
        note("an indirect call inside a continuation", coverage.called_indirectly_inside > 0);
        let operations = [
            "table.get of a continuation",
            "table.set of a continuation",
            "table.grow of continuations",
            "table.fill of continuations",
            "table.copy of continuations",
            "table.init of continuations",
        ];
        for (name, times) in operations.into_iter().zip(coverage.table_operations) {
            note(name, times > 0);
        }
        let trap = |kind: &TrapKind| {
            observations.outcomes.iter().any(|(_, outcome)| *outcome == Outcome::Trapped(kind.clone()))
        };
        note("a trap: null", trap(&TrapKind::NullReference));
        note("a trap: consumed", trap(&TrapKind::Consumed));
        note("a trap: unhandled", trap(&TrapKind::UnhandledTag));
        note(
            "an exception leaves the program",
            observations.outcomes.iter().any(|(_, outcome)| *outcome == Outcome::Threw),
        );
        trapped += usize::from(observations.outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Trapped(_))));
        overflowed += usize::from(trap(&TrapKind::StackOverflow));
        out_of_fuel += usize::from(coverage.out_of_fuel > 0);
    }
    for (name, times) in &happened {
        println!("{:5.1} % {name}", *times as f64 * 100.0 / count as f64);
    }
    println!("of {count} programs {trapped} trap, {overflowed} overflow the stack, {out_of_fuel} run out of fuel");
    for (name, share) in SHARES {
        assert!(happened[name] * 1000 >= share * count as usize, "only {} of {count} programs: {name}", happened[name]);
    }
    assert!(trapped * 4 <= count as usize, "{trapped} of {count} programs trap");
    assert!(overflowed * 50 <= count as usize, "{overflowed} of {count} programs overflow the stack");
    assert!(out_of_fuel * 3 <= count as usize, "{out_of_fuel} of {count} programs run out of fuel");
}

/// The least share of programs, in a thousand, in which each instruction or kind of value must occur.
const PRESENT: &[(&str, usize)] = &[
    ("call_indirect", 300),
    ("call_ref", 300),
    ("return_call", 100),
    ("return_call_indirect", 50),
    ("return_call_ref", 50),
    ("a function that calls itself", 100),
    ("resume_throw_ref", 30),
    ("ref.cast", 20),
    ("an exported table of functions", 80),
    ("v128 travels with a suspension", 50),
    ("a struct, array or i31 travels with a suspension", 100),
    ("exnref travels with a suspension", 20),
    ("a non-null function reference travels with a suspension", 10),
    ("externref travels with a suspension", 40),
    ("a continuation travels with a suspension", 80),
    ("nothing travels with a suspension", 50),
];

#[test]
fn programs_have_all_instructions_and_kinds_of_values() {
    let count = 1000;
    let mut present = BTreeMap::<&str, usize>::new();
    for seed in 0..count {
        let wasm = encode(&generate(seed, &Config::for_seed(seed))).unwrap();
        for name in occurrences(&wasm) {
            *present.entry(name).or_default() += 1;
        }
    }
    for (name, times) in &present {
        println!("{:5.1} % {name}", *times as f64 * 100.0 / count as f64);
    }
    for (name, share) in PRESENT {
        let times = present.get(name).copied().unwrap_or_default();
        assert!(times * 1000 >= share * count as usize, "only {times} of {count} programs: {name}");
    }
}

fn occurrences(wasm: &[u8]) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    let types = Validator::new_with_features(WasmFeatures::all()).validate_all(wasm).unwrap();
    let types = types.as_ref();
    let mut function = 0;
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        match payload.unwrap() {
            Payload::ImportSection(imports) => {
                let imports = imports.into_imports().map(|import| import.unwrap().ty);
                function += imports.filter(|ty| matches!(ty, wasmparser::TypeRef::Func(_))).count() as u32;
            }
            Payload::ExportSection(exports) => {
                let tables = exports.into_iter().filter(|export| export.as_ref().unwrap().kind == ExternalKind::Table);
                found.extend(tables.map(|_| "an exported table of functions"));
            }
            Payload::CodeSectionEntry(body) => {
                for operator in body.get_operators_reader().unwrap() {
                    let operator = operator.unwrap();
                    found.extend(instruction(&operator, function));
                    if let Operator::Suspend { tag_index } = operator {
                        let ty = types.get(types.tag_at(tag_index)).unwrap().composite_type.unwrap_func();
                        let all = ty.params().iter().chain(ty.results());
                        found.extend(all.filter_map(|&ty| kind(types, ty)));
                        if ty.params().is_empty() && ty.results().is_empty() {
                            found.insert("nothing travels with a suspension");
                        }
                    }
                }
                function += 1;
            }
            _ => {}
        }
    }
    found
}

/// What is worth telling of an instruction of this function.
fn instruction(operator: &Operator<'_>, function: u32) -> Option<&'static str> {
    Some(match *operator {
        Operator::CallIndirect { .. } => "call_indirect",
        Operator::CallRef { .. } => "call_ref",
        Operator::ReturnCall { .. } => "return_call",
        Operator::ReturnCallIndirect { .. } => "return_call_indirect",
        Operator::ReturnCallRef { .. } => "return_call_ref",
        Operator::Call { function_index } if function_index == function => "a function that calls itself",
        Operator::ResumeThrowRef { .. } => "resume_throw_ref",
        Operator::RefCastNonNull { .. } | Operator::RefCastNullable { .. } => "ref.cast",
        _ => return None,
    })
}

/// What is worth telling of a value that travels with a suspension.
fn kind(types: TypesRef<'_>, ty: ValType) -> Option<&'static str> {
    const OBJECT: &str = "a struct, array or i31 travels with a suspension";
    const CONTINUATION: &str = "a continuation travels with a suspension";
    let function = |reference: RefType| {
        (!reference.is_nullable()).then_some("a non-null function reference travels with a suspension")
    };
    let ValType::Ref(reference) = ty else {
        return (ty == ValType::V128).then_some("v128 travels with a suspension");
    };
    match reference.heap_type() {
        HeapType::Abstract { ty, .. } => match ty {
            AbstractHeapType::Extern => Some("externref travels with a suspension"),
            AbstractHeapType::Exn => Some("exnref travels with a suspension"),
            AbstractHeapType::Func => function(reference),
            AbstractHeapType::Cont => Some(CONTINUATION),
            _ => Some(OBJECT),
        },
        HeapType::Concrete(index) | HeapType::Exact(index) => {
            match &types.get(index.as_core_type_id()?)?.composite_type.inner {
                CompositeInnerType::Func(_) => function(reference),
                CompositeInnerType::Cont(_) => Some(CONTINUATION),
                CompositeInnerType::Struct(_) | CompositeInnerType::Array(_) => Some(OBJECT),
            }
        }
    }
}
