//! wasmfx-bench as a process: what it writes for machines, and what it says of what is not there.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn bench(fixtures: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wasmfx-bench"))
        .args(["--small", "--runs", "1", "--engines", "wasmtime", "--fixtures"])
        .arg(fixtures)
        .args(arguments)
        .output()
        .unwrap()
}

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_json_has_the_fields_that_machines_rely_on() {
    let report = json(&bench(&fixtures(), &["itersum", "--variants", "lowered-memory,asyncify", "--json", "-"]));
    let runs = report["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    for (run, variant) in runs.iter().zip(["lowered-memory", "asyncify"]) {
        assert_eq!((&run["program"], &run["engine"]), (&"itersum".into(), &"wasmtime".into()));
        assert_eq!((&run["variant"], &run["status"], &run["output_ok"]), (&variant.into(), &"ok".into(), &true.into()));
        let median = run["median_s"].as_f64().unwrap();
        assert!(run["min_s"].as_f64().unwrap() <= median && median <= run["max_s"].as_f64().unwrap());
        assert!(run["module_bytes"].as_u64().unwrap() > 0);
        assert!(run.get("peak_rss_bytes").is_some());
    }
}

#[test]
fn a_program_that_is_not_built_is_missing_and_the_remedy_is_said_once() {
    let empty = tempfile::tempdir().unwrap();
    let output = bench(empty.path(), &["rows", "--json", "-"]);
    let report = json(&output);
    let runs = report["runs"].as_array().unwrap();
    assert!(runs.len() >= 5 && runs.iter().all(|run| run["status"] == "missing" && run["output_ok"] == false));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stderr.matches("fixtures/fiber/build.sh rows").count(), 1, "{stderr}");
}

#[test]
fn goals_are_compared_with_what_was_measured() {
    // Without the large program that the tools would be timed with.
    let text_only = tempfile::tempdir().unwrap();
    std::fs::create_dir(text_only.path().join("bench")).unwrap();
    let programs = ["deep_suspend", "nested_resume"];
    for program in programs {
        let file = format!("bench/{program}.wat");
        std::fs::copy(fixtures().join(&file), text_only.path().join(&file)).unwrap();
    }
    let options = ["--variants", "lowered-memory", "--goals", "--json", "-"];
    let output = bench(text_only.path(), &[&programs[..], &options[..]].concat());
    let report = json(&output);
    let goals = report["goals"].as_array().unwrap();
    let nested = goals.iter().find(|goal| goal["goal"] == "100,000 nested resumes").unwrap();
    assert_eq!(nested["reached"][0]["met"], true);
    let unmeasured = goals.iter().find(|goal| goal["goal"] == "generator: time / native").unwrap();
    assert_eq!(unmeasured["reached"][0]["met"], Value::Null);
}

#[test]
fn an_unknown_program_is_a_usage_error() {
    let output = bench(&fixtures(), &["itersun"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean 'itersum'?"));
}
