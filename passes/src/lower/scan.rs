//! One look at each body, lifted or not, for what the lowering must know of it before it lifts anything.

use super::thunks::ENTRY_SLOTS;
use rustc_hash::FxHashSet;
use wasmfx_ir::Module;
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{Handler, Terminator};
use wasmfx_ir::module::{Body, FunctionId, GlobalId, LazyBody, TableId, TagId, TypeId};
use wasmfx_ir::references::{IndexSpace, map_operator, map_val_type, visit_operator};
use wasmfx_ir::signature::cont_function;
use wasmfx_ir::wasmparser::{
    self, AbstractHeapType, CompositeInnerType, Handle, HeapType, Operator, RefType, ResumeTable, StorageType, ValType,
};

/// What a call calls.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Callee {
    /// `call`, `return_call`.
    Direct(FunctionId),
    /// `call_indirect`, `call_ref` and their tail calls: any function of this type whose reference was taken.
    Typed(TypeId),
}

/// A resume instruction: the tags it handles.
#[derive(Clone, Debug)]
pub(super) struct ResumeSite {
    pub(super) suspensions: Vec<TagId>,
    pub(super) switches: Vec<TagId>,
}

/// What one body does that concerns continuations.
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    /// What it calls: a function for each call of it, a type but once.
    pub(super) calls: Vec<Callee>,
    pub(super) suspends: Vec<TagId>,
    pub(super) switches: Vec<TagId>,
    pub(super) resumes: Vec<ResumeSite>,
    /// The function types of the continuations that it creates, and the functions where they are known.
    pub(super) creates: Vec<(TypeId, Option<FunctionId>)>,
    pub(super) references: Vec<FunctionId>,
    /// Those of them that are used otherwise than to begin a continuation.
    pub(super) taken: Vec<FunctionId>,
    /// The types that tests, casts and indirect calls name.
    pub(super) asked: Vec<TypeId>,
    /// Whether it may throw by itself.
    pub(super) throws: bool,
    /// Whether it raises exceptions in continuations.
    pub(super) resume_throws: bool,
    /// Whether it has a `try_table`, or a `try`.
    pub(super) catches: bool,
    /// Whether it has a `try`, of legacy exception handling.
    pub(super) has_legacy_try: bool,
    /// Whether a continuation type occurs in it: it must be rewritten.
    pub(super) mentions_continuations: bool,
    /// At least as many slots of the table of resume functions as the lowering of this body takes.
    pub(super) slot_bound: usize,
}

/// Which items have a continuation type in their types.
#[derive(Debug, Default)]
pub(super) struct Mentions {
    /// Continuation types themselves.
    pub(super) continuations: FxHashSet<TypeId>,
    /// Function, struct and array types with a continuation reference in them.
    pub(super) types: FxHashSet<TypeId>,
    pub(super) globals: FxHashSet<GlobalId>,
    pub(super) tables: FxHashSet<TableId>,
    pub(super) functions: FxHashSet<FunctionId>,
    pub(super) tags: FxHashSet<TagId>,
    /// The segments of continuations, by number.
    pub(super) elements: FxHashSet<u32>,
}

/// Whether a heap type is a continuation type.
pub(super) fn is_continuation_heap_type(module: &Module, heap: HeapType) -> bool {
    match heap {
        HeapType::Abstract { ty, .. } => {
            matches!(ty, AbstractHeapType::Cont | AbstractHeapType::NoCont)
        }
        HeapType::Concrete(index) | HeapType::Exact(index) => index.as_module_index().is_some_and(|index| {
            let definition = module.types.definitions.get(TypeId::from_u32(index));
            definition.is_some_and(|it| matches!(it.sub_type.composite_type.inner, CompositeInnerType::Cont(_)))
        }),
    }
}

fn is_continuation_reference(module: &Module, ty: RefType) -> bool {
    is_continuation_heap_type(module, ty.heap_type())
}

/// Whether a value type is a reference to a continuation.
pub(super) fn is_continuation(module: &Module, ty: ValType) -> bool {
    matches!(ty, ValType::Ref(reference) if is_continuation_reference(module, reference))
}

