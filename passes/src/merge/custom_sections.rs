//! Custom sections: all are kept, and those that may be there once only are united.

use crate::target_features;
use indexmap::IndexMap;
use wasm_encoder::{Encode, ProducersField, ProducersSection};
use wasmfx_ir::module::{CustomContents, CustomSection};
use wasmfx_ir::wasmparser::{BinaryReader, ProducersSectionReader};

/// Adds the custom sections of another input.
pub(super) fn append(all: &mut Vec<CustomSection>, more: Vec<CustomSection>) {
    for section in more {
        let same_name = all.iter_mut().find(|other| other.name == section.name);
        let united = same_name.and_then(|other| {
            other.contents = unite(&section.name, &other.contents, &section.contents)?;
            Some(())
        });
        if united.is_none() {
            all.push(section);
        }
    }
}

/// The contents of two sections of one name in one; `None` if both are to be kept.
fn unite(name: &str, a: &CustomContents, b: &CustomContents) -> Option<CustomContents> {
    match (a, b) {
        (CustomContents::Bytes(a), CustomContents::Bytes(b)) => match name {
            "producers" => unite_producers(a, b).map(CustomContents::from),
            target_features::SECTION => unite_target_features(a, b).map(CustomContents::from),
            _ => None,
        },
        (CustomContents::Annotations(a), CustomContents::Annotations(b)) => {
            Some(CustomContents::Annotations(a.iter().chain(b).cloned().collect()))
        }
        _ => None,
    }
}

/// Both lists of tools in one; `None` if one of them cannot be read.
fn unite_producers(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    let mut fields: IndexMap<&str, IndexMap<&str, &str>> = IndexMap::new();
    for data in [a, b] {
        for field in ProducersSectionReader::new(BinaryReader::new(data, 0)).ok()? {
            let field = field.ok()?;
            let values = fields.entry(field.name).or_default();
            for value in field.values {
                let value = value.ok()?;
                values.entry(value.name).or_insert(value.version);
            }
        }
    }
    let mut section = ProducersSection::new();
    for (name, values) in &fields {
        let mut field = ProducersField::new();
        for (name, version) in values {
            field.value(name, version);
        }
        section.field(name, &field);
    }
    // Contents only: the name of the section is not part of them.
    let mut bytes = Vec::new();
    section.encode(&mut bytes);
    custom_contents(&bytes).map(<[u8]>::to_vec)
}

/// The contents of an encoded custom section: what follows its size and name.
fn custom_contents(bytes: &[u8]) -> Option<&[u8]> {
    let mut reader = BinaryReader::new(bytes, 0);
    reader.read_var_u32().ok()?;
    reader.read_string().ok()?;
    Some(&bytes[reader.original_position() as usize..])
}

/// Both lists of features in one: a feature that one input uses is used; that another input lacks a feature is no statement about the whole. `None` if
/// one of the lists cannot be read.
fn unite_target_features(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    let mut features = target_features::read(a)?;
    for (name, prefix) in target_features::read(b)? {
        let known = features.entry(name).or_insert(prefix);
        if prefix == target_features::USED {
            *known = prefix;
        }
    }
    Some(target_features::write(&features))
}
