//! The tables that frames and handlers are called through. A function has a slot for each point at which it may be suspended, one after the other:
//! where functions have many, a segment that names the function of each slot is long, and the table is filled at the start instead.

use super::Lowering;
use super::builder::Builder;
use super::values::concrete_heap;
use crate::declarations::declare_function_references;
use crate::encoded_length::signed;
use wasmfx_ir::func::{Func, Terminator, ValueVec};
use wasmfx_ir::module::{ConstExpr, ElementItems, ElementKind, ElementSegment, FunctionId, TableId, TypeId};
use wasmfx_ir::wasmparser::{Operator, RefType, ValType, WasmFeatures};

/// About how many bytes an index of a function takes in a module that is large enough for any of this to matter.
const INDEX_BYTES: usize = 2;

/// What a start function costs besides what is in it: its type, its code's length, locals and end, the section, the call of the other one.
const START_BYTES: usize = 64;

/// Slots of one function, one after the other.
struct Run {
    first: usize,
    count: usize,
    function: FunctionId,
}

impl Run {
    /// The bytes of `table.fill` with its operands, and of the function's place in a segment that declares it.
    fn bytes(&self) -> usize {
        const OPCODES_AND_TABLE: usize = 1 + 1 + 1 + 3;
        let numbers = signed(self.first as i64) + signed(self.count as i64);
        OPCODES_AND_TABLE + numbers + 2 * INDEX_BYTES
    }
}

fn runs(functions: &[FunctionId]) -> Vec<Run> {
    let mut first = 0;
    let slots = functions.chunk_by(PartialEq::eq).map(|run| {
        first += run.len();
        Run { first: first - run.len(), count: run.len(), function: run[0] }
    });
    slots.collect()
}

impl Lowering<'_> {
    /// Gives a table of functions of one type its contents, in the way that takes fewer bytes.
    pub(super) fn fill_table(&mut self, table: u32, ty: u32, functions: &[FunctionId]) {
        let id = TableId::from_u32(table);
        let count = functions.len() as u64;
        self.module.tables[id].ty.initial = count;
        self.module.tables[id].ty.maximum = Some(count);
        let runs = runs(functions);
        let filled: usize = runs.iter().map(Run::bytes).sum();
        /// `ref.func` and `end`.
        const EXPRESSION_BYTES: usize = 2 + INDEX_BYTES;
        // What bodies refer to is declared in a segment, which came with bulk memory.
        let may_declare = self.module.features.contains(WasmFeatures::BULK_MEMORY);
        if may_declare && functions.len() * EXPRESSION_BYTES > filled + START_BYTES {
            self.fill_at_start(table, ty, &runs);
        } else if !functions.is_empty() {
            let offset = ConstExpr { operators: vec![Operator::I32Const { value: 0 }] };
            self.add_segment(ElementKind::Active { table: id, offset }, ty, functions);
        }
    }

    /// Puts a function before what the module starts with, which nothing of the module runs before.
    fn fill_at_start(&mut self, table: u32, ty: u32, runs: &[Run]) {
        let element = self.table_element(ty);
        let start_type = self.function_type(&[], &[]);
        let mut func = Func::new(start_type, &[], &[]);
        let builder = &mut Builder::new(&mut func);
        for run in runs {
            let number = |number: usize| u32::try_from(number).expect("slots are numbered by u32");
            let first = builder.i32(number(run.first));
            let operator = Operator::RefFunc { function_index: run.function.as_u32() };
            let function = builder.value(operator, &[], ValType::Ref(element));
            let count = builder.i32(number(run.count));
            builder.run(Operator::TableFill { table }, &[first, function, count]);
        }
        if let Some(start) = self.module.start {
            builder.run(Operator::Call { function_index: start.as_u32() }, &[]);
        }
        builder.end(Terminator::Return(ValueVec::new()));
        self.module.start = Some(self.add_function(func, "wasmfx.fill".to_owned()));
        declare_function_references(self.module);
    }

    fn table_element(&self, ty: u32) -> RefType {
        RefType::new(false, concrete_heap(TypeId::from_u32(ty))).expect("types are below wasm's limit")
    }

    /// Adds a segment of functions of one type; returns its number.
    pub(super) fn add_segment(&mut self, kind: ElementKind, ty: u32, functions: &[FunctionId]) -> u32 {
        let expression = |function: &FunctionId| ConstExpr {
            operators: vec![Operator::RefFunc { function_index: function.as_u32() }],
        };
        let items = ElementItems::Expressions(self.table_element(ty), functions.iter().map(expression).collect());
        self.module.elements.push(ElementSegment { kind, items, name: None, removed: false }).as_u32()
    }
}
