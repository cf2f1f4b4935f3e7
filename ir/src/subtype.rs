//! Subtyping: which type may stand where another is expected (core specification, "Matching").
//!
//! Types are compared iso-recursively: two types are the same if their recursion groups are, as written, and they have the same place in them.

use crate::entity::Entity;
use crate::module::{TypeId, Types};
use crate::references::{IndexSpace, map_sub_type};
use rustc_hash::FxHashMap;
use wasmparser::{AbstractHeapType, CompositeInnerType, HeapType, RefType, SubType, UnpackedIndex, ValType};

/// The types of a module, prepared for comparison.
#[derive(Debug)]
pub struct Subtyping<'a> {
    types: &'a Types,
    canonical: Vec<TypeId>,
}

/// A recursion group in which references do not depend on where in the module it is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct GroupShape {
    /// References into the group are offsets, those out of it are canonical numbers.
    definitions: Vec<SubType>,
    /// For each reference, in order, whether it is one into the group.
    inward: Vec<bool>,
}

impl<'a> Subtyping<'a> {
    /// Finds out which of the types are the same.
    pub fn new(types: &'a Types) -> Self {
        let mut canonical: Vec<TypeId> = types.definitions.keys().collect();
        let mut first_of_shape: FxHashMap<GroupShape, u32> = FxHashMap::default();
        for group in &types.groups {
            let mut inward = Vec::new();
            let definitions = group
                .range
                .clone()
                .map(|number| {
                    let mut definition = types.definitions[TypeId::from_u32(number)].sub_type.clone();
                    map_sub_type(&mut definition, &mut |space, number| {
                        debug_assert_eq!(space, IndexSpace::Type);
                        inward.push(group.range.contains(&number));
                        if group.range.contains(&number) {
                            number - group.range.start
                        } else {
                            canonical[number as usize].as_u32()
                        }
                    });
                    definition
                })
                .collect();
            let first = *first_of_shape.entry(GroupShape { definitions, inward }).or_insert(group.range.start);
            for number in group.range.clone() {
                canonical[number as usize] = TypeId::from_u32(first + (number - group.range.start));
            }
        }
        Self { types, canonical }
    }

    /// The first type of the module that is the same type as this one.
    pub fn canonical(&self, ty: TypeId) -> TypeId {
        self.canonical[ty.index()]
    }

    /// [`Self::canonical`] of every type, by the number of its id.
    pub fn into_canonical(self) -> Vec<TypeId> {
        self.canonical
    }

    /// Whether the two are the same type.
    pub fn same(&self, a: TypeId, b: TypeId) -> bool {
        self.canonical(a) == self.canonical(b)
    }

    /// Whether a value of type `sub` may stand where one of type `sup` is expected.
    pub fn matches(&self, sub: ValType, sup: ValType) -> bool {
        match (sub, sup) {
            (ValType::Ref(sub), ValType::Ref(sup)) => self.ref_matches(sub, sup),
            (ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 | ValType::V128 | ValType::Ref(_), _) => {
                sub == sup
            }
        }
    }

    /// Like [`Self::matches`], for reference types.
    pub fn ref_matches(&self, sub: RefType, sup: RefType) -> bool {
        // Most comparisons are between equal types.
        sub == sup || (!sub.is_nullable() || sup.is_nullable()) && self.heap_matches(sub.heap_type(), sup.heap_type())
    }

    /// Like [`Self::matches`], for heap types.
    pub fn heap_matches(&self, sub: HeapType, sup: HeapType) -> bool {
        match (sub, sup) {
            (HeapType::Exact(sub), HeapType::Exact(sup)) => self.same(type_id(sub), type_id(sup)),
            (HeapType::Concrete(sub) | HeapType::Exact(sub), HeapType::Concrete(sup)) => {
                self.is_declared_subtype(type_id(sub), type_id(sup))
            }
            (HeapType::Concrete(_), HeapType::Exact(_)) => false,
            (HeapType::Concrete(sub) | HeapType::Exact(sub), HeapType::Abstract { shared, ty }) => {
                let (sub, is_shared) = self.abstract_type_of(type_id(sub));
                is_shared == shared && abstract_matches(sub, ty)
            }
            (HeapType::Abstract { shared, ty }, HeapType::Concrete(sup) | HeapType::Exact(sup)) => {
                let (sup, is_shared) = self.abstract_type_of(type_id(sup));
                is_shared == shared && ty == bottom_of(sup)
            }
            (HeapType::Abstract { shared, ty }, HeapType::Abstract { shared: sup_shared, ty: sup_ty }) => {
                shared == sup_shared && abstract_matches(ty, sup_ty)
            }
        }
    }

    /// Whether `sup` is `sub` or one of its declared supertypes.
    pub fn is_declared_subtype(&self, sub: TypeId, sup: TypeId) -> bool {
        let mut next = Some(sub);
        // Supertypes are declared before their subtypes, so the chain ends.
        while let Some(ty) = next {
            if self.same(ty, sup) {
                return true;
            }
            next = self.types.supertype(ty);
        }
        false
    }

    /// The abstract type that a defined type is directly below, and whether it is shared.
    fn abstract_type_of(&self, ty: TypeId) -> (AbstractHeapType, bool) {
        let composite = &self.types.definitions[ty].sub_type.composite_type;
        let ty = match composite.inner {
            CompositeInnerType::Func(_) => AbstractHeapType::Func,
            CompositeInnerType::Struct(_) => AbstractHeapType::Struct,
            CompositeInnerType::Array(_) => AbstractHeapType::Array,
            CompositeInnerType::Cont(_) => AbstractHeapType::Cont,
        };
        (ty, composite.shared)
    }
}

