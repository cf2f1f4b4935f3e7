//! What wasmparser's messages leave out: which types did not fit, and which clause of a resume is wrong.
//!
//! The body at fault is validated once more, up to the instruction at fault, with resources that remember the last comparison of two types
//! that failed: that is the one that the message is about. Where message and comparison do not agree, the message stays as it was.

use std::cell::{Cell, OnceCell};

use rustc_hash::FxHashMap;
use wasmparser::types::CoreTypeId;
use wasmparser::{
    BlockType, CompositeInnerType, Error, Frame, FrameKind, FuncToValidate, FuncType, FuncValidator,
    FuncValidatorAllocations, FunctionBody, GlobalType, Handle, HeapType, KnownCustom, MemoryType, Name, NameMap,
    Operator, Parser, Payload, RefType, ResumeTable, SubType, TableType, UnpackedIndex, ValType, ValidatorResources,
    WasmModuleResources,
};

use super::{ValidationError, rules};

/// What wasmparser prints for every type that a module defines.
pub const UNNAMED_TYPE: &str = "$type";
/// More names than these for one type only lengthen a message.
const MAX_NAMES_OF_A_TYPE: usize = 3;

/// The names that a module gives to what its errors speak of.
#[derive(Default)]
pub struct Names {
    types: FxHashMap<u32, String>,
    tags: FxHashMap<u32, String>,
    /// By function, and by the block's number among its function's blocks.
    labels: FxHashMap<(u32, u32), String>,
}

impl Names {
    /// What the name section says, as far as it can be read.
    pub fn of(binary: &[u8]) -> Names {
        let mut names = Names::default();
        for payload in Parser::new(0).parse_all(binary) {
            let Ok(payload) = payload else { break };
            let Payload::CustomSection(section) = payload else { continue };
            let KnownCustom::Name(subsections) = section.as_known() else { continue };
            for subsection in subsections {
                match subsection {
                    Ok(Name::Type(map)) => names.types.extend(pairs(map)),
                    Ok(Name::Tag(map)) => names.tags.extend(pairs(map)),
                    Ok(Name::Label(functions)) => {
                        for function in functions.into_iter().flatten() {
                            let labels = pairs(function.names);
                            names.labels.extend(labels.map(|(label, name)| ((function.index, label), name)));
                        }
                    }
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
        }
        names
    }

    /// `$name`, or the index alone.
    pub fn type_name(&self, index: u32) -> String {
        self.types.get(&index).cloned().unwrap_or_else(|| index.to_string())
    }

    fn tag_name(&self, index: u32) -> String {
        self.tags.get(&index).cloned().unwrap_or_else(|| index.to_string())
    }
}

fn pairs(map: NameMap<'_>) -> impl Iterator<Item = (u32, String)> {
    map.into_iter().flatten().map(|naming| (naming.index, format!("${}", naming.name)))
}

/// Says in an error of a function's body which types are meant and which clause is wrong, and finds the rule that fits.
pub fn explain(
    error: &mut ValidationError,
    function: &FuncToValidate<ValidatorResources>,
    body: &FunctionBody<'_>,
    describer: &Describer<'_>,
) {
    let Some(instruction) = error.instruction else { return };
    if let Some(message) = named_non_continuation(&error.message, describer.names) {
        error.message = message;
        return;
    }
    let Some(mut replay) = Replay::up_to(instruction, function, body) else { return };
    if let Some(table) = resume_table(&replay.operator)
        && rules::is_about_handlers(&error.message)
        && let Some(wrong) = replay.wrong_clause(describer, table.0, table.1)
    {
        error.message = wrong.message;
        error.rule = Some(wrong.rule);
        return;
    }
    let Some((found, expected)) = replay.refused_types(instruction) else {
        // An operand that is not there was compared with nothing.
        error.message = error.message.replace("(ref null $type)", "a reference to a defined type");
        error.message = error.message.replace("(ref $type)", "a reference to a defined type");
        return;
    };
    if error.message != format!("type mismatch: expected {}, found {}", unnamed(expected), unnamed(found)) {
        return;
    }
    if error.message.contains(UNNAMED_TYPE) {
        error.message = format!(
            "type mismatch: expected {}, found {}",
            describer.value_type(expected),
            describer.value_type(found)
        );
        error.message.push_str(&describer.other_names([expected, found]));
    }
    if error.rule.is_none() && [expected, found].iter().any(|ty| describer.is_of_a_continuation(*ty)) {
        error.rule = Some(rules::SUBTYPES_OF_CONTINUATIONS);
    }
}

/// Says of two types that differ, and that the message calls the same, that they do.
pub fn tell_types_apart(message: &mut String) {
    for ty in ["(ref $type)", "(ref null $type)"] {
        let alike = format!("expected {ty}, found {ty}");
        *message = message.replace(&alike, "expected a reference to a defined type, found a reference to another one");
    }
}

/// "non-continuation type 0", with the type's name if it has one.
fn named_non_continuation(message: &str, names: &Names) -> Option<String> {
    let index: u32 = message.strip_prefix("non-continuation type ")?.parse().ok()?;
    Some(format!("non-continuation type {} (index {index})", names.types.get(&index)?))
}

/// A value type as wasmparser's messages have it.
pub fn unnamed(ty: ValType) -> String {
    let ValType::Ref(reference) = ty else { return ty.to_string() };
    let null = if reference.is_nullable() { "null " } else { "" };
    match reference.heap_type() {
        HeapType::Concrete(_) => format!("(ref {null}{UNNAMED_TYPE})"),
        HeapType::Exact(_) => format!("(ref {null}(exact {UNNAMED_TYPE}))"),
        HeapType::Abstract { .. } => reference.to_string(),
    }
}

fn resume_table<'a>(operator: &'a Operator<'_>) -> Option<(u32, &'a ResumeTable)> {
    match operator {
        Operator::Resume { cont_type_index, resume_table }
        | Operator::ResumeThrow { cont_type_index, resume_table, .. }
        | Operator::ResumeThrowRef { cont_type_index, resume_table } => Some((*cont_type_index, resume_table)),
        _ => None,
    }
}

/// A body's validation that has stopped before the instruction at fault.
struct Replay<'a> {
    validator: FuncValidator<Recorder>,
    operator: Operator<'a>,
    /// The numbers of the blocks that are open, the outermost first. The function's own is none of them.
    blocks: Vec<u32>,
}

