//! What a program declares, decided before any body is written: types, tags, functions without bodies, globals, tables.
//!
//! Most programs should end by returning, so suspensions must as a rule be handled. Wasm's types do not say what a function or
//! a continuation may raise; the plan does, by effects: each function and each continuation type has the set of tags that may
//! leave it, and the generator respects these sets everywhere but where it traps on purpose. Continuations come in
//! *protocols*: all continuation types of one protocol have the same results and the same effects, so that a suspended
//! continuation, a bound one and one that another has switched from can each be given a type.

use super::Config;
use super::program::{
    Function, FunctionId, Global, GlobalId, Heap, Initial, Program, Segment, SegmentId, Signature, Storage, Table,
    TableId, Tag, TagId, TypeDefinition, TypeId, ValueType,
};
use super::random::Random;

/// A set of tags.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub struct Effects(u64);

impl Effects {
    pub const NONE: Effects = Effects(0);

    pub fn insert(&mut self, tag: TagId) {
        self.0 |= 1 << tag;
    }

    pub fn contains(self, tag: TagId) -> bool {
        self.0 >> tag & 1 == 1
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of these are among `other`.
    pub fn within(self, other: Effects) -> bool {
        self.0 & !other.0 == 0
    }

    pub fn without(self, other: Effects) -> Effects {
        Effects(self.0 & !other.0)
    }

    pub fn tags(self) -> impl Iterator<Item = TagId> {
        (0..64).filter(move |tag| self.contains(*tag))
    }
}

/// The switching part of a protocol: `continuation` takes `params` and the peer that switched to it.
#[derive(Clone, Debug)]
pub struct SwitchFamily {
    pub tag: TagId,
    pub params: Vec<ValueType>,
    pub continuation: TypeId,
}

/// Continuation types that belong together.
#[derive(Clone, Debug)]
pub struct Protocol {
    pub start: Vec<ValueType>,
    pub results: Vec<ValueType>,
    /// The tags that this protocol brought in, for `suspend`.
    pub tags: Vec<TagId>,
    pub switch: Option<SwitchFamily>,
    pub effects: Effects,
}

/// Declarations, and what the generator knows about them.
pub struct Plan {
    pub program: Program,
    pub protocols: Vec<Protocol>,
    /// Tags whose only use is `throw`.
    pub exceptions: Vec<TagId>,
    /// Tags without results and without continuations among their parameters: they may be thrown as well.
    pub throwable: Vec<TagId>,
    pub switch_tags: Effects,
    function_types: Vec<(Effects, TypeId)>,
    continuation_types: Vec<(usize, TypeId)>,
    pub function_effects: Vec<Effects>,
    pub function_table: TableId,
    /// Runs of functions of one type in the function table.
    pub slots: Vec<Slot>,
    pub continuation_tables: Vec<TableId>,
    /// Passive segments of nulls, by table.
    pub null_segments: Vec<(TableId, SegmentId)>,
    pub function_segment: Option<SegmentId>,
    /// A mutable table of functions, whose slots hold null or functions of one type without effects.
    pub changing_table: Option<(TableId, TypeId)>,
    pub structs: Vec<TypeId>,
    pub arrays: Vec<TypeId>,
    pub entries: Vec<FunctionId>,
    simd: bool,
    gc: bool,
    bind_gc: bool,
}

/// Functions `first..first + count` of the function table have the type.
#[derive(Copy, Clone, Debug)]
pub struct Slot {
    pub ty: TypeId,
    pub first: u32,
    pub count: u32,
}

impl Plan {
    /// Declares everything.
    pub fn new(seed: u64, config: &Config, random: &mut Random) -> Plan {
        let program = Program {
            seed,
            types: vec![],
            tags: vec![],
            globals: vec![],
            tables: vec![],
            segments: vec![],
            functions: vec![],
            start: None,
            fuel: config.fuel,
            invocations: vec![],
        };
        let mut plan = Plan {
            program,
            protocols: vec![],
            exceptions: vec![],
            throwable: vec![],
            switch_tags: Effects::NONE,
            function_types: vec![],
            continuation_types: vec![],
            function_effects: vec![],
            function_table: 0,
            slots: vec![],
            continuation_tables: vec![],
            null_segments: vec![],
            function_segment: None,
            changing_table: None,
            structs: vec![],
            arrays: vec![],
            entries: vec![],
            simd: config.simd,
            gc: config.gc,
            bind_gc: config.bind_gc,
        };
        plan.declare_data(config, random);
        plan.declare_protocols(config, random);
        if config.continuations_in_gc {
            plan.put_continuations_into_structs(random);
        }
        plan.declare_exceptions(config, random);
        plan.declare_functions(config, random);
        plan.declare_globals(random);
        plan.declare_tables(random);
        plan
    }

