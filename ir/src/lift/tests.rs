use super::*;
use crate::entity::Entity;
use crate::func::{Block, Terminator};
use crate::module::Source;
use std::sync::Arc;
use wasmparser::{Parser, ValidPayload, Validator, WasmFeatures};

/// The bodies of a module, by the validator alone.
fn bodies(wasm: &[u8]) -> Vec<LazyBody> {
    let bytes: Arc<[u8]> = wasm.into();
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut source: Option<Arc<Source>> = None;
    let mut result = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let ValidPayload::Func(func, body) = validator.payload(&payload.unwrap()).unwrap() {
            let source = source
                .get_or_insert_with(|| Arc::new(Source::new(bytes.clone(), func.resources.clone(), func.features)));
            result.push(LazyBody {
                source: source.clone(),
                range: body.range().start as usize..body.range().end as usize,
                index: func.index,
                branch_hints: Vec::new(),
                renumbering: None,
                opaque: None,
            });
        }
    }
    result
}

fn lift_first(wat: &str) -> Func {
    let wasm = wat::parse_str(wat).unwrap();
    lift_body(&bodies(&wasm)[0], TypeId::from_u32(0), &[]).unwrap()
}

#[test]
fn a_local_set_in_one_arm_becomes_one_parameter() {
    let func = lift_first(
        "(module (func (param i32 i32) (result i32)
            (if (local.get 0) (then (local.set 1 (i32.const 7))))
            (i32.add (local.get 1) (local.get 0))))",
    );
    assert_eq!(func.blocks.len(), 3);
    let join = Block::from_index(2);
    // The first local is the same on both edges.
    assert_eq!(func.blocks[join].params.len(), 1);
    assert!(matches!(func.blocks[join].terminator, Terminator::Return(_)));
}

#[test]
fn a_loop_has_parameters_for_what_it_changes_only() {
    let func = lift_first(
        "(module (func (param i32 i32) (result i32) (local i32)
            (loop $l
              (local.set 2 (i32.add (local.get 2) (local.get 1)))
              (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (local.get 2)))",
    );
    let header = Block::from_index(1);
    assert_eq!(func.blocks[header].params.len(), 2);
}

#[test]
fn legacy_exception_handling_is_opaque_and_still_validated() {
    let lift = |body: &str| {
        let wasm = wat::parse_str(format!("(module (func {body}))")).unwrap();
        lift_body(&bodies(&wasm)[0], TypeId::from_u32(0), &[])
    };
    assert!(matches!(lift("try catch_all end"), Err(Error::Opaque(OpaqueReason::LegacyExceptions))));
    assert!(matches!(lift("try catch_all end i32.const 1"), Err(Error::Invalid(_))));
}
