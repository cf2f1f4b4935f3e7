//! What operators do besides computing their results: the one table that every reordering, removal and duplication rests on.
//!
//! Ground rules:
//! * The order of two traps means nothing (the specification does not distinguish them), the order of a trap and anything that can be
//!   seen afterwards does: memories, tables and globals outlive a trap.
//! * Exhaustion (stack, memory) is not an effect; neither is the choice of a NaN's payload bits.
//! * `cont.new` is generative: two of them are never one, but one that is unused may go if its function is not null. `cont.bind` consumes its
//!   operand, which is a write of that continuation's state. `suspend`, `switch` and `resume*` run arbitrary code before they come back.
//! * An access that is atomic is ordered with every other access.

mod classes;
#[cfg(test)]
mod tests;

use crate::entity::Entity;
use crate::func::{Func, Inst, OperatorId};
use crate::module::{GlobalId, MemoryId, Module, Origin, TableId, TypeId};
use crate::opcode::Opcode;
use classes::{Class, accessed, class_of};
use std::ops::Index;
use wasmparser::{CompositeInnerType, Operator, StorageType, ValType};

/// A set of places that operators read and write. Places beyond a fixed number per kind share a bit, so two sets that do not intersect
/// are certainly disjoint, and two that do may be.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub struct LocationSet(u128);

/// Which memory, table or global it is. Whoever instantiates the module may give it one and the same for two imports.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Place {
    /// The module's own, by number.
    Defined(u32),
    /// One of those that are imported.
    Imported,
}

/// A place that operators read and write.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Location {
    /// The bytes of a memory.
    Memory(Place),
    /// The size of a memory.
    MemorySize(Place),
    /// A mutable global.
    Global(Place),
    /// The elements of a table.
    Table(Place),
    /// The size of a table.
    TableSize(Place),
    /// A mutable field, by number, of all structs: types that are subtypes of one another share their fields' numbers, no others share a place.
    Field(u32),
    /// The elements of all arrays whose elements are stored alike.
    Array(ElementClass),
    /// Whether a data segment was dropped.
    Data,
    /// Whether an element segment was dropped.
    Element,
    /// Which continuations are consumed.
    Continuations,
}

/// How elements of an array are stored. Arrays of different classes are different arrays, as mutable fields are invariant under subtyping.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the storage types of the specification")]
pub enum ElementClass {
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
    V128,
    Reference,
}

impl Place {
    /// One of so many bits; the first is for what is imported.
    const fn bit(self, bits: u32) -> u32 {
        match self {
            Self::Imported => 0,
            Self::Defined(number) => 1 + number % (bits - 1),
        }
    }
}

impl LocationSet {
    /// No place.
    pub const NONE: Self = Self(0);
    /// Every place.
    pub const ALL: Self = Self(u128::MAX);

    /// The set of one place.
    #[inline]
    pub const fn of(location: Location) -> Self {
        let bit = match location {
            Location::Memory(place) => place.bit(8),
            Location::MemorySize(place) => 8 + place.bit(4),
            Location::Global(place) => 12 + place.bit(64),
            Location::Table(place) => 76 + place.bit(12),
            Location::TableSize(place) => 88 + place.bit(4),
            Location::Field(index) => 92 + index % 24,
            Location::Array(class) => 116 + class as u32,
            Location::Data => 124,
            Location::Element => 125,
            Location::Continuations => 126,
            // Bit 127 stands for the world outside: only `ALL` has it.
        };
        Self(1 << bit)
    }
    /// Whether some place may be in both sets.
    #[inline]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
    /// Whether the set is empty.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
    /// The places of either set.
    #[inline]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What an operator, or a sequence of operators, may do besides computing results.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub struct Effects {
    /// The places whose contents it depends on.
    pub reads: LocationSet,
    /// The places that it changes.
    pub writes: LocationSet,
    /// Everything else.
    pub flags: EffectFlags,
}

/// The effects that have no place.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub struct EffectFlags(u16);

impl EffectFlags {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// It may trap.
    pub const TRAPS: Self = Self(1);
    /// It may leave by an exception.
    pub const THROWS: Self = Self(1 << 1);
    /// It may suspend the continuation that it runs in, which then may or may not be resumed.
    pub const SUSPENDS: Self = Self(1 << 2);
    /// Other code runs meanwhile, the host's included.
    pub const CALLS: Self = Self(1 << 3);
    /// Each execution makes a thing of its own: two executions are never one, and one is never two.
    pub const GENERATIVE: Self = Self(1 << 4);
    /// The result is not fixed by the specification (but is the same for equal operands in one run): never computed by us.
    pub const IMPLEMENTATION_DEFINED: Self = Self(1 << 5);
    /// It goes elsewhere than to the next instruction.
    pub const CONTROL: Self = Self(1 << 6);

