//! Reading modules and writing results, the same way in every program.

use std::borrow::Cow;
use std::fmt;
use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use wasmfx_ir::text::print_module;
use wast::Wat;
use wast::core::{ModuleField, ModuleKind, TagKind};
use wast::parser::{self, ParseBuffer};

use crate::arguments::UsageError;

/// What begins every WebAssembly binary.
const BINARY_MAGIC: &[u8] = b"\0asm";
/// The second half of the header: a module of version 1.
const MODULE_VERSION: [u8; 4] = [1, 0, 0, 0];
/// The two bytes after the version number tell the layers apart; 1 is a component.
const COMPONENT_LAYER: [u8; 2] = [1, 0];

/// What an input turned out to be, by its content and never by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// A core module in the binary format.
    Binary,
    /// The text format: a module, or a script.
    Text,
}

/// An input file, or standard input.
#[derive(Clone, Debug)]
pub struct Input {
    /// What to call it in messages.
    pub name: String,
    /// Where it came from; `None` is standard input.
    pub path: Option<PathBuf>,
    /// Its content, unchanged.
    pub bytes: Vec<u8>,
    /// What the content is.
    pub kind: InputKind,
}

impl Input {
    /// Reads a file, or standard input if `path` is `-`, and recognises what it holds. Components are refused.
    ///
    /// # Errors
    /// If the file cannot be read, or is neither a core module nor text.
    pub fn read(path: &Path) -> Result<Input> {
        if path == Path::new("-") {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes).context("cannot read standard input")?;
            return Input::from_bytes("<stdin>", None, bytes);
        }
        let bytes = fs::read(path).with_context(|| format!("cannot read '{}'", path.display()))?;
        Input::from_bytes(&path.display().to_string(), Some(path.to_path_buf()), bytes)
    }

    /// Reads what [`path_or_standard_input`] says.
    ///
    /// # Errors
    /// As [`Self::read`], and a [`UsageError`] if no path is given and standard input is a terminal.
    pub fn read_or_standard_input(path: Option<&Path>) -> Result<Input> {
        Input::read(path_or_standard_input(path, io::stdin().is_terminal())?)
    }

    /// An input whose content is at hand already.
    ///
    /// # Errors
    /// If the content is neither a core module nor text.
    pub fn from_bytes(name: &str, path: Option<PathBuf>, bytes: Vec<u8>) -> Result<Input> {
        let kind = recognize(&bytes).with_context(|| name.to_string())?;
        Ok(Input { name: name.to_string(), path, bytes, kind })
    }

    /// The content as text. Only for [`InputKind::Text`], which has been checked to be UTF-8.
    pub fn text(&self) -> Option<&str> {
        match self.kind {
            InputKind::Text => std::str::from_utf8(&self.bytes).ok(),
            InputKind::Binary => None,
        }
    }

    /// The module in the binary format; text is assembled, and an error there shows the line with a caret. Validity is not checked.
    ///
    /// # Errors
    /// If the text cannot be assembled.
    pub fn to_binary(&self) -> Result<Cow<'_, [u8]>> {
        let Some(text) = self.text() else { return Ok(Cow::Borrowed(&self.bytes)) };
        let binary = wat::parse_str(text).map_err(|mut error| {
            error.set_path(&self.name);
            anyhow!("{error}")
        })?;
        refuse_imports_after_tags(&self.name, text)?;
        refuse_component(&binary).with_context(|| self.name.clone())?;
        Ok(Cow::Owned(binary))
    }

    /// The file's name without directories and extension, as a default name for its module.
    pub fn stem(&self) -> String {
        let stem = self.path.as_deref().and_then(Path::file_stem);
        stem.map_or_else(|| "stdin".to_string(), |stem| stem.to_string_lossy().into_owned())
    }
}

/// Without a path, standard input, as with Binaryen's programs: unless that is a terminal, where somebody would wait for a program that waits for him.
fn path_or_standard_input(path: Option<&Path>, is_terminal: bool) -> Result<&Path, UsageError> {
    match path {
        Some(path) => Ok(path),
        None if is_terminal => {
            Err(UsageError("no input: give a file, or '-' for a module that is typed here".to_string()))
        }
        None => Ok(Path::new("-")),
    }
}

