//! How a block ends: its terminator, and the edges to other blocks that it has.

use super::{Block, OperatorId, Value, ValueVec};
use crate::module::TagId;

/// A jump to a block with arguments for its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockCall {
    /// The block that is jumped to.
    pub block: Block,
    /// One argument for each of the block's parameters.
    pub args: ValueVec,
}

impl BlockCall {
    /// A jump to `block` without arguments.
    pub fn new(block: Block) -> Self {
        Self { block, args: ValueVec::new() }
    }

    /// A jump to `block` with arguments.
    pub fn with_args(block: Block, args: impl IntoIterator<Item = Value>) -> Self {
        Self { block, args: args.into_iter().collect() }
    }
}

/// How a block ends.
#[derive(Clone, Debug, Default)]
pub enum Terminator {
    /// The block is being built. Never present in a finished function.
    #[default]
    Missing,
    /// `unreachable`, or the end of code that is known not to be reached.
    Unreachable,
    /// An unconditional jump.
    Jump(BlockCall),
    /// Goes to `then_target` if the i32 is not zero, else to `else_target`.
    Branch {
        /// The i32 that decides.
        condition: Value,
        /// Where a value other than zero leads.
        then_target: BlockCall,
        /// Where zero leads.
        else_target: BlockCall,
        /// The branch hint of the source (metadata.code.branch_hint): whether the condition is likely not zero.
        likely: Option<bool>,
    },
    /// `br_table`: goes to `targets[index]`, or to the default where the unsigned index is out of range.
    Switch {
        /// The i32 that decides.
        index: Value,
        /// The targets of indices 0, 1, …
        targets: Vec<BlockCall>,
        /// The target of every other index.
        default: BlockCall,
    },
    /// Returns from the function.
    Return(ValueVec),
    /// `return_call`, `return_call_indirect` or `return_call_ref`.
    TailCall {
        /// One of the three operators.
        operator: OperatorId,
        /// The arguments, then the table index or the reference where the operator takes one.
        args: ValueVec,
    },
    /// An instruction with edges of its own: calls, suspends and throws inside `try_table`, every `resume*`, and `throw`/`throw_ref` everywhere.
    Invoke(Box<Invoke>),
    /// `br_on_null`, `br_on_non_null`, `br_on_cast` or `br_on_cast_fail`. The label of the operator means nothing.
    /// The blocks have the reference as parameter where the spec leaves one: `not_taken` of `br_on_null`, `taken` of `br_on_non_null`, both of the casts.
    BranchOnReference {
        /// One of the four operators.
        operator: OperatorId,
        /// The reference that decides.
        reference: Value,
        /// Where the branch leads when it is taken; no other edge leads there.
        taken: Block,
        /// Where it leads else; no other edge leads there.
        not_taken: Block,
    },
}

/// An instruction that leaves its block by one of several edges. Handlers are searched in order; `switch` and suspension clauses stand in
/// the order of the resume table, before the catch clauses of the enclosing `try_table`s, innermost first.
#[derive(Clone, Debug)]
pub struct Invoke {
    /// The operator. Its resume table is empty: `handlers` is what counts.
    pub operator: OperatorId,
    /// The operands.
    pub args: ValueVec,
    /// Where execution goes on, with the results as the block's parameters; no other edge leads there. `None` for `throw` and `throw_ref`.
    pub normal: Option<Block>,
    /// The clauses, in the order in which they are searched.
    pub handlers: Vec<Handler>,
}

/// A clause of a resume table or of an enclosing `try_table`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Handler {
    /// `(on $tag $label)`: the block's parameters are the tag's parameters and the continuation.
    Suspension {
        /// The tag that is handled.
        tag: TagId,
        /// The landing block.
        block: Block,
    },
    /// `(on $tag switch)`. It has no edge.
    Switch {
        /// The tag that is handled.
        tag: TagId,
    },
    /// `catch`: the block's parameters are the tag's parameters.
    Catch {
        /// The tag that is caught.
        tag: TagId,
        /// The landing block.
        block: Block,
    },
    /// `catch_ref`: the block's parameters are the tag's parameters and an `(ref exn)`.
    CatchRef {
        /// The tag that is caught.
        tag: TagId,
        /// The landing block.
        block: Block,
    },
    /// `catch_all`: the block has no parameters.
    CatchAll {
        /// The landing block.
        block: Block,
    },
    /// `catch_all_ref`: the block's parameter is an `(ref exn)`.
    CatchAllRef {
        /// The landing block.
        block: Block,
    },
}

