//! Functions that call one of several others: where functions that become one call different functions.

use super::{CALL_BYTES, FUNCTION_BYTES, LOCAL_BYTES, call_and_return};
use crate::encoded_length;
use crate::module::plain_types::PlainTypes;
use indexmap::{IndexMap, IndexSet};
use rustc_hash::FxBuildHasher;
use wasmfx_ir::Func;
use wasmfx_ir::func::{Block, BlockCall, Terminator, ValueVec};
use wasmfx_ir::module::{Body, Function, FunctionId, Module};
use wasmfx_ir::wasmparser::{CompositeInnerType, FuncType, SubType, ValType};

/// What each member of a family calls, in the order of the members.
pub(super) type Callees = Vec<FunctionId>;

/// The dispatchers that there are to be, and those that there are. Families whose members call the same functions share them.
#[derive(Default)]
pub(super) struct Dispatchers(IndexMap<Callees, Option<FunctionId>, FxBuildHasher>);

impl Dispatchers {
    /// That one is wanted for these callees.
    pub(super) fn want(&mut self, callees: &Callees) {
        self.0.entry(callees.clone()).or_default();
    }

    /// About how many bytes the module gets longer by one for these callees.
    pub(super) fn bytes(&self, module: &Module, callees: &Callees, types: &PlainTypes) -> usize {
        /// A block with its `end`, and the `return` or branch at the end of what is in it.
        const BLOCK_BYTES: usize = 4;
        if self.0.contains_key(callees) {
            return 0;
        }
        let ty = func_type(module, callees[0]);
        let calls = distinct(callees).len() * (ty.params().len() * LOCAL_BYTES + CALL_BYTES + BLOCK_BYTES);
        // `br_table`, how many targets it has, and the targets.
        let table = 2 + callees.len();
        let new_type = SubType::func(with_selector(ty), false);
        let type_bytes = if types.contains(&new_type) { 0 } else { encoded_length::func_type(new_type.unwrap_func()) };
        FUNCTION_BYTES + LOCAL_BYTES + table + calls + type_bytes
    }

    /// The function that takes what these callees take, and a number, and calls the one with that number: in constant space, where the module has tail
    /// calls.
    pub(super) fn get(
        &mut self,
        module: &mut Module,
        types: &mut PlainTypes,
        callees: &Callees,
        tail_calls: bool,
    ) -> FunctionId {
        if let Some(Some(known)) = self.0.get(callees) {
            return *known;
        }
        let ty = with_selector(func_type(module, callees[0]));
        let (params, results): (Vec<ValType>, Vec<ValType>) = (ty.params().into(), ty.results().into());
        let ty = types.find_or_add(&mut module.types, SubType::func(ty, false));
        let mut func = Func::new(ty, &params, &results);
        let entry = func.entry;
        let mut args: ValueVec = func.blocks[entry].params.iter().copied().collect();
        let selector = args.pop().expect("the number is the last parameter");
        let distinct = distinct(callees);
        let calls = distinct.iter().map(|&callee| {
            let block = func.add_block();
            call_and_return(&mut func, block, callee, args.clone(), tail_calls);
            block
        });
        let blocks: Vec<Block> = calls.collect();
        let target = |callee: &FunctionId| {
            let position = distinct.get_index_of(callee).expect("it is one of them");
            BlockCall { block: blocks[position], args: ValueVec::new() }
        };
        func.blocks[entry].terminator = match &callees[..] {
            [one, other] => Terminator::Branch {
                condition: selector,
                then_target: target(other),
                else_target: target(one),
                likely: None,
            },
            [some @ .., last] => Terminator::Switch {
                index: selector,
                targets: some.iter().map(target).collect(),
                default: target(last),
            },
            [] => unreachable!("a family has members"),
        };
        let name = module.functions[callees[0]].name.as_ref().map(|name| format!("{name}.or.another"));
        let function = module.functions.push(Function {
            ty,
            body: Body::Lifted(Box::new(func)),
            name,
            local_names: Vec::new(),
            label_names: Vec::new(),
            exact: false,
        });
        self.0.insert(callees.clone(), Some(function));
        function
    }
}

fn distinct(callees: &Callees) -> IndexSet<FunctionId, FxBuildHasher> {
    callees.iter().copied().collect()
}

fn func_type(module: &Module, function: FunctionId) -> &FuncType {
    match &module.types.definitions[module.functions[function].ty].sub_type.composite_type.inner {
        CompositeInnerType::Func(ty) => ty,
        other => unreachable!("a function is of the type {other:?}"),
    }
}

fn with_selector(ty: &FuncType) -> FuncType {
    FuncType::new(ty.params().iter().copied().chain([ValType::I32]), ty.results().iter().copied())
}
