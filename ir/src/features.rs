//! Which features of WebAssembly are accepted, and which a module uses.

use crate::encode::Executor;
use crate::error::{Error, Result};
use crate::module::{Body, ConstExpr, ElementItems, ElementKind, Function, Item, LazyBody, Module, Origin, TypeId};
use crate::references::visit_sub_type;
use wasmparser::{
    AbstractHeapType, BlockType, CompositeInnerType, FuncType, HeapType, MemArg, MemArgTarget, Operator, RefType,
    StorageType, SubType, TryTable, ValType, WasmFeatures,
};

/// Everything that this toolchain supports, which is what inputs are read with by default: WebAssembly 3.0, threads, wide arithmetic, custom page
/// sizes, compact imports, stack switching, and the legacy form of exception handling.
pub fn supported() -> WasmFeatures {
    WasmFeatures::WASM3
        | WasmFeatures::THREADS
        | WasmFeatures::WIDE_ARITHMETIC
        | WasmFeatures::CUSTOM_PAGE_SIZES
        | WasmFeatures::COMPACT_IMPORTS
        | WasmFeatures::STACK_SWITCHING
        | WasmFeatures::LEGACY_EXCEPTIONS
}

/// The features that a module uses, so that nothing else need be enabled to accept it. Bodies that are lifted already count with their
/// operators only: whether their source had blocks of several values is not known any more.
///
/// # Errors
/// If the bytes of a body cannot be read: which function it is.
pub fn used(module: &Module, executor: &impl Executor) -> Result<WasmFeatures> {
    used_besides(WasmFeatures::MVP, module, executor, |used, function| used.body(function))
}

/// The features that a module uses all of whose lifted bodies were just lifted: `by_lifted` is what their bytes use, as
/// [`Lifter::used_features`](crate::lift::Lifter::used_features) says.
///
/// # Errors
/// As [`used`].
pub fn used_when_lifted(module: &Module, by_lifted: WasmFeatures, executor: &impl Executor) -> Result<WasmFeatures> {
    used_besides(by_lifted, module, executor, |used, function| match &function.body {
        Body::Lazy(body) => used.lazy_body(body),
        Body::Import | Body::Lifted(_) | Body::Detached | Body::Removed => Ok(()),
    })
}

/// What a module uses besides some features that are known, if that is what `body` finds in each function.
fn used_besides(
    known: WasmFeatures,
    module: &Module,
    executor: &impl Executor,
    body: impl Fn(&mut Used, &Function) -> wasmparser::Result<()> + Sync + Send,
) -> Result<WasmFeatures> {
    let mut used = Used(known);
    used.module_level(module);
    let bodies = executor.map(module.functions.as_slice(), |function| {
        let mut used = Used::default();
        body(&mut used, function).map(|()| used.0)
    });
    for (id, features) in module.functions.keys().zip(bodies) {
        let name = module.functions[id].name.as_deref();
        used.0 |= features.map_err(|error| Error::from(error).in_function(id.as_u32(), name))?;
    }
    // Proposals that build on others, and whose operators are only valid with them.
    used.add_if(used.0.contains(WasmFeatures::STACK_SWITCHING), WasmFeatures::EXCEPTIONS);
    used.add_if(used.0.contains(WasmFeatures::LEGACY_EXCEPTIONS), WasmFeatures::EXCEPTIONS);
    used.add_if(used.0.intersects(WasmFeatures::STACK_SWITCHING | WasmFeatures::GC), WasmFeatures::FUNCTION_REFERENCES);
    used.add_if(used.0.contains(WasmFeatures::FUNCTION_REFERENCES), WasmFeatures::REFERENCE_TYPES);
    used.add_if(used.0.contains(WasmFeatures::RELAXED_SIMD), WasmFeatures::SIMD);
    Ok(used.0)
}

fn is_present(origin: Origin) -> bool {
    origin != Origin::Removed
}

/// What has been seen so far.
pub(crate) struct Used(pub(crate) WasmFeatures);

impl Default for Used {
    fn default() -> Self {
        Self(WasmFeatures::MVP)
    }
}

