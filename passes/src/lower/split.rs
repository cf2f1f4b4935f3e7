//! A body cut at its suspension points: every one ends its block.

use super::dispatch::Order;
use super::groups::{GroupSlots, Sharing, group_points};
use super::is_resume;
use super::places::name_locals;
use wasmfx_ir::analysis::{ControlFlowGraph, Liveness};
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{Block, Func, Handler, Invoke, Terminator, Value};
use wasmfx_ir::module::{GlobalId, Module};
use wasmfx_ir::wasmparser::{Operator, ValType};

/// What the lowering does at a point.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// Nothing: not a point.
    Keep,
    /// Expand it; it never suspends this function.
    Expand,
    /// Expand it; it may suspend this function, which then needs a frame.
    Suspend,
}

/// An instruction that the lowering expands, at the end of its block.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) block: Block,
    pub(super) operator: Operator<'static>,
    pub(super) args: Vec<Value>,
    /// Where execution goes on, with the results as parameters.
    pub(super) normal: Block,
    /// Clauses of a resume table.
    pub(super) clauses: Vec<Handler>,
    /// Clauses of enclosing `try_table`s.
    pub(super) catches: Vec<Handler>,
    /// Whether this function may be suspended here.
    pub(super) suspends: bool,
    /// Whether nothing but a return of the results follows: then no frame is needed.
    pub(super) tail: bool,
    /// What must be saved: live on some edge out of the point, and not cheaper to make again.
    pub(super) saved: Vec<Value>,
    /// Which of its group's slots each of these is in, if it is in a group.
    pub(super) slots: Vec<usize>,
    /// Its position among the points of the function.
    pub(super) index: usize,
    /// The points that share the code that saves have one number: the index of one of them.
    pub(super) group: usize,
    /// The innermost loop around it. Of one group and in one loop, points share the code that loads.
    pub(super) home: Option<usize>,
    /// The first of its slots in the table of resume functions.
    pub(super) first_slot: u32,
}

impl Point {
    /// Whether the function needs a frame when it is suspended here.
    pub(super) fn needs_frame(&self) -> bool {
        self.suspends && !self.tail
    }
}

