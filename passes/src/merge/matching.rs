//! Whether an export satisfies an import: the specification's import matching ("External Types", section Matching).

use super::link::kind;
use rustc_hash::FxHashSet;
use std::collections::VecDeque;
use std::fmt::Write;
use wasmfx_ir::Module;
use wasmfx_ir::module::{Item, TypeId};
use wasmfx_ir::references::visit_sub_type;
use wasmfx_ir::subtype::{Subtyping, type_id};
use wasmfx_ir::wasmparser::{
    CompositeInnerType, FuncType, GlobalType, HeapType, MemoryType, RefType, StorageType, SubType, TableType, ValType,
};

/// Pages of 64 KiB, which a memory has whose type says nothing of them.
const DEFAULT_PAGE_SIZE_LOG2: u32 = 16;

/// Compares types of items of one module, in which all inputs are combined.
pub(super) struct Matching<'a> {
    module: &'a Module,
    types: Subtyping<'a>,
}

impl<'a> Matching<'a> {
    pub(super) fn new(module: &'a Module) -> Self {
        Self { module, types: Subtyping::new(&module.types) }
    }

    /// Says how `export` fails to satisfy `import`.
    pub(super) fn check(&self, import: Item, export: Item) -> Result<(), String> {
        let module = self.module;
        let fits = match (import, export) {
            (Item::Function(import), Item::Function(export)) => {
                let (import, export) = (&module.functions[import], &module.functions[export]);
                if import.exact {
                    self.types.same(export.ty, import.ty)
                } else {
                    self.types.is_declared_subtype(export.ty, import.ty)
                }
            }
            (Item::Table(import), Item::Table(export)) => {
                self.table_fits(module.tables[import].ty, module.tables[export].ty)
            }
            (Item::Memory(import), Item::Memory(export)) => {
                memory_fits(module.memories[import].ty, module.memories[export].ty)
            }
            (Item::Global(import), Item::Global(export)) => {
                self.global_fits(module.globals[import].ty, module.globals[export].ty)
            }
            // A tag is what throwing and catching agree on, so nothing less than the same type will do.
            (Item::Tag(import), Item::Tag(export)) => self.types.same(module.tags[export].ty, module.tags[import].ty),
            (import, export) => {
                return Err(format!("the export is a {}, not a {}", kind(export), kind(import)));
            }
        };
        if fits {
            Ok(())
        } else {
            let mut text = format!("wanted is {}, exported is {}", self.describe(import), self.describe(export));
            if let (Some(wanted), Some(exported)) = (self.defined_type(import), self.defined_type(export))
                && let Some(difference) = self.difference(wanted, exported)
            {
                let _ = write!(text, "; {difference}");
            }
            Err(text)
        }
    }

    /// The defined type that an item is of, or refers to.
    fn defined_type(&self, item: Item) -> Option<TypeId> {
        let module = self.module;
        let reference = match item {
            Item::Function(id) => return Some(module.functions[id].ty),
            Item::Tag(id) => return Some(module.tags[id].ty),
            Item::Table(id) => module.tables[id].ty.element_type,
            Item::Global(id) => match module.globals[id].ty.content_type {
                ValType::Ref(reference) => reference,
                ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 | ValType::V128 => return None,
            },
            Item::Memory(_) => return None,
        };
        match reference.heap_type() {
            HeapType::Concrete(index) | HeapType::Exact(index) => Some(type_id(index)),
            HeapType::Abstract { .. } => None,
        }
    }

    /// What tells two types apart that may read the same, in words: the first difference in them or in what they refer to.
    fn difference(&self, wanted: TypeId, exported: TypeId) -> Option<String> {
        let mut seen = FxHashSet::default();
        let mut pending = VecDeque::from([(wanted, exported)]);
        while let Some((wanted, exported)) = pending.pop_front() {
            if self.types.same(wanted, exported) || !seen.insert((wanted, exported)) {
                continue;
            }
            let (wanted_name, exported_name) = (self.type_name(wanted), self.type_name(exported));
            let say = |of_wanted: &str, of_exported: &str| {
                format!(
                    "the {wanted_name} that is wanted {of_wanted}, the {exported_name} that is exported {of_exported}"
                )
            };
            let texts = (self.describe_type(wanted), self.describe_type(exported));
            // What the two types themselves are has been said.
            if seen.len() > 1 && texts.0 != texts.1 {
                return Some(say(&format!("is {}", texts.0), &format!("is {}", texts.1)));
            }
            let definitions = &self.module.types.definitions;
            let (wanted_type, exported_type) = (&definitions[wanted].sub_type, &definitions[exported].sub_type);
            match (wanted_type.is_final, exported_type.is_final) {
                (true, false) => return Some(say("is final", "may have subtypes")),
                (false, true) => return Some(say("may have subtypes", "is final")),
                (true, true) | (false, false) => {}
            }
            match (self.module.types.supertype(wanted).is_some(), self.module.types.supertype(exported).is_some()) {
                (true, false) => return Some(say("has a supertype", "has none")),
                (false, true) => return Some(say("has no supertype", "has one")),
                (true, true) | (false, false) => {}
            }
            let (wanted_references, exported_references) = (referenced(wanted_type), referenced(exported_type));
            if wanted_references.len() == exported_references.len() {
                pending.extend(wanted_references.into_iter().zip(exported_references));
            }
            // Of two types that are defined as parts of different groups, one may be like the other.
            let groups = &self.module.types.groups;
            let (wanted_group, exported_group) =
                (&groups[self.module.types.group_of(wanted)], &groups[self.module.types.group_of(exported)]);
            if wanted_group.range.len() == exported_group.range.len() {
                let pairs = wanted_group.range.clone().zip(exported_group.range.clone());
                pending.extend(pairs.map(|(wanted, exported)| (TypeId::from_u32(wanted), TypeId::from_u32(exported))));
            }
        }
        None
    }

