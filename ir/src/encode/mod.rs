//! From a [`Module`] to a binary, which is always validated.
//!
//! Three phases: indices are assigned; bodies are encoded, each by itself, so that an [`Executor`] can do several at a time; the sections
//! are put together. The result depends on the module and the options alone, never on the executor.

mod body;
mod indices;
mod lifted;
mod names;
mod reencode;
mod sections;
#[cfg(test)]
mod tests;
mod validate;

pub use body::EncodedBody;
pub(crate) use body::least_length;
pub use indices::{IndexAssignment, Indices, Order};
pub use reencode::{DanglingReference, IndexReencoder, ReencodeError};
pub use validate::{Invalid, validate, validate_lazy};

use crate::entity::SecondaryMap;
use crate::error::{Error, Result};
use crate::module::{Body, Module};
use lifted::{BlockTypes, Context, Prepared};
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
    /// Whether each emitted body is [proved](crate::check) to do what its function says. Off by default.
    pub verify_emission: bool,
    /// Whether a body with named labels stays as it was lifted, however long that is: emission makes labels of its own. Off by default.
    pub keep_label_names: bool,
}

/// Writes a module in the binary format.
///
/// # Errors
/// As [`encode_module_with`].
pub fn encode_module(module: &Module) -> Result<Vec<u8>> {
    encode_module_with(module, &EncodeOptions::default(), &Sequential)
}

/// Writes a module in the binary format.
///
/// # Errors
/// An error of the input, with the function, if one of its bodies was invalid when it was read. An internal error if something refers to an item that
/// was removed, if the output is invalid, or if [`EncodeOptions::verify_emission`] is on and a body cannot be proved.
pub fn encode_module_with(module: &Module, options: &EncodeOptions, executor: &impl Executor) -> Result<Vec<u8>> {
    let indices = Indices::assign(module, &options.order)?;
    let features = options.features.unwrap_or(module.features);
    let identity = indices.is_identity();
    let mut without_originals = SecondaryMap::new();
    loop {
        let context = Context {
            module,
            indices: &indices,
            identity,
            features,
            without_originals: &without_originals,
            keep_label_names: options.keep_label_names,
            verify_emission: options.verify_emission,
        };
        let (bodies, block_types) = encode_bodies(context, executor)?;
        let bytes = sections::write(module, &indices, &block_types, &bodies)?;
        let Err(invalid) = validate(&bytes, features, executor) else { return Ok(bytes) };
        // Original bytes may hold dead code that writes a global which became immutable once that code was gone, for instance.
        let imports = indices.functions.order().len() - bodies.len();
        let at = |index: &u32| *index as usize - imports;
        let old: Vec<usize> = invalid.functions.iter().map(at).filter(|&at| bodies[at].is_original).collect();
        if old.is_empty() {
            return Err(invalid_output(module, &indices, invalid));
        }
        let definitions = indices.functions.definitions();
        old.into_iter().for_each(|at| without_originals[definitions[at]] = true);
    }
}

fn encode_bodies<'a>(context: Context<'a>, executor: &impl Executor) -> Result<(Vec<EncodedBody<'a>>, BlockTypes)> {
    let Context { module, indices, identity, .. } = context;
    let functions = indices.functions.definitions();
    let blame = |id, error| body::blame(error, id, &module.functions[id]);
    let mut types = BlockTypes::of_module(module, indices);
    let prepared = executor.map(functions, |&id| {
        let function = &module.functions[id];
        let prepared = match &function.body {
            Body::Lazy(lazy) => body::encode_lazy(lazy, function, indices, identity).map(Prepared::Encoded),
            Body::Lifted(func) => lifted::prepare(context, id, func, &types),
            Body::Detached | Body::Import | Body::Removed => Err(Error::internal("has no body that can be written")),
        };
        prepared.map_err(|error| blame(id, error))
    });
    // One after the other, in the order of functions: which types there are must not depend on which body was emitted first.
    let mut bodies = Vec::with_capacity(prepared.len());
    for (&id, prepared) in functions.iter().zip(prepared) {
        bodies.push(match prepared? {
            Prepared::Encoded(body) => body,
            Prepared::Pending(pending) => {
                let function = &module.functions[id];
                let Body::Lifted(func) = &function.body else { unreachable!("only lifted bodies wait for types") };
                let body = lifted::encode_with_new_types(context, id, func, &pending, &mut types);
                body.map_err(|error| blame(id, error))?
            }
        });
    }
    Ok((bodies, types))
}

/// Turns wasmparser's verdict on the output into an error about the module.
#[cold]
fn invalid_output(module: &Module, indices: &Indices, invalid: Invalid) -> Error {
    let message = format!("the output is invalid: {}", invalid.error.message());
    let error = Error::internal(message).at(invalid.error.offset());
    match invalid.functions.first().and_then(|&index| indices.functions.order().get(index as usize)) {
        Some(&id) => body::blame(error, id, &module.functions[id]),
        None => error,
    }
}
