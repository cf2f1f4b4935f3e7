//! What operators take and leave: counts and types.

use crate::module::{FunctionId, GlobalId, MemoryId, Module, TableId, TagId, TypeId};
use crate::opcode::Opcode;
use crate::subtype::type_id;
use smallvec::SmallVec;
use std::sync::LazyLock;
use wasmparser::{
    CompositeInnerType, FieldType, FuncType, HeapType, MemArg, MemArgTarget, Operator, RefType, UnpackedIndex, ValType,
};

/// A list of types that is stored in place.
pub type TypeVec = SmallVec<[ValType; 4]>;

/// The types that an operator takes and leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The types of the operands.
    pub params: TypeVec,
    /// The types of the results.
    pub results: TypeVec,
}

impl Signature {
    fn new(params: impl IntoIterator<Item = ValType>, results: impl IntoIterator<Item = ValType>) -> Self {
        Self { params: params.into_iter().collect(), results: results.into_iter().collect() }
    }
}

/// How many values operators pop and push, as far as their opcode says.
enum Arity {
    /// So many, whatever the immediates are.
    Fixed { pops: usize, pushes: usize },
    /// So many where a memory is accessed. An access to an array instead (multibyte array access) pops the array, too.
    MemoryAccess { pops: usize, pushes: usize },
    /// That depends on the module or on the labels around.
    Open,
}

macro_rules! define_arity {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        impl Arity {
            #[inline]
            const fn of(opcode: Opcode) -> Self {
                match opcode { $(Opcode::$op => define_arity!(@one $($ann)*)),* }
            }
        }
    };
    (@one arity custom) => { Self::Open };
    (@one arity memarg $pops:literal -> $pushes:literal) => { Self::MemoryAccess { pops: $pops, pushes: $pushes } };
    (@one arity $pops:literal -> $pushes:literal) => { Self::Fixed { pops: $pops, pushes: $pushes } };
}
wasmparser::for_each_operator!(define_arity);

/// How many values an operator pops and pushes; `None` where that depends on the module or on the labels around.
#[inline]
pub fn fixed_arity(operator: &Operator<'_>) -> Option<(usize, usize)> {
    match Arity::of(Opcode::of(operator)) {
        Arity::Fixed { pops, pushes } => Some((pops, pushes)),
        Arity::MemoryAccess { pops, pushes } => {
            let of_array = matches!(memarg_of(operator), Some(MemArg { target: MemArgTarget::Array(_), .. }));
            Some((pops + usize::from(of_array), pushes))
        }
        Arity::Open => None,
    }
}

