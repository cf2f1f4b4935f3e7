//! The scripts of the lowering on Node, which knows nothing of stack switching without its flag: the rows of the semantics, and every
//! assertion of the proposal's scripts, under both stores.

use std::path::{Path, PathBuf};

use serde_json::Value;
use wasmfx::lowering::{Frames, lower_script};
use wasmfx_tests::node;

fn scripts_in(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        eprintln!("skipped: there is nothing at {} (set WASMFX_SHARED)", directory.display());
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "wast"));
    paths.sort();
    paths
}

/// What the head of a script says that it does not run in.
fn excludes(text: &str, words: &[&str]) -> bool {
    text.lines()
        .take_while(|line| line.starts_with(";;"))
        .any(|line| words.iter().any(|word| line.starts_with(&format!(";; not {word}:"))))
}

fn check(frames: Frames, store: &str) {
    if node::node().is_none() {
        eprintln!("skipped: NODE26 names no Node (shared/peers/install.sh gets one)");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = std::env::var_os("WASMFX_SHARED").map_or_else(|| root.join("../../shared"), PathBuf::from);
    let directories = [root.join("lowering"), shared.join("spec/examples"), shared.join("spec/stack-switching")];
    let mut scripts: Vec<(String, Value)> = Vec::new();
    for path in directories.iter().flat_map(|directory| scripts_in(directory)) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        if excludes(&text, &["node", "shared", store]) {
            continue;
        }
        let (text, transform) = lower_script(&text, frames).unwrap();
        let steps = node::steps(&name, &text, &*transform).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        scripts.push((name, steps));
    }
    let (passed, failures) = node::run(&scripts).unwrap();
    println!("{passed} directives of {} scripts, frames in {store}", scripts.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(passed > 100, "only {passed} directives ran");
}

#[test]
fn scripts_do_on_node_what_they_assert_with_frames_in_linear_memory() {
    check(Frames::Memory, "memory");
}

#[test]
fn scripts_do_on_node_what_they_assert_with_frames_in_gc_structs() {
    check(Frames::Gc, "gc");
}
