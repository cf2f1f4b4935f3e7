//! Host functions that call back, and go on whatever came of it: nothing of a callback is left in the continuation that called the host.

use wasmfx::lowering::{
    CopiesArgument, Frames, LoweringArguments, LoweringDetails, RuntimeArgument, lower_binary, runtime_binary,
};
use wasmfx_passes::lower::RUNTIME_MODULE;
use wasmfx_tests::differential::run::{EngineOptions, engine};
use wasmtime::{Caller, Linker, Module, Store};

/// A continuation calls the host, which calls one of the exports and swallows its trap. Then it calls a function that may suspend and does not.
const CALLBACKS: &str = r#"(module
    (import "host" "callback" (func $callback (param i32)))
    (type $ft (func (param i32) (result i32))) (type $ct (cont $ft)) (tag $y (param i32) (result i32))
    (func $maybe (type $ft)
        (if (i32.eqz (local.get 0)) (then (return (i32.const 1234))))
        (i32.add (call $maybe (i32.sub (local.get 0) (i32.const 1))) (suspend $y (i32.const 2))))
    (func $nest (type $ft)
        (if (i32.eqz (local.get 0)) (then (unreachable)))
        (if (i32.eq (local.get 0) (i32.const 1000001)) (then (return (i32.const 7))))
        (i32.add (i32.const 1)
            (resume $ct (i32.sub (local.get 0) (i32.const 1)) (cont.new $ct (ref.func $nest)))))
    (func $body (type $ft)
        (call $callback (local.get 0))
        (i32.add (call $maybe (i32.const 0)) (call $nest (i32.const 1000003))))
    (elem declare func $body $maybe $nest)
    (func (export "nothing"))
    ;; Each suspension is resumed with 2.
    (func (export "suspend") (param i32) (result i32) (local $k (ref null $ct))
        (local.set $k (cont.new $ct (ref.func $maybe)))
        (loop $again
            (block $on (result i32 (ref $ct))
                (return (resume $ct (on $y $on) (local.get 0) (local.get $k))))
            (local.set $k) (local.set 0)
            (br $again))
        (unreachable))
    (func (export "unhandled") (drop (call $maybe (i32.const 5))))
    (func (export "trap deep inside of resumes") (drop (call $nest (i32.const 600))))
    (func (export "go") (param i32) (result i32)
        (block $on (result i32 (ref $ct))
            (return (resume $ct (on $y $on) (local.get 0) (cont.new $ct (ref.func $body)))))
        (drop) (drop) (i32.const -1)))"#;

const EXPORTS: [&str; 3] = ["nothing", "unhandled", "trap deep inside of resumes"];

#[test]
fn what_a_callback_that_traps_leaves_behind_is_forgotten() {
    let binary = wat::parse_str(CALLBACKS).unwrap();
    for frames in [Frames::Memory, Frames::Gc] {
        for copies in [CopiesArgument::One, CopiesArgument::Two] {
            let details = LoweringDetails { copies, ..LoweringDetails::default() };
            let options = LoweringArguments { frames, details, ..LoweringArguments::default() }.options();
            let (lowered, _) = lower_binary(&binary, &options).unwrap();
            let engine = engine(EngineOptions { stack_switching: false, ..EngineOptions::default() }).unwrap();
            let module = Module::new(&engine, lowered).unwrap();
            let mut linker: Linker<u32> = Linker::new(&engine);
            let callback = |mut caller: Caller<'_, u32>, export: i32| {
                let function = caller.get_export(EXPORTS[export as usize]).unwrap().into_func().unwrap();
                *caller.data_mut() += u32::from(function.call(&mut caller, &[], &mut []).is_err());
            };
            linker.func_wrap("host", "callback", callback).unwrap();
            let mut store = Store::new(&engine, 0);
            store.set_epoch_deadline(1_000_000);
            let instance = linker.instantiate(&mut store, &module).unwrap();
            let go = instance.get_typed_func::<i32, i32>(&mut store, "go").unwrap();
            for (number, export) in (0..).zip(EXPORTS) {
                let result = go.call(&mut store, number).unwrap();
                assert_eq!(result, 1234 + 9, "{frames:?} {copies:?} {export}");
            }
            assert_eq!(*store.data(), 2, "{frames:?} {copies:?}: two of the callbacks trap");
        }
    }
}

/// A pattern for the imports of the host that stands for the runtime's too.
#[test]
fn the_runtime_is_not_the_hosts_whatever_the_patterns_say() {
    let binary = wat::parse_str(CALLBACKS).unwrap();
    for frames in [Frames::Memory, Frames::Gc] {
        let details = LoweringDetails { host_import: vec!["*".to_owned()], ..LoweringDetails::default() };
        let arguments = LoweringArguments { frames, runtime: RuntimeArgument::Shared, details };
        let (lowered, _) = lower_binary(&binary, &arguments.options()).unwrap();
        let engine = engine(EngineOptions { stack_switching: false, ..EngineOptions::default() }).unwrap();
        let mut store = Store::new(&engine, 0);
        store.set_epoch_deadline(1_000_000);
        let runtime = Module::new(&engine, runtime_binary(frames, None, false).unwrap()).unwrap();
        let mut linker: Linker<u32> = Linker::new(&engine);
        linker.func_wrap("host", "callback", |_: i32| ()).unwrap();
        linker.module(&mut store, RUNTIME_MODULE, &runtime).unwrap();
        let instance = linker.instantiate(&mut store, &Module::new(&engine, lowered).unwrap()).unwrap();
        let go = instance.get_typed_func::<i32, i32>(&mut store, "suspend").unwrap();
        assert_eq!(go.call(&mut store, 5).unwrap(), 5 * 2 + 1234, "{frames:?}");
    }
}