    /// Whether any effect is in both.
    #[inline]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
    /// The effects of either.
    #[inline]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// These effects without those of `other`.
    #[inline]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl Effects {
    /// No effect at all.
    pub const NONE: Self = Self::flagged(EffectFlags::NONE);
    /// Any effect: what an unknown call does.
    pub const ANYTHING: Self = Self {
        reads: LocationSet::ALL,
        writes: LocationSet::ALL,
        flags: EffectFlags(
            EffectFlags::TRAPS.0 | EffectFlags::THROWS.0 | EffectFlags::SUSPENDS.0 | EffectFlags::CALLS.0,
        ),
    };
    /// What may keep the next instruction from being executed.
    const EXITS: EffectFlags =
        EffectFlags(EffectFlags::TRAPS.0 | EffectFlags::THROWS.0 | EffectFlags::SUSPENDS.0 | EffectFlags::CONTROL.0);
    /// What can be seen from outside even where no place changes.
    const VISIBLE: EffectFlags =
        EffectFlags(EffectFlags::THROWS.0 | EffectFlags::SUSPENDS.0 | EffectFlags::CALLS.0 | EffectFlags::CONTROL.0);

    const fn flagged(flags: EffectFlags) -> Self {
        Self { reads: LocationSet::NONE, writes: LocationSet::NONE, flags }
    }
    const fn reading(mut self, location: Location) -> Self {
        self.reads = self.reads.union(LocationSet::of(location));
        self
    }
    const fn writing(mut self, location: Location) -> Self {
        self.writes = self.writes.union(LocationSet::of(location));
        self
    }

    /// The effects of doing both.
    #[inline]
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self {
            reads: self.reads.union(other.reads),
            writes: self.writes.union(other.writes),
            flags: self.flags.union(other.flags),
        }
    }

    /// These effects, given that it is known not to trap.
    #[must_use]
    pub const fn without_traps(mut self) -> Self {
        self.flags = self.flags.without(EffectFlags::TRAPS);
        self
    }

    /// Whether it may trap.
    #[inline]
    pub const fn may_trap(&self) -> bool {
        self.flags.intersects(EffectFlags::TRAPS)
    }

    /// Whether it depends on its operands only and does nothing else: it may be moved, removed, repeated and merged at will.
    #[inline]
    pub const fn is_pure(&self) -> bool {
        self.reads.is_empty()
            && self.writes.is_empty()
            && self.flags.without(EffectFlags::IMPLEMENTATION_DEFINED).0 == 0
    }

    /// Whether it may be removed where nobody uses its results.
    #[inline]
    pub const fn is_removable_if_unused(&self) -> bool {
        self.writes.is_empty() && !self.flags.intersects(Self::EXITS.union(EffectFlags::CALLS))
    }

    /// Whether executing it again with the same operands, nothing in between having changed what it reads, gives the same results and no
    /// further effect, so that the second one may take the results of the first.
    #[inline]
    pub const fn is_idempotent(&self) -> bool {
        self.writes.is_empty() && !self.flags.intersects(Self::VISIBLE.union(EffectFlags::GENERATIVE))
    }

    /// Whether the order of the two means something. Symmetric.
    #[inline]
    pub const fn conflicts_with(&self, other: &Self) -> bool {
        self.writes.intersects(other.reads.union(other.writes))
            || self.reads.intersects(other.writes)
            || self.must_precede_exits_of(other)
            || other.must_precede_exits_of(self)
    }

    /// Whether `other` may leave and what `self` does could be seen then.
    const fn must_precede_exits_of(&self, other: &Self) -> bool {
        other.flags.intersects(Self::EXITS) && (!self.writes.is_empty() || self.flags.intersects(Self::VISIBLE))
    }
}

/// What the table of effects has to know of the module.
pub trait EffectsEnvironment {
    /// Which memory it is.
    fn memory(&self, memory: u32) -> Place;
    /// Which table it is.
    fn table(&self, table: u32) -> Place;
    /// Which global it is; nothing if it cannot change.
    fn mutable_global(&self, global: u32) -> Option<Place>;
    /// Whether the field of the struct type can change after the struct was made.
    fn is_mutable_field(&self, struct_type: u32, field: u32) -> bool;
    /// How the elements of the array type are stored and whether they can change; `None` if not known.
    fn array_element(&self, array_type: u32) -> Option<(ElementClass, bool)>;
}

