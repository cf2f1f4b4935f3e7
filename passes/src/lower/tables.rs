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
        let Kind::Memory(m) = self.store.kind else { return None };
        let is_own = m.own && self.options.runtime == Runtime::Closed;
        let bump = self.module.globals[GlobalId::from_u32(m.bump)].init.as_mut().filter(|_| is_own)?;
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
        let t = self.emulated_table(table)?;
        let Kind::Memory(m) = self.store.kind else { unreachable!("only the memory store emulates tables") };
        if t.ready != t.size {
            return Ok(None);
        }
        let operands = func.operands(inst).to_vec();
        let (before, address) = build_before(func, |b| {
            let index = narrow(b, operands[0]);
            let size = b.global(t.size, ValType::I32);
            let inside = b.i32_op(Operator::I32LtU, &[index, size]);
            let base = b.global(t.base, ValType::I32);
            let address = element(b, base, index);
            // There is never memory for eight bytes from the last address on, so that an access out of the table's bounds traps.
            let nowhere = b.i32(u32::MAX);
            b.value(Operator::Select, &[address, nowhere, inside], ValType::I32)
        });
        let memarg = memory_argument(m.memory, 0, 3);
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
        let t = self.emulated_table(table)?;
        let Kind::Memory(m) = self.store.kind else { unreachable!("only the memory store emulates tables") };
        let (params, results) = self.table_signature(t, what)?;
        let ty = self.function_type(&params, &results);
        let mut func = Func::new(ty, &params, &results);
        let args = func.blocks[func.entry].params.clone();
        let b = &mut Builder::new(&mut func);
        match what {
            TableFunction::Get => self.build_table_get(b, m, t, &args),
            TableFunction::Set => self.build_table_set(b, m, t, &args),
            TableFunction::Size => {
                let size = b.global(t.size, ValType::I32);
                let size = widen(b, size, t.index64);
                b.ret(&[size]);
            }
            TableFunction::Grow => self.build_table_grow(b, m, t, &args),
            TableFunction::Fill => self.build_table_fill(b, m, t, &args),
            TableFunction::Copy(source) => {
                let source = self.emulated_table(source)?;
                self.build_table_copy(b, m, t, source, &args);
            }
            TableFunction::Init(segment) => {
                self.check_segment(segment)?;
                let length = self.segment_length(segment).expect("the segment holds continuations");
                self.build_table_init(b, m, t, length, &args);
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
        t: EmulatedTable,
        what: TableFunction,
    ) -> Result<(Vec<ValType>, Vec<ValType>), Error> {
        let index = if t.index64 { ValType::I64 } else { ValType::I32 };
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
                let length = if t.index64 && source.index64 { ValType::I64 } else { ValType::I32 };
                (vec![index, other, length], vec![])
            }
            TableFunction::Init(_) => (vec![index, ValType::I32, ValType::I32], vec![]),
        })
    }

    fn build_table_get(&self, b: &mut Builder<'_>, m: MemoryStore, t: EmulatedTable, args: &[Value]) {
        let index = narrow(b, args[0]);
        let ready = b.global(t.ready, ValType::I32);
        let outside = b.i32_op(Operator::I32GeU, &[index, ready]);
        let (outside, inside) = b.fork(outside);
        b.switch_to(inside);
        let base = b.global(t.base, ValType::I32);
        let address = element(b, base, index);
        let value = b.value(Operator::I64Load { memarg: memory_argument(m.memory, 0, 3) }, &[address], ValType::I64);
        b.ret(&[value]);
        b.switch_to(outside);
        self.check_index(b, t, index);
        let null = b.i64(0);
        b.ret(&[null]);
    }

    fn build_table_set(&self, b: &mut Builder<'_>, m: MemoryStore, t: EmulatedTable, args: &[Value]) {
        let index = narrow(b, args[0]);
        let ready = b.global(t.ready, ValType::I32);
        let outside = b.i32_op(Operator::I32GeU, &[index, ready]);
        b.when(outside, |b| {
            self.check_index(b, t, index);
            self.ensure_room(b, m, t);
        });
        let base = b.global(t.base, ValType::I32);
        let address = element(b, base, index);
        b.run(Operator::I64Store { memarg: memory_argument(m.memory, 0, 3) }, &[address, args[1]]);
        b.ret(&[]);
    }

    fn build_table_grow(&self, b: &mut Builder<'_>, m: MemoryStore, t: EmulatedTable, args: &[Value]) {
        let more = narrow(b, args[1]);
        let old = b.global(t.size, ValType::I32);
        let most = b.i32(t.maximum);
        let left = b.i32_op(Operator::I32Sub, &[most, old]);
        let too_much = b.i32_op(Operator::I32GtU, &[more, left]);
        let (refuse, grow) = b.fork(too_much);
        b.switch_to(refuse);
        let minus_one = b.i32(u32::MAX);
        let minus_one = widen(b, minus_one, t.index64);
        b.ret(&[minus_one]);
        b.switch_to(grow);
        // Where there is no memory for it, the table has not grown.
        let size = b.i32_op(Operator::I32Add, &[old, more]);
        self.ensure_room_for(b, m, t, size);
        b.set_global(t.size, size);
        let base = b.global(t.base, ValType::I32);
        fill_loop(b, m, base, old, args[0], more);
        let old = widen(b, old, t.index64);
        b.ret(&[old]);
    }

    fn build_table_fill(&self, b: &mut Builder<'_>, m: MemoryStore, t: EmulatedTable, args: &[Value]) {
        let (index, count) = (narrow(b, args[0]), narrow(b, args[2]));
        self.check_range(b, t.size, index, count);
        self.ensure_room(b, m, t);
        let base = b.global(t.base, ValType::I32);
        fill_loop(b, m, base, index, args[1], count);
        b.ret(&[]);
    }

    fn build_table_copy(
        &self,
        b: &mut Builder<'_>,
        m: MemoryStore,
        t: EmulatedTable,
        s: EmulatedTable,
        args: &[Value],
    ) {
        let (to, from, count) = (narrow(b, args[0]), narrow(b, args[1]), narrow(b, args[2]));
        self.check_range(b, s.size, from, count);
        self.check_range(b, t.size, to, count);
        self.ensure_room(b, m, t);
        self.ensure_room(b, m, s);
        let (target, source) = (b.global(t.base, ValType::I32), b.global(s.base, ValType::I32));
        let (target, source) = (element(b, target, to), element(b, source, from));
        let three = b.i32(3);
        let bytes = b.i32_op(Operator::I32Shl, &[count, three]);
        b.run(Operator::MemoryCopy { dst_mem: m.memory, src_mem: m.memory }, &[target, source, bytes]);
        b.ret(&[]);
    }

    /// `length` is the global with the length of the segment, which holds nothing but null.
    fn build_table_init(&self, b: &mut Builder<'_>, m: MemoryStore, t: EmulatedTable, length: u32, args: &[Value]) {
        let (index, from, count) = (narrow(b, args[0]), args[1], args[2]);
        self.check_range(b, length, from, count);
        self.check_range(b, t.size, index, count);
        self.ensure_room(b, m, t);
        let base = b.global(t.base, ValType::I32);
        let null = b.i64(0);
        fill_loop(b, m, base, index, null, count);
        b.ret(&[]);
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
        let b = &mut Builder::new(&mut func);
        let name = if new {
            self.check_range(b, length, args[0], args[1]);
            let made = b.value(Operator::ArrayNewDefault { array_type_index }, &[args[1]], reference(false));
            b.ret(&[made]);
            "new"
        } else {
            self.check_range(b, length, args[2], args[3]);
            let null = b.i64(0);
            b.run(Operator::ArrayFill { array_type_index }, &[args[0], args[1], null, args[3]]);
            b.ret(&[]);
            "init"
        };
        let function = self.add_function(func, format!("wasmfx.array.{name}.{array}.{segment}")).as_u32();
        self.generated.array_functions.insert((array, segment, new), function);
        Ok(function)
    }

    /// What instantiation does with the active segments of continuations, which are all null: it checks that there is a place for them.
    pub(super) fn check_active_segments(&mut self, b: &mut Builder<'_>) -> Result<(), Error> {
        for (table, offset, length) in std::mem::take(&mut self.active_segments) {
            let t = self.emulated_table(table)?;
            let offset = self.constant(b, &offset)?;
            let offset = narrow(b, offset);
            let length = b.i32(length);
            self.check_range(b, t.size, offset, length);
        }
        Ok(())
    }

    /// A constant expression of numbers, as instructions.
    fn constant(&self, b: &mut Builder<'_>, expression: &ConstExpr) -> Result<Value, Error> {
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
            stack.push(b.value(operator.clone(), &operands, ty));
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

    fn check_index(&self, b: &mut Builder<'_>, t: EmulatedTable, index: Value) {
        let size = b.global(t.size, ValType::I32);
        let outside = b.i32_op(Operator::I32GeU, &[index, size]);
        b.trap_if(outside);
    }

    fn check_range(&self, b: &mut Builder<'_>, size: u32, index: Value, count: Value) {
        let size = b.global(size, ValType::I32);
        let outside = b.i32_op(Operator::I32GtU, &[index, size]);
        b.trap_if(outside);
        let left = b.i32_op(Operator::I32Sub, &[size, index]);
        let outside = b.i32_op(Operator::I32GtU, &[count, left]);
        b.trap_if(outside);
    }

    /// Makes room for as many elements as the table has.
    fn ensure_room(&self, b: &mut Builder<'_>, m: MemoryStore, t: EmulatedTable) {
        let size = b.global(t.size, ValType::I32);
        self.ensure_room_for(b, m, t, size);
    }

    fn ensure_room_for(&self, b: &mut Builder<'_>, m: MemoryStore, t: EmulatedTable, size: Value) {
        let capacity = b.global(t.capacity, ValType::I32);
        let full = b.i32_op(Operator::I32GtU, &[size, capacity]);
        let store = self.store;
        b.when(full, |b| {
            // Twice the room each time: what is given up is never more than what is in use.
            let two = b.i32(2);
            let double = b.i32_op(Operator::I32Mul, &[size, two]);
            let three = b.i32(3);
            let bytes = b.i32_op(Operator::I32Shl, &[double, three]);
            let new = store.call(b, store.items.allocate, &[bytes], &[ValType::I32])[0];
            let old = b.global(t.base, ValType::I32);
            let used = b.i32_op(Operator::I32Shl, &[capacity, three]);
            b.when(capacity, |b| {
                b.run(Operator::MemoryCopy { dst_mem: m.memory, src_mem: m.memory }, &[new, old, used]);
            });
            b.set_global(t.base, new);
            b.set_global(t.capacity, double);
        });
        if t.ready != t.size {
            b.set_global(t.ready, size);
        }
    }
}