impl<'a> Replay<'a> {
    fn up_to(
        instruction: u64,
        function: &FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'a>,
    ) -> Option<Replay<'a>> {
        let resources = Recorder { resources: function.resources.clone(), refused: Cell::new(None) };
        let function =
            FuncToValidate { resources, index: function.index, ty: function.ty, features: function.features };
        let mut validator = function.into_validator(FuncValidatorAllocations::default());
        let mut reader = body.get_binary_reader();
        reader.set_features(*validator.features());
        validator.read_locals(&mut reader).ok()?;
        let mut blocks = Vec::new();
        let mut next_block = 0;
        while reader.original_position() < instruction {
            let position = reader.original_position();
            reader.visit_operator(&mut validator.visitor(position)).ok()?.ok()?;
            let open = (validator.control_stack_height() as usize).saturating_sub(1);
            if open > blocks.len() {
                blocks.push(next_block);
                next_block += 1;
            } else {
                blocks.truncate(open);
            }
        }
        let operator = reader.peek_operator(&validator.visitor(instruction)).ok()?;
        Some(Replay { validator, operator, blocks })
    }

    /// What the instruction at fault found and what it expected.
    fn refused_types(&mut self, instruction: u64) -> Option<(ValType, ValType)> {
        self.validator.resources().refused.set(None);
        self.validator.op(instruction, &self.operator).err()?;
        self.validator.resources().refused.get()
    }

    fn label_name(&self, names: &Names, depth: u32) -> String {
        let block = (self.blocks.len().checked_sub(depth as usize + 1)).map(|position| self.blocks[position]);
        let name = block.and_then(|block| names.labels.get(&(self.validator.index(), block)));
        name.cloned().unwrap_or_else(|| depth.to_string())
    }

    /// What a branch to a label takes.
    fn label_types(&self, depth: u32) -> Option<Vec<ValType>> {
        let Frame { kind, block_type, .. } = self.validator.get_control_frame(depth as usize)?;
        match *block_type {
            BlockType::Empty => Some(Vec::new()),
            BlockType::Type(_) if *kind == FrameKind::Loop => Some(Vec::new()),
            BlockType::Type(ty) => Some(vec![ty]),
            BlockType::FuncType(index) => {
                let CompositeInnerType::Func(ty) = &self.validator.resources().sub_type_at(index)?.composite_type.inner
                else {
                    return None;
                };
                Some(if *kind == FrameKind::Loop { ty.params() } else { ty.results() }.to_vec())
            }
        }
    }

    /// The first clause of a resume that does not fit, in words.
    fn wrong_clause(&self, describer: &Describer<'_>, resumed: u32, table: &ResumeTable) -> Option<WrongClause> {
        let resources = describer.resources;
        let resumed = describer.function_of_continuation(resources.sub_type_at(resumed)?)?;
        for handler in &table.handlers {
            match *handler {
                Handle::OnLabel { tag, label } => {
                    let tag_type = resources.tag_at(tag)?;
                    let given = self.label_types(label)?;
                    let continuation = given.last().and_then(|ty| describer.defined_type(*ty));
                    let function =
                        continuation.and_then(|id| describer.function_of_continuation(resources.sub_type_at_id(id)));
                    let payload = &given[..given.len().saturating_sub(1)];
                    let fits = function.is_some_and(|function| {
                        are_subtypes(resources, tag_type.params(), payload)
                            && are_subtypes(resources, function.params(), tag_type.results())
                            && are_subtypes(resources, resumed.results(), function.results())
                    });
                    if fits {
                        continue;
                    }
                    let mut wanted: Vec<String> =
                        tag_type.params().iter().map(|ty| describer.value_type(*ty)).collect();
                    wanted.push("(ref $k)".to_string());
                    let mut message = format!(
                        "type mismatch in handler (on {} {}): the label takes {}",
                        describer.names.tag_name(tag),
                        self.label_name(describer.names, label),
                        describer.value_types(&given),
                    );
                    match (continuation, function) {
                        (Some(id), Some(function)) => message.push_str(&format!(
                            ", where {} is a continuation of {}",
                            describer.defined_type_name(id),
                            describer.function_type(function.params(), function.results())
                        )),
                        (Some(id), None) => message
                            .push_str(&format!(", where {} is no continuation type", describer.defined_type_name(id))),
                        (None, _) => {}
                    }
                    message.push_str(&format!(
                        "; it has to take [{}], where $k is a continuation of {}",
                        wanted.join(" "),
                        describer.function_type(tag_type.results(), resumed.results())
                    ));
                    return Some(WrongClause { message, rule: rules::HANDLER });
                }
                Handle::OnSwitch { tag } => {
                    let tag_type = resources.tag_at(tag)?;
                    let fits = tag_type.params().is_empty()
                        && are_subtypes(resources, tag_type.results(), resumed.results())
                        && are_subtypes(resources, resumed.results(), tag_type.results());
                    if !fits {
                        let message = format!(
                            "type mismatch in handler (on {} switch): the tag's type is {}, and has to be {}",
                            describer.names.tag_name(tag),
                            describer.function_type(tag_type.params(), tag_type.results()),
                            describer.function_type(&[], resumed.results())
                        );
                        return Some(WrongClause { message, rule: rules::SWITCH_HANDLER });
                    }
                }
            }
        }
        None
    }
}

