//! The form in which programs are generated and shrunk: a small typed tree.
//!
//! Invariants, which the generator keeps and the shrinker must not break (both are checked by validating the encoded module):
//! * a node leaves exactly the values of `results` on the operand stack and pops those that its `inputs` leave;
//! * labels are names, unique in their function, so that subtrees can be moved; [`super::encode`] turns them into depths;
//! * nothing here mentions fuel: the encoder adds the check to each function and each loop, so no edit of a tree can make it diverge;
//! * nothing unused is encoded: functions, types, tags, globals, tables, segments and locals that no edit has left a use of disappear by themselves.

use wasm_encoder::Instruction;

/// An index into [`Program::types`].
pub type TypeId = u32;
/// An index into [`Program::functions`].
pub type FunctionId = u32;
/// An index into [`Program::tags`].
pub type TagId = u32;
/// An index into [`Program::globals`].
pub type GlobalId = u32;
/// An index into [`Program::tables`].
pub type TableId = u32;
/// An index into [`Program::segments`].
pub type SegmentId = u32;
/// A branch target, unique in its function.
pub type Label = u32;
/// A parameter, or (after those) a local variable.
pub type Local = u32;

/// The type of a value.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ValueType {
    I32,
    I64,
    F32,
    F64,
    V128,
    Reference(Reference),
}

/// A reference type.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    pub nullable: bool,
    pub heap: Heap,
}

/// What a reference points to.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Heap {
    Func,
    Extern,
    Any,
    Eq,
    I31,
    Struct,
    Array,
    Exn,
    Type(TypeId),
}

impl ValueType {
    /// `(ref null heap)`.
    pub fn nullable(heap: Heap) -> Self {
        ValueType::Reference(Reference { nullable: true, heap })
    }

    /// `(ref heap)`.
    pub fn non_null(heap: Heap) -> Self {
        ValueType::Reference(Reference { nullable: false, heap })
    }

    /// Whether a local of this type starts with a value.
    pub fn is_defaultable(self) -> bool {
        !matches!(self, ValueType::Reference(Reference { nullable: false, .. }))
    }

    /// The type that this one points to, where it names one.
    pub fn pointee(self) -> Option<TypeId> {
        match self {
            ValueType::Reference(Reference { heap: Heap::Type(ty), .. }) => Some(ty),
            _ => None,
        }
    }
}

/// The parameters and results of a function, a continuation, a tag or a block.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Signature {
    pub params: Vec<ValueType>,
    pub results: Vec<ValueType>,
}

/// How a field is stored.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Storage {
    I8,
    I16,
    Value(ValueType),
}

impl Storage {
    /// The type of the field's value on the operand stack.
    pub fn unpacked(self) -> ValueType {
        match self {
            Storage::I8 | Storage::I16 => ValueType::I32,
            Storage::Value(ty) => ty,
        }
    }
}

/// A defined type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TypeDefinition {
    Function(Signature),
    Continuation(TypeId),
    /// All fields are mutable and have a default.
    Struct(Vec<Storage>),
    Array(Storage),
}

/// A tag; which of `suspend`, `switch` and `throw` use it, its uses say.
#[derive(Clone, Debug)]
pub struct Tag {
    pub signature: Signature,
    pub exported: bool,
}

/// What a global starts with.
#[derive(Clone, Debug)]
pub enum Initial {
    /// Zero or null.
    Zero,
    I32(i32),
    I64(i64),
    F64(f64),
    /// `ref.func`; the type of the global says whether it is typed.
    Function(FunctionId),
    I31(i32),
}

/// A global.
#[derive(Clone, Debug)]
pub struct Global {
    pub ty: ValueType,
    pub mutable: bool,
    pub initial: Initial,
    pub exported: bool,
}

/// A table; its elements are nullable and start null.
#[derive(Clone, Debug)]
pub struct Table {
    pub element: Heap,
    pub minimum: u32,
    pub maximum: u32,
    pub exported: bool,
}

/// An element segment: functions, or nulls.
#[derive(Clone, Debug)]
pub struct Segment {
    pub element: Heap,
    pub items: Vec<Option<FunctionId>>,
    /// The table and offset of an active segment.
    pub active: Option<(TableId, u32)>,
}

/// What the host provides: the trace, and references that only a host can make.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostFunction {
    LogI32,
    LogI64,
    LogF32,
    LogF64,
    LogV128,
    LogExtern,
    MakeExtern,
    /// Called in instrumented encodings only: see [`super::coverage`].
    Cover,
}

