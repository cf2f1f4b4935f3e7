//! Names that Binaryen's users type by habit and that are called otherwise here: what has a counterpart is taken, and for the rest there is something
//! better to say than "unexpected argument".

/// What stands in for something of Binaryen's.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Instead {
    /// A pass of ours does that.
    Pass(&'static str),
    /// Another option does that.
    Option(&'static str),
    /// It happens anyway, or allows what is not done.
    Always(&'static str),
    /// An optimisation that does not exist here; without it the output is just as right.
    LeftOut,
    /// The same, with a value.
    LeftOutWithValue,
    /// There is nothing like it, and the output would be another one.
    Nothing,
}

const LOCALS: Instead =
    Instead::Always("bodies are optimised without locals, which are chosen anew whenever a body is written");
const ORDER: Instead = Instead::Always("the output is ordered by use whenever a pass runs");

/// In alphabetical order.
const NAMES: &[(&str, Instead)] = &[
    ("abstract-type-refining", Instead::LeftOut),
    ("aimfs", Instead::Option("--pass-arg inlining-always-size@N")),
    ("always-inline-max-function-size", Instead::Option("--pass-arg inlining-always-size@N")),
    ("asyncify", Instead::Option("the program wasmfx-lower")),
    ("avoid-reinterprets", Instead::LeftOut),
    ("cfp", Instead::LeftOut),
    ("cfp-reftest", Instead::LeftOut),
    ("coalesce-locals", LOCALS),
    ("code-pushing", Instead::Always("values are computed where they are used")),
    ("const-hoisting", Instead::Always("a constant is kept in a local where that is smaller")),
    ("constant-field-propagation", Instead::LeftOut),
    ("dae", Instead::Pass("dead-arguments")),
    ("dae-optimizing", Instead::Pass("dead-arguments")),
    ("dce", Instead::Pass("dead-code")),
    ("dead-argument-elimination", Instead::Pass("dead-arguments")),
    ("denan", Instead::Nothing),
    ("detect-features", Instead::Always("the output uses no feature that the input does not")),
    ("directize", Instead::Pass("direct-calls")),
    ("discard-global-effects", Instead::LeftOut),
    ("duplicate-function-elimination", Instead::Pass("duplicate-functions")),
    ("duplicate-import-elimination", Instead::Pass("duplicate-imports")),
    ("emit-exnref", Instead::Nothing),
    ("emit-target-features", Instead::Nothing),
    ("extract-function", Instead::Nothing),
    ("extract-function-index", Instead::Nothing),
    ("fast-math", Instead::Always("floating point keeps to the standard")),
    ("ffm", Instead::Always("floating point keeps to the standard")),
    ("fimfs", Instead::Option("--pass-arg inlining-speed-size@N")),
    ("flatten", LOCALS),
    ("flexible-inline-max-function-size", Instead::Option("--pass-arg inlining-speed-size@N")),
    ("func-metrics", Instead::Nothing),
    ("fuzz-exec", Instead::Option("--verify")),
    ("generate-global-effects", Instead::LeftOut),
    ("generate-stack-ir", Instead::Always("code is made for the operand stack")),
    ("global-refining", Instead::LeftOut),
    ("global-struct-inference", Instead::LeftOut),
    ("global-type-optimization", Instead::LeftOut),
    ("gsi", Instead::LeftOut),
    ("gto", Instead::LeftOut),
    ("gufa", Instead::LeftOut),
    ("gufa-cast-all", Instead::LeftOut),
    ("gufa-optimizing", Instead::LeftOut),
    ("heap-store-optimization", Instead::LeftOut),
    ("heap2local", Instead::LeftOut),
    ("ifwl", Instead::LeftOut),
    ("ignore-implicit-traps", Instead::Always("nothing is assumed of traps without --traps-never-happen")),
    ("iit", Instead::Always("nothing is assumed of traps without --traps-never-happen")),
    ("inline-functions-with-loops", Instead::LeftOut),
    ("inline-main", Instead::LeftOut),
    ("inlining-optimizing", Instead::Pass("inlining")),
    ("input-source-map", Instead::Nothing),
    ("instrument-locals", Instead::Nothing),
    ("instrument-memory", Instead::Nothing),
    ("intrinsic-lowering", Instead::LeftOut),
    ("ism", Instead::Nothing),
    ("j2cl", Instead::LeftOut),
    ("j2cl-itable-merging", Instead::LeftOut),
    ("legalize-js-interface", Instead::Nothing),
    ("licm", Instead::LeftOut),
    ("limit-segments", Instead::Nothing),
    ("local-cse", Instead::Pass("numbering")),
    ("local-subtyping", Instead::LeftOut),
    ("log-execution", Instead::Nothing),
    ("max-func-params", Instead::Nothing),
    ("memory64-lowering", Instead::Nothing),
    ("merge-blocks", Instead::Pass("block-merging")),
    ("merge-j2cl-itables", Instead::LeftOut),
    ("merge-locals", LOCALS),
    ("merge-similar-functions", Instead::Pass("similar-functions")),
    ("minimize-rec-groups", Instead::LeftOut),
    ("monomorphize", Instead::LeftOut),
    ("monomorphize-always", Instead::LeftOut),
    ("multi-memory-lowering", Instead::Nothing),
    ("name-types", Instead::Nothing),
    ("no-partial-inline", Instead::LeftOutWithValue),
    ("no-stack-ir", Instead::Always("code is made for the operand stack in one way")),
    ("no-validation", Instead::Always("every input and every output is validated")),
    ("ocimfs", Instead::Option("--pass-arg inlining-caller-size@N")),
    ("once-reduction", Instead::LeftOut),
    ("one-caller-inline-max-function-size", Instead::Option("--pass-arg inlining-caller-size@N")),
    ("optimize-added-constants", Instead::Pass("simplify")),
    ("optimize-added-constants-propagate", Instead::Pass("simplify")),
    ("optimize-casts", Instead::LeftOut),
    ("optimize-for-js", Instead::LeftOut),
    ("optimize-instructions", Instead::Pass("simplify")),
    ("optimize-j2cl", Instead::LeftOut),
    ("optimize-stack-ir", Instead::Always("code is made for the operand stack")),
    ("osu", Instead::LeftOutWithValue),
    ("outlining", Instead::LeftOut),
    ("output-source-map", Instead::Nothing),
    ("output-source-map-url", Instead::LeftOutWithValue),
    ("partial-inlining-ifs", Instead::LeftOutWithValue),
    ("pick-load-signs", Instead::LeftOut),
    ("pii", Instead::LeftOutWithValue),
    ("post-emscripten", Instead::LeftOut),
    ("precompute", Instead::Pass("simplify")),
    ("precompute-propagate", Instead::Pass("simplify")),
    ("print-call-graph", Instead::Nothing),
    ("print-features", Instead::Nothing),
    ("print-function-map", Instead::Nothing),
    ("propagate-globals-globally", Instead::Pass("globals")),
    ("redundant-set-elimination", Instead::Pass("numbering")),
    ("remove-memory-init", Instead::Nothing),
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
    ("signature-pruning", Instead::LeftOut),
    ("signature-refining", Instead::LeftOut),
    ("signext-lowering", Instead::Nothing),
    ("simplify-globals", Instead::Pass("globals")),
    ("simplify-globals-optimizing", Instead::Pass("globals")),
    ("simplify-locals", LOCALS),
    ("simplify-locals-nonesting", LOCALS),
    ("simplify-locals-nostructure", LOCALS),
    ("simplify-locals-notee", LOCALS),
    ("simplify-locals-notee-nostructure", LOCALS),
    ("spill-pointers", Instead::Nothing),
    ("ssa", LOCALS),
    ("ssa-nomerge", LOCALS),
    ("string-gathering", Instead::Nothing),
    ("string-lowering", Instead::Nothing),
    ("strip-eh", Instead::Nothing),
    ("strip-toolchain-annotations", Instead::Nothing),
    ("symbolmap", Instead::Nothing),
    ("table64-lowering", Instead::Nothing),
    ("trace-calls", Instead::Nothing),
    ("translate-to-exnref", Instead::Nothing),
    ("trap-mode-clamp", Instead::Nothing),
    ("trap-mode-js", Instead::Nothing),
    ("tuple-optimization", LOCALS),
    ("type-finalizing", Instead::LeftOut),
    ("type-generalizing", Instead::LeftOut),
    ("type-merging", Instead::Pass("types")),
    ("type-refining", Instead::LeftOut),
    ("type-ssa", Instead::LeftOut),
    ("type-unfinalizing", Instead::LeftOut),
    ("uim", Instead::Always("nothing is assumed of memory that comes from outside")),
    ("unsubtyping", Instead::LeftOut),
    ("untee", LOCALS),
    ("vacuum", Instead::Pass("dead-code")),
    ("zero-filled-memory", Instead::Always("nothing is assumed of memory that comes from outside")),
];

/// What Binaryen calls a pass of ours.
pub fn names_of(pass: &'static str) -> impl Iterator<Item = &'static str> {
    NAMES
        .iter()
        .filter(move |(_, instead)| matches!(instead, Instead::Pass(ours) if *ours == pass))
        .map(|&(name, _)| name)
}

/// The pass to leave out for a name of Binaryen's; `Some(None)` where no such pass would run.
pub fn skipped(name: &str) -> Option<Option<&'static str>> {
    let at = NAMES.binary_search_by_key(&name, |(name, _)| name).ok()?;
    match NAMES[at].1 {
        Instead::Pass(pass) => Some(Some(pass)),
        Instead::Always(_) | Instead::LeftOut | Instead::LeftOutWithValue => Some(None),
        Instead::Option(_) | Instead::Nothing => None,
    }
}

/// A name that does not change whether the output is right, so that it may be asked for.
#[derive(Copy, Clone, Debug)]
pub struct Harmless {
    /// The name.
    pub name: &'static str,
    /// Whether a value follows.
    pub has_value: bool,
}

/// All such names.
pub fn harmless() -> impl Iterator<Item = Harmless> {
    NAMES.iter().filter_map(|&(name, instead)| match instead {
        Instead::Always(_) | Instead::LeftOut => Some(Harmless { name, has_value: false }),
        Instead::LeftOutWithValue => Some(Harmless { name, has_value: true }),
        Instead::Pass(_) | Instead::Option(_) | Instead::Nothing => None,
    })
}

/// Arguments of Binaryen's passes that only allow something, and so are taken.
pub const HARMLESS_PASS_ARGUMENTS: &[&str] = &["directize-initial-contents-immutable"];

/// What to tell somebody who used a name of Binaryen's that is none of ours: for `--NAME` or `--NAME=VALUE`.
pub fn explain(argument: &str) -> Option<String> {
    let name = argument.trim_start_matches('-').split('=').next()?;
    let at = NAMES.binary_search_by_key(&name, |(name, _)| name).ok()?;
    Some(match NAMES[at].1 {
        Instead::Pass(pass) => format!("what Binaryen calls '{name}' is done by --{pass} here"),
        Instead::Option(option) => format!("for Binaryen's '{name}', use {option}"),
        Instead::Always(what) => format!("Binaryen's '{name}' is not needed here: {what}"),
        Instead::LeftOut | Instead::LeftOutWithValue => {
            format!("Binaryen's '{name}' has no counterpart here, and is left out")
        }
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
            explain("--symbolmap=x").unwrap(),
            "Binaryen's 'symbolmap' has no counterpart here (--list-passes prints all passes)"
        );
        assert!(explain("--gufa").unwrap().ends_with("is left out"));
        assert!(explain("--asyncify").unwrap().contains("wasmfx-lower"));
        assert!(explain("--fimfs=25").unwrap().contains("--pass-arg inlining-speed-size@N"));
        assert_eq!(explain("--vacum"), None);
    }
}
