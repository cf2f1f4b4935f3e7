//! What can be seen of a module from outside, in a form that can be compared between two stores.

use std::fmt;

use wasmtime::{AsContext, Extern, ExternRef, Instance, Memory, Module, Ref, Store, Table, Val};

use super::host::Host;
use crate::engine::values::{HostNumber, display_f32, display_f64, is_impassable};

/// Memories up to this size are compared after each call.
const SMALL_MEMORY: usize = 1 << 20;
/// Elements of a table that are compared.
const TABLE_ELEMENTS: u64 = 4096;
/// How deep fields of structs and elements of arrays are looked at: objects may be cyclic.
const OBJECT_DEPTH: u32 = 3;
/// Elements of an array that are looked at.
const ARRAY_ELEMENTS: u32 = 64;

/// A value as it looks from outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Observed {
    /// A number that is no float, with its type's name.
    Integer(&'static str, i64),
    /// The bits of a float.
    F32(u32),
    /// The bits of a float.
    F64(u64),
    /// The bits of a vector.
    V128(u128),
    /// A null reference.
    Null,
    /// A function; which one cannot be seen.
    Function,
    /// What the host put into it, if it was the host's.
    Extern(Option<u32>),
    /// A number of 31 bits.
    I31(i32),
    /// A struct with its fields, empty where it is too deep.
    Struct(Vec<Observed>),
    /// An array, its length, and the first elements.
    Array(u32, Vec<Observed>),
    /// A reference that can only be seen not to be null.
    Opaque(&'static str),
}

impl Observed {
    /// Looks at a value.
    pub fn of(store: &mut Store<Host>, value: &Val) -> Observed {
        Observed::look(store, value, OBJECT_DEPTH)
    }

    fn look(store: &mut Store<Host>, value: &Val, depth: u32) -> Observed {
        match value {
            Val::I32(value) => Observed::Integer("i32", i64::from(*value)),
            Val::I64(value) => Observed::Integer("i64", *value),
            Val::F32(bits) => Observed::F32(*bits),
            Val::F64(bits) => Observed::F64(*bits),
            Val::V128(value) => Observed::V128(value.as_u128()),
            Val::FuncRef(None) | Val::ExternRef(None) | Val::AnyRef(None) | Val::ExnRef(None) | Val::ContRef(None) => {
                Observed::Null
            }
            Val::FuncRef(Some(_)) => Observed::Function,
            Val::ExternRef(Some(reference)) => Observed::Extern(number_in(store, reference)),
            Val::AnyRef(Some(reference)) => {
                if let Ok(Some(number)) = reference.as_i31(&*store) {
                    return Observed::I31(number.get_i32());
                }
                if let Ok(Some(object)) = reference.as_struct(&*store) {
                    let count = match object.fields(&mut *store) {
                        Ok(fields) if depth > 0 => fields.len(),
                        _ => 0,
                    };
                    let fields = (0..count).filter_map(|index| {
                        let field = object.field(&mut *store, index).ok()?;
                        Some(Observed::look(store, &field, depth - 1))
                    });
                    return Observed::Struct(fields.collect());
                }
                if let Ok(Some(array)) = reference.as_array(&*store) {
                    let length = array.len(&*store).unwrap_or_default();
                    let looked_at = if depth > 0 { length.min(ARRAY_ELEMENTS) } else { 0 };
                    let elements = (0..looked_at).filter_map(|index| {
                        let element = array.get(&mut *store, index).ok()?;
                        Some(Observed::look(store, &element, depth - 1))
                    });
                    return Observed::Array(length, elements.collect());
                }
                Observed::Opaque("anyref")
            }
            Val::ExnRef(Some(_)) => Observed::Opaque("exnref"),
            Val::ContRef(Some(_)) => Observed::Opaque("contref"),
        }
    }

    /// Whether two values are the same, but for the payloads of NaNs.
    pub fn agrees(&self, other: &Observed) -> bool {
        match (self, other) {
            (Observed::F32(a), Observed::F32(b)) => a == b || (is_nan32(*a) && is_nan32(*b)),
            (Observed::F64(a), Observed::F64(b)) => a == b || (is_nan64(*a) && is_nan64(*b)),
            (Observed::V128(a), Observed::V128(b)) => bytes_agree(&a.to_le_bytes(), &b.to_le_bytes()),
            (Observed::Struct(a), Observed::Struct(b)) => all_agree(a, b),
            (Observed::Array(a, elements), Observed::Array(b, others)) => a == b && all_agree(elements, others),
            _ => self == other,
        }
    }
}

/// Whether two lists of values agree one by one.
pub fn all_agree(before: &[Observed], after: &[Observed]) -> bool {
    before.len() == after.len() && before.iter().zip(after).all(|(before, after)| before.agrees(after))
}

/// Whether two payloads of exceptions, as text, agree.
pub fn payloads_agree(before: &[String], after: &[String]) -> bool {
    let is_nan = |text: &str| text.contains(":nan") || text.contains(":-nan");
    before.len() == after.len()
        && before.iter().zip(after).all(|(before, after)| before == after || (is_nan(before) && is_nan(after)))
}

impl fmt::Display for Observed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &[Observed]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        match self {
            Observed::Integer(ty, value) => write!(formatter, "{ty}:{value}"),
            Observed::F32(bits) => write!(formatter, "f32:{}", display_f32(*bits)),
            Observed::F64(bits) => write!(formatter, "f64:{}", display_f64(*bits)),
            Observed::V128(bits) => write!(formatter, "v128:{bits:#034x}"),
            Observed::Null => formatter.write_str("null"),
            Observed::Function => formatter.write_str("a function"),
            Observed::Extern(Some(number)) => write!(formatter, "externref:{number}"),
            Observed::Extern(None) => formatter.write_str("an externref"),
            Observed::I31(number) => write!(formatter, "i31ref:{number}"),
            Observed::Struct(fields) => write!(formatter, "(struct {})", list(fields)),
            Observed::Array(length, elements) => write!(formatter, "(array of {length}: {})", list(elements)),
            Observed::Opaque(ty) => write!(formatter, "a {ty}"),
        }
    }
}

