//! Values from text and as text.

use anyhow::{Context, Result, bail};
use wasmtime::{AsContextMut, ExternRef, FuncType, HeapType, Ref, Rooted, Store, V128, Val, ValType};
use wast::core::{V128Const, WastArgCore};
use wast::parser::{Parse, ParseBuffer, Parser};

use crate::validate::syntax_message;

/// A number that the host put into an `externref`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostNumber(pub u32);

/// Reads a value of a given type. Numbers are written as in the text format: `-1`, `0xff`, `1.5e3`, `0x1.8p4`, `inf`,
/// `nan:0x400000`; vectors with their shape: `i32x4 1 2 3 4`; references: `null`, and a number for what the host or i31 holds.
///
/// # Errors
/// If the text is not a value of the type, or the type is one that text cannot express.
pub fn parse_value<T: 'static>(store: &mut Store<T>, text: &str, ty: &ValType) -> Result<Val> {
    let number = |instruction: &str| {
        parse_constant(instruction, text).with_context(|| format!("'{text}' is not a value of type {ty}"))
    };
    Ok(match ty {
        ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 | ValType::V128 => {
            number_from(&number(&format!("{ty}.const"))?).context("a number")?
        }
        ValType::Ref(reference) => {
            let heap = reference.heap_type();
            if text == "null" {
                if !reference.is_nullable() {
                    bail!("a value of type {ty} cannot be null");
                }
                return Ok(null_of(heap));
            }
            match heap {
                HeapType::Extern => {
                    let number: u32 = text
                        .parse()
                        .with_context(|| format!("'{text}' is not a value of type {ty}: null or a number"))?;
                    Val::ExternRef(Some(host_reference(store, number)?))
                }
                HeapType::I31 | HeapType::Eq | HeapType::Any => {
                    let number: i32 = text.parse().with_context(|| {
                        format!("'{text}' is not a value of type {ty}: null or a number of 31 bits")
                    })?;
                    let Some(number) = wasmtime::I31::new_i32(number) else {
                        bail!("'{text}' does not fit into 31 bits");
                    };
                    Val::AnyRef(Some(wasmtime::AnyRef::from_i31(&mut *store, number)))
                }
                _ if reference.is_nullable() => {
                    bail!("'{text}': the only value of type {ty} that can be written is null")
                }
                _ => bail!("a value of type {ty} cannot be given on a command line"),
            }
        }
    })
}

struct Constant<'a>(WastArgCore<'a>);

impl<'a> Parse<'a> for Constant<'a> {
    fn parse(parser: Parser<'a>) -> wast::parser::Result<Self> {
        Ok(Constant(parser.parens(|parser| parser.parse())?))
    }
}

fn parse_constant(instruction: &str, text: &str) -> Result<WastArgCore<'static>> {
    let source = format!("({instruction} {text})");
    let describe = |error: wast::Error| anyhow::anyhow!("{}", syntax_message(&error));
    let buffer = ParseBuffer::new(&source).map_err(describe)?;
    let Constant(constant) = wast::parser::parse::<Constant<'_>>(&buffer).map_err(describe)?;
    Ok(match constant {
        WastArgCore::I32(value) => WastArgCore::I32(value),
        WastArgCore::I64(value) => WastArgCore::I64(value),
        WastArgCore::F32(value) => WastArgCore::F32(value),
        WastArgCore::F64(value) => WastArgCore::F64(value),
        WastArgCore::V128(value) => WastArgCore::V128(value),
        WastArgCore::RefNull(_) | WastArgCore::RefExtern(_) | WastArgCore::RefHost(_) => bail!("not a number"),
    })
}

/// The number in a constant of the script or text format; `None` for references.
pub fn number_from(constant: &WastArgCore<'_>) -> Option<Val> {
    Some(match constant {
        WastArgCore::I32(value) => Val::I32(*value),
        WastArgCore::I64(value) => Val::I64(*value),
        WastArgCore::F32(value) => Val::F32(value.bits),
        WastArgCore::F64(value) => Val::F64(value.bits),
        WastArgCore::V128(value) => Val::V128(vector_from(value)),
        WastArgCore::RefNull(_) | WastArgCore::RefExtern(_) | WastArgCore::RefHost(_) => return None,
    })
}

