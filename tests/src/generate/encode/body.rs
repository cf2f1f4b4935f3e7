//! Bodies of functions.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, anyhow, bail};
use wasm_encoder::{BlockType, Catch, Handle, Instruction, ValType};

use super::Encoder;
use super::indices::Callee;
use crate::generate::coverage::Event;
use crate::generate::program::{
    CatchClause, Function, Handler, Label, Local, Node, Op, Storage, TypeDefinition, TypeId, ValueType,
};

/// The state of one body's emission.
pub(super) struct Body {
    pub(super) out: Vec<Instruction<'static>>,
    pub(super) labels: Vec<Option<Label>>,
    /// The locals that occur.
    pub(super) locals: BTreeSet<Local>,
    pub(super) local_indices: BTreeMap<Local, u32>,
    /// The i32 local that instrumentation keeps the depth in.
    pub(super) depth_local: u32,
    pub(super) results: Vec<ValueType>,
    pub(super) suspension_labels: BTreeSet<Label>,
    pub(super) catch_labels: BTreeSet<Label>,
}

impl Encoder<'_> {
    pub(super) fn body(&mut self, callee: Callee) -> Result<wasm_encoder::Function> {
        let signature = self.program.signature(self.callee_type(callee)).clone();
        let parameters = signature.params.len() as u32;
        let mut body = Body {
            out: vec![],
            labels: vec![],
            locals: BTreeSet::new(),
            local_indices: BTreeMap::new(),
            depth_local: 0,
            results: signature.results.clone(),
            suspension_labels: BTreeSet::new(),
            catch_labels: BTreeSet::new(),
        };
        let mut locals = vec![];
        match callee {
            Callee::Own(id) => {
                let function: &Function = &self.program.functions[id as usize];
                function.body.iter().for_each(|node| collect_locals(node, &mut body.locals));
                for local in &body.locals {
                    if *local < parameters {
                        body.local_indices.insert(*local, *local);
                    } else {
                        body.local_indices.insert(*local, parameters + locals.len() as u32);
                        let Some(ty) = function.locals.get((*local - parameters) as usize) else {
                            bail!("local {local} of {} has no type", function.name);
                        };
                        locals.push(self.value_type(*ty));
                    }
                }
                body.depth_local = parameters + locals.len() as u32;
                if self.instrumented {
                    locals.push(ValType::I32);
                }
                self.fuel_check(&mut body)?;
                self.sequence(&mut body, &function.body)?;
            }
            Callee::Stub(_) => self.defaults(&mut body, &signature.results),
        }
        body.out.push(Instruction::End);
        let mut function = wasm_encoder::Function::new_with_locals_types(locals);
        for instruction in &body.out {
            function.instruction(instruction);
        }
        Ok(function)
    }

    fn sequence(&mut self, body: &mut Body, nodes: &[Node]) -> Result<()> {
        nodes.iter().try_for_each(|node| self.node(body, node))
    }

    fn local(&self, body: &Body, local: Local) -> u32 {
        body.local_indices[&local]
    }

    fn store(&mut self, body: &mut Body, destinations: &[Option<Local>]) {
        for destination in destinations.iter().rev() {
            body.out.push(match destination {
                Some(local) => Instruction::LocalSet(self.local(body, *local)),
                None => Instruction::Drop,
            });
        }
    }

    fn nested(&mut self, body: &mut Body, label: Option<Label>, nodes: &[Node]) -> Result<()> {
        body.labels.push(label);
        self.sequence(body, nodes)?;
        body.labels.pop();
        body.out.push(Instruction::End);
        Ok(())
    }

    fn depth(&self, body: &Body, label: Label) -> Result<u32> {
        let position = body.labels.iter().rev().position(|other| *other == Some(label));
        position.map(|depth| depth as u32).ok_or_else(|| anyhow!("label {label} encloses no branch to it"))
    }

    fn handlers(&mut self, body: &mut Body, handlers: &[Handler]) -> Result<Vec<Handle>> {
        handlers
            .iter()
            .map(|handler| match *handler {
                Handler::Suspend(tag, label) => {
                    body.suspension_labels.insert(label);
                    Ok(Handle::OnLabel { tag: self.tag(tag), label: self.depth(body, label)? })
                }
                Handler::Switch(tag) => Ok(Handle::OnSwitch { tag: self.tag(tag) }),
            })
            .collect()
    }

    fn node(&mut self, body: &mut Body, node: &Node) -> Result<()> {
        if let Op::Loop(label, arguments, destinations) = &node.op {
            self.sequence(body, &node.inputs)?;
            let ty = self.block_type(arguments, &node.results);
            body.out.push(Instruction::Loop(ty));
            self.store(body, destinations);
            self.fuel_check(body)?;
            return self.nested(body, Some(*label), &node.bodies[0]);
        }
        self.sequence(body, &node.inputs)?;
        let instruction = match &node.op {
            Op::Loop(..) => unreachable!("handled above"),
            Op::Plain(instruction) => {
                if accesses_memory(instruction) {
                    self.reached.memory = true;
                }
                if matches!(instruction, Instruction::ThrowRef) {
                    self.cover(body, Event::Throw);
                }
                instruction.clone()
            }
            Op::Default => {
                self.defaults(body, &node.results);
                return Ok(());
            }
            Op::LocalGet(local) => Instruction::LocalGet(self.local(body, *local)),
            Op::LocalSet(local) => Instruction::LocalSet(self.local(body, *local)),
            Op::LocalTee(local) => Instruction::LocalTee(self.local(body, *local)),
            Op::TakeLocal(local) => {
                let index = self.local(body, *local);
                let null = self.null_of(&node.results);
                body.out.extend([Instruction::LocalGet(index), null, Instruction::LocalSet(index)]);
                return Ok(());
            }
            Op::Assign(destinations) => {
                self.store(body, destinations);
                return Ok(());
            }
            Op::GlobalGet(global) => Instruction::GlobalGet(self.global(*global)),
            Op::GlobalSet(global) => Instruction::GlobalSet(self.global(*global)),
            Op::TakeGlobal(global) => {
                let index = self.global(*global);
                let null = self.null_of(&node.results);
                body.out.extend([Instruction::GlobalGet(index), null, Instruction::GlobalSet(index)]);
                return Ok(());
            }
            Op::TableGet(table) => {
                self.cover_table(body, *table, Event::TableGet);
                Instruction::TableGet(self.table(*table))
            }
            Op::TableSet(table) => {
                self.cover_table(body, *table, Event::TableSet);
                Instruction::TableSet(self.table(*table))
            }
            Op::TakeTable(table, index) => return self.take_of_table(body, *table, *index, &node.results),
            Op::TableSize(table) => Instruction::TableSize(self.table(*table)),
            Op::TableGrow(table) => {
                self.cover_table(body, *table, Event::TableGrow);
                Instruction::TableGrow(self.table(*table))
            }
            Op::TableFill(table) => {
                self.cover_table(body, *table, Event::TableFill);
                Instruction::TableFill(self.table(*table))
            }
            Op::TableCopy { destination, source } => {
                self.cover_table(body, *destination, Event::TableCopy);
                Instruction::TableCopy { dst_table: self.table(*destination), src_table: self.table(*source) }
            }
            Op::TableInit(table, segment) => {
                self.cover_table(body, *table, Event::TableInit);
                Instruction::TableInit { elem_index: self.segment(*segment), table: self.table(*table) }
            }
            Op::ElementDrop(segment) => Instruction::ElemDrop(self.segment(*segment)),
            Op::Select(ty) => Instruction::TypedSelect(self.value_type(*ty)),
            Op::RefNull(heap) => Instruction::RefNull(self.heap(*heap)),
            Op::RefFunc(function) => Instruction::RefFunc(self.function_reference(Callee::Own(*function))),
            Op::RefTest(reference) => {
                let heap = self.heap(reference.heap);
                if reference.nullable { Instruction::RefTestNullable(heap) } else { Instruction::RefTestNonNull(heap) }
            }
            Op::RefCast(reference) => {
                let heap = self.heap(reference.heap);
                if reference.nullable { Instruction::RefCastNullable(heap) } else { Instruction::RefCastNonNull(heap) }
            }
            Op::StructNew(ty) => Instruction::StructNew(self.ty(*ty)),
            Op::StructNewDefault(ty) => Instruction::StructNewDefault(self.ty(*ty)),
            Op::StructGet(ty, field) => self.struct_get(*ty, *field)?,
            Op::StructSet(ty, field) => Instruction::StructSet { struct_type_index: self.ty(*ty), field_index: *field },
            Op::ArrayNew(ty) => Instruction::ArrayNew(self.ty(*ty)),
            Op::ArrayNewFixed(ty, count) => {
                Instruction::ArrayNewFixed { array_type_index: self.ty(*ty), array_size: *count }
            }
            Op::ArrayGet(ty) => {
                let packed = !matches!(self.program.types[*ty as usize], TypeDefinition::Array(Storage::Value(_)));
                let index = self.ty(*ty);
                if packed { Instruction::ArrayGetU(index) } else { Instruction::ArrayGet(index) }
            }
            Op::ArraySet(ty) => Instruction::ArraySet(self.ty(*ty)),
            Op::Host(host) => Instruction::Call(self.host(*host)),
            Op::Call(function) => Instruction::Call(self.function(Callee::Own(*function))),
            Op::CallIndirect(ty, table) => {
                self.cover(body, Event::IndirectCall);
                Instruction::CallIndirect { type_index: self.ty(*ty), table_index: self.table(*table) }
            }
            Op::CallReference(ty) => {
                self.cover(body, Event::IndirectCall);
                Instruction::CallRef(self.ty(*ty))
            }
            Op::ReturnCall(function) => {
                self.cover(body, Event::TailCall);
                Instruction::ReturnCall(self.function(Callee::Own(*function)))
            }
            Op::ReturnCallIndirect(ty, table) => {
                self.cover(body, Event::TailCall);
                Instruction::ReturnCallIndirect { type_index: self.ty(*ty), table_index: self.table(*table) }
            }
            Op::ReturnCallReference(ty) => {
                self.cover(body, Event::TailCall);
                Instruction::ReturnCallRef(self.ty(*ty))
            }
            Op::ContNew(ty) => {
                self.reached.fresh.insert(*ty);
                Instruction::ContNew(self.ty(*ty))
            }
            Op::ContBind { from, to } => {
                let event = if self.reached.fresh.contains(from) { Event::BindFresh } else { Event::BindSuspended };
                self.reached.fresh.extend(self.reached.fresh.contains(from).then_some(*to));
                self.cover(body, event);
                Instruction::ContBind { argument_index: self.ty(*from), result_index: self.ty(*to) }
            }
            Op::Suspend(tag) => {
                self.cover(body, Event::Suspend);
                Instruction::Suspend(self.tag(*tag))
            }
            Op::Resume(..) | Op::ResumeThrow(..) | Op::ResumeThrowReference(..) => return self.resume(body, &node.op),
            Op::Switch(ty, tag) => {
                self.reached.switch = true;
                self.cover(body, Event::Switch);
                let (cont_type_index, tag_index) = (self.ty(*ty), self.tag(*tag));
                body.out.push(Instruction::Switch { cont_type_index, tag_index });
                self.cover(body, Event::SwitchedBack);
                return Ok(());
            }
            Op::Throw(tag) => {
                self.cover(body, Event::Throw);
                Instruction::Throw(self.tag(*tag))
            }
            Op::Sequence => return self.sequence(body, &node.bodies[0]),
            Op::Block(label) => {
                let ty = self.block_type(&[], &node.results);
                body.out.push(Instruction::Block(ty));
                return self.nested(body, Some(*label), &node.bodies[0]);
            }
            Op::If => return self.conditional(body, node),
            Op::Landing(label, payload, destinations) => {
                return self.landing(body, node, *label, payload, destinations);
            }
            Op::TryTable(clauses) => return self.try_table(body, node, clauses),
            Op::Br(label) => Instruction::Br(self.depth(body, *label)?),
            Op::BrIf(label) => Instruction::BrIf(self.depth(body, *label)?),
            Op::BrTable(labels, default) => {
                let targets: Result<Vec<u32>> = labels.iter().map(|label| self.depth(body, *label)).collect();
                Instruction::BrTable(targets?.into(), self.depth(body, *default)?)
            }
            Op::BrOnNull(label) => Instruction::BrOnNull(self.depth(body, *label)?),
        };
        body.out.push(instruction);
        Ok(())
    }

    /// An element of a table, in whose place null is put.
    fn take_of_table(&mut self, body: &mut Body, table: u32, index: Local, results: &[ValueType]) -> Result<()> {
        self.cover_table(body, table, Event::TableGet);
        let index = self.local(body, index);
        let table = self.table(table);
        let null = self.null_of(results);
        body.out.extend([
            Instruction::LocalGet(index),
            Instruction::TableGet(table),
            Instruction::LocalGet(index),
            null,
            Instruction::TableSet(table),
        ]);
        Ok(())
    }

    fn struct_get(&mut self, ty: TypeId, field_index: u32) -> Result<Instruction<'static>> {
        let TypeDefinition::Struct(fields) = &self.program.types[ty as usize] else {
            bail!("type {ty} is not a struct");
        };
        let packed = !matches!(fields[field_index as usize], Storage::Value(_));
        let struct_type_index = self.ty(ty);
        Ok(if packed {
            Instruction::StructGetS { struct_type_index, field_index }
        } else {
            Instruction::StructGet { struct_type_index, field_index }
        })
    }

    /// `resume`, `resume_throw` or `resume_throw_ref`.
    fn resume(&mut self, body: &mut Body, op: &Op) -> Result<()> {
        let begins = if matches!(op, Op::Resume(..)) { Event::Resume } else { Event::ResumeThrow };
        self.cover_depth(body, begins);
        let (instruction, finished) = match op {
            Op::Resume(ty, handlers) => {
                let resume_table = self.handlers(body, handlers)?.into();
                (Instruction::Resume { cont_type_index: self.ty(*ty), resume_table }, Event::Finished)
            }
            Op::ResumeThrow(ty, tag, handlers) => {
                let resume_table = self.handlers(body, handlers)?.into();
                let (cont_type_index, tag_index) = (self.ty(*ty), self.tag(*tag));
                let instruction = Instruction::ResumeThrow { cont_type_index, tag_index, resume_table };
                (instruction, Event::ResumeThrowFinished)
            }
            Op::ResumeThrowReference(ty, handlers) => {
                let resume_table = self.handlers(body, handlers)?.into();
                let instruction = Instruction::ResumeThrowRef { cont_type_index: self.ty(*ty), resume_table };
                (instruction, Event::ResumeThrowFinished)
            }
            other => unreachable!("{other:?} resumes nothing"),
        };
        body.out.push(instruction);
        self.cover_at_depth(body, finished);
        Ok(())
    }

    fn conditional(&mut self, body: &mut Body, node: &Node) -> Result<()> {
        let ty = self.block_type(&[], &node.results);
        body.out.push(Instruction::If(ty));
        body.labels.push(None);
        self.sequence(body, &node.bodies[0])?;
        if !node.bodies[1].is_empty() {
            body.out.push(Instruction::Else);
            self.sequence(body, &node.bodies[1])?;
        }
        body.labels.pop();
        body.out.push(Instruction::End);
        Ok(())
    }

    /// A block that handlers and catch clauses land behind, where the payload goes to its destinations.
    fn landing(
        &mut self,
        body: &mut Body,
        node: &Node,
        label: Label,
        payload: &[ValueType],
        destinations: &[Option<Local>],
    ) -> Result<()> {
        body.out.push(Instruction::Block(BlockType::Empty));
        body.labels.push(None);
        let ty = self.block_type(&[], payload);
        body.out.push(Instruction::Block(ty));
        body.labels.push(Some(label));
        self.sequence(body, &node.bodies[0])?;
        body.out.extend([Instruction::Br(1), Instruction::End]);
        body.labels.pop();
        self.store(body, destinations);
        if body.suspension_labels.contains(&label) {
            self.cover_at_depth(body, Event::Handled);
        }
        if body.catch_labels.contains(&label) {
            self.cover_at_depth(body, Event::Caught);
        }
        self.sequence(body, &node.bodies[1])?;
        body.labels.pop();
        body.out.push(Instruction::End);
        Ok(())
    }

    fn try_table(&mut self, body: &mut Body, node: &Node, clauses: &[CatchClause]) -> Result<()> {
        self.cover_depth(body, Event::Depth);
        let mut catches = vec![];
        for clause in clauses {
            body.catch_labels.insert(clause.label());
            let label = self.depth(body, clause.label())?;
            catches.push(match *clause {
                CatchClause::One(tag, _) => Catch::One { tag: self.tag(tag), label },
                CatchClause::OneReference(tag, _) => Catch::OneRef { tag: self.tag(tag), label },
                CatchClause::All(_) => Catch::All { label },
                CatchClause::AllReference(_) => Catch::AllRef { label },
            });
        }
        let ty = self.block_type(&[], &node.results);
        body.out.push(Instruction::TryTable(ty, catches.into()));
        self.nested(body, None, &node.bodies[0])
    }

    fn null_of(&mut self, types: &[ValueType]) -> Instruction<'static> {
        match types {
            [ValueType::Reference(reference)] => Instruction::RefNull(self.heap(reference.heap)),
            other => panic!("only a reference can be taken out of its place, not {other:?}"),
        }
    }
}

