//! From a byte offset in an assembled module back to the text.
//!
//! The assembler keeps the order of definitions and emits one instruction per instruction of the text, so the n-th item of
//! a section is the n-th field of its kind, and the n-th instruction of a body is the n-th instruction of its function.

use wasmparser::{OperatorsReader, Parser, Payload};
use wast::core::{FuncKind, ImportItems, ModuleField, ModuleKind};
use wast::{QuoteWat, Wat};

/// Where each definition, and each instruction of each function, begins in the text.
#[derive(Debug, Default)]
pub struct SourceMap {
    types: Vec<usize>,
    imports: Vec<usize>,
    tables: Vec<usize>,
    memories: Vec<usize>,
    tags: Vec<usize>,
    globals: Vec<usize>,
    exports: Vec<usize>,
    elements: Vec<usize>,
    data: Vec<usize>,
    start: Vec<usize>,
    functions: Vec<FunctionSpans>,
}

#[derive(Debug)]
struct FunctionSpans {
    function: usize,
    instructions: Vec<usize>,
}

/// Assembles text, and maps the result.
///
/// # Errors
/// What is wrong with the text, with the place in it.
pub fn assemble(text: &str) -> Result<(Vec<u8>, SourceMap), wast::Error> {
    let mut buffer = wast::parser::ParseBuffer::new(text)?;
    buffer.track_instr_spans(true);
    let mut module = QuoteWat::Wat(wast::parser::parse::<Wat<'_>>(&buffer)?);
    // Encoding expands the abbreviations in place, so only the fields afterwards are in the order of the binary.
    let binary = module.encode()?;
    let map = match &module {
        QuoteWat::Wat(Wat::Module(module)) => match &module.kind {
            ModuleKind::Text(fields) => SourceMap::of_fields(fields),
            ModuleKind::Binary(_) => SourceMap::default(),
        },
        _ => SourceMap::default(),
    };
    Ok((binary, map))
}

impl SourceMap {
    fn of_fields(fields: &[ModuleField<'_>]) -> SourceMap {
        let mut map = SourceMap::default();
        for field in fields {
            match field {
                ModuleField::Type(definition) => map.types.push(definition.span.offset()),
                ModuleField::Rec(group) => map.types.push(group.span.offset()),
                ModuleField::Import(import) => {
                    // The compact forms hold several items under one field.
                    match &import.items {
                        ImportItems::Single { .. } => map.imports.push(import.span.offset()),
                        ImportItems::Group1 { items, .. } => {
                            map.imports.extend(items.iter().map(|item| item.span.offset()));
                        }
                        ImportItems::Group2 { items, .. } => {
                            map.imports.extend(items.iter().map(|item| item.span.offset()));
                        }
                    }
                }
                ModuleField::Func(function) => {
                    if let FuncKind::Inline { expression, .. } = &function.kind {
                        let spans = expression.instr_spans.as_deref().unwrap_or_default();
                        map.functions.push(FunctionSpans {
                            function: function.span.offset(),
                            instructions: spans.iter().map(|span| span.offset()).collect(),
                        });
                    }
                }
                ModuleField::Table(table) => map.tables.push(table.span.offset()),
                ModuleField::Memory(memory) => map.memories.push(memory.span.offset()),
                ModuleField::Global(global) => map.globals.push(global.span.offset()),
                ModuleField::Export(export) => map.exports.push(export.span.offset()),
                ModuleField::Start(index) => map.start.push(index.span().offset()),
                ModuleField::Elem(segment) => map.elements.push(segment.span.offset()),
                ModuleField::Data(segment) => map.data.push(segment.span.offset()),
                ModuleField::Tag(tag) => map.tags.push(tag.span.offset()),
                ModuleField::Custom(_) => {}
            }
        }
        map
    }

    /// The place in the text that the byte at `offset` of `binary` comes from.
    pub fn text_offset(&self, binary: &[u8], offset: u64) -> Option<usize> {
        let mut function = 0;
        for payload in Parser::new(0).parse_all(binary) {
            let (items, range, starts) = match payload.ok()? {
                Payload::TypeSection(section) => (&self.types, section.range(), starts_of(section)),
                Payload::ImportSection(section) => {
                    let range = section.range();
                    let starts = section
                        .into_imports_with_offsets()
                        .map_while(|item| item.ok().map(|(start, _)| start))
                        .collect();
                    (&self.imports, range, starts)
                }
                Payload::FunctionSection(section) => {
                    let range = section.range();
                    if !range.contains(&offset) {
                        continue;
                    }
                    let index = index_of(&starts_of(section), offset)?;
                    return self.functions.get(index).map(|function| function.function);
                }
                Payload::TableSection(section) => (&self.tables, section.range(), starts_of(section)),
                Payload::MemorySection(section) => (&self.memories, section.range(), starts_of(section)),
                Payload::TagSection(section) => (&self.tags, section.range(), starts_of(section)),
                Payload::GlobalSection(section) => (&self.globals, section.range(), starts_of(section)),
                Payload::ExportSection(section) => (&self.exports, section.range(), starts_of(section)),
                Payload::ElementSection(section) => (&self.elements, section.range(), starts_of(section)),
                Payload::DataSection(section) => (&self.data, section.range(), starts_of(section)),
                Payload::StartSection { range, .. } => (&self.start, range.clone(), vec![range.start]),
                Payload::CodeSectionEntry(body) => {
                    function += 1;
                    if !body.range().contains(&offset) {
                        continue;
                    }
                    let spans = self.functions.get(function - 1)?;
                    return Some(spans.instruction(body.get_operators_reader().ok()?, offset));
                }
                _ => continue,
            };
            if range.contains(&offset) || range.end == offset {
                return items.get(index_of(&starts, offset)?).copied();
            }
        }
        None
    }
}

impl FunctionSpans {
    /// The instruction that the byte at `offset` belongs to. The final `end`, which the text need not write, counts as the last instruction.
    fn instruction(&self, mut operators: OperatorsReader<'_>, offset: u64) -> usize {
        let mut index = 0;
        while let Ok((_, start)) = operators.read_with_offset() {
            // An instruction that cannot be read ends the loop: it is the one after those that could be.
            if start > offset || operators.original_position() > offset {
                break;
            }
            index += 1;
        }
        let index = index.min(self.instructions.len().saturating_sub(1));
        self.instructions.get(index).copied().unwrap_or(self.function)
    }
}

/// The offsets at which a section's items begin, as far as they can be read.
fn starts_of<'a, T: wasmparser::FromReader<'a>>(section: wasmparser::SectionLimited<'a, T>) -> Vec<u64> {
    let mut starts = Vec::new();
    for item in section.into_iter_with_offsets() {
        let Ok((start, _)) = item else { break };
        starts.push(start);
    }
    starts
}

/// The last item that begins at or before `offset`.
fn index_of(starts: &[u64], offset: u64) -> Option<usize> {
    starts.partition_point(|start| *start <= offset).checked_sub(1)
}