    /// What a type is called.
    fn type_name(&self, ty: TypeId) -> String {
        match &self.module.types.definitions[ty].name {
            Some(name) => format!("${name}"),
            None => format!("type {}", self.types.canonical(ty).as_u32()),
        }
    }

    fn table_fits(&self, import: TableType, export: TableType) -> bool {
        import.table64 == export.table64
            && import.shared == export.shared
            && self.types.ref_matches(export.element_type, import.element_type)
            && self.types.ref_matches(import.element_type, export.element_type)
            && limits_fit((import.initial, import.maximum), (export.initial, export.maximum))
    }

    fn global_fits(&self, import: GlobalType, export: GlobalType) -> bool {
        let (wanted, given) = (import.content_type, export.content_type);
        import.mutable == export.mutable
            && import.shared == export.shared
            && self.types.matches(given, wanted)
            && (!import.mutable || self.types.matches(wanted, given))
    }

    /// The type of a function or tag; equal types have the same.
    pub(super) fn signature_type(&self, item: Item) -> Option<TypeId> {
        match item {
            Item::Function(id) => Some(self.types.canonical(self.module.functions[id].ty)),
            Item::Tag(id) => Some(self.types.canonical(self.module.tags[id].ty)),
            Item::Table(_) | Item::Memory(_) | Item::Global(_) => None,
        }
    }

    /// Whether two imports of the same name are of one type, but for limits.
    pub(super) fn is_same_type(&self, a: Item, b: Item) -> bool {
        let module = self.module;
        match (a, b) {
            (Item::Function(a), Item::Function(b)) => {
                let (a, b) = (&module.functions[a], &module.functions[b]);
                a.exact == b.exact && self.types.same(a.ty, b.ty)
            }
            (Item::Table(a), Item::Table(b)) => {
                let (a, b) = (module.tables[a].ty, module.tables[b].ty);
                a.table64 == b.table64 && a.shared == b.shared && self.same_ref(a.element_type, b.element_type)
            }
            (Item::Memory(a), Item::Memory(b)) => {
                let (a, b) = (module.memories[a].ty, module.memories[b].ty);
                a.memory64 == b.memory64 && a.shared == b.shared && page_size_log2(a) == page_size_log2(b)
            }
            (Item::Global(a), Item::Global(b)) => {
                let (a, b) = (module.globals[a].ty, module.globals[b].ty);
                a.mutable == b.mutable
                    && a.shared == b.shared
                    && self.types.matches(a.content_type, b.content_type)
                    && self.types.matches(b.content_type, a.content_type)
            }
            (Item::Tag(a), Item::Tag(b)) => self.types.same(module.tags[a].ty, module.tags[b].ty),
            _ => false,
        }
    }

    fn same_ref(&self, a: RefType, b: RefType) -> bool {
        self.types.ref_matches(a, b) && self.types.ref_matches(b, a)
    }

    /// The type of an item, in words.
    fn describe(&self, item: Item) -> String {
        let module = self.module;
        match item {
            Item::Function(id) => self.describe_type(module.functions[id].ty),
            Item::Tag(id) => format!("a tag of {}", self.describe_type(module.tags[id].ty)),
            Item::Table(id) => {
                let TableType { element_type, table64, initial, maximum, shared } = module.tables[id].ty;
                let shape = shape(table64, shared, None);
                format!("a{shape} table of {}{}", self.ref_name(element_type), limits(initial, maximum))
            }
            Item::Memory(id) => {
                let ty = module.memories[id].ty;
                let unusual = Some(page_size_log2(ty)).filter(|&log2| log2 != DEFAULT_PAGE_SIZE_LOG2);
                let shape = shape(ty.memory64, ty.shared, unusual);
                format!("a{shape} memory{}", limits(ty.initial, ty.maximum))
            }
            Item::Global(id) => {
                let GlobalType { content_type, mutable, shared } = module.globals[id].ty;
                let mutable = if mutable { "a mutable" } else { "an immutable" };
                let shared = if shared { " shared" } else { "" };
                format!("{mutable}{shared} global of type {}", self.val_name(content_type))
            }
        }
    }

