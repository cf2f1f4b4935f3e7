//! Validation, independent of any engine: wasmparser's validator, with every function checked even after an error in
//! another one, and diagnostics that lead to the place in the source.

mod definitions;
mod diagnostic;
mod explain;
mod rules;
mod source_map;

use anyhow::{Result, bail};
use rayon::prelude::*;
use wasmparser::{
    CompositeInnerType, FuncToValidate, FuncValidatorAllocations, FunctionBody, Parser, Payload, ValidPayload,
    Validator, ValidatorResources, WasmFeatures,
};

use crate::features::{self, Feature};
use crate::input_output::refuse_component;

pub use diagnostic::{Diagnostic, SourcePosition, blame, diagnose};
pub(crate) use diagnostic::{function_name, syntax_message};

/// More errors than this in one module are counted but not kept: the first ones explain the rest.
pub const MAX_ERRORS_PER_MODULE: usize = 50;

/// Functions validated one after the other by one thread before it takes more.
const FUNCTIONS_PER_TASK: usize = 64;

/// Why a module is not valid, by its place in the binary.
#[derive(Clone, Debug)]
pub struct ValidationError {
    /// wasmparser's message, without the place.
    pub message: String,
    /// Byte offset in the binary.
    pub offset: u64,
    /// The function whose body is at fault, by its index.
    pub function: Option<u32>,
    /// Where the instruction at fault begins; `offset` may be inside it.
    pub instruction: Option<u64>,
    /// The rule of the stack-switching proposal that governs the instruction or definition at fault.
    pub rule: Option<&'static str>,
    /// The feature that would have to be enabled, where that is the reason.
    pub missing_feature: Option<&'static Feature>,
}

/// What validation found.
#[derive(Clone, Debug, Default)]
pub struct Validation {
    /// The errors in the order of the binary, at most [`MAX_ERRORS_PER_MODULE`]. None: the module is valid.
    pub errors: Vec<ValidationError>,
    /// How many more there were.
    pub omitted: usize,
}

impl Validation {
    /// Whether the module is valid.
    pub fn is_valid(&self) -> bool {
        self.errors.is_empty()
    }
}

/// Validates a binary module. An error in one function does not hide errors in others.
pub fn validate(binary: &[u8], features: WasmFeatures) -> Validation {
    let mut functions = Vec::new();
    let module_error = validate_outside_functions(binary, features, &mut functions).err();
    let mut errors: Vec<ValidationError> = functions
        .par_chunks(FUNCTIONS_PER_TASK)
        .flat_map_iter(|chunk| {
            let mut allocations = FuncValidatorAllocations::default();
            let mut errors = Vec::new();
            for (function, body) in chunk {
                match validate_function(function, body, features, std::mem::take(&mut allocations)) {
                    Ok(reusable) => allocations = reusable,
                    Err(InstructionError { error, instruction }) => errors.push(ValidationError {
                        function: Some(function.index),
                        instruction,
                        rule: instruction
                            .and_then(|start| rules::of_instruction(opcode_at(binary, start)?, error.message())),
                        ..from_parser(&error, features)
                    }),
                }
            }
            errors
        })
        .collect();
    if let Some(error) = module_error {
        let mut error = from_parser(&error, features);
        if let Some((message, rule)) = rules::of_continuation_type(&error.message) {
            error.message = message.to_string();
            error.rule = Some(rule);
        }
        if rules::is_about_a_supertype(&error.message) && defines_only_continuations(binary, error.offset) {
            error.rule = Some(rules::DECLARED_SUPERTYPE);
        }
        errors.push(error);
    }
    errors.sort_by_key(|error| error.offset);
    let omitted = errors.len().saturating_sub(MAX_ERRORS_PER_MODULE);
    errors.truncate(MAX_ERRORS_PER_MODULE);
    if !errors.is_empty() {
        let names = explain::Names::of(binary);
        // All functions have the same resources.
        let describer = functions.first().map(|(function, _)| explain::Describer::new(&function.resources, &names));
        for error in &mut errors {
            let position = error
                .function
                .and_then(|index| functions.binary_search_by_key(&index, |(function, _)| function.index).ok());
            if let (Some(describer), Some(position)) = (&describer, position) {
                let (function, body) = &functions[position];
                explain::explain(error, function, body, describer);
            } else {
                definitions::name_types(error, binary, &names);
                explain::tell_types_apart(&mut error.message);
            }
        }
    }
    Validation { errors, omitted }
}

