//! The README's tour prints what the README says.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs that the tour calls.
const PROGRAMS: [(&str, &str); 5] = [
    ("wasmfx-opt", env!("CARGO_BIN_EXE_wasmfx-opt")),
    ("wasmfx-lower", env!("CARGO_BIN_EXE_wasmfx-lower")),
    ("wasmfx-validate", env!("CARGO_BIN_EXE_wasmfx-validate")),
    ("wasmfx-run", env!("CARGO_BIN_EXE_wasmfx-run")),
    ("wasmfx-merge", env!("CARGO_BIN_EXE_wasmfx-merge")),
];

/// The ends of lines that the README cuts short.
const CUT: &str = "…";

/// A line of the tour, and what is printed after it.
struct Step {
    command: String,
    printed: Vec<String>,
}

fn tour(readme: &str) -> Vec<Step> {
    let (_, tour) = readme.split_once("```console\n").expect("the README has a tour");
    let (tour, _) = tour.split_once("\n```").expect("the tour ends");
    let mut steps: Vec<Step> = Vec::new();
    for line in tour.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => {
                let command = command.split_once(" #").map_or(command, |(command, _)| command).trim().to_owned();
                steps.push(Step { command, printed: Vec::new() });
            }
            (None, Some(step)) => step.printed.push(line.to_owned()),
            (None, None) => panic!("the tour begins with a command, not with {line:?}"),
        }
    }
    steps
}

fn is_printed(said: &str, printed: &str) -> bool {
    match said.strip_suffix(CUT) {
        Some(start) => printed.starts_with(start),
        None => said == printed,
    }
}

#[test]
fn the_tour_prints_what_the_readme_says() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    copy_inputs(folder.path(), &root);
    let steps = tour(&readme);
    assert!(steps.len() > 5, "{} steps", steps.len());
    for Step { command, printed } in steps {
        let mut words = command.split_whitespace();
        let name = words.next().unwrap();
        let (_, program) = PROGRAMS.iter().find(|(of, _)| *of == name).unwrap_or_else(|| panic!("no program {name}"));
        let output = Command::new(program).args(words).current_dir(folder.path()).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let is_same = lines.len() == printed.len()
            && printed.iter().zip(&lines).all(|(said, printed)| is_printed(said.trim_end(), printed.trim_end()));
        assert!(is_same, "$ {command}\nthe README says:\n{}\nbut it prints:\n{text}", printed.join("\n"));
    }
}

/// Copies what the tour reads to where it stands, and writes.
fn copy_inputs(folder: &Path, root: &Path) {
    for (from, extension) in [("fixtures", "wat"), ("fixtures/invalid", "wat"), ("tests/lowering", "wast")] {
        std::fs::create_dir_all(folder.join(from)).unwrap();
        for entry in std::fs::read_dir(root.join(from)).unwrap().map(Result::unwrap) {
            if entry.path().extension().is_some_and(|of| of == extension) {
                std::fs::copy(entry.path(), folder.join(from).join(entry.file_name())).unwrap();
            }
        }
    }
}