fn vector_from(constant: &V128Const) -> V128 {
    V128::from(u128::from_le_bytes(constant.to_le_bytes()))
}

/// The null of a heap type's hierarchy.
pub fn null_of(heap: &HeapType) -> Val {
    match heap.top() {
        HeapType::Func => Val::FuncRef(None),
        HeapType::Extern => Val::ExternRef(None),
        HeapType::Exn => Val::ExnRef(None),
        HeapType::Cont => Val::ContRef(None),
        _ => Val::AnyRef(None),
    }
}

/// The null of a heap type's hierarchy as a reference; `None` for continuations, which the engine's interface has no values of.
pub fn null_reference_of(heap: &HeapType) -> Option<Ref> {
    Some(match heap.top() {
        HeapType::Func => Ref::Func(None),
        HeapType::Extern => Ref::Extern(None),
        HeapType::Exn => Ref::Exn(None),
        HeapType::Cont => return None,
        _ => Ref::Any(None),
    })
}

/// A number of things in words: `1 argument`, `2 arguments`.
pub fn counted(count: usize, thing: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{ending}")
}

/// Whether the engine cannot pass values of this type between a module and its host: its interface panics where one is a continuation.
pub fn is_impassable(ty: &ValType) -> bool {
    matches!(ty, ValType::Ref(reference) if reference.heap_type().top().is_cont())
}

/// Refuses a function whose values the engine cannot pass to its host or take from it.
///
/// # Errors
/// If a parameter or result is a continuation.
pub fn refuse_impassable(name: &str, ty: &FuncType) -> Result<()> {
    if ty.params().chain(ty.results()).any(|ty| is_impassable(&ty)) {
        bail!("'{name}' takes or gives a continuation, which the engine cannot pass between a module and its host");
    }
    Ok(())
}

/// An `externref` that holds a number.
///
/// # Errors
/// If there is no memory for it.
pub fn host_reference(store: impl AsContextMut, number: u32) -> Result<Rooted<ExternRef>> {
    ExternRef::new(store, HostNumber(number)).map_err(super::engine_error)
}

/// The number that an `externref` of ours holds.
pub fn host_number<T: 'static>(store: &Store<T>, reference: &Rooted<ExternRef>) -> Option<u32> {
    let data = reference.data(store).ok()??;
    data.downcast_ref::<HostNumber>().map(|number| number.0)
}

/// A value with its type, `TYPE:VALUE`, in a form that [`parse_value`] reads back where it can be written at all.
pub fn display_value<T: 'static>(store: &mut Store<T>, value: &Val) -> String {
    match value {
        Val::I32(value) => format!("i32:{value}"),
        Val::I64(value) => format!("i64:{value}"),
        Val::F32(bits) => format!("f32:{}", display_f32(*bits)),
        Val::F64(bits) => format!("f64:{}", display_f64(*bits)),
        Val::V128(value) => {
            let bytes = value.as_u128().to_le_bytes();
            let lanes: Vec<String> = bytes
                .chunks_exact(4)
                .map(|lane| format!("{:#010x}", u32::from_le_bytes([lane[0], lane[1], lane[2], lane[3]])))
                .collect();
            format!("v128:i32x4 {}", lanes.join(" "))
        }
        Val::FuncRef(None) => "funcref:null".to_string(),
        Val::FuncRef(Some(_)) => "funcref:function".to_string(),
        Val::ExternRef(None) => "externref:null".to_string(),
        Val::ExternRef(Some(reference)) => match host_number(store, reference) {
            Some(number) => format!("externref:{number}"),
            None => "externref:object".to_string(),
        },
        Val::AnyRef(None) => "anyref:null".to_string(),
        Val::AnyRef(Some(reference)) => {
            if let Ok(Some(number)) = reference.as_i31(&*store) {
                format!("i31ref:{}", number.get_i32())
            } else if let Ok(Some(array)) = reference.as_array(&*store) {
                array
                    .len(&*store)
                    .map_or_else(|_| "arrayref:array".to_string(), |length| format!("arrayref:array of {length}"))
            } else if reference.is_struct(&*store).unwrap_or(false) {
                "structref:struct".to_string()
            } else {
                "anyref:object".to_string()
            }
        }
        Val::ExnRef(None) => "exnref:null".to_string(),
        Val::ExnRef(Some(_)) => "exnref:exception".to_string(),
        Val::ContRef(None) => "contref:null".to_string(),
        Val::ContRef(Some(_)) => "contref:continuation".to_string(),
    }
}

