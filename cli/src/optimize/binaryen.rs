//! Names that Binaryen's users have in their fingers and that are called otherwise here: what has a counterpart is taken, and for the rest there is
//! something to say instead of "unexpected argument".

/// What stands in for something of Binaryen's.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Instead {
    /// A pass of ours does that.
    Pass(&'static str),
    /// Another option does that.
    Option(&'static str),
    /// It happens anyway.
    Always(&'static str),
    /// There is nothing like it.
    Nothing,
}

const LOCALS: Instead =
    Instead::Always("bodies are optimized without locals, which are chosen anew whenever a body is written");
const ORDER: Instead = Instead::Always("the output is ordered by use whenever a pass runs");

/// In alphabetical order.
const NAMES: &[(&str, Instead)] = &[
    ("always-inline-max-function-size", Instead::Option("--pass-arg inlining-always-size@N")),
    ("asyncify", Instead::Option("the program wasmfx-lower")),
    ("avoid-reinterprets", Instead::Nothing),
    ("cfp", Instead::Nothing),
    ("coalesce-locals", LOCALS),
    ("code-pushing", Instead::Always("values are computed where they are used")),
    ("const-hoisting", Instead::Always("a constant is kept in a local where that is smaller")),
    ("constant-field-propagation", Instead::Nothing),
    ("dae", Instead::Pass("dead-arguments")),
    ("dae-optimizing", Instead::Pass("dead-arguments")),
    ("dce", Instead::Pass("dead-code")),
    ("dead-argument-elimination", Instead::Pass("dead-arguments")),
    ("detect-features", Instead::Always("the output uses no feature that the input does not")),
    ("directize", Instead::Pass("direct-calls")),
    ("duplicate-function-elimination", Instead::Pass("duplicate-functions")),
    ("duplicate-import-elimination", Instead::Pass("duplicate-imports")),
    ("flatten", LOCALS),
    ("fuzz-exec", Instead::Option("--verify")),
    ("generate-stack-ir", Instead::Always("code is made for the operand stack")),
    ("gufa", Instead::Nothing),
    ("heap2local", Instead::Nothing),
    ("inlining-optimizing", Instead::Pass("inlining")),
    ("licm", Instead::Nothing),
    ("local-cse", Instead::Pass("numbering")),
    ("merge-blocks", Instead::Pass("block-merging")),
    ("merge-locals", LOCALS),
    ("merge-similar-functions", Instead::Nothing),
    ("monomorphize", Instead::Nothing),
    ("no-validation", Instead::Always("every input and every output is validated")),
    ("one-caller-inline-max-function-size", Instead::Option("--pass-arg inlining-caller-size@N")),
    ("optimize-added-constants", Instead::Pass("simplify")),
    ("optimize-casts", Instead::Nothing),
    ("optimize-instructions", Instead::Pass("simplify")),
    ("optimize-level", Instead::Option("-O0 to -O4")),
    ("optimize-stack-ir", Instead::Always("code is made for the operand stack")),
    ("pick-load-signs", Instead::Nothing),
    ("precompute", Instead::Pass("simplify")),
    ("precompute-propagate", Instead::Pass("simplify")),
    ("propagate-globals-globally", Instead::Pass("globals")),
    ("redundant-set-elimination", Instead::Pass("numbering")),
    ("remove-unused-brs", Instead::Pass("branches")),
    ("remove-unused-names", Instead::Pass("branches")),
    ("remove-unused-nonfunction-module-elements", Instead::Pass("remove-unused-module-elements")),
    ("remove-unused-types", Instead::Pass("types")),
    ("reorder-functions", ORDER),
    ("reorder-globals", ORDER),
    ("reorder-locals", LOCALS),
    ("reorder-types", ORDER),
    ("rereloop", Instead::Always("control flow is built anew whenever a body is written")),
    ("rse", Instead::Pass("numbering")),
    ("shrink-level", Instead::Option("-Os or -Oz")),
    ("signature-pruning", Instead::Nothing),
    ("signature-refining", Instead::Nothing),
    ("simplify-globals", Instead::Pass("globals")),
    ("simplify-globals-optimizing", Instead::Pass("globals")),
    ("simplify-locals", LOCALS),
    ("simplify-locals-nostructure", LOCALS),
    ("simplify-locals-notee", LOCALS),
    ("ssa", LOCALS),
    ("ssa-nomerge", LOCALS),
    ("tuple-optimization", LOCALS),
    ("type-merging", Instead::Pass("types")),
    ("untee", LOCALS),
    ("vacuum", Instead::Pass("dead-code")),
];

/// What Binaryen calls a pass of ours.
pub fn names_of(pass: &'static str) -> impl Iterator<Item = &'static str> {
    NAMES
        .iter()
        .filter(move |(_, instead)| matches!(instead, Instead::Pass(ours) if *ours == pass))
        .map(|&(name, _)| name)
}

/// What happens anyway, so that nothing is wrong with asking for it.
pub fn unneeded() -> impl Iterator<Item = &'static str> {
    NAMES.iter().filter(|(_, instead)| matches!(instead, Instead::Always(_))).map(|&(name, _)| name)
}

/// What to tell somebody who used a name of Binaryen's that is none of ours: for `--NAME` or `--NAME=VALUE`.
pub fn explain(argument: &str) -> Option<String> {
    let name = argument.trim_start_matches('-').split('=').next()?;
    let at = NAMES.binary_search_by_key(&name, |(name, _)| name).ok()?;
    Some(match NAMES[at].1 {
        Instead::Pass(pass) => format!("what Binaryen calls '{name}' is done by --{pass} here"),
        Instead::Option(option) => format!("for Binaryen's '{name}', use {option}"),
        Instead::Always(what) => format!("Binaryen's '{name}' is not needed here: {what}"),
        Instead::Nothing => format!("Binaryen's '{name}' has no counterpart here (--list-passes prints all passes)"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmfx_passes::pass_table;

    #[test]
    fn the_names_are_sorted_and_what_they_lead_to_exists() {
        assert!(NAMES.is_sorted_by(|a, b| a.0 < b.0));
        for (name, instead) in NAMES {
            assert!(pass_table::find(name).is_none(), "{name} is a pass of ours");
            if let Instead::Pass(pass) = instead {
                assert!(pass_table::find(pass).is_some(), "{name} leads to {pass}, which is no pass");
            }
        }
    }

    #[test]
    fn a_known_name_is_explained_and_others_are_not() {
        assert_eq!(
            explain("--gufa").unwrap(),
            "Binaryen's 'gufa' has no counterpart here (--list-passes prints all passes)"
        );
        assert!(explain("--shrink-level=2").unwrap().contains("-Oz"));
        assert_eq!(explain("--vacum"), None);
    }
}