fn number_in(store: &mut Store<Host>, reference: &wasmtime::Rooted<ExternRef>) -> Option<u32> {
    let data = reference.data(&*store).ok()??;
    data.downcast_ref::<HostNumber>().map(|number| number.0)
}

fn is_nan32(bits: u32) -> bool {
    f32::from_bits(bits).is_nan()
}

fn is_nan64(bits: u64) -> bool {
    f64::from_bits(bits).is_nan()
}

/// The bits of an argument for a hash, all NaNs alike; references count by whether they are null.
pub fn bits_without_nan_payload(value: &Val) -> [u64; 2] {
    match value {
        Val::I32(value) => [u64::from(value.cast_unsigned()), 0],
        Val::I64(value) => [value.cast_unsigned(), 0],
        Val::F32(bits) if is_nan32(*bits) => [u64::from(f32::NAN.to_bits()), 0],
        Val::F32(bits) => [u64::from(*bits), 0],
        Val::F64(bits) if is_nan64(*bits) => [f64::NAN.to_bits(), 0],
        Val::F64(bits) => [*bits, 0],
        Val::V128(value) => {
            let bytes = value.as_u128().to_le_bytes();
            let (halves, _) = bytes.as_chunks::<8>();
            halves
                .first()
                .zip(halves.last())
                .map_or([0, 0], |(low, high)| [u64::from_le_bytes(*low), u64::from_le_bytes(*high)])
        }
        Val::FuncRef(reference) => [u64::from(reference.is_some()), 1],
        Val::ExternRef(reference) => [u64::from(reference.is_some()), 2],
        Val::AnyRef(reference) => [u64::from(reference.is_some()), 3],
        Val::ExnRef(reference) => [u64::from(reference.is_some()), 4],
        Val::ContRef(reference) => [u64::from(reference.is_some()), 5],
    }
}

/// Whether bytes are the same, but where both sides hold a NaN, of 32 or of 64 bits, at a multiple of its size.
fn bytes_agree(before: &[u8], after: &[u8]) -> bool {
    before.len() == after.len() && first_disagreement(before, after).is_none()
}

fn first_disagreement(before: &[u8], after: &[u8]) -> Option<usize> {
    if before == after {
        return None;
    }
    let (before_words, before_rest) = before.as_chunks::<8>();
    let (after_words, after_rest) = after.as_chunks::<8>();
    for (index, (before, after)) in before_words.iter().zip(after_words).enumerate() {
        if before == after || (is_nan64(u64::from_le_bytes(*before)) && is_nan64(u64::from_le_bytes(*after))) {
            continue;
        }
        let (before_halves, _) = before.as_chunks::<4>();
        let (after_halves, _) = after.as_chunks::<4>();
        for (half, (before, after)) in before_halves.iter().zip(after_halves).enumerate() {
            let same =
                before == after || (is_nan32(u32::from_le_bytes(*before)) && is_nan32(u32::from_le_bytes(*after)));
            if !same {
                return Some(index * 8 + half * 4);
            }
        }
    }
    let rest = before_words.len().min(after_words.len()) * 8;
    (before_rest != after_rest || before.len() != after.len()).then_some(rest)
}

/// A version of a module whose exports are to be looked at.
pub struct State<'s> {
    /// Its store.
    pub store: &'s mut Store<Host>,
    /// Its instance.
    pub instance: Instance,
}

