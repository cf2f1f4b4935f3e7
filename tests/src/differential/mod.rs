//! Running a program before and after a transformation, and telling the two apart.

pub mod compare;
pub mod run;
pub mod shrink;
pub mod transforms;
