//! The custom section `target_features` (tool conventions, "Target Features Section"): what a module uses, and what it must not be linked with.

use indexmap::IndexMap;
use std::borrow::Cow;
use wasm_encoder::Encode;
use wasmfx_ir::wasmparser::BinaryReader;

/// The name of the section.
pub const SECTION: &str = "target_features";

/// The prefix of a feature that is used.
pub const USED: u8 = b'+';

/// Features by name, with their prefixes.
pub type Features<'a> = IndexMap<Cow<'a, str>, u8>;

/// Reads the contents of the section; `None` if they are malformed.
pub fn read(data: &[u8]) -> Option<Features<'_>> {
    let mut reader = BinaryReader::new(data, 0);
    let mut features = Features::new();
    for _ in 0..reader.read_var_u32().ok()? {
        let prefix = reader.read_u8().ok()?;
        features.insert(Cow::Borrowed(reader.read_string().ok()?), prefix);
    }
    Some(features)
}

/// Writes the contents of the section.
pub fn write(features: &Features<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    features.len().encode(&mut bytes);
    for (name, &prefix) in features {
        bytes.push(prefix);
        name.encode(&mut bytes);
    }
    bytes
}