/// An environment in which everything can change, and nothing is imported.
#[cfg(test)]
pub(crate) struct UnknownEnvironment;

#[cfg(test)]
impl EffectsEnvironment for UnknownEnvironment {
    fn memory(&self, memory: u32) -> Place {
        Place::Defined(memory)
    }
    fn table(&self, table: u32) -> Place {
        Place::Defined(table)
    }
    fn mutable_global(&self, global: u32) -> Option<Place> {
        Some(Place::Defined(global))
    }
    fn is_mutable_field(&self, _struct_type: u32, _field: u32) -> bool {
        true
    }
    fn array_element(&self, _array_type: u32) -> Option<(ElementClass, bool)> {
        None
    }
}

/// The place of an item; what the module does not have could be any that it imports.
fn place(origin: Option<Origin>, number: u32) -> Place {
    match origin {
        None | Some(Origin::Import) => Place::Imported,
        Some(Origin::Definition | Origin::Removed) => Place::Defined(number),
    }
}

impl EffectsEnvironment for Module {
    fn memory(&self, memory: u32) -> Place {
        place(self.memories.get(MemoryId::from_u32(memory)).map(|memory| memory.origin), memory)
    }
    fn table(&self, table: u32) -> Place {
        place(self.tables.get(TableId::from_u32(table)).map(|table| table.origin), table)
    }
    fn mutable_global(&self, global: u32) -> Option<Place> {
        let definition = self.globals.get(GlobalId::from_u32(global));
        let is_mutable = definition.is_none_or(|global| global.ty.mutable);
        is_mutable.then(|| place(definition.map(|global| global.origin), global))
    }
    fn is_mutable_field(&self, struct_type: u32, field: u32) -> bool {
        let definition = self.types.definitions.get(TypeId::from_u32(struct_type));
        match definition.map(|definition| &definition.sub_type.composite_type.inner) {
            Some(CompositeInnerType::Struct(ty)) => ty.fields.get(field as usize).is_none_or(|field| field.mutable),
            _ => true,
        }
    }
    fn array_element(&self, array_type: u32) -> Option<(ElementClass, bool)> {
        let definition = self.types.definitions.get(TypeId::from_u32(array_type))?;
        let CompositeInnerType::Array(array) = &definition.sub_type.composite_type.inner else { return None };
        let class = match array.0.element_type {
            StorageType::I8 => ElementClass::I8,
            StorageType::I16 => ElementClass::I16,
            StorageType::Val(ValType::I32) => ElementClass::I32,
            StorageType::Val(ValType::I64) => ElementClass::I64,
            StorageType::Val(ValType::F32) => ElementClass::F32,
            StorageType::Val(ValType::F64) => ElementClass::F64,
            StorageType::Val(ValType::V128) => ElementClass::V128,
            StorageType::Val(ValType::Ref(_)) => ElementClass::Reference,
        };
        Some((class, array.0.mutable))
    }
}

const TRAPS: Effects = Effects::flagged(EffectFlags::TRAPS);

/// The effects of an operator whose operands are not known.
pub fn effects(operator: &Operator<'_>, environment: &impl EffectsEnvironment) -> Effects {
    match class_of(Opcode::of(operator)) {
        Class::Pure => Effects::NONE,
        Class::Relaxed => Effects::flagged(EffectFlags::IMPLEMENTATION_DEFINED),
        Class::Traps => TRAPS,
        Class::Load => TRAPS.reading(accessed(operator, environment)),
        Class::Store => TRAPS.writing(accessed(operator, environment)),
        Class::Atomic => Effects { reads: LocationSet::ALL, writes: LocationSet::ALL, flags: EffectFlags::TRAPS },
        Class::Allocation => Effects::flagged(EffectFlags::GENERATIVE),
        Class::TrappingAllocation => Effects::flagged(EffectFlags::GENERATIVE.union(EffectFlags::TRAPS)),
        Class::ContinuationBinding => Effects::flagged(EffectFlags::GENERATIVE.union(EffectFlags::TRAPS))
            .reading(Location::Continuations)
            .writing(Location::Continuations),
        Class::Located => located_effects(operator, environment),
        Class::Call => Effects::ANYTHING,
        Class::TailCall => Effects { flags: Effects::ANYTHING.flags.union(EffectFlags::CONTROL), ..Effects::ANYTHING },
        Class::Throw => Effects::flagged(EffectFlags::THROWS.union(EffectFlags::TRAPS).union(EffectFlags::CONTROL)),
        Class::Unreachable => Effects::flagged(EffectFlags::TRAPS.union(EffectFlags::CONTROL)),
        Class::Control => Effects::flagged(EffectFlags::TRAPS.union(EffectFlags::CONTROL)),
    }
}

