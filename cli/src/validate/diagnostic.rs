//! Errors for people: the place in the file, the function, the instruction, the line of the source, the rule, the remedy.

use std::fmt;

use wasmparser::{KnownCustom, Name, Parser, Payload, WasmFeatures};

use super::rules::OPCODE_OF_OLD_SWITCH;
use super::source_map::{self, SourceMap};
use super::{ValidationError, opcode_at, validate};
use crate::input_output::{Input, InputKind, refuse_component, tell};

/// Columns of source shown around the caret; generated text can have lines of megabytes.
const SNIPPET_COLUMNS: usize = 160;
/// Larger modules are not printed as text just to quote one instruction.
const MAX_BYTES_TO_PRINT: usize = 32 << 20;

/// A place in a text file, both counted from one; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourcePosition {
    /// Line, from one.
    pub line: usize,
    /// Column, from one.
    pub column: usize,
}

/// One error, ready to be shown.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// The input's name.
    pub file: String,
    /// What is wrong.
    pub message: String,
    /// Byte offset in the binary, unless the text could not be assembled.
    pub offset: Option<u64>,
    /// `$name (index N)` of the function at fault.
    pub function: Option<String>,
    /// The instruction or definition at fault, in the text format.
    pub instruction: Option<String>,
    /// Where in the text, for text input.
    pub position: Option<SourcePosition>,
    /// The line there, and the column of the caret in it.
    snippet: Option<(String, usize)>,
    /// The governing rule of the stack-switching proposal.
    pub rule: Option<&'static str>,
    /// What to do about it.
    pub help: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.file)?;
        if let Some(position) = self.position {
            write!(formatter, ":{}:{}", position.line, position.column)?;
        }
        write!(formatter, ": error: {}", self.message)?;
        match (&self.function, self.offset) {
            (Some(function), Some(offset)) => write!(formatter, "\n  in function {function}, at byte {offset:#x}")?,
            (None, Some(offset)) => write!(formatter, "\n  at byte {offset:#x}")?,
            _ => {}
        }
        if let Some(instruction) = &self.instruction {
            write!(formatter, ": {instruction}")?;
        }
        if let (Some(position), Some((line, column))) = (self.position, &self.snippet) {
            let number = position.line.to_string();
            let margin = " ".repeat(number.len());
            let caret = " ".repeat(*column);
            write!(formatter, "\n{margin} |\n{number} | {line}\n{margin} | {caret}^")?;
        }
        if let Some(rule) = self.rule {
            write!(formatter, "\n  = rule: {rule}")?;
        }
        if let Some(help) = &self.help {
            write!(formatter, "\n  = help: {help}")?;
        }
        Ok(())
    }
}

/// Assembles (if text) and validates an input. None: it is valid.
pub fn diagnose(input: &Input, features: WasmFeatures) -> Vec<Diagnostic> {
    let (assembled, map) = match (input.kind, input.text()) {
        (InputKind::Text, Some(text)) => match source_map::assemble(text) {
            Ok((binary, map)) => (Some(binary), Some((text, map))),
            Err(error) => return vec![syntax_error(&input.name, text, &error)],
        },
        _ => (None, None),
    };
    let binary = assembled.as_deref().unwrap_or(&input.bytes);
    if let Err(error) = refuse_component(binary) {
        return vec![without_place(&input.name, format!("{error:#}"))];
    }
    let validation = validate(binary, features);
    let mut lines = None;
    let mut diagnostics: Vec<Diagnostic> = validation
        .errors
        .iter()
        .map(|error| {
            let lines = lines.get_or_insert_with(|| PrintedLines::of(binary));
            diagnostic(&input.name, binary, error, lines, map.as_ref())
        })
        .collect();
    if validation.omitted > 0 {
        diagnostics.push(without_place(&input.name, format!("{} more functions with errors", validation.omitted)));
    }
    diagnostics
}

/// One line for an error without a source file: message, function, offset, rule.
pub(super) fn describe(binary: &[u8], error: &ValidationError) -> String {
    let mut text = error.message.clone();
    if let Some(function) = error.function {
        text.push_str(&format!(" in function {}", function_label(binary, function)));
    }
    text.push_str(&format!(" at byte {:#x}", error.offset));
    if let Some(rule) = error.rule {
        text.push_str(&format!(" (rule: {rule})"));
    }
    text
}

fn without_place(file: &str, message: String) -> Diagnostic {
    Diagnostic {
        file: file.to_string(),
        message,
        offset: None,
        function: None,
        instruction: None,
        position: None,
        snippet: None,
        rule: None,
        help: None,
    }
}

/// What is wrong in a text. The parser writes "expected a" before whatever it expected.
pub(crate) fn syntax_message(error: &wast::Error) -> String {
    error.message().replace("expected a i", "expected an i")
}

fn syntax_error(file: &str, text: &str, error: &wast::Error) -> Diagnostic {
    let mut diagnostic = without_place(file, syntax_message(error));
    diagnostic.place(text, error.span().offset());
    diagnostic
}

