//! Calls of the host's functions, which may call back.
//!
//! What the host does meanwhile may end anyhow: a callback may trap in the middle of unwinding, or end with an exception many resumes deep, and the host may
//! go on as if nothing had happened. So where control comes back from the host the runtime's globals are set to what they were. A small function does it,
//! in the place of the import, so that nothing that calls the import or refers to it changes. A tail call outside of continuations goes past it, so
//! that it takes no stack space: nothing that was set is looked at there. (One inside, or in a module where references cross, does take some.)

use super::builder::Builder;
use super::runtime::exception_type;
use super::shared::is_import_of;
use super::{Error, Lowering, Options, Runtime};
use rustc_hash::FxHashMap;
use wasmfx_ir::entity::Entity;
use wasmfx_ir::func::{Func, Handler, Value};
use wasmfx_ir::module::{Body, FunctionId, Item, LazyBody};
use wasmfx_ir::wasmparser::{Operator, ValType};

impl Lowering<'_> {
    /// Puts guards in the place of imported functions that may call back.
    ///
    /// # Errors
    /// If a body cannot be lifted.
    pub(super) fn guard_host_calls(&mut self) -> Result<(), Error> {
        let exports_function = self.module.exports.iter().any(|export| matches!(export.item, Item::Function(_)));
        if !exports_function && !self.analysis.crossing {
            return Ok(());
        }
        let mut guarded: FxHashMap<FunctionId, FunctionId> = FxHashMap::default();
        let never_call_back = Options::default().host_imports;
        for position in 0..self.module.imports.len() {
            let import = &self.module.imports[position];
            let Item::Function(function) = import.item else { continue };
            let is_hosts = self.options.runtime == Runtime::Closed || is_import_of(import, &self.options.host_imports);
            if !is_hosts || is_import_of(import, &never_call_back) {
                continue;
            }
            let own = self.module.functions[function].clone();
            let to = self.module.functions.push(own);
            self.module.imports[position].item = Item::Function(to);
            let body = self.guard(function, to);
            let name = self.name_of(to);
            let guard = &mut self.module.functions[function];
            guard.body = Body::Lifted(Box::new(body));
            guard.name = Some(format!("{name}.guard"));
            guard.local_names.clear();
            guard.label_names.clear();
            guarded.insert(function, to);
        }
        if self.boundary.is_none() && !guarded.is_empty() {
            self.lead_tail_calls_past(&guarded)?;
        }
        Ok(())
    }

    /// Has tail calls of functions that no continuation reaches name the imports themselves.
    fn lead_tail_calls_past(&mut self, guarded: &FxHashMap<FunctionId, FunctionId>) -> Result<(), Error> {
        for number in 0..self.report.function_count {
            let id = FunctionId::from_index(number);
            if self.analysis.is_inside(id) || guarded.contains_key(&id) {
                continue;
            }
            if let Body::Lazy(body) = &self.module.functions[id].body
                && tail_calls_any(body, guarded)
            {
                let func = self.take_body(id)?;
                self.module.functions[id].body = Body::Lifted(Box::new(func));
            }
            let Body::Lifted(func) = &mut self.module.functions[id].body else { continue };
            func.operators.rewrite(|operator| {
                if let Operator::ReturnCall { function_index } = operator
                    && let Some(to) = guarded.get(&FunctionId::from_u32(*function_index))
                {
                    *function_index = to.as_u32();
                }
            });
        }
        Ok(())
    }

    /// Calls an import, and sets the runtime's globals to what they were: nothing was being unwound.
    fn guard(&mut self, function: FunctionId, to: FunctionId) -> Func {
        let ty = self.module.functions[function].ty;
        let params = self.lowered_types(&self.original_params(ty));
        let results = self.lowered_types(&self.original_results(ty));
        let mut func = Func::new(ty, &params, &results);
        let args = func.blocks[func.entry].params.clone();
        let b = &mut Builder::new(&mut func);
        let depth = self.store.items.markers.then(|| b.global(self.store.items.depth, ValType::I32));
        let catches = match self.store.items.exception {
            Some(_) => vec![Handler::CatchAllRef { block: b.new_block(&[exception_type(false)]) }],
            None => Vec::new(),
        };
        let values = b.call(Operator::Call { function_index: to.as_u32() }, &args, &results, &catches);
        self.back_from_host(b, depth);
        b.ret(&values);
        if let Some(Handler::CatchAllRef { block }) = catches.first() {
            b.switch_to(*block);
            let exception = b.block_params(*block)[0];
            self.back_from_host(b, depth);
            b.invoke(Operator::ThrowRef, &[exception], None, &[]);
        }
        func
    }

    fn back_from_host(&self, b: &mut Builder<'_>, depth: Option<Value>) {
        let zero = b.i32(0);
        b.set_global(self.store.items.unwinding, zero);
        if let Some(depth) = depth {
            b.set_global(self.store.items.depth, depth);
        }
        self.back_to_host(b);
    }
}

/// Whether a body has a tail call of one of these functions.
fn tail_calls_any(body: &LazyBody, functions: &FxHashMap<FunctionId, FunctionId>) -> bool {
    let Ok(mut operators) = body.reader().get_operators_reader() else { return false };
    while let Ok(operator) = operators.read() {
        let Operator::ReturnCall { function_index } = operator else { continue };
        let id = match &body.renumbering {
            None => Some(FunctionId::from_u32(function_index)),
            Some(renumbering) => renumbering.functions.get(function_index as usize).copied(),
        };
        if id.is_some_and(|id| functions.contains_key(&id)) {
            return true;
        }
    }
    false
}