/// Cuts a body at the points that `treatment` finds. The blocks of points are left without terminator. The last result is what the points share,
/// if they do. `locals` says which local emission would keep each value in, and is only looked at if they may.
pub(super) fn split(
    module: &Module,
    func: &mut Func,
    sharing: Sharing,
    locals: &SecondaryMap<Value, Option<u32>>,
    treatment: &mut dyn FnMut(&Operator<'static>, &[Handler]) -> Treatment,
) -> (Vec<Point>, Liveness, Order, Option<GroupSlots>) {
    func.resolve_aliases();
    let mut points = cut(func, treatment);
    let cfg = ControlFlowGraph::new(func);
    let liveness = Liveness::new(func, &cfg);
    points.retain(|point| cfg.is_reachable(point.block));
    for (index, point) in points.iter_mut().enumerate() {
        point.index = index;
        point.group = index;
        point.tail = point.suspends
            && point.clauses.is_empty()
            && point.catches.is_empty()
            && returns(func, point.normal)
            && !is_resume(&point.operator);
        if point.needs_frame() {
            point.saved = saved_values(module, func, &liveness, point);
        }
    }
    let groups = group_points(func, &cfg, &mut points, sharing, locals);
    if groups.is_some() {
        name_locals(func, locals);
    }
    for point in &points {
        func.blocks[point.block].terminator = Terminator::Missing;
    }
    let order = Order::new(func, &cfg);
    (points, liveness, order, groups)
}

/// Makes every instruction that does not stay as it is the end of its block.
fn cut(func: &mut Func, treatment: &mut dyn FnMut(&Operator<'static>, &[Handler]) -> Treatment) -> Vec<Point> {
    let mut points = Vec::new();
    let mut index = 0;
    // Blocks are added while cutting: what is cut off is looked at in its turn.
    while index < func.blocks.len() {
        let block = Block::from_u32(u32::try_from(index).expect("blocks are numbered by u32"));
        index += 1;
        let found = func.blocks[block]
            .insts
            .iter()
            .position(|&inst| !matches!(treatment(func.operator(inst), &[]), Treatment::Keep));
        if let Some(at) = found {
            let inst = func.blocks[block].insts[at];
            let operator = func.operator(inst).clone();
            let suspends = matches!(treatment(&operator, &[]), Treatment::Suspend);
            let args = func.operands(inst).to_vec();
            let rest = func.add_block();
            for result in func.inst_results(inst) {
                func.move_param(result, rest);
            }
            func.blocks[rest].insts = func.blocks[block].insts.split_off(at + 1);
            func.blocks[block].insts.pop();
            // A block cut into many would keep the room of all.
            func.blocks[block].insts.shrink_to_fit();
            func.blocks[rest].terminator = std::mem::take(&mut func.blocks[block].terminator);
            points.push(new_point(block, operator, args, rest, &[], suspends));
            set_invoke(func, points.last().expect("a point was just added"));
            continue;
        }
        let Terminator::Invoke(invoke) = &func.blocks[block].terminator else { continue };
        let operator = func.operators[invoke.operator].clone();
        let suspends = match treatment(&operator, &invoke.handlers) {
            Treatment::Keep => continue,
            Treatment::Expand => false,
            Treatment::Suspend => true,
        };
        let normal = invoke.normal.expect("an instruction that may suspend has a way to go on");
        points.push(new_point(block, operator, invoke.args.to_vec(), normal, &invoke.handlers, suspends));
    }
    points
}

/// What a frame of a point holds: the values that are live wherever it goes on, but for those that are computed again.
fn saved_values(module: &Module, func: &Func, liveness: &Liveness, point: &Point) -> Vec<Value> {
    let landings = point.clauses.iter().chain(&point.catches).filter_map(Handler::block);
    let mut saved: Vec<Value> =
        std::iter::once(point.normal).chain(landings).flat_map(|block| liveness.live_in(block)).copied().collect();
    saved.sort_unstable();
    saved.dedup();
    saved.retain(|&value| !is_rematerialised(module, func, value));
    saved
}

fn new_point(
    block: Block,
    operator: Operator<'static>,
    args: Vec<Value>,
    normal: Block,
    handlers: &[Handler],
    suspends: bool,
) -> Point {
    let (catches, clauses) = handlers.iter().partition(|handler| handler.is_exception_handler());
    Point {
        block,
        operator,
        args,
        normal,
        clauses,
        catches,
        suspends,
        tail: false,
        saved: Vec::new(),
        slots: Vec::new(),
        index: 0,
        group: 0,
        home: None,
        first_slot: 0,
    }
}

/// Until it is expanded, a point is an edge of the graph like any other.
fn set_invoke(func: &mut Func, point: &Point) {
    let operator = func.operators.intern(point.operator.clone());
    func.blocks[point.block].terminator = Terminator::Invoke(Box::new(Invoke {
        operator,
        args: point.args.iter().copied().collect(),
        normal: Some(point.normal),
        handlers: Vec::new(),
    }));
}

/// Whether a value is a constant, or a number that a constant global holds: it is made again instead of saved.
pub(super) fn is_rematerialised(module: &Module, func: &Func, value: Value) -> bool {
    match func.defining_operator(value) {
        Some(
            Operator::I32Const { .. }
            | Operator::I64Const { .. }
            | Operator::F32Const { .. }
            | Operator::F64Const { .. }
            | Operator::V128Const { .. }
            | Operator::RefNull { .. }
            | Operator::RefFunc { .. },
        ) => true,
        Some(&Operator::GlobalGet { global_index }) => {
            let ty = module.globals[GlobalId::from_u32(global_index)].ty;
            !ty.mutable && !matches!(ty.content_type, ValType::Ref(_))
        }
        _ => false,
    }
}

/// Whether the block does nothing but return its parameters, perhaps by way of other blocks, or return nothing at all. Values that are dropped stay
/// where the next frame does not look for them; references are not left there, since that would keep alive what they refer to.
fn returns(func: &Func, block: Block) -> bool {
    let mut at = block;
    let mut values = func.blocks[block].params.clone();
    let may_give_up = !values.iter().any(|&value| matches!(func.value_type(value), ValType::Ref(_)));
    for _ in 0..4 {
        let data = &func.blocks[at];
        if !data.insts.is_empty() {
            return false;
        }
        let place = |value: &Value| data.params.iter().position(|param| param == value);
        match &data.terminator {
            Terminator::Return(returned) if returned.is_empty() && may_give_up => return true,
            Terminator::Return(returned) => {
                return returned.len() == values.len()
                    && returned.iter().enumerate().all(|(index, value)| place(value) == Some(index))
                    && data.params.len() == values.len();
            }
            Terminator::Jump(call) if call.args.is_empty() && may_give_up => {
                at = call.block;
                values = func.blocks[at].params.clone();
            }
            Terminator::Jump(call) => {
                let same = call.args.len() == values.len()
                    && data.params.len() == values.len()
                    && call.args.iter().enumerate().all(|(index, value)| place(value) == Some(index));
                if !same {
                    return false;
                }
                at = call.block;
                values = func.blocks[at].params.clone();
            }
            _ => return false,
        }
    }
    false
}
