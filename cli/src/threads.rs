//! How many threads a program works on.

use anyhow::{Context, Result};
use clap::Args;

/// The number of threads chosen on a command line: flatten this into a program's arguments.
#[derive(Args, Copy, Clone, Debug, Default)]
pub struct ThreadsArgument {
    /// How many threads to use (at most 256); as many as there are cores by default. The output is the same for any number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
}

impl ThreadsArgument {
    /// Starts that many threads for all that is done in parallel from now on. To be called once, before anything is.
    ///
    /// # Errors
    /// If the system refuses to start them.
    pub fn start(self) -> Result<()> {
        let Some(threads) = self.threads else { return Ok(()) };
        rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global().context("cannot start the threads")
    }
}