/// The effects of an instruction, with what its operands tell: a reference that cannot be null does not trap, a divisor that is a constant
/// other than zero and minus one does not either.
pub fn inst_effects(func: &Func, inst: Inst, environment: &impl EffectsEnvironment) -> Effects {
    with_operands(effects(func.operator(inst), environment), func, inst)
}

/// The effects of an instruction, given those of its operator.
fn with_operands(effects: Effects, func: &Func, inst: Inst) -> Effects {
    if effects.may_trap() && cannot_trap(func, inst, func.operator(inst)) { effects.without_traps() } else { effects }
}

/// The effects of each operator of a function, looked up once: a function has far fewer operators than instructions.
pub struct OperatorEffects {
    effects: Vec<Effects>,
}

impl OperatorEffects {
    /// The effects of the operators that the function has now.
    pub fn new(func: &Func, environment: &impl EffectsEnvironment) -> Self {
        let mut all = Self { effects: Vec::with_capacity(func.operators.len()) };
        all.extend(func, environment);
        all
    }

    /// Adds those of operators that the function has got since.
    pub fn extend(&mut self, func: &Func, environment: &impl EffectsEnvironment) {
        for index in self.effects.len()..func.operators.len() {
            self.effects.push(effects(&func.operators[OperatorId::from_index(index)], environment));
        }
    }

    /// The effects of an operator, or `None` if the function has got it since.
    #[inline]
    pub fn get(&self, operator: OperatorId) -> Option<&Effects> {
        self.effects.get(operator.index())
    }

    /// The effects of an instruction, with what its operands tell: see [`inst_effects`].
    #[inline]
    pub fn of(&self, func: &Func, inst: Inst) -> Effects {
        with_operands(self[func.operator_id(inst)], func, inst)
    }
}

impl Index<OperatorId> for OperatorEffects {
    type Output = Effects;
    /// The effects of an operator, whatever its operands.
    #[inline]
    fn index(&self, operator: OperatorId) -> &Effects {
        &self.effects[Entity::index(operator)]
    }
}

/// Whether the operands exclude every trap that the operator alone could cause.
fn cannot_trap(func: &Func, inst: Inst, operator: &Operator<'_>) -> bool {
    let operands = func.operands(inst);
    let non_null = |position: usize| match operands.get(position).map(|&value| func.value_type(func.resolve(value))) {
        Some(ValType::Ref(reference)) => !reference.is_nullable(),
        _ => false,
    };
    match operator {
        Operator::StructGet { .. }
        | Operator::StructGetS { .. }
        | Operator::StructGetU { .. }
        | Operator::StructSet { .. }
        | Operator::ArrayLen
        | Operator::I31GetS
        | Operator::I31GetU
        | Operator::RefAsNonNull
        | Operator::RefGetDesc { .. }
        | Operator::ContNew { .. } => non_null(0),
        Operator::StructNewDesc { .. } | Operator::StructNewDefaultDesc { .. } => {
            operands.len().checked_sub(1).is_some_and(non_null)
        }
        Operator::I32DivU
        | Operator::I32RemU
        | Operator::I64DivU
        | Operator::I64RemU
        | Operator::I32RemS
        | Operator::I64RemS => constant_integer(func, operands[1]).is_some_and(|divisor| divisor != 0),
        // The smallest number divided by minus one overflows.
        Operator::I32DivS | Operator::I64DivS => {
            constant_integer(func, operands[1]).is_some_and(|divisor| divisor != 0 && divisor != -1)
        }
        _ => false,
    }
}

fn constant_integer(func: &Func, value: crate::func::Value) -> Option<i64> {
    match func.defining_operator(value)? {
        Operator::I32Const { value } => Some(i64::from(*value)),
        Operator::I64Const { value } => Some(*value),
        _ => None,
    }
}

