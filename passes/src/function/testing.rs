//! What the unit tests of function passes share: bodies from text, and bodies as text.

use crate::environment::ModuleEnvironment;
use crate::options::Options;
use crate::pass_table::Changed;
use wasmfx_ir::analysis::ControlFlowGraph;
use wasmfx_ir::func::Terminator;
use wasmfx_ir::lift::lift_body;
use wasmfx_ir::module::{Body, Module};
use wasmfx_ir::opcode::Opcode;
use wasmfx_ir::parse::ParseOptions;
use wasmfx_ir::subtype::Subtyping;
use wasmfx_ir::{Block, Func, Value, text};

/// A module in text form.
pub fn module(text: &str) -> Module {
    text::read_module(text.as_bytes(), "test.wat", &ParseOptions::default()).expect("the test's module is valid")
}

/// The body of the first function that the module defines.
pub fn first_body(module: &Module) -> Func {
    let function = module.functions.values().find(|function| matches!(function.body, Body::Lazy(_)));
    let function = function.expect("the test's module defines a function");
    let Body::Lazy(body) = &function.body else { unreachable!("chosen by that") };
    lift_body(body, function.ty, &[]).expect("the test's body is in the IR's reach")
}

/// The operators of all reachable blocks, in reverse postorder, after these passes ran twice.
pub fn operators_after(text: &str, passes: &[fn(&mut Func, &ModuleEnvironment<'_>) -> Changed]) -> Vec<&'static str> {
    let module = module(text);
    let mut func = first_body(&module);
    let options = Options::default();
    let subtyping = Subtyping::new(&module.types);
    let environment = ModuleEnvironment::new(&module, &subtyping, &options);
    for _ in 0..2 {
        for pass in passes {
            let _ = pass(&mut func, &environment);
        }
    }
    let cfg = ControlFlowGraph::new(&func);
    let mut names = Vec::new();
    for &block in cfg.reverse_postorder() {
        let data = &func.blocks[block];
        names.extend(data.insts.iter().map(|&inst| Opcode::of(func.operator(inst)).name()));
        names.extend(data.terminator.operator().map(|operator| Opcode::of(&func.operators[operator]).name()));
    }
    names
}

/// A body after everything that simplifies control flow has run several times.
pub fn cleaned_up(mut func: Func) -> Func {
    use crate::function::{block_merging, branches, dead_code, jump_threading, select_formation, simplify};
    let (module, options) = (Module::default(), Options::default());
    let subtyping = Subtyping::new(&module.types);
    let environment = ModuleEnvironment::new(&module, &subtyping, &options);
    for _ in 0..4 {
        for pass in [
            branches::run,
            jump_threading::run,
            select_formation::run,
            block_merging::run,
            simplify::run,
            dead_code::run,
        ] {
            let _ = pass(&mut func, &environment);
        }
    }
    func
}

/// The names of a block's instructions.
pub fn names(func: &Func, block: Block) -> Vec<&'static str> {
    func.blocks[block].insts.iter().map(|&inst| Opcode::of(func.operator(inst)).name()).collect()
}

/// Ends a block by returning a value.
pub fn returns(func: &mut Func, block: Block, value: Value) {
    func.blocks[block].terminator = Terminator::Return([value].into_iter().collect());
}
