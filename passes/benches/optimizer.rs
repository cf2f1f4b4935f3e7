//! `cargo bench -p wasmfx-passes --bench optimizer [-- MODULE…]`: the optimiser against Binaryen on the corpus, all figures from one run:
//! sizes (plain round trip, -O2, against Binaryen 132's -O2), CPU time, wall time and peak memory (against a native Binaryen 108), how time
//! grows with size, and whether programs print what they printed before.
//!
//! The corpus and the peers are found through `WASMFX_CORPUS`, `WASM_OPT` (Binaryen 132, may be `node …/wasm-opt`) and `WASM_OPT_NATIVE`, and
//! programs are run by a `wasmfx-run` that was built before, in any profile; what is missing is left out, with a note. Binaryen 132 has no native
//! build in the registries, so times are compared with 108, of whose time 132 needs [`TIME_OF_132_OVER_108`].

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use wasmfx_ir::parse::{ParseOptions, parse_module};
use wasmfx_passes::merge::{ExportConflicts, Input, MergeOptions, merge};
use wasmfx_passes::optimizer::{Optimizer, Stripping};
use wasmfx_passes::options::{Level, Options};
use wasmfx_passes::pipeline::Pipeline;

/// What `wasmfx-opt` allocates with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MODULES: [&str; 6] = ["sqlite", "zstd", "quickjs", "sqljs", "tree-sitter", "esbuild"];
/// The modules that are programs, and the arguments that they are run with.
const PROGRAMS: [(&str, &[&str]); 3] =
    [("sqlite", &["2000"]), ("zstd", &["1000000"]), ("quickjs", &["--std", "quickjs.js"])];
const LEVELS: [&str; 4] = ["0", "2", "3", "z"];
/// From the peers' installer.
const TIME_OF_132_OVER_108: f64 = 0.73;
/// Runs of which the median counts; the two tools alternate. Modules beyond [`LARGE`] are optimised once, as that takes Binaryen minutes.
const RUNS: usize = 3;
const LARGE: u64 = 4_000_000;
/// How often a module is merged with itself to see how time grows.
const COPIES: [usize; 4] = [1, 2, 4, 8];
const COPIED: &str = "zstd";
const CHILD: &str = "--optimize-in-child";

/// What the figures are to reach.
mod target {
    pub const SIZE: f64 = 1.05;
    /// A quarter of Binaryen 132's time.
    pub const TIME: f64 = 0.25;
    pub const PEAK_MEGABYTES: u64 = 1000;
    /// Time for eight times the size, over eight times the time: 1 is linear.
    pub const GROWTH: f64 = 1.2;
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [child, level, input, output, ..] = &arguments[..]
        && child == CHILD
    {
        optimize_in_child(level, Path::new(input), Path::new(output), arguments.len() > 4);
        return;
    }
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let bench = Bench {
        corpus: folder("WASMFX_CORPUS", "wasmfx-corpus"),
        binaryen: peer("WASM_OPT", || {
            let script = folder("WASMFX_PEERS", "wasmfx-peers").join("node_modules/binaryen/bin/wasm-opt");
            format!("node {}", script.display())
        }),
        native: peer("WASM_OPT_NATIVE", || "wasm-opt".to_string()),
        directory: PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
    };
    let mut rows = Vec::new();
    for module in MODULES.into_iter().filter(|&module| wanted.is_empty() || wanted.iter().any(|name| *name == module)) {
        if bench.input(module).exists() {
            eprintln!("measuring {module} …");
            rows.push(bench.measure(module));
        } else {
            println!("{module}: skipped, as it is not in the corpus (corpus/build.sh of the shared folder builds it)");
        }
    }
    print_sizes(&rows);
    print_costs(&rows);
    bench.print_growth(&wanted);
    bench.print_programs(&wanted);
}

fn folder(variable: &str, default: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache").join(default),
        PathBuf::from,
    )
}

/// A command as its words.
fn peer(variable: &str, default: impl Fn() -> String) -> Vec<String> {
    let command = std::env::var(variable).unwrap_or_else(|_| default());
    command.split_whitespace().map(String::from).collect()
}

#[derive(Clone, Copy, Default)]
struct Cost {
    wall: Duration,
    cpu: Duration,
}

/// The figures of one module.
struct Row {
    module: &'static str,
    before: u64,
    round_trip: u64,
    is_stable: bool,
    ours: u64,
    theirs: Option<u64>,
    our_cost: Cost,
    their_cost: Option<Cost>,
    peak_megabytes: u64,
}

