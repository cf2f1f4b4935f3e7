//! How the text format spells operators.

use crate::opcode::Opcode;
use std::sync::LazyLock;

impl Opcode {
    /// The name of the operator in the text format, without its immediates: `i32.add`, `call_indirect`, `cont.new`.
    pub fn name(self) -> &'static str {
        static NAMES: LazyLock<Vec<String>> =
            LazyLock::new(|| Opcode::ALL.iter().map(|&opcode| spell(opcode)).collect());
        &NAMES[self as usize]
    }
}

/// The first parts of names that the text format separates by a dot.
const NAMESPACES: [&str; 24] = [
    "i32", "i64", "f32", "f64", "v128", "i8x16", "i16x8", "i32x4", "i64x2", "f32x4", "f64x2", "local", "global",
    "memory", "table", "data", "elem", "ref", "struct", "array", "i31", "any", "extern", "cont",
];

fn spell(opcode: Opcode) -> String {
    // Operators that share a name in the text format because an immediate tells them apart.
    match opcode {
        Opcode::TypedSelect | Opcode::TypedSelectMulti => return "select".into(),
        Opcode::RefTestNonNull | Opcode::RefTestNullable => return "ref.test".into(),
        Opcode::RefCastNonNull | Opcode::RefCastNullable => return "ref.cast".into(),
        Opcode::RefCastDescEqNonNull | Opcode::RefCastDescEqNullable => return "ref.cast_desc_eq".into(),
        Opcode::AtomicFence => return "atomic.fence".into(),
        _ => {}
    }
    let name = opcode.visitor_name().strip_prefix("visit_").expect("every visitor method is named visit_*");
    let Some((namespace, rest)) = name.split_once('_').filter(|(namespace, _)| NAMESPACES.contains(namespace)) else {
        return name.into();
    };
    match rest.strip_prefix("atomic_") {
        None => format!("{namespace}.{rest}"),
        Some(rest) => match rest.split_once('_').filter(|(rmw, _)| rmw.starts_with("rmw")) {
            None => format!("{namespace}.atomic.{rest}"),
            Some((rmw, rest)) => format!("{namespace}.atomic.{rmw}.{rest}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled_as_in_the_text_format() {
        for (opcode, name) in [
            (Opcode::I32Add, "i32.add"),
            (Opcode::I32TruncSatF32S, "i32.trunc_sat_f32_s"),
            (Opcode::BrOnCastFail, "br_on_cast_fail"),
            (Opcode::ReturnCallRef, "return_call_ref"),
            (Opcode::MemoryAtomicWait32, "memory.atomic.wait32"),
            (Opcode::I64AtomicRmw8CmpxchgU, "i64.atomic.rmw8.cmpxchg_u"),
            (Opcode::I32AtomicLoad8U, "i32.atomic.load8_u"),
            (Opcode::StructAtomicRmwXchg, "struct.atomic.rmw.xchg"),
            (Opcode::ContNew, "cont.new"),
            (Opcode::ResumeThrowRef, "resume_throw_ref"),
            (Opcode::I31GetU, "i31.get_u"),
            (Opcode::I8x16RelaxedSwizzle, "i8x16.relaxed_swizzle"),
            (Opcode::I64MulWideS, "i64.mul_wide_s"),
            (Opcode::ExternConvertAny, "extern.convert_any"),
            (Opcode::V128Load32Zero, "v128.load32_zero"),
            (Opcode::AtomicFence, "atomic.fence"),
        ] {
            assert_eq!(opcode.name(), name);
        }
    }

    /// The printer of the text format spells names on its own; a body made of the operator alone is enough to hear it.
    #[test]
    fn names_agree_with_the_printer() {
        for &opcode in Opcode::ALL {
            if opcode.visitor_name().starts_with("visit_i") || opcode.visitor_name().starts_with("visit_f") {
                let Some(operator) = opcode.without_immediates() else { continue };
                // `wat` knows exactly the spellings of the format.
                let text = format!("(module (func unreachable {} unreachable))", opcode.name());
                if !matches!(operator, wasmparser::Operator::If { .. }) {
                    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"));
                }
            }
        }
    }
}
