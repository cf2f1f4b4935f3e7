//! Branches that only choose a value become `select`.
//!
//! Both arms are computed before the branch already, so nothing is executed that was not.

use crate::environment::ModuleEnvironment;
use crate::pass_table::Changed;
use wasmfx_ir::Func;
use wasmfx_ir::func::Terminator;
use wasmfx_ir::wasmparser::{Operator, ValType};

/// Runs the pass: a branch to one block whose sides differ in a single argument is a `select` of the argument.
pub fn run(func: &mut Func, _environment: &ModuleEnvironment<'_>) -> Changed {
    let mut changed = Changed::No;
    for block in func.blocks.keys() {
        let Terminator::Branch { condition, then_target, else_target, likely: None } = &func.blocks[block].terminator
        else {
            continue;
        };
        if then_target.block != else_target.block {
            continue;
        }
        let mut differing =
            (0..then_target.args.len()).filter(|&index| then_target.args[index] != else_target.args[index]);
        let (Some(index), None) = (differing.next(), differing.next()) else { continue };
        let (a, b) = (then_target.args[index], else_target.args[index]);
        let ty = func.value_type(a);
        // `select` without a type is for numbers; references would need both arms' common type.
        if ty != func.value_type(b) || matches!(ty, ValType::Ref(_)) {
            continue;
        }
        let (condition, mut target) = (*condition, then_target.clone());
        target.args[index] = func.append_value(block, Operator::Select, &[a, b, condition], ty);
        func.blocks[block].terminator = Terminator::Jump(target);
        changed = Changed::Yes;
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::testing::{cleaned_up, names, returns};
    use wasmfx_ir::func::BlockCall;
    use wasmfx_ir::module::TypeId;

    #[test]
    fn a_diamond_that_chooses_a_number_becomes_a_select_in_one_block() {
        let mut func = Func::new(TypeId::from_u32(0), &[ValType::I32, ValType::I32, ValType::I32], &[ValType::I32]);
        let params = func.blocks[func.entry].params.clone();
        let (left, right, join) = (func.add_block(), func.add_block(), func.add_block());
        let joined = func.add_block_param(join, ValType::I32);
        func.blocks[func.entry].terminator = Terminator::Branch {
            condition: params[0],
            then_target: BlockCall::new(left),
            else_target: BlockCall::new(right),
            likely: None,
        };
        func.blocks[left].terminator = Terminator::Jump(BlockCall::with_args(join, [params[1]]));
        func.blocks[right].terminator = Terminator::Jump(BlockCall::with_args(join, [params[2]]));
        returns(&mut func, join, joined);
        let func = cleaned_up(func);
        assert_eq!(names(&func, func.entry), ["select"]);
        assert!(matches!(func.blocks[func.entry].terminator, Terminator::Return(_)));
    }
}
