//! The optimiser as a program: its command line, its reports.

pub mod command;
pub mod metrics;
pub mod sequence;
