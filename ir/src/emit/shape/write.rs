//! The result: labels as numbers, block types, clauses, and locals that validation wants to be nullable.

use super::Shaper;
use crate::emit::body::{BlockTypeId, CodeItem, EmittedBlockType, EmittedBody, EmittedTryTable, LabelledOperator};
use crate::emit::graph::{EdgeId, Exit, NONE, NodeId, index_u32};
use crate::emit::locals::Locals;
use crate::emit::schedule::Code;
use crate::emit::structure::{FrameId, FrameKind};
use crate::entity::Entity;
use crate::func::{Handler, OperatorId, Terminator, Value};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use wasmparser::{Catch, Handle, Operator, ValType};

impl Shaper<'_> {
    /// Locals that may be read before they are written, as validation sees it: a write counts up to the end of the frame that it is in.
    fn unset_locals(&self, locals: &Locals, params: usize) -> Vec<bool> {
        let mut is_unset = vec![false; locals.types.len()];
        if locals.types.iter().all(|ty| ty.is_defaultable()) {
            return is_unset;
        }
        let mut is_set = vec![false; locals.types.len()];
        let mut written: Vec<usize> = Vec::new();
        let mut frames: Vec<usize> = Vec::new();
        let mut position = self.next[0];
        while position != NONE {
            match self.code[position as usize] {
                Code::Open(_) => frames.push(written.len()),
                Code::Else(_) => {
                    let height = *frames.last().expect("an else is inside an if");
                    written.drain(height..).for_each(|local| is_set[local] = false);
                }
                Code::End(_) => {
                    let height = frames.pop().expect("an end has a beginning");
                    written.drain(height..).for_each(|local| is_set[local] = false);
                }
                Code::Set(local) | Code::Tee(local) => {
                    if let Some(local) = local.index().checked_sub(params)
                        && !std::mem::replace(&mut is_set[local], true)
                    {
                        written.push(local);
                    }
                }
                Code::Get(local) => {
                    if let Some(local) = local.index().checked_sub(params) {
                        is_unset[local] |= !is_set[local];
                    }
                }
                _ => {}
            }
            position = self.next[position as usize];
        }
        for (is_unset, ty) in is_unset.iter_mut().zip(&locals.types) {
            *is_unset &= !ty.is_defaultable();
        }
        is_unset
    }

    /// How often each of so many locals is read.
    fn reads(&self, count: usize) -> Vec<u32> {
        let mut reads = vec![0; count];
        let mut position = self.next[0];
        while position != NONE {
            if let Code::Get(local) = self.code[position as usize] {
                reads[local.index()] += 1;
            }
            position = self.next[position as usize];
        }
        reads
    }

    /// Numbers labels and writes the result.
    pub(super) fn finish(self, locals: &Locals) -> EmittedBody {
        let params = self.func.blocks[self.func.entry].params.len();
        let is_unset = self.unset_locals(locals, params);
        let mut body = EmittedBody::default();
        for (&ty, &is_unset) in locals.types.iter().zip(&is_unset) {
            let ty = match ty {
                ValType::Ref(reference) if is_unset => ValType::Ref(reference.nullable()),
                ty => ty,
            };
            match body.locals.last_mut() {
                Some((count, last)) if *last == ty => *count += 1,
                _ => body.locals.push((1, ty)),
            }
        }
        for (number, source) in locals.source_locals.iter().enumerate() {
            let name = source.and_then(|source| self.func.local_names.get(source.index())?.clone());
            body.local_names.extend(name.map(|name| (index_u32(number), name)));
        }
        let needs_cast = |local: Value| local.index().checked_sub(params).is_some_and(|local| is_unset[local]);
        let mut writer = Writer {
            shaper: &self,
            body,
            level: vec![0; self.structure.frames.len()],
            depth: 0,
            block_types: FxHashMap::default(),
            reads: self.reads(params + locals.types.len()),
        };
        let mut position = self.next[0];
        while position != NONE {
            if let Some(&likely) = self.hints.get(&position) {
                writer.body.branch_hints.push((index_u32(writer.body.code.len()), likely));
            }
            let code = self.code[position as usize];
            writer.write(code);
            if let Code::Get(local) | Code::Tee(local) = code
                && needs_cast(local)
            {
                writer.body.code.push(CodeItem::RefAsNonNull);
            }
            position = self.next[position as usize];
        }
        writer.body
    }
}

struct Writer<'a> {
    shaper: &'a Shaper<'a>,
    body: EmittedBody,
    level: Vec<u32>,
    depth: u32,
    block_types: FxHashMap<SmallVec<[ValType; 2]>, BlockTypeId>,
    /// How often each local is read.
    reads: Vec<u32>,
}

