//! The choice of WebAssembly features, shared by all programs: `--enable-X`, `--disable-X`, `-all`, `-mvp`.
//!
//! Unlike Binaryen's, our default is everything that is standardised, and stack switching.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use wasmparser::WasmFeatures;

/// One feature that can be switched.
#[derive(Debug)]
pub struct Feature {
    /// Binaryen's name, as in `--enable-NAME`.
    pub name: &'static str,
    /// Other names in use for the same.
    pub aliases: &'static [&'static str],
    /// wasmparser's flag.
    pub flag: WasmFeatures,
    /// Features without which this one means nothing; enabling it enables them, disabling one of them disables it.
    pub requires: WasmFeatures,
    /// One line for `--help`.
    pub help: &'static str,
}

const NONE: WasmFeatures = WasmFeatures::empty();

/// Every feature that the toolchain supports.
pub const FEATURES: &[Feature] = &[
    Feature {
        name: "mutable-globals",
        aliases: &[],
        flag: WasmFeatures::MUTABLE_GLOBAL,
        requires: NONE,
        help: "imported and exported mutable globals",
    },
    Feature {
        name: "sign-ext",
        aliases: &[],
        flag: WasmFeatures::SIGN_EXTENSION,
        requires: NONE,
        help: "sign extension instructions",
    },
    Feature {
        name: "nontrapping-float-to-int",
        aliases: &[],
        flag: WasmFeatures::SATURATING_FLOAT_TO_INT,
        requires: NONE,
        help: "saturating conversions from float to integer",
    },
    Feature {
        name: "multivalue",
        aliases: &["multi-value"],
        flag: WasmFeatures::MULTI_VALUE,
        requires: NONE,
        help: "several results, and block parameters",
    },
    Feature {
        name: "bulk-memory-opt",
        aliases: &[],
        flag: WasmFeatures::BULK_MEMORY_OPT,
        requires: NONE,
        help: "memory.copy and memory.fill only",
    },
    Feature {
        name: "bulk-memory",
        aliases: &[],
        flag: WasmFeatures::BULK_MEMORY,
        requires: WasmFeatures::BULK_MEMORY_OPT,
        help: "bulk memory and table operations, passive segments",
    },
    Feature {
        name: "call-indirect-overlong",
        aliases: &[],
        flag: WasmFeatures::CALL_INDIRECT_OVERLONG,
        requires: NONE,
        help: "the table of call_indirect as a full LEB128 number",
    },
    Feature {
        name: "reference-types",
        aliases: &[],
        flag: WasmFeatures::REFERENCE_TYPES,
        requires: WasmFeatures::CALL_INDIRECT_OVERLONG,
        help: "externref, several tables, table instructions",
    },
    Feature { name: "simd", aliases: &["simd128"], flag: WasmFeatures::SIMD, requires: NONE, help: "128-bit vectors" },
    Feature {
        name: "relaxed-simd",
        aliases: &[],
        flag: WasmFeatures::RELAXED_SIMD,
        requires: WasmFeatures::SIMD,
        help: "vector operations whose results may depend on the machine",
    },
    Feature {
        name: "tail-call",
        aliases: &[],
        flag: WasmFeatures::TAIL_CALL,
        requires: NONE,
        help: "return_call and its kin",
    },
    Feature {
        name: "extended-const",
        aliases: &[],
        flag: WasmFeatures::EXTENDED_CONST,
        requires: NONE,
        help: "arithmetic in constant expressions",
    },
    Feature {
        name: "typed-function-references",
        aliases: &["function-references"],
        flag: WasmFeatures::FUNCTION_REFERENCES,
        requires: WasmFeatures::REFERENCE_TYPES,
        help: "typed and non-nullable function references",
    },
    Feature {
        name: "gc",
        aliases: &[],
        flag: WasmFeatures::GC,
        requires: WasmFeatures::FUNCTION_REFERENCES,
        help: "structs, arrays, recursive types, casts",
    },
    Feature {
        name: "multimemory",
        aliases: &["multi-memory"],
        flag: WasmFeatures::MULTI_MEMORY,
        requires: NONE,
        help: "several memories",
    },
    Feature {
        name: "memory64",
        aliases: &[],
        flag: WasmFeatures::MEMORY64,
        requires: NONE,
        help: "memories and tables with 64-bit indices",
    },
    Feature {
        name: "exception-handling",
        aliases: &[],
        flag: WasmFeatures::EXCEPTIONS,
        requires: WasmFeatures::REFERENCE_TYPES,
        help: "tags, throw, try_table, exnref",
    },
    Feature {
        name: "legacy-exception-handling",
        aliases: &["legacy-exceptions"],
        flag: WasmFeatures::LEGACY_EXCEPTIONS,
        requires: WasmFeatures::EXCEPTIONS,
        help: "try, catch, delegate and rethrow of the earlier proposal",
    },
    Feature {
        name: "threads",
        aliases: &["atomics"],
        flag: WasmFeatures::THREADS,
        requires: NONE,
        help: "shared memories and atomic operations",
    },
    Feature {
        name: "stack-switching",
        aliases: &["typed-continuations"],
        flag: WasmFeatures::STACK_SWITCHING,
        requires: WasmFeatures::FUNCTION_REFERENCES.union(WasmFeatures::EXCEPTIONS),
        help: "continuations: cont.new, suspend, resume, switch",
    },
    Feature {
        name: "wide-arithmetic",
        aliases: &[],
        flag: WasmFeatures::WIDE_ARITHMETIC,
        requires: NONE,
        help: "128-bit addition, subtraction and multiplication",
    },
    Feature {
        name: "custom-page-sizes",
        aliases: &[],
        flag: WasmFeatures::CUSTOM_PAGE_SIZES,
        requires: NONE,
        help: "memories with pages of one byte",
    },
    Feature {
        name: "compact-imports",
        aliases: &[],
        flag: WasmFeatures::COMPACT_IMPORTS,
        requires: NONE,
        help: "the compact encoding of the import section",
    },
];

