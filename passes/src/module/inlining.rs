//! Inlining: calls of small functions, and of functions that are called once, are replaced by the callee's body.
//!
//! Functions are visited callees first (postorder of the call graph), so that what is inlined has itself been inlined into already. A function
//! that can reach itself is not inlined into its own cycle: an edge to a function that is still being visited is left alone.
//!
//! Sound for every body that the IR models: a suspension or an exception leaves the inlined body as it left the callee, because calls are
//! transparent to both; calls inside `try_table` (they end their block) are left alone, since the callee's calls would need the handlers.
//! How deep the stack is is not observable (`wasmfx_ir::effects`).
//!
//! What a program's entry function calls in a loop stays a function of its own, unless it is small: engines that compile in tiers replace code only
//! where it is called anew, so a loop in a function that runs once stays in their slowest code, with all that was inlined into it.

use crate::encoded_length;
use crate::inline_body::{Inliner, direct_callee};
use crate::options::{OptimizeLevel, Options, ShrinkLevel};
use crate::order::ONE_BYTE;
use crate::pass_arguments::{INLINING_ALWAYS_SIZE, INLINING_CALLER_SIZE, INLINING_SPEED_SIZE};
use crate::pass_table::Changed;
use crate::pattern::Pattern;
use rustc_hash::{FxHashMap, FxHashSet};
use wasmfx_ir::analysis::{ControlFlowGraph, DominatorTree, LoopForest};
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{Block, Func, Inst, Terminator, Value};
use wasmfx_ir::module::{Body, Export, FunctionId, Item, Module, TypeId};
use wasmfx_ir::references::IndexSpace;
use wasmfx_ir::wasmparser::{CompositeInnerType, Operator, ValType};

/// How many bytes longer than a call a body may be that is inlined everywhere, unless size comes first.
const SPEED_FOR_BYTES: usize = 1;

/// A larger body stays out of loops that run once.
const KEPT_OUT_OF_COLD_LOOPS: usize = 20;

/// Runs the pass.
pub fn run(module: &mut Module, options: &Options) -> Changed {
    let uses = count_uses(module);
    let order = callees_first(module);
    let mut position: SecondaryMap<FunctionId, u32> = SecondaryMap::with_default(u32::MAX);
    for (index, &function) in order.iter().enumerate() {
        position[function] = index as u32;
    }
    let size_first = options.shrink != ShrinkLevel::None;
    let mut loops = if size_first { FxHashMap::default() } else { loops_that_run_once(module, &order, &uses) };
    let facts = Facts { short_index_uses: short_index_uses(module, &uses), uses, position, options };
    let mut changed = Changed::No;
    // Of the functions that were visited already, which are all that can be inlined.
    let mut visited: SecondaryMap<FunctionId, Visited> = SecondaryMap::new();
    for &function in &order {
        let in_loops = loops.remove(&function).unwrap_or_default();
        changed |= inline_into(module, function, &facts, &in_loops, &visited);
        if let Body::Lifted(func) = &module.functions[function].body {
            visited[function] = Visited {
                size: size(func),
                is_tiny: is_tiny(function, func, &facts),
                stays_called: has_name_of(module, function, &options.no_inline),
            };
        }
    }
    changed
}

/// The export that a host calls once, to run a program.
const PROGRAM_ENTRY: &str = "_start";