/// The operand and result types of an operator, in the numbers of the module. `None` where they depend on the operands (`ref.as_non_null`,
/// `select` without a type, …), for structured control, and for operators that no accepted proposal has.
pub fn signature(module: &Module, operator: &Operator<'_>) -> Option<Signature> {
    if let Some(signature) = &NUMERIC[Opcode::of(operator) as usize] {
        return Some(signature.with_address(|| address_type(module, operator)));
    }
    let boolean = ValType::I32;
    Some(match *operator {
        Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
            let ty = func_type(module, module.functions.get(FunctionId::from_u32(function_index))?.ty)?;
            of_func_type(ty, &[])
        }
        Operator::CallIndirect { type_index, table_index }
        | Operator::ReturnCallIndirect { type_index, table_index } => {
            let ty = func_type(module, TypeId::from_u32(type_index))?;
            of_func_type(ty, &[table_index_type(module, table_index)?])
        }
        Operator::CallRef { type_index } | Operator::ReturnCallRef { type_index } => {
            let ty = func_type(module, TypeId::from_u32(type_index))?;
            of_func_type(ty, &[concrete(true, type_index)])
        }
        Operator::GlobalGet { global_index } => {
            Signature::new([], [module.globals.get(GlobalId::from_u32(global_index))?.ty.content_type])
        }
        Operator::GlobalSet { global_index } => {
            Signature::new([module.globals.get(GlobalId::from_u32(global_index))?.ty.content_type], [])
        }
        Operator::TypedSelect { ty } => Signature::new([ty, ty, boolean], [ty]),

        Operator::TableGet { table } => {
            Signature::new([table_index_type(module, table)?], [element_type(module, table)?])
        }
        Operator::TableSet { table } => {
            Signature::new([table_index_type(module, table)?, element_type(module, table)?], [])
        }
        Operator::TableSize { table } => Signature::new([], [table_index_type(module, table)?]),
        Operator::TableGrow { table } => {
            let index = table_index_type(module, table)?;
            Signature::new([element_type(module, table)?, index], [index])
        }
        Operator::TableFill { table } => {
            let index = table_index_type(module, table)?;
            Signature::new([index, element_type(module, table)?, index], [])
        }
        Operator::TableInit { table, .. } => {
            Signature::new([table_index_type(module, table)?, ValType::I32, ValType::I32], [])
        }
        Operator::TableCopy { dst_table, src_table } => {
            let (to, from) = (table_index_type(module, dst_table)?, table_index_type(module, src_table)?);
            Signature::new([to, from, smaller(to, from)], [])
        }
        Operator::MemorySize { mem } => Signature::new([], [memory_index_type(module, mem)?]),
        Operator::MemoryGrow { mem } => {
            let index = memory_index_type(module, mem)?;
            Signature::new([index], [index])
        }
        Operator::MemoryFill { mem } => {
            let index = memory_index_type(module, mem)?;
            Signature::new([index, ValType::I32, index], [])
        }
        Operator::MemoryInit { mem, .. } => {
            Signature::new([memory_index_type(module, mem)?, ValType::I32, ValType::I32], [])
        }
        Operator::MemoryCopy { dst_mem, src_mem } => {
            let (to, from) = (memory_index_type(module, dst_mem)?, memory_index_type(module, src_mem)?);
            Signature::new([to, from, smaller(to, from)], [])
        }
        Operator::DataDrop { .. } | Operator::ElemDrop { .. } | Operator::AtomicFence { .. } => Signature::new([], []),

        Operator::RefNull { hty } => Signature::new([], [reference(true, hty)?]),
        Operator::RefFunc { function_index } => {
            let function = module.functions.get(FunctionId::from_u32(function_index))?;
            Signature::new([], [concrete(false, function.ty.as_u32())])
        }
        Operator::RefEq => Signature::new([ValType::Ref(RefType::EQREF), ValType::Ref(RefType::EQREF)], [boolean]),
        Operator::RefI31 => Signature::new([ValType::I32], [ValType::Ref(RefType::I31)]),
        Operator::I31GetS | Operator::I31GetU => Signature::new([ValType::Ref(RefType::I31REF)], [ValType::I32]),
        Operator::StructNew { struct_type_index } => {
            let fields = struct_fields(module, struct_type_index)?;
            Signature::new(fields.iter().map(|field| field.element_type.unpack()), [concrete(false, struct_type_index)])
        }
        Operator::StructNewDefault { struct_type_index } => Signature::new([], [concrete(false, struct_type_index)]),
        Operator::StructGet { struct_type_index, field_index }
        | Operator::StructGetS { struct_type_index, field_index }
        | Operator::StructGetU { struct_type_index, field_index } => {
            let field = struct_fields(module, struct_type_index)?.get(field_index as usize)?;
            Signature::new([concrete(true, struct_type_index)], [field.element_type.unpack()])
        }
        Operator::StructSet { struct_type_index, field_index } => {
            let field = struct_fields(module, struct_type_index)?.get(field_index as usize)?;
            Signature::new([concrete(true, struct_type_index), field.element_type.unpack()], [])
        }
        Operator::ArrayNew { array_type_index } => {
            let element = array_element(module, array_type_index)?;
            Signature::new([element, ValType::I32], [concrete(false, array_type_index)])
        }
        Operator::ArrayNewDefault { array_type_index } => {
            Signature::new([ValType::I32], [concrete(false, array_type_index)])
        }
        Operator::ArrayNewFixed { array_type_index, array_size } => {
            let element = array_element(module, array_type_index)?;
            Signature::new((0..array_size).map(|_| element), [concrete(false, array_type_index)])
        }
        Operator::ArrayNewData { array_type_index, .. } | Operator::ArrayNewElem { array_type_index, .. } => {
            Signature::new([ValType::I32, ValType::I32], [concrete(false, array_type_index)])
        }
        Operator::ArrayGet { array_type_index }
        | Operator::ArrayGetS { array_type_index }
        | Operator::ArrayGetU { array_type_index } => {
            Signature::new([concrete(true, array_type_index), ValType::I32], [array_element(module, array_type_index)?])
        }
        Operator::ArraySet { array_type_index } => Signature::new(
            [concrete(true, array_type_index), ValType::I32, array_element(module, array_type_index)?],
            [],
        ),
        Operator::ArrayLen => Signature::new([ValType::Ref(RefType::ARRAYREF)], [ValType::I32]),
        Operator::ArrayFill { array_type_index } => {
            let element = array_element(module, array_type_index)?;
            Signature::new([concrete(true, array_type_index), ValType::I32, element, ValType::I32], [])
        }
        Operator::ArrayCopy { array_type_index_dst, array_type_index_src } => {
            let (to, from) = (concrete(true, array_type_index_dst), concrete(true, array_type_index_src));
            Signature::new([to, ValType::I32, from, ValType::I32, ValType::I32], [])
        }
        Operator::ArrayInitData { array_type_index, .. } | Operator::ArrayInitElem { array_type_index, .. } => {
            Signature::new([concrete(true, array_type_index), ValType::I32, ValType::I32, ValType::I32], [])
        }

        Operator::ContNew { cont_type_index } => {
            let function = cont_function(module, cont_type_index)?;
            Signature::new([concrete(true, function.as_u32())], [concrete(false, cont_type_index)])
        }
        Operator::ContBind { argument_index, result_index } => {
            let from = func_type(module, cont_function(module, argument_index)?)?.params();
            let to = func_type(module, cont_function(module, result_index)?)?.params();
            let bound = from.len().checked_sub(to.len())?;
            let params = from[..bound].iter().copied().chain([concrete(true, argument_index)]);
            Signature::new(params, [concrete(false, result_index)])
        }
        Operator::Suspend { tag_index } => of_func_type(tag_type(module, tag_index)?, &[]),
        Operator::Resume { cont_type_index, .. } => {
            let ty = func_type(module, cont_function(module, cont_type_index)?)?;
            of_func_type(ty, &[concrete(true, cont_type_index)])
        }
        Operator::ResumeThrow { cont_type_index, tag_index, .. } => {
            let ty = func_type(module, cont_function(module, cont_type_index)?)?;
            let payload = tag_type(module, tag_index)?.params().iter().copied();
            Signature::new(payload.chain([concrete(true, cont_type_index)]), ty.results().iter().copied())
        }
        Operator::ResumeThrowRef { cont_type_index, .. } => {
            let ty = func_type(module, cont_function(module, cont_type_index)?)?;
            let params = [ValType::Ref(RefType::EXNREF), concrete(true, cont_type_index)];
            Signature::new(params, ty.results().iter().copied())
        }
        Operator::Switch { cont_type_index, .. } => {
            // [t1* (ref null ct2)] of the continuation that is switched to; what comes back is what ct2 takes.
            let params = func_type(module, cont_function(module, cont_type_index)?)?.params();
            let (&ValType::Ref(back), params) = params.split_last()? else { return None };
            let (HeapType::Concrete(back) | HeapType::Exact(back)) = back.heap_type() else { return None };
            let results = func_type(module, cont_function(module, type_id(back).as_u32())?)?.params();
            let params = params.iter().copied().chain([concrete(true, cont_type_index)]);
            Signature::new(params, results.iter().copied())
        }
        Operator::Throw { tag_index } => Signature::new(tag_type(module, tag_index)?.params().iter().copied(), []),
        Operator::ThrowRef => Signature::new([ValType::Ref(RefType::EXNREF)], []),
        _ => return None,
    })
}

