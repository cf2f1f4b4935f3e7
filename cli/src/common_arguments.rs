//! What every program that makes a module lets its user say besides what it makes.

use crate::features::FeatureArguments;
use anyhow::{Context, Result};
use clap::Args;

/// Flatten this into a program's arguments.
#[derive(Args, Clone, Debug)]
pub struct CommonArguments {
    /// Print no remarks, no warnings and no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// Say what is done
    #[arg(short, long)]
    pub verbose: bool,
    /// How many threads to use (at most 256); as many as there are cores by default. The output is the same for any number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// The features that inputs may use.
    #[command(flatten)]
    pub features: FeatureArguments,
}

impl CommonArguments {
    /// Starts as many threads as were asked for, for all that is done in parallel from now on. To be called once, before anything is.
    ///
    /// # Errors
    /// If the system refuses to start them.
    pub fn start_threads(&self) -> Result<()> {
        let Some(threads) = self.threads else { return Ok(()) };
        rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global().context("cannot start the threads")
    }
}
