//! The words that scripts use for traps.

use wasmtime::Trap;

/// Whether a trap is the one that a script means by `message`. Scripts give a prefix, or a message with details after it.
pub fn describes(message: &str, trap: Trap) -> bool {
    words_for(trap).iter().any(|words| message.starts_with(words) || words.starts_with(message))
}

fn words_for(trap: Trap) -> &'static [&'static str] {
    match trap {
        Trap::StackOverflow => &["call stack exhausted"],
        Trap::MemoryOutOfBounds => &["out of bounds memory access"],
        Trap::HeapMisaligned => &["unaligned atomic"],
        Trap::TableOutOfBounds => &["out of bounds table access", "undefined element", "undefined"],
        Trap::IndirectCallToNull => &["uninitialized element", "uninitialized"],
        Trap::BadSignature => &["indirect call type mismatch", "indirect call"],
        Trap::IntegerOverflow => &["integer overflow"],
        Trap::IntegerDivisionByZero => &["integer divide by zero"],
        Trap::BadConversionToInteger => &["invalid conversion to integer"],
        Trap::UnreachableCodeReached => &["unreachable"],
        Trap::AtomicWaitNonSharedMemory => &["expected shared memory"],
        Trap::NullReference => &[
            "null reference",
            "null function reference",
            "null structure reference",
            "null array reference",
            "null i31 reference",
            "null exception reference",
            "null continuation reference",
        ],
        Trap::ArrayOutOfBounds => &["out of bounds array access"],
        Trap::CastFailure => &["cast failure"],
        Trap::UnhandledTag => &["unhandled tag", "unhandled"],
        Trap::ContinuationAlreadyConsumed => &["continuation already consumed"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_after_the_words_do_not_matter() {
        assert!(describes("uninitialized element 7", Trap::IndirectCallToNull));
        assert!(describes("undefined element", Trap::TableOutOfBounds));
    }

    #[test]
    fn one_trap_is_not_another() {
        assert!(!describes("integer overflow", Trap::IntegerDivisionByZero));
        assert!(!describes("unreachable", Trap::MemoryOutOfBounds));
    }
}