    fn describe_type(&self, ty: TypeId) -> String {
        let composite = &self.module.types.definitions[ty].sub_type.composite_type;
        let mut text = match &composite.inner {
            CompositeInnerType::Func(func) => self.signature(func),
            CompositeInnerType::Cont(cont) => format!("(cont {})", self.describe_type(type_id(cont.0.unpack()))),
            CompositeInnerType::Struct(ty) => {
                let fields = ty.fields.iter().map(|field| match field.element_type {
                    StorageType::I8 => "i8".to_string(),
                    StorageType::I16 => "i16".to_string(),
                    StorageType::Val(ty) => self.val_name(ty),
                });
                format!("(struct {})", fields.collect::<Vec<_>>().join(" "))
            }
            CompositeInnerType::Array(_) => "(array)".to_string(),
        };
        // Types that look alike are different where their recursion groups are.
        let group = &self.module.types.groups[self.module.types.group_of(ty)];
        if group.range.len() > 1 {
            let position = ty.as_u32() - group.range.start + 1;
            let _ = write!(text, " (number {position} of {} types that are defined together)", group.range.len());
        }
        text
    }

    fn signature(&self, func: &FuncType) -> String {
        let list = |types: &[ValType]| types.iter().map(|&ty| self.val_name(ty)).collect::<Vec<_>>().join(" ");
        let mut text = String::from("(func");
        if !func.params().is_empty() {
            let _ = write!(text, " (param {})", list(func.params()));
        }
        if !func.results().is_empty() {
            let _ = write!(text, " (result {})", list(func.results()));
        }
        text.push(')');
        text
    }

    fn val_name(&self, ty: ValType) -> String {
        match ty {
            ValType::Ref(ty) => self.ref_name(ty),
            ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 | ValType::V128 => ty.to_string(),
        }
    }

    fn ref_name(&self, ty: RefType) -> String {
        let null = if ty.is_nullable() { "null " } else { "" };
        match ty.heap_type() {
            HeapType::Concrete(index) => {
                let id = type_id(index);
                let inner = &self.module.types.definitions[id].sub_type.composite_type.inner;
                let kind = match inner {
                    CompositeInnerType::Func(_) => "func",
                    CompositeInnerType::Array(_) => "array",
                    CompositeInnerType::Struct(_) => "struct",
                    CompositeInnerType::Cont(_) => "cont",
                };
                match &self.module.types.definitions[id].name {
                    Some(name) => format!("(ref {null}${name})"),
                    None => format!("(ref {null}{kind} type {})", self.types.canonical(id).as_u32()),
                }
            }
            HeapType::Exact(_) | HeapType::Abstract { .. } => ty.to_string(),
        }
    }
}

/// The types that a definition refers to, in the order in which it does.
fn referenced(definition: &SubType) -> Vec<TypeId> {
    let mut types = Vec::new();
    visit_sub_type(definition, &mut |_, number| types.push(TypeId::from_u32(number)));
    types
}

fn memory_fits(import: MemoryType, export: MemoryType) -> bool {
    import.memory64 == export.memory64
        && import.shared == export.shared
        && page_size_log2(import) == page_size_log2(export)
        && limits_fit((import.initial, import.maximum), (export.initial, export.maximum))
}

fn page_size_log2(ty: MemoryType) -> u32 {
    ty.page_size_log2.unwrap_or(DEFAULT_PAGE_SIZE_LOG2)
}

/// Whether something with the limits `given` is at least as large as wanted, and can get no larger than wanted.
fn limits_fit(wanted: (u64, Option<u64>), given: (u64, Option<u64>)) -> bool {
    given.0 >= wanted.0
        && match (wanted.1, given.1) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wanted), Some(given)) => given <= wanted,
        }
}

fn shape(wide: bool, shared: bool, page_size_log2: Option<u32>) -> String {
    let mut text = String::new();
    if wide {
        text.push_str(" 64-bit");
    }
    if shared {
        text.push_str(" shared");
    }
    if let Some(log2) = page_size_log2 {
        let _ = write!(text, " ({}-byte pages)", 1_u64 << log2);
    }
    text
}

fn limits(initial: u64, maximum: Option<u64>) -> String {
    match maximum {
        Some(maximum) => format!(" of size {initial} to {maximum}"),
        None => format!(" of size {initial} or more"),
    }
}