impl Types {
    /// The declared supertype of a type.
    pub fn supertype(&self, ty: TypeId) -> Option<TypeId> {
        // The specification allows one at most.
        let supertype = self.definitions[ty].sub_type.supertype_idxs.first()?;
        Some(type_id(supertype.unpack()))
    }
}

/// The type that an index in the IR means.
pub fn type_id(index: UnpackedIndex) -> TypeId {
    TypeId::from_u32(index.as_module_index().expect("types in the IR refer to each other by the module's type numbers"))
}

/// The type below all types of this one's hierarchy.
pub fn bottom_of(ty: AbstractHeapType) -> AbstractHeapType {
    use AbstractHeapType as T;
    match ty {
        T::Func | T::NoFunc => T::NoFunc,
        T::Extern | T::NoExtern => T::NoExtern,
        T::Any | T::Eq | T::Struct | T::Array | T::I31 | T::None => T::None,
        T::Exn | T::NoExn => T::NoExn,
        T::Cont | T::NoCont => T::NoCont,
    }
}

fn abstract_matches(sub: AbstractHeapType, sup: AbstractHeapType) -> bool {
    use AbstractHeapType as T;
    if sub == sup || sub == bottom_of(sup) {
        return true;
    }
    match sup {
        T::Any => matches!(sub, T::Eq | T::Struct | T::Array | T::I31),
        T::Eq => matches!(sub, T::Struct | T::Array | T::I31),
        T::Func
        | T::Extern
        | T::Exn
        | T::Cont
        | T::Struct
        | T::Array
        | T::I31
        | T::None
        | T::NoExtern
        | T::NoFunc
        | T::NoExn
        | T::NoCont => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{ParseOptions, parse_module};

    /// Asserts which of the types of the module's imported globals are subtypes of which.
    fn check(wat: &str, expected: &[(usize, usize, bool)]) {
        let module = parse_module(wat::parse_str(wat).unwrap(), &ParseOptions::default()).unwrap();
        let subtyping = Subtyping::new(&module.types);
        let types: Vec<ValType> = module.globals.values().map(|global| global.ty.content_type).collect();
        for &(sub, sup, matches) in expected {
            assert_eq!(subtyping.matches(types[sub], types[sup]), matches, "{:?} <: {:?}", types[sub], types[sup]);
        }
        for &ty in &types {
            assert!(subtyping.matches(ty, ty));
        }
    }

    fn globals(types: &[&str]) -> String {
        types.iter().map(|ty| format!("(global (import \"m\" \"g\") {ty})")).collect()
    }

    #[test]
    fn abstract_types_form_hierarchies_that_do_not_meet() {
        let globals = globals(&[
            "anyref",
            "eqref",
            "structref",
            "nullref",
            "(ref any)",
            "funcref",
            "(ref null nofunc)",
            "externref",
            "exnref",
            "(ref null cont)",
            "(ref null nocont)",
        ]);
        check(
            &format!("(module {globals})"),
            &[
                (1, 0, true),
                (2, 1, true),
                (2, 0, true),
                (0, 1, false),
                (3, 2, true),
                (4, 0, true),
                (0, 4, false),
                (3, 4, false),
                (6, 5, true),
                (3, 5, false),
                (7, 0, false),
                (8, 0, false),
                (10, 9, true),
                (9, 10, false),
                (10, 5, false),
            ],
        );
    }

    #[test]
    fn defined_types_have_supertypes_and_an_abstract_type_above() {
        let globals = globals(&[
            "(ref $base)",
            "(ref $derived)",
            "(ref null $derived)",
            "(ref struct)",
            "(ref func)",
            "(ref null none)",
            "(ref $k)",
            "(ref cont)",
            "(ref null nocont)",
            "(ref null $k)",
            "(ref $f)",
            "(ref eq)",
        ]);
        check(
            &format!(
                "(module (type $base (sub (struct (field i32))))
                   (type $derived (sub $base (struct (field i32) (field i64))))
                   (type $f (func)) (type $k (cont $f)) {globals})"
            ),
            &[
                (1, 0, true),
                (0, 1, false),
                (2, 0, false),
                (1, 3, true),
                (1, 4, false),
                (5, 2, true),
                (5, 1, false),
                (6, 7, true),
                (8, 9, true),
                (8, 6, false),
                (10, 4, true),
                (6, 4, false),
                (1, 11, true),
                (6, 11, false),
            ],
        );
    }

    #[test]
    fn equal_recursion_groups_are_the_same_types_at_the_same_places() {
        let globals = globals(&["(ref $a1)", "(ref $b1)", "(ref $a2)", "(ref $b2)", "(ref $alone)"]);
        check(
            &format!(
                "(module
                   (rec (type $a1 (struct (field (ref null $b1)))) (type $b1 (struct (field (ref null $a1)))))
                   (rec (type $a2 (struct (field (ref null $b2)))) (type $b2 (struct (field (ref null $a2)))))
                   (rec (type $alone (struct (field (ref null $alone))))) {globals})"
            ),
            &[(0, 2, true), (2, 0, true), (1, 3, true), (0, 1, false), (0, 3, false), (0, 4, false)],
        );
    }

    #[test]
    fn a_reference_out_of_a_group_is_not_one_into_it() {
        // Both refer to the type before them, the second to itself by the same distance from the start of the module.
        let globals = globals(&["(ref $self)", "(ref $other)"]);
        check(
            &format!(
                "(module (type $self (struct (field (ref null $self))))
                   (type $other (struct (field (ref null $self)))) {globals})"
            ),
            &[(0, 1, false), (1, 0, false)],
        );
    }
}
