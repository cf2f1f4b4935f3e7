//! Values that nobody looks at: what a function returns while it is being unwound, and what it saves where it has nothing.

use super::setup::add_struct;
use super::store::Kind;
use super::types::function_type;
use super::{Error, Lowering};
use indexmap::IndexSet;
use wasmfx_ir::func::{Func, Terminator};
use wasmfx_ir::module::{ConstExpr, FunctionId, Global, Module, Origin, TypeId};
use wasmfx_ir::operator::default_operator;
use wasmfx_ir::subtype::type_id;
use wasmfx_ir::wasmparser::{
    AbstractHeapType, CompositeInnerType, GlobalType, HeapType, Operator, StorageType, ValType,
};

impl Lowering<'_> {
    /// Whether there is a value of this type, made of what modules with such types have anyway, that can stand in for those that nobody looks at.
    pub(super) fn has_stand_in(&mut self, ty: ValType) -> bool {
        use AbstractHeapType::{Any, Eq, Func, I31, Struct};
        let ValType::Ref(reference) = ty else { return true };
        let is_known = match reference.heap_type() {
            HeapType::Abstract { ty, .. } => matches!(ty, Any | Eq | Func | I31 | Struct),
            HeapType::Concrete(_) | HeapType::Exact(_) => true,
        };
        reference.is_nullable() || is_known && self.can_be_made(ty)
    }

    /// Whether a constant expression can make a value of a non-nullable type, given globals with those of its fields.
    fn can_be_made(&mut self, ty: ValType) -> bool {
        // Types that are being looked at; each needs a value of the type above it.
        let mut stack = IndexSet::from([ty]);
        while let Some(&top) = stack.last() {
            if self.generated.can_be_made.contains_key(&top) {
                stack.pop();
                continue;
            }
            let fields = self.fields_without_zero(top);
            let is_known = |field: &ValType| self.generated.can_be_made.get(field).copied();
            let can_be_made = match fields.iter().find(|field| is_known(field).is_none()) {
                Some(&field) if stack.insert(field) => continue,
                // Values of a type that needs one of its own first cannot be made.
                Some(_) => false,
                None => has_expression(self.module, top) && fields.iter().all(|field| is_known(field) == Some(true)),
            };
            self.generated.can_be_made.insert(top, can_be_made);
        }
        self.generated.can_be_made[&ty]
    }

    /// What makes a value for nobody: its type's zero or null, or what is in the global for its type.
    ///
    /// # Errors
    /// If there is no such value.
    pub(super) fn dummy_operator(&mut self, ty: ValType) -> Result<Operator<'static>, Error> {
        match default_operator(ty) {
            Some(operator) => Ok(operator),
            None => Ok(Operator::GlobalGet { global_index: self.dummy_global(ty)? }),
        }
    }

    /// A global with a value of a non-nullable type. A struct consists of values that have globals themselves, so that no value is
    /// made twice, however types nest.
    fn dummy_global(&mut self, ty: ValType) -> Result<u32, Error> {
        if !self.can_be_made(ty) {
            return Err(no_value(ty));
        }
        let mut stack = vec![ty];
        while let Some(&top) = stack.last() {
            if self.generated.dummies.contains_key(&top) {
                stack.pop();
                continue;
            }
            let fields = self.fields_without_zero(top);
            match fields.into_iter().find(|field| !self.generated.dummies.contains_key(field)) {
                Some(field) => stack.push(field),
                None => {
                    let operators = self.dummy_expression(top)?;
                    let global = self.module.globals.push(Global {
                        ty: GlobalType { content_type: top, mutable: false, shared: false },
                        origin: Origin::Definition,
                        init: Some(ConstExpr { operators }),
                        name: Some("wasmfx.dummy".to_owned()),
                    });
                    self.generated.dummies.insert(top, global.as_u32());
                }
            }
        }
        Ok(self.generated.dummies[&ty])
    }

    /// The types of the fields of a struct that have no zero.
    fn fields_without_zero(&self, ty: ValType) -> Vec<ValType> {
        let Some(CompositeInnerType::Struct(fields)) = concrete_type(ty).map(|id| self.composite_type(id)) else {
            return Vec::new();
        };
        let without_zero = |field: StorageType| match field {
            StorageType::Val(ty) => default_operator(ty).is_none().then_some(ty),
            StorageType::I8 | StorageType::I16 => None,
        };
        fields.fields.iter().filter_map(|field| without_zero(field.element_type)).collect()
    }

    fn composite_type(&self, id: TypeId) -> &CompositeInnerType {
        &self.module.types.definitions[id].sub_type.composite_type.inner
    }

    /// The constant expression of a value, whose fields have their values already.
    fn dummy_expression(&mut self, ty: ValType) -> Result<Vec<Operator<'static>>, Error> {
        let ValType::Ref(reference) = ty else { unreachable!("only references have no zero") };
        if let Some(id) = concrete_type(ty) {
            return Ok(match self.composite_type(id).clone() {
                CompositeInnerType::Func(_) => {
                    let func = function_type(&self.module.types, id).clone();
                    vec![self.dummy_function(id, func.params(), func.results())]
                }
                CompositeInnerType::Struct(fields) => {
                    let value = |field: StorageType| match field {
                        StorageType::Val(ty) => default_operator(ty)
                            .unwrap_or_else(|| Operator::GlobalGet { global_index: self.generated.dummies[&ty] }),
                        StorageType::I8 | StorageType::I16 => Operator::I32Const { value: 0 },
                    };
                    let mut operators: Vec<Operator<'static>> =
                        fields.fields.iter().map(|field| value(field.element_type)).collect();
                    operators.push(Operator::StructNew { struct_type_index: id.as_u32() });
                    operators
                }
                CompositeInnerType::Array(_) => {
                    vec![Operator::ArrayNewFixed { array_type_index: id.as_u32(), array_size: 0 }]
                }
                CompositeInnerType::Cont(_) => {
                    return Err(Error::internal("lowering: a continuation type was not translated"));
                }
            });
        }
        let HeapType::Abstract { ty: heap, .. } = reference.heap_type() else {
            unreachable!("a heap type is concrete or abstract")
        };
        Ok(match heap {
            AbstractHeapType::Any | AbstractHeapType::Eq | AbstractHeapType::I31 => {
                vec![Operator::I32Const { value: 0 }, Operator::RefI31]
            }
            AbstractHeapType::Extern => {
                vec![Operator::I32Const { value: 0 }, Operator::RefI31, Operator::ExternConvertAny]
            }
            AbstractHeapType::Struct => {
                let struct_type_index = match self.store.kind {
                    Kind::Gc(gc) => gc.continuation,
                    Kind::Memory(_) => add_struct(self.module, Vec::new(), true, None, "wasmfx.empty"),
                };
                vec![Operator::StructNewDefault { struct_type_index }]
            }
            AbstractHeapType::Func => {
                let ty = self.function_type(&[], &[]);
                vec![self.dummy_function(ty, &[], &[])]
            }
            _ => return Err(no_value(ty)),
        })
    }

    /// A reference to a function of this type that only traps.
    fn dummy_function(&mut self, ty: TypeId, params: &[ValType], results: &[ValType]) -> Operator<'static> {
        let mut stub = Func::new(ty, params, results);
        stub.blocks[stub.entry].terminator = Terminator::Unreachable;
        let function: FunctionId = self.add_function(stub, "wasmfx.dummy".to_owned());
        Operator::RefFunc { function_index: function.as_u32() }
    }
}

/// Whether a constant expression makes values of a type, if it has those of the fields.
fn has_expression(module: &Module, ty: ValType) -> bool {
    use AbstractHeapType::{Any, Eq, Extern, Func, I31, Struct};
    let ValType::Ref(reference) = ty else { return true };
    match reference.heap_type() {
        HeapType::Abstract { ty, .. } => matches!(ty, Any | Eq | I31 | Extern | Struct | Func),
        HeapType::Concrete(index) | HeapType::Exact(index) => {
            let definition = &module.types.definitions[type_id(index)];
            !matches!(definition.sub_type.composite_type.inner, CompositeInnerType::Cont(_))
        }
    }
}

/// The type definition that a reference names.
fn concrete_type(ty: ValType) -> Option<TypeId> {
    let ValType::Ref(reference) = ty else { return None };
    Some(type_id(reference.type_index()?.unpack()))
}

fn no_value(ty: ValType) -> Error {
    Error::input(format!(
        "a function that may suspend returns `{ty}`, of which no constant expression makes a value to return while it is suspended"
    ))
    .with_help("let the function return a nullable reference")
}
