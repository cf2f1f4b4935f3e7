//! Types that differ only in the continuations that they speak of stay apart.
//!
//! A continuation becomes a number or a struct, so that types which were different may become one, and a test, a cast or an indirect call that told
//! them apart would no longer do so. Where somebody could notice, each of them gets a recursion group that ends with a *brand*, a type that tells the
//! group from the others (types are equal if their groups are, core specification, "Type equivalence").
//!
//! That asks the engine for recursion groups, so for GC. In an open world it is not done: modules that are lowered separately could not agree on brands.

use super::Store;
use super::analysis::functions_taken_by_items;
use super::boundary::references_cross;
use super::scan::Summary;
use super::types::Translation;
use crate::module::types::{reached, rebuild};
use rustc_hash::{FxHashMap, FxHashSet};
use wasmfx_ir::Module;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::module::{FunctionId, RecursionGroup, TypeId};
use wasmfx_ir::subtype::Subtyping;
use wasmfx_ir::wasmparser::{CompositeInnerType, FuncType, SubType, ValType, WasmFeatures};

/// Gives brands to types that lowering would make equal, if the module or its host tells them apart. Returns whether there were any: every type has a
/// new number then.
pub(super) fn keep_types_apart(
    module: &mut Module,
    summaries: &SecondaryMap<FunctionId, Summary>,
    store: Store,
) -> bool {
    let Some(collisions) = Collisions::find(module, store) else { return false };
    let crossing = references_cross(module);
    let observations = Observations::of(module, summaries, crossing);
    let mut branded: FxHashSet<TypeId> = FxHashSet::default();
    if collisions.can_be_noticed(module, &observations) {
        let subtyping = Subtyping::new(&module.types);
        let collides = |ty: &&TypeId| collisions.classes.contains_key(&subtyping.canonical(**ty));
        branded.extend(collisions.mentions.iter().filter(collides));
    }
    if crossing {
        // The host's functions may have any type that the module's function types become, and the host may ask too.
        let seen = reached(&module.types, observations.asked.union(&observations.taken).copied());
        branded.extend(collisions.mentions.iter().filter(|ty| seen.contains(ty)));
    }
    brand(module, &branded);
    !branded.is_empty()
}

/// Types that are different and would become equal.
struct Collisions {
    /// For each such type (of equal ones the first), what it and the others would be: one class.
    classes: FxHashMap<TypeId, TypeId>,
    /// All types that mention continuations.
    mentions: Vec<TypeId>,
}

impl Collisions {
    fn find(module: &Module, store: Store) -> Option<Self> {
        let mut types = module.types.clone();
        let mut mentions: Vec<TypeId> = Vec::new();
        let translation = Translation { module, store };
        for (id, definition) in module.types.definitions.iter() {
            let lowered = translation.definition(&definition.sub_type);
            let is_continuation = matches!(definition.sub_type.composite_type.inner, CompositeInnerType::Cont(_));
            if !is_continuation && lowered != definition.sub_type {
                types.definitions[id].sub_type = lowered;
                mentions.push(id);
            }
        }
        if mentions.is_empty() {
            return None;
        }
        let (before, after) = (Subtyping::new(&module.types), Subtyping::new(&types));
        let first_of_equal = || module.types.definitions.keys().filter(|&id| before.canonical(id) == id);
        let mut sizes: FxHashMap<TypeId, usize> = FxHashMap::default();
        first_of_equal().for_each(|id| *sizes.entry(after.canonical(id)).or_default() += 1);
        let classes = first_of_equal().map(|id| (id, after.canonical(id))).filter(|(_, class)| sizes[class] > 1);
        Some(Self { classes: classes.collect(), mentions })
    }

