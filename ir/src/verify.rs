//! Checks that a body is what the rest of the toolchain takes it to be.
//!
//! For every block that can be reached from the entry:
//!
//!  1. It ends with a terminator, and that leads to blocks that exist.
//!  2. An instruction is in one block, once; it exists, and its results say that they are its results. The same holds for parameters.
//!  3. Each use of a value (aliases followed) is dominated by its definition, unless it is undefined.
//!  4. The entry has no predecessors, and its parameters are the function's.
//!  5. An edge with arguments has one for each parameter of its target, of a type that matches.
//!  6. An edge on which an instruction defines values ([`Terminator::Invoke`], [`Terminator::BranchOnReference`]) is the only one to its target,
//!     and the target's parameters are exactly these values.
//!  7. Instructions are operators without control flow; `return_call*` are tail calls, `throw*` and `resume*` invokes; only what can suspend or
//!     throw is an invoke.
//!  8. Operands and results are as many as the operator takes and leaves, and of types that match.
//!  9. Conditions and indices are i32; results of the function match its type, those of a tail call too.
//! 10. A resume table in an operator is empty; suspension and switch clauses are on `resume*` only and come before catch clauses; nothing comes after a `catch_all`.
//! 11. The operator of a [`Terminator::BranchOnReference`] is one of the four, with label 0.
//! 12. What operators and handlers refer to is in the module, and was not removed.
//!
//! For a module besides: what exports, the start function, segments and initial values refer to is there and was not removed either.

use crate::analysis::{ControlFlowGraph, DominatorTree};
use crate::entity::Entity;
use crate::error::{Error, Result};
use crate::func::{Block, BlockCall, Func, Handler, Inst, Invoke, OperatorId, Terminator, Value, ValueDefinition};
use crate::module::{
    DataId, ElementId, ElementItems, ElementKind, FunctionId, GlobalId, MemoryId, Module, Origin, TableId, TagId,
    TypeId,
};
use crate::opcode::Opcode;
use crate::print::{OperatorText, TypeText};
use crate::references::{IndexSpace, visit_const_expr, visit_operator};
use crate::signature::{fixed_arity, func_type, signature};
use crate::subtype::Subtyping;
use std::fmt::Display;
use wasmparser::{FuncType, HeapType, Operator, RefType, ValType};

/// Checks what is in a module besides bodies.
///
/// # Errors
/// An internal error that names the item.
pub fn verify_items(module: &Module) -> Result<()> {
    let check = |what: &dyn Display, space: IndexSpace, number: u32| match absence(module, space, number) {
        None => Ok(()),
        Some(absence) => Err(Error::internal(format!("{what} refers to {absence}"))),
    };
    for export in &module.exports {
        let (space, number) = export.item.reference();
        check(&format_args!("the export '{}'", export.name), space, number)?;
    }
    if let Some(start) = module.start {
        check(&"the start function", IndexSpace::Function, start.as_u32())?;
    }
    let check_expression = |what: &dyn Display, expression| {
        let mut outcome = Ok(());
        visit_const_expr(expression, &mut |space, number| {
            if outcome.is_ok() {
                outcome = check(what, space, number);
            }
        });
        outcome
    };
    for (id, global) in module.globals.iter() {
        if let (Origin::Definition, Some(init)) = (global.origin, &global.init) {
            check_expression(&id, init)?;
        }
    }
    for (id, table) in module.tables.iter() {
        if let (Origin::Definition, Some(init)) = (table.origin, &table.init) {
            check_expression(&id, init)?;
        }
    }
    for (id, segment) in module.elements.iter().filter(|(_, segment)| !segment.removed) {
        if let ElementKind::Active { table, offset } = &segment.kind {
            check(&id, IndexSpace::Table, table.as_u32())?;
            check_expression(&id, offset)?;
        }
        match &segment.items {
            ElementItems::Functions(functions) => {
                functions.iter().try_for_each(|item| check(&id, IndexSpace::Function, item.as_u32()))?;
            }
            ElementItems::Expressions(_, expressions) => {
                expressions.iter().try_for_each(|expression| check_expression(&id, expression))?;
            }
        }
    }
    for (id, segment) in module.data.iter().filter(|(_, segment)| !segment.removed) {
        if let Some((memory, offset)) = &segment.active {
            check(&id, IndexSpace::Memory, memory.as_u32())?;
            check_expression(&id, offset)?;
        }
    }
    Ok(())
}

