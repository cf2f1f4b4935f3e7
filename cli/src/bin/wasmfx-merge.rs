//! `wasmfx-merge FILE [NAME] FILE [NAME] … -o OUT`: several modules become one.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use clap::Parser;
use wasmfx::arguments::{Positionals, UsageError, run_tool};
use wasmfx::common_arguments::CommonArguments;
use wasmfx::input_output::{Input, Output, recognize, tell, warn_of_relocations};
use wasmfx::optimize::binaryen;
use wasmfx::validate::blame;
use wasmfx_ir::encode::{EncodeOptions, encode_module_with};
use wasmfx_ir::parse::{ParseOptions, parse_module};
use wasmfx_passes::merge::{self, ExportConflicts, MergeOptions, merge};
use wasmfx_passes::parallel::Parallel;
use wasmfx_passes::pattern::Pattern;

/// Link WebAssembly modules into one.
///
/// Imports of one module that another one exports are resolved: functions, tables, memories, globals and tags, in any order,
/// circles included. A module is imported from by the name that follows its file on the command line, or else by the name of
/// its file without directory and extension. What nobody exports stays imported.
///
/// All segments of all modules are written before any start function runs; start functions run in the order of the files.
#[derive(Parser)]
#[command(name = "wasmfx-merge", version, override_usage = "wasmfx-merge [OPTIONS] FILE [NAME] [FILE [NAME]]… -o OUT")]
struct Arguments {
    /// Modules in the binary or the text format, each with an optional name; '-' is standard input
    #[arg(required = true, value_name = "FILE [NAME]")]
    files: Vec<PathBuf>,
    /// Where to write the merged module; '-' is standard output
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Write the text format
    #[arg(short = 'S', long)]
    emit_text: bool,
    /// Give exports of the same name different names: NAME_1, NAME_2, …
    #[arg(long, visible_alias = "rec", conflicts_with = "skip_export_conflicts")]
    rename_export_conflicts: bool,
    /// Of exports of the same name keep the first; the others still satisfy imports from their module
    #[arg(long, visible_alias = "sec")]
    skip_export_conflicts: bool,
    /// Keep only the exports whose name matches; '*' stands for any characters, '?' for one. Can be given several times
    #[arg(long, value_name = "PATTERN")]
    keep_export: Vec<Pattern>,
    /// Accepted because Binaryen's users write it: names are always kept
    #[arg(short = 'g', long, hide = true)]
    debuginfo: bool,
    /// Accepted because Binaryen's users write it, and left out
    #[arg(short = 'n', long, hide = true)]
    no_validation: bool,
    #[command(flatten)]
    common: CommonArguments,
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run_tool(Positionals::Mixed, run)
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    if arguments.no_validation && !arguments.common.quiet {
        let note = binaryen::explain("no-validation");
        note.iter().for_each(|note| tell(format_args!("wasmfx-merge: note: {note}")));
    }
    arguments.common.start_threads()?;
    let options = ParseOptions { features: arguments.common.features.features };
    let mut sources = Vec::new();
    let mut inputs = Vec::new();
    for file in named_files(&arguments.files)? {
        if let Some(name) = file.name.filter(|_| !arguments.common.quiet) {
            warn_of_doubtful_name(name, file.path);
        }
        let input = Input::read(file.path)?;
        if !arguments.common.quiet {
            warn_of_relocations("wasmfx-merge", &input);
        }
        let name = file.name.map_or_else(|| input.stem(), str::to_owned);
        let module = parse_module(input.to_binary()?, &options);
        let module = module.map_err(|error| blame(std::slice::from_ref(&input), options.features, error))?;
        if arguments.common.verbose {
            tell(format_args!("{} is '{name}'", input.name));
        }
        inputs.push(merge::Input { name, module });
        sources.push(input);
    }
    let export_conflicts = match (arguments.rename_export_conflicts, arguments.skip_export_conflicts) {
        (true, _) => ExportConflicts::Rename,
        (_, true) => ExportConflicts::Skip,
        (false, false) => ExportConflicts::Refuse,
    };
    let merged = merge(inputs, &MergeOptions { export_conflicts, keep_exports: arguments.keep_export })?;
    if !arguments.common.quiet {
        merged.warnings.iter().for_each(|warning| tell(format_args!("wasmfx-merge: warning: {warning}")));
    }
    // Bodies are validated when they are written.
    let binary = encode_module_with(&merged.module, &EncodeOptions::default(), &Parallel);
    let binary = binary.map_err(|error| blame(&sources, options.features, error))?;
    Output::from_argument(&arguments.output).write_module(&binary, arguments.emit_text)?;
    Ok(ExitCode::SUCCESS)
}

/// A file and the name that was given to it.
struct NamedFile<'a> {
    path: &'a Path,
    name: Option<&'a str>,
}

/// Whether a name may have been meant as a file.
fn looks_like_a_file(argument: &Path) -> bool {
    argument.extension().is_some_and(|extension| extension == "wasm" || extension == "wat" || extension == "wast")
}

/// Whether what could be a name is the name of a file too, by accident: Binaryen's users name each module, and next to `main.wasm` there may well be a
/// program `main`. A file with an extension, or in another directory, is meant as a module even if it is none.
fn is_file_by_accident(argument: &Path) -> bool {
    let bare = argument.components().count() == 1 && argument.extension().is_none();
    // Nothing but a regular file can be read twice.
    bare && argument.is_file()
        && std::fs::read(argument).is_ok_and(|bytes| !bytes.starts_with(b"\0asm") && recognize(&bytes).is_err())
}

/// Tells the user if a name may have been meant as a file.
fn warn_of_doubtful_name(name: &str, file: &Path) {
    let reason = match Path::new(name) {
        path if path.is_file() => format!("'{name}' is a file, but no WebAssembly module"),
        path if looks_like_a_file(path) => format!("there is no file '{name}'"),
        _ => return,
    };
    tell(format_args!("wasmfx-merge: warning: {reason}: it is taken as the name of '{}'", file.display()));
}

/// Tells files from names: a name follows a file, and is not a module itself.
fn named_files(arguments: &[PathBuf]) -> Result<Vec<NamedFile<'_>>> {
    let mut files: Vec<NamedFile<'_>> = Vec::new();
    for argument in arguments {
        let may_be_name = matches!(files.last(), Some(NamedFile { name: None, .. }));
        if argument == Path::new("-")
            || (argument.exists() && !argument.is_dir() && !(may_be_name && is_file_by_accident(argument)))
        {
            files.push(NamedFile { path: argument, name: None });
            continue;
        }
        match files.last_mut() {
            Some(NamedFile { path, name: name @ None }) => {
                let given = argument.to_str();
                *name = Some(given.ok_or_else(|| anyhow!("the name after '{}' is not UTF-8", path.display()))?);
            }
            Some(NamedFile { path, name: Some(name) }) => {
                bail!(UsageError(format!(
                    "there is no file '{}' ('{}' already has the name '{name}')",
                    argument.display(),
                    path.display()
                )));
            }
            None => bail!("there is no file '{}'", argument.display()),
        }
    }
    Ok(files)
}
