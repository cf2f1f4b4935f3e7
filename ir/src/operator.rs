//! Operators with their immediates, interned, and what the toolchain derives from wasmparser's table of operators.
//!
//! Everything here that speaks of all operators is generated from `for_each_operator!`, and every type that an operator's field may have implements
//! [`Immediate`]: an operator of a new proposal either fits or is a compile error.

use crate::entity::{Entity, PrimaryMap};
use crate::func::OperatorId;
use rustc_hash::FxHasher;
use std::hash::{Hash, Hasher};
use std::ops::Index;
use wasmparser::{
    BlockType, BrTable, Catch, Handle, HeapType, Ieee32, Ieee64, MemArg, Operator, Ordering, RefType, ResumeTable,
    TryTable, V128, ValType,
};

/// The distinct operators of one function. Equal operators with equal immediates have equal ids, so comparing ids compares instructions.
#[derive(Clone, Debug, Default)]
pub struct OperatorPool {
    operators: PrimaryMap<OperatorId, Operator<'static>>,
    /// A hash table with linear probing. It has a power of two of slots (or none yet), some of them vacant.
    slots: Vec<Slot>,
}

/// A slot of the hash table.
#[derive(Copy, Clone, Debug)]
struct Slot {
    hash: u32,
    /// The operator, or [`VACANT`].
    id: OperatorId,
}

/// The pool would have no room for an operator of this id.
const VACANT: OperatorId = OperatorId::from_u32(u32::MAX);

impl OperatorPool {
    /// The id of this operator with these immediates.
    pub fn intern(&mut self, operator: Operator<'static>) -> OperatorId {
        if !has_room(self.slots.len(), self.operators.len() + 1) {
            self.reserve(self.operators.len().max(4));
        }
        let hash = hash_of_slot(&operator);
        match self.search(hash, &operator) {
            Ok(id) => id,
            Err(vacant) => {
                let id = self.operators.push(operator);
                self.slots[vacant] = Slot { hash, id };
                id
            }
        }
    }

    /// The id of this operator, if it is in the pool.
    pub fn find(&self, operator: &Operator<'static>) -> Option<OperatorId> {
        if self.slots.is_empty() {
            return None;
        }
        self.search(hash_of_slot(operator), operator).ok()
    }

    /// The id of an operator, or the slot that is to get it. There must be slots.
    fn search(&self, hash: u32, operator: &Operator<'static>) -> Result<OperatorId, usize> {
        let mut at = hash as usize & (self.slots.len() - 1);
        loop {
            let Slot { hash: other, id } = self.slots[at];
            if id == VACANT {
                return Err(at);
            }
            if other == hash && self.operators[id] == *operator {
                return Ok(id);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// Makes room for so many more operators.
    pub(crate) fn reserve(&mut self, additional: usize) {
        self.operators.reserve(additional);
        let count = self.operators.len() + additional;
        if !has_room(self.slots.len(), count) {
            let vacant = vec![Slot { hash: 0, id: VACANT }; (2 * count).next_power_of_two()];
            let old = std::mem::replace(&mut self.slots, vacant);
            old.into_iter().filter(|slot| slot.id != VACANT).for_each(|slot| self.occupy(slot));
        }
    }

    /// Puts an operator into the first vacant slot that a search for it comes to.
    fn occupy(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut at = slot.hash as usize & mask;
        while self.slots[at].id != VACANT {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }

    /// How many distinct operators there are.
    pub fn len(&self) -> usize {
        self.operators.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.operators.is_empty()
    }

    /// All operators with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (OperatorId, &Operator<'static>)> {
        self.operators.iter()
    }

    /// Rewrites every operator (to renumber the indices in it, say); `rewrite` says whether it changed it. Two operators that become equal keep
    /// their two ids.
    pub fn rewrite(&mut self, mut rewrite: impl FnMut(&mut Operator<'static>) -> bool) {
        let mut changed = false;
        self.operators.values_mut().for_each(|operator| changed |= rewrite(operator));
        if !changed {
            return;
        }
        self.slots.fill(Slot { hash: 0, id: VACANT });
        for (id, operator) in self.operators.iter() {
            let hash = hash_of_slot(operator);
            // Of equal ones the first is found. The others have no slots, so that no search has to pass them.
            if let Err(vacant) = self.search(hash, operator) {
                self.slots[vacant] = Slot { hash, id };
            }
        }
    }
}

/// Whether so many slots are enough for so many operators: a quarter of them stays vacant, so that searches end soon.
fn has_room(slots: usize, operators: usize) -> bool {
    4 * operators <= 3 * slots
}

/// The half of an operator's hash that depends on all of the operator.
fn hash_of_slot(operator: &Operator<'_>) -> u32 {
    (hash_operator(operator) >> 32) as u32
}

impl Index<OperatorId> for OperatorPool {
    type Output = Operator<'static>;
    #[inline]
    fn index(&self, id: OperatorId) -> &Operator<'static> {
        debug_assert!(id.index() < self.operators.len());
        &self.operators[id]
    }
}

/// The constant that is the default value of a type (specification, "Values"), if it has one: zero or null.
pub fn default_operator(ty: ValType) -> Option<Operator<'static>> {
    Some(match ty {
        ValType::I32 => Operator::I32Const { value: 0 },
        ValType::I64 => Operator::I64Const { value: 0 },
        ValType::F32 => Operator::F32Const { value: 0f32.into() },
        ValType::F64 => Operator::F64Const { value: 0f64.into() },
        ValType::V128 => Operator::V128Const { value: 0i128.into() },
        ValType::Ref(reference) if reference.is_nullable() => Operator::RefNull { hty: reference.heap_type() },
        ValType::Ref(_) => return None,
    })
}

/// A field of an operator.
trait Immediate {
    /// The same without a borrow of the bytes that it was read from.
    type Owned;
    fn hash_into(&self, state: &mut FxHasher);
    /// `None` for a `br_table`'s targets, which only exist as a view of the bytes.
    fn into_owned(self) -> Option<Self::Owned>;
}

macro_rules! immediates_that_hash {
    ($($ty:ty)*) => {$(impl Immediate for $ty {
        type Owned = Self;
        #[inline]
        fn hash_into(&self, state: &mut FxHasher) { self.hash(state) }
        #[inline]
        fn into_owned(self) -> Option<Self> { Some(self) }
    })*};
}
immediates_that_hash!(u8 u32 i32 i64 [u8; 16] Ieee32 Ieee64 V128 Ordering ValType RefType HeapType);

impl Immediate for MemArg {
    type Owned = Self;
    #[inline]
    fn into_owned(self) -> Option<Self> {
        Some(self)
    }
    fn hash_into(&self, state: &mut FxHasher) {
        let MemArg { align, max_align, offset, target, ordering } = self;
        (align, max_align, offset, target, ordering).hash(state);
    }
}

impl Immediate for BlockType {
    type Owned = Self;
    #[inline]
    fn into_owned(self) -> Option<Self> {
        Some(self)
    }
    fn hash_into(&self, state: &mut FxHasher) {
        match self {
            BlockType::Empty => 0.hash(state),
            BlockType::Type(ty) => ty.hash(state),
            BlockType::FuncType(index) => index.hash(state),
        }
    }
}

impl Immediate for BrTable<'_> {
    type Owned = BrTable<'static>;
    fn into_owned(self) -> Option<BrTable<'static>> {
        None
    }
    fn hash_into(&self, state: &mut FxHasher) {
        self.len().hash(state);
    }
}

