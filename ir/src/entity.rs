//! Typed ids and the dense maps that they index.
//!
//! An id is a `u32` that means something in one arena only; two kinds of id are never interchangeable, and an id is never reused.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// A typed index into a [`PrimaryMap`] or [`SecondaryMap`].
pub trait Entity: Copy + Eq + Ord + std::hash::Hash + std::fmt::Debug {
    /// The id with this position.
    fn from_index(index: usize) -> Self;
    /// The position that this id stands for.
    fn index(self) -> usize;
}

/// For numbers that have no type of their own, as they mean something inside of one algorithm only.
impl Entity for u32 {
    #[inline]
    fn from_index(index: usize) -> Self {
        Self::try_from(index).expect("more than 2^32 entities of one kind")
    }
    #[inline]
    fn index(self) -> usize {
        self as usize
    }
}

/// Declares typed ids: `entity_id! { /// doc  pub struct Name("prefix"); }`; the prefix is what the id prints as.
#[macro_export]
macro_rules! entity_id {
    ($($(#[$meta:meta])* pub struct $name:ident($prefix:literal);)*) => {$(
        $(#[$meta])*
        #[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);
        impl $name {
            /// The id as the number that operators and the binary format use.
            #[inline]
            pub const fn as_u32(self) -> u32 { self.0 }
            /// The id with this number.
            #[inline]
            pub const fn from_u32(index: u32) -> Self { Self(index) }
        }
        impl $crate::entity::Entity for $name {
            #[inline]
            fn from_index(index: usize) -> Self { Self(u32::try_from(index).expect("more than 2^32 entities of one kind")) }
            #[inline]
            fn index(self) -> usize { self.0 as usize }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, concat!($prefix, "{}"), self.0) }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, concat!($prefix, "{}"), self.0) }
        }
    )*};
}

/// The arena that owns the entities of one kind; pushing hands out their ids.
#[derive(Clone, Debug)]
pub struct PrimaryMap<K, V> {
    elements: Vec<V>,
    key: PhantomData<K>,
}

impl<K: Entity, V> Default for PrimaryMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Entity, V> PrimaryMap<K, V> {
    /// An empty arena.
    pub const fn new() -> Self {
        Self { elements: Vec::new(), key: PhantomData }
    }
    /// An empty arena with room for `capacity` entities.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { elements: Vec::with_capacity(capacity), key: PhantomData }
    }
    /// Makes room for so many more entities.
    pub fn reserve(&mut self, additional: usize) {
        self.elements.reserve(additional);
    }
    /// Adds an entity.
    #[inline]
    pub fn push(&mut self, value: V) -> K {
        let key = self.next_key();
        self.elements.push(value);
        key
    }
    /// Adds all entities of another arena. Each gets the id that it had, raised by how many entities there were here.
    pub fn append(&mut self, mut other: Self) {
        self.elements.append(&mut other.elements);
    }
    /// The id that the next `push` returns.
    #[inline]
    pub fn next_key(&self) -> K {
        K::from_index(self.elements.len())
    }
    /// How many entities there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.elements.len()
    }
    /// Whether there is no entity.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }
    /// The entity, or `None` if the id is not of this arena.
    #[inline]
    pub fn get(&self, key: K) -> Option<&V> {
        self.elements.get(key.index())
    }
    /// The entity, or `None` if the id is not of this arena.
    #[inline]
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.elements.get_mut(key.index())
    }
    /// All ids, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = K> + ExactSizeIterator + use<K, V> {
        (0..self.elements.len()).map(K::from_index)
    }
    /// All entities, in the order of their ids.
    pub fn values(&self) -> std::slice::Iter<'_, V> {
        self.elements.iter()
    }
    /// All entities, in the order of their ids.
    pub fn values_mut(&mut self) -> std::slice::IterMut<'_, V> {
        self.elements.iter_mut()
    }
    /// All ids with their entities, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (K, &V)> + ExactSizeIterator {
        self.elements.iter().enumerate().map(|(index, value)| (K::from_index(index), value))
    }
    /// All ids with their entities, in order.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (K, &mut V)> + ExactSizeIterator {
        self.elements.iter_mut().enumerate().map(|(index, value)| (K::from_index(index), value))
    }
    /// The entities as a slice, in the order of their ids.
    pub fn as_slice(&self) -> &[V] {
        &self.elements
    }
    /// The entities as a slice, for parallel iteration.
    pub fn as_mut_slice(&mut self) -> &mut [V] {
        &mut self.elements
    }
}

impl<K: Entity, V> FromIterator<V> for PrimaryMap<K, V> {
    fn from_iter<I: IntoIterator<Item = V>>(iter: I) -> Self {
        Self { elements: iter.into_iter().collect(), key: PhantomData }
    }
}

impl<K: Entity, V> Index<K> for PrimaryMap<K, V> {
    type Output = V;
    #[inline]
    fn index(&self, key: K) -> &V {
        &self.elements[key.index()]
    }
}

impl<K: Entity, V> IndexMut<K> for PrimaryMap<K, V> {
    #[inline]
    fn index_mut(&mut self, key: K) -> &mut V {
        &mut self.elements[key.index()]
    }
}

/// Facts about the entities of an arena that somebody else owns; an entity without an entry has the default.
#[derive(Clone, Debug)]
pub struct SecondaryMap<K, V> {
    elements: Vec<V>,
    default: V,
    key: PhantomData<K>,
}

impl<K: Entity, V: Clone + Default> Default for SecondaryMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Entity, V: Clone> SecondaryMap<K, V> {
    /// A map in which every entity has `V::default()`.
    pub fn new() -> Self
    where
        V: Default,
    {
        Self::with_default(V::default())
    }
    /// A map in which every entity has `default`.
    pub fn with_default(default: V) -> Self {
        Self { elements: Vec::new(), default, key: PhantomData }
    }
    /// A map in which every entity has `default`, with entries made for the first `len`.
    pub fn with_default_and_len(default: V, len: usize) -> Self {
        Self { elements: vec![default.clone(); len], default, key: PhantomData }
    }
    /// Gives every entity the default again.
    pub fn clear(&mut self) {
        self.elements.clear();
    }
    /// How many entities have an entry of their own.
    pub fn len(&self) -> usize {
        self.elements.len()
    }
    /// Whether no entity has an entry of its own.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }
}

impl<K: Entity, V: Clone> Index<K> for SecondaryMap<K, V> {
    type Output = V;
    #[inline]
    fn index(&self, key: K) -> &V {
        self.elements.get(key.index()).unwrap_or(&self.default)
    }
}

impl<K: Entity, V: Clone> IndexMut<K> for SecondaryMap<K, V> {
    #[inline]
    fn index_mut(&mut self, key: K) -> &mut V {
        let index = key.index();
        if index >= self.elements.len() {
            self.elements.resize(index + 1, self.default.clone());
        }
        &mut self.elements[index]
    }
}
