// One run on Node.js: what `bench::child` is for wasmtime. Takes the job's file.
import fs from 'node:fs';
import { WASI } from 'node:wasi';

const job = JSON.parse(fs.readFileSync(process.argv[2]));
const binary = fs.readFileSync(job.module);
const measurement = { compile_s: 0, run_s: 0, processor_s: null, peak_rss_bytes: null, failure: null };

// What this thread has spent on a processor, in seconds.
function processorTime() {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e6;
}

function timed(call) {
  const before = processorTime();
  const start = performance.now();
  const result = call();
  measurement.run_s = (performance.now() - start) / 1000;
  measurement.processor_s = processorTime() - before;
  return result;
}

try {
  const start = performance.now();
  const module = await WebAssembly.compile(binary);
  measurement.compile_s = (performance.now() - start) / 1000;
  const wasi = new WASI({ version: 'preview1', args: [job.program, ...job.arguments], returnOnExit: true });
  const instance = await WebAssembly.instantiate(module, { wasi_snapshot_preview1: wasi.wasiImport });
  try { fs.writeFileSync('/proc/self/clear_refs', '5'); } catch { /* Not Linux: the peak includes compilation. */ }
  if (job.command) {
    const code = timed(() => wasi.start(instance));
    if (code !== 0) measurement.failure = `exit code ${code}`;
  } else {
    const parameters = job.arguments.map(Number);
    const result = timed(() => instance.exports.run(...parameters));
    fs.writeSync(1, `${result}\n`);
  }
} catch (error) {
  measurement.failure = String(error);
}
try {
  measurement.peak_rss_bytes = Number(/VmHWM:\s*(\d+)/.exec(fs.readFileSync('/proc/self/status'))[1]) * 1024;
} catch {
  measurement.peak_rss_bytes = process.resourceUsage().maxRSS * 1024;
}
fs.writeFileSync(job.measurement, JSON.stringify(measurement));