impl HostFunction {
    /// All of them.
    pub const ALL: [HostFunction; 8] = [
        HostFunction::LogI32,
        HostFunction::LogI64,
        HostFunction::LogF32,
        HostFunction::LogF64,
        HostFunction::LogV128,
        HostFunction::LogExtern,
        HostFunction::MakeExtern,
        HostFunction::Cover,
    ];

    /// The name under which module `host` provides it.
    pub fn name(self) -> &'static str {
        match self {
            HostFunction::LogI32 => "log_i32",
            HostFunction::LogI64 => "log_i64",
            HostFunction::LogF32 => "log_f32",
            HostFunction::LogF64 => "log_f64",
            HostFunction::LogV128 => "log_v128",
            HostFunction::LogExtern => "log_extern",
            HostFunction::MakeExtern => "make_extern",
            HostFunction::Cover => "cover",
        }
    }

    /// Its parameters and results.
    pub fn signature(self) -> Signature {
        let log = |ty| Signature { params: vec![ty], results: vec![] };
        match self {
            HostFunction::LogI32 => log(ValueType::I32),
            HostFunction::LogI64 => log(ValueType::I64),
            HostFunction::LogF32 => log(ValueType::F32),
            HostFunction::LogF64 => log(ValueType::F64),
            HostFunction::LogV128 => log(ValueType::V128),
            HostFunction::LogExtern => log(ValueType::nullable(Heap::Extern)),
            HostFunction::MakeExtern => {
                Signature { params: vec![ValueType::I32], results: vec![ValueType::nullable(Heap::Extern)] }
            }
            HostFunction::Cover => {
                Signature { params: vec![ValueType::I32, ValueType::I32], results: vec![ValueType::I32] }
            }
        }
    }
}

/// A clause of a `resume`.
#[derive(Copy, Clone, Debug)]
pub enum Handler {
    Suspend(TagId, Label),
    Switch(TagId),
}

/// A clause of a `try_table`.
#[derive(Copy, Clone, Debug)]
pub enum CatchClause {
    One(TagId, Label),
    OneReference(TagId, Label),
    All(Label),
    AllReference(Label),
}

impl CatchClause {
    /// Where it branches.
    pub fn label(self) -> Label {
        match self {
            CatchClause::One(_, label)
            | CatchClause::OneReference(_, label)
            | CatchClause::All(label)
            | CatchClause::AllReference(label) => label,
        }
    }
}

/// What a node does. Comments name what `inputs` and `bodies` mean where it is not plain.
#[derive(Clone, Debug)]
pub enum Op {
    /// An instruction that mentions no index and no label.
    Plain(Instruction<'static>),
    /// A default value for each result: zero, null, or a fresh referent.
    Default,
    LocalGet(Local),
    LocalSet(Local),
    LocalTee(Local),
    /// The local's value, which it gives up: it becomes null.
    TakeLocal(Local),
    /// Stores all results of the inputs, dropping those without a destination.
    Assign(Vec<Option<Local>>),
    GlobalGet(GlobalId),
    GlobalSet(GlobalId),
    TakeGlobal(GlobalId),
    TableGet(TableId),
    TableSet(TableId),
    /// The element at the index that the local holds; the slot becomes null.
    TakeTable(TableId, Local),
    TableSize(TableId),
    TableGrow(TableId),
    TableFill(TableId),
    TableCopy {
        destination: TableId,
        source: TableId,
    },
    TableInit(TableId, SegmentId),
    ElementDrop(SegmentId),
    Select(ValueType),
    RefNull(Heap),
    RefFunc(FunctionId),
    RefTest(Reference),
    RefCast(Reference),
    StructNew(TypeId),
    StructNewDefault(TypeId),
    StructGet(TypeId, u32),
    StructSet(TypeId, u32),
    ArrayNew(TypeId),
    ArrayNewFixed(TypeId, u32),
    ArrayGet(TypeId),
    ArraySet(TypeId),
    Host(HostFunction),
    Call(FunctionId),
    CallIndirect(TypeId, TableId),
    CallReference(TypeId),
    ReturnCall(FunctionId),
    ReturnCallIndirect(TypeId, TableId),
    ReturnCallReference(TypeId),
    ContNew(TypeId),
    ContBind {
        from: TypeId,
        to: TypeId,
    },
    Suspend(TagId),
    Resume(TypeId, Vec<Handler>),
    ResumeThrow(TypeId, TagId, Vec<Handler>),
    ResumeThrowReference(TypeId, Vec<Handler>),
    Switch(TypeId, TagId),
    Throw(TagId),
    /// One body, without a block around it: what the shrinker leaves of a block.
    Sequence,
    /// One body.
    Block(Label),
    /// One body. The inputs are the loop's arguments, as are the values of each branch to it; they are stored before the body runs.
    Loop(Label, Vec<ValueType>, Vec<Option<Local>>),
    /// Input: the condition. Two bodies.
    If,
    /// Two bodies, neither with results: the second runs after a branch to the label, whose values are stored first.
    Landing(Label, Vec<ValueType>, Vec<Option<Local>>),
    /// One body.
    TryTable(Vec<CatchClause>),
    Br(Label),
    BrIf(Label),
    BrTable(Vec<Label>, Label),
    BrOnNull(Label),
}

/// A node of a function's body.
#[derive(Clone, Debug)]
pub struct Node {
    pub op: Op,
    pub results: Vec<ValueType>,
    pub inputs: Vec<Node>,
    pub bodies: Vec<Vec<Node>>,
}

impl Node {
    /// A node with one result.
    pub fn value(op: Op, ty: ValueType, inputs: Vec<Node>) -> Self {
        Node { op, results: vec![ty], inputs, bodies: vec![] }
    }

