//! wasm-encoder's re-encoding, with the numbers in its input mapped to ids and on to binary indices.

use super::Indices;
use crate::error::Error;
use crate::module::{
    ConstExpr, DataId, ElementId, FunctionId, GlobalId, MemoryId, Renumbering, TableId, TagId, TypeId,
};
use std::fmt;
use wasm_encoder::Encode;
use wasm_encoder::reencode::{self, Reencode};

/// Re-encodes operators and types whose numbers are ids, or, with a renumbering, numbers that become ids by it.
pub struct IndexReencoder<'a> {
    /// Where ids lead.
    pub indices: &'a Indices,
    /// How the input's numbers become ids, where they are not ids already.
    pub renumbering: Option<&'a Renumbering>,
}

/// A reference to something that gets no index.
#[derive(Debug)]
pub struct DanglingReference(String);

impl fmt::Display for DanglingReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DanglingReference {}

/// What re-encoding can fail with.
pub type ReencodeError = reencode::Error<DanglingReference>;

impl From<ReencodeError> for Error {
    #[cold]
    fn from(error: ReencodeError) -> Self {
        match error {
            reencode::Error::ParseError(error) => error.into(),
            error => Self::internal(error.to_string()),
        }
    }
}

#[cold]
fn dangling(what: String) -> ReencodeError {
    reencode::Error::UserError(DanglingReference(what))
}

macro_rules! index_methods {
    ($($method:ident: $field:ident $id:ident;)*) => {$(
        #[inline]
        fn $method(&mut self, number: u32) -> Result<u32, ReencodeError> {
            let id = match self.renumbering {
                None => $id::from_u32(number),
                Some(renumbering) => *renumbering.$field.get(number as usize).ok_or_else(|| {
                    dangling(format!("number {number} of the index space '{}' was never renumbered", stringify!($field)))
                })?,
            };
            self.indices.$field.get(id).ok_or_else(|| dangling(format!("{id:?} is referred to, but it was removed")))
        }
    )*};
}

impl Reencode for IndexReencoder<'_> {
    type Error = DanglingReference;

    index_methods! {
        type_index: types TypeId;
        function_index: functions FunctionId;
        table_index: tables TableId;
        memory_index: memories MemoryId;
        global_index: globals GlobalId;
        tag_index: tags TagId;
        element_index: elements ElementId;
        data_index: data DataId;
    }
}

impl<'a> IndexReencoder<'a> {
    /// For input whose numbers are ids.
    pub fn new(indices: &'a Indices) -> Self {
        Self { indices, renumbering: None }
    }

    /// A constant expression, with the `end` that the binary format wants.
    pub(super) fn constant(&mut self, expression: &ConstExpr) -> Result<wasm_encoder::ConstExpr, ReencodeError> {
        let mut bytes = Vec::new();
        for operator in &expression.operators {
            self.instruction(operator.clone())?.encode(&mut bytes);
        }
        Ok(wasm_encoder::ConstExpr::raw(bytes))
    }
}