/// Refuses imports behind the definition of a tag, as the text format does for every kind of item, and the assembler for all but tags: their numbers
/// would be those in the order of the text, where the binary format has imports first.
fn refuse_imports_after_tags(name: &str, text: &str) -> Result<()> {
    if !text.contains("tag") || !text.contains("import") {
        return Ok(());
    }
    // What cannot be parsed has been refused, with the reason, by who assembled it.
    let Ok(buffer) = ParseBuffer::new(text) else { return Ok(()) };
    let Ok(Wat::Module(wast::core::Module { kind: ModuleKind::Text(fields), .. })) = parser::parse(&buffer) else {
        return Ok(());
    };
    let is_definition =
        |field: &ModuleField<'_>| matches!(field, ModuleField::Tag(tag) if matches!(tag.kind, TagKind::Inline()));
    let behind_tag = fields.iter().skip_while(|field| !is_definition(field));
    let import = behind_tag.filter_map(|field| match field {
        ModuleField::Import(imports) => Some(imports.span),
        ModuleField::Tag(tag) if matches!(tag.kind, TagKind::Import(_)) => Some(tag.span),
        _ => None,
    });
    let Some(span) = import.min_by_key(|span| span.offset()) else { return Ok(()) };
    let mut error = wast::Error::new(span, "import after tag: imports stand before all definitions".to_owned());
    error.set_text(text);
    error.set_path(Path::new(name));
    Err(anyhow!("{error}"))
}

/// Whether the bytes are the binary or the text format.
///
/// # Errors
/// If they are neither: what they seem to be instead.
pub fn recognize(bytes: &[u8]) -> Result<InputKind> {
    if bytes.starts_with(BINARY_MAGIC) {
        refuse_component(bytes)?;
        return Ok(InputKind::Binary);
    }
    if bytes.is_empty() {
        bail!("is empty; expected a WebAssembly module in the binary or the text format");
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => bail!(
            "is neither a WebAssembly binary (it does not begin with '\\0asm') nor text (byte {} is not UTF-8)",
            error.valid_up_to()
        ),
    };
    // The text format begins with a parenthesis, a comment or white space; `@` annotations begin with a parenthesis too.
    let first = text.trim_start_matches('\u{feff}').trim_start();
    if first.starts_with('(') || first.starts_with(";;") {
        return Ok(InputKind::Text);
    }
    bail!(
        "is neither a WebAssembly binary (it does not begin with '\\0asm') nor the text format (it does not begin with '(')"
    );
}

/// Accepts everything but components.
///
/// # Errors
/// If the bytes are a component.
pub fn refuse_component(bytes: &[u8]) -> Result<()> {
    let Some(version) = bytes.get(BINARY_MAGIC.len()..BINARY_MAGIC.len() + MODULE_VERSION.len()) else { return Ok(()) };
    if version[2..] == COMPONENT_LAYER {
        bail!(
            "is a component; this toolchain works on core modules. Take them out with 'wasm-tools component unbundle', or build for a core target such as wasm32-wasip1"
        );
    }
    Ok(())
}

/// Prints text to standard output.
///
/// # Errors
/// If it cannot be written; that its reader has gone is an error like any other.
pub fn print(text: &str) -> Result<()> {
    Output::Stdout.write(text.as_bytes())
}

