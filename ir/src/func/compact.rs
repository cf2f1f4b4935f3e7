//! Compaction: the arenas of a body without what is not in use any more.

use super::{Block, BlockData, Func, Inst, InstData, Value, ValueData, ValueDefinition};
use crate::entity::{Entity, PrimaryMap, SecondaryMap};
use wasmparser::ValType;

/// "Not renumbered" in the dense tables below; ids are smaller (see [`ValueDefinition`]).
const NONE: u32 = u32::MAX;

/// The arenas of a compacted body while its uses are still to be renumbered.
struct Renumbered {
    blocks: PrimaryMap<Block, BlockData>,
    insts: PrimaryMap<Inst, InstData>,
    values: PrimaryMap<Value, ValueData>,
    /// The new number of each old value; [`NONE`] for those that are gone.
    value_numbers: Vec<u32>,
}

impl Func {
    /// Which blocks can be reached from the entry, by the number of the block.
    pub(crate) fn reachable_blocks(&self) -> Vec<bool> {
        let mut reachable = vec![false; self.blocks.len()];
        let mut pending = vec![self.entry];
        reachable[self.entry.index()] = true;
        while let Some(block) = pending.pop() {
            self.blocks[block].terminator.for_each_successor(|successor| {
                if !std::mem::replace(&mut reachable[successor.index()], true) {
                    pending.push(successor);
                }
            });
        }
        reachable
    }

    /// A value that is in no parameter list: a stand-in that the caller gives a meaning or removes.
    pub(crate) fn create_detached_value(&mut self, ty: ValType) -> Value {
        self.values.push(ValueData { ty: ty.into(), definition: ValueDefinition::Parameter(self.entry).pack() })
    }

    /// Rebuilds the arenas, but for the operators, with just the blocks of `order`, in this order: what is in none of them is dropped, and what is
    /// left is numbered densely. `resolve` says which value a used value stands for.
    ///
    /// # Panics
    /// If what is kept uses a value that nothing defines any more, or an edge leads to a block that is not kept.
    pub(crate) fn compact_in_order(&mut self, order: &[Block], mut resolve: impl FnMut(Value) -> Value) {
        let mut block_numbers = vec![NONE; self.blocks.len()];
        for (number, &block) in order.iter().enumerate() {
            block_numbers[block.index()] = u32::try_from(number).expect("fewer blocks than before");
        }
        // Definitions get their numbers first: a use may stand before its definition in the order of the blocks.
        let mut new = self.renumber_definitions(order);
        let mut map_value = |value: Value| {
            let number = new.value_numbers[resolve(value).index()];
            assert!(number != NONE, "{value} is used but no reachable block defines it");
            Value::from_u32(number)
        };
        let map_block = |block: Block| {
            let number = block_numbers[block.index()];
            assert!(number != NONE, "an edge leads to {block}, which is not kept");
            Block::from_u32(number)
        };
        let mut operands = Vec::with_capacity(self.operands.len());
        for data in new.insts.as_mut_slice() {
            let start = data.operands_start as usize;
            data.operands_start = u32::try_from(operands.len()).expect("fewer operands than before");
            let old_operands = &self.operands[start..start + usize::from(data.operand_count)];
            operands.extend(old_operands.iter().map(|&value| map_value(value)));
        }
        for data in new.blocks.values_mut() {
            data.terminator.for_each_value_mut(|value| *value = map_value(*value));
            data.terminator.for_each_successor_mut(|block| *block = map_block(*block));
        }

        let mut source_locals = SecondaryMap::with_default_and_len(None, new.values.len());
        for (old, &number) in new.value_numbers.iter().enumerate().take(self.source_locals.len()) {
            let hint = self.source_locals[Value::from_index(old)];
            if number != NONE && hint.is_some() {
                source_locals[Value::from_u32(number)] = hint;
            }
        }

        self.entry = map_block(self.entry);
        self.source_locals = source_locals;
        self.operands = operands;
        self.has_unresolved_aliases = false;
        self.values = new.values;
        self.insts = new.insts;
        self.blocks = new.blocks;
    }

    /// Moves the blocks of `order` into new arenas, with what they define; what they use keeps its old numbers.
    fn renumber_definitions(&mut self, order: &[Block]) -> Renumbered {
        let inst_count = order.iter().map(|&block| self.blocks[block].insts.len()).sum();
        let mut value_numbers = vec![NONE; self.values.len()];
        let param_count: usize = order.iter().map(|&block| self.blocks[block].params.len()).sum();
        // Nearly every instruction has one result or none.
        let mut values: PrimaryMap<Value, ValueData> = PrimaryMap::with_capacity(param_count + inst_count);
        self.renumber_undefined(&mut values, &mut value_numbers);
        let mut insts: PrimaryMap<Inst, InstData> = PrimaryMap::with_capacity(inst_count);
        let mut blocks: PrimaryMap<Block, BlockData> = PrimaryMap::with_capacity(order.len());
        for &old_block in order {
            let mut data = std::mem::take(&mut self.blocks[old_block]);
            let block = blocks.next_key();
            for param in &mut data.params {
                let ty = self.values[*param].ty;
                let value = values.push(ValueData { ty, definition: ValueDefinition::Parameter(block).pack() });
                value_numbers[param.index()] = value.as_u32();
                *param = value;
            }
            for inst in &mut data.insts {
                let mut inst_data = self.insts[*inst];
                let new_inst = insts.next_key();
                let first_result = values.next_key().as_u32();
                for result in self.inst_results(*inst) {
                    let ty = self.values[result].ty;
                    let value = values.push(ValueData { ty, definition: ValueDefinition::Result(new_inst).pack() });
                    value_numbers[result.index()] = value.as_u32();
                }
                inst_data.first_result = first_result;
                *inst = insts.push(inst_data);
            }
            blocks.push(data);
        }
        Renumbered { blocks, insts, values, value_numbers }
    }

    /// Makes one undefined value of each type stand for all of it.
    fn renumber_undefined(&self, values: &mut PrimaryMap<Value, ValueData>, value_numbers: &mut [u32]) {
        let mut undefined: Vec<Value> = Vec::new();
        for (old, data) in self.values.iter() {
            if ValueDefinition::unpack(data.definition) != ValueDefinition::Undefined {
                continue;
            }
            let same = undefined.iter().copied().find(|&value| values[value].ty == data.ty);
            let value = same.unwrap_or_else(|| {
                let value = values.push(*data);
                undefined.push(value);
                value
            });
            value_numbers[old.index()] = value.as_u32();
        }
    }
}
