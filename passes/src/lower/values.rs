//! How values travel between frames: in typed globals.
//!
//! The values of a list are counted, from the end, within their class; the k-th of a class is in the k-th global of that class. Counting from the end
//! puts a continuation that comes last, as every captured one does, always into the same global.
//!
//! A class of references has the type that all of them have, where the module's types leave no doubt, and the top of the hierarchy with a cast where
//! reader and writer may see different types of one value.

use super::builder::Builder;
use super::store::Kind;
use super::{Error, Lowering};
use indexmap::IndexMap;
use rustc_hash::FxHashSet;
use wasmfx_ir::Module;
use wasmfx_ir::func::{Func, Value};
use wasmfx_ir::module::{ConstExpr, Global, GlobalId, Origin, TypeId, Types};
use wasmfx_ir::operator::default_operator;
use wasmfx_ir::subtype::type_id;
use wasmfx_ir::wasmparser::{
    AbstractHeapType, CompositeInnerType, GlobalType, HeapType, Operator, RefType, UnpackedIndex, ValType,
};

/// What one global can hold.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Class {
    I32,
    I64,
    F32,
    F64,
    V128,
    Continuation,
    /// References below this heap type.
    Reference(HeapType),
}

/// The globals in which values travel, made when they are first needed.
#[derive(Debug)]
pub(super) struct Values {
    globals: IndexMap<(Class, u32), GlobalId>,
    classes: IndexMap<HeapType, HeapType>,
    kind: Kind,
    /// In a world of several modules the globals are the runtime's, and there are only so many of each class.
    shared: bool,
}

/// How many values of a class can travel at once between modules.
pub(super) const SHARED_VALUES: u32 = 24;

/// The classes that travel through a shared runtime.
pub(super) fn shared_classes() -> [Class; 10] {
    let top = |ty| Class::Reference(HeapType::Abstract { shared: false, ty });
    [
        Class::I32,
        Class::I64,
        Class::F32,
        Class::F64,
        Class::V128,
        Class::Continuation,
        top(AbstractHeapType::Func),
        top(AbstractHeapType::Extern),
        top(AbstractHeapType::Any),
        top(AbstractHeapType::Exn),
    ]
}

/// What a class is called in names of globals. In a shared runtime, whose classes are abstract, no two are called the same.
fn class_name(class: Class) -> &'static str {
    match class {
        Class::I32 => "i32",
        Class::I64 => "i64",
        Class::F32 => "f32",
        Class::F64 => "f64",
        Class::V128 => "v128",
        Class::Continuation => "continuation",
        Class::Reference(HeapType::Abstract { ty: AbstractHeapType::Func, .. }) => "func",
        Class::Reference(HeapType::Abstract { ty: AbstractHeapType::Extern, .. }) => "extern",
        Class::Reference(HeapType::Abstract { ty: AbstractHeapType::Any, .. }) => "any",
        Class::Reference(HeapType::Abstract { ty: AbstractHeapType::Exn, .. }) => "exn",
        Class::Reference(_) => "reference",
    }
}

/// The heap type above all others of a type's hierarchy; `None` for continuations.
fn top(types: &Types, heap: HeapType) -> Option<AbstractHeapType> {
    use AbstractHeapType as H;
    match heap {
        HeapType::Abstract { ty, .. } => Some(match ty {
            H::Func | H::NoFunc => H::Func,
            H::Extern | H::NoExtern => H::Extern,
            H::Exn | H::NoExn => H::Exn,
            H::Any | H::None | H::Eq | H::Struct | H::Array | H::I31 => H::Any,
            H::Cont | H::NoCont => return None,
        }),
        HeapType::Concrete(index) | HeapType::Exact(index) => {
            let id = type_id(index);
            match types.definitions[id].sub_type.composite_type.inner {
                CompositeInnerType::Func(_) => Some(H::Func),
                CompositeInnerType::Struct(_) | CompositeInnerType::Array(_) => Some(H::Any),
                CompositeInnerType::Cont(_) => None,
            }
        }
    }
}

fn concrete_type(heap: HeapType) -> Option<TypeId> {
    match heap {
        HeapType::Concrete(index) | HeapType::Exact(index) => index.as_module_index().map(TypeId::from_u32),
        HeapType::Abstract { .. } => None,
    }
}

/// A nullable reference.
pub(super) fn nullable(heap: HeapType) -> ValType {
    ValType::Ref(RefType::new(true, heap).expect("a heap type of the module is representable"))
}

