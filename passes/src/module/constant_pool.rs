//! Constant pool: a long constant that is used often becomes an immutable global, as reading one takes two or three bytes.
//!
//! The constant is the same in every instance and at any time, so this is always sound. Engines that compile well know the value of an
//! immutable global and use it as they would the constant; others load it, so this is for where size is all that counts. (`globals` turns
//! such globals back into constants, and so nothing is lost by optimising again.)

use crate::encoded_length;
use crate::function::simplify::Constant;
use crate::options::Options;
use crate::pass_table::Changed;
use rayon::prelude::*;
use wasmfx_ir::Func;
use wasmfx_ir::analysis::UseCounts;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::OperatorId;
use wasmfx_ir::module::{Body, ConstExpr, Global, Module, Origin};
use wasmfx_ir::operator::OperatorPool;
use wasmfx_ir::wasmparser::{GlobalType, Operator, ValType};

/// How many indices take one byte.
const ONE_BYTE_INDICES: usize = 128;
/// A constant of no more bytes is as short as reading a global.
const SHORT: usize = 2;
/// Of a global besides its value: its type, whether it is mutable, and `end`.
const GLOBAL_BYTES: usize = 3;
/// Reading or writing a local.
const LOCAL_BYTES: usize = 2;

/// Runs the pass.
pub fn run(module: &mut Module, _options: &Options) -> Changed {
    let constants = Constants::of(module);
    let existing = module.globals.values().filter(|global| global.origin != Origin::Removed).count();
    let chosen = constants.worthwhile(ONE_BYTE_INDICES.saturating_sub(existing));
    if chosen.is_empty() {
        return Changed::No;
    }
    let mut reads: SecondaryMap<OperatorId, Option<Operator<'static>>> = SecondaryMap::new();
    for id in chosen {
        let value = constants.pool[id].clone();
        let content_type = type_of(&value).expect("only constants are in the pool");
        let global = module.globals.push(Global {
            ty: GlobalType { content_type, mutable: false, shared: false },
            origin: Origin::Definition,
            init: Some(ConstExpr { operators: vec![value] }),
            name: None,
        });
        reads[id] = Some(Operator::GlobalGet { global_index: global.as_u32() });
    }
    module.functions.as_mut_slice().par_iter_mut().for_each(|function| {
        if let Body::Lifted(func) = &mut function.body {
            read_globals(func, &constants.pool, &reads);
        }
    });
    Changed::Yes
}

/// The type of the value that an operator pushes, if it is a constant number or vector.
fn type_of(operator: &Operator<'_>) -> Option<ValType> {
    match operator {
        Operator::V128Const { .. } => Some(ValType::V128),
        _ => Constant::of(operator).map(Constant::ty),
    }
}

/// How the code uses a constant.
#[derive(Copy, Clone, Default)]
struct Usage {
    uses: usize,
    /// About how many bytes all these uses take.
    bytes: usize,
}

impl Usage {
    /// About how many bytes are saved by a global whose index takes so many, if any.
    fn saved_by_global(self, length: usize, index_bytes: usize) -> usize {
        self.bytes.saturating_sub(self.uses * (1 + index_bytes) + length + GLOBAL_BYTES)
    }
}

/// The long constants of a module.
#[derive(Default)]
struct Constants {
    pool: OperatorPool,
    usage: SecondaryMap<OperatorId, Usage>,
}

impl Constants {
    fn of(module: &Module) -> Self {
        let usages: Vec<Vec<(Operator<'static>, Usage)>> = module
            .functions
            .as_slice()
            .par_iter()
            .map(|function| match &function.body {
                Body::Lifted(func) => usage_in(func),
                Body::Import | Body::Lazy(_) | Body::Detached | Body::Removed => Vec::new(),
            })
            .collect();
        let mut constants = Self::default();
        for (operator, usage) in usages.into_iter().flatten() {
            let total = &mut constants.usage[constants.pool.intern(operator)];
            total.uses += usage.uses;
            total.bytes += usage.bytes;
        }
        constants
    }

    /// The constants that take fewer bytes as globals, if so many globals have indices of one byte: those that save most first.
    fn worthwhile(&self, one_byte_indices: usize) -> Vec<OperatorId> {
        let saved = |id: OperatorId, index_bytes| {
            let length = encoded_length::operator(&self.pool[id]).unwrap_or_default();
            self.usage[id].saved_by_global(length, index_bytes)
        };
        let mut candidates: Vec<(usize, OperatorId)> =
            self.pool.iter().map(|(id, _)| (saved(id, 1), id)).filter(|&(saved, _)| saved > 0).collect();
        candidates.sort_unstable_by_key(|&(saved, id)| (std::cmp::Reverse(saved), id));
        let chosen = candidates.into_iter().enumerate();
        chosen.filter(|&(rank, (_, id))| rank < one_byte_indices || saved(id, 2) > 0).map(|(_, (_, id))| id).collect()
    }
}

/// How a function uses its long constants.
fn usage_in(func: &Func) -> Vec<(Operator<'static>, Usage)> {
    let mut lengths: SecondaryMap<OperatorId, usize> = SecondaryMap::new();
    for (id, operator) in func.operators.iter().filter(|(_, operator)| type_of(operator).is_some()) {
        lengths[id] = encoded_length::operator(operator).filter(|&length| length > SHORT).unwrap_or_default();
    }
    if lengths.is_empty() {
        return Vec::new();
    }
    let uses = UseCounts::new(func, func.blocks.keys());
    let mut usage: SecondaryMap<OperatorId, Usage> = SecondaryMap::new();
    for inst in func.blocks.values().flat_map(|data| &data.insts).copied() {
        let id = func.operator_id(inst);
        let length = lengths[id];
        if length > 0 {
            let uses = uses.get(func.first_result(inst)) as usize;
            // Emission repeats a constant or keeps it in a local, whichever is shorter.
            usage[id].uses += uses;
            usage[id].bytes += (uses * length).min(length + uses * LOCAL_BYTES);
        }
    }
    let used = func.operators.iter().filter(|&(id, _)| usage[id].uses > 0);
    used.map(|(id, operator)| (operator.clone(), usage[id])).collect()
}

/// Reads globals in place of constants.
fn read_globals(func: &mut Func, pool: &OperatorPool, reads: &SecondaryMap<OperatorId, Option<Operator<'static>>>) {
    let mut read_of: SecondaryMap<OperatorId, Option<Operator<'static>>> = SecondaryMap::new();
    for (id, operator) in func.operators.iter() {
        if let Some(read) = pool.find(operator).and_then(|pooled| reads[pooled].clone()) {
            read_of[id] = Some(read);
        }
    }
    if read_of.is_empty() {
        return;
    }
    let insts: Vec<_> = func.blocks.values().flat_map(|data| &data.insts).copied().collect();
    for inst in insts {
        if let Some(read) = &read_of[func.operator_id(inst)] {
            func.replace_inst(inst, read.clone(), &[]);
        }
    }
}
