//! Continuations lowered to plain wasm behave as they do natively: each row of the semantics is a script in `tests/lowering/`, and runs natively and
//! lowered into both stores, as it is, with functions of one copy, after -O2 and as walrus writes it; so do the proposal's own scripts. Assertions
//! about traps hold without the engine's words for them.
//!
//! A script may say in its head which ways it does not run in, and why: `;; not WAY: REASON`, where WAY is `native`, `closed`, `shared`, `memory`
//! or `gc`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::LazyLock;

use libtest_mimic::{Arguments, Failed, Trial};
use wasmfx::engine::script::{ScriptOptions, run_script};
use wasmfx::engine::{EngineOptions, WasmEngine};
use wasmfx::lowering::{
    CopiesArgument, Frames, Lowering, LoweringArguments, LoweringDetails, lower_binary, lower_script_at,
};
use wasmfx_passes::options::Level;
use wasmfx_tests::reemit::reemit_with_walrus;

static NATIVE: LazyLock<WasmEngine> =
    LazyLock::new(|| EngineOptions::for_tests().build().expect("the engine runs on this machine"));
static PLAIN: LazyLock<WasmEngine> = LazyLock::new(|| {
    let options = EngineOptions { stack_switching: false, ..EngineOptions::for_tests() };
    options.build().expect("the engine runs on this machine")
});

/// What is done besides lowering.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Besides {
    Nothing,
    /// -O2 before and after.
    Optimized,
    /// Read and written by walrus.
    Reemitted,
    /// Functions are their own resumable copy.
    OneCopy,
}

/// How a script's modules get to the engine.
#[derive(Copy, Clone, Debug)]
enum Way {
    Native,
    /// Each module for itself.
    Closed(Frames, Besides),
    /// All modules with one runtime.
    Shared(Frames, Besides),
}

impl Way {
    fn all() -> Vec<Way> {
        let mut ways = vec![Way::Native];
        for frames in [Frames::Memory, Frames::Gc] {
            for besides in [Besides::Nothing, Besides::Optimized, Besides::Reemitted, Besides::OneCopy] {
                ways.extend([Way::Closed(frames, besides), Way::Shared(frames, besides)]);
            }
        }
        ways
    }

    /// The words by which a script excludes this way.
    fn words(self) -> [&'static str; 2] {
        let store = |frames| if frames == Frames::Gc { "gc" } else { "memory" };
        match self {
            Way::Native => ["native"; 2],
            Way::Closed(frames, _) => ["closed", store(frames)],
            Way::Shared(frames, _) => ["shared", store(frames)],
        }
    }

    fn name(self) -> String {
        match self {
            Way::Native => "native".to_owned(),
            Way::Closed(_, besides) | Way::Shared(_, besides) => {
                let [world, store] = self.words();
                let besides = match besides {
                    Besides::Nothing => "",
                    Besides::Optimized => " -O2",
                    Besides::Reemitted => " walrus",
                    Besides::OneCopy => " one copy",
                };
                format!("{world} {store}{besides}")
            }
        }
    }

    fn excluded_by(self, script: &str) -> bool {
        script.lines().take_while(|line| line.starts_with(";;")).any(|line| {
            line.strip_prefix(";; not ").is_some_and(|rest| {
                self.words().iter().any(|word| rest.strip_prefix(word).is_some_and(|rest| rest.starts_with(':')))
            })
        })
    }
}

fn run(name: &str, text: &str, way: Way) -> Result<(), Failed> {
    let lowered = ScriptOptions { check_trap_messages: false, ..ScriptOptions::default() };
    let level = |besides| (besides == Besides::Optimized).then(|| Level::from_name("2").expect("-O2 is a level"));
    let finish = |binary: Vec<u8>, besides| match besides {
        Besides::Reemitted => reemit_with_walrus(&binary),
        Besides::Nothing | Besides::Optimized | Besides::OneCopy => Ok(binary),
    };
    let details = |besides| LoweringDetails {
        copies: if besides == Besides::OneCopy { CopiesArgument::One } else { CopiesArgument::Auto },
        ..LoweringDetails::default()
    };
    let report = match way {
        Way::Native => run_script(&NATIVE, name, text, &lowered),
        Way::Closed(frames, besides) => {
            let details = details(besides);
            let options = LoweringArguments { frames, details, ..LoweringArguments::default() }.options();
            let lowering = Lowering { options, level: level(besides), ..Lowering::default() };
            let transform = move |_: &str, binary: &[u8]| finish(lowering.run(binary)?.0, besides);
            run_script(&PLAIN, name, text, &ScriptOptions { transform: Some(&transform), ..lowered })
        }
        Way::Shared(frames, besides) => {
            let (text, lower) =
                lower_script_at(text, frames, &details(besides), level(besides)).map_err(|error| error.to_string())?;
            let transform = move |name: &str, binary: &[u8]| finish(lower(name, binary)?, besides);
            run_script(&PLAIN, name, &text, &ScriptOptions { transform: Some(&transform), ..lowered })
        }
    };
    let report = report.map_err(|error| format!("{error:#}"))?;
    let shortcomings: Vec<String> = report.shortcomings().collect();
    if shortcomings.is_empty() { Ok(()) } else { Err(shortcomings.join("\n").into()) }
}