    /// Whether a value of one type could be taken for one of another of its class: whether somebody asks for a type that some of the values of the
    /// class do not have.
    fn can_be_noticed(&self, module: &Module, observations: &Observations) -> bool {
        if self.classes.is_empty() {
            return false;
        }
        let subtyping = Subtyping::new(&module.types);
        let has_values = |ty: &TypeId| match module.types.definitions[*ty].sub_type.composite_type.inner {
            CompositeInnerType::Func(_) => observations.taken.contains(ty),
            CompositeInnerType::Struct(_) | CompositeInnerType::Array(_) => true,
            CompositeInnerType::Cont(_) => false,
        };
        // How many types of values are subtypes of each type, and of some type of each class.
        let mut of_type: FxHashMap<TypeId, usize> = FxHashMap::default();
        let mut of_class: FxHashMap<TypeId, usize> = FxHashMap::default();
        for ty in module.types.definitions.keys().filter(has_values) {
            let supertypes = std::iter::successors(Some(ty), |&ty| module.types.supertype(ty));
            let colliding = supertypes.map(|ty| subtyping.canonical(ty)).filter(|ty| self.classes.contains_key(ty));
            let mut classes: FxHashSet<TypeId> = FxHashSet::default();
            for ty in colliding {
                *of_type.entry(ty).or_default() += 1;
                classes.insert(self.classes[&ty]);
            }
            classes.into_iter().for_each(|class| *of_class.entry(class).or_default() += 1);
        }
        observations.asked.iter().map(|&asked| subtyping.canonical(asked)).any(|asked| {
            let count = |counts: &FxHashMap<TypeId, usize>, ty: &TypeId| counts.get(ty).copied().unwrap_or_default();
            self.classes.get(&asked).is_some_and(|class| count(&of_class, class) > count(&of_type, &asked))
        })
    }
}

/// What a module asks of types at run time.
struct Observations {
    /// Types that a test, a cast or an indirect call names.
    asked: FxHashSet<TypeId>,
    /// The types of functions whose reference exists, other than to begin a continuation.
    taken: FxHashSet<TypeId>,
}

impl Observations {
    fn of(module: &Module, summaries: &SecondaryMap<FunctionId, Summary>, crossing: bool) -> Self {
        let summaries = || module.functions.keys().map(|id| &summaries[id]);
        let in_bodies = summaries().flat_map(|summary| summary.taken.iter().copied());
        let taken = in_bodies.chain(functions_taken_by_items(module, crossing));
        Self {
            asked: summaries().flat_map(|summary| summary.asked.iter().copied()).collect(),
            taken: taken.map(|function| module.functions[function].ty).collect(),
        }
    }
}

/// Gives the groups of these types, and equal ones, brands.
fn brand(module: &mut Module, branded: &FxHashSet<TypeId>) {
    if branded.is_empty() {
        return;
    }
    let types = &module.types;
    let subtyping = Subtyping::new(types);
    let first = |group: &RecursionGroup| subtyping.canonical(TypeId::from_u32(group.range.start));
    let of_group = |group: &RecursionGroup| group.range.clone().map(TypeId::from_u32);
    let has_branded = |group: &&RecursionGroup| of_group(group).any(|ty| branded.contains(&ty));
    // A group of the module may end like one with a brand.
    let large = types.groups.iter().filter(|group| group.range.len() > 1);
    let ends: FxHashSet<&SubType> =
        large.filter_map(|group| of_group(group).next_back()).map(|ty| &types.definitions[ty].sub_type).collect();
    let mut unused = (0..).map(brand_type).filter(|brand| !ends.contains(brand));
    let mut brands: FxHashMap<TypeId, SubType> = FxHashMap::default();
    for group in types.groups.iter().filter(has_branded) {
        brands.entry(first(group)).or_insert_with(|| unused.next().expect("numbers do not end"));
    }
    let groups: Vec<(usize, Option<SubType>)> =
        types.groups.iter().map(|group| brands.get(&first(group)).cloned()).enumerate().collect();
    rebuild(module, groups);
    module.features.insert(WasmFeatures::GC);
}

/// A type of its own for each number: the number's digits are its parameters.
fn brand_type(number: usize) -> SubType {
    let digits = (0..usize::BITS - number.leading_zeros()).map(|digit| match number >> digit & 1 {
        0 => ValType::F32,
        _ => ValType::F64,
    });
    SubType::func(FuncType::new(digits, []), false)
}