/// The blocks that are in loops, of the functions that run once: where a program begins, and what is called in one place of such a function, outside of
/// its loops.
fn loops_that_run_once(
    module: &Module,
    callees_first: &[FunctionId],
    uses: &SecondaryMap<FunctionId, Uses>,
) -> FxHashMap<FunctionId, FxHashSet<Block>> {
    let entry = |export: &Export| match export.item {
        Item::Function(function) if export.name == PROGRAM_ENTRY && uses[function].all == 1 => Some(function),
        _ => None,
    };
    let mut once: FxHashSet<FunctionId> = module.exports.iter().filter_map(entry).collect();
    let mut loops = FxHashMap::default();
    for &function in callees_first.iter().rev() {
        let (true, Body::Lifted(func)) = (once.contains(&function), &module.functions[function].body) else { continue };
        let cfg = ControlFlowGraph::new(func);
        let dominators = DominatorTree::new(func, &cfg);
        let forest = LoopForest::new(func, &cfg, &dominators);
        let in_loops: FxHashSet<Block> =
            func.blocks.keys().filter(|&block| forest.innermost(block).is_some()).collect();
        for (_, block) in func.blocks.iter().filter(|(id, _)| !in_loops.contains(id)) {
            let callees = block.insts.iter().filter_map(|&inst| direct_callee(func.operator(inst)));
            once.extend(callees.filter(|&callee| is_called_once(uses[callee])));
        }
        loops.insert(function, in_loops);
    }
    loops
}

/// What is known of a function that may be inlined.
#[derive(Clone, Copy, Default)]
struct Visited {
    /// In instructions.
    size: usize,
    /// See [`is_tiny`].
    is_tiny: bool,
    /// The user wants its calls to stay.
    stays_called: bool,
}

/// How often a function is referred to, and from where.
#[derive(Clone, Copy, Default)]
struct Uses {
    /// Direct calls that are not in `try_table`.
    inlinable_calls: u32,
    /// All references, inlinable calls included.
    all: u32,
}

fn count_uses(module: &Module) -> SecondaryMap<FunctionId, Uses> {
    let mut uses: SecondaryMap<FunctionId, Uses> = SecondaryMap::new();
    let mut count = |space: IndexSpace, number: u32, times: u32| {
        if space == IndexSpace::Function {
            uses[FunctionId::from_u32(number)].all += times;
        }
    };
    super::for_each_reference_outside_of_bodies(module, &mut |space, number| count(space, number, 1));
    let mut opaque = false;
    for function in module.functions.values() {
        match &function.body {
            Body::Lifted(func) => func.visit_references(&mut count),
            // A body that stays bytes may refer to anything.
            Body::Lazy(_) => opaque = true,
            Body::Import | Body::Detached | Body::Removed => {}
        }
    }
    for function in module.functions.values() {
        let Body::Lifted(func) = &function.body else { continue };
        for block in func.blocks.values() {
            for callee in block.insts.iter().filter_map(|&inst| direct_callee(func.operator(inst))) {
                uses[callee].inlinable_calls += 1;
            }
            if let Terminator::TailCall { operator, .. } = block.terminator {
                direct_callee(&func.operators[operator])
                    .into_iter()
                    .for_each(|callee| uses[callee].inlinable_calls += 1);
            }
        }
    }
    if opaque {
        for function in module.functions.keys() {
            uses[function].all += 1;
        }
    }
    uses
}

/// How often a function must be used for its index to take one byte: the most used ones get the lowest indices ([`crate::order`]), after imports.
fn short_index_uses(module: &Module, uses: &SecondaryMap<FunctionId, Uses>) -> u32 {
    let imports = module.functions.values().filter(|function| matches!(function.body, Body::Import)).count();
    let is_definition = |body: &Body| !matches!(body, Body::Import | Body::Removed);
    let definitions = module.functions.iter().filter(|(_, function)| is_definition(&function.body));
    let mut counts: Vec<u32> = definitions.map(|(id, _)| uses[id].all).collect();
    if imports + counts.len() <= ONE_BYTE {
        return 0;
    }
    counts.sort_unstable_by_key(|&count| std::cmp::Reverse(count));
    ONE_BYTE.checked_sub(imports + 1).map_or(u32::MAX, |last| counts[last])
}

/// What decisions rest on, as it was before the first of them.
struct Facts<'a> {
    uses: SecondaryMap<FunctionId, Uses>,
    position: SecondaryMap<FunctionId, u32>,
    short_index_uses: u32,
    options: &'a Options,
}