/// For each heap type that occurs in a function type: the heap type of the globals that its references travel in.
fn reference_classes(types: &Types) -> IndexMap<HeapType, HeapType> {
    let mut seen: IndexMap<HeapType, AbstractHeapType> = IndexMap::new();
    for definition in types.definitions.values() {
        if let CompositeInnerType::Func(func) = &definition.sub_type.composite_type.inner {
            for ty in func.params().iter().chain(func.results()) {
                if let ValType::Ref(reference) = ty
                    && let Some(top) = top(types, reference.heap_type())
                {
                    seen.insert(reference.heap_type(), top);
                }
            }
        }
    }
    let mut hierarchies: IndexMap<AbstractHeapType, Vec<HeapType>> = IndexMap::new();
    for (&heap, &hierarchy) in &seen {
        hierarchies.entry(hierarchy).or_default().push(heap);
    }
    let mut classes = IndexMap::new();
    for (hierarchy, alike) in hierarchies {
        // Types without declared relatives, and no abstract type that all of them belong to: each for itself.
        let unrelated = |heap: HeapType| {
            matches!(heap, HeapType::Concrete(_))
                && concrete_type(heap).is_some_and(|id| {
                    let sub_type = &types.definitions[id].sub_type;
                    sub_type.is_final && sub_type.supertype_idxs.is_empty()
                })
        };
        let alone = alike.len() == 1 || (alike.iter().all(|&heap| unrelated(heap)) && are_distinct(types, &alike));
        for heap in alike {
            classes.insert(heap, if alone { heap } else { HeapType::Abstract { shared: false, ty: hierarchy } });
        }
    }
    classes
}

/// Whether types that have no relatives are certainly different from each other: equivalent definitions are too alike to tell cheaply.
fn are_distinct(types: &Types, heaps: &[HeapType]) -> bool {
    // The kind, and the numbers of what is in it.
    let mut seen: FxHashSet<(u8, usize, usize)> = FxHashSet::default();
    heaps.iter().filter_map(|&heap| concrete_type(heap)).all(|id| {
        seen.insert(match &types.definitions[id].sub_type.composite_type.inner {
            CompositeInnerType::Func(func) => (0, func.params().len(), func.results().len()),
            CompositeInnerType::Struct(fields) => (1, fields.fields.len(), 0),
            CompositeInnerType::Array(_) => (2, 0, 0),
            CompositeInnerType::Cont(_) => (3, 0, 0),
        })
    })
}

impl Values {
    /// For a module with these (original) types.
    pub(super) fn new(types: &Types, kind: Kind, shared: bool) -> Self {
        let classes = if shared { IndexMap::new() } else { reference_classes(types) };
        Self { globals: IndexMap::new(), classes, kind, shared }
    }

    /// Records a global that exists already.
    pub(super) fn provide(&mut self, class: Class, index: u32, global: GlobalId) {
        self.globals.insert((class, index), global);
    }

    /// The class of a type of the original module.
    pub(super) fn class(&self, types: &Types, ty: ValType) -> Class {
        match ty {
            ValType::I32 => Class::I32,
            ValType::I64 => Class::I64,
            ValType::F32 => Class::F32,
            ValType::F64 => Class::F64,
            ValType::V128 => Class::V128,
            ValType::Ref(reference) => {
                match (self.classes.get(&reference.heap_type()), top(types, reference.heap_type())) {
                    (_, None) => Class::Continuation,
                    (Some(&heap), _) => Class::Reference(heap),
                    (None, Some(ty)) => Class::Reference(HeapType::Abstract { shared: false, ty }),
                }
            }
        }
    }

    /// The type of a class's globals.
    pub(super) fn class_type(&self, class: Class) -> ValType {
        match class {
            Class::I32 => ValType::I32,
            Class::I64 => ValType::I64,
            Class::F32 => ValType::F32,
            Class::F64 => ValType::F64,
            Class::V128 => ValType::V128,
            Class::Continuation => self.kind.continuation_type(true),
            Class::Reference(heap) => nullable(heap),
        }
    }

    /// The global of the `index`-th value from the end of its class.
    pub(super) fn global(&mut self, module: &mut Module, class: Class, index: u32) -> Result<u32, Error> {
        if let Some(&global) = self.globals.get(&(class, index)) {
            return Ok(global.as_u32());
        }
        let prefix = class_name(class);
        let name = format!("wasmfx.value.{prefix}.{index}");
        let content_type = self.class_type(class);
        if self.shared && index < SHARED_VALUES {
            let global = super::setup::import_global(module, content_type, true, &name);
            self.globals.insert((class, index), GlobalId::from_u32(global));
            return Ok(global);
        }
        if self.shared {
            return Err(Error::input(format!(
                "more than {SHARED_VALUES} values of one kind in one list cannot travel between modules that share a runtime; merge the modules first"
            )));
        }
        let init = default_operator(content_type).expect("classes are defaultable");
        let global = module.globals.push(Global {
            ty: GlobalType { content_type, mutable: true, shared: false },
            origin: Origin::Definition,
            init: Some(ConstExpr { operators: vec![init] }),
            name: Some(name),
        });
        self.globals.insert((class, index), global);
        Ok(global.as_u32())
    }

