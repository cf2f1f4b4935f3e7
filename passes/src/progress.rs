//! Telling somebody how far the optimiser is.

/// Hears how far the work is. Called from all threads.
pub trait Progress: Sync {
    /// A part of the work begins, which consists of so many items.
    fn begin(&self, _part: &str, _items: usize) {}
    /// One item is done.
    fn advance(&self) {}
}

/// Nobody listens.
#[derive(Copy, Clone, Debug, Default)]
pub struct Silent;

impl Progress for Silent {}
