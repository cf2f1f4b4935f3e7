//! Shape and run tests as data: one trial for each file under `tests/cases`. `tests/cases/README.md` says what a file holds.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use libtest_mimic::{Arguments, Failed, Trial};
use wasmfx::engine;
use wasmfx::engine::script::{ScriptOptions, run_script};
use wasmfx::lowering::{CopiesArgument, Frames, LoweringDetails, lower_script_at};
use wasmfx_passes::options::Level;
use wasmfx_tests::calls::{Call, Session};
use wasmfx_tests::differential::run::{EngineOptions, engine};
use wasmfx_tests::differential::transforms::{self, EVERYTHING, optimize_at_level, optimize_by_passes};
use wasmparser::{Validator, WasmFeatures};

/// What the header of a case asks for.
#[derive(Default)]
struct Header {
    /// Those whose output is run, and compared with what the file says.
    transforms: Vec<String>,
    /// Those whose output is run only.
    also: Vec<String>,
    runs: Vec<Call>,
    /// The modules that the case imports from, by name.
    linked: Vec<(String, Vec<u8>)>,
    /// Whether the output is compared with what the file says.
    shape: bool,
}

/// Separates the input from the expected output, of which each line is a comment.
const OUTPUT: &str = ";;! output";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut files = vec![];
    collect(&root, &mut files);
    files.sort();
    let trials = files
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
            let is_script = path.extension().is_some_and(|extension| extension == "wast");
            let check = if is_script { check_script } else { check };
            Trial::test(name, move || check(&path).map_err(|error| Failed::from(format!("{error:#}"))))
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "wat" || extension == "wast") {
            files.push(path);
        }
    }
}

fn header(text: &str) -> Result<Header> {
    let mut header = Header { shape: true, ..Header::default() };
    for line in text.lines().map_while(|line| line.strip_prefix(";;!")) {
        let (key, value) = line.split_once('=').with_context(|| format!("`;;!{line}` is not `;;! KEY = \"VALUE\"`"))?;
        let value = value.trim();
        let value = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'))
            .with_context(|| format!("`{value}` is not in quotes"))?;
        match key.trim() {
            "transform" => header.transforms.push(value.to_string()),
            "passes" => header.transforms.push(format!("passes:{value}")),
            "also" if value == "everything" => header.also.extend(EVERYTHING.iter().map(ToString::to_string)),
            "also" => header.also.extend(value.split(',').map(|name| name.trim().to_string())),
            "run" => header.runs.push(Call::parse(value)?),
            "link" => {
                let (name, module) =
                    value.split_once(' ').with_context(|| format!("`{value}` is not `NAME MODULE`"))?;
                header.linked.push((name.to_string(), wat::parse_str(module)?));
            }
            "shape" => header.shape = value == "yes",
            other => bail!("there is no key `{other}`; the keys are transform, passes, also, run, link, shape"),
        }
    }
    if header.transforms.is_empty() && header.also.is_empty() {
        bail!("the header names no transformation: `;;! transform = \"opt:O2\"` or `;;! passes = \"dead-code\"`");
    }
    Ok(header)
}

fn transform(name: &str, wasm: &[u8]) -> Result<(Vec<u8>, bool)> {
    if let Some(passes) = name.strip_prefix("passes:") {
        let names: Vec<&str> = passes.split(',').map(str::trim).collect();
        return Ok((optimize_by_passes(wasm, &names)?, true));
    }
    let transform = transforms::find(name).with_context(|| format!("there is no transformation `{name}`"))?;
    Ok((transform.apply(wasm)?, transform.stack_switching))
}

fn run_all(wasm: &[u8], stack_switching: bool, header: &Header) -> Result<()> {
    let engine = engine(EngineOptions { stack_switching, ..EngineOptions::default() })?;
    let linked: Vec<(&str, &[u8])> =
        header.linked.iter().map(|(name, wasm)| (name.as_str(), wasm.as_slice())).collect();
    let mut session = Session::new(&engine, &linked, wasm)?;
    header.runs.iter().try_for_each(|call| match stack_switching {
        true => session.check(call),
        false => session.check(&call.of_lowered()),
    })
}

/// The output of a transformation, which has done in the engine what the header says, and whether it may use stack switching.
fn transformed_and_run(name: &str, wasm: &[u8], header: &Header) -> Result<Vec<u8>> {
    let (output, stack_switching) = transform(name, wasm)?;
    let mut features = WasmFeatures::all();
    features.set(WasmFeatures::STACK_SWITCHING, stack_switching);
    Validator::new_with_features(features).validate_all(&output)?;
    run_all(&output, stack_switching, header)?;
    Ok(output)
}