    // ---- types ----

    fn add_type(&mut self, definition: TypeDefinition) -> TypeId {
        self.program.types.push(definition);
        self.program.types.len() as TypeId - 1
    }

    /// The function type with these effects; types with other effects are kept apart even where wasm sees one type.
    pub fn function_type(&mut self, effects: Effects, signature: Signature) -> TypeId {
        let known = self.function_types.iter().find(|(other, ty)| {
            *other == effects && self.program.types[*ty as usize] == TypeDefinition::Function(signature.clone())
        });
        if let Some((_, ty)) = known {
            return *ty;
        }
        let ty = self.add_type(TypeDefinition::Function(signature));
        self.function_types.push((effects, ty));
        ty
    }

    /// The continuation type of a protocol with these parameters.
    pub fn continuation_type(&mut self, protocol: usize, params: &[ValueType]) -> TypeId {
        let known = self
            .continuation_types
            .iter()
            .find(|(other, ty)| *other == protocol && self.program.signature(*ty).params == params);
        if let Some((_, ty)) = known {
            return *ty;
        }
        let Protocol { results, effects, .. } = self.protocols[protocol].clone();
        let function = self.function_type(effects, Signature { params: params.to_vec(), results });
        let ty = self.add_type(TypeDefinition::Continuation(function));
        self.continuation_types.push((protocol, ty));
        ty
    }

    /// The protocol of a continuation type, if it is one.
    pub fn protocol_of(&self, ty: TypeId) -> Option<usize> {
        self.continuation_types.iter().find(|(_, other)| *other == ty).map(|(protocol, _)| *protocol)
    }

    /// The protocol of the continuation that a reference of this type points to.
    pub fn protocol_behind(&self, ty: ValueType) -> Option<usize> {
        self.protocol_of(ty.pointee()?)
    }

    /// All continuation types.
    pub fn continuations(&self) -> Vec<TypeId> {
        self.continuation_types.iter().map(|(_, ty)| *ty).collect()
    }

    /// The function type of a continuation type.
    pub fn function_of(&self, continuation: TypeId) -> TypeId {
        match self.program.types[continuation as usize] {
            TypeDefinition::Continuation(function) => function,
            ref other => panic!("type {continuation} is not a continuation type: {other:?}"),
        }
    }

    /// Any type but a continuation's.
    pub fn random_type(&self, random: &mut Random) -> ValueType {
        let simd = if self.simd { 7 } else { 0 };
        let gc = if self.gc { 1 } else { 0 };
        let weights = [36, 12, 5, 8, simd, 3, 5, 2 * gc, 2 * gc, 4 * gc, 3 * gc, 7 * gc, 4 * gc, 2, 3, 2 * gc, 2 * gc];
        match random.weighted(&weights) {
            0 => ValueType::I32,
            1 => ValueType::I64,
            2 => ValueType::F32,
            3 => ValueType::F64,
            4 => ValueType::V128,
            5 => ValueType::nullable(Heap::Func),
            6 => ValueType::nullable(Heap::Extern),
            7 => ValueType::nullable(Heap::Any),
            8 => ValueType::nullable(Heap::Eq),
            9 => ValueType::nullable(Heap::I31),
            10 => ValueType::non_null(Heap::I31),
            choice @ (11 | 12) => {
                let candidates: Vec<TypeId> = self.structs.iter().chain(&self.arrays).copied().collect();
                match random.pick_any(&candidates) {
                    Some(ty) if choice == 11 => ValueType::nullable(Heap::Type(*ty)),
                    Some(ty) => ValueType::non_null(Heap::Type(*ty)),
                    None => ValueType::I32,
                }
            }
            13 => ValueType::nullable(Heap::Exn),
            14 => {
                let pure: Vec<TypeId> =
                    self.function_types.iter().filter(|(effects, _)| effects.is_empty()).map(|(_, ty)| *ty).collect();
                match random.pick_any(&pure) {
                    Some(ty) if random.percent(50) => ValueType::non_null(Heap::Type(*ty)),
                    Some(ty) => ValueType::nullable(Heap::Type(*ty)),
                    None => ValueType::nullable(Heap::Func),
                }
            }
            15 => ValueType::non_null(Heap::Any),
            _ => ValueType::non_null(Heap::Extern),
        }
    }

