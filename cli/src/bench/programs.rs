//! What is measured: programs, their parameters, and the results that they must print.

use std::path::{Path, PathBuf};

/// Where a program comes from, and so how it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `fixtures/fiber`: C on the fiber library, a WASI command. Prints `NAME: RESULT`, and fails if the result is not right.
    Fiber,
    /// `fixtures/bench`: text, with an export `run`. Its result is printed by whoever runs it.
    Text,
}

/// Which of a program's modules, as a producer left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// For stack switching.
    WasmFx,
    /// For Asyncify.
    Asyncify,
    /// Without fibers.
    Plain,
}

/// Fiber programs that are also built without fibers.
const WITHOUT_FIBERS: [&str; 1] = ["rows"];

/// Functions of `rows` whose indirect calls suspend. (SQLite calls through pointers everywhere, and any of those calls could reach the callback
/// that suspends, as far as types say.)
const ROWS_SUSPEND_THROUGH: &[&str] = &["fiber_body", "sqlite3_exec"];

/// Parameters and the result that belongs to them.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    arguments: &'static str,
    result: &'static str,
}

impl Case {
    /// The parameters, in order.
    pub fn arguments(&self) -> Vec<String> {
        self.arguments.split(' ').map(str::to_string).collect()
    }
}

/// A program with its parameters.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// The program's name.
    pub program: &'static str,
    /// What its modules are called, and it calls itself.
    pub built_as: &'static str,
    /// Where it comes from.
    pub source: Source,
    /// The functions whose indirect calls suspend, where that is promised to the lowering; nothing where it may be any.
    pub suspend_through: &'static [&'static str],
    /// For programs that are measured against a parameter: its value. The last of their arguments is how often they suspend.
    pub parameter: Option<u32>,
    /// The parameters that measurements use.
    pub measured: Case,
    /// Parameters for trying whether it works.
    pub small: Case,
}

const fn fiber(
    program: &'static str,
    measured: (&'static str, &'static str),
    small: (&'static str, &'static str),
) -> Workload {
    workload(program, Source::Fiber, case(measured), case(small))
}

const fn text(
    program: &'static str,
    measured: (&'static str, &'static str),
    small: (&'static str, &'static str),
) -> Workload {
    workload(program, Source::Text, case(measured), case(small))
}

const fn workload(program: &'static str, source: Source, measured: Case, small: Case) -> Workload {
    Workload { program, built_as: program, source, suspend_through: &[], parameter: None, measured, small }
}

const fn case((arguments, result): (&'static str, &'static str)) -> Case {
    Case { arguments, result }
}

impl Workload {
    const fn at(mut self, parameter: u32) -> Workload {
        self.parameter = Some(parameter);
        self
    }

    /// With a promise for the lowering.
    const fn suspending_through(mut self, functions: &'static [&'static str]) -> Workload {
        self.suspend_through = functions;
        self
    }

    /// A program with the modules of another.
    const fn with_modules_of(mut self, other: &'static str) -> Workload {
        self.built_as = other;
        self
    }

    /// The program's name, with the parameter that it is measured against.
    pub fn label(&self) -> String {
        match self.parameter {
            Some(parameter) => format!("{}/{parameter}", self.program),
            None => self.program.to_string(),
        }
    }

    /// The parameters to use, and the last line that must be printed with them.
    pub fn case(&self, small: bool) -> (Vec<String>, String) {
        let case = if small { self.small } else { self.measured };
        let line = match self.source {
            Source::Fiber => format!("{}: {}", self.built_as, case.result),
            Source::Text => case.result.to_string(),
        };
        (case.arguments(), line)
    }

    /// The module as a producer left it, if there is such a build of the program.
    pub fn module(&self, fixtures: &Path, build: Build) -> Option<PathBuf> {
        let suffix = match (self.source, build) {
            (Source::Text, Build::WasmFx) => return Some(fixtures.join(format!("bench/{}.wat", self.built_as))),
            (Source::Text, _) => return None,
            (Source::Fiber, Build::WasmFx) => "wasmfx",
            (Source::Fiber, Build::Asyncify) => "asyncify",
            (Source::Fiber, Build::Plain) if WITHOUT_FIBERS.contains(&self.built_as) => "plain",
            (Source::Fiber, Build::Plain) => return None,
        };
        Some(fixtures.join(format!("fiber/modules/{}.{suffix}.wasm", self.built_as)))
    }
}

