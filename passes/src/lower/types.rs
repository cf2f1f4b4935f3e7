//! Types without continuations.

use super::Lowering;
use super::scan::is_continuation_heap_type;
use wasmfx_ir::module::{FunctionId, TagId, TypeId, Types};
use wasmfx_ir::subtype::type_id;
use wasmfx_ir::wasmparser::{
    AbstractHeapType, CompositeInnerType, FieldType, FuncType, HeapType, RefType, StorageType, SubType, ValType,
};
use wasmfx_ir::{Func, Module};

/// The original type that stands for some continuation, where it does not matter which.
pub(super) fn continuation_reference() -> ValType {
    let heap = HeapType::Abstract { shared: false, ty: AbstractHeapType::Cont };
    ValType::Ref(RefType::new(false, heap).expect("abstract types are always representable"))
}

/// The function type of a function or continuation type.
pub(super) fn function_type(types: &Types, ty: TypeId) -> &FuncType {
    match &types.definitions[ty].sub_type.composite_type.inner {
        CompositeInnerType::Func(func) => func,
        CompositeInnerType::Cont(cont) => function_type(types, type_id(cont.0.unpack())),
        CompositeInnerType::Struct(_) | CompositeInnerType::Array(_) => {
            panic!("{ty} is not a function type, which validation has excluded")
        }
    }
}

/// Rewrites types: continuation references become what the store has for them.
pub(super) struct Translation<'t> {
    /// The module with its original types.
    pub(super) module: &'t Module,
    pub(super) store: super::Store,
}

impl Translation<'_> {
    pub(super) fn value(&self, ty: ValType) -> ValType {
        match ty {
            ValType::Ref(reference) if is_continuation_heap_type(self.module, reference.heap_type()) => {
                self.store.continuation_type(reference.is_nullable())
            }
            _ => ty,
        }
    }

    fn field(&self, field: FieldType) -> FieldType {
        match field.element_type {
            StorageType::Val(ty) => FieldType { element_type: StorageType::Val(self.value(ty)), ..field },
            StorageType::I8 | StorageType::I16 => field,
        }
    }

    /// The lowered form of a definition. A continuation type, to which nothing refers any more, becomes a function type.
    pub(super) fn definition(&self, sub_type: &SubType) -> SubType {
        let mut lowered = sub_type.clone();
        lowered.composite_type.inner = match &sub_type.composite_type.inner {
            CompositeInnerType::Func(func) => CompositeInnerType::Func(self.function(func)),
            CompositeInnerType::Cont(_) => {
                lowered.is_final = true;
                lowered.supertype_idxs.clear();
                CompositeInnerType::Func(FuncType::new([], []))
            }
            CompositeInnerType::Struct(fields) => {
                let mut fields = fields.clone();
                for field in &mut fields.fields {
                    *field = self.field(*field);
                }
                CompositeInnerType::Struct(fields)
            }
            CompositeInnerType::Array(array) => {
                let mut array = *array;
                array.0 = self.field(array.0);
                CompositeInnerType::Array(array)
            }
        };
        lowered
    }

    pub(super) fn function(&self, func: &FuncType) -> FuncType {
        FuncType::new(func.params().iter().map(|&ty| self.value(ty)), func.results().iter().map(|&ty| self.value(ty)))
    }
}

impl Lowering<'_> {
    /// The original parameters of a function type.
    pub(super) fn original_params(&self, ty: TypeId) -> Vec<ValType> {
        function_type(&self.original_types, ty).params().to_vec()
    }

    /// The original results of a function type.
    pub(super) fn original_results(&self, ty: TypeId) -> Vec<ValType> {
        function_type(&self.original_types, ty).results().to_vec()
    }

    /// The original type of a tag.
    pub(super) fn original_tag_type(&self, tag: TagId) -> TypeId {
        self.original_tag_types[tag]
    }

    /// The original function type of a continuation type.
    pub(super) fn original_continuation(&self, ty: TypeId) -> TypeId {
        match &self.original_types.definitions[ty].sub_type.composite_type.inner {
            CompositeInnerType::Cont(cont) => type_id(cont.0.unpack()),
            _ => panic!("{ty} is not a continuation type, which validation has excluded"),
        }
    }

    /// Whether an original type is a reference to a continuation.
    pub(super) fn is_original_continuation(&self, ty: ValType) -> bool {
        match ty {
            ValType::Ref(reference) => match reference.heap_type() {
                HeapType::Abstract { ty, .. } => matches!(ty, AbstractHeapType::Cont | AbstractHeapType::NoCont),
                HeapType::Concrete(index) | HeapType::Exact(index) => index
                    .as_module_index()
                    .and_then(|index| self.original_types.definitions.get(TypeId::from_u32(index)))
                    .is_some_and(|it| matches!(it.sub_type.composite_type.inner, CompositeInnerType::Cont(_))),
            },
            _ => false,
        }
    }

    /// The lowered form of an original type.
    pub(super) fn lowered_type(&self, ty: ValType) -> ValType {
        match ty {
            ValType::Ref(reference) if self.is_original_continuation(ty) => {
                self.store.kind.continuation_type(reference.is_nullable())
            }
            _ => ty,
        }
    }

    /// An empty body for a function of the same type as one of the module's.
    pub(super) fn lowered_func(&self, function: FunctionId) -> Func {
        let ty = self.module.functions[function].ty;
        let params = self.lowered_types(&self.original_params(ty));
        Func::new(ty, &params, &self.lowered_types(&self.original_results(ty)))
    }

    /// The lowered forms of original types.
    pub(super) fn lowered_types(&self, types: &[ValType]) -> Vec<ValType> {
        types.iter().map(|&ty| self.lowered_type(ty)).collect()
    }
}
