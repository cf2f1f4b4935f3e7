//! Tables of continuations under the memory store: arrays of handles in the runtime's memory, with the size and the traps of tables.

use super::builder::{Builder, build_before, memory_argument};
use super::store::{Kind, MemoryStore};
use super::{Error, Lowering, Runtime};
use wasmfx_ir::func::{Func, Inst, Value};
use wasmfx_ir::module::{ConstExpr, ElementId, ElementItems, ElementKind, GlobalId, TableId, TypeId};
use wasmfx_ir::wasmparser::{Operator, RefType, ValType};

/// What a table instruction does.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum TableFunction {
    Get,
    Set,
    Size,
    Grow,
    Fill,
    /// From this table.
    Copy(TableId),
    /// From this element segment.
    Init(u32),
}

/// The globals of an emulated table.
#[derive(Copy, Clone, Debug)]
pub(super) struct EmulatedTable {
    /// Where its elements are.
    base: u32,
    size: u32,
    /// How many elements have memory: all of them, or none as long as the table has held nothing but null since the start. The same global as `size`
    /// where the elements that the table begins with have memory from the start.
    ready: u32,
    /// For how many elements there is room.
    capacity: u32,
    maximum: u32,
    index64: bool,
}

/// Where fresh memory begins at most, behind the elements that tables begin with: in the runtime's first page.
const STATIC_END: u32 = 32 << 10;

/// No engine lets a table grow beyond this; growing further fails as it does there.
const MAX_ELEMENTS: u64 = 10_000_000;