/// The first exported global, table or memory in which two versions differ: what it is, and what it holds on either side.
pub fn first_difference_of_state(
    mut before: State<'_>,
    mut after: State<'_>,
    module: &Module,
    big_memories: bool,
) -> Option<(String, String, String)> {
    for export in module.exports() {
        let name = export.name();
        let (Some(first), second) = (before.export(name), after.export(name)) else { continue };
        let difference = match (first, second) {
            (Extern::Func(_), Some(Extern::Func(_))) | (Extern::Tag(_), Some(Extern::Tag(_))) => None,
            // The contents of shared memories cannot be read safely; what other threads do to them is not ours to compare.
            (Extern::SharedMemory(_), Some(Extern::SharedMemory(_))) => None,
            (Extern::Global(first), Some(Extern::Global(_)))
                if is_impassable(first.ty(before.store.as_context()).content()) =>
            {
                None
            }
            (Extern::Global(first), Some(Extern::Global(second))) => {
                let first = first.get(&mut *before.store);
                let first = Observed::of(before.store, &first);
                let second = second.get(&mut *after.store);
                let second = Observed::of(after.store, &second);
                (!first.agrees(&second)).then(|| (format!("global '{name}'"), first.to_string(), second.to_string()))
            }
            (Extern::Table(first), Some(Extern::Table(second))) => {
                table_difference(&mut before, &mut after, first, second)
                    .map(|(place, first, second)| (format!("table '{name}'{place}"), first, second))
            }
            (Extern::Memory(first), Some(Extern::Memory(second))) => {
                memory_difference(&before, &after, first, second, big_memories)
                    .map(|(place, first, second)| (format!("memory '{name}'{place}"), first, second))
            }
            (_, Some(_)) => Some((format!("export '{name}'"), "one kind".to_string(), "another kind".to_string())),
            (_, None) => Some((format!("export '{name}'"), "exported".to_string(), "missing".to_string())),
        };
        if difference.is_some() {
            return difference;
        }
    }
    None
}

impl State<'_> {
    fn export(&mut self, name: &str) -> Option<Extern> {
        self.instance.get_export(&mut *self.store, name)
    }

    fn element(&mut self, table: Table, index: u64) -> Option<Observed> {
        let value = match table.get(&mut *self.store, index)? {
            Ref::Func(reference) => Val::FuncRef(reference),
            Ref::Extern(reference) => Val::ExternRef(reference),
            Ref::Any(reference) => Val::AnyRef(reference),
            Ref::Exn(reference) => Val::ExnRef(reference),
        };
        Some(Observed::of(self.store, &value))
    }
}

fn table_difference(
    before: &mut State<'_>,
    after: &mut State<'_>,
    first: Table,
    second: Table,
) -> Option<(String, String, String)> {
    let sizes = (first.size(before.store.as_context()), second.size(after.store.as_context()));
    if sizes.0 != sizes.1 {
        return Some((String::new(), format!("{} elements", sizes.0), format!("{} elements", sizes.1)));
    }
    // Elements that are continuations are nothing that the engine's interface could show.
    if first.ty(before.store.as_context()).element().heap_type().top().is_cont() {
        return None;
    }
    for index in 0..sizes.0.min(TABLE_ELEMENTS) {
        let (first, second) = (before.element(first, index)?, after.element(second, index)?);
        if !first.agrees(&second) {
            return Some((format!(" at {index}"), first.to_string(), second.to_string()));
        }
    }
    None
}

fn memory_difference(
    before: &State<'_>,
    after: &State<'_>,
    first: Memory,
    second: Memory,
    big_memories: bool,
) -> Option<(String, String, String)> {
    let (first, second) = (first.data(before.store.as_context()), second.data(after.store.as_context()));
    if first.len() != second.len() {
        return Some((String::new(), format!("{} bytes", first.len()), format!("{} bytes", second.len())));
    }
    if first.len() > SMALL_MEMORY && !big_memories {
        return None;
    }
    let address = first_disagreement(first, second)?;
    let show =
        |data: &[u8]| data.iter().skip(address).take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    Some((format!(" at {address:#x}"), show(first), show(second)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nans_agree_whatever_their_payload() {
        assert!(Observed::F32(0x7fc0_0000).agrees(&Observed::F32(0xffc0_0001)));
        assert!(Observed::F64(f64::NAN.to_bits()).agrees(&Observed::F64(f64::NAN.to_bits() | 5)));
        assert!(!Observed::F32(0).agrees(&Observed::F32(1 << 31)));
        assert!(!Observed::F32(f32::NAN.to_bits()).agrees(&Observed::F32(0)));
    }

    #[test]
    fn bytes_disagree_where_they_differ_and_are_no_nan() {
        let mut before = [0_u8; 21];
        let mut after = before;
        before[8..16].copy_from_slice(&f64::NAN.to_le_bytes());
        after[8..16].copy_from_slice(&(f64::NAN.to_bits() | 7).to_le_bytes());
        assert_eq!(first_disagreement(&before, &after), None);
        after[20] = 1;
        assert_eq!(first_disagreement(&before, &after), Some(16));
        after[5] = 1;
        assert_eq!(first_disagreement(&before, &after), Some(4));
        assert_eq!(first_disagreement(&before[..8], &before[..9]), Some(8));
    }
}