fn diagnostic(
    file: &str,
    binary: &[u8],
    error: &ValidationError,
    lines: &PrintedLines,
    source: Option<&(&str, SourceMap)>,
) -> Diagnostic {
    let mut diagnostic = without_place(file, error.message.clone());
    diagnostic.offset = Some(error.offset);
    diagnostic.function = error.function.map(|index| function_label(binary, index));
    diagnostic.instruction = lines.at(error.instruction.unwrap_or(error.offset));
    diagnostic.rule = error.rule;
    diagnostic.help = match error.missing_feature {
        Some(feature) => Some(format!("--enable-{} accepts {}", feature.name, feature.help)),
        // What is assembled from text has the opcodes of today.
        None if source.is_some() => None,
        None => error.instruction.and_then(|start| opcode_at(binary, start)).and_then(help_for_opcode),
    };
    if let Some((text, map)) = source
        && let Some(offset) = map.text_offset(binary, error.instruction.unwrap_or(error.offset))
    {
        diagnostic.place(text, offset);
    }
    diagnostic
}

fn help_for_opcode(opcode: u8) -> Option<String> {
    (opcode == OPCODE_OF_OLD_SWITCH).then(|| {
        "opcode 0xe5 was that of switch before resume_throw_ref existed; switch is 0xe6 now. If an older toolchain wrote this file, build it again"
            .to_string()
    })
}

impl Diagnostic {
    fn place(&mut self, text: &str, offset: usize) {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[line_start..].lines().next().unwrap_or_default();
        let column = before[line_start..].chars().count();
        self.position =
            Some(SourcePosition { line: before.bytes().filter(|byte| *byte == b'\n').count() + 1, column: column + 1 });
        self.snippet = Some(snippet(line, column));
    }
}

/// The part of a line around a column, and where the column is in it.
fn snippet(line: &str, column: usize) -> (String, usize) {
    let start = column.saturating_sub(SNIPPET_COLUMNS / 2);
    let mut shown = String::new();
    let mut caret = 0;
    if start > 0 {
        shown.push('…');
    }
    for (index, character) in line.chars().enumerate().skip(start).take(SNIPPET_COLUMNS) {
        if index == column {
            caret = shown.chars().count();
        }
        match character {
            '\t' => shown.push_str("    "),
            // Characters that move the cursor or change the direction of writing would misplace the caret.
            character
                if character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                shown.push('\u{fffd}');
            }
            character => shown.push(character),
        }
    }
    if column >= line.chars().count() {
        caret = shown.chars().count();
    }
    (shown, caret)
}

/// `$name (index N)`, or the index alone where the module names no functions.
fn function_label(binary: &[u8], index: u32) -> String {
    match function_name(binary, index) {
        Some(name) => format!("${name} (index {index})"),
        None => format!("with index {index}"),
    }
}

/// The function's name from the name section, otherwise the name of its export.
pub(crate) fn function_name(binary: &[u8], index: u32) -> Option<String> {
    let mut exported = None;
    for payload in Parser::new(0).parse_all(binary) {
        match payload {
            Ok(Payload::ExportSection(section)) => {
                let export = section.into_iter().flatten().find(|export| {
                    export.index == index
                        && matches!(export.kind, wasmparser::ExternalKind::Func | wasmparser::ExternalKind::FuncExact)
                });
                exported = export.map(|export| export.name.to_string());
            }
            Ok(Payload::CustomSection(section)) => {
                let KnownCustom::Name(names) = section.as_known() else { continue };
                for subsection in names {
                    let Ok(Name::Function(map)) = subsection else { continue };
                    if let Some(naming) = map.into_iter().flatten().find(|naming| naming.index == index) {
                        return Some(naming.name.to_string());
                    }
                }
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    exported
}

/// The module as text, by lines and their offsets, to quote instructions from. Empty if the module cannot be printed.
struct PrintedLines {
    lines: Vec<(u64, String)>,
}

impl PrintedLines {
    fn of(binary: &[u8]) -> PrintedLines {
        let mut storage = String::new();
        let mut lines = Vec::new();
        if binary.len() <= MAX_BYTES_TO_PRINT
            && let Ok(printed) = wasmprinter::Config::new().offsets_and_lines(binary, &mut storage)
        {
            lines.extend(printed.filter_map(|(offset, line)| Some((offset?, line.trim().to_string()))));
            lines.sort_by_key(|(offset, _)| *offset);
        }
        PrintedLines { lines }
    }

    fn at(&self, offset: u64) -> Option<String> {
        let after = self.lines.partition_point(|(start, _)| *start <= offset);
        let (_, line) = self.lines.get(after.checked_sub(1)?)?;
        Some(snippet(line, 0).0)
    }
}
/// The reason for an error, told on standard error, where it is that one of the inputs is not valid: the error then says no more than that.
pub fn blame(inputs: &[Input], features: WasmFeatures, error: impl Into<anyhow::Error>) -> anyhow::Error {
    for input in inputs {
        let diagnostics = diagnose(input, features);
        if !diagnostics.is_empty() {
            diagnostics.iter().for_each(|diagnostic| tell(format_args!("{diagnostic}")));
            return anyhow::anyhow!("'{}' is not a valid module", input.name);
        }
    }
    let error = error.into();
    match inputs {
        [input] => error.context(input.name.clone()),
        _ => error,
    }
}
