//! Function references that cross the module's boundary.
//!
//! A suspension never crosses a host frame: where the host calls a function that may suspend, somebody must be there to trap. An exported function
//! has an entry for that. But the host also calls functions whose references it gets, from a table or a global that it sees, as an argument or a
//! result; and what it gets it may give back, to be called from inside a continuation, where a suspension passes as it does through any call.
//!
//! So in a module where references cross, every function that such a call may reach *is* an entry, which asks who calls: just before an
//! indirect call (`call_indirect`, `call_ref`, or the first resume of a continuation) that may suspend, the caller sets the global
//! `wasmfx.inside`, and the entry takes that back and calls the function itself. Where it is not set, the caller is the host.
//! Direct calls go to the function, past its entry. Functions that never suspend have an entry too where such a call may reach them, so that
//! nothing but a function of the host is ever entered with the global set.
//!
//! What stays open: a host function whose reference came in, and which itself calls back a function that suspends with nobody to handle it, hands the
//! suspension on to its own caller. And where such a call traps, or its exception goes to the host, the global stays set until the next
//! such call: an unhandled suspension in the very next function that the host calls then returns zeros instead of trapping.

use super::builder::Builder;
use super::{Error, Lowering};
use rustc_hash::FxHashMap;
use wasmfx_ir::Module;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{Func, Handler, Terminator, Value};
use wasmfx_ir::module::{Body, FunctionId, Item, TableId, TypeId};
use wasmfx_ir::wasmparser::{
    AbstractHeapType, CompositeInnerType, HeapType, Operator, RefType, StorageType, UnpackedIndex, ValType,
    WasmFeatures,
};

/// Whether a reference to a function may get in or out of a module.
pub(super) fn references_cross(module: &Module) -> bool {
    let crossing = Crossing { module, in_objects: functions_in_objects(module) };
    let imported = module.imports.iter().map(|import| import.item);
    imported.chain(module.exports.iter().map(|export| export.item)).any(|item| crossing.item(item))
}

/// Whether some struct or array may hold a function: then any reference to an object may lead to one.
fn functions_in_objects(module: &Module) -> bool {
    let holds =
        |ty: StorageType| matches!(ty, StorageType::Val(ValType::Ref(reference)) if is_function(module, reference));
    module.types.definitions.values().any(|definition| match &definition.sub_type.composite_type.inner {
        CompositeInnerType::Struct(fields) => fields.fields.iter().any(|field| holds(field.element_type)),
        CompositeInnerType::Array(array) => holds(array.0.element_type),
        CompositeInnerType::Func(_) | CompositeInnerType::Cont(_) => false,
    })
}

fn is_function(module: &Module, reference: RefType) -> bool {
    match reference.heap_type() {
        HeapType::Abstract { ty, .. } => ty == AbstractHeapType::Func,
        HeapType::Concrete(index) | HeapType::Exact(index) => index.as_module_index().is_some_and(|index| {
            let inner = &module.types.definitions[TypeId::from_u32(index)].sub_type.composite_type.inner;
            matches!(inner, CompositeInnerType::Func(_))
        }),
    }
}

struct Crossing<'m> {
    module: &'m Module,
    in_objects: bool,
}

impl Crossing<'_> {
    fn reference(&self, reference: RefType) -> bool {
        if is_function(self.module, reference) {
            return true;
        }
        let is_object = match reference.heap_type() {
            HeapType::Abstract { ty, .. } => matches!(
                ty,
                AbstractHeapType::Any
                    | AbstractHeapType::Eq
                    | AbstractHeapType::Struct
                    | AbstractHeapType::Array
                    | AbstractHeapType::Extern
            ),
            HeapType::Concrete(_) | HeapType::Exact(_) => true,
        };
        self.in_objects && is_object
    }

    fn signature(&self, ty: TypeId) -> bool {
        let CompositeInnerType::Func(func) = &self.module.types.definitions[ty].sub_type.composite_type.inner else {
            return false;
        };
        let mut types = func.params().iter().chain(func.results());
        types.any(|&ty| matches!(ty, ValType::Ref(reference) if self.reference(reference)))
    }

    fn item(&self, item: Item) -> bool {
        match item {
            Item::Function(id) => self.signature(self.module.functions[id].ty),
            Item::Table(id) => self.reference(self.module.tables[id].ty.element_type),
            Item::Global(id) => {
                matches!(self.module.globals[id].ty.content_type, ValType::Ref(reference) if self.reference(reference))
            }
            Item::Tag(id) => self.signature(self.module.tags[id].ty),
            Item::Memory(_) => false,
        }
    }
}

