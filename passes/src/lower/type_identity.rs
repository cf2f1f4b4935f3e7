//! Types that differ only in the continuations that they speak of stay apart.
//!
//! A continuation becomes a number or a struct, so that types which were different may become one, and a test, a cast or an indirect call that told
//! them apart would no longer. Where somebody could notice, each of them gets a recursion group that ends with a *brand*, a type that tells the
//! group from the others (types are equal if their groups are, core specification, "Type equivalence").
//!
//! In an open world this is not done: modules that are lowered separately could not agree on brands.

use super::Store;
use super::boundary::references_cross;
use super::scan::is_continuation;
use rustc_hash::{FxHashMap, FxHashSet};
use wasmfx_ir::Module;
use wasmfx_ir::entity::{Entity, SecondaryMap};
use wasmfx_ir::func::Func;
use wasmfx_ir::module::{
    Body, ConstExpr, ElementItems, FunctionId, Item, RecursionGroup, TypeDefinition, TypeId, Types,
};
use wasmfx_ir::references::{IndexSpace, map_operator};
use wasmfx_ir::subtype::Subtyping;
use wasmfx_ir::wasmparser::{
    self, AbstractHeapType, CompositeInnerType, FieldType, FuncType, HeapType, Operator, RefType, StorageType, SubType,
    ValType, WasmFeatures,
};

/// Gives brands to types that lowering would make equal, if the module tells them apart.
///
/// # Errors
/// If a body cannot be read.
pub(super) fn keep_types_apart(module: &mut Module, store: Store) -> wasmparser::Result<()> {
    let Some(collisions) = Collisions::find(module, store) else { return Ok(()) };
    let observations = Observations::of(module)?;
    let mut branded = FxHashSet::default();
    if collisions.can_be_noticed(module, &observations) {
        branded.extend(&collisions.colliding);
    }
    if references_cross(module) {
        // The host's functions may have any type that the module's function types become, and the host may ask too.
        let subtyping = Subtyping::new(&module.types);
        let is_seen = |&ty: &TypeId| observations.asked.contains(&ty) || observations.taken.contains(&ty);
        let seen = collisions.mentions.iter().filter(|ty| is_seen(ty)).map(|&ty| subtyping.canonical(ty));
        branded.extend(seen);
    }
    brand(module, &branded);
    Ok(())
}

/// A definition without continuations; nothing for one that has none.
fn lowered(module: &Module, ty: &SubType, continuation: fn(bool) -> ValType) -> Option<SubType> {
    let mut changed = false;
    let mut value = |ty: ValType| match ty {
        ValType::Ref(reference) if is_continuation(module, ty) => {
            changed = true;
            continuation(reference.is_nullable())
        }
        _ => ty,
    };
    let mut field = |field: &mut FieldType| {
        if let StorageType::Val(ty) = &mut field.element_type {
            *ty = value(*ty);
        }
    };
    let mut lowered = ty.clone();
    match &mut lowered.composite_type.inner {
        CompositeInnerType::Func(func) => {
            let params: Vec<ValType> = func.params().iter().map(|&ty| value(ty)).collect();
            let results: Vec<ValType> = func.results().iter().map(|&ty| value(ty)).collect();
            *func = FuncType::new(params, results);
        }
        CompositeInnerType::Struct(fields) => fields.fields.iter_mut().for_each(field),
        CompositeInnerType::Array(array) => field(&mut array.0),
        CompositeInnerType::Cont(_) => {}
    }
    changed.then_some(lowered)
}

/// What becomes of continuations.
fn continuation_type(store: Store) -> fn(bool) -> ValType {
    match store {
        Store::Gc => |nullable| {
            let heap = HeapType::Abstract { shared: false, ty: AbstractHeapType::Struct };
            ValType::Ref(RefType::new(nullable, heap).expect("abstract types are always representable"))
        },
        Store::Memory | Store::Auto => |_| ValType::I64,
    }
}

/// Types that are different and would become equal.
struct Collisions {
    /// For each type, the others (the first of equal ones) that it would be equal to.
    others: FxHashMap<TypeId, Vec<TypeId>>,
    /// The types that mention continuations among them; the first of equal ones.
    colliding: Vec<TypeId>,
    /// All types that mention continuations.
    mentions: Vec<TypeId>,
}

