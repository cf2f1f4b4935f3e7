//! Changes to modules that leave most of them as it was: bytes, operators and tokens that are changed, dropped, doubled, or put elsewhere.

use crate::generate::random::Random;
use std::ops::Range;
use wasm_encoder::{CodeSection, RawSection};
use wasmparser::{Parser, Payload};

/// A module with some of its bytes changed. Seldom valid.
pub fn bytes(random: &mut Random, module: &[u8]) -> Vec<u8> {
    let mut bytes = module.to_vec();
    for _ in 0..random.between(1, 4) {
        let place = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[place] = random.bits() as u8,
            1 => bytes[place] ^= 1 << random.below(8),
            2 => bytes[place] = *random.pick(&[0, 1, 0x7f, 0x80, 0xff]),
            3 => bytes.truncate(place.max(8)),
            4 => bytes.insert(place, random.bits() as u8),
            _ => {
                let end = (place + random.between(1, 20)).min(bytes.len());
                let copy = bytes[place..end].to_vec();
                let place = random.between(8.min(bytes.len()), bytes.len());
                bytes.splice(place..place, copy);
            }
        }
    }
    bytes
}

/// A module with some of its operators dropped, doubled, exchanged, or replaced by others of the module. Often still valid. `None` if it has none.
pub fn operators(random: &mut Random, module: &[u8]) -> Option<Vec<u8>> {
    let mut sections = Vec::new();
    let mut bodies: Vec<Body> = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.ok()?;
        if let Payload::CodeSectionEntry(body) = &payload {
            bodies.push(Body::read(body)?);
        } else if let Some((id, range)) = payload.as_section() {
            sections.push((id, range.start as usize..range.end as usize));
        }
    }
    let total: usize = bodies.iter().map(|body| body.operators.len()).sum();
    if total == 0 {
        return None;
    }
    let all: Vec<Range<usize>> = bodies.iter().flat_map(|body| body.operators.iter().cloned()).collect();
    for _ in 0..random.between(1, 3) {
        let body = random.below(bodies.len());
        let operators = &mut bodies[body].operators;
        // The last one is the body's own end.
        let place = random.below(operators.len().saturating_sub(1).max(1));
        let other = random.below(operators.len().saturating_sub(1).max(1));
        match random.below(4) {
            0 if operators.len() > 1 => {
                operators.remove(place);
            }
            1 => operators.insert(place, operators[other].clone()),
            2 => operators.swap(place, other),
            _ => operators[place] = random.pick(&all).clone(),
        }
    }
    let mut mutant = wasm_encoder::Module::new();
    for (id, range) in sections {
        if id != wasm_encoder::SectionId::Code as u8 {
            mutant.section(&RawSection { id, data: &module[range] });
            continue;
        }
        let mut code = CodeSection::new();
        for body in &bodies {
            let operators = body.operators.iter().flat_map(|range| &module[range.clone()]);
            let bytes: Vec<u8> = module[body.locals.clone()].iter().chain(operators).copied().collect();
            code.raw(&bytes);
        }
        mutant.section(&code);
    }
    Some(mutant.finish())
}

/// Where a body's declarations of locals and its operators are in the module.
struct Body {
    locals: Range<usize>,
    operators: Vec<Range<usize>>,
}

impl Body {
    fn read(body: &wasmparser::FunctionBody<'_>) -> Option<Self> {
        let mut reader = body.get_operators_reader().ok()?;
        let locals = body.range().start as usize..reader.original_position() as usize;
        let mut operators = Vec::new();
        while !reader.eof() {
            let start = reader.original_position() as usize;
            reader.read().ok()?;
            operators.push(start..reader.original_position() as usize);
        }
        Some(Self { locals, operators })
    }
}

/// What may be put in place of a word.
const WORDS: [&str; 10] = ["(", ")", "$x ", "0 ", "\"\\ff\" ", "-1 ", "(;", "(@a ", "end ", "(ref null cont) "];

/// A text with some of its words dropped, doubled, exchanged or replaced.
pub fn tokens(random: &mut Random, text: &str) -> String {
    let mut tokens: Vec<&str> = text.split_inclusive(['(', ')', ' ', '\n']).collect();
    for _ in 0..random.between(1, 4) {
        let (place, other) = (random.below(tokens.len()), random.below(tokens.len()));
        match random.below(5) {
            0 if tokens.len() > 1 => {
                tokens.remove(place);
            }
            1 => tokens.insert(place, tokens[other]),
            2 => tokens.swap(place, other),
            3 => tokens[place] = *random.pick(&WORDS),
            _ => tokens[place] = tokens[other],
        }
    }
    tokens.concat()
}
