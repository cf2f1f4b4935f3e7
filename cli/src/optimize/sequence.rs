//! Levels and passes on the command line, in any order and as often as the user likes: `-O2 --inlining -Oz`.

use super::binaryen::{self, Harmless};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use wasmfx_passes::options::{Level, OptimizeLevel, Options, ShrinkLevel};
use wasmfx_passes::pass_table::{PASSES, Pass};
use wasmfx_passes::pipeline::Pipeline;

/// A level or a pass.
#[derive(Copy, Clone)]
pub enum Step {
    /// The pipeline of a level.
    Level(Level),
    /// One pass.
    Pass(&'static Pass),
}

/// What to run, in the order of the command line.
#[derive(Clone, Default)]
pub struct PassSequence {
    /// The steps.
    pub steps: Vec<Step>,
    /// The level that passes run at which stand before any level, where that was set alone.
    set_level: Option<Level>,
    /// Binaryen's names of what makes no difference.
    pub harmless: Vec<&'static str>,
}

impl PassSequence {
    /// The pipeline of all steps. Each level's pipeline is made at that level; passes run at the last level that is given.
    pub fn pipeline(&self, options: &Options) -> Pipeline {
        let mut pipeline = Pipeline::default();
        for step in &self.steps {
            match step {
                Step::Level(level) => pipeline.extend(Pipeline::for_level(&options.at_level(*level))),
                Step::Pass(pass) => pipeline.push(pass, options),
            }
        }
        pipeline
    }

    /// The level at which passes run: that of the last `-O`, or what `--optimize-level` and `--shrink-level` say.
    pub fn level_of_passes(&self) -> Option<Level> {
        self.last_level().or(self.set_level)
    }