/// The address of an element.
fn element(b: &mut Builder<'_>, base: Value, index: Value) -> Value {
    let three = b.i32(3);
    let offset = b.i32_op(Operator::I32Shl, &[index, three]);
    b.i32_op(Operator::I32Add, &[base, offset])
}

/// An index as an i32; one that does not fit becomes the largest, which is out of bounds everywhere.
fn narrow(b: &mut Builder<'_>, index: Value) -> Value {
    if b.func.value_type(index) == ValType::I32 {
        return index;
    }
    let shift = b.i64(32);
    let high = b.value(Operator::I64ShrU, &[index, shift], ValType::I64);
    let fits = b.value(Operator::I64Eqz, &[high], ValType::I32);
    let low = b.i32_op(Operator::I32WrapI64, &[index]);
    let most = b.i32(u32::MAX);
    b.value(Operator::Select, &[low, most, fits], ValType::I32)
}

/// A size (or -1) in the table's index type.
fn widen(b: &mut Builder<'_>, value: Value, index64: bool) -> Value {
    if index64 { b.value(Operator::I64ExtendI32S, &[value], ValType::I64) } else { value }
}

/// Writes `count` elements from `index` on.
fn fill_loop(b: &mut Builder<'_>, m: MemoryStore, base: Value, index: Value, value: Value, count: Value) {
    let start = element(b, base, index);
    let end = element(b, start, count);
    let head = b.new_block(&[ValType::I32]);
    let body = b.new_block(&[]);
    let done = b.new_block(&[]);
    b.jump(head, &[start]);
    b.switch_to(head);
    let address = b.block_params(head)[0];
    let more = b.i32_op(Operator::I32Ne, &[address, end]);
    b.branch(more, body, &[], done, &[]);
    b.switch_to(body);
    b.run(Operator::I64Store { memarg: memory_argument(m.memory, 0, 3) }, &[address, value]);
    let next = b.add(address, 8);
    b.jump(head, &[next]);
    b.switch_to(done);
}
