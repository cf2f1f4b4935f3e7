//! References from one part of a module to another: visiting and renumbering them.
//!
//! One traversal serves both: it hands each number to a function and stores what that returns. It is derived from `for_each_operator!` by the
//! names of the fields, with no catch-all arm, so an operator with a field of a new name is a compile error.

use crate::func::{Func, Handler, Terminator};
use crate::module::{ConstExpr, TagId, TypeId};
use wasmparser::{
    BlockType, BrTable, Catch, CompositeInnerType, ContType, FieldType, FuncType, Handle, HeapType, MemArg,
    MemArgTarget, Operator, PackedIndex, RefType, ResumeTable, StorageType, SubType, TryTable, UnpackedIndex, ValType,
};

/// The index space that a reference points into.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the index spaces of the specification")]
pub enum IndexSpace {
    Type,
    Function,
    Table,
    Memory,
    Global,
    Tag,
    Element,
    Data,
}

/// Rewrites each reference in an operator. `map` gets the index space and the number, and returns the new number.
pub fn map_operator(operator: &mut Operator<'_>, map: &mut impl FnMut(IndexSpace, u32) -> u32) {
    map_operator_fields(operator, map);
}

/// Calls `visit` with each reference in an operator.
pub fn visit_operator(operator: &Operator<'_>, visit: &mut impl FnMut(IndexSpace, u32)) {
    visit_operator_fields(operator, &mut |space, number| {
        visit(space, number);
        number
    });
}

macro_rules! map_field {
    (array_type_index $field:ident $map:ident) => {
        *$field = $map(IndexSpace::Type, *$field)
    };
    (array_type_index_src $field:ident $map:ident) => {
        *$field = $map(IndexSpace::Type, *$field)
    };
    (array_type_index_dst $field:ident $map:ident) => {
        *$field = $map(IndexSpace::Type, *$field)
    };
    (struct_type_index $field:ident $map:ident) => {
        *$field = $map(IndexSpace::Type, *$field)
    };
    (type_index $field:ident $map:ident) => {
        *$field = $map(IndexSpace::Type, *$field)
    };
    (cont_type_index $field:ident $map:ident) => {
        *$field = $map(IndexSpace::Type, *$field)
    };
    (argument_index $field:ident $map:ident) => {
        *$field = $map(IndexSpace::Type, *$field)
    };
    (result_index $field:ident $map:ident) => {
        *$field = $map(IndexSpace::Type, *$field)
    };
    (function_index $field:ident $map:ident) => {
        *$field = $map(IndexSpace::Function, *$field)
    };
    (table_index $field:ident $map:ident) => {
        *$field = $map(IndexSpace::Table, *$field)
    };
    (table $field:ident $map:ident) => {
        *$field = $map(IndexSpace::Table, *$field)
    };
    (src_table $field:ident $map:ident) => {
        *$field = $map(IndexSpace::Table, *$field)
    };
    (dst_table $field:ident $map:ident) => {
        *$field = $map(IndexSpace::Table, *$field)
    };
    (mem $field:ident $map:ident) => {
        *$field = $map(IndexSpace::Memory, *$field)
    };
    (src_mem $field:ident $map:ident) => {
        *$field = $map(IndexSpace::Memory, *$field)
    };
    (dst_mem $field:ident $map:ident) => {
        *$field = $map(IndexSpace::Memory, *$field)
    };
    (global_index $field:ident $map:ident) => {
        *$field = $map(IndexSpace::Global, *$field)
    };
    (tag_index $field:ident $map:ident) => {
        *$field = $map(IndexSpace::Tag, *$field)
    };
    (elem_index $field:ident $map:ident) => {
        *$field = $map(IndexSpace::Element, *$field)
    };
    (array_elem_index $field:ident $map:ident) => {
        *$field = $map(IndexSpace::Element, *$field)
    };
    (data_index $field:ident $map:ident) => {
        *$field = $map(IndexSpace::Data, *$field)
    };
    (array_data_index $field:ident $map:ident) => {
        *$field = $map(IndexSpace::Data, *$field)
    };
    (memarg $field:ident $map:ident) => {
        map_memarg($field, $map)
    };
    (hty $field:ident $map:ident) => {
        map_heap_type($field, $map)
    };
    (from_ref_type $field:ident $map:ident) => {
        map_ref_type($field, $map)
    };
    (to_ref_type $field:ident $map:ident) => {
        map_ref_type($field, $map)
    };
    (ty $field:ident $map:ident) => {
        map_val_type($field, $map)
    };
    (tys $field:ident $map:ident) => {
        $field.iter_mut().for_each(|ty| map_val_type(ty, $map))
    };
    (blockty $field:ident $map:ident) => {
        map_block_type($field, $map)
    };
    (try_table $field:ident $map:ident) => {
        map_try_table($field, $map)
    };
    (resume_table $field:ident $map:ident) => {
        map_resume_table($field, $map)
    };
    // Fields that refer to nothing outside the function.
    (targets $field:ident $map:ident) => {{
        let _: &mut BrTable<'_> = $field;
    }};
    (relative_depth $field:ident $map:ident) => {{
        let _: &mut u32 = $field;
    }};
    (local_index $field:ident $map:ident) => {{
        let _: &mut u32 = $field;
    }};
    (field_index $field:ident $map:ident) => {{
        let _: &mut u32 = $field;
    }};
    (array_size $field:ident $map:ident) => {{
        let _: &mut u32 = $field;
    }};
    (lane $field:ident $map:ident) => {{
        let _: &mut u8 = $field;
    }};
    (lanes $field:ident $map:ident) => {{
        let _: &mut [u8; 16] = $field;
    }};
    (value $field:ident $map:ident) => {{
        let _ = $field;
    }};
    (ordering $field:ident $map:ident) => {{
        let _: &mut wasmparser::Ordering = $field;
    }};
}

