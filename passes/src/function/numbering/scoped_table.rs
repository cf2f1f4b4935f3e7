//! A hash table of expressions that forgets in the reverse of the order in which it learnt.

use super::Known;
use rustc_hash::FxHasher;
use std::hash::Hasher;
use wasmfx_ir::Value;
use wasmfx_ir::entity::Entity;
use wasmfx_ir::func::OperatorId;

/// The end of a chain.
const NONE: u32 = u32::MAX;

/// What is known of expressions: an operator with its operands. What was entered last of an expression is what is found, and whoever leaves a
/// subtree of the dominator tree takes away what was entered since a [`ScopedTable::mark`].
///
/// Each bucket is a chain with the latest entry first. As entries leave in the reverse of the order in which they came, an entry that leaves
/// is always the first of its chain: to forget it is to let the bucket start with the next one.
pub(super) struct ScopedTable {
    /// The latest entry of each bucket, or `NONE`; a power of two of them.
    buckets: Vec<u32>,
    entries: Vec<Entry>,
    /// The operands of all entries, in their order.
    operands: Vec<Value>,
}

struct Entry {
    hash: u32,
    /// The entry before in the same bucket, or `NONE`.
    next: u32,
    operator: OperatorId,
    operands_start: u32,
    operand_count: u32,
    known: Known,
}

impl ScopedTable {
    /// A table in which so many entries find room at once.
    pub(super) fn with_capacity(entries: usize) -> Self {
        Self {
            buckets: vec![NONE; entries.max(8).next_power_of_two()],
            entries: Vec::with_capacity(entries),
            operands: Vec::with_capacity(entries),
        }
    }

    /// What is known of an expression.
    pub(super) fn find(&self, operator: OperatorId, operands: &[Value]) -> Option<Known> {
        let hash = hash_of(operator, operands);
        let mut at = self.buckets[self.bucket(hash)];
        while at != NONE {
            let entry = &self.entries[at as usize];
            if entry.hash == hash && entry.operator == operator && self.operands_of(entry) == operands {
                return Some(entry.known);
            }
            at = entry.next;
        }
        None
    }

    /// Enters what is known of an expression from now on.
    pub(super) fn enter(&mut self, operator: OperatorId, operands: &[Value], known: Known) {
        if self.entries.len() >= 2 * self.buckets.len() {
            self.grow();
        }
        let hash = hash_of(operator, operands);
        let bucket = self.bucket(hash);
        let operands_start = number(self.operands.len());
        self.operands.extend_from_slice(operands);
        let next = std::mem::replace(&mut self.buckets[bucket], number(self.entries.len()));
        let operand_count = number(operands.len());
        self.entries.push(Entry { hash, next, operator, operands_start, operand_count, known });
    }

    /// Where the table is now.
    pub(super) fn mark(&self) -> usize {
        self.entries.len()
    }

    /// Forgets what was entered since the mark.
    pub(super) fn forget_since(&mut self, mark: usize) {
        while self.entries.len() > mark {
            let entry = self.entries.pop().expect("there are more than at the mark");
            let bucket = self.bucket(entry.hash);
            self.buckets[bucket] = entry.next;
            self.operands.truncate(entry.operands_start as usize);
        }
    }

    /// Twice the buckets. Chains are made anew in the order in which entries came, so that the latest is first again.
    fn grow(&mut self) {
        self.buckets = vec![NONE; 2 * self.buckets.len()];
        for index in 0..self.entries.len() {
            let bucket = self.bucket(self.entries[index].hash);
            self.entries[index].next = std::mem::replace(&mut self.buckets[bucket], number(index));
        }
    }

    fn bucket(&self, hash: u32) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }

    fn operands_of(&self, entry: &Entry) -> &[Value] {
        &self.operands[entry.operands_start as usize..][..entry.operand_count as usize]
    }
}

fn hash_of(operator: OperatorId, operands: &[Value]) -> u32 {
    let mut hasher = FxHasher::default();
    hasher.write_u32(operator.as_u32());
    operands.iter().for_each(|operand| hasher.write_u32(operand.index() as u32));
    // The upper half depends on all bits that were hashed.
    (hasher.finish() >> 32) as u32
}

fn number(length: usize) -> u32 {
    u32::try_from(length).ok().filter(|&number| number != NONE).expect("a function has fewer than 2^32 values")
}

#[cfg(test)]
mod tests {
    use super::super::Results;
    use super::*;
    use wasmfx_ir::effects::LocationSet;

    #[test]
    fn what_was_entered_last_is_found_until_it_is_forgotten() {
        let operator = |number| OperatorId::from_u32(number);
        let value = |number| Value::from_u32(number);
        let known = |time| Known { results: Results::Value(value(time)), reads: LocationSet::NONE, time };
        let time = |table: &ScopedTable, number: u32| {
            table.find(operator(number), &[value(number), value(7)]).map(|known| known.time)
        };
        let mut table = ScopedTable::with_capacity(0);
        // More than find room at once.
        for number in 0..100 {
            table.enter(operator(number), &[value(number), value(7)], known(1));
        }
        let mark = table.mark();
        for number in (0..100).step_by(2) {
            table.enter(operator(number), &[value(number), value(7)], known(2));
        }
        for number in 0..100 {
            assert_eq!(time(&table, number), Some(if number % 2 == 0 { 2 } else { 1 }), "{number}");
            assert!(table.find(operator(number), &[value(number)]).is_none());
            assert!(table.find(operator(number), &[value(7), value(number + 100)]).is_none());
        }
        table.forget_since(mark);
        for number in 0..100 {
            assert_eq!(time(&table, number), Some(1), "{number}");
        }
        table.forget_since(0);
        assert!((0..100).all(|number| time(&table, number).is_none()));
    }
}
