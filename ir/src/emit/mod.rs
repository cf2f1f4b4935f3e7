//! Emission: from a [`Func`](crate::func::Func) to small structured wasm.
//!
//! Its result, an [`EmittedBody`], speaks of ids throughout, so that functions are emitted before anybody knows the final indices;
//! [`EmittedBody::encode`] then writes the bytes.

mod body;

pub use body::{BlockTypeId, CodeItem, EmittedBlockType, EmittedBody, EmittedTryTable, EncodedBody, LabelledOperator};