impl Used {
    /// What the module uses besides its bodies.
    fn module_level(&mut self, module: &Module) {
        self.types(module);
        if module.has_compact_imports {
            self.0 |= WasmFeatures::COMPACT_IMPORTS;
        }
        if module.has_data_count {
            self.0 |= WasmFeatures::BULK_MEMORY;
        }
        for item in
            module.imports.iter().map(|import| import.item).chain(module.exports.iter().map(|export| export.item))
        {
            if let Item::Global(id) = item
                && module.globals[id].ty.mutable
            {
                self.0 |= WasmFeatures::MUTABLE_GLOBAL;
            }
        }
        if module.functions.values().any(|function| function.exact) {
            self.0 |= WasmFeatures::CUSTOM_DESCRIPTORS;
        }
        self.tables(module);
        self.memories(module);
        self.globals_and_tags(module);
        self.segments(module);
    }

    fn types(&mut self, module: &Module) {
        for group in &module.types.groups {
            self.add_if(group.explicit, WasmFeatures::GC);
            // Before recursive types, a type could only refer to those before it.
            for number in group.range.clone() {
                let definition = &module.types.definitions[TypeId::from_u32(number)];
                visit_sub_type(&definition.sub_type, &mut |_, referred| {
                    self.add_if(referred >= group.range.start, WasmFeatures::GC);
                });
            }
        }
        module.types.definitions.values().for_each(|definition| self.sub_type(&definition.sub_type));
    }

    fn tables(&mut self, module: &Module) {
        let tables = || module.tables.values().filter(|table| is_present(table.origin));
        if tables().count() > 1 {
            self.0 |= WasmFeatures::REFERENCE_TYPES;
        }
        for table in tables() {
            // `funcref` was there from the start, for tables alone.
            if table.ty.element_type != RefType::FUNCREF {
                self.ref_type(table.ty.element_type);
            }
            self.add_if(table.ty.table64, WasmFeatures::MEMORY64);
            self.add_if(table.ty.shared, WasmFeatures::SHARED_EVERYTHING_THREADS);
            if let Some(init) = &table.init {
                self.0 |= WasmFeatures::FUNCTION_REFERENCES;
                self.constant(module, init);
            }
        }
    }

    fn memories(&mut self, module: &Module) {
        let memories = || module.memories.values().filter(|memory| is_present(memory.origin));
        if memories().count() > 1 {
            self.0 |= WasmFeatures::MULTI_MEMORY;
        }
        for memory in memories() {
            self.add_if(memory.ty.memory64, WasmFeatures::MEMORY64);
            self.add_if(memory.ty.shared, WasmFeatures::THREADS);
            self.add_if(memory.ty.page_size_log2.is_some(), WasmFeatures::CUSTOM_PAGE_SIZES);
        }
    }

    fn globals_and_tags(&mut self, module: &Module) {
        for global in module.globals.values().filter(|global| is_present(global.origin)) {
            self.val_type(global.ty.content_type);
            self.add_if(global.ty.shared, WasmFeatures::SHARED_EVERYTHING_THREADS);
            global.init.iter().for_each(|init| self.constant(module, init));
        }
        for tag in module.tags.values().filter(|tag| is_present(tag.origin)) {
            self.0 |= WasmFeatures::EXCEPTIONS;
            if let CompositeInnerType::Func(ty) = &module.types.definitions[tag.ty].sub_type.composite_type.inner {
                self.add_if(!ty.results().is_empty(), WasmFeatures::STACK_SWITCHING);
            }
        }
    }

    fn segments(&mut self, module: &Module) {
        for segment in module.elements.values().filter(|segment| !segment.removed) {
            match &segment.kind {
                ElementKind::Active { offset, .. } => self.constant(module, offset),
                ElementKind::Passive | ElementKind::Declared => self.0 |= WasmFeatures::BULK_MEMORY,
            }
            if let ElementItems::Expressions(ty, expressions) = &segment.items {
                self.ref_type(*ty);
                expressions.iter().for_each(|expression| self.constant(module, expression));
            }
        }
        for segment in module.data.values().filter(|segment| !segment.removed) {
            match &segment.active {
                Some((_, offset)) => self.constant(module, offset),
                None => self.0 |= WasmFeatures::BULK_MEMORY,
            }
        }
    }

