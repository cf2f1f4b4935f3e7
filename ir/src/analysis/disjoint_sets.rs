//! Sets of entities that have become one: each set goes by the name of one of its members.

use crate::entity::Entity;

/// Which entities are one. At first each is one by itself.
pub(crate) struct DisjointSets<K> {
    /// Another member of the set for each entity, on the way to the one that names it, which has itself.
    target: Vec<K>,
}

impl<K: Entity> DisjointSets<K> {
    /// As many sets as there are entities.
    pub(crate) fn new(count: usize) -> Self {
        Self { target: (0..count).map(K::from_index).collect() }
    }

    /// Makes the set that `member` names a part of the set that `target` is in. They must be two.
    pub(crate) fn unite(&mut self, member: K, target: K) {
        let target = self.find(target);
        debug_assert_ne!(member, target);
        self.target[member.index()] = target;
    }

    /// The member that names the set of this one.
    #[inline]
    pub(crate) fn find(&mut self, mut member: K) -> K {
        loop {
            let target = self.target[member.index()];
            if target == member {
                return member;
            }
            // Path halving.
            let beyond = self.target[target.index()];
            self.target[member.index()] = beyond;
            member = beyond;
        }
    }
}
