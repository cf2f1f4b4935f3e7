//! What goes wrong, where, and what to do about it.

use std::fmt;
use wasmparser::WasmFeatures;

/// The result of reading, changing or writing a module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error. It is one pointer wide, so that results stay small.
pub struct Error(Box<ErrorData>);

struct ErrorData {
    kind: ErrorKind,
    message: String,
    help: Option<String>,
    offset: Option<u64>,
    function: Option<FunctionName>,
    missing_feature: Option<WasmFeatures>,
}

/// Whose fault an error is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The input is malformed, invalid, or of a kind that is not supported.
    Input,
    /// This toolchain broke an invariant of its own. Nothing was written.
    Internal,
}

/// A function as a message calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionName {
    /// Its index (or id).
    pub index: u32,
    /// Its name, where it has one.
    pub name: Option<String>,
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "function {} (${name})", self.index),
            None => write!(f, "function {}", self.index),
        }
    }
}

impl Error {
    fn new(kind: ErrorKind, message: String) -> Self {
        Self(Box::new(ErrorData { kind, message, help: None, offset: None, function: None, missing_feature: None }))
    }

    /// The input cannot be accepted.
    #[cold]
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, message.into())
    }

    /// An invariant of this toolchain is broken.
    #[cold]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message.into())
    }

    /// With the offset in the binary that this is about.
    #[must_use]
    pub fn at(mut self, offset: u64) -> Self {
        self.0.offset = Some(offset);
        self
    }

    /// With the function that this is about.
    #[must_use]
    pub fn in_function(mut self, index: u32, name: Option<&str>) -> Self {
        self.0.function = Some(FunctionName { index, name: name.map(str::to_owned) });
        self
    }

    /// With what the user can do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What the user can do about it.
    pub fn help(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// The offset in the binary.
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }

    /// The function.
    pub fn function(&self) -> Option<&FunctionName> {
        self.0.function.as_ref()
    }

    /// The feature that would have to be enabled, where that is all that is wrong.
    pub fn missing_feature(&self) -> Option<WasmFeatures> {
        self.0.missing_feature
    }
}

impl From<wasmparser::Error> for Error {
    #[cold]
    fn from(error: wasmparser::Error) -> Self {
        let mut converted = Self::input(error.message()).at(error.offset());
        converted.0.missing_feature = error.missing_wasm_feature();
        converted
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ErrorData { kind, message, help, offset, function, missing_feature: _ } = &*self.0;
        if *kind == ErrorKind::Internal {
            f.write_str("internal error: ")?;
        }
        if let Some(function) = function {
            write!(f, "{function}: ")?;
        }
        f.write_str(message)?;
        if let Some(offset) = offset {
            write!(f, " (at offset {offset:#x})")?;
        }
        if let Some(help) = help {
            write!(f, "\n{help}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

const _: () = assert!(size_of::<Error>() == size_of::<usize>());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_where_and_what_and_what_to_do() {
        let error = Error::input("type mismatch").at(0x1f).in_function(3, Some("main")).with_help("do this");
        assert_eq!(error.to_string(), "function 3 ($main): type mismatch (at offset 0x1f)\ndo this");
        assert!(Error::internal("lost").to_string().starts_with("internal error: lost"));
    }
}