macro_rules! define_map_operator {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        fn map_operator_fields(operator: &mut Operator<'_>, map: &mut impl FnMut(IndexSpace, u32) -> u32) {
            match operator {
                $(Operator::$op $({ $($arg),* })? => { $($(map_field!($arg $arg map);)*)? })*
                // `Operator` is `#[non_exhaustive]`; the macro names every variant of the version we compile against.
                _ => unreachable!("an operator that for_each_operator! does not list"),
            }
        }

        /// What `map` returns is stored in copies of the fields. To copy them one by one is cheaper than to copy an operator whose fields are not known.
        fn visit_operator_fields(operator: &Operator<'_>, map: &mut impl FnMut(IndexSpace, u32) -> u32) {
            match operator {
                $(Operator::$op $({ $($arg),* })? => {
                    $($(let field = &mut Clone::clone($arg); map_field!($arg field map);)*)?
                })*
                _ => unreachable!("an operator that for_each_operator! does not list"),
            }
        }
    };
}
wasmparser::for_each_operator!(define_map_operator);

fn map_memarg(memarg: &mut MemArg, map: &mut impl FnMut(IndexSpace, u32) -> u32) {
    match &mut memarg.target {
        MemArgTarget::Memory(memory) => *memory = map(IndexSpace::Memory, *memory),
        MemArgTarget::Array(ty) => *ty = map(IndexSpace::Type, *ty),
    }
}

fn map_block_type(ty: &mut BlockType, map: &mut impl FnMut(IndexSpace, u32) -> u32) {
    match ty {
        BlockType::Empty => {}
        BlockType::Type(ty) => map_val_type(ty, map),
        BlockType::FuncType(index) => *index = map(IndexSpace::Type, *index),
    }
}

fn map_try_table(table: &mut TryTable, map: &mut impl FnMut(IndexSpace, u32) -> u32) {
    map_block_type(&mut table.ty, map);
    for catch in &mut table.catches {
        match catch {
            Catch::One { tag, .. } | Catch::OneRef { tag, .. } => *tag = map(IndexSpace::Tag, *tag),
            Catch::All { .. } | Catch::AllRef { .. } => {}
        }
    }
}

fn map_resume_table(table: &mut ResumeTable, map: &mut impl FnMut(IndexSpace, u32) -> u32) {
    for handler in &mut table.handlers {
        match handler {
            Handle::OnLabel { tag, .. } | Handle::OnSwitch { tag } => *tag = map(IndexSpace::Tag, *tag),
        }
    }
}

fn map_unpacked_index(index: UnpackedIndex, map: &mut impl FnMut(IndexSpace, u32) -> u32) -> UnpackedIndex {
    match index {
        UnpackedIndex::Module(number) => UnpackedIndex::Module(map(IndexSpace::Type, number)),
        UnpackedIndex::RecGroup(_) | UnpackedIndex::Id(_) => {
            unreachable!("types in the IR refer to each other by the module's type numbers")
        }
    }
}

fn map_packed_index(index: &mut PackedIndex, map: &mut impl FnMut(IndexSpace, u32) -> u32) {
    let mapped = map_unpacked_index(index.unpack(), map);
    *index = mapped.pack().expect("type numbers stay within the limits of the implementation");
}

/// Rewrites each reference in a heap type.
pub fn map_heap_type(ty: &mut HeapType, map: &mut impl FnMut(IndexSpace, u32) -> u32) {
    match ty {
        HeapType::Abstract { .. } => {}
        HeapType::Concrete(index) | HeapType::Exact(index) => *index = map_unpacked_index(*index, map),
    }
}

/// Rewrites each reference in a reference type.
pub fn map_ref_type(ty: &mut RefType, map: &mut impl FnMut(IndexSpace, u32) -> u32) {
    let mut heap = ty.heap_type();
    map_heap_type(&mut heap, map);
    *ty = RefType::new(ty.is_nullable(), heap).expect("type numbers stay within the limits of the implementation");
}