    /// For each of a list of types: its class and its number from the end within its class.
    fn places(&self, types: &Types, list: &[ValType], reserve_continuation: bool) -> Vec<(Class, u32)> {
        let mut counts: IndexMap<Class, u32> = IndexMap::new();
        if reserve_continuation {
            counts.insert(Class::Continuation, 1);
        }
        let mut places: Vec<(Class, u32)> = list
            .iter()
            .rev()
            .map(|&ty| {
                let class = self.class(types, ty);
                let count = counts.entry(class).or_insert(0);
                *count += 1;
                (class, *count - 1)
            })
            .collect();
        places.reverse();
        places
    }

    /// Leaves values, of these original types, for the next frame; with `reserve_continuation` the list goes on with a continuation that the driver provides.
    pub(super) fn write(
        &mut self,
        module: &mut Module,
        types: &Types,
        builder: &mut Builder<'_>,
        list: &[ValType],
        values: &[Value],
        reserve_continuation: bool,
    ) -> Result<(), Error> {
        for (&value, (class, index)) in values.iter().zip(self.places(types, list, reserve_continuation)) {
            let global = self.global(module, class, index)?;
            builder.set_global(global, value);
        }
        Ok(())
    }
}

impl Lowering<'_> {
    /// Takes values of these original types (but for a continuation that follows them). References are not kept alive where nobody sees them.
    pub(super) fn read_values(
        &mut self,
        builder: &mut Builder<'_>,
        list: &[ValType],
        reserve_continuation: bool,
    ) -> Result<Vec<Value>, Error> {
        let mut values = Vec::new();
        for (&ty, (class, index)) in
            list.iter().zip(self.values.places(&self.original_types, list, reserve_continuation))
        {
            let global = self.values.global(self.module, class, index)?;
            let class_type = self.values.class_type(class);
            let mut value = match class_type {
                ValType::Ref(_) => self.take(builder, global, class_type),
                _ => builder.global(global, class_type),
            };
            if let (ValType::Ref(reference), ValType::Ref(general)) = (ty, class_type) {
                value = match class {
                    Class::Continuation if reference.is_nullable() => value,
                    Class::Reference(heap) if heap != reference.heap_type() => {
                        let hty = reference.heap_type();
                        if reference.is_nullable() {
                            builder.value(Operator::RefCastNullable { hty }, &[value], ty)
                        } else {
                            builder.value(Operator::RefCastNonNull { hty }, &[value], ty)
                        }
                    }
                    Class::Reference(_) if reference.is_nullable() => value,
                    _ => {
                        let precise = RefType::new(false, general.heap_type()).expect("it was representable nullable");
                        builder.value(Operator::RefAsNonNull, &[value], ValType::Ref(precise))
                    }
                };
            }
            values.push(value);
        }
        Ok(values)
    }

    /// Takes a reference out of a global, and leaves null.
    fn take(&mut self, builder: &mut Builder<'_>, global: u32, ty: ValType) -> Value {
        if !self.has_many_sites {
            return take_from_global(builder, global, ty);
        }
        let function = match self.generated.take_functions.get(&global) {
            Some(&function) => function,
            None => {
                let mut func = Func::new(self.function_type(&[], &[ty]), &[], &[ty]);
                let builder = &mut Builder::new(&mut func);
                let value = take_from_global(builder, global, ty);
                builder.ret(&[value]);
                let name = format!("wasmfx.take.{}", self.generated.take_functions.len());
                let function = self.add_function(func, name).as_u32();
                self.generated.take_functions.insert(global, function);
                function
            }
        };
        self.store.call(builder, function, &[], &[ty])[0]
    }
}

fn take_from_global(builder: &mut Builder<'_>, global: u32, ty: ValType) -> Value {
    let value = builder.global(global, ty);
    let null = builder.value(default_operator(ty).expect("classes are defaultable"), &[], ty);
    builder.set_global(global, null);
    value
}

/// A concrete heap type.
pub(super) fn concrete_heap(ty: TypeId) -> HeapType {
    HeapType::Concrete(UnpackedIndex::Module(ty.as_u32()))
}
