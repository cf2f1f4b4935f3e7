//! Calls of the host's functions, which may call back.
//!
//! What the host does meanwhile may end anyhow: a callback may trap in the middle of unwinding, or end with an exception many resumes deep, and the host may
//! go on as if nothing had happened. So where control comes back from the host the runtime's globals are set to what they were. A small function does it,
//! in the place of the import, so that nothing that calls the import or refers to it changes. A tail call outside of continuations goes past it, so
//! that it takes no stack space: nothing that was set is looked at there. (One inside does take some.)

use super::builder::Builder;
use super::shared::{RUNTIME_MODULE, is_import_of};
use super::{Error, Lowering, Options, Runtime};
use rustc_hash::FxHashMap;
use wasmfx_ir::entity::{Entity, SecondaryMap};
use wasmfx_ir::func::{Func, Handler, Value};
use wasmfx_ir::module::{Body, FunctionId, Item, LazyBody};
use wasmfx_ir::references::IndexSpace;
use wasmfx_ir::wasmparser::{Operator, ValType};

impl Lowering<'_> {
    /// Puts guards in the place of imported functions that may call back. Functions that have entries were `moved`.
    ///
    /// # Errors
    /// If a body cannot be lifted.
    pub(super) fn guard_host_calls(
        &mut self,
        moved: &SecondaryMap<FunctionId, Option<FunctionId>>,
    ) -> Result<(), Error> {
        let exports_function = self.module.exports.iter().any(|export| matches!(export.item, Item::Function(_)));
        if !exports_function && !self.analysis.crossing {
            return Ok(());
        }
        let mut guarded: FxHashMap<FunctionId, FunctionId> = FxHashMap::default();
        let never_call_back = Options::default().host_imports;
        for position in 0..self.module.imports.len() {
            let import = &self.module.imports[position];
            let Item::Function(function) = import.item else { continue };
            let is_hosts = match self.options.runtime {
                Runtime::Closed => true,
                // A pattern of the user may stand for the runtime too.
                Runtime::Shared => import.module != RUNTIME_MODULE && is_import_of(import, &self.options.host_imports),
            };
            if !is_hosts || is_import_of(import, &never_call_back) {
                continue;
            }
            let to = self.move_away(function, Some(position));
            let body = self.guard(function, to);
            self.stand_in(function, to, body, "guard");
            guarded.insert(function, to);
        }
        if guarded.is_empty() {
            return Ok(());
        }
        for number in 0..self.report.function_count {
            let function = FunctionId::from_index(number);
            if !self.analysis.is_inside(function) {
                self.lead_tail_calls_past(moved[function].unwrap_or(function), &guarded)?;
            }
        }
        Ok(())
    }

    /// Has the tail calls of a function that no continuation reaches name the imports themselves.
    fn lead_tail_calls_past(
        &mut self,
        function: FunctionId,
        guarded: &FxHashMap<FunctionId, FunctionId>,
    ) -> Result<(), Error> {
        if let Body::Lazy(body) = &self.module.functions[function].body
            && tail_calls_any(body, guarded)
        {
            let func = self.take_body(function)?;
            self.module.functions[function].body = Body::Lifted(Box::new(func));
        }
        if let Body::Lifted(func) = &mut self.module.functions[function].body {
            func.operators.rewrite(|operator| {
                if let Operator::ReturnCall { function_index } = operator
                    && let Some(to) = guarded.get(&FunctionId::from_u32(*function_index))
                {
                    *function_index = to.as_u32();
                    return true;
                }
                false
            });
        }
        Ok(())
    }

    /// Calls an import, and sets the runtime's globals to what they were: nothing was being unwound.
    fn guard(&mut self, function: FunctionId, to: FunctionId) -> Func {
        let mut func = self.lowered_func(function);
        let (args, results) = (func.blocks[func.entry].params.clone(), func.results.clone());
        let builder = &mut Builder::new(&mut func);
        let depth = self.store.items.markers.then(|| builder.global(self.store.items.depth, ValType::I32));
        let catches = self.store.catch_all(builder);
        let values = builder.call(Operator::Call { function_index: to.as_u32() }, &args, &results, &catches);
        self.back_from_host(builder, depth);
        builder.ret(&values);
        if let Some(Handler::CatchAllRef { block }) = catches.first() {
            builder.switch_to(*block);
            let exception = builder.block_params(*block)[0];
            self.back_from_host(builder, depth);
            builder.invoke(Operator::ThrowRef, &[exception], None, &[]);
        }
        func
    }

    fn back_from_host(&self, builder: &mut Builder<'_>, depth: Option<Value>) {
        let zero = builder.i32(0);
        builder.set_global(self.store.items.unwinding, zero);
        if let Some(depth) = depth {
            builder.set_global(self.store.items.depth, depth);
        }
        self.back_to_host(builder);
    }
}

/// Whether a body has a tail call of one of these functions.
fn tail_calls_any(body: &LazyBody, functions: &FxHashMap<FunctionId, FunctionId>) -> bool {
    let Ok(mut operators) = body.reader().get_operators_reader() else { return false };
    while let Ok(operator) = operators.read() {
        if let Operator::ReturnCall { function_index } = operator
            && let Some(id) = body.id(IndexSpace::Function, function_index)
            && functions.contains_key(&FunctionId::from_u32(id))
        {
            return true;
        }
    }
    false
}