    /// A type of references that are never null, but for a continuation's.
    pub fn random_non_null(&self, random: &mut Random) -> ValueType {
        let candidates: Vec<TypeId> = self.structs.iter().chain(&self.arrays).copied().collect();
        match random.pick_any(&candidates) {
            Some(ty) if random.percent(60) => ValueType::non_null(Heap::Type(*ty)),
            Some(_) if random.percent(30) => ValueType::non_null(Heap::I31),
            _ if random.percent(50) => ValueType::non_null(Heap::Func),
            _ => ValueType::non_null(Heap::Extern),
        }
    }

    fn random_types(&self, random: &mut Random, most: usize) -> Vec<ValueType> {
        (0..random.between(0, most)).map(|_| self.random_type(random)).collect()
    }

    // ---- declarations ----

    fn declare_data(&mut self, config: &Config, random: &mut Random) {
        for signature in
            [Signature::default(), Signature { params: vec![ValueType::I32], results: vec![ValueType::I32] }]
        {
            self.function_type(Effects::NONE, signature);
        }
        if !config.gc {
            return;
        }
        let own = self.program.types.len() as TypeId;
        // The first struct refers to itself; the digest of a struct reads its first field.
        self.add_type(TypeDefinition::Struct(vec![
            Storage::Value(ValueType::I32),
            Storage::Value(ValueType::nullable(Heap::Type(own))),
        ]));
        self.structs.push(own);
        if random.percent(50) {
            let mut fields = vec![if random.percent(30) { Storage::I8 } else { Storage::Value(ValueType::I32) }];
            for _ in 0..random.between(1, 3) {
                let ty = self.random_type(random);
                fields.push(if ty.is_defaultable() { Storage::Value(ty) } else { Storage::I16 });
            }
            let ty = self.add_type(TypeDefinition::Struct(fields));
            self.structs.push(ty);
        }
        let element = match random.below(4) {
            0 => Storage::I8,
            1 => Storage::Value(ValueType::nullable(Heap::Type(own))),
            2 => Storage::Value(ValueType::I64),
            _ => Storage::Value(ValueType::I32),
        };
        let ty = self.add_type(TypeDefinition::Array(element));
        self.arrays.push(ty);
    }

    fn add_tag(&mut self, signature: Signature, random: &mut Random) -> TagId {
        self.program.tags.push(Tag { signature, exported: random.percent(10) });
        self.program.tags.len() as TagId - 1
    }

