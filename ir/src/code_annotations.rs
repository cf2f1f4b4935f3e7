//! Custom sections that say something of functions, or of places in their code, by number: `metadata.code.*` (code metadata framework of the
//! WebAssembly tool conventions) and Binaryen's annotations, which have the same form. Branch hints are apart, as they are known to the IR.
//!
//! What they mean is not known here. So what is said of a function stays with it, whatever becomes of its body, which does the same as before;
//! and what is said of a place in a body stays only if the body comes out byte for byte as it went in.

use crate::module::FunctionId;
use wasm_encoder::Encode;
use wasmparser::BinaryReader;

/// What a section says of one function.
#[derive(Clone, Debug)]
pub struct FunctionAnnotations {
    /// The function.
    pub function: FunctionId,
    /// The annotations, by ascending offset.
    pub annotations: Vec<Annotation>,
}

/// An annotation of a function or of a place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// The offset from the start of the body; 0 is the function itself.
    pub offset: u32,
    /// What is said, in a form of the section's own.
    pub data: Box<[u8]>,
}

/// Whether sections of this name have the form that is read here.
pub(crate) fn is_name(name: &str) -> bool {
    name.starts_with("metadata.code.") || name.starts_with("binaryen.")
}

/// Reads all that a section says; `None` if it does not have the form.
pub(crate) fn read(data: &[u8]) -> Option<Vec<FunctionAnnotations>> {
    let mut reader = BinaryReader::new(data, 0);
    let functions = read_functions(&mut reader).ok()?;
    reader.eof().then_some(functions)
}

fn read_functions(reader: &mut BinaryReader<'_>) -> wasmparser::Result<Vec<FunctionAnnotations>> {
    let mut functions = Vec::new();
    for _ in 0..reader.read_var_u32()? {
        let function = FunctionId::from_u32(reader.read_var_u32()?);
        let mut annotations = Vec::new();
        for _ in 0..reader.read_var_u32()? {
            let offset = reader.read_var_u32()?;
            let length = reader.read_var_u32()?;
            annotations.push(Annotation { offset, data: reader.read_bytes(length as usize)?.into() });
        }
        functions.push(FunctionAnnotations { function, annotations });
    }
    Ok(functions)
}

/// The contents of a section that says what still holds, or nothing if nothing does. `index` gives a function's new index, if there still is one, and
/// `is_unchanged` says whether the body of a function is what it was.
pub(crate) fn write(
    functions: &[FunctionAnnotations],
    index: impl Fn(FunctionId) -> Option<u32>,
    is_unchanged: impl Fn(FunctionId) -> bool,
) -> Option<Vec<u8>> {
    let mut written: Vec<(u32, Vec<&Annotation>)> = Vec::new();
    for FunctionAnnotations { function, annotations } in functions {
        let Some(index) = index(*function) else { continue };
        let all = is_unchanged(*function);
        let kept: Vec<&Annotation> = annotations.iter().filter(|annotation| all || annotation.offset == 0).collect();
        if !kept.is_empty() {
            written.push((index, kept));
        }
    }
    // Several functions may have become one.
    written.sort_by_key(|&(index, _)| index);
    written.dedup_by(|(index, more), (before, kept)| {
        let is_same = index == before;
        if is_same {
            kept.append(more);
            kept.sort_by_key(|annotation| annotation.offset);
            kept.dedup();
        }
        is_same
    });
    let mut bytes = Vec::new();
    written.len().encode(&mut bytes);
    for (index, annotations) in &written {
        index.encode(&mut bytes);
        annotations.len().encode(&mut bytes);
        for annotation in annotations {
            annotation.offset.encode(&mut bytes);
            annotation.data[..].encode(&mut bytes);
        }
    }
    // A section that never said anything is no different from what it was.
    (!written.is_empty() || functions.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of function 1 itself, of a place in function 2, and of function 3 itself.
    const SECTION: &[u8] = &[3, 1, 1, 0, 0, 2, 1, 5, 1, 7, 3, 1, 0, 2, 8, 9];

    #[test]
    fn what_is_said_of_unchanged_functions_is_written_as_it_was_read() {
        let functions = read(SECTION).unwrap();
        let written = write(&functions, |function| Some(function.as_u32()), |_| true);
        assert_eq!(written.as_deref(), Some(SECTION));
        assert_eq!(write(&[], |_| None, |_| false), Some(vec![0]));
    }

    #[test]
    fn what_is_said_of_functions_follows_them_and_what_is_said_of_places_goes() {
        let functions = read(SECTION).unwrap();
        let swapped = |function: FunctionId| Some(4 - function.as_u32());
        assert_eq!(write(&functions, swapped, |_| false).as_deref(), Some(&[2, 1, 1, 0, 2, 8, 9, 3, 1, 0, 0][..]));
        let only_two = |function: FunctionId| (function.as_u32() == 2).then_some(0);
        assert_eq!(write(&functions, only_two, |_| false), None);
    }

    #[test]
    fn functions_that_became_one_have_the_annotations_of_all() {
        let functions = read(&[2, 1, 1, 0, 0, 2, 2, 0, 0, 0, 1, 7]).unwrap();
        assert_eq!(write(&functions, |_| Some(0), |_| false).as_deref(), Some(&[1, 0, 2, 0, 0, 0, 1, 7][..]));
    }

    #[test]
    fn what_is_no_such_section_is_refused() {
        for data in [&[][..], &[1], &[1, 0, 1, 0, 5, 1], &[0, 0]] {
            assert!(read(data).is_none(), "{data:?}");
        }
    }
}