fn accesses_memory(instruction: &Instruction) -> bool {
    matches!(
        instruction,
        Instruction::I32Load(_)
            | Instruction::I64Load(_)
            | Instruction::F64Load(_)
            | Instruction::I32Load8U(_)
            | Instruction::I32Load16S(_)
            | Instruction::V128Load(_)
            | Instruction::I32Store(_)
            | Instruction::I64Store(_)
            | Instruction::F32Store(_)
            | Instruction::F64Store(_)
            | Instruction::I32Store8(_)
            | Instruction::V128Store(_)
            | Instruction::MemoryFill(_)
            | Instruction::MemoryCopy { .. }
            | Instruction::MemorySize(_)
            | Instruction::MemoryGrow(_)
    )
}

fn collect_locals(node: &Node, locals: &mut BTreeSet<Local>) {
    match &node.op {
        Op::LocalGet(local) | Op::LocalSet(local) | Op::LocalTee(local) | Op::TakeLocal(local) => {
            locals.insert(*local);
        }
        Op::TakeTable(_, local) => {
            locals.insert(*local);
        }
        Op::Assign(destinations) | Op::Loop(_, _, destinations) | Op::Landing(_, _, destinations) => {
            locals.extend(destinations.iter().flatten());
        }
        _ => {}
    }
    node.inputs.iter().chain(node.bodies.iter().flatten()).for_each(|child| collect_locals(child, locals));
}