impl Facts<'_> {
    fn call_bytes(&self, callee: FunctionId) -> usize {
        if self.uses[callee].all >= self.short_index_uses { 2 } else { 3 }
    }
}

/// Postorder of the call graph, roots in the order of the module. Iterative: call chains are as long as the user likes.
fn callees_first(module: &Module) -> Vec<FunctionId> {
    let callees: Vec<Vec<FunctionId>> =
        module.functions.values().map(|function| direct_callees(&function.body)).collect();
    let mut visited: SecondaryMap<FunctionId, bool> = SecondaryMap::new();
    let mut order = Vec::new();
    let mut stack: Vec<(FunctionId, usize)> = Vec::new();
    for root in module.functions.keys() {
        if std::mem::replace(&mut visited[root], true) {
            continue;
        }
        stack.push((root, 0));
        while let Some((function, next)) = stack.last_mut() {
            let list = &callees[wasmfx_ir::entity::Entity::index(*function)];
            if let Some(&callee) = list.get(*next) {
                *next += 1;
                if !std::mem::replace(&mut visited[callee], true) {
                    stack.push((callee, 0));
                }
            } else {
                order.push(*function);
                stack.pop();
            }
        }
    }
    order
}

fn direct_callees(body: &Body) -> Vec<FunctionId> {
    let Body::Lifted(func) = body else { return Vec::new() };
    let mut callees: Vec<FunctionId> =
        func.operators.iter().filter_map(|(_, operator)| direct_callee(operator)).collect();
    callees.dedup();
    callees
}

fn size(func: &Func) -> usize {
    func.blocks.values().map(|block| block.insts.len() + 1).sum::<usize>().saturating_sub(1)
}

/// Whether a body has neither calls nor loops (a jump to a block that is not later in the source): its cost is bounded and small.
fn is_straight(func: &Func) -> bool {
    func.blocks.iter().all(|(id, block)| {
        let mut forward = true;
        block.terminator.for_each_successor(|successor| forward &= successor > id);
        let leaf = block.insts.iter().all(|&inst| {
            !matches!(
                func.operator(inst),
                Operator::Call { .. }
                    | Operator::CallIndirect { .. }
                    | Operator::CallRef { .. }
                    | Operator::Suspend { .. }
            )
        });
        forward && leaf && !matches!(block.terminator, Terminator::TailCall { .. } | Terminator::Invoke(_))
    })
}

fn inline_into(
    module: &mut Module,
    function: FunctionId,
    facts: &Facts<'_>,
    in_loops: &FxHashSet<Block>,
    visited: &SecondaryMap<FunctionId, Visited>,
) -> Changed {
    let Facts { uses, position, .. } = facts;
    if !matches!(module.functions[function].body, Body::Lifted(_)) {
        return Changed::No;
    }
    let Body::Lifted(mut caller) = std::mem::replace(&mut module.functions[function].body, Body::Detached) else {
        unreachable!("the body is lifted")
    };
    let mut changed = Changed::No;
    let mut caller_size = size(&caller);
    let mut inliner = Inliner::new(&mut caller);
    let blocks: Vec<Block> = inliner.caller.blocks.keys().collect();
    for block in blocks.into_iter().rev() {
        let stays_cold = in_loops.contains(&block);
        let mut decide = |module: &Module, operator: &Operator<'static>| {
            let callee = direct_callee(operator).filter(|&callee| position[callee] < position[function])?;
            let inline = is_worthwhile(module, callee, visited[callee], facts, caller_size, stays_cold);
            caller_size += if inline { visited[callee].size } else { 0 };
            inline.then_some(callee)
        };
        // The next call that goes, by how many instructions are before it, and what it calls.
        let mut next_call = |module: &Module, caller: &Func, insts: &[Inst]| {
            let mut insts = insts.iter().enumerate();
            insts.find_map(|(before, &inst)| Some((before, decide(module, caller.operator(inst))?)))
        };
        let mut next = next_call(module, inliner.caller, &inliner.caller.blocks[block].insts);
        let data = &mut inliner.caller.blocks[block];
        let terminator = std::mem::take(&mut data.terminator);
        let mut current = block;
        // Most blocks stay as they are.
        let mut rest = if next.is_some() { std::mem::take(&mut data.insts) } else { Vec::new() }.into_iter();
        while let Some((before, callee)) = next {
            inliner.caller.blocks[current].insts.extend(rest.by_ref().take(before));
            let call = rest.next().expect("it was found there");
            let results = |operator: &Operator<'static>| tail_call_results(module, operator);
            current = inliner.inline_call(current, call, lifted(module, callee), &results);
            empty_if_called_once(module, callee, uses);
            changed = Changed::Yes;
            next = next_call(module, inliner.caller, rest.as_slice());
        }
        inliner.caller.blocks[current].insts.extend(rest);
        let tail_callee = match terminator {
            Terminator::TailCall { operator, .. } => decide(module, &inliner.caller.operators[operator]),
            _ => None,
        };
        inliner.caller.blocks[current].terminator = terminator;
        if let Some(callee) = tail_callee {
            let results = |operator: &Operator<'static>| tail_call_results(module, operator);
            inliner.inline_tail_call(current, lifted(module, callee), &results);
            empty_if_called_once(module, callee, uses);
            changed = Changed::Yes;
        }
    }
    if changed.is_yes() {
        caller.resolve_aliases();
    }
    module.functions[function].body = Body::Lifted(caller);
    changed
}

