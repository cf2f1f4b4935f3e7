//! The rules of the stack-switching proposal in words, for diagnostics.

const CONT_NEW: &str = "cont.new $ct takes (ref null $ft), where $ct is a continuation type over the function type $ft, and gives (ref $ct)";
const CONT_BIND: &str = "cont.bind $ct1 $ct2 takes the leading parameters of $ct1 that $ct2 lacks, then (ref null $ct1), and gives (ref $ct2): \
     $ct2's parameters must be the trailing ones of $ct1, and both must have the same results";
const SUSPEND: &str = "suspend $tag takes the tag's parameters and gives the tag's results";
const RESUME: &str = "resume $ct takes $ct's parameters, then (ref null $ct), and gives $ct's results; \
     the label of (on $tag $label) must take the tag's parameters followed by a reference to a continuation whose function type \
     takes the tag's results and gives $ct's results; the tag of (on $tag switch) must have no parameters, and its results must be $ct's results";
const RESUME_THROW: &str = "resume_throw $ct $exception takes the exception tag's parameters, then (ref null $ct), and gives $ct's results; \
     the exception tag must have no results, and the handlers obey the rules of resume";
const RESUME_THROW_REF: &str = "resume_throw_ref $ct takes (ref null exn), then (ref null $ct), and gives $ct's results; the handlers obey the rules of resume";
const SWITCH: &str = "switch $ct1 $tag takes $ct1's parameters without the last, then (ref null $ct1), and gives $ct2's parameters, \
     where $ct1's last parameter is a reference to the continuation type $ct2; the tag must have no parameters, and its results must be the results of both $ct1 and $ct2";
const CONT_TYPE: &str =
    "a continuation type (cont $ft) must name a function type, defined before it or in the same recursion group";

/// The opcode of `resume_throw_ref`, which was that of `switch` before `resume_throw_ref` existed.
pub const OPCODE_OF_OLD_SWITCH: u8 = 0xe5;

/// The rule that governs an instruction of the proposal, by its opcode: what follows an opcode may be what cannot be read.
pub fn of_opcode(opcode: u8) -> Option<&'static str> {
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

/// What wasmparser says of a continuation type over something else than a function type. The number that follows is an internal one.
const NON_FUNCTION_TYPE: &str = "non-function type";

/// A better message, and the rule that governs, for an error in a continuation type's definition.
pub fn of_continuation_type(message: &str) -> Option<(&'static str, &'static str)> {
    message
        .starts_with(NON_FUNCTION_TYPE)
        .then_some(("a continuation type is defined over a type that is no function type", CONT_TYPE))
}
