//! `wasmfx-merge` as a process: how files and names are told apart, Binaryen's command lines, what is reported.

use std::path::PathBuf;
use std::process::{Command, Output};

const MERGE: &str = env!("CARGO_BIN_EXE_wasmfx-merge");

/// A folder with modules in it, in which the program runs.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = folder.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn merge(&self, arguments: &[&str]) -> Output {
        Command::new(MERGE).args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    /// The merged module as text.
    #[track_caller]
    fn merged(&self, arguments: &[&str]) -> String {
        let output = self.merge(&[arguments, &["-S", "-o", "-"]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it says when it refuses, with this exit code.
    #[track_caller]
    fn refused(&self, arguments: &[&str], code: i32) -> String {
        let output = self.merge(arguments);
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(!self.path("out.wasm").exists());
        said(&output)
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const LIBRARY: (&str, &str) = ("lib/library.wat", r#"(module (func $f (export "f")))"#);
const BY_STEM: (&str, &str) =
    ("main.wat", r#"(module (import "library" "f" (func $f)) (func (export "run") (call $f)))"#);
const BY_NAME: (&str, &str) = ("named.wat", r#"(module (import "env" "f" (func $f)) (func (export "run") (call $f)))"#);

#[test]
fn modules_are_called_like_their_files() {
    let folder = Folder::new(&[LIBRARY, BY_STEM]);
    for arguments in [["main.wat", "lib/library.wat"], ["lib/library.wat", "main.wat"]] {
        let text = folder.merged(&arguments);
        assert!(!text.contains("(import") && text.contains("call $f"), "{text}");
    }
}

/// `wasm-merge A NAME_A B NAME_B -all -o OUT`, with options anywhere.
#[test]
fn the_command_lines_of_binaryen_work() {
    let folder = Folder::new(&[LIBRARY, BY_NAME]);
    for arguments in [
        ["named.wat", "main", "lib/library.wat", "env", "-all", "--rename-export-conflicts"],
        ["-all", "named.wat", "main", "--skip-export-conflicts", "lib/library.wat", "env"],
        ["-g", "--enable-gc", "lib/library.wat", "env", "named.wat", "main"],
        ["-n", "-q", "lib/library.wat", "env", "named.wat", "main"],
    ] {
        let text = folder.merged(&arguments);
        assert!(!text.contains("(import") && text.contains("call $f"), "{text}");
    }
    let output = folder.merge(&["named.wat", "main", "lib/library.wat", "env", "-o", "out.wasm"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(std::fs::read(folder.path("out.wasm")).unwrap().starts_with(b"\0asm"));
}

#[test]
fn that_validation_is_never_left_out_is_said() {
    let folder = Folder::new(&[LIBRARY, ("invalid.wat", "(module (func (result i32)))")]);
    for option in ["-n", "--no-validation"] {
        let output = folder.merge(&[option, "lib/library.wat", "-o", "merged.wasm"]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert!(
            said(&output).contains("note: Binaryen's 'no-validation' is not needed here: every input"),
            "{}",
            said(&output)
        );
        assert!(folder.refused(&[option, "invalid.wat", "-o", "out.wasm"], 1).contains("type mismatch"));
    }
}

#[test]
fn a_name_is_what_is_no_file_even_if_it_looks_like_one() {
    let folder = Folder::new(&[
        ("a.wat", r#"(module (import "b.wasm" "f" (func)))"#),
        ("b.wat", r#"(module (func (export "f")))"#),
    ]);
    assert!(!folder.merged(&["a.wat", "b.wat", "b.wasm"]).contains("(import"));
    let output = folder.merge(&["a.wat", "b.wat", "b.wasm", "-o", "named.wasm"]);
    assert!(
        said(&output).contains("there is no file 'b.wasm': it is taken as the name of 'b.wat'"),
        "{}",
        said(&output)
    );
    let message = folder.refused(&["a.wat", "first", "second", "-o", "out.wasm"], 2);
    assert!(
        message.contains("there is no file 'second'") && message.contains("already has the name 'first'"),
        "{message}"
    );
    let message = folder.refused(&["missing.wat", "a.wat", "-o", "out.wasm"], 1);
    assert!(message.contains("there is no file 'missing.wat'"), "{message}");
}

#[test]
fn a_name_may_be_that_of_a_file_which_is_no_module() {
    let folder = Folder::new(&[
        ("a.wat", r#"(module (import "b" "f" (func)))"#),
        ("b.wat", r#"(module (func (export "f")))"#),
        ("a", "#!/bin/sh\n"),
        ("b", ""),
        ("module", "(module)"),
        ("c.txt", "no module"),
    ]);
    let output = folder.merge(&["a.wat", "a", "b.wat", "b", "-S", "-o", "-"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && !text.contains("(import"), "{text}{}", said(&output));
    assert!(
        said(&output).contains("'a' is a file, but no WebAssembly module: it is taken as the name of 'a.wat'"),
        "{}",
        said(&output)
    );
    let quiet = folder.merge(&["-q", "a.wat", "a", "b.wat", "b", "-o", "-"]);
    assert!(quiet.status.success() && said(&quiet).is_empty(), "{}", said(&quiet));
    // A module is one, whatever it is called.
    let output = folder.merge(&["b.wat", "module", "-v", "-o", "-"]);
    assert!(said(&output).contains("module is 'module'"), "{}", said(&output));
    for no_name in [&["a", "b.wat"][..], &["b.wat", "./a"], &["b.wat", "c.txt"], &["b.wat", "first", "a"]] {
        let message = folder.refused(&[no_name, &["-o", "out.wasm"]].concat(), 1);
        assert!(message.contains("is neither a WebAssembly binary"), "{message}");
    }
}

#[test]
fn several_memories_have_to_be_enabled() {
    let memory = "(module (memory 1))";
    let folder = Folder::new(&[("a.wat", memory), ("b.wat", memory)]);
    let message = folder.refused(&["--mvp-features", "a.wat", "b.wat", "-o", "out.wasm"], 1);
    assert!(message.contains("--enable-multimemory") && !message.contains("internal error"), "{message}");
    folder.merged(&["--mvp-features", "--enable-multimemory", "a.wat", "b.wat"]);
}

#[test]
fn exports_to_keep_that_nobody_has_are_warned_about() {
    let folder = Folder::new(&[LIBRARY]);
    let output = folder.merge(&["lib/library.wat", "--keep-export", "nope", "-o", "out.wasm"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("wasmfx-merge: warning: ") && said(&output).contains("\"nope\""),
        "{}",
        said(&output)
    );
}

#[test]
fn usage_errors_are_exit_2() {
    let folder = Folder::new(&[LIBRARY, BY_STEM]);
    folder.refused(&[], 2);
    assert!(folder.refused(&["main.wat"], 2).contains("--output"));
    folder.refused(&["main.wat", "--rename-export-conflicts", "--skip-export-conflicts", "-o", "out.wasm"], 2);
    assert!(
        folder
            .refused(&["main.wat", "-rename-export-conflict", "-o", "out.wasm"], 2)
            .contains("--rename-export-conflicts")
    );
}

#[test]
fn all_that_does_not_fit_is_reported_at_once_with_both_types() {
    let folder = Folder::new(&[
        (
            "a.wat",
            r#"(module (import "b" "f" (func (param i32))) (import "b" "m" (memory 2)) (import "b" "t" (tag (param i32))))"#,
        ),
        ("b.wat", r#"(module (func (export "f")) (memory (export "m") 1) (tag (export "t") (param i64)))"#),
    ]);
    let message = folder.refused(&["a.wat", "b.wat", "-o", "out.wasm"], 1);
    assert!(message.starts_with("wasmfx-merge: error: 3 problems:"), "{message}");
    for words in ["\"b\" \"f\"", "(func (param i32))", "\"m\"", "size 2 or more", "\"t\"", "(func (param i64))"] {
        assert!(message.contains(words), "{words} in {message}");
    }
}

#[test]
fn an_invalid_input_is_refused_by_its_name() {
    let folder =
        Folder::new(&[LIBRARY, ("bad.wat", "(module (func $wrong (result i32)))"), ("worse.wat", "(module (fun))")]);
    let message = folder.refused(&["lib/library.wat", "bad.wat", "-o", "out.wasm"], 1);
    assert!(
        message.contains("bad.wat") && message.contains("$wrong") && !message.contains("internal error"),
        "{message}"
    );
    let message = folder.refused(&["worse.wat", "lib/library.wat", "-o", "out.wasm"], 1);
    assert!(message.contains("worse.wat:1:10"), "{message}");
}

#[test]
fn one_module_may_come_from_standard_input() {
    use std::io::Write;
    let folder = Folder::new(&[LIBRARY]);
    let mut child = Command::new(MERGE)
        .args(["-", "main", "lib/library.wat", "env", "-S", "-o", "-"])
        .current_dir(folder.0.path())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(BY_NAME.1.as_bytes()).unwrap();
    let text = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(!text.contains("(import") && text.contains("call $f"), "{text}");
}

#[test]
fn missing_exports_are_warned_about_unless_it_is_told_to_be_quiet() {
    let folder = Folder::new(&[("a.wat", r#"(module (import "b" "f" (func)))"#), ("b.wat", "(module)")]);
    let warned = folder.merge(&["a.wat", "b.wat", "-o", "out.wasm"]);
    assert!(warned.status.success() && said(&warned).starts_with("wasmfx-merge: warning: "), "{}", said(&warned));
    let quiet = folder.merge(&["a.wat", "b.wat", "-q", "-o", "out.wasm"]);
    assert!(quiet.status.success() && said(&quiet).is_empty(), "{}", said(&quiet));
}