impl Mentions {
    /// Looks through a module's types and items.
    pub(super) fn new(module: &Module) -> Self {
        let mut mentions = Self::default();
        for (id, definition) in module.types.definitions.iter() {
            let is = |ty: ValType| is_continuation(module, ty);
            let storage = |ty: StorageType| matches!(ty, StorageType::Val(ty) if is(ty));
            let mentioned = match &definition.sub_type.composite_type.inner {
                CompositeInnerType::Cont(_) => {
                    mentions.continuations.insert(id);
                    false
                }
                CompositeInnerType::Func(func) => func.params().iter().chain(func.results()).any(|&ty| is(ty)),
                CompositeInnerType::Struct(fields) => fields.fields.iter().any(|field| storage(field.element_type)),
                CompositeInnerType::Array(array) => storage(array.0.element_type),
            };
            if mentioned {
                mentions.types.insert(id);
            }
        }
        let globals = module.globals.iter().filter(|(_, global)| is_continuation(module, global.ty.content_type));
        mentions.globals = globals.map(|(id, _)| id).collect();
        let tables = module.tables.iter().filter(|(_, table)| is_continuation_reference(module, table.ty.element_type));
        mentions.tables = tables.map(|(id, _)| id).collect();
        let functions = module.functions.iter().filter(|(_, function)| mentions.types.contains(&function.ty));
        mentions.functions = functions.map(|(id, _)| id).collect();
        let tags = module.tags.iter().filter(|(_, tag)| mentions.types.contains(&tag.ty));
        mentions.tags = tags.map(|(id, _)| id).collect();
        let elements = module.elements.iter().filter(|(_, segment)| match &segment.items {
            wasmfx_ir::module::ElementItems::Expressions(ty, _) => is_continuation_reference(module, *ty),
            wasmfx_ir::module::ElementItems::Functions(_) => false,
        });
        mentions.elements = elements.map(|(id, _)| id.as_u32()).collect();
        mentions
    }

    /// Whether the module has anything to lower.
    pub(super) fn is_empty(&self) -> bool {
        self.continuations.is_empty() && self.globals.is_empty() && self.tables.is_empty() && self.types.is_empty()
    }

    fn operator(&self, module: &Module, operator: &Operator<'_>) -> bool {
        let heap = match operator {
            Operator::RefNull { hty } => is_continuation_heap_type(module, *hty),
            Operator::TypedSelect { ty } => is_continuation(module, *ty),
            _ => false,
        };
        let mut found = heap;
        visit_operator(operator, &mut |space, number| {
            found |= match space {
                IndexSpace::Type => {
                    let ty = TypeId::from_u32(number);
                    self.types.contains(&ty) || self.continuations.contains(&ty)
                }
                IndexSpace::Function => self.functions.contains(&FunctionId::from_u32(number)),
                IndexSpace::Table => self.tables.contains(&TableId::from_u32(number)),
                IndexSpace::Global => self.globals.contains(&GlobalId::from_u32(number)),
                IndexSpace::Tag => self.tags.contains(&TagId::from_u32(number)),
                IndexSpace::Element => self.elements.contains(&number),
                IndexSpace::Memory | IndexSpace::Data => false,
            };
        });
        found
    }
}

impl Summary {
    fn add(&mut self, module: &Module, mentions: &Mentions, operator: &Operator<'_>, before: Option<FunctionId>) {
        let function_type = |index: u32| TypeId::from_u32(index);
        let tag = TagId::from_u32;
        match *operator {
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                self.calls.push(Callee::Direct(FunctionId::from_u32(function_index)));
            }
            Operator::CallIndirect { type_index, .. }
            | Operator::ReturnCallIndirect { type_index, .. }
            | Operator::CallRef { type_index }
            | Operator::ReturnCallRef { type_index } => self.calls.push(Callee::Typed(function_type(type_index))),
            Operator::Suspend { tag_index } => self.suspends.push(tag(tag_index)),
            Operator::Switch { tag_index, .. } => self.switches.push(tag(tag_index)),
            Operator::ContBind { .. } => self.slot_bound += ENTRY_SLOTS as usize,
            Operator::ContNew { cont_type_index } => {
                self.creates.push((continuation_function(module, TypeId::from_u32(cont_type_index)), before));
            }
            Operator::Throw { .. } | Operator::ThrowRef => self.throws = true,
            Operator::ResumeThrow { .. } | Operator::ResumeThrowRef { .. } => self.resume_throws = true,
            Operator::TryTable { .. } => self.catches = true,
            Operator::Try { .. } => {
                self.catches = true;
                self.has_legacy_try = true;
            }
            Operator::RefFunc { function_index } => self.references.push(FunctionId::from_u32(function_index)),
            _ => {}
        }
        self.asked.extend(type_asked_for(operator));
        self.mentions_continuations |= mentions.operator(module, operator);
    }

    fn add_resume(&mut self, site: ResumeSite) {
        self.slot_bound += site.suspensions.len() + site.switches.len();
        self.resumes.push(site);
    }

    fn of_lazy(module: &Module, mentions: &Mentions, body: &LazyBody) -> wasmparser::Result<Self> {
        let mut summary = Self::default();
        let reader = body.reader();
        for local in reader.get_locals_reader()? {
            let (_, mut ty) = local?;
            if let Some(renumbering) = &body.renumbering {
                map_val_type(&mut ty, &mut |space, number| renumbering.map(space, number));
            }
            summary.mentions_continuations |= is_continuation(module, ty);
        }
        let mut before = None;
        for operator in reader.get_operators_reader()? {
            let mut operator = operator?;
            if let Some(renumbering) = &body.renumbering {
                map_operator(&mut operator, &mut |space, number| renumbering.map(space, number));
            }
            summary.add(module, mentions, &operator, before);
            summary.taken.extend(before.filter(|_| !matches!(operator, Operator::ContNew { .. })));
            if let Operator::Resume { resume_table, .. }
            | Operator::ResumeThrow { resume_table, .. }
            | Operator::ResumeThrowRef { resume_table, .. } = &operator
            {
                summary.add_resume(ResumeSite::of_table(resume_table));
            }
            before = match operator {
                Operator::RefFunc { function_index } => Some(FunctionId::from_u32(function_index)),
                _ => None,
            };
        }
        Ok(summary)
    }

    fn of_lifted(module: &Module, mentions: &Mentions, func: &wasmfx_ir::Func) -> Self {
        let mut summary = Self::default();
        let function = |value| match func.defining_operator(value) {
            Some(&Operator::RefFunc { function_index }) => Some(FunctionId::from_u32(function_index)),
            _ => None,
        };
        for block in func.blocks.values() {
            for &inst in &block.insts {
                let known = func.operands(inst).last().and_then(|&operand| function(operand));
                summary.add(module, mentions, func.operator(inst), known);
                if !matches!(func.operator(inst), Operator::ContNew { .. }) {
                    summary.taken.extend(func.operands(inst).iter().filter_map(|&operand| function(operand)));
                }
                summary.mentions_continuations |=
                    func.inst_results(inst).any(|value| is_continuation(module, func.value_type(value)));
            }
            summary.mentions_continuations |=
                block.params.iter().any(|&param| is_continuation(module, func.value_type(param)));
            block.terminator.for_each_value(|value| summary.taken.extend(function(value)));
            if let Some(operator) = block.terminator.operator() {
                summary.add(module, mentions, &func.operators[operator], None);
            }
            if let Terminator::Invoke(invoke) = &block.terminator {
                summary.catches |= invoke.handlers.iter().any(Handler::is_exception_handler);
                if super::is_resume(&func.operators[invoke.operator]) {
                    summary.add_resume(ResumeSite::of_handlers(&invoke.handlers));
                }
            }
        }
        summary
    }
}

