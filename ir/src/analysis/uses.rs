//! Who uses a value.

use super::lists::{EntityLists, ListLengths};
use crate::entity::SecondaryMap;
use crate::func::{Block, Func, Inst, Value};

/// How often each value is used by instructions and terminators of the blocks (all blocks, or the reachable ones).
#[derive(Clone, Debug)]
pub struct UseCounts(SecondaryMap<Value, u32>);

impl UseCounts {
    /// Counts the uses in these blocks. An alias counts for what it stands for.
    pub fn new(func: &Func, blocks: impl IntoIterator<Item = Block>) -> Self {
        let mut counts = SecondaryMap::with_default_and_len(0u32, func.value_count());
        for block in blocks {
            let data = &func.blocks[block];
            for &inst in &data.insts {
                func.operands(inst).iter().for_each(|&value| counts[func.resolve(value)] += 1);
            }
            data.terminator.for_each_value(|value| counts[func.resolve(value)] += 1);
        }
        Self(counts)
    }

    /// How often the value is used.
    #[inline]
    pub fn get(&self, value: Value) -> u32 {
        self.0[value]
    }
}

/// What uses a value.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum User {
    /// An instruction.
    Inst(Inst),
    /// The terminator of a block.
    Terminator(Block),
}

/// The users of every value, once for each use, in the order of the blocks that were given.
#[derive(Clone, Debug)]
pub struct Users(EntityLists<Value, User>);

impl Users {
    /// Lists the users in these blocks. An alias is used through what it stands for.
    pub fn new(func: &Func, blocks: &[Block]) -> Self {
        let for_each_use = |visit: &mut dyn FnMut(Value, User)| {
            for &block in blocks {
                let data = &func.blocks[block];
                for &inst in &data.insts {
                    func.operands(inst).iter().for_each(|&value| visit(func.resolve(value), User::Inst(inst)));
                }
                data.terminator.for_each_value(|value| visit(func.resolve(value), User::Terminator(block)));
            }
        };
        let mut lengths = ListLengths::new(func.value_count());
        for_each_use(&mut |value, _| lengths.count(value));
        let mut users = lengths.allocate(User::Terminator(func.entry));
        for_each_use(&mut |value, user| users.push(value, user));
        Self(users.finish())
    }

    /// The users of a value, once for each use.
    #[inline]
    pub fn of(&self, value: Value) -> &[User] {
        self.0.of(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::func::{BlockCall, Terminator};
    use crate::module::TypeId;
    use wasmparser::{Operator, ValType};

    #[test]
    fn each_use_counts_and_aliases_count_for_their_target() {
        let mut func = Func::new(TypeId::from_u32(0), &[ValType::I32, ValType::I32], &[]);
        let (a, b) = (func.blocks[func.entry].params[0], func.blocks[func.entry].params[1]);
        let sum = func.append(func.entry, Operator::I32Add, &[a, b], &[ValType::I32]);
        let result = func.first_result(sum);
        func.make_alias(b, a);
        let next = func.add_block();
        func.add_block_param(next, ValType::I32);
        func.blocks[func.entry].terminator = Terminator::Jump(BlockCall::with_args(next, [result]));
        func.blocks[next].terminator = Terminator::Return([].into_iter().collect());
        let counts = UseCounts::new(&func, func.blocks.keys());
        assert_eq!((counts.get(a), counts.get(result)), (2, 1));
        let users = Users::new(&func, &[func.entry, next]);
        assert_eq!(users.of(a), [User::Inst(sum); 2]);
        assert_eq!(users.of(result), [User::Terminator(func.entry)]);
    }
}
