//! `--verify`: the output is run beside the input before it is written.

use crate::engine::compare::{CompareOptions, Comparer, Comparison};
use anyhow::{Context, Result, bail};
use wasmfx_passes::options::Options;

/// Runs both modules and compares what they do.
///
/// # Errors
/// If they differ: where, and how. If the engine does not take one of them.
pub fn verify(before: &[u8], after: &[u8], options: &Options, seed: u64) -> Result<Comparison> {
    let compare_options = CompareOptions {
        seed,
        traps_never_happen: options.traps_never_happen,
        compare_trap_kinds: false,
        ..CompareOptions::default()
    };
    let comparison = Comparer::new(compare_options)?.compare(before, after).context("--verify")?;
    if let Some(difference) = &comparison.difference {
        let mut promises = Vec::new();
        if options.closed_world {
            promises.push("--closed-world");
        }
        if options.low_memory_unused {
            promises.push("--low-memory-unused");
        }
        let cause = if promises.is_empty() {
            "This is a bug in wasmfx-opt; please report it.".to_string()
        } else {
            format!(
                "Either the module does not keep what {} promises, or this is a bug in wasmfx-opt.",
                promises.join(" and ")
            )
        };
        bail!("--verify: the output does not do what the input does, and was not written: {difference}\n{cause}");
    }
    Ok(comparison)
}

/// What was compared, and what could not be, in a line or two.
pub fn summary(comparison: &Comparison) -> String {
    let Comparison { calls, inconclusive, not_tried, difference: _ } = comparison;
    let mut summary = if *calls == 0 {
        "verified nothing: no call of an export could be compared".to_string()
    } else {
        format!("verified: {calls} calls do the same before and after")
    };
    if *inconclusive > 0 {
        summary += &format!("; {inconclusive} inconclusive (they ran into a limit of time, stack or memory)");
    }
    if !not_tried.is_empty() {
        summary += &format!("; not tried: {}", not_tried.join("; "));
    }
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assemble(text: &str) -> Vec<u8> {
        wat::parse_str(text).unwrap()
    }

    const ADD: &str =
        "(module (func (export \"add\") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))";
    const SUB: &str =
        "(module (func (export \"add\") (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1))))";

    #[test]
    fn a_broken_output_is_an_error_that_names_the_function() {
        let error = verify(&assemble(ADD), &assemble(SUB), &Options::default(), 0).unwrap_err().to_string();
        assert!(error.contains("'add'(") && error.contains("before: ") && error.contains("is a bug"), "{error}");
    }

    #[test]
    fn a_promise_of_the_user_may_be_the_cause() {
        let options = Options { low_memory_unused: true, ..Options::default() };
        let error = verify(&assemble(ADD), &assemble(SUB), &options, 0).unwrap_err().to_string();
        assert!(error.contains("keep what --low-memory-unused promises"), "{error}");
    }

    #[test]
    fn equal_modules_pass_with_a_count() {
        let comparison = verify(&assemble(ADD), &assemble(ADD), &Options::default(), 0).unwrap();
        assert!(summary(&comparison).starts_with("verified: 4 calls"), "{}", summary(&comparison));
    }

    #[test]
    fn what_runs_for_ever_is_inconclusive() {
        let endless = assemble("(module (func (export \"f\") (loop (br 0))))");
        let comparison = verify(&endless, &endless, &Options::default(), 0).unwrap();
        let summary = summary(&comparison);
        assert!(summary.contains("verified nothing") && summary.contains("1 inconclusive"), "{summary}");
    }
}
