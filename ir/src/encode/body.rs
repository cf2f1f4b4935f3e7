//! The bytes of function bodies.

use super::Indices;
use super::reencode::{IndexReencoder, ReencodeError};
use crate::error::{Error, Result};
use crate::func::Original;
use crate::module::{Function, FunctionId, LazyBody};
use crate::references::IndexSpace;
use std::borrow::Cow;
use wasm_encoder::Encode;
use wasm_encoder::reencode::Reencode;

/// Offsets of branches from the start of their body, and whether each is likely taken.
type BranchHints = Vec<(u32, bool)>;

/// The bytes of a body and its branch hints.
type BytesWithHints<'a> = (Cow<'a, [u8]>, Cow<'a, [(u32, bool)]>);

/// A function body in the binary format, without its size.
#[derive(Clone, Debug)]
pub struct EncodedBody<'a> {
    /// The bytes.
    pub bytes: Cow<'a, [u8]>,
    /// Branch hints: offset of the branch from the start of the body, and whether it is likely taken.
    pub branch_hints: Cow<'a, [(u32, bool)]>,
    /// Names of locals.
    pub local_names: Cow<'a, [(u32, String)]>,
    /// Names of labels.
    pub label_names: Cow<'a, [(u32, String)]>,
    /// Whether these are the bytes that a lifted body came from, kept because the new ones were no smaller.
    pub(super) is_original: bool,
}

/// The body of a function that was not lifted: copied if no index in it can have changed, else re-encoded.
pub(super) fn encode_lazy<'a>(
    body: &'a LazyBody,
    function: &'a Function,
    indices: &Indices,
    identity: bool,
) -> Result<EncodedBody<'a>> {
    let (bytes, branch_hints) = copy_or_reencode(body, indices, identity, usize::MAX)?;
    Ok(EncodedBody {
        bytes,
        branch_hints,
        local_names: Cow::Borrowed(&function.local_names),
        label_names: Cow::Borrowed(&function.label_names),
        is_original: false,
    })
}

/// The bytes of a body with their hints, if there are no more than `limit` of them and everything that they refer to is still there.
pub(super) fn reencode_within<'a>(
    original: &'a Original,
    indices: &Indices,
    identity: bool,
    limit: usize,
) -> Option<BytesWithHints<'a>> {
    if original.least_length > limit || least_length_with(indices, original)? > limit {
        return None;
    }
    copy_or_reencode(&original.body, indices, identity, limit).ok().filter(|(bytes, _)| bytes.len() <= limit)
}

/// How many bytes a body takes at least where functions have these indices; nothing if one that it calls has none.
fn least_length_with(indices: &Indices, original: &Original) -> Option<usize> {
    let behind_first_byte = |&number: &u32| {
        let id = FunctionId::from_u32(original.body.id(IndexSpace::Function, number)?);
        Some(indices.functions.get(id)?.checked_ilog2().unwrap_or(0) as usize / 7)
    };
    let called: Option<usize> = original.called.iter().map(behind_first_byte).sum();
    Some(original.least_length + called?)
}

fn copy_or_reencode<'a>(
    body: &'a LazyBody,
    indices: &Indices,
    identity: bool,
    limit: usize,
) -> Result<BytesWithHints<'a>, ReencodeError> {
    if identity && body.renumbering.is_none() {
        return Ok((Cow::Borrowed(body.bytes()), Cow::Borrowed(&body.branch_hints[..])));
    }
    let (bytes, hints) = reencode(body, indices, limit)?;
    Ok((Cow::Owned(bytes), Cow::Owned(hints)))
}

/// Writes a body anew; stops after `limit` bytes.
fn reencode(body: &LazyBody, indices: &Indices, limit: usize) -> Result<(Vec<u8>, BranchHints), ReencodeError> {
    let mut reencoder = IndexReencoder { indices, renumbering: body.renumbering.as_deref() };
    let reader = body.reader();
    let source = body.bytes();
    let mut bytes = Vec::with_capacity(body.range.len());
    let locals = reader.get_locals_reader()?;
    locals.get_count().encode(&mut bytes);
    for local in locals {
        let (count, ty) = local?;
        count.encode(&mut bytes);
        reencoder.val_type(ty)?.encode(&mut bytes);
    }
    let mut hints = Vec::with_capacity(body.branch_hints.len());
    let mut pending = body.branch_hints.iter().peekable();
    let mut operators = reader.get_operators_reader()?;
    while !operators.eof() && bytes.len() <= limit {
        let offset = (operators.original_position() - body.range.start as u64) as u32;
        // A hint at an offset between two operators is about nothing.
        while pending.next_if(|&&(at, _)| at < offset).is_some() {}
        if let Some(&(_, taken)) = pending.next_if(|&&(at, _)| at == offset) {
            hints.push((bytes.len() as u32, taken));
        }
        let operator = operators.read()?;
        let end = (operators.original_position() - body.range.start as u64) as usize;
        match &source[offset as usize..end] {
            same if is_short_and_local(same) => bytes.extend_from_slice(same),
            _ => reencoder.instruction(operator)?.encode(&mut bytes),
        }
    }
    Ok((bytes, hints))
}

/// Whether an operator, given its bytes, refers to nothing outside of its body and has no shorter encoding. (Most operators are such, and are
/// copied faster than they are written anew.)
fn is_short_and_local(bytes: &[u8]) -> bool {
    match *bytes {
        // No operator of one byte has an immediate.
        [_] => true,
        // br, br_if, local.get, local.set, local.tee, i32.const, i64.const
        [0x0c | 0x0d | 0x20..=0x22 | 0x41 | 0x42, _] => true,
        // block, loop and if with the type of one result or none: a type's number is not negative.
        [0x02..=0x04, ty] => ty & 0x40 != 0,
        _ => false,
    }
}

/// How many bytes an operator, given its bytes, takes at least when it is written anew, whatever it refers to.
#[inline]
pub(crate) fn least_length(bytes: &[u8]) -> usize {
    // A number that takes no more bytes than it must: the last byte of any other says nothing but the sign.
    let is_minimal = |number: &[u8]| !matches!(number, [.., _, 0x00 | 0x7f]);
    match bytes {
        _ if is_short_and_local(bytes) => bytes.len(),
        // br, br_if, local.get, local.set, local.tee, i32.const, i64.const
        [0x0c | 0x0d | 0x20..=0x22 | 0x41 | 0x42, number @ ..] if is_minimal(number) => bytes.len(),
        // Loads and stores of the first memory.
        [0x28..=0x3e, 0..0x40, offset @ ..] if is_minimal(offset) => bytes.len(),
        // f32.const, f64.const
        [0x43 | 0x44, ..] => bytes.len(),
        // call_indirect, which has two indices
        [0x11, ..] => 3,
        _ => 2,
    }
}

/// Says which function an error is about, and blames the input where its body was not valid in the first place.
#[cold]
pub(super) fn blame(error: Error, id: FunctionId, function: &Function) -> Error {
    use crate::module::Body;
    if let Body::Lazy(body) = &function.body
        && let Err(invalid) = super::validate::validate_lazy(body)
    {
        return Error::from(invalid).in_function(body.index, function.name.as_deref());
    }
    error.in_function(id.as_u32(), function.name.as_deref())
}