    /// The level of the last `-O`.
    pub fn last_level(&self) -> Option<Level> {
        self.steps.iter().rev().find_map(|step| match step {
            Step::Level(level) => Some(*level),
            Step::Pass(_) => None,
        })
    }
}

const LEVEL: &str = "level";
const OPTIMIZE_LEVEL: &str = "optimize-level";
const SHRINK_LEVEL: &str = "shrink-level";

/// The level that `--optimize-level` and `--shrink-level` make, if one of them is given.
fn set_level(matches: &ArgMatches) -> Option<Level> {
    let optimize = matches.get_one::<u8>(OPTIMIZE_LEVEL).map(|&number| {
        let levels = [OptimizeLevel::O0, OptimizeLevel::O1, OptimizeLevel::O2, OptimizeLevel::O3, OptimizeLevel::O4];
        levels[usize::from(number)]
    });
    let shrink = matches
        .get_one::<u8>(SHRINK_LEVEL)
        .map(|&number| [ShrinkLevel::None, ShrinkLevel::Small, ShrinkLevel::Smallest][usize::from(number)]);
    let defaults = Options::default();
    (optimize.is_some() || shrink.is_some())
        .then(|| Level { optimize: optimize.unwrap_or(defaults.optimize), shrink: shrink.unwrap_or(defaults.shrink) })
}

/// The option `-O`, which every program spells the same.
fn level_option() -> Arg {
    Arg::new(LEVEL)
        .short('O')
        .value_name("LEVEL")
        .value_parser(Level::NAMES)
        .action(ArgAction::Append)
        .help("Optimise: 0 not at all, 1 fast, 2 by default, 3 and 4 for speed, s and z for size; -O is -Os")
}

/// The levels given, with the places where they stand on the command line.
fn levels(matches: &ArgMatches) -> impl Iterator<Item = (usize, Level)> {
    let names = matches.get_many::<String>(LEVEL).into_iter().flatten();
    let level = |name: &String| Level::from_name(name).expect("clap accepts the names of levels only");
    matches.indices_of(LEVEL).into_iter().flatten().zip(names.map(level))
}

/// `-O LEVEL` alone, for the programs that optimise besides what they are for. The last one counts.
#[derive(Copy, Clone, Debug, Default)]
pub struct LevelArgument {
    /// The level; nothing is optimised without one.
    pub level: Option<Level>,
}

impl Args for LevelArgument {
    fn augment_args(command: Command) -> Command {
        command.arg(level_option())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for LevelArgument {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self { level: levels(matches).last().map(|(_, level)| level) })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for PassSequence {
    fn augment_args(command: Command) -> Command {
        let mut command = command.arg(level_option());
        for pass in PASSES {
            let flag = Arg::new(pass.name)
                .long(pass.name)
                .aliases(binaryen::names_of(pass.name))
                .num_args(0)
                .default_missing_value("true")
                .action(ArgAction::Append)
                .help(pass.help)
                .help_heading("Passes")
                .hide_short_help(true);
            command = command.arg(flag);
        }
        command = command
            .arg(
                Arg::new(OPTIMIZE_LEVEL)
                    .long(OPTIMIZE_LEVEL)
                    .alias("ol")
                    .value_name("N")
                    .value_parser(clap::value_parser!(u8).range(0..=4))
                    .help("The effort for speed of passes that are named one by one, 0 to 4"),
            )
            .arg(
                Arg::new(SHRINK_LEVEL)
                    .long(SHRINK_LEVEL)
                    .short('s')
                    .value_name("N")
                    .value_parser(clap::value_parser!(u8).range(0..=2))
                    .help("The effort for size of passes that are named one by one, 0 to 2"),
            );
        for Harmless { name, has_value } in binaryen::harmless() {
            let action = if has_value { ArgAction::Append } else { ArgAction::SetTrue };
            let argument = Arg::new(name).long(name).action(action).hide(true);
            command = command.arg(if name == "no-validation" { argument.short('n') } else { argument });
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for PassSequence {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut steps: Vec<(usize, Step)> = levels(matches).map(|(index, level)| (index, Step::Level(level))).collect();
        for pass in PASSES {
            let indices = matches.indices_of(pass.name).into_iter().flatten();
            steps.extend(indices.map(|index| (index, Step::Pass(pass))));
        }
        steps.sort_by_key(|(index, _)| *index);
        let steps = steps.into_iter().map(|(_, step)| step).collect();
        Ok(Self {
            steps,
            set_level: set_level(matches),
            harmless: binaryen::harmless()
                .map(|harmless| harmless.name)
                .filter(|name| matches.value_source(name) == Some(ValueSource::CommandLine))
                .collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Vec<String> {
        let command = PassSequence::augment_args(Command::new("tool").no_binary_name(true));
        let matches = command.try_get_matches_from(arguments).unwrap();
        let sequence = PassSequence::from_arg_matches(&matches).unwrap();
        let name = |step: &Step| match step {
            Step::Level(level) => format!("{:?} {:?}", level.optimize, level.shrink),
            Step::Pass(pass) => pass.name.to_string(),
        };
        sequence.steps.iter().map(name).collect()
    }

    #[test]
    fn the_last_level_counts_where_only_one_can() {
        let command = LevelArgument::augment_args(Command::new("tool").no_binary_name(true));
        let parse = |arguments: &[&str]| {
            let matches = command.clone().try_get_matches_from(arguments).unwrap();
            LevelArgument::from_arg_matches(&matches).unwrap().level
        };
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&["-O2", "-Oz"]), Level::from_name("z"));
    }

    #[test]
    fn levels_and_passes_keep_their_order() {
        assert_eq!(
            parse(&["--inlining", "-O2", "--globals", "-Oz", "--inlining"]),
            ["inlining", "O2 None", "globals", "O2 Smallest", "inlining"]
        );
    }

    #[test]
    fn the_level_of_single_passes_can_be_set_alone() {
        let level = |arguments: &[&str]| {
            let command = PassSequence::augment_args(Command::new("tool").no_binary_name(true));
            let matches = command.try_get_matches_from(arguments).unwrap();
            PassSequence::from_arg_matches(&matches).unwrap().level_of_passes()
        };
        assert_eq!(level(&["--dce"]), None);
        assert_eq!(level(&["--optimize-level=2", "--shrink-level=1", "--dce"]), Level::from_name("s"));
        assert_eq!(level(&["--ol", "3", "--dce"]), Level::from_name("3"));
        assert_eq!(level(&["-s", "2", "-O1"]), Level::from_name("1"));
    }

    #[test]
    fn what_binaryen_calls_a_pass_is_that_pass_and_what_happens_anyway_is_no_step() {
        assert_eq!(
            parse(&["--dce", "--coalesce-locals", "--vacuum", "--precompute-propagate"]),
            ["dead-code", "dead-code", "simplify"]
        );
    }
}
