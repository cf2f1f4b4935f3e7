//! Bodies in SSA form as text, for debugging and messages. There is no reader for it.

use crate::entity::Entity;
use crate::func::{Block, BlockCall, Func, Handler, Inst, OperatorId, SourceLocal, Terminator, Value};
use crate::opcode::Opcode;
use std::fmt::{Display, Formatter, Result};
use wasmparser::{
    AbstractHeapType, BlockType, BrTable, Catch, Handle, HeapType, Ieee32, Ieee64, MemArg, MemArgOrdering,
    MemArgTarget, Operator, Ordering, RefType, ResumeTable, TryTable, UnpackedIndex, V128, ValType,
};

/// A value type in the text format, with types of the module by their ids: `(ref null type3)`.
#[derive(Copy, Clone, Debug)]
pub struct TypeText(pub ValType);

impl Display for TypeText {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0 {
            ValType::I32 => f.write_str("i32"),
            ValType::I64 => f.write_str("i64"),
            ValType::F32 => f.write_str("f32"),
            ValType::F64 => f.write_str("f64"),
            ValType::V128 => f.write_str("v128"),
            ValType::Ref(reference) => {
                let null = if reference.is_nullable() { "null " } else { "" };
                write!(f, "(ref {null}{})", HeapTypeText(reference.heap_type()))
            }
        }
    }
}

struct HeapTypeText(HeapType);

impl Display for HeapTypeText {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0 {
            HeapType::Concrete(index) => TypeIndexText(index).fmt(f),
            HeapType::Exact(index) => write!(f, "(exact {})", TypeIndexText(index)),
            HeapType::Abstract { shared: true, ty } => write!(f, "(shared {})", abstract_name(ty)),
            HeapType::Abstract { shared: false, ty } => f.write_str(abstract_name(ty)),
        }
    }
}

struct TypeIndexText(UnpackedIndex);

impl Display for TypeIndexText {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0 {
            UnpackedIndex::Module(number) => write!(f, "type{number}"),
            UnpackedIndex::RecGroup(number) => write!(f, "rec{number}"),
            UnpackedIndex::Id(id) => write!(f, "{id:?}"),
        }
    }
}

fn abstract_name(ty: AbstractHeapType) -> &'static str {
    match ty {
        AbstractHeapType::Func => "func",
        AbstractHeapType::Extern => "extern",
        AbstractHeapType::Any => "any",
        AbstractHeapType::None => "none",
        AbstractHeapType::NoExtern => "noextern",
        AbstractHeapType::NoFunc => "nofunc",
        AbstractHeapType::Eq => "eq",
        AbstractHeapType::Struct => "struct",
        AbstractHeapType::Array => "array",
        AbstractHeapType::I31 => "i31",
        AbstractHeapType::Exn => "exn",
        AbstractHeapType::NoExn => "noexn",
        AbstractHeapType::Cont => "cont",
        AbstractHeapType::NoCont => "nocont",
    }
}

/// An operator with its immediates.
#[derive(Copy, Clone, Debug)]
pub struct OperatorText<'a>(pub &'a Operator<'static>);

/// A field of an operator, by its name in wasmparser's table.
trait Field {
    fn print(&self, name: &str, f: &mut Formatter<'_>) -> Result;
}

macro_rules! define_print_operator {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        impl Display for OperatorText<'_> {
            fn fmt(&self, f: &mut Formatter<'_>) -> Result {
                f.write_str(Opcode::of(self.0).name())?;
                match self.0 {
                    $(Operator::$op $({ $($arg),* })? => { $($($arg.print(stringify!($arg), f)?;)*)? })*
                    _ => unreachable!("an operator that for_each_operator! does not list"),
                }
                Ok(())
            }
        }
    };
}
wasmparser::for_each_operator!(define_print_operator);

