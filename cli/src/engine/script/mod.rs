//! Conformance scripts (`.wast`): modules, and assertions about them.
//!
//! Each valid module of a script goes through a transformation on its way to the engine, so that the same script checks
//! the engine alone, the optimiser at any level, and the lowering. `assert_invalid` and `assert_malformed` are checked with our
//! own validator. A valid module that the engine refuses is neither a success nor a failure: it has its own outcome, and so
//! do the assertions that depend on it.

mod expectation;
mod runner;
mod trap_message;

use std::fmt;
use std::time::Duration;

use anyhow::{Result, anyhow};
use serde::Serialize;
use wasmparser::WasmFeatures;
use wast::lexer::Lexer;
use wast::parser::ParseBuffer;

use super::WasmEngine;
use crate::features;

/// What happens to each valid module of a script before it is instantiated. The first argument names it for messages.
pub type Transform<'a> = &'a (dyn Fn(&str, &[u8]) -> Result<Vec<u8>> + Sync);

/// Time that one action of a script may take, unless chosen otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// How a script is run.
#[derive(Clone, Copy)]
pub struct ScriptOptions<'a> {
    /// Applied to each valid module; modules that must not link are left as they are, since an unused import may be what must not link.
    pub transform: Option<Transform<'a>>,
    /// What our validator accepts.
    pub features: WasmFeatures,
    /// Bounds each action; needs an interruptible engine.
    pub timeout: Duration,
    /// Whether a trap must be the one that the script names. A lowered module traps where it should, but on other instructions.
    pub check_trap_messages: bool,
}

impl Default for ScriptOptions<'_> {
    fn default() -> Self {
        ScriptOptions {
            transform: None,
            features: features::all(),
            timeout: DEFAULT_TIMEOUT,
            check_trap_messages: true,
        }
    }
}

/// What became of a directive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "reason")]
pub enum DirectiveOutcome {
    /// As the script says.
    Passed,
    /// Not as the script says.
    Failed(String),
    /// The engine does not take a module that is valid.
    EngineRefused(String),
    /// Depends on a module that the engine refused, or that failed.
    Skipped(String),
}

/// A directive, its place in the script, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DirectiveReport {
    /// Line, from one.
    pub line: usize,
    /// Column, from one.
    pub column: usize,
    /// The directive's keyword, such as `assert_return`.
    pub directive: &'static str,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: DirectiveOutcome,
}

/// What became of a script.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ScriptReport {
    /// The script's name, for messages.
    pub name: String,
    /// All directives in order; those of a thread follow the directive that waits for it.
    pub directives: Vec<DirectiveReport>,
}

/// How many directives had each outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// As the scripts say.
    pub passed: usize,
    /// Not as the scripts say.
    pub failed: usize,
    /// Valid modules that the engine does not take.
    pub refused: usize,
    /// Directives that depend on a module that is not there.
    pub skipped: usize,
}

impl ScriptReport {
    /// Counts the outcomes.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for directive in &self.directives {
            match directive.outcome {
                DirectiveOutcome::Passed => summary.passed += 1,
                DirectiveOutcome::Failed(_) => summary.failed += 1,
                DirectiveOutcome::EngineRefused(_) => summary.refused += 1,
                DirectiveOutcome::Skipped(_) => summary.skipped += 1,
            }
        }
        summary
    }

    /// Whether nothing failed. Refused modules are no failure.
    pub fn is_success(&self) -> bool {
        self.summary().failed == 0
    }

    /// All directives that did not pass, as `FILE:LINE:COLUMN: directive: reason`.
    pub fn shortcomings(&self) -> impl Iterator<Item = String> + '_ {
        self.directives.iter().filter_map(|report| {
            let DirectiveReport { line, column, directive, outcome } = report;
            let reason = match outcome {
                DirectiveOutcome::Passed => return None,
                DirectiveOutcome::Failed(reason) => format!("failed: {reason}"),
                DirectiveOutcome::EngineRefused(reason) => format!("the engine refuses a valid module: {reason}"),
                DirectiveOutcome::Skipped(reason) => format!("skipped: {reason}"),
            };
            Some(format!("{}:{line}:{column}: {directive}: {reason}", self.name))
        })
    }
}

impl std::ops::AddAssign for Summary {
    fn add_assign(&mut self, other: Summary) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.refused += other.refused;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)?;
        if self.refused > 0 {
            let modules = if self.refused == 1 { "module" } else { "modules" };
            write!(formatter, ", {} {modules} refused by the engine", self.refused)?;
        }
        if self.skipped > 0 {
            write!(formatter, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// Whether a text is a script and not a module: whether it begins with a directive other than a lone module.
pub fn is_script(text: &str) -> bool {
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let Ok(buffer) = ParseBuffer::new_with_lexer(lexer) else { return false };
    // A module alone parses as both; it is better treated as what it is.
    wast::parser::parse::<wast::Wat<'_>>(&buffer).is_err() && wast::parser::parse::<wast::Wast<'_>>(&buffer).is_ok()
}

/// Runs a script. What its directives did is in the report.
///
/// # Errors
/// If it cannot be parsed, or the engine cannot be set up.
pub fn run_script(engine: &WasmEngine, name: &str, text: &str, options: &ScriptOptions<'_>) -> Result<ScriptReport> {
    let parse_error = |mut error: wast::Error| {
        error.set_text(text);
        error.set_path(name.as_ref());
        anyhow!("{error}")
    };
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer).map_err(parse_error)?;
    let script = wast::parser::parse::<wast::Wast<'_>>(&buffer).map_err(parse_error)?;
    let directives = engine.on_wasm_thread(|| runner::run(engine, name, text, script, options))??;
    Ok(ScriptReport { name: name.to_string(), directives })
}

#[cfg(test)]
mod tests;