/// All of them, in the order of reports.
pub static WORKLOADS: [Workload; 37] = [
    fiber("hello", ("5000", "13200000"), ("3", "7920")),
    fiber("itersum", ("5000000", "12500002500000"), ("1000", "500500")),
    fiber("treesum", ("20 3", "1649265868800"), ("8 2", "65280")),
    fiber("sieve", ("1000", "3682913"), ("50", "5117")),
    fiber("state", ("1500000", "1500005"), ("1000", "1005")),
    fiber("c10m", ("10000000 10000", "327164717888"), ("2000 100", "2001000")),
    fiber("skynet", ("1000000", "499999500000"), ("1000", "499500")),
    fiber("pi", ("10 5000000 10000", "3141592633"), ("10 1000 100", "3141492653")),
    fiber("scheduler", ("10 500000", "18706354925"), ("10 100", "17380433605")),
    fiber("itersum_switch", ("3000000", "4500001500000"), ("1000", "500500")),
    fiber("treesum_switch", ("20 2", "1099510579200"), ("8 2", "65280")),
    fiber("pi_switch", ("10 5000000 10000", "3141592633"), ("10 1000 100", "3141492653")),
    fiber("scheduler_switch", ("10 500000", "18706354925"), ("10 100", "17380433605")),
    fiber("rows", ("100000 3", "122937174"), ("1000 1", "305109")).suspending_through(ROWS_SUSPEND_THROUGH),
    fiber("rows_unpromised", ("100000 3", "122937174"), ("1000 1", "305109")).with_modules_of("rows"),
    fiber("depth", ("1 1000000", "1000001"), ("1 100", "101")).at(1),
    fiber("depth", ("10 1000000", "1000055"), ("10 100", "155")).at(10),
    fiber("depth", ("100 300000", "305050"), ("100 100", "5150")).at(100),
    fiber("depth", ("1000 100000", "600500"), ("1000 100", "500600")).at(1000),
    fiber("depth", ("10000 10000", "50015000"), ("1000 10", "500510")).at(10000),
    text("generator", ("5000000", "12500002500000"), ("1000", "500500")),
    text("tree_walk", ("20 3", "1649265868800"), ("8 2", "65280")),
    text("deep_suspend", ("1 5000000", "5000001"), ("1 100", "101")).at(1),
    text("deep_suspend", ("10 5000000", "5000055"), ("10 100", "155")).at(10),
    text("deep_suspend", ("100 5000000", "5005050"), ("100 100", "5150")).at(100),
    text("deep_suspend", ("1000 5000000", "5500500"), ("1000 100", "500600")).at(1000),
    text("deep_suspend", ("10000 5000000", "55005000"), ("1000 10", "500510")).at(10000),
    text("forward", ("0 1000000", "500000500000"), ("0 100", "5050")).at(0),
    text("forward", ("1 1000000", "500000500000"), ("1 100", "5050")).at(1),
    text("forward", ("4 1000000", "500000500000"), ("4 100", "5050")).at(4),
    text("forward", ("16 1000000", "500000500000"), ("16 100", "5050")).at(16),
    text("nested_resume", ("10000", "10000"), ("10", "10")).at(10000),
    text("nested_resume", ("100000", "100000"), ("100", "100")).at(100000),
    text("alive", ("10000", "49995000"), ("10", "45")).at(10000),
    text("alive", ("1000000", "499999500000"), ("1000", "499500")).at(1000000),
    text("ring", ("10 5000000", "22500000"), ("10 1000", "4500")),
    text("never_suspends", ("20000", "10099440"), ("1000", "499500")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_tell_workloads_apart() {
        let mut labels: Vec<String> = WORKLOADS.iter().map(Workload::label).collect();
        labels.sort();
        labels.dedup();
        assert_eq!(labels.len(), WORKLOADS.len());
    }
}