/// The type that an operator compares another with when it runs.
fn type_asked_for(operator: &Operator<'_>) -> Option<TypeId> {
    let heap = match *operator {
        Operator::CallIndirect { type_index, .. } | Operator::ReturnCallIndirect { type_index, .. } => {
            return Some(TypeId::from_u32(type_index));
        }
        Operator::RefTestNonNull { hty }
        | Operator::RefTestNullable { hty }
        | Operator::RefCastNonNull { hty }
        | Operator::RefCastNullable { hty } => hty,
        Operator::BrOnCast { to_ref_type, .. } | Operator::BrOnCastFail { to_ref_type, .. } => to_ref_type.heap_type(),
        _ => return None,
    };
    match heap {
        HeapType::Concrete(index) | HeapType::Exact(index) => index.as_module_index().map(TypeId::from_u32),
        HeapType::Abstract { .. } => None,
    }
}

impl ResumeSite {
    /// Of an instruction of a body that is bytes.
    fn of_table(table: &ResumeTable) -> Self {
        let mut site = Self { suspensions: Vec::new(), switches: Vec::new() };
        for handler in &table.handlers {
            match *handler {
                Handle::OnLabel { tag, .. } => site.suspensions.push(TagId::from_u32(tag)),
                Handle::OnSwitch { tag } => site.switches.push(TagId::from_u32(tag)),
            }
        }
        site
    }

    /// Of an instruction of a lifted body, whose clauses are handlers of its block.
    pub(super) fn of_handlers(handlers: &[Handler]) -> Self {
        let mut site = Self { suspensions: Vec::new(), switches: Vec::new() };
        for handler in handlers {
            match *handler {
                Handler::Suspension { tag, .. } => site.suspensions.push(tag),
                Handler::Switch { tag } => site.switches.push(tag),
                _ => {}
            }
        }
        site
    }
}

/// The function type of a continuation type.
pub(super) fn continuation_function(module: &Module, ty: TypeId) -> TypeId {
    cont_function(module, ty.as_u32())
        .unwrap_or_else(|| panic!("{ty} is not a continuation type, which validation has excluded"))
}

/// The summaries of all functions; imports have the empty one.
pub(super) fn scan(module: &Module, mentions: &Mentions) -> wasmparser::Result<SecondaryMap<FunctionId, Summary>> {
    let mut summaries = SecondaryMap::with_default_and_len(Summary::default(), module.functions.len());
    for (id, function) in module.functions.iter() {
        let mut summary = match &function.body {
            Body::Lazy(body) => Summary::of_lazy(module, mentions, body)?,
            Body::Lifted(func) => Summary::of_lifted(module, mentions, func),
            _ => Summary::default(),
        };
        summary.mentions_continuations |= mentions.functions.contains(&id);
        let points = summary.calls.len() + summary.suspends.len() + summary.switches.len() + summary.resumes.len();
        summary.slot_bound += ENTRY_SLOTS as usize * (points + summary.creates.len());
        let mut seen = FxHashSet::default();
        summary.calls.retain(|&callee| matches!(callee, Callee::Direct(_)) || seen.insert(callee));
        summaries[id] = summary;
    }
    Ok(summaries)
}
