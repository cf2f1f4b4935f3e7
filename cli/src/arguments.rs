//! Conventions that every program of the toolchain follows on its command line.
//!
//! * Exit code 0 is success, 1 an error (`TOOL: error: …` on stderr), 2 a usage error.
//! * Long options are accepted with one dash as well (`-all`), as Binaryen's users write them.
//! * `--version`, `--help`, and `--completions SHELL`.

use crate::input_output::Output;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, Parser};
use clap_complete::Shell;

/// Exit code for an input that cannot be processed.
pub const EXIT_ERROR: u8 = 1;
/// Exit code for a command line that makes no sense.
pub const EXIT_USAGE: u8 = 2;
/// What a shell reports for a process that SIGPIPE ended: the reader of our output went away, which is no error of ours.
const EXIT_BROKEN_PIPE: u8 = 128 + 13;

const COMPLETIONS: &str = "completions";

/// A command line that clap accepts but that makes no sense as a whole: reported like clap's own errors, exit code 2.
#[derive(Debug)]
pub struct UsageError(pub String);

impl fmt::Display for UsageError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Error for UsageError {}

/// Whether `-NAME` may stand for `--NAME` after the first positional argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positionals {
    /// Options and positional arguments mix in any order.
    Mixed,
    /// What follows the first positional argument belongs to another program and is not touched.
    EndOptions {
        /// But this long option, with its value, is ours even directly after the first positional argument.
        except: &'static str,
    },
}

/// The body of every program's `main`: parses the command line into `A`, runs, reports errors, and chooses the exit code.
pub fn run_tool<A: Parser>(positionals: Positionals, run: impl FnOnce(A) -> anyhow::Result<ExitCode>) -> ExitCode {
    run_tool_with_hints(positionals, |_| None, run)
}

/// Like [`run_tool`]; `explain` may say why the program does not have an option, given its spelling.
pub fn run_tool_with_hints<A: Parser>(
    positionals: Positionals,
    explain: impl Fn(&str) -> Option<String>,
    run: impl FnOnce(A) -> anyhow::Result<ExitCode>,
) -> ExitCode {
    let command = command_of::<A>();
    let tool = command.get_name().to_string();
    let arguments = normalize_arguments(&command, std::env::args_os(), positionals);
    let mut matches = match command.try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => {
            let explained = unknown_argument(&error).and_then(|argument| {
                Some(UsageError(format!("unexpected argument '{argument}': {}", explain(argument)?)))
            });
            return match explained {
                Some(error) => report_error(&tool, &error.into()),
                None => report_clap_error(&tool, &error),
            };
        }
    };
    if let Some(shell) = matches.get_one::<Shell>(COMPLETIONS) {
        let mut script = Vec::new();
        clap_complete::generate(*shell, &mut command_of::<A>(), &tool, &mut script);
        return match Output::Stdout.write(&script) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => report_error(&tool, &error),
        };
    }
    let arguments = match A::from_arg_matches_mut(&mut matches) {
        Ok(arguments) => arguments,
        Err(error) => return report_clap_error(&tool, &error.format(&mut command_of::<A>())),
    };
    match run(arguments) {
        Ok(code) => code,
        Err(error) => report_error(&tool, &error),
    }
}

/// Prints `TOOL: error: …` with the whole chain of causes on stderr, and gives the exit code that belongs to it.
pub fn report_error(tool: &str, error: &anyhow::Error) -> ExitCode {
    if error.chain().any(is_broken_pipe) {
        return ExitCode::from(EXIT_BROKEN_PIPE);
    }
    // Nothing can be done when stderr itself is gone.
    let _ = writeln!(io::stderr(), "{tool}: error: {error:#}");
    if error.is::<UsageError>() {
        let _ = writeln!(io::stderr(), "For more information, try '--help'.");
        return ExitCode::from(EXIT_USAGE);
    }
    ExitCode::from(EXIT_ERROR)
}

/// The option that an error says there is none of.
fn unknown_argument(error: &clap::Error) -> Option<&str> {
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(argument))) => Some(argument),
        _ => None,
    }
}

fn is_broken_pipe(cause: &(dyn Error + 'static)) -> bool {
    cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn report_clap_error(tool: &str, error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        _ => {
            let _ = write!(io::stderr(), "{tool}: {}", error.render());
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn command_of<A: Parser>() -> Command {
    A::command().arg(
        Arg::new(COMPLETIONS)
            .long(COMPLETIONS)
            .value_name("SHELL")
            .value_parser(clap::value_parser!(Shell))
            .action(ArgAction::Set)
            .exclusive(true)
            .display_order(1000)
            .help("Print a completion script for the shell, and exit"),
    )
}

/// Rewrites `-NAME` to `--NAME` (also `-NAME=VALUE`) where NAME is a long option of the command, or begins with no short
/// option of it, so that a misspelt name is reported as a whole.
///
/// A short option with an attached value that spells a long option would be ambiguous; the tools have none.
pub fn normalize_arguments(
    command: &Command,
    arguments: impl IntoIterator<Item = OsString>,
    positionals: Positionals,
) -> Vec<OsString> {
    let mut normalized = Vec::new();
    let mut arguments = arguments.into_iter();
    normalized.extend(arguments.next());
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            normalized.push(argument);
            break;
        }
        let is_option = argument.as_encoded_bytes().starts_with(b"-") && argument.len() > 1;
        if let (false, Positionals::EndOptions { except }) = (is_option, positionals) {
            let mut following = arguments.next();
            if let Some(option) = following.take_if(|option| is_spelling_of(option, except)) {
                let option = with_two_dashes(command, &option).unwrap_or(option);
                let value_follows = takes_separate_value(command, &option);
                normalized.push(option);
                if value_follows {
                    normalized.extend(arguments.next());
                }
                following = arguments.next();
            }
            // So that clap takes nothing of what follows for an option of ours.
            normalized.extend([OsString::from("--"), argument]);
            normalized.extend(following);
            break;
        }
        let argument = with_two_dashes(command, &argument).unwrap_or(argument);
        // Binaryen's `-O` alone is `-Os`; clap would take the next argument for its value.
        let argument = if argument == "-O" && has_level(command) { OsString::from("-Os") } else { argument };
        let value_follows = takes_separate_value(command, &argument);
        normalized.push(argument);
        if value_follows {
            normalized.extend(arguments.next());
        }
    }
    normalized.extend(arguments);
    normalized
}

fn is_spelling_of(argument: &OsStr, name: &str) -> bool {
    let Some(argument) = argument.to_str() else { return false };
    let option = argument.split('=').next().unwrap_or(argument);
    option.strip_prefix("--").or_else(|| option.strip_prefix('-')) == Some(name)
}

fn long_option<'c>(command: &'c Command, name: &str) -> Option<&'c Arg> {
    command.get_arguments().find(|argument| {
        argument.get_long() == Some(name) || argument.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
    })
}