/// Rewrites each reference in a value type.
pub fn map_val_type(ty: &mut ValType, map: &mut impl FnMut(IndexSpace, u32) -> u32) {
    if let ValType::Ref(reference) = ty {
        map_ref_type(reference, map);
    }
}

/// Calls `visit` with each reference in a value type.
pub fn visit_val_type(mut ty: ValType, visit: &mut impl FnMut(IndexSpace, u32)) {
    map_val_type(&mut ty, &mut |space, number| {
        visit(space, number);
        number
    });
}

/// A function type with each reference rewritten.
pub fn mapped_func_type(ty: &FuncType, map: &mut impl FnMut(IndexSpace, u32) -> u32) -> FuncType {
    let mut rewrite = |types: &[ValType]| {
        let mut types = types.to_vec();
        types.iter_mut().for_each(|ty| map_val_type(ty, map));
        types
    };
    let params = rewrite(ty.params());
    FuncType::new(params, rewrite(ty.results()))
}

fn map_field_type(field: &mut FieldType, map: &mut impl FnMut(IndexSpace, u32) -> u32) {
    match &mut field.element_type {
        StorageType::I8 | StorageType::I16 => {}
        StorageType::Val(ty) => map_val_type(ty, map),
    }
}

/// Rewrites each reference in a type definition.
pub fn map_sub_type(ty: &mut SubType, map: &mut impl FnMut(IndexSpace, u32) -> u32) {
    let composite = &mut ty.composite_type;
    let links = [&mut composite.descriptor_idx, &mut composite.describes_idx];
    for index in ty.supertype_idxs.iter_mut().chain(links.into_iter().flatten()) {
        map_packed_index(index, map);
    }
    match &mut composite.inner {
        CompositeInnerType::Func(func) => *func = mapped_func_type(func, map),
        CompositeInnerType::Array(array) => map_field_type(&mut array.0, map),
        CompositeInnerType::Struct(structure) => {
            structure.fields.iter_mut().for_each(|field| map_field_type(field, map));
        }
        CompositeInnerType::Cont(ContType(index)) => map_packed_index(index, map),
    }
}

/// Rewrites each reference in a constant expression.
pub fn map_const_expr(expression: &mut ConstExpr, map: &mut impl FnMut(IndexSpace, u32) -> u32) {
    expression.operators.iter_mut().for_each(|operator| map_operator(operator, map));
}

/// Calls `visit` with each reference in a constant expression.
pub fn visit_const_expr(expression: &ConstExpr, visit: &mut impl FnMut(IndexSpace, u32)) {
    expression.operators.iter().for_each(|operator| visit_operator(operator, visit));
}

/// Calls `visit` with each reference in a type definition.
pub fn visit_sub_type(ty: &SubType, visit: &mut impl FnMut(IndexSpace, u32)) {
    map_sub_type(&mut ty.clone(), &mut |space, number| {
        visit(space, number);
        number
    });
}

impl Func {
    /// Rewrites each reference out of the body: in operators, types of values, handlers, and the function's own type.
    pub fn map_references(&mut self, map: &mut impl FnMut(IndexSpace, u32) -> u32) {
        self.ty = TypeId::from_u32(map(IndexSpace::Type, self.ty.as_u32()));
        self.results.iter_mut().for_each(|ty| map_val_type(ty, map));
        self.operators.rewrite(|operator| {
            let mut changed = false;
            map_operator(operator, &mut |space, number| {
                let new = map(space, number);
                changed |= new != number;
                new
            });
            changed
        });
        for value in self.value_ids() {
            let mut ty = self.value_type(value);
            if let ValType::Ref(_) = ty {
                map_val_type(&mut ty, map);
                self.set_value_type(value, ty);
            }
        }
        for block in self.blocks.values_mut() {
            if let Terminator::Invoke(invoke) = &mut block.terminator {
                for tag in invoke.handlers.iter_mut().filter_map(Handler::tag_mut) {
                    *tag = TagId::from_u32(map(IndexSpace::Tag, tag.as_u32()));
                }
            }
        }
    }

    /// Calls `visit` with each reference out of the body's instructions and terminators in blocks, and with how many of them make it. Types of
    /// values, which cost no bytes of their own, are left out.
    pub fn visit_references(&self, mut visit: impl FnMut(IndexSpace, u32, u32)) {
        self.for_each_used_operator(|id, uses| {
            visit_operator(&self.operators[id], &mut |space, number| visit(space, number, uses));
        });
        for block in self.blocks.values() {
            if let Terminator::Invoke(invoke) = &block.terminator {
                invoke.handlers.iter().filter_map(Handler::tag).for_each(|tag| visit(IndexSpace::Tag, tag.as_u32(), 1));
            }
        }
    }
}
