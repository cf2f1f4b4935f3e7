//! Which types did not fit in a definition outside of functions, where wasmparser's message does not name them.
//!
//! There is no validator of single constant expressions to ask, so this reads what was declared: the type of a constant expression is that of
//! its last instruction. Where that does not give the message that there was, the message stays.

use wasmparser::{
    ConstExpr, Element, ElementItems, ElementKind, GlobalType, HeapType, Operator, Parser, Payload, RefType, TableInit,
    TypeRef, UnpackedIndex, ValType,
};

use super::ValidationError;
use super::explain::{Names, UNNAMED_TYPE, unnamed};

/// Names the types in an error of a global, table or element segment.
pub fn name_types(error: &mut ValidationError, binary: &[u8], names: &Names) {
    if error.message.contains(UNNAMED_TYPE)
        && let Some(message) = named_message(error, binary, names)
    {
        error.message = message;
    }
}

/// What the definitions so far say of types.
#[derive(Default)]
struct Declared {
    /// The types of functions, by index.
    functions: Vec<u32>,
    globals: Vec<GlobalType>,
    tables: Vec<RefType>,
}

fn named_message(error: &ValidationError, binary: &[u8], names: &Names) -> Option<String> {
    let mut declared = Declared::default();
    for payload in Parser::new(0).parse_all(binary) {
        match payload.ok()? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    match import.ok()?.ty {
                        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => declared.functions.push(ty),
                        TypeRef::Global(ty) => declared.globals.push(ty),
                        TypeRef::Table(ty) => declared.tables.push(ty.element_type),
                        TypeRef::Memory(_) | TypeRef::Tag(_) => {}
                    }
                }
            }
            Payload::FunctionSection(section) => declared.functions.extend(section.into_iter().map_while(Result::ok)),
            Payload::TableSection(section) => {
                for table in section {
                    let table = table.ok()?;
                    declared.tables.push(table.ty.element_type);
                    if let TableInit::Expr(expression) = &table.init
                        && let Some(message) =
                            declared.of_constant(expression, ValType::Ref(table.ty.element_type), error, names)
                    {
                        return Some(message);
                    }
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    let global = global.ok()?;
                    if let Some(message) = declared.of_constant(&global.init_expr, global.ty.content_type, error, names)
                    {
                        return Some(message);
                    }
                    declared.globals.push(global.ty);
                }
            }
            Payload::ElementSection(section) => {
                let mut segments: Vec<(u64, Element<'_>)> = Vec::new();
                for segment in section.into_iter_with_offsets() {
                    segments.push(segment.ok()?);
                }
                return segments.iter().find_map(|(start, segment)| declared.of_segment(*start, segment, error, names));
            }
            _ => {}
        }
    }
    None
}

impl Declared {
    fn of_segment(&self, start: u64, segment: &Element<'_>, error: &ValidationError, names: &Names) -> Option<String> {
        let (ty, expressions) = match &segment.items {
            ElementItems::Expressions(ty, expressions) => (*ty, Some(expressions)),
            ElementItems::Functions(_) => (RefType::FUNC, None),
        };
        if let ElementKind::Active { table_index, .. } = &segment.kind
            && error.offset == start
        {
            let table = *self.tables.get(table_index.unwrap_or(0) as usize)?;
            let said = |name: &dyn Fn(ValType) -> String| {
                let (segment, table) = (name(ValType::Ref(ty)), name(ValType::Ref(table)));
                format!("type mismatch: invalid element type `{segment}` for table type `{table}`")
            };
            return (error.message == said(&unnamed)).then(|| said(&|ty| named(ty, names)));
        }
        let mut expressions = expressions?.clone().into_iter().map_while(Result::ok);
        expressions.find_map(|expression| self.of_constant(&expression, ValType::Ref(ty), error, names))
    }

    /// The message about a constant expression that gives another type than `expected`, if it is this one.
    fn of_constant(
        &self,
        expression: &ConstExpr<'_>,
        expected: ValType,
        error: &ValidationError,
        names: &Names,
    ) -> Option<String> {
        let mut reader = expression.get_operators_reader();
        let mut last = None;
        let (last, end) = loop {
            let (operator, position) = reader.read_with_offset().ok()?;
            if matches!(operator, Operator::End) {
                break (last?, position);
            }
            last = Some(operator);
        };
        let found = self.result(&last)?;
        let said = |name: &dyn Fn(ValType) -> String| {
            format!("type mismatch: expected {}, found {}", name(expected), name(found))
        };
        (error.offset == end && error.message == said(&unnamed)).then(|| said(&|ty| named(ty, names)))
    }

    fn result(&self, operator: &Operator<'_>) -> Option<ValType> {
        let reference = |nullable, index| {
            Some(ValType::Ref(RefType::new(nullable, HeapType::Concrete(UnpackedIndex::Module(index)))?))
        };
        match operator {
            Operator::I32Const { .. } => Some(ValType::I32),
            Operator::I64Const { .. } => Some(ValType::I64),
            Operator::F32Const { .. } => Some(ValType::F32),
            Operator::F64Const { .. } => Some(ValType::F64),
            Operator::RefI31 => Some(ValType::Ref(RefType::I31)),
            Operator::RefNull { hty } => Some(ValType::Ref(RefType::new(true, *hty)?)),
            Operator::RefFunc { function_index } => reference(false, *self.functions.get(*function_index as usize)?),
            Operator::GlobalGet { global_index } => Some(self.globals.get(*global_index as usize)?.content_type),
            Operator::StructNew { struct_type_index } | Operator::StructNewDefault { struct_type_index } => {
                reference(false, *struct_type_index)
            }
            Operator::ArrayNew { array_type_index }
            | Operator::ArrayNewDefault { array_type_index }
            | Operator::ArrayNewFixed { array_type_index, .. } => reference(false, *array_type_index),
            _ => None,
        }
    }
}

/// A value type as the module declares it, by name.
fn named(ty: ValType, names: &Names) -> String {
    let name = |index: UnpackedIndex| match index {
        UnpackedIndex::Module(index) => names.type_name(index),
        UnpackedIndex::RecGroup(_) | UnpackedIndex::Id(_) => UNNAMED_TYPE.to_string(),
    };
    let ValType::Ref(reference) = ty else { return ty.to_string() };
    let null = if reference.is_nullable() { "null " } else { "" };
    match reference.heap_type() {
        HeapType::Concrete(index) => format!("(ref {null}{})", name(index)),
        HeapType::Exact(index) => format!("(ref {null}(exact {}))", name(index)),
        HeapType::Abstract { .. } => ty.to_string(),
    }
}