impl Immediate for TryTable {
    type Owned = Self;
    #[inline]
    fn into_owned(self) -> Option<Self> {
        Some(self)
    }
    fn hash_into(&self, state: &mut FxHasher) {
        self.ty.hash_into(state);
        for catch in &self.catches {
            match *catch {
                Catch::One { tag, label } => (0, tag, label).hash(state),
                Catch::OneRef { tag, label } => (1, tag, label).hash(state),
                Catch::All { label } => (2, label).hash(state),
                Catch::AllRef { label } => (3, label).hash(state),
            }
        }
    }
}

impl Immediate for ResumeTable {
    type Owned = Self;
    #[inline]
    fn into_owned(self) -> Option<Self> {
        Some(self)
    }
    fn hash_into(&self, state: &mut FxHasher) {
        for handler in &self.handlers {
            match *handler {
                Handle::OnLabel { tag, label } => (0, tag, label).hash(state),
                Handle::OnSwitch { tag } => (1, tag).hash(state),
            }
        }
    }
}

impl Immediate for Vec<ValType> {
    type Owned = Self;
    #[inline]
    fn into_owned(self) -> Option<Self> {
        Some(self)
    }
    fn hash_into(&self, state: &mut FxHasher) {
        self.hash(state);
    }
}

macro_rules! define_hash_operator {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        /// A hash of an operator with its immediates, the same in every run.
        pub fn hash_operator(operator: &Operator<'_>) -> u64 {
            let mut state = FxHasher::default();
            std::mem::discriminant(operator).hash(&mut state);
            match operator {
                $(Operator::$op $({ $($arg),* })? => { $($($arg.hash_into(&mut state);)*)? })*
                // `Operator` is `#[non_exhaustive]`; the macro names every variant of the version we compile against.
                _ => unreachable!("an operator that for_each_operator! does not list"),
            }
            state.finish()
        }
    };
}
wasmparser::for_each_operator!(define_hash_operator);

macro_rules! define_into_owned {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        /// The operator without a borrow of the bytes that it was read from; `None` for `br_table` alone, whose targets are such a borrow.
        pub fn into_owned(operator: Operator<'_>) -> Option<Operator<'static>> {
            Some(match operator {
                $(Operator::$op $({ $($arg),* })? => Operator::$op $({ $($arg: $arg.into_owned()?),* })?,)*
                _ => unreachable!("an operator that for_each_operator! does not list"),
            })
        }
    };
}
wasmparser::for_each_operator!(define_into_owned);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_keeps_its_id_and_is_found_however_many_there_are() {
        let operator = |value| Operator::I32Const { value };
        let mut pool = OperatorPool::default();
        assert_eq!(pool.find(&operator(0)), None);
        for value in 0..1000 {
            assert_eq!(pool.find(&operator(value)), None);
            assert_eq!(pool.intern(operator(value)).index(), value as usize);
            assert_eq!(pool.intern(operator(value / 2)).index(), value as usize / 2);
        }
        assert_eq!(pool.len(), 1000);
        assert!((0..1000).all(|value| pool.find(&operator(value)).map(Entity::index) == Some(value as usize)));
    }

    #[test]
    fn of_operators_that_became_equal_the_first_is_found() {
        let operator = |value| Operator::I32Const { value };
        let mut pool = OperatorPool::default();
        for value in 0..100 {
            pool.intern(operator(value));
        }
        pool.rewrite(|operator| {
            let Operator::I32Const { value } = operator else { unreachable!("there is no other") };
            *value /= 10;
            true
        });
        for _ in 0..2 {
            assert_eq!(pool.len(), 100);
            assert!((0..10).all(|value| pool.find(&operator(value)).map(Entity::index) == Some(value as usize * 10)));
            assert_eq!(pool.find(&operator(10)), None);
            pool.reserve(1000);
        }
    }
}
