//! Running a program before and after a transformation, and telling the two apart.

pub mod run;
pub mod shrink;