/// A float as the text format writes it: the shortest digits that read back the same, and the payload of a NaN.
pub fn display_f32(bits: u32) -> String {
    let value = f32::from_bits(bits);
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if value.is_nan() {
        return match bits & 0x7f_ffff {
            0x40_0000 => format!("{sign}nan"),
            payload => format!("{sign}nan:{payload:#x}"),
        };
    }
    if value.is_infinite() { format!("{sign}inf") } else { format!("{value:?}") }
}

/// As [`display_f32`], for 64 bits.
pub fn display_f64(bits: u64) -> String {
    let value = f64::from_bits(bits);
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if value.is_nan() {
        return match bits & 0xf_ffff_ffff_ffff {
            0x8_0000_0000_0000 => format!("{sign}nan"),
            payload => format!("{sign}nan:{payload:#x}"),
        };
    }
    if value.is_infinite() { format!("{sign}inf") } else { format!("{value:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineOptions;

    fn store() -> Store<()> {
        Store::new(&EngineOptions::default().build().unwrap(), ())
    }

    #[test]
    fn what_is_printed_reads_back_the_same() {
        let mut store = store();
        let cases = [
            (ValType::I32, "-1"),
            (ValType::I64, "-9223372036854775808"),
            (ValType::F32, "0.1"),
            (ValType::F32, "-nan:0x200000"),
            (ValType::F64, "-inf"),
            (ValType::F64, "-0.0"),
            (ValType::F64, "nan"),
            (ValType::F64, "1e300"),
            (ValType::V128, "i32x4 0x00000001 0x00000002 0x00000003 0xffffffff"),
            (ValType::EXTERNREF, "7"),
            (ValType::EXTERNREF, "null"),
            (ValType::I31REF, "-5"),
        ];
        for (ty, text) in cases {
            let value = parse_value(&mut store, text, &ty).unwrap();
            let shown = display_value(&mut store, &value);
            assert_eq!(shown.split_once(':').unwrap().1, text, "{ty}");
        }
    }

    #[test]
    fn numbers_are_written_as_in_the_text_format() {
        let mut store = store();
        let mut parse = |text: &str, ty: ValType| parse_value(&mut store, text, &ty).unwrap();
        assert_eq!(parse("4294967295", ValType::I32).unwrap_i32(), -1);
        assert_eq!(parse("0xff", ValType::I32).unwrap_i32(), 255);
        assert_eq!(parse("1_000", ValType::I64).unwrap_i64(), 1000);
        assert_eq!(parse("0x1.8p1", ValType::F64).unwrap_f64(), 3.0);
        assert_eq!(parse("i8x16 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0", ValType::V128).unwrap_v128().as_u128(), 1);
    }

    #[test]
    fn a_value_of_the_wrong_type_is_an_error() {
        let mut store = store();
        let mut error = |text: &str, ty: ValType| format!("{:#}", parse_value(&mut store, text, &ty).unwrap_err());
        assert!(error("1.5", ValType::I32).contains("'1.5' is not a value of type i32"));
        assert!(error("4294967296", ValType::I32).contains("i32"));
        assert!(error("1) (i32.const 2", ValType::I32).contains("i32"));
        assert!(error("", ValType::F64).contains("f64"));
        assert!(error("2000000000", ValType::I31REF).contains("31 bits"));
        assert!(error("f", ValType::FUNCREF).contains("null"));
    }
}