/// Tells people something on a line of standard error. Where that is gone, nobody is there to be told.
pub fn tell(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Tells the user of a module that is not linked yet: what its relocations say of code and data is not kept up to date.
pub fn warn_of_relocations(program: &str, input: &Input) {
    // Text has no such section that a linker would take.
    if input.kind == InputKind::Text {
        return;
    }
    let is_linking = |payload: wasmparser::Payload<'_>| matches!(payload, wasmparser::Payload::CustomSection(section) if section.name() == "linking");
    if wasmparser::Parser::new(0).parse_all(&input.bytes).map_while(Result::ok).any(is_linking) {
        let name = &input.name;
        tell(format_args!(
            "{program}: warning: {name} is a relocatable object (it has a section 'linking'), and what is made of it cannot be linked: link it first"
        ));
    }
}

/// Where a result goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

impl Output {
    /// `-` is standard output.
    pub fn from_argument(argument: &Path) -> Output {
        if argument == Path::new("-") { Output::Stdout } else { Output::File(argument.to_path_buf()) }
    }

    /// Writes a binary module, in the text format if `as_text`.
    ///
    /// # Errors
    /// If the module cannot be printed, and as [`Self::write`].
    pub fn write_module(&self, module: &[u8], as_text: bool) -> Result<()> {
        if as_text { self.write(print_module(module)?.as_bytes()) } else { self.write(module) }
    }

    /// Writes `bytes`. A file is written whole or not at all: a reader never sees half of it, and a failure leaves the old content.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        match self {
            Output::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes).and_then(|()| stdout.flush()).context("cannot write to standard output")
            }
            Output::File(path) => write_file(path, bytes).with_context(|| format!("cannot write '{}'", path.display())),
        }
    }
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let existing = match fs::metadata(path) {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    match &existing {
        // A device or a pipe cannot be replaced, only written to.
        Some(metadata) if !metadata.is_file() => {
            return fs::OpenOptions::new().write(true).open(path)?.write_all(bytes);
        }
        _ => {}
    }
    // A symbolic link stays one: its target is what gets replaced.
    let target = if existing.is_some() { fs::canonicalize(path)? } else { path.to_path_buf() };
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".wasmfx-").suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The process's umask applies to this as to any newly created file.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    // Its own message would name the temporary file.
    let mut file = builder.tempfile_in(directory).map_err(|error| match directory.is_dir() {
        true => io::Error::from(error.kind()),
        false => io::Error::new(error.kind(), format!("there is no directory '{}'", directory.display())),
    })?;
    file.write_all(bytes)?;
    if let Some(metadata) = existing {
        file.as_file().set_permissions(metadata.permissions())?;
    }
    file.persist(&target).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

    fn message(bytes: &[u8]) -> String {
        format!("{:#}", Input::from_bytes("a.wasm", None, bytes.to_vec()).unwrap_err())
    }

    #[test]
    fn without_a_path_standard_input_is_read_unless_it_is_a_terminal() {
        let file = Some(Path::new("a.wasm"));
        assert_eq!(path_or_standard_input(file, true).unwrap(), Path::new("a.wasm"));
        assert_eq!(path_or_standard_input(None, false).unwrap(), Path::new("-"));
        assert_eq!(path_or_standard_input(Some(Path::new("-")), true).unwrap(), Path::new("-"));
        assert!(path_or_standard_input(None, true).unwrap_err().to_string().starts_with("no input: "));
    }

    #[test]
    fn the_content_decides_what_an_input_is() {
        assert_eq!(recognize(EMPTY_MODULE).unwrap(), InputKind::Binary);
        assert_eq!(recognize(b"  ;; comment\n(module)").unwrap(), InputKind::Text);
        assert_eq!(recognize(b"(; block ;) (module)").unwrap(), InputKind::Text);
    }

    #[test]
    fn what_is_no_module_is_refused_in_words() {
        assert!(message(b"").contains("is empty"));
        assert!(message(b"\x7fELF\xff").contains("neither a WebAssembly binary"));
        assert!(message(b"int main() {}").contains("nor the text format"));
        assert!(message(b"\0asm\x0d\0\x01\0").contains("is a component"));
    }

    #[test]
    fn a_component_in_text_is_refused_by_name() {
        let input = Input::from_bytes("a.wat", None, b"(component)".to_vec()).unwrap();
        let error = format!("{:#}", input.to_binary().unwrap_err());
        assert!(error.contains("is a component"), "{error}");
    }

    #[test]
    fn text_is_assembled_and_its_errors_show_the_line() {
        let input = Input::from_bytes("a.wat", None, b"(module)".to_vec()).unwrap();
        assert!(input.to_binary().unwrap().starts_with(EMPTY_MODULE));
        let input = Input::from_bytes("a.wat", None, b"(module\n  (fun))".to_vec()).unwrap();
        let error = format!("{:#}", input.to_binary().unwrap_err());
        assert!(error.contains("a.wat:2:4") && error.contains('^'), "{error}");
    }

    #[test]
    fn writing_replaces_the_file_and_leaves_nothing_else_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.wasm");
        fs::write(&path, b"old").unwrap();
        Output::File(path.clone()).write(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_directory_is_an_error_that_names_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("missing").join("out.wasm");
        let error = format!("{:#}", Output::File(path.clone()).write(b"new").unwrap_err());
        assert!(error.contains(&path.display().to_string()), "{error}");
        assert!(error.ends_with("missing'") && !error.contains(".wasmfx-"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_and_the_mode_of_the_file_survive_writing() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file.wasm");
        let link = directory.path().join("link.wasm");
        fs::write(&file, b"old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        Output::File(link.clone()).write(b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_written_to_and_not_replaced() {
        Output::File(PathBuf::from("/dev/null")).write(b"bytes").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
