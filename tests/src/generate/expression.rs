//! Expressions: one value of a given type.

use wasm_encoder::{Instruction, MemArg, MemArgTarget};

use super::builder::{Builder, digest};
use super::program::{
    FunctionId, Heap, HostFunction, Node, Op, Reference, Signature, Storage, TagId, TypeDefinition, TypeId, ValueType,
};

const I32: ValueType = ValueType::I32;
const I64: ValueType = ValueType::I64;
const F32: ValueType = ValueType::F32;
const F64: ValueType = ValueType::F64;
const V128: ValueType = ValueType::V128;

/// Addresses stay below this, well inside the one page of memory.
pub const ADDRESSES: i32 = 255;

/// An unaligned access to memory 0.
pub fn memory_argument(offset: u64) -> MemArg {
    MemArg { offset, align: 0, target: MemArgTarget::Memory(0), ordering: None }
}

impl Builder<'_> {
    pub fn plain(
        &mut self,
        instruction: Instruction<'static>,
        ty: ValueType,
        inputs: &[ValueType],
        depth: usize,
    ) -> Node {
        let inputs = inputs.iter().map(|input| self.expression(*input, depth)).collect();
        Node::value(Op::Plain(instruction), ty, inputs)
    }

    /// Expressions for a list of types.
    pub fn arguments(&mut self, types: &[ValueType], depth: usize) -> Vec<Node> {
        types.iter().map(|ty| self.expression(*ty, depth)).collect()
    }

    /// A value of the type.
    pub fn expression(&mut self, ty: ValueType, depth: usize) -> Node {
        if let Some(id) = ty.pointee()
            && self.plan.protocol_of(id).is_some()
        {
            return self.continuation(id, ty, depth);
        }
        if depth == 0 || self.budget < -20 {
            return self.leaf(ty);
        }
        let depth = depth - 1;
        match self.random.weighted(&[35, 25, 8, 9, 5, 5, 4]) {
            0 => self.leaf(ty),
            1 => self.particular(ty, depth),
            2 => self.call_expression(ty, depth),
            3 => self.suspend_expression(ty, depth),
            4 => {
                let condition = self.expression(I32, depth);
                let then = self.scope(|builder| vec![builder.expression(ty, depth)]);
                let otherwise = self.scope(|builder| vec![builder.expression(ty, depth)]);
                Node::control(Op::If, vec![ty], vec![condition], vec![then, otherwise])
            }
            5 if self.depth < 4 && self.budget > 0 => {
                // Statements in the middle of an expression: whatever is on the operand stack lives across them.
                let label = self.new_label();
                let body = self.scope(|builder| {
                    let count = builder.random.between(1, 2);
                    let mut body = builder.statements(count);
                    body.push(builder.expression(ty, depth));
                    body
                });
                Node::control(Op::Block(label), vec![ty], vec![], vec![body])
            }
            _ => {
                let choices = vec![self.expression(ty, depth), self.leaf(ty), self.expression(I32, depth)];
                Node::value(Op::Select(ty), ty, choices)
            }
        }
    }

    /// A constant, a local or a global.
    pub fn leaf(&mut self, ty: ValueType) -> Node {
        let locals = self.locals_of(ty);
        if let Some(local) = self.random.pick_any(&locals).copied()
            && self.random.percent(60)
        {
            return Node::local(local, ty);
        }
        let globals: Vec<u32> = (0..self.plan.program.globals.len() as u32)
            .filter(|global| self.plan.program.globals[*global as usize].ty == ty)
            .collect();
        if let Some(global) = self.random.pick_any(&globals).copied()
            && self.random.percent(30)
        {
            return Node::value(Op::GlobalGet(global), ty, vec![]);
        }
        let constant = match ty {
            I32 if self.random.percent(80) => Instruction::I32Const(self.random.below(12) as i32 - 3),
            I32 => Instruction::I32Const(*self.random.pick(&[i32::MIN, i32::MAX, -1, 0x5555_5555, 65_536])),
            I64 if self.random.percent(70) => Instruction::I64Const(self.random.below(12) as i64 - 3),
            I64 => Instruction::I64Const(self.random.bits() as i64),
            F32 => Instruction::F32Const((self.random.below(4000) as f32 / 8.0 - 100.0).into()),
            F64 => Instruction::F64Const((self.random.below(4000) as f64 / 8.0 - 100.0).into()),
            V128 => Instruction::V128Const((i128::from(self.random.bits()) << 64) | i128::from(self.random.bits())),
            ValueType::Reference(reference) => return self.reference_leaf(reference),
        };
        Node::value(Op::Plain(constant), ty, vec![])
    }

    fn reference_leaf(&mut self, reference: Reference) -> Node {
        let ty = ValueType::Reference(reference);
        if reference.nullable && self.random.percent(15) {
            return Node::value(Op::RefNull(reference.heap), ty, vec![]);
        }
        match reference.heap {
            Heap::I31 | Heap::Any | Heap::Eq => {
                let number = Node::i32(self.random.below(100) as i32);
                Node::value(Op::Plain(Instruction::RefI31), ty, vec![number])
            }
            Heap::Extern => {
                let number = Node::i32(self.random.below(100) as i32);
                let made = ValueType::nullable(Heap::Extern);
                let made = Node::value(Op::Host(HostFunction::MakeExtern), made, vec![number]);
                if reference.nullable {
                    made
                } else {
                    Node::value(Op::Plain(Instruction::RefAsNonNull), ty, vec![made])
                }
            }
            Heap::Func => {
                let function = self.random.below(self.plan.program.functions.len()) as FunctionId;
                Node::value(Op::RefFunc(function), ty, vec![])
            }
            Heap::Type(id) => match self.plan.program.types[id as usize].clone() {
                TypeDefinition::Function(_) => {
                    let functions = self.plan.functions_of_type(id);
                    match self.random.pick_any(&functions) {
                        Some(function) => Node::value(Op::RefFunc(*function), ty, vec![]),
                        None => Node::default_of(vec![ty]),
                    }
                }
                TypeDefinition::Struct(_) if self.random.percent(30) => {
                    Node::value(Op::StructNewDefault(id), ty, vec![])
                }
                TypeDefinition::Struct(fields) => {
                    let values = fields.iter().map(|field| self.leaf_or_default(field.unpacked())).collect();
                    Node::value(Op::StructNew(id), ty, values)
                }
                TypeDefinition::Array(element) => {
                    let element = element.unpacked();
                    if self.random.percent(50) {
                        let first = self.leaf_or_default(element);
                        let count = Node::i32(self.random.between(1, 4) as i32);
                        Node::value(Op::ArrayNew(id), ty, vec![first, count])
                    } else {
                        let count = self.random.between(1, 3);
                        let values = (0..count).map(|_| self.leaf_or_default(element)).collect();
                        Node::value(Op::ArrayNewFixed(id, count as u32), ty, values)
                    }
                }
                TypeDefinition::Continuation(_) => Node::default_of(vec![ty]),
            },
            Heap::Exn | Heap::Struct | Heap::Array => Node::default_of(vec![ty]),
        }
    }

    /// A default for references, so that structures do not nest without end.
    fn leaf_or_default(&mut self, ty: ValueType) -> Node {
        match ty {
            ValueType::Reference(_) => {
                let locals = self.locals_of(ty);
                match self.random.pick_any(&locals).copied() {
                    Some(local) if !self.is_continuation(ty) => Node::local(local, ty),
                    _ => Node::default_of(vec![ty]),
                }
            }
            _ => self.leaf(ty),
        }
    }

    /// An unaligned access with a small offset.
    pub fn memory_argument(&mut self) -> MemArg {
        memory_argument(self.random.below(16) as u64)
    }

    /// An address that is in bounds.
    pub fn address(&mut self, depth: usize) -> Node {
        let value = self.expression(I32, depth);
        Node::value(Op::Plain(Instruction::I32And), I32, vec![value, Node::i32(ADDRESSES)])
    }

    /// What is special to a type.
    fn particular(&mut self, ty: ValueType, depth: usize) -> Node {
        match ty {
            I32 => self.i32_expression(depth),
            I64 => self.i64_expression(depth),
            F32 => match self.random.below(4) {
                0 => self.plain(Instruction::F32Add, F32, &[F32, F32], depth),
                1 => self.plain(Instruction::F32Mul, F32, &[F32, F32], depth),
                2 => self.plain(Instruction::F32DemoteF64, F32, &[F64], depth),
                _ => self.plain(Instruction::F32ConvertI32S, F32, &[I32], depth),
            },
            F64 => match self.random.below(7) {
                0 => self.plain(Instruction::F64Add, F64, &[F64, F64], depth),
                1 => self.plain(Instruction::F64Sub, F64, &[F64, F64], depth),
                2 => self.plain(Instruction::F64Mul, F64, &[F64, F64], depth),
                3 => self.plain(Instruction::F64Max, F64, &[F64, F64], depth),
                4 => self.plain(Instruction::F64PromoteF32, F64, &[F32], depth),
                5 => self.plain(Instruction::F64Neg, F64, &[F64], depth),
                _ => self.plain(Instruction::F64ConvertI64S, F64, &[I64], depth),
            },
            V128 => match self.random.below(6) {
                0 => self.plain(Instruction::I32x4Add, V128, &[V128, V128], depth),
                1 => self.plain(Instruction::I64x2Add, V128, &[V128, V128], depth),
                2 => self.plain(Instruction::V128Xor, V128, &[V128, V128], depth),
                3 => self.plain(Instruction::I32x4Splat, V128, &[I32], depth),
                4 => self.plain(Instruction::I64x2Splat, V128, &[I64], depth),
                _ => {
                    let address = self.address(depth);
                    let argument = self.memory_argument();
                    Node::value(Op::Plain(Instruction::V128Load(argument)), V128, vec![address])
                }
            },
            ValueType::Reference(reference) => self.reference_expression(reference, depth),
        }
    }

    fn i32_expression(&mut self, depth: usize) -> Node {
        let binary = [
            Instruction::I32Add,
            Instruction::I32Sub,
            Instruction::I32Mul,
            Instruction::I32And,
            Instruction::I32Or,
            Instruction::I32Xor,
            Instruction::I32Shl,
            Instruction::I32ShrS,
            Instruction::I32ShrU,
            Instruction::I32Rotl,
            Instruction::I32Eq,
            Instruction::I32Ne,
            Instruction::I32LtS,
            Instruction::I32GtU,
        ];
        match self.random.below(14) {
            0..=4 => {
                let instruction = self.random.pick(&binary).clone();
                self.plain(instruction, I32, &[I32, I32], depth)
            }
            5 => {
                // The divisor is odd, so not zero; and unsigned, so nothing overflows.
                let divisor = self.expression(I32, depth);
                let divisor = Node::value(Op::Plain(Instruction::I32Or), I32, vec![divisor, Node::i32(1)]);
                let dividend = self.expression(I32, depth);
                let instruction = self.random.pick(&[Instruction::I32DivU, Instruction::I32RemU, Instruction::I32RemS]);
                Node::value(Op::Plain(instruction.clone()), I32, vec![dividend, divisor])
            }
            6 => self.plain(Instruction::I32Eqz, I32, &[I32], depth),
            7 => self.plain(Instruction::I32WrapI64, I32, &[I64], depth),
            8 => {
                let comparison = self.random.pick(&[Instruction::I64LtS, Instruction::I64Eq]).clone();
                self.plain(comparison, I32, &[I64, I64], depth)
            }
            9 => match self.random.below(4) {
                0 => self.plain(Instruction::F64Lt, I32, &[F64, F64], depth),
                1 => self.plain(Instruction::I32TruncSatF64S, I32, &[F64], depth),
                2 if self.config.simd => self.plain(Instruction::I32x4ExtractLane(2), I32, &[V128], depth),
                _ => self.plain(Instruction::I32TruncSatF32U, I32, &[F32], depth),
            },
            10 => {
                let address = self.address(depth);
                let argument = self.memory_argument();
                let load = [
                    Instruction::I32Load(argument),
                    Instruction::I32Load8U(argument),
                    Instruction::I32Load16S(argument),
                ];
                let load = self.random.pick(&load).clone();
                Node::value(Op::Plain(load), I32, vec![address])
            }
            11 => {
                let table = self.random.below(self.plan.program.tables.len()) as u32;
                Node::value(Op::TableSize(table), I32, vec![])
            }
            _ => {
                let references: Vec<u32> = self
                    .visible
                    .iter()
                    .copied()
                    .filter(|local| matches!(self.local_type(*local), ValueType::Reference(_)))
                    .collect();
                match self.random.pick_any(&references) {
                    Some(local) => digest(self.plan, *local, self.local_type(*local)),
                    None => self.leaf(I32),
                }
            }
        }
    }

    fn i64_expression(&mut self, depth: usize) -> Node {
        match self.random.below(7) {
            0 => self.plain(Instruction::I64Add, I64, &[I64, I64], depth),
            1 => self.plain(Instruction::I64Mul, I64, &[I64, I64], depth),
            2 => self.plain(Instruction::I64Xor, I64, &[I64, I64], depth),
            3 => self.plain(Instruction::I64ExtendI32S, I64, &[I32], depth),
            4 => self.plain(Instruction::I64ExtendI32U, I64, &[I32], depth),
            5 => self.plain(Instruction::I64Rotr, I64, &[I64, I64], depth),
            _ => {
                let address = self.address(depth);
                let argument = self.memory_argument();
                Node::value(Op::Plain(Instruction::I64Load(argument)), I64, vec![address])
            }
        }
    }

    fn reference_expression(&mut self, reference: Reference, depth: usize) -> Node {
        let ty = ValueType::Reference(reference);
        match reference.heap {
            Heap::I31 => self.plain(Instruction::RefI31, ty, &[I32], depth),
            Heap::Any | Heap::Eq => {
                // Something of the hierarchy, by subsumption.
                let mut heaps = vec![Heap::I31];
                heaps.extend(self.plan.structs.iter().chain(&self.plan.arrays).map(|ty| Heap::Type(*ty)));
                let heap = *self.random.pick(&heaps);
                self.expression(ValueType::Reference(Reference { nullable: reference.nullable, heap }), depth)
            }
            Heap::Type(id) => match self.plan.program.types[id as usize].clone() {
                TypeDefinition::Struct(fields) => {
                    // A field of another struct that holds this type, or a checked cast of anything.
                    let holder = fields.iter().position(|field| *field == Storage::Value(ty));
                    if let Some(field) = holder
                        && self.random.percent(40)
                    {
                        let holder = self.expression(ValueType::non_null(Heap::Type(id)), depth);
                        return Node::value(Op::StructGet(id, field as u32), ty, vec![holder]);
                    }
                    let any: Vec<u32> = self.locals_of(ValueType::nullable(Heap::Any));
                    if let Some(local) = self.random.pick_any(&any).copied() {
                        let wanted = Reference { nullable: false, heap: Heap::Type(id) };
                        let source = ValueType::nullable(Heap::Any);
                        let test = Node::value(Op::RefTest(wanted), I32, vec![Node::local(local, source)]);
                        let cast = Node::value(Op::RefCast(wanted), ty, vec![Node::local(local, source)]);
                        let otherwise = self.leaf(ty);
                        return Node::control(Op::If, vec![ty], vec![test], vec![vec![cast], vec![otherwise]]);
                    }
                    self.leaf(ty)
                }
                _ => self.leaf(ty),
            },
            _ => self.leaf(ty),
        }
    }

    // ---- calls and suspensions as expressions ----

    /// Functions that may be called here, of the given results. Calls that go back are rare: they recurse until fuel ends.
    pub fn callable(&mut self, results: Option<&[ValueType]>) -> Vec<FunctionId> {
        let back = self.random.percent(12);
        (0..self.plan.program.functions.len() as FunctionId)
            .filter(|function| {
                self.plan.function_effects[*function as usize].within(self.effects)
                    && (back || *function > self.function)
                    && results.is_none_or(|results| {
                        let ty = self.plan.program.functions[*function as usize].ty;
                        self.plan.program.signature(ty).results == results
                    })
            })
            .collect()
    }

    fn call_expression(&mut self, ty: ValueType, depth: usize) -> Node {
        let functions = self.callable(Some(&[ty]));
        match self.random.pick_any(&functions).copied() {
            Some(function) => self.call(function, depth),
            None => self.leaf(ty),
        }
    }

    /// A call of a function: direct, through a table, or through a reference.
    pub fn call(&mut self, function: FunctionId, depth: usize) -> Node {
        let ty = self.plan.program.functions[function as usize].ty;
        let Signature { params, results } = self.plan.program.signature(ty).clone();
        let mut inputs = self.arguments(&params, depth);
        let op = match self.random.below(4) {
            0 => {
                inputs.push(self.function_index(ty, depth));
                Op::CallIndirect(ty, self.plan.function_table)
            }
            1 => {
                inputs.push(self.function_reference(ty));
                Op::CallReference(ty)
            }
            _ => Op::Call(function),
        };
        Node::values(op, results, inputs)
    }

    /// An index into the function table at which there is a function of the type.
    pub fn function_index(&mut self, ty: TypeId, depth: usize) -> Node {
        let slot = *self.plan.slots.iter().find(|slot| slot.ty == ty).expect("each function is in the table");
        let first = Node::i32(slot.first as i32);
        if slot.count == 1 || self.random.percent(40) {
            return first;
        }
        let choice = self.expression(I32, depth);
        let choice = Node::value(Op::Plain(Instruction::I32RemU), I32, vec![choice, Node::i32(slot.count as i32)]);
        Node::value(Op::Plain(Instruction::I32Add), I32, vec![first, choice])
    }

    /// A reference to a function of the type.
    pub fn function_reference(&mut self, ty: TypeId) -> Node {
        let functions = self.plan.functions_of_type(ty);
        let typed = ValueType::non_null(Heap::Type(ty));
        let reference = |function| Node::value(Op::RefFunc(function), typed, vec![]);
        let first = reference(*self.random.pick(&functions));
        if functions.len() > 1 && self.random.percent(50) {
            let second = reference(*self.random.pick(&functions));
            let condition = self.leaf(I32);
            return Node::value(Op::Select(typed), typed, vec![first, second, condition]);
        }
        if self.random.percent(15) {
            let index = self.function_index(ty, 0);
            let entry = ValueType::nullable(Heap::Func);
            let entry = Node::value(Op::TableGet(self.plan.function_table), entry, vec![index]);
            return Node::value(Op::RefCast(Reference { nullable: false, heap: Heap::Type(ty) }), typed, vec![entry]);
        }
        first
    }

    /// The tags that may be suspended with here.
    pub fn suspendable(&self, results: Option<&[ValueType]>) -> Vec<TagId> {
        self.effects
            .tags()
            .filter(|tag| !self.plan.switch_tags.contains(*tag))
            .filter(|tag| {
                results.is_none_or(|results| self.plan.program.tags[*tag as usize].signature.results == results)
            })
            .collect()
    }

    /// `suspend`.
    pub fn suspend(&mut self, tag: TagId, depth: usize) -> Node {
        let Signature { params, results } = self.plan.program.tags[tag as usize].signature.clone();
        let inputs = self.arguments(&params, depth);
        Node::values(Op::Suspend(tag), results, inputs)
    }

    fn suspend_expression(&mut self, ty: ValueType, depth: usize) -> Node {
        let tags = self.suspendable(Some(&[ty]));
        match self.random.pick_any(&tags).copied() {
            Some(tag) => self.suspend(tag, depth),
            None => self.leaf(ty),
        }
    }

    // ---- continuations ----

    /// A continuation, or null where the type allows it.
    pub fn continuation(&mut self, id: TypeId, ty: ValueType, depth: usize) -> Node {
        let nullable = ty.is_defaultable();
        if nullable {
            let place = ValueType::nullable(Heap::Type(id));
            let locals = self.locals_of(place);
            if let Some(local) = self.random.pick_any(&locals).copied()
                && self.random.percent(65)
            {
                return Node::value(Op::TakeLocal(local), place, vec![]);
            }
            let globals = self.plan.globals_of(place);
            if let Some(global) = self.random.pick_any(&globals).copied()
                && self.random.percent(40)
            {
                return Node::value(Op::TakeGlobal(global), place, vec![]);
            }
            if self.random.percent(12) {
                return Node::value(Op::RefNull(Heap::Type(id)), ty, vec![]);
            }
        }
        match self.new_continuation(id, depth, 2) {
            Some(node) => node,
            None => Node::default_of(vec![ty]),
        }
    }

    /// A continuation that has not run: of a function, or bound from one that takes more.
    pub fn new_continuation(&mut self, id: TypeId, depth: usize, binds: usize) -> Option<Node> {
        let ty = ValueType::non_null(Heap::Type(id));
        let function_type = self.plan.function_of(id);
        let back = self.random.percent(15);
        let functions: Vec<FunctionId> = self
            .plan
            .functions_of_type(function_type)
            .into_iter()
            .filter(|function| back || *function > self.function)
            .collect();
        let wider = if binds == 0 || self.random.percent(55) { vec![] } else { self.wider(id) };
        if let Some(from) = self.random.pick_any(&wider).copied()
            && let Some(continuation) = self.new_continuation(from, depth, binds - 1)
        {
            let bound = self.plan.program.signature(from).params.len() - self.plan.program.signature(id).params.len();
            let params = self.plan.program.signature(from).params[..bound].to_vec();
            let mut inputs = self.arguments(&params, depth.saturating_sub(1));
            inputs.push(continuation);
            return Some(Node::value(Op::ContBind { from, to: id }, ty, inputs));
        }
        if functions.is_empty() {
            return None;
        }
        let function = self.function_reference(function_type);
        Some(Node::value(Op::ContNew(id), ty, vec![function]))
    }

    /// Continuation types of the same protocol whose parameters end with those of `id`.
    pub fn wider(&self, id: TypeId) -> Vec<TypeId> {
        let protocol = self.plan.protocol_of(id);
        let params = &self.plan.program.signature(id).params;
        self.plan
            .continuations()
            .into_iter()
            .filter(|other| *other != id && self.plan.protocol_of(*other) == protocol)
            .filter(|other| {
                let wider = &self.plan.program.signature(*other).params;
                wider.strip_suffix(params.as_slice()).is_some_and(|bound| self.plan.can_bind(bound))
            })
            .collect()
    }
}
