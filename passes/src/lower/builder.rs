//! A cursor that appends instructions to a function, with the few structured forms that the lowering needs.

use wasmfx_ir::func::{Block, BlockCall, Func, Handler, Inst, Invoke, Terminator, Value, ValueVec};
use wasmfx_ir::wasmparser::{MemArg, MemArgTarget, Operator, ValType};

/// Appends to the end of one block of a function.
pub(super) struct Builder<'f> {
    pub(super) func: &'f mut Func,
    pub(super) block: Block,
}

/// From how many entries on a table is larger than a comparison and a branch.
const ENTRIES_OF_A_COMPARISON: usize = 8;

/// What a load or store at `offset` of this memory says of its address. The alignment is a hint that runtime structures always keep.
pub(super) fn memory_argument(memory: u32, offset: u32, log2_bytes: u8) -> MemArg {
    MemArg {
        align: log2_bytes,
        max_align: log2_bytes,
        offset: u64::from(offset),
        target: MemArgTarget::Memory(memory),
        ordering: None,
    }
}

impl<'f> Builder<'f> {
    /// Appends to `block`.
    pub(super) fn at(func: &'f mut Func, block: Block) -> Self {
        Self { func, block }
    }

    /// Appends to the entry of a function that is being made.
    pub(super) fn new(func: &'f mut Func) -> Self {
        let block = func.entry;
        Self { func, block }
    }

    /// The parameters of the function that is being made.
    pub(super) fn params(&self) -> ValueVec {
        self.func.blocks[self.func.entry].params.clone()
    }

    /// An instruction without a result.
    pub(super) fn run(&mut self, operator: Operator<'static>, operands: &[Value]) {
        self.func.append(self.block, operator, operands, &[]);
    }

    /// An instruction with one result.
    pub(super) fn value(&mut self, operator: Operator<'static>, operands: &[Value], ty: ValType) -> Value {
        self.func.append_value(self.block, operator, operands, ty)
    }

    /// An instruction with any number of results.
    pub(super) fn values(&mut self, operator: Operator<'static>, operands: &[Value], types: &[ValType]) -> ValueVec {
        let inst = self.func.append(self.block, operator, operands, types);
        self.func.inst_results(inst).collect()
    }

    /// `i32.const`
    pub(super) fn i32(&mut self, value: u32) -> Value {
        self.value(Operator::I32Const { value: value.cast_signed() }, &[], ValType::I32)
    }

    /// `i64.const`
    pub(super) fn i64(&mut self, value: u64) -> Value {
        self.value(Operator::I64Const { value: value.cast_signed() }, &[], ValType::I64)
    }

    /// An operator on two i32 (or i64) that gives an i32.
    pub(super) fn i32_op(&mut self, operator: Operator<'static>, operands: &[Value]) -> Value {
        self.value(operator, operands, ValType::I32)
    }

    /// `value + constant`, which is `value` for 0.
    pub(super) fn add(&mut self, value: Value, constant: u32) -> Value {
        if constant == 0 {
            return value;
        }
        let constant = self.i32(constant);
        self.i32_op(Operator::I32Add, &[value, constant])
    }

    /// Whether an i32 is zero.
    pub(super) fn is_zero(&mut self, value: Value) -> Value {
        self.i32_op(Operator::I32Eqz, &[value])
    }

    /// Whether two i32 are equal.
    pub(super) fn is_equal(&mut self, one: Value, other: Value) -> Value {
        self.i32_op(Operator::I32Eq, &[one, other])
    }

    /// `global.get`
    pub(super) fn global(&mut self, global: u32, ty: ValType) -> Value {
        self.value(Operator::GlobalGet { global_index: global }, &[], ty)
    }

    /// `global.set`
    pub(super) fn set_global(&mut self, global: u32, value: Value) {
        self.run(Operator::GlobalSet { global_index: global }, &[value]);
    }

    /// A new block with parameters of these types.
    pub(super) fn new_block(&mut self, params: &[ValType]) -> Block {
        let block = self.func.add_block();
        for &param in params {
            self.func.add_block_param(block, param);
        }
        block
    }

    /// The parameters of a block.
    pub(super) fn block_params(&self, block: Block) -> ValueVec {
        self.func.blocks[block].params.clone()
    }

    /// Goes on appending to another block.
    pub(super) fn switch_to(&mut self, block: Block) {
        self.block = block;
    }

    /// Ends the block.
    pub(super) fn end(&mut self, terminator: Terminator) {
        let old = std::mem::replace(&mut self.func.blocks[self.block].terminator, terminator);
        assert!(matches!(old, Terminator::Missing), "{} is already ended", self.block);
    }

    /// Ends the block with a jump.
    pub(super) fn jump(&mut self, target: Block, args: &[Value]) {
        self.end(Terminator::Jump(BlockCall::with_args(target, args.iter().copied())));
    }

    /// Ends the block with a conditional branch.
    pub(super) fn branch(
        &mut self,
        condition: Value,
        then_block: Block,
        then_args: &[Value],
        else_block: Block,
        else_args: &[Value],
    ) {
        self.end(Terminator::Branch {
            condition,
            then_target: BlockCall::with_args(then_block, then_args.iter().copied()),
            else_target: BlockCall::with_args(else_block, else_args.iter().copied()),
            likely: None,
        });
    }

    /// Ends the block with a branch to one of two new blocks, which are returned.
    pub(super) fn fork(&mut self, condition: Value) -> (Block, Block) {
        let (then_block, else_block) = (self.new_block(&[]), self.new_block(&[]));
        self.branch(condition, then_block, &[], else_block, &[]);
        (then_block, else_block)
    }

