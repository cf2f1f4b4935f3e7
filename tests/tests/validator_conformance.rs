//! The validator accepts and rejects every module of every conformance script as the script says. No engine is involved.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use libtest_mimic::{Arguments, Trial};
use wasmfx::engine::script::{DirectiveOutcome, DirectiveReport, ScriptReport};
use wasmfx::validate;
use wasmfx_tests::conformance::{Ledger, Script, scripts};
use wasmparser::WasmFeatures;
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::{QuoteWat, Wast, WastDirective, WastExecute};

static ACCEPTED: AtomicUsize = AtomicUsize::new(0);
static REJECTED: AtomicUsize = AtomicUsize::new(0);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let ledger = Arc::new(Ledger::load("validator.txt").expect("the ledger is committed"));
    let trials = scripts()
        .into_iter()
        .map(|script| {
            let ledger = Arc::clone(&ledger);
            Trial::test(script.name.clone(), move || {
                let report = check(&script).map_err(|error| error.to_string())?;
                Ok(ledger.check(&report, false).map_err(|error| error.to_string())?)
            })
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let (accepted, rejected) = (ACCEPTED.load(Ordering::Relaxed), REJECTED.load(Ordering::Relaxed));
    println!("{accepted} modules accepted and {rejected} rejected as the scripts say");
    conclusion.exit_code()
}

fn check(script: &Script) -> parser::Result<ScriptReport> {
    let mut lexer = Lexer::new(&script.text);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer)?;
    let mut directives = Vec::new();
    for directive in parser::parse::<Wast<'_>>(&buffer)?.directives {
        let (line, column) = directive.span().linecol_in(&script.text);
        let Some((directive, mut module, valid)) = module_of(directive) else { continue };
        let outcome = match (is_valid(&mut module, script.features), valid) {
            (Ok(()), true) => {
                ACCEPTED.fetch_add(1, Ordering::Relaxed);
                DirectiveOutcome::Passed
            }
            (Err(_), false) => {
                REJECTED.fetch_add(1, Ordering::Relaxed);
                DirectiveOutcome::Passed
            }
            (Ok(()), false) => DirectiveOutcome::Failed("accepted".to_string()),
            (Err(error), true) => DirectiveOutcome::Failed(error),
        };
        directives.push(DirectiveReport { line: line + 1, column: column + 1, directive, outcome });
    }
    Ok(ScriptReport { name: script.name.clone(), directives })
}

/// A directive's module, and whether the script says that it is valid.
fn module_of(directive: WastDirective<'_>) -> Option<(&'static str, QuoteWat<'_>, bool)> {
    Some(match directive {
        WastDirective::Module(module) | WastDirective::ModuleDefinition(module) => ("module", module, true),
        WastDirective::AssertUnlinkable { module, .. } => ("assert_unlinkable", QuoteWat::Wat(module), true),
        WastDirective::AssertTrap { exec: WastExecute::Wat(module), .. } => {
            ("assert_trap", QuoteWat::Wat(module), true)
        }
        WastDirective::AssertInvalid { module, .. } => ("assert_invalid", module, false),
        WastDirective::AssertMalformed { module, .. } => ("assert_malformed", module, false),
        WastDirective::AssertInvalidCustom { module, .. } => ("assert_invalid_custom", module, false),
        WastDirective::AssertMalformedCustom { module, .. } => ("assert_malformed_custom", module, false),
        _ => return None,
    })
}

fn is_valid(module: &mut QuoteWat<'_>, features: WasmFeatures) -> Result<(), String> {
    let binary = module.encode().map_err(|error| error.message())?;
    validate::check(&binary, features).map_err(|error| error.to_string())
}
