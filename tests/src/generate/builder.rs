//! The state in which one function's body is generated.

use wasm_encoder::Instruction;

use super::Config;
use super::plan::{Effects, Plan};
use super::program::{
    Function, FunctionId, Heap, HostFunction, Label, Local, Node, Op, Signature, TypeDefinition, TypeId, ValueType,
};
use super::random::Random;

/// Generates one function.
pub struct Builder<'a> {
    pub plan: &'a mut Plan,
    pub config: &'a Config,
    pub random: &'a mut Random,
    pub function: FunctionId,
    /// What may leave this function.
    pub effects: Effects,
    pub parameters: Vec<ValueType>,
    pub locals: Vec<ValueType>,
    /// Locals that may be read and written here. A local of a continuation type is emptied by each use, so that a
    /// continuation is in one place at a time and is not resumed twice by accident.
    pub visible: Vec<Local>,
    /// Enclosing blocks without results, innermost last.
    pub blocks: Vec<Label>,
    /// Enclosing loops without parameters.
    pub loops: Vec<Label>,
    labels: Label,
    /// Nesting of statements.
    pub depth: usize,
    /// How many more statements this function may have.
    pub budget: isize,
}

impl<'a> Builder<'a> {
    pub fn new(plan: &'a mut Plan, config: &'a Config, random: &'a mut Random, function: FunctionId) -> Self {
        let parameters = plan.program.signature(plan.program.functions[function as usize].ty).params.clone();
        let visible = (0..parameters.len() as Local).collect();
        let effects = plan.function_effects[function as usize];
        let budget = random.between(config.statements, config.statements * 5 / 2) as isize;
        Builder {
            plan,
            config,
            random,
            function,
            effects,
            parameters,
            locals: vec![],
            visible,
            blocks: vec![],
            loops: vec![],
            labels: 0,
            depth: 0,
            budget,
        }
    }

    /// The locals and the body.
    pub fn function(mut self) -> (Vec<ValueType>, Vec<Node>) {
        let results =
            self.plan.program.signature(self.plan.program.functions[self.function as usize].ty).results.clone();
        self.settle_parameters();
        let mut body = vec![];
        for _ in 0..self.random.between(1, 3) {
            let ty = self.plan.random_type(self.random);
            let local = self.new_local(ty);
            body.push(Node::set_local(local, self.expression(ty, 2)));
            self.visible.push(local);
        }
        let count = self.random.between(self.config.statements / 2, self.config.statements);
        if self.plan.entries.contains(&self.function) {
            // Most exceptions should be seen by the program before the host sees them.
            let guarded = self.config.exceptions && self.random.percent(80);
            let made = if guarded { self.scope(|builder| builder.entry(count)) } else { self.entry(count) };
            body.extend(if guarded { vec![self.guard(made)] } else { made });
        } else {
            body.extend(self.statements(count));
        }
        for local in self.visible.clone() {
            if self.random.percent(40) {
                body.extend(self.log(local));
            }
        }
        if self.random.percent(25)
            && let Some(tail) = self.tail_call(&results)
        {
            body.push(tail);
            body.push(Node::default_of(results));
        } else {
            body.extend(results.into_iter().map(|ty| self.expression(ty, 3)).collect::<Vec<_>>());
        }
        (self.locals, body)
    }

    /// An entry begins with a driver.
    fn entry(&mut self, count: usize) -> Vec<Node> {
        let mut body = self.drive();
        body.extend(self.statements(count));
        body
    }

    /// A parameter that cannot be made null cannot be emptied by its use: such continuations are left to the caller.
    fn settle_parameters(&mut self) {
        let parameters = self.parameters.clone();
        self.visible.retain(|local| {
            let ty = parameters[*local as usize];
            ty.is_defaultable() || self.plan.protocol_behind(ty).is_none()
        });
    }

    // ---- locals and labels ----

    pub fn new_local(&mut self, ty: ValueType) -> Local {
        self.locals.push(ty);
        (self.parameters.len() + self.locals.len()) as Local - 1
    }

    pub fn new_label(&mut self) -> Label {
        self.labels += 1;
        self.labels
    }

    pub fn local_type(&self, local: Local) -> ValueType {
        match self.parameters.get(local as usize) {
            Some(ty) => *ty,
            None => self.locals[local as usize - self.parameters.len()],
        }
    }

    /// The visible locals of a type.
    pub fn locals_of(&self, ty: ValueType) -> Vec<Local> {
        self.visible.iter().copied().filter(|local| self.local_type(*local) == ty).collect()
    }

    /// The visible locals that hold continuations.
    pub fn continuation_locals(&self) -> Vec<(Local, TypeId)> {
        self.visible
            .iter()
            .filter_map(|local| {
                let ty = self.local_type(*local).pointee()?;
                self.plan.protocol_of(ty).map(|_| (*local, ty))
            })
            .collect()
    }

    pub fn is_continuation(&self, ty: ValueType) -> bool {
        self.plan.protocol_behind(ty).is_some()
    }

    /// Runs `make` with its own scope: what it declares is not seen after it, since a branch may have gone around it.
    pub fn scope<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> T {
        let visible = self.visible.len();
        self.depth += 1;
        let made = make(self);
        self.depth -= 1;
        self.visible.truncate(visible);
        made
    }