/// The function type with this id.
pub fn func_type(module: &Module, ty: TypeId) -> Option<&FuncType> {
    match &module.types.definitions.get(ty)?.sub_type.composite_type.inner {
        CompositeInnerType::Func(ty) => Some(ty),
        CompositeInnerType::Array(_) | CompositeInnerType::Struct(_) | CompositeInnerType::Cont(_) => None,
    }
}

/// The function type of a continuation type.
pub fn cont_function(module: &Module, cont_type: u32) -> Option<TypeId> {
    match &module.types.definitions.get(TypeId::from_u32(cont_type))?.sub_type.composite_type.inner {
        CompositeInnerType::Cont(ty) => Some(type_id(ty.0.unpack())),
        CompositeInnerType::Func(_) | CompositeInnerType::Array(_) | CompositeInnerType::Struct(_) => None,
    }
}

fn struct_fields(module: &Module, ty: u32) -> Option<&[FieldType]> {
    match &module.types.definitions.get(TypeId::from_u32(ty))?.sub_type.composite_type.inner {
        CompositeInnerType::Struct(ty) => Some(&ty.fields),
        CompositeInnerType::Func(_) | CompositeInnerType::Array(_) | CompositeInnerType::Cont(_) => None,
    }
}

fn array_element(module: &Module, ty: u32) -> Option<ValType> {
    match &module.types.definitions.get(TypeId::from_u32(ty))?.sub_type.composite_type.inner {
        CompositeInnerType::Array(ty) => Some(ty.0.element_type.unpack()),
        CompositeInnerType::Func(_) | CompositeInnerType::Struct(_) | CompositeInnerType::Cont(_) => None,
    }
}