/// The body of what is worthwhile.
fn lifted(module: &Module, callee: FunctionId) -> &Func {
    module.functions[callee].lifted().expect("only lifted bodies are worthwhile")
}

fn is_called_once(uses: Uses) -> bool {
    uses.all == 1 && uses.inlinable_calls == 1
}

/// After its only call was replaced, nobody calls a function: its body goes, so that the bodies along a chain of such functions are not all kept.
fn empty_if_called_once(module: &mut Module, callee: FunctionId, uses: &SecondaryMap<FunctionId, Uses>) {
    if !is_called_once(uses[callee]) {
        return;
    }
    let Body::Lifted(body) = &mut module.functions[callee].body else { unreachable!("it was just inlined") };
    let params: Vec<ValType> = body.blocks[body.entry].params.iter().map(|&param| body.value_type(param)).collect();
    let mut empty = Func::new(body.ty, &params, &body.results);
    empty.blocks[empty.entry].terminator = Terminator::Unreachable;
    **body = empty;
}

/// The bytes of a body of one block.
struct TinyBody {
    /// About how many there are in place of a call.
    in_place: usize,
    /// How many go with the function, if nobody calls it any more.
    alone: usize,
}

/// The bytes of a body that may be tiny; nothing for one that is certainly not.
fn tiny_body(func: &Func, facts: &Facts<'_>) -> Option<TinyBody> {
    const MAX_INSTS: usize = 4;
    /// Of a function: its type's index, the length of its body, the number of its locals, and `end`.
    const FUNCTION_BYTES: usize = 4;
    const LOCAL_BYTES: usize = 2;
    let data = &func.blocks[func.entry];
    if data.insts.len() > MAX_INSTS {
        return None;
    }
    let (results, mut operators) = match &data.terminator {
        Terminator::Return(results) => (&results[..], 0),
        // What comes after a call of such a function goes as well.
        Terminator::Unreachable => (&[][..], 1),
        _ => return None,
    };
    let mut uses: Vec<Value> = results.iter().map(|&result| func.resolve(result)).collect();
    for &inst in &data.insts {
        uses.extend(func.operands(inst).iter().map(|&operand| func.resolve(operand)));
        operators += match *func.operator(inst) {
            Operator::Call { function_index } => facts.call_bytes(FunctionId::from_u32(function_index)),
            ref operator => encoded_length::operator(operator)?,
        };
    }
    // An argument that is used once and in order stays on the stack; one that is not used must be dropped, and more uses need a local, which may
    // have to be declared.
    let mut next = 0;
    let mut arguments = 0;
    for &param in &data.params {
        arguments += match uses.iter().filter(|&&value| value == param).count() {
            0 => 1,
            1 => match uses[next..].iter().position(|&value| value == param) {
                Some(at) => {
                    next += at;
                    0
                }
                None => 3 * LOCAL_BYTES,
            },
            count => (count + 1) * LOCAL_BYTES,
        };
    }
    let param_uses = uses.iter().filter(|value| data.params.contains(value)).count();
    Some(TinyBody { in_place: operators + arguments, alone: operators + param_uses * LOCAL_BYTES + FUNCTION_BYTES })
}