    fn add_if(&mut self, condition: bool, feature: WasmFeatures) {
        if condition {
            self.0 |= feature;
        }
    }

    fn sub_type(&mut self, ty: &SubType) {
        let composite = &ty.composite_type;
        self.add_if(!ty.is_final || !ty.supertype_idxs.is_empty(), WasmFeatures::GC);
        self.add_if(composite.shared, WasmFeatures::SHARED_EVERYTHING_THREADS);
        let described = composite.descriptor_idx.is_some() || composite.describes_idx.is_some();
        self.add_if(described, WasmFeatures::CUSTOM_DESCRIPTORS);
        match &composite.inner {
            CompositeInnerType::Func(ty) => self.func_type(ty),
            CompositeInnerType::Array(ty) => {
                self.0 |= WasmFeatures::GC;
                self.storage_type(ty.0.element_type);
            }
            CompositeInnerType::Struct(ty) => {
                self.0 |= WasmFeatures::GC;
                ty.fields.iter().for_each(|field| self.storage_type(field.element_type));
            }
            CompositeInnerType::Cont(_) => self.0 |= WasmFeatures::STACK_SWITCHING,
        }
    }

    fn func_type(&mut self, ty: &FuncType) {
        self.add_if(ty.results().len() > 1, WasmFeatures::MULTI_VALUE);
        ty.params().iter().chain(ty.results()).for_each(|&ty| self.val_type(ty));
    }

    fn storage_type(&mut self, ty: StorageType) {
        match ty {
            StorageType::I8 | StorageType::I16 => {}
            StorageType::Val(ty) => self.val_type(ty),
        }
    }

    pub(crate) fn val_type(&mut self, ty: ValType) {
        match ty {
            ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 => {}
            ValType::V128 => self.0 |= WasmFeatures::SIMD,
            ValType::Ref(ty) => self.ref_type(ty),
        }
    }

    fn ref_type(&mut self, ty: RefType) {
        self.0 |= WasmFeatures::REFERENCE_TYPES;
        self.add_if(!ty.is_nullable(), WasmFeatures::FUNCTION_REFERENCES);
        self.heap_type(ty.heap_type());
    }

    fn heap_type(&mut self, ty: HeapType) {
        match ty {
            HeapType::Concrete(_) => self.0 |= WasmFeatures::FUNCTION_REFERENCES,
            HeapType::Exact(_) => self.0 |= WasmFeatures::CUSTOM_DESCRIPTORS,
            HeapType::Abstract { shared, ty } => {
                self.add_if(shared, WasmFeatures::SHARED_EVERYTHING_THREADS);
                use AbstractHeapType::{
                    Any, Array, Cont, Eq, Exn, Extern, Func, I31, NoCont, NoExn, NoExtern, NoFunc, None, Struct,
                };
                match ty {
                    Func | Extern => {}
                    Any | None | NoExtern | NoFunc | Eq | Struct | Array | I31 => self.0 |= WasmFeatures::GC,
                    Exn | NoExn => self.0 |= WasmFeatures::EXCEPTIONS,
                    Cont | NoCont => self.0 |= WasmFeatures::STACK_SWITCHING,
                }
            }
        }
    }

    fn constant(&mut self, module: &Module, expression: &ConstExpr) {
        for operator in &expression.operators {
            match operator {
                Operator::I32Add | Operator::I32Sub | Operator::I32Mul => self.0 |= WasmFeatures::EXTENDED_CONST,
                Operator::I64Add | Operator::I64Sub | Operator::I64Mul => self.0 |= WasmFeatures::EXTENDED_CONST,
                Operator::GlobalGet { global_index } => {
                    let global = module.globals.as_slice().get(*global_index as usize);
                    self.add_if(global.is_some_and(|global| global.origin == Origin::Definition), WasmFeatures::GC);
                }
                _ => {}
            }
            self.operator(operator);
        }
    }

    fn body(&mut self, function: &Function) -> wasmparser::Result<()> {
        match &function.body {
            Body::Import | Body::Detached | Body::Removed => {}
            Body::Lifted(func) => {
                func.for_each_used_operator(|id, _| self.operator(&func.operators[id]));
                func.value_ids().for_each(|value| self.val_type(func.value_type(value)));
            }
            Body::Lazy(body) => self.lazy_body(body)?,
        }
        Ok(())
    }