fn check(path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path)?;
    let header = header(&text)?;
    if header.runs.is_empty() {
        bail!("a shape says nothing about meaning: give at least one `;;! run = \"name(1) -> 2\"`");
    }
    let (input, expected) = match text.split_once(OUTPUT) {
        Some((input, expected)) => (input, expected),
        None => (text.as_str(), ""),
    };
    let wasm = wat::parse_str(input).with_context(|| format!("{}", path.display()))?;
    run_all(&wasm, true, &header).context("before")?;
    let mut printed = String::new();
    for name in &header.also {
        transformed_and_run(name, &wasm, &header).with_context(|| format!("after {name}"))?;
    }
    for name in &header.transforms {
        let output = transformed_and_run(name, &wasm, &header).with_context(|| format!("after {name}"))?;
        if header.shape {
            printed.push_str(&format!("\n;; {name}\n"));
            for line in wasmprinter::print_bytes(&output)?.lines() {
                printed.push_str(&format!(";; {line}\n"));
            }
        }
    }
    if printed.trim() == expected.trim() {
        return Ok(());
    }
    if std::env::var_os("BLESS").is_some_and(|value| value == "1") {
        let blessed = format!("{}\n\n{OUTPUT}\n{}\n", input.trim_end(), printed.trim());
        std::fs::write(path, if header.shape { blessed } else { format!("{}\n", input.trim_end()) })?;
        return Ok(());
    }
    bail!("the output is not what {} says; if it is right, run again with BLESS=1. It is:\n{printed}", path.display());
}

/// A script: its assertions are its runs, and each transformation is applied to every module of it.
fn check_script(path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path)?;
    let header = header(&text)?;
    if !header.runs.is_empty() || !header.transforms.is_empty() {
        bail!("a script has only `also`: its assertions are the runs, and its modules have no shapes");
    }
    run_as_script(path, &text, None).context("before")?;
    header
        .also
        .iter()
        .try_for_each(|name| run_as_script(path, &text, Some(name)).with_context(|| format!("after {name}")))
}

fn run_as_script(path: &Path, text: &str, transform: Option<&str>) -> Result<()> {
    let mut options = ScriptOptions::default();
    let mut engine_options = engine::EngineOptions::for_tests();
    let name = path.display().to_string();
    let report = match transform.map(lowering_of) {
        None => run_script(&engine_options.build()?, &name, text, &options)?,
        Some(None) => {
            let level = transform.and_then(|name| name.strip_prefix("opt:O"));
            let level = level.context("of transformations, scripts know levels and lowering")?;
            let transform = move |_: &str, wasm: &[u8]| optimize_at_level(wasm, level);
            options.transform = Some(&transform);
            run_script(&engine_options.build()?, &name, text, &options)?
        }
        Some(Some((frames, copies, optimised))) => {
            // Modules of a script share one runtime.
            let level = if optimised { Level::from_name("2") } else { None };
            let details = LoweringDetails { copies, ..LoweringDetails::default() };
            let (text, transform) = lower_script_at(text, frames, &details, level)?;
            options.transform = Some(&*transform);
            options.check_trap_messages = false;
            engine_options.stack_switching = false;
            run_script(&engine_options.build()?, &name, &text, &options)?
        }
    };
    match report.is_success() && report.summary().skipped == 0 && report.summary().refused == 0 {
        true => Ok(()),
        false => bail!("{}", report.shortcomings().collect::<Vec<_>>().join("\n")),
    }
}

/// Where a transformation keeps frames, how many copies functions have, and whether it optimises before and after, if it lowers.
fn lowering_of(transform: &str) -> Option<(Frames, CopiesArgument, bool)> {
    use CopiesArgument::{Auto, One, Two};
    Some(match transform {
        "lower:memory:proved" | "lower:memory-in-memory-0" => (Frames::Memory, Auto, false),
        "lower:memory:one-copy" => (Frames::Memory, One, false),
        "lower:memory:two-copies" => (Frames::Memory, Two, false),
        "lower:memory:O2" => (Frames::Memory, Auto, true),
        "lower:gc:proved" => (Frames::Gc, Auto, false),
        "lower:gc:one-copy" => (Frames::Gc, One, false),
        "lower:gc:O2" => (Frames::Gc, Auto, true),
        _ => return None,
    })
}
