//! Inputs that somebody made to do harm, or that are merely enormous: every program answers with a message and exit code 1, or with a valid
//! output. None panics, overflows its stack, or takes memory that the input does not justify.

mod binary;
mod inputs;
mod suspending;

use inputs::{Expected, Hostile};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// More than any program needs for the inputs here, and less than one that believes a count of four billion takes.
const MEMORY_LIMIT_KILOBYTES: usize = 1_500_000;
/// Generous, as the machine may be busy with other things. `WASMFX_SHOW_TIMES=1` with `--nocapture` shows what each takes.
const TIME_LIMIT: Duration = Duration::from_secs(60);

const VALIDATE: &str = env!("CARGO_BIN_EXE_wasmfx-validate");
const OPT: &str = env!("CARGO_BIN_EXE_wasmfx-opt");
const MERGE: &str = env!("CARGO_BIN_EXE_wasmfx-merge");
const LOWER: &str = env!("CARGO_BIN_EXE_wasmfx-lower");
const RUN: &str = env!("CARGO_BIN_EXE_wasmfx-run");

/// A program with its arguments before the input's path.
struct Tool {
    program: &'static str,
    /// `OUT` stands for the output's path.
    arguments: &'static [&'static str],
    /// Whether it takes valid inputs of any size.
    for_large: bool,
}

const TOOLS: &[Tool] = &[
    Tool { program: VALIDATE, arguments: &["IN"], for_large: true },
    Tool { program: OPT, arguments: &["IN", "-O0", "-o", "OUT"], for_large: true },
    Tool { program: OPT, arguments: &["IN", "-O2", "-S", "-o", "OUT"], for_large: true },
    Tool { program: MERGE, arguments: &["IN", "-o", "OUT"], for_large: true },
    Tool { program: LOWER, arguments: &["IN", "-o", "OUT"], for_large: true },
    // Without an export of that name: the engine compiles it, and no more. What it is given has passed the same front door.
    Tool { program: RUN, arguments: &["--invoke", "no such export", "IN"], for_large: false },
];

/// Runs a program with as much memory as it should need.
fn run(tool: &Tool, input: &Path, output: &Path) -> Output {
    let arguments = tool.arguments.iter().map(|&argument| match argument {
        "IN" => input.to_path_buf(),
        "OUT" => output.to_path_buf(),
        other => PathBuf::from(other),
    });
    let mut command = if cfg!(target_os = "linux") && tool.for_large {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("ulimit -v {MEMORY_LIMIT_KILOBYTES} && exec \"$0\" \"$@\"")).arg(tool.program);
        command
    } else {
        // The engine reserves address space that it does not use.
        Command::new(tool.program)
    };
    command.args(arguments).output().expect("the program starts")
}

fn words(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    text.chars().take(600).collect()
}

/// What is wrong with a tool's answer to an input; empty if nothing is.
fn complaints(tool: &Tool, hostile: &Hostile, input: &Path, output: &Path) -> Vec<String> {
    let mut complaints = Vec::new();
    let _ = std::fs::remove_file(output);
    let start = Instant::now();
    let answer = run(tool, input, output);
    let time = start.elapsed();
    if std::env::var_os("WASMFX_SHOW_TIMES").is_some() {
        let program = Path::new(tool.program).file_name().unwrap_or_default().display();
        println!("{:>8.2} s  {program} {}  {}", time.as_secs_f64(), tool.arguments.join(" "), hostile.name);
    }
    let said = words(&answer);
    if time > TIME_LIMIT {
        complaints.push(format!("took {time:?}"));
    }
    if said.contains("panicked") || said.contains("internal error") || said.contains("RUST_BACKTRACE") {
        complaints.push(format!("not its own fault, it says: {said}"));
    }
    match hostile.expected {
        Expected::Accepted => {
            if answer.status.code() != Some(0) {
                complaints.push(format!("ended with {} instead of 0: {said}", answer.status));
            }
        }
        Expected::Refused(words) => {
            if answer.status.code() != Some(1) {
                complaints.push(format!("ended with {} instead of 1: {said}", answer.status));
            }
            if !said.contains(words) || said.trim().is_empty() {
                complaints.push(format!("does not say \"{words}\" but: {said}"));
            }
            if output.exists() {
                complaints.push("left an output behind".to_string());
            }
        }
    }
    complaints
}