    fn declare_protocols(&mut self, config: &Config, random: &mut Random) {
        let count = random.between(1, config.protocols);
        for index in 0..count {
            let start = self.random_types(random, 3);
            let results = self.random_types(random, 2);
            let mut effects = Effects::NONE;
            // A protocol may raise what an earlier one raises: its prompts then forward.
            for other in 0..index {
                for tag in self.protocols[other].effects.tags().collect::<Vec<_>>() {
                    let chance = if self.switch_tags.contains(tag) { 35 } else { 60 };
                    if random.percent(chance) {
                        effects.insert(tag);
                    }
                }
            }
            let mut tags = vec![];
            for _ in 0..random.between(1, 2) {
                let params = self.random_types(random, 3);
                let mut results = self.random_types(random, 2);
                if results.len() == 2 && random.percent(50) {
                    results.pop();
                }
                let tag = self.add_tag(Signature { params, results }, random);
                effects.insert(tag);
                tags.push(tag);
            }
            let switch = random.percent(55).then(|| {
                let tag = self.add_tag(Signature { params: vec![], results: results.clone() }, random);
                self.switch_tags.insert(tag);
                effects.insert(tag);
                let params = self.random_types(random, 2);
                // Recursive: the type of the peer is the type itself.
                let function = self.program.types.len() as TypeId;
                let continuation = function + 1;
                let mut all = params.clone();
                all.push(ValueType::nullable(Heap::Type(continuation)));
                self.add_type(TypeDefinition::Function(Signature { params: all, results: results.clone() }));
                self.add_type(TypeDefinition::Continuation(function));
                self.function_types.push((effects, function));
                self.continuation_types.push((index, continuation));
                SwitchFamily { tag, params, continuation }
            });
            self.protocols.push(Protocol { start, results, tags, switch, effects });
            let start = self.protocols[index].start.clone();
            self.continuation_type(index, &start);
        }
        // Continuations as payload, argument and result of other continuations.
        for index in 0..count {
            if random.percent(35) {
                let passed = *random.pick(&self.continuations());
                let tag = *random.pick(&self.protocols[index].tags);
                let signature = &mut self.program.tags[tag as usize].signature;
                let list = if random.percent(70) { &mut signature.params } else { &mut signature.results };
                list.push(ValueType::nullable(Heap::Type(passed)));
            }
        }
        for protocol in 0..count {
            for tag in self.protocols[protocol].effects.tags().collect::<Vec<_>>() {
                if !self.switch_tags.contains(tag) {
                    let results = self.program.tags[tag as usize].signature.results.clone();
                    self.continuation_type(protocol, &results);
                }
            }
            // Types to bind from: a longer list of parameters.
            let mut longer = self.random_types(random, 2);
            let base = match &self.protocols[protocol].switch {
                Some(family) if random.percent(40) => self.program.signature(family.continuation).params.clone(),
                _ => self.protocols[protocol].start.clone(),
            };
            longer.extend(base);
            self.continuation_type(protocol, &longer);
        }
        for tag in 0..self.program.tags.len() as TagId {
            let signature = &self.program.tags[tag as usize].signature;
            // In a closed world, what a module exports does not mention continuations.
            if signature.params.iter().chain(&signature.results).any(|ty| self.protocol_behind(*ty).is_some()) {
                self.program.tags[tag as usize].exported = false;
                continue;
            }
            if signature.results.is_empty() {
                self.throwable.push(tag);
            }
        }
    }

    fn put_continuations_into_structs(&mut self, random: &mut Random) {
        for ty in self.structs.clone() {
            let held = *random.pick(&self.continuations());
            if let TypeDefinition::Struct(fields) = &mut self.program.types[ty as usize] {
                fields.push(Storage::Value(ValueType::nullable(Heap::Type(held))));
            }
        }
        let held = *random.pick(&self.continuations());
        let ty = self.add_type(TypeDefinition::Array(Storage::Value(ValueType::nullable(Heap::Type(held)))));
        self.arrays.push(ty);
    }

    fn declare_exceptions(&mut self, config: &Config, random: &mut Random) {
        if !config.exceptions {
            self.throwable.clear();
            return;
        }
        for _ in 0..random.between(1, 3) {
            let params = self.random_types(random, 2);
            let tag = self.add_tag(Signature { params, results: vec![] }, random);
            self.exceptions.push(tag);
            self.throwable.push(tag);
        }
    }

    fn add_function(&mut self, name: String, effects: Effects, ty: TypeId, exported: bool) -> FunctionId {
        let id = self.program.functions.len() as FunctionId;
        self.program.functions.push(Function { name, ty, locals: vec![], body: vec![], exported });
        self.function_effects.push(effects);
        id
    }