impl Lowering<'_> {
    fn emulated_table(&mut self, table: TableId) -> Result<EmulatedTable, Error> {
        if let Some(&emulated) = self.generated.emulated_tables.get(&table) {
            return Ok(emulated);
        }
        let definition = &self.module.tables[table];
        let name = definition.name.clone().unwrap_or_else(|| table.to_string());
        let initial = u32::try_from(definition.ty.initial).ok().filter(|&size| u64::from(size) <= MAX_ELEMENTS);
        let Some(initial) = initial else {
            return Err(Error::input(format!(
                "the table of continuations `{name}` is larger than {MAX_ELEMENTS} elements"
            )));
        };
        let maximum = definition.ty.maximum.unwrap_or(MAX_ELEMENTS).min(MAX_ELEMENTS) as u32;
        let index64 = definition.ty.table64;
        let elements = self.static_elements(initial);
        let base = self.add_i32_global_with(format!("wasmfx.table.{name}"), elements.unwrap_or(0));
        let size = self.add_i32_global_with(format!("wasmfx.table.{name}.size"), initial);
        let room = if elements.is_some() { initial } else { 0 };
        let capacity = self.add_i32_global_with(format!("wasmfx.table.{name}.capacity"), room);
        let ready = match elements {
            Some(_) => size,
            None => self.add_i32_global(format!("wasmfx.table.{name}.ready")),
        };
        let emulated = EmulatedTable { base, size, ready, capacity, maximum, index64 };
        self.generated.emulated_tables.insert(table, emulated);
        Ok(emulated)
    }

    /// Memory for the elements that a table begins with, null as fresh memory is; nothing where the table is too large for that, or where memory
    /// begins is not known before the module is instantiated.
    fn static_elements(&mut self, count: u32) -> Option<u32> {
        if count == 0 {
            return Some(0);
        }
        let Kind::Memory(memory) = self.store.kind else { return None };
        let is_own = memory.own && self.options.runtime == Runtime::Closed;
        let bump = self.module.globals[GlobalId::from_u32(memory.bump)].init.as_mut().filter(|_| is_own)?;
        let [Operator::I32Const { value }] = &mut bump.operators[..] else { return None };
        let start = value.cast_unsigned();
        let end = start.checked_add(count.checked_mul(8)?).filter(|&end| end <= STATIC_END)?;
        *value = end.cast_signed();
        Some(start)
    }

    /// Replaces `table.get` and `table.set` where all elements of the table have memory. Returns what comes before the instruction.
    pub(super) fn access_element(
        &mut self,
        func: &mut Func,
        inst: Inst,
        table: TableId,
        what: TableFunction,
    ) -> Result<Option<Vec<Inst>>, Error> {
        let emulated = self.emulated_table(table)?;
        let Kind::Memory(memory) = self.store.kind else { unreachable!("only the memory store emulates tables") };
        if emulated.ready != emulated.size {
            return Ok(None);
        }
        let operands = func.operands(inst).to_vec();
        let (before, address) = build_before(func, |builder| {
            let index = narrow(builder, operands[0]);
            let size = builder.global(emulated.size, ValType::I32);
            let inside = builder.i32_op(Operator::I32LtU, &[index, size]);
            let base = builder.global(emulated.base, ValType::I32);
            let address = element(builder, base, index);
            // There is never memory for eight bytes from the last address on, so that an access out of the table's bounds traps.
            let nowhere = builder.i32(u32::MAX);
            builder.value(Operator::Select, &[address, nowhere, inside], ValType::I32)
        });
        let memarg = memory_argument(memory.memory, 0, 3);
        match what {
            TableFunction::Get => func.replace_inst(inst, Operator::I64Load { memarg }, &[address]),
            _ => func.replace_inst(inst, Operator::I64Store { memarg }, &[address, operands[1]]),
        }
        Ok(Some(before))
    }

    /// The global with the length of an element segment of continuations (0 once it is dropped).
    pub(super) fn segment_length(&mut self, segment: u32) -> Option<u32> {
        if !self.mentions.elements.contains(&segment) {
            return None;
        }
        if let Some(&global) = self.generated.segment_lengths.get(&segment) {
            return Some(global);
        }
        let items = &self.original_elements[segment as usize];
        let length = match (&self.module.elements[ElementId::from_u32(segment)].kind, items) {
            // Instantiation drops them.
            (ElementKind::Active { .. } | ElementKind::Declared, _) => 0,
            (ElementKind::Passive, ElementItems::Functions(functions)) => functions.len(),
            (ElementKind::Passive, ElementItems::Expressions(_, expressions)) => expressions.len(),
        };
        let length = u32::try_from(length).expect("segments are shorter than 2^32");
        let global = self.add_i32_global_with(format!("wasmfx.segment.{segment}.length"), length);
        self.generated.segment_lengths.insert(segment, global);
        Some(global)
    }

    /// The function that does what a table instruction did; for one element, where not all may have memory yet.
    pub(super) fn table_function(&mut self, table: TableId, what: TableFunction) -> Result<u32, Error> {
        if let Some(&function) = self.generated.table_functions.get(&(table, what)) {
            return Ok(function);
        }
        let emulated = self.emulated_table(table)?;
        let Kind::Memory(memory) = self.store.kind else { unreachable!("only the memory store emulates tables") };
        let (params, results) = self.table_signature(emulated, what)?;
        let ty = self.function_type(&params, &results);
        let mut func = Func::new(ty, &params, &results);
        let args = func.blocks[func.entry].params.clone();
        let builder = &mut Builder::new(&mut func);
        match what {
            TableFunction::Get => self.build_table_get(builder, memory, emulated, &args),
            TableFunction::Set => self.build_table_set(builder, memory, emulated, &args),
            TableFunction::Size => {
                let size = builder.global(emulated.size, ValType::I32);
                let size = widen(builder, size, emulated.index64);
                builder.ret(&[size]);
            }
            TableFunction::Grow => self.build_table_grow(builder, memory, emulated, &args),
            TableFunction::Fill => self.build_table_fill(builder, memory, emulated, &args),
            TableFunction::Copy(source) => {
                let source = self.emulated_table(source)?;
                self.build_table_copy(builder, memory, emulated, source, &args);
            }
            TableFunction::Init(segment) => {
                self.check_segment(segment)?;
                let length = self.segment_length(segment).expect("the segment holds continuations");
                self.build_table_init(builder, memory, emulated, length, &args);
            }
        }
        let function =
            self.add_function(func, format!("wasmfx.table.{table}.{}", self.generated.table_functions.len())).as_u32();
        self.generated.table_functions.insert((table, what), function);
        Ok(function)
    }

    /// The lowered parameters and results of a table instruction.
    fn table_signature(
        &mut self,
        table: EmulatedTable,
        what: TableFunction,
    ) -> Result<(Vec<ValType>, Vec<ValType>), Error> {
        let index = if table.index64 { ValType::I64 } else { ValType::I32 };
        let handle = ValType::I64;
        Ok(match what {
            TableFunction::Get => (vec![index], vec![handle]),
            TableFunction::Set => (vec![index, handle], vec![]),
            TableFunction::Size => (vec![], vec![index]),
            TableFunction::Grow => (vec![handle, index], vec![index]),
            TableFunction::Fill => (vec![index, handle, index], vec![]),
            TableFunction::Copy(source) => {
                let source = self.emulated_table(source)?;
                let other = if source.index64 { ValType::I64 } else { ValType::I32 };
                let length = if table.index64 && source.index64 { ValType::I64 } else { ValType::I32 };
                (vec![index, other, length], vec![])
            }
            TableFunction::Init(_) => (vec![index, ValType::I32, ValType::I32], vec![]),
        })
    }

    fn build_table_get(&self, builder: &mut Builder<'_>, memory: MemoryStore, table: EmulatedTable, args: &[Value]) {
        let index = narrow(builder, args[0]);
        let ready = builder.global(table.ready, ValType::I32);
        let outside = builder.i32_op(Operator::I32GeU, &[index, ready]);
        let (outside, inside) = builder.fork(outside);
        builder.switch_to(inside);
        let base = builder.global(table.base, ValType::I32);
        let address = element(builder, base, index);
        let value =
            builder.value(Operator::I64Load { memarg: memory_argument(memory.memory, 0, 3) }, &[address], ValType::I64);
        builder.ret(&[value]);
        builder.switch_to(outside);
        self.check_index(builder, table, index);
        let null = builder.i64(0);
        builder.ret(&[null]);
    }

    fn build_table_set(&self, builder: &mut Builder<'_>, memory: MemoryStore, table: EmulatedTable, args: &[Value]) {
        let index = narrow(builder, args[0]);
        let ready = builder.global(table.ready, ValType::I32);
        let outside = builder.i32_op(Operator::I32GeU, &[index, ready]);
        builder.when(outside, |builder| {
            self.check_index(builder, table, index);
            self.ensure_room(builder, memory, table);
        });
        let base = builder.global(table.base, ValType::I32);
        let address = element(builder, base, index);
        builder.run(Operator::I64Store { memarg: memory_argument(memory.memory, 0, 3) }, &[address, args[1]]);
        builder.ret(&[]);
    }

    fn build_table_grow(&self, builder: &mut Builder<'_>, memory: MemoryStore, table: EmulatedTable, args: &[Value]) {
        let more = narrow(builder, args[1]);
        let old = builder.global(table.size, ValType::I32);
        let most = builder.i32(table.maximum);
        let left = builder.i32_op(Operator::I32Sub, &[most, old]);
        let too_much = builder.i32_op(Operator::I32GtU, &[more, left]);
        let (refuse, grow) = builder.fork(too_much);
        builder.switch_to(refuse);
        let minus_one = builder.i32(u32::MAX);
        let minus_one = widen(builder, minus_one, table.index64);
        builder.ret(&[minus_one]);
        builder.switch_to(grow);
        // Where there is no memory for it, the table has not grown.
        let size = builder.i32_op(Operator::I32Add, &[old, more]);
        self.ensure_room_for(builder, memory, table, size);
        builder.set_global(table.size, size);
        let base = builder.global(table.base, ValType::I32);
        fill_loop(builder, memory, base, old, args[0], more);
        let old = widen(builder, old, table.index64);
        builder.ret(&[old]);
    }

    fn build_table_fill(&self, builder: &mut Builder<'_>, memory: MemoryStore, table: EmulatedTable, args: &[Value]) {
        let (index, count) = (narrow(builder, args[0]), narrow(builder, args[2]));
        self.check_range(builder, table.size, index, count);
        self.ensure_room(builder, memory, table);
        let base = builder.global(table.base, ValType::I32);
        fill_loop(builder, memory, base, index, args[1], count);
        builder.ret(&[]);
    }

    fn build_table_copy(
        &self,
        builder: &mut Builder<'_>,
        memory: MemoryStore,
        target: EmulatedTable,
        source: EmulatedTable,
        args: &[Value],
    ) {
        let (to, from, count) = (narrow(builder, args[0]), narrow(builder, args[1]), narrow(builder, args[2]));
        self.check_range(builder, source.size, from, count);
        self.check_range(builder, target.size, to, count);
        self.ensure_room(builder, memory, target);
        self.ensure_room(builder, memory, source);
        let (to_base, from_base) =
            (builder.global(target.base, ValType::I32), builder.global(source.base, ValType::I32));
        let (to, from) = (element(builder, to_base, to), element(builder, from_base, from));
        let three = builder.i32(3);
        let bytes = builder.i32_op(Operator::I32Shl, &[count, three]);
        builder.run(Operator::MemoryCopy { dst_mem: memory.memory, src_mem: memory.memory }, &[to, from, bytes]);
        builder.ret(&[]);
    }

    /// `length` is the global with the length of the segment, which holds nothing but null.
    fn build_table_init(
        &self,
        builder: &mut Builder<'_>,
        memory: MemoryStore,
        table: EmulatedTable,
        length: u32,
        args: &[Value],
    ) {
        let (index, from, count) = (narrow(builder, args[0]), args[1], args[2]);
        self.check_range(builder, length, from, count);
        self.check_range(builder, table.size, index, count);
        self.ensure_room(builder, memory, table);
        let base = builder.global(table.base, ValType::I32);
        let null = builder.i64(0);
        fill_loop(builder, memory, base, index, null, count);
        builder.ret(&[]);
    }

    /// Whether a (translated or original) constant continuation is null. A constant can only be null or an immutable global, which is null too
    /// unless it is imported.
    pub(super) fn is_null_continuation(&self, expression: &ConstExpr) -> bool {
        let mut expression = expression;
        loop {
            match expression.operators[..] {
                [Operator::RefNull { .. } | Operator::I64Const { value: 0 }] => return true,
                [Operator::GlobalGet { global_index }] => {
                    match &self.module.globals[GlobalId::from_u32(global_index)].init {
                        Some(init) => expression = init,
                        None => return false,
                    }
                }
                _ => return false,
            }
        }
    }

    /// The function that does what `array.new_elem` or `array.init_elem` did with a segment of continuations.
    pub(super) fn array_function(&mut self, array: TypeId, segment: u32, new: bool) -> Result<u32, Error> {
        if let Some(&function) = self.generated.array_functions.get(&(array, segment, new)) {
            return Ok(function);
        }
        self.check_segment(segment)?;
        let length = self.segment_length(segment).expect("the segment holds continuations");
        let reference = |nullable| {
            let heap = super::values::concrete_heap(array);
            ValType::Ref(RefType::new(nullable, heap).expect("types are below wasm's limit"))
        };
        let array_type_index = array.as_u32();
        let i32 = ValType::I32;
        let (params, results) = match new {
            true => (vec![i32; 2], vec![reference(false)]),
            false => (vec![reference(true), i32, i32, i32], vec![]),
        };
        let ty = self.function_type(&params, &results);
        let mut func = Func::new(ty, &params, &results);
        let args = func.blocks[func.entry].params.clone();
        let builder = &mut Builder::new(&mut func);
        let name = if new {
            self.check_range(builder, length, args[0], args[1]);
            let made = builder.value(Operator::ArrayNewDefault { array_type_index }, &[args[1]], reference(false));
            builder.ret(&[made]);
            "new"
        } else {
            self.check_range(builder, length, args[2], args[3]);
            let null = builder.i64(0);
            builder.run(Operator::ArrayFill { array_type_index }, &[args[0], args[1], null, args[3]]);
            builder.ret(&[]);
            "init"
        };
        let function = self.add_function(func, format!("wasmfx.array.{name}.{array}.{segment}")).as_u32();
        self.generated.array_functions.insert((array, segment, new), function);
        Ok(function)
    }

    /// What instantiation does with the active segments of continuations, which are all null: it checks that there is a place for them.
    pub(super) fn check_active_segments(&mut self, builder: &mut Builder<'_>) -> Result<(), Error> {
        for (table, offset, length) in std::mem::take(&mut self.active_segments) {
            let emulated = self.emulated_table(table)?;
            let offset = self.constant(builder, &offset)?;
            let offset = narrow(builder, offset);
            let length = builder.i32(length);
            self.check_range(builder, emulated.size, offset, length);
        }
        Ok(())
    }

    /// A constant expression of numbers, as instructions.
    fn constant(&self, builder: &mut Builder<'_>, expression: &ConstExpr) -> Result<Value, Error> {
        let mut stack: Vec<Value> = Vec::new();
        for operator in &expression.operators {
            let (ty, operands) = match operator {
                Operator::I32Const { .. } => (ValType::I32, 0),
                Operator::I64Const { .. } => (ValType::I64, 0),
                Operator::GlobalGet { global_index } => {
                    (self.module.globals[GlobalId::from_u32(*global_index)].ty.content_type, 0)
                }
                Operator::I32Add | Operator::I32Sub | Operator::I32Mul => (ValType::I32, 2),
                Operator::I64Add | Operator::I64Sub | Operator::I64Mul => (ValType::I64, 2),
                other => return Err(Error::internal(format!("lowering: {other:?} in the offset of a segment"))),
            };
            let first = stack.len().checked_sub(operands).ok_or_else(|| Error::internal("lowering: a short offset"))?;
            let operands: Vec<Value> = stack.drain(first..).collect();
            stack.push(builder.value(operator.clone(), &operands, ty));
        }
        stack.pop().ok_or_else(|| Error::internal("lowering: an empty offset"))
    }

    /// A segment can only be used if it holds nothing but null.
    pub(super) fn check_segment(&self, segment: u32) -> Result<(), Error> {
        let all_null = match &self.original_elements[segment as usize] {
            ElementItems::Functions(_) => false,
            ElementItems::Expressions(_, expressions) => {
                expressions.iter().all(|expression| self.is_null_continuation(expression))
            }
        };
        if all_null {
            return Ok(());
        }
        Err(Error::input(format!(
            "element segment {segment} takes continuations from globals, which the memory store cannot express"
        ))
        .with_help("use `--frames gc`"))
    }

    fn check_index(&self, builder: &mut Builder<'_>, table: EmulatedTable, index: Value) {
        let size = builder.global(table.size, ValType::I32);
        let outside = builder.i32_op(Operator::I32GeU, &[index, size]);
        builder.trap_if(outside);
    }

    fn check_range(&self, builder: &mut Builder<'_>, size: u32, index: Value, count: Value) {
        let size = builder.global(size, ValType::I32);
        let outside = builder.i32_op(Operator::I32GtU, &[index, size]);
        builder.trap_if(outside);
        let left = builder.i32_op(Operator::I32Sub, &[size, index]);
        let outside = builder.i32_op(Operator::I32GtU, &[count, left]);
        builder.trap_if(outside);
    }

    /// Makes room for as many elements as the table has.
    fn ensure_room(&self, builder: &mut Builder<'_>, memory: MemoryStore, table: EmulatedTable) {
        let size = builder.global(table.size, ValType::I32);
        self.ensure_room_for(builder, memory, table, size);
    }

    fn ensure_room_for(&self, builder: &mut Builder<'_>, memory: MemoryStore, table: EmulatedTable, size: Value) {
        let capacity = builder.global(table.capacity, ValType::I32);
        let full = builder.i32_op(Operator::I32GtU, &[size, capacity]);
        let store = self.store;
        builder.when(full, |builder| {
            // Twice the room each time: what is given up is never more than what is in use.
            let two = builder.i32(2);
            let double = builder.i32_op(Operator::I32Mul, &[size, two]);
            let three = builder.i32(3);
            let bytes = builder.i32_op(Operator::I32Shl, &[double, three]);
            let new = store.call(builder, store.items.allocate, &[bytes], &[ValType::I32])[0];
            let old = builder.global(table.base, ValType::I32);
            let used = builder.i32_op(Operator::I32Shl, &[capacity, three]);
            builder.when(capacity, |builder| {
                builder.run(Operator::MemoryCopy { dst_mem: memory.memory, src_mem: memory.memory }, &[new, old, used]);
            });
            builder.set_global(table.base, new);
            builder.set_global(table.capacity, double);
        });
        if table.ready != table.size {
            builder.set_global(table.ready, size);
        }
    }
}

