//! Runs generated programs before and after a transformation and reports every difference.

use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use wasmfx_tests::differential::compare::{Comparer, Difference, Verdict};
use wasmfx_tests::differential::transforms::{self, Transform, find};
use wasmfx_tests::generate::program::Program;
use wasmfx_tests::generate::{Config, encode, generate, text};

/// Runs generated WasmFX programs before and after a transformation, and reports every difference.
#[derive(Parser)]
#[command(name = "wasmfx-differential", version)]
struct Options {
    /// The transformation; may be given several times. --list names them.
    #[arg(long = "transform", default_value = "identity")]
    transforms: Vec<String>,
    /// The seeds to run, FIRST..END or COUNT.
    #[arg(long, default_value = "0..1000")]
    seeds: String,
    /// How many threads to run on; all processors by default.
    #[arg(long)]
    threads: Option<usize>,
    /// Where failing programs are kept, shrunk; nowhere if not given.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Stop after this many failures.
    #[arg(long, default_value_t = 10)]
    failures: u64,
    /// How many edits the shrinker may try on a failing program.
    #[arg(long, default_value_t = 20_000)]
    shrink: usize,
    /// Lists the transformations.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.list {
        for transform in transforms::all() {
            println!("{:36} {}", transform.name, transform.help);
        }
        return ExitCode::SUCCESS;
    }
    // Panics of a transformation are results here, printed with the seed that they belong to.
    std::panic::set_hook(Box::new(|_| {}));
    match run(&options) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn parse_seeds(seeds: &str) -> Result<Range<u64>> {
    let (first, end) = seeds.split_once("..").unwrap_or(("0", seeds));
    let number = |text: &str| text.parse::<u64>().with_context(|| format!("`{text}` is not a seed; use FIRST..END"));
    let range = number(first)?..number(end)?;
    if range.is_empty() {
        bail!("{seeds} holds no seeds");
    }
    Ok(range)
}

fn run(options: &Options) -> Result<u64> {
    let seeds = parse_seeds(&options.seeds)?;
    let mut failures = 0;
    for name in &options.transforms {
        let Some(transform) = find(name) else {
            bail!("there is no transformation `{name}`; --list names them");
        };
        failures += run_transform(options, &transform, seeds.clone())?;
    }
    Ok(failures)
}

/// Native recursion on the host's side is shallow, but wasm runs on the thread's stack outside continuations.
const THREAD_STACK: usize = 16 << 20;

fn run_transform(options: &Options, transform: &Transform, seeds: Range<u64>) -> Result<u64> {
    let threads = match options.threads {
        Some(threads) => threads.max(1),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let next = AtomicU64::new(seeds.start);
    let done = AtomicU64::new(0);
    let inconclusive = AtomicU64::new(0);
    let failures = AtomicU64::new(0);
    let finished = AtomicBool::new(false);
    let output = Mutex::new(());
    let start = Instant::now();
    std::thread::scope(|scope| -> Result<()> {
        let mut workers = vec![];
        for _ in 0..threads {
            let comparer = Comparer::new(transform)?;
            let (next, done, inconclusive, failures, output) = (&next, &done, &inconclusive, &failures, &output);
            let end = seeds.end;
            let worker =
                std::thread::Builder::new().stack_size(THREAD_STACK).spawn_scoped(scope, move || -> Result<()> {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= end || failures.load(Ordering::Relaxed) >= options.failures {
                            return Ok(());
                        }
                        let program = generate(seed, &Config::for_seed(seed));
                        match comparer.compare(&program) {
                            Verdict::Same => {}
                            Verdict::Inconclusive(reason) => {
                                inconclusive.fetch_add(1, Ordering::Relaxed);
                                let _guard = output.lock();
                                println!("{}: seed {seed}: inconclusive: {reason}", transform.name);
                            }
                            Verdict::Different(difference) => {
                                failures.fetch_add(1, Ordering::Relaxed);
                                let small = comparer.shrink(&program, &difference, options.shrink);
                                let _guard = output.lock();
                                report(options, transform, seed, &difference, &comparer, &small)?;
                            }
                        }
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                })?;
            workers.push(worker);
        }
        let (done, finished, failures) = (&done, &finished, &failures);
        let total = seeds.end - seeds.start;
        scope.spawn(move || {
            let mut last = Instant::now();
            while !finished.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(100));
                if last.elapsed() >= Duration::from_secs(10) {
                    last = Instant::now();
                    let (done, failures) = (done.load(Ordering::Relaxed), failures.load(Ordering::Relaxed));
                    let rate = done as f64 / start.elapsed().as_secs_f64();
                    eprintln!(
                        "{}: {done} of {total} programs, {failures} failures, {rate:.0} a second",
                        transform.name
                    );
                }
            }
        });
        let mut result = Ok(());
        for worker in workers {
            let ended = worker.join().unwrap_or_else(|_| bail!("a worker panicked outside the transformation"));
            if result.is_ok() {
                result = ended;
            }
        }
        finished.store(true, Ordering::Relaxed);
        result
    })?;
    let (done, failures) = (done.into_inner(), failures.into_inner());
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{}: {done} programs of seeds {}..{}, {failures} failures, {} inconclusive; {seconds:.1} s, {:.0} programs a second on {threads} threads",
        transform.name,
        seeds.start,
        seeds.end,
        inconclusive.into_inner(),
        done as f64 / seconds,
    );
    Ok(failures)
}

fn report(
    options: &Options,
    transform: &Transform,
    seed: u64,
    difference: &Difference,
    comparer: &Comparer<'_>,
    small: &Program,
) -> Result<()> {
    println!("{}: seed {seed}: {difference}", transform.name);
    let after = match comparer.compare(small) {
        Verdict::Different(difference) => difference.to_string(),
        other => format!("{other:?}"),
    };
    println!("  shrunk to {} nodes: {after}", small.size());
    let Some(directory) = &options.keep else {
        return Ok(());
    };
    std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let path = directory.join(format!("{}-{seed}.wat", transform.name.replace(':', "-")));
    let mut kept = format!(
        ";; Seed {seed} of the generator, shrunk, under `{}`: {}\n",
        transform.name,
        after.lines().next().unwrap_or_default()
    );
    for invocation in &small.invocations {
        let name = &small.functions[invocation.function as usize].name;
        kept.push_str(&format!(";; invoke {name} {:?}\n", invocation.arguments));
    }
    kept.push_str(&text(&encode(small)?)?);
    std::fs::write(&path, kept).with_context(|| format!("cannot write {}", path.display()))?;
    println!("  kept as {}", path.display());
    Ok(())
}