    fn lazy_body(&mut self, body: &LazyBody) -> wasmparser::Result<()> {
        let reader = body.reader();
        for local in reader.get_locals_reader()? {
            self.val_type(local?.1);
        }
        let mut operators = reader.get_operators_reader()?;
        while !operators.eof() {
            let start = operators.original_position();
            let operator = operators.read()?;
            self.operator_in_bytes(&operator, body.bytes_between(start, operators.original_position()));
        }
        Ok(())
    }

    /// An operator that was read from these bytes.
    #[inline]
    pub(crate) fn operator_in_bytes(&mut self, operator: &Operator<'_>, bytes: &[u8]) {
        self.operator(operator);
        // Before the features that allow other indices, the index of a table or memory was a byte that must be zero, not a number.
        let is_padded = || bytes[bytes.len() - 2] & 0x80 != 0;
        match operator {
            Operator::CallIndirect { .. } => self.add_if(is_padded(), WasmFeatures::CALL_INDIRECT_OVERLONG),
            Operator::MemorySize { .. } | Operator::MemoryGrow { .. } => {
                self.add_if(is_padded(), WasmFeatures::MULTI_MEMORY);
            }
            _ => {}
        }
    }

    fn operator(&mut self, operator: &Operator<'_>) {
        // A `switch` leaves as many values as the continuation that comes back takes, though no function and no block may have so many results.
        self.add_if(matches!(operator, Operator::Switch { .. }), WasmFeatures::MULTI_VALUE);
        self.0 |= proposal(operator);
        // It belongs to typed references, but is a tail call all the same: one whose callee becomes known is a `return_call`.
        self.add_if(matches!(operator, Operator::ReturnCallRef { .. }), WasmFeatures::TAIL_CALL);
        visit_types(operator, self);
    }
}

macro_rules! proposal_feature {
    // Split off from bulk memory for engines that have nothing else of it.
    (bulk_memory MemoryCopy) => {
        WasmFeatures::BULK_MEMORY_OPT
    };
    (bulk_memory MemoryFill) => {
        WasmFeatures::BULK_MEMORY_OPT
    };
    (mvp $op:ident) => {
        WasmFeatures::empty()
    };
    (sign_extension $op:ident) => {
        WasmFeatures::SIGN_EXTENSION
    };
    (gc $op:ident) => {
        WasmFeatures::GC
    };
    (custom_descriptors $op:ident) => {
        WasmFeatures::CUSTOM_DESCRIPTORS
    };
    (saturating_float_to_int $op:ident) => {
        WasmFeatures::SATURATING_FLOAT_TO_INT
    };
    (bulk_memory $op:ident) => {
        WasmFeatures::BULK_MEMORY
    };
    (reference_types $op:ident) => {
        WasmFeatures::REFERENCE_TYPES
    };
    (tail_call $op:ident) => {
        WasmFeatures::TAIL_CALL
    };
    (memory_control $op:ident) => {
        WasmFeatures::MEMORY_CONTROL
    };
    (threads $op:ident) => {
        WasmFeatures::THREADS
    };
    (simd $op:ident) => {
        WasmFeatures::SIMD
    };
    (relaxed_simd $op:ident) => {
        WasmFeatures::RELAXED_SIMD
    };
    (exceptions $op:ident) => {
        WasmFeatures::EXCEPTIONS
    };
    (legacy_exceptions $op:ident) => {
        WasmFeatures::LEGACY_EXCEPTIONS
    };
    (shared_everything_threads $op:ident) => {
        WasmFeatures::SHARED_EVERYTHING_THREADS
    };
    (function_references $op:ident) => {
        WasmFeatures::FUNCTION_REFERENCES
    };
    (stack_switching $op:ident) => {
        WasmFeatures::STACK_SWITCHING
    };
    (wide_arithmetic $op:ident) => {
        WasmFeatures::WIDE_ARITHMETIC
    };
    (acquire_release_atomics $op:ident) => {
        WasmFeatures::ACQUIRE_RELEASE_ATOMICS
    };
}