fn located_effects(operator: &Operator<'_>, environment: &impl EffectsEnvironment) -> Effects {
    use Location as L;
    use Operator as O;
    const GENERATIVE_TRAPS: Effects = Effects::flagged(EffectFlags::GENERATIVE.union(EffectFlags::TRAPS));
    let array = |effects: Effects, array_type: u32, access: fn(Effects, Location) -> Effects| match environment
        .array_element(array_type)
    {
        Some((class, true)) => access(effects, L::Array(class)),
        Some((_, false)) => effects,
        None => ALL_CLASSES.into_iter().fold(effects, |effects, class| access(effects, L::Array(class))),
    };
    match *operator {
        O::GlobalGet { global_index } => match environment.mutable_global(global_index) {
            Some(place) => Effects::NONE.reading(L::Global(place)),
            None => Effects::NONE,
        },
        O::GlobalSet { global_index } => {
            let place = environment.mutable_global(global_index).unwrap_or(Place::Defined(global_index));
            Effects::NONE.writing(L::Global(place))
        }
        O::MemorySize { mem } => Effects::NONE.reading(L::MemorySize(environment.memory(mem))),
        O::MemoryGrow { mem } => {
            let size = L::MemorySize(environment.memory(mem));
            Effects::NONE.reading(size).writing(size)
        }
        O::MemoryInit { mem, .. } => TRAPS.reading(L::Data).writing(L::Memory(environment.memory(mem))),
        O::MemoryCopy { dst_mem, src_mem } => {
            TRAPS.reading(L::Memory(environment.memory(src_mem))).writing(L::Memory(environment.memory(dst_mem)))
        }
        O::MemoryFill { mem } | O::MemoryDiscard { mem } => TRAPS.writing(L::Memory(environment.memory(mem))),
        O::DataDrop { .. } => Effects::NONE.writing(L::Data),
        O::TableGet { table } => TRAPS.reading(L::Table(environment.table(table))),
        O::TableSet { table } | O::TableFill { table } => TRAPS.writing(L::Table(environment.table(table))),
        O::TableSize { table } => Effects::NONE.reading(L::TableSize(environment.table(table))),
        O::TableGrow { table } => {
            let place = environment.table(table);
            Effects::NONE.reading(L::TableSize(place)).writing(L::TableSize(place)).writing(L::Table(place))
        }
        O::TableInit { table, .. } => TRAPS.reading(L::Element).writing(L::Table(environment.table(table))),
        O::TableCopy { dst_table, src_table } => {
            TRAPS.reading(L::Table(environment.table(src_table))).writing(L::Table(environment.table(dst_table)))
        }
        O::ElemDrop { .. } => Effects::NONE.writing(L::Element),
        O::StructGet { struct_type_index, field_index }
        | O::StructGetS { struct_type_index, field_index }
        | O::StructGetU { struct_type_index, field_index } => {
            if environment.is_mutable_field(struct_type_index, field_index) {
                TRAPS.reading(L::Field(field_index))
            } else {
                TRAPS
            }
        }
        O::StructSet { field_index, .. } => TRAPS.writing(L::Field(field_index)),
        O::ArrayNewData { .. } => GENERATIVE_TRAPS.reading(L::Data),
        O::ArrayNewElem { .. } => GENERATIVE_TRAPS.reading(L::Element),
        O::ArrayGet { array_type_index } | O::ArrayGetS { array_type_index } | O::ArrayGetU { array_type_index } => {
            array(TRAPS, array_type_index, Effects::reading)
        }
        O::ArraySet { array_type_index } | O::ArrayFill { array_type_index } => {
            array(TRAPS, array_type_index, Effects::writing)
        }
        O::ArrayCopy { array_type_index_dst, array_type_index_src } => {
            array(array(TRAPS, array_type_index_src, Effects::reading), array_type_index_dst, Effects::writing)
        }
        O::ArrayInitData { array_type_index, .. } => array(TRAPS.reading(L::Data), array_type_index, Effects::writing),
        O::ArrayInitElem { array_type_index, .. } => {
            array(TRAPS.reading(L::Element), array_type_index, Effects::writing)
        }
        _ => unreachable!("{operator:?} is classified as naming its places, and its places are not listed"),
    }
}

const ALL_CLASSES: [ElementClass; 8] = [
    ElementClass::I8,
    ElementClass::I16,
    ElementClass::I32,
    ElementClass::I64,
    ElementClass::F32,
    ElementClass::F64,
    ElementClass::V128,
    ElementClass::Reference,
];