/// Validates a binary module, for callers that do not look at the single errors.
///
/// # Errors
/// The first thing that is wrong, if anything is.
pub fn check(binary: &[u8], features: WasmFeatures) -> Result<()> {
    refuse_component(binary)?;
    let validation = validate(binary, features);
    let Some(error) = validation.errors.first() else { return Ok(()) };
    bail!("{}", diagnostic::describe(binary, error));
}

type PendingFunction<'a> = (FuncToValidate<ValidatorResources>, FunctionBody<'a>);

/// Validates everything but function bodies, which are collected.
fn validate_outside_functions<'a>(
    binary: &'a [u8],
    features: WasmFeatures,
    functions: &mut Vec<PendingFunction<'a>>,
) -> wasmparser::Result<()> {
    let mut validator = Validator::new_with_features(features);
    let mut parser = Parser::new(0);
    parser.set_features(features);
    for payload in parser.parse_all(binary) {
        if let ValidPayload::Func(function, body) = validator.payload(&payload?)? {
            functions.push((function, body));
        }
    }
    Ok(())
}

/// What is wrong in a body, and where the instruction begins at which it is.
struct InstructionError {
    error: wasmparser::Error,
    instruction: Option<u64>,
}

impl From<wasmparser::Error> for InstructionError {
    fn from(error: wasmparser::Error) -> Self {
        InstructionError { error, instruction: None }
    }
}

/// wasmparser's own loop over a body compares operand counts in debug builds and panics when they differ, which is no way to treat an input.
fn validate_function(
    function: &FuncToValidate<ValidatorResources>,
    body: &FunctionBody<'_>,
    features: WasmFeatures,
    allocations: FuncValidatorAllocations,
) -> Result<FuncValidatorAllocations, InstructionError> {
    let FuncToValidate { resources, index, ty, features: _ } = function;
    let function = FuncToValidate { resources: resources.clone(), index: *index, ty: *ty, features };
    let mut validator = function.into_validator(allocations);
    let mut reader = body.get_binary_reader();
    reader.set_features(features);
    validator.read_locals(&mut reader)?;
    while !reader.eof() {
        let position = reader.original_position();
        let visited = reader.visit_operator(&mut validator.visitor(position));
        if let Err(error) = visited.and_then(|valid| valid) {
            return Err(InstructionError { error, instruction: Some(position) });
        }
    }
    reader.finish_expression(&validator.visitor(reader.original_position()))?;
    Ok(validator.into_allocations())
}

fn from_parser(error: &wasmparser::Error, enabled: WasmFeatures) -> ValidationError {
    let missing_feature = error.missing_wasm_feature().map(|missing| missing - enabled).and_then(features::containing);
    ValidationError {
        message: error.message().to_string(),
        offset: error.offset(),
        function: None,
        instruction: None,
        rule: None,
        missing_feature,
    }
}

/// Whether the recursion group that a type section has at `offset` defines nothing but continuation types.
fn defines_only_continuations(binary: &[u8], offset: u64) -> bool {
    for payload in Parser::new(0).parse_all(binary) {
        match payload {
            Ok(Payload::TypeSection(section)) => {
                let groups = section.into_iter_with_offsets().map_while(Result::ok);
                let group = groups.take_while(|(start, _)| *start <= offset).last();
                return group.is_some_and(|(_, group)| {
                    group.types().all(|ty| matches!(ty.composite_type.inner, CompositeInnerType::Cont(_)))
                });
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    false
}

/// The first byte of an instruction.
fn opcode_at(binary: &[u8], start: u64) -> Option<u8> {
    binary.get(usize::try_from(start).ok()?).copied()
}

#[cfg(test)]
mod tests;
