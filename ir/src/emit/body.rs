//! What emission produces: structured code in which functions, types and other items are still ids.

use crate::func::OperatorId;
use crate::operator::OperatorPool;
use wasm_encoder::Encode;
use wasm_encoder::reencode::{Error, Reencode};
use wasmparser::{Handle, Operator, ValType};

/// The code of one function: structured, with locals assigned, but still in terms of ids (of the function's [`OperatorPool`], and so of the module).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EmittedBody {
    /// The declared locals (the function's parameters come before them), in runs of one type.
    pub locals: Vec<(u32, ValType)>,
    /// The code, without the `end` of the body.
    pub code: Vec<CodeItem>,
    /// The distinct block types, which [`BlockTypeId`]s number.
    pub block_types: Vec<EmittedBlockType>,
    /// The tables of `br_table`s: relative depths, the default's last.
    pub branch_tables: Vec<Box<[u32]>>,
    /// Operators that carry labels, which [`CodeItem::Labelled`] numbers.
    pub labelled: Vec<LabelledOperator>,
    /// The `try_table`s, which [`CodeItem::TryTable`] numbers.
    pub try_tables: Vec<EmittedTryTable>,
    /// Names of locals (parameters included) by index, ascending.
    pub local_names: Vec<(u32, Box<str>)>,
    /// Branch hints: the position in `code` of the `if` or `br_if`, and whether it is likely taken. Ascending.
    pub branch_hints: Vec<(u32, bool)>,
}

/// One instruction.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "instructions of the specification")]
pub enum CodeItem {
    /// An operator without labels or locals.
    Operator(OperatorId),
    /// An operator with labels: `br_on_*` and `resume*`. The number of an entry in [`EmittedBody::labelled`].
    Labelled(u32),
    LocalGet(u32),
    LocalSet(u32),
    LocalTee(u32),
    Block(BlockTypeId),
    Loop(BlockTypeId),
    If(BlockTypeId),
    /// The number of an entry in [`EmittedBody::try_tables`].
    TryTable(u32),
    Else,
    End,
    Br(u32),
    BrIf(u32),
    /// The number of an entry in [`EmittedBody::branch_tables`].
    BrTable(u32),
    Return,
    Unreachable,
    Drop,
    I32Const(i32),
    I32Eqz,
    RefAsNonNull,
}

// Emission's speed and memory rest on this.
const _: () = assert!(size_of::<CodeItem>() == 8);

/// The number of an entry in [`EmittedBody::block_types`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct BlockTypeId(pub u32);

/// What a block takes from the operand stack and leaves there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EmittedBlockType {
    /// What it takes.
    pub params: Box<[ValType]>,
    /// What it leaves.
    pub results: Box<[ValType]>,
}

impl EmittedBlockType {
    /// Whether the binary format can say this only with a function type, which the encoder must then find or add.
    pub fn needs_function_type(&self) -> bool {
        !self.params.is_empty() || self.results.len() > 1
    }
}

/// An operator with labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledOperator {
    /// The operator; the labels in it mean nothing.
    pub operator: OperatorId,
    /// The relative depths: one for `br_on_*`; for `resume*` one for each `(on $tag $label)`, in order.
    pub labels: Vec<u32>,
    /// The clauses of `resume*`, which the operator itself does not have (labels in them mean nothing either).
    pub clauses: Vec<Handle>,
}

/// A `try_table`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmittedTryTable {
    /// Its type.
    pub ty: BlockTypeId,
    /// Its clauses; labels are relative depths, counted from outside the `try_table` as the binary format does.
    pub catches: Vec<wasmparser::Catch>,
}

/// The bytes of a body, and where the branches with hints lie in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedBody {
    /// Locals, operators and the final `end`, without the size that precedes them in the code section.
    pub bytes: Vec<u8>,
    /// Branch hints: the offset of the branch in `bytes`, and whether it is likely taken.
    pub branch_hints: Vec<(u32, bool)>,
}

impl EmittedBody {
    /// The block types that the binary format can say only with a function type.
    pub fn function_block_types(&self) -> impl Iterator<Item = &EmittedBlockType> {
        self.block_types.iter().filter(|ty| ty.needs_function_type())
    }

