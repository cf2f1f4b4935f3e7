//! Encoding and validating on all of rayon's threads.

use rayon::prelude::*;
use wasmfx_ir::encode::Executor;

/// Does work on the threads of rayon's current pool.
#[derive(Copy, Clone, Debug, Default)]
pub struct Parallel;

impl Executor for Parallel {
    fn map<T: Sync, R: Send>(&self, items: &[T], work: impl Fn(&T) -> R + Sync + Send) -> Vec<R> {
        items.par_iter().map(work).collect()
    }
}