fn tag_type(module: &Module, tag: u32) -> Option<&FuncType> {
    func_type(module, module.tags.get(TagId::from_u32(tag))?.ty)
}

fn of_func_type(ty: &FuncType, last: &[ValType]) -> Signature {
    Signature::new(ty.params().iter().chain(last).copied(), ty.results().iter().copied())
}

/// A reference to a defined type of the module.
pub fn concrete(nullable: bool, ty: u32) -> ValType {
    let heap = HeapType::Concrete(UnpackedIndex::Module(ty));
    ValType::Ref(RefType::new(nullable, heap).expect("a module has fewer types than a reference type can name"))
}

fn reference(nullable: bool, heap: HeapType) -> Option<ValType> {
    RefType::new(nullable, heap).map(ValType::Ref)
}

fn table_index_type(module: &Module, table: u32) -> Option<ValType> {
    let table = module.tables.get(TableId::from_u32(table))?;
    Some(if table.ty.table64 { ValType::I64 } else { ValType::I32 })
}

fn element_type(module: &Module, table: u32) -> Option<ValType> {
    Some(ValType::Ref(module.tables.get(TableId::from_u32(table))?.ty.element_type))
}

fn memory_index_type(module: &Module, memory: u32) -> Option<ValType> {
    let memory = module.memories.get(MemoryId::from_u32(memory))?;
    Some(if memory.ty.memory64 { ValType::I64 } else { ValType::I32 })
}

fn smaller(a: ValType, b: ValType) -> ValType {
    if a == ValType::I64 && b == ValType::I64 { ValType::I64 } else { ValType::I32 }
}