/// What is wrong with a reference, if it leads to nothing.
fn absence(module: &Module, space: IndexSpace, number: u32) -> Option<String> {
    let is_removed = |origin: Option<Origin>| origin.map(|origin| origin == Origin::Removed);
    let (kind, removed) = match space {
        IndexSpace::Type => ("type", module.types.definitions.get(TypeId::from_u32(number)).map(|_| false)),
        IndexSpace::Function => {
            ("function", is_removed(module.functions.get(FunctionId::from_u32(number)).map(|item| item.origin())))
        }
        IndexSpace::Table => {
            ("table", is_removed(module.tables.get(TableId::from_u32(number)).map(|item| item.origin)))
        }
        IndexSpace::Memory => {
            ("memory", is_removed(module.memories.get(MemoryId::from_u32(number)).map(|item| item.origin)))
        }
        IndexSpace::Global => {
            ("global", is_removed(module.globals.get(GlobalId::from_u32(number)).map(|item| item.origin)))
        }
        IndexSpace::Tag => ("tag", is_removed(module.tags.get(TagId::from_u32(number)).map(|item| item.origin))),
        IndexSpace::Element => {
            ("element segment", module.elements.get(ElementId::from_u32(number)).map(|segment| segment.removed))
        }
        IndexSpace::Data => ("data segment", module.data.get(DataId::from_u32(number)).map(|segment| segment.removed)),
    };
    match removed {
        Some(false) => None,
        Some(true) => Some(format!("{kind} {number}, which was removed")),
        None => Some(format!("{kind} {number}, which does not exist")),
    }
}

/// Checks one body. The error does not name the function; the caller knows it.
///
/// # Errors
/// An internal error that names the block and the instruction.
pub fn verify_func(module: &Module, subtyping: &Subtyping<'_>, func: &Func) -> Result<()> {
    let definitions = vec![None; func.value_count()];
    let refers_well = vec![false; func.operators.len()];
    Verifier { module, subtyping, func, definitions, refers_well }.verify()
}

/// The place of a definition or a use: a block, and a position in it. Parameters are at 0, the first instruction at 1.
type Place = (Block, u32);

struct Verifier<'a> {
    module: &'a Module,
    subtyping: &'a Subtyping<'a>,
    func: &'a Func,
    definitions: Vec<Option<Place>>,
    /// Operators whose references were found to be good.
    refers_well: Vec<bool>,
}

