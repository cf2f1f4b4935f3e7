//! Start functions: those of all inputs run, in the order of the inputs.

use super::combine::Combined;
use super::link::Targets;
use super::{Input, MergeError};
use wasm_encoder::{CodeSection, EntityType, Function, FunctionSection, ImportSection, TypeSection};
use wasmfx_ir::module::{FunctionId, Item};
use wasmfx_ir::parse::{ParseOptions, parse_module};

/// Makes the start functions of all inputs the start function of the module.
///
/// Where there are several, a function that calls one after the other joins the inputs, as one more of them that imports them all.
pub(super) fn chain(combined: &mut Combined, targets: &mut Targets) -> Result<(), MergeError> {
    let starts: Vec<_> = combined.parts.iter().filter_map(|part| part.start).collect();
    if let [] | [_] = starts[..] {
        combined.module.start = starts.first().copied();
        return Ok(());
    }
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut imports = ImportSection::new();
    for _ in &starts {
        imports.import("", "", EntityType::Function(0));
    }
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut body = Function::new([]);
    let count = starts.len() as u32;
    for index in 0..count {
        body.instructions().call(index);
    }
    body.instructions().end();
    let mut code = CodeSection::new();
    code.function(&body);
    let mut encoder = wasm_encoder::Module::new();
    encoder.section(&types).section(&imports).section(&functions).section(&code);
    let module = parse_module(encoder.finish(), &ParseOptions::default());
    let mut module =
        module.map_err(|error| MergeError::new(format!("the start functions cannot be chained: {error}")))?;
    let chain = FunctionId::from_u32(count);
    module.functions[chain].name = Some("start".to_owned());
    module.start = Some(chain);
    // What the module level needs is not more than the inputs need.
    module.features = combined.module.features;
    combined.append(Input { name: String::new(), module })?;
    let part = combined.parts.last().expect("a part was just added");
    for (import, &start) in part.imports.iter().zip(&starts) {
        targets.insert(import.item, targets.get(Item::Function(start)));
    }
    combined.module.start = part.start;
    Ok(())
}