macro_rules! define_memarg_of {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        /// The memory argument of an operator that has one.
        pub fn memarg_of<'a>(operator: &'a Operator<'_>) -> Option<&'a MemArg> {
            match operator {
                $(Operator::$op $({ $($arg),* })? => {
                    $($(let _ = $arg;)*)?
                    define_memarg_of!(@find [$($($arg)*)?] [$($($arg)*)?])
                })*
                _ => unreachable!("an operator that for_each_operator! does not list"),
            }
        }
    };
    // It is always the first field.
    (@find [memarg $($rest:ident)*] [$memarg:ident $($others:ident)*]) => { Some($memarg) };
    (@find $($other:tt)*) => { None };
}
wasmparser::for_each_operator!(define_memarg_of);

fn address_type(module: &Module, operator: &Operator<'_>) -> ValType {
    match memarg_of(operator).map(|memarg| memarg.target) {
        Some(MemArgTarget::Memory(memory)) => memory_index_type(module, memory).unwrap_or(ValType::I32),
        Some(MemArgTarget::Array(_)) | None => ValType::I32,
    }
}

/// The signature of an operator on numbers and vectors, loads and stores included. Where an address is taken, it comes first.
#[derive(Clone, Debug, Default)]
struct NumericSignature {
    takes_address: bool,
    params: TypeVec,
    results: TypeVec,
}

impl NumericSignature {
    fn with_address(&self, address: impl FnOnce() -> ValType) -> Signature {
        let address = self.takes_address.then(address);
        Signature {
            params: address.into_iter().chain(self.params.iter().copied()).collect(),
            results: self.results.clone(),
        }
    }
}

/// By opcode. The names of the specification say it all: `t.op`, `t.op_source`, and what `op` does.
static NUMERIC: LazyLock<Vec<Option<NumericSignature>>> =
    LazyLock::new(|| Opcode::ALL.iter().map(|&opcode| numeric_signature(opcode)).collect());

fn numeric_signature(opcode: Opcode) -> Option<NumericSignature> {
    let (namespace, name) = opcode.name().split_once('.')?;
    match namespace {
        "i32" => scalar_signature(opcode, ValType::I32, name),
        "i64" => scalar_signature(opcode, ValType::I64, name),
        "f32" => scalar_signature(opcode, ValType::F32, name),
        "f64" => scalar_signature(opcode, ValType::F64, name),
        "v128" | "i8x16" | "i16x8" | "i32x4" => vector_signature(opcode, ValType::I32, name),
        "i64x2" => vector_signature(opcode, ValType::I64, name),
        "f32x4" => vector_signature(opcode, ValType::F32, name),
        "f64x2" => vector_signature(opcode, ValType::F64, name),
        "memory" => {
            let params: &[ValType] = match name {
                "atomic.notify" => &[ValType::I32],
                "atomic.wait32" => &[ValType::I32, ValType::I64],
                "atomic.wait64" => &[ValType::I64, ValType::I64],
                _ => return None,
            };
            Some(NumericSignature { takes_address: true, ..numeric(params, &[ValType::I32]) })
        }
        _ => None,
    }
}

fn numeric(params: &[ValType], results: &[ValType]) -> NumericSignature {
    NumericSignature { takes_address: false, params: params.into(), results: results.into() }
}

fn scalar_signature(opcode: Opcode, ty: ValType, name: &str) -> Option<NumericSignature> {
    let memory = |params: &[ValType], results: &[ValType]| {
        Some(NumericSignature { takes_address: true, ..numeric(params, results) })
    };
    let access = name.strip_prefix("atomic.").unwrap_or(name);
    if access.starts_with("load") {
        return memory(&[], &[ty]);
    }
    if access.starts_with("store") {
        return memory(&[ty], &[]);
    }
    if access.starts_with("rmw") {
        return if access.contains("cmpxchg") { memory(&[ty, ty], &[ty]) } else { memory(&[ty], &[ty]) };
    }
    let mut words = name.split('_');
    match words.next()? {
        "const" => return Some(numeric(&[], &[ty])),
        "eqz" => return Some(numeric(&[ty], &[ValType::I32])),
        "eq" | "ne" | "lt" | "gt" | "le" | "ge" => return Some(numeric(&[ty, ty], &[ValType::I32])),
        "wrap" | "extend" | "trunc" | "convert" | "demote" | "promote" | "reinterpret" => {
            let source = words.find_map(|word| match word {
                "i32" => Some(ValType::I32),
                "i64" => Some(ValType::I64),
                "f32" => Some(ValType::F32),
                "f64" => Some(ValType::F64),
                _ => None,
            });
            // `f32.trunc` rounds.
            return Some(numeric(&[source.unwrap_or(ty)], &[ty]));
        }
        _ => {}
    }
    homogeneous(opcode, ty)
}