impl Verifier<'_> {
    fn verify(mut self) -> Result<()> {
        let func = self.func;
        self.check_edges_exist()?;
        let cfg = ControlFlowGraph::new(func);
        let blocks = cfg.reverse_postorder();
        self.find_definitions(blocks)?;
        let dominators = DominatorTree::new(func, &cfg);
        self.check_uses(blocks, &dominators)?;
        self.check_entry(&cfg)?;
        for &block in blocks {
            for &inst in &func.blocks[block].insts {
                self.check_references(func.operator_id(inst))
                    .and_then(|()| self.check_inst(inst))
                    .map_err(|problem| self.at_inst(block, inst, &problem))?;
            }
            let operator = func.blocks[block].terminator.operator();
            operator
                .map_or(Ok(()), |operator| self.check_references(operator))
                .map_err(|problem| self.at_terminator(block, &problem))?;
            self.check_terminator(block, &cfg).map_err(|problem| self.at_terminator(block, &problem))?;
        }
        Ok(())
    }

    #[cold]
    fn at_inst(&self, block: Block, inst: Inst, problem: &str) -> Error {
        Error::internal(format!("{block}: {inst} ({}): {problem}", self.func.inst_text(inst)))
    }

    #[cold]
    fn at_terminator(&self, block: Block, problem: &str) -> Error {
        Error::internal(format!("{block}: its end ({}): {problem}", self.func.terminator_text(block)))
    }

    /// Invariant 1, which everything else needs.
    fn check_edges_exist(&self) -> Result<()> {
        let func = self.func;
        for (block, data) in func.blocks.iter() {
            let mut missing = None;
            data.terminator.for_each_successor(|successor| {
                if func.blocks.get(successor).is_none() {
                    missing = Some(successor);
                }
            });
            if let Some(successor) = missing {
                return Err(self.at_terminator(block, &format!("there is no {successor}")));
            }
        }
        Ok(())
    }

    /// Invariant 2.
    fn find_definitions(&mut self, blocks: &[Block]) -> Result<()> {
        let func = self.func;
        let mut placed = vec![false; func.inst_count()];
        for &block in blocks {
            for &param in &func.blocks[block].params {
                let exists = param.index() < func.value_count();
                if !exists || func.definition(param) != ValueDefinition::Parameter(block) {
                    return Err(Error::internal(format!("{block}: {param} is not defined as its parameter")));
                }
                self.define(param, (block, 0))?;
            }
            for (position, &inst) in func.blocks[block].insts.iter().enumerate() {
                let fresh = placed.get_mut(inst.index()).is_some_and(|placed| !std::mem::replace(placed, true));
                if !fresh {
                    return Err(Error::internal(format!("{block}: {inst} does not exist or is in a block already")));
                }
                for result in func.inst_results(inst) {
                    // A result may have become another name of another value: then the instruction is kept for its effects.
                    if !matches!(func.definition(result), ValueDefinition::Alias(_)) {
                        if func.definition(result) != ValueDefinition::Result(inst) {
                            return Err(self.at_inst(block, inst, &format!("{result} is not defined as its result")));
                        }
                        self.define(result, (block, position as u32 + 1))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn define(&mut self, value: Value, place: Place) -> Result<()> {
        match self.definitions[value.index()].replace(place) {
            None => Ok(()),
            Some((other, _)) => Err(Error::internal(format!("{value} is defined in {other} and in {}", place.0))),
        }
    }

    /// Invariant 3.
    fn check_uses(&self, blocks: &[Block], dominators: &DominatorTree) -> Result<()> {
        let func = self.func;
        let check = |value: Value, (block, position): Place| -> Result<(), String> {
            if value.index() >= func.value_count() {
                return Err(format!("{value} does not exist"));
            }
            let value = func.resolve(value);
            if func.is_undefined(value) {
                return Ok(());
            }
            let Some((defined_in, defined_at)) = self.definitions[value.index()] else {
                return Err(format!("{value} is used, but no block that is reached defines it"));
            };
            let reaches =
                if defined_in == block { defined_at < position } else { dominators.dominates(defined_in, block) };
            if reaches { Ok(()) } else { Err(format!("{value}, defined in {defined_in}, does not dominate its use")) }
        };
        for &block in blocks {
            let data = &func.blocks[block];
            for (position, &inst) in data.insts.iter().enumerate() {
                for &operand in func.operands(inst) {
                    check(operand, (block, position as u32 + 1))
                        .map_err(|problem| self.at_inst(block, inst, &problem))?;
                }
            }
            let end = data.insts.len() as u32 + 1;
            let mut outcome = Ok(());
            data.terminator.for_each_value(|value| {
                if outcome.is_ok() {
                    outcome = check(value, (block, end));
                }
            });
            outcome.map_err(|problem| self.at_terminator(block, &problem))?;
        }
        Ok(())
    }

    /// Invariant 4.
    fn check_entry(&self, cfg: &ControlFlowGraph) -> Result<()> {
        let func = self.func;
        if let Some(predecessor) = cfg.predecessors(func.entry).first() {
            return Err(Error::internal(format!("the entry is a successor of {predecessor}")));
        }
        let ty = self.own_type().map_err(Error::internal)?;
        let params = &func.blocks[func.entry].params;
        let params: Vec<ValType> = params.iter().map(|&param| func.value_type(param)).collect();
        self.check_all("parameters", &params, ty.params()).map_err(Error::internal)?;
        self.check_all("parameters", ty.params(), &params).map_err(Error::internal)?;
        self.check_all("results", &func.results, ty.results()).map_err(Error::internal)?;
        Ok(())
    }

    fn own_type(&self) -> Result<&FuncType, String> {
        func_type(self.module, self.func.ty).ok_or_else(|| format!("{} is no function type", self.func.ty))
    }

    // Types. `found` matches `expected`.

    fn check_type(&self, what: impl Display, found: ValType, expected: ValType) -> Result<(), String> {
        if self.subtyping.matches(found, expected) {
            return Ok(());
        }
        Err(format!("{what} is {} where {} is expected", TypeText(found), TypeText(expected)))
    }

    fn check_value(&self, value: Value, expected: ValType) -> Result<(), String> {
        self.check_type(value, self.value_type(value), expected)
    }

    fn check_all(&self, what: &str, found: &[ValType], expected: &[ValType]) -> Result<(), String> {
        if found.len() != expected.len() {
            return Err(format!("{} {what} where {} are expected", found.len(), expected.len()));
        }
        found.iter().zip(expected).try_for_each(|(&found, &expected)| self.check_type(what, found, expected))
    }

    fn value_type(&self, value: Value) -> ValType {
        self.func.value_type(self.func.resolve(value))
    }

    fn types(&self, values: &[Value]) -> Vec<ValType> {
        values.iter().map(|&value| self.value_type(value)).collect()
    }

    fn reference_type(&self, value: Value) -> Result<RefType, String> {
        match self.value_type(value) {
            ValType::Ref(reference) => Ok(reference),
            other => Err(format!("{value} is {} where a reference is expected", TypeText(other))),
        }
    }

    // Operators.

    /// Invariant 12 for an operator; handlers' tags are looked up where handlers are checked.
    fn check_references(&mut self, operator: OperatorId) -> Result<(), String> {
        self.operator(operator)?;
        if self.refers_well[operator.index()] {
            return Ok(());
        }
        let mut outcome = Ok(());
        visit_operator(&self.func.operators[operator], &mut |space, number| {
            if let Some(absence) = absence(self.module, space, number) {
                outcome = Err(format!("it refers to {absence}"));
            }
        });
        self.refers_well[operator.index()] = outcome.is_ok();
        outcome
    }

    /// Invariants 7 and 8 for an instruction.
    fn check_inst(&self, inst: Inst) -> Result<(), String> {
        let operator = self.func.operator(inst);
        if !is_instruction(operator) {
            return Err("this operator does not stand inside of a block".into());
        }
        let operands = self.types(self.func.operands(inst));
        let results: Vec<ValType> = self.func.inst_results(inst).map(|value| self.func.value_type(value)).collect();
        self.check_application(operator, &operands, Some(&results))
    }

    /// Invariant 8. `results` is `None` where there are none to look at (a tail call).
    fn check_application(
        &self,
        operator: &Operator<'_>,
        operands: &[ValType],
        results: Option<&[ValType]>,
    ) -> Result<(), String> {
        if let Some(signature) = signature(self.module, operator) {
            self.check_all("operands", operands, &signature.params)?;
            return results.map_or(Ok(()), |results| self.check_all("results", &signature.results, results));
        }
        let Some((pops, pushes)) = fixed_arity(operator) else {
            return Err("its immediates do not fit the module".into());
        };
        if operands.len() != pops {
            return Err(format!("{} operands where {pops} are expected", operands.len()));
        }
        let Some(results) = results else { return Ok(()) };
        if results.len() != pushes {
            return Err(format!("{} results where {pushes} are expected", results.len()));
        }
        self.check_polymorphic(operator, operands, results)
    }

    /// Types of operators whose results depend on their operands.
    fn check_polymorphic(
        &self,
        operator: &Operator<'_>,
        operands: &[ValType],
        results: &[ValType],
    ) -> Result<(), String> {
        let reference = |index: usize| match operands[index] {
            ValType::Ref(reference) => Ok(reference),
            other => Err(format!("an operand is {} where a reference is expected", TypeText(other))),
        };
        match *operator {
            Operator::Select => {
                self.check_type("the condition", operands[2], ValType::I32)?;
                if operands[..2].iter().chain(results).any(|&ty| ty != results[0] || matches!(ty, ValType::Ref(_))) {
                    return Err("both values and the result are of one number type".into());
                }
            }
            Operator::RefIsNull => {
                reference(0)?;
                self.check_type("the result", ValType::I32, results[0])?;
            }
            Operator::RefAsNonNull => {
                self.check_type("the result", ValType::Ref(reference(0)?.as_non_null()), results[0])?;
            }
            Operator::RefTestNonNull { .. } | Operator::RefTestNullable { .. } => {
                reference(0)?;
                self.check_type("the result", ValType::I32, results[0])?;
            }
            Operator::RefCastNonNull { hty } | Operator::RefCastNullable { hty } => {
                reference(0)?;
                let nullable = matches!(operator, Operator::RefCastNullable { .. });
                let ty = RefType::new(nullable, hty).ok_or("no such type")?;
                self.check_type("the result", ValType::Ref(ty), results[0])?;
            }
            Operator::AnyConvertExtern | Operator::ExternConvertAny => {
                let nullable = reference(0)?.is_nullable();
                let top = if let Operator::AnyConvertExtern = operator { RefType::ANYREF } else { RefType::EXTERNREF };
                let top = if nullable { top } else { top.as_non_null() };
                // The result is shared if the operand is.
                if let HeapType::Abstract { shared: false, .. } = reference(0)?.heap_type() {
                    self.check_type("the result", ValType::Ref(top), results[0])?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    // Terminators.

    fn check_terminator(&self, block: Block, cfg: &ControlFlowGraph) -> Result<(), String> {
        let func = self.func;
        let terminator = &func.blocks[block].terminator;
        let mut outcome = Ok(());
        terminator.for_each_block_call(|call| {
            if outcome.is_ok() {
                outcome = self.check_block_call(call);
            }
        });
        outcome?;
        match terminator {
            Terminator::Missing => Err("the block has no end".into()),
            Terminator::Unreachable | Terminator::Jump(_) => Ok(()),
            Terminator::Branch { condition: value, .. } | Terminator::Switch { index: value, .. } => {
                self.check_value(*value, ValType::I32)
            }
            Terminator::Return(values) => self.check_all("results", &self.types(values), self.own_type()?.results()),
            Terminator::TailCall { operator, args } => self.check_tail_call(*operator, args),
            Terminator::Invoke(invoke) => self.check_invoke(invoke, cfg),
            Terminator::BranchOnReference { operator, reference, taken, not_taken } => {
                self.check_branch_on_reference(*operator, *reference, *taken, *not_taken, cfg)
            }
        }
    }

    /// Invariant 5.
    fn check_block_call(&self, call: &BlockCall) -> Result<(), String> {
        let params = &self.func.blocks[call.block].params;
        if call.args.len() != params.len() {
            return Err(format!("{} arguments for the {} parameters of {}", call.args.len(), params.len(), call.block));
        }
        let mut pairs = call.args.iter().zip(params);
        pairs.try_for_each(|(&arg, &param)| self.check_value(arg, self.func.value_type(param)))
    }

    /// Invariant 6.
    fn check_defining_edge(&self, target: Block, values: &[ValType], cfg: &ControlFlowGraph) -> Result<(), String> {
        if cfg.single_predecessor(target).is_none() {
            return Err(format!("the edge that defines the parameters of {target} is not the only one"));
        }
        let params = self.types(&self.func.blocks[target].params);
        self.check_all(&format!("parameters of {target}"), values, &params)
    }

    fn operator(&self, operator: OperatorId) -> Result<&Operator<'static>, String> {
        if operator.index() >= self.func.operators.len() {
            return Err(format!("there is no {operator}"));
        }
        Ok(&self.func.operators[operator])
    }

    fn check_tail_call(&self, operator: OperatorId, args: &[Value]) -> Result<(), String> {
        let operator = self.operator(operator)?;
        let (Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } | Operator::ReturnCallRef { .. }) =
            operator
        else {
            return Err(format!("{} is not a tail call", OperatorText(operator)));
        };
        self.check_application(operator, &self.types(args), None)?;
        let signature = signature(self.module, operator).ok_or("its immediates do not fit the module")?;
        self.check_all("results of the callee", &signature.results, self.own_type()?.results())
    }

    /// Invariants 6, 7, 8 and 10 for an invoke.
    fn check_invoke(&self, invoke: &Invoke, cfg: &ControlFlowGraph) -> Result<(), String> {
        let operator = self.operator(invoke.operator)?;
        let resumes = match operator {
            Operator::Resume { resume_table, .. }
            | Operator::ResumeThrow { resume_table, .. }
            | Operator::ResumeThrowRef { resume_table, .. } => {
                if !resume_table.handlers.is_empty() {
                    return Err("the resume table in the operator is not empty".into());
                }
                true
            }
            Operator::Call { .. }
            | Operator::CallIndirect { .. }
            | Operator::CallRef { .. }
            | Operator::Suspend { .. }
            | Operator::Switch { .. }
            | Operator::Throw { .. }
            | Operator::ThrowRef => false,
            other => return Err(format!("{} has no edges", OperatorText(other))),
        };
        let signature = signature(self.module, operator).ok_or("its immediates do not fit the module")?;
        self.check_all("operands", &self.types(&invoke.args), &signature.params)?;
        match (invoke.normal, operator) {
            (None, Operator::Throw { .. } | Operator::ThrowRef) => {}
            (None, _) | (Some(_), Operator::Throw { .. } | Operator::ThrowRef) => {
                return Err("throw and throw_ref, and nothing else, have no normal edge".into());
            }
            (Some(normal), _) => self.check_defining_edge(normal, &signature.results, cfg)?,
        }

        let mut seen_catch = false;
        let mut seen_catch_all = false;
        for handler in &invoke.handlers {
            if seen_catch_all {
                return Err("a clause after catch_all".into());
            }
            if handler.is_exception_handler() {
                seen_catch = true;
            } else if seen_catch || !resumes {
                return Err("a suspension clause that is not on a resume, or after a catch clause".into());
            }
            seen_catch_all = matches!(handler, Handler::CatchAll { .. } | Handler::CatchAllRef { .. });
            self.check_handler(handler, cfg)?;
        }
        Ok(())
    }

    fn check_handler(&self, handler: &Handler, cfg: &ControlFlowGraph) -> Result<(), String> {
        let payload = |tag: TagId| {
            if let Some(absence) = absence(self.module, IndexSpace::Tag, tag.as_u32()) {
                return Err(format!("a handler refers to {absence}"));
            }
            let ty = self.module.tags.get(tag).and_then(|tag| func_type(self.module, tag.ty));
            ty.map(|ty| ty.params().to_vec()).ok_or_else(|| format!("there is no {tag}"))
        };
        let exnref = ValType::Ref(RefType::EXNREF.as_non_null());
        match *handler {
            Handler::Switch { tag } => payload(tag).map(|_| ()),
            Handler::Suspension { tag, block } => {
                let mut values = payload(tag)?;
                // Which continuation type it is, the clause's label says, so here the parameter itself.
                let last = self.func.blocks[block].params.last().map(|&param| self.value_type(param));
                match last {
                    Some(ValType::Ref(reference))
                        if self.subtyping.heap_matches(
                            reference.heap_type(),
                            HeapType::Abstract { shared: false, ty: wasmparser::AbstractHeapType::Cont },
                        ) =>
                    {
                        values.push(ValType::Ref(reference.as_non_null()));
                    }
                    _ => return Err(format!("the last parameter of {block} is no continuation")),
                }
                self.check_defining_edge(block, &values, cfg)
            }
            Handler::Catch { tag, block } => self.check_defining_edge(block, &payload(tag)?, cfg),
            Handler::CatchRef { tag, block } => {
                let mut values = payload(tag)?;
                values.push(exnref);
                self.check_defining_edge(block, &values, cfg)
            }
            Handler::CatchAll { block } => self.check_defining_edge(block, &[], cfg),
            Handler::CatchAllRef { block } => self.check_defining_edge(block, &[exnref], cfg),
        }
    }

    /// Invariants 6 and 11.
    fn check_branch_on_reference(
        &self,
        operator: OperatorId,
        reference: Value,
        taken: Block,
        not_taken: Block,
        cfg: &ControlFlowGraph,
    ) -> Result<(), String> {
        let operator = self.operator(operator)?;
        let found = self.reference_type(reference)?;
        let non_null = ValType::Ref(found.as_non_null());
        let (taken_value, not_taken_value) = match *operator {
            Operator::BrOnNull { relative_depth: 0 } => (None, Some(non_null)),
            Operator::BrOnNonNull { relative_depth: 0 } => (Some(non_null), None),
            Operator::BrOnCast { relative_depth: 0, from_ref_type, to_ref_type } => {
                self.check_value(reference, ValType::Ref(from_ref_type))?;
                let rest = RefType::difference(from_ref_type, to_ref_type);
                (Some(ValType::Ref(to_ref_type)), Some(ValType::Ref(rest)))
            }
            Operator::BrOnCastFail { relative_depth: 0, from_ref_type, to_ref_type } => {
                self.check_value(reference, ValType::Ref(from_ref_type))?;
                let rest = RefType::difference(from_ref_type, to_ref_type);
                (Some(ValType::Ref(rest)), Some(ValType::Ref(to_ref_type)))
            }
            ref other => return Err(format!("{} is no branch on a reference with label 0", OperatorText(other))),
        };
        self.check_defining_edge(taken, taken_value.as_slice(), cfg)?;
        self.check_defining_edge(not_taken, not_taken_value.as_slice(), cfg)
    }
}

/// Invariant 7: whether an operator may stand inside of a block.
fn is_instruction(operator: &Operator<'_>) -> bool {
    use Opcode as O;
    !matches!(
        Opcode::of(operator),
        O::Unreachable
            | O::Nop
            | O::Block
            | O::Loop
            | O::If
            | O::Else
            | O::End
            | O::Br
            | O::BrIf
            | O::BrTable
            | O::Return
            | O::Drop
            | O::LocalGet
            | O::LocalSet
            | O::LocalTee
            | O::ReturnCall
            | O::ReturnCallIndirect
            | O::ReturnCallRef
            | O::TryTable
            | O::Throw
            | O::ThrowRef
            | O::Try
            | O::Catch
            | O::CatchAll
            | O::Rethrow
            | O::Delegate
            | O::BrOnNull
            | O::BrOnNonNull
            | O::BrOnCast
            | O::BrOnCastFail
            | O::BrOnCastDescEq
            | O::BrOnCastDescEqFail
            | O::Resume
            | O::ResumeThrow
            | O::ResumeThrowRef
    )
}