/// Whether the code gets no larger (or hardly so, unless size comes first) by a body in place of every call of it.
fn is_tiny(callee: FunctionId, body: &Func, facts: &Facts<'_>) -> bool {
    let Some(tiny) = tiny_body(body, facts) else { return false };
    let call = facts.call_bytes(callee);
    let limit = call + if facts.options.shrink == ShrinkLevel::None { SPEED_FOR_BYTES } else { 0 };
    // What calls nothing is in no cycle, so each of its calls is replaced.
    let uses = facts.uses[callee];
    let goes = || uses.all == uses.inlinable_calls && is_straight(body);
    let calls = uses.all as usize;
    tiny.in_place <= limit || (goes() && calls * tiny.in_place <= calls * call + tiny.alone)
}

/// Whether the callee's body should take the place of a call of it. Where that `stays_cold`, engines would never compile it well.
fn is_worthwhile(
    module: &Module,
    callee: FunctionId,
    Visited { size, is_tiny, stays_called }: Visited,
    facts: &Facts<'_>,
    caller_size: usize,
    stays_cold: bool,
) -> bool {
    let Body::Lifted(body) = &module.functions[callee].body else { return false };
    let options = facts.options;
    if stays_called {
        return false;
    }
    let called_once = is_called_once(facts.uses[callee]);
    let for_speed = options.optimize >= OptimizeLevel::O3 && options.shrink == ShrinkLevel::None;
    let limits = &options.pass_arguments;
    // A limit that the user raised is taken at its word; otherwise the bytes count too.
    let always = limits.get(&INLINING_ALWAYS_SIZE);
    let is_tiny = is_tiny || always > INLINING_ALWAYS_SIZE.default;
    // Callers do not grow without bound: engines limit the size of functions, and their compile time is not linear in it.
    let fits = caller_size.saturating_add(size) <= limits.get(&INLINING_CALLER_SIZE);
    (size <= always && is_tiny)
        || (fits && called_once && !(stays_cold && size > KEPT_OUT_OF_COLD_LOOPS))
        || (fits && for_speed && size <= limits.get(&INLINING_SPEED_SIZE) && is_straight(body))
}

/// Whether a function has one of these names; one without a name is called by its number.
fn has_name_of(module: &Module, function: FunctionId, patterns: &[Pattern]) -> bool {
    let fits = |name: &str| patterns.iter().any(|pattern| pattern.matches(name));
    match &module.functions[function].name {
        Some(name) => fits(name),
        None => fits(&function.as_u32().to_string()),
    }
}

/// The results of what a tail call calls.
fn tail_call_results(module: &Module, operator: &Operator<'static>) -> Box<[ValType]> {
    let ty = match *operator {
        Operator::ReturnCall { function_index } => module.functions[FunctionId::from_u32(function_index)].ty,
        Operator::ReturnCallIndirect { type_index, .. } | Operator::ReturnCallRef { type_index } => {
            TypeId::from_u32(type_index)
        }
        ref other => panic!("{other:?} is not a tail call"),
    };
    match &module.types.definitions[ty].sub_type.composite_type.inner {
        CompositeInnerType::Func(func) => func.results().into(),
        other => panic!("{ty} is called but is {other:?}"),
    }
}
