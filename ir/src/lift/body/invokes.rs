//! Instructions with edges: resumes, and calls inside `try_table`s.

use super::Builder;
use super::branches::{ActiveCatch, Target};
use super::constructs::FrameKind;
use crate::func::{Block, Handler, Invoke, Terminator};
use crate::module::{OpaqueReason, TagId};
use wasmparser::{Catch, Handle, Operator, RefType, ResumeTable, ValType, WasmModuleResources};

/// What a value that a handler receives costs of the limit on a body's size: it is copied on, and all stages look at it.
const LANDING_WEIGHT: usize = 4;

impl Builder<'_> {
    pub(super) fn resume(&mut self, operator: Operator<'_>) -> Result<(), OpaqueReason> {
        let empty = ResumeTable { handlers: Vec::new() };
        match operator {
            Operator::Resume { cont_type_index, resume_table } => {
                self.invoke(Operator::Resume { cont_type_index, resume_table: empty }, Some(resume_table))
            }
            Operator::ResumeThrow { cont_type_index, tag_index, resume_table } => self
                .invoke(Operator::ResumeThrow { cont_type_index, tag_index, resume_table: empty }, Some(resume_table)),
            Operator::ResumeThrowRef { cont_type_index, resume_table } => {
                self.invoke(Operator::ResumeThrowRef { cont_type_index, resume_table: empty }, Some(resume_table))
            }
            _ => unreachable!("not a resume"),
        }
    }

    /// An operator with handlers: those of a resume table, and the clauses of the enclosing `try_table`s.
    pub(super) fn invoke(&mut self, operator: Operator<'_>, table: Option<ResumeTable>) -> Result<(), OpaqueReason> {
        let (pops, pushes) = self.arity(&operator);
        let returns = !matches!(operator, Operator::Throw { .. } | Operator::ThrowRef);
        let args = self.pop_many(pops);
        self.listed_values += pops + pushes;
        let operator = self.intern(operator);
        let normal = returns.then(|| {
            let types = self.take_pushed_types(pushes);
            // It comes before the landing blocks in the order of the source.
            let block = self.add_block();
            for &ty in &types {
                let value = self.func.add_block_param(block, ty);
                self.stack.push(value);
            }
            self.result_types = types;
            block
        });
        let height = self.stack.len();
        let mut handlers = Vec::new();
        for handle in table.into_iter().flat_map(|table| table.handlers) {
            handlers.push(match handle {
                Handle::OnLabel { tag, label } => {
                    let continuation = self.label_continuation_type(label);
                    let target = self.target(label);
                    let block = self.landing_block(Some(tag), Some(continuation), target)?;
                    Handler::Suspension { tag: TagId::from_u32(tag), block }
                }
                Handle::OnSwitch { tag } => Handler::Switch { tag: TagId::from_u32(tag) },
            });
        }
        self.exception_handlers(&mut handlers)?;
        debug_assert_eq!(self.stack.len(), height);
        self.terminate(Terminator::Invoke(Box::new(Invoke { operator, args, normal, handlers })));
        self.current = normal;
        Ok(())
    }

    fn exception_handlers(&mut self, handlers: &mut Vec<Handler>) -> Result<(), OpaqueReason> {
        let exnref = ValType::Ref(RefType::EXNREF.as_non_null());
        let mut end = self.catches.len();
        for group in (0..self.catch_groups.len()).rev() {
            let start = self.catch_groups[group];
            for index in start..end {
                let ActiveCatch { catch, target } = self.catches[index];
                handlers.push(match catch {
                    Catch::One { tag, .. } => {
                        let block = self.landing_block(Some(tag), None, target)?;
                        Handler::Catch { tag: TagId::from_u32(tag), block }
                    }
                    Catch::OneRef { tag, .. } => {
                        let block = self.landing_block(Some(tag), Some(exnref), target)?;
                        Handler::CatchRef { tag: TagId::from_u32(tag), block }
                    }
                    Catch::All { .. } => Handler::CatchAll { block: self.landing_block(None, None, target)? },
                    Catch::AllRef { .. } => {
                        Handler::CatchAllRef { block: self.landing_block(None, Some(exnref), target)? }
                    }
                });
                if let Catch::All { .. } | Catch::AllRef { .. } = catch {
                    // Nothing gets past it.
                    return Ok(());
                }
            }
            end = start;
        }
        Ok(())
    }

    /// The type of the continuation that a clause `(on $tag $label)` hands to its label: what the label takes, and not null.
    fn label_continuation_type(&self, relative_depth: u32) -> ValType {
        let frame = &self.frames[self.frames.len() - 1 - relative_depth as usize];
        let types = match frame.kind {
            FrameKind::Loop => self.param_types(frame.ty),
            _ => self.result_types(frame.ty),
        };
        match types.last() {
            Some(ValType::Ref(reference)) => ValType::Ref(reference.as_non_null()),
            other => unreachable!("validation lets a suspension lead to no label that ends with {other:?}"),
        }
    }

    /// A block that receives the parameters of a tag and a reference, and goes on to `target` with them.
    fn landing_block(
        &mut self,
        tag: Option<u32>,
        reference: Option<ValType>,
        target: Target,
    ) -> Result<Block, OpaqueReason> {
        let block = self.add_block();
        let height = self.stack.len();
        if let Some(tag) = tag {
            let ty = self.source.resources.tag_at(tag).expect("validated");
            for &ty in ty.params() {
                let value = self.func.add_block_param(block, self.source.numbered_type(ty));
                self.stack.push(value);
            }
        }
        if let Some(ty) = reference {
            let value = self.func.add_block_param(block, ty);
            self.stack.push(value);
        }
        self.func.blocks[block].terminator = match target {
            Target::Join(join) => Terminator::Jump(self.edge(block, join)),
            Target::Return => Terminator::Return(self.top(self.func.results.len())),
        };
        self.listed_values += LANDING_WEIGHT * (1 + self.stack.len() - height);
        self.stack.truncate(height);
        self.check_size()?;
        Ok(block)
    }
}