impl Field for u32 {
    fn print(&self, name: &str, f: &mut Formatter<'_>) -> Result {
        let id = match name {
            "function_index" => "func",
            "global_index" => "global",
            "tag_index" => "tag",
            "table" | "table_index" | "dst_table" | "src_table" => "table",
            "mem" | "dst_mem" | "src_mem" => "memory",
            "elem_index" | "array_elem_index" => "elem",
            "data_index" | "array_data_index" => "data",
            "argument_index" | "result_index" => "type",
            // Labels have no meaning in the IR.
            "relative_depth" => return Ok(()),
            name if name.contains("type_index") => "type",
            _ => "",
        };
        write!(f, " {id}{self}")
    }
}

macro_rules! fields_that_display {
    ($($ty:ty)*) => {$(impl Field for $ty {
        fn print(&self, _: &str, f: &mut Formatter<'_>) -> Result { write!(f, " {self}") }
    })*};
}
fields_that_display!(u8 i32 i64);

impl Field for Ieee32 {
    fn print(&self, _: &str, f: &mut Formatter<'_>) -> Result {
        print_float(f32::from_bits(self.bits()).is_nan(), f32::from_bits(self.bits()), self.bits(), f)
    }
}

impl Field for Ieee64 {
    fn print(&self, _: &str, f: &mut Formatter<'_>) -> Result {
        print_float(f64::from_bits(self.bits()).is_nan(), f64::from_bits(self.bits()), self.bits(), f)
    }
}

/// The bits of a NaN matter; those of other numbers follow from their shortest decimal form.
fn print_float(
    is_nan: bool,
    number: impl std::fmt::Debug,
    bits: impl std::fmt::LowerHex,
    f: &mut Formatter<'_>,
) -> Result {
    if is_nan { write!(f, " nan:{bits:#x}") } else { write!(f, " {number:?}") }
}

impl Field for V128 {
    fn print(&self, _: &str, f: &mut Formatter<'_>) -> Result {
        write!(f, " {:#034x}", self.i128())
    }
}

impl Field for [u8; 16] {
    fn print(&self, _: &str, f: &mut Formatter<'_>) -> Result {
        self.iter().try_for_each(|lane| write!(f, " {lane}"))
    }
}

impl Field for Ordering {
    fn print(&self, _: &str, f: &mut Formatter<'_>) -> Result {
        print_ordering(*self, f)
    }
}

fn print_ordering(ordering: Ordering, f: &mut Formatter<'_>) -> Result {
    match ordering {
        // It is what is meant where nothing is said.
        Ordering::SeqCst => Ok(()),
        Ordering::AcqRel => f.write_str(" acq_rel"),
    }
}

impl Field for ValType {
    fn print(&self, _: &str, f: &mut Formatter<'_>) -> Result {
        write!(f, " {}", TypeText(*self))
    }
}

impl Field for RefType {
    fn print(&self, _: &str, f: &mut Formatter<'_>) -> Result {
        write!(f, " {}", TypeText(ValType::Ref(*self)))
    }
}

impl Field for HeapType {
    fn print(&self, _: &str, f: &mut Formatter<'_>) -> Result {
        write!(f, " {}", HeapTypeText(*self))
    }
}

impl Field for Vec<ValType> {
    fn print(&self, _: &str, f: &mut Formatter<'_>) -> Result {
        self.iter().try_for_each(|ty| write!(f, " {}", TypeText(*ty)))
    }
}

impl Field for MemArg {
    fn print(&self, _: &str, f: &mut Formatter<'_>) -> Result {
        let Self { align, max_align, offset, target, ordering } = self;
        match target {
            MemArgTarget::Memory(0) => {}
            MemArgTarget::Memory(memory) => write!(f, " memory{memory}")?,
            MemArgTarget::Array(ty) => write!(f, " type{ty}")?,
        }
        if let Some(ordering) = ordering {
            let (MemArgOrdering::Op(ordering) | MemArgOrdering::Rmw(ordering)) = *ordering;
            print_ordering(ordering, f)?;
        }
        if *offset != 0 {
            write!(f, " offset={offset}")?;
        }
        if align != max_align {
            write!(f, " align={}", 1u64 << align)?;
        }
        Ok(())
    }
}

impl Field for BlockType {
    fn print(&self, _: &str, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Empty => Ok(()),
            Self::Type(ty) => write!(f, " (result {})", TypeText(*ty)),
            Self::FuncType(index) => write!(f, " type{index}"),
        }
    }
}