impl Writer<'_> {
    fn block_type(&mut self, results: SmallVec<[ValType; 2]>) -> BlockTypeId {
        if let Some(&id) = self.block_types.get(&results) {
            return id;
        }
        let id = BlockTypeId(index_u32(self.body.block_types.len()));
        self.body.block_types.push(EmittedBlockType { params: Box::new([]), results: results.as_slice().into() });
        self.block_types.insert(results, id);
        id
    }

    fn label(&self, frame: FrameId) -> u32 {
        self.depth - 1 - self.level[frame as usize]
    }

    fn edge_label(&self, edge: EdgeId) -> u32 {
        self.label(self.shaper.edge_frame(edge))
    }

    fn enter(&mut self, frame: FrameId) {
        self.level[frame as usize] = self.depth;
        self.depth += 1;
    }

    fn write(&mut self, code: Code) {
        let shaper = self.shaper;
        let item = match code {
            Code::Nothing | Code::Undefine(_) => return,
            Code::Operator(id) => CodeItem::Operator(id),
            // Frames that vanished bring these together.
            Code::Get(local) if self.body.code.last() == Some(&CodeItem::LocalSet(local.as_u32())) => {
                self.body.code.pop();
                if self.reads[local.index()] == 1 {
                    return;
                }
                CodeItem::LocalTee(local.as_u32())
            }
            Code::Get(local) => CodeItem::LocalGet(local.as_u32()),
            Code::Set(local) => CodeItem::LocalSet(local.as_u32()),
            Code::AsNonNull => CodeItem::RefAsNonNull,
            Code::Tee(local) => CodeItem::LocalTee(local.as_u32()),
            Code::Open(frame) => {
                let kind = shaper.structure.frames[frame as usize].kind;
                let results = shaper.results(frame);
                let ty = self.block_type(results);
                let item = match kind {
                    FrameKind::If { .. } => CodeItem::If(ty),
                    FrameKind::Block if shaper.became_if[frame as usize] => CodeItem::If(ty),
                    FrameKind::Block => CodeItem::Block(ty),
                    FrameKind::Loop => CodeItem::Loop(ty),
                    FrameKind::Try => self.try_table(shaper.structure.frames[frame as usize].node, ty),
                };
                self.enter(frame);
                item
            }
            Code::Else(_) => CodeItem::Else,
            Code::End(_) => {
                self.depth -= 1;
                CodeItem::End
            }
            Code::Br(frame) => CodeItem::Br(self.label(frame)),
            Code::BrIf(frame) => CodeItem::BrIf(self.label(frame)),
            Code::Table(node) => {
                let Exit::Switch { entries, .. } = &shaper.graph.nodes[node as usize].exit else {
                    unreachable!("a table is the exit of its node")
                };
                let table = entries.iter().map(|&edge| self.edge_label(edge)).collect();
                self.body.branch_tables.push(table);
                CodeItem::BrTable(index_u32(self.body.branch_tables.len() - 1))
            }
            Code::Invoke(node) => self.invoke(node),
            Code::BranchOnReference(node) => {
                let Exit::BranchOnReference { taken, .. } = shaper.graph.nodes[node as usize].exit else {
                    unreachable!("a branch on a reference is the exit of its node")
                };
                let operator = shaper.terminator(node).operator().expect("it has an operator");
                self.labelled(operator, vec![self.edge_label(taken)], Vec::new())
            }
            Code::Return => CodeItem::Return,
            Code::Unreachable => CodeItem::Unreachable,
            Code::Drop => CodeItem::Drop,
            Code::I32Const(value) => CodeItem::I32Const(value),
            Code::I32Eqz => CodeItem::I32Eqz,
        };
        self.body.code.push(item);
    }

    fn labelled(&mut self, operator: OperatorId, labels: Vec<u32>, clauses: Vec<Handle>) -> CodeItem {
        self.body.labelled.push(LabelledOperator { operator, labels, clauses });
        CodeItem::Labelled(index_u32(self.body.labelled.len() - 1))
    }

    fn invoke(&mut self, node: NodeId) -> CodeItem {
        let Terminator::Invoke(invoke) = self.shaper.terminator(node) else {
            unreachable!("an invocation is the exit of its node")
        };
        let Exit::Invoke { handlers, .. } = &self.shaper.graph.nodes[node as usize].exit else {
            unreachable!("an invocation is the exit of its node")
        };
        let is_resume = matches!(
            self.shaper.func.operators[invoke.operator],
            Operator::Resume { .. } | Operator::ResumeThrow { .. } | Operator::ResumeThrowRef { .. }
        );
        if !is_resume {
            return CodeItem::Operator(invoke.operator);
        }
        let mut edges = handlers.iter();
        let mut labels = Vec::new();
        for handler in invoke.handlers.iter().filter(|handler| handler.block().is_some()) {
            let &edge = edges.next().expect("one edge for each handler with a block");
            if let Handler::Suspension { .. } = handler {
                labels.push(self.edge_label(edge));
            }
        }
        let clauses = invoke.handlers.iter().filter_map(|handler| match *handler {
            Handler::Suspension { tag, .. } => Some(Handle::OnLabel { tag: tag.as_u32(), label: 0 }),
            Handler::Switch { tag } => Some(Handle::OnSwitch { tag: tag.as_u32() }),
            _ => None,
        });
        let clauses = clauses.collect();
        self.labelled(invoke.operator, labels, clauses)
    }

    fn try_table(&mut self, node: NodeId, ty: BlockTypeId) -> CodeItem {
        let Terminator::Invoke(invoke) = self.shaper.terminator(node) else {
            unreachable!("a try_table holds an invocation")
        };
        let Exit::Invoke { handlers, .. } = &self.shaper.graph.nodes[node as usize].exit else {
            unreachable!("an invocation is the exit of its node")
        };
        let mut edges = handlers.iter();
        let mut catches = Vec::new();
        for handler in invoke.handlers.iter().filter(|handler| handler.block().is_some()) {
            let &edge = edges.next().expect("one edge for each handler with a block");
            let label = self.edge_label(edge);
            catches.push(match *handler {
                Handler::Catch { tag, .. } => Catch::One { tag: tag.as_u32(), label },
                Handler::CatchRef { tag, .. } => Catch::OneRef { tag: tag.as_u32(), label },
                Handler::CatchAll { .. } => Catch::All { label },
                Handler::CatchAllRef { .. } => Catch::AllRef { label },
                Handler::Suspension { .. } | Handler::Switch { .. } => continue,
            });
        }
        self.body.try_tables.push(EmittedTryTable { ty, catches });
        CodeItem::TryTable(index_u32(self.body.try_tables.len() - 1))
    }
}