    fn declare_functions(&mut self, config: &Config, random: &mut Random) {
        for index in 0..random.between(1, 1 + config.size.min(2)) {
            let numeric = [ValueType::I32, ValueType::I64, ValueType::F64];
            let params = (0..random.between(0, 2)).map(|_| *random.pick(&numeric)).collect();
            let results = (0..random.between(0, 2)).map(|_| *random.pick(&numeric)).collect();
            let ty = self.function_type(Effects::NONE, Signature { params, results });
            let entry = self.add_function(format!("entry{index}"), Effects::NONE, ty, true);
            self.entries.push(entry);
        }
        for protocol in 0..self.protocols.len() {
            let effects = self.protocols[protocol].effects;
            let mut types: Vec<TypeId> = self
                .continuation_types
                .iter()
                .filter(|(other, _)| *other == protocol)
                .map(|(_, ty)| self.function_of(*ty))
                .collect();
            types.dedup();
            // One body for the start, two for switching, and perhaps some for the types of suspended and bound continuations.
            let start = self.protocols[protocol].start.clone();
            let start = self.continuation_type(protocol, &start);
            let mut bodies = vec![self.function_of(start)];
            if let Some(family) = self.protocols[protocol].switch.clone() {
                let function = self.function_of(family.continuation);
                bodies.extend([function, function]);
            }
            for _ in 0..random.between(0, config.size.min(2)) {
                bodies.push(*random.pick(&types));
            }
            for (index, ty) in bodies.into_iter().enumerate() {
                self.add_function(format!("body{protocol}_{index}"), effects, ty, false);
            }
        }
        let mut allowed: Vec<Effects> = self.protocols.iter().map(|protocol| protocol.effects).collect();
        allowed.push(Effects::NONE);
        for index in 0..random.between(config.size.min(1), 1 + config.size) {
            let effects = *random.pick(&allowed);
            let params = self.random_types(random, 2);
            let results = match random.below(4) {
                0 => vec![],
                1 | 2 => vec![self.random_type(random)],
                _ => self.random_types(random, 2),
            };
            let ty = self.function_type(effects, Signature { params, results });
            self.add_function(format!("helper{index}"), effects, ty, false);
        }
    }

    fn declare_globals(&mut self, random: &mut Random) {
        let mut add = |ty, mutable, initial, exported| {
            self.program.globals.push(Global { ty, mutable, initial, exported });
        };
        add(ValueType::I32, true, Initial::I32(random.bits() as i32), true);
        if random.percent(60) {
            add(ValueType::I64, true, Initial::I64(random.bits() as i64), true);
        }
        if random.percent(40) {
            add(ValueType::F64, true, Initial::F64(random.below(1000) as f64 / 8.0), true);
        }
        if random.percent(40) && self.gc {
            add(ValueType::nullable(Heap::I31), true, Initial::I31(random.below(1000) as i32), false);
        }
        for _ in 0..random.between(0, 2) {
            let ty = self.random_type(random);
            if ty.is_defaultable() {
                self.program.globals.push(Global { ty, mutable: true, initial: Initial::Zero, exported: false });
            }
        }
        for _ in 0..random.between(1, 2) {
            let ty = ValueType::nullable(Heap::Type(*random.pick(&self.continuations())));
            self.program.globals.push(Global { ty, mutable: true, initial: Initial::Zero, exported: false });
        }
        if random.percent(50) {
            let function = random.below(self.program.functions.len()) as FunctionId;
            let ty = ValueType::non_null(Heap::Type(self.program.functions[function as usize].ty));
            self.program.globals.push(Global {
                ty,
                mutable: false,
                initial: Initial::Function(function),
                exported: false,
            });
        }
    }