impl Field for BrTable<'_> {
    fn print(&self, _: &str, f: &mut Formatter<'_>) -> Result {
        write!(f, " {} targets", self.len())
    }
}

impl Field for TryTable {
    fn print(&self, name: &str, f: &mut Formatter<'_>) -> Result {
        self.ty.print(name, f)?;
        self.catches.iter().try_for_each(|catch| match catch {
            Catch::One { tag, label } => write!(f, " (catch tag{tag} {label})"),
            Catch::OneRef { tag, label } => write!(f, " (catch_ref tag{tag} {label})"),
            Catch::All { label } => write!(f, " (catch_all {label})"),
            Catch::AllRef { label } => write!(f, " (catch_all_ref {label})"),
        })
    }
}

impl Field for ResumeTable {
    fn print(&self, _: &str, f: &mut Formatter<'_>) -> Result {
        // In the IR, handlers belong to the `Invoke`, and this table is empty.
        self.handlers.iter().try_for_each(|handler| match handler {
            Handle::OnLabel { tag, label } => write!(f, " (on tag{tag} {label})"),
            Handle::OnSwitch { tag } => write!(f, " (on tag{tag} switch)"),
        })
    }
}

/// Values separated by commas.
struct Values<'a>(&'a [Value]);

impl Display for Values<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.0.iter().enumerate().try_for_each(|(index, value)| {
            if index > 0 {
                f.write_str(", ")?;
            }
            value.fmt(f)
        })
    }
}

impl Display for BlockCall {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.block.fmt(f)?;
        if self.args.is_empty() { Ok(()) } else { write!(f, "({})", Values(&self.args)) }
    }
}

impl Display for Handler {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Suspension { tag, block } => write!(f, "(on {tag} {block})"),
            Self::Switch { tag } => write!(f, "(on {tag} switch)"),
            Self::Catch { tag, block } => write!(f, "(catch {tag} {block})"),
            Self::CatchRef { tag, block } => write!(f, "(catch_ref {tag} {block})"),
            Self::CatchAll { block } => write!(f, "(catch_all {block})"),
            Self::CatchAllRef { block } => write!(f, "(catch_all_ref {block})"),
        }
    }
}

