//! Every program of the fiber library and of the benchmark, as it is committed, in the engine: it prints its result.

use std::path::{Path, PathBuf};

use wasmfx::bench::child::without_type;
use wasmfx::bench::programs::{Source, WORKLOADS, Workload};
use wasmfx::bench::variants::{VARIANTS, Variant};
use wasmfx::engine::EngineOptions;
use wasmfx::engine::options::STACK_SWITCHING_SUPPORTED;
use wasmfx::engine::program::{Entry, Outcome, Run, Streams, run};
use wasmfx::input_output::Input;
use wasmfx_tests::reemit::reemit_with_walrus;

/// Too large to be committed.
const BUILT_ON_DEMAND: &str = "rows";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// What is done with a module before it runs.
type Finish = fn(Vec<u8>) -> Vec<u8>;

fn as_it_is(binary: Vec<u8>) -> Vec<u8> {
    binary
}

fn as_walrus_writes_it(binary: Vec<u8>) -> Vec<u8> {
    reemit_with_walrus(&binary).unwrap()
}

/// What the program prints; a text program's result is printed by whoever runs it.
fn output(workload: &Workload, variant: &Variant, module: &Path, finish: Finish) -> String {
    let engine = EngineOptions { stack_switching: variant.stack_switching(), ..EngineOptions::for_tests() };
    let engine = engine.build().unwrap();
    let binary = Input::read(module).unwrap();
    let binary = finish(variant.transform(workload, &binary.to_binary().unwrap()).unwrap());
    let (parameters, _) = workload.case(true);
    let (entry, arguments) = match workload.source {
        Source::Fiber => (Entry::Command, [vec![workload.program.to_string()], parameters].concat()),
        Source::Text => (Entry::Export { name: "run".to_string(), arguments: parameters }, Vec::new()),
    };
    let streams = Streams::Captured { stdin: Vec::new() };
    let completion = run(&engine, &binary, &Run { entry, arguments, streams, ..Run::default() }).unwrap();
    let printed = String::from_utf8(completion.stdout).unwrap();
    match completion.outcome {
        Outcome::Returned(results) => {
            results.iter().fold(printed, |printed, result| printed + without_type(result) + "\n")
        }
        Outcome::Exited(0) => printed,
        Outcome::Exited(code) => panic!("{} {}: exit code {code} after {printed}", workload.label(), variant.name),
        Outcome::Failed(failure) => panic!("{} {}: {failure:?} after {printed}", workload.label(), variant.name),
    }
}

fn check_variant(name: &str) {
    check_variant_finished(name, as_it_is);
}

fn check_variant_finished(name: &str, finish: Finish) {
    let variant = VARIANTS.iter().find(|variant| variant.name == name).unwrap();
    if variant.stack_switching() && !STACK_SWITCHING_SUPPORTED {
        eprintln!("skipped: this machine's engine has no stack switching");
        return;
    }
    let mut checked = 0;
    for workload in &WORKLOADS {
        let Some(module) = workload.module(&fixtures(), variant.build) else { continue };
        if !module.exists() {
            assert_eq!(workload.built_as, BUILT_ON_DEMAND, "{} is not there", module.display());
            eprintln!("skipped: {}, which fixtures/fiber/build.sh makes", workload.label());
            continue;
        }
        let output = output(workload, variant, &module, finish);
        assert_eq!(output.lines().last(), Some(workload.case(true).1.as_str()), "{} {name}", workload.label());
        checked += 1;
    }
    assert!(checked >= 14, "only {checked} programs were found");
}

#[test]
fn programs_print_their_results_natively() {
    check_variant("native");
}

#[test]
fn programs_print_their_results_under_asyncify() {
    check_variant("asyncify");
}

#[test]
fn programs_print_their_results_with_frames_in_linear_memory() {
    check_variant("lowered-memory");
}

#[test]
fn programs_print_their_results_with_frames_in_gc_structs() {
    check_variant("lowered-gc");
}

#[test]
fn lowered_programs_print_their_results_as_walrus_writes_them() {
    check_variant_finished("lowered-memory", as_walrus_writes_it);
    check_variant_finished("lowered-gc", as_walrus_writes_it);
}

#[test]
fn hello_says_hello_in_turns() {
    let hello = WORKLOADS.iter().find(|workload| workload.program == "hello").unwrap();
    for variant in VARIANTS {
        if variant.stack_switching() && !STACK_SWITCHING_SUPPORTED {
            continue;
        }
        let Some(module) = hello.module(&fixtures(), variant.build) else { continue };
        assert_eq!(output(hello, variant, &module, as_it_is), "hello world\nhello: 7920\n", "{}", variant.name);
    }
}

/// Each module must be small enough to be committed, and made of one file of the fiber library's programs.
#[test]
fn committed_modules_are_small_and_have_a_source() {
    for entry in std::fs::read_dir(fixtures().join("fiber/modules")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some((program, _)) = name.split_once('.').filter(|(program, _)| !program.is_empty()) else { continue };
        assert!(fixtures().join(format!("fiber/programs/{program}.c")).exists(), "{name} has no source");
        let size = path.metadata().unwrap().len();
        assert!(program == BUILT_ON_DEMAND || size < 100_000, "{name} has {size} bytes");
    }
}
