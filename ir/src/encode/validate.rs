//! wasmparser's validation of what is written.

use super::Executor;
use crate::module::LazyBody;
use wasmparser::{
    FuncToValidate, FunctionBody, Parser, ValidPayload, Validator, ValidatorResources, WasmFeatures,
    WasmModuleResources,
};

/// What is wrong with a module, and with which of its functions.
#[derive(Debug)]
pub struct Invalid {
    /// What is wrong, and at which offset.
    pub error: wasmparser::Error,
    /// The indices of the functions whose bodies are wrong, in order: the error is about the first. None if it is about something else.
    pub functions: Vec<u32>,
}

impl From<wasmparser::Error> for Invalid {
    fn from(error: wasmparser::Error) -> Self {
        Self { error, functions: Vec::new() }
    }
}

/// Validates a whole binary module. Of several invalid functions the first is reported.
///
/// # Errors
/// What is wrong with the module.
pub fn validate(bytes: &[u8], features: WasmFeatures, executor: &impl Executor) -> Result<(), Invalid> {
    let mut validator = Validator::new_with_features(features);
    let mut parser = Parser::new(0);
    parser.set_features(features);
    let mut bodies = Vec::new();
    for payload in parser.parse_all(bytes) {
        if let ValidPayload::Func(func, body) = validator.payload(&payload?)? {
            bodies.push((func, body));
        }
    }
    let results = executor.map(&bodies, |(func, body)| {
        let FuncToValidate { resources, index, ty, features } = func;
        let func = FuncToValidate { resources: resources.clone(), index: *index, ty: *ty, features: *features };
        validate_body(func, body).map_err(|error| (error, *index))
    });
    let (errors, functions): (Vec<_>, Vec<_>) = results.into_iter().filter_map(Result::err).unzip();
    match errors.into_iter().next() {
        Some(error) => Err(Invalid { error, functions }),
        None => Ok(()),
    }
}

fn validate_body(func: FuncToValidate<ValidatorResources>, body: &FunctionBody<'_>) -> wasmparser::Result<()> {
    func.into_validator(Default::default()).validate(body)
}

/// Validates the body of a function that was not lifted, in the module that it came from.
///
/// # Errors
/// What is wrong with the body, with the offset in its source.
pub fn validate_lazy(body: &LazyBody) -> wasmparser::Result<()> {
    let resources = body.source.resources.clone();
    let ty = resources.type_index_of_function(body.index).expect("a source has the functions that its bodies name");
    let func = FuncToValidate { resources, index: body.index, ty, features: body.source.features };
    validate_body(func, &body.reader())
}