fn check(inputs: Vec<Hostile>) {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("input"), folder.path().join("output"));
    let mut failures = Vec::new();
    for hostile in &inputs {
        std::fs::write(&input, &hostile.bytes).unwrap();
        for tool in TOOLS.iter().filter(|tool| tool.for_large || hostile.expected != Expected::Accepted) {
            let program = Path::new(tool.program).file_name().unwrap_or_default().display();
            for complaint in complaints(tool, hostile, &input, &output) {
                failures.push(format!("{}: {program} {}: {complaint}", hostile.name, tool.arguments.join(" ")));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn large_modules_go_through() {
    check(inputs::large());
}

#[test]
fn what_is_no_valid_module_is_refused_in_words() {
    check(inputs::refused());
}

/// Every prefix of a module that has all sections is refused by every program.
#[test]
fn truncated_modules_are_refused() {
    let binary = wat::parse_str(EVERY_SECTION).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("input.wasm"), folder.path().join("output"));
    std::fs::write(&input, &binary).unwrap();
    for tool in TOOLS.iter().filter(|tool| tool.for_large) {
        assert_eq!(
            run(tool, &input, &output).status.code(),
            Some(0),
            "{} {}",
            tool.program,
            words(&run(tool, &input, &output))
        );
    }
    // The whole of sections is a module too, so only validity is in question: no crash, and a message or an output.
    for length in (0..binary.len()).step_by(7) {
        std::fs::write(&input, &binary[..length]).unwrap();
        for tool in TOOLS.iter().filter(|tool| tool.for_large) {
            let _ = std::fs::remove_file(&output);
            let answer = run(tool, &input, &output);
            let said = words(&answer);
            let place = format!("{} of the first {length} bytes: {} {said}", tool.program, answer.status);
            match answer.status.code() {
                Some(0) => {}
                Some(1) => {
                    assert!(!said.trim().is_empty() && !said.contains("internal error") && !output.exists(), "{place}")
                }
                _ => panic!("{place}"),
            }
        }
    }
}

const EVERY_SECTION: &str = r#"(module $m
    (type $f (func (param i32) (result i32))) (type $k (cont $f)) (type $s (struct (field $x (mut i32))))
    (import "env" "log" (func $log (param i32)))
    (table $t 2 funcref) (memory $mem 1) (global $g (mut i32) (i32.const 1)) (tag $e (param i32))
    (export "run" (func $run)) (start $init)
    (elem $seg (i32.const 0) func $run $init)
    (func $init (global.set $g (i32.const 2)))
    (func $run (param $n i32) (result i32) (local $c (ref null $k))
        (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))
        (local.set $c (cont.new $k (ref.func $run)))
        (block $l (result i32) (try_table (catch $e $l) (call $log (local.get $n))) (struct.get $s $x (struct.new $s (i32.const 4)))))
    (data $d "\2a")
    (@custom "mine" "bytes"))"#;

#[test]
fn what_cannot_be_read_or_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("module.wat"), "(module)").unwrap();
    std::fs::create_dir(path("folder")).unwrap();
    for tool in TOOLS {
        for (input, output) in
            [("folder", "out"), ("missing", "out"), ("module.wat", "missing/out"), ("module.wat", "folder")]
        {
            let writes = tool.arguments.contains(&"OUT");
            if input == "module.wat" && !writes {
                continue;
            }
            let answer = run(tool, &path(input), &path(output));
            let said = words(&answer);
            let named = if input == "module.wat" { output } else { input };
            assert_eq!(answer.status.code(), Some(1), "{} {input} {output}: {said}", tool.program);
            assert!(said.contains(path(named).to_str().unwrap()), "{} {input} {output}: {said}", tool.program);
        }
    }
    assert!(!path("out").exists());
    let mut left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["folder", "module.wat"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_old_output_as_it_was() {
    // A limit on the size of files stands for the full disk.
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("input.wat"), folder.path().join("output.wasm"));
    std::fs::write(
        &input,
        format!("(module (memory (export \"m\") 9) (data (i32.const 0) \"{}\"))", "x".repeat(1 << 18)),
    )
    .unwrap();
    std::fs::write(&output, "old").unwrap();
    for (program, arguments) in [(OPT, "-O2"), (MERGE, "-q"), (LOWER, "--frames=memory")] {
        let script = "trap '' XFSZ; ulimit -f 8 && exec \"$0\" \"$@\"";
        let mut command = Command::new("bash");
        command.args(["-c", script, program, arguments, "-o"]).arg(&output).arg(&input);
        let answer = command.output().expect("bash starts");
        let said = words(&answer);
        assert_eq!(answer.status.code(), Some(1), "{program}: {said}");
        assert!(said.contains("cannot write"), "{program}: {said}");
        assert_eq!(std::fs::read(&output).unwrap(), b"old", "{program}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "{program}");
    }
}
