//! Custom sections that speak of offsets in the code: DWARF, and the link to a source map. Where the code moves, they are wrong.

use wasmfx_ir::wasmparser::BinaryReader;

/// Whether a custom section of this name speaks of offsets in the code.
pub(crate) fn is_debug_section(name: &str) -> bool {
    name.starts_with(".debug_") || name == "sourceMappingURL"
}

/// A section of a valid module.
struct Section<'m> {
    id: u8,
    contents: &'m [u8],
    /// Id and size included.
    all: &'m [u8],
}

impl Section<'_> {
    const CUSTOM: u8 = 0;
    const CODE: u8 = 10;

    fn is_debug(&self) -> bool {
        self.id == Self::CUSTOM && BinaryReader::new(self.contents, 0).read_string().is_ok_and(is_debug_section)
    }
}

/// The length of the preamble.
const PREAMBLE: usize = 8;

fn sections(module: &[u8]) -> impl Iterator<Item = Section<'_>> {
    let mut rest = module.get(PREAMBLE..).unwrap_or_default();
    std::iter::from_fn(move || {
        let mut reader = BinaryReader::new(rest, 0);
        let id = reader.read_u8().ok()?;
        let size = reader.read_var_u32().ok()?;
        let contents = reader.read_bytes(size as usize).ok()?;
        let (all, after) = rest.split_at(rest.len() - reader.bytes_remaining());
        rest = after;
        Some(Section { id, contents, all })
    })
}

fn code(module: &[u8]) -> Option<&[u8]> {
    sections(module).find(|section| section.id == Section::CODE).map(|section| section.contents)
}

/// Leaves the sections that speak of the code of `input` out of `output`, whose code is another. [`None`] if there is nothing to leave out.
pub(crate) fn without_stale(input: &[u8], output: &[u8]) -> Option<Vec<u8>> {
    if !sections(output).any(|section| section.is_debug()) || code(input) == code(output) {
        return None;
    }
    let mut kept = output[..PREAMBLE].to_vec();
    sections(output).filter(|section| !section.is_debug()).for_each(|section| kept.extend_from_slice(section.all));
    Some(kept)
}
