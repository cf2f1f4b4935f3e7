//! Every conformance script in the engine, one trial for each script and way of running it.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use anyhow::Context;
use libtest_mimic::{Arguments, Trial};
use wasmfx::engine::script::{ScriptOptions, Transform, run_script};
use wasmfx::engine::{EngineOptions, WasmEngine};
use wasmfx_passes::optimizer::Optimizer;
use wasmfx_passes::options::{Level, Options};
use wasmfx_passes::pipeline::Pipeline;
use wasmfx_tests::conformance::{Ledger, Script, scripts};

/// A way of running the scripts.
struct Mode {
    name: &'static str,
    /// Applied to each valid module on its way to the engine.
    transform: Option<Transform<'static>>,
    /// What is known not to hold in this mode.
    ledger: &'static str,
    /// Whether that may hold nevertheless: a transformation may remove what the engine cannot do.
    stale_entries_allowed: bool,
    check_trap_messages: bool,
    passed: AtomicUsize,
}

impl Mode {
    const fn raw() -> Mode {
        Mode {
            name: "raw",
            transform: None,
            ledger: "engine.txt",
            stale_entries_allowed: false,
            check_trap_messages: true,
            passed: AtomicUsize::new(0),
        }
    }

    const fn transformed(name: &'static str, transform: Transform<'static>) -> Mode {
        Mode { name, transform: Some(transform), stale_entries_allowed: true, ..Mode::raw() }
    }
}

static MODES: [Mode; 4] = [
    Mode::raw(),
    Mode::transformed("-O0", &|name, bytes| optimized("0", name, bytes)),
    Mode::transformed("-O2", &|name, bytes| optimized("2", name, bytes)),
    Mode::transformed("-Oz", &|name, bytes| optimized("z", name, bytes)),
];

fn optimized(level: &str, name: &str, bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let level = Level::from_name(level).context("a level")?;
    let options = Options::default().at_level(level);
    let pipeline = Pipeline::for_level(&options);
    let optimizer = Optimizer { pipeline, options, ..Optimizer::default() };
    Ok(optimizer.run(bytes).with_context(|| name.to_string())?.bytes)
}

static ENGINE: LazyLock<WasmEngine> =
    LazyLock::new(|| EngineOptions::for_tests().build().expect("the engine runs on this machine"));

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let scripts: Vec<Arc<Script>> = scripts().into_iter().map(Arc::new).collect();
    let mut trials = Vec::new();
    for mode in &MODES {
        let ledger = Arc::new(Ledger::load(mode.ledger).expect("the ledger is committed"));
        for script in &scripts {
            let (script, ledger) = (Arc::clone(script), Arc::clone(&ledger));
            let name = format!("{}::{}", mode.name, script.name);
            trials.push(Trial::test(name, move || Ok(run(mode, &script, &ledger)?)));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    for mode in &MODES {
        println!("{}: {} directives as the scripts say", mode.name, mode.passed.load(Ordering::Relaxed));
    }
    conclusion.exit_code()
}

fn run(mode: &Mode, script: &Script, ledger: &Ledger) -> Result<(), String> {
    let options = ScriptOptions {
        transform: mode.transform,
        features: script.features,
        check_trap_messages: mode.check_trap_messages,
        ..ScriptOptions::default()
    };
    let report = run_script(&ENGINE, &script.name, &script.text, &options).map_err(|error| error.to_string())?;
    mode.passed.fetch_add(report.summary().passed, Ordering::Relaxed);
    ledger.check(&report, mode.stale_entries_allowed).map_err(|error| error.to_string())
}