/// A clause that does not fit, and the rule that it breaks.
struct WrongClause {
    message: String,
    rule: &'static str,
}

fn are_subtypes(resources: &ValidatorResources, types: &[ValType], of: &[ValType]) -> bool {
    types.len() == of.len() && types.iter().zip(of).all(|(ty, of)| resources.is_subtype(*ty, *of))
}

/// Types in the words of the module.
pub struct Describer<'a> {
    resources: &'a ValidatorResources,
    names: &'a Names,
    /// The indices at which the module defines a type, found out when the first is asked for.
    indices: OnceCell<FxHashMap<CoreTypeId, Vec<u32>>>,
}

impl<'a> Describer<'a> {
    /// Of the module that these resources are of.
    pub fn new(resources: &'a ValidatorResources, names: &'a Names) -> Self {
        Self { resources, names, indices: OnceCell::new() }
    }

    fn value_type(&self, ty: ValType) -> String {
        let ValType::Ref(reference) = ty else { return ty.to_string() };
        let Some(id) = self.defined_type(ty) else { return ty.to_string() };
        let null = if reference.is_nullable() { "null " } else { "" };
        let name = self.defined_type_name(id);
        match reference.heap_type() {
            HeapType::Exact(_) => format!("(ref {null}(exact {name}))"),
            _ => format!("(ref {null}{name})"),
        }
    }

    fn value_types(&self, types: &[ValType]) -> String {
        let types: Vec<String> = types.iter().map(|ty| self.value_type(*ty)).collect();
        format!("[{}]", types.join(" "))
    }

    fn function_type(&self, parameters: &[ValType], results: &[ValType]) -> String {
        format!("{} -> {}", self.value_types(parameters), self.value_types(results))
    }

    /// The defined type that a reference is to.
    fn defined_type(&self, ty: ValType) -> Option<CoreTypeId> {
        let ValType::Ref(reference) = ty else { return None };
        match reference.heap_type() {
            HeapType::Concrete(UnpackedIndex::Id(id)) | HeapType::Exact(UnpackedIndex::Id(id)) => Some(id),
            _ => None,
        }
    }

