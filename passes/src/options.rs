//! What a user asks of the optimiser.

use crate::pass_arguments::PassArguments;
use crate::pattern::Pattern;

/// How much effort goes into speed: what `-O0` … `-O4` set.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the numbers of the -O options")]
pub enum OptimizeLevel {
    O0,
    O1,
    O2,
    O3,
    O4,
}

/// How much effort goes into size: `-Os` sets 1 and `-Oz` 2, as in Binaryen.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShrinkLevel {
    /// Size matters where it costs no speed.
    None,
    /// Size before speed (`-Os`).
    Small,
    /// Size at the price of speed (`-Oz`).
    Smallest,
}

/// A pair of levels, as one `-O` option sets them.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// Effort for speed.
    pub optimize: OptimizeLevel,
    /// Effort for size.
    pub shrink: ShrinkLevel,
}

impl Level {
    /// The letters that may follow `-O`.
    pub const NAMES: [&str; 7] = ["0", "1", "2", "3", "4", "s", "z"];

    /// The level of `-ONAME`, as in Binaryen.
    pub fn from_name(name: &str) -> Option<Self> {
        let (optimize, shrink) = match name {
            "0" => (OptimizeLevel::O0, ShrinkLevel::None),
            "1" => (OptimizeLevel::O1, ShrinkLevel::None),
            "2" => (OptimizeLevel::O2, ShrinkLevel::None),
            "3" => (OptimizeLevel::O3, ShrinkLevel::None),
            "4" => (OptimizeLevel::O4, ShrinkLevel::None),
            "s" => (OptimizeLevel::O2, ShrinkLevel::Small),
            "z" => (OptimizeLevel::O2, ShrinkLevel::Smallest),
            _ => return None,
        };
        Some(Self { optimize, shrink })
    }
}

impl std::str::FromStr for Level {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        Self::from_name(name)
            .ok_or_else(|| format!("there is no level '{name}': it is one of {}", Self::NAMES.join(", ")))
    }
}

/// Options of the optimiser. The assumptions are the user's promises: where one does not hold, the output's behaviour is undefined.
#[derive(Clone, Debug)]
pub struct Options {
    /// Effort for speed.
    pub optimize: OptimizeLevel,
    /// Effort for size.
    pub shrink: ShrinkLevel,
    /// No code outside the module inspects or makes values of the module's types.
    pub closed_world: bool,
    /// No instruction of the module traps when it runs.
    pub traps_never_happen: bool,
    /// The program does not use the first 1024 bytes of memory 0, so offsets may be folded into accesses.
    pub low_memory_unused: bool,
    /// Functions with such names are not inlined.
    pub no_inline: Vec<Pattern>,
    /// Names of passes that are left out wherever they would run.
    pub skip_passes: Vec<String>,
    /// Arguments of passes that are not at their defaults.
    pub pass_arguments: PassArguments,
    /// Whether the IR is [verified](wasmfx_ir::verify) after every pass. On by default in builds with debug assertions, and so in tests.
    pub verify_passes: bool,
    /// Whether each emitted body is [proved](wasmfx_ir::check) to do what its function says. Off by default.
    pub verify_emission: bool,
}

impl Default for Options {
    /// `-O2`, with no assumption.
    fn default() -> Self {
        Self {
            optimize: OptimizeLevel::O2,
            shrink: ShrinkLevel::None,
            closed_world: false,
            traps_never_happen: false,
            low_memory_unused: false,
            no_inline: Vec::new(),
            skip_passes: Vec::new(),
            pass_arguments: PassArguments::default(),
            verify_passes: cfg!(debug_assertions),
            verify_emission: false,
        }
    }
}

impl Options {
    /// These options at another level.
    pub fn at_level(&self, level: Level) -> Self {
        Self { optimize: level.optimize, shrink: level.shrink, ..self.clone() }
    }
}