fn vector_signature(opcode: Opcode, lane: ValType, name: &str) -> Option<NumericSignature> {
    let v128 = ValType::V128;
    if name.starts_with("load") || name.starts_with("store") {
        let vector = name.starts_with("store") || name.ends_with("_lane");
        let params: &[ValType] = if vector { &[v128] } else { &[] };
        let results: &[ValType] = if name.starts_with("store") { &[] } else { &[v128] };
        return Some(NumericSignature { takes_address: true, ..numeric(params, results) });
    }
    Some(match name {
        "any_true" | "all_true" | "bitmask" => numeric(&[v128], &[ValType::I32]),
        "splat" => numeric(&[lane], &[v128]),
        "extract_lane" | "extract_lane_s" | "extract_lane_u" => numeric(&[v128], &[lane]),
        "replace_lane" => numeric(&[v128, lane], &[v128]),
        "shl" | "shr_s" | "shr_u" => numeric(&[v128, ValType::I32], &[v128]),
        _ => return homogeneous(opcode, v128),
    })
}

/// As many operands and results as the operator has, all of one type.
fn homogeneous(opcode: Opcode, ty: ValType) -> Option<NumericSignature> {
    match Arity::of(opcode) {
        Arity::Fixed { pops, pushes } => Some(numeric(&vec![ty; pops], &vec![ty; pushes])),
        Arity::MemoryAccess { .. } | Arity::Open => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opcode::Opcode;
    use crate::parse::{ParseOptions, parse_module};
    use wasm_encoder::{CodeSection, Function, FunctionSection, Instruction, Module as Encoder, TypeSection};
    use wasmparser::{Validator, WasmFeatures};

    /// Signatures of operators without immediates are read off their names; wasmparser knows them by other means.
    #[test]
    fn signatures_of_operators_without_immediates_are_those_that_validate() {
        let empty = parse_module(&Encoder::new().finish()[..], &ParseOptions::default()).unwrap();
        let mut checked = 0;
        for operator in Opcode::ALL.iter().filter_map(|opcode| opcode.without_immediates()) {
            let Some(Signature { params, results }) = signature(&empty, &operator) else { continue };
            let encoded = |types: &[ValType]| -> Vec<wasm_encoder::ValType> {
                types.iter().map(|&ty| ty.try_into().unwrap()).collect()
            };
            let mut types = TypeSection::new();
            types.ty().function(encoded(&params), encoded(&results));
            let mut functions = FunctionSection::new();
            functions.function(0);
            let mut body = Function::new([]);
            (0..u32::try_from(params.len()).unwrap()).for_each(|local| {
                body.instruction(&Instruction::LocalGet(local));
            });
            body.instruction(&Instruction::try_from(operator.clone()).unwrap());
            body.instruction(&Instruction::End);
            let mut code = CodeSection::new();
            code.function(&body);
            let mut module = Encoder::new();
            module.section(&types).section(&functions).section(&code);
            let verdict = Validator::new_with_features(WasmFeatures::all()).validate_all(&module.finish()).map(|_| ());
            assert_eq!(verdict.err().map(|error| error.to_string()), None, "{operator:?}: {params:?} -> {results:?}");
            checked += 1;
        }
        assert!(checked > 300, "{checked}");
    }
}