impl Handler {
    /// The landing block, where there is an edge.
    pub fn block(&self) -> Option<Block> {
        match *self {
            Self::Switch { .. } => None,
            Self::Suspension { block, .. }
            | Self::Catch { block, .. }
            | Self::CatchRef { block, .. }
            | Self::CatchAll { block }
            | Self::CatchAllRef { block } => Some(block),
        }
    }

    /// The landing block, to redirect it.
    pub fn block_mut(&mut self) -> Option<&mut Block> {
        match self {
            Self::Switch { .. } => None,
            Self::Suspension { block, .. }
            | Self::Catch { block, .. }
            | Self::CatchRef { block, .. }
            | Self::CatchAll { block }
            | Self::CatchAllRef { block } => Some(block),
        }
    }

    /// The tag that is handled or caught, where the clause names one.
    pub fn tag(&self) -> Option<TagId> {
        match *self {
            Self::Suspension { tag, .. }
            | Self::Switch { tag }
            | Self::Catch { tag, .. }
            | Self::CatchRef { tag, .. } => Some(tag),
            Self::CatchAll { .. } | Self::CatchAllRef { .. } => None,
        }
    }

    /// Like [`Self::tag`], to change it.
    pub fn tag_mut(&mut self) -> Option<&mut TagId> {
        match self {
            Self::Suspension { tag, .. }
            | Self::Switch { tag }
            | Self::Catch { tag, .. }
            | Self::CatchRef { tag, .. } => Some(tag),
            Self::CatchAll { .. } | Self::CatchAllRef { .. } => None,
        }
    }

    /// Whether this is a clause of a `try_table`, not of a resume table.
    pub fn is_exception_handler(&self) -> bool {
        match self {
            Self::Suspension { .. } | Self::Switch { .. } => false,
            Self::Catch { .. } | Self::CatchRef { .. } | Self::CatchAll { .. } | Self::CatchAllRef { .. } => true,
        }
    }
}

impl Terminator {
    /// Calls `visit` with each successor block, once an edge, in a fixed order.
    pub fn for_each_successor(&self, mut visit: impl FnMut(Block)) {
        match self {
            Self::Missing | Self::Unreachable | Self::Return(_) | Self::TailCall { .. } => {}
            Self::Jump(target) => visit(target.block),
            Self::Branch { then_target, else_target, .. } => {
                visit(then_target.block);
                visit(else_target.block);
            }
            Self::Switch { targets, default, .. } => {
                targets.iter().for_each(|target| visit(target.block));
                visit(default.block);
            }
            Self::Invoke(invoke) => {
                if let Some(block) = invoke.normal {
                    visit(block);
                }
                invoke.handlers.iter().filter_map(Handler::block).for_each(visit);
            }
            Self::BranchOnReference { taken, not_taken, .. } => {
                visit(*taken);
                visit(*not_taken);
            }
        }
    }

    /// Calls `visit` with each successor block, to redirect edges (arguments stay as they are).
    pub fn for_each_successor_mut(&mut self, mut visit: impl FnMut(&mut Block)) {
        match self {
            Self::Missing | Self::Unreachable | Self::Return(_) | Self::TailCall { .. } => {}
            Self::Jump(target) => visit(&mut target.block),
            Self::Branch { then_target, else_target, .. } => {
                visit(&mut then_target.block);
                visit(&mut else_target.block);
            }
            Self::Switch { targets, default, .. } => {
                targets.iter_mut().for_each(|target| visit(&mut target.block));
                visit(&mut default.block);
            }
            Self::Invoke(invoke) => {
                if let Some(block) = &mut invoke.normal {
                    visit(block);
                }
                invoke.handlers.iter_mut().filter_map(Handler::block_mut).for_each(visit);
            }
            Self::BranchOnReference { taken, not_taken, .. } => {
                visit(taken);
                visit(not_taken);
            }
        }
    }

