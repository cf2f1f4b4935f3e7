//! Statements about continuations and exceptions.

use wasm_encoder::Instruction;

use super::builder::Builder;
use super::program::{
    CatchClause, Handler, Heap, HostFunction, Label, Local, Node, Op, Signature, TableId, TagId, TypeId, ValueType,
};

const I32: ValueType = ValueType::I32;

/// How a continuation is set going.
enum Way {
    Resume,
    Throw(TagId),
    ThrowReference,
}

/// A handler to be: the tag, the label, and the locals that the landing fills.
struct Landing {
    tag: TagId,
    label: Label,
    payload: Vec<ValueType>,
    payload_locals: Vec<Option<Local>>,
    continuation: TypeId,
    continuation_local: Local,
}

impl Builder<'_> {
    // ---- resuming ----

    /// Chooses clauses so that everything a continuation may raise is either handled or may leave this function.
    fn choose_tags(&mut self, protocol: usize) -> (Vec<TagId>, Vec<TagId>) {
        let effects = self.plan.protocols[protocol].effects;
        let own_switch = self.plan.protocols[protocol].switch.as_ref().map(|family| family.tag);
        let needed = effects.without(self.effects);
        let mut suspends = vec![];
        let mut switches = vec![];
        for tag in effects.tags() {
            if self.plan.switch_tags.contains(tag) {
                if own_switch == Some(tag) && (needed.contains(tag) || self.random.percent(50)) {
                    switches.push(tag);
                }
            } else if needed.contains(tag) || self.random.percent(45) {
                suspends.push(tag);
            }
        }
        if suspends.len() > 1 && self.random.percent(50) {
            suspends.reverse();
        }
        (suspends, switches)
    }

    /// A landing for a tag. The continuation goes to `slot` if given, and else to a new local.
    fn landing(&mut self, protocol: usize, tag: TagId, slot: Option<Local>) -> Landing {
        let Signature { params, results } = self.plan.program.tags[tag as usize].signature.clone();
        let continuation = self.plan.continuation_type(protocol, &results);
        let payload_locals = params.iter().map(|ty| self.random.percent(85).then(|| self.new_local(*ty))).collect();
        let continuation_local = slot.unwrap_or_else(|| self.new_local(ValueType::nullable(Heap::Type(continuation))));
        let mut payload = params;
        // The handler pushes a non-null reference; a label may ask for less.
        let nullable = self.random.percent(30);
        let heap = Heap::Type(continuation);
        payload.push(if nullable { ValueType::nullable(heap) } else { ValueType::non_null(heap) });
        Landing { tag, label: self.new_label(), payload, payload_locals, continuation, continuation_local }
    }

    /// Puts `body` under the landing, with statements that see the payload as its handler.
    fn land(
        &mut self,
        landing: Landing,
        body: Vec<Node>,
        handle: impl FnOnce(&mut Self, &Landing) -> Vec<Node>,
    ) -> Node {
        let handler = self.scope(|builder| {
            let payload: Vec<Local> = landing.payload_locals.iter().flatten().copied().collect();
            for local in payload {
                let ty = builder.local_type(local);
                if ty.is_defaultable() || !builder.is_continuation(ty) {
                    builder.visible.push(local);
                }
            }
            handle(builder, &landing)
        });
        let mut destinations = landing.payload_locals;
        destinations.push(Some(landing.continuation_local));
        Node::control(Op::Landing(landing.label, landing.payload, destinations), vec![], vec![], vec![body, handler])
    }

    /// The clauses for landings and switches. Now and then one is repeated, and so is dead.
    fn clauses(&mut self, landings: &[Landing], switches: &[TagId]) -> Vec<Handler> {
        let mut clauses: Vec<Handler> =
            landings.iter().map(|landing| Handler::Suspend(landing.tag, landing.label)).collect();
        for tag in switches {
            let at = self.random.below(clauses.len() + 1);
            clauses.insert(at, Handler::Switch(*tag));
        }
        if self.random.percent(5)
            && let Some(clause) = self.random.pick_any(&clauses).copied()
        {
            clauses.push(clause);
        }
        clauses
    }

    /// The instruction that sets a continuation going, with its arguments.
    fn resumption(&mut self, ty: TypeId, continuation: Node, clauses: Vec<Handler>, way: Way) -> Node {
        let Signature { params, results } = self.plan.program.signature(ty).clone();
        let (op, mut inputs) = match way {
            Way::Resume => (Op::Resume(ty, clauses), self.arguments(&params, 2)),
            Way::Throw(tag) => {
                let params = self.plan.program.tags[tag as usize].signature.params.clone();
                (Op::ResumeThrow(ty, tag, clauses), self.arguments(&params, 2))
            }
            Way::ThrowReference => {
                let exception = ValueType::nullable(Heap::Exn);
                let locals = self.locals_of(exception);
                // A null reference would trap, so a local is used only if it turns out to hold something.
                let fresh = Node::default_of(vec![ValueType::non_null(Heap::Exn)]);
                let reference = match self.random.pick_any(&locals).copied() {
                    Some(local) => {
                        let get = || Node::local(local, exception);
                        let is_null = Node::value(Op::Plain(Instruction::RefIsNull), I32, vec![get()]);
                        Node::control(Op::If, vec![exception], vec![is_null], vec![vec![fresh], vec![get()]])
                    }
                    None => fresh,
                };
                (Op::ResumeThrowReference(ty, clauses), vec![reference])
            }
        };
        inputs.push(continuation);
        Node::values(op, results, inputs)
    }

    /// Sets the continuation in `local` going once, if there is one; handlers run their own statements.
    fn resume_local(&mut self, local: Local, ty: TypeId, way: Way) -> Vec<Node> {
        let protocol = self.plan.protocol_of(ty).expect("only continuations are resumed");
        if !self.plan.can_resume(protocol, self.effects) {
            return vec![];
        }
        let nullable = ValueType::nullable(Heap::Type(ty));
        let (suspends, switches) = self.choose_tags(protocol);
        let landings: Vec<Landing> = suspends.into_iter().map(|tag| self.landing(protocol, tag, None)).collect();
        let clauses = self.clauses(&landings, &switches);
        let throwing = !matches!(way, Way::Resume);
        // Taken before the arguments are computed, which might take it as well.
        let taken = self.new_local(nullable);
        let mut body = self.scope(|builder| {
            let take = Node::value(Op::TakeLocal(local), nullable, vec![]);
            let resumption = builder.resumption(ty, Node::local(taken, nullable), clauses, way);
            let mut body = vec![Node::set_local(taken, take), builder.assign(resumption)];
            if builder.random.percent(50) {
                body.extend(builder.statements(1));
            }
            body
        });
        if throwing && self.random.percent(75) {
            body = vec![self.guard(body)];
        }
        for landing in landings {
            let node = self.land(landing, body, |builder, landing| {
                let count = builder.random.between(0, 2);
                let mut handler = builder.statements(count);
                if builder.random.percent(85) {
                    handler.extend(builder.use_local(landing.continuation_local, landing.continuation));
                }
                handler
            });
            body = vec![node];
        }
        let get = Node::local(local, nullable);
        let is_null = Node::value(Op::Plain(Instruction::RefIsNull), I32, vec![get]);
        vec![Node::control(Op::If, vec![], vec![is_null], vec![vec![], body])]
    }

    /// Does something with the continuation in a nullable local.
    pub fn use_local(&mut self, local: Local, ty: TypeId) -> Vec<Node> {
        let place = ValueType::nullable(Heap::Type(ty));
        let resumable = usize::from(self.depth < 5 && self.budget > -5);
        let exceptions = usize::from(self.config.exceptions);
        let throwing = if self.plan.throwable.is_empty() { 0 } else { exceptions };
        let globals = self.plan.globals_of(place);
        let tables = self.plan.tables_of(ty);
        let narrower = self.narrower(ty);
        let weights = [
            8 * resumable,
            4 * resumable * throwing,
            2 * resumable * exceptions,
            5 * usize::from(!globals.is_empty()),
            6 * usize::from(!tables.is_empty()),
            6 * usize::from(!narrower.is_empty()),
            1,
        ];
        let take = Node::value(Op::TakeLocal(local), place, vec![]);
        match self.random.weighted(&weights) {
            0 if resumable == 1 => self.resume_local(local, ty, Way::Resume),
            1 => {
                let tag = *self.random.pick(&self.plan.throwable);
                self.resume_local(local, ty, Way::Throw(tag))
            }
            2 => self.resume_local(local, ty, Way::ThrowReference),
            3 => vec![Node::statement(Op::GlobalSet(*self.random.pick(&globals)), vec![take])],
            4 => {
                let table = *self.random.pick(&tables);
                let (prelude, index) = self.table_index(table);
                let set = Node::statement(Op::TableSet(table), vec![Node::local(index, I32), take]);
                [prelude, vec![set]].concat()
            }
            5 => {
                // Bind a prefix, if there is something to bind.
                let to = *self.random.pick(&narrower);
                let bound = self.plan.program.signature(ty).params.len() - self.plan.program.signature(to).params.len();
                let params = self.plan.program.signature(ty).params[..bound].to_vec();
                let bound_place = ValueType::nullable(Heap::Type(to));
                let target = self.new_local(bound_place);
                let taken = self.new_local(place);
                let inner = self.scope(|builder| {
                    let mut inputs = builder.arguments(&params, 2);
                    inputs.push(Node::local(taken, place));
                    let made = ValueType::non_null(Heap::Type(to));
                    let bind = Node::value(Op::ContBind { from: ty, to }, made, inputs);
                    let mut inner = vec![Node::set_local(taken, take), Node::set_local(target, bind)];
                    inner.extend(builder.use_local(target, to));
                    inner
                });
                let is_null = Node::value(Op::Plain(Instruction::RefIsNull), I32, vec![Node::local(local, place)]);
                vec![Node::control(Op::If, vec![], vec![is_null], vec![vec![], inner])]
            }
            _ => vec![Node::statement(Op::Plain(Instruction::Drop), vec![take])],
        }
    }

    /// Types that a continuation of this type can be bound to. Repeated binding may end at the type itself minus all.
    fn narrower(&mut self, ty: TypeId) -> Vec<TypeId> {
        let protocol = self.plan.protocol_of(ty).expect("only continuations are bound");
        let params = self.plan.program.signature(ty).params.clone();
        if params.is_empty() {
            // Binding nothing is still a use: the old reference is consumed.
            return if self.random.percent(20) { vec![ty] } else { vec![] };
        }
        let most = (1..=params.len()).rev().find(|bound| self.plan.can_bind(&params[..*bound]));
        let Some(most) = most else {
            return vec![];
        };
        let bound = self.random.between(1, most);
        vec![self.plan.continuation_type(protocol, &params[bound..])]
    }

    /// The protocols whose continuations may be resumed here.
    fn resumable(&self) -> Vec<usize> {
        (0..self.plan.protocols.len()).filter(|protocol| self.plan.can_resume(*protocol, self.effects)).collect()
    }

    /// Makes or finds a continuation and sets it going once.
    pub fn run_once(&mut self) -> Vec<Node> {
        let protocols = self.resumable();
        let Some(protocol) = self.random.pick_any(&protocols).copied() else {
            return vec![];
        };
        let types: Vec<TypeId> =
            self.plan.continuations().into_iter().filter(|ty| self.plan.protocol_of(*ty) == Some(protocol)).collect();
        let ty = *self.random.pick(&types);
        let local = self.new_local(ValueType::nullable(Heap::Type(ty)));
        let mut nodes = vec![];
        let tables = self.plan.tables_of(ty);
        let value = match self.random.pick_any(&tables).copied() {
            Some(table) if self.random.percent(60) => {
                let (prelude, index) = self.table_index(table);
                nodes = prelude;
                Node::value(Op::TakeTable(table, index), ValueType::nullable(Heap::Type(ty)), vec![])
            }
            _ => self.continuation(ty, ValueType::nullable(Heap::Type(ty)), 2),
        };
        nodes.push(Node::set_local(local, value));
        nodes.extend(self.use_local(local, ty));
        nodes
    }

    /// A driver: a loop that sets a continuation going, keeps what each suspension gives it, and goes on with that.
    pub fn drive(&mut self) -> Vec<Node> {
        let protocols = self.resumable();
        let Some(protocol) = self.random.pick_any(&protocols).copied() else {
            return self.suspend_or_nothing();
        };
        let start = match &self.plan.protocols[protocol].switch {
            Some(family) if self.random.percent(60) => family.continuation,
            _ => {
                let params = self.plan.protocols[protocol].start.clone();
                self.plan.continuation_type(protocol, &params)
            }
        };
        let place = ValueType::nullable(Heap::Type(start));
        let first = self.new_local(place);
        let Some(value) = self.new_continuation(start, 2, 2) else {
            return self.run_once();
        };
        let mut nodes = vec![Node::set_local(first, value)];
        let (suspends, switches) = self.choose_tags(protocol);
        // One slot for each type; they start empty, also when this code runs a second time.
        let mut slots: Vec<(TypeId, Local)> = vec![(start, first)];
        for tag in &suspends {
            let results = self.plan.program.tags[*tag as usize].signature.results.clone();
            let ty = self.plan.continuation_type(protocol, &results);
            if !slots.iter().any(|(other, _)| *other == ty) {
                let heap = Heap::Type(ty);
                let local = self.new_local(ValueType::nullable(heap));
                nodes.push(Node::set_local(local, Node::value(Op::RefNull(heap), ValueType::nullable(heap), vec![])));
                slots.push((ty, local));
            }
        }
        let landings: Vec<Landing> = suspends
            .into_iter()
            .map(|tag| {
                let results = self.plan.program.tags[tag as usize].signature.results.clone();
                let ty = self.plan.continuation_type(protocol, &results);
                let slot = slots.iter().find(|(other, _)| *other == ty).map(|(_, local)| *local);
                self.landing(protocol, tag, slot)
            })
            .collect();
        let exit = self.new_label();
        let looped = self.repeat(6, |builder| builder.drive_body(&slots, landings, &switches, exit));
        nodes.push(Node::control(Op::Block(exit), vec![], vec![], vec![looped]));
        for (_, local) in &slots {
            if self.random.percent(50) {
                self.visible.push(*local);
            }
        }
        nodes
    }

    fn drive_body(
        &mut self,
        slots: &[(TypeId, Local)],
        landings: Vec<Landing>,
        switches: &[TagId],
        exit: Label,
    ) -> Vec<Node> {
        let mut choice = vec![Node::statement(Op::Br(exit), vec![])];
        for (ty, local) in slots {
            let place = ValueType::nullable(Heap::Type(*ty));
            let clauses = self.clauses(&landings, switches);
            let throwing = self.config.exceptions && !self.plan.throwable.is_empty() && self.random.percent(15);
            let mut going = self.scope(|builder| {
                let way = match builder.random.below(3) {
                    _ if !throwing => Way::Resume,
                    0 => Way::ThrowReference,
                    _ => Way::Throw(*builder.random.pick(&builder.plan.throwable)),
                };
                let take = Node::value(Op::TakeLocal(*local), place, vec![]);
                let resumption = builder.resumption(*ty, take, clauses, way);
                let mut going = vec![builder.assign(resumption)];
                if let Some(local) = builder.visible.last().copied()
                    && builder.random.percent(50)
                {
                    going.extend(builder.log(local));
                }
                going
            });
            if throwing {
                going = vec![self.guard(going)];
            }
            let is_null = Node::value(Op::Plain(Instruction::RefIsNull), I32, vec![Node::local(*local, place)]);
            choice = vec![Node::control(Op::If, vec![], vec![is_null], vec![choice, going])];
        }
        let mut body = choice;
        for landing in landings {
            let node = self.land(landing, body, |builder, landing| {
                let mut handler = vec![];
                for local in landing.payload_locals.iter().flatten() {
                    if builder.random.percent(40) {
                        handler.extend(builder.log(*local));
                    }
                }
                let count = builder.random.between(0, 2);
                handler.extend(builder.statements(count));
                if builder.random.percent(12) {
                    handler.extend(builder.use_local(landing.continuation_local, landing.continuation));
                }
                handler
            });
            body = vec![node];
        }
        body
    }

    fn suspend_or_nothing(&mut self) -> Vec<Node> {
        let tags = self.suspendable(None);
        match self.random.pick_any(&tags).copied() {
            Some(tag) => {
                let suspend = self.suspend(tag, 2);
                vec![self.assign(suspend)]
            }
            None => vec![],
        }
    }

    // ---- switching ----

    /// `switch` to a peer, made or found; the peer that comes back takes its place.
    pub fn switch_statement(&mut self) -> Vec<Node> {
        let families: Vec<_> = self
            .plan
            .protocols
            .iter()
            .filter_map(|protocol| protocol.switch.clone())
            .filter(|family| self.effects.contains(family.tag))
            .collect();
        let Some(family) = self.random.pick_any(&families).cloned() else {
            return vec![];
        };
        let place = ValueType::nullable(Heap::Type(family.continuation));
        let mut nodes = vec![];
        let locals = self.locals_of(place);
        let peer = match self.random.pick_any(&locals).copied() {
            Some(local) if self.random.percent(80) => local,
            _ => {
                let local = self.new_local(place);
                let value = self.continuation(family.continuation, place, 2);
                nodes.push(Node::set_local(local, value));
                self.visible.push(local);
                local
            }
        };
        let taken = self.new_local(place);
        let body = self.scope(|builder| {
            let mut inputs = builder.arguments(&family.params, 2);
            inputs.push(Node::local(taken, place));
            let mut results = family.params.clone();
            results.push(place);
            let switch = Node::values(Op::Switch(family.continuation, family.tag), results, inputs);
            let mut destinations = vec![];
            for ty in &family.params {
                let local = builder.random.percent(85).then(|| builder.new_local(*ty));
                builder.visible.extend(local);
                destinations.push(local);
            }
            destinations.push(Some(peer));
            let take = Node::value(Op::TakeLocal(peer), place, vec![]);
            let mut body = vec![Node::set_local(taken, take), Node::statement(Op::Assign(destinations), vec![switch])];
            let count = builder.random.between(0, 2);
            body.extend(builder.statements(count));
            body
        });
        let is_null = Node::value(Op::Plain(Instruction::RefIsNull), I32, vec![Node::local(peer, place)]);
        let guarded = Node::control(Op::If, vec![], vec![is_null], vec![vec![], body]);
        if self.random.percent(40) {
            nodes.extend(self.repeat(4, |_| vec![guarded]));
        } else {
            nodes.push(guarded);
        }
        nodes
    }

    // ---- exceptions ----

    /// `try_table` around statements, with one to three clauses.
    pub fn try_statement(&mut self) -> Node {
        let count = self.random.between(1, 4);
        let mut body = self.scope(|builder| {
            // What a `resume_throw` finds: a suspension inside the handlers.
            let mut body = if builder.random.percent(60) { builder.suspend_or_nothing() } else { vec![] };
            body.extend(builder.statements(count));
            if builder.random.percent(35) {
                body.push(builder.throw_statement());
            }
            body
        });
        let clauses = self.random.between(1, 3);
        let mut kinds = vec![];
        for _ in 0..clauses {
            kinds.push(self.random.below(4));
        }
        body = vec![self.catching(body, kinds)];
        let label = self.new_label();
        Node::control(Op::Block(label), vec![], vec![], vec![body])
    }

    /// Catches everything around `body`.
    pub fn guard(&mut self, body: Vec<Node>) -> Node {
        let mut kinds = vec![];
        if self.random.percent(60) {
            kinds.push(self.random.below(2));
        }
        kinds.push(self.random.between(2, 3));
        self.catching(body, kinds)
    }

    /// Kinds: 0 catch, 1 catch_ref, 2 catch_all, 3 catch_all_ref.
    fn catching(&mut self, body: Vec<Node>, kinds: Vec<usize>) -> Node {
        let exception = ValueType::nullable(Heap::Exn);
        let mut clauses = vec![];
        let mut landings = vec![];
        for kind in kinds {
            let label = self.new_label();
            let tag = self.random.pick_any(&self.plan.throwable).copied();
            let (clause, mut payload) = match (kind, tag) {
                (0, Some(tag)) => {
                    (CatchClause::One(tag, label), self.plan.program.tags[tag as usize].signature.params.clone())
                }
                (1, Some(tag)) => (
                    CatchClause::OneReference(tag, label),
                    self.plan.program.tags[tag as usize].signature.params.clone(),
                ),
                (2, _) => (CatchClause::All(label), vec![]),
                _ => (CatchClause::AllReference(label), vec![]),
            };
            if matches!(clause, CatchClause::OneReference(..) | CatchClause::AllReference(_)) {
                payload.push(exception);
            }
            let locals: Vec<Local> = payload.iter().map(|ty| self.new_local(*ty)).collect();
            clauses.push(clause);
            landings.push((label, payload, locals));
        }
        let mut node = Node::control(Op::TryTable(clauses), vec![], vec![], vec![body]);
        for (label, payload, locals) in landings {
            let handler = self.scope(|builder| {
                builder.visible.extend(&locals);
                let mut handler = vec![];
                for local in &locals {
                    if builder.random.percent(50) {
                        handler.extend(builder.log(*local));
                    }
                }
                let trace = Node::i32(900 + builder.random.below(50) as i32);
                handler.push(Node::statement(Op::Host(HostFunction::LogI32), vec![trace]));
                let count = builder.random.between(0, 2);
                handler.extend(builder.statements(count));
                if payload.last() == Some(&exception) && builder.random.percent(15) {
                    let reference = locals.last().copied().expect("it has the exception");
                    let again =
                        Node::statement(Op::Plain(Instruction::ThrowRef), vec![Node::local(reference, exception)]);
                    let condition = builder.leaf(I32);
                    // Null after a statement that stored to the local.
                    let is_null =
                        Node::value(Op::Plain(Instruction::RefIsNull), I32, vec![Node::local(reference, exception)]);
                    let held = Node::value(Op::Plain(Instruction::I32Eqz), I32, vec![is_null]);
                    let both = Node::value(Op::Plain(Instruction::I32And), I32, vec![condition, held]);
                    handler.push(Node::control(Op::If, vec![], vec![both], vec![vec![again], vec![]]));
                }
                handler
            });
            let destinations = locals.into_iter().map(Some).collect();
            node = Node::control(Op::Landing(label, payload, destinations), vec![], vec![], vec![vec![node], handler]);
        }
        node
    }

    /// Throws, mostly under a condition.
    pub fn throw_statement(&mut self) -> Node {
        let Some(tag) = self.random.pick_any(&self.plan.throwable).copied() else {
            let value = self.leaf(I32);
            return Node::statement(Op::Plain(Instruction::Drop), vec![value]);
        };
        let params = self.plan.program.tags[tag as usize].signature.params.clone();
        let inputs = self.arguments(&params, 2);
        let throw = Node::statement(Op::Throw(tag), inputs);
        if self.random.percent(15) {
            return throw;
        }
        let condition = self.expression(I32, 2);
        let chosen = Node::value(Op::Plain(Instruction::I32And), I32, vec![condition, Node::i32(1)]);
        Node::control(Op::If, vec![], vec![chosen], vec![vec![throw], vec![]])
    }

    // ---- tables ----

    /// Statements that put an index within the table's first size into a local.
    fn table_index(&mut self, table: TableId) -> (Vec<Node>, Local) {
        let size = self.plan.program.tables[table as usize].minimum as i32;
        let local = self.new_local(I32);
        let value = self.expression(I32, 2);
        let value = Node::value(Op::Plain(Instruction::I32RemU), I32, vec![value, Node::i32(size)]);
        (vec![Node::set_local(local, value)], local)
    }

    /// An operation on a table of continuations. Copies are moves: the source is emptied after.
    pub fn table_statement(&mut self) -> Vec<Node> {
        if self.random.percent(15) {
            return self.function_table_statement();
        }
        let table = *self.random.pick(&self.plan.continuation_tables);
        let definition = self.plan.program.tables[table as usize].clone();
        let element = ValueType::nullable(definition.element);
        let Heap::Type(ty) = definition.element else {
            panic!("table {table} was declared for continuations");
        };
        let size = definition.minimum as i32;
        let null = || Node::value(Op::RefNull(definition.element), element, vec![]);
        match self.random.below(7) {
            0 | 1 => {
                let (mut nodes, index) = self.table_index(table);
                let value = self.continuation(ty, element, 2);
                nodes.push(Node::statement(Op::TableSet(table), vec![Node::local(index, I32), value]));
                nodes
            }
            2 => {
                let (mut nodes, index) = self.table_index(table);
                let local = self.new_local(element);
                nodes.push(Node::set_local(local, Node::value(Op::TakeTable(table, index), element, vec![])));
                self.visible.push(local);
                nodes
            }
            3 => {
                let count = Node::i32(self.random.below(3) as i32);
                let grow = Node::value(Op::TableGrow(table), I32, vec![null(), count]);
                let local = self.new_local(I32);
                self.visible.push(local);
                vec![Node::set_local(local, grow)]
            }
            4 => {
                let from = self.random.below(size as usize) as i32;
                if self.random.percent(50) {
                    // One slot: the only number of copies that does not duplicate.
                    let value = self.continuation(ty, element, 2);
                    return vec![Node::statement(Op::TableFill(table), vec![Node::i32(from), value, Node::i32(1)])];
                }
                let count = self.random.below((size - from) as usize + 1) as i32;
                vec![Node::statement(Op::TableFill(table), vec![Node::i32(from), null(), Node::i32(count)])]
            }
            5 => {
                // Move a range; what is left of the source is emptied, slot by slot where the ranges overlap.
                let count = self.random.below(size as usize) as i32 + 1;
                let room = (size - count) as usize + 1;
                let (from, to) = (self.random.below(room) as i32, self.random.below(room) as i32);
                let copy = Op::TableCopy { destination: table, source: table };
                let mut nodes = vec![Node::statement(copy, vec![Node::i32(to), Node::i32(from), Node::i32(count)])];
                let (left, right) =
                    if to > from { (from, to.min(from + count)) } else { (from.max(to + count), from + count) };
                if to != from && left < right {
                    let inputs = vec![Node::i32(left), null(), Node::i32(right - left)];
                    nodes.push(Node::statement(Op::TableFill(table), inputs));
                }
                nodes
            }
            _ => {
                let segments: Vec<(TableId, u32)> =
                    self.plan.null_segments.iter().copied().filter(|(other, _)| *other == table).collect();
                match self.random.pick_any(&segments).copied() {
                    Some((_, segment)) => {
                        // A dropped segment is empty, and only an empty range of it can be used, so none is dropped here.
                        let length = self.plan.program.segments[segment as usize].items.len();
                        let count = self.random.below(length.min(size as usize) + 1);
                        let to = self.random.below(size as usize - count + 1);
                        let inputs = vec![Node::i32(to as i32), Node::i32(0), Node::i32(count as i32)];
                        vec![Node::statement(Op::TableInit(table, segment), inputs)]
                    }
                    None => {
                        let local = self.new_local(I32);
                        self.visible.push(local);
                        vec![Node::set_local(local, Node::value(Op::TableSize(table), I32, vec![]))]
                    }
                }
            }
        }
    }

    /// Changes the table of functions that changes, and calls through it.
    fn function_table_statement(&mut self) -> Vec<Node> {
        let Some(((table, ty), segment)) = self.plan.changing_table.zip(self.plan.function_segment) else {
            return vec![];
        };
        let index = Node::i32(self.random.below(4) as i32);
        if self.random.percent(40) {
            let length = self.plan.program.segments[segment as usize].items.len().min(4);
            let from = self.random.below(length) as i32;
            return vec![Node::statement(Op::TableInit(table, segment), vec![index, Node::i32(from), Node::i32(0)])];
        }
        let Signature { params, results } = self.plan.program.signature(ty).clone();
        let reference = self.function_reference(ty);
        let set = Node::statement(Op::TableSet(table), vec![index.clone(), reference]);
        // Functions that come before this one are called rarely: see `callable`.
        if self.plan.functions_of_type(ty).iter().any(|function| *function <= self.function) && self.random.percent(80)
        {
            return vec![set];
        }
        let mut inputs = self.arguments(&params, 2);
        inputs.push(index);
        let call = Node::values(Op::CallIndirect(ty, table), results, inputs);
        vec![set, self.assign(call)]
    }

    // ---- deliberate traps ----

    /// Suspends with, or switches under, a tag that nothing handles.
    pub fn trap_unhandled(&mut self) -> Vec<Node> {
        let tag = self.random.below(self.plan.program.tags.len()) as TagId;
        if self.effects.contains(tag) {
            return self.trap_null_continuation();
        }
        let suspend = self.suspend(tag, 1);
        vec![self.assign(suspend)]
    }

    pub fn trap_null_continuation(&mut self) -> Vec<Node> {
        let types = self.plan.continuations();
        let ty = *self.random.pick(&types);
        let heap = Heap::Type(ty);
        let null = Node::value(Op::RefNull(heap), ValueType::nullable(heap), vec![]);
        self.use_up(ty, null)
    }

    /// Uses one continuation twice.
    pub fn trap_consumed(&mut self) -> Vec<Node> {
        let types = self.plan.continuations();
        let ty = *self.random.pick(&types);
        let place = ValueType::nullable(Heap::Type(ty));
        let local = self.new_local(place);
        let Some(value) = self.new_continuation(ty, 1, 1) else {
            return self.trap_null_continuation();
        };
        let mut nodes = vec![Node::set_local(local, value)];
        // Binding nothing consumes without running anything; a reference in the table is the same one.
        let bind =
            |source| Node::value(Op::ContBind { from: ty, to: ty }, ValueType::non_null(Heap::Type(ty)), vec![source]);
        let get = || Node::local(local, place);
        nodes.push(Node::statement(Op::Plain(Instruction::Drop), vec![bind(get())]));
        nodes.extend(self.use_up(ty, get()));
        nodes
    }

    pub fn trap_null_function(&mut self) -> Vec<Node> {
        let types = self.plan.continuations();
        let ty = *self.random.pick(&types);
        let heap = Heap::Type(self.plan.function_of(ty));
        let null = Node::value(Op::RefNull(heap), ValueType::nullable(heap), vec![]);
        let made = Node::value(Op::ContNew(ty), ValueType::non_null(Heap::Type(ty)), vec![null]);
        vec![Node::statement(Op::Plain(Instruction::Drop), vec![made])]
    }

    /// `resume`, `resume_throw`, `cont.bind` or `switch` of a reference.
    fn use_up(&mut self, ty: TypeId, reference: Node) -> Vec<Node> {
        let protocol = self.plan.protocol_of(ty).expect("only continuations are used up");
        let family = self.plan.protocols[protocol].switch.clone();
        let node = match self.random.below(4) {
            0 => self.resumption(ty, reference, vec![], Way::Resume),
            1 if !self.plan.throwable.is_empty() => {
                let tag = *self.random.pick(&self.plan.throwable);
                self.resumption(ty, reference, vec![], Way::Throw(tag))
            }
            2 => match family {
                Some(family) if family.continuation == ty => {
                    let mut inputs = self.arguments(&family.params, 1);
                    inputs.push(reference);
                    let mut results = family.params.clone();
                    results.push(ValueType::nullable(Heap::Type(ty)));
                    Node::values(Op::Switch(ty, family.tag), results, inputs)
                }
                _ => self.resumption(ty, reference, vec![], Way::Resume),
            },
            _ => Node::value(Op::ContBind { from: ty, to: ty }, ValueType::non_null(Heap::Type(ty)), vec![reference]),
        };
        vec![self.assign(node)]
    }
}