struct Bench {
    corpus: PathBuf,
    binaryen: Vec<String>,
    native: Vec<String>,
    directory: PathBuf,
}

impl Bench {
    fn input(&self, module: &str) -> PathBuf {
        self.corpus.join(format!("{module}.wasm"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Our optimiser in a process of its own; also its peak memory in megabytes.
    fn ours(&self, level: &str, input: &Path, output: &Path, extra: &[&str]) -> (Cost, u64) {
        let mut child = Command::new(std::env::current_exe().expect("this program has a path"));
        child.args([CHILD, level]).arg(input).arg(output).args(extra);
        let (cost, printed) = timed(&child).unwrap_or_else(|error| panic!("the optimiser fails on {input:?}: {error}"));
        (cost, printed.trim().parse().unwrap_or(0))
    }

    fn theirs(&self, tool: &[String], input: &Path, output: &Path, features: &str) -> Option<Cost> {
        let (program, first) = tool.split_first()?;
        let mut command = Command::new(program);
        command.args(first).arg(input).args(["-O2", features, "-o"]).arg(output);
        let cost = timed(&command);
        if let Err(error) = &cost {
            eprintln!("  {} does not read {}: {error}", tool.join(" "), input.display());
        }
        cost.ok().map(|(cost, _)| cost)
    }

    fn measure(&self, module: &'static str) -> Row {
        let input = self.input(module);
        let (once, twice, ours, scratch) =
            (self.path("once.wasm"), self.path("twice.wasm"), self.path("ours.wasm"), self.path("theirs.wasm"));
        self.ours("0", &input, &once, &[]);
        self.ours("0", &once, &twice, &[]);
        let read = |path: &Path| std::fs::read(path).expect("what was written can be read");
        let mut row = Row {
            module,
            before: size(&input),
            round_trip: size(&once),
            is_stable: read(&once) == read(&twice),
            ours: 0,
            theirs: None,
            our_cost: Cost::default(),
            their_cost: None,
            peak_megabytes: 0,
        };
        let (mut our_costs, mut their_costs) = (Vec::new(), Vec::new());
        for _ in 0..if row.before > LARGE { 1 } else { RUNS } {
            let (cost, peak) = self.ours("2", &input, &ours, &[]);
            our_costs.push(cost);
            row.peak_megabytes = row.peak_megabytes.max(peak);
            let native = self.theirs(&self.native, &input, &scratch, "--all-features");
            if native.is_none() {
                break;
            }
            their_costs.extend(native);
        }
        row.ours = size(&ours);
        row.our_cost = median(&mut our_costs).expect("ours ran");
        row.their_cost = median(&mut their_costs);
        row.theirs = self.size_of_theirs(module, row.before);
        row
    }

    /// The size of Binaryen 132's -O2 output. It takes minutes, so an output is kept for the next run on an input of the same size.
    fn size_of_theirs(&self, module: &str, before: u64) -> Option<u64> {
        let kept = self.path(&format!("binaryen-O2-{module}-{before}.wasm"));
        if !kept.exists() {
            let scratch = self.path("theirs.wasm");
            self.theirs(&self.binaryen, &self.input(module), &scratch, "-all")?;
            std::fs::rename(&scratch, &kept).expect("a file can be renamed");
        }
        Some(size(&kept))
    }

    /// Time on a module merged with itself. Equal functions are kept, or all copies would soon be one.
    fn print_growth(&self, wanted: &[&String]) {
        let input = self.input(COPIED);
        if !input.exists() || !(wanted.is_empty() || wanted.iter().any(|name| *name == COPIED)) {
            return;
        }
        println!("\n{:<22} {:>10} {:>9} {:>12}", "growth (CPU time)", "bytes in", "seconds", "seconds/MB");
        let mut per_megabyte = Vec::new();
        for copies in COPIES {
            let merged = self.path("merged.wasm");
            std::fs::write(&merged, copies_of(&input, copies)).expect("the merged module can be written");
            let mut costs: Vec<Cost> = (0..RUNS)
                .map(|_| self.ours("2", &merged, &self.path("ours.wasm"), &["--keep-equal-functions"]).0)
                .collect();
            let seconds = median(&mut costs).expect("ours ran").cpu.as_secs_f64();
            let megabytes = size(&merged) as f64 / 1e6;
            println!(
                "{:<22} {:>10} {seconds:>9.3} {:>12.3}",
                format!("{copies} x {COPIED}"),
                size(&merged),
                seconds / megabytes
            );
            per_megabyte.push(seconds / megabytes);
        }
        let growth = per_megabyte[per_megabyte.len() - 1] / per_megabyte[0];
        println!(
            "seconds/MB, last over first: {growth:.2} (linear: at most {:.1}, {})",
            target::GROWTH,
            verdict(growth <= target::GROWTH)
        );
    }

    fn print_programs(&self, wanted: &[&String]) {
        let levels = LEVELS.map(|level| format!("-O{level}")).join(", ");
        println!("\nprograms on wasmtime, output after {levels} against before");
        let Some(runner) = runner() else {
            println!("skipped: there is no wasmfx-run (cargo build -p wasmfx --bin wasmfx-run)");
            return;
        };
        for (module, arguments) in PROGRAMS {
            let input = self.input(module);
            if !input.exists() || !(wanted.is_empty() || wanted.iter().any(|name| *name == module)) {
                continue;
            }
            let run = |path: &Path| {
                let mut command = Command::new(&runner);
                command.arg(format!("--dir={}::.", self.corpus.display())).arg(path).args(arguments);
                let output = command.stdin(Stdio::null()).output().expect("wasmfx-run can be run");
                (output.status.code(), output.stdout)
            };
            let expected = run(&input);
            let mut line = format!("{module:<12} (exit {:?}, {} bytes)", expected.0, expected.1.len());
            for level in LEVELS {
                // A program may print its name.
                let output = self.path(&format!("{level}/{module}.wasm"));
                std::fs::create_dir_all(self.path(level)).expect("a directory can be made");
                self.ours(level, &input, &output, &[]);
                let same = run(&output) == expected;
                let _ = write!(line, "  -O{level} {}", if same { "same" } else { "DIFFERS" });
            }
            println!("{line}");
        }
    }
}

/// A `wasmfx-run` of this target directory.
fn runner() -> Option<PathBuf> {
    let profile = std::env::current_exe().ok()?.parent()?.parent()?.to_path_buf();
    let candidates = [profile.join("wasmfx-run"), profile.parent()?.join("debug/wasmfx-run")];
    candidates.into_iter().find(|candidate| candidate.exists())
}

fn copies_of(input: &Path, copies: usize) -> Vec<u8> {
    let bytes = std::fs::read(input).expect("the corpus can be read");
    let inputs = (0..copies).map(|number| Input {
        name: format!("copy{number}"),
        module: parse_module(&bytes[..], &ParseOptions::default()).expect("the corpus parses"),
    });
    let options = MergeOptions { export_conflicts: ExportConflicts::Rename, ..MergeOptions::default() };
    let merged = merge(inputs.collect(), &options).expect("copies of a module merge");
    wasmfx_ir::encode::encode_module(&merged.module).expect("the merged module can be encoded")
}

fn verdict(holds: bool) -> &'static str {
    if holds { "reached" } else { "MISSED" }
}

fn geometric_mean(ratios: impl Iterator<Item = f64>) -> Option<f64> {
    let logarithms: Vec<f64> = ratios.map(f64::ln).collect();
    (!logarithms.is_empty()).then(|| (logarithms.iter().sum::<f64>() / logarithms.len() as f64).exp())
}

fn print_sizes(rows: &[Row]) {
    println!(
        "\n{:<12} {:>10} {:>10} {:>9} {:>10} {:>10} {:>7}",
        "sizes", "bytes in", "-O0", "-O0 again", "-O2", "Binaryen", "ratio"
    );
    for row in rows {
        let theirs = row.theirs.map_or_else(|| "-".to_string(), |size| size.to_string());
        let ratio = row.theirs.map_or_else(|| "-".to_string(), |size| format!("{:.3}", row.ours as f64 / size as f64));
        println!(
            "{:<12} {:>10} {:>10} {:>9} {:>10} {theirs:>10} {ratio:>7}",
            row.module,
            row.before,
            row.round_trip,
            if row.is_stable { "same" } else { "DIFFERS" },
            row.ours,
        );
    }
    let ratios = rows.iter().filter_map(|row| Some(row.ours as f64 / row.theirs? as f64));
    if let Some(mean) = geometric_mean(ratios) {
        println!("geometric mean: {mean:.3} (at most {}, {})", target::SIZE, verdict(mean <= target::SIZE));
    }
    let no_larger = rows.iter().all(|row| row.ours <= row.before && row.round_trip <= row.before);
    println!("no output larger than its input: {}", verdict(no_larger));
    println!("a second round trip changes nothing: {}", verdict(rows.iter().all(|row| row.is_stable)));
}

fn print_costs(rows: &[Row]) {
    println!(
        "\n{:<12} {:>9} {:>9} {:>7} {:>9} {:>9} {:>7} {:>8}",
        "-O2 costs", "CPU s", "native", "ratio", "wall s", "native", "ratio", "peak MB"
    );
    let ratio = |ours: Duration, theirs: Duration| ours.as_secs_f64() / theirs.as_secs_f64();
    for row in rows {
        let (ours, seconds) = (row.our_cost, |time: Duration| format!("{:.3}", time.as_secs_f64()));
        let mut cells = [seconds(ours.cpu), "-".into(), "-".into(), seconds(ours.wall), "-".into(), "-".into()];
        if let Some(theirs) = row.their_cost {
            (cells[1], cells[4]) = (seconds(theirs.cpu), seconds(theirs.wall));
            cells[2] = format!("{:.3}", ratio(ours.cpu, theirs.cpu));
            cells[5] = format!("{:.3}", ratio(ours.wall, theirs.wall));
        }
        println!(
            "{:<12} {:>9} {:>9} {:>7} {:>9} {:>9} {:>7} {:>8}",
            row.module, cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], row.peak_megabytes
        );
    }
    let limit = target::TIME * TIME_OF_132_OVER_108;
    type Choice = fn(&Cost) -> Duration;
    for (name, choice) in [("CPU", (|cost| cost.cpu) as Choice), ("wall", |cost| cost.wall)] {
        let ratios = || rows.iter().filter_map(|row| Some(ratio(choice(&row.our_cost), choice(&row.their_cost?))));
        if let Some(mean) = geometric_mean(ratios()) {
            let worst = ratios().fold(0.0, f64::max);
            println!(
                "{name} time over native Binaryen 108's: geometric mean {mean:.3}, worst {worst:.3} (at most {limit:.2}, {})",
                verdict(worst <= limit)
            );
        }
    }
    if let Some(peak) = rows.iter().map(|row| row.peak_megabytes).max() {
        println!(
            "peak memory: {peak} MB (under {}, {})",
            target::PEAK_MEGABYTES,
            verdict(peak < target::PEAK_MEGABYTES)
        );
    }
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).expect("what was written is there").len()
}

