//! What the tests of the toolchain share.

pub mod modules;