/// Features that Binaryen knows and this toolchain does not. Build scripts may name them: what enables one allows it, and a module that uses it is
/// refused where it does.
pub const UNSUPPORTED_FEATURES: &[&str] = &[
    "acquire-release-atomics",
    "custom-descriptors",
    "fp16",
    "multibyte",
    "relaxed-atomics",
    "shared-everything",
    "strings",
];

/// Nothing beyond WebAssembly's first release. (wasmparser's flags for floats and garbage-collected types are no features.)
pub fn mvp() -> WasmFeatures {
    WasmFeatures::MVP
}

/// Everything that the toolchain supports: WebAssembly 3.0, threads, wide arithmetic, custom page sizes, compact imports,
/// stack switching, and the legacy form of exception handling. Branch hints are a custom section and need no flag.
pub fn all() -> WasmFeatures {
    FEATURES.iter().fold(mvp(), |features, feature| features | feature.flag)
}

/// `features` with `feature` and all that it requires.
pub fn enable(features: WasmFeatures, feature: &Feature) -> WasmFeatures {
    let mut enabled = features | feature.flag;
    loop {
        let closed = FEATURES
            .iter()
            .filter(|candidate| enabled.contains(candidate.flag))
            .fold(enabled, |closed, candidate| closed | candidate.requires);
        if closed == enabled {
            return enabled;
        }
        enabled = closed;
    }
}

/// `features` without `feature` and without all that requires it.
pub fn disable(features: WasmFeatures, feature: &Feature) -> WasmFeatures {
    let mut disabled = features - feature.flag;
    loop {
        // A feature that has lost a bit, or a bit of what it requires, goes as a whole.
        let closed = FEATURES
            .iter()
            .filter(|candidate| disabled.contains(candidate.flag) && !disabled.contains(candidate.requires))
            .fold(disabled, |closed, candidate| closed - candidate.flag);
        if closed == disabled {
            return disabled;
        }
        disabled = closed;
    }
}

/// The feature that wasmparser's flag belongs to, to name it in a diagnostic.
pub fn by_flag(flag: WasmFeatures) -> Option<&'static Feature> {
    FEATURES.iter().find(|feature| feature.flag == flag)
}

/// The feature that would enable any of `missing`.
pub fn containing(missing: WasmFeatures) -> Option<&'static Feature> {
    by_flag(missing).or_else(|| FEATURES.iter().find(|feature| missing.intersects(feature.flag)))
}

/// The features chosen on a command line: flatten this into a program's arguments.
///
/// Flags take effect in the order given, so `-mvp --enable-simd` is SIMD alone.
#[derive(Clone, Copy, Debug)]
pub struct FeatureArguments {
    /// What is enabled after all flags.
    pub features: WasmFeatures,
}

const ALL: &str = "all-features";
const MVP: &str = "mvp-features";

fn flag(name: String) -> Arg {
    // Given twice, the last one counts.
    Arg::new(name.clone()).long(name.clone()).action(ArgAction::SetTrue).overrides_with(name).help_heading("Features")
}