    /// Puts the results of `node` into new or visible locals, or drops them.
    pub fn assign(&mut self, node: Node) -> Node {
        let mut fresh = vec![];
        let destinations: Vec<Option<Local>> = node
            .results
            .clone()
            .into_iter()
            .map(|ty| {
                let known = self.locals_of(ty);
                match self.random.pick_any(&known).copied() {
                    Some(local) if self.random.percent(50) && ty.is_defaultable() => Some(local),
                    _ if self.random.percent(85) => {
                        let local = self.new_local(ty);
                        fresh.push(local);
                        Some(local)
                    }
                    _ => None,
                }
            })
            .collect();
        // A continuation in a non-null local cannot be emptied by its use, so it is dropped by being forgotten.
        fresh
            .retain(|local| self.local_type(*local).is_defaultable() || !self.is_continuation(self.local_type(*local)));
        self.visible.extend(fresh);
        Node::statement(Op::Assign(destinations), vec![node])
    }

    /// Statements that put a local's value, or what can be told of it, into the trace.
    pub fn log(&mut self, local: Local) -> Vec<Node> {
        let ty = self.local_type(local);
        let host = match ty {
            ValueType::I32 => HostFunction::LogI32,
            ValueType::I64 => HostFunction::LogI64,
            ValueType::F32 => HostFunction::LogF32,
            ValueType::F64 => HostFunction::LogF64,
            ValueType::V128 => HostFunction::LogV128,
            ValueType::Reference(reference) if reference.heap == Heap::Extern => HostFunction::LogExtern,
            ValueType::Reference(_) => {
                let digest = digest(self.plan, local, ty);
                return vec![Node::statement(Op::Host(HostFunction::LogI32), vec![digest])];
            }
        };
        vec![Node::statement(Op::Host(host), vec![Node::local(local, ty)])]
    }
}

/// An i32 that depends on what a reference points to, as far as that can be observed without changing it.
pub fn digest(plan: &Plan, local: Local, ty: ValueType) -> Node {
    let ValueType::Reference(reference) = ty else {
        return Node::i32(0);
    };
    let get = || Node::local(local, ty);
    let inner = match reference.heap {
        Heap::I31 => Some(plain(Instruction::I31GetS, vec![get()])),
        Heap::Any | Heap::Eq => Some(Node::value(
            Op::RefTest(super::program::Reference { nullable: false, heap: Heap::I31 }),
            ValueType::I32,
            vec![get()],
        )),
        Heap::Array => Some(plain(Instruction::ArrayLen, vec![get()])),
        Heap::Type(id) => match plan.program.types[id as usize] {
            TypeDefinition::Struct(_) => Some(Node::value(Op::StructGet(id, 0), ValueType::I32, vec![get()])),
            TypeDefinition::Array(_) => Some(plain(Instruction::ArrayLen, vec![get()])),
            TypeDefinition::Function(_) | TypeDefinition::Continuation(_) => None,
        },
        Heap::Func | Heap::Extern | Heap::Struct | Heap::Exn => None,
    };
    let is_null = plain(Instruction::RefIsNull, vec![get()]);
    match inner {
        Some(inner) if reference.nullable => {
            Node::control(Op::If, vec![ValueType::I32], vec![is_null], vec![vec![Node::i32(-7)], vec![inner]])
        }
        Some(inner) => inner,
        None => is_null,
    }
}

/// An instruction that leaves an i32.
fn plain(instruction: Instruction<'static>, inputs: Vec<Node>) -> Node {
    Node::value(Op::Plain(instruction), ValueType::I32, inputs)
}

/// Adds an exported function that logs what the globals and the tables of continuations hold at the end.
pub fn add_observer(plan: &mut Plan) {
    let ty = plan.function_type(Effects::NONE, Signature::default());
    let mut body = vec![];
    let mut locals = vec![];
    for (id, global) in plan.program.globals.iter().enumerate() {
        let value = Node::value(Op::GlobalGet(id as u32), global.ty, vec![]);
        let host = match global.ty {
            ValueType::I32 => HostFunction::LogI32,
            ValueType::I64 => HostFunction::LogI64,
            ValueType::F32 => HostFunction::LogF32,
            ValueType::F64 => HostFunction::LogF64,
            ValueType::V128 => HostFunction::LogV128,
            ValueType::Reference(_) => {
                let local = locals.len() as Local;
                locals.push(global.ty);
                body.push(Node::set_local(local, value));
                let digest = digest(plan, local, global.ty);
                body.push(Node::statement(Op::Host(HostFunction::LogI32), vec![digest]));
                continue;
            }
        };
        body.push(Node::statement(Op::Host(host), vec![value]));
    }
    for table in &plan.continuation_tables {
        let definition = &plan.program.tables[*table as usize];
        let element = ValueType::nullable(definition.element);
        for index in 0..definition.minimum {
            let slot = Node::value(Op::TableGet(*table), element, vec![Node::i32(index as i32)]);
            let is_null = plain(Instruction::RefIsNull, vec![slot]);
            body.push(Node::statement(Op::Host(HostFunction::LogI32), vec![is_null]));
        }
        let size = Node::value(Op::TableSize(*table), ValueType::I32, vec![]);
        body.push(Node::statement(Op::Host(HostFunction::LogI32), vec![size]));
    }
    plan.program.functions.push(Function { name: "observe".to_string(), ty, locals, body, exported: true });
    plan.function_effects.push(Effects::NONE);
}
