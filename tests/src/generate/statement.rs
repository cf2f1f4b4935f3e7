//! Statements that do not concern continuations, the choice among all statements, and deliberate traps.

use wasm_encoder::Instruction;

use super::builder::Builder;
use super::expression::{ADDRESSES, memory_argument};
use super::program::{Heap, HostFunction, Label, Node, Op, Reference, Signature, TypeDefinition, ValueType};

const I32: ValueType = ValueType::I32;

impl Builder<'_> {
    /// About `count` statements.
    pub fn statements(&mut self, count: usize) -> Vec<Node> {
        let mut nodes = vec![];
        for _ in 0..count {
            if self.budget <= 0 {
                break;
            }
            self.budget -= 1;
            if self.random.permille(self.config.traps) {
                nodes.push(self.trap());
            }
            nodes.extend(self.a_statement());
        }
        nodes
    }

    fn a_statement(&mut self) -> Vec<Node> {
        let effectful = usize::from(!self.effects.is_empty());
        let suspending = usize::from(!self.suspendable(None).is_empty());
        let switching = usize::from(self.effects.tags().any(|tag| self.plan.switch_tags.contains(tag)));
        let nesting = usize::from(self.depth < 4);
        let exceptions = usize::from(self.config.exceptions);
        let continuations = if self.continuation_locals().is_empty() { 0 } else { 14 };
        let weights = [
            14,
            5,
            6,
            7,
            8 * nesting,
            (6 + 6 * effectful) * nesting,
            4 * nesting,
            9,
            16 * suspending,
            7 * nesting,
            11 * switching * nesting,
            (5 + 6 * suspending) * exceptions * nesting,
            3 * exceptions * effectful + exceptions,
            5,
            continuations * nesting,
            3,
            3 * usize::from(self.config.gc),
            2,
            2 * nesting,
            8 * suspending * usize::from(self.depth < 3),
        ];
        match self.random.weighted(&weights) {
            0 => self.assignment(),
            1 => self.global_assignment(),
            2 => vec![self.store()],
            3 => self.trace(),
            4 => vec![self.branch()],
            5 => self.counted_loop(),
            6 => vec![self.block()],
            7 => self.call_statement(),
            8 => self.suspend_statement(),
            9 => self.drive(),
            10 => self.switch_statement(),
            11 => vec![self.try_statement()],
            12 => vec![self.throw_statement()],
            13 => self.table_statement(),
            14 => {
                let locals = self.continuation_locals();
                let (local, ty) = *self.random.pick(&locals);
                self.use_local(local, ty)
            }
            15 => self.leave_block(),
            16 => vec![self.mutate_object()],
            17 => self.early_exit(),
            18 => self.run_once(),
            _ => self.carried_reference(),
        }
    }

    fn assignment(&mut self) -> Vec<Node> {
        let ty = self.plan.random_type(self.random);
        let value = self.expression(ty, 3);
        let known = self.locals_of(ty);
        if let Some(local) = self.random.pick_any(&known).copied()
            && self.random.percent(60)
        {
            return vec![Node::set_local(local, value)];
        }
        let local = self.new_local(ty);
        self.visible.push(local);
        vec![Node::set_local(local, value)]
    }

    fn global_assignment(&mut self) -> Vec<Node> {
        let globals: Vec<u32> = (0..self.plan.program.globals.len() as u32)
            .filter(|global| self.plan.program.globals[*global as usize].mutable)
            .collect();
        let global = *self.random.pick(&globals);
        let value = self.expression(self.plan.program.globals[global as usize].ty, 2);
        vec![Node::statement(Op::GlobalSet(global), vec![value])]
    }

    fn store(&mut self) -> Node {
        let argument = self.memory_argument();
        let (instruction, ty) = match self.random.below(if self.config.simd { 6 } else { 5 }) {
            0 | 1 => (Instruction::I32Store(argument), I32),
            2 => (Instruction::I64Store(argument), ValueType::I64),
            3 => (Instruction::F64Store(argument), ValueType::F64),
            4 => (Instruction::I32Store8(argument), I32),
            _ => (Instruction::V128Store(argument), ValueType::V128),
        };
        let address = self.address(2);
        let value = self.expression(ty, 2);
        Node::statement(Op::Plain(instruction), vec![address, value])
    }

    fn trace(&mut self) -> Vec<Node> {
        if let Some(local) = self.random.pick_any(&self.visible).copied()
            && self.random.percent(70)
        {
            return self.log(local);
        }
        let value = self.expression(I32, 2);
        vec![Node::statement(Op::Host(HostFunction::LogI32), vec![value])]
    }

    fn branch(&mut self) -> Node {
        let condition = self.expression(I32, 2);
        let count = self.random.between(1, 3);
        let then = self.scope(|builder| builder.statements(count));
        let otherwise = if self.random.percent(60) { self.scope(|builder| builder.statements(count)) } else { vec![] };
        Node::control(Op::If, vec![], vec![condition], vec![then, otherwise])
    }

    /// A loop of a known number of trips, with statements (and so suspensions) in its middle.
    pub fn counted_loop(&mut self) -> Vec<Node> {
        let count = self.random.between(2, 3);
        self.repeat(5, |builder| {
            let mut body = builder.statements(count);
            if body.is_empty() {
                body = builder.trace();
            }
            body
        })
    }

    /// A reference that is never null lives across the suspensions of a loop and of a loop inside of it: such a local has no value that a frame could
    /// be entered with before it is restored, so that what goes on inside of the loop enters it in the middle.
    fn carried_reference(&mut self) -> Vec<Node> {
        let ty = self.plan.random_non_null(self.random);
        let carried = self.new_local(ty);
        let value = self.expression(ty, 2);
        self.visible.push(carried);
        let mut nodes = vec![Node::set_local(carried, value)];
        nodes.extend(self.repeat(3, |builder| {
            let mut body = if builder.random.percent(60) { builder.suspend_statement() } else { builder.statements(1) };
            if builder.random.percent(40) {
                let next = builder.expression(ty, 2);
                body.push(Node::set_local(carried, next));
            }
            // Computed outside of the inner loop and used behind a suspension in it.
            let between = builder.new_local(I32);
            let value = builder.expression(I32, 2);
            body.push(Node::set_local(between, value));
            builder.visible.push(between);
            let inner = builder.repeat(3, |builder| {
                let before = builder.random.percent(50);
                let mut inner = if before { builder.statements(1) } else { vec![] };
                inner.extend(builder.suspend_statement());
                inner.extend(builder.log(between));
                inner.extend(builder.log(carried));
                inner
            });
            body.extend(inner);
            body.extend(builder.log(carried));
            body
        }));
        nodes.extend(self.log(carried));
        nodes
    }

    /// Repeats a body a few times: the counter is a loop variable in a local, or the loop's own parameter.
    pub fn repeat(&mut self, most: usize, make: impl FnOnce(&mut Self) -> Vec<Node>) -> Vec<Node> {
        let trips = self.random.between(1, most) as i32;
        let counter = self.new_local(I32);
        let label = self.new_label();
        let by_parameter = self.random.percent(25);
        let body = self.scope(|builder| {
            // A loop with a parameter cannot be the target of a plain branch.
            if !by_parameter {
                builder.loops.push(label);
            }
            // The counter may be read by the body (where it is live across suspensions), never written.
            let body = make(builder);
            if !by_parameter {
                builder.loops.pop();
            }
            body
        });
        let less = |inputs| Node::value(Op::Plain(Instruction::I32Sub), I32, inputs);
        let mut nodes = vec![];
        if by_parameter {
            // Leaves the loop when the counter is spent, and else passes it on as the argument of the next trip.
            let exit = self.new_label();
            let mut looped = body;
            let tee =
                Node::value(Op::LocalTee(counter), I32, vec![less(vec![Node::local(counter, I32), Node::i32(1)])]);
            let spent = Node::value(Op::Plain(Instruction::I32Eqz), I32, vec![tee]);
            looped.push(Node::statement(Op::BrIf(exit), vec![spent]));
            looped.push(Node::statement(Op::Br(label), vec![Node::local(counter, I32)]));
            let first = Node::i32(trips);
            let whole =
                Node::control(Op::Loop(label, vec![I32], vec![Some(counter)]), vec![], vec![first], vec![looped]);
            nodes.push(Node::control(Op::Block(exit), vec![], vec![], vec![vec![whole]]));
        } else {
            nodes.push(Node::set_local(counter, Node::i32(trips)));
            let mut looped = body;
            let next = less(vec![Node::local(counter, I32), Node::i32(1)]);
            let next = Node::value(Op::LocalTee(counter), I32, vec![next]);
            looped.push(Node::statement(Op::BrIf(label), vec![next]));
            nodes.push(Node::control(Op::Loop(label, vec![], vec![]), vec![], vec![], vec![looped]));
        }
        nodes
    }

    /// A block that its body may leave early, or a ladder of blocks with a `br_table` in the innermost.
    fn block(&mut self) -> Node {
        if self.random.percent(35) {
            return self.ladder();
        }
        let label = self.new_label();
        let count = self.random.between(2, 4);
        let body = self.scope(|builder| {
            builder.blocks.push(label);
            let mut body = builder.statements(count);
            let at = builder.random.below(body.len() + 1);
            let condition = builder.leaf(I32);
            body.insert(at, Node::statement(Op::BrIf(label), vec![condition]));
            builder.blocks.pop();
            body
        });
        Node::control(Op::Block(label), vec![], vec![], vec![body])
    }

    fn ladder(&mut self) -> Node {
        let labels: Vec<Label> = (0..self.random.between(2, 3)).map(|_| self.new_label()).collect();
        let (default, others) = labels.split_last().expect("there are at least two");
        self.scope(|builder| {
            builder.blocks.extend(labels.iter().rev());
            let selector = builder.expression(I32, 2);
            let selector = Node::value(Op::Plain(Instruction::I32And), I32, vec![selector, Node::i32(3)]);
            let mut node = Node::statement(Op::BrTable(others.to_vec(), *default), vec![selector]);
            for label in &labels {
                builder.blocks.pop();
                let inner = Node::control(Op::Block(*label), vec![], vec![], vec![vec![node]]);
                let mut rung = vec![inner];
                rung.extend(builder.scope(|builder| builder.statements(1)));
                // One more block, so that the rung is a single node again.
                let around = builder.new_label();
                node = Node::control(Op::Block(around), vec![], vec![], vec![rung]);
            }
            node
        })
    }

    fn leave_block(&mut self) -> Vec<Node> {
        let condition = |builder: &mut Self| {
            let condition = builder.expression(I32, 1);
            Node::value(Op::Plain(Instruction::I32Eqz), I32, vec![condition])
        };
        if let Some(label) = self.random.pick_any(&self.loops).copied()
            && self.random.percent(20)
        {
            // The next trip at once, without counting: fuel ends it.
            let value = self.expression(I32, 1);
            let rarely = Node::value(Op::Plain(Instruction::I32Eq), I32, vec![value, Node::i32(1)]);
            return vec![Node::statement(Op::BrIf(label), vec![rarely])];
        }
        if let Some(label) = self.random.pick_any(&self.blocks).copied() {
            let references: Vec<u32> = self
                .visible
                .iter()
                .copied()
                .filter(|local| {
                    matches!(self.local_type(*local), ValueType::Reference(Reference { nullable: true, .. }))
                })
                .collect();
            if let Some(local) = self.random.pick_any(&references).copied()
                && self.random.percent(30)
            {
                let ty = self.local_type(local);
                let ValueType::Reference(reference) = ty else {
                    return vec![];
                };
                let non_null = ValueType::non_null(reference.heap);
                let branch = Node::value(Op::BrOnNull(label), non_null, vec![Node::local(local, ty)]);
                return vec![Node::statement(Op::Plain(Instruction::Drop), vec![branch])];
            }
            let condition = condition(self);
            return vec![Node::statement(Op::BrIf(label), vec![condition])];
        }
        vec![]
    }

    fn call_statement(&mut self) -> Vec<Node> {
        let functions = self.callable(None);
        match self.random.pick_any(&functions).copied() {
            Some(function) => {
                let call = self.call(function, 2);
                vec![self.assign(call)]
            }
            None => self.assignment(),
        }
    }

    fn suspend_statement(&mut self) -> Vec<Node> {
        let tags = self.suspendable(None);
        let tag = *self.random.pick(&tags);
        let suspend = self.suspend(tag, 3);
        let operands: Vec<Node> = if self.random.percent(20) {
            // Something below it on the operand stack.
            let below = self.plan.random_type(self.random);
            let below = self.expression(below, 1);
            vec![below, suspend]
        } else {
            vec![suspend]
        };
        let results: Vec<ValueType> = operands.iter().flat_map(|node| node.results.clone()).collect();
        let label = self.new_label();
        let whole = match operands.len() {
            1 => operands.into_iter().next().expect("there is one"),
            _ => Node::control(Op::Block(label), results, vec![], vec![operands]),
        };
        vec![self.assign(whole)]
    }

    fn mutate_object(&mut self) -> Node {
        let structs = self.plan.structs.clone();
        let arrays = self.plan.arrays.clone();
        if self.random.percent(50)
            && let Some(id) = self.random.pick_any(&structs).copied()
        {
            let TypeDefinition::Struct(fields) = self.plan.program.types[id as usize].clone() else {
                panic!("type {id} was declared as a struct");
            };
            let field = self.random.below(fields.len());
            let object = self.expression(ValueType::non_null(Heap::Type(id)), 2);
            let value = self.expression(fields[field].unpacked(), 2);
            return Node::statement(Op::StructSet(id, field as u32), vec![object, value]);
        }
        let Some(id) = self.random.pick_any(&arrays).copied() else {
            return self.store();
        };
        let TypeDefinition::Array(element) = self.plan.program.types[id as usize].clone() else {
            panic!("type {id} was declared as an array");
        };
        let array_type = ValueType::non_null(Heap::Type(id));
        let local = self.new_local(array_type);
        let array = self.expression(array_type, 2);
        let value = self.expression(element.unpacked(), 1);
        let get = || Node::local(local, array_type);
        // In bounds unless the array is empty, which this checks.
        let length = || Node::value(Op::Plain(Instruction::ArrayLen), I32, vec![get()]);
        let index = self.expression(I32, 1);
        let index = Node::value(Op::Plain(Instruction::I32RemU), I32, vec![index, length()]);
        let set = Node::statement(Op::ArraySet(id), vec![get(), index, value]);
        let label = self.new_label();
        let checked = Node::control(Op::If, vec![], vec![length()], vec![vec![set], vec![]]);
        let body = vec![Node::set_local(local, array), checked];
        Node::control(Op::Block(label), vec![], vec![], vec![body])
    }

    /// A conditional return or tail call.
    fn early_exit(&mut self) -> Vec<Node> {
        let ty = self.plan.program.functions[self.function as usize].ty;
        let results = self.plan.program.signature(ty).results.clone();
        let condition = self.expression(I32, 2);
        let rarely = Node::value(Op::Plain(Instruction::I32Eq), I32, vec![condition, Node::i32(2)]);
        let exit = self.scope(|builder| match builder.tail_call(&results) {
            Some(tail) if builder.random.percent(60) => tail,
            _ => {
                let values = builder.arguments(&results, 1);
                Node::statement(Op::Plain(Instruction::Return), values)
            }
        });
        vec![Node::control(Op::If, vec![], vec![rarely], vec![vec![exit], vec![]])]
    }

    /// A tail call of a function with the given results.
    pub fn tail_call(&mut self, results: &[ValueType]) -> Option<Node> {
        let functions = self.callable(Some(results));
        let function = *self.random.pick_any(&functions)?;
        let ty = self.plan.program.functions[function as usize].ty;
        let Signature { params, .. } = self.plan.program.signature(ty).clone();
        let mut inputs = self.arguments(&params, 2);
        let op = match self.random.below(3) {
            0 => {
                inputs.push(self.function_index(ty, 1));
                Op::ReturnCallIndirect(ty, self.plan.function_table)
            }
            1 => {
                inputs.push(self.function_reference(ty));
                Op::ReturnCallReference(ty)
            }
            _ => Op::ReturnCall(function),
        };
        Some(Node::statement(op, inputs))
    }

    /// Under a condition, something that traps.
    fn trap(&mut self) -> Node {
        let condition = self.expression(I32, 2);
        let trap = self.scope(|builder| builder.trap_now());
        Node::control(Op::If, vec![], vec![condition], vec![trap, vec![]])
    }

    fn trap_now(&mut self) -> Vec<Node> {
        let drop = |node| Node::statement(Op::Plain(Instruction::Drop), vec![node]);
        let plain = |instruction, inputs| Node::value(Op::Plain(instruction), I32, inputs);
        if self.random.percent(55) {
            return match self.random.below(6) {
                0 | 1 => self.trap_unhandled(),
                2 | 3 => self.trap_consumed(),
                4 => self.trap_null_continuation(),
                _ => self.trap_null_function(),
            };
        }
        match self.random.below(9) {
            0 => vec![Node::statement(Op::Plain(Instruction::Unreachable), vec![])],
            1 => {
                let dividend = self.leaf(I32);
                vec![drop(plain(Instruction::I32DivS, vec![dividend, Node::i32(0)]))]
            }
            2 => {
                let smallest = Node::i32(i32::MIN);
                vec![drop(plain(Instruction::I32DivS, vec![smallest, Node::i32(-1)]))]
            }
            3 => {
                let load = Instruction::I32Load(memory_argument(65_536 + ADDRESSES as u64));
                vec![drop(plain(load, vec![Node::i32(-1)]))]
            }
            4 => {
                let index = Node::i32(1000);
                let element = ValueType::nullable(Heap::Func);
                vec![drop(Node::value(Op::TableGet(self.plan.function_table), element, vec![index]))]
            }
            5 => {
                // An indirect call of the wrong type, or out of bounds.
                let slot = *self.plan.slots.last().expect("there are functions");
                let Signature { params, results } = self.plan.program.signature(slot.ty).clone();
                let mut inputs = self.arguments(&params, 1);
                inputs.push(Node::i32(*self.random.pick(&[0, 5000])));
                let call = Node::values(Op::CallIndirect(slot.ty, self.plan.function_table), results, inputs);
                vec![self.assign(call)]
            }
            6 => {
                let ty = self.plan.slots[0].ty;
                let Signature { params, results } = self.plan.program.signature(ty).clone();
                let mut inputs = self.arguments(&params, 1);
                let heap = Heap::Type(ty);
                inputs.push(Node::value(Op::RefNull(heap), ValueType::nullable(heap), vec![]));
                let call = Node::values(Op::CallReference(ty), results, inputs);
                vec![self.assign(call)]
            }
            7 => {
                let float = Node::value(Op::Plain(Instruction::F64Const(1e300.into())), ValueType::F64, vec![]);
                vec![drop(plain(Instruction::I32TruncF64S, vec![float]))]
            }
            8 if self.config.exceptions => {
                let null = Node::value(Op::RefNull(Heap::Exn), ValueType::nullable(Heap::Exn), vec![]);
                vec![Node::statement(Op::Plain(Instruction::ThrowRef), vec![null])]
            }
            _ => self.trap_null_function(),
        }
    }
}
