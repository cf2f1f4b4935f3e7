//! How a call failed: the trap or exception, and where, through the whole chain of continuations.

use std::fmt;

use wasmparser::{BinaryReader, Operator, OperatorsReader};
use wasmtime::{Error, Store, ThrownException, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::values::display_value;
use crate::validate::function_name;

/// Why a call did not return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The module trapped.
    Trap(Trap),
    /// The module threw an exception and nothing caught it; its payload as text.
    Exception(Vec<String>),
    /// The module called WASI's `proc_exit`: not a failure as such.
    Exit(i32),
    /// Something else, in the engine or the host: no memory for another continuation, for instance.
    Host(String),
}

impl fmt::Display for FailureKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FailureKind::Trap(Trap::Interrupt) => formatter.write_str("the time limit was reached"),
            FailureKind::Trap(Trap::OutOfFuel) => formatter.write_str("the limit on instructions was reached"),
            FailureKind::Trap(trap) => {
                let message = trap.to_string();
                write!(formatter, "trap: {}", message.strip_prefix("wasm trap: ").unwrap_or(&message))
            }
            FailureKind::Exception(payload) if payload.is_empty() => formatter.write_str("uncaught exception"),
            FailureKind::Exception(payload) => write!(formatter, "uncaught exception with {}", payload.join(", ")),
            FailureKind::Exit(code) => write!(formatter, "exit with code {code}"),
            FailureKind::Host(message) => formatter.write_str(message),
        }
    }
}

/// One function on the way to the failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its name from the name section, one that the engine inferred, or the name of its export.
    pub name: Option<String>,
    /// Its index.
    pub index: u32,
    /// Where it was, as a byte offset in the module.
    pub offset: Option<usize>,
    /// This frame waits in a `resume`: the frames before it belong to the continuation that it resumed.
    pub resumed_the_previous: bool,
}

/// A failed call.
#[derive(Clone, Debug)]
pub struct CallFailure {
    /// Why.
    pub kind: FailureKind,
    /// Innermost function first.
    pub backtrace: Vec<Frame>,
}

impl CallFailure {
    /// Reads what the engine says of a failed call. `binary` is the module, if at hand, to recognise frames that wait for a continuation, and for the names of exports.
    /// Takes an exception out of the store, which may be used again afterwards.
    pub fn new<T: 'static>(error: &Error, store: &mut Store<T>, binary: Option<&[u8]>) -> CallFailure {
        let kind = if error.is::<ThrownException>() {
            FailureKind::Exception(take_payload(store))
        } else if let Some(exit) = error.downcast_ref::<I32Exit>() {
            FailureKind::Exit(exit.0)
        } else if let Some(trap) = error.downcast_ref::<Trap>() {
            FailureKind::Trap(*trap)
        } else {
            FailureKind::Host(error.root_cause().to_string())
        };
        let frames = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).unwrap_or_default();
        let backtrace = frames
            .iter()
            .enumerate()
            .map(|(depth, frame)| Frame {
                name: (frame.func_name().map(str::to_string))
                    .or_else(|| binary.and_then(|binary| function_name(binary, frame.func_index()))),
                index: frame.func_index(),
                offset: frame.module_offset(),
                resumed_the_previous: depth > 0
                    && binary.zip(frame.module_offset()).is_some_and(|(binary, offset)| is_resume(binary, offset)),
            })
            .collect();
        CallFailure { kind, backtrace }
    }
}

fn take_payload<T: 'static>(store: &mut Store<T>) -> Vec<String> {
    let Some(exception) = store.take_pending_exception() else { return Vec::new() };
    let fields: Vec<_> = match exception.fields(&mut *store) {
        Ok(fields) => fields.collect(),
        Err(_) => Vec::new(),
    };
    fields.iter().map(|field| display_value(store, field)).collect()
}

fn is_resume(binary: &[u8], offset: usize) -> bool {
    let Some(rest) = binary.get(offset..) else { return false };
    matches!(
        OperatorsReader::new(BinaryReader::new(rest, 0)).read(),
        Ok(Operator::Resume { .. }
            | Operator::ResumeThrow { .. }
            | Operator::ResumeThrowRef { .. }
            | Operator::Switch { .. })
    )
}

/// How many frames of a function that calls itself are shown.
const SHOWN_OF_A_RECURSION: usize = 3;

impl Frame {
    fn is_same_place(&self, other: &Frame) -> bool {
        self.index == other.index && self.offset == other.offset
    }

    fn show(&self, depth: usize, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.resumed_the_previous {
            write!(formatter, "\n       -- a continuation, resumed by --")?;
        }
        match &self.name {
            Some(name) => write!(formatter, "\n  {depth:>3}: ${name}")?,
            None => write!(formatter, "\n  {depth:>3}: function {}", self.index)?,
        }
        match self.offset {
            Some(offset) => write!(formatter, " at byte {offset:#x}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for CallFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.kind)?;
        if self.backtrace.is_empty() {
            return Ok(());
        }
        write!(formatter, "\nbacktrace, innermost function first:")?;
        let mut depth = 0;
        // A recursion without end would fill the screen with lines that say the same.
        for run in self.backtrace.chunk_by(Frame::is_same_place) {
            for (shown, frame) in run.iter().take(SHOWN_OF_A_RECURSION).enumerate() {
                frame.show(depth + shown, formatter)?;
            }
            if run.len() > SHOWN_OF_A_RECURSION {
                write!(formatter, "\n       … and {} more of these", run.len() - SHOWN_OF_A_RECURSION)?;
            }
            depth += run.len();
        }
        Ok(())
    }
}