    /// Does `then` where the condition holds, and goes on behind it either way. `then` must not end its last block.
    pub(super) fn when(&mut self, condition: Value, then: impl FnOnce(&mut Self)) {
        let (then_block, rest) = self.fork(condition);
        self.switch_to(then_block);
        then(self);
        self.jump(rest, &[]);
        self.switch_to(rest);
    }

    /// The value of `then` where the condition holds, else that of `otherwise`. Neither must end its last block.
    pub(super) fn choose(
        &mut self,
        condition: Value,
        ty: ValType,
        then: impl FnOnce(&mut Self) -> Value,
        otherwise: impl FnOnce(&mut Self) -> Value,
    ) -> Value {
        let (then_block, else_block) = self.fork(condition);
        let rest = self.new_block(&[ty]);
        self.switch_to(then_block);
        let value = then(self);
        self.jump(rest, &[value]);
        self.switch_to(else_block);
        let value = otherwise(self);
        self.jump(rest, &[value]);
        self.switch_to(rest);
        self.block_params(rest)[0]
    }

    /// Traps where the condition holds.
    pub(super) fn trap_if(&mut self, condition: Value) {
        let (trap, rest) = self.fork(condition);
        self.switch_to(trap);
        self.end(Terminator::Unreachable);
        self.switch_to(rest);
    }

    /// Ends the block with a return.
    pub(super) fn ret(&mut self, values: &[Value]) {
        self.end(Terminator::Return(values.iter().copied().collect()));
    }

    /// Runs an operator whose exceptions go to `catches`, whose blocks are ordinary blocks with the parameters of their landing. Appending goes on
    /// where it returns; `None` for operators that never do.
    pub(super) fn call(
        &mut self,
        operator: Operator<'static>,
        operands: &[Value],
        results: &[ValType],
        catches: &[Handler],
    ) -> ValueVec {
        if catches.is_empty() {
            return self.values(operator, operands, results);
        }
        let normal = self.new_block(results);
        self.invoke(operator, operands, Some(normal), catches);
        self.switch_to(normal);
        self.block_params(normal)
    }

    /// Ends the block with an operator whose exceptions go to `catches`.
    pub(super) fn invoke(
        &mut self,
        operator: Operator<'static>,
        operands: &[Value],
        normal: Option<Block>,
        catches: &[Handler],
    ) {
        let handlers = self.landings(catches);
        let operator = self.func.operators.intern(operator);
        self.end(Terminator::Invoke(Box::new(Invoke {
            operator,
            args: operands.iter().copied().collect(),
            normal,
            handlers,
        })));
    }

    /// Raises an exception reference here, inside `catches`.
    pub(super) fn throw_ref(&mut self, exception: Value, catches: &[Handler]) {
        self.invoke(Operator::ThrowRef, &[exception], None, catches);
    }

    /// These handlers, with a global set to a value where an exception is caught.
    pub(super) fn setting_global(&mut self, catches: &[Handler], global: u32, value: Value) -> Vec<Handler> {
        let handlers = self.landings(catches);
        for landing in handlers.iter().filter_map(Handler::block) {
            let jump = std::mem::take(&mut self.func.blocks[landing].terminator);
            let builder = &mut Builder::at(self.func, landing);
            builder.set_global(global, value);
            builder.end(jump);
        }
        handlers
    }

    /// A landing block of its own for each of the handlers, since a landing block has one predecessor; it jumps to the handler's block.
    fn landings(&mut self, catches: &[Handler]) -> Vec<Handler> {
        let mut handlers = catches.to_vec();
        for handler in &mut handlers {
            let Some(target) = handler.block_mut() else { continue };
            let types: Vec<ValType> =
                self.func.blocks[*target].params.iter().map(|&param| self.func.value_type(param)).collect();
            let landing = self.new_block(&types);
            let args = self.block_params(landing);
            self.func.blocks[landing].terminator = Terminator::Jump(BlockCall { block: *target, args });
            *target = landing;
        }
        handlers
    }

    /// Ends a block by leading on to one of the targets, by an index that is asked for only if they differ.
    pub(super) fn switch(&mut self, mut targets: Vec<Block>, index: impl FnOnce(&mut Self) -> Value) {
        // Where each run of equal targets ends.
        let mut runs: Vec<(usize, Block)> = Vec::new();
        for (position, &target) in targets.iter().enumerate() {
            match runs.last_mut() {
                Some((end, last)) if *last == target => *end = position + 1,
                _ => runs.push((position + 1, target)),
            }
        }
        let (_, last) = runs.pop().expect("there is an entry for each slot");
        if runs.is_empty() {
            self.jump(last, &[]);
            return;
        }
        let index = index(self);
        if runs.len() * ENTRIES_OF_A_COMPARISON < targets.len() {
            for (end, target) in runs {
                let end = self.i32(u32::try_from(end).expect("slots are numbered by u32"));
                let is_below = self.i32_op(Operator::I32LtU, &[index, end]);
                let rest = self.new_block(&[]);
                self.branch(is_below, target, &[], rest, &[]);
                self.switch_to(rest);
            }
            self.jump(last, &[]);
            return;
        }
        let default = targets.pop().expect("there is an entry for each slot");
        self.end(Terminator::Switch {
            index,
            targets: targets.into_iter().map(BlockCall::new).collect(),
            default: BlockCall::new(default),
        });
    }
}

/// Builds instructions that are to go before another one, and some value. They are built in a block that nothing leads to.
pub(super) fn build_before<T>(func: &mut Func, build: impl FnOnce(&mut Builder<'_>) -> T) -> (Vec<Inst>, T) {
    let block = func.add_block();
    func.blocks[block].terminator = Terminator::Unreachable;
    let value = build(&mut Builder::at(func, block));
    (std::mem::take(&mut func.blocks[block].insts), value)
}