macro_rules! visit_field {
    (blockty $field:ident $used:ident) => {
        $used.block_type(*$field)
    };
    (try_table $field:ident $used:ident) => {{
        let table: &TryTable = $field;
        $used.block_type(table.ty)
    }};
    (memarg $field:ident $used:ident) => {
        $used.memarg($field)
    };
    (ty $field:ident $used:ident) => {
        $used.val_type(*$field)
    };
    (tys $field:ident $used:ident) => {
        $field.iter().for_each(|&ty| $used.val_type(ty))
    };
    (hty $field:ident $used:ident) => {
        $used.heap_type(*$field)
    };
    (from_ref_type $field:ident $used:ident) => {
        $used.ref_type(*$field)
    };
    (to_ref_type $field:ident $used:ident) => {
        $used.ref_type(*$field)
    };
    // The definitions of what is referred to tell which features they need; the other fields have nothing to do with features.
    (function_index $field:ident $used:ident) => {
        unrelated($field)
    };
    (table_index $field:ident $used:ident) => {
        unrelated($field)
    };
    (table $field:ident $used:ident) => {
        unrelated($field)
    };
    (src_table $field:ident $used:ident) => {
        unrelated($field)
    };
    (dst_table $field:ident $used:ident) => {
        unrelated($field)
    };
    (type_index $field:ident $used:ident) => {
        unrelated($field)
    };
    (array_type_index $field:ident $used:ident) => {
        unrelated($field)
    };
    (array_type_index_src $field:ident $used:ident) => {
        unrelated($field)
    };
    (array_type_index_dst $field:ident $used:ident) => {
        unrelated($field)
    };
    (struct_type_index $field:ident $used:ident) => {
        unrelated($field)
    };
    (cont_type_index $field:ident $used:ident) => {
        unrelated($field)
    };
    (argument_index $field:ident $used:ident) => {
        unrelated($field)
    };
    (result_index $field:ident $used:ident) => {
        unrelated($field)
    };
    (global_index $field:ident $used:ident) => {
        unrelated($field)
    };
    (tag_index $field:ident $used:ident) => {
        unrelated($field)
    };
    (elem_index $field:ident $used:ident) => {
        unrelated($field)
    };
    (array_elem_index $field:ident $used:ident) => {
        unrelated($field)
    };
    (data_index $field:ident $used:ident) => {
        unrelated($field)
    };
    (array_data_index $field:ident $used:ident) => {
        unrelated($field)
    };
    (mem $field:ident $used:ident) => {
        unrelated($field)
    };
    (src_mem $field:ident $used:ident) => {
        unrelated($field)
    };
    (dst_mem $field:ident $used:ident) => {
        unrelated($field)
    };
    (resume_table $field:ident $used:ident) => {
        unrelated($field)
    };
    (targets $field:ident $used:ident) => {
        unrelated($field)
    };
    (relative_depth $field:ident $used:ident) => {
        unrelated($field)
    };
    (local_index $field:ident $used:ident) => {
        unrelated($field)
    };
    (field_index $field:ident $used:ident) => {
        unrelated($field)
    };
    (array_size $field:ident $used:ident) => {
        unrelated($field)
    };
    (lane $field:ident $used:ident) => {
        unrelated($field)
    };
    (lanes $field:ident $used:ident) => {
        unrelated($field)
    };
    (value $field:ident $used:ident) => {
        unrelated($field)
    };
    (ordering $field:ident $used:ident) => {
        unrelated($field)
    };
}

fn unrelated<T>(_: &T) {}

macro_rules! define_operator_features {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        /// The feature that an operator belongs to.
        fn proposal(operator: &Operator<'_>) -> WasmFeatures {
            match operator {
                $(Operator::$op { .. } => proposal_feature!($proposal $op),)*
                _ => unreachable!("an operator that for_each_operator! does not list"),
            }
        }

        fn visit_types(operator: &Operator<'_>, used: &mut Used) {
            match operator {
                $(Operator::$op $({ $($arg),* })? => { $($(visit_field!($arg $arg used);)*)? })*
                _ => unreachable!("an operator that for_each_operator! does not list"),
            }
        }
    };
}
wasmparser::for_each_operator!(define_operator_features);

