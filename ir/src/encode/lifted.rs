//! The bytes of bodies in SSA form.

use super::Indices;
use super::body::{EncodedBody, reencode_within};
use super::reencode::IndexReencoder;
use crate::check::check_emission;
use crate::emit::{self, EmittedBlockType, EmittedBody};
use crate::entity::SecondaryMap;
use crate::error::{Error, Result};
use crate::func::Func;
use crate::module::{FunctionId, Module};
use crate::operator::OperatorPool;
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use wasmparser::{CompositeInnerType, FuncType, SubType, WasmFeatures};

/// The function types that block types can refer to: those of the module, then those that had to be added.
pub(super) struct BlockTypes {
    indices: FxHashMap<EmittedBlockType, u32>,
    added: Vec<EmittedBlockType>,
}

impl BlockTypes {
    pub(super) fn of_module(module: &Module, indices: &Indices) -> Self {
        let mut known = FxHashMap::default();
        for (&id, index) in indices.types.order().iter().zip(0..) {
            let composite = &module.types.definitions[id].sub_type.composite_type;
            if let (CompositeInnerType::Func(ty), false) = (&composite.inner, composite.shared) {
                known
                    .entry(EmittedBlockType { params: ty.params().into(), results: ty.results().into() })
                    .or_insert(index);
            }
        }
        Self { indices: known, added: Vec::new() }
    }

    fn has_all(&self, body: &EmittedBody) -> bool {
        body.function_block_types().all(|ty| self.indices.contains_key(ty))
    }

    /// Adds what `body` needs and nobody has needed before. Returns about how many bytes that costs in the type section.
    fn add(&mut self, body: &EmittedBody, indices: &Indices) -> usize {
        let mut cost = 0;
        for ty in body.function_block_types() {
            let next = (indices.types.order().len() + self.added.len()) as u32;
            if !self.indices.contains_key(ty) {
                self.indices.insert(ty.clone(), next);
                self.added.push(ty.clone());
                // A form, two counts, and the types.
                cost += 3 + ty.params.len() + ty.results.len();
            }
        }
        cost
    }

    fn forget_from(&mut self, count: usize) {
        for ty in self.added.drain(count..) {
            self.indices.remove(&ty);
        }
    }

    /// The types that stand at the end of the type section because blocks need them.
    pub(super) fn added(&self) -> impl Iterator<Item = SubType> {
        let func_type = |ty: &EmittedBlockType| FuncType::new(ty.params.iter().copied(), ty.results.iter().copied());
        self.added.iter().map(move |ty| SubType::func(func_type(ty), false))
    }
}

/// A body that is emitted and waits for the types of its blocks to get their indices.
pub(super) struct Pending<'a> {
    body: EmittedBody,
    operators: Cow<'a, OperatorPool>,
}

/// A body, encoded if that was possible at once.
pub(super) enum Prepared<'a> {
    Encoded(EncodedBody<'a>),
    Pending(Pending<'a>),
}

/// What encoding a body depends on besides the body.
#[derive(Copy, Clone)]
pub(super) struct Context<'a> {
    pub(super) module: &'a Module,
    pub(super) indices: &'a Indices,
    pub(super) identity: bool,
    /// What the output may use.
    pub(super) features: WasmFeatures,
    /// The functions whose original bytes must not be written.
    pub(super) without_originals: &'a SecondaryMap<FunctionId, bool>,
    /// Whether original bytes are written wherever labels have names, even if they are longer.
    pub(super) keep_label_names: bool,
    /// Whether emitted bodies are proved.
    pub(super) verify_emission: bool,
}

/// Emits a function, and encodes it if the module has the types that its blocks need.
pub(super) fn prepare<'a>(
    context: Context<'a>,
    id: FunctionId,
    func: &'a Func,
    types: &BlockTypes,
) -> Result<Prepared<'a>> {
    let mut options = emit::Options::default();
    // Nothing is copied of a function that was made ready before.
    let mut emitted = Cow::Borrowed(func);
    let mut body = match emit::emit_ready(func, context.module, &options) {
        Some(body) => body,
        None => emit::emit_with(emitted.to_mut(), context.module, &options),
    };
    // What the input does without, the output does without: then blocks leave their values in locals.
    if !context.features.contains(WasmFeatures::MULTI_VALUE) && body.function_block_types().next().is_some() {
        options.block_results = false;
        body = emit::emit_ready(&emitted, context.module, &options).expect("it was emitted before");
    }
    if context.verify_emission {
        check_emission(&emitted, &body, context.module).map_err(|error| {
            Error::internal(format!("emitted code could not be proved: {error}"))
                .with_help("This is a bug of this toolchain, and nothing was written. Please report it.")
        })?;
    }
    let operators = match emitted {
        Cow::Borrowed(func) => Cow::Borrowed(&func.operators),
        Cow::Owned(func) => Cow::Owned(func.operators),
    };
    let pending = Pending { body, operators };
    if types.has_all(&pending.body) {
        return Ok(Prepared::Encoded(encode(context, id, func, &pending, types, 0)?));
    }
    Ok(Prepared::Pending(pending))
}

/// Encodes a body that needs more types than the module has, and adds them, unless its old bytes are written instead.
pub(super) fn encode_with_new_types<'a>(
    context: Context<'a>,
    id: FunctionId,
    func: &'a Func,
    pending: &Pending<'a>,
    types: &mut BlockTypes,
) -> Result<EncodedBody<'a>> {
    let count = types.added.len();
    let cost = types.add(&pending.body, context.indices);
    let body = encode(context, id, func, pending, types, cost)?;
    if body.is_original {
        types.forget_from(count);
    }
    Ok(body)
}

/// Encodes an emitted body. All types that its blocks need must be in `types`; `cost` is what they cost besides the body's bytes.
fn encode<'a>(
    context: Context<'a>,
    id: FunctionId,
    func: &'a Func,
    pending: &Pending<'a>,
    types: &BlockTypes,
    cost: usize,
) -> Result<EncodedBody<'a>> {
    let mut reencoder = IndexReencoder::new(context.indices);
    let encoded = pending.body.encode(&pending.operators, &mut reencoder, |ty| types.indices[ty])?;
    let function = &context.module.functions[id];
    let keeps_labels = context.keep_label_names && !function.label_names.is_empty();
    let limit = if keeps_labels { usize::MAX } else { encoded.bytes.len() + cost };
    if let Some(original) = &func.original
        && !context.without_originals[id]
        && let Some((bytes, hints)) = reencode_within(original, context.indices, context.identity, limit)
    {
        let names = func.local_names.iter().zip(0..);
        return Ok(EncodedBody {
            bytes,
            branch_hints: hints,
            local_names: names.filter_map(|(name, index)| Some((index, String::from(name.as_deref()?)))).collect(),
            label_names: Cow::Borrowed(&function.label_names),
            is_original: true,
        });
    }
    let names = pending.body.local_names.iter().map(|(index, name)| (*index, String::from(&**name)));
    Ok(EncodedBody {
        bytes: Cow::Owned(encoded.bytes),
        branch_hints: Cow::Owned(encoded.branch_hints),
        local_names: names.collect(),
        label_names: Cow::Borrowed(&[]),
        is_original: false,
    })
}
