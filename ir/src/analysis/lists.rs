//! Lists of values, one for each entity of an arena, in one allocation.
//!
//! They are made of pairs that are gone over twice, in the same order: [`ListLengths`] counts them, [`UnfilledLists`] takes them in.

use crate::entity::Entity;
use std::marker::PhantomData;

/// How long each list is going to be.
pub(crate) struct ListLengths<K> {
    /// The length of an entity's list is two positions behind it.
    lengths: Vec<u32>,
    key: PhantomData<K>,
}

impl<K: Entity> ListLengths<K> {
    /// Empty lists for the first `count` entities.
    pub(crate) fn new(count: usize) -> Self {
        Self { lengths: vec![0; count + 2], key: PhantomData }
    }

    /// Makes room for one more value in a list.
    #[inline]
    pub(crate) fn count(&mut self, key: K) {
        self.lengths[key.index() + 2] += 1;
    }

    /// Lists of these lengths; `placeholder` is what they hold until they are filled.
    pub(crate) fn allocate<V: Clone>(self, placeholder: V) -> UnfilledLists<K, V> {
        let mut start = self.lengths;
        for index in 1..start.len() {
            start[index] += start[index - 1];
        }
        let total = start.last().map_or(0, |&total| total as usize);
        UnfilledLists { lists: EntityLists { start, values: vec![placeholder; total], key: PhantomData } }
    }
}

/// Lists that still have room.
pub(crate) struct UnfilledLists<K, V> {
    /// Until they are full, what stands one position behind a list's start is not its end but where its next value goes.
    lists: EntityLists<K, V>,
}

impl<K: Entity, V> UnfilledLists<K, V> {
    /// Adds a value at the end of a list.
    #[inline]
    pub(crate) fn push(&mut self, key: K, value: V) {
        let next = &mut self.lists.start[key.index() + 1];
        self.lists.values[*next as usize] = value;
        *next += 1;
    }

    /// The lists, which must be full.
    pub(crate) fn finish(mut self) -> EntityLists<K, V> {
        self.lists.start.pop();
        debug_assert!(
            self.lists.start.last().is_some_and(|&end| end as usize == self.lists.values.len()),
            "the last list is not full"
        );
        self.lists
    }
}

/// A list of values for each entity.
#[derive(Clone, Debug)]
pub(crate) struct EntityLists<K, V> {
    /// Where each list starts in `values`; one entry more than there are lists.
    start: Vec<u32>,
    values: Vec<V>,
    key: PhantomData<K>,
}

impl<K: Entity, V: Copy> EntityLists<K, V> {
    /// The values that pairs have for each of the first `count` entities. `pairs` gives the same ones each time.
    pub(crate) fn of_pairs<P>(count: usize, pairs: impl Fn() -> P) -> Self
    where
        P: Iterator<Item = (K, V)>,
    {
        let mut lengths = ListLengths::new(count);
        pairs().for_each(|(key, _)| lengths.count(key));
        let Some((_, placeholder)) = pairs().next() else {
            return Self { start: vec![0; count + 1], values: Vec::new(), key: PhantomData };
        };
        let mut lists = lengths.allocate(placeholder);
        pairs().for_each(|(key, value)| lists.push(key, value));
        lists.finish()
    }
}

impl<K: Entity, V> EntityLists<K, V> {
    /// The values of all lists, in the order of the entities.
    pub(crate) fn into_values(self) -> Vec<V> {
        self.values
    }

    /// The list of an entity, to change the order of its values.
    pub(crate) fn of_mut(&mut self, key: K) -> &mut [V] {
        &mut self.values[self.start[key.index()] as usize..self.start[key.index() + 1] as usize]
    }

    /// The list of an entity. Entities that were added since have empty ones.
    #[inline]
    pub(crate) fn of(&self, key: K) -> &[V] {
        match self.start.get(key.index()..key.index() + 2) {
            Some(&[start, end]) => &self.values[start as usize..end as usize],
            _ => &[],
        }
    }
}