    /// Writes the body. `indices` says which binary index each id has; `function_type` gives the binary index of the function type for a
    /// block type that [needs one](EmittedBlockType::needs_function_type).
    ///
    /// # Errors
    /// If `indices` refuses something that the body refers to.
    pub fn encode<R: Reencode>(
        &self,
        operators: &OperatorPool,
        indices: &mut R,
        function_type: impl FnMut(&EmittedBlockType) -> u32,
    ) -> Result<EncodedBody, Error<R::Error>> {
        let block_types = self.encode_block_types(indices, function_type)?;
        // Operators are interned, so each is translated once however often it occurs.
        let mut operator_bytes: Vec<u8> = Vec::new();
        let mut operator_ranges: Vec<(u32, u32)> = vec![(0, 0); operators.len()];

        let mut sink = Vec::with_capacity(self.code.len() * 2 + 16);
        self.locals.len().encode(&mut sink);
        for &(count, ty) in &self.locals {
            count.encode(&mut sink);
            indices.val_type(ty)?.encode(&mut sink);
        }
        let mut branch_hints = Vec::with_capacity(self.branch_hints.len());
        let mut hints = self.branch_hints.iter().peekable();
        for (position, item) in self.code.iter().enumerate() {
            if let Some(&(_, likely)) = hints.next_if(|&&(at, _)| at as usize == position) {
                branch_hints.push((offset(&sink), likely));
            }
            match *item {
                CodeItem::Operator(id) => {
                    let range = &mut operator_ranges[crate::entity::Entity::index(id)];
                    if range.0 == range.1 {
                        range.0 = offset(&operator_bytes);
                        indices.instruction(operators[id].clone())?.encode(&mut operator_bytes);
                        range.1 = offset(&operator_bytes);
                    }
                    sink.extend_from_slice(&operator_bytes[range.0 as usize..range.1 as usize]);
                }
                CodeItem::Labelled(number) => {
                    let labelled = &self.labelled[number as usize];
                    let operator = with_labels(&operators[labelled.operator], labelled);
                    indices.instruction(operator)?.encode(&mut sink);
                }
                CodeItem::LocalGet(local) => opcode_and_number(&mut sink, 0x20, local),
                CodeItem::LocalSet(local) => opcode_and_number(&mut sink, 0x21, local),
                CodeItem::LocalTee(local) => opcode_and_number(&mut sink, 0x22, local),
                CodeItem::Block(ty) => opcode_and_bytes(&mut sink, 0x02, &block_types[ty.0 as usize]),
                CodeItem::Loop(ty) => opcode_and_bytes(&mut sink, 0x03, &block_types[ty.0 as usize]),
                CodeItem::If(ty) => opcode_and_bytes(&mut sink, 0x04, &block_types[ty.0 as usize]),
                CodeItem::TryTable(number) => {
                    let table = &self.try_tables[number as usize];
                    opcode_and_bytes(&mut sink, 0x1f, &block_types[table.ty.0 as usize]);
                    table.catches.len().encode(&mut sink);
                    for &clause in &table.catches {
                        indices.catch(clause)?.encode(&mut sink);
                    }
                }
                CodeItem::Else => sink.push(0x05),
                CodeItem::End => sink.push(0x0b),
                CodeItem::Br(depth) => opcode_and_number(&mut sink, 0x0c, depth),
                CodeItem::BrIf(depth) => opcode_and_number(&mut sink, 0x0d, depth),
                CodeItem::BrTable(number) => {
                    let (default, targets) =
                        self.branch_tables[number as usize].split_last().expect("a br_table has a default target");
                    sink.push(0x0e);
                    targets.encode(&mut sink);
                    default.encode(&mut sink);
                }
                CodeItem::Return => sink.push(0x0f),
                CodeItem::Unreachable => sink.push(0x00),
                CodeItem::Drop => sink.push(0x1a),
                CodeItem::I32Const(value) => {
                    sink.push(0x41);
                    value.encode(&mut sink);
                }
                CodeItem::I32Eqz => sink.push(0x45),
                CodeItem::RefAsNonNull => sink.push(0xd4),
            }
        }
        sink.push(0x0b);
        Ok(EncodedBody { bytes: sink, branch_hints })
    }

    /// The bytes of each block type.
    fn encode_block_types<R: Reencode>(
        &self,
        indices: &mut R,
        mut function_type: impl FnMut(&EmittedBlockType) -> u32,
    ) -> Result<Vec<Vec<u8>>, Error<R::Error>> {
        let encode = |ty: &EmittedBlockType| {
            let encoded = match (&*ty.params, &*ty.results) {
                ([], []) => wasm_encoder::BlockType::Empty,
                ([], &[result]) => wasm_encoder::BlockType::Result(indices.val_type(result)?),
                _ => wasm_encoder::BlockType::FunctionType(function_type(ty)),
            };
            let mut bytes = Vec::new();
            encoded.encode(&mut bytes);
            Ok(bytes)
        };
        self.block_types.iter().map(encode).collect()
    }
}

fn offset(sink: &[u8]) -> u32 {
    u32::try_from(sink.len()).expect("a body is smaller than 2^32 bytes")
}

fn opcode_and_number(sink: &mut Vec<u8>, opcode: u8, number: u32) {
    sink.push(opcode);
    number.encode(sink);
}

fn opcode_and_bytes(sink: &mut Vec<u8>, opcode: u8, bytes: &[u8]) {
    sink.push(opcode);
    sink.extend_from_slice(bytes);
}

/// The operator with these labels in place of its own.
fn with_labels(operator: &Operator<'static>, labelled: &LabelledOperator) -> Operator<'static> {
    let labels = &labelled.labels;
    let mut operator = operator.clone();
    match &mut operator {
        Operator::BrOnNull { relative_depth }
        | Operator::BrOnNonNull { relative_depth }
        | Operator::BrOnCast { relative_depth, .. }
        | Operator::BrOnCastFail { relative_depth, .. } => *relative_depth = labels[0],
        Operator::Resume { resume_table, .. }
        | Operator::ResumeThrow { resume_table, .. }
        | Operator::ResumeThrowRef { resume_table, .. } => {
            resume_table.handlers.clone_from(&labelled.clauses);
            let mut labels = labels.iter();
            for handler in &mut resume_table.handlers {
                if let Handle::OnLabel { label, .. } = handler {
                    *label = *labels.next().expect("one label for each clause that has one");
                }
            }
        }
        other => unreachable!("{other:?} has no labels"),
    }
    operator
}