/// The address of an element.
fn element(builder: &mut Builder<'_>, base: Value, index: Value) -> Value {
    let three = builder.i32(3);
    let offset = builder.i32_op(Operator::I32Shl, &[index, three]);
    builder.i32_op(Operator::I32Add, &[base, offset])
}

/// An index as an i32; one that does not fit becomes the largest, which is out of bounds everywhere.
fn narrow(builder: &mut Builder<'_>, index: Value) -> Value {
    if builder.func.value_type(index) == ValType::I32 {
        return index;
    }
    let shift = builder.i64(32);
    let high = builder.value(Operator::I64ShrU, &[index, shift], ValType::I64);
    let fits = builder.value(Operator::I64Eqz, &[high], ValType::I32);
    let low = builder.i32_op(Operator::I32WrapI64, &[index]);
    let most = builder.i32(u32::MAX);
    builder.value(Operator::Select, &[low, most, fits], ValType::I32)
}

/// A size (or -1) in the table's index type.
fn widen(builder: &mut Builder<'_>, value: Value, index64: bool) -> Value {
    if index64 { builder.value(Operator::I64ExtendI32S, &[value], ValType::I64) } else { value }
}

/// Writes `count` elements from `index` on.
fn fill_loop(builder: &mut Builder<'_>, memory: MemoryStore, base: Value, index: Value, value: Value, count: Value) {
    let start = element(builder, base, index);
    let end = element(builder, start, count);
    let head = builder.new_block(&[ValType::I32]);
    let body = builder.new_block(&[]);
    let done = builder.new_block(&[]);
    builder.jump(head, &[start]);
    builder.switch_to(head);
    let address = builder.block_params(head)[0];
    let more = builder.i32_op(Operator::I32Ne, &[address, end]);
    builder.branch(more, body, &[], done, &[]);
    builder.switch_to(body);
    builder.run(Operator::I64Store { memarg: memory_argument(memory.memory, 0, 3) }, &[address, value]);
    let next = builder.add(address, 8);
    builder.jump(head, &[next]);
    builder.switch_to(done);
}
