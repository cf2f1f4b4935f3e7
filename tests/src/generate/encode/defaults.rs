//! Default values, and the check that returns them when the fuel is spent.

use anyhow::Result;
use wasm_encoder::{AbstractHeapType, BlockType, Catch, HeapType, Instruction, RefType, ValType};

use super::Encoder;
use super::body::Body;
use super::indices::Callee;
use crate::generate::coverage::Event;
use crate::generate::program::{Heap, TypeDefinition, ValueType};

/// The global that says how much fuel is left.
pub(super) const FUEL_GLOBAL: u32 = 0;

impl Encoder<'_> {
    /// Returns default values if the fuel is spent, and otherwise spends some.
    pub(super) fn fuel_check(&mut self, body: &mut Body) -> Result<()> {
        body.out.extend([Instruction::GlobalGet(FUEL_GLOBAL), Instruction::I32Eqz, Instruction::If(BlockType::Empty)]);
        self.cover(body, Event::OutOfFuel);
        let results = body.results.clone();
        self.defaults(body, &results);
        body.out.extend([
            Instruction::Return,
            Instruction::End,
            Instruction::GlobalGet(FUEL_GLOBAL),
            Instruction::I32Const(1),
            Instruction::I32Sub,
            Instruction::GlobalSet(FUEL_GLOBAL),
        ]);
        Ok(())
    }

    pub(super) fn defaults(&mut self, body: &mut Body, types: &[ValueType]) {
        for ty in types {
            self.default(body, *ty);
        }
    }

    fn default(&mut self, body: &mut Body, ty: ValueType) {
        let reference = match ty {
            ValueType::I32 => return body.out.push(Instruction::I32Const(0)),
            ValueType::I64 => return body.out.push(Instruction::I64Const(0)),
            ValueType::F32 => return body.out.push(Instruction::F32Const(0.0.into())),
            ValueType::F64 => return body.out.push(Instruction::F64Const(0.0.into())),
            ValueType::V128 => return body.out.push(Instruction::V128Const(0)),
            ValueType::Reference(reference) => reference,
        };
        if reference.nullable {
            let heap = self.heap(reference.heap);
            return body.out.push(Instruction::RefNull(heap));
        }
        match reference.heap {
            Heap::Any | Heap::Eq | Heap::I31 => body.out.extend([Instruction::I32Const(0), Instruction::RefI31]),
            Heap::Extern => {
                body.out.extend([Instruction::I32Const(0), Instruction::RefI31, Instruction::ExternConvertAny]);
            }
            Heap::Exn => {
                let tag = self.spare_tag();
                let result = BlockType::Result(ValType::Ref(RefType {
                    nullable: true,
                    heap_type: HeapType::Abstract { shared: false, ty: AbstractHeapType::Exn },
                }));
                body.out.extend([
                    Instruction::Block(result),
                    Instruction::TryTable(BlockType::Empty, vec![Catch::AllRef { label: 0 }].into()),
                    Instruction::Throw(tag),
                    Instruction::End,
                    Instruction::Unreachable,
                    Instruction::End,
                    Instruction::RefAsNonNull,
                ]);
            }
            // Any function will do where the type is not named: one that takes and gives nothing is made if need be.
            Heap::Func => {
                let ty = self.program.functions[0].ty;
                let function = self.function_reference(Callee::Stub(ty));
                body.out.push(Instruction::RefFunc(function));
            }
            Heap::Struct | Heap::Array => {
                let wanted = |definition: &TypeDefinition| match reference.heap {
                    Heap::Struct => matches!(definition, TypeDefinition::Struct(_)),
                    _ => matches!(definition, TypeDefinition::Array(_)),
                };
                let ty = self.program.types.iter().position(wanted).expect("the program has such a type");
                self.default(body, ValueType::non_null(Heap::Type(ty as u32)));
            }
            Heap::Type(id) => match self.program.types[id as usize] {
                TypeDefinition::Function(_) => {
                    let function = self.function_reference(Callee::Stub(id));
                    body.out.push(Instruction::RefFunc(function));
                }
                TypeDefinition::Continuation(function) => {
                    let stub = self.function_reference(Callee::Stub(function));
                    let ty = self.ty(id);
                    body.out.extend([Instruction::RefFunc(stub), Instruction::ContNew(ty)]);
                }
                TypeDefinition::Struct(_) => {
                    let ty = self.ty(id);
                    body.out.push(Instruction::StructNewDefault(ty));
                }
                TypeDefinition::Array(_) => {
                    let ty = self.ty(id);
                    body.out.extend([Instruction::I32Const(1), Instruction::ArrayNewDefault(ty)]);
                }
            },
        }
    }
}
