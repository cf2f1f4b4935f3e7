//! What the engine panics with: an error for whoever asked for something, not a report of this program's own.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The compilations that are going on, on all threads.
static COMPILATIONS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static IS_COMPILING: Cell<bool> = const { Cell::new(false) };
    /// Whether this thread runs modules.
    static IS_EXECUTING: Cell<bool> = const { Cell::new(false) };
    /// Whether the engine has panicked while this thread ran modules.
    static HAS_FAILED: Cell<bool> = const { Cell::new(false) };
}

/// A compilation that this thread waits for; it ends where this is dropped.
struct Compilation;

impl Compilation {
    fn begin() -> Compilation {
        COMPILATIONS.fetch_add(1, Ordering::Relaxed);
        IS_COMPILING.set(true);
        Compilation
    }
}

impl Drop for Compilation {
    fn drop(&mut self) {
        COMPILATIONS.fetch_sub(1, Ordering::Relaxed);
        IS_COMPILING.set(false);
    }
}

/// Compiles something. `Err` is what the compiler panicked with.
pub(super) fn of_the_compiler<R>(compile: impl FnOnce() -> R) -> Result<R, String> {
    hush_the_engine();
    // Nothing that the engine shares between modules is touched before a module is compiled as a whole.
    catch_unwind(AssertUnwindSafe(|| {
        let _compilation = Compilation::begin();
        compile()
    }))
    .map_err(|panic| message(&*panic))
}

/// The engine panicked where it ran modules: with this message. What a thread that others wait for panics with where that happens.
pub(super) struct EngineFailure(pub String);

/// Runs something that runs modules. What panics elsewhere than in the engine still does.
pub(super) fn of_execution<R>(run: impl FnOnce() -> R) -> Result<R, EngineFailure> {
    hush_the_engine();
    // The store that the engine worked on is dropped on the way here.
    let was_executing = IS_EXECUTING.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(run));
    IS_EXECUTING.set(was_executing);
    outcome.map_err(|panic| match panic.downcast::<EngineFailure>() {
        Ok(failure) => *failure,
        Err(panic) if HAS_FAILED.take() => EngineFailure(message(&*panic)),
        Err(panic) => resume_unwind(panic),
    })
}

fn message(panic: &(dyn Any + Send)) -> String {
    let message = panic.downcast_ref::<String>().map(String::as_str);
    message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_string()
}

/// Whether a file is one of the engine's source.
fn is_of_the_engine(file: &str) -> bool {
    ["/wasmtime-", "/cranelift-", "/regalloc2-"].iter().any(|crates| file.contains(crates))
}

/// Whether a panic at this place of the source is one of the engine's compiler. It works on threads that it shares with everybody else, so
/// what other threads panic with while something is compiled is told by the crate that does.
fn is_of_the_compiler(file: &str) -> bool {
    IS_COMPILING.get() || is_of_the_engine(file) && COMPILATIONS.load(Ordering::Relaxed) > 0
}

/// What the engine panics with becomes an error, and is not printed as well.
fn hush_the_engine() {
    static HUSHED: Once = Once::new();
    HUSHED.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let file = panic.location().map_or("", |place| place.file());
            if is_of_the_compiler(file) {
                return;
            }
            if IS_EXECUTING.get() && is_of_the_engine(file) {
                HAS_FAILED.set(true);
                return;
            }
            report(panic);
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_engine_panics_with_while_it_runs_is_an_error() {
        let engine = wasmtime::Engine::default();
        let (mut one, mut other) = (wasmtime::Store::new(&engine, ()), wasmtime::Store::new(&engine, ()));
        let function = wasmtime::Func::wrap(&mut one, || ());
        let failure = of_execution(|| function.call(&mut other, &[], &mut [])).expect_err("it is another store's");
        assert!(failure.0.contains("store"), "{}", failure.0);
        // So is that of a thread which something waits for that runs modules too.
        let failure = of_execution(|| resume_unwind(Box::new(failure))).expect_err("it has failed");
        assert!(failure.0.contains("store"), "{}", failure.0);
    }

    #[test]
    fn what_others_panic_with_is_no_failure_of_the_engine() {
        let panic = catch_unwind(|| of_execution(|| resume_unwind(Box::new("ours"))).map_err(|_| ())).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"ours"));
    }
}