impl Func {
    /// One instruction as text: `v3 = i32.add v1, v2`.
    pub fn inst_text(&self, inst: Inst) -> impl Display + '_ {
        std::fmt::from_fn(move |f| {
            let mut results = self.inst_results(inst);
            if let Some(first) = results.next() {
                self.print_definition(first, f)?;
                results.try_for_each(|result| {
                    f.write_str(", ")?;
                    self.print_definition(result, f)
                })?;
                f.write_str(" = ")?;
            }
            self.print_application(self.operator_id(inst), self.operands(inst), f)
        })
    }

    /// The terminator of a block as text.
    pub fn terminator_text(&self, block: Block) -> impl Display + '_ {
        std::fmt::from_fn(move |f| self.print_terminator(&self.blocks[block].terminator, f))
    }

    /// A block as text, with its instructions and terminator.
    pub fn block_text(&self, block: Block) -> impl Display + '_ {
        std::fmt::from_fn(move |f| {
            let data = &self.blocks[block];
            write!(f, "{block}(")?;
            for (index, &param) in data.params.iter().enumerate() {
                if index > 0 {
                    f.write_str(", ")?;
                }
                self.print_definition(param, f)?;
            }
            writeln!(f, "):")?;
            for &inst in &data.insts {
                writeln!(f, "    {}", self.inst_text(inst))?;
            }
            writeln!(f, "    {}", self.terminator_text(block))
        })
    }

    fn print_definition(&self, value: Value, f: &mut Formatter<'_>) -> Result {
        write!(f, "{value}: {}", TypeText(self.value_type(value)))?;
        match self.source_locals[value] {
            None => Ok(()),
            Some(local) => match self.local_names.get(local.index()) {
                Some(Some(name)) => write!(f, " ${name}"),
                _ => write!(f, " {}", SourceLocal::from_index(local.index())),
            },
        }
    }

    fn print_application(&self, operator: OperatorId, operands: &[Value], f: &mut Formatter<'_>) -> Result {
        write!(f, "{}", OperatorText(&self.operators[operator]))?;
        if operands.is_empty() { Ok(()) } else { write!(f, " {}", Values(operands)) }
    }

    fn print_terminator(&self, terminator: &Terminator, f: &mut Formatter<'_>) -> Result {
        match terminator {
            Terminator::Missing => f.write_str("(missing)"),
            Terminator::Unreachable => f.write_str("unreachable"),
            Terminator::Jump(target) => write!(f, "jump {target}"),
            Terminator::Branch { condition, then_target, else_target, likely } => {
                write!(f, "branch {condition}, {then_target}, {else_target}")?;
                match likely {
                    None => Ok(()),
                    Some(true) => f.write_str(" (likely)"),
                    Some(false) => f.write_str(" (unlikely)"),
                }
            }
            Terminator::Switch { index, targets, default } => {
                write!(f, "switch {index}, [")?;
                for (number, target) in targets.iter().enumerate() {
                    let separator = if number > 0 { ", " } else { "" };
                    write!(f, "{separator}{target}")?;
                }
                write!(f, "], {default}")
            }
            Terminator::Return(values) if values.is_empty() => f.write_str("return"),
            Terminator::Return(values) => write!(f, "return {}", Values(values)),
            Terminator::TailCall { operator, args } => self.print_application(*operator, args, f),
            Terminator::Invoke(invoke) => {
                f.write_str("invoke ")?;
                self.print_application(invoke.operator, &invoke.args, f)?;
                if let Some(normal) = invoke.normal {
                    write!(f, ", {normal}")?;
                }
                invoke.handlers.iter().try_for_each(|handler| write!(f, " {handler}"))
            }
            Terminator::BranchOnReference { operator, reference, taken, not_taken } => {
                self.print_application(*operator, &[*reference], f)?;
                write!(f, ", {taken}, {not_taken}")
            }
        }
    }
}

impl Display for Func {
    /// The whole body. Blocks that cannot be reached are left out.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "func {}", self.ty)?;
        if !self.results.is_empty() {
            f.write_str(" ->")?;
            self.results.iter().try_for_each(|ty| write!(f, " {}", TypeText(*ty)))?;
        }
        writeln!(f, " {{")?;
        let reachable = self.reachable_blocks();
        for block in self.blocks.keys().filter(|block| reachable[block.index()]) {
            write!(f, "{}", self.block_text(block))?;
        }
        writeln!(f, "}}")
    }
}

#[cfg(test)]
mod tests {
    use crate::module::Body;
    use crate::parse::{ParseOptions, parse_module};

    #[test]
    fn a_body_prints_with_types_names_immediates_and_edges() {
        let wat = "(module (memory 1) (memory 1) (tag $t (param i32)) (func $f (param $n i32) (result i32)
            (block $caught (result i32)
              (try_table (result i32) (catch $t $caught)
                (call $f (i32.load 1 offset=4 align=1 (local.get $n)))))
            i32.eqz
            (if (result i32) (then (i32.const 1)) (else (i32.const 2)))))";
        let module = parse_module(wat::parse_str(wat).unwrap(), &ParseOptions::default()).unwrap();
        let function = module.functions.values().next().unwrap();
        let Body::Lazy(body) = &function.body else { panic!("not lazy") };
        let func = crate::lift::lift_body(body, function.ty, &function.local_names).unwrap();
        let expected = "\
func type1 -> i32 {
block0(v0: i32 $n):
    v1: i32 = i32.load memory1 offset=4 align=1 v0
    invoke call func0 v1, block1 (catch tag0 block2)
block1(v2: i32):
    jump block3(v2)
block2(v3: i32):
    jump block3(v3)
block3(v4: i32):
    v5: i32 = i32.eqz v4
    branch v5, block4, block5
block4():
    v6: i32 = i32.const 1
    jump block6(v6)
block5():
    v7: i32 = i32.const 2
    jump block6(v7)
block6(v8: i32):
    return v8
}
";
        assert_eq!(func.to_string(), expected);
    }
}