    /// Calls `visit` with each edge that carries arguments: every edge but those on which an instruction itself defines values.
    pub fn for_each_block_call(&self, mut visit: impl FnMut(&BlockCall)) {
        match self {
            Self::Jump(target) => visit(target),
            Self::Branch { then_target, else_target, .. } => {
                visit(then_target);
                visit(else_target);
            }
            Self::Switch { targets, default, .. } => {
                targets.iter().for_each(&mut visit);
                visit(default);
            }
            Self::Missing
            | Self::Unreachable
            | Self::Return(_)
            | Self::TailCall { .. }
            | Self::Invoke(_)
            | Self::BranchOnReference { .. } => {}
        }
    }

    /// Like [`Self::for_each_block_call`], to change the edges.
    pub fn for_each_block_call_mut(&mut self, mut visit: impl FnMut(&mut BlockCall)) {
        match self {
            Self::Jump(target) => visit(target),
            Self::Branch { then_target, else_target, .. } => {
                visit(then_target);
                visit(else_target);
            }
            Self::Switch { targets, default, .. } => {
                targets.iter_mut().for_each(&mut visit);
                visit(default);
            }
            Self::Missing
            | Self::Unreachable
            | Self::Return(_)
            | Self::TailCall { .. }
            | Self::Invoke(_)
            | Self::BranchOnReference { .. } => {}
        }
    }

    /// Calls `visit` with each value that the terminator uses, arguments of edges included, in operand order.
    pub fn for_each_value(&self, mut visit: impl FnMut(Value)) {
        match self {
            Self::Missing | Self::Unreachable | Self::Jump(_) => {}
            Self::Branch { condition: value, .. }
            | Self::Switch { index: value, .. }
            | Self::BranchOnReference { reference: value, .. } => visit(*value),
            Self::Return(values) | Self::TailCall { args: values, .. } => values.iter().copied().for_each(&mut visit),
            Self::Invoke(invoke) => invoke.args.iter().copied().for_each(&mut visit),
        }
        self.for_each_block_call(|call| call.args.iter().copied().for_each(&mut visit));
    }

    /// Like [`Self::for_each_value`], to change the values.
    pub fn for_each_value_mut(&mut self, mut visit: impl FnMut(&mut Value)) {
        match self {
            Self::Missing | Self::Unreachable | Self::Jump(_) => {}
            Self::Branch { condition: value, .. }
            | Self::Switch { index: value, .. }
            | Self::BranchOnReference { reference: value, .. } => visit(value),
            Self::Return(values) | Self::TailCall { args: values, .. } => values.iter_mut().for_each(&mut visit),
            Self::Invoke(invoke) => invoke.args.iter_mut().for_each(&mut visit),
        }
        self.for_each_block_call_mut(|call| call.args.iter_mut().for_each(&mut visit));
    }

    /// The operator, where the terminator is an operator with operands.
    pub fn operator(&self) -> Option<OperatorId> {
        match self {
            Self::TailCall { operator, .. } | Self::BranchOnReference { operator, .. } => Some(*operator),
            Self::Invoke(invoke) => Some(invoke.operator),
            Self::Missing
            | Self::Unreachable
            | Self::Jump(_)
            | Self::Branch { .. }
            | Self::Switch { .. }
            | Self::Return(_) => None,
        }
    }

    /// The operator and its operands, where the terminator is a call: a tail call or an invocation.
    pub fn call(&self) -> Option<(OperatorId, &[Value])> {
        match self {
            Self::TailCall { operator, args } => Some((*operator, args)),
            Self::Invoke(invoke) => Some((invoke.operator, &invoke.args)),
            Self::Missing
            | Self::Unreachable
            | Self::Jump(_)
            | Self::Branch { .. }
            | Self::Switch { .. }
            | Self::Return(_)
            | Self::BranchOnReference { .. } => None,
        }
    }

    /// Like [`Self::operator`], to change it.
    pub fn operator_mut(&mut self) -> Option<&mut OperatorId> {
        match self {
            Self::TailCall { operator, .. } | Self::BranchOnReference { operator, .. } => Some(operator),
            Self::Invoke(invoke) => Some(&mut invoke.operator),
            Self::Missing
            | Self::Unreachable
            | Self::Jump(_)
            | Self::Branch { .. }
            | Self::Switch { .. }
            | Self::Return(_) => None,
        }
    }
}