    fn declare_tables(&mut self, random: &mut Random) {
        let mut order: Vec<FunctionId> = (0..self.program.functions.len() as FunctionId).collect();
        order.sort_by_key(|function| self.program.functions[*function as usize].ty);
        for (position, function) in order.iter().enumerate() {
            let ty = self.program.functions[*function as usize].ty;
            match self.slots.last_mut() {
                Some(slot) if slot.ty == ty => slot.count += 1,
                _ => {
                    self.slots.push(Slot { ty, first: position as u32, count: 1 });
                }
            }
        }
        let size = order.len() as u32;
        self.program.tables.push(Table {
            element: Heap::Func,
            minimum: size,
            maximum: size,
            // Then the host may call what is in it, and give back what it has.
            exported: random.percent(15),
        });
        let items: Vec<Option<FunctionId>> = order.into_iter().map(Some).collect();
        self.program.segments.push(Segment { element: Heap::Func, items, active: Some((0, 0)) });

        for _ in 0..random.between(1, 2) {
            let element = Heap::Type(*random.pick(&self.continuations()));
            let minimum = random.between(2, 6) as u32;
            let table = self.program.tables.len() as TableId;
            let maximum = minimum + random.between(0, 8) as u32;
            self.program.tables.push(Table { element, minimum, maximum, exported: false });
            self.continuation_tables.push(table);
            if random.percent(60) {
                let segment = self.program.segments.len() as SegmentId;
                let items = vec![None; random.between(1, 3)];
                self.program.segments.push(Segment { element, items, active: None });
                self.null_segments.push((table, segment));
            }
        }
        // A table of functions that changes while the program runs.
        let pure: Vec<FunctionId> = (0..self.program.functions.len() as FunctionId)
            .filter(|function| self.function_effects[*function as usize].is_empty())
            .collect();
        if random.percent(40) {
            let ty = self.program.functions[*random.pick(&pure) as usize].ty;
            let table = self.program.tables.len() as TableId;
            self.program.tables.push(Table { element: Heap::Func, minimum: 4, maximum: 8, exported: false });
            let items = pure
                .into_iter()
                .filter(|function| self.program.functions[*function as usize].ty == ty)
                .map(Some)
                .collect();
            self.function_segment = Some(self.program.segments.len() as SegmentId);
            self.program.segments.push(Segment { element: Heap::Func, items, active: None });
            self.changing_table = Some((table, ty));
        }
    }

    // ---- questions ----

    /// The functions of a type.
    pub fn functions_of_type(&self, ty: TypeId) -> Vec<FunctionId> {
        (0..self.program.functions.len() as FunctionId)
            .filter(|function| self.program.functions[*function as usize].ty == ty)
            .collect()
    }

    /// The mutable globals of a type.
    pub fn globals_of(&self, ty: ValueType) -> Vec<GlobalId> {
        (0..self.program.globals.len() as GlobalId)
            .filter(|global| {
                let definition = &self.program.globals[*global as usize];
                definition.mutable && definition.ty == ty
            })
            .collect()
    }

    /// The tables of continuations of a type.
    pub fn tables_of(&self, continuation: TypeId) -> Vec<TableId> {
        let element = Heap::Type(continuation);
        self.continuation_tables
            .iter()
            .copied()
            .filter(|table| self.program.tables[*table as usize].element == element)
            .collect()
    }

    /// Whether values of these types may be bound to a continuation, as far as the configuration goes.
    pub fn can_bind(&self, types: &[ValueType]) -> bool {
        self.bind_gc
            || types.iter().all(|ty| match ty {
                ValueType::Reference(reference) => match reference.heap {
                    Heap::Func | Heap::I31 => true,
                    Heap::Extern | Heap::Any | Heap::Eq | Heap::Struct | Heap::Array | Heap::Exn => false,
                    Heap::Type(id) => {
                        matches!(
                            self.program.types[id as usize],
                            TypeDefinition::Function(_) | TypeDefinition::Continuation(_)
                        )
                    }
                },
                _ => true,
            })
    }

    /// Whether code with the given effects can resume continuations of a protocol and have everything handled: a prompt for
    /// `switch` must have the results of the tag's own protocol.
    pub fn can_resume(&self, protocol: usize, effects: Effects) -> bool {
        let own = self.protocols[protocol].switch.as_ref().map(|family| family.tag);
        self.protocols[protocol]
            .effects
            .without(effects)
            .tags()
            .all(|tag| !self.switch_tags.contains(tag) || own == Some(tag))
    }
}
