//! The custom section `metadata.code.branch_hint`.

use crate::module::FunctionId;
use wasmparser::{BinaryReader, BranchHintSectionReader};

/// The section's name.
pub(crate) const SECTION_NAME: &str = "metadata.code.branch_hint";

/// The hints of one function: offsets from the start of its body, and whether the branch is likely taken.
pub(super) type FunctionHints = (FunctionId, Vec<(u32, bool)>);

/// Reads all hints of a section.
pub(super) fn read(data: &[u8]) -> wasmparser::Result<Vec<FunctionHints>> {
    BranchHintSectionReader::new(BinaryReader::new(data, 0))?
        .into_iter()
        .map(|function| {
            let function = function?;
            let hints = function.hints.into_iter().map(|hint| hint.map(|hint| (hint.func_offset, hint.taken)));
            Ok((FunctionId::from_u32(function.func), hints.collect::<wasmparser::Result<_>>()?))
        })
        .collect()
}