/// The scripts of a directory, in the order of their names.
fn scripts_in(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths =
        std::fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "wast"));
    paths.sort();
    Ok(paths)
}

/// The scripts of this directory of the shared material.
fn shared_scripts(directory: &str) -> Vec<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let shared = std::env::var_os("WASMFX_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    scripts_in(&shared.join("spec").join(directory)).unwrap_or_else(|_| {
        println!("skipped: no shared material at {} (set WASMFX_SHARED)", shared.display());
        Vec::new()
    })
}

/// An untouched function: its bytes are those of the input.
fn untouched_functions_keep_their_bytes() -> Result<(), Failed> {
    let text = r#"(module
        (func $loop (export "loop") (param i32) (result i32) (local i32)
            (loop $l (local.set 1 (i32.add (local.get 1) (local.get 0)))
                (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (local.get 1))
        (type $ft (func)) (type $ct (cont $ft)) (tag $yield)
        (func $body (suspend $yield))
        (elem declare func $body)
        (func (export "run") (block $on (result (ref $ct))
            (resume $ct (on $yield $on) (cont.new $ct (ref.func $body))) (return)) (drop)))"#;
    let binary = wat::parse_str(text).map_err(|error| error.to_string())?;
    let first_body = |binary: &[u8]| -> Option<Vec<u8>> {
        wasmparser::Parser::new(0).parse_all(binary).find_map(|payload| match payload {
            Ok(wasmparser::Payload::CodeSectionEntry(body)) => Some(body.as_bytes().to_vec()),
            _ => None,
        })
    };
    for frames in [Frames::Memory, Frames::Gc] {
        let options = LoweringArguments { frames, ..LoweringArguments::default() }.options();
        let (lowered, report) = lower_binary(&binary, &options).map_err(|error| format!("{error:#}"))?;
        assert_eq!(first_body(&binary), first_body(&lowered));
        assert!(report.functions.iter().all(|function| function.name != "loop"));
    }
    Ok(())
}

/// A continuation type in an export is refused by name.
fn a_closed_world_refuses_continuations_outside() -> Result<(), Failed> {
    let text = r#"(module (type $ft (func)) (type $ct (cont $ft))
        (func (export "take") (param (ref $ct)) (resume $ct (local.get 0))))"#;
    let binary = wat::parse_str(text).map_err(|error| error.to_string())?;
    let error = lower_binary(&binary, &LoweringArguments::default().options()).err().ok_or("it was accepted")?;
    let message = format!("{error:#}");
    if message.contains("take") { Ok(()) } else { Err(message.into()) }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = vec![
        Trial::test("untouched functions keep their bytes", untouched_functions_keep_their_bytes),
        Trial::test("a closed world refuses continuations outside", a_closed_world_refuses_continuations_outside),
    ];
    let own = scripts_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("lowering")).expect("the scripts are committed");
    let proposal = ["cont.wast", "resume_throw.wast"];
    let assertions = shared_scripts("stack-switching")
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| proposal.iter().any(|proposal| name == *proposal)));
    let foreign = shared_scripts("examples").into_iter().chain(assertions);
    // The proposal's scripts are linked modules; natively they run in the engine's conformance test.
    let scripts = own.into_iter().map(|path| (path, true)).chain(foreign.map(|path| (path, false)));
    for (path, is_own) in scripts {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("the script was just listed");
        for way in Way::all() {
            if way.excluded_by(&text) || (!is_own && !matches!(way, Way::Shared(..))) {
                continue;
            }
            let (file, text) = (file.clone(), text.clone());
            trials.push(Trial::test(format!("{file}, {}", way.name()), move || run(&file, &text, way)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
