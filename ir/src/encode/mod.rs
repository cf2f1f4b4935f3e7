//! From a [`Module`] to a binary, which is always validated.
//!
//! Three phases: indices are assigned; bodies are encoded, each by itself, so that an [`Executor`] can do several at a time; the sections
//! are put together. The result depends on the module and the options alone, never on the executor.

mod body;
mod indices;
mod names;
mod reencode;
mod sections;
#[cfg(test)]
mod tests;
mod validate;

pub use body::EncodedBody;
pub use indices::{IndexSpace, Indices, Order};
pub use reencode::{DanglingReference, IndexReencoder, ReencodeError};
pub use validate::{Invalid, validate, validate_lazy};

use crate::error::{Error, Result};
use crate::module::{Body, FunctionId, Module};
use wasmparser::WasmFeatures;

/// Does the same work on many items. This crate has no threads; whoever does implements this with them.
pub trait Executor {
    /// The results of `work`, in the order of the items.
    fn map<T: Sync, R: Send>(&self, items: &[T], work: impl Fn(&T) -> R + Sync + Send) -> Vec<R>;
}

/// One item after the other.
#[derive(Copy, Clone, Debug, Default)]
pub struct Sequential;

impl Executor for Sequential {
    fn map<T: Sync, R: Send>(&self, items: &[T], work: impl Fn(&T) -> R + Sync + Send) -> Vec<R> {
        items.iter().map(work).collect()
    }
}

/// How to write a module.
#[derive(Clone, Debug, Default)]
pub struct EncodeOptions {
    /// In which order.
    pub order: Order,
    /// The features that the output may use; those of the module by default.
    pub features: Option<WasmFeatures>,
}

/// Writes a module in the binary format.
pub fn encode_module(module: &Module) -> Result<Vec<u8>> {
    encode_module_with(module, &EncodeOptions::default(), &Sequential)
}

/// Writes a module in the binary format.
pub fn encode_module_with(module: &Module, options: &EncodeOptions, executor: &impl Executor) -> Result<Vec<u8>> {
    let indices = Indices::assign(module, &options.order)?;
    let identity = indices.is_identity();
    let bodies = executor.map(indices.functions.definitions(), |&id| encode_body(module, id, &indices, identity));
    let bodies = bodies.into_iter().collect::<Result<Vec<_>>>()?;
    let bytes = sections::write(module, &indices, &bodies)?;
    let features = options.features.unwrap_or(module.features);
    match validate(&bytes, features, executor) {
        Ok(()) => Ok(bytes),
        Err(invalid) => Err(invalid_output(module, &indices, invalid)),
    }
}

fn encode_body<'a>(module: &'a Module, id: FunctionId, indices: &Indices, identity: bool) -> Result<EncodedBody<'a>> {
    let function = &module.functions[id];
    let encoded = match &function.body {
        Body::Lazy(lazy) => body::encode_lazy(lazy, function, indices, identity),
        Body::Lifted(_) | Body::Detached | Body::Import | Body::Removed => {
            Err(Error::internal("has no body that can be written"))
        }
    };
    encoded.map_err(|error| body::blame(error, id, function))
}

/// Turns wasmparser's verdict on the output into an error about the module.
#[cold]
fn invalid_output(module: &Module, indices: &Indices, invalid: Invalid) -> Error {
    let message = format!("the output is invalid: {}", invalid.error.message());
    let error = Error::internal(message).at(invalid.error.offset());
    match invalid.function.and_then(|index| indices.functions.order().get(index as usize)) {
        Some(&id) => body::blame(error, id, &module.functions[id]),
        None => error,
    }
}