/// Runs a program to its end; CPU time, of all its threads, is what bash says that its child took.
fn timed(command: &Command) -> Result<(Cost, String), String> {
    let mut timed = Command::new("bash");
    timed.args(["-c", "TIMEFORMAT='%U %S'; time \"$@\"", "bash"]).arg(command.get_program()).args(command.get_args());
    let start = Instant::now();
    let output = timed.stdin(Stdio::null()).output().map_err(|error| format!("bash cannot be run: {error}"))?;
    let wall = start.elapsed();
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(errors.lines().next().unwrap_or("it says nothing").to_string());
    }
    let times = errors.lines().next_back().unwrap_or_default();
    let cpu = times.split_whitespace().filter_map(|seconds| seconds.parse::<f64>().ok()).sum();
    Ok((Cost { wall, cpu: Duration::from_secs_f64(cpu) }, String::from_utf8_lossy(&output.stdout).into_owned()))
}

fn median(costs: &mut [Cost]) -> Option<Cost> {
    costs.sort_by_key(|cost| cost.cpu);
    costs.get(costs.len() / 2).copied()
}

/// Optimises, and prints this process's peak memory in megabytes.
fn optimize_in_child(level: &str, input: &Path, output: &Path, keep_equal_functions: bool) {
    let level = Level::from_name(level).expect("the level exists");
    let mut options = Options::default().at_level(level);
    if keep_equal_functions {
        options.skip_passes.push("duplicate-functions".to_string());
    }
    let optimizer = Optimizer {
        pipeline: Pipeline::for_level(&options),
        options,
        stripping: Stripping { names: true, ..Stripping::default() },
        ..Optimizer::default()
    };
    let bytes = std::fs::read(input).expect("the input can be read");
    let outcome = optimizer.run(&bytes).expect("the corpus can be optimised");
    std::fs::write(output, outcome.bytes).expect("the output can be written");
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    println!("{}", peak.and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or(0) / 1000);
}
