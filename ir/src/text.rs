//! The text format: read through `wat`, written through `wasmprinter`.

use crate::error::{Error, Result};
use crate::module::Module;
use crate::parse::{ParseOptions, parse_module};
use std::borrow::Cow;
use std::path::Path;

/// Reads a module in the binary or the text format, whichever the content says. Errors in text call the input `file_name`.
///
/// # Errors
/// If the text cannot be assembled, and as [`parse_module`].
pub fn read_module(bytes: &[u8], file_name: &str, options: &ParseOptions) -> Result<Module> {
    parse_module(to_binary(bytes, file_name)?, options)
}

/// The module in the binary format. Validity is not checked.
///
/// # Errors
/// If the bytes are neither a binary nor text, or the text cannot be assembled: then the message shows the line.
pub fn to_binary<'a>(bytes: &'a [u8], file_name: &str) -> Result<Cow<'a, [u8]>> {
    if bytes.starts_with(b"\0asm") {
        return Ok(Cow::Borrowed(bytes));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Error::input("neither a WebAssembly binary (it does not begin with '\\0asm') nor text (it is not UTF-8)")
            .at(error.valid_up_to() as u64)
    })?;
    let binary = wat::Parser::new().parse_str(Some(Path::new(file_name)), text);
    Ok(Cow::Owned(binary.map_err(|error| Error::input(error.to_string()))?))
}

/// A binary module in the text format.
///
/// # Errors
/// If the binary is malformed.
pub fn print_module(bytes: &[u8]) -> Result<String> {
    let mut text = String::new();
    wasmprinter::Config::new()
        .features(crate::features::supported())
        .print(bytes, &mut wasmprinter::PrintFmtWrite(&mut text))
        .map_err(|error| Error::input(format!("cannot be printed: {error:#}")))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_says_which_format_it_is() {
        let options = ParseOptions::default();
        let module = read_module(b"(module (func $f))", "a.wat", &options).unwrap();
        assert_eq!(module.functions.len(), 1);
        assert_eq!(read_module(b"\0asm\x01\0\0\0", "a.wasm", &options).unwrap().functions.len(), 0);
    }

    #[test]
    fn errors_in_text_show_the_file_and_the_line() {
        let error = read_module(b"(module\n  (fun))", "a.wat", &ParseOptions::default()).unwrap_err().to_string();
        assert!(error.contains("a.wat:2:4") && error.contains('^'), "{error}");
    }

    #[test]
    fn a_component_is_refused_by_name_in_both_formats() {
        for input in [&b"(component)"[..], b"\0asm\x0d\0\x01\0"] {
            let error = read_module(input, "a", &ParseOptions::default()).unwrap_err().to_string();
            assert!(error.contains("component"), "{error}");
        }
    }

    #[test]
    fn what_is_printed_reads_back_as_the_same_binary() {
        let source = b"(module (type $ft (func)) (type $ct (cont $ft)) (tag $t) (func $f (type $ft) suspend $t))";
        let binary = to_binary(source, "a.wat").unwrap();
        let text = print_module(&binary).unwrap();
        assert_eq!(to_binary(text.as_bytes(), "b.wat").unwrap(), binary);
    }
}