impl Collisions {
    fn find(module: &Module, store: Store) -> Option<Self> {
        let mut types = module.types.clone();
        let mut mentions: Vec<TypeId> = Vec::new();
        for (id, definition) in module.types.definitions.iter() {
            if let Some(sub_type) = lowered(module, &definition.sub_type, continuation_type(store)) {
                types.definitions[id].sub_type = sub_type;
                mentions.push(id);
            }
        }
        if mentions.is_empty() {
            return None;
        }
        let (before, after) = (Subtyping::new(&module.types), Subtyping::new(&types));
        let mut classes: FxHashMap<TypeId, Vec<TypeId>> = FxHashMap::default();
        for id in module.types.definitions.keys().filter(|&id| before.canonical(id) == id) {
            classes.entry(after.canonical(id)).or_default().push(id);
        }
        classes.retain(|_, members| members.len() > 1);
        let class = |id: TypeId| classes.get(&after.canonical(id));
        let colliding = mentions.iter().map(|&id| before.canonical(id)).filter(|&id| class(id).is_some()).collect();
        let mut others: FxHashMap<TypeId, Vec<TypeId>> = FxHashMap::default();
        for members in classes.values() {
            for &id in members {
                others.insert(id, members.iter().copied().filter(|&other| other != id).collect());
            }
        }
        Some(Self { others, colliding, mentions })
    }

    /// Whether a value of a type could be taken for one of another.
    fn can_be_noticed(&self, module: &Module, observations: &Observations) -> bool {
        if self.others.is_empty() {
            return false;
        }
        let subtyping = Subtyping::new(&module.types);
        let has_values = |ty: &TypeId| match module.types.definitions[*ty].sub_type.composite_type.inner {
            CompositeInnerType::Func(_) => observations.taken.contains(ty),
            CompositeInnerType::Struct(_) | CompositeInnerType::Array(_) => true,
            CompositeInnerType::Cont(_) => false,
        };
        let of_values: Vec<TypeId> = module.types.definitions.keys().filter(has_values).collect();
        observations.asked.iter().any(|&asked| {
            let others = self.others.get(&subtyping.canonical(asked));
            others.into_iter().flatten().any(|&other| {
                let is = |ty, other| subtyping.is_declared_subtype(ty, other);
                of_values.iter().any(|&ty| is(ty, other) && !is(ty, asked))
            })
        })
    }
}

/// What a module asks of types at run time.
#[derive(Default)]
struct Observations {
    /// Types that a test, a cast or an indirect call names.
    asked: FxHashSet<TypeId>,
    /// The types of functions whose reference exists, other than to begin a continuation.
    taken: FxHashSet<TypeId>,
}

impl Observations {
    fn of(module: &Module) -> wasmparser::Result<Self> {
        let mut found = Self::default();
        for function in module.functions.values() {
            match &function.body {
                Body::Lifted(func) => found.add_lifted(module, func),
                Body::Lazy(body) => {
                    let mut referred: Option<u32> = None;
                    for operator in body.reader().get_operators_reader()? {
                        let mut operator = operator?;
                        if let Some(renumbering) = &body.renumbering {
                            map_operator(&mut operator, &mut |space, number| renumbering.map(space, number));
                        }
                        found.ask(&operator);
                        if let Some(function) = referred.filter(|_| !matches!(operator, Operator::ContNew { .. })) {
                            found.take(module, function);
                        }
                        referred = match operator {
                            Operator::RefFunc { function_index } => Some(function_index),
                            _ => None,
                        };
                    }
                }
                Body::Import | Body::Detached | Body::Removed => {}
            }
        }
        found.add_items(module);
        Ok(found)
    }

    fn add_lifted(&mut self, module: &Module, func: &Func) {
        func.operators.iter().for_each(|(_, operator)| self.ask(operator));
        let mut refer = |value| {
            if let Some(&Operator::RefFunc { function_index }) = func.defining_operator(value) {
                self.take(module, function_index);
            }
        };
        for block in func.blocks.values() {
            let insts = block.insts.iter().filter(|&&inst| !matches!(func.operator(inst), Operator::ContNew { .. }));
            insts.flat_map(|&inst| func.operands(inst)).for_each(|&value| refer(value));
            block.terminator.for_each_value(&mut refer);
        }
    }

