//! What the tests of the toolchain share.

pub mod conformance;
pub mod modules;