/// What a module needs in which references cross.
#[derive(Copy, Clone, Debug)]
pub(super) struct Boundary {
    /// The global that says that the caller is not the host.
    inside: u32,
    /// Whether the module has tail calls: then entries make them, so that a chain of tail calls stays in constant space.
    tail_calls: bool,
    /// Whether casts of references are known: then an indirect call is checked before `inside` is set, not after.
    casts: bool,
    /// Whether references are known: then at least what has no function traps before.
    references: bool,
}

impl Lowering<'_> {
    /// Prepares for references that cross, if the module has functions that may suspend and whose references exist. `used` are the features
    /// of the module before it is lowered.
    pub(super) fn prepare_boundary(&mut self, used: WasmFeatures) {
        if !self.analysis.entered_by_reference().is_empty() {
            let inside = self.add_i32_global("wasmfx.inside".to_owned());
            self.boundary = Some(Boundary {
                inside,
                tail_calls: used.contains(WasmFeatures::TAIL_CALL),
                casts: used.contains(WasmFeatures::GC),
                references: used.contains(WasmFeatures::REFERENCE_TYPES),
            });
        }
    }

    /// The operator for an indirect call that may suspend, and its operands: whoever is entered by it learns that the caller is not the host.
    pub(super) fn call_from_inside(
        &self,
        builder: &mut Builder<'_>,
        operator: Operator<'static>,
        args: &[Value],
    ) -> (Operator<'static>, Vec<Value>) {
        let mut args = args.to_vec();
        let Some(boundary) = self.boundary else { return (operator, args) };
        let mut operator = operator;
        // Everything that may trap comes before the global is set: nobody would take that back.
        match operator {
            Operator::CallIndirect { type_index, table_index }
            | Operator::ReturnCallIndirect { type_index, table_index }
                if boundary.casts =>
            {
                let index = args.pop().expect("an indirect call has an index");
                let element = ValType::Ref(self.module.tables[TableId::from_u32(table_index)].ty.element_type);
                let element = builder.value(Operator::TableGet { table: table_index }, &[index], element);
                let hty = HeapType::Concrete(UnpackedIndex::Module(type_index));
                let ty = RefType::new(false, hty).expect("types are below wasm's limit");
                args.push(builder.value(Operator::RefCastNonNull { hty }, &[element], ValType::Ref(ty)));
                operator = match operator {
                    Operator::CallIndirect { .. } => Operator::CallRef { type_index },
                    _ => Operator::ReturnCallRef { type_index },
                };
            }
            Operator::CallRef { .. } | Operator::ReturnCallRef { .. } => {
                let reference = args.pop().expect("a call of a reference has one");
                let mut ty = builder.func.value_type(reference);
                if let ValType::Ref(nullable) = ty
                    && nullable.is_nullable()
                {
                    ty = ValType::Ref(nullable.as_non_null());
                    args.push(builder.value(Operator::RefAsNonNull, &[reference], ty));
                } else {
                    args.push(reference);
                }
            }
            Operator::CallIndirect { table_index, .. } | Operator::ReturnCallIndirect { table_index, .. } => {
                if boundary.references {
                    let table = TableId::from_u32(table_index);
                    let element = ValType::Ref(self.module.tables[table].ty.element_type);
                    let &index = args.last().expect("an indirect call has an index");
                    let element = builder.value(Operator::TableGet { table: table_index }, &[index], element);
                    let is_null = builder.value(Operator::RefIsNull, &[element], ValType::I32);
                    builder.trap_if(is_null);
                }
            }
            _ => return (operator, args),
        }
        let one = builder.i32(1);
        builder.set_global(boundary.inside, one);
        (operator, args)
    }

    /// Whether `inside` may be set when a call comes back: what was called may have been a function of the host, which takes nothing back, or have
    /// ended with a tail call of one.
    fn may_stay_inside(&self, operator: &Operator<'static>) -> Option<Boundary> {
        let boundary = self.boundary?;
        let is_indirect = matches!(operator, Operator::CallIndirect { .. } | Operator::CallRef { .. });
        (is_indirect || boundary.tail_calls).then_some(boundary)
    }

    /// After a call that may suspend, takes back what the callee has not.
    pub(super) fn called_from_inside(&self, builder: &mut Builder<'_>, operator: &Operator<'static>) {
        if let Some(boundary) = self.may_stay_inside(operator) {
            let zero = builder.i32(0);
            builder.set_global(boundary.inside, zero);
        }
    }

    /// The same where a call ends with an exception, which may come from any such call within.
    pub(super) fn catches_from_inside(&self, builder: &mut Builder<'_>, catches: Vec<Handler>) -> Vec<Handler> {
        match self.boundary {
            Some(boundary) if !catches.is_empty() => {
                let zero = builder.i32(0);
                builder.setting_global(&catches, boundary.inside, zero)
            }
            _ => catches,
        }
    }

    /// Where the host's call of a function that may suspend comes back.
    pub(super) fn back_to_host(&self, builder: &mut Builder<'_>) {
        if let Some(boundary) = self.boundary {
            let zero = builder.i32(0);
            builder.set_global(boundary.inside, zero);
        }
    }

    /// Does the same for the tail calls of a function that may suspend.
    pub(super) fn tail_call_from_inside(&self, func: &mut Func) {
        if self.boundary.is_none() {
            return;
        }
        for block in func.blocks.keys() {
            let Terminator::TailCall { operator, args } = &func.blocks[block].terminator else { continue };
            let (operator, args) = (func.operators[*operator].clone(), args.clone());
            if !super::function::callee(&operator).is_some_and(|callee| self.analysis.may_unwind(callee)) {
                continue;
            }
            func.blocks[block].terminator = Terminator::Missing;
            let builder = &mut Builder::at(func, block);
            let (operator, args) = self.call_from_inside(builder, operator, &args);
            let operator = builder.func.operators.intern(operator);
            builder.end(Terminator::TailCall { operator, args: args.into_iter().collect() });
        }
    }

    /// Puts the entries in the place of their functions, so that every reference that there is, and every export, is one to the entry. The functions
    /// move, and with them the direct calls. Says where to.
    pub(super) fn put_entries_in_place(&mut self) -> Result<SecondaryMap<FunctionId, Option<FunctionId>>, Error> {
        let mut moved: SecondaryMap<FunctionId, Option<FunctionId>> = SecondaryMap::new();
        let Some(boundary) = self.boundary else { return Ok(moved) };
        let entered = self.analysis.entered_by_reference();
        let mut entries = Vec::new();
        let imports: FxHashMap<Item, usize> =
            self.module.imports.iter().enumerate().map(|(position, import)| (import.item, position)).collect();
        for &function in &entered {
            let barrier = match self.analysis.escapes[function].is_empty() {
                true => None,
                false => Some(self.host_entry(function)?),
            };
            let to = self.move_away(function, imports.get(&Item::Function(function)).copied());
            moved[function] = Some(to);
            entries.push((function, to, barrier));
        }
        for function in self.module.functions.values_mut() {
            if let Body::Lifted(func) = &mut function.body {
                func.operators.rewrite(|operator| {
                    if let Operator::Call { function_index } | Operator::ReturnCall { function_index } = operator
                        && let Some(to) = moved[FunctionId::from_u32(*function_index)]
                    {
                        *function_index = to.as_u32();
                        return true;
                    }
                    false
                });
            }
        }
        for (function, to, barrier) in entries {
            let body = self.crossing_entry(function, to, barrier, boundary);
            self.stand_in(function, to, body, "reference");
            self.report.moved(function, to);
        }
        Ok(moved)
    }

    /// Makes room for something in the place of a function, so that all that refers to it refers to that: the function, and the import that it is (given
    /// by its position), get another number.
    pub(super) fn move_away(&mut self, function: FunctionId, import: Option<usize>) -> FunctionId {
        let own = self.module.functions[function].clone();
        let to = self.module.functions.push(own);
        if let Some(position) = import {
            self.module.imports[position].item = Item::Function(to);
        }
        to
    }

    /// Puts a body in the place of a function that was moved.
    pub(super) fn stand_in(&mut self, function: FunctionId, to: FunctionId, body: Func, what: &str) {
        let name = self.name_of(to);
        let data = &mut self.module.functions[function];
        data.body = Body::Lifted(Box::new(body));
        data.name = Some(format!("{name}.{what}"));
        data.local_names.clear();
        data.label_names.clear();
    }

    fn crossing_entry(
        &mut self,
        function: FunctionId,
        to: FunctionId,
        barrier: Option<FunctionId>,
        boundary: Boundary,
    ) -> Func {
        let mut func = self.lowered_func(function);
        let (args, results) = (func.blocks[func.entry].params.clone(), func.results.clone());
        let builder = &mut Builder::new(&mut func);
        let call = |builder: &mut Builder<'_>, function: FunctionId, tail: bool| {
            let function_index = function.as_u32();
            if tail {
                let operator = builder.func.operators.intern(Operator::ReturnCall { function_index });
                builder.end(Terminator::TailCall { operator, args: args.clone() });
            } else {
                let values = builder.values(Operator::Call { function_index }, &args, &results);
                builder.ret(&values);
            }
        };
        if let Some(barrier) = barrier {
            let inside = builder.global(boundary.inside, ValType::I32);
            let (inside, outside) = builder.fork(inside);
            builder.switch_to(outside);
            call(builder, barrier, false);
            builder.switch_to(inside);
        }
        let zero = builder.i32(0);
        builder.set_global(boundary.inside, zero);
        call(builder, to, boundary.tail_calls);
        super::function::finish(&mut func);
        func
    }
}
