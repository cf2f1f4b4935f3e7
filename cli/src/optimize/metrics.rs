//! What a module is made of, before and after: sections, functions, operators.

use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use wasmfx_ir::opcode::Opcode;
use wasmparser::{Parser, Payload};

/// Counts of one module.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Metrics {
    /// Size of the binary, in bytes.
    pub bytes: u64,
    /// Size of each section's contents by its name, in bytes; custom sections by `custom NAME`.
    pub sections: BTreeMap<String, u64>,
    /// How many types, imports, functions, … there are.
    pub items: BTreeMap<&'static str, u64>,
    /// How often each operator occurs.
    pub operators: BTreeMap<&'static str, u64>,
}

impl Metrics {
    /// Counts a binary module.
    ///
    /// # Errors
    /// If the binary is malformed.
    pub fn of(bytes: &[u8]) -> Result<Self> {
        let mut metrics = Self { bytes: bytes.len() as u64, ..Self::default() };
        for payload in Parser::new(0).parse_all(bytes) {
            metrics.count(payload?)?;
        }
        Ok(metrics)
    }

    fn count(&mut self, payload: Payload<'_>) -> Result<()> {
        match payload {
            Payload::TypeSection(reader) => self.section("type", "types", reader.count(), reader.range()),
            Payload::ImportSection(reader) => self.section("import", "imports", reader.count(), reader.range()),
            Payload::FunctionSection(reader) => self.section("function", "functions", reader.count(), reader.range()),
            Payload::TableSection(reader) => self.section("table", "tables", reader.count(), reader.range()),
            Payload::MemorySection(reader) => self.section("memory", "memories", reader.count(), reader.range()),
            Payload::TagSection(reader) => self.section("tag", "tags", reader.count(), reader.range()),
            Payload::GlobalSection(reader) => self.section("global", "globals", reader.count(), reader.range()),
            Payload::ExportSection(reader) => self.section("export", "exports", reader.count(), reader.range()),
            Payload::ElementSection(reader) => {
                self.section("element", "element segments", reader.count(), reader.range())
            }
            Payload::DataSection(reader) => self.section("data", "data segments", reader.count(), reader.range()),
            Payload::CodeSectionStart { unchecked_range: range, .. } => {
                self.sections.insert("code".into(), range.end - range.start);
            }
            Payload::CustomSection(reader) => {
                let range = reader.range();
                *self.sections.entry(format!("custom {}", reader.name())).or_default() += range.end - range.start;
            }
            Payload::CodeSectionEntry(body) => {
                for operator in body.get_operators_reader()? {
                    *self.operators.entry(Opcode::of(&operator?).name()).or_default() += 1;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn section(&mut self, name: &str, items: &'static str, count: u32, range: std::ops::Range<u64>) {
        self.sections.insert(name.into(), range.end - range.start);
        self.items.insert(items, u64::from(count));
    }
}

/// A table of both modules' counts; operators that occur in neither are left out.
pub fn table(before: &Metrics, after: &Metrics) -> String {
    let mut text = String::new();
    let mut row = |name: &str, before: u64, after: u64| {
        let difference = i128::from(after) - i128::from(before);
        let percent =
            if before == 0 { String::new() } else { format!("{:+.1} %", difference as f64 * 100.0 / before as f64) };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<32} {before:>12} {after:>12} {difference:>+12} {percent:>10}");
    };
    row("bytes", before.bytes, after.bytes);
    for (name, before, after) in merged(&before.sections, &after.sections) {
        row(&format!("  {name}"), before, after);
    }
    for (name, before, after) in merged(&before.items, &after.items) {
        row(name, before, after);
    }
    row("operators", before.operators.values().sum(), after.operators.values().sum());
    for (name, before, after) in merged(&before.operators, &after.operators) {
        row(&format!("  {name}"), before, after);
    }
    format!("{:<32} {:>12} {:>12} {:>12}\n{text}", "", "before", "after", "difference")
}

fn merged<'a, K: Ord + AsRef<str>>(
    before: &'a BTreeMap<K, u64>,
    after: &'a BTreeMap<K, u64>,
) -> impl Iterator<Item = (&'a str, u64, u64)> {
    let names: std::collections::BTreeSet<&K> = before.keys().chain(after.keys()).collect();
    names.into_iter().map(|name| {
        let of = |counts: &BTreeMap<K, u64>| counts.get(name).copied().unwrap_or(0);
        (name.as_ref(), of(before), of(after))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_items_and_operators_are_counted() {
        let bytes =
            wat::parse_str("(module (func (export \"f\") (result i32) i32.const 1 i32.const 2 i32.add))").unwrap();
        let metrics = Metrics::of(&bytes).unwrap();
        assert_eq!(metrics.bytes, bytes.len() as u64);
        assert_eq!(metrics.items["functions"], 1);
        assert_eq!(metrics.operators["i32.const"], 2);
        assert_eq!(metrics.operators["i32.add"], 1);
        let table = table(&metrics, &Metrics::default());
        assert!(
            table.lines().any(|line| line.split_whitespace().eq(["i32.add", "1", "0", "-1", "-100.0", "%"])),
            "{table}"
        );
    }
}
