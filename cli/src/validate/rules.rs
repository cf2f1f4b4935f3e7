//! The rules of the stack-switching proposal in words, for diagnostics.

const CONT_NEW: &str = "cont.new $ct takes (ref null $ft), where $ct is a continuation type over the function type $ft, and gives (ref $ct)";
const CONT_BIND: &str = "cont.bind $ct1 $ct2 takes the leading parameters of $ct1 that $ct2 lacks, then (ref null $ct1), and gives (ref $ct2): \
     $ct2's parameters must be the trailing ones of $ct1, and both must have the same results";
const SUSPEND: &str = "suspend $tag takes the tag's parameters and gives the tag's results";
const RESUME: &str =
    "resume $ct takes $ct's parameters, then (ref null $ct), and gives $ct's results, where $ct is a continuation type";
const RESUME_THROW: &str = "resume_throw $ct $exception takes the exception tag's parameters, then (ref null $ct), and gives $ct's results; \
     the exception tag must have no results";
const RESUME_THROW_REF: &str = "resume_throw_ref $ct takes (ref null exn), then (ref null $ct), and gives $ct's results, where $ct is a continuation type";
/// Of a clause that leads to a label.
pub const HANDLER: &str = "the label of (on $tag $label) must take the tag's parameters followed by a reference to a continuation whose function type \
     takes the tag's results and gives the results of the continuation that is resumed";
/// Of a clause for switches.
pub const SWITCH_HANDLER: &str = "the tag of (on $tag switch) must have no parameters, and its results must be the results of the continuation that is resumed";
const SWITCH: &str = "switch $ct1 $tag takes $ct1's parameters without the last, then (ref null $ct1), and gives $ct2's parameters, \
     where $ct1's last parameter is a reference to the continuation type $ct2; the tag must have no parameters, and its results must be the results of both $ct1 and $ct2";
const CONT_TYPE: &str =
    "a continuation type (cont $ft) must name a function type, defined before it or in the same recursion group";

const CASTS: &str = "a continuation has no type at run time: ref.test, ref.cast, br_on_cast and br_on_cast_fail take no references to continuations";
/// Of values, and references between continuations' types.
pub const SUBTYPES_OF_CONTINUATIONS: &str = "the types of continuations are a hierarchy of their own, from nocont at the bottom to cont at the top; \
     a continuation type is a subtype of another one only where its definition says so, and what may be null is no subtype of what may not";
/// Of a continuation type's definition that names a supertype.
pub const DECLARED_SUPERTYPE: &str = "the supertype of a continuation type must be a continuation type whose function type is the same one, \
     or one that the definition of the subtype's function type declares as its supertype";

/// The opcode of `resume_throw_ref`, which was that of `switch` before `resume_throw_ref` existed.
pub const OPCODE_OF_OLD_SWITCH: u8 = 0xe5;

/// The rule that an instruction breaks, by its opcode (what follows an opcode may be what cannot be read) and what is said of it.
pub fn of_instruction(opcode: u8, message: &str) -> Option<&'static str> {
    if message.starts_with("invalid cast") && message.contains("continuation") {
        return Some(CASTS);
    }
    // Nothing that the proposal says about types explains a reference to what does not exist.
    if message.starts_with("unknown ") {
        return None;
    }
    match opcode {
        0xe0 => Some(CONT_NEW),
        0xe1 => Some(CONT_BIND),
        0xe2 => Some(SUSPEND),
        0xe3 => Some(RESUME),
        0xe4 => Some(RESUME_THROW),
        OPCODE_OF_OLD_SWITCH => Some(RESUME_THROW_REF),
        0xe6 => Some(SWITCH),
        _ => None,
    }
}

/// Whether what wasmparser says of a resume is about one of its clauses, and not about its operands or its type.
pub fn is_about_handlers(message: &str) -> bool {
    match message {
        "non-continuation type" => true,
        _ => message.starts_with("type mismatch") && !message.starts_with("type mismatch: expected"),
    }
}

/// What wasmparser says of a continuation type over something else than a function type. The number that follows is an internal one.
const NON_FUNCTION_TYPE: &str = "non-function type";

/// A better message, and the rule that governs, for an error in a continuation type's definition.
pub fn of_continuation_type(message: &str) -> Option<(&'static str, &'static str)> {
    message
        .starts_with(NON_FUNCTION_TYPE)
        .then_some(("a continuation type is defined over a type that is no function type", CONT_TYPE))
}

/// Whether what wasmparser says is that a type does not match the supertype that its definition names.
pub fn is_about_a_supertype(message: &str) -> bool {
    message == "sub type must match super type"
}
