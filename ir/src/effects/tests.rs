use super::*;
use Operator as O;
use wasmparser::{AbstractHeapType, HeapType, MemArg, MemArgTarget, RefType, ResumeTable};

fn of(operator: &Operator<'_>) -> Effects {
    effects(operator, &UnknownEnvironment)
}
fn memarg(memory: u32) -> MemArg {
    MemArg { align: 0, max_align: 0, offset: 0, target: MemArgTarget::Memory(memory), ordering: None }
}

#[test]
fn loads_and_stores_conflict_only_within_one_memory() {
    let load = of(&O::I32Load { memarg: memarg(0) });
    let store = of(&O::I32Store { memarg: memarg(0) });
    // Across memories the trap of one still may not pass the write of the other.
    let elsewhere = of(&O::I32Store { memarg: memarg(1) });
    assert!(load.conflicts_with(&store) && store.conflicts_with(&load));
    assert!(!load.conflicts_with(&load));
    assert!(load.conflicts_with(&elsewhere));
    assert!(!load.without_traps().conflicts_with(&elsewhere.without_traps()));
}

#[test]
fn a_trap_stays_on_its_side_of_every_write_but_passes_other_traps() {
    let division = of(&O::I32DivS);
    assert!(division.conflicts_with(&of(&O::GlobalSet { global_index: 3 })));
    assert!(division.conflicts_with(&of(&O::MemoryGrow { mem: 0 })));
    assert!(division.conflicts_with(&of(&O::Call { function_index: 0 })));
    assert!(!division.conflicts_with(&of(&O::I32RemU)));
    assert!(!division.conflicts_with(&of(&O::GlobalGet { global_index: 3 })));
}

#[test]
fn pure_operators_conflict_with_nothing() {
    let add = of(&O::I32Add);
    assert!(add.is_pure() && add.is_idempotent());
    for &opcode in Opcode::ALL {
        if let Some(operator) = opcode.without_immediates() {
            assert!(!add.conflicts_with(&of(&operator)), "{opcode:?}");
        }
    }
}

#[test]
fn every_operator_has_effects() {
    for &opcode in Opcode::ALL {
        // Placing each opcode is checked by the compiler; that those which name places are all listed is checked by running.
        let _ = class_of(opcode);
        if let Some(operator) = opcode.without_immediates() {
            let _ = of(&operator);
        }
    }
}

#[test]
fn a_new_continuation_is_generative_and_reads_nothing() {
    let new = of(&O::ContNew { cont_type_index: 0 });
    assert!(!new.is_idempotent(), "two cont.new are two continuations");
    assert!(!new.is_removable_if_unused(), "its function may be null");
    assert!(new.without_traps().is_removable_if_unused());
    assert!(new.reads.is_empty() && new.writes.is_empty());
    assert!(!new.without_traps().conflicts_with(&of(&O::Suspend { tag_index: 0 })));
}

#[test]
fn a_new_continuation_of_a_function_that_is_not_null_does_not_trap() {
    let function = |nullable| ValType::Ref(RefType::new(nullable, HeapType::FUNC).unwrap());
    let continuation =
        ValType::Ref(RefType::new(false, HeapType::Abstract { shared: false, ty: AbstractHeapType::Cont }).unwrap());
    for nullable in [false, true] {
        let mut func = Func::new(TypeId::from_u32(0), &[function(nullable)], &[]);
        let param = func.blocks[func.entry].params[0];
        let inst = func.append(func.entry, O::ContNew { cont_type_index: 0 }, &[param], &[continuation]);
        assert_eq!(inst_effects(&func, inst, &UnknownEnvironment).may_trap(), nullable);
    }
}

#[test]
fn binding_consumes_its_operand() {
    let bind = of(&O::ContBind { argument_index: 0, result_index: 1 });
    assert!(!bind.is_removable_if_unused() && !bind.is_idempotent() && bind.may_trap());
    assert!(bind.conflicts_with(&bind), "the second of two binds of one continuation is the one that traps");
    assert!(bind.conflicts_with(&of(&O::Call { function_index: 0 })));
    assert!(bind.conflicts_with(&of(&O::GlobalSet { global_index: 0 })));
    assert!(!bind.conflicts_with(&of(&O::I32Load { memarg: memarg(0) }).without_traps()));
}

#[test]
fn suspending_resuming_and_switching_run_arbitrary_code() {
    let table = || ResumeTable { handlers: Vec::new() };
    for operator in [
        O::Suspend { tag_index: 0 },
        O::Switch { cont_type_index: 0, tag_index: 0 },
        O::Resume { cont_type_index: 0, resume_table: table() },
        O::ResumeThrow { cont_type_index: 0, tag_index: 0, resume_table: table() },
        O::ResumeThrowRef { cont_type_index: 0, resume_table: table() },
    ] {
        let effects = of(&operator);
        assert!(!effects.is_removable_if_unused() && !effects.is_idempotent());
        for other in [O::GlobalGet { global_index: 0 }, O::I32Load { memarg: memarg(0) }, O::I32DivS] {
            assert!(effects.conflicts_with(&of(&other)), "{operator:?} and {other:?}");
        }
    }
}

#[test]
fn divisions_by_constants_trap_only_where_they_can() {
    for (divisor, signed_traps, remainder_traps) in [(0, true, true), (-1, true, false), (7, false, false)] {
        let mut func = Func::new(TypeId::from_u32(0), &[ValType::I32], &[]);
        let param = func.blocks[func.entry].params[0];
        let divisor = func.append_value(func.entry, O::I32Const { value: divisor }, &[], ValType::I32);
        let quotient = func.append(func.entry, O::I32DivS, &[param, divisor], &[ValType::I32]);
        let remainder = func.append(func.entry, O::I32RemS, &[param, divisor], &[ValType::I32]);
        assert_eq!(inst_effects(&func, quotient, &UnknownEnvironment).may_trap(), signed_traps);
        assert_eq!(inst_effects(&func, remainder, &UnknownEnvironment).may_trap(), remainder_traps);
    }
}

#[test]
fn atomic_accesses_are_ordered_with_all_accesses() {
    let load = of(&O::I32AtomicLoad { memarg: memarg(0) });
    assert!(load.conflicts_with(&load));
    assert!(load.conflicts_with(&of(&O::I32Load { memarg: memarg(1) })));
    assert!(!load.is_removable_if_unused());
}