impl Used {
    fn block_type(&mut self, ty: BlockType) {
        match ty {
            BlockType::Empty => {}
            BlockType::Type(ty) => self.val_type(ty),
            BlockType::FuncType(_) => self.0 |= WasmFeatures::MULTI_VALUE,
        }
    }

    fn memarg(&mut self, memarg: &MemArg) {
        self.add_if(memarg.offset > u64::from(u32::MAX), WasmFeatures::MEMORY64);
        self.add_if(matches!(memarg.target, MemArgTarget::Array(_)), WasmFeatures::MULTIBYTE_ARRAY_ACCESS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::Sequential;
    use crate::lift::Lifter;
    use crate::text::read_module;

    /// The features of a module, which are the same whether lifting finds out what its bodies use or not.
    fn used_by(text: &str) -> WasmFeatures {
        let mut module = read_module(text.as_bytes(), "test.wat", &Default::default()).unwrap();
        let features = used(&module, &Sequential).unwrap();
        let mut lifter = Lifter::new();
        for function in module.functions.values_mut() {
            if let Body::Lazy(body) = &function.body {
                let func = lifter.lift(body, function.ty, &[]).unwrap();
                function.body = Body::Lifted(Box::new(func));
            }
        }
        assert_eq!(used_when_lifted(&module, lifter.used_features(), &Sequential).unwrap(), features, "{text}");
        features
    }

    #[test]
    fn a_plain_module_uses_nothing() {
        let module = "(module (memory 1) (table 1 funcref) (global (mut i32) (i32.const 0)) (elem (i32.const 0) 0)
            (func (param i32) (result i32) (i32.load (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0)))))";
        assert_eq!(used_by(module), WasmFeatures::MVP);
    }

    #[test]
    fn each_feature_is_seen_where_it_is_used() {
        let gc = WasmFeatures::FUNCTION_REFERENCES | WasmFeatures::REFERENCE_TYPES;
        let cases = [
            ("(module (global (export \"g\") (mut i32) (i32.const 0)))", WasmFeatures::MUTABLE_GLOBAL),
            ("(module (func (result i32) (i32.extend8_s (i32.const 0))))", WasmFeatures::SIGN_EXTENSION),
            ("(module (func (result i32 i32) unreachable))", WasmFeatures::MULTI_VALUE),
            ("(module (func (i32.const 0) (block (param i32) drop) unreachable))", WasmFeatures::MULTI_VALUE),
            (
                "(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))))",
                WasmFeatures::BULK_MEMORY_OPT,
            ),
            ("(module (data \"x\"))", WasmFeatures::BULK_MEMORY),
            ("(module (func (param externref)))", WasmFeatures::REFERENCE_TYPES),
            ("(module (func (local v128)))", WasmFeatures::SIMD),
            ("(module (func $f return_call $f))", WasmFeatures::TAIL_CALL),
            (
                "(module (type $t (func)) (func (param (ref $t)) (return_call_ref $t (local.get 0))))",
                WasmFeatures::TAIL_CALL | WasmFeatures::FUNCTION_REFERENCES | WasmFeatures::REFERENCE_TYPES,
            ),
            ("(module (memory 1 1 shared))", WasmFeatures::THREADS),
            ("(module (memory 1) (memory 1))", WasmFeatures::MULTI_MEMORY),
            ("(module (memory i64 1))", WasmFeatures::MEMORY64),
            ("(module (global i32 (i32.add (i32.const 1) (i32.const 2))))", WasmFeatures::EXTENDED_CONST),
            ("(module (tag))", WasmFeatures::EXCEPTIONS),
            ("(module (type (struct)))", WasmFeatures::GC | gc),
            ("(module (memory 1 (pagesize 1)))", WasmFeatures::CUSTOM_PAGE_SIZES),
        ];
        for (module, feature) in cases {
            assert_eq!(used_by(module), WasmFeatures::MVP | feature, "{module}");
        }
        let continuations = "(module (type $f (func)) (type (cont $f)))";
        let expected = WasmFeatures::MVP | WasmFeatures::STACK_SWITCHING | WasmFeatures::EXCEPTIONS | gc;
        assert_eq!(used_by(continuations), expected);
    }
}