    /// The first of a type's names: definitions that are alike are one type.
    fn defined_type_name(&self, id: CoreTypeId) -> String {
        self.indices(id).first().map_or_else(|| UNNAMED_TYPE.to_string(), |index| self.names.type_name(*index))
    }

    /// The indices at which the module defines a type.
    fn indices(&self, id: CoreTypeId) -> &[u32] {
        let indices = self.indices.get_or_init(|| {
            let mut indices: FxHashMap<CoreTypeId, Vec<u32>> = FxHashMap::default();
            for index in (0..).take_while(|index| self.resources.sub_type_at(*index).is_some()) {
                let mut ty = HeapType::Concrete(UnpackedIndex::Module(index));
                if self.resources.check_heap_type(&mut ty, 0).is_ok()
                    && let HeapType::Concrete(UnpackedIndex::Id(id)) = ty
                {
                    indices.entry(id).or_default().push(index);
                }
            }
            indices
        });
        indices.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Says of types that have several names that these are names of one type: the source may have another one than the message.
    fn other_names(&self, types: [ValType; 2]) -> String {
        let mut ids: Vec<CoreTypeId> = types.into_iter().filter_map(|ty| self.defined_type(ty)).collect();
        ids.dedup();
        let mut text = String::new();
        for id in ids {
            let names: Vec<String> =
                self.indices(id).iter().take(MAX_NAMES_OF_A_TYPE).map(|index| self.names.type_name(*index)).collect();
            if names.len() > 1 {
                text.push_str(&format!(" ({} are one type)", names.join(" and ")));
            }
        }
        text
    }

    fn function_of_continuation<'b>(&'b self, ty: &SubType) -> Option<&'b FuncType> {
        let CompositeInnerType::Cont(continuation) = &ty.composite_type.inner else { return None };
        match &self.resources.sub_type_at_id(continuation.0.as_core_type_id()?).composite_type.inner {
            CompositeInnerType::Func(function) => Some(function),
            _ => None,
        }
    }

    fn is_of_a_continuation(&self, ty: ValType) -> bool {
        let ValType::Ref(reference) = ty else { return false };
        self.resources.top_type(&reference.heap_type()) == RefType::CONTREF.heap_type()
    }
}

/// A module's resources, and the last two types of which the first was to be a subtype of the second and is not.
struct Recorder {
    resources: ValidatorResources,
    refused: Cell<Option<(ValType, ValType)>>,
}

impl WasmModuleResources for Recorder {
    fn is_subtype(&self, a: ValType, b: ValType) -> bool {
        let is_subtype = self.resources.is_subtype(a, b);
        if !is_subtype {
            self.refused.set(Some((a, b)));
        }
        is_subtype
    }

    fn table_at(&self, at: u32) -> Option<TableType> {
        self.resources.table_at(at)
    }

    fn memory_at(&self, at: u32) -> Option<MemoryType> {
        self.resources.memory_at(at)
    }

    fn tag_at(&self, at: u32) -> Option<&FuncType> {
        self.resources.tag_at(at)
    }

    fn global_at(&self, at: u32) -> Option<GlobalType> {
        self.resources.global_at(at)
    }

    fn sub_type_at(&self, type_index: u32) -> Option<&SubType> {
        self.resources.sub_type_at(type_index)
    }

    fn sub_type_at_id(&self, id: CoreTypeId) -> &SubType {
        self.resources.sub_type_at_id(id)
    }

    fn type_id_of_function(&self, function: u32) -> Option<CoreTypeId> {
        self.resources.type_id_of_function(function)
    }

    fn type_index_of_function(&self, function: u32) -> Option<u32> {
        self.resources.type_index_of_function(function)
    }

    fn element_type_at(&self, at: u32) -> Option<RefType> {
        self.resources.element_type_at(at)
    }

    fn is_shared(&self, ty: RefType) -> bool {
        self.resources.is_shared(ty)
    }

    fn check_heap_type(&self, heap_type: &mut HeapType, offset: u64) -> Result<(), Error> {
        self.resources.check_heap_type(heap_type, offset)
    }

    fn top_type(&self, heap_type: &HeapType) -> HeapType {
        self.resources.top_type(heap_type)
    }

    fn element_count(&self) -> u32 {
        self.resources.element_count()
    }

    fn data_count(&self) -> Option<u32> {
        self.resources.data_count()
    }

    fn is_function_referenced(&self, function: u32) -> bool {
        self.resources.is_function_referenced(function)
    }

    fn has_function_exact_type(&self, function: u32) -> bool {
        self.resources.has_function_exact_type(function)
    }
}
