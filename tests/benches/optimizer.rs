//! `cargo bench --bench optimizer`: our -O2 against Binaryen's, on the corpus, in one run: sizes, CPU time, wall time, peak memory.
//!
//! The corpus and the peers are those of `../shared` (`corpus/build.sh`, `peers/install.sh --native`); what is not there is left out, and said so.
//! Sizes are compared with Binaryen 132. Times are compared with a native build: version 108 from the distribution, whose time is scaled by
//! the ratio that was measured between the two versions.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use wasmfx_passes::optimizer::{Optimizer, Stripping};
use wasmfx_passes::options::{Level, Options};
use wasmfx_passes::pipeline::Pipeline;

const MODULES: [&str; 6] = ["sqlite", "zstd", "quickjs", "sqljs", "tree-sitter", "esbuild"];
/// Native time of Binaryen 132 over that of 108, from the peers' installer.
const TIME_OF_132_OVER_108: f64 = 0.73;
/// Runs of which the median counts; both tools alternate.
const RUNS: usize = 3;
const CHILD: &str = "--optimize-in-child";

#[derive(Clone, Copy, Default)]
struct Cost {
    wall: Duration,
    cpu: Duration,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == CHILD) {
        optimize(Path::new(&arguments[at + 1]), Path::new(&arguments[at + 2]));
        return;
    }
    let corpus = folder("WASMFX_CORPUS", "wasmfx-corpus");
    let peers = folder("WASMFX_PEERS", "wasmfx-peers");
    let binaryen = peers.join("node_modules/binaryen/bin/wasm-opt");
    let native = std::env::var_os("WASM_OPT_NATIVE").map_or_else(|| PathBuf::from("wasm-opt"), PathBuf::from);
    let directory = tempfile::tempdir().expect("a temporary directory");
    println!(
        "{:<12} {:>10} {:>10} {:>10} {:>7} {:>9} {:>9} {:>7} {:>9} {:>9} {:>7} {:>8}",
        "module",
        "bytes in",
        "ours",
        "binaryen",
        "ratio",
        "cpu",
        "peer cpu",
        "ratio",
        "wall",
        "peer wall",
        "ratio",
        "peak"
    );
    let mut ratios = Vec::new();
    for module in MODULES {
        let input = corpus.join(format!("{module}.wasm"));
        if !input.exists() {
            println!("{module:<12} skipped: not in the corpus (run corpus/build.sh of the shared folder)");
            continue;
        }
        ratios.extend(measure(module, &input, &binaryen, &native, directory.path()));
    }
    if !ratios.is_empty() {
        let mean = (ratios.iter().map(|ratio: &f64| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp();
        println!("geometric mean of size ratios over {} modules: {mean:.3}", ratios.len());
    }
}

fn folder(variable: &str, default: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache").join(default),
        PathBuf::from,
    )
}

fn measure(module: &str, input: &Path, binaryen: &Path, native: &Path, directory: &Path) -> Option<f64> {
    let ours = directory.join("ours.wasm");
    let theirs = directory.join("theirs.wasm");
    let scratch = directory.join("scratch.wasm");
    let (mut our_costs, mut native_costs, mut peak) = (Vec::new(), Vec::new(), String::new());
    for _ in 0..RUNS {
        let mut child = Command::new(std::env::current_exe().expect("this program has a path"));
        let (cost, output) = run(child.arg(CHILD).arg(input).arg(&ours))?;
        our_costs.push(cost);
        peak = output;
        if let Some((cost, _)) =
            run(Command::new(native).arg(input).args(["-O2", "--all-features", "-o"]).arg(&scratch))
        {
            native_costs.push(cost);
        }
    }
    let _ = run(Command::new("node").arg(binaryen).arg(input).args(["-O2", "-all", "-o"]).arg(&theirs));
    let size = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.len()).ok();
    let (before, our_size, their_size) = (size(input)?, size(&ours)?, size(&theirs));
    let ratio = their_size.map(|theirs| our_size as f64 / theirs as f64);
    let our_cost = median(&mut our_costs)?;
    let peer = median(&mut native_costs).map(|cost| Cost {
        wall: cost.wall.mul_f64(TIME_OF_132_OVER_108),
        cpu: cost.cpu.mul_f64(TIME_OF_132_OVER_108),
    });
    let seconds = |time: Duration| format!("{:.3}", time.as_secs_f64());
    let missing = || "-".to_string();
    println!(
        "{module:<12} {before:>10} {our_size:>10} {:>10} {:>7} {:>9} {:>9} {:>7} {:>9} {:>9} {:>7} {:>8}",
        their_size.map_or_else(missing, |size| size.to_string()),
        ratio.map_or_else(missing, |ratio| format!("{ratio:.3}")),
        seconds(our_cost.cpu),
        peer.map_or_else(missing, |peer| seconds(peer.cpu)),
        peer.map_or_else(missing, |peer| format!("{:.3}", our_cost.cpu.as_secs_f64() / peer.cpu.as_secs_f64())),
        seconds(our_cost.wall),
        peer.map_or_else(missing, |peer| seconds(peer.wall)),
        peer.map_or_else(missing, |peer| format!("{:.3}", our_cost.wall.as_secs_f64() / peer.wall.as_secs_f64())),
        peak.trim(),
    );
    ratio
}

/// Runs a program; `None` (and a line that says so) if it cannot be run or fails. CPU time is what bash says that its child took.
fn run(command: &mut Command) -> Option<(Cost, String)> {
    let mut timed = Command::new("bash");
    timed.args(["-c", "TIMEFORMAT='%U %S'; time \"$@\"", "bash"]).arg(command.get_program()).args(command.get_args());
    let start = Instant::now();
    let output = timed.stdin(Stdio::null()).output().expect("bash can be run");
    let wall = start.elapsed();
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        eprintln!(
            "{command:?} failed (see peers/install.sh of the shared folder): {}",
            errors.lines().next().unwrap_or_default()
        );
        return None;
    }
    let cpu = errors.lines().next_back()?.split_whitespace().filter_map(|seconds| seconds.parse::<f64>().ok()).sum();
    Some((Cost { wall, cpu: Duration::from_secs_f64(cpu) }, String::from_utf8_lossy(&output.stdout).into_owned()))
}

fn median(costs: &mut [Cost]) -> Option<Cost> {
    costs.sort_by_key(|cost| cost.cpu);
    costs.get(costs.len() / 2).copied()
}

fn optimize(input: &Path, output: &Path) {
    let options = Options::default().at_level(Level::from_name("2").expect("-O2 exists"));
    let optimizer = Optimizer {
        pipeline: Pipeline::for_level(&options),
        options,
        stripping: Stripping { names: true, ..Stripping::default() },
        ..Optimizer::default()
    };
    let bytes = std::fs::read(input).expect("the input can be read");
    let outcome = optimizer.run(&bytes).expect("the corpus can be optimized");
    std::fs::write(output, outcome.bytes).expect("the output can be written");
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|text| text.trim().strip_suffix(" kB"));
    let peak = peak.and_then(|kilobytes| kilobytes.parse::<u64>().ok());
    println!("{}", peak.map_or_else(|| "-".to_string(), |kilobytes| format!("{} MB", kilobytes >> 10)));
}