impl Args for FeatureArguments {
    fn augment_args(command: Command) -> Command {
        let mut command = command
            .arg(flag(ALL.into()).visible_alias("all").help("Enable every feature listed here (the default)"))
            .arg(flag(MVP.into()).visible_alias("mvp").help("Disable every feature listed here"));
        for feature in FEATURES {
            let switch = |verb: &str| {
                flag(format!("{verb}-{}", feature.name))
                    .aliases(feature.aliases.iter().map(|alias| format!("{verb}-{alias}")))
                    .hide_short_help(true)
            };
            let requires: Vec<&str> =
                FEATURES.iter().filter(|other| feature.requires.contains(other.flag)).map(|other| other.name).collect();
            let implied =
                if requires.is_empty() { String::new() } else { format!(" (enables {} too)", requires.join(", ")) };
            let help = format!("or --disable-{}: {}{implied}", feature.name, feature.help);
            // One line for both: the help would be twice as long otherwise, and say nothing more.
            command = command.arg(switch("enable").help(help)).arg(switch("disable").hide(true));
        }
        for name in UNSUPPORTED_FEATURES {
            command =
                command.arg(flag(format!("enable-{name}")).hide(true)).arg(flag(format!("disable-{name}")).hide(true));
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for FeatureArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut actions: Vec<(usize, Action)> = Vec::new();
        let mut collect = |name: &str, action: Action| {
            if matches.get_flag(name) {
                actions.extend(matches.indices_of(name).into_iter().flatten().map(|index| (index, action)));
            }
        };
        collect(ALL, Action::All);
        collect(MVP, Action::Mvp);
        for feature in FEATURES {
            collect(&format!("enable-{}", feature.name), Action::Enable(feature));
            collect(&format!("disable-{}", feature.name), Action::Disable(feature));
        }
        actions.sort_by_key(|(index, _)| *index);
        let features = actions.iter().fold(all(), |features, (_, action)| match action {
            Action::All => all(),
            Action::Mvp => mvp(),
            Action::Enable(feature) => enable(features, feature),
            Action::Disable(feature) => disable(features, feature),
        });
        Ok(FeatureArguments { features })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Action {
    All,
    Mvp,
    Enable(&'static Feature),
    Disable(&'static Feature),
}

impl Default for FeatureArguments {
    fn default() -> Self {
        FeatureArguments { features: all() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<WasmFeatures, clap::Error> {
        let command = FeatureArguments::augment_args(Command::new("tool"));
        let matches = command.try_get_matches_from(std::iter::once("tool").chain(arguments.iter().copied()))?;
        Ok(FeatureArguments::from_arg_matches(&matches)?.features)
    }

    #[test]
    fn everything_supported_is_on_by_default() {
        let features = parse(&[]).unwrap();
        assert_eq!(features, all());
        assert!(
            features.contains(WasmFeatures::WASM3 | WasmFeatures::STACK_SWITCHING | WasmFeatures::LEGACY_EXCEPTIONS)
        );
        assert!(!features.contains(WasmFeatures::COMPONENT_MODEL));
    }

    #[test]
    fn flags_take_effect_in_the_order_given() {
        assert_eq!(parse(&["--mvp-features", "--enable-simd"]).unwrap(), mvp() | WasmFeatures::SIMD);
        assert_eq!(parse(&["--enable-simd", "--mvp"]).unwrap(), mvp());
        assert_eq!(parse(&["--mvp", "--all"]).unwrap(), all());
        assert_eq!(parse(&["--mvp", "--enable-simd", "--disable-simd"]).unwrap(), mvp());
        assert!(parse(&["--disable-simd", "--enable-simd"]).unwrap().contains(WasmFeatures::SIMD));
    }

    #[test]
    fn a_feature_brings_and_takes_what_depends_on_it() {
        let features = parse(&["--mvp", "--enable-stack-switching"]).unwrap();
        assert!(
            features
                .contains(WasmFeatures::FUNCTION_REFERENCES | WasmFeatures::REFERENCE_TYPES | WasmFeatures::EXCEPTIONS)
        );
        let features = parse(&["--disable-reference-types"]).unwrap();
        assert!(
            !features.intersects(WasmFeatures::GC | WasmFeatures::FUNCTION_REFERENCES | WasmFeatures::STACK_SWITCHING)
        );
        let features = parse(&["--disable-bulk-memory-opt"]).unwrap();
        assert!(!features.contains(WasmFeatures::BULK_MEMORY));
    }

    #[test]
    fn an_unknown_feature_is_a_usage_error_with_the_nearest_name() {
        let error = parse(&["--enable-sims"]).unwrap_err();
        assert!(error.to_string().contains("--enable-simd"), "{error}");
    }

    #[test]
    fn an_unsupported_feature_may_be_named_and_makes_no_difference() {
        assert_eq!(parse(&["--enable-strings", "--disable-fp16"]).unwrap(), parse(&[]).unwrap());
    }

    #[test]
    fn every_feature_has_its_own_flag_and_name() {
        for (index, feature) in FEATURES.iter().enumerate() {
            for other in &FEATURES[index + 1..] {
                assert_ne!(feature.name, other.name);
                assert_ne!(feature.flag, other.flag);
            }
            assert_eq!(by_flag(feature.flag).unwrap().name, feature.name);
        }
    }
}