    fn add_items(&mut self, module: &Module) {
        let mut expressions: Vec<&ConstExpr> = Vec::new();
        expressions.extend(module.globals.values().filter_map(|global| global.init.as_ref()));
        expressions.extend(module.tables.values().filter_map(|table| table.init.as_ref()));
        for segment in module.elements.values().filter(|segment| !segment.removed) {
            match &segment.items {
                ElementItems::Expressions(_, items) => expressions.extend(items),
                // A declared segment takes no reference: the bodies do.
                ElementItems::Functions(functions)
                    if !matches!(segment.kind, wasmfx_ir::module::ElementKind::Declared) =>
                {
                    functions.iter().for_each(|function| self.take(module, function.as_u32()));
                }
                ElementItems::Functions(_) => {}
            }
        }
        for operator in expressions.into_iter().flat_map(|expression| &expression.operators) {
            if let Operator::RefFunc { function_index } = *operator {
                self.take(module, function_index);
            }
        }
        // What the host gets it may give back.
        for export in &module.exports {
            if let Item::Function(function) = export.item {
                self.take(module, function.as_u32());
            }
        }
    }

    fn take(&mut self, module: &Module, function: u32) {
        self.taken.insert(module.functions[FunctionId::from_u32(function)].ty);
    }

    fn ask(&mut self, operator: &Operator<'_>) {
        let heap = match *operator {
            Operator::CallIndirect { type_index, .. } | Operator::ReturnCallIndirect { type_index, .. } => {
                self.asked.insert(TypeId::from_u32(type_index));
                return;
            }
            Operator::RefTestNonNull { hty }
            | Operator::RefTestNullable { hty }
            | Operator::RefCastNonNull { hty }
            | Operator::RefCastNullable { hty } => hty,
            Operator::BrOnCast { to_ref_type, .. } | Operator::BrOnCastFail { to_ref_type, .. } => {
                to_ref_type.heap_type()
            }
            _ => return,
        };
        if let HeapType::Concrete(index) | HeapType::Exact(index) = heap {
            self.asked.extend(index.as_module_index().map(TypeId::from_u32));
        }
    }
}

/// Gives the groups of these types (and of equal ones) brands. Every type gets a new number.
fn brand(module: &mut Module, branded: &FxHashSet<TypeId>) {
    let first_of_group: Vec<Option<TypeId>> = {
        let subtyping = Subtyping::new(&module.types);
        let is_branded = |number: u32| branded.contains(&subtyping.canonical(TypeId::from_u32(number)));
        let first = |group: &RecursionGroup| subtyping.canonical(TypeId::from_u32(group.range.start));
        let groups = module.types.groups.iter();
        groups.map(|group| group.range.clone().any(is_branded).then(|| first(group))).collect()
    };
    if first_of_group.iter().all(Option::is_none) {
        return;
    }
    let old = std::mem::take(&mut module.types);
    // A group of the module may end like one with a brand.
    let last = |group: &RecursionGroup| &old.definitions[TypeId::from_u32(group.range.end - 1)].sub_type;
    let ends: FxHashSet<&SubType> = old.groups.iter().filter(|group| group.range.len() > 1).map(last).collect();
    let mut unused = (0..).map(brand_type).filter(|brand| !ends.contains(brand));
    let mut renumbered: SecondaryMap<TypeId, TypeId> = SecondaryMap::with_default(TypeId::from_u32(0));
    let mut new = Types::default();
    // Equal groups have equal brands.
    let mut brands: FxHashMap<TypeId, SubType> = FxHashMap::default();
    for (group, first) in old.groups.iter().zip(first_of_group) {
        let start = new.definitions.next_key().index();
        for number in group.range.clone() {
            let id = TypeId::from_u32(number);
            renumbered[id] = new.definitions.push(old.definitions[id].clone());
        }
        if let Some(first) = first {
            let sub_type = brands.entry(first).or_insert_with(|| unused.next().expect("numbers do not end")).clone();
            new.definitions.push(TypeDefinition { sub_type, name: None, field_names: Vec::new() });
        }
        let numbers = |index: usize| u32::try_from(index).expect("types are numbered by u32");
        let range = numbers(start)..numbers(new.definitions.next_key().index());
        new.groups.push(RecursionGroup { range, explicit: group.explicit || first.is_some() });
    }
    module.types = new;
    module.map_references(&mut |space, number| match space {
        IndexSpace::Type => renumbered[TypeId::from_u32(number)].as_u32(),
        _ => number,
    });
    module.features.insert(WasmFeatures::GC);
}

/// A type of its own for each number: the number's digits are its parameters.
fn brand_type(number: usize) -> SubType {
    let digits = (0..usize::BITS - number.leading_zeros()).map(|digit| match number >> digit & 1 {
        0 => ValType::F32,
        _ => ValType::F64,
    });
    SubType::func(FuncType::new(digits, []), false)
}