    /// A node without results.
    pub fn statement(op: Op, inputs: Vec<Node>) -> Self {
        Node { op, results: vec![], inputs, bodies: vec![] }
    }

    /// A node with any results.
    pub fn values(op: Op, results: Vec<ValueType>, inputs: Vec<Node>) -> Self {
        Node { op, results, inputs, bodies: vec![] }
    }

    /// A control node.
    pub fn control(op: Op, results: Vec<ValueType>, inputs: Vec<Node>, bodies: Vec<Vec<Node>>) -> Self {
        Node { op, results, inputs, bodies }
    }

    /// `i32.const`.
    pub fn i32(value: i32) -> Self {
        Node::value(Op::Plain(Instruction::I32Const(value)), ValueType::I32, vec![])
    }

    /// `local.get`.
    pub fn local(local: Local, ty: ValueType) -> Self {
        Node::value(Op::LocalGet(local), ty, vec![])
    }

    /// `local.set`.
    pub fn set_local(local: Local, value: Node) -> Self {
        Node::statement(Op::LocalSet(local), vec![value])
    }

    /// Default values of the given types.
    pub fn default_of(results: Vec<ValueType>) -> Self {
        Node::values(Op::Default, results, vec![])
    }

    /// The number of nodes in this tree.
    pub fn size(&self) -> usize {
        1 + self.inputs.iter().map(Node::size).sum::<usize>()
            + self.bodies.iter().flatten().map(Node::size).sum::<usize>()
    }
}

/// A function.
#[derive(Clone, Debug)]
pub struct Function {
    pub name: String,
    pub ty: TypeId,
    /// Beyond the parameters.
    pub locals: Vec<ValueType>,
    pub body: Vec<Node>,
    pub exported: bool,
}

/// An argument of an invocation.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Argument {
    I32(i32),
    I64(i64),
    F32(f32),
    F64(f64),
}

/// A call of an exported function by the host.
#[derive(Clone, Debug)]
pub struct Invocation {
    pub function: FunctionId,
    pub arguments: Vec<Argument>,
}

/// A whole program: a module, and what the host does with it.
#[derive(Clone, Debug)]
pub struct Program {
    pub seed: u64,
    pub types: Vec<TypeDefinition>,
    pub tags: Vec<Tag>,
    pub globals: Vec<Global>,
    pub tables: Vec<Table>,
    pub segments: Vec<Segment>,
    pub functions: Vec<Function>,
    pub start: Option<FunctionId>,
    /// How many function entries and loop iterations run before every function returns at once.
    pub fuel: i32,
    pub invocations: Vec<Invocation>,
}

impl Program {
    /// The signature of a function or continuation type.
    pub fn signature(&self, ty: TypeId) -> &Signature {
        match &self.types[ty as usize] {
            TypeDefinition::Function(signature) => signature,
            TypeDefinition::Continuation(function) => self.signature(*function),
            other => panic!("type {ty} is neither a function nor a continuation type: {other:?}"),
        }
    }

    /// The number of nodes in all function bodies.
    pub fn size(&self) -> usize {
        self.functions.iter().flat_map(|function| &function.body).map(Node::size).sum()
    }
}