fn has_level(command: &Command) -> bool {
    command.get_arguments().any(|candidate| candidate.get_short() == Some('O'))
}

fn with_two_dashes(command: &Command, argument: &OsStr) -> Option<OsString> {
    let single = argument.to_str()?.strip_prefix('-')?;
    let name = single.split('=').next()?;
    let letter = name.chars().next()?;
    let is_short = command.get_arguments().any(|candidate| candidate.get_short() == Some(letter));
    let is_long = long_option(command, name).is_some() || matches!(name, "help" | "version");
    let takes_two_dashes = name.len() > 1 && letter.is_ascii_alphabetic() && (is_long || !is_short);
    takes_two_dashes.then(|| OsString::from(format!("--{single}")))
}

/// Whether the next argument is this option's value, and so no option itself.
fn takes_separate_value(command: &Command, argument: &OsStr) -> bool {
    let Some(argument) = argument.to_str() else { return false };
    let option = match argument.strip_prefix("--") {
        Some(long) if long.contains('=') => None,
        Some(long) => long_option(command, long),
        // `-oFILE` carries its value; `-o FILE` does not.
        None => {
            let mut letters = argument.chars().skip(1);
            match (letters.next(), letters.next()) {
                (Some(letter), None) => command.get_arguments().find(|candidate| candidate.get_short() == Some(letter)),
                _ => None,
            }
        }
    };
    option.is_some_and(|option| {
        option.get_action().takes_values()
            && !option.is_require_equals_set()
            && option.get_num_args().is_none_or(|count| count.min_values() > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        Command::new("tool")
            .arg(Arg::new("all").long("all-features").alias("all").action(ArgAction::SetTrue))
            .arg(Arg::new("enable-simd").long("enable-simd").action(ArgAction::SetTrue))
            .arg(Arg::new("output").short('o').long("output").action(ArgAction::Set))
            .arg(Arg::new("files").action(ArgAction::Append))
    }

    fn normalized(positionals: Positionals, arguments: &[&str]) -> Vec<String> {
        let arguments = std::iter::once("tool").chain(arguments.iter().copied()).map(OsString::from);
        normalize_arguments(&command(), arguments, positionals)
            .into_iter()
            .skip(1)
            .map(|argument| argument.into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_long_option_may_have_one_dash() {
        assert_eq!(
            normalized(Positionals::Mixed, &["a.wasm", "-all", "-enable-simd"]),
            ["a.wasm", "--all", "--enable-simd"]
        );
    }

    #[test]
    fn short_options_are_left_alone() {
        assert_eq!(normalized(Positionals::Mixed, &["-o", "x", "-ofile", "-", "-1"]), ["-o", "x", "-ofile", "-", "-1"]);
    }

    #[test]
    fn a_level_without_a_number_is_for_size() {
        let command = command().arg(Arg::new("level").short('O').action(ArgAction::Append));
        let arguments = ["tool", "-O", "a.wasm", "-O2"].map(OsString::from);
        let normalized = normalize_arguments(&command, arguments, Positionals::Mixed);
        assert_eq!(normalized, ["tool", "-Os", "a.wasm", "-O2"]);
    }

    #[test]
    fn a_misspelt_long_option_is_kept_whole() {
        assert_eq!(normalized(Positionals::Mixed, &["-enable-sims"]), ["--enable-sims"]);
    }

    #[test]
    fn a_value_that_looks_like_an_option_stays_a_value() {
        assert_eq!(normalized(Positionals::Mixed, &["-o", "-all", "-all"]), ["-o", "-all", "--all"]);
    }

    #[test]
    fn nothing_is_rewritten_after_two_dashes_or_the_program_to_run() {
        assert_eq!(normalized(Positionals::Mixed, &["-all", "--", "-all"]), ["--all", "--", "-all"]);
        let program = Positionals::EndOptions { except: "output" };
        assert_eq!(normalized(program, &["-all", "a.wasm", "-all"]), ["--all", "--", "a.wasm", "-all"]);
    }

    #[test]
    fn one_option_may_follow_the_program_to_run() {
        let program = Positionals::EndOptions { except: "output" };
        let expected = ["--output", "f", "--", "a.wasm", "-1", "-output"];
        assert_eq!(normalized(program, &["a.wasm", "-output", "f", "-1", "-output"]), expected);
        assert_eq!(normalized(program, &["a.wasm", "--output=f", "-1"]), ["--output=f", "--", "a.wasm", "-1"]);
        assert_eq!(normalized(program, &["a.wasm"]), ["--", "a.wasm"]);
    }
}
