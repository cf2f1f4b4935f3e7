//! Compaction: the arenas of a body without what is not in use any more.

use super::{Block, BlockData, Func, Inst, InstData, Value, ValueData, ValueDefinition};
use crate::entity::{Entity, PrimaryMap, SecondaryMap};
use wasmparser::ValType;

/// "Not renumbered" in the dense tables below; ids are smaller (see [`ValueDefinition`]).
const NONE: u32 = u32::MAX;

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
    pub(crate) fn compact_in_order(&mut self, order: &[Block], mut resolve: impl FnMut(Value) -> Value) {
        let mut blocks_map = vec![NONE; self.blocks.len()];
        for (number, &block) in order.iter().enumerate() {
            blocks_map[block.index()] = u32::try_from(number).expect("fewer blocks than before");
        }
        // Definitions get their numbers first: a use may stand before its definition in the order of the blocks.
        let inst_count = order.iter().map(|&block| self.blocks[block].insts.len()).sum();
        let mut values_map = vec![NONE; self.values.len()];
        let mut values: PrimaryMap<Value, ValueData> = PrimaryMap::with_capacity(inst_count);
        // One of each type is enough.
        let mut undefined: Vec<Value> = Vec::new();
        for (old, data) in self.values.iter() {
            if ValueDefinition::unpack(data.definition) != ValueDefinition::Undefined {
                continue;
            }
            let same = undefined.iter().copied().find(|&value| values[value].ty == data.ty);
            let value = same.unwrap_or_else(|| {
                undefined.push(values.push(*data));
                undefined[undefined.len() - 1]
            });
            values_map[old.index()] = value.as_u32();
        }
        let mut insts: PrimaryMap<Inst, InstData> = PrimaryMap::with_capacity(inst_count);
        let mut blocks: PrimaryMap<Block, BlockData> = PrimaryMap::with_capacity(order.len());
        for &old_block in order {
            let mut data = std::mem::take(&mut self.blocks[old_block]);
            let block = blocks.next_key();
            for param in &mut data.params {
                let ty = self.values[*param].ty;
                let value = values.push(ValueData { ty, definition: ValueDefinition::Parameter(block).pack() });
                values_map[param.index()] = value.as_u32();
                *param = value;
            }
            for inst in &mut data.insts {
                let mut inst_data = self.insts[*inst];
                let new_inst = insts.next_key();
                let first_result = values.next_key().as_u32();
                for result in self.inst_results(*inst) {
                    let ty = self.values[result].ty;
                    let value = values.push(ValueData { ty, definition: ValueDefinition::Result(new_inst).pack() });
                    values_map[result.index()] = value.as_u32();
                }
                inst_data.first_result = first_result;
                *inst = insts.push(inst_data);
            }
            blocks.push(data);
        }

        let mut map_value = |value: Value| {
            let number = values_map[resolve(value).index()];
            assert!(number != NONE, "{value} is used but no reachable block defines it");
            Value::from_u32(number)
        };
        let map_block = |block: Block| {
            let number = blocks_map[block.index()];
            assert!(number != NONE, "an edge leads to {block}, which is not kept");
            Block::from_u32(number)
        };
        let mut operands = Vec::with_capacity(self.operands.len());
        for data in insts.as_mut_slice() {
            let start = data.operands_start as usize;
            data.operands_start = u32::try_from(operands.len()).expect("fewer operands than before");
            let old_operands = &self.operands[start..start + usize::from(data.operand_count)];
            operands.extend(old_operands.iter().map(|&value| map_value(value)));
        }
        for data in blocks.values_mut() {
            data.terminator.for_each_value_mut(|value| *value = map_value(*value));
            data.terminator.for_each_successor_mut(|block| *block = map_block(*block));
        }

        let mut source_locals = SecondaryMap::new();
        for (old, &new) in values_map.iter().enumerate().take(self.source_locals.len()) {
            let hint = self.source_locals[Value::from_index(old)];
            if new != NONE && hint.is_some() {
                source_locals[Value::from_u32(new)] = hint;
            }
        }

        self.entry = map_block(self.entry);
        self.source_locals = source_locals;
        self.operands = operands;
        self.has_unresolved_aliases = false;
        self.values = values;
        self.insts = insts;
        self.blocks = blocks;
    }
}
